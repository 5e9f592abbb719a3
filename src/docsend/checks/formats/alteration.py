"""Files that a program altered on their way: converted as if they were text, or stored with chunk sizes.

This happens if a script uses the text of an HTTP response instead of its bytes, in mail gateways, and in
transfers in "text mode". Viewers open such a PDF and show blank pages.
"""

from __future__ import annotations

import codecs
import itertools
import re
from typing import TYPE_CHECKING, Literal

from docsend.checks.formats.pdf_objects import BLANK, HEAD, STARTXREF, STREAM, Objects, Reference
from docsend.model.document import Defect

if TYPE_CHECKING:
    from collections.abc import Iterator

# The content of a conversion to UTF-8 has two or three bytes for each byte from 128 on.
_MIN_EXTRA_BYTES = 64
# By chance, one line feed in 256 of compressed data follows a carriage return.
_MIN_LINE_ENDINGS = 16
# Compressed data of this length has about 16 CR LF by chance.
_MIN_LENGTH_WITH_LINE_ENDINGS = 2**20
# Bytes that text conversions replace or remove: NUL, tab, LF, CR and Ctrl-Z. In this many bytes of compressed
# data, each of them occurs (the probability that one is missing is below 1 in 100 million).
_CONVERTED = (b"\0", b"\t", b"\n", b"\r", b"\x1a")
_MIN_COMPRESSED_BYTES = 8_000
_MAX_MISSING_BYTES = 8
_SIZE_LINE = rb"[ \t]{0,8}(?:;[^\r\n]{0,64})?\r?\n"
_CHUNK_START = re.compile(rb"\A[0-9A-Fa-f]{1,8}" + _SIZE_LINE + rb"%PDF-")
_CHUNK = re.compile(rb"\r?\n([0-9A-Fa-f]{1,6})" + _SIZE_LINE)
_MAX_CANDIDATES = 64
_MAX_COUNTS = 32  # of line feeds in a file that may consist of little else
_MAX_FILTERS = 4096  # that are looked at, whatever follows them
_MAX_STREAMS = 16
_MAX_SAMPLED_STREAMS = 64
_SAMPLE_BYTES = 16 * 1024
_DECODED_BYTES = 16 * 1024

_FILTER = re.compile(rb"/Filter")
_BINARY_FILTER = re.compile(
    BLANK
    + rb"{0,16}(?:\["
    + BLANK
    + rb"{0,16})?/(?:FlateDecode|Fl|DCTDecode|DCT|CCITTFaxDecode|CCF|JPXDecode|JBIG2Decode|LZWDecode|LZW)\b"
)
_LENGTH = re.compile(
    rb"/Length" + BLANK + rb"{1,16}(\d{1,9})(?:" + BLANK + rb"{1,16}(\d{1,5})" + BLANK + rb"{1,16}R\b)?(?!\d)"
)
_END = re.compile(BLANK + rb"{0,4}endstream")
_TABLE = re.compile(BLANK + rb"{0,2}(?:xref\b|" + HEAD.pattern + rb"[^>]{0,512}/XRef\b)")

Kind = Literal["altered", "lines-altered", "chunked", "lengths-wrong"]


def find_defects(content: bytes, format_name: str | None) -> tuple[Defect, ...]:
    """Return the alteration of a file, or an empty tuple."""
    kind: Kind | None = None
    if format_name == "pdf":
        if b"/Filter" in content:  # Without compressed streams it is text, which survives other line endings.
            kind = _find_pdf_alteration(content)
    else:
        kind = _find_image_alteration(content, format_name)
    return () if kind is None else (Defect(kind, is_certain=kind == "altered"),)


def _is_converted_to_utf8(content: bytes) -> bool:
    """Return whether the whole content is UTF-8 with at least _MIN_EXTRA_BYTES more bytes than characters."""
    at = characters = 0
    try:
        while at < len(content):
            # Piece by piece, because a UnicodeDecodeError contains a copy of what was to be decoded.
            end = at + _DECODED_BYTES
            text, length = codecs.utf_8_decode(content[at:end], "strict", end >= len(content))
            characters += len(text)
            at += length
    except UnicodeDecodeError:
        return False
    return len(content) - characters >= _MIN_EXTRA_BYTES


def _has_converted_bytes(content: bytes) -> bool:
    """Return whether each byte that text conversions replace still occurs, so that there was none."""
    return all(byte in content for byte in _CONVERTED)


def _lacks_converted_bytes(compressed: bytes) -> bool:
    """Return whether compressed data lacks bytes that text conversions replace, and almost no others.

    Data that lacks many bytes, such as a picture of one color, is not random enough to tell.
    """
    if len(compressed) < _MIN_COMPRESSED_BYTES or _has_converted_bytes(compressed):
        return False
    return 256 - len(set(compressed)) <= _MAX_MISSING_BYTES


# -- images ------------------------------------------------------------------------------------------------


def _find_image_alteration(content: bytes, format_name: str | None) -> Kind | None:
    if format_name in ("bmp", "tiff", "bigtiff") and _is_converted_to_utf8(content):
        # Pixels of one color may be UTF-8. A conversion makes a file longer than its header says.
        has_its_size = format_name == "bmp" and int.from_bytes(content[2:6], "little") == len(content)
        return None if has_its_size else "altered"
    if format_name == "jpeg" and _has_altered_scan(content):
        return "lines-altered"
    has_changed = not _has_lone_line_feed(content) and content.count(b"\n") >= _MIN_LINE_ENDINGS
    return "lines-altered" if has_changed else None


def _has_lone_line_feed(content: bytes) -> bool:
    """Return whether a line feed does not follow a carriage return. In most files, the first one does not."""
    at = content.find(b"\n")
    is_first_lone = at >= 0 and content[max(0, at - 1) : at] != b"\r"
    return is_first_lone or content.count(b"\n") > content.count(b"\r\n")


def _has_altered_scan(content: bytes) -> bool:
    """Return whether the compressed data of a JPEG image lacks what text conversions replace or remove."""
    lacks_bytes = not _has_converted_bytes(content)
    lacks_line_endings = len(content) >= _MIN_LENGTH_WITH_LINE_ENDINGS and b"\r\n" not in content
    if not lacks_bytes and not lacks_line_endings:
        return False
    # Neither the metadata before the scan nor text that was appended is compressed.
    scan = content[content.find(b"\xff\xda") : content.rfind(b"\xff\xd9")]
    return _lacks_converted_bytes(scan) or _lacks_line_endings(scan)


def _lacks_line_endings(compressed: bytes) -> bool:
    """Return whether compressed data has no CR LF at all, although chance would produce many."""
    if b"\r\n" in compressed or len(compressed) < _MIN_LENGTH_WITH_LINE_ENDINGS:
        return False
    expected = compressed.count(b"\r") * compressed.count(b"\n") / len(compressed)
    return expected >= _MIN_LINE_ENDINGS


# -- PDF ---------------------------------------------------------------------------------------------------


def _find_pdf_alteration(content: bytes) -> Kind | None:
    if _is_binary_data_text(content):
        return "altered"
    is_long = len(content) >= _MIN_COMPRESSED_BYTES
    if is_long and not _has_converted_bytes(content) and _lacks_converted_bytes(_compressed_sample(content)):
        return "lines-altered"
    if _has_right_offset(content):
        return None
    if _CHUNK_START.match(content) or _has_chunk_chain(content):
        return "chunked"
    if _has_grown_by_line_feeds(content):
        return "lines-altered"
    return "lengths-wrong" if _are_lengths_wrong(content) else None


def _is_binary_data_text(content: bytes) -> bool:
    """Return whether a file has compressed streams, and yet its whole content is ASCII or UTF-8.

    Compressed data is never text by chance, apart from very short streams.
    """
    if not content.isascii() and not _is_converted_to_utf8(content):
        return False
    return any(len(data) >= _MIN_EXTRA_BYTES for data in _binary_streams(content))


def _binary_streams(content: bytes, *, most: int = _MAX_STREAMS) -> Iterator[bytes]:
    """Yield the data of the first streams with a filter whose result is not text."""
    keys = itertools.islice(_FILTER.finditer(content), _MAX_FILTERS)
    filters = (_BINARY_FILTER.match(content, key.end()) for key in keys)
    for found in itertools.islice(filter(None, filters), most):
        stream = STREAM.search(content, found.end(), found.end() + 2048)
        if stream is not None and content.find(b"endobj", found.end(), stream.start()) < 0:
            end = content.find(b"endstream", stream.end())
            yield content[stream.end() : min(max(stream.end(), end), stream.end() + _SAMPLE_BYTES)]


def _compressed_sample(content: bytes) -> bytes:
    """Return up to _SAMPLE_BYTES of compressed data, from the first streams."""
    sample = bytearray()
    for data in _binary_streams(content, most=_MAX_SAMPLED_STREAMS):
        sample += data[: _SAMPLE_BYTES - len(sample)]
        if len(sample) == _SAMPLE_BYTES:
            break
    return bytes(sample)


def _has_right_offset(content: bytes) -> bool:
    """Return whether `startxref` gives the right offset of a table behind most of the content.

    Then nothing was inserted or removed before the table. In a linearized file, most of the content is behind
    the table.
    """
    ending = STARTXREF.match(content, max(0, content.rfind(b"startxref")))
    offset = int(ending[1]) if ending is not None else 0
    return len(content) < 2 * offset < 2 * len(content) and _TABLE.match(content, offset) is not None


def _has_chunk_chain(content: bytes) -> bool:
    """Return whether chunk sizes are between the chunks, each leading to the next one."""
    for found in itertools.islice(_CHUNK.finditer(content, 0, 2**20), _MAX_CANDIDATES):
        following = _CHUNK.match(content, found.end() + int(found[1], 16))
        if following is not None and int(found[1], 16):
            return True
    return False


def _has_grown_by_line_feeds(content: bytes) -> bool:
    """Return whether a cross-reference table is as far behind its given offset as there are line feeds.

    This proves that each LF has become CR LF. In a linearized file, the table is near the start.
    """
    ending = STARTXREF.match(content, max(0, content.rfind(b"startxref")))
    if ending is None or _has_lone_line_feed(content):
        return False
    given = at = int(ending[1])
    for _ in range(_MAX_COUNTS):
        moved = given + content.count(b"\n", 0, at)
        if moved == at or moved >= len(content):
            break
        at = moved
    return given < at < len(content) and _TABLE.match(content, at) is not None


def _are_lengths_wrong(content: bytes) -> bool:
    """Return whether half or more of the examined compressed streams do not end where /Length says."""
    objects = Objects(content, is_encrypted=True)
    examined = wrong = 0
    for found in itertools.islice(_LENGTH.finditer(content), _MAX_STREAMS):
        stream = STREAM.search(content, found.end(), found.end() + 1024)
        if stream is None or b"endobj" in content[found.end() : stream.start()]:
            continue
        if b"/Filter" not in content[content.rfind(b"obj", 0, found.start()) : stream.start()]:
            continue
        length = int(found[1])
        if found[2] is not None:
            value = objects.resolve(Reference(length, int(found[2])))
            if not isinstance(value, int):
                continue
            length = value
        examined += 1
        wrong += _END.match(content, stream.end() + length) is None
    return wrong > 0 and 2 * wrong >= examined
