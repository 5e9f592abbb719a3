"""Whom a submission is about: the kinds of employers, and the check digit of identity numbers."""

from __future__ import annotations

from typing import Literal, TypeAlias

EmployerKind: TypeAlias = Literal["deduction", "household", "building-committee"]
EMPLOYER_KINDS: tuple[EmployerKind, ...] = ("deduction", "household", "building-committee")

_DOUBLED = {digit: sum(divmod(2 * int(digit), 10)) for digit in "0123456789"}


def has_check_digit(number: str) -> bool:
    """Tell whether the last of some ASCII digits is the check digit of the others (Luhn; ISO/IEC 7812-1, B).

    Every other digit, from the last but one on, counts double, with its own two digits added up.
    """
    doubled = [_DOUBLED[digit] for digit in number[-2::-2]]
    return (sum(map(int, number[::-2])) + sum(doubled)) % 10 == 0
