"""Detect the format of a file from its magic bytes, and find defects in its structure.

Nothing is decoded, rendered or decompressed. The checks only determine whether the file has the structure
that a viewer expects, and whether it is complete.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from docsend.checks.formats import bmp, jpeg, pdf, png, tiff

if TYPE_CHECKING:
    from collections.abc import Callable

    from docsend.model.document import Defect

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
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"%PDF-", "pdf"),
    (0, b"BM", "bmp"),
    # No destination accepts these; they are detected so that the message can name them.
    (0, b"II+\0", "bigtiff"),
    (0, b"MM\0+", "bigtiff"),
    (0, b"GIF8", "gif"),
    (8, b"WEBP", "webp"),
    (4, b"ftypheic", "heic"),
    (4, b"ftypheix", "heic"),
    (4, b"ftypmif1", "heic"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "msoffice"),
    (0, b"{\\rtf", "rtf"),
)
_HTML_START = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|\?xml)", re.IGNORECASE)


def detect_format(content: bytes) -> str | None:
    """Return the format of the content ("pdf", "jpeg", ...), or None if it is unknown."""
    for offset, magic, name in _MAGIC:
        if content.startswith(magic, offset):
            return name
    if _HTML_START.match(content[:512]):
        return "html"
    # ISO 32000-1, 7.5.2, note: readers accept the header anywhere in the first 1024 bytes.
    return "pdf" if b"%PDF-" in content[:1024] else None


def find_defect(content: bytes, format_name: str | None) -> Defect | None:
    """Return "damaged" if the content is corrupt or truncated, "encrypted" if it needs a password, else None.

    Formats that no destination accepts are not checked.
    """
    find = _DEFECTS.get(format_name or "")
    try:
        return find(content) if find is not None else None
    except (struct.error, IndexError, ValueError):
        return "damaged"


_DEFECTS: dict[str, Callable[[bytes], Defect | None]] = {
    "pdf": pdf.find_defect,
    "jpeg": jpeg.find_defect,
    "png": png.find_defect,
    "bmp": bmp.find_defect,
    "tiff": tiff.find_defect,
}
