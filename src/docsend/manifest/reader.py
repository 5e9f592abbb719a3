"""A batch file becomes submissions with row numbers, be it a table (`tables`) or JSON Lines.

A row stands for itself: nothing carries over from the one before. What is wrong with a row is in the row, so
that one bad row costs one line; only a file that cannot be read at all raises. docs/manifest.md is the
reference for users.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.manifest import tables
from docsend.manifest.columns import (
    COLUMNS,
    RECEIVED_STATUSES,
    REPORT_COLUMNS,
    column_name,
    columns_of,
    duplicate_column,
    unknown_column,
)
from docsend.manifest.paths import Folder
from docsend.manifest.repair import NUMBERS, clean_cell, non_text_problems, repair_number, text_of_value
from docsend.model import fields
from docsend.model.problem import Problem
from docsend.model.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from docsend.config.senders import Senders
    from docsend.manifest.tables import TableRow

_KNOWN = frozenset(COLUMNS)
# A row that was not looked into yet: its number, and what only the Manifest that gave it understands.
Line: TypeAlias = "tuple[int, Any]"


class Row(NamedTuple):
    """One row: its number as a spreadsheet shows it, its cells, what it states, and what is wrong with it.

    `cells` are the columns with what the command line says for those that are left open. `documents` are the
    paths or patterns as written; `stated` has the documents themselves once they are read. `claimed` is the
    key under which a report says that the row was received.
    """

    number: int
    cells: Mapping[str, str]
    submission: Submission
    documents: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    reported_key: str | None = None

    def __repr__(self) -> str:
        """Say which one it is, and nothing of what stands in it."""
        return f"Row({self.number})"

    @property
    def is_readable(self) -> bool:
        """Whether its cells could be taken apart; if not, nobody can know what they say."""
        return not any(problem.code == Code.ROW_MALFORMED for problem in self.problems)

    def without_documents(self) -> Row:
        """Return it as it was before its documents were read."""
        return (
            self._replace(submission=self.submission.with_documents(()))
            if self.submission.documents
            else self
        )

    @property
    def share(self) -> int:
        """A number that depends on what the row says and on nothing else, not even on its place."""
        said = sorted((name, value) for name, value in self.cells.items() if value and name in COLUMNS)
        return int.from_bytes(hashlib.sha256(ascii(said).encode("ascii")).digest()[:8], "big")


class Defaults(NamedTuple):
    """What the command line says for all rows: options, and the sender of rows that do not say who it is.

    `said` is what is in `stated`, by its names.
    """

    submission: Submission
    values: Mapping[str, str]
    senders: Senders | None = None
    sender: str | None = None

    def __repr__(self) -> str:
        """Say nothing of whom."""
        return f"Defaults({self.submission!r})"


class Manifest:
    """A batch file that can be read, again and again: its rows are made anew each time.

    `lines` are made in a fifth of the time of rows; who wants some of the rows makes those with `row`. What
    another process gets of it makes rows of lines, and has no lines of its own.
    """

    def __init__(
        self,
        folder: Path,
        described: Message,
        columns: tuple[str, ...],
        defaults: Defaults,
        lines: Callable[[], Iterator[Line]],
        row: Callable[[Line], Row],
    ) -> None:
        self.folder = Folder(folder)
        self.described = described
        self.columns = _with_defaults(columns, defaults)
        self.needs_keyring = defaults.senders is not None and defaults.senders.needs_keyring
        self.lines = lines
        self.row = row

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "lines"}

    def rows(self) -> Iterator[Row]:
        return map(self.row, self.lines())

    def paths(self, row: Row, *, allow_outside: bool) -> tuple[list[str], list[Problem]]:
        """Give the files that a row names, relative to the manifest's folder, and what is wrong with them."""
        found: list[str] = []
        problems: list[Problem] = []
        for pattern in row.documents:
            files = self.folder.files(pattern, allow_outside=allow_outside)
            if files is None:
                problems.append(
                    Problem(
                        Code.PATH_OUTSIDE,
                        Message("{pattern} lies outside the manifest's folder", pattern=pattern[:100]),
                        Message("move it there, or say --allow-outside"),
                        row=row.number,
                    )
                )
            else:
                found += files
        return found, problems


def read(
    name: str,
    defaults: Submission,
    *,
    standard_input: Callable[[], bytes],
    senders: Senders | None = None,
    sender: str | None = None,
) -> Manifest:
    """Read a manifest; `-` is standard input; then, and for a pipe, paths are relative to the working folder.

    Rows may name one of `senders`; `sender` is the one of the rows that say nothing of whom they are about.

    Raises UsageFault if there is no such file, and FaultySubmission if it cannot be understood as a whole.
    """
    said = Defaults(defaults, defaults.given_values(), senders, sender)
    path = Path(name)
    content = standard_input() if name == "-" else tables.read_content(path)
    is_pipe = path.is_fifo()  # as `<(…)` is one, which lies in no folder of the sender's
    folder = Path() if name == "-" or is_pipe else path.parent
    shown = Message("standard input") if name == "-" else Message.verbatim(path.name)
    if len(content) > tables.MAX_BYTES:
        message = Message("{shown} has more than {most} MB", shown=shown, most=tables.MAX_BYTES // 2**20)
        raise InvalidSubmission.from_manifest_problems(
            [Problem(Code.MANIFEST_TOO_LARGE, message, Message("split it"))]
        )
    if content.startswith(b"PK\x03\x04"):
        return _of_table(folder, Message("{name}: Excel", name=shown), tables.read_excel(content), said)
    text, encoding = tables.decode(content, shown)
    if text.lstrip().startswith("{"):
        return Manifest(
            folder,
            Message("{name}: JSON Lines, {encoding}", name=shown, encoding=encoding),
            COLUMNS,
            said,
            lambda: _json_lines(text),
            functools.partial(_json_row, defaults=said),
        )
    separator = tables.detect_separator(text)
    described = Message(
        "{name}: {encoding}, separated by {separator}",
        name=shown,
        encoding=encoding,
        separator=tables.SEPARATORS[separator],
    )
    return _of_table(folder, described, lambda: tables.read_csv(text, separator), said)


def _with_defaults(columns: Iterable[str], defaults: Defaults) -> tuple[str, ...]:
    """Give the columns, and those that options of the command line stand for: a report says them, too."""
    submission = set(defaults.values)
    if defaults.sender:
        submission.add("sender")
    return tuple(name for name in COLUMNS if name in {*columns, *submission})


# -- tables ------------------------------------------------------------------------------------------------


def _of_table(
    folder: Path, described: Message, table: Callable[[], Iterator[TableRow]], defaults: Defaults
) -> Manifest:
    columns = columns_of(*next(_filled(table()), (1, [])))

    def lines() -> Iterator[TableRow]:
        below = _filled(table())
        next(below, None)
        for count, line in enumerate(below):
            tables.check_row_count(count)
            yield line

    row = functools.partial(_table_row, columns=tuple(columns), defaults=defaults)
    return Manifest(folder, described, tuple(columns), defaults, lines, row)


def _table_row(line: Line, columns: Sequence[str], defaults: Defaults) -> Row:
    number, cells = line
    if isinstance(cells, Problem):
        return Row(number, {}, Submission(), (), (cells,))
    problems = _misfits(number, cells, columns) if len(cells) != len(columns) else []
    named = dict(zip(columns, map(clean_cell, cells), strict=False))
    return _row(number, named, defaults, problems)


def _filled(table: Iterator[TableRow]) -> Iterator[TableRow]:
    """Leave out the rows in which nothing stands."""
    for number, cells in table:
        if isinstance(cells, Problem) or "".join(cells).strip():
            yield number, cells


def _misfits(number: int, cells: Sequence[str], columns: Sequence[str]) -> list[Problem]:
    problems: list[Problem] = []
    if any(cell.strip() for cell in cells[len(columns) :]):
        message = Message(
            "the row has {count} cells, its head has {columns}", count=len(cells), columns=len(columns)
        )
        hint = Message("a separator inside a text needs quotation marks around the text")
        problems.append(Problem(Code.ROW_MALFORMED, message, hint, row=number))
    if "status" in columns and len(cells) < len(columns):
        message = Message("the row is cut short: whoever wrote this report was killed")
        hint = Message("send the manifest itself again")
        problems.append(Problem(Code.ROW_MALFORMED, message, hint, row=number))
    return problems


# -- JSON Lines --------------------------------------------------------------------------------------------


def _json_lines(text: str) -> Iterator[Line]:
    count = 0
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would break a text at U+2028
        if line.strip():
            tables.check_row_count(count)
            count += 1
            yield number, line


def _json_row(line: Line, defaults: Defaults) -> Row:
    number, text = line
    try:
        raw = json.loads(text, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        message = Message("the row is not JSON")
        if isinstance(error, _Twins):
            message = Message("the row has a member twice")
        return _unread(number, message, Message("one object a line"))
    if not isinstance(raw, dict):
        return _unread(number, Message("the row is not a JSON object"), Message("one object a line"))
    problems: list[Problem] = []
    cells: dict[str, str] = {}
    for key, value in raw.items():
        name = column_name(key)
        if name not in COLUMNS + REPORT_COLUMNS:
            problems.append(unknown_column(key, number))
        elif name in cells:
            problems.append(duplicate_column(name, number))
        elif name == "documents" and isinstance(value, list):
            cells[name] = _list_of_documents(value, number, problems)
        elif (
            value is None
            or isinstance(value, str)
            or (isinstance(value, int) and not isinstance(value, bool))
        ):
            cells[name] = clean_cell(text_of_value(value))
        else:
            message = Message("{name} is neither a text nor a whole number", name=name)
            problems.append(
                Problem(
                    Code.ROW_MALFORMED,
                    message,
                    Message("write it in quotation marks"),
                    field=name,
                    row=number,
                )
            )
    return _row(number, cells, defaults, problems)


def _list_of_documents(paths: list[Any], number: int, problems: list[Problem]) -> str:
    if all(isinstance(path, str) and ";" not in path for path in paths):
        return ";".join(paths)
    message = Message("documents is not a list of paths without semicolons")
    hint = Message("a semicolon separates paths in tables and reports: rename the file")
    problems.append(Problem(Code.ROW_MALFORMED, message, hint, field="documents", row=number))
    return ""


class _Twins(ValueError):
    """A member that stands twice in an object."""


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Twins
    return members


def _unread(number: int, message: Message, hint: Message) -> Row:
    return Row(number, {}, Submission(), (), (Problem(Code.ROW_MALFORMED, message, hint, row=number),))


# -- rows --------------------------------------------------------------------------------------------------


def _row(number: int, named: dict[str, str], defaults: Defaults, problems: list[Problem]) -> Row:
    """Make a row of its cells; what a cell leaves open, the command line's option says."""
    cells = {name: value for name, value in named.items() if name in _KNOWN}
    text = "".join(cells.values())
    if not text.isprintable():
        problems += non_text_problems(number, cells)
    meant = cells.copy()
    for name in NUMBERS:
        if value := meant.get(name):
            meant[name] = repair_number(name, value, number, problems)
    sender, said = _sender_of(meant, defaults, number, problems)
    options: dict[str, Any] = {
        name: value for name, value in meant.items() if value and name in fields.BY_NAME
    }
    if said:
        left_open = {name: value for name, value in said.items() if name not in options}
        cells |= left_open
        options |= left_open
    submission = Submission(**options)
    if sender and defaults.senders is not None:
        # By its name alone: a report holds no number that its manifest does not hold.
        cells["sender"] = sender
        submission = defaults.senders.apply(sender, submission)
    documents = tuple([part for part in map(str.strip, meant.get("documents", "").split(";")) if part])
    claimed = named.get("key") if named.get("status") in RECEIVED_STATUSES else None
    return Row(number, cells, submission, documents, tuple(problems), claimed or None)


def _sender_of(
    meant: Mapping[str, str], defaults: Defaults, number: int, problems: list[Problem]
) -> tuple[str | None, Mapping[str, str]]:
    """Give the sender of a row, and the options that hold for it: its own sender replaces theirs."""
    named = meant.get("sender")
    says_who = meant.get("id") or meant.get("employer_file")
    sender = named or (None if says_who else defaults.sender)
    if sender is None or defaults.senders is None:
        return None, defaults.values
    if sender not in defaults.senders:
        message, hint = defaults.senders.unknown_message(sender)
        problems.append(Problem(Code.UNKNOWN_SENDER, message, hint, row=number))
        return None, defaults.values
    if not named:
        return sender, defaults.values
    return sender, defaults.senders.without_identity(defaults.submission).given_values()


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
