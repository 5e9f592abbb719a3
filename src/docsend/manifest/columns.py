"""The columns of manifests and reports: their names and aliases, and the checks of a header."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.model import fields
from docsend.model.problem import Problem
from docsend.text import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COLUMNS = (*fields.NAMES, "sender", "documents")
# Columns that a report has in addition to those of its manifest. A report is also a manifest.
REPORT_COLUMNS = ("row", "status", "repeated", "key", "receipt", "received_at", "problems")
# Statuses of a received row. docsend 0.1 wrote "before" for a repeated one.
RECEIVED_STATUSES = ("received", "before")
_ALIASES = {
    **{alias: field.name for field in fields.FIELDS for alias in field.aliases},
    **dict.fromkeys(("document", "files", "file"), "documents"),
}


def column_names(row: int, header: Sequence[str]) -> list[str]:
    """Return the column names in a header. `row` is the header's row number.

    Raise InvalidSubmission with all of the header's problems, if it has any.
    """
    problems: list[Problem] = []
    names: list[str] = []
    while header and not header[-1].strip():  # spreadsheets add empty columns
        header = header[:-1]
    if not recognized_columns(header):
        hint = Message("the first row must name the columns: {columns}", columns=", ".join(COLUMNS))
        problem = Problem(Code.NO_COLUMNS, Message("the first row has no known column name"), hint, row=row)
        raise InvalidSubmission.from_manifest_problems([problem])
    for cell in header:
        name = column_name(cell)
        if name not in COLUMNS + REPORT_COLUMNS:
            problems.append(unknown_column_problem(cell.strip(), row))
        elif name in names:
            problems.append(duplicate_column_problem(name, row))
        names.append(name)
    if "documents" not in names:
        hint = Message("add this column, with the paths separated by ;")
        problems.append(Problem(Code.MISSING_COLUMN, Message("missing column: documents"), hint, row=row))
    if problems:
        raise InvalidSubmission.from_manifest_problems(problems)
    return names


def unknown_column_problem(name: str, row: int) -> Problem:
    """Return the problem for an unknown column. The hint names the most similar column, if there is one."""
    from docsend.model.search import nearest

    close = nearest(column_name(name).replace("_", "-"), [column.replace("_", "-") for column in COLUMNS])
    hint = (
        Message("did you mean {close}?", close=close.replace("-", "_"))
        if close
        else Message("one of: {columns}", columns=", ".join(COLUMNS))
    )
    return Problem(
        Code.UNKNOWN_COLUMN,
        Message("unknown column: {given!r}", given=redact(name[:60])),
        hint,
        row=row,
    )


def duplicate_column_problem(name: str, row: int) -> Problem:
    """Return the problem for a column that occurs twice."""
    return Problem(
        Code.DUPLICATE_COLUMN,
        Message("duplicate column: {name}", name=name),
        Message("remove one of them"),
        row=row,
    )


def recognized_columns(cells: Iterable[str]) -> list[str]:
    """Return the known columns among the cells of a header. Other cells are ignored."""
    return [name for name in map(column_name, cells) if name in COLUMNS]


def column_name(cell: str) -> str:
    """Return the name of the column with this header. `Employer file` becomes `employer_file`.

    An alias is replaced by the name that it stands for.
    """
    name = re.sub(r"[\s-]+", "_", cell.strip().strip('"').removeprefix("\ufeff").lower())
    return _ALIASES.get(name, name)
