"""What a file's bytes are, and whether they are whole: magic bytes, ends, structure.

Nothing is decoded, rendered or decompressed. The question is only whether a clerk's viewer would find the
format that the file's name promises, from its first byte to its last.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docsend.model.submission import Defect

# Formats by extension: several extensions are one format.
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
    # Kinds that no destination takes, known by name so that the message can name them.
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


def recognise(content: bytes) -> str | None:
    """The format of these bytes by their magic, or None if they are of no known kind."""
    for offset, magic, name in _MAGIC:
        if content.startswith(magic, offset):
            return name
    if _HTML_START.match(content[:512]):
        return "html"
    # ISO 32000-1, 7.5.2 note: readers accept the header anywhere in the first 1024 bytes.
    return "pdf" if b"%PDF-" in content[:1024] else None


def defect_of(content: bytes, format_name: str | None) -> Defect | None:
    """What keeps this content from being opened: it is cut short, broken or needs a password.

    Only formats that some destination takes are looked into.
    """
    find = _DEFECTS.get(format_name or "")
    try:
        return find(content) if find is not None else None
    except (struct.error, IndexError, ValueError):
        return "damaged"


# -- PDF: ISO 32000-1, 7.5 ---------------------------------------------------------------------------------

_ENDING = re.compile(rb"startxref\s+(\d+)\b")
_LINEARIZED = re.compile(rb"/Linearized\b[^>]*?/L\s+(\d+)")
_ENCRYPT = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")
# Bounded, so that no run of digits or blanks is looked through again from each of its places.
_OBJECT = re.compile(rb"(?<!\d)\d{1,10}\s{1,16}\d{1,5}\s{1,16}obj\b")
_LOOKS_BACK = 8192  # what downloads append to a file may stand behind its ending
_PADDING = b"\0\t\n\f\r "
_TAIL = 64 * 1024


def _pdf_defect(content: bytes) -> Defect | None:
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


# -- JPEG: ITU-T T.81, annex B -----------------------------------------------------------------------------

_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, RST0-7, SOI: markers without a length


def _jpeg_defect(content: bytes) -> Defect | None:
    """Walk the segments to the first scan; from there an end-of-image marker must follow."""
    position = 2
    while True:
        # Between segments, stray bytes are passed over, as decoders do.
        position = content.index(0xFF, position)
        while content[position] == 0xFF:
            position += 1
        marker = content[position]
        position += 1
        if marker == 0xD9:  # an end of image before any scan: nothing to see
            return "damaged"
        if marker in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", content, position)
        position += length
        if marker == 0xDA:
            # Inside a scan 0xFF is followed by 0x00 or a restart, so this pair can only be the end.
            return None if content.find(b"\xff\xd9", position) >= 0 else "damaged"


# -- PNG: ISO/IEC 15948, 5.3 -------------------------------------------------------------------------------


def _png_defect(content: bytes) -> Defect | None:
    """Every chunk is complete and keeps its checksum; image data and the end chunk are there."""
    view = memoryview(content)
    position, seen_data = 8, False
    while True:
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", content, end)
        # Decoders pass over a comment whose checksum is wrong; kinds in small letters are such extras.
        if kind[:1].isupper() and zlib.crc32(view[position + 4 : end]) != checksum:
            return "damaged"
        seen_data = seen_data or kind == b"IDAT"
        if kind == b"IEND":
            return None if seen_data else "damaged"
        position = end + 4


# -- BMP: BITMAPFILEHEADER and BITMAPINFOHEADER ------------------------------------------------------------


def _bmp_defect(content: bytes) -> Defect | None:
    """The pixels that the header promises are there."""
    (pixels_at, header_size) = struct.unpack_from("<II", content, 10)
    compression = stated = 0
    if header_size == 12:  # BITMAPCOREHEADER
        width, height, _planes, depth = struct.unpack_from("<HHHH", content, 18)
    elif header_size < 40:  # OS22XBITMAPHEADER, cut short
        width, height, _planes, depth = struct.unpack_from("<iiHH", content, 18)
    else:
        width, height, _planes, depth, compression, stated = struct.unpack_from("<iiHHII", content, 18)
    if width <= 0 or height == 0 or depth not in (0, 1, 2, 4, 8, 16, 24, 32):
        return "damaged"
    uncompressed = compression in (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS
    pixel_bytes = (width * depth + 31) // 32 * 4 * abs(height) if uncompressed else stated
    # Some writers leave out the padding of the last row, which is at most three bytes.
    return None if pixels_at + pixel_bytes - 3 <= len(content) else "damaged"


# -- TIFF 6.0, section 2 -----------------------------------------------------------------------------------

_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_OFFSETS = (273, 324, 513)  # StripOffsets, TileOffsets, JPEGInterchangeFormat
_LENGTHS = (279, 325, 514)  # StripByteCounts, TileByteCounts, JPEGInterchangeFormatLength
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_SAMPLES, _ROWS_PER_STRIP, _PLANES = 277, 278, 284
_SIZES = (_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _ROWS_PER_STRIP, _PLANES)
_MOST_PAGES = 10_000
_MOST_FIELDS = 400_000  # of all pages; a directory may lie inside another one, and be read again and again


def _tiff_defect(content: bytes) -> Defect | None:
    """Every page's directory is inside the file, and so is every strip or tile that it names."""
    order = "<" if content.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(order + "I", content, 4)
    visited: set[int] = set()
    seen_fields, seen_values, has_image = 0, 0, False
    while directory:
        (count,) = struct.unpack_from(order + "H", content, directory)
        seen_fields += count
        if directory in visited or len(visited) >= _MOST_PAGES or seen_fields > _MOST_FIELDS:
            return "damaged"
        visited.add(directory)
        fields = {}
        for tag, values in _tiff_fields(content, order, directory + 2, count):
            fields[tag] = values
            # Fields may name the same values over and over: all together, no more than the file can hold.
            seen_values += len(values)
            if 2 * seen_values > len(content):
                return "damaged"
        offsets = next((fields[tag] for tag in _OFFSETS if tag in fields), ())
        lengths = _tiff_lengths(fields, len(offsets))
        if any(start + length > len(content) for start, length in zip(offsets, lengths, strict=True)):
            return "damaged"
        has_image = has_image or bool(offsets)
        (directory,) = struct.unpack_from(order + "I", content, directory + 2 + 12 * count)
    return None if has_image else "damaged"


def _tiff_lengths(fields: dict[int, tuple[int, ...]], pieces: int) -> tuple[int, ...]:
    """Give how many bytes each strip or tile of a page must have.

    What is not compressed says it twice, and the smaller number counts: some writers state a whole strip for
    a last one that has fewer rows, old ones leave the lengths out. Without either, each piece has at least to
    begin inside the file.
    """
    stated = next((fields[tag] for tag in _LENGTHS if tag in fields), None)
    computed = _tiff_strips(fields, pieces)
    if stated is None or computed is None:
        return stated or computed or (1,) * pieces
    return tuple(map(min, stated, computed)) if len(stated) == pieces else stated


def _tiff_strips(fields: dict[int, tuple[int, ...]], pieces: int) -> tuple[int, ...] | None:
    """Compute the lengths of strips that are neither compressed nor cut in planes; None for all others."""
    width, height = fields.get(_WIDTH, (0,))[0], fields.get(_HEIGHT, (0,))[0]
    is_plain = (
        fields.get(_COMPRESSION, (1,))[0] == 1
        and fields.get(_PLANES, (1,))[0] == 1
        and fields.get(_PHOTOMETRIC, (0,))[0] != 6  # YCbCr has fewer bytes than its pixels say
        and 273 in fields
    )
    rows = min(fields.get(_ROWS_PER_STRIP, (height,))[0], height)
    if not is_plain or not rows or (height + rows - 1) // rows != pieces:
        return None
    bits = fields.get(_BITS, (1,))
    depth = sum(bits) if len(bits) > 1 else bits[0] * fields.get(_SAMPLES, (1,))[0]
    row = (width * depth + 7) // 8
    return (row * rows,) * (pieces - 1) + (row * (height - rows * (pieces - 1)),)


def _tiff_fields(
    content: bytes, order: str, position: int, count: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The fields about a page's strips and tiles; the others are passed over."""
    for entry in range(position, position + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", content, entry)
        if tag not in _OFFSETS + _LENGTHS + _SIZES or values == 0:
            continue
        if tag in _SIZES and kind not in (3, 4):
            continue
        if kind not in (3, 4) or values * 2 > len(content):
            raise ValueError("not an offset or length")
        letter = "H" if kind == 3 else "I"
        at = entry + 8
        if values * _TIFF_SIZES[kind] > 4:  # values of up to four bytes stand in the entry itself
            (at,) = struct.unpack_from(order + "I", content, at)
        yield tag, struct.unpack_from(f"{order}{values}{letter}", content, at)


_DEFECTS: dict[str, Callable[[bytes], Defect | None]] = {
    "pdf": _pdf_defect,
    "jpeg": _jpeg_defect,
    "png": _png_defect,
    "bmp": _bmp_defect,
    "tiff": _tiff_defect,
}
