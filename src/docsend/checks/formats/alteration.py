"""Files that a program altered on their way: converted as if they were text, or stored with chunk sizes.

This happens if a script uses the text of an HTTP response instead of its bytes, in mail gateways, and in
transfers in "text mode". Viewers open such a PDF and show blank pages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from docsend.checks.formats.pdf_objects import BLANK, HEAD
from docsend.model.document import Defect

if TYPE_CHECKING:
    from collections.abc import Iterator

# The content of a conversion to UTF-8 has two or three bytes for each byte from 128 on.
_MIN_EXTRA_BYTES = 64
_LONE_LINE_FEED = re.compile(rb"(?<!\r)\n")
# By chance, one line feed in 256 of compressed data follows a carriage return.
_MIN_LINE_ENDINGS = 16
_CHUNK_START = re.compile(rb"\A[0-9A-Fa-f]{1,8}(?:;[^\r\n]{0,64})?\r\n%PDF-")
_CHUNK = re.compile(rb"\r\n([0-9A-Fa-f]{1,6})\r\n")
_MAX_CANDIDATES = 64
_MAX_STREAMS = 16

_STARTXREF = re.compile(rb"startxref" + BLANK + rb"{1,16}(\d{1,12})(?!\d)")
_TABLE = re.compile(BLANK + rb"{0,2}(?:xref|" + HEAD.pattern + rb")")
_FILTER = re.compile(
    rb"/Filter" + BLANK + rb"{0,16}\[?" + BLANK + rb"{0,16}/(FlateDecode|Fl|DCTDecode|DCT)\b"
)
_STREAM = re.compile(rb"\bstream(?:\r{0,2}\n|\r)")
_LENGTH = re.compile(
    rb"/Length" + BLANK + rb"{1,16}(\d{1,9})(?!\d|" + BLANK + rb"{1,16}\d{1,5}" + BLANK + rb"{1,16}R\b)"
)
_END = re.compile(BLANK + rb"{0,4}endstream")

Kind = Literal["altered", "lines-altered", "chunked"]


def find_defects(content: bytes, format_name: str | None) -> tuple[Defect, ...]:
    """Return the alteration of a file, or an empty tuple."""
    kind = (
        _find_pdf_alteration(content)
        if format_name == "pdf"
        else _find_image_alteration(content, format_name)
    )
    return () if kind is None else (Defect(kind, is_certain=kind == "altered"),)


def _is_converted_to_utf8(content: bytes) -> bool:
    """Return whether the whole content is UTF-8 with at least _MIN_EXTRA_BYTES more bytes than characters."""
    try:
        return len(content) - len(content.decode()) >= _MIN_EXTRA_BYTES
    except UnicodeDecodeError:
        return False


# -- images ------------------------------------------------------------------------------------------------


def _find_image_alteration(content: bytes, format_name: str | None) -> Kind | None:
    if format_name in ("bmp", "tiff", "bigtiff") and _is_converted_to_utf8(content):
        return "altered"
    if _LONE_LINE_FEED.search(content) is None and content.count(b"\n") >= _MIN_LINE_ENDINGS:
        return "lines-altered"
    return "lines-altered" if format_name == "jpeg" and _lacks_line_endings(content) else None


def _lacks_line_endings(content: bytes) -> bool:
    """Return whether compressed data has no CR LF at all, although chance would produce many."""
    if b"\r\n" in content:
        return False
    expected = content.count(b"\r") * content.count(b"\n") / len(content)
    return expected >= _MIN_LINE_ENDINGS


# -- PDF ---------------------------------------------------------------------------------------------------


def _find_pdf_alteration(content: bytes) -> Kind | None:
    if _is_binary_data_text(content):
        return "altered"
    if _has_right_offset(content) or b"/Filter" not in content:  # Text survives other line endings.
        return None
    if _CHUNK_START.match(content) or _has_chunk_chain(content):
        return "chunked"
    if _has_grown_by_line_feeds(content) or _are_lengths_wrong(content):
        return "lines-altered"
    return None


def _is_binary_data_text(content: bytes) -> bool:
    """Return whether a file has Flate or JPEG streams, and yet its whole content is ASCII or UTF-8.

    Compressed data is never text by chance, apart from very short streams.
    """
    if content.isascii():
        return any(length >= _MIN_EXTRA_BYTES for length in _binary_stream_lengths(content))
    return _is_converted_to_utf8(content) and any(_binary_stream_lengths(content))


def _binary_stream_lengths(content: bytes) -> Iterator[int]:
    """Yield the number of bytes in each of the first Flate and JPEG streams."""
    for _, found in zip(range(_MAX_STREAMS), _FILTER.finditer(content), strict=False):
        stream = _STREAM.search(content, found.end(), found.end() + 2048)
        if stream is not None:
            yield max(0, content.find(b"endstream", stream.end()) - stream.end())


def _has_right_offset(content: bytes) -> bool:
    """Return whether `startxref` gives the right offset of a table behind most of the content.

    Then nothing was inserted or removed before the table. In a linearized file, most of the content is behind
    the table.
    """
    ending = _STARTXREF.match(content, max(0, content.rfind(b"startxref")))
    offset = int(ending[1]) if ending is not None else 0
    return 2 * offset > len(content) and _TABLE.match(content, offset) is not None


def _has_chunk_chain(content: bytes) -> bool:
    """Return whether chunk sizes are between the chunks, each leading to the next one."""
    for _, found in zip(range(_MAX_CANDIDATES), _CHUNK.finditer(content, 0, 2**20), strict=False):
        following = _CHUNK.match(content, found.end() + int(found[1], 16))
        if following is not None and int(found[1], 16):
            return True
    return False


def _has_grown_by_line_feeds(content: bytes) -> bool:
    """Return whether the cross-reference table is as far behind its given offset as there are line feeds.

    This proves that each LF has become CR LF.
    """
    at = content.rfind(b"startxref")
    ending = _STARTXREF.match(content, max(0, at))
    if ending is None or _LONE_LINE_FEED.search(content) is not None:
        return False
    given = int(ending[1])
    return any(
        given < table and table - content.count(b"\n", 0, table) == given
        for table in _last_tables(content, at)
    )


def _last_tables(content: bytes, end: int) -> Iterator[int]:
    """Yield the offsets of the last cross-reference table and stream before `end`, or -1."""
    yield content.rfind(b"xref", 0, end)
    stream = content.rfind(b"/XRef", 0, end)
    head = content.rfind(b"obj", 0, max(0, stream))
    line = max(content.rfind(b"\n", 0, max(0, head)), content.rfind(b"\r", 0, max(0, head)))
    yield line + 1


def _are_lengths_wrong(content: bytes) -> bool:
    """Return whether half or more of the examined compressed streams do not end where their /Length says."""
    examined = wrong = 0
    for _, found in zip(range(_MAX_STREAMS), _LENGTH.finditer(content), strict=False):
        stream = _STREAM.search(content, found.end(), found.end() + 1024)
        if stream is None or b"endobj" in content[found.end() : stream.start()]:
            continue
        if b"/Filter" not in content[content.rfind(b"obj", 0, found.start()) : stream.start()]:
            continue
        examined += 1
        wrong += _END.match(content, stream.end() + int(found[1])) is None
    return wrong > 0 and 2 * wrong >= examined
