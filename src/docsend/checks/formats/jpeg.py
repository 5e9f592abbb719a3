"""Defects of JPEG files (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from docsend.model.document import Defect

if TYPE_CHECKING:
    from collections.abc import Iterator

_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, RST0-7, SOI: markers without a length
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0-15; the others are DHT, JPG and DAC
_COMMON_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended and progressive; Huffman or arithmetic
# No camera or scanner writes more than a few hundred. The limit bounds the time for made-up files.
_MAX_SEGMENTS = 20_000

_DAMAGED = (Defect("damaged"),)
_CUT_SHORT = (Defect("damaged", is_certain=False),)


def find_defects(content: bytes) -> tuple[Defect, ...]:
    """Return the defects: no frame or no scan, a frame that viewers cannot show, or no end of the image.

    Raise struct.error, IndexError or ValueError if the content ends inside a segment.
    """
    defects = () if content[2] == 0xFF else (Defect("repaired", is_certain=False),)
    position = 2
    defined_tables: set[int] = set()
    needed_tables: set[int] | None = None
    for _ in range(_MAX_SEGMENTS):
        # Skip stray bytes between segments, as decoders do.
        position = content.index(0xFF, position)
        if content[position + 1] == 0xFF:  # fill bytes
            position = _fill_end(content, position) - 1
        marker = content[position + 1]
        position += 2
        if marker == 0xD9:  # The image ends before any scan, so it has no content.
            return _DAMAGED
        if marker in _STANDALONE:
            continue
        (length,) = struct.unpack_from(">H", content, position)
        segment = content[position + 2 : position + length]
        if marker in _FRAMES and needed_tables is None:
            if frame_defects := _find_frame_defects(marker, segment):
                return frame_defects
            needed_tables = set(segment[8::3])  # the last of three bytes for each component
        elif marker == 0xDB:
            defined_tables.update(_quantization_tables(segment))
        position += length
        if marker == 0xDA:
            if needed_tables is None or not needed_tables <= defined_tables:
                return _DAMAGED
            # Inside a scan, 0xFF is followed by 0x00 or a restart marker, so FF D9 can only be the end.
            return defects if content.find(b"\xff\xd9", position) >= 0 else _CUT_SHORT
    return _DAMAGED


def _quantization_tables(segment: bytes) -> Iterator[int]:
    """Yield the numbers of the tables that a DQT segment defines (B.2.4.1)."""
    position = 0
    while position < len(segment):
        yield segment[position] & 0x0F
        position += 129 if segment[position] >> 4 else 65


def _fill_end(content: bytes, position: int) -> int:
    """Return the offset of the first byte from `position` that is not 0xFF."""
    other = _NOT_FILL.search(content, position)
    if other is None:
        raise ValueError("only fill bytes follow")
    return other.start()


_NOT_FILL = re.compile(rb"[^\xff]", re.DOTALL)


def _find_frame_defects(marker: int, segment: bytes) -> tuple[Defect, ...]:
    """Check a frame header: precision, height, width, components and their sampling factors (B.2.2)."""
    precision, height, width, components = struct.unpack_from(">BHHB", segment)
    if not height or not width or len(segment) < 6 + 3 * components:
        return _DAMAGED
    if marker not in _COMMON_FRAMES or precision != 8:
        return (Defect("unusual", is_certain=False),)
    sampling = segment[7 : 6 + 3 * components : 3]
    is_valid = components in (1, 3, 4) and all(
        1 <= byte >> 4 <= 4 and 1 <= byte & 15 <= 4 for byte in sampling
    )
    return () if is_valid else _DAMAGED
