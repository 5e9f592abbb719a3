"""The sheets of a workbook: which of them is the table, and where its header is."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.errors import DocsendError, InvalidSubmission, UsageError
from docsend.i18n import Message
from docsend.manifest.columns import (
    HEADER_ROWS,
    columns_before,
    find_header_row,
    header_rank,
    kept_columns,
    recognized_columns,
)
from docsend.manifest.table import CellProblem
from docsend.manifest.workbook_cells import cell_name
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from docsend.manifest.table import TableRow


_FIRST_ROWS = 10_000  # stored ones, among which the header is


class Sheet(NamedTuple):
    """A sheet with cells."""

    name: str
    is_visible: bool


class Header(NamedTuple):
    """Where a table's header is: its row, its number of cells, and how many known columns it names.

    If no row names a known column, the first row that is not empty is the header. `names_documents` is true
    if it names the documents, and is not one of the rows of a list of the columns' meanings. `kept` is the
    number of columns that are read.
    """

    row: int = 0
    width: int = 0
    known: int = 0
    names_documents: bool = False
    kept: int = 0


def find_header(rows: Iterable[TableRow]) -> Header:
    """Return the header: the first row that names the documents, or else the one with the most columns."""
    first = itertools.islice(rows, _FIRST_ROWS)
    filled = list(itertools.islice((row for row in first if not row.is_empty), HEADER_ROWS))
    if not filled:
        return Header()
    header = filled[find_header_row(row.cells for row in filled)]
    names_documents, known = header_rank(header.cells)
    # A list of the columns' meanings has one known name in each of several rows.
    others = {name for row in filled if row is not header for name in recognized_columns(row.cells)}
    is_list = set(recognized_columns(header.cells)) == {"documents"} and bool(others - {"documents"})
    return Header(
        header.number,
        columns_before(header.cells, bool),
        known,
        names_documents and not is_list,
        kept_columns(header.cells),
    )


def _stray_cell(row: int, column: int, header: Header) -> CellProblem:
    """Return the problem for a cell behind all columns of a table."""
    return CellProblem(
        None,
        Code.ROW_MALFORMED,
        Message("{cell} is outside the table", cell=cell_name(row, column)),
        Message("delete it, or give its column a name in row {row}", row=header.row),
    )


def fit(row: TableRow, header: Header) -> TableRow:
    """Return a row with as many cells as are read. A cell behind all columns is a problem."""
    cells = row.cells
    cells.extend([""] * (header.kept - len(cells)))
    if len(cells) == header.kept or row.number <= header.row:
        return row
    strays = [column for column, cell in enumerate(cells) if column >= header.width and cell.strip()]
    if strays and "documents" in recognized_columns(cells):
        return row  # the head of another table
    problems = [_stray_cell(row.number, column, header) for column in strays[:1]]
    return row._replace(cells=cells[: header.kept], problems=(*row.problems, *problems))


def place(sheet: Sheet, label: Message) -> Message:
    """Return the name of a file and its sheet for a message."""
    return Message('{name}, sheet "{sheet}"', name=label, sheet=sheet.name)


def choose(
    sheets: Sequence[Sheet], header_of: Callable[[Sheet], Header], wanted: str | None, label: Message
) -> tuple[Sheet, Header]:
    """Return the sheet with this name, or else the one that has a table, and its header.

    `label` names the file in messages. A sheet that is not named is chosen only if it is visible. If no sheet
    names the documents, the one with the most known columns is returned, so that its header can be reported.

    Raise UsageError if there is no such sheet or more than one, or if only a hidden one names the documents,
    and InvalidSubmission if there is no sheet.
    """
    if not sheets:
        problem = Problem(
            Code.MANIFEST_MALFORMED,
            Message("{name} has no sheet with cells", name=label),
            Message("put the table into a worksheet, or save it as CSV"),
        )
        raise InvalidSubmission.from_manifest_problems([problem])
    if wanted is not None:
        named = _find(sheets, wanted, label)
        return named, header_of(named)
    visible = [sheet for sheet in sheets if sheet.is_visible]
    if not visible:
        raise UsageError(
            Message("all sheets of {name} are hidden: {sheets}", name=label, sheets=_names(sheets)),
            Message("name the one to send with --sheet NAME"),
        )
    headers = [(sheet, header_of(sheet)) for sheet in visible]
    tables = [pair for pair in headers if pair[1].names_documents]
    if not tables:
        hidden = [sheet for sheet in sheets if not sheet.is_visible]
        if hidden_tables := [sheet for sheet in hidden if header_of(sheet).names_documents]:
            raise _hidden(hidden_tables, label)
        # The rest only decides what is reported.
        tables = [max(headers, key=lambda pair: pair[1].known)]
    if len(tables) > 1:
        raise _several([sheet for sheet, _ in tables], label)
    return tables[0]


def _find(sheets: Sequence[Sheet], wanted: str, label: Message) -> Sheet:
    """Return the sheet with a name, which may be written in any case. Raise UsageError if there is none."""
    for spelling in (str, str.casefold, lambda name: name.strip().casefold()):
        for sheet in sheets:
            if spelling(sheet.name) == spelling(wanted):
                return sheet
    raise UsageError(
        Message("{name} has no sheet {sheet!r}", name=label, sheet=wanted),
        Message("give one of: {sheets}", sheets=_names(sheets)),
    )


def _several(sheets: Sequence[Sheet], label: Message) -> DocsendError:
    return UsageError(
        Message("{name} has a table in several sheets: {sheets}", name=label, sheets=_names(sheets)),
        Message("name the one to send with --sheet NAME"),
    )


def _hidden(sheets: Sequence[Sheet], label: Message) -> DocsendError:
    message = Message(
        "no visible sheet of {name} names the documents, but a hidden one does: {sheets}",
        name=label,
        sheets=_names(sheets),
    )
    return UsageError(message, Message("if it is the one to send, name it with --sheet NAME"))


def _names(sheets: Sequence[Sheet]) -> str:
    return ", ".join(f'"{sheet.name}"' for sheet in sheets)
