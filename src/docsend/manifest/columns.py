"""The columns of manifests and reports: their names, what a head means by them, and what is wrong with it."""

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
# What a report has more than its manifest; a report is a manifest, too.
REPORT_COLUMNS = ("row", "status", "repeated", "key", "receipt", "received_at", "problems")
# What the status of a received row is called; docsend 0.1 wrote "before" for a repeated one.
RECEIVED_STATUSES = ("received", "before")
_ALIASES = {
    **{alias: field.name for field in fields.FIELDS for alias in field.aliases},
    **dict.fromkeys(("document", "files", "file"), "documents"),
}


def column_names(number: int, head: Sequence[str] | Problem) -> list[str]:
    """Give the columns' names; raise FaultySubmission with all that is wrong with them."""
    problems: list[Problem] = []
    names: list[str] = []
    if isinstance(head, Problem):
        raise InvalidSubmission.from_manifest_problems([head])
    while head and not head[-1].strip():  # spreadsheets add empty columns
        head = head[:-1]
    if not recognized_columns(head):
        hint = Message("it has to name them: {columns}", columns=", ".join(COLUMNS))
        problem = Problem(Code.NO_COLUMNS, Message("the first row names no column"), hint, row=number)
        raise InvalidSubmission.from_manifest_problems([problem])
    for cell in head:
        name = column_name(cell)
        if name not in COLUMNS + REPORT_COLUMNS:
            problems.append(unknown_column_problem(cell.strip(), number))
        elif name in names:
            problems.append(duplicate_column_problem(name, number))
        names.append(name)
    if "documents" not in names:
        hint = Message("it holds the paths, separated by ;")
        problems.append(
            Problem(Code.MISSING_COLUMN, Message("the column documents is missing"), hint, row=number)
        )
    if problems:
        raise InvalidSubmission.from_manifest_problems(problems)
    return names


def unknown_column_problem(name: str, row: int) -> Problem:
    """Give the problem that there is no such column."""
    from docsend.model.search import nearest

    close = nearest(column_name(name).replace("_", "-"), [each.replace("_", "-") for each in COLUMNS])
    hint = (
        Message("did you mean {close}?", close=close.replace("-", "_"))
        if close
        else Message("one of: {columns}", columns=", ".join(COLUMNS))
    )
    return Problem(
        Code.UNKNOWN_COLUMN,
        Message("there is no column {given!r}", given=redact(name[:60])),
        hint,
        row=row,
    )


def duplicate_column_problem(name: str, row: int) -> Problem:
    """Give the problem that a column stands there twice."""
    return Problem(
        Code.DUPLICATE_COLUMN,
        Message("the column {name} stands twice", name=name),
        Message("keep one"),
        row=row,
    )


def recognized_columns(cells: Iterable[str]) -> list[str]:
    """Give the columns that some cells of a head mean, without those that mean none."""
    return [name for name in map(column_name, cells) if name in COLUMNS]


def column_name(cell: str) -> str:
    """Give the column that a head means: `Employer file`, `employer-file` and `employer_file` are one."""
    name = re.sub(r"[\s-]+", "_", cell.strip().strip('"').removeprefix("\ufeff").lower())
    return _ALIASES.get(name, name)
