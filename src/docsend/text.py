"""Texts from outside: what of them is shown, and what must not reach a terminal or a log."""

from __future__ import annotations

import re
import unicodedata

_STEERING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BIDIRECTIONAL = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"


def mask(secret: str) -> str:
    """Return six dots and up to three last characters, at most a third of all: all that is ever shown."""
    shown = min(3, len(secret) // 3)
    return "••••••" + secret[len(secret) - shown :]


def redact(text: str) -> str:
    """Return a text that was said in the wrong place without what could be somebody's number."""
    return re.sub(r"[0-9]{5,}", "••••••", text)


def has_control_characters(text: str) -> bool:
    """Tell whether a text has what a screen could take for commands.

    Cc: control; Cs: a lone surrogate; and the bidirectional overrides and isolates.
    """
    if text.isascii():  # and then what cannot be printed is Cc
        return not text.isprintable()
    return any(
        unicodedata.category(character) in ("Cc", "Cs") or character in _BIDIRECTIONAL for character in text
    )


def escape_for_terminal(text: object) -> str:
    r"""Return foreign text with all that could steer a terminal or a log written out: \x1b, \u202e."""
    return "".join(
        character if unicodedata.category(character) not in _STEERING else _written_out(character)
        for character in str(text)
    )


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
