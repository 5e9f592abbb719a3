"""Hostile documents: real documents that are mutated, truncated or inflated."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import samples
from docsend.checks import documents
from faults.hostile.inputs import HostileInputs, document_violations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.hostile.program import Violations

_SAMPLES: dict[str, list[bytes]] = {}
_INTEGERS = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)
_TOKENS = (
    *(
        b"%PDF-",
        b"startxref",
        b"trailer",
        b"xref",
        b"obj",
        b"endobj",
        b"stream",
        b"/Encrypt",
        b"/Encrypt 1 0 R",
    ),
    *(
        b"/Linearized 1 /L 99999999999",
        b"%%EOF",
        b"1 0 obj",
        b"\xff\xd8\xff",
        b"\xff\xd9",
        b"\xff\xda",
        b"IEND",
    ),
    *(
        b"IDAT",
        b"\x89PNG\r\n\x1a\n",
        b"II*\0",
        b"MM\0*",
        b"BM",
        b"<!doctype html>",
        b"PK\x03\x04",
        b"\0" * 64,
    ),
    *(b"9" * 5000, b" " * 3000, b"\xff" * 100, b"<<" * 500, b"[" * 500),
)


def sample_document(rng: random.Random, kind: str) -> bytes:
    """Return one of four valid documents of a kind, which are generated once."""
    if kind not in _SAMPLES:
        makers: dict[str, Callable[[int], bytes]] = {
            "pdf": lambda n: samples.pdf(n, streams=n == 1, password="fictional" if n == 2 else None),
            "jpg": samples.jpeg,
            "png": samples.png,
            "tiff": lambda n: samples.tiff(n, pages=n + 1),
            "bmp": samples.bmp,
        }
        _SAMPLES[kind] = [makers[kind](n) for n in range(4)]
    return rng.choice(_SAMPLES[kind])


def mutate(rng: random.Random, content: bytes, other: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(changed) + 1)
        if rng.random() < 0.4:  # near the start or the end, where the structure is
            at = min(
                len(changed), rng.choice((rng.randrange(64), max(0, len(changed) - rng.randrange(1, 200))))
            )
        end = min(len(changed), at + rng.choice((1, 4, 60, 2000)))
        kind = rng.randrange(7)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at : at + 4] = struct.pack(rng.choice((">I", "<I")), rng.choice(_INTEGERS))
        elif kind == 2:
            changed[at : at + 2] = struct.pack(rng.choice((">H", "<H")), rng.choice(_INTEGERS) & 0xFFFF)
        elif kind == 3:
            del changed[at:end]
        elif kind == 4:
            changed[at:at] = rng.choice(_TOKENS)
        elif kind == 5:
            changed[at:at] = changed[at:end] * rng.randrange(1, 20)
        else:
            start = rng.randrange(len(other))
            changed[at:end] = other[start : start + end - at]
    return bytes(changed[: rng.randrange(len(changed) + 1)] if rng.random() < 0.1 else changed)


def _bomb(rng: random.Random, kind: str) -> bytes:
    """Return a small document that takes long to process for a parser that trusts its numbers."""
    if kind == "tiff":
        fields, values = rng.randrange(1000, 6000), rng.randrange(10_000, 200_000)
        directory = struct.pack("<HHII", rng.choice((273, 279, 324)), rng.choice((3, 4)), values, 8) * fields
        head = b"II*\0" + struct.pack("<IH", 8, fields) + directory + bytes(4)
        return head + bytes(max(0, 4 * values + 16 - len(head)))
    if kind == "png":
        return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0abcd\0\0\0\0" * rng.randrange(50_000)
    if kind == "jpg":
        return b"\xff\xd8\xff" + rng.choice(
            (b"\xff\xd0", b"\xff\xe0\0\0", b"\xff", b"a\xff")
        ) * rng.randrange(300_000)
    if kind == "bmp":
        return b"BM" + struct.pack("<IIIIiiHHII", 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 32, 0, 2**32 - 1)
    fill = rng.choice((b"1 ", b"1", b"/Encrypt ", b"startxref 1 ", b"1 0 obj ", b"\n"))
    tail = rng.choice((b"1" * 8000, b"1 " * 4000, b"1" * 2700 + b" " * 2700 + b"1" * 2700, b""))
    return b"%PDF-1.7\n" + fill * rng.randrange(50_000) + b"\nstartxref\n9\n" + tail


class Documents(HostileInputs):
    def prepare(self) -> None:
        for kind in ("pdf", "jpg", "png", "tiff", "bmp"):
            sample_document(random.Random(0), kind)

    def document(self, rng: random.Random) -> Path:
        kind, other = (rng.choice(("pdf", "pdf", "jpg", "png", "tiff", "bmp")) for _ in range(2))
        if rng.random() < 0.005:
            self.description, content = f"a {kind} that is slow to process", _bomb(rng, kind)
        elif rng.random() < 0.03:
            self.description, content = f"noise named .{kind}", rng.randbytes(rng.randrange(2000))
        else:
            self.description = f"a changed {kind}"
            content = mutate(rng, sample_document(rng, kind), sample_document(rng, other))
        return samples.write(self.folder, f"document.{kind}", content)

    def try_function(self, rng: random.Random) -> Violations:
        path = self.document(rng)
        read = documents.read_all([path], max_bytes=10 * 2**20, buffer_up_to=rng.choice((0, 10**8)))[0]
        yield from document_violations(read, self.catalog)

    def try_program(self, rng: random.Random) -> Violations:
        yield from self.send(rng, self.document(rng), "-n")
