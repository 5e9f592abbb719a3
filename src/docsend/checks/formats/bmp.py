"""BMP: BITMAPFILEHEADER and BITMAPINFOHEADER: whether a file is whole."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.model.document import Defect


def find_defect(content: bytes) -> Defect | None:
    """The pixels that the header promises are there."""
    (pixels_at, header_size) = struct.unpack_from("<II", content, 10)
    compression = given = 0
    if header_size == 12:  # BITMAPCOREHEADER
        width, height, _planes, depth = struct.unpack_from("<HHHH", content, 18)
    elif header_size < 40:  # OS22XBITMAPHEADER, cut short
        width, height, _planes, depth = struct.unpack_from("<iiHH", content, 18)
    else:
        width, height, _planes, depth, compression, given = struct.unpack_from("<iiHHII", content, 18)
    if width <= 0 or height == 0 or depth not in (0, 1, 2, 4, 8, 16, 24, 32):
        return "damaged"
    uncompressed = compression in (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS
    pixel_bytes = (width * depth + 31) // 32 * 4 * abs(height) if uncompressed else given
    # Some writers leave out the padding of the last row, which is at most three bytes.
    return None if pixels_at + pixel_bytes - 3 <= len(content) else "damaged"
