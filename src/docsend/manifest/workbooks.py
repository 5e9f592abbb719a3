"""Tables in workbooks: Excel."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.errors import InvalidSubmission, UsageError
from docsend.i18n import Message
from docsend.manifest.repair import value_to_text
from docsend.manifest.table import Table, TableRow
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAGIC = b"PK\x03\x04"


def is_workbook(content: bytes) -> bool:
    """Return whether the content of a file is a workbook."""
    return content.startswith(_MAGIC)


def open_table(content: bytes, label: Message, sheet: str | None = None) -> Table:  # noqa: ARG001
    """Return the table in a workbook. `label` names the file in its description.

    `sheet` names the sheet; without it, the first one is used. Raise UsageError if a required extra is not
    installed, and InvalidSubmission if the workbook cannot be read.
    """
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise UsageError(
            Message("reading an Excel workbook requires the extra `excel`"),
            Message(
                'save the workbook as CSV, or run `pip install ".[excel]"` in the folder '
                "that docsend was installed from"
            ),
        ) from error

    def rows() -> Iterator[TableRow]:
        try:
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # many programs store an outdated size, which would hide rows
            width = 0  # of the header: without a size, each row ends at its own last cell
            for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
                cells = [value_to_text(value) for value in _strip_empty_end(values)]
                width = width or len(cells)
                yield TableRow(number, cells + [""] * (width - len(cells)))
        except InvalidSubmission:
            raise
        except Exception as error:
            # openpyxl has no exception class of its own for damaged workbooks.
            hint = Message("save it again, or save it as CSV")
            problem = Problem(Code.MANIFEST_MALFORMED, Message("cannot read the workbook"), hint)
            raise InvalidSubmission.from_manifest_problems([problem]) from error

    return Table(Message("{name}: Excel", name=label), rows)


def _strip_empty_end(values: Sequence[object]) -> Sequence[object]:
    end = len(values)
    while end and values[end - 1] is None:
        end -= 1
    return values[:end]
