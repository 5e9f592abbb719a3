"""Parse CSV and Excel files into rows of cells, and detect the encoding and the separator.

This module recognizes column names in a header, but does not know what the columns mean.
"""

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
# A Hebrew letter inside a Latin word shows that the Windows encoding is not Windows-1255.
_WRONG_CODE_PAGE = re.compile("[a-z][א-ת][a-z]")
# A row number, and its cells or the problem that prevents reading them.
TableRow: TypeAlias = "tuple[int, list[str] | Problem]"
_MAX_CELL_LENGTH = 2**20  # characters
csv.field_size_limit(_MAX_CELL_LENGTH)
# Messages for the errors of the csv module.
_REASONS = {
    "unexpected end of data": Message("a quotation mark is not closed"),
    f"field larger than field limit ({_MAX_CELL_LENGTH})": Message(
        "a cell has more than {limit:,} characters", limit=_MAX_CELL_LENGTH
    ),
}


def read_content(path: Path) -> bytes:
    """Return the content of a manifest file, up to one byte more than MAX_BYTES.

    Raise UsageError if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = files.reason(error) if isinstance(error, OSError) else Message("invalid file name")
        raise UsageError(
            Message("cannot read the manifest {path}: {reason}", path=path, reason=reason),
            Message("check the path"),
        ) from error


def decode(content: bytes, label: Message) -> tuple[str, str]:
    """Return the text and the name of its encoding: UTF-8, UTF-16 or Windows-1255.

    `label` names the file in messages. Hebrew Excel saves "CSV" as Windows-1255. Its Hebrew letters are never
    valid UTF-8, so the two encodings cannot be confused. Raise InvalidSubmission for any other encoding.
    """
    marks = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    declared = [encoding for mark, encoding in marks if content.startswith(mark)]
    names = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-8": "UTF-8", "cp1255": "Windows-1255"}
    for encoding in declared or ["utf-8", "cp1255"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text or (encoding == "cp1255" and _WRONG_CODE_PAGE.search(text)):
            break
        return text, names[encoding]
    message = Message("{name} is not encoded in UTF-8, UTF-16 or Windows-1255", name=label)
    hint = Message('save it as "CSV UTF-8" or as an Excel workbook')
    raise InvalidSubmission.from_manifest_problems([Problem(Code.MANIFEST_ENCODING, message, hint)])


def read_csv(text: str, separator: str) -> Iterator[TableRow]:
    """Yield the rows of a CSV text.

    Stop after a row that cannot be parsed, because it is then unknown where the next row starts.
    """
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
                "cannot parse the row: {error}; the rows after it were not read",
                error=_REASONS.get(str(error), Message.verbatim(error)),
            )
            hint = Message("check for an unclosed quotation mark or a missing separator")
            yield number, Problem(Code.ROW_MALFORMED, message, hint, row=number)
            return
        if not (number == 1 and len(cells) <= 2 and _SEP_LINE.match(separator.join(cells))):
            yield number, cells


def excel_reader(content: bytes) -> Callable[[], Iterator[TableRow]]:
    """Return a function that yields the rows of the first sheet of a workbook.

    Raise UsageError if the extra `excel` is not installed. The function raises InvalidSubmission if the
    workbook is damaged.
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
                yield number, cells + [""] * (width - len(cells))
        except InvalidSubmission:
            raise
        except Exception as error:
            # openpyxl has no exception class of its own for damaged workbooks.
            hint = Message("save it again, or save it as CSV")
            problem = Problem(Code.MANIFEST_MALFORMED, Message("cannot read the workbook"), hint)
            raise InvalidSubmission.from_manifest_problems([problem]) from error

    return rows


def _strip_empty_end(values: Sequence[object]) -> Sequence[object]:
    end = len(values)
    while end and values[end - 1] is None:
        end -= 1
    return values[:end]


def detect_separator(text: str) -> str:
    """Return the separator that splits the header into the most known column names.

    If the first line is `sep=;` or similar, return the separator that it names. Excel allows such a line.
    """
    lines = (line for line in io.StringIO(text) if line.strip(" \t\r\n,;"))
    first = next(lines, "")
    if (given := _SEP_LINE.match(first)) and given[1] in SEPARATORS:
        return given[1]
    return max(
        SEPARATORS,
        key=lambda candidate: (len(recognized_columns(first.split(candidate))), first.count(candidate)),
    )


def check_row_count(count: int) -> None:
    """Raise InvalidSubmission if a manifest that already has `count` rows may not have another one."""
    if count >= MAX_ROWS:
        message = Message("the manifest has more than {limit:,} rows", limit=MAX_ROWS)
        raise InvalidSubmission.from_manifest_problems(
            [Problem(Code.MANIFEST_TOO_LARGE, message, Message("split it into smaller manifests"))]
        )
