"""JPEG files: whole ones in every manner that cameras and scanners write, and heads without a picture."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from corpus import contents
from corpus.contents import picture, saved
from corpus.recipes import Recipe, table

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from PIL import Image

    Make = Callable[[random.Random], bytes]

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_SOF0, _DHT, _SOS, _DQT, _APP0, _APP1, _COM = 0xC0, 0xC4, 0xDA, 0xDB, 0xE0, 0xE1, 0xFE


def photo(rng: random.Random) -> bytes:
    return saved(picture(rng), "JPEG", quality=rng.randrange(40, 96))


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def segments(content: bytes) -> list[tuple[int, bytes]]:
    """Return marker and body of each segment up to the first scan, whose body is the rest of the file."""
    found: list[tuple[int, bytes]] = []
    at = 2
    while True:
        marker, length = struct.unpack_from(">xBH", content, at)
        if marker == _SOS:
            return [*found, (_SOS, content[at + 4 :])]
        found.append((marker, content[at + 4 : at + 2 + length]))
        at += 2 + length


def joined(parts: list[tuple[int, bytes]]) -> bytes:
    out = SOI
    for marker, body in parts:
        if marker == _SOS:  # The scan's header has a length of its own; the picture's data follow it.
            length = 3 + 2 * body[0] + 3
            out += struct.pack(">BBH", 0xFF, _SOS, length) + body
        else:
            out += segment(marker, body)
    return out


def _with_frame(change: Callable[[bytearray], object], marker: int | None = None) -> Make:
    """Return a function whose photos have a changed frame header: precision, height, width, components."""

    def make(rng: random.Random) -> bytes:
        parts = []
        for kind, body in segments(photo(rng)):
            if kind == _SOF0:
                frame = bytearray(body)
                change(frame)
                parts.append((kind if marker is None else marker, bytes(frame)))
            else:
                parts.append((kind, body))
        return joined(parts)

    return make


def _without(*markers: int) -> Make:
    return lambda rng: joined([part for part in segments(photo(rng)) if part[0] not in markers])


def _saved(mode: str = "RGB", **options: object) -> Make:
    return lambda rng: saved(picture(rng, mode), "JPEG", **{"quality": rng.randrange(30, 97), **options})


def _with_segment(marker: int, body: Callable[[random.Random], bytes]) -> Make:
    return lambda rng: SOI + segment(marker, body(rng)) + photo(rng)[2:]


def _mpo(rng: random.Random) -> bytes:
    more: list[Image.Image] = [picture(rng, size=(80, 60)) for _ in range(rng.randrange(1, 3))]
    return saved(picture(rng), "MPO", save_all=True, append_images=more)


def _exif(rng: random.Random) -> bytes:
    image = picture(rng)
    exif = image.getexif()
    exif[0x0112], exif[0x010F], exif[0x0132] = rng.randrange(1, 9), "Fictional", "2026:01:02 03:04:05"
    return saved(image, "JPEG", exif=exif)


def _thumbnail(rng: random.Random) -> bytes:
    """Return a photo with a smaller JPEG in its Exif segment, as cameras write it."""
    small = saved(picture(rng, size=(40, 30)), "JPEG")
    first = struct.pack("<2sHIHI", b"II", 42, 8, 0, 14)
    thumbnail = struct.pack("<HHHIHHHHIIHHIII", 3, 259, 3, 1, 6, 0, 513, 4, 1, 56, 514, 4, 1, len(small), 0)
    exif = b"Exif\0\0" + first + thumbnail
    exif += bytes(6 + 56 - len(exif)) if len(exif) < 62 else b""
    return SOI + segment(_APP1, exif[:62] + small) + photo(rng)[2:]


def _fill_bytes(rng: random.Random) -> bytes:
    parts = segments(photo(rng))
    return (
        SOI
        + b"".join(b"\xff" * rng.randrange(4) + segment(*part) for part in parts[:-1])
        + joined(parts[-1:])[2:]
    )


def _video(rng: random.Random) -> bytes:
    return photo(rng) + struct.pack(">I8sI", 24, b"ftypmp42", 0) + rng.randbytes(20_000)


def _disk_slack(rng: random.Random) -> bytes:
    return photo(rng) + photo(rng)[: rng.randrange(500, 3000)]


def _heads_only(rng: random.Random) -> bytes:
    return (
        SOI
        + segment(_APP0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        + segment(_COM, rng.randbytes(9).hex().encode())
        + EOI
    )


def _empty_scan(rng: random.Random) -> bytes:
    return SOI + segment(_COM, rng.randbytes(6).hex().encode()) + segment(_SOS, b"") + EOI


def _no_scan(rng: random.Random) -> bytes:
    return joined(segments(photo(rng))[:-1]) + EOI


def _frame_after_scan(rng: random.Random) -> bytes:
    *parts, scan = segments(photo(rng))
    others = [part for part in parts if part[0] != _SOF0]
    frame = [part for part in parts if part[0] == _SOF0]
    return joined([*others, scan])[:-2] + joined(frame)[2:] + EOI


def _set(at: int, value: int, size: int = 1) -> Callable[[bytearray], object]:
    return lambda frame: frame.__setitem__(slice(at, at + size), value.to_bytes(size, "big"))


def _components(count: int) -> Callable[[bytearray], object]:
    def change(frame: bytearray) -> None:
        frame[5] = count
        frame[6:] = b"".join(bytes((number, 0x11, 0)) for number in range(1, count + 1))

    return change


def _overfull_huffman(rng: random.Random) -> bytes:
    parts = segments(photo(rng))
    return joined(
        [(kind, body[:1] + b"\xff" * 16 + body[17:] if kind == _DHT else body) for kind, body in parts]
    )


def _append(extra: Callable[[random.Random], bytes]) -> Make:
    return lambda rng: photo(rng) + extra(rng)


def _fuzzed(rng: random.Random) -> bytes:
    content = photo(rng)
    scan = content.index(b"\xff\xda")
    return contents.flip(rng, content, 0, scan + 10, rng.randrange(1, 7))


GOOD = table(
    "jpeg",
    "good",
    [
        ("baseline", photo),
        ("greyscale", _saved("L")),
        ("CMYK", _saved("CMYK")),
        ("progressive", _saved(progressive=True)),
        ("progressive greyscale", _saved("L", progressive=True)),
        ("optimized", _saved(optimize=True)),
        ("4:4:4", _saved(subsampling=0)),
        ("4:2:2", _saved(subsampling=1)),
        ("RGB kept", _saved(keep_rgb=True)),
        ("restart markers", _saved(restart_marker_blocks=7)),
        ("quality 1", _saved(quality=1)),
        ("MPO", _mpo),
        ("Exif", _exif),
        ("Exif with a thumbnail", _thumbnail),
        ("a comment", _with_segment(_COM, lambda rng: contents.text(rng, 60).encode())),
        (
            "an XMP segment",
            _with_segment(_APP1, lambda rng: _XMP + rng.randbytes(900)),
        ),
        ("a maker's segment", _with_segment(0xEC, lambda rng: rng.randbytes(60_000))),
        ("no JFIF segment", _without(_APP0)),
        ("fill bytes", _fill_bytes),
        ("a video behind it", _video),
        ("disk slack behind it", _disk_slack),
        ("text behind it", _append(lambda rng: contents.log_lines(rng, 20_000))),
        ("zeros behind it", _append(lambda rng: bytes(rng.randrange(1, 65_536)))),
        ("a web page behind it", _append(contents.web_page)),
        ("a line end behind it", _append(lambda rng: rng.choice((b"\n", b"\r\n", b"\0")))),
    ],
)
BAD = table(
    "jpeg",
    "bad",
    [
        ("headers, no scan", _heads_only),
        ("an empty scan", _empty_scan),
        ("no frame", _without(_SOF0)),
        ("no scan", _no_scan),
        ("the frame behind the scan", _frame_after_scan),
        ("lossless", _with_frame(lambda _: None, 0xC3)),
        ("hierarchical", _with_frame(lambda _: None, 0xC5)),
        ("JPEG-LS", _with_frame(lambda _: None, 0xF7)),
        ("12 bits", _with_frame(_set(0, 12))),
        ("height 0", _with_frame(_set(1, 0, 2))),
        ("width 0", _with_frame(_set(3, 0, 2))),
        ("no components", _with_frame(_components(0))),
        ("17 components", _with_frame(_components(17))),
        ("sampling 0", _with_frame(_set(7, 0))),
    ],
    count=8,
) + table(
    "jpeg",
    "bad",
    [
        ("no quantization tables", _without(_DQT)),
        ("overfull Huffman tables", _overfull_huffman),
    ],
    count=3,
    sampled=0,
    by_decoder=True,
)
SPOILED = table("jpeg", "spoiled", [("cut", lambda rng: contents.cut(rng, photo(rng)))], count=12, sampled=3)
_TINY = Recipe("8 bytes", "jpeg", "bad", lambda _: b"\xff\xd8\xff\xda\0\x02\xff\xd9", 1)
_FUZZED = Recipe("changed bytes in the head", "jpeg", "fuzzed", _fuzzed, 60, 0)
RECIPES = [*GOOD, *BAD, _TINY, *SPOILED, _FUZZED]
