"""PDF files that no viewer shows, or that have lost something."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import pikepdf
from pikepdf import Array, Dictionary, Name

from corpus import contents
from corpus.contents import pages
from corpus.pdfs import (
    DISABLE,
    GENERATE,
    assembled,
    bodies,
    locked,
    locked_by_hand,
    opened,
    plain,
    realistic,
    saved_by_pikepdf,
    written,
)
from corpus.recipes import Recipe, table

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from pikepdf import Pdf

    Make = Callable[[random.Random], bytes]


def _no_pages(mode: pikepdf.ObjectStreamMode) -> Make:
    return lambda rng: written(rng, pikepdf.new(), object_stream_mode=mode)


def _by_hand(number: int, body: bytes) -> Make:
    """Return a function that replaces one object of a document by hand."""

    def make(rng: random.Random) -> bytes:
        objects = bodies(rng)
        objects[number - 1] = body
        return assembled(objects)

    return make


def _no_root(rng: random.Random) -> bytes:
    """Return a file whose trailer has no /Root, and whose catalog is nowhere."""
    objects = bodies(rng)
    objects[0] = b"<< /Title (no catalog) >>"
    return assembled(objects, root=b"")


def _root_nowhere(rng: random.Random) -> bytes:
    objects = bodies(rng)
    objects[0] = b"null"
    return assembled(objects, root=b"/Root 77 0 R")


def _pages_lost(rng: random.Random) -> bytes:
    objects = bodies(rng)
    objects[1] = objects[2] = b"null"
    return assembled(objects)


def _kids_nowhere(rng: random.Random) -> bytes:
    """Return a file whose page tree leads to an object that is missing; there is no page elsewhere either."""
    objects = bodies(rng)
    objects[1], objects[2] = b"<< /Type /Pages /Kids [88 0 R] /Count 1 >>", b"null"
    return assembled(objects)


def _trailer_only(rng: random.Random) -> bytes:
    return (
        b"%%PDF-1.%d\n%% %d\nxref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 1 >>\nstartxref\n18\n%%%%EOF\n"
        % (
            rng.randrange(3, 8),
            rng.randrange(10**6),
        )
    )


def _head_only(rng: random.Random) -> bytes:
    return b"%%PDF-1.%d\nstartxref\n%d" % (rng.randrange(8), rng.randrange(10))


def _kids(change: Callable[[Pdf], object], mode: pikepdf.ObjectStreamMode = DISABLE) -> Make:
    def make(rng: random.Random) -> bytes:
        document = opened(pages(rng))
        change(document)
        return written(rng, document, object_stream_mode=mode)

    return make


def _empty_kids(document: Pdf) -> None:
    document.Root.Pages = document.make_indirect(Dictionary(Type=Name.Pages, Kids=Array([]), Count=0))


def _spoiled_object_streams(rng: random.Random) -> bytes:
    """Return a file whose object streams, with the catalog and the pages, are noise."""
    content = written(rng, opened(pages(rng)), object_stream_mode=GENERATE)

    def noise(found: re.Match[bytes]) -> bytes:
        head, data = found[0][: found.end(1) - found.start()], found[2]
        return head + rng.randbytes(len(data)) + b"\nendstream"

    pattern = rb"(/Type /ObjStm[^>]*>>\s*stream\r?\n)(.*?)\nendstream"
    return re.sub(pattern, noise, content, flags=re.DOTALL)


def _handler(filter_name: bytes) -> Make:
    """Return a function that makes files encrypted by another handler than the standard's passwords."""

    def make(rng: random.Random) -> bytes:
        objects = bodies(rng)
        packed = rng.randbytes(900)
        objects[3] = b"<< /Length 900 /Filter /FlateDecode >>\nstream\n" + packed + b"\nendstream"
        body = b"<< /Filter /%s /SubFilter /adbe.pkcs7.s4 /V 2 /Length 128 /Recipients [<%s>] >>"
        objects.append(body % (filter_name, rng.randbytes(40).hex().encode()))
        stamp = rng.randbytes(16).hex().encode()
        return assembled(objects, more=b"/Encrypt 6 0 R /ID [<%s> <%s>]" % (stamp, stamp))

    return make


def _zeros_behind_head(rng: random.Random) -> bytes:
    content = plain(rng)
    kept = rng.randrange(9, 200)
    return content[:kept] + bytes(len(content) - kept)


def _cut(rng: random.Random) -> bytes:
    return contents.cut(
        rng, rng.choice((plain, saved_by_pikepdf(object_stream_mode=GENERATE), realistic))(rng)
    )


def _cut_and_page(rng: random.Random) -> bytes:
    return _cut(rng) + contents.web_page(rng)


def _linearized_with_a_gap(rng: random.Random) -> bytes:
    """Return a linearized file that lost some hundred bytes on its way, but not its end."""
    content = written(rng, opened(pages(rng)), linearize=True)
    at = rng.randrange(len(content) // 3, len(content) // 2)
    return content[:at] + content[at + rng.randrange(40, 450) :]


def _fuzzed(rng: random.Random) -> bytes:
    """Return a small file with changed bytes in its objects, table or trailer, but not in its streams."""
    content = assembled(bodies(rng, lines=60))
    stream = content.index(b"stream\n")
    end = content.index(b"endstream")
    start, stop = rng.choice(((0, 20), (15, stream), (15, stream), (end + 9, len(content))))
    return contents.flip(rng, content, start, stop, rng.randrange(1, 9))


RECIPES = [
    *table(
        "pdf",
        "bad",
        [
            ("no pages", _no_pages(DISABLE)),
            ("no pages by hand", _by_hand(2, b"<< /Type /Pages /Kids [] /Count 0 >>")),
            ("an empty page tree", _kids(_empty_kids)),
            ("no catalog", _no_root),
            ("a catalog nowhere", _root_nowhere),
            ("a catalog without pages", _by_hand(1, b"<< /Type /Catalog >>")),
            ("pages nowhere", _pages_lost),
            ("a trailer only", _trailer_only),
            ("a head only", _head_only),
            ("zeros behind the head", _zeros_behind_head),
            ("encrypted by a certificate", _handler(b"Adobe.PubSec")),
            ("encrypted by an unknown handler", _handler(b"Fictional.Lock")),
            ("encrypted R2 by hand, password needed", lambda rng: locked_by_hand(rng, b"secret")),
            *(
                (
                    f"encrypted R{revision}{' AES' * aes}, password needed",
                    locked(revision, user="secret", aes=aes),
                )
                for revision, aes in ((2, False), (3, False), (4, False), (4, True), (5, True), (6, True))
            ),
        ],
        count=6,
    ),
    *table(
        "pdf",
        "bad",
        [
            ("no pages, an object stream", _no_pages(GENERATE)),
            ("an empty page tree in an object stream", _kids(_empty_kids, GENERATE)),
            ("object streams are noise", _spoiled_object_streams),
        ],
        count=5,
        sampled=0,
        by_decoder=True,
    ),
    *table(
        "pdf",
        "spoiled",
        [
            ("a page tree that leads nowhere", _kids_nowhere),
            ("cut", _cut),
            ("cut, a web page behind it", _cut_and_page),
            ("linearized, bytes lost inside", _linearized_with_a_gap),
            ("a web page named .pdf", contents.web_page),
            ("text named .pdf", lambda rng: contents.log_lines(rng, 3000)),
            ("a picture named .pdf", lambda rng: contents.saved(contents.picture(rng), "JPEG")),
            ("an archive named .pdf", lambda rng: b"PK\3\4" + zlib.compress(rng.randbytes(900))),
        ],
        count=8,
        sampled=1,
    ),
    Recipe("changed bytes", "pdf", "fuzzed", _fuzzed, 60, 0),
]
