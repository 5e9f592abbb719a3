"""Defects of TIFF files (TIFF 6.0, section 2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docsend.model.document import Defect

_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_OFFSETS = (273, 324, 513)  # StripOffsets, TileOffsets, JPEGInterchangeFormat
_LENGTHS = (279, 325, 514)  # StripByteCounts, TileByteCounts, JPEGInterchangeFormatLength
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_SAMPLES, _ROWS_PER_STRIP, _PLANES = 277, 278, 284
_SIZES = (_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _ROWS_PER_STRIP, _PLANES)
_MAX_PAGES = 10_000
# Limit for all pages together. Directories may overlap, so the same bytes could be read many times.
_MAX_FIELDS = 400_000


def find_defect(content: bytes) -> Defect | None:
    """Return "damaged" if a directory, a strip or a tile is outside the file, or if there is no image."""
    order = "<" if content.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(order + "I", content, 4)
    visited: set[int] = set()
    seen_fields, seen_values, has_image = 0, 0, False
    while directory:
        (count,) = struct.unpack_from(order + "H", content, directory)
        seen_fields += count
        if directory in visited or len(visited) >= _MAX_PAGES or seen_fields > _MAX_FIELDS:
            return "damaged"
        visited.add(directory)
        fields = {}
        for tag, values in _read_fields(content, order, directory + 2, count):
            fields[tag] = values
            # Fields may refer to the same values repeatedly; together they must not exceed the file.
            seen_values += len(values)
            if 2 * seen_values > len(content):
                return "damaged"
        offsets = next((fields[tag] for tag in _OFFSETS if tag in fields), ())
        lengths = _required_lengths(fields, len(offsets))
        if any(start + length > len(content) for start, length in zip(offsets, lengths, strict=True)):
            return "damaged"
        has_image = has_image or bool(offsets)
        (directory,) = struct.unpack_from(order + "I", content, directory + 2 + 12 * count)
    return None if has_image else "damaged"


def _required_lengths(fields: dict[int, tuple[int, ...]], count: int) -> tuple[int, ...]:
    """Return how many bytes each strip or tile of a page must have.

    The length of an uncompressed strip can be computed, and the smaller of the given and the computed length
    is used: some writers give the length of a full strip for a last strip with fewer rows. Old writers omit
    the lengths. If neither length is known, each strip or tile must at least start inside the file.
    """
    given = next((fields[tag] for tag in _LENGTHS if tag in fields), None)
    computed = _uncompressed_strip_lengths(fields, count)
    if given is None or computed is None:
        return given or computed or (1,) * count
    return tuple(map(min, given, computed)) if len(given) == count else given


def _uncompressed_strip_lengths(fields: dict[int, tuple[int, ...]], count: int) -> tuple[int, ...] | None:
    """Return the lengths of uncompressed strips in a single plane, in bytes; None for any other image."""
    width, height = fields.get(_WIDTH, (0,))[0], fields.get(_HEIGHT, (0,))[0]
    is_plain = (
        fields.get(_COMPRESSION, (1,))[0] == 1
        and fields.get(_PLANES, (1,))[0] == 1
        and fields.get(_PHOTOMETRIC, (0,))[0] != 6  # YCbCr may be subsampled and have fewer bytes.
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
    content: bytes, order: str, position: int, count: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the tag and the values of each field that describes strips or tiles. Skip other fields."""
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
        if values * _VALUE_BYTES[kind] > 4:  # Values of up to four bytes are stored in the entry itself.
            (at,) = struct.unpack_from(order + "I", content, at)
        yield tag, struct.unpack_from(f"{order}{values}{letter}", content, at)
