"""Defects of JPEG files (ITU-T T.81, annex B)."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import struct
from typing import TYPE_CHECKING

from docsend.model.document import Defect

if TYPE_CHECKING:
    from collections.abc import Iterator

_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, RST0-7, SOI: markers without a length
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0-15; the others are DHT, JPG and DAC
_COMMON_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended and progressive; Huffman or arithmetic
_SEQUENTIAL_FRAMES = (0xC0, 0xC1)  # with Huffman coding
_MAX_DC_BITS = 15
_DHT_HEAD_BYTES = 17  # of a table: its class and number, and how many codes there are of 1 to 16 bits
# No camera or scanner writes more than a few hundred. The limit bounds the time for made-up files.
_MAX_SEGMENTS = 20_000

_DAMAGED = (Defect("damaged"),)
_REPAIRED = (Defect("repaired", is_certain=False),)
_UNDECODABLE = (Defect("damaged", is_certain=False),)
_DOUBT = Defect("doubtful")


def find_defects(content: bytes) -> tuple[Defect, ...]:
    """Return the defects: no frame or no scan, a frame that viewers cannot show, or no end of the image.

    Raise struct.error, IndexError or ValueError if the content ends inside a segment.
    """
    defects: tuple[Defect, ...] = () if content[2] == 0xFF else _REPAIRED
    frame: bytes | None = None
    process = 0
    tables = _Tables()
    for marker, segment, end in itertools.islice(_segments(content), _MAX_SEGMENTS):
        if marker in _FRAMES and frame is None:
            if frame_defects := _find_frame_defects(marker, segment):
                return frame_defects
            frame, process = segment, marker
        elif marker == 0xD9:  # The image ends before any scan, so it has no content.
            return _DAMAGED
        elif marker == 0xDA:
            if frame is None:
                return _DAMAGED
            found = tables.find_defects(process, frame, segment)
            if found in (_DAMAGED, _UNDECODABLE):
                return found
            return defects + found + _find_scan_defects(content, end, _min_bits(process, frame))
        else:
            tables.add(marker, segment)
    # No program writes so many segments, but the image may follow them.
    return (_DOUBT,) if b"\xff\xd9" in content[-1024:] else _DAMAGED


def frame_marker(content: bytes) -> int | None:
    """Return the marker of a frame header, which names the process (table B.1), or None if there is none."""
    with contextlib.suppress(struct.error, IndexError, ValueError):
        for marker, _, _ in itertools.islice(_segments(content), _MAX_SEGMENTS):
            if marker in _FRAMES:
                return marker
            if marker == 0xDA:
                break
    return None


def _segments(content: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield the marker, the content and the end of each segment. Those of standalone markers are empty."""
    position = 2
    while True:
        if content[position] != 0xFF:  # Skip stray bytes between segments, as decoders do.
            position = content.index(0xFF, position)
        if content[position + 1] == 0xFF:
            position = _fill_end(content, position) - 1
        marker = content[position + 1]
        position += 2
        if marker == 0xD9 or marker in _STANDALONE:
            yield marker, b"", position
            continue
        (length,) = struct.unpack_from(">H", content, position)
        yield marker, content[position + 2 : position + length], position + length
        position += length


def _find_scan_defects(content: bytes, position: int, min_bits: int) -> tuple[Defect, ...]:
    """Check that a scan ends, and is not too short for its image.

    Inside a scan, 0xFF is followed by 0x00 or a restart marker, so FF D9 can only be the end.
    """
    end = content.find(b"\xff\xd9", position)
    # Viewers show the whole image if it lacks its last byte only.
    is_last_byte_lost = end < 0 and content.endswith(b"\xff") and not content.endswith(b"\xff\xff")
    if is_last_byte_lost:
        end = len(content) - 1
    # Without its end, no decoder tells a whole image from half of one: it takes what follows for pixels.
    if end < 0 or 8 * (end - position) < min_bits:
        return _DAMAGED
    return _REPAIRED if is_last_byte_lost else ()


def _min_bits(marker: int, segment: bytes) -> int:
    """Return the least number of bits in the scan of a sequential image: two for each block of 64 pixels."""
    height, width = struct.unpack_from(">HH", segment, 1)
    return 2 * ((height + 7) // 8) * ((width + 7) // 8) if marker in _SEQUENTIAL_FRAMES else 0


class _Tables:
    """The tables that an image defines before its first scan."""

    def __init__(self) -> None:
        self._quantization: set[int] = set()  # by number
        self._impossible: set[int] = set()  # Huffman tables that no decoder accepts, by class and number

    def add(self, marker: int, segment: bytes) -> None:
        """Add the tables that a segment defines, if it is of this kind."""
        if marker == 0xDB:
            self._quantization.update(_quantization_tables(segment))
        elif marker == 0xC4:
            for table, is_possible in _huffman_tables(segment):
                (self._impossible.discard if is_possible else self._impossible.add)(table)

    def find_defects(self, process: int, frame: bytes, scan: bytes) -> tuple[Defect, ...]:
        """Return the defects of the tables that a scan needs. `process` is the marker of the frame."""
        if not _scan_tables(frame, scan) <= self._quantization:
            return _DAMAGED
        if self._impossible and not self._impossible.isdisjoint(_huffman_tables_of(process, scan)):
            return _UNDECODABLE
        return () if set(frame[8::3]) <= self._quantization else (_DOUBT,)


def _quantization_tables(segment: bytes) -> Iterator[int]:
    """Yield the numbers of the tables that a DQT segment defines (B.2.4.1)."""
    position = 0
    while position < len(segment):
        yield segment[position] & 0x0F
        position += 129 if segment[position] >> 4 else 65


@functools.lru_cache(maxsize=32)  # Most programs write the same tables into every file.
def _huffman_tables(segment: bytes) -> tuple[tuple[int, bool], ...]:
    """Return the class and number of each table that a DHT segment defines, and whether it is possible.

    Each code is the next number (annex C), so there are limits to how many there can be. The code of which
    all bits are 1 is not used. A difference of DC values has at most 15 bits.
    """
    tables: list[tuple[int, bool]] = []
    position = 0
    while position + _DHT_HEAD_BYTES <= len(segment):
        counts = segment[position + 1 : position + _DHT_HEAD_BYTES]
        end = position + _DHT_HEAD_BYTES + sum(counts)
        is_dc = segment[position] >> 4 == 0
        is_possible = end <= len(segment) and not (
            is_dc and max(segment[position + _DHT_HEAD_BYTES : end], default=0) > _MAX_DC_BITS
        )
        code = 0
        for bits, count in enumerate(counts, start=1):
            code += count
            is_possible = is_possible and (not count or code < 1 << bits)
            code *= 2
        tables.append((segment[position], is_possible))
        position = end
    return tuple(tables)


def _huffman_tables_of(process: int, scan: bytes) -> set[int]:
    """Return the class and number of each Huffman table that the first scan of an image needs (B.2.3)."""
    numbers = scan[2 : 2 + 2 * scan[0] : 2]
    if process in _SEQUENTIAL_FRAMES:
        return {byte >> 4 for byte in numbers} | {0x10 | byte & 0x0F for byte in numbers}
    return {byte >> 4 for byte in numbers} if process == 0xC2 else set()


def _scan_tables(frame: bytes, scan: bytes) -> set[int]:
    """Return the numbers of the quantization tables that a scan needs (B.2.2 and B.2.3).

    Other tables may be defined between the scans.
    """
    components = set(scan[1 : 1 + 2 * scan[0] : 2])
    return {table for number, table in zip(frame[6::3], frame[8::3], strict=False) if number in components}


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
