"""Tables in text files: find the separator, split the text into rows of cells, and refuse stray quotations.

A quotation mark that nobody meant joins rows, and so gives one person's document to another. A cell that
seems to contain other rows is therefore refused, and the message names its lines in the file.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.manifest.columns import (
    COLUMNS,
    ENDS_LIKE_DOCUMENT,
    HEADER_ROWS,
    column_name,
    find_header_row,
    recognized_columns,
)
from docsend.manifest.table import Table, TableRow
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEPARATORS = {
    ",": Message("commas"),
    ";": Message("semicolons"),
    "\t": Message("tabs"),
    "|": Message("vertical bars"),
}
_SEP_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*$", re.IGNORECASE)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_HEADER_LENGTH = 2**17  # characters in which these rows are
_MAX_CELL_LENGTH = 2**20  # characters
_MAX_CELLS = 2**14  # of a row, as in Excel
csv.field_size_limit(_MAX_CELL_LENGTH)


class Layout(NamedTuple):
    """How a text is split into cells: its separator, and its header as far as it was recognized."""

    separator: str
    header: list[str]
    known_columns: int
    separators_per_row: int  # without those between empty columns at the end
    rows_above: int = 0  # without empty ones
    has_blanks: bool = False  # behind each separator


def open_table(text: str, encoding: str, label: Message) -> Table:
    """Return the table in a text. `label` names the file in its description.

    Raise InvalidSubmission if the text is a list of files without a header.
    """
    layout = detect_layout(text)
    if not layout.known_columns and _is_list_of_files(text):
        raise _list_of_files(label)
    description = Message(
        "{name}: {encoding}, separated by {separator}",
        name=label,
        encoding=encoding,
        separator=SEPARATORS[layout.separator],
    )
    return Table(description, lambda: read_csv(text, layout))


def read_csv(text: str, layout: Layout) -> Iterator[TableRow]:
    """Yield the rows of a CSV text.

    Raise InvalidSubmission at a row that cannot be parsed, and at one in which a cell seems to contain other
    rows, because nobody knows where the next row starts.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.separator, strict=True)
    number = last_line = 0
    try:
        for number, cells in enumerate(reader, 1):
            line = last_line + 1
            last_line = reader.line_num
            if last_line > line:
                _refuse_swallowed_rows(TableRow(number, cells), line, layout)
            if not 1 < len(cells) <= _MAX_CELLS:
                if len(cells) > _MAX_CELLS:
                    raise _too_many_cells(number, len(cells))
                if layout.separators_per_row and not "".join(cells).strip(" \t,;|"):
                    continue  # an empty row, perhaps with another separator
            if number == 1 and len(cells) <= 2 and _SEP_LINE.match(layout.separator.join(cells)):
                continue
            yield TableRow(number, cells)
    except csv.Error as error:
        reason, hint = _explain(error, text, last_line, layout.separator)
        message = Message("cannot parse the row: {error}; the rows after it cannot be read", error=reason)
        problem = Problem(Code.ROW_MALFORMED, message, hint, row=number + 1)
        raise InvalidSubmission.from_manifest_problems([problem]) from error


# -- separators and header ---------------------------------------------------------------------------------


def detect_layout(text: str) -> Layout:
    """Return the separator that splits one of the first rows into the most known column names.

    If the first line is `sep=;` or similar, return the separator that it names. Excel allows such a line.
    Raise InvalidSubmission if rows above the header are a table with another separator.
    """
    start = text[:_HEADER_LENGTH]
    first = next((line for line in io.StringIO(start) if line.strip(" \t\r\n,;|")), "")
    given = _SEP_LINE.match(first)
    candidates = [given[1]] if given and given[1] in SEPARATORS else SEPARATORS
    layouts = [_layout(start, separator) for separator in candidates]
    best = max(layouts, key=lambda layout: (layout.known_columns, len(layout.header)))
    for other in layouts:
        has_rows = other.known_columns > 1 and other.rows_above + 1 < best.rows_above
        if has_rows and "documents" in recognized_columns(other.header):
            raise _joined_tables(other.separator, best.separator)
    return best


def _layout(start: str, separator: str) -> Layout:
    """Return the layout with this separator."""
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):
        reader = csv.reader(io.StringIO(start, newline=""), delimiter=separator)
        rows += itertools.islice(filter(_is_filled, reader), HEADER_ROWS)
    above = find_header_row(rows)
    header = rows[above] if rows else []
    known = len(recognized_columns(header))
    last_filled = max((index for index, cell in enumerate(header) if cell.strip()), default=0)
    spaced = sum(_has_blanks(row[1:]) for row in rows)
    has_blanks = _has_blanks(header[1:]) or 2 * spaced > len(rows)
    return Layout(separator, header, known, last_filled, above, has_blanks)


def _has_blanks(cells: Sequence[str]) -> bool:
    """Return whether all cells that contain something begin with a blank."""
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and all(cell.startswith(" ") for cell in filled)


def _joined_tables(above: str, below: str) -> InvalidSubmission:
    message = Message(
        "the table has column names separated by {above} and, further down, others separated by {below}",
        above=SEPARATORS[above],
        below=SEPARATORS[below],
    )
    hint = Message("save each table as a file of its own")
    return InvalidSubmission.from_manifest_problems([Problem(Code.ROW_MALFORMED, message, hint)])


def _is_filled(cells: Sequence[str]) -> bool:
    return any(cell.strip() for cell in cells)


# -- stray quotation marks ---------------------------------------------------------------------------------


def _refuse_swallowed_rows(row: TableRow, line: int, layout: Layout) -> None:
    """Raise InvalidSubmission if a cell of the row seems to contain other rows.

    `line` is the number of the line in the file in which the row starts. If the row has more cells than the
    header, the cell began in one column and ended in another.
    """
    is_too_long = len(row.cells) > len(layout.header)
    for index, cell in enumerate(row.cells):
        if "\n" in cell or "\r" in cell:
            lines = _LINE_BREAK.split(cell)
            last = line + len(lines) - 1
            column = _column(layout.header, index)
            if layout.has_blanks or _has_blanks(row.cells[index + 1 :]):
                lines = [each.replace(f"{layout.separator} ", layout.separator) for each in lines]
            if is_too_long or _contains_rows(lines, layout, may_list=column == "documents"):
                raise _swallowed_rows(row.number, column, line, last)
            line = last


def _contains_rows(lines: Sequence[str], layout: Layout, *, may_list: bool) -> bool:
    """Return whether a cell that has these lines seems to contain other rows.

    `may_list` says whether the cell may list documents, separated by semicolons.

    If it does, its first and its last line are the end of one row and the beginning of another, which
    together have the separators of a row, and each line between them is a row.
    """
    rows = [[lines[0], lines[-1]], *([line] for line in lines[1:-1])]
    return any(_is_like_a_row(parts, layout, may_list=may_list) for parts in rows)


def _is_like_a_row(parts: Sequence[str], layout: Layout, *, may_list: bool) -> bool:
    """Return whether a line, whose parts are given, is like a row of the table.

    It is if it has as many separators as a row; if it has a document, about as many are enough. People write
    a blank after commas and semicolons, programs seldom do.
    """
    separator, expected = layout.separator, layout.separators_per_row
    count = sum(part.count(separator) - part.count(separator + " ") for part in parts)
    if not expected or not count:
        return False
    cells = [cell for part in parts for cell in part.split(separator) if cell.strip()]
    documents = sum(map(_is_like_a_document, cells))
    is_list = documents == len(cells) and not any(part.startswith(separator) for part in parts)
    if may_list and separator == ";" and is_list:
        return False
    if expected <= count < max(expected + 1, len(layout.header)):
        return True
    return count >= (max(1, min(expected - 1, 3), expected // 2) if documents else max(expected, 4))


# A pattern, or a path without an extension: with a slash and without blanks, but no date and no share.
_PATTERN = re.compile(r"[^*]*\*|(?=.*[/\\?])(?=.*[^\W\d_])\S+\Z", re.DOTALL)


def _is_like_a_document(cell: str) -> bool:
    """Return whether a cell is like a path, a pattern, or a list of them."""
    return bool(ENDS_LIKE_DOCUMENT.search(cell) or _PATTERN.match(cell.strip(" \t\"'")))


def _column(header: Sequence[str], index: int) -> str:
    """Return the name of the column with this index, or its number if it is not a known one."""
    name = column_name(header[index]) if index < len(header) else ""
    return name if name in COLUMNS else str(index + 1)


def _swallowed_rows(row: int, column: str, first: int, last: int) -> InvalidSubmission:
    message = Message(
        "the cell in column {column} goes over lines {first} to {last} of the file and seems to contain "
        "other rows",
        column=column,
        first=first,
        last=last,
    )
    hint = Message(
        "remove the stray quotation marks in lines {first} and {last}; if the cell is right, write it in one "
        "line",
        first=first,
        last=last,
    )
    problem = Problem(Code.ROW_MALFORMED, message, hint, row=row)
    return InvalidSubmission.from_manifest_problems([problem])


def _too_many_cells(row: int, count: int) -> InvalidSubmission:
    message = Message(
        "the row has {count:,} cells, more than any table ({limit:,})", count=count, limit=_MAX_CELLS
    )
    problem = Problem(Code.ROW_MALFORMED, message, Message("delete the separators at its end"), row=row)
    return InvalidSubmission.from_manifest_problems([problem])


def _explain(error: csv.Error, text: str, last_line: int, separator: str) -> tuple[Message, Message]:
    """Return what is wrong with the row after the line `last_line`, and what to do about it."""
    lines = itertools.islice(io.StringIO(text, newline=""), last_line, None)
    first, last = (last_line + 1 + breaks for breaks in _stray_quotation("".join(lines), separator))
    check = Message("check for an unclosed quotation mark or a missing separator")
    if str(error) == "unexpected end of data":
        return Message("the quotation mark in line {line} of the file is not closed", line=first), check
    if str(error).startswith("field larger than field limit"):
        message = Message(
            "the cell that begins in line {line} of the file has more than {limit:,} characters",
            line=first,
            limit=_MAX_CELL_LENGTH,
        )
        return message, check
    twice = Message("write a quotation mark that belongs to the text twice, or remove it")
    if first == last:
        return Message("text follows a closing quotation mark in line {line} of the file", line=first), twice
    message = Message(
        "the quotation mark in line {first} of the file is closed in line {last}, where more text follows",
        first=first,
        last=last,
    )
    return message, twice


def _stray_quotation(text: str, separator: str) -> tuple[int, int]:
    """Return where the first faulty cell of a text begins and where it ends, as numbers of line breaks.

    A cell is faulty if its quotation is not closed, if text follows its quotation, or if it is too long.
    """
    cell = re.compile(rf'"([^"]*(?:""[^"]*)*)("?)|[^{re.escape(separator)}\r\n]*')
    breaks = position = 0
    while match := cell.match(text, position):
        last = breaks + len(_LINE_BREAK.findall(match[1] or ""))
        end = text[match.end() : match.end() + 2]
        is_closed = match[1] is None or match[2]
        is_too_long = match.end() - position > _MAX_CELL_LENGTH
        if not is_closed or is_too_long or not end.startswith((separator, "\r", "\n")):
            return breaks, last
        breaks = last + (not end.startswith(separator))
        position = match.end() + (2 if end == "\r\n" else 1)
    return breaks, breaks


# -- lists of files ----------------------------------------------------------------------------------------


def _is_list_of_files(text: str) -> bool:
    """Return whether each of the first lines is the name of a file, and most of them contain no separator."""
    lines = [line.strip() for line in text[:_HEADER_LENGTH].splitlines() if line.strip()][:HEADER_ROWS]
    plain = [line for line in lines if not any(separator in line for separator in SEPARATORS)]
    return len(plain) > len(lines) / 2 and all(ENDS_LIKE_DOCUMENT.search(line) for line in lines)


def _list_of_files(label: Message) -> InvalidSubmission:
    message = Message("{name} is a list of files without a line that names the columns", name=label)
    hint = Message("write `documents` in a line above the list, and give the rest as options such as --to")
    return InvalidSubmission.from_manifest_problems([Problem(Code.NO_COLUMNS, message, hint, row=1)])
