"""Detect the format of a file from its magic bytes, and find defects in its structure.

Nothing is rendered. The checks only determine whether the file has the structure that a viewer expects, and
whether it is complete. Each takes a time that is proportional to the size of the file, whatever it contains.
"""

from __future__ import annotations

import functools
import re
import struct
from typing import TYPE_CHECKING

from docsend.checks.formats import alteration, bmp, jpeg, pdf, png, tiff
from docsend.model.document import Defect

if TYPE_CHECKING:
    from collections.abc import Callable

# Format names by extension; some formats have two extensions.
FORMAT_OF_EXTENSION = {
    "jpeg": "jpeg",
    "jpg": "jpeg",
    "tiff": "tiff",
    "tif": "tiff",
    "png": "png",
    "bmp": "bmp",
    "pdf": "pdf",
}

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"BM", "bmp"),
    (0, b"II+\0", "bigtiff"),
    (0, b"MM\0+", "bigtiff"),
    # No destination accepts these; they are detected so that the message can name them.
    (0, b"GIF8", "gif"),
    (8, b"WEBP", "webp"),
    (4, b"ftypavif", "avif"),
    (4, b"ftypavis", "avif"),
    (4, b"ftyphei", "heic"),
    (4, b"ftyphev", "heic"),
    (4, b"ftypmif1", "heic"),
    (4, b"ftypmsf1", "heic"),
    (0, b"\0\0\0\x0cjP  ", "jpeg2000"),
    (0, b"\xff\x4f\xff\x51", "jpeg2000"),
    (0, b"\0\0\0\x0cJXL ", "jpegxl"),
    (0, b"\xff\x0a", "jpegxl"),
    (0, b"\0\0\1\0", "ico"),
    (0, b"8BPS", "photoshop"),
    (0, b"%!PS", "postscript"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "msoffice"),
    (0, b"{\\rtf", "rtf"),
)
_MARKUP_START = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*<(!doctype\s|!--|html|head|body|svg\b|\?xml)", re.IGNORECASE
)
# The name of the first element, or of the document type, which is the same.
_ROOT = re.compile(rb"<(?:!doctype\s+)?(?:[\w.-]{1,64}:)?([a-z_][\w.-]{0,64})", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)


def detect_format(content: bytes) -> str | None:
    """Return the format of the content ("pdf", "jpeg", ...), or None if it is unknown."""
    start = content[: pdf.HEADER_BYTES]
    if start.startswith(b"%PDF-"):
        return "pdf"
    # ISO 32000-1, 7.5.2, note: readers accept the header anywhere in the first 1024 bytes. A mail header, the
    # beginning of a web page or a stray "BM" may come first.
    has_pdf_header = b"%PDF-" in start
    name = None
    for at, magic, format_name in _MAGIC:  # In a loop, this takes half the time of a generator.
        if start.startswith(magic, at):
            name = format_name
            break
    if name == "heic" and b"avif" in start[:64]:  # a compatible brand
        return "avif"
    if has_pdf_header and name in (None, "bmp"):
        return "pdf"
    name = name or _detect_markup(start)
    return "pdf" if name is None and pdf.is_headless(content) else name


def _detect_markup(start: bytes) -> str | None:
    """Return the format of a web page, an SVG image or another XML file, or None for anything else."""
    found = _MARKUP_START.match(start)
    if found is None:
        return None
    root = _ROOT.search(_COMMENT.sub(b"", start))
    name = root[1].lower() if root is not None else b""
    if name in (b"svg", b"html", b"head", b"body"):
        return "svg" if name == b"svg" else "html"
    if found[1].lower().startswith((b"?xml", b"!doctype")):
        return "xml"
    return None if found[1] == b"!--" else "html"


def find_defects(content: bytes, format_name: str | None) -> tuple[Defect, ...]:
    """Return what is wrong with the content, or an empty tuple.

    Formats that no destination accepts are not checked.
    """
    find = _FINDERS.get(format_name or "")
    if find is None:
        return ()
    try:
        defects = find(content)
    except _MALFORMED:
        defects = (Defect("damaged"),)
    try:
        altered = alteration.find_defects(content, format_name)
    except _MALFORMED:
        altered = ()
    if not altered:
        return defects
    if any(defect.kind == "altered" for defect in altered):
        return altered  # It explains all other defects.
    if any(defect.kind == "damaged" for defect in defects):
        altered = tuple(defect for defect in altered if defect.kind != "lengths-wrong")
    return defects + altered


# What a check raises about a number that leads out of the file, or that is none.
_MALFORMED = (struct.error, IndexError, ValueError, OverflowError)
_FINDERS: dict[str, Callable[[bytes], tuple[Defect, ...]]] = {
    "pdf": pdf.find_defects,
    "jpeg": jpeg.find_defects,
    "png": png.find_defects,
    "bmp": bmp.find_defects,
    "tiff": tiff.find_defects,
    "bigtiff": functools.partial(tiff.find_defects, is_big=True),
}
