"""The sheets of a workbook: which of them is the table, and where its header is."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.errors import DocsendError, InvalidSubmission, UsageError
from docsend.i18n import Message
from docsend.manifest.columns import HEADER_ROWS, header_rank
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from docsend.manifest.table import TableRow


class Sheet(NamedTuple):
    """A sheet with cells."""

    name: str
    is_visible: bool


class Header(NamedTuple):
    """Where a table's header is: its row, its number of cells, and how many known columns it names.

    If no row names a known column, the first row that is not empty is the header.
    """

    row: int = 0
    width: int = 0
    known: int = 0


def find_header(rows: Iterable[TableRow]) -> Header:
    """Return the header: the one of the first rows that names the documents, or else the most columns."""
    filled = itertools.islice((row for row in rows if not row.is_empty), HEADER_ROWS)
    header = max(filled, key=lambda row: header_rank(row.cells), default=None)
    if header is None:
        return Header()
    _, known = header_rank(header.cells)
    return Header(header.number, len(header.cells), known)


def choose(
    sheets: Sequence[Sheet], header_of: Callable[[Sheet], Header], wanted: str | None, label: Message
) -> tuple[Sheet, Header]:
    """Return the sheet with this name, or else the one that has a table, and its header.

    `label` names the file in messages. A sheet that is not named is chosen only if it is visible. If no sheet
    has known columns, the first one is returned, so that its header can be reported.

    Raise UsageError if there is no such sheet or more than one, and InvalidSubmission if there is no sheet.
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
    # A list of the columns' meanings has a known name in each row. A table names several in one row.
    tables = [pair for pair in headers if pair[1].known > 1] or [pair for pair in headers if pair[1].known]
    if len(tables) > 1:
        raise _several([sheet for sheet, _ in tables], label)
    return (tables or headers)[0]


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


def _names(sheets: Sequence[Sheet]) -> str:
    return ", ".join(f'"{sheet.name}"' for sheet in sheets)
