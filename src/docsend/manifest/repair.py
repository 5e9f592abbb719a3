"""Clean cells: remove the marks that copying leaves, and repair what spreadsheets damage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.i18n import Message
from docsend.model import fields
from docsend.model.identity import has_check_digit
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

# Straight and typographic quotation marks, which word processors and messengers write.
_QUOTATION_MARKS = {
    *(('"', '"'), ("'", "'"), ("\u201c", "\u201d"), ("\u201d", "\u201d"), ("\u201e", "\u201c")),
    *(("\u201e", "\u201d"), ("\u2018", "\u2019"), ("\u00ab", "\u00bb"), ("\u201c", "\u201c")),
    *(("\u2039", "\u203a"), ("\u201a", "\u2018")),
}
# What a spreadsheet shows instead of a value, in English and French: of Excel, then of LibreOffice, and in a
# column that is too narrow.
_ERROR_VALUE = re.compile(
    r"#(?:N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!|SPILL!|CALC!|FIELD!|BLOCKED!|CONNECT!|UNKNOWN!|BUSY!"
    r"|GETTING_DATA|VALEUR!|NOM\?|NOMBRE!|NUL!|PROPAGATION!|CALCUL!)|Err ?:[0-9]{3}|#{3,}"
)
# A formula that is a text, `="000000018"`; and anything else that is a formula, not text after a sign `=`.
_TEXT_FORMULA = re.compile(r'=[ \u00a0]*"((?:[^"]|"")*)"')
_FORMULA = re.compile(
    r"""=\s*(?:["'\u201c-\u201f\u2018-\u201b\xab].*["'\u201c-\u201f\u2018-\u201b\xbb]|[A-Za-z_.]+\(.*\))\s*""",
    re.DOTALL,
)
_LETTER = re.compile(r"(?![eE][+-]?[0-9])[^\W\d_]")
# The decimals of a whole number, such as the `.0` with which programs write an id number as a float.
_DECIMAL_ZEROS = re.compile(r"^([0-9]+)[.,]0+$")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
# Columns with numbers, which spreadsheets damage.
NUMBER_COLUMNS = tuple(field.name for field in fields.FIELDS if field.is_number)
# Number of digits that a number always has, by column.
EXPECTED_DIGITS = {"id": 9, "mobile": 10}


def value_to_text(value: object) -> str:
    """Return a cell of a workbook, or a JSON value, as the text that it would have in CSV."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def clean_cell(cell: str) -> str:
    """Return a cell without the blanks and marks that copying between programs adds around it.

    Also remove what makes a spreadsheet treat a number or a formula as text: a leading apostrophe, or the
    formula `="..."`, with which exports keep leading zeros.
    """
    text = cell.strip().strip("\u200e\u200f\ufeff\u00a0")
    if text[:1] == "=" and (formula := _TEXT_FORMULA.fullmatch(text)):
        return formula[1].replace('""', '"')
    return text[1:] if text[:1] == "'" and text[1:2] in "=+-@\t\r0123456789" and text[1:2] else text


def without_quotes(text: str) -> str:
    """Return a path, a number or a code without blanks and quotation marks around it."""
    text = text.strip().strip("\u200e\u200f\ufeff\u00a0")
    if len(text) > 2 and (text[0], text[-1]) in _QUOTATION_MARKS:
        return text[1:-1].strip()
    return text


def lack_digits(name: str, values: Sequence[str]) -> bool:
    """Return whether most numbers of a column lack digits. None of them begins with 0.

    A single id number says nothing: somebody may have left out any digit. A mobile number lacks the first.
    """
    digits = EXPECTED_DIGITS[name]
    if name == "id" and len(values) == 1:
        return bool(_DECIMAL_ZEROS.match(values[0]))
    numbers = [_DECIMAL_ZEROS.sub(r"\1", value) for value in values]
    lacking = sum(number.isdecimal() and len(number) < digits for number in numbers)
    return 2 * lacking > len(values)


def repair_number(name: str, value: str, row: int, problems: list[Problem], *, is_number: bool) -> str:
    """Return a number as it was before a spreadsheet changed it, if that can be determined.

    Zeros are only restored if the cell `is_number` or is written with decimals, as only numbers are: text
    keeps its zeros, so a digit is missing that nobody knows. If zeros are restored, a warning is added to
    `problems`. If the number was rounded, an error is added and "" is returned.
    """
    if is_number and _LETTER.search(value) and not value.startswith("-"):
        value = "".join(filter(str.isdecimal, value))  # the format of a cell added the rest
    value = value.removesuffix("'")  # the second of two apostrophes, of which `clean_cell` removes the first
    if value.isdecimal() and len(value) == EXPECTED_DIGITS.get(name, len(value)) and name != "booklet":
        return value
    if re.fullmatch(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+", value):
        message = Message("a spreadsheet rounded the number in {name}", name=name)
        hint = Message("format the column as text and enter the number again")
        problems.append(Problem(Code.NUMBER_ROUNDED, message, hint, field=name, row=row))
        return ""
    value, decimals = _DECIMAL_ZEROS.subn(r"\1", value)
    is_number = is_number or bool(decimals)
    restored = None
    if is_number and name == "id" and re.fullmatch(r"[0-9]{2,8}", value):
        restored = value.zfill(9) if value.strip("0") and has_check_digit(value.zfill(9)) else None
    elif is_number and name == "mobile" and re.fullmatch(r"5[0-9]{8}", value):
        restored = f"0{value}"
    hint = Message("format the column as text to keep them")
    if restored is not None:
        message = Message("restored the leading zeros that a spreadsheet removed from {name}", name=name)
        problems.append(Problem(Code.ZEROS_RESTORED, message, hint, field=name, row=row))
        return restored
    if is_number and name == "booklet" and value.isdecimal() and not value.startswith("0"):
        message = Message("{name} is a number, so that leading zeros may be missing", name=name)
        problems.append(Problem(Code.ZEROS_MISSING, message, hint, field=name, row=row))
    return value


def non_text_problems(row: int, cells: Mapping[str, str]) -> list[Problem]:
    """Return a problem for each cell with a NUL or a lone surrogate, which JSON allows but files do not."""
    hint = Message("delete it and type it again, without pasting")
    return [
        Problem(
            Code.ROW_MALFORMED,
            Message("{name} contains invalid characters", name=name),
            hint,
            field=name,
            row=row,
        )
        for name, value in cells.items()
        if _UNWRITABLE.search(value)
    ]


def error_problems(row: int, cells: Mapping[str, str], reported: Collection[str | None]) -> list[Problem]:
    """Return a problem for each cell whose text is an error of a spreadsheet, such as `#N/A`, or a formula.

    A spreadsheet writes them into CSV like any other text. `reported` contains the columns that already have
    a problem.
    """
    hint = Message("correct the formula")
    problems = [
        Problem(
            Code.ROW_MALFORMED,
            Message("{name} contains a formula that docsend does not compute", name=name),
            Message("write its result instead"),
            field=name,
            row=row,
        )
        for name, value in cells.items()
        if value[:1] == "=" and name not in reported and _FORMULA.fullmatch(value)
    ]
    return problems + [
        Problem(
            Code.ROW_MALFORMED,
            Message("{cell} contains the error {error}", cell=name, error=value),
            hint,
            field=name,
            row=row,
        )
        for name, value in cells.items()
        if name not in reported and _ERROR_VALUE.fullmatch(value)
    ]
