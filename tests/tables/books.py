"""Makers of workbooks, with what programs and people leave in them."""

from __future__ import annotations

import datetime as dt
import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import openpyxl  # type: ignore[import-untyped]  # it has no types
import xlwt  # type: ignore[import-untyped]  # it has no types

import workbook_files
from tables.contents import Column, Made, Meant, Script, add_other_columns, draw_columns, draw_rows, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

SCRIPTS: tuple[Script, ...] = ("English", "French", "Hebrew")
_ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!")
SHEET = "Payroll"
_HEAD_ROWS = 4  # a title, up to two empty rows, the head
_ROW = re.compile(rb"<row\b.*?</row>", re.DOTALL)
_DIMENSION = re.compile(rb'<dimension ref="[^"]*"')


class Draft:
    """A workbook before it is saved: its rows as meant, and their cells as Python values."""

    def __init__(
        self,
        random: Random,
        *,
        must: Sequence[str] = (),
        zeros: int = -1,
        scripts: Sequence[Script] = SCRIPTS,
    ) -> None:
        self.random = random
        self.script = random.choice(scripts)
        self.columns = draw_columns(random, self.script, must=must)
        if random.random() < 0.3:
            self.columns = add_other_columns(random, self.script, self.columns)
        self.rows = draw_rows(random, self.columns, self.script, zeros=zeros)
        self.lines: list[list[Any]] = [[self._value(row, each) for each in self.columns] for row in self.rows]
        self.above: list[list[Any]] = []
        if random.random() < 0.3:
            self.above = [[words(random, self.script)], *[[] for _ in range(random.randrange(3))]]
        self.warnings: tuple[str, ...] = ()
        self.unshown: tuple[str, ...] = ()  # columns that show something other than what is meant

    def index(self, name: str) -> int:
        return [column.name for column in self.columns].index(name)

    @property
    def first(self) -> int:
        """The number of the first row below the head, as the sheet shows it."""
        return len(self.above) + 2

    def all_lines(self) -> list[list[Any]]:
        return [*self.above, [column.label for column in self.columns], *self.lines]

    def mean(self, number: int, name: str, text: str, value: object) -> None:
        """Change what is meant in a cell, and its value."""
        self.rows[number] = replace(self.rows[number], cells={**self.rows[number].cells, name: text})
        self.lines[number][self.index(name)] = value

    def mean_documents(self, number: int, *paths: str) -> None:
        self.rows[number] = replace(self.rows[number], documents=paths)

    def tell(self, number: int) -> None:
        self.rows[number] = replace(self.rows[number], is_told=True)

    def made(self, content: bytes, *warnings: str) -> Made:
        names = [column.name for column in self.columns]
        return Made(
            "good", content, self.rows, names, (*self.warnings, *warnings), SHEET, unshown=self.unshown
        )

    def _value(self, row: Meant, column: Column) -> object:
        if column.name == "documents":
            return self.random.choice((";", "; ")).join(row.documents)
        if column.name:
            return row.cells[column.name]
        return self.random.choice((None, 1234.5, words(self.random, self.script))) if column.label else None


# -- Office Open XML ---------------------------------------------------------------------------------------


def xlsx(
    random: Random,
    change: Callable[[Draft, Any, Any], None] | None = None,
    after: Callable[[Random, bytes], bytes] | None = None,
    *,
    must: Sequence[str] = (),
    zeros: int = -1,
    scripts: Sequence[Script] = SCRIPTS,
) -> Made:
    """Return a workbook of openpyxl. `change` gets the draft, the workbook and its sheet."""
    draft = Draft(random, must=must, zeros=zeros, scripts=scripts)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = SHEET
    for line in draft.all_lines():
        sheet.append(line)
    if draft.above and random.random() < 0.7:
        sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=len(draft.columns))
    if change is not None:
        change(draft, book, sheet)
    content = workbook_files.save(book)
    if random.random() < 0.5:
        content = workbook_files.with_shared_texts(content)
    return draft.made(after(random, content) if after else content)


def _set(draft: Draft, sheet: Any, number: int, name: str, value: object) -> Any:
    """Set a cell of the sheet and return it."""
    cell = sheet.cell(draft.first + number, draft.index(name) + 1)
    cell.value = value
    return cell


def zero_formats(draft: Draft, _book: Any, sheet: Any) -> None:
    """Make numbers of the id numbers, with a format that shows their zeros."""
    for number, row in enumerate(draft.rows):
        cell = _set(draft, sheet, number, "id", int(row.cells["id"]))
        cell.number_format = draft.random.choice(("000000000", "000000000;@", "[$-1000000]000000000"))


def bare_numbers(draft: Draft, _book: Any, sheet: Any) -> None:
    """Make numbers of the id numbers and the mobile numbers, which lose their zeros."""
    for number, row in enumerate(draft.rows):
        for name in {"id", "mobile"} & row.cells.keys():
            value = int(row.cells[name])
            _set(draft, sheet, number, name, draft.random.choice((value, float(value))))


def dates(draft: Draft, _book: Any, sheet: Any) -> None:
    for number in range(len(draft.rows)):
        day = dt.date(2026, draft.random.randrange(1, 13), draft.random.randrange(1, 29))
        draft.mean(number, "remark", day.isoformat(), day)
        cell = _set(draft, sheet, number, "remark", day)
        cell.number_format = draft.random.choice(("yyyy-mm-dd", "dd/mm/yyyy", "d mmm yy"))


def errors(draft: Draft, _book: Any, sheet: Any) -> None:
    """Write error values and formulas without a result, which must be told."""
    for number in range(len(draft.rows)):
        if draft.random.random() < 0.4:
            value = draft.random.choice((*_ERRORS, '=CONCATENATE("a",B2)', "=1+1"))
            _set(draft, sheet, number, draft.random.choice(("remark", "reference", "id")), value)
            draft.tell(number)


def hidden_rows(draft: Draft, _book: Any, sheet: Any) -> None:
    for number in draft.random.sample(range(len(draft.rows)), min(3, len(draft.rows))):
        sheet.row_dimensions[draft.first + number].hidden = True
    draft.warnings = ("hidden-rows",)


def other_sheets(draft: Draft, book: Any, _sheet: Any) -> None:
    """Add a legend as the first sheet, and hidden sheets with tables that nobody means."""
    legend = book.create_sheet("Legend", draft.random.choice((0, 0, 1)))
    for line in (("Code", "Meaning"), ("payslips", "slips of pay"), ("employer", "from the employer")):
        legend.append(line)
    for state in ("hidden", "veryHidden")[: draft.random.randrange(3)]:
        hidden = book.create_sheet(state, draft.random.choice((0, 1)))
        hidden.sheet_state = state
        hidden.append([column.label for column in draft.columns])
        hidden.append(["old"] * len(draft.columns))
    book.active = draft.random.randrange(2)


def line_breaks(draft: Draft, _book: Any, sheet: Any) -> None:
    for number in range(len(draft.rows)):
        text = "\n".join(words(draft.random, draft.script) for _ in range(draft.random.randrange(1, 4)))
        draft.mean(number, "remark", text, text)
        _set(draft, sheet, number, "remark", text)


def far_cell(draft: Draft, _book: Any, sheet: Any) -> None:
    """Put a blank or a format far away from the table."""
    cell = sheet.cell(draft.random.randrange(100, 900), draft.random.randrange(40, 99))
    cell.value = draft.random.choice((None, " "))
    cell.number_format = "0.00"


def blank_rows(draft: Draft, _book: Any, sheet: Any) -> None:
    """Leave rows of the middle empty, and write them with formats only."""
    for _ in range(draft.random.randrange(1, 5)):
        at = draft.random.randrange(draft.first, draft.first + len(draft.rows))
        sheet.insert_rows(at, draft.random.randrange(1, 3))
        sheet.cell(at, 1).number_format = "000"


def stale_dimension(random: Random, content: bytes) -> bytes:
    """Claim another size than the sheet has, as programs do that add rows."""
    size = random.choice((b"A1", b"A1:B2", b"A1:XFD1048576"))
    return workbook_files.change(
        content, {workbook_files.SHEET: lambda sheet: _DIMENSION.sub(b'<dimension ref="%s"' % size, sheet)}
    )


def without_references(_random: Random, content: bytes) -> bytes:
    """Leave out the numbers of the rows, as some programs do."""
    return workbook_files.change(
        content, {workbook_files.SHEET: lambda sheet: re.sub(rb'(<row) r="\d+"', rb"\1", sheet)}
    )


def without_cell_references(_random: Random, content: bytes) -> bytes:
    """Leave out the names of cells in rows without gaps, where they are not needed."""

    def change(row: re.Match[bytes]) -> bytes:
        letters = re.findall(rb'<c r="([A-Z]+)', row[0])
        has_gaps = letters != [b"%c" % (65 + at) for at in range(len(letters))]
        return row[0] if has_gaps else re.sub(rb'<c r="[A-Z]+\d+"', b"<c", row[0])

    return workbook_files.change(content, {workbook_files.SHEET: lambda sheet: _ROW.sub(change, sheet)})


def shuffled_rows(random: Random, content: bytes) -> bytes:
    """Store the rows in another order, but for those among which the head is; each has its number."""

    def change(sheet: bytes) -> bytes:
        rows = _ROW.findall(sheet)
        kept, others = rows[:_HEAD_ROWS], rows[_HEAD_ROWS:]
        random.shuffle(others)
        start, end = sheet.index(b"<sheetData>") + 11, sheet.index(b"</sheetData>")
        return sheet[:start] + b"".join([*kept, *others]) + sheet[end:]

    return workbook_files.change(content, {workbook_files.SHEET: change})


def rich_texts(random: Random, content: bytes) -> bytes:
    """Give a part of each text a format of its own, as a person does with the mouse."""

    def change(text: re.Match[bytes]) -> bytes:
        if len(text[2]) < 2 or b"&" in text[2] or not text[2].isascii() or random.random() < 0.5:
            return text[0]
        at = random.randrange(1, len(text[2]))
        run = b'<r><rPr><b/></rPr><t xml:space="preserve">%s</t></r><r><t xml:space="preserve">%s</t></r>'
        return run % (text[2][:at], text[2][at:])

    parts = [workbook_files.SHEET]
    if workbook_files.TEXTS.encode() in content:
        parts.append(workbook_files.TEXTS)
    return workbook_files.change(
        content, dict.fromkeys(parts, lambda part: re.sub(rb"<t( [^>]*)?>([^<]*)</t>", change, part))
    )


def macros(_random: Random, content: bytes) -> bytes:
    """Return a workbook of the type that may have macros (.xlsm)."""
    main = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    with_macros = b"application/vnd.ms-excel.sheet.macroEnabled.main+xml"
    return workbook_files.change(
        content, {"[Content_Types].xml": lambda types: types.replace(main, with_macros)}
    )


# -- formats that docsend reads with limits ----------------------------------------------------------------

_LIMITED = "limited-reader"


def strict(random: Random) -> Made:
    draft = Draft(random)
    first, *others = draft.all_lines()
    content = workbook_files.strict(workbook_files.xlsx(*others, head=first, name=SHEET))
    return draft.made(content, _LIMITED)


def xls(random: Random) -> Made:
    """Return an old workbook of xlwt: id numbers as texts or numbers, dates, hidden sheets."""
    draft = Draft(random, must=("remark",))
    as_numbers, has_dates = random.random() < 0.5, random.random() < 0.5
    for number, row in enumerate(draft.rows):
        if as_numbers:
            draft.lines[number][draft.index("id")] = float(row.cells["id"])
        if has_dates:
            day = dt.date(2026, random.randrange(1, 13), random.randrange(1, 29))
            draft.mean(number, "remark", day.isoformat(), day)
    book = xlwt.Workbook()
    if random.random() < 0.3:
        _write_xls(book.add_sheet("Legend"), [["Code"], ["payslips"]])
    _write_xls(book.add_sheet(SHEET), draft.all_lines())
    if random.random() < 0.3:
        hidden = book.add_sheet("Old")
        hidden.visibility = 1
        _write_xls(hidden, [["documents"], ["old.pdf"]])
    file = io.BytesIO()
    book.save(file)
    return draft.made(file.getvalue(), _LIMITED)


def _write_xls(sheet: Any, lines: Sequence[Sequence[object]]) -> None:
    formats = {
        float: xlwt.easyxf(num_format_str="000000000"),
        dt.date: xlwt.easyxf(num_format_str="yyyy-mm-dd"),
    }
    for number, line in enumerate(lines):
        for column, value in enumerate(line):
            if value not in (None, ""):
                sheet.write(number, column, value, formats.get(type(value), xlwt.Style.default_style))


def ods(random: Random) -> Made:
    """Return an OpenDocument spreadsheet, made by hand."""
    draft, lines = _plain(random)
    repeated = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    more = random.choice(("", repeated))
    return draft.made(workbook_files.ods(*lines[1:], head=lines[0], name=SHEET, more=more), _LIMITED)


def xlsb(random: Random) -> Made:
    """Return a binary workbook, made by hand."""
    draft, lines = _plain(random)
    return draft.made(workbook_files.xlsb(*lines[1:], head=lines[0], name=SHEET), _LIMITED)


def _plain(random: Random) -> tuple[Draft, list[list[Any]]]:
    """Return a draft, perhaps with id numbers as numbers, and its lines, with "" for nothing."""
    draft = Draft(random)
    if random.random() < 0.5:
        for number, row in enumerate(draft.rows):
            draft.lines[number][draft.index("id")] = int(row.cells["id"])
    width = len(draft.columns)
    filled = [[*line, *[None] * (width - len(line))] for line in draft.all_lines()]
    return draft, [["" if value is None else value for value in line] for line in filled]
