"""PDF: ISO 32000-1, 7.5: whether a file is whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.model.document import Defect

_ENDING = re.compile(rb"startxref\s+(\d+)\b")
_LINEARIZED = re.compile(rb"/Linearized\b[^>]*?/L\s+(\d+)")
_ENCRYPT = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")
# Bounded, so that no run of digits or blanks is looked through again from each of its places.
_OBJECT = re.compile(rb"(?<!\d)\d{1,10}\s{1,16}\d{1,5}\s{1,16}obj\b")
_LOOKS_BACK = 8192  # what downloads append to a file may stand behind its ending
_PADDING = b"\0\t\n\f\r "
_TAIL = 64 * 1024


def find_defect(content: bytes) -> Defect | None:
    """A whole PDF ends with `startxref` and an offset; the dictionary there names the encryption.

    Not every producer counts the offset right or writes `%%EOF`, and viewers open the file all the same.
    What only a file that was cut short lacks is the ending itself.
    """
    end = _end_of_text(content)
    ending = _last_ending(content, max(0, end - _LOOKS_BACK))
    # A linearized file has an ending near its beginning, too, and states its length there (annex F).
    start = content[:1024]
    linearized = _LINEARIZED.search(start) if b"/Linearized" in start else None
    if ending is None or (linearized and int(linearized[1]) > len(content)):
        return "damaged"
    # An object behind the last ending belongs to a revision whose own ending is lost.
    if _OBJECT.search(content, ending.end()):
        return "damaged"
    trailer = _pdf_trailer(content, int(ending[1]))
    return "encrypted" if trailer is not None and _ENCRYPT.search(trailer) else None


def _last_ending(content: bytes, start: int) -> re.Match[bytes] | None:
    at = len(content)
    while (at := content.rfind(b"startxref", start, at)) >= 0:
        if ending := _ENDING.match(content, at):
            return ending
    return None


def _end_of_text(content: bytes) -> int:
    """Give where the padding at the end begins; only a tail is copied for it, unless that is all padding."""
    tail = content[-_TAIL:]
    text = tail.rstrip(_PADDING)
    return len(content) - len(tail) + len(text) if text else len(content.rstrip(_PADDING))


def _pdf_trailer(content: bytes, offset: int) -> bytes | None:
    """Give the last trailer, or the dictionary of the last cross-reference stream, which stands for it."""
    header = content.find(b"%PDF-", 0, 1024)
    for start in (header + offset, offset):
        table = content[start : start + 64].lstrip()
        if table.startswith(b"xref"):
            return _between(content, content.find(b"trailer", start), b"startxref")
        if _OBJECT.match(table):
            return _between(content, start, b"stream")
    if (trailer := content.rfind(b"trailer")) >= 0:
        return _between(content, trailer, b"startxref")
    stream = content.rfind(b"/XRef")
    return None if stream < 0 else _between(content, content.rfind(b" obj", 0, stream), b"stream")


def _between(content: bytes, start: int, end: bytes) -> bytes | None:
    stop = content.find(end, start)
    return None if start < 0 else content[start : stop if stop >= 0 else len(content)]
