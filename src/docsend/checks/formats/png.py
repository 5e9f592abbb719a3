"""Defects of PNG files (ISO/IEC 15948, clauses 5.3 and 11.2)."""

from __future__ import annotations

import struct
import zlib

from docsend.model.document import Defect

# Table 11.1: the bit depths that each color type allows.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
_MAX_SIDE = 2**31 - 1
# Encoders write a few thousand chunks at most. The limit bounds the time for made-up files.
_MAX_CHUNKS = 20_000
_END = b"\0\0\0\0IEND\xaeB`\x82"

_DAMAGED = (Defect("damaged"),)
_DOUBTFUL = (Defect("doubtful"),)


def find_defects(content: bytes) -> tuple[Defect, ...]:
    """Return the defects: an invalid header, a truncated or altered chunk, or no image data or end.

    Raise struct.error if the content ends inside a chunk.
    """
    length, kind, width, height, depth, color, compression, filter_, interlace = struct.unpack_from(
        ">I4sIIBBBBB", content, 8
    )
    is_header = kind == b"IHDR" and length == 13
    is_valid = 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and depth in _DEPTHS.get(color, ())
    if not is_header or not is_valid or compression or filter_ or interlace > 1:
        return _DAMAGED
    view = memoryview(content)
    position, has_palette, has_data, previous = 8, False, False, b""
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", content, end)
        # Decoders ignore a wrong checksum in an ancillary chunk, whose type starts with a lower-case letter.
        if kind[:1].isupper() and zlib.crc32(view[position + 4 : end]) != checksum:
            return _DAMAGED
        if kind[:1].isupper() and not _is_in_order(kind, length, previous, has_data=has_data):
            return _DAMAGED
        has_palette = has_palette or kind == b"PLTE"
        has_data = has_data or (kind == b"IDAT" and length > 0)
        previous = kind
        if kind == b"IEND":
            return () if has_data and (has_palette or color != _PALETTE) else _DAMAGED
        position = end + 4
    return _DOUBTFUL if _END in content[-1024:] else _DAMAGED


def _is_in_order(kind: bytes, length: int, previous: bytes, *, has_data: bool) -> bool:
    """Return whether a critical chunk may be where it is (5.6). A palette has at least one color (11.2.2)."""
    if kind == b"PLTE":
        return not has_data and length > 0 and length % 3 == 0
    if kind == b"IDAT":
        return not has_data or previous == b"IDAT"
    return kind == b"IEND" or (kind == b"IHDR" and not previous)
