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
import stat
import sys
import unicodedata
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from docsend.errors import FaultySubmission, UsageFault
from docsend.language import Phrase
from docsend.rules import is_checked
from docsend.submission import Problem, Submission, without_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from docsend.senders import Senders

# The names of the options, with underscores.
COLUMNS = (
    "to", "subject", "category", "type", "id", "employer_file", "employer_kind", "booklet", "mobile", "email",
    "sender", "remark", "branch", "reference", "required", "documents",
)  # fmt: skip
# What a report has more than its manifest; a report is a manifest, too.
REPORT_COLUMNS = ("row", "status", "key", "receipt", "received_at", "problems")
_ALIASES = {"id_number": "id", "document": "documents", "files": "documents", "file": "documents"}
_COLUMNS = frozenset(COLUMNS)
MOST_BYTES = 50 * 2**20
MOST_ROWS = 100_000
_SEPARATORS = {",": Phrase("commas"), ";": Phrase("semicolons"), "\t": Phrase("tabs")}
_SEP_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*$", re.IGNORECASE)
# Hebrew in the middle of a Latin word: a text in another Windows encoding, taken for Hebrew's.
_MIXED_UP = re.compile("[a-z][א-ת][a-z]")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_COLUMN_OF = {"id_number": "id"}
_FIELD_OF = {_COLUMN_OF.get(name, name): name for name in Submission._fields if name != "documents"}
_NUMBERS = ("id", "employer_file", "booklet", "mobile")  # what spreadsheets damage
_USUAL_DIGITS = {"id": 9, "mobile": 10}
# A row that was not looked into yet: its number, and what only the Manifest that gave it understands.
Line: TypeAlias = "tuple[int, Any]"
# A row as a table has it, or why it has none.
_TableRow: TypeAlias = "tuple[int, list[str] | Problem]"
csv.field_size_limit(2**20)


class Row(NamedTuple):
    """One row: its number as a spreadsheet shows it, its cells, what it states, and what is wrong with it.

    `cells` are the columns with what the command line says for those that are left open. `documents` are the
    paths or patterns as written; `stated` has none yet. `claimed` is the key under which a report says that
    the row was received.
    """

    number: int
    cells: Mapping[str, str]
    stated: Submission
    documents: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    claimed: str | None = None

    def __repr__(self) -> str:
        """Say which one it is, and nothing of what stands in it."""
        return f"Row({self.number})"

    @property
    def share(self) -> int:
        """A number that depends on what the row says and on nothing else, not even on its place."""
        said = sorted((name, value) for name, value in self.cells.items() if value and name in COLUMNS)
        return int.from_bytes(hashlib.sha256(ascii(said).encode("ascii")).digest()[:8], "big")


class Defaults(NamedTuple):
    """What the command line says for all rows: options, and the sender of rows that do not say who it is.

    `said` is what is in `stated`, by its names.
    """

    stated: Submission
    said: Mapping[str, str]
    senders: Senders | None = None
    sender: str | None = None

    def __repr__(self) -> str:
        """Say nothing of whom."""
        return f"Defaults({self.stated!r})"


class Manifest:
    """A batch file that can be read, again and again: its rows are made anew each time.

    `lines` are made in a fifth of the time of rows; who wants some of the rows makes those with `row`.
    """

    def __init__(
        self,
        folder: Path,
        described: str,
        columns: tuple[str, ...],
        defaults: Defaults,
        lines: Callable[[], Iterator[Line]],
        row: Callable[[Line], Row],
    ) -> None:
        self.folder = folder
        self.described = described
        self.columns = _with_defaults(columns, defaults)
        self.needs_keyring = defaults.senders is not None and defaults.senders.need_keyring
        self.lines = lines
        self.row = row

    def rows(self) -> Iterator[Row]:
        return map(self.row, self.lines())

    def paths(self, row: Row, *, allow_outside: bool) -> tuple[list[str], list[Problem]]:
        """Give the files that a row names, relative to the manifest's folder, and what is wrong with them.

        A manifest of somebody else must not make us send ~/.ssh/id_rsa: what leads out of its folder, be it
        over a symbolic link, is refused unless it is allowed.
        """
        found: list[str] = []
        problems: list[Problem] = []
        for pattern in row.documents:
            if _goes_straight_down(self._home, pattern):  # and so it is there, as nearly all are
                found.append(self._before + pattern)
                continue
            matches = _matches(self._home, pattern)
            outside = [name for name in matches if not _is_inside(self._home, name)]
            if outside and not allow_outside:
                problems.append(
                    Problem(
                        "path-outside",
                        Phrase("{pattern} lies outside the manifest's folder", pattern=pattern[:100]),
                        Phrase("move it there, or say --allow-outside"),
                        field="documents",
                        row=row.number,
                    )
                )
            else:
                found += [str(self.folder / name) for name in matches]
        return found, problems

    @cached_property
    def _home(self) -> str:
        return os.path.realpath(self.folder)

    @cached_property
    def _before(self) -> str:
        """Give what stands before a name in the manifest's folder."""
        return str(self.folder / "x")[:-1]


def read(
    name: str,
    defaults: Submission,
    *,
    standard_input: Callable[[], bytes],
    senders: Senders | None = None,
    sender: str | None = None,
) -> Manifest:
    """Read a manifest; `-` is standard input, and then paths are relative to the working folder.

    Rows may name one of `senders`; `sender` is the one of the rows that say nothing of whom they are about.

    Raises UsageFault if there is no such file, and FaultySubmission if it cannot be understood as a whole.
    """
    said = Defaults(defaults, defaults.said(), senders, sender)
    path = Path(name)
    content = standard_input() if name == "-" else _content(path)
    folder = Path() if name == "-" else path.parent
    shown = Phrase("standard input") if name == "-" else path.name
    if len(content) > MOST_BYTES:
        raise _faulty(
            "manifest-too-large",
            Phrase("{shown} has more than {most} MB", shown=shown, most=MOST_BYTES // 2**20),
            Phrase("split it"),
        )
    if content.startswith(b"PK\x03\x04"):
        return _of_table(folder, Phrase("{name}: Excel", name=shown), _excel_rows(content), said)
    text, encoding = _decoded(content, shown)
    if text.lstrip().startswith("{"):
        return Manifest(
            folder,
            Phrase("{name}: JSON Lines, {encoding}", name=shown, encoding=encoding),
            COLUMNS,
            said,
            lambda: _json_lines(text),
            lambda line: _json_row(line, said),
        )
    separator = _separator(text)
    described = Phrase(
        "{name}: {encoding}, separated by {separator}",
        name=shown,
        encoding=encoding,
        separator=_SEPARATORS[separator],
    )
    return _of_table(folder, described, lambda: _csv_rows(text, separator), said)


def _separator(text: str) -> str:
    """Choose by what makes most columns of the head; Excel may say it in a line of its own, `sep=;`."""
    lines = (line for line in io.StringIO(text) if line.strip(" \t\r\n,;"))
    first = next(lines, "")
    if (stated := _SEP_LINE.match(first)) and stated[1] in _SEPARATORS:
        return stated[1]
    return max(_SEPARATORS, key=lambda each: (len(_known(first.split(each))), first.count(each)))


def _with_defaults(columns: Iterable[str], defaults: Defaults) -> tuple[str, ...]:
    """Give the columns, and those that options of the command line stand for: a report says them, too."""
    stated = {_COLUMN_OF.get(name, name) for name in defaults.said}
    if defaults.sender:
        stated.add("sender")
    return tuple(name for name in COLUMNS if name in {*columns, *stated})


# -- bytes, text, cells ------------------------------------------------------------------------------------


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or Phrase("there is no such name")
        raise UsageFault(
            Phrase("the manifest {path} cannot be read: {reason}", path=path, reason=reason),
            Phrase("look at the path"),
        ) from error


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
        if "\0" in text or (encoding == "cp1255" and _MIXED_UP.search(text)):
            break
        return text, names[encoding]
    raise _faulty(
        "manifest-encoding",
        Phrase("{shown} is no text in UTF-8, UTF-16 or Windows-1255", shown=shown),
        Phrase('save it as "CSV UTF-8" or as Excel workbook'),
    )


def _csv_rows(text: str, separator: str) -> Iterator[_TableRow]:
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
            message = Phrase(
                "the row cannot be taken apart: {error}; what follows cannot be read", error=error
            )
            hint = Phrase("is a quotation mark not closed, or a separator missing?")
            yield number, Problem("row-malformed", message, hint, row=number)
            return
        if not (number == 1 and len(cells) <= 2 and _SEP_LINE.match(separator.join(cells))):
            yield number, cells


def _excel_rows(content: bytes) -> Callable[[], Iterator[_TableRow]]:
    try:
        import openpyxl  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise UsageFault(
            Phrase("an Excel workbook needs the extra `excel`"),
            Phrase(
                "in the folder that docsend was installed from: pip install '.[excel]'; or save it as CSV"
            ),
        ) from error

    def rows() -> Iterator[_TableRow]:
        try:
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            for number, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), 1):
                yield number, [_cell(value) for value in cells]
        except FaultySubmission:
            raise
        except Exception as error:
            # openpyxl has no error of its own for what is broken inside.
            raise _faulty(
                "manifest-malformed",
                Phrase("the workbook cannot be read"),
                Phrase("save it again, or as CSV"),
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
    folder: Path, described: str, table: Callable[[], Iterator[_TableRow]], defaults: Defaults
) -> Manifest:
    columns = _columns(*next(_filled(table()), (1, [])))

    def lines() -> Iterator[_TableRow]:
        below = _filled(table())
        next(below, None)
        for count, line in enumerate(below):
            _not_too_many(count)
            yield line

    def row(line: Line) -> Row:
        number, cells = line
        if isinstance(cells, Problem):
            return Row(number, {}, Submission(), (), (cells,))
        problems = _misfits(number, cells, columns) if len(cells) != len(columns) else []
        named = dict(zip(columns, cells if _are_clean(cells) else map(clean, cells), strict=False))
        return _row(number, named, defaults, problems)

    return Manifest(folder, described, tuple(columns), defaults, lines, row)


def _filled(table: Iterator[_TableRow]) -> Iterator[_TableRow]:
    """Leave out the rows in which nothing stands."""
    for number, cells in table:
        if isinstance(cells, Problem) or "".join(cells).strip():
            yield number, cells


def _misfits(number: int, cells: Sequence[str], columns: Sequence[str]) -> list[Problem]:
    problems: list[Problem] = []
    if any(cell.strip() for cell in cells[len(columns) :]):
        message = Phrase(
            "the row has {count} cells, its head has {columns}", count=len(cells), columns=len(columns)
        )
        hint = Phrase("a separator inside a text needs quotation marks around the text")
        problems.append(Problem("row-malformed", message, hint, row=number))
    if "status" in columns and len(cells) < len(columns):
        message = Phrase("the row is cut short: whoever wrote this report was killed")
        hint = Phrase("send the manifest itself again")
        problems.append(Problem("row-malformed", message, hint, row=number))
    return problems


def _columns(number: int, head: Sequence[str] | Problem) -> list[str]:
    """Give the columns' names; raise FaultySubmission with all that is wrong with them."""
    problems: list[Problem] = []
    names: list[str] = []
    if isinstance(head, Problem):
        raise _faulty_as([head])
    while head and not head[-1].strip():  # spreadsheets add empty columns
        head = head[:-1]
    if not _known(head):
        raise _faulty(
            "no-columns",
            Phrase("the first row names no column"),
            Phrase("it has to name them: {columns}", columns=", ".join(COLUMNS)),
            number,
        )
    for cell in head:
        name = _column(cell)
        if name not in COLUMNS + REPORT_COLUMNS:
            problems.append(_unknown_column(cell.strip(), number))
        elif name in names:
            problems.append(_twice(name, number))
        names.append(name)
    if "documents" not in names:
        hint = Phrase("it holds the paths, separated by ;")
        problems.append(
            Problem("missing-column", Phrase("the column documents is missing"), hint, row=number)
        )
    if problems:
        raise _faulty_as(problems)
    return names


def _unknown_column(name: str, row: int) -> Problem:
    from docsend.search import nearest  # noqa: PLC0415 - drags in difflib

    close = nearest(_column(name).replace("_", "-"), [known.replace("_", "-") for known in COLUMNS])
    hint = (
        Phrase("did you mean {close}?", close=close.replace("-", "_"))
        if close
        else Phrase("one of: {columns}", columns=", ".join(COLUMNS))
    )
    return Problem(
        "unknown-column",
        Phrase("there is no column {given!r}", given=without_numbers(name[:60])),
        hint,
        row=row,
    )


def _twice(name: str, row: int) -> Problem:
    return Problem(
        "duplicate-column", Phrase("the column {name} stands twice", name=name), Phrase("keep one"), row=row
    )


def _known(cells: Iterable[str]) -> list[str]:
    return [name for name in map(_column, cells) if name in COLUMNS]


def _column(cell: str) -> str:
    """Give the column that a head means: `Employer file`, `employer-file` and `employer_file` are one."""
    name = re.sub(r"[\s-]+", "_", cell.strip().strip('"').removeprefix("\ufeff").lower())
    return _ALIASES.get(name, name)


# -- JSON Lines --------------------------------------------------------------------------------------------


def _json_lines(text: str) -> Iterator[Line]:
    count = 0
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would break a text at U+2028
        if line.strip():
            _not_too_many(count)
            count += 1
            yield number, line


def _json_row(line: Line, defaults: Defaults) -> Row:
    number, text = line
    try:
        raw = json.loads(text, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        message = Phrase("the row is not JSON")
        if isinstance(error, _Twins):
            message = Phrase("the row has a member twice")
        return _unread(number, message, Phrase("one object a line"))
    if not isinstance(raw, dict):
        return _unread(number, Phrase("the row is not a JSON object"), Phrase("one object a line"))
    problems: list[Problem] = []
    cells: dict[str, str] = {}
    for key, value in raw.items():
        name = _column(key)
        if name not in COLUMNS + REPORT_COLUMNS:
            problems.append(_unknown_column(key, number))
        elif name in cells:
            problems.append(_twice(name, number))
        elif name == "documents" and isinstance(value, list):
            cells[name] = _list_of_documents(value, number, problems)
        elif (
            value is None
            or isinstance(value, str)
            or (isinstance(value, int) and not isinstance(value, bool))
        ):
            cells[name] = clean(_cell(value))
        else:
            message = Phrase("{name} is neither a text nor a whole number", name=name)
            problems.append(
                Problem(
                    "row-malformed", message, Phrase("write it in quotation marks"), field=name, row=number
                )
            )
    return _row(number, cells, defaults, problems)


def _list_of_documents(paths: list[Any], number: int, problems: list[Problem]) -> str:
    if all(isinstance(path, str) and ";" not in path for path in paths):
        return ";".join(paths)
    message = Phrase("documents is not a list of paths without semicolons")
    hint = Phrase("a semicolon separates paths in tables and reports: rename the file")
    problems.append(Problem("row-malformed", message, hint, field="documents", row=number))
    return ""


class _Twins(ValueError):
    """A member that stands twice in an object."""


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Twins
    return members


def _unread(number: int, message: str, hint: str) -> Row:
    return Row(number, {}, Submission(), (), (Problem("row-malformed", message, hint, row=number),))


# -- rows --------------------------------------------------------------------------------------------------


def _row(number: int, named: dict[str, str], defaults: Defaults, problems: list[Problem]) -> Row:
    """Make a row of its cells; what a cell leaves open, the command line's option says."""
    cells = {name: value for name, value in named.items() if name in _COLUMNS}
    text = "".join(cells.values())
    if not text.isprintable() and _NO_TEXT.search(text):
        problems += _no_texts(number, cells)
    meant = cells.copy()
    for name in _NUMBERS:
        if value := meant.get(name):
            meant[name] = _undamaged(name, value, number, problems)
    sender, said = _sender_of(meant, defaults, number, problems)
    options: dict[str, Any] = {
        _FIELD_OF[name]: value for name, value in meant.items() if value and name in _FIELD_OF
    }
    if said:
        left_open = {name: value for name, value in said.items() if name not in options}
        cells |= {_COLUMN_OF.get(name, name): value for name, value in left_open.items()}
        options |= left_open
    stated = Submission(**options)
    if sender and defaults.senders is not None:
        # By its name alone: a report holds no number that its manifest does not hold.
        cells["sender"] = sender
        stated = defaults.senders.applied(sender, stated)
    documents = tuple([part for part in map(str.strip, meant.get("documents", "").split(";")) if part])
    claimed = named.get("key") if named.get("status") in ("received", "before") else None
    return Row(number, cells, stated, documents, tuple(problems), claimed or None)


def _sender_of(
    meant: Mapping[str, str], defaults: Defaults, number: int, problems: list[Problem]
) -> tuple[str | None, Mapping[str, str]]:
    """Give the sender of a row, and the options that hold for it: its own sender replaces theirs."""
    named = meant.get("sender")
    says_who = meant.get("id") or meant.get("employer_file")
    sender = named or (None if says_who else defaults.sender)
    if sender is None or defaults.senders is None:
        return None, defaults.said
    if sender not in defaults.senders:
        message, hint = defaults.senders.unknown(sender)
        problems.append(Problem("unknown-sender", message, hint, field="sender", row=number))
        return None, defaults.said
    if not named:
        return sender, defaults.said
    return sender, defaults.senders.without_identity(defaults.stated).said()


def _no_texts(number: int, cells: Mapping[str, str]) -> list[Problem]:
    """Find cells that cannot be written and named: with a NUL or a lone surrogate, which JSON can hold."""
    hint = Phrase("write it anew, as plain text")
    return [
        Problem(
            "row-malformed",
            Phrase("{name} has characters that no text has", name=name),
            hint,
            field=name,
            row=number,
        )
        for name, value in cells.items()
        if _NO_TEXT.search(value)
    ]


def _undamaged(name: str, value: str, number: int, problems: list[Problem]) -> str:
    """Undo what a spreadsheet does to numbers, where it can be known; say so."""
    if value.isdecimal() and len(value) == _USUAL_DIGITS.get(name, len(value)):
        return value
    if re.fullmatch(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+", value):
        message = Phrase("a spreadsheet has rounded the number in {name}", name=name)
        hint = Phrase("make the column text, and enter the number again")
        problems.append(Problem("number-rounded", message, hint, field=name, row=number))
        return ""
    value = re.sub(r"^([0-9]+)\.0$", r"\1", value)
    restored = None
    if name == "id" and re.fullmatch(r"[0-9]{5,8}", value):
        restored = value.zfill(9) if value.strip("0") and is_checked(value.zfill(9)) else None
    elif name == "mobile" and re.fullmatch(r"5[0-9]{8}", value):
        restored = f"0{value}"
    if restored is None:
        return value
    message = Phrase("the leading zeros that a spreadsheet removed from {name} are put back", name=name)
    hint = Phrase("make the column text, and they stay")
    problems.append(Problem("zeros-restored", message, hint, severity="warning", field=name, row=number))
    return restored


def _are_clean(cells: Sequence[str]) -> bool:
    """Tell whether `clean` would change none of them, as in nearly all rows; sooner told than done."""
    row = f"|{'|'.join(cells)}|"
    return row.isprintable() and "| " not in row and " |" not in row and "|'" not in row


def clean(cell: str) -> str:
    """Give a cell without the blanks and marks that copying between programs leaves around it.

    An apostrophe in front makes a spreadsheet take a number for text, or keeps a formula from being one.
    """
    text = cell.strip().strip("\u200e\u200f\ufeff\u00a0")
    return text[1:] if text[:1] == "'" and text[1:2] in "=+-@\t\r0123456789" and text[1:2] else text


def _matches(home: str, pattern: str) -> list[str]:
    """Give the files that a path or pattern means, in whatever form their accents are written on the disk."""
    forms = (pattern, *(unicodedata.normalize(form, pattern) for form in ("NFC", "NFD")))
    for form in dict.fromkeys(forms):
        if os.path.lexists(os.path.join(home, form)):  # noqa: PTH118 - a tenth of what Path takes
            return [form]
        if found := glob.glob(form, root_dir=home) if glob.has_magic(form) else []:  # noqa: PTH207
            return sorted(found)
    return [pattern]


def _is_inside(home: str, name: str) -> bool:
    """Tell whether what a name below the folder means lies below it, too."""
    if _goes_straight_down(home, name):
        return True
    try:
        real = os.path.realpath(os.path.join(home, name))  # noqa: PTH118
    except ValueError:  # what no name of a file can be here is nowhere, and reading it will say so
        return True
    return real == home or real.startswith(home.rstrip(os.sep) + os.sep)


def _goes_straight_down(home: str, name: str) -> bool:
    """Tell whether a name neither climbs nor passes a symbolic link, as nearly all names do."""
    parts = name.split("/")
    if sys.platform == "win32" or name.startswith("/") or os.pardir in parts:
        return False  # Windows has other ways out: drives, junctions, backslashes
    at = home
    try:
        for part in parts:
            at = f"{at}/{part}"
            if stat.S_ISLNK(os.lstat(at).st_mode):
                return False
    except (OSError, ValueError):  # ValueError: what no name of a file can be here
        return False
    return True


def _not_too_many(count: int) -> None:
    if count >= MOST_ROWS:
        raise _faulty(
            "manifest-too-large",
            Phrase("the manifest has more than {most:,} rows", most=MOST_ROWS),
            Phrase("split it"),
        )


def _faulty(code: str, message: str, hint: str, row: int | None = None) -> FaultySubmission:
    return _faulty_as([Problem(code, message, hint, row=row)])


def _faulty_as(problems: list[Problem]) -> FaultySubmission:
    message = Phrase.counted(
        "the manifest: 1 problem, nothing was sent",
        "the manifest: {count} problems, nothing was sent",
        len(problems),
    )
    return FaultySubmission(message, problems=problems)


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
