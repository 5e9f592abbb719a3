"""Workbooks for tests: made with openpyxl and changed in their parts, or made by hand."""

from __future__ import annotations

import io
import itertools
import re
import struct
import zipfile
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import openpyxl  # type: ignore[import-untyped]  # it has no types

from batch_files import HEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SHEET, TEXTS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_STRICT = {
    b"http://schemas.openxmlformats.org/spreadsheetml/2006/main": b"http://purl.oclc.org/ooxml/spreadsheetml/main",
    b"http://schemas.openxmlformats.org/officeDocument/2006/relationships": (
        b"http://purl.oclc.org/ooxml/officeDocument/relationships"
    ),
}


def save(book: openpyxl.Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def xlsx(*rows: Sequence[object], head: Sequence[str] = HEAD, name: str = "Payroll") -> bytes:
    """Return a workbook with one sheet."""
    return save(book(*rows, head=head, name=name))


def book(*rows: Sequence[object], head: Sequence[str] = HEAD, name: str = "Payroll") -> openpyxl.Workbook:
    result = openpyxl.Workbook()
    result.active.title = name
    for row in (head, *rows):
        result.active.append(row)
    return result


def row(number: int = 1, /, **changes: object) -> list[object]:
    """Return a good row with some of its cells changed."""
    cells: dict[str, object] = dict(
        zip(
            HEAD,
            ["benefits", "unemployment", "employer", "payslips", "000000018", f"client {number}", "a.pdf"],
            strict=True,
        )
    )
    return list({**cells, **changes}.values())


def change(content: bytes, changes: Mapping[str, Callable[[bytes], bytes] | bytes]) -> bytes:
    """Return a zip archive with some of its members changed, replaced or added."""
    with zipfile.ZipFile(io.BytesIO(content)) as read:
        members = {name: read.read(name) for name in read.namelist()}
    for name, new in changes.items():
        members[name] = new if isinstance(new, bytes) else new(members[name])
    return pack(members)


def with_password() -> bytes:
    """Return the beginning of an encrypted workbook, and the name of its stream."""
    return bytes.fromhex("D0CF11E0A1B11AE1") + bytes(504) + "EncryptedPackage".encode("utf-16-le")


def pack(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def with_sheet_data(content: bytes, rows: str) -> bytes:
    """Return a workbook whose first sheet has these rows, in XML."""

    def replace(sheet: bytes) -> bytes:
        start, end = sheet.index(b"<sheetData>") + 11, sheet.index(b"</sheetData>")
        return sheet[:start] + rows.encode() + sheet[end:]

    return change(content, {SHEET: replace})


def text_cells(values: Sequence[str], reference: str = "") -> str:
    """Return cells with texts in XML. `reference` is that of the first cell; the others have none."""
    first, *others = (f'<c%s t="inlineStr"><is><t>{escape(value)}</t></is></c>' for value in values)
    return "".join([first % (f' r="{reference}"' if reference else ""), *(cell % "" for cell in others)])


def with_shared_texts(content: bytes) -> bytes:
    """Return a workbook whose texts are in a table of their own, as Excel stores them."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = archive.read(SHEET)
    texts = re.findall(rb't="inlineStr"><is>(<t.*?)</is>', sheet)
    numbers = itertools.count()
    shared = re.sub(rb't="inlineStr"><is><t.*?</is>', lambda _: b't="s"><v>%d</v>' % next(numbers), sheet)
    items = b"".join(b"<si>%s</si>" % text for text in texts)
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    part = f'<Override PartName="/{TEXTS}" ContentType="{main}.sharedStrings+xml"/></Types>'
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    link = f'<Relationship Id="texts" Type="{relation}" Target="/{TEXTS}"/></Relationships>'
    return change(
        content,
        {
            SHEET: shared,
            TEXTS: f'<sst xmlns="{_MAIN}">'.encode() + items + b"</sst>",
            "[Content_Types].xml": lambda types: types.replace(b"</Types>", part.encode()),
            "xl/_rels/workbook.xml.rels": lambda links: links.replace(b"</Relationships>", link.encode()),
        },
    )


def strict(content: bytes) -> bytes:
    """Return a workbook in the variant Strict Open XML."""

    def replace(part: bytes) -> bytes:
        for transitional, purl in _STRICT.items():
            part = part.replace(transitional, purl)
        return part

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if name.startswith(("xl/", "_rels/"))]
    return change(content, dict.fromkeys(names, replace))


# -- OpenDocument ------------------------------------------------------------------------------------------

ODS_TYPE = "application/vnd.oasis.opendocument.spreadsheet"
_ODS_NAMESPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text", "style", "manifest")
)


def ods(*rows: Sequence[object], head: Sequence[str] = HEAD, name: str = "Payroll", more: str = "") -> bytes:
    """Return an OpenDocument spreadsheet. `more` is XML behind the rows of its sheet."""
    lines = "".join(
        f"<table:table-row>{''.join(map(_ods_cell, cells))}</table:table-row>" for cells in (head, *rows)
    )
    content = (
        f'<?xml version="1.0"?><office:document-content {_ODS_NAMESPACES}><office:body><office:spreadsheet>'
        f'<table:table table:name="{name}">{lines}{more}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    manifest = (
        f'<?xml version="1.0"?><manifest:manifest {_ODS_NAMESPACES}>'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{ODS_TYPE}"/></manifest:manifest>'
    )
    return pack(
        {
            "mimetype": ODS_TYPE.encode(),
            "content.xml": content.encode(),
            "META-INF/manifest.xml": manifest.encode(),
        }
    )


def _ods_cell(value: object) -> str:
    if isinstance(value, int | float):
        return f'<table:table-cell office:value-type="float" office:value="{value}"/>'
    text = escape(str(value))
    return (
        f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'
        if text
        else "<table:table-cell/>"
    )


# -- binary workbooks --------------------------------------------------------------------------------------


def xlsb(*rows: Sequence[object], head: Sequence[str] = HEAD, name: str = "Payroll") -> bytes:
    """Return a binary workbook ([MS-XLSB]) with texts and numbers."""
    extent = struct.pack("<IIII", 0, len(rows), 0, len(head) - 1)
    sheet = _record(129) + _record(148, extent) + _record(145)
    for number, cells in enumerate((head, *rows)):
        sheet += _record(0, struct.pack("<III", number, 0, 0) + bytes(13))
        for column, value in enumerate(cells):
            position = struct.pack("<II", column, 0)
            if isinstance(value, int | float):
                sheet += _record(5, position + struct.pack("<d", value))
            else:
                sheet += _record(6, position + _wide(str(value)))
    sheet += _record(146) + _record(130)
    bundle = struct.pack("<II", 0, 1) + _wide("rId1") + _wide(name)
    workbook = _record(131) + _record(143) + _record(156, bundle) + _record(144)
    workbook += _record(157, bytes(26)) + _record(132)  # how it is computed, and its end
    relationships = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

    def links(kind: str, target: str) -> bytes:
        link = f'<Relationship Id="rId1" Type="{office}/{kind}" Target="{target}"/>'
        return f'<Relationships xmlns="{relationships}">{link}</Relationships>'.encode()

    return pack(
        {
            "[Content_Types].xml": (
                b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
                b'<Default Extension="bin" '
                b'ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/></Types>'
            ),
            "_rels/.rels": links("officeDocument", "xl/workbook.bin"),
            "xl/workbook.bin": workbook,
            "xl/_rels/workbook.bin.rels": links("worksheet", "worksheets/sheet1.bin"),
            "xl/worksheets/sheet1.bin": sheet,
        }
    )


def _record(kind: int, data: bytes = b"") -> bytes:
    return _variable(kind, is_kind=True) + _variable(len(data)) + data


def _variable(number: int, *, is_kind: bool = False) -> bytes:
    """Return a number in groups of seven bits, or a record's kind, whose second byte is the number's own."""
    if is_kind:
        return bytes([number]) if number < 128 else bytes([number & 0x7F | 0x80, number >> 7])
    groups = b""
    while number > 127:
        groups += bytes([number & 0x7F | 0x80])
        number >>= 7
    return groups + bytes([number])


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")
