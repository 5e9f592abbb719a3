"""Defects of BMP files (BITMAPFILEHEADER and BITMAPINFOHEADER)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.model.document import Defect


def find_defect(content: bytes) -> Defect | None:
    """Return "damaged" if the file is shorter than its header requires, else None."""
    (pixels_at, header_size) = struct.unpack_from("<II", content, 10)
    compression = image_bytes = 0
    if header_size == 12:  # BITMAPCOREHEADER
        width, height, _planes, depth = struct.unpack_from("<HHHH", content, 18)
    elif header_size < 40:  # a short OS22XBITMAPHEADER
        width, height, _planes, depth = struct.unpack_from("<iiHH", content, 18)
    else:
        width, height, _planes, depth, compression, image_bytes = struct.unpack_from("<iiHHII", content, 18)
    if width <= 0 or height == 0 or depth not in (0, 1, 2, 4, 8, 16, 24, 32):
        return "damaged"
    uncompressed = compression in (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS
    pixel_bytes = (width * depth + 31) // 32 * 4 * abs(height) if uncompressed else image_bytes
    # Some writers omit the padding of the last row, which has at most three bytes.
    return None if pixels_at + pixel_bytes - 3 <= len(content) else "damaged"
