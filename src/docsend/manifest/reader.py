"""Parse manifests, which are tables (see `tables`) or JSON Lines, into rows with submissions.

Rows are independent: nothing carries over from one row to the next. A row's problems are stored in the row,
so a bad row affects only itself. Only a file that cannot be read, or whose header is invalid, raises an
exception. docs/manifest.md is the reference for users.
"""

from __future__ import annotations

import functools
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from docsend.codes import Code
from docsend.errors import InvalidSubmission, UsageError
from docsend.i18n import Message
from docsend.manifest import encodings, json_lines, text_tables, workbooks
from docsend.manifest.columns import BATCH_ROWS, COLUMNS, MOST_COLUMNS, has_exact_cells
from docsend.manifest.paths import ManifestFolder
from docsend.manifest.repair import EXPECTED_DIGITS, clean_cell, lack_digits
from docsend.manifest.row import Defaults, Row, create_row
from docsend.manifest.table import MAX_BYTES, check_row_count
from docsend.manifest.table_header import find_header
from docsend.model.problem import Problem
from docsend.model.submission import Submission
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from docsend.config.senders import Senders
    from docsend.manifest.table import Table, TableRow

# An unparsed row: its number, and data that only the Manifest that yielded it can parse. Of a table, it has
# the values of a TableRow.
Line: TypeAlias = "tuple[Any, ...]"


class Manifest:
    """A batch file that can be iterated repeatedly. Each iteration parses its rows again.

    `lines()` yields unparsed lines in a fifth of the time of `rows()`. `row` parses one of these lines. After
    an iteration, `repeated_headers` contains the numbers of the rows that were skipped because they only
    repeat the column names, as between two exports that were joined. A manifest that was unpickled in another
    process has no `lines`, but its `row` can parse lines of the original.
    """

    def __init__(
        self,
        folder: Path,
        description: Message,
        columns: tuple[str, ...],
        defaults: Defaults,
        lines: Callable[[], Iterator[Line]],
        row: Callable[[Line], Row],
        warnings: tuple[Problem, ...] = (),
        repeated_headers: Sequence[int] = (),
    ) -> None:
        self.folder = ManifestFolder(folder)
        self.description = description
        self.columns = _with_defaults(columns, defaults)
        self.needs_keyring = defaults.senders is not None and defaults.senders.needs_keyring
        self.lines = lines
        self.row = row
        self.warnings = warnings
        self.repeated_headers = repeated_headers

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "lines"}

    def rows(self) -> Iterator[Row]:
        """Yield all rows."""
        return map(self.row, self.lines())

    def paths(self, row: Row, *, allow_outside: bool) -> tuple[list[str], list[Problem]]:
        """Return the paths of a row's files, and a problem for each path or pattern that leads to none."""
        paths: list[str] = []
        problems: list[Problem] = []
        for pattern in row.documents:
            found = self.folder.resolve(pattern, allow_outside=allow_outside)
            if isinstance(found, Problem):
                problems.append(replace(found, row=row.number))
            else:
                paths += found
        return paths, problems


def read(
    name: str,
    defaults: Submission,
    *,
    standard_input: Callable[[], bytes],
    senders: Senders | None = None,
    sender: str | None = None,
    sheet: str | None = None,
    ignore_columns: bool = False,
) -> Manifest:
    """Read a manifest. The name `-` is standard input.

    Document paths are relative to the manifest's folder, or to the working folder for standard input and
    pipes. A row may name one of `senders`. `sender` applies to rows with neither a sender nor an identity.
    `sheet` names the sheet of a workbook. With `ignore_columns`, no unknown column is an error.

    Raise UsageError if the file cannot be read, and InvalidSubmission if its format or header is invalid.
    """
    options = Defaults(defaults, defaults.given_values(), senders, sender)
    path = Path(name)
    content = standard_input() if name == "-" else _read_content(path)
    is_pipe = path.is_fifo()  # such as `<(…)`, which is not in a folder with documents
    folder = Path() if name == "-" or is_pipe else path.parent
    label = Message("standard input") if name == "-" else Message.verbatim(path.name)
    if len(content) > MAX_BYTES:
        message = Message("{name} is larger than {limit} MB", name=label, limit=MAX_BYTES // 2**20)
        raise InvalidSubmission.from_manifest_problems(
            [Problem(Code.MANIFEST_TOO_LARGE, message, Message("split it into smaller manifests"))]
        )
    if workbooks.is_workbook(content):
        table = workbooks.open_table(content, label, sheet)
        return _table_manifest(folder, table, options, ignore_columns=ignore_columns)
    if sheet is not None:
        raise UsageError(
            Message("{name} has no sheets, because it is not a workbook", name=label),
            Message("leave out --sheet"),
        )
    text, encoding = encodings.decode(content, label)
    if json_lines.is_json(text):
        json_lines.check_form(text, label)
        return Manifest(
            folder,
            Message("{name}: JSON Lines, {encoding}", name=label, encoding=encoding),
            COLUMNS,
            options,
            lambda: json_lines.read_lines(text),
            functools.partial(_json_row, defaults=options, ignore_columns=ignore_columns),
        )
    table = text_tables.open_table(text, encoding, label)
    return _table_manifest(folder, table, options, ignore_columns=ignore_columns)


def read_standard_input() -> bytes:
    """Return the manifest on standard input, up to one byte more than MAX_BYTES."""
    return sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin else b""


def _read_content(path: Path) -> bytes:
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


def _with_defaults(columns: Iterable[str], defaults: Defaults) -> tuple[str, ...]:
    """Return the manifest's columns and those of the command line options. A report contains all of them."""
    from_options = set(defaults.values)
    if defaults.sender:
        from_options.add("sender")
    return tuple(name for name in COLUMNS if name in {*columns, *from_options})


# -- tables ------------------------------------------------------------------------------------------------


def _table_manifest(folder: Path, table: Table, defaults: Defaults, *, ignore_columns: bool) -> Manifest:
    header = find_header(table, ignore_columns=ignore_columns)
    description = table.description
    if header.is_below_title:
        description = Message(
            "{table}; the column names are in row {row}", table=description, row=header.row.number
        )
    repeated: list[int] = []
    header_number = header.row.number
    is_wide = header.width > MOST_COLUMNS

    def lines() -> Iterator[TableRow]:
        repeated.clear()
        count = 0
        for line in table.rows():
            if line.number <= header_number or line.is_empty:
                continue
            if header.is_repeated_by(line):
                repeated.append(line.number)
                continue
            check_row_count(count)
            count += 1
            yield header.narrowed(line) if is_wide else line

    converted = _converted_columns(lines(), header.columns)
    row = functools.partial(
        _table_row,
        columns=header.columns,
        width=header.width,
        read_cell=_cell_reader(header.columns),
        defaults=defaults,
        converted=converted,
    )
    names = tuple(name for name in header.columns if name)
    warnings = (*table.warnings, *header.warnings)
    return Manifest(folder, description, names, defaults, lines, row, warnings, repeated)


def _cell_reader(columns: Sequence[str]) -> Callable[[str], str]:
    """Return the function that reads the cells of a table with these columns."""
    if not has_exact_cells(columns):
        return clean_cell
    from docsend.manifest import report_cells  # takes 2 ms

    return report_cells.unescape if BATCH_ROWS in columns else report_cells.unescape_earlier


def _converted_columns(lines: Iterator[TableRow], columns: Sequence[str]) -> frozenset[str]:
    """Return the columns of a text table that a spreadsheet has converted to numbers, and so without zeros.

    In such a column, no number begins with 0, and most of them lack digits. A single number that lacks one
    was mistyped. Return an empty set for a workbook, which says of each cell whether it is a number.
    """
    wanted = [(index, name) for index, name in enumerate(columns) if name in EXPECTED_DIGITS]
    first = next(lines, None)
    if not wanted or first is None or first.numeric is not None:
        return frozenset()
    values: dict[str, list[str]] = {name: [] for _, name in wanted}
    for line in itertools.chain([first], lines):
        for index, name in wanted:
            value = clean_cell(line.cells[index]) if index < len(line.cells) else ""
            if value.startswith("0"):
                values.pop(name, None)
            elif value and name in values:
                values[name].append(value)
        if not values:  # Each column still has a number with its zeros. Do not read the table twice.
            return frozenset()
    return frozenset(name for name in values if lack_digits(name, values[name]))


def _table_row(
    line: Line,
    columns: Sequence[str],
    width: int,
    read_cell: Callable[[str], str],
    defaults: Defaults,
    converted: Collection[str],
) -> Row:
    number, cells, cell_problems, numeric, links = line
    # Only text has separators. In a workbook, empty cells behind the table mean nothing.
    most = len(cells) if numeric is not None else width
    problems = _cell_count_problems(number, cells, columns, most) if len(cells) != len(columns) else []
    if cell_problems:
        problems += [
            Problem(
                each.code,
                each.message,
                each.hint,
                field=None if each.column is None else columns[each.column],
                row=number,
            )
            for each in cell_problems
            if each.column is None or (each.column < len(columns) and columns[each.column])
        ]
    # Most cells are letters and digits only, which `read_cell` would leave as they are.
    texts = [cell if cell.isalnum() else read_cell(cell) for cell in cells]
    cells_by_column = dict(zip(columns, texts, strict=False))
    for column, target in links.items():
        if column < len(columns) and columns[column] == "documents":
            if not target:
                problems.append(_computed_link(number))
            cells_by_column["documents"] = target
    if numeric is not None:
        converted = {columns[column] for column in numeric if column < len(columns)}
    return create_row(number, cells_by_column, defaults, problems, converted)


def _computed_link(row: int) -> Problem:
    return Problem(
        Code.ROW_MALFORMED,
        Message("the link is computed by a formula, whose result no workbook stores"),
        Message("write the path of the document into the cell"),
        field="documents",
        row=row,
    )


def _cell_count_problems(
    number: int, cells: Sequence[str], columns: Sequence[str], most: int
) -> list[Problem]:
    """Return the problems of a row that has more or fewer cells than the header.

    More than `most` cells are an error even if they are empty: a separator inside a text moved the others.
    """
    problems: list[Problem] = []
    if len(cells) > most or any(cell.strip() for cell in cells[len(columns) :]):
        message = Message(
            "the row has {count} cells, but the header has {columns}", count=len(cells), columns=len(columns)
        )
        hint = Message("put quotation marks around text that contains the separator")
        problems.append(Problem(Code.ROW_MALFORMED, message, hint, row=number))
    if "status" in columns and len(cells) < len(columns):
        message = Message("the row is incomplete: docsend was killed while it wrote this report")
        hint = Message("send the original manifest again")
        problems.append(Problem(Code.ROW_MALFORMED, message, hint, row=number))
    return problems


def _json_row(line: Line, defaults: Defaults, *, ignore_columns: bool) -> Row:
    parsed = json_lines.parse_line(*line, ignore_columns=ignore_columns)
    if parsed.cells is None:
        return Row(parsed.number, {}, Submission(), (), tuple(parsed.problems))
    return create_row(parsed.number, parsed.cells, defaults, parsed.problems, parsed.numeric)
