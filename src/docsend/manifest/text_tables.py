"""Tables in text files: detect the encoding and the separator, and split the text into rows of cells."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.manifest.columns import recognized_columns
from docsend.manifest.table import Table, TableRow
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

SEPARATORS = {",": Message("commas"), ";": Message("semicolons"), "\t": Message("tabs")}
_SEP_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*$", re.IGNORECASE)
# A Hebrew letter inside a Latin word shows that the Windows encoding is not Windows-1255.
_WRONG_CODE_PAGE = re.compile("[a-z][א-ת][a-z]")
_MAX_CELL_LENGTH = 2**20  # characters
csv.field_size_limit(_MAX_CELL_LENGTH)
# Messages for the errors of the csv module.
_REASONS = {
    "unexpected end of data": Message("a quotation mark is not closed"),
    f"field larger than field limit ({_MAX_CELL_LENGTH})": Message(
        "a cell has more than {limit:,} characters", limit=_MAX_CELL_LENGTH
    ),
}


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


def open_table(text: str, encoding: str, label: Message) -> Table:
    """Return the table in a text. `label` names the file in its description."""
    separator = detect_separator(text)
    description = Message(
        "{name}: {encoding}, separated by {separator}",
        name=label,
        encoding=encoding,
        separator=SEPARATORS[separator],
    )
    return Table(description, lambda: read_csv(text, separator))


def read_csv(text: str, separator: str) -> Iterator[TableRow]:
    """Yield the rows of a CSV text.

    Raise InvalidSubmission at a row that cannot be parsed, because nobody knows where the next row starts.
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
                "cannot parse the row: {error}; the rows after it cannot be read",
                error=_REASONS.get(str(error), Message.verbatim(error)),
            )
            hint = Message("check for an unclosed quotation mark or a missing separator")
            problem = Problem(Code.ROW_MALFORMED, message, hint, row=number)
            raise InvalidSubmission.from_manifest_problems([problem]) from error
        if not (number == 1 and len(cells) <= 2 and _SEP_LINE.match(separator.join(cells))):
            yield TableRow(number, cells)


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
