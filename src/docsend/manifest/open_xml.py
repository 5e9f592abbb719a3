"""Excel workbooks in Office Open XML (.xlsx, .xlsm), read with openpyxl.

Only the parts of openpyxl that read values are used, row by row: the texts, the number formats, and the
cells of a row. openpyxl's own iteration over a sheet fills the gaps between rows, stops at the size that the
sheet claims to have, drops rows that are out of order, and interprets what has nothing to do with values.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
import zipfile
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree.ElementTree import ParseError, iterparse
from xml.parsers import expat

from docsend.codes import Code
from docsend.errors import DocsendError, InvalidSubmission
from docsend.i18n import Message
from docsend.manifest import number_formats, sheet_facts, sheets, workbook_cells
from docsend.manifest.bounded_parts import MAX_ROW_NUMBER, MAX_TEXTS, BoundedPart, too_large
from docsend.manifest.sheet_facts import HasDocumentType
from docsend.manifest.sheets import Sheet
from docsend.manifest.table import CellProblem, Table, TableRow
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from docsend.manifest.number_formats import NumberFormat
    from docsend.manifest.sheet_facts import SheetFacts

_STRICT = "http://purl.oclc.org/ooxml/"  # the namespaces of the variant Strict Open XML
_ROW = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}row"
_HYPERLINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"
_COMPUTE_ALL = re.compile(rb"""\bfullCalcOnLoad\s*=\s*["'](?:1|true)["']""")
_DAMAGED_SHEET = Message("one of its sheets is damaged")
_NOT_XML = (ParseError, expat.ExpatError, zlib.error, zipfile.BadZipFile, EOFError)
# Something in a folder, or with an extension.
_LOOKS_LIKE_PATH = re.compile(r".*(?:[/\\]|\.[A-Za-z]\w{1,4}\s*$)", re.DOTALL)


_NO_FACTS = sheet_facts.SheetFacts([], {}, {}, {})


class CannotRead(Exception):
    """Raised if openpyxl cannot read a workbook. `reason` says which part of it."""

    def __init__(self, reason: Message) -> None:
        super().__init__()
        self.reason = reason


class _Place(NamedTuple):
    """Where a sheet is in the workbook."""

    sheet: Sheet
    member: str


def open_table(content: bytes, label: Message, wanted: str | None) -> Table:
    """Return the table in a workbook. `label` names the file, `wanted` the sheet.

    Raise CannotRead if openpyxl cannot read the workbook, which other libraries may, UsageError if the sheet
    must be named, and InvalidSubmission if nothing should read the workbook.
    """
    _refuse_document_types(content)
    workbook = _Workbook(content)
    with _reporting(_DAMAGED_SHEET):
        sheet, header = sheets.choose(
            [place.sheet for place in workbook.places], workbook.find_header, wanted, label
        )
        facts = workbook.find_facts(sheet)
    hidden = sum(row > header.row for row in facts.hidden)
    return Table(
        Message('{name}, sheet "{sheet}": {format}', name=label, sheet=sheet.name, format="Excel"),
        lambda: workbook.rows(sheet, facts, header),
        (_hidden_rows_warning(hidden),) if hidden else (),
        sheets.place(sheet, label),
    )


def is_strict(content: bytes) -> bool:
    """Return whether a workbook is in the variant Strict Open XML, which openpyxl does not read."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive, contextlib.suppress(HasDocumentType):
        return _root_name(archive, "xl/workbook.xml").startswith(_STRICT)
    return False


def _refuse_document_types(content: bytes) -> None:
    """Raise InvalidSubmission if the XML could define entities, which may expand without end."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                _root_name(archive, name)
    except HasDocumentType as error:
        message = Message("the workbook contains a document type, which no spreadsheet program writes")
        hint = Message("open it in a spreadsheet program and save it again")
        problem = Problem(Code.MANIFEST_MALFORMED, message, hint)
        raise InvalidSubmission.from_manifest_problems([problem]) from error


def _root_name(archive: zipfile.ZipFile, name: str) -> str:
    """Return the name of a member's root element, or "" if there is none or the member is damaged.

    Raise HasDocumentType if its XML has a document type.
    """
    try:
        with archive.open(name) as source:
            return sheet_facts.root_name(source)
    except HasDocumentType:
        raise
    except Exception:  # noqa: BLE001 - of a dozen different ones; whoever needs the member will report it
        return ""


@contextlib.contextmanager
def _reporting(reason: Message) -> Iterator[None]:
    """Turn any error of openpyxl into CannotRead: it has no exception class of its own for damaged files.

    Raise InvalidSubmission for a part that is not XML or cannot be unpacked.
    """
    try:
        yield
    except (DocsendError, HasDocumentType):
        raise
    except _NOT_XML as error:
        # What another library would make of the beginning looks like a whole table.
        raise _damaged(reason) from error
    except Exception as error:
        raise CannotRead(reason) from error


def _hidden_rows_warning(count: int) -> Problem:
    message = Message.plural(
        "1 row is hidden in the workbook and will be sent",
        "{count:,} rows are hidden in the workbook and will be sent",
        count,
    )
    hint = Message("show all rows, and delete those that should not be sent")
    return Problem(Code.HIDDEN_ROWS, message, hint)


class _Workbook:
    """A workbook whose texts and formats are in memory. Each pass over a sheet reads its XML again."""

    def __init__(self, content: bytes) -> None:
        """Read everything but the sheets. Raise CannotRead if openpyxl cannot do so."""
        from openpyxl.reader.excel import ExcelReader  # type: ignore[import-untyped]
        from openpyxl.styles.stylesheet import apply_stylesheet  # type: ignore[import-untyped]

        _silence_openpyxl()
        self._content = content
        with _reporting(Message("its list of sheets is damaged")):
            reader = ExcelReader(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
            reader.read_manifest()
            reader.read_workbook()
            self._distrusts_zeros = _computes_all(reader)
            self.places = list(_find_places(reader))
        with _reporting(Message("its texts are damaged")):
            self._strings = _read_texts(reader)
        with _reporting(Message("its styles are damaged")):
            apply_stylesheet(reader.archive, reader.wb)
        self._book = reader.wb
        self._formats: dict[int, NumberFormat] = {}
        self._numeric: dict[frozenset[int], frozenset[int]] = {}

    def find_header(self, sheet: Sheet) -> sheets.Header:
        """Return where the header of a sheet is."""
        with contextlib.closing(self._rows(sheet, _NO_FACTS)) as rows:
            return sheets.find_header(rows)

    def find_facts(self, sheet: Sheet) -> SheetFacts:
        """Return what a sheet says besides values."""
        with self._archive() as archive, archive.open(self._member(sheet)) as source:
            return sheet_facts.find_facts(
                BoundedPart(source, b"row"), self._link_targets(sheet), distrusts_zeros=self._distrusts_zeros
            )

    def rows(self, sheet: Sheet, facts: SheetFacts, header: sheets.Header) -> Iterator[TableRow]:
        """Yield the stored rows of a sheet up to the last one with a value, with the cells that are read.

        Raise InvalidSubmission at a row that cannot be read.
        """
        number = 0
        try:
            with _reporting(_DAMAGED_SHEET):
                for row in self._rows(sheet, facts):
                    number = row.number
                    yield sheets.fit(row, header)
        except CannotRead as error:
            message = Message("cannot read the workbook beyond row {row}", row=number)
            hint = Message("save it again, or save it as CSV")
            problem = Problem(Code.MANIFEST_MALFORMED, message, hint)
            raise InvalidSubmission.from_manifest_problems([problem]) from error

    def _rows(self, sheet: Sheet, facts: SheetFacts) -> Generator[TableRow]:
        from openpyxl.worksheet._reader import WorkSheetParser  # type: ignore[import-untyped]

        _silence_openpyxl()
        is_taken = bytearray(MAX_ROW_NUMBER + 1)
        rest = facts.stored_rows
        with self._archive() as archive, archive.open(self._member(sheet)) as member:
            source = BoundedPart(member, b"row")
            parser = WorkSheetParser(
                source,
                self._strings,
                data_only=True,
                epoch=self._book.epoch,
                date_formats=self._book._date_formats,  # noqa: SLF001 - as openpyxl's own iteration does
                timedelta_formats=self._book._timedelta_formats,  # noqa: SLF001
            )
            for _, element in iterparse(source):  # noqa: S314 - document types are refused before
                if element.tag == _ROW:
                    number, cells = parser.parse_row(element)
                    element.clear()
                    parser.row_dimensions.clear()
                    if not 0 < number <= MAX_ROW_NUMBER or is_taken[number]:
                        raise _impossible_row(number)
                    is_taken[number] = True
                    yield self._table_row(number, cells, facts)
                    rest -= 1
                    if not rest:
                        return

    def _table_row(self, number: int, stored: list[dict[str, Any]], facts: SheetFacts) -> TableRow:
        cells: list[str] = []
        problems: list[CellProblem] = []
        numeric: list[int] = []
        for cell in stored:
            value = cell["value"]
            if value is None:
                continue
            column = cell["column"] - 1
            text = workbook_cells.to_text(value)
            if cell["data_type"] == "e":
                problems.append(_error_problem(number, column, text))
            elif cell["data_type"] == "n":
                numeric.append(column)
                style = cell["style_id"]
                format_ = self._formats.get(style) or self._format(style)
                if not format_.is_plain:
                    shown = format_.apply(text)
                    if shown is None:
                        problems.append(_format_problem(number, column))
                    text = shown or text
                if workbook_cells.is_rounded(value):
                    problems.append(workbook_cells.rounded_problem(number, column))
            if column >= len(cells):
                cells.extend([""] * (column - len(cells)))
                cells.append(text)
            else:  # cells may be stored in any order
                cells[column] = text
        for column, text in facts.texts.get(number, _NO_TEXTS).items():
            cells.extend([""] * (column + 1 - len(cells)))
            cells[column] = text
            numeric = [each for each in numeric if each != column]
        problems += [_formula_problem(number, column) for column in sorted(facts.unresolved.get(number, ()))]
        numbers = frozenset(numeric)
        numbers = self._numeric.setdefault(numbers, numbers)  # most rows have the same ones
        row = TableRow(number, cells, tuple(problems), numbers)
        links = facts.links.get(number)
        return row._replace(links=_useful_links(links, cells)) if links else row

    def _format(self, style: int) -> NumberFormat:
        from openpyxl.cell.read_only import ReadOnlyCell  # type: ignore[import-untyped]

        cell = ReadOnlyCell(SimpleNamespace(parent=self._book), 1, 1, None, style_id=style)
        format_ = self._formats[style] = number_formats.parse(cell.number_format)
        return format_

    def _member(self, sheet: Sheet) -> str:
        return next(place.member for place in self.places if place.sheet is sheet)

    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self._content))

    def _link_targets(self, sheet: Sheet) -> Mapping[str, str]:
        """Return the targets of a sheet's links to other files, by the id of the relationship."""
        from openpyxl.packaging.relationship import (  # type: ignore[import-untyped]
            get_dependents,
            get_rels_path,
        )

        path = get_rels_path(self._member(sheet))
        with self._archive() as archive:
            if path not in archive.namelist():
                return {}
            return {
                each.Id: each.Target
                for each in get_dependents(archive, path).find(_HYPERLINK)
                if each.TargetMode == "External"
            }


_NO_TEXTS: Mapping[int, str] = {}


def _silence_openpyxl() -> None:
    """Ignore openpyxl's warnings, which speak of what it cannot write, and docsend only reads."""
    warnings.filterwarnings("ignore", module=r"openpyxl\.")


def _find_places(reader: Any) -> Iterator[_Place]:
    """Yield the sheets with cells; charts and dialogs have none."""
    for sheet, relationship in reader.parser.find_sheets():
        if relationship.Type.endswith("/worksheet") and relationship.target in reader.valid_files:
            yield _Place(Sheet(sheet.name, sheet.state == "visible"), relationship.target)


class _Texts(list[str]):
    """The texts that cells refer to by their index. No index counts from the end."""

    def __getitem__(self, index: Any) -> Any:
        if index < 0:
            raise _damaged(_DAMAGED_SHEET)
        return list.__getitem__(self, index)


def _read_texts(reader: Any) -> _Texts:
    """Return the texts that cells share. Raise InvalidSubmission if there are more than in any table."""
    from openpyxl.reader.strings import read_string_table  # type: ignore[import-untyped]
    from openpyxl.xml.constants import SHARED_STRINGS  # type: ignore[import-untyped]

    part = reader.package.find(SHARED_STRINGS)
    if part is None:
        return _Texts()
    with reader.archive.open(part.PartName[1:]) as source:
        count = 0
        while chunk := source.read(2**16):
            count += chunk.count(b"<si")
            if count > MAX_TEXTS:
                raise too_large()
    with reader.archive.open(part.PartName[1:]) as source:
        return _Texts(read_string_table(BoundedPart(source, b"si")))


def _computes_all(reader: Any) -> bool:
    return bool(_COMPUTE_ALL.search(reader.archive.read(reader.parser.workbook_part_name)))


def _useful_links(links: Mapping[int, str], cells: list[str]) -> Mapping[int, str]:
    """Return the links of cells that show something other than a path."""
    return {
        column: path
        for column, path in links.items()
        if not _LOOKS_LIKE_PATH.match("".join(cells[column : column + 1]))
    }


# -- problems ----------------------------------------------------------------------------------------------


def _damaged(reason: Message) -> InvalidSubmission:
    message = Message("cannot read the workbook: {reason}", reason=reason)
    problem = Problem(Code.MANIFEST_MALFORMED, message, Message("save it again, or save it as CSV"))
    return InvalidSubmission.from_manifest_problems([problem])


def _impossible_row(number: int) -> InvalidSubmission:
    message = Message("the workbook has a row number that occurs twice or is impossible: {row}", row=number)
    hint = Message("open it in a spreadsheet program and save it again")
    return InvalidSubmission.from_manifest_problems([Problem(Code.MANIFEST_MALFORMED, message, hint)])


def _error_problem(row: int, column: int, error: str) -> CellProblem:
    return CellProblem(
        column,
        Code.ROW_MALFORMED,
        Message("{cell} contains the error {error}", cell=workbook_cells.cell_name(row, column), error=error),
        Message("correct the formula"),
    )


def _formula_problem(row: int, column: int) -> CellProblem:
    return CellProblem(
        column,
        Code.ROW_MALFORMED,
        Message("{cell} contains a formula without its result", cell=workbook_cells.cell_name(row, column)),
        Message("open the workbook in Excel or LibreOffice and save it"),
    )


def _format_problem(row: int, column: int) -> CellProblem:
    message = Message(
        "{cell} shows its number in a format of which docsend reads the digits alone",
        cell=workbook_cells.cell_name(row, column),
    )
    hint = Message("format the column as text and enter what the cell should show")
    return CellProblem(column, Code.ZEROS_MISSING, message, hint)
