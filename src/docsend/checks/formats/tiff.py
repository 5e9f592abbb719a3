"""Defects of TIFF files (TIFF 6.0, section 2) and of BigTIFF files, which have 64-bit offsets."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from docsend.checks.formats.png import is_zlib
from docsend.model.document import Defect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# BYTE, SHORT, LONG, their signed variants, IFD, LONG8, SLONG8 and IFD8.
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_OFFSETS = (273, 324, 513)  # StripOffsets, TileOffsets, JPEGInterchangeFormat
_LENGTHS = (279, 325, 514)  # StripByteCounts, TileByteCounts, JPEGInterchangeFormatLength
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_SAMPLES, _ROWS_PER_STRIP, _PLANES, _SUBSAMPLING, _FILL_ORDER = 277, 278, 284, 530, 266
_YCBCR = 6
_SIZES = (
    _WIDTH,
    _HEIGHT,
    _BITS,
    _COMPRESSION,
    _PHOTOMETRIC,
    _SAMPLES,
    _ROWS_PER_STRIP,
    _PLANES,
    _SUBSAMPLING,
    _FILL_ORDER,
)
# Fields with one value, of the type SHORT or LONG.
_SINGLE = frozenset({_WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _ROWS_PER_STRIP, _PLANES})
_SHORT, _LONG = 3, 4
_WANTED = frozenset(_OFFSETS + _LENGTHS + _SIZES)
# Uncompressed, CCITT, LZW, old and new JPEG, Deflate (two codes) and PackBits.
_COMMON_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946)
# Those that libtiff, with which most viewers read TIFF, may know, or not. It never knows others, such as
# JPEG 2000.
_RARE_COMPRESSIONS = {
    32766: "NeXT",
    32771: "CCITT RLE",
    32809: "ThunderScan",
    32909: "PixarLog",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
}
_LZW, _JPEG, _DEFLATE = 5, 7, (8, 32946)
_USUAL_ORDER = (1,)  # of the bits of a byte
_START_ZEROS = bytes(4)
_END_ZEROS = bytes(32)
_MAX_STRIPS = 100  # of a page, the last ones, whose starts and ends are looked at
_MAX_PAGES = 10_000
_MAX_SAMPLES = 64  # of a pixel; files of measuring instruments have about ten
# In a file that was cut short, the offset of the next page is a few times its size. Larger ones never were
# offsets.
_GARBAGE_FACTOR = 32
# Limit for all pages together. Directories may overlap, so the same bytes could be read many times.
_MAX_FIELDS = 400_000

_NO_IMAGE = (Defect("damaged"),)
_DAMAGED = (Defect("damaged", is_certain=False),)
_UNUSUAL = (Defect("unusual", is_certain=False),)
_DOUBTFUL = (Defect("doubtful"),)


class _Layout(NamedTuple):
    """How a directory is stored: formats of the field count, a field's head and an offset; their sizes."""

    field_count: str
    field: str
    offset: str
    count_bytes: int
    field_bytes: int
    inline_bytes: int

    @property
    def value_at(self) -> int:
        """Position of the value, or of its offset, inside a field."""
        return self.field_bytes - self.inline_bytes


def _layout(order: str, *, is_big: bool) -> _Layout:
    if is_big:
        return _Layout(order + "Q", order + "HHQ", order + "Q", 8, 20, 8)
    return _Layout(order + "H", order + "HHI", order + "I", 2, 12, 4)


def find_defects(content: bytes, *, is_big: bool = False) -> tuple[Defect, ...]:
    """Return the defects: a directory, strip or tile outside the file, no image, or a rare variant."""
    try:
        return _find_directory_defects(content, is_big=is_big)
    except (struct.error, ValueError, OverflowError):  # The content ends inside a directory or its values.
        return _DAMAGED


def _find_directory_defects(content: bytes, *, is_big: bool) -> tuple[Defect, ...]:
    order = "<" if content.startswith(b"II") else ">"
    layout = _layout(order, is_big=is_big)
    (directory,) = struct.unpack_from(layout.offset, content, 8 if is_big else 4)
    found: set[Defect] = {Defect("rare", ("BigTIFF",))} if is_big else set()
    visited: set[int] = set()
    # Fields may refer to the same values repeatedly. Values have two bytes or more, so together they must not
    # exceed the file.
    seen_fields, values_left, has_image = 0, len(content) // 2, False
    while directory:
        if directory in visited:  # Viewers show the pages up to here.
            found.add(Defect("repaired"))
            break
        if visited and directory > _GARBAGE_FACTOR * len(content):  # Viewers show the pages up to here.
            found.add(Defect("repaired", ("pages",)))
            break
        (count,) = struct.unpack_from(layout.field_count, content, directory)
        seen_fields += count
        if not count or len(visited) >= _MAX_PAGES or seen_fields > _MAX_FIELDS:
            # A page has fields. Without any, it was not received, and neither were those behind it.
            return _DAMAGED if count else _NO_IMAGE
        visited.add(directory)
        first_field = directory + layout.count_bytes
        fields, values_left = _read_page(content, order, layout, first_field, count, values_left)
        if not _is_orderly(content, layout, first_field, count):
            found.update(_DOUBTFUL)
        if defects := _find_page_defects(fields, content):
            if any(defect.kind == "damaged" for defect in defects):
                return defects
            found.update(defects)
        has_image = has_image or any(tag in fields for tag in _OFFSETS)
        next_at = first_field + layout.field_bytes * count
        if next_at + layout.inline_bytes > len(content):  # The offset of the next page is missing: it was 0.
            break
        (directory,) = struct.unpack_from(layout.offset, content, next_at)
    return tuple(sorted(found, key=_by_kind)) if has_image else _NO_IMAGE


def _read_page(
    content: bytes, order: str, layout: _Layout, first_field: int, count: int, values_left: int
) -> tuple[dict[int, tuple[int, ...]], int]:
    """Return the values of a page's fields, and how many values other pages may have.

    Raise ValueError if the page has more values than are left.
    """
    fields: dict[int, tuple[int, ...]] = {}
    for tag, values in _read_fields(content, order, layout, first_field, count):
        fields.setdefault(tag, values)
        values_left -= len(values)
        if values_left < 0:
            raise ValueError("there are more values than the file has room for")
    return fields, values_left


def _is_orderly(content: bytes, layout: _Layout, first_field: int, count: int) -> bool:
    """Return whether the fields of a directory are sorted, and each field with one value has one.

    Decoders ignore some fields that are not as they should be, and fail because of others.
    """
    entry = struct.Struct(f"{layout.field}{layout.inline_bytes}x")
    end = min(first_field + entry.size * count, len(content))
    whole = content[first_field : end - (end - first_field) % entry.size]
    fields = list(entry.iter_unpack(whole))
    tags = [tag for tag, _, _ in fields]
    return tags == sorted(tags) and all(
        values == 1 and kind in (_SHORT, _LONG) for tag, kind, values in fields if tag in _SINGLE
    )


def _by_kind(defect: Defect) -> str:
    return defect.kind


def _find_page_defects(fields: dict[int, tuple[int, ...]], content: bytes) -> tuple[Defect, ...]:
    """Return the defects of one page of a file."""
    offsets = next((fields[tag] for tag in _OFFSETS if tag in fields), ())
    if not offsets:
        return ()
    width, height = fields.get(_WIDTH, (0,))[0], fields.get(_HEIGHT, (0,))[0]
    if not width or not height or _PHOTOMETRIC not in fields or not _has_plausible_samples(fields):
        return _DAMAGED
    if 273 in fields and len(offsets) < _strip_count(fields, height):
        return _DAMAGED
    lengths = _required_lengths(fields, len(offsets))
    size = len(content)
    if any(not 0 <= start <= start + length <= size for start, length in zip(offsets, lengths, strict=True)):
        return _DAMAGED
    compression = fields.get(_COMPRESSION, (1,))[0]
    begins = _BEGINNINGS.get(compression) if fields.get(_FILL_ORDER, _USUAL_ORDER) == _USUAL_ORDER else None
    found: tuple[Defect, ...] = ()
    if begins is not None:
        found = _find_strip_defects(content, begins, offsets[-_MAX_STRIPS:], lengths[-_MAX_STRIPS:])
    return found if found == _DAMAGED else found + _find_variant_defects(compression, fields)


def _find_variant_defects(compression: int, fields: dict[int, tuple[int, ...]]) -> tuple[Defect, ...]:
    """Return the defect of a page in a variant that not all viewers can open."""
    if _has_subsampled_planes(fields):
        return _UNUSUAL
    if compression in _COMMON_COMPRESSIONS:
        return ()
    if compression in _RARE_COMPRESSIONS:
        return (Defect("rare", ("TIFF", _RARE_COMPRESSIONS[compression])), *_DOUBTFUL)
    return _UNUSUAL


def _find_strip_defects(
    content: bytes,
    begins: Callable[[bytes, int], bool],
    offsets: tuple[int, ...],
    lengths: tuple[int, ...],
) -> tuple[Defect, ...]:
    """Return the defect of compressed strips that do not begin as they should, or that end with zeros.

    Zeros were not received, or they are the rest of the space that a program reserved.
    """
    found: tuple[Defect, ...] = ()
    for start, length in zip(offsets, lengths, strict=True):
        if length > len(_START_ZEROS) and not begins(content, start):
            return _DAMAGED
        if content.endswith(_END_ZEROS, start, start + length):
            found = _DOUBTFUL
    return found


def _begins_as_lzw(content: bytes, start: int) -> bool:
    """Return whether a strip begins with a code that clears the table, or at least not with zeros."""
    return not content.startswith(_START_ZEROS, start)


def _begins_as_jpeg(content: bytes, start: int) -> bool:
    return content.startswith(b"\xff\xd8", start)


def _begins_as_deflate(content: bytes, start: int) -> bool:
    return is_zlib(content[start : start + 2])


_BEGINNINGS = {_LZW: _begins_as_lzw, _JPEG: _begins_as_jpeg, **dict.fromkeys(_DEFLATE, _begins_as_deflate)}


def _has_subsampled_planes(fields: dict[int, tuple[int, ...]]) -> bool:
    """Return whether the planes of colors have fewer pixels than that of brightness.

    No viewer puts them together. Without a field, they have half the width and height (section 21).
    """
    return (
        fields.get(_PLANES, (1,))[0] == 2
        and fields[_PHOTOMETRIC][0] == _YCBCR
        and fields.get(_SAMPLES, (1,))[0] > 1
        and fields.get(_SUBSAMPLING, (2, 2))[:2] != (1, 1)
    )


def _has_plausible_samples(fields: dict[int, tuple[int, ...]]) -> bool:
    """Return whether a page has samples, of 1 to 64 bits each."""
    return fields.get(_SAMPLES, (1,))[0] > 0 and all(1 <= bits <= 64 for bits in fields.get(_BITS, (1,)))


def _strip_count(fields: dict[int, tuple[int, ...]], height: int) -> int:
    """Return how many strips a page of this height needs."""
    rows = fields.get(_ROWS_PER_STRIP, (0,))[0]
    planes = fields.get(_SAMPLES, (1,))[0] if fields.get(_PLANES, (1,))[0] == 2 else 1
    return (height + rows - 1) // rows * planes if rows > 0 else 1


def _required_lengths(fields: dict[int, tuple[int, ...]], count: int) -> tuple[int, ...]:
    """Return how many bytes each strip or tile of a page must have.

    The length of an uncompressed strip can be computed, and the smaller of the given and the computed length
    is used: some writers give the length of a full strip for a last strip with fewer rows. Old writers omit
    lengths. If neither length is known, a strip or tile must at least start inside the file.
    """
    given = next((fields[tag] for tag in _LENGTHS if tag in fields), ())
    computed = _uncompressed_strip_lengths(fields, count)
    if len(given) != count:
        return computed or (1,) * count
    return given if computed is None else tuple(map(min, given, computed))


def _uncompressed_strip_lengths(fields: dict[int, tuple[int, ...]], count: int) -> tuple[int, ...] | None:
    """Return the lengths of uncompressed strips in a single plane, in bytes; None for any other image."""
    width, height = fields.get(_WIDTH, (0,))[0], fields.get(_HEIGHT, (0,))[0]
    is_plain = (
        fields.get(_COMPRESSION, (1,))[0] == 1
        and fields.get(_PLANES, (1,))[0] == 1
        and fields.get(_PHOTOMETRIC, (0,))[0] != _YCBCR  # YCbCr may be subsampled and have fewer bytes.
        and 273 in fields
    )
    rows = min(fields.get(_ROWS_PER_STRIP, (height,))[0], height)
    if not is_plain or not rows or (height + rows - 1) // rows != count:
        return None
    bits = fields.get(_BITS, (1,))
    depth = sum(bits) if len(bits) > 1 else bits[0] * fields.get(_SAMPLES, (1,))[0]
    row = (width * depth + 7) // 8
    return (row * rows,) * (count - 1) + (row * (height - rows * (count - 1)),)


def _read_fields(
    content: bytes, order: str, layout: _Layout, position: int, count: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the tag and the values of each field that describes strips or tiles. Skip other fields."""
    for entry in range(position, position + layout.field_bytes * count, layout.field_bytes):
        tag, kind, values = struct.unpack_from(layout.field, content, entry)
        if tag not in _WANTED or values == 0:
            continue
        if tag in _SIZES:
            values = min(values, _MAX_SAMPLES)
        letter = _INTEGERS.get(kind)
        if letter is None or values > len(content):
            if tag in _OFFSETS:
                raise ValueError("not an offset")
            continue
        at = entry + layout.value_at
        # Short values are stored in the field itself.
        if values * struct.calcsize("=" + letter) > layout.inline_bytes:
            (at,) = struct.unpack_from(layout.offset, content, at)
        yield tag, struct.unpack_from(f"{order}{values}{letter}", content, at)
