"""Defects of PNG files (ISO/IEC 15948, 5.3)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.model.document import Defect


def find_defect(content: bytes) -> Defect | None:
    """Return "damaged" if a chunk is incomplete or has a wrong checksum, or if IDAT or IEND is missing."""
    view = memoryview(content)
    position, seen_data = 8, False
    while True:
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", content, end)
        # Decoders ignore a wrong checksum in an ancillary chunk, whose type starts with a lower-case letter.
        if kind[:1].isupper() and zlib.crc32(view[position + 4 : end]) != checksum:
            return "damaged"
        seen_data = seen_data or kind == b"IDAT"
        if kind == b"IEND":
            return None if seen_data else "damaged"
        position = end + 4
