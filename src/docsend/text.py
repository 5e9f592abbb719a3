"""Functions that mask secrets, fold references, and escape untrusted text for terminals and logs."""

from __future__ import annotations

import re
import unicodedata

# Unicode categories of characters that could control a terminal, or that are not assigned.
UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BIDIRECTIONAL = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
# Characters without a shape that Unicode does not class as formatting, and one that looks like a blank.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f").union(
    map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
_BLANK = "\u2800"


def mask(secret: str) -> str:
    """Return six dots and the last characters of a secret: at most three, and at most a third of them all."""
    shown = min(3, len(secret) // 3)
    return "••••••" + secret[len(secret) - shown :]


def redact(text: str) -> str:
    """Return the text with every run of five or more digits masked, because it may identify a person."""
    return re.sub(r"[0-9]{5,}", "••••••", text)


def has_control_characters(text: str) -> bool:
    """Return whether a text contains characters that could control a terminal.

    Such characters are control characters (Cc), lone surrogates (Cs), the line and paragraph separators, and
    bidirectional embeddings, overrides and isolates.
    """
    if text.isascii():  # In ASCII, exactly the characters of category Cc are not printable.
        return not text.isprintable()
    return any(
        unicodedata.category(character) in ("Cc", "Cs") or character in _BIDIRECTIONAL for character in text
    )


def escape_control_characters(text: str) -> str:
    r"""Escape the characters that `has_control_characters` looks for, so that all others stay readable."""
    return "".join(
        _escape(character) if has_control_characters(character) else character for character in text
    )


def escape_for_terminal(text: object) -> str:
    r"""Escape the characters that could control a terminal or a log, for example as \x1b or \u202e."""
    return "".join(
        character if unicodedata.category(character) not in UNSAFE_CATEGORIES else _escape(character)
        for character in str(text)
    )


def escape_json(text: str) -> str:
    """Escape the characters in JSON that could control a terminal, or that UTF-8 cannot encode.

    They occur only inside strings, where an escape means the same as the character.
    """
    if text.isprintable():
        return text
    return "".join(
        _escape_in_json(character)
        if character >= "\x7f" and unicodedata.category(character) in UNSAFE_CATEGORIES
        else character
        for character in text
    )


def _escape_in_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def fold(text: str) -> str:
    """Return a text as people compare it: without what cannot be seen, and without upper case.

    Blanks of any kind and number become one, dashes of any kind "-", and full-width letters the usual ones.
    """
    if not text.isascii():
        visible = map(_visible, unicodedata.normalize("NFKC", text))
        text = unicodedata.normalize("NFKC", "".join(visible).casefold())
    return " ".join(text.split()).casefold()


def strip_invisible(text: str) -> str:
    """Return a text without the blanks of any kind, and what cannot be seen, at its beginning and its end."""
    if text.isascii() and text.isalnum():
        return text
    seen = [at for at, character in enumerate(text) if fold(character)]
    return text[seen[0] : seen[-1] + 1] if seen else ""


def _visible(character: str) -> str:
    """Return what people see of a character."""
    if character in _BLANK:
        return " "
    if character in _INVISIBLE:
        return ""
    return {"Cf": "", "Cc": " ", "Pd": "-"}.get(unicodedata.category(character), character)
