"""Defects of PNG files (ISO/IEC 15948, clauses 5.3 and 11.2)."""

from __future__ import annotations

import struct
import zlib

from docsend.model.document import Defect

# Table 11.1: the bit depths that each color type allows.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Number of samples of a pixel, by type of color.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# The passes of an interlaced image (8.2): first column and row, and the steps to the next ones.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PALETTE = 3
_MAX_SIDE = 2**31 - 1
# Encoders write a few thousand chunks at most. The limit bounds the time for made-up files.
_MAX_CHUNKS = 20_000
# Deflate writes at most 258 bytes for two bits.
_MAX_RATIO = 1032
_END = b"\0\0\0\0IEND\xaeB`\x82"

_DAMAGED = (Defect("damaged"),)
_DOUBTFUL = (Defect("doubtful"),)


def find_defects(content: bytes) -> tuple[Defect, ...]:
    """Return the defects: an invalid header, a truncated or altered chunk, or no image data or end.

    The data is not decompressed, but has to begin as zlib data does, and be enough for the image.

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
    position, has_palette, data_bytes, start, previous = 8, False, 0, b"", b""
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", content, end)
        # Decoders ignore a wrong checksum in an ancillary chunk, whose type starts with a lower-case letter.
        if kind[:1].isupper() and zlib.crc32(view[position + 4 : end]) != checksum:
            return _DAMAGED
        if kind[:1].isupper() and not _is_in_order(kind, length, previous, has_data=data_bytes > 0):
            return _DAMAGED
        has_palette = has_palette or kind == b"PLTE"
        if kind == b"IDAT":
            data_bytes += length
            if len(start) < 2:
                start += content[position + 8 : min(end, position + 10)]
        previous = kind
        if kind == b"IEND":
            has_colors = has_palette or color != _PALETTE
            is_plausible = is_zlib(start) and _is_enough(data_bytes, content)
            return () if has_colors and is_plausible else _DAMAGED
        position = end + 4
    return _DOUBTFUL if _END in content[-1024:] else _DAMAGED


def _is_in_order(kind: bytes, length: int, previous: bytes, *, has_data: bool) -> bool:
    """Return whether a critical chunk may be where it is (5.6). A palette has at least one color (11.2.2)."""
    if kind == b"PLTE":
        return not has_data and length > 0 and length % 3 == 0
    if kind == b"IDAT":
        return not has_data or previous == b"IDAT"
    return kind == b"IEND" or (kind == b"IHDR" and not previous)


def is_zlib(start: bytes) -> bool:
    """Return whether data begins as zlib data in pictures does: Deflate, no preset dictionary (RFC 1950)."""
    return (
        len(start) >= 2 and start[0] & 15 == 8 and not start[1] & 32 and (start[0] << 8 | start[1]) % 31 == 0
    )


def _is_enough(data_bytes: int, content: bytes) -> bool:
    """Return whether so much data can be all of a PNG with a valid header."""
    width, height = struct.unpack_from(">II", content, 16)
    # No pixel has more than eight bytes, so that most images need no exact number.
    most = 9 * (width + 1) * height
    return _MAX_RATIO * data_bytes >= most or _MAX_RATIO * data_bytes >= decompressed_bytes(content)


def decompressed_bytes(png: bytes) -> int:
    """Return how many bytes the rows of a PNG with a valid header have, each with the byte of its filter."""
    width, height, depth, color, _, _, interlace = struct.unpack_from(">IIBBBBB", png, 16)
    bits = depth * _CHANNELS.get(color, 1)
    expected = 0
    for left, top, step_x, step_y in _PASSES if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // step_x), -(-(height - top) // step_y)
        if columns > 0 and rows > 0:
            expected += rows * (1 + (columns * bits + 7) // 8)
    return expected
