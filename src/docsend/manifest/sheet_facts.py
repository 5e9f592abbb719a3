"""What a sheet of an Excel workbook says besides values: hidden rows, links, and formulas without results.

A library that reads values returns nothing for a formula without a stored result, as for an empty cell.
One pass over the sheet's XML finds these facts. It looks at stored cells only, however far apart they are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import IO, TYPE_CHECKING, NamedTuple
from urllib.parse import unquote
from xml.parsers import expat

from docsend.manifest.bounded_parts import MAX_FILLED_ROWS, MAX_ROW_NUMBER, too_large

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.manifest.bounded_parts import BoundedPart

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REFERENCE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships id"
_ROW, _CELL, _FORMULA, _VALUE, _TEXT, _LINK, _SHEET_FORMAT = (
    f"{_MAIN} {name}" for name in ("row", "c", "f", "v", "t", "hyperlink", "sheetFormatPr")
)
_VALUE_OR_TEXT = (_VALUE, _TEXT)
_CHUNK_BYTES = 2**16
_MAX_LINKED_CELLS = 200_000  # of all ranges that share a link
_RANGE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})(?::\$?([A-Z]{1,3})\$?([0-9]{1,7}))?$")
_QUOTED = r'"((?:[^"]|"")*)"'
_HYPERLINK = re.compile(
    rf"\s*HYPERLINK\(\s*{_QUOTED}\s*(?:(?=\))|[,;]\s*(?:{_QUOTED}\s*(?=\)))?)(\)\s*$)?", re.IGNORECASE
)
_ANY_HYPERLINK = re.compile(r"\bHYPERLINK\(", re.IGNORECASE)
_TEXT_ONLY = re.compile(rf"\s*{_QUOTED}\s*$")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # not the letter of a drive


class SheetFacts(NamedTuple):
    """Rows are numbered as the sheet shows them, columns are counted from 0.

    `hidden` contains the hidden rows that have data, in order. `unresolved` maps a row to the columns with a
    formula whose result is neither stored nor obvious. `texts` contains the obvious ones: of formulas that
    are a text, such as `="000000018"`, or a link. `links` maps a row and a column to the target of a link,
    which is a path or an address, or "" if it is computed. `stored_rows` is the number of stored rows up to
    the last one with a value or a formula.
    """

    hidden: list[int]
    unresolved: Mapping[int, frozenset[int]]
    texts: Mapping[int, Mapping[int, str]]
    links: Mapping[int, Mapping[int, str]]
    stored_rows: int = MAX_ROW_NUMBER


class HasDocumentType(Exception):
    """Raised for XML with a document type, which could define entities. No spreadsheet program writes one."""


def root_name(source: IO[bytes]) -> str:
    """Return the namespace and the name of the root element of an XML stream, or "" if it is not XML.

    Raise HasDocumentType if there is a document type before the root element.
    """
    found: list[str] = []
    parser = _parser()
    parser.StartElementHandler = lambda name, _: found.append(name)
    try:
        while not found and (chunk := source.read(_CHUNK_BYTES // 16)):
            parser.Parse(chunk)
    except expat.ExpatError:
        pass  # it may be well-formed up to its root element, or else the library reports the error
    return found[0] if found else ""


def find_facts(source: BoundedPart, targets: Mapping[str, str], *, distrusts_zeros: bool) -> SheetFacts:
    """Return the facts of a sheet.

    `source` is the sheet's XML, and `targets` maps the ids of its external relationships to their targets.
    `distrusts_zeros` means that the results are not to be trusted: libraries that compute nothing store zero
    for every formula and ask the next program to compute all of them.

    Raise HasDocumentType for a document type, expat.ExpatError for XML that is not well-formed, and
    InvalidSubmission for more rows than any table has.
    """
    pass_ = _Pass(targets, distrusts_zeros=distrusts_zeros)
    while chunk := source.read(_CHUNK_BYTES):
        pass_.parser.Parse(chunk)
    pass_.parser.Parse(b"", True)
    return SheetFacts(
        sorted(pass_.hidden),
        {row: frozenset(columns) for row, columns in pass_.unresolved.items()},
        pass_.texts,
        pass_.links,
        pass_.stored_rows,
    )


def file_path(target: str) -> str | None:
    """Return the path in the target of a link. %20 is decoded.

    Return an address as it is, and None for a place in the workbook.
    """
    target = target.strip()
    if _SCHEME.match(target) and target[:5].lower() != "file:":
        return target
    target = unquote(target).replace("\\", "/")
    if target[:5].lower() != "file:":
        return None if not target or target.startswith("#") else target
    rest = target[5:].removeprefix("//localhost")
    path = rest.lstrip("/")
    slashes = len(rest) - len(path)
    if slashes == 0 or re.match("[a-z]:", path, re.IGNORECASE):
        return path or None
    return f"/{path}" if slashes in (1, 3) else f"//{path}"  # a server's name follows two, four or five


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _refuse_document_type
    return parser


def _refuse_document_type(*_: object) -> None:
    raise HasDocumentType


class _Pass:
    """One pass over a sheet. Cells are looked into only in hidden rows, and if they have a formula."""

    def __init__(self, targets: Mapping[str, str], *, distrusts_zeros: bool) -> None:
        self.parser = _parser()
        self.parser.StartElementHandler = self._start
        self.parser.buffer_text = True
        self.hidden: set[int] = set()
        self.unresolved: defaultdict[int, set[int]] = defaultdict(set)
        self.texts: defaultdict[int, dict[int, str]] = defaultdict(dict)
        self.links: defaultdict[int, dict[int, str]] = defaultdict(dict)
        self._linked_cells = 0
        self._targets = targets
        self._distrusts_zeros = distrusts_zeros
        self.stored_rows = self._rows = self._filled_rows = 0
        self._row = 0
        self._is_hidden = self._hides_rows = False
        # The last reference in the row, and how many cells without one follow it.
        self._reference, self._cells_after = "", 0
        self._type = "n"
        self._formula: str | None = None
        self._value: str | None = None
        self._text: list[str] = []

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == _CELL:
            if reference := attributes.get("r"):
                self._reference, self._cells_after = reference, 0
            else:
                self._cells_after += 1
            self._type = attributes.get("t", "n")
        elif name in _VALUE_OR_TEXT:
            if self.stored_rows != self._rows:
                self._count_filled_row()
        elif name == _ROW:
            self._start_row(attributes)
        elif name == _FORMULA:
            self._formula = ""
            self._look_inside()
            if self.stored_rows != self._rows:
                self._count_filled_row()
        elif name == _SHEET_FORMAT:
            self._hides_rows = attributes.get("zeroHeight") in ("1", "true")
        elif name == _LINK:
            self._add_links(attributes)
        self._text.clear()

    def _start_row(self, attributes: Mapping[str, str]) -> None:
        reference = attributes.get("r")
        self._row = int(float(reference)) if reference else self._row + 1
        self._reference, self._cells_after = "", 0
        self._rows += 1
        if self._rows > MAX_ROW_NUMBER:
            raise too_large()
        if height := attributes.get("ht"):
            self._is_hidden = not height.strip("0.")
        else:
            self._is_hidden = self._hides_rows and "hidden" not in attributes
        if attributes.get("hidden") in ("1", "true"):
            self._is_hidden = True
        if self._is_hidden:
            self._look_inside()

    def _count_filled_row(self) -> None:
        self.stored_rows = self._rows
        self._filled_rows += 1
        if self._filled_rows > MAX_FILLED_ROWS:
            raise too_large()

    def _look_inside(self) -> None:
        self.parser.CharacterDataHandler = self._text.append
        self.parser.EndElementHandler = self._end

    def _end(self, name: str) -> None:
        if name in (_VALUE, _TEXT):
            self._value = (self._value or "") + "".join(self._text)
        elif name == _FORMULA:
            self._formula = "".join(self._text)
        elif name == _CELL:
            self._end_cell()
            self._formula = self._value = None
        elif name == _ROW:
            self._is_hidden = False
        self._text.clear()
        if name in (_CELL, _ROW) and not self._is_hidden:
            self.parser.CharacterDataHandler = self.parser.EndElementHandler = None

    def _end_cell(self) -> None:
        if self._is_hidden and self._value:
            self.hidden.add(self._row)
        if self._formula is None:
            return
        link = _HYPERLINK.match(self._formula)
        if self._lacks_result():
            self._add_obvious_result(link)
        if link:
            self._add_link(self._row, self._column(), link[1].replace('""', '"'))
        elif _ANY_HYPERLINK.search(self._formula):
            self.links[self._row][self._column()] = ""

    def _add_obvious_result(self, link: re.Match[str] | None) -> None:
        """Add the text that the formula is, or that its link shows. Any other result is unresolved."""
        text = _TEXT_ONLY.match(self._formula or "")
        if text:
            shown: str | None = text[1]
        else:
            shown = (link[1] if link[2] is None else link[2]) if link and link[3] else None
        if shown is None:
            self.unresolved[self._row].add(self._column())
        else:
            self.texts[self._row][self._column()] = shown.replace('""', '"')

    def _lacks_result(self) -> bool:
        if self._type == "str":  # a text, which may be empty
            return self._value is None
        return not self._value or (self._distrusts_zeros and self._type == "n" and self._value == "0")

    def _column(self) -> int:
        match = _RANGE.match(self._reference)
        return (_column_number(match[1]) if match else -1) + self._cells_after

    def _add_links(self, attributes: Mapping[str, str]) -> None:
        """Add the link of a cell, or of all cells of a range."""
        target = self._targets.get(attributes.get(_REFERENCE, ""))
        match = _RANGE.match(attributes.get("ref", ""))
        if target is None or match is None:
            return
        first_column, last_column = _column_number(match[1]), _column_number(match[3] or match[1])
        rows = range(int(match[2]), int(match[4] or match[2]) + 1)
        self._linked_cells += len(rows) * (last_column - first_column + 1)
        if self._linked_cells <= _MAX_LINKED_CELLS:
            for row in rows:
                for column in range(first_column, last_column + 1):
                    self._add_link(row, column, target)

    def _add_link(self, row: int, column: int, target: str) -> None:
        if path := file_path(target):
            self.links[row][column] = path


def _column_number(letters: str) -> int:
    """Return the column with these letters, counted from 0."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
