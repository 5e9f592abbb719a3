"""Hostile texts, composed of strings that control a terminal, hide text or exceed limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

_PIECES = (
    *("\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "\r", "\n", "\t", "\b", "\x7f", "\x85", "\x00"),
    *("\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\u200b", "\u2028", "\u2029", "\ufeff", "\u061c"),
    *("\udcff", "\udcc3\udca9", "e\u0301", "\u05ea\u05dc\u05d5\u05e9", "\u1112\u1161\u11ab", "\U0001f4c4"),
    *("[red]", "[/x]", "[link=http://a]", "{0}", "%s", "$(id)", "`id`", "'", '"', "\\", "*", "?", "[a-"),
    *(
        "..",
        "...",
        " ",
        "-n",
        "--json",
        "CON",
        "nul.",
        "a:b",
        ";",
        "|",
        "&&",
        "\ue000",
        "\uffff",
        "\U0010fffd",
    ),
    *("payslip", "a", "Z", "7", "a" * 50, "\u0301" * 30),
)


def hostile_text(rng: random.Random, max_pieces: int = 8) -> str:
    """Return fewer than `max_pieces` pieces, each a known dangerous string or a random character."""

    def piece() -> str:
        if rng.random() < 0.65:
            return rng.choice(_PIECES)
        point = rng.choice((rng.randrange(0x20, 0x7F), rng.randrange(0x300), rng.randrange(0x110000)))
        return chr(point if not 0xD800 <= point < 0xE000 else 0xDC80 + point % 128)

    return "".join(piece() for _ in range(rng.randrange(max_pieces)))
