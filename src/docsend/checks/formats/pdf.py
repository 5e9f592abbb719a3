"""Defects of PDF files (ISO 32000-1, 7.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.model.document import Defect

_STARTXREF = re.compile(rb"startxref\s+(\d+)\b")
_LINEARIZED = re.compile(rb"/Linearized\b[^>]*?/L\s+(\d+)")
_ENCRYPT = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")
# Without the bounds, a long run of digits or blanks would be scanned again from each position in it.
_OBJECT = re.compile(rb"(?<!\d)\d{1,10}\s{1,16}\d{1,5}\s{1,16}obj\b")
_MAX_TRAILING_BYTES = 8192  # A download may have extra bytes after the end of the PDF.
_PADDING = b"\0\t\n\f\r "
_TAIL_BYTES = 64 * 1024


def find_defect(content: bytes) -> Defect | None:
    """Return "damaged" if the PDF is truncated, "encrypted" if it is encrypted, else None.

    A complete PDF ends with `startxref` and an offset. The trailer at that offset has an /Encrypt entry if
    the file is encrypted. Some producers write a wrong offset or omit `%%EOF`, but viewers open such files.
    Only a truncated file lacks `startxref` itself.
    """
    end = _padding_start(content)
    ending = _find_startxref(content, max(0, end - _MAX_TRAILING_BYTES))
    # A linearized file also has a `startxref` near its start, and gives its own length there (annex F).
    start = content[:1024]
    linearized = _LINEARIZED.search(start) if b"/Linearized" in start else None
    if ending is None or (linearized and int(linearized[1]) > len(content)):
        return "damaged"
    # An object after the last `startxref` belongs to a revision whose own `startxref` is missing.
    if _OBJECT.search(content, ending.end()):
        return "damaged"
    trailer = _find_trailer(content, int(ending[1]))
    return "encrypted" if trailer is not None and _ENCRYPT.search(trailer) else None


def _find_startxref(content: bytes, start: int) -> re.Match[bytes] | None:
    at = len(content)
    while (at := content.rfind(b"startxref", start, at)) >= 0:
        if ending := _STARTXREF.match(content, at):
            return ending
    return None


def _padding_start(content: bytes) -> int:
    """Return the offset at which the padding at the end starts.

    Only the tail of the content is copied, unless the tail is all padding.
    """
    tail = content[-_TAIL_BYTES:]
    text = tail.rstrip(_PADDING)
    return len(content) - len(tail) + len(text) if text else len(content.rstrip(_PADDING))


def _find_trailer(content: bytes, offset: int) -> bytes | None:
    """Return the trailer, or the cross-reference stream's dictionary, at `offset`, or None.

    If there is neither at `offset`, return the last one in the file.
    """
    header = content.find(b"%PDF-", 0, 1024)
    for start in (header + offset, offset):
        table = content[start : start + 64].lstrip()
        if table.startswith(b"xref"):
            return _slice_until(content, content.find(b"trailer", start), b"startxref")
        if _OBJECT.match(table):
            return _slice_until(content, start, b"stream")
    if (trailer := content.rfind(b"trailer")) >= 0:
        return _slice_until(content, trailer, b"startxref")
    stream = content.rfind(b"/XRef")
    return None if stream < 0 else _slice_until(content, content.rfind(b" obj", 0, stream), b"stream")


def _slice_until(content: bytes, start: int, end: bytes) -> bytes | None:
    stop = content.find(end, start)
    return None if start < 0 else content[start : stop if stop >= 0 else len(content)]
