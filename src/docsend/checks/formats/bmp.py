"""Defects of BMP files (BITMAPFILEHEADER, BITMAPCOREHEADER, BITMAPINFOHEADER and their successors)."""

from __future__ import annotations

import struct

from docsend.model.document import Defect

_RGB, _RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 0, 1, 2, 3, 6
# The bits per pixel that each compression allows. OS/2 uses 3 for Huffman coding and 4 for RLE24.
_DEPTHS = {
    _RGB: (1, 4, 8, 16, 24, 32),
    _RLE8: (8,),
    _RLE4: (4,),
    _BITFIELDS: (16, 24, 32),
    _ALPHA_BITFIELDS: (16, 32),
}
_OS2_HEADER = 64
# What follows a zero instead of a number of pixels as they are.
_END_OF_ROW, _END_OF_BITMAP, _DELTA = 0, 1, 2
_MAX_FINAL_ZEROS = 256
# A drawing or a page of text has fewer. The limit bounds the time.
_MAX_RUNS = 200_000

_DAMAGED = (Defect("damaged"),)
_UNUSUAL = (Defect("unusual", is_certain=False),)
_CUT_SHORT = (Defect("damaged", is_certain=False),)


def find_defects(content: bytes) -> tuple[Defect, ...]:
    """Return the defects: a file that is shorter than its header requires, or a variant that no viewer shows.

    Raise struct.error or IndexError if the content ends inside the header or a run.
    """
    (pixels_at, header_size) = struct.unpack_from("<II", content, 10)
    compression = image_bytes = colors = 0
    if header_size == 12:  # BITMAPCOREHEADER
        width, height, planes, depth = struct.unpack_from("<HHHH", content, 18)
    elif header_size < 40:  # a short OS22XBITMAPHEADER
        width, height, planes, depth = struct.unpack_from("<iiHH", content, 18)
    else:
        width, height, planes, depth, compression, image_bytes, colors = struct.unpack_from(
            "<iiHHII8xI", content, 18
        )
    if header_size < 12 or width <= 0 or height == 0 or planes == 0 or pixels_at < 14 + header_size:
        return _DAMAGED
    is_os2 = header_size == _OS2_HEADER and compression == _BITFIELDS
    if is_os2 or depth not in _DEPTHS.get(compression, ()) or (depth <= 8 and colors > 1 << depth):
        return _UNUSUAL
    if compression in (_RLE8, _RLE4):
        if pixels_at + image_bytes - 3 > len(content):
            return _DAMAGED
        return _find_run_length_defects(content, pixels_at, image_bytes, (width, abs(height), depth))
    row_bytes, padded_bytes = (width * depth + 7) // 8, (width * depth + 31) // 32 * 4
    # Some writers omit the padding of the last row.
    pixel_bytes = padded_bytes * (abs(height) - 1) + row_bytes
    return () if pixels_at + pixel_bytes <= len(content) else _DAMAGED


def _find_run_length_defects(
    content: bytes, position: int, image_bytes: int, image: tuple[int, int, int]
) -> tuple[Defect, ...]:
    """Check that run lengths reach the mark of their end, or the end of the last row.

    The stated size proves nothing, since it may be too small. `image` is its width, height and depth.
    """
    width, height, depth = image
    stated_end = position + image_bytes
    stripped = content.rstrip(b"\0")
    # Zeros are ends of rows. So many at the end were not written by a program.
    end = len(stripped) + 2 if len(content) - len(stripped) > _MAX_FINAL_ZEROS else len(content)
    column = row = 0
    for _ in range(_MAX_RUNS):
        if position + 1 >= end:
            is_whole = position <= end + 1 and row + column // width >= height
            return () if is_whole else _DAMAGED
        count, value = content[position], content[position + 1]
        position += 2
        if count:
            column += count
        elif value == _END_OF_ROW:
            column, row = 0, row + 1
        elif value == _END_OF_BITMAP:
            return ()
        elif value == _DELTA:
            column, row = column + content[position], row + content[position + 1]
            position += 2
        else:  # This many pixels as they are, in whole words.
            column += value
            position += (value * depth + 15) // 16 * 2
    return () if position < stated_end or stripped.endswith(b"\0\1") else _CUT_SHORT
