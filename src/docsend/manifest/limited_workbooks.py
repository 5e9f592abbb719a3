"""Workbooks that openpyxl does not read (.xls, .xlsb, .ods, Strict Open XML), read in a child process.

python-calamine (a library in Rust) reads them all, but shows values only: no hidden rows, no errors, no
formats of numbers, and nothing for a formula without a result, which a warning says. One cell far away from
the others makes it ask for more memory than there is, which ends its process; therefore it has one of its
own, for one table.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import json
from typing import TYPE_CHECKING, Any

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.isolation.processes import ChildProcess
from docsend.manifest.bounded_parts import too_large
from docsend.manifest.sheets import Header, Sheet, choose, find_header, fit, place
from docsend.manifest.table import Table, TableRow
from docsend.manifest.workbook_cells import rounded_problem
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULE = "docsend.manifest.calamine_process"
_LIMIT_S = 60.0
_MAX_REPLY_BYTES = 512 * 2**20


@functools.cache
def is_installed() -> bool:
    """Return whether python-calamine is installed. It is looked for, not imported."""
    try:
        return importlib.util.find_spec("python_calamine") is not None
    except (ImportError, ValueError):  # ValueError: a module in sys.modules without a spec
        return False


def open_table(content: bytes, label: Message, wanted: str | None, format_name: str) -> Table:
    """Return the table in a workbook. `label` names the file, `wanted` the sheet.

    Raise UsageError if the sheet must be named, and InvalidSubmission if the workbook cannot be read.
    """
    with _Reader(content) as reader:
        sheet, header = choose(reader.sheets(), reader.find_header, wanted, label)
        lines = reader.read_rows(sheet)
    return Table(
        Message('{name}, sheet "{sheet}": {format}', name=label, sheet=sheet.name, format=format_name),
        lambda: _rows(lines, header),
        (_limits_warning(),),
        place(sheet, label),
    )


def password_problem() -> InvalidSubmission:
    """Return the error for a workbook that needs a password."""
    return _problem(
        Message("the workbook has a password"),
        Message("open it in a spreadsheet program and save it without a password"),
    )


def _rows(lines: bytes, header: Header) -> Iterator[TableRow]:
    for line in io.BytesIO(lines):
        yield fit(_parse_row(json.loads(line)), header)


def _parse_row(reply: Any) -> TableRow:
    number, cells, numeric, rounded = reply
    problems = tuple(rounded_problem(int(number), int(column)) for column in rounded)
    return TableRow(int(number), list(map(str, cells)), problems, frozenset(map(int, numeric)))


def _limits_warning() -> Problem:
    message = Message(
        "a workbook of this format does not show hidden rows, errors, formulas without results and the "
        "formats of numbers"
    )
    return Problem(Code.LIMITED_READER, message, Message("save it as .xlsx to have them checked"))


def _problem(message: Message, hint: Message, code: Code = Code.MANIFEST_MALFORMED) -> InvalidSubmission:
    return InvalidSubmission.from_manifest_problems([Problem(code, message, hint)])


class _Reader:
    """A child process that reads one workbook. It is killed when the block ends, or when the time is up."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> _Reader:
        with self._resources, self._reporting_failures():
            self._child = ChildProcess(_MODULE)
            self._resources.callback(self._child.close_pipes)
            self._resources.callback(self._child.kill)
            self._resources.enter_context(self._child.killed_after(_LIMIT_S))
            self._child.write(f"{len(self._content)}\n".encode("ascii"))
            self._child.write(self._content)
            self._resources = self._resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def sheets(self) -> list[Sheet]:
        """Return the workbook's sheets."""
        with self._reporting_failures():
            return [Sheet(str(name), bool(is_visible)) for name, is_visible in self._read_reply()]

    def find_header(self, sheet: Sheet) -> Header:
        """Return where the header of a sheet is."""
        with self._reporting_failures():
            self._ask("header", sheet)
            return find_header(map(_parse_row, self._read_reply()))

    def read_rows(self, sheet: Sheet) -> bytes:
        """Return the rows of a sheet as lines of JSON. The child ends."""
        with self._reporting_failures():
            self._ask("rows", sheet)
            lines = self._child.read_to_end(_MAX_REPLY_BYTES)
        rows, end, _ = lines.rpartition(b"null\n")
        if not end:
            raise self._limit_reached()
        return rows

    def _ask(self, kind: str, sheet: Sheet) -> None:
        self._child.write(json.dumps([kind, sheet.name]).encode("ascii") + b"\n")

    def _read_reply(self) -> list[Any]:
        line = self._child.read_line()
        if not line.endswith(b"\n"):
            raise self._limit_reached()
        reply = json.loads(line)
        if reply == "password":
            raise password_problem()
        if not isinstance(reply, list):
            raise _problem(Message("cannot read the workbook"), Message("save it again, or save it as CSV"))
        return reply

    @contextlib.contextmanager
    def _reporting_failures(self) -> Iterator[None]:
        """Raise InvalidSubmission if the child has ended or sends anything that it should not."""
        try:
            yield
        except (OSError, RuntimeError, ValueError, TypeError) as error:  # RuntimeError: no thread can start
            raise self._limit_reached() from error

    def _limit_reached(self) -> InvalidSubmission:
        return too_large()
