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
_END_OF_BITMAP = b"\0\1"

_DAMAGED = (Defect("damaged"),)
_UNUSUAL = (Defect("unusual", is_certain=False),)
_CUT_SHORT = (Defect("damaged", is_certain=False),)


def find_defects(content: bytes) -> tuple[Defect, ...]:
    """Return the defects: a file that is shorter than its header requires, or a variant that no viewer shows.

    Raise struct.error if the content ends inside the header.
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
        return _find_run_length_defects(content, pixels_at, image_bytes)
    pixel_bytes = (width * depth + 31) // 32 * 4 * abs(height)
    # Some writers omit the padding of the last row, which has at most three bytes.
    return () if pixels_at + pixel_bytes - 3 <= len(content) else _DAMAGED


def _find_run_length_defects(content: bytes, pixels_at: int, image_bytes: int) -> tuple[Defect, ...]:
    if image_bytes:
        return () if pixels_at + image_bytes - 3 <= len(content) else _DAMAGED
    # Without the size, only the marker at the end of the bitmap shows that the file is complete.
    return () if content[pixels_at:].rstrip(b"\0").endswith(_END_OF_BITMAP) else _CUT_SHORT
