"""A table: rows of cells as text, whether they come from a CSV file or a workbook.

This module knows nothing of the columns' meanings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_BYTES = 50 * 2**20
MAX_ROWS = 100_000


class CellProblem(NamedTuple):
    """A problem of one cell, whose column is counted from 0. The header gives the column its name.

    The column is None for a cell outside the table.
    """

    column: int | None
    code: Code
    message: Message
    hint: Message | None = None


_NO_LINKS: Mapping[int, str] = {}


class TableRow(NamedTuple):
    """A row: its number as a spreadsheet shows it, its cells, and the problems of single cells.

    `numeric` contains the columns, counted from 0, whose cells are numbers in a workbook; a spreadsheet may
    have removed zeros from these, and from no others. It is None where this is not known, as in CSV. `links`
    maps a column to the path of the file that its cell links to, if the cell shows something else; it is ""
    if the link is computed.
    """

    number: int
    cells: list[str]
    problems: tuple[CellProblem, ...] = ()
    numeric: frozenset[int] | None = None
    links: Mapping[int, str] = _NO_LINKS

    @property
    def is_empty(self) -> bool:
        """Whether no cell contains anything."""
        return not self.problems and not any(map(str.strip, self.cells))


class Table(NamedTuple):
    """A table that can be read repeatedly, its description for people, and warnings about it as a whole.

    `sheet` names the sheet of a workbook for messages. `rows` yields the rows, including empty ones. It
    raises InvalidSubmission if the table cannot be read to its end.
    """

    description: Message
    rows: Callable[[], Iterator[TableRow]]
    warnings: tuple[Problem, ...] = ()
    sheet: Message | None = None


def check_row_count(count: int) -> None:
    """Raise InvalidSubmission if a manifest that already has `count` rows may not have another one."""
    if count >= MAX_ROWS:
        message = Message("the manifest has more than {limit:,} rows", limit=MAX_ROWS)
        raise InvalidSubmission.from_manifest_problems(
            [Problem(Code.MANIFEST_TOO_LARGE, message, Message("split it into smaller manifests"))]
        )
