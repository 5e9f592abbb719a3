"""Tables in workbooks: which format a workbook has, and which library reads it.

`open_xml` reads Excel's own format with openpyxl. `limited_workbooks` reads all others, and what openpyxl
cannot open, with python-calamine.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import zipfile
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.errors import DocsendError, InvalidSubmission, UsageError
from docsend.i18n import Message
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docsend.manifest.table import Table

_ZIP = b"PK\x03\x04"
_ZIP_ENTRY = b"PK\x01\x02"
_OLE = bytes.fromhex("D0CF11E0A1B11AE1")  # the container of old Office documents, and of encrypted ones
# Unpacked, a table of 100,000 rows has less than 100 MB, a tenth of it once it is packed.
_MAX_UNPACKED_BYTES = 512 * 2**20
_MAX_MEMBER_BYTES = 256 * 2**20
_MAX_RATIO = 200
_RATIO_COUNTS_FROM_BYTES = 16 * 2**20
_MAX_MEMBERS = 10_000
_BREAK = re.compile(rb"<text:(?:tab|line-break)\s*/?>")
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml$|content\.xml$", re.IGNORECASE)


class _Format(NamedTuple):
    """A format: what to call it in a message and in the description of a table."""

    message: Message
    name: str


_XLSX = _Format(Message("an Excel workbook"), "Excel")
_STRICT = _Format(Message("an Excel workbook in the variant Strict Open XML"), "Excel")
_XLS = _Format(Message("an old Excel workbook (.xls)"), "Excel")
_XLSB = _Format(Message("a binary Excel workbook (.xlsb)"), "Excel")
_ODS = _Format(Message("an OpenDocument spreadsheet (.ods)"), "OpenDocument")


def is_workbook(content: bytes) -> bool:
    """Return whether the content of a file is a workbook of any format, or one with a password."""
    return content.startswith((_ZIP, _OLE))


def open_table(content: bytes, label: Message, sheet: str | None = None) -> Table:
    """Return the table in a workbook. `label` names the file in its description.

    `sheet` names the sheet, in any case; it may be hidden. Without it, the only visible sheet with known
    columns is used. Raise UsageError if a required extra is not installed, if there is no such sheet or if
    several sheets have a table, and InvalidSubmission if the workbook cannot be read.
    """
    from docsend.manifest import limited_workbooks, open_xml

    format_ = _identify_ole(content, label) if content.startswith(_OLE) else _identify_zip(content, label)
    reason = None
    if format_ is _XLSX:
        if importlib.util.find_spec("openpyxl") is None:
            raise _not_installed(format_)
        try:
            return open_xml.open_table(content, label, sheet)
        except open_xml.CannotRead as error:
            reason = error.reason
    if not limited_workbooks.is_installed():
        raise _not_installed(format_) if reason is None else _cannot_read(reason)
    if format_ in (_XLSX, _STRICT, _ODS):
        _refuse_damaged_xml(content)
    try:
        table = limited_workbooks.open_table(content, label, sheet, format_.name)
        lost = (_lost_breaks(),) if format_ is _ODS and _has_breaks(content) else ()
        return table._replace(warnings=(*table.warnings, *lost))
    except InvalidSubmission as error:
        if reason is None or any(problem.code != Code.MANIFEST_MALFORMED for problem in error.problems):
            raise
        raise _cannot_read(reason) from error


# -- formats -----------------------------------------------------------------------------------------------


def _identify_ole(content: bytes, label: Message) -> _Format:
    """Return the format of a document in an OLE container. Raise InvalidSubmission for all but workbooks."""
    from docsend.manifest.limited_workbooks import password_problem

    # The names of the streams are in the container's directory, in UTF-16.
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise password_problem()
    if any(f"{name}\0".encode("utf-16-le") in content for name in ("Workbook", "Book")):
        return _XLS
    raise _not_a_workbook(label)


def _identify_zip(content: bytes, label: Message) -> _Format:
    """Return the format of a packed workbook.

    Raise InvalidSubmission if it is none, if it has a password, or if it would be too large once unpacked.
    """
    from docsend.manifest import limited_workbooks, open_xml

    if content.count(_ZIP_ENTRY) > _MAX_MEMBERS:
        raise _too_large(label)
    with _reporting_damage(), zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if _is_bomb(members):
            raise _too_large(label)
        if _has_password(archive):
            raise limited_workbooks.password_problem()
        names = set(archive.namelist())
        kind = _beginning(archive, "mimetype") + _beginning(archive, "[Content_Types].xml")
    if b"opendocument.spreadsheet" in kind:
        return _ODS
    if "xl/workbook.bin" in names:
        return _XLSB
    if b"spreadsheetml" in kind:
        return _STRICT if open_xml.is_strict(content) else _XLSX
    raise _not_a_workbook(label)


def _refuse_damaged_xml(content: bytes) -> None:
    """Raise InvalidSubmission if a sheet is not well-formed, of which python-calamine reads the beginning."""
    from xml.parsers import expat

    with _reporting_damage(), zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if _SHEET.match(name):
                with archive.open(name) as member:
                    expat.ParserCreate().ParseFile(member)


def _has_breaks(content: bytes) -> bool:
    """Return whether text in an OpenDocument has tabs or line breaks that python-calamine leaves out."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open("content.xml") as member:
        rest = b""
        while chunk := member.read(2**20):
            if _BREAK.search(rest + chunk):
                return True
            rest = chunk[-32:]
    return False


@contextlib.contextmanager
def _reporting_damage() -> Iterator[None]:
    """Turn any error of zipfile into InvalidSubmission: it has no class of its own for damaged archives."""
    try:
        yield
    except DocsendError:
        raise
    except Exception as error:
        raise _cannot_read(Message("it is damaged")) from error


def _is_bomb(members: list[zipfile.ZipInfo]) -> bool:
    """Return whether an archive unpacks to more than any workbook does. Nothing is unpacked to find out."""
    return sum(member.file_size for member in members) > _MAX_UNPACKED_BYTES or any(
        member.file_size > _MAX_MEMBER_BYTES
        or member.file_size > max(_RATIO_COUNTS_FROM_BYTES, _MAX_RATIO * member.compress_size)
        for member in members
    )


def _has_password(archive: zipfile.ZipFile) -> bool:
    is_encrypted = any(member.flag_bits & 1 for member in archive.infolist())
    return is_encrypted or b"encryption-data" in _beginning(archive, "META-INF/manifest.xml")


def _beginning(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the beginning of a member, or nothing if there is no such member."""
    if name not in archive.namelist():
        return b""
    with archive.open(name) as member:
        return member.read(2**20)


# -- errors ------------------------------------------------------------------------------------------------


def _lost_breaks() -> Problem:
    message = Message("tabs and line breaks within the paragraphs of a cell are lost in this format")
    return Problem(Code.LIMITED_READER, message, Message("save it as .xlsx to have them read"))


def _not_installed(format_: _Format) -> UsageError:
    return UsageError(
        Message("reading {format} requires the extra `tables`", format=format_.message),
        Message(
            'save it as CSV, or run `pip install ".[tables]"` in the folder that docsend was installed from'
        ),
    )


def _cannot_read(reason: Message) -> InvalidSubmission:
    return _problem(
        Message("cannot read the workbook: {reason}", reason=reason),
        Message("save it again, or save it as CSV"),
    )


def _not_a_workbook(label: Message) -> InvalidSubmission:
    return _problem(
        Message("{name} is neither a table nor a workbook", name=label),
        Message("give a file in CSV, JSON Lines, .xlsx, .xlsb, .xls or .ods"),
    )


def _too_large(label: Message) -> InvalidSubmission:
    return _problem(
        Message("{name} is too large once it is unpacked", name=label),
        Message("save the sheet with the table alone, or save it as CSV"),
        Code.MANIFEST_TOO_LARGE,
    )


def _problem(message: Message, hint: Message, code: Code = Code.MANIFEST_MALFORMED) -> InvalidSubmission:
    return InvalidSubmission.from_manifest_problems([Problem(code, message, hint)])
