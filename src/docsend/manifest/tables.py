"""A batch file becomes rows of cells: its encoding, its separator, CSV as spreadsheets write it, Excel."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, TypeAlias

from docsend.codes import Code
from docsend.errors import InvalidSubmission, UsageError
from docsend.i18n import Message
from docsend.manifest.columns import recognized_columns
from docsend.manifest.repair import value_to_text
from docsend.model.problem import Problem
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

MAX_BYTES = 50 * 2**20
MAX_ROWS = 100_000
SEPARATORS = {",": Message("commas"), ";": Message("semicolons"), "\t": Message("tabs")}
_SEP_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*$", re.IGNORECASE)
# Hebrew in the middle of a Latin word: a text in another Windows encoding, taken for Hebrew's.
_WRONG_CODE_PAGE = re.compile("[a-z][א-ת][a-z]")
# A row as a table has it, or why it has none.
TableRow: TypeAlias = "tuple[int, list[str] | Problem]"
_MAX_CELL_LENGTH = 2**20  # characters
csv.field_size_limit(_MAX_CELL_LENGTH)
# What Python's reader says, in words for people.
_REASONS = {
    "unexpected end of data": Message("a quotation mark is not closed"),
    f"field larger than field limit ({_MAX_CELL_LENGTH})": Message(
        "a cell has more than {most:,} characters", most=_MAX_CELL_LENGTH
    ),
}


def read_content(path: Path) -> bytes:
    """Read a manifest, or the first byte too much of it; raise UsageFault if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = files.reason(error) if isinstance(error, OSError) else Message("there is no such name")
        raise UsageError(
            Message("the manifest {path} cannot be read: {reason}", path=path, reason=reason),
            Message("look at the path"),
        ) from error


def decode(content: bytes, shown: Message) -> tuple[str, str]:
    """Give the text and the name of its encoding.

    Windows-1255 is what Hebrew Excel writes as "CSV"; its Hebrew letters are never valid UTF-8, so the two
    cannot be taken for one another.
    """
    marks = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    marked = [encoding for mark, encoding in marks if content.startswith(mark)]
    names = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-8": "UTF-8", "cp1255": "Windows-1255"}
    for encoding in marked or ["utf-8", "cp1255"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text or (encoding == "cp1255" and _WRONG_CODE_PAGE.search(text)):
            break
        return text, names[encoding]
    message = Message("{shown} is no text in UTF-8, UTF-16 or Windows-1255", shown=shown)
    hint = Message('save it as "CSV UTF-8" or as Excel workbook')
    raise InvalidSubmission.from_manifest_problems([Problem(Code.MANIFEST_ENCODING, message, hint)])


def read_csv(text: str, separator: str) -> Iterator[TableRow]:
    """Give the rows; behind one that cannot be taken apart nobody knows where the next begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = Message(
                "the row cannot be taken apart: {error}; what follows cannot be read",
                error=_REASONS.get(str(error), Message.verbatim(error)),
            )
            hint = Message("is a quotation mark not closed, or a separator missing?")
            yield number, Problem(Code.ROW_MALFORMED, message, hint, row=number)
            return
        if not (number == 1 and len(cells) <= 2 and _SEP_LINE.match(separator.join(cells))):
            yield number, cells


def excel_reader(content: bytes) -> Callable[[], Iterator[TableRow]]:
    """Give what gives the rows of the first sheet; raise UsageFault if the extra is not installed."""
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise UsageError(
            Message("an Excel workbook needs the extra `excel`"),
            Message(
                "in the folder that docsend was installed from: pip install '.[excel]'; or save it as CSV"
            ),
        ) from error

    def rows() -> Iterator[TableRow]:
        try:
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # many programs store a size that was true once, and rows would be lost
            width = 0  # of the head: without a size each row ends at its own last cell
            for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
                cells = [value_to_text(value) for value in _without_empty_end(values)]
                width = width or len(cells)
                yield number, cells + [""] * (width - len(cells))
        except InvalidSubmission:
            raise
        except Exception as error:
            # openpyxl has no error of its own for what is broken inside.
            hint = Message("save it again, or as CSV")
            problem = Problem(Code.MANIFEST_MALFORMED, Message("the workbook cannot be read"), hint)
            raise InvalidSubmission.from_manifest_problems([problem]) from error

    return rows


def _without_empty_end(values: Sequence[object]) -> Sequence[object]:
    end = len(values)
    while end and values[end - 1] is None:
        end -= 1
    return values[:end]


def detect_separator(text: str) -> str:
    """Choose by what makes most columns of the head; Excel may say it in a line of its own, `sep=;`."""
    lines = (line for line in io.StringIO(text) if line.strip(" \t\r\n,;"))
    first = next(lines, "")
    if (given := _SEP_LINE.match(first)) and given[1] in SEPARATORS:
        return given[1]
    return max(SEPARATORS, key=lambda each: (len(recognized_columns(first.split(each))), first.count(each)))


def check_row_count(count: int) -> None:
    """Raise FaultySubmission if so many rows leave no room for another one."""
    if count >= MAX_ROWS:
        message = Message("the manifest has more than {most:,} rows", most=MAX_ROWS)
        raise InvalidSubmission.from_manifest_problems(
            [Problem(Code.MANIFEST_TOO_LARGE, message, Message("split it"))]
        )
