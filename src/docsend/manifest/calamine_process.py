"""The child process of `limited_workbooks`: it reads one workbook with python-calamine.

The requests on stdin and the replies on stdout are lines of JSON. The first request is the number of bytes of
the workbook, which follow; the reply is a list of its sheets: [name, whether it is visible]. A request
["header", sheet] gets a list of the sheet's first rows. A request ["rows", sheet] gets each row that is not
empty as a line of its own, then null; the process then ends. If the workbook cannot be read, the reply is
"password" or "damaged", and the process ends. A row is [number, cells, columns with numbers, columns with
rounded ones].

No workbook can make the process use more than the limits below, which `isolation.limits` sets.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from docsend.isolation import limits
from docsend.manifest import workbook_cells
from docsend.manifest.columns import HEADER_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import python_calamine

_MEMORY_BYTES = 2**30  # of address space. A table with 100,000 rows of 17 cells takes 200 MB.
_Row: TypeAlias = "tuple[int, list[str], list[int], list[int]]"
_LIMIT_S = 65  # more than `limited_workbooks` waits


def main() -> None:
    """Reply to the requests about one workbook."""
    replies = os.fdopen(limits.start(_MEMORY_BYTES), "wb")
    with contextlib.suppress(BrokenPipeError), limits.limited_time(_LIMIT_S):
        for reply in _replies():
            replies.write(json.dumps(reply).encode("ascii") + b"\n")
            replies.flush()
    os._exit(0)


def _replies() -> Iterator[Any]:
    import python_calamine

    requests = sys.stdin.buffer
    content = requests.read(int(requests.readline()))
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        yield _sheets(book)
        for request in requests:
            kind, sheet = json.loads(request)
            rows = _rows(book, sheet)
            if kind == "rows":
                yield from rows
                yield None
                return
            yield list(itertools.islice(rows, HEADER_ROWS))
    except python_calamine.PasswordError:
        yield "password"
    except (python_calamine.CalamineError, ValueError, OSError):
        yield "damaged"


def _sheets(book: python_calamine.CalamineWorkbook) -> list[tuple[str, bool]]:
    import python_calamine

    return [
        (sheet.name, sheet.visible == python_calamine.SheetVisibleEnum.Visible)
        for sheet in book.sheets_metadata
        if sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
    ]


def _rows(book: python_calamine.CalamineWorkbook, name: str) -> Iterator[_Row]:
    sheet = book.get_sheet_by_name(name)
    first_row, first_column = sheet.start or (0, 0)
    for number, values in enumerate(sheet.to_python(skip_empty_area=True), first_row + 1):
        cells = [workbook_cells.to_text(value) for value in values]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            numeric = [
                column for column, value in enumerate(values, first_column) if workbook_cells.is_number(value)
            ]
            rounded = [
                column for column in numeric if workbook_cells.is_rounded(values[column - first_column])
            ]
            yield number, [""] * first_column + cells, numeric, rounded


if __name__ == "__main__":
    main()
