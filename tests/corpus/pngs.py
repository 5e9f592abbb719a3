"""PNG files: every depth, colour type and filter, and heads that no decoder takes."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from corpus import contents
from corpus.contents import picture, saved
from corpus.recipes import Recipe, table

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    Make = Callable[[random.Random], bytes]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PAIRS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8)]
_PAIRS += [(4, 8), (4, 16), (6, 8), (6, 16)]
# Adam7: first column, first row, column step, row step of each pass.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind: bytes, body: bytes = b"", checksum: int | None = None) -> bytes:
    check = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        found.append((kind, content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def joined(parts: list[tuple[bytes, bytes]]) -> bytes:
    return SIGNATURE + b"".join(chunk(*part) for part in parts)


def scan(rng: random.Random) -> bytes:
    return saved(picture(rng), "PNG")


def header(
    width: int,
    height: int,
    depth: int = 8,
    colour: int = 2,
    *,
    packed: int = 0,
    filtered: int = 0,
    laced: int = 0,
) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, packed, filtered, laced))


def _rows(rng: random.Random, width: int, height: int, bits: int, kinds: tuple[int, ...]) -> bytes:
    size = (width * bits + 7) // 8
    return (
        b"".join(bytes((rng.choice(kinds),)) + rng.randbytes(size) for _ in range(height)) if width else b""
    )


def by_hand(
    rng: random.Random,
    depth: int,
    colour: int,
    *,
    laced: bool = False,
    kinds: tuple[int, ...] = (0, 1, 2, 3, 4),
) -> bytes:
    """Return a PNG of noise: with any depth and colour type, interlaced or not, with these row filters."""
    width, height = rng.randrange(9, 60), rng.randrange(9, 60)
    bits = depth * _SAMPLES[colour]
    data = (
        b"".join(_laced_rows(rng, width, height, bits, kinds))
        if laced
        else _rows(rng, width, height, bits, kinds)
    )
    palette = chunk(b"PLTE", rng.randbytes(3 * 2**depth)) if colour == 3 else b""
    head = header(width, height, depth, colour, laced=int(laced))
    return SIGNATURE + head + palette + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND")


def _laced_rows(
    rng: random.Random, width: int, height: int, bits: int, kinds: tuple[int, ...]
) -> Iterator[bytes]:
    for left, top, right, down in _PASSES:
        columns, rows = (width - left + right - 1) // right, (height - top + down - 1) // down
        yield _rows(rng, columns, rows, bits, kinds)


def _drawn(depth: int, colour: int, *, laced: bool = False) -> Make:
    return lambda rng: by_hand(rng, depth, colour, laced=laced)


def _saved(mode: str, **options: object) -> Make:
    return lambda rng: saved(picture(rng, mode), "PNG", **options)


def _transparent_palette(rng: random.Random) -> bytes:
    return saved(picture(rng, "P"), "PNG", transparency=rng.randrange(256))


def _animated(rng: random.Random) -> bytes:
    first = picture(rng, size=(60, 50))
    more = [picture(rng, size=(60, 50)) for _ in range(rng.randrange(1, 4))]
    return saved(first, "PNG", save_all=True, append_images=more, duration=90)


def _changed(change: Callable[[random.Random, list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]]) -> Make:
    return lambda rng: joined(change(rng, chunks(scan(rng))))


def _many_pieces(rng: random.Random, parts: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    data = b"".join(body for kind, body in parts if kind == b"IDAT")
    size = rng.randrange(100, 2000)
    pieces = [(b"IDAT", data[at : at + size]) for at in range(0, len(data), size)]
    return [parts[0], *pieces, (b"IDAT", b""), parts[-1]]


def _with_chunk(kind: bytes, body: Callable[[random.Random], bytes]) -> Make:
    return _changed(lambda rng, parts: [parts[0], (kind, body(rng)), *parts[1:]])


def _text_with_wrong_checksum(rng: random.Random) -> bytes:
    content = scan(rng)
    note = chunk(b"tEXt", b"Comment\0" + contents.text(rng, 9).encode("ascii", "ignore"), 12345)
    return content[:33] + note + content[33:]


def _without(*kinds: bytes) -> Make:
    return _changed(lambda _, parts: [part for part in parts if part[0] not in kinds])


def _with_header(**changed: int) -> Make:
    """Return a function that makes scans whose IHDR, with a right checksum, has these values."""
    names = ("width", "height", "depth", "colour", "packed", "filtered", "laced")

    def change(_: random.Random, parts: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        values = dict(zip(names, struct.unpack(">IIBBBBB", parts[0][1]), strict=True)) | changed
        return [(b"IHDR", struct.pack(">IIBBBBB", *values.values())), *parts[1:]]

    return _changed(change)


def _data(change: Callable[[random.Random, bytes], bytes]) -> Make:
    def changed(rng: random.Random, parts: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        data = b"".join(body for kind, body in parts if kind == b"IDAT")
        return [parts[0], (b"IDAT", change(rng, data)), parts[-1]]

    return _changed(changed)


def _half(_: random.Random, data: bytes) -> bytes:
    rows = zlib.decompress(data)
    return zlib.compress(rows[: len(rows) // 2])


def _no_image_data(rng: random.Random) -> bytes:
    return SIGNATURE + header(rng.randrange(1, 99), 1) + chunk(b"IDAT") + chunk(b"IEND")


def _wrong_header_checksum(rng: random.Random) -> bytes:
    content = bytearray(scan(rng))
    content[29:33] = rng.randbytes(4)
    return bytes(content)


def _wrong_data_checksum(rng: random.Random) -> bytes:
    parts = chunks(scan(rng))
    *before, last = [chunk(*part) for part in parts]
    before[-1] = before[-1][:-4] + rng.randbytes(4)
    return SIGNATURE + b"".join(before) + last


def _through_text_mode(rng: random.Random) -> bytes:
    return scan(rng).replace(b"\r\n", b"\n")


def _append(extra: Callable[[random.Random], bytes]) -> Make:
    return lambda rng: scan(rng) + extra(rng)


def _fuzzed(rng: random.Random) -> bytes:
    """Return a scan with changed bytes in the head, or with right checksums in the header's values."""
    content = scan(rng)
    if rng.random() < 0.5:
        return contents.flip(rng, content, 0, 60, rng.randrange(1, 5))
    parts = chunks(content)
    return joined([(b"IHDR", contents.flip(rng, parts[0][1], 0, 13, rng.randrange(1, 3))), *parts[1:]])


_DEPTHS = [
    (f"colour {colour}, {depth} bits{', interlaced' * laced}", _drawn(depth, colour, laced=laced))
    for colour, depth in _PAIRS
    for laced in (False, True)
]
_INVALID = [(0, 3), (0, 32), (2, 1), (2, 4), (3, 16), (4, 4), (6, 2), (1, 8), (5, 8), (7, 8)]
GOOD = table("png", "good", _DEPTHS, count=4) + table(
    "png",
    "good",
    [
        ("RGB", scan),
        ("1 bit", _saved("1")),
        ("greyscale", _saved("L")),
        ("greyscale with alpha", _saved("LA")),
        ("palette", _saved("P")),
        ("transparent palette", _transparent_palette),
        ("RGBA", _saved("RGBA")),
        ("16 bits", _saved("I;16")),
        ("optimized", _saved("RGB", optimize=True)),
        ("stored, not packed", _saved("RGB", compress_level=0)),
        ("APNG", _animated),
        ("many IDAT chunks", _changed(_many_pieces)),
        ("a resolution", _with_chunk(b"pHYs", lambda _: struct.pack(">IIB", 11811, 11811, 1))),
        ("a text", _with_chunk(b"tEXt", lambda rng: b"Comment\0" + rng.randbytes(40).hex().encode())),
        (
            "a packed text",
            _with_chunk(b"zTXt", lambda rng: b"Comment\0\0" + zlib.compress(rng.randbytes(99))),
        ),
        ("gamma", _with_chunk(b"gAMA", lambda _: struct.pack(">I", 45455))),
        ("a private chunk", _with_chunk(b"prVt", lambda rng: rng.randbytes(3000))),
        ("a text with a wrong checksum", _text_with_wrong_checksum),
        ("text behind it", _append(lambda rng: contents.log_lines(rng, 20_000))),
        ("zeros behind it", _append(lambda rng: bytes(rng.randrange(1, 65_536)))),
        ("a web page behind it", _append(contents.web_page)),
    ],
    count=6,
)
BAD = (
    table(
        "png",
        "bad",
        [
            ("no IHDR", _without(b"IHDR")),
            ("width 0", _with_header(width=0)),
            ("height 0", _with_header(height=0)),
            ("size 0", _with_header(width=0, height=0)),
            ("a width beyond the limit", _with_header(width=2**31)),
            ("an unknown packing", _with_header(packed=1)),
            ("an unknown filter method", _with_header(filtered=7)),
            ("an unknown interlacing", _with_header(laced=9)),
            ("no IDAT", _without(b"IDAT")),
            ("an empty IDAT", _no_image_data),
            ("a wrong checksum in IHDR", _wrong_header_checksum),
            ("no palette", lambda rng: joined([p for p in chunks(by_hand(rng, 4, 3)) if p[0] != b"PLTE"])),
            ("line ends changed", _through_text_mode),
        ],
        count=6,
    )
    + table(
        "png",
        "bad",
        [
            (f"colour {colour} with {depth} bits", _with_header(depth=depth, colour=colour))
            for colour, depth in _INVALID
        ],
        count=4,
    )
    + table(
        "png",
        "bad",
        [("noise instead of zlib data", _data(lambda rng, data: rng.randbytes(len(data))))],
        count=3,
        sampled=0,
        by_decoder=True,
    )
)
SPOILED = table(
    "png",
    "spoiled",
    [
        ("cut", lambda rng: contents.cut(rng, scan(rng))),
        ("a wrong checksum in IDAT", _wrong_data_checksum),
    ],
    count=10,
    sampled=2,
) + table(
    "png", "spoiled", [("half a picture, right checksums", _data(_half))], count=3, sampled=0, by_decoder=True
)
_FUZZED = Recipe("changed bytes in the head", "png", "fuzzed", _fuzzed, 60, 0)
RECIPES = [*GOOD, *BAD, *SPOILED, _FUZZED]
