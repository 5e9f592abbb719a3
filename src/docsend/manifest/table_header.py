"""The header of a table: which row it is, what it names, and which other rows repeat it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.manifest.columns import (
    COLUMNS,
    ENDS_LIKE_DOCUMENT,
    HEADER_ROWS,
    REPORT_COLUMNS,
    Header,
    column_names,
    find_header_row,
    kept_columns,
    read_header,
)
from docsend.manifest.table import TableRow
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docsend.manifest.table import Table


class TableHeader(NamedTuple):
    """The row of the header, and the columns that it names, "" for those that are ignored.

    `width` is the number of cells that a row of a text table may have, also if very many are not read.
    `is_below_title` is true if another row is above the header. `documents_at` is the index of the column of
    documents. `warnings` tell of unknown columns.
    """

    row: TableRow
    columns: tuple[str, ...]
    documents_at: int
    width: int
    is_below_title: bool
    warnings: tuple[Problem, ...]

    def narrowed(self, row: TableRow) -> TableRow:
        """Return a row of a very wide table without the cells behind the columns that are read."""
        is_wide = len(self.columns) < len(row.cells) <= self.width
        return row._replace(cells=row.cells[: len(self.columns)]) if is_wide else row

    def is_repeated_by(self, row: TableRow) -> bool:
        """Return whether a row contains the column names again, as between two exports that were joined.

        The second export may spell them in another way, or have other unknown columns. Raise
        InvalidSubmission if it has other known columns or in another order.
        """
        if row.cells == self.row.cells:
            return True
        cell = row.cells[self.documents_at] if len(row.cells) > self.documents_at else ""
        # Nearly all rows have a path with a folder or an extension there, and need no closer look.
        if "/" in cell or (cell[-4:-3] == "." and cell[-3:].isalnum() and cell[-3:].isascii()):
            return False
        names = [name if name in COLUMNS + REPORT_COLUMNS else "" for name in column_names(row.cells)]
        if _without_end(names) == _without_end(self.columns):
            return True
        if "documents" in names and (names.count("") < len(names) - 1 or len(self.columns) == 1):
            raise _other_columns(row, self.row)
        return False


def find_header(table: Table, *, ignore_columns: bool) -> TableHeader:
    """Return the header of a table, which may stand below a title.

    With `ignore_columns`, no unknown column is an error. Raise InvalidSubmission if the header is invalid.
    """
    rows = list(itertools.islice((row for row in table.rows() if not row.is_empty), HEADER_ROWS))
    index = find_header_row(row.cells for row in rows)
    header = rows[index] if rows else TableRow(1, [])
    columns, warnings = _read_header(table, header, ignore_unknown=ignore_columns)
    documents_at = columns.index("documents")
    columns = columns[: kept_columns(header.cells)]
    _refuse_rows_above(rows[:index], header, documents_at)
    return TableHeader(
        header,
        tuple(columns),
        documents_at,
        _usual_width(header, rows),
        is_below_title=index > 0,
        warnings=tuple(warnings),
    )


def _read_header(table: Table, header: TableRow, *, ignore_unknown: bool) -> Header:
    """Return the columns of the header. Its errors name the sheet of a workbook."""
    try:
        return read_header(header.number, header.cells, ignore_unknown=ignore_unknown)
    except InvalidSubmission as error:
        if table.sheet is None:
            raise
        problems = [
            replace(each, message=Message("{message} ({place})", message=each.message, place=table.sheet))
            for each in error.problems
        ]
        raise InvalidSubmission.from_manifest_problems(problems) from error


def _without_end(names: Sequence[str]) -> list[str]:
    """Return the names without the empty ones at the end."""
    last = max((index for index, name in enumerate(names) if name), default=-1)
    return list(names[: last + 1])


def _refuse_rows_above(rows: Sequence[TableRow], header: TableRow, documents_at: int) -> None:
    """Raise InvalidSubmission if one of the rows above the header has a document where the header names them.

    It is no title then, but a row of another table, which would be lost.
    """
    width = sum(map(bool, map(str.strip, header.cells)))
    for row in rows:
        path = row.cells[documents_at].strip() if documents_at < len(row.cells) else ""
        others = sum(map(bool, map(str.strip, row.cells))) - 1
        is_row = others > 0 if width > 1 else " " not in path
        if is_row and ENDS_LIKE_DOCUMENT.search(path):
            message = Message(
                "row {row} names a document, but is above the column names in row {header}",
                row=row.number,
                header=header.number,
            )
            hint = Message("write the column names above all rows; give joined tables one by one")
            raise _header_problem(row.number, message, hint)


def _other_columns(row: TableRow, header: TableRow) -> InvalidSubmission:
    message = Message(
        "row {row} names other columns than row {header}: two tables were joined",
        row=row.number,
        header=header.number,
    )
    hint = Message("save each of them as a file of its own; if one of the two rows is a title, delete it")
    return _header_problem(row.number, message, hint)


def _header_problem(row: int, message: Message, hint: Message) -> InvalidSubmission:
    return InvalidSubmission.from_manifest_problems([Problem(Code.ROW_MALFORMED, message, hint, row=row)])


def _usual_width(header: TableRow, rows: Sequence[TableRow]) -> int:
    """Return how many cells a row may have: as many as the header, or as all of the first rows.

    Some programs end each row with separators that they do not write into the header.
    """
    widths = {len(row.cells) for row in rows if row.number > header.number}
    has_wider_rows = len(widths) == 1 and len(rows) > 2
    return max(len(header.cells), *widths) if has_wider_rows else len(header.cells)
