"""Kinds of employer files, and the check digit of identity numbers."""

from __future__ import annotations

from typing import Literal, TypeAlias

EmployerKind: TypeAlias = Literal["deduction", "household", "building-committee"]
EMPLOYER_KINDS: tuple[EmployerKind, ...] = ("deduction", "household", "building-committee")

# The sum of the digits of the double of each digit.
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")


def has_check_digit(number: str) -> bool:
    """Return whether a number of ASCII digits ends in a valid check digit (Luhn; ISO/IEC 7812-1, annex B).

    Every second digit, starting with the last but one, is doubled and replaced by the sum of the result's
    digits. The total of all digits must then be a multiple of 10.
    """
    digits = number.encode("ascii")
    total = sum(digits[::-2]) + sum(digits[-2::-2].translate(_DOUBLED)) - len(digits) * ord("0")
    return total % 10 == 0
