"""The number formats of a workbook: what a cell shows besides its number, as far as it can be told."""

from __future__ import annotations

import re
from typing import NamedTuple

# Parts of a format: one in brackets, text, a character as it is, a blank as wide as a character, a character
# that fills the cell, and any other character.
_PART = re.compile(r'\[([^\]]*)\]|"([^"]*)"|\\(.)|_(.)|\*(.)|(.)', re.DOTALL)
_COLOUR = re.compile(r"[A-Za-z]{3,}(?: ?[0-9]+)?$")
_LITERALS = frozenset("-+():!&'~{}<>=^$\u20ac\u20aa\xa3\xa5\xa0 ")
_NUMERALS = frozenset("0#?.,")


class NumberFormat(NamedTuple):
    """A format: its places for digits, `0` or `#`, and texts between them. Plain ones have none of them.

    `is_known` is false if a number has digits or text in this format that `apply` does not add.
    """

    parts: tuple[tuple[str, bool], ...] = ()  # each with whether it is a place
    is_known: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether the format adds nothing but separators of thousands and decimals."""
        return self.is_known and not self.parts

    def apply(self, text: str) -> str | None:
        """Return a number as a cell with this format shows it, or None if it cannot be told."""
        if not self.is_known or not text.isdecimal():
            return None
        places = [index for index, (_, is_place) in enumerate(self.parts) if is_place]
        zeros = sum(self.parts[index][0] == "0" for index in places)
        digits = list(text.zfill(zeros))
        shown: list[str] = []
        for index, (part, is_place) in reversed(list(enumerate(self.parts))):
            if not is_place:
                shown.append(part)
            elif index == places[0]:
                shown.append("".join(digits))
            elif digits:
                shown.append(digits.pop())
        return "".join(reversed(shown)).strip()


_PLAIN = NumberFormat()
_UNKNOWN = NumberFormat(is_known=False)


def parse(number_format: str) -> NumberFormat:
    """Return what a format adds to positive numbers.

    Separators of thousands and decimals are no part of a number: `#,##0.00` is as plain as `0`.
    """
    if number_format.casefold() in ("general", "@", ""):
        return _PLAIN
    parts: list[tuple[str, bool]] = []
    for bracket, quoted, escaped, blank, filling, character in _PART.findall(number_format):
        if character == ";":
            break
        if bracket:
            if not bracket.startswith("$") and not _COLOUR.match(bracket):
                return _UNKNOWN
            text = bracket[1:].partition("-")[0] if bracket.startswith("$") else ""
        else:
            text = quoted or escaped or (" " if blank or filling else character)
        if character and character not in _LITERALS | _NUMERALS:
            return _UNKNOWN
        if text:
            parts.append((text, character in _NUMERALS))
    return _of_parts(parts)


def _of_parts(parts: list[tuple[str, bool]]) -> NumberFormat:
    places = "".join(text for text, is_place in parts if is_place)
    if not places:
        return _UNKNOWN  # which shows no number
    has_text = any(text.strip() for text, is_place in parts if not is_place)
    is_apart = any(not is_place for _, is_place in _without_ends(parts))
    whole = places.partition(".")[0]
    if not has_text and not is_apart and whole.count("0") <= 1:
        return _PLAIN
    return _UNKNOWN if set(places) - {"0", "#"} else NumberFormat(tuple(parts))


def _without_ends(parts: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Return the parts from the first to the last place."""
    places = [index for index, (_, is_place) in enumerate(parts) if is_place]
    return parts[places[0] : places[-1] + 1]
