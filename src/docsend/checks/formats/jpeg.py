"""JPEG: ITU-T T.81, annex B: whether a file is whole."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.model.document import Defect

_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, RST0-7, SOI: markers without a length


def find_defect(content: bytes) -> Defect | None:
    """Walk the segments to the first scan; from there an end-of-image marker must follow."""
    position = 2
    while True:
        # Between segments, stray bytes are passed over, as decoders do.
        position = content.index(0xFF, position)
        while content[position] == 0xFF:
            position += 1
        marker = content[position]
        position += 1
        if marker == 0xD9:  # an end of image before any scan: nothing to see
            return "damaged"
        if marker in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", content, position)
        position += length
        if marker == 0xDA:
            # Inside a scan 0xFF is followed by 0x00 or a restart, so this pair can only be the end.
            return None if content.find(b"\xff\xd9", position) >= 0 else "damaged"
