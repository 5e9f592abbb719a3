"""Defects of JPEG files (ITU-T T.81, annex B)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.model.document import Defect

_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, RST0-7, SOI: markers without a length


def find_defect(content: bytes) -> Defect | None:
    """Return "damaged" if there is no scan, or no end-of-image marker after the first scan, else None."""
    position = 2
    while True:
        # Skip stray bytes between segments, as decoders do.
        position = content.index(0xFF, position)
        while content[position] == 0xFF:
            position += 1
        marker = content[position]
        position += 1
        if marker == 0xD9:  # The image ends before any scan, so it has no content.
            return "damaged"
        if marker in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", content, position)
        position += length
        if marker == 0xDA:
            # Inside a scan, 0xFF is followed by 0x00 or a restart marker, so FF D9 can only be the end.
            return None if content.find(b"\xff\xd9", position) >= 0 else "damaged"
