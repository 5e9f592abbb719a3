"""The values of a workbook's cells as text, as the workbook shows them or as CSV would contain them."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TypeGuard

from docsend.codes import Code
from docsend.i18n import Message
from docsend.manifest.table import CellProblem

# A spreadsheet keeps this many digits of a number and replaces the others by zeros.
_KEPT_DIGITS = 15
# Excel stores control characters, such as the carriage return of a line break, in this form.
_ESCAPED = re.compile("_x00(0[9AD])_")


def to_text(value: object) -> str:
    """Return the value of a cell as text. Dates are in ISO form, without a time at midnight."""
    if isinstance(value, str):
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value) if "_x00" in value else value
    if isinstance(value, int | float):
        return _number_to_text(value)
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        return _time_to_text(value)
    return "" if value is None else str(value)


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number. TRUE and FALSE are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_rounded(value: object) -> bool:
    """Return whether a value is a number with more digits than a spreadsheet keeps.

    A program may have stored a whole number with all its digits.
    """
    if not is_number(value) or abs(value) < 10**_KEPT_DIGITS:
        return False
    if isinstance(value, float):
        return True
    return len(_number_to_text(value).lstrip("-").rstrip("0")) <= _KEPT_DIGITS


def _number_to_text(value: float) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if value.is_integer():
        return str(int(Decimal(repr(value))))
    return f"{value:.{_KEPT_DIGITS}g}"


def _time_to_text(value: dt.date | dt.time | dt.timedelta) -> str:
    if isinstance(value, dt.datetime):
        day, time = value.date().isoformat(), value.time()
        return f"{day} {_time_to_text(time)}" if time != dt.time() else day
    if isinstance(value, dt.time):
        return value.isoformat(timespec="seconds" if value.second else "minutes")
    if isinstance(value, dt.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return value.isoformat()


def cell_name(row: int, column: int) -> str:
    """Return the name of a cell as a spreadsheet shows it, such as B7."""
    letters = ""
    number = column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


def rounded_problem(row: int, column: int) -> CellProblem:
    """Return the problem for a cell with a number that a spreadsheet rounded."""
    return CellProblem(
        column,
        Code.NUMBER_ROUNDED,
        Message(
            "{cell} contains a number of which the spreadsheet keeps only 15 digits",
            cell=cell_name(row, column),
        ),
        Message("format the column as text and enter the number again"),
    )
