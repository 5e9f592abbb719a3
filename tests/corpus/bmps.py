"""BMP files of every header, depth and compression, by Pillow and by hand."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from corpus import contents
from corpus.contents import picture, saved
from corpus.recipes import Recipe, table

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Make = Callable[[random.Random], bytes]

_RLE8, _RLE4, _BITFIELDS = 1, 2, 3
_V3, _V4, _V5, _OS2, _OS2_LONG = 40, 108, 124, 12, 64


def scan(rng: random.Random) -> bytes:
    return saved(picture(rng), "BMP")


def _saved(mode: str) -> Make:
    return lambda rng: saved(picture(rng, mode), "BMP")


def assembled(
    rng: random.Random,
    depth: int,
    *,
    header: int = _V3,
    compression: int = 0,
    size: tuple[int, int] | None = None,
    top_down: bool = False,
    colours: int | None = None,
    gap: int = 0,
    pixels: bytes | None = None,
    image_bytes: int | None = None,
) -> bytes:
    """Return a BMP of noise with the given header, which states `colours` palette entries."""
    width, height = size or (rng.randrange(20, 90), rng.randrange(20, 90))
    data = rng.randbytes((width * depth + 31) // 32 * 4 * height) if pixels is None else pixels
    entries = 0 if depth > 8 else 2**depth
    palette = b"".join(rng.randbytes(3) + b"\0" * (header != _OS2) for _ in range(entries))
    if header == _OS2:
        info = struct.pack("<IHHHH", 12, width, height, 1, depth)
    else:
        stated = len(data) if image_bytes is None else image_bytes
        info = struct.pack(
            "<IiiHHIIiiII",
            header,
            width,
            -height if top_down else height,
            1,
            depth,
            compression,
            stated,
            2835,
            2835,
            entries if colours is None else colours,
            0,
        ).ljust(header, b"\0")
        if compression == _BITFIELDS:
            masks = (0xF800, 0x7E0, 0x1F) if depth == 16 else (0xFF0000, 0xFF00, 0xFF)
            packed = struct.pack("<III", *masks)
            info = info + packed if header == _V3 else info[:40] + packed + info[52:]
    start = 14 + len(info) + len(palette) + gap
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + info + palette + bytes(gap) + data


def _drawn(depth: int, **options: object) -> Make:
    return lambda rng: assembled(rng, depth, **options)  # type: ignore[arg-type]


def _run_lengths(rng: random.Random, width: int, height: int, *, depth: int) -> bytes:
    """Return rows of encoded runs, some of them as they are."""
    out = b""
    top = 2**depth if depth == 8 else 256
    for _ in range(height):
        left = width
        while left:
            run = min(left, rng.randrange(1, 20))
            if run >= 4 and rng.random() < 0.3:
                size = run if depth == 8 else (run + 1) // 2
                out += bytes((0, run)) + rng.randbytes(size) + bytes(size % 2)
            else:
                out += bytes((run, rng.randrange(top)))
            left -= run
        out += b"\0\0"
    return out + b"\0\1"


def _encoded(depth: int, **options: object) -> Make:
    def make(rng: random.Random) -> bytes:
        size = (rng.randrange(20, 90), rng.randrange(20, 90))
        data = _run_lengths(rng, *size, depth=depth)
        kind = _RLE8 if depth == 8 else _RLE4
        return assembled(rng, depth, compression=kind, size=size, pixels=data, **options)  # type: ignore[arg-type]

    return make


def _without_last_padding(rng: random.Random) -> bytes:
    content = assembled(rng, 24, size=(rng.choice((21, 25, 29)), 30))
    return content[:-1]


def _append(extra: Callable[[random.Random], bytes]) -> Make:
    return lambda rng: scan(rng) + extra(rng)


def _cut(make: Make) -> Make:
    return lambda rng: contents.cut(rng, make(rng), 0.15, 0.85)


def _pixels_outside(rng: random.Random) -> bytes:
    content = bytearray(scan(rng))
    struct.pack_into("<I", content, 10, len(content) + rng.randrange(1, 10**6))
    return bytes(content)


def _fuzzed(rng: random.Random) -> bytes:
    depth = rng.choice((1, 4, 8, 24, 32))
    return contents.flip(rng, assembled(rng, depth), 2, 54, rng.randrange(1, 5))


def _depth(rng: random.Random, depth: int) -> bytes:
    content = bytearray(scan(rng))
    struct.pack_into("<H", content, 28, depth)
    return bytes(content)


def _header_size(rng: random.Random, size: int) -> bytes:
    content = bytearray(scan(rng))
    struct.pack_into("<I", content, 14, size)
    return bytes(content)


GOOD = table(
    "bmp",
    "good",
    [
        ("24 bits", scan),
        ("greyscale", _saved("L")),
        ("1 bit", _saved("1")),
        ("palette", _saved("P")),
        ("RGBA", _saved("RGBA")),
        ("by hand, 1 bit", _drawn(1)),
        ("by hand, 4 bits", _drawn(4)),
        ("by hand, 8 bits", _drawn(8)),
        ("by hand, 16 bits", _drawn(16)),
        ("by hand, 24 bits", _drawn(24)),
        ("by hand, 32 bits", _drawn(32)),
        ("bit fields, 16 bits", _drawn(16, compression=_BITFIELDS)),
        ("bit fields, 32 bits", _drawn(32, compression=_BITFIELDS)),
        ("RLE8", _encoded(8)),
        ("RLE4", _encoded(4)),
        ("OS/2, 1 bit", _drawn(1, header=_OS2)),
        ("OS/2, 8 bits", _drawn(8, header=_OS2)),
        ("OS/2, 24 bits", _drawn(24, header=_OS2)),
        ("OS/2, long header", _drawn(24, header=_OS2_LONG)),
        ("version 4", _drawn(24, header=_V4)),
        ("version 5", _drawn(32, header=_V5, compression=_BITFIELDS)),
        ("top-down", _drawn(24, top_down=True)),
        ("top-down, 8 bits", _drawn(8, top_down=True)),
        ("a gap before the pixels", _drawn(24, gap=10)),
        ("no size of the pixels", _drawn(24, image_bytes=0)),
        ("text behind it", _append(lambda rng: contents.log_lines(rng, 20_000))),
        ("zeros behind it", _append(lambda rng: bytes(rng.randrange(1, 65_536)))),
        ("a web page behind it", _append(contents.web_page)),
    ],
    count=6,
)
BAD = table(
    "bmp",
    "bad",
    [
        ("RLE24 of OS/2", _drawn(24, header=_OS2_LONG, compression=4)),
        ("Huffman of OS/2", _drawn(1, header=_OS2_LONG, compression=3)),
        ("JPEG in a BMP", _drawn(24, compression=4)),
        ("unknown compression", _drawn(24, compression=99)),
        ("RLE8 with 24 bits", _drawn(24, compression=_RLE8)),
        ("a palette too large", _drawn(8, colours=5000)),
        ("5 bits", _drawn(5)),
        ("0 bits", lambda rng: _depth(rng, 0)),
        ("width 0", _drawn(24, size=(0, 30), pixels=bytes(90))),
        ("height 0", _drawn(24, size=(30, 0), pixels=bytes(90))),
        ("a header of 7 bytes", lambda rng: _header_size(rng, 7)),
        ("pixels outside", _pixels_outside),
    ],
    count=6,
)


SPOILED = table(
    "bmp",
    "spoiled",
    [
        ("cut", _cut(scan)),
        ("cut, RLE8", _cut(_encoded(8))),
        ("cut, RLE8, no size", _cut(_encoded(8, image_bytes=0))),
    ],
    count=6,
    sampled=2,
)
# Some writers leave it out; some viewers show such files.
_SHORT = Recipe("padding of the last row left out", "bmp", "either", _without_last_padding, 6)
_FUZZED = Recipe("changed bytes in the head", "bmp", "fuzzed", _fuzzed, 60, 0)
RECIPES = [*GOOD, *BAD, *SPOILED, _SHORT, _FUZZED]
realistic = scan
