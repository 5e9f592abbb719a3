"""The cells of a manifest's row: cleaned of what copying leaves, mended where a spreadsheet damaged them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.i18n import Message
from docsend.model import fields
from docsend.model.identity import has_check_digit
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
NUMBER_COLUMNS = tuple(field.name for field in fields.FIELDS if field.is_number)  # what spreadsheets damage
_USUAL_DIGITS = {"id": 9, "mobile": 10}


def value_to_text(value: object) -> str:
    """Give a cell of a workbook, or a value of JSON, as its text in CSV."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def clean_cell(cell: str) -> str:
    """Give a cell without the blanks and marks that copying between programs leaves around it.

    An apostrophe in front makes a spreadsheet take a number for text, or keeps a formula from being one.
    """
    text = cell.strip().strip("\u200e\u200f\ufeff\u00a0")
    return text[1:] if text[:1] == "'" and text[1:2] in "=+-@\t\r0123456789" and text[1:2] else text


def repair_number(name: str, value: str, number: int, problems: list[Problem]) -> str:
    """Undo what a spreadsheet does to numbers, where it can be known; say so."""
    if value.isdecimal() and len(value) == _USUAL_DIGITS.get(name, len(value)):
        return value
    if re.fullmatch(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+", value):
        message = Message("a spreadsheet has rounded the number in {name}", name=name)
        hint = Message("make the column text, and enter the number again")
        problems.append(Problem(Code.NUMBER_ROUNDED, message, hint, field=name, row=number))
        return ""
    value = re.sub(r"^([0-9]+)\.0$", r"\1", value)
    restored = None
    if name == "id" and re.fullmatch(r"[0-9]{5,8}", value):
        restored = value.zfill(9) if value.strip("0") and has_check_digit(value.zfill(9)) else None
    elif name == "mobile" and re.fullmatch(r"5[0-9]{8}", value):
        restored = f"0{value}"
    if restored is None:
        return value
    message = Message("the leading zeros that a spreadsheet removed from {name} are put back", name=name)
    hint = Message("make the column text, and they stay")
    problems.append(Problem(Code.ZEROS_RESTORED, message, hint, field=name, row=number))
    return restored


def non_text_problems(number: int, cells: Mapping[str, str]) -> list[Problem]:
    """Find cells that cannot be written and named: with a NUL or a lone surrogate, which JSON can hold."""
    hint = Message("write it anew, as plain text")
    return [
        Problem(
            Code.ROW_MALFORMED,
            Message("{name} has characters that no text has", name=name),
            hint,
            field=name,
            row=number,
        )
        for name, value in cells.items()
        if _NO_TEXT.search(value)
    ]
