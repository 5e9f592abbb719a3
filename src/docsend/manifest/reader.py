"""Parse manifests, which are tables (see `tables`) or JSON Lines, into rows with submissions.

Rows are independent: nothing carries over from one row to the next. A row's problems are stored in the row,
so a bad row affects only itself. Only a file that cannot be read, or whose header is invalid, raises an
exception. docs/manifest.md is the reference for users.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from docsend.codes import Code
from docsend.errors import InvalidSubmission, UsageError
from docsend.i18n import Message
from docsend.manifest import encodings, json_lines, text_tables, workbooks
from docsend.manifest.columns import (
    BATCH_ROWS,
    COLUMNS,
    HELD_STATUSES,
    MOST_COLUMNS,
    has_exact_cells,
)
from docsend.manifest.paths import ManifestFolder
from docsend.manifest.repair import (
    EXPECTED_DIGITS,
    NUMBER_COLUMNS,
    clean_cell,
    error_problems,
    lack_digits,
    non_text_problems,
    repair_number,
    without_quotes,
)
from docsend.manifest.table import MAX_BYTES, check_row_count
from docsend.manifest.table_header import find_header
from docsend.model import fields
from docsend.model.problem import Problem
from docsend.model.submission import Submission
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from docsend.config.senders import Senders
    from docsend.manifest.table import Table, TableRow

_KNOWN_COLUMNS = frozenset(COLUMNS)
_NORMALIZE = {field.name: field.normalize for field in fields.FIELDS}
# Columns in which quotation marks around the text are no part of it.
_UNQUOTED_COLUMNS = tuple(field.name for field in fields.FIELDS if field.is_number or field.is_catalog_code)
# An unparsed row: its number, and data that only the Manifest that yielded it can parse.
Line: TypeAlias = "tuple[Any, ...]"


class Row(NamedTuple):
    """One row of a manifest: its number as a spreadsheet shows it, its cells, submission and problems.

    `cells` includes the values of command line options for columns that the row leaves empty. `documents`
    contains the paths or patterns as written. `submission` contains no documents, because they have not been
    read. If the manifest is a report, `reported_key` is the key given there (see `HELD_STATUSES`).
    """

    number: int
    cells: Mapping[str, str]
    submission: Submission
    documents: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    reported_key: str | None = None

    def __repr__(self) -> str:
        """Return a representation with only the number, because the cells may contain personal data."""
        return f"Row({self.number})"

    @property
    def is_readable(self) -> bool:
        """Whether the row's cells could be parsed. If not, their values are unreliable."""
        return not any(problem.code == Code.ROW_MALFORMED for problem in self.problems)

    @property
    def content_number(self) -> int:
        """A 64-bit number that depends on the row's content but not on its position or its occurrence."""
        content = sorted(
            (name, value)
            for name, value in self.cells.items()
            if value and name in COLUMNS and name != "occurrence"
        )
        return int.from_bytes(hashlib.sha256(ascii(content).encode("ascii")).digest()[:8], "big")


class Defaults(NamedTuple):
    """Command line options that apply to all rows, and the sender for rows that name none.

    `values` maps the name of each field that was given as an option to its value.
    """

    submission: Submission
    values: Mapping[str, str]
    senders: Senders | None = None
    sender: str | None = None

    def __repr__(self) -> str:
        """Return a representation without `values` and the sender, which contain personal data."""
        return f"Defaults({self.submission!r})"


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
    is_wide = header.width > MOST_COLUMNS

    def lines() -> Iterator[TableRow]:
        repeated.clear()
        count = 0
        for line in table.rows():
            if line.number <= header.row.number or line.is_empty:
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
    line: TableRow,
    columns: Sequence[str],
    width: int,
    read_cell: Callable[[str], str],
    defaults: Defaults,
    converted: Collection[str],
) -> Row:
    number, cells = line.number, line.cells
    # Only text has separators. In a workbook, empty cells behind the table mean nothing.
    most = len(cells) if line.numeric is not None else width
    problems = _cell_count_problems(number, cells, columns, most) if len(cells) != len(columns) else []
    if line.problems:
        problems += [
            Problem(
                each.code,
                each.message,
                each.hint,
                field=None if each.column is None else columns[each.column],
                row=number,
            )
            for each in line.problems
            if each.column is None or (each.column < len(columns) and columns[each.column])
        ]
    cells_by_column = dict(zip(columns, map(read_cell, cells), strict=False))
    for column, target in line.links.items():
        if column < len(columns) and columns[column] == "documents":
            if not target:
                problems.append(_computed_link(number))
            cells_by_column["documents"] = target
    if line.numeric is not None:
        converted = {columns[column] for column in line.numeric if column < len(columns)}
    return _create_row(number, cells_by_column, defaults, problems, converted)


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
    return _create_row(parsed.number, parsed.cells, defaults, parsed.problems, parsed.numeric)


# -- rows --------------------------------------------------------------------------------------------------


def _create_row(
    number: int,
    cells_by_column: dict[str, str],
    defaults: Defaults,
    problems: list[Problem],
    numeric: Collection[str] = (),
) -> Row:
    """Return a row with the submission that its cells describe. Command line options fill empty cells.

    `numeric` contains the columns whose cells are numbers, not text. Only these can have lost zeros.
    """
    cells = {name: value for name, value in cells_by_column.items() if name in _KNOWN_COLUMNS}
    text = "".join(cells.values())
    if not text.isprintable():
        problems += non_text_problems(number, cells)
    if "#" in text or "Err" in text or "=" in text:
        problems += error_problems(number, cells, [problem.field for problem in problems])
    repaired = cells.copy()
    if '"' in text or "'" in text or not text.isascii():
        for name in _UNQUOTED_COLUMNS:
            if value := repaired.get(name):
                repaired[name] = without_quotes(value)
    for name in NUMBER_COLUMNS:
        if value := repaired.get(name):
            repaired[name] = repair_number(name, value, number, problems, is_number=name in numeric)
    sender, options = _resolve_sender(repaired, defaults, number, problems)
    values: dict[str, Any] = {
        name: _NORMALIZE[name](value) for name, value in repaired.items() if value and name in _NORMALIZE
    }
    if options:
        missing = {name: value for name, value in options.items() if name not in values}
        cells |= missing
        values |= missing
    submission = Submission(**values)
    if sender and defaults.senders is not None:
        # Only the name: a report contains no identity number that its manifest does not contain.
        cells["sender"] = sender
        submission = defaults.senders.apply(sender, submission)
    documents = split_documents(repaired.get("documents", ""))
    is_held = cells_by_column.get("status") in HELD_STATUSES
    reported_key = cells_by_column.get("key") if is_held else None
    return Row(number, cells, submission, documents, tuple(problems), reported_key or None)


def split_documents(cell: str) -> tuple[str, ...]:
    """Return the paths in a cell, which are separated by semicolons or, in a spreadsheet, by line breaks."""
    cell = ";".join(cell.splitlines())
    return tuple([part for part in map(without_quotes, cell.split(";")) if part])


def _resolve_sender(
    cells: Mapping[str, str], defaults: Defaults, number: int, problems: list[Problem]
) -> tuple[str | None, Mapping[str, str]]:
    """Return the sender of a row, and the option values that apply to it.

    If the row names a sender itself, the identity options of the command line do not apply.
    """
    named = cells.get("sender")
    has_identity = cells.get("id") or cells.get("employer_file")
    sender = named or (None if has_identity else defaults.sender)
    if sender is None or defaults.senders is None:
        return None, defaults.values
    if sender not in defaults.senders:
        message, hint = defaults.senders.unknown_message(sender)
        problems.append(Problem(Code.UNKNOWN_SENDER, message, hint, row=number))
        return None, defaults.values
    if not named:
        return sender, defaults.values
    return sender, defaults.senders.without_identity(defaults.submission).given_values()
