"""Kinds of employer files, and the check digit of identity numbers."""

from __future__ import annotations

from typing import Literal, TypeAlias

EmployerKind: TypeAlias = Literal["deduction", "household", "building-committee"]
EMPLOYER_KINDS: tuple[EmployerKind, ...] = ("deduction", "household", "building-committee")

_DOUBLED = {digit: sum(divmod(2 * int(digit), 10)) for digit in "0123456789"}


def has_check_digit(number: str) -> bool:
    """Return whether a number of ASCII digits ends in a valid check digit (Luhn; ISO/IEC 7812-1, annex B).

    Every second digit, starting with the last but one, is doubled and replaced by the sum of the result's
    digits. The total of all digits must then be a multiple of 10.
    """
    doubled = [_DOUBLED[digit] for digit in number[-2::-2]]
    return (sum(map(int, number[::-2])) + sum(doubled)) % 10 == 0
