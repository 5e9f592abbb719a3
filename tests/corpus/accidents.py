"""What happens to whole documents on their way: the thirteen accidents, and whether docsend says a word."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from corpus import bmps, contents, jpegs, pdfs, pngs, tiffs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Damage = Callable[[random.Random, bytes], bytes]

MAKERS = {
    "pdf": pdfs.realistic,
    "jpeg": jpegs.photo,
    "png": pngs.scan,
    "tiff": tiffs.realistic,
    "bmp": bmps.scan,
}
COUNT = 100
_PIECE = 8192  # of a response in chunks


def _cut(share: float) -> Damage:
    return lambda _, content: content[: int(len(content) * share)]


def _cut_and_page(rng: random.Random, content: bytes) -> bytes:
    return content[: len(content) // 2] + contents.web_page(rng)


def _zeros(_: random.Random, content: bytes) -> bytes:
    return content[: len(content) // 2] + bytes(len(content) - len(content) // 2)


def _hole(rng: random.Random, content: bytes) -> bytes:
    """Return the content with 2 KB of zeros somewhere in its middle half, less in a small file."""
    size = min(2048, len(content) // 4)
    at = rng.randrange(len(content) // 4, 3 * len(content) // 4 - size + 1)
    return content[:at] + bytes(size) + content[at + size :]


def _as_utf_8(_: random.Random, content: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode()


def _latin_1_as_utf_8(_: random.Random, content: bytes) -> bytes:
    return content.decode("latin-1").encode()


def _lf_to_crlf(_: random.Random, content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _crlf_to_lf(_: random.Random, content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")


def _chunk_marks(_: random.Random, content: bytes) -> bytes:
    pieces = [content[at : at + _PIECE] for at in range(0, len(content), _PIECE)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _last_byte(_: random.Random, content: bytes) -> bytes:
    return content[:-1]


def _page_or_zeros(rng: random.Random, content: bytes) -> bytes:
    return content + (contents.web_page(rng) if rng.random() < 0.5 else bytes(65_536))


def _log(rng: random.Random, content: bytes) -> bytes:
    return content + contents.log_lines(rng, 20_000)


ACCIDENTS: dict[str, Damage] = {
    "cut to 50 %": _cut(0.5),
    "cut to 90 %": _cut(0.9),
    "cut to 50 %, a web page behind it": _cut_and_page,
    "zeros from 50 % on": _zeros,
    "a hole of 2 KB of zeros": _hole,
    "read and written as UTF-8 text": _as_utf_8,
    "Latin-1 text written as UTF-8": _latin_1_as_utf_8,
    "LF became CRLF": _lf_to_crlf,
    "CRLF became LF": _crlf_to_lf,
    "chunked-transfer marks left in": _chunk_marks,
    "whole, last byte lost": _last_byte,
    "whole, a web page or 64 KB of zeros behind it": _page_or_zeros,
    "whole, 20 KB of text behind it": _log,
}


def originals(format_name: str, count: int, seed: int) -> list[bytes]:
    """Return whole documents, the same ones for each accident."""
    return [MAKERS[format_name](random.Random(f"{seed} {format_name} {number}")) for number in range(count)]


def happen(name: str, format_name: str, whole: Iterable[bytes], seed: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the content of each document that an accident changed."""
    for number, before in enumerate(whole):
        after = ACCIDENTS[name](random.Random(f"{seed} {name} {format_name} {number}"), before)
        if after != before:
            yield number, after
