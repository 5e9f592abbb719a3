"""A batch file becomes submissions with row numbers: CSV as spreadsheets write it, JSON Lines, or Excel.

A row stands for itself: nothing carries over from the one before. What is wrong with a row is in the row, so
that one bad row costs one line; only a file that cannot be read at all raises. docs/manifest.md is the
reference for users.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import json
import os
import re
import unicodedata
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docsend.errors import FaultySubmission, UsageFault
from docsend.submission import Problem, Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

# The names of the options, with underscores.
COLUMNS = (
    "to", "subject", "category", "type", "id", "employer_file", "employer_kind", "booklet", "mobile", "email",
    "sender", "remark", "branch", "reference", "required", "documents",
)  # fmt: skip
# What a report has more than its manifest; a report is a manifest, too.
REPORT_COLUMNS = ("row", "status", "key", "receipt", "received_at", "problems")
_ALIASES = {"id_number": "id", "document": "documents", "files": "documents", "file": "documents"}
MOST_BYTES = 50 * 2**20
MOST_ROWS = 100_000
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number as a spreadsheet shows it, its cells, what it states, and what is wrong with it.

    `documents` are the paths or patterns as written; `stated` has none yet.
    """

    number: int
    cells: Mapping[str, str]
    stated: Submission
    documents: tuple[str, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def share(self) -> int:
        """A number that depends on what the row says and on nothing else, not even on its place."""
        said = sorted((name, value) for name, value in self.cells.items() if value and name in COLUMNS)
        return int.from_bytes(hashlib.sha256(repr(said).encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A batch file that can be read, again and again: its rows are made anew each time."""

    folder: Path
    described: str
    columns: tuple[str, ...]
    _rows: Callable[[], Iterator[Row]]

    def rows(self) -> Iterator[Row]:
        return self._rows()

    def paths(self, row: Row, *, allow_outside: bool) -> tuple[list[Path], list[Problem]]:
        """Give the files that a row names, relative to the manifest's folder, and what is wrong with them.

        A manifest of somebody else must not make us send ~/.ssh/id_rsa: what leads out of its folder, be it
        over a symbolic link, is refused unless it is allowed.
        """
        found: list[Path] = []
        problems: list[Problem] = []
        home = os.path.realpath(self.folder)
        for pattern in row.documents:
            matches = _matches(self.folder, pattern)
            outside = [path for path in matches if not _is_inside(home, path)]
            if outside and not allow_outside:
                problems.append(
                    Problem(
                        "path-outside",
                        f"{pattern[:100]} lies outside the manifest's folder",
                        "move it there, or say --allow-outside",
                        field="documents",
                        row=row.number,
                    )
                )
            else:
                found += matches
        return found, problems


def read(name: str, defaults: Submission, *, standard_input: Callable[[], bytes]) -> Manifest:
    """Read a manifest; `-` is standard input, and then paths are relative to the working folder.

    Raises UsageFault if there is no such file, and FaultySubmission if it cannot be understood as a whole.
    """
    path = Path(name)
    content = standard_input() if name == "-" else _content(path)
    folder = Path() if name == "-" else path.parent
    shown = "standard input" if name == "-" else path.name
    if len(content) > MOST_BYTES:
        raise _faulty("manifest-too-large", f"{shown} has more than {MOST_BYTES // 2**20} MB", "split it")
    if content.startswith(b"PK\x03\x04"):
        return _of_table(folder, f"{shown}: Excel", _excel_rows(content), defaults)
    text, encoding = _decoded(content, shown)
    if text.lstrip().startswith("{"):
        return Manifest(
            folder, f"{shown}: JSON Lines, {encoding}", COLUMNS, lambda: _json_rows(text, defaults)
        )
    first = next(iter(text.splitlines()), "")
    separator = max(_SEPARATORS, key=lambda each: (len(_known(first.split(each))), first.count(each)))
    described = f"{shown}: {encoding}, separated by {_SEPARATORS[separator]}"
    return _of_table(folder, described, lambda: _csv_rows(text, separator), defaults)


# -- bytes, text, cells ------------------------------------------------------------------------------------


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it has no such name"
        raise UsageFault(f"the manifest {path} cannot be read: {reason}", "look at the path") from error


def _decoded(content: bytes, shown: str) -> tuple[str, str]:
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
        if "\0" in text:
            break
        return text, names[encoding]
    raise _faulty(
        "manifest-encoding",
        f"{shown} is no text in UTF-8, UTF-16 or Windows-1255",
        'save it as "CSV UTF-8" or as Excel workbook',
    )


def _csv_rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            hint = "is a quotation mark not closed, or a separator missing?"
            raise _faulty(
                "manifest-malformed", f"the row cannot be taken apart: {error}", hint, number
            ) from error


def _excel_rows(content: bytes) -> Callable[[], Iterator[tuple[int, list[str]]]]:
    try:
        import openpyxl  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise UsageFault(
            "an Excel workbook needs the extra `excel`",
            "in the folder that docsend was installed from: pip install '.[excel]'; or save it as CSV",
        ) from error

    def rows() -> Iterator[tuple[int, list[str]]]:
        try:
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            for number, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), 1):
                yield number, [_cell(value) for value in cells]
        except FaultySubmission:
            raise
        except Exception as error:
            # openpyxl has no error of its own for what is broken inside.
            raise _faulty(
                "manifest-malformed", "the workbook cannot be read", "save it again, or as CSV"
            ) from error

    return rows


def _cell(value: object) -> str:
    """Give a cell of a workbook, or a value of JSON, as its text in CSV."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


# -- tables ------------------------------------------------------------------------------------------------


def _of_table(
    folder: Path,
    described: str,
    table: Callable[[], Iterator[tuple[int, list[str]]]],
    defaults: Submission,
) -> Manifest:
    _, head = next(table(), (1, []))
    columns = _columns(head)

    def rows() -> Iterator[Row]:
        for count, (number, cells) in enumerate(_below_the_head(table())):
            _not_too_many(count)
            problems = []
            if any(cell.strip() for cell in cells[len(columns) :]):
                message = f"the row has {len(cells)} cells, its head has {len(columns)}"
                hint = "a separator inside a text needs quotation marks around the text"
                problems.append(Problem("row-malformed", message, hint, row=number))
            named = dict(zip(columns, map(clean, cells), strict=False))
            yield _row(number, named, defaults, problems)

    return Manifest(folder, described, tuple(name for name in columns if name in COLUMNS), rows)


def _below_the_head(table: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    next(table, None)
    return ((number, cells) for number, cells in table if any(cell.strip() for cell in cells))


def _columns(head: Sequence[str]) -> list[str]:
    """Give the columns' names; raise FaultySubmission with all that is wrong with them."""
    from docsend.search import nearest  # noqa: PLC0415 - drags in difflib

    problems: list[Problem] = []
    names: list[str] = []
    while head and not head[-1].strip():  # spreadsheets add empty columns
        head = head[:-1]
    if not _known(head):
        raise _faulty(
            "no-columns", "the first row names no column", f"it has to name them: {', '.join(COLUMNS)}", 1
        )
    for cell in head:
        name = _column(cell)
        if name not in COLUMNS + REPORT_COLUMNS:
            close = nearest(name.replace("_", "-"), [known.replace("_", "-") for known in COLUMNS])
            hint = f"did you mean {close.replace('-', '_')}?" if close else f"one of: {', '.join(COLUMNS)}"
            problems.append(
                Problem("unknown-column", f"there is no column {cell.strip()[:60]!r}", hint, row=1)
            )
        elif name in names:
            problems.append(Problem("duplicate-column", f"the column {name} stands twice", "keep one", row=1))
        names.append(name)
    if "documents" not in names:
        hint = "it holds the paths, separated by ;"
        problems.append(Problem("missing-column", "the column documents is missing", hint, row=1))
    if problems:
        raise _faulty_as(problems)
    return names


def _known(cells: Iterable[str]) -> list[str]:
    return [name for name in map(_column, cells) if name in COLUMNS]


def _column(cell: str) -> str:
    """Give the column that a head means: `Employer file`, `employer-file` and `employer_file` are one."""
    name = re.sub(r"[\s-]+", "_", cell.strip().strip('"').removeprefix("\ufeff").lower())
    return _ALIASES.get(name, name)


# -- JSON Lines --------------------------------------------------------------------------------------------


def _json_rows(text: str, defaults: Submission) -> Iterator[Row]:
    count = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        _not_too_many(count)
        count += 1
        try:
            raw = json.loads(line, object_pairs_hook=_no_twins)
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, _Twins) else "is not JSON"
            yield _unread(number, f"the row {reason}", "one object a line")
            continue
        if not isinstance(raw, dict):
            yield _unread(number, "the row is not a JSON object", "one object a line")
            continue
        yield _json_row(number, raw, defaults)


def _json_row(number: int, raw: dict[str, Any], defaults: Submission) -> Row:
    from docsend.search import nearest  # noqa: PLC0415 - drags in difflib

    problems: list[Problem] = []
    cells: dict[str, str] = {}
    for key, value in raw.items():
        name = _column(key)
        if name not in COLUMNS + REPORT_COLUMNS:
            close = nearest(name.replace("_", "-"), [known.replace("_", "-") for known in COLUMNS])
            hint = f"did you mean {close.replace('-', '_')}?" if close else f"one of: {', '.join(COLUMNS)}"
            problems.append(Problem("unknown-column", f"there is no column {key[:60]!r}", hint, row=number))
        elif name in REPORT_COLUMNS:
            continue
        elif name == "documents" and isinstance(value, list) and all(isinstance(each, str) for each in value):
            cells[name] = ";".join(value)
        elif (
            value is None
            or isinstance(value, str)
            or (isinstance(value, int) and not isinstance(value, bool))
        ):
            cells[name] = clean(_cell(value))
        else:
            message = f"{name} is neither a text nor a whole number"
            problems.append(
                Problem("row-malformed", message, "write it in quotation marks", field=name, row=number)
            )
    return _row(number, cells, defaults, problems)


class _Twins(ValueError):
    """A member that stands twice in an object."""


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Twins("has a member twice")
    return members


def _unread(number: int, message: str, hint: str) -> Row:
    return Row(number, {}, Submission(), (), (Problem("row-malformed", message, hint, row=number),))


# -- rows --------------------------------------------------------------------------------------------------

_STATED = {field.name for field in fields(Submission)} - {"documents"}
_OPTION_OF = {"id": "id_number"}


def _row(number: int, cells: dict[str, str], defaults: Submission, problems: list[Problem]) -> Row:
    """Make a row of its cells; what a cell leaves open, the command line's option says."""
    cells = {name: value for name, value in cells.items() if name in COLUMNS}
    meant = {name: _undamaged(name, value, number, problems) for name, value in cells.items()}
    if meant.get("sender"):
        hint = "leave the column out, and say id or employer_file"
        message = f"there is no sender {meant['sender'][:60]!r} here"
        problems.append(Problem("unknown-sender", message, hint, field="sender", row=number))
    said = {_OPTION_OF.get(name, name): value for name, value in meant.items() if value}
    options: dict[str, Any] = {name: value for name, value in said.items() if name in _STATED}
    stated = replace(defaults, **options)
    documents = tuple(part for part in map(str.strip, meant.get("documents", "").split(";")) if part)
    return Row(number, cells, stated, documents, tuple(problems))


def _undamaged(name: str, value: str, number: int, problems: list[Problem]) -> str:
    """Undo what a spreadsheet does to numbers, where it can be known; say so."""
    if name not in ("id", "mobile", "employer_file", "booklet"):
        return value
    if re.fullmatch(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+", value):
        message = f"a spreadsheet has rounded the number in {name}"
        hint = "make the column text, and enter the number again"
        problems.append(Problem("number-rounded", message, hint, field=name, row=number))
        return ""
    value = re.sub(r"^([0-9]+)\.0$", r"\1", value)
    restored = None
    if name == "id" and re.fullmatch(r"[0-9]{5,8}", value):
        from stdnum.il import idnr  # noqa: PLC0415 - only for a number that is too short

        restored = value.zfill(9) if idnr.is_valid(value.zfill(9)) else None
    elif name == "mobile" and re.fullmatch(r"5[0-9]{8}", value):
        restored = f"0{value}"
    if restored is None:
        return value
    message = f"the leading zeros that a spreadsheet removed from {name} are put back"
    hint = "make the column text, and they stay"
    problems.append(Problem("zeros-restored", message, hint, severity="warning", field=name, row=number))
    return restored


def clean(cell: str) -> str:
    """Give a cell without the blanks and marks that copying between programs leaves around it.

    An apostrophe in front makes a spreadsheet take a number for text, or keeps a formula from being one.
    """
    text = unicodedata.normalize("NFC", cell).strip().strip("\u200e\u200f\ufeff\u00a0")
    return text[1:] if text[:1] == "'" and text[1:2] in "=+-@\t\r0123456789" and text[1:2] else text


def _matches(folder: Path, pattern: str) -> list[Path]:
    path = folder / pattern
    if not glob.has_magic(pattern) or os.path.lexists(path):
        return [path]
    return [Path(found) for found in sorted(glob.glob(str(path)))] or [path]  # noqa: PTH207 - of a text


def _is_inside(home: str, path: Path) -> bool:
    real = os.path.realpath(path)
    return real == home or real.startswith(home.rstrip(os.sep) + os.sep)


def _not_too_many(count: int) -> None:
    if count >= MOST_ROWS:
        raise _faulty("manifest-too-large", f"the manifest has more than {MOST_ROWS:,} rows", "split it")


def _faulty(code: str, message: str, hint: str, row: int | None = None) -> FaultySubmission:
    return _faulty_as([Problem(code, message, hint, row=row)])


def _faulty_as(problems: list[Problem]) -> FaultySubmission:
    counted = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return FaultySubmission(f"the manifest: {counted}, nothing was sent", problems=problems)


TEMPLATE: tuple[dict[str, str], ...] = (
    {
        "to": "benefits", "subject": "unemployment", "category": "employer", "type": "payslips",
        "id": "000000018", "reference": "fictional client 1",
        "documents": "payslips/january.pdf;payslips/february.pdf",
    },
    {
        "to": "employer-collection", "category": "correspondence", "type": "correction-letter",
        "employer_file": "900000019", "booklet": "7", "mobile": "0501234567",
        "reference": "fictional employer 2", "documents": "letters/*.pdf",
    },
)  # fmt: skip


def template(form: str) -> str:
    """Give an example manifest, `csv` or `jsonl`, with fictional numbers."""
    if form == "jsonl":
        rows = [{**row, "documents": row["documents"].split(";")} for row in TEMPLATE]
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    columns = [name for name in COLUMNS if any(name in row for row in TEMPLATE)]
    written = io.StringIO()
    writer = csv.DictWriter(written, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(TEMPLATE)
    return written.getvalue()
