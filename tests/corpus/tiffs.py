"""TIFF files: by Pillow (libtiff), and by hand where Pillow cannot."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from corpus import contents
from corpus.contents import picture, saved
from corpus.recipes import Recipe, table

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Make = Callable[[random.Random], bytes]
    Fields = dict[int, tuple[int, tuple[int, ...]]]

_BYTE, _SHORT, _LONG = 1, 3, 4
_LETTERS = {_BYTE: "B", _SHORT: "H", _LONG: "I"}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, SAMPLES, ROWS, COUNTS, PLANES = 273, 277, 278, 279, 284
_FILL_ORDER, _PALETTE, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_COUNTS = 266, 320, 322, 323, 324, 325


@dataclass
class Page:
    """A page by hand: its fields, and the strips or tiles that fields 273 or 324 refer to."""

    strips: list[bytes]
    fields: Fields = field(default_factory=dict)
    tiled: bool = False
    omitted: tuple[int, ...] = ()
    count_type: int = _LONG


def assembled(
    pages: list[Page], order: str = "<", *, last: int | None = 0, next_to: int | None = None
) -> bytes:
    """Return the file. `last` is what the last page has as its next page: an offset, or nothing at all.

    `next_to` is the number of the page to which the last one leads back.
    """
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))
    pointer, directories = 4, []
    for page in pages:
        offsets = []
        for strip in page.strips:
            out += bytes(len(out) % 2)
            offsets.append(len(out))
            out += strip
        own: Fields = {
            (_TILES if page.tiled else STRIPS): (_LONG, tuple(offsets)),
            (_TILE_COUNTS if page.tiled else COUNTS): (page.count_type, tuple(map(len, page.strips))),
            **page.fields,
        }
        own = {tag: own[tag] for tag in sorted(own) if tag not in page.omitted}
        entries = b""
        for tag, (kind, values) in own.items():
            packed = struct.pack(f"{order}{len(values)}{_LETTERS[kind]}", *values)
            if len(packed) > 4:
                out += bytes(len(out) % 2)
                packed, at = struct.pack(order + "I", len(out)), packed
                out += at
            entries += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
        out += bytes(len(out) % 2)
        struct.pack_into(order + "I", out, pointer, len(out))
        directories.append(len(out))
        out += struct.pack(order + "H", len(own)) + entries
        pointer = len(out)
        out += bytes(4)
    end = directories[next_to] if next_to is not None else last
    if end is None:
        del out[pointer:]
    else:
        struct.pack_into(order + "I", out, pointer, end)
    return bytes(out)


def page(rng: random.Random, mode: str = "RGB", *, strips: int = 3, packed: bool = False) -> Page:
    """Return a page of a picture, in strips, uncompressed or with Deflate."""
    image = picture(rng, mode)
    width, height = image.size
    bits, photometric, samples = {"1": (1, 1, 1), "L": (8, 1, 1), "RGB": (8, 2, 3), "CMYK": (8, 5, 4)}[mode]
    rows, size = -(-height // strips), (width * bits * samples + 7) // 8
    data = image.tobytes()
    pieces = [data[at : at + rows * size] for at in range(0, len(data), rows * size)]
    fields: Fields = {
        WIDTH: (_SHORT, (width,)),
        HEIGHT: (_SHORT, (height,)),
        BITS: (_SHORT, (bits,) * samples),
        COMPRESSION: (_SHORT, (8 if packed else 1,)),
        PHOTOMETRIC: (_SHORT, (photometric,)),
        SAMPLES: (_SHORT, (samples,)),
        ROWS: (_SHORT, (rows,)),
    }
    return Page([zlib.compress(piece) for piece in pieces] if packed else pieces, fields)


def scan(rng: random.Random) -> bytes:
    return saved(picture(rng), "TIFF", compression="tiff_lzw")


def _saved(mode: str, compression: str | None = None, **options: object) -> Make:
    return lambda rng: saved(picture(rng, mode), "TIFF", compression=compression, **options)


def several_pages(rng: random.Random) -> bytes:
    kind = rng.choice(("tiff_lzw", "tiff_adobe_deflate", "raw", "packbits"))
    more = [picture(rng, "L") for _ in range(rng.randrange(1, 4))]
    return saved(picture(rng, "L"), "TIFF", save_all=True, append_images=more, compression=kind)


def fax(rng: random.Random) -> bytes:
    more = [picture(rng, "1", (200, 240)) for _ in range(rng.randrange(1, 4))]
    return saved(
        picture(rng, "1", (200, 240)), "TIFF", save_all=True, append_images=more, compression="group4"
    )


def _by_hand(
    mode: str = "RGB", order: str = "<", *, pages: int = 1, strips: int = 3, packed: bool = False
) -> Make:
    return lambda rng: assembled([page(rng, mode, strips=strips, packed=packed) for _ in range(pages)], order)


def _edited(
    change: Callable[[Page], object], mode: str = "RGB", *, strips: int = 3, packed: bool = False
) -> Make:
    def make(rng: random.Random) -> bytes:
        own = page(rng, mode, strips=strips, packed=packed)
        change(own)
        return assembled([own], rng.choice("<>"))

    return make


def _set(tag: int, *values: int, kind: int = _SHORT) -> Callable[[Page], object]:
    return lambda own: own.fields.update({tag: (kind, values)})


def _omit(*tags: int) -> Callable[[Page], object]:
    return lambda own: setattr(own, "omitted", tags)


def _tiled(rng: random.Random) -> bytes:
    image = picture(rng, "L", (96, 64))
    tiles = [image.crop((x, y, x + 32, y + 32)).tobytes() for y in (0, 32) for x in (0, 32, 64)]
    packed = rng.random() < 0.5
    fields: Fields = {
        WIDTH: (_SHORT, (96,)),
        HEIGHT: (_SHORT, (64,)),
        BITS: (_SHORT, (8,)),
        COMPRESSION: (_SHORT, (8 if packed else 1,)),
        PHOTOMETRIC: (_SHORT, (1,)),
        SAMPLES: (_SHORT, (1,)),
        _TILE_WIDTH: (_SHORT, (32,)),
        _TILE_HEIGHT: (_SHORT, (32,)),
    }
    return assembled([Page([zlib.compress(tile) for tile in tiles] if packed else tiles, fields, tiled=True)])


def _planes(rng: random.Random) -> bytes:
    image = picture(rng, size=(70, 50))
    own = page(rng)
    own.strips = [plane.tobytes() for plane in image.split()]
    own.fields |= {
        WIDTH: (_SHORT, (70,)),
        HEIGHT: (_SHORT, (50,)),
        ROWS: (_SHORT, (50,)),
        PLANES: (_SHORT, (2,)),
    }
    return assembled([own])


def _few_bits(bits: int) -> Make:
    def make(rng: random.Random) -> bytes:
        width, height = rng.randrange(20, 90), rng.randrange(20, 90)
        fields: Fields = {
            WIDTH: (_SHORT, (width,)),
            HEIGHT: (_SHORT, (height,)),
            BITS: (_SHORT, (bits,)),
            COMPRESSION: (_SHORT, (1,)),
            PHOTOMETRIC: (_SHORT, (rng.randrange(2),)),
            SAMPLES: (_SHORT, (1,)),
            ROWS: (_SHORT, (height,)),
        }
        return assembled([Page([rng.randbytes((width * bits + 7) // 8 * height)], fields)])

    return make


def _palette(rng: random.Random) -> bytes:
    own = page(rng, "L")
    own.fields |= {
        PHOTOMETRIC: (_SHORT, (3,)),
        _PALETTE: (_SHORT, tuple(rng.randrange(65_536) for _ in range(768))),
    }
    return assembled([own])


def _no_end(rng: random.Random) -> bytes:
    return assembled([page(rng)], last=None)


def _loop(rng: random.Random) -> bytes:
    return assembled([page(rng, "L"), page(rng, "L")], next_to=rng.randrange(2))


def _one_count_short(rng: random.Random) -> bytes:
    """Return a page whose last strip claims the length of a full one, as some writers do."""
    own = page(rng, strips=3)
    own.strips[-1] = own.strips[-1][: len(own.strips[-1])]
    counts = tuple([len(own.strips[0])] * len(own.strips))
    own.fields[COUNTS] = (_LONG, counts)
    return assembled([own])


def _append(extra: Callable[[random.Random], bytes]) -> Make:
    return lambda rng: scan(rng) + extra(rng)


def _head(*fields: tuple[int, int, int]) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in fields)
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4)


def _lost_pages(rng: random.Random) -> bytes:
    """Return a fax of which the later pages were cut off."""
    whole = assembled([page(rng, "1") for _ in range(3)])
    first = assembled([page(rng, "1")], last=len(whole) + rng.randrange(10_000))
    return first + rng.randbytes(8)


def _nowhere(rng: random.Random) -> bytes:
    return b"MM\0*" + struct.pack(">I", rng.randrange(10**5, 10**9)) + rng.randbytes(300)


def _fuzzed(rng: random.Random) -> bytes:
    content = _by_hand("L", rng.choice("<>"), packed=True)(rng)
    (directory,) = struct.unpack_from("<I" if content[:2] == b"II" else ">I", content, 4)
    if rng.random() < 0.2:
        return contents.flip(rng, content, 0, 8, rng.randrange(1, 3))
    return contents.flip(rng, content, directory, directory + 2 + 12 * 9, rng.randrange(1, 5))


def _noise(rng: random.Random) -> bytes:
    own = page(rng, "L", packed=True)
    own.strips = [rng.randbytes(len(strip)) for strip in own.strips]
    return assembled([own])


GOOD = table(
    "tiff",
    "good",
    [
        ("LZW", scan),
        ("uncompressed", _saved("RGB", "raw")),
        ("Deflate", _saved("RGB", "tiff_deflate")),
        ("Adobe Deflate", _saved("L", "tiff_adobe_deflate")),
        ("PackBits", _saved("L", "packbits")),
        ("fax G3", _saved("1", "group3")),
        ("fax G4", _saved("1", "group4")),
        ("fax of several pages", fax),
        ("JPEG inside", _saved("RGB", "jpeg")),
        ("JPEG inside, greyscale", _saved("L", "jpeg")),
        ("several pages", several_pages),
        ("palette", _saved("P")),
        ("palette by hand", _palette),
        ("CMYK", _saved("CMYK")),
        ("RGBA", _saved("RGBA", "tiff_lzw")),
        ("greyscale with alpha", _saved("LA")),
        ("16 bits", _saved("I;16")),
        ("by hand, little-endian", _by_hand()),
        ("by hand, big-endian", _by_hand(order=">")),
        ("by hand, big-endian, Deflate, pages", _by_hand("L", ">", pages=3, packed=True)),
        ("by hand, one strip", _by_hand("L", strips=1)),
        ("by hand, many strips", _by_hand("RGB", strips=40)),
        ("by hand, CMYK", _by_hand("CMYK")),
        ("tiles", _tiled),
        ("planes", _planes),
        ("2 bits", _few_bits(2)),
        ("4 bits", _few_bits(4)),
        ("no strip lengths", _edited(_omit(COUNTS), "L", strips=1)),
        ("a last strip too long", _one_count_short),
        ("ends with its directory", _no_end),
        ("text behind it", _append(lambda rng: contents.log_lines(rng, 20_000))),
        ("zeros behind it", _append(lambda rng: bytes(rng.randrange(1, 65_536)))),
        ("a web page behind it", _append(contents.web_page)),
    ],
    count=7,
)
BAD = (
    table(
        "tiff",
        "bad",
        [
            ("no width", _edited(_omit(WIDTH))),
            ("no height", _edited(_omit(HEIGHT))),
            ("width 0", _edited(_set(WIDTH, 0))),
            ("height 0", _edited(_set(HEIGHT, 0))),
            ("no strips", _edited(_omit(STRIPS, COUNTS))),
            ("unknown compression", _edited(_set(COMPRESSION, 65_000))),
            ("unknown compression, packed", _edited(_set(COMPRESSION, 7777), packed=True)),
            ("no samples", _edited(_set(SAMPLES, 0))),
            ("strips outside", _edited(lambda own: own.fields.update({STRIPS: (_LONG, (10**8,) * 3)}))),
            ("a directory outside", _nowhere),
        ],
        count=6,
    )
    + table(
        "tiff",
        "bad",
        [
            ("a head of one field", lambda rng: _head((273, 4, 8)) + rng.randbytes(9)),
            ("an empty directory", lambda rng: _head() + rng.randbytes(9)),
        ],
        count=3,
    )
    + table(
        "tiff",
        "bad",
        [("noise instead of zlib data", _noise)],
        count=3,
        sampled=0,
        by_decoder=True,
    )
)
SPOILED = [
    Recipe("cut", "tiff", "spoiled", lambda rng: contents.cut(rng, _by_hand("RGB", packed=True)(rng)), 12, 3),
    Recipe("later pages lost", "tiff", "spoiled", _lost_pages, 6),
]
_BIG = Recipe(
    "BigTIFF", "tiff", "either", lambda rng: saved(picture(rng), "TIFF", big_tiff=True), 6, told=True
)
_FUZZED = Recipe("changed bytes in the directory", "tiff", "fuzzed", _fuzzed, 60, 0)
_LOOP = Recipe("pages in a loop", "tiff", "good", _loop, 7, told=True)
RECIPES = [*GOOD, _LOOP, *BAD, *SPOILED, _BIG, _FUZZED]


def realistic(rng: random.Random) -> bytes:
    return rng.choice((scan, several_pages, _by_hand("RGB"), fax, _saved("RGB", "tiff_deflate")))(rng)
