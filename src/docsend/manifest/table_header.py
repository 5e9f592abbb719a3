"""The header of a table: which row it is, what it names, and which other rows repeat it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from docsend.manifest.columns import HEADER_ROWS, column_name, header_rank, read_header
from docsend.manifest.table import TableRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docsend.manifest.table import Table
    from docsend.model.problem import Problem


class TableHeader(NamedTuple):
    """The row of the header, and the columns that it names, "" for those that are ignored.

    `width` is the number of cells that a row of a text table may have. `is_below_title` is true if another
    row is above the header. `documents_at` is the index of the column of documents. `warnings` tell of
    unknown columns.
    """

    row: TableRow
    columns: tuple[str, ...]
    documents_at: int
    width: int
    is_below_title: bool
    warnings: tuple[Problem, ...]

    def is_repeated_by(self, row: TableRow) -> bool:
        """Return whether a row contains the column names again, as between two exports that were joined.

        The second export may spell them in another way, or have other columns behind the known ones.
        """
        if row.cells == self.row.cells:
            return True
        # Only a row whose cell of documents is no path is looked at.
        if len(row.cells) <= self.documents_at or "." in row.cells[self.documents_at]:
            return False
        pairs = itertools.zip_longest(self.columns, row.cells, fillvalue="")
        return all(column_name(cell) == name for name, cell in pairs if name)


def find_header(table: Table, *, ignore_columns: bool) -> TableHeader:
    """Return the header of a table, which may stand below a title.

    With `ignore_columns`, no unknown column is an error. Raise InvalidSubmission if the header is invalid.
    """
    rows = list(itertools.islice((row for row in table.rows() if not row.is_empty), HEADER_ROWS))
    header = max(rows, key=lambda row: header_rank(row.cells), default=TableRow(1, []))
    columns, warnings = read_header(header.number, header.cells, ignore_unknown=ignore_columns)
    return TableHeader(
        header,
        tuple(columns),
        columns.index("documents"),
        _usual_width(header, rows),
        is_below_title=bool(rows) and header is not rows[0],
        warnings=tuple(warnings),
    )


def _usual_width(header: TableRow, rows: Sequence[TableRow]) -> int:
    """Return how many cells a row may have: as many as the header, or as all of the first rows.

    Some programs end each row with separators that they do not write into the header.
    """
    widths = {len(row.cells) for row in rows if row.number > header.number}
    has_wider_rows = len(widths) == 1 and len(rows) > 2
    return max(len(header.cells), *widths) if has_wider_rows else len(header.cells)
