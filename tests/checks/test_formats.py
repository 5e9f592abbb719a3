"""Files of many producers pass the checks; the same files truncated do not."""

from __future__ import annotations

import io
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest

import defective_documents
import samples
from docsend.checks.formats import detect

if TYPE_CHECKING:
    from PIL import Image

PDF = samples.pdf(1)
WARNINGS = {"lines-altered", "password-unknown", "portfolio", "rare", "repaired", "restricted", "xfa"}


def find_kinds(content: bytes, format_name: str | None) -> list[str]:
    """Return the kinds of the defects that the structure of a file shows, apart from doubts."""
    defects = detect.find_defects(content, format_name)
    return [defect.kind for defect in defects if defect.kind != "doubtful"]


def has_error(content: bytes, format_name: str | None) -> bool:
    return not set(find_kinds(content, format_name)) <= WARNINGS


def repack(**options: Any) -> bytes:
    with pikepdf.open(io.BytesIO(PDF)) as document:
        buffer = io.BytesIO()
        document.save(buffer, **options)
        return buffer.getvalue()


def save(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


RGB = samples.picture(1, (120, 90))
STREAMS = pikepdf.ObjectStreamMode.generate


def build_tiff(
    order: str = "<", *, tiled: bool = False, length: int | None = 256, directory_first: bool = False
) -> bytes:
    """Return a gray TIFF of 16 by 16 pixels in one strip or tile, with `length` as its stated byte count."""
    at = 8 + 2 + 12 * 9 + 4 if directory_first else 8
    pixels = bytes(range(256))
    tags = [(256, 16), (257, 16), (258, 8), (259, 1), (262, 1)]
    tags += [(322, 16), (323, 16), (324, at)] if tiled else [(273, at), (277, 1), (278, 16)]
    tags += [(325 if tiled else 279, length)] if length is not None else []
    directory = struct.pack(order + "H", len(tags))
    directory += b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags) + bytes(4)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    if directory_first:
        return mark + struct.pack(order + "I", 8) + directory.ljust(at - 8, b"\0") + pixels
    return mark + struct.pack(order + "I", 8 + len(pixels)) + pixels + directory


def build_bmp(header: bytes) -> bytes:
    pixels = bytes(4 * 8 * 9)
    at = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", at + len(pixels), 0, 0, at) + header + pixels


COMPLETE = {
    "a big-endian TIFF": build_tiff(">"),
    "a TIFF without lengths": build_tiff(length=None),
    "a TIFF with its directory first": build_tiff(directory_first=True),
    "a TIFF that states too great a length for its last strip": build_tiff(length=4096, directory_first=True),
    "a tiled TIFF": build_tiff("<", tiled=True),
    "a big-endian tiled TIFF": build_tiff(">", tiled=True),
    "a BMP of OS/2": build_bmp(struct.pack("<IHHHH", 12, 10, 9, 1, 24)),
    "a short BMP of OS/2 2": build_bmp(struct.pack("<IiiHH", 16, 10, 9, 1, 24)),
    "a BMP from the top down": build_bmp(struct.pack("<IiiHHIIiiII", 40, 10, -9, 1, 24, 0, 0, 0, 0, 0, 0)),
    "a plain PDF": PDF,
    "a PDF with a cross-reference stream": repack(object_stream_mode=STREAMS),
    "a linearized PDF": repack(linearize=True),
    "a linearized PDF with object streams": repack(linearize=True, object_stream_mode=STREAMS),
    "a PDF in QDF form": repack(qdf=True),
    "a PDF after other bytes": b"junk\r\n" * 20 + PDF,
    "a PDF followed by blanks and zeros": PDF + b"\0" * 3000 + b"\n",
    "a PDF followed by a web page": PDF + b"<html>" + b"x" * 4000,
    "a PDF without %%EOF": PDF.replace(b"%%EOF", b""),
    "a PDF with a wrong offset": PDF.replace(b"startxref\n", b"startxref\n1"),
    "a PDF whose text contains /Encrypt": samples.pdf(2).replace(b"fictional sample 2", b"x /Encrypt 5 0 R "),
    "a JPEG": save(RGB, "JPEG"),
    "a progressive JPEG": save(RGB, "JPEG", progressive=True),
    "a JPEG with restarts": save(RGB, "JPEG", restart_marker_rows=1),
    "a gray JPEG": save(RGB.convert("L"), "JPEG"),
    "a CMYK JPEG": save(RGB.convert("CMYK"), "JPEG"),
    "a PNG": save(RGB, "PNG"),
    "a palette PNG": save(RGB.convert("P"), "PNG"),
    "an animated PNG": save(RGB, "PNG", save_all=True, append_images=[RGB.rotate(5)]),
    "a BMP": save(RGB, "BMP"),
    "a black and white BMP": save(RGB.convert("1"), "BMP"),
    "an uncompressed TIFF": save(RGB, "TIFF"),
    "an LZW TIFF": save(RGB, "TIFF", compression="tiff_lzw"),
    "a JPEG in TIFF": save(RGB, "TIFF", compression="jpeg"),
    "a fax in TIFF": save(RGB.convert("1"), "TIFF", compression="group4"),
    "a TIFF of 5 pages": samples.tiff(pages=5),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_file_passes_whichever_program_wrote_it(name) -> None:
    content = COMPLETE[name]
    format_ = detect.detect_format(content)
    assert format_ in detect.FORMAT_OF_EXTENSION.values()
    assert find_kinds(content, format_) == []


@pytest.mark.parametrize("name", COMPLETE)
def test_a_file_truncated_anywhere_does_not_pass(name) -> None:
    content = COMPLETE[name]
    # Nothing is missing if a PDF is cut after `startxref`, and the tables at the end of a TIFF are unchecked.
    # The first frame of an animated PNG is the image that a clerk sees.
    end = content.rfind(b"startxref") if b"%PDF-" in content else int(len(content) * 0.95)
    end = content.find(b"fdAT") if b"fdAT" in content else end
    chance = random.Random(name)
    for length in {chance.randrange(20, end) for _ in range(60)}:
        part = content[:length]
        format_ = detect.detect_format(part)
        is_accepted = format_ in detect.FORMAT_OF_EXTENSION.values()
        assert not is_accepted or has_error(part, format_), length


@pytest.mark.parametrize("streams", [pikepdf.ObjectStreamMode.disable, STREAMS])
@pytest.mark.parametrize("revision", [2, 3, 4, 6])
@pytest.mark.parametrize("linearize", [False, True])
def test_a_pdf_with_a_password_is_detected_however_it_is_encrypted(streams, revision, linearize) -> None:
    is_new = revision >= 4
    encryption = pikepdf.Encryption("fictional", "fictional", R=revision, aes=is_new, metadata=is_new)
    content = repack(encryption=encryption, object_stream_mode=streams, linearize=linearize)
    assert find_kinds(content, "pdf") == ["password-unknown" if revision == 6 else "needs-password"]


@pytest.mark.parametrize(
    "content", [b"%PDF-", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*\0\0\0\x08", b"BM"]
)
def test_a_file_that_ends_after_its_magic_bytes_is_damaged(content) -> None:
    format_ = detect.detect_format(content)
    assert format_ is not None
    assert find_kinds(content, format_) == ["damaged"]


def test_no_corrupt_file_makes_the_check_fail() -> None:
    chance = random.Random(7)
    for name, content in COMPLETE.items():
        for _ in range(40):
            broken = bytearray(content)
            for _ in range(8):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            format_ = detect.detect_format(bytes(broken))
            if format_ in detect.FORMAT_OF_EXTENSION.values():
                assert isinstance(detect.find_defects(bytes(broken), format_), tuple), name


@pytest.mark.parametrize("number", [2**31, 2**63, 10**20 - 1, 0])
def test_no_number_in_a_pdf_makes_the_check_fail(number) -> None:
    documents = [
        defective_documents.text_pdf(1),
        defective_documents.linearized_pdf(),
        defective_documents.encrypted_pdf(4),
        defective_documents.encrypted_pdf(3, streams=True),
        defective_documents.xfa_form(streams=True),
    ]
    for content in documents:
        for found in re.finditer(rb"(?<![\w.])\d{1,10}(?![\w.])", content):
            changed = content[: found.start()] + b"%d" % number + content[found.end() :]
            assert isinstance(detect.find_defects(changed, "pdf"), tuple), found


def test_a_pdf_whose_last_revision_is_truncated_is_damaged() -> None:
    revised = PDF + b"\n7 0 obj\n<< /Title (fictional) >>\nendobj\n"
    assert find_kinds(PDF + b"\n", "pdf") == []
    for cut in range(len(PDF) + 9, len(revised), 7):
        assert find_kinds(revised[:cut], "pdf") == ["damaged"], cut


@pytest.mark.parametrize("length", [256, 4096, None])
def test_a_tiff_with_truncated_pixels_is_damaged_whatever_length_it_states(length) -> None:
    content = build_tiff(length=length, directory_first=True)
    assert find_kinds(content[:-1], "tiff") == ["damaged"]


def test_a_tiff_with_overlapping_directories_is_rejected_quickly() -> None:
    count = 65_535
    content = bytearray(b"II*\0" + struct.pack("<I", 8) + bytes(12 * count + 2 * 4000))
    for n in range(600):  # Each directory starts two bytes after the previous one.
        struct.pack_into("<H", content, 8 + 2 * n, count)
    for n in range(600):
        struct.pack_into("<I", content, 8 + 2 * n + 2 + 12 * count, 8 + 2 * (n + 1))
    began = time.process_time()
    assert find_kinds(bytes(content), "tiff") == ["damaged"]
    assert time.process_time() - began < 5, "reading every directory took 13 s"


# -- running time ------------------------------------------------------------------------------------------


def _object_streams(size: int) -> bytes:
    heads = b"5 0 obj\n<</Type/ObjStm/N 9/First 9999999>>\nstream\n" * (size // 200)
    return _trailer(b"/Root 1 0 R").replace(b"%PDF-1.4\n", b"%PDF-1.4\n" + heads + b"7 7 " * (size // 8))


def _missing_objects(size: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % number for number in range(100_000, 100_000 + size // 20))
    pages = b"1 0 obj<</Pages 2 0 R>>endobj 2 0 obj<</Kids[%b]>>endobj " % kids
    return _trailer(b"/Root 1 0 R").replace(b"%PDF-1.4\n", b"%PDF-1.4\n" + pages + b"x" * (size // 2))


def _large_nodes(size: int) -> bytes:
    node = b"<</A[" + b"<<>> " * 1_000 + b"]>>"
    objects = b"".join(b"%d 0 obj%bendobj " % (number, node) for number in range(3, 3 + size // len(node)))
    kids = b" ".join(b"%d 0 R" % number for number in range(3, 3 + size // len(node)))
    pages = b"1 0 obj<</Pages 2 0 R>>endobj 2 0 obj<</Kids[%b]>>endobj " % kids
    return _trailer(b"/Root 1 0 R").replace(b"%PDF-1.4\n", b"%PDF-1.4\n" + pages + objects)


def _run_lengths(size: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 8, 1, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + info + bytes(1024) + b"\0\3abc\0" * (size // 6)


def _strips(size: int) -> bytes:
    """Return a TIFF in LZW with many strips, each of them the rest of the file."""
    count = size // 12
    return defective_documents.tiff_of_strips(
        [b"\x80" * 4] * count, (256, 16), (257, count), (278, 1), (259, 5)
    )


_SLOW_INPUTS = {
    # A PDF may be followed by 8 KB of any bytes, and by any number of blanks.
    "digits": lambda size: _pdf_and(b"1" * (size // 12)),
    "digits and blanks": lambda size: _pdf_and(b"1" * (size // 24) + b" " * size),
    "numbers of few digits": lambda size: _pdf_and(b"1 " * (size // 24)),
    "two numbers and blanks": lambda size: _pdf_and(b"1" + b" " * (size // 24) + b"1" + b" " * size),
    "blanks": lambda size: _pdf_and(b"\v" * size),
    "numbers": lambda size: _pdf_and(b"1 " * (size // 2)),
    "words that begin like objects": lambda size: _pdf_and(b"obj<" * (size // 4)),
    "endings": lambda size: _pdf_and(b"startxref " * (size // 10)),
    "an unterminated startxref": lambda size: b"%PDF-1.4\nstartxref" + b"\v" * size,
    "an unterminated number": lambda size: b"%PDF-1.4\nstartxref " + b"1" * size,
    "encryption": lambda size: _trailer(b"/Encrypt" * (size // 8)),
    "encryption and blanks": lambda size: _trailer(b"/Encrypt" + b" " * size),
    "encryption and digits": lambda size: _trailer(b"/Encrypt " + b"1" * size),
    "encryption and numbers": lambda size: _trailer(b"/Encrypt 1" + b" " * (size // 2) + b"1" * (size // 2)),
    "trailers": lambda size: _trailer(b"trailer " * (size // 8)),
    "object streams": _object_streams,
    "missing objects": _missing_objects,
    "large nodes": _large_nodes,
    "filters and blanks": lambda size: _pdf_and(b"/Filter                " * (size // 23)),
    "streams": lambda size: b"%PDF-1.4\n" + b"/XRef obj " * (size // 10) + b"startxref 1 %%EOF",
    "markers": lambda size: b"\xff\xd8\xff" + b"\xff\xd0" * (size // 2),
    "fill bytes": lambda size: b"\xff\xd8" + b"\xff" * size,
    "empty segments": lambda size: b"\xff\xd8" + b"\xff\xe0\0\2" * (size // 4),
    "empty chunks": lambda size: b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0tEXt\0\0\0\0" * (size // 12),
    "run lengths": _run_lengths,
    "strips": _strips,
    "comments": lambda size: b"<?xml" + b"<!--" * (size // 4),
    "pages": lambda size: b"II*\0" + struct.pack("<I", 8) + struct.pack("<HI", 0, 8) * (size // 6),
}


def _pdf_and(more: bytes) -> bytes:
    return samples.pdf() + more


def _trailer(content: bytes) -> bytes:
    return b"%PDF-1.4\ntrailer <<" + content + b">>\nstartxref\n0\n%%EOF\n"


@pytest.mark.parametrize("kind", _SLOW_INPUTS)
def test_sixteen_times_the_size_takes_less_than_a_hundred_times_as_long(kind) -> None:
    """Measured in a separate process, so that a check that never ends can be killed."""
    script = (
        "import pathlib, sys, time\n"
        "from docsend.checks.formats import detect\n"
        "for path in sys.argv[1:]:\n"
        "    content, spent = pathlib.Path(path).read_bytes(), []\n"
        "    for _ in range(5):\n"
        "        began = time.process_time()\n"
        "        detect.find_defects(content, detect.detect_format(content))\n"
        "        spent.append(time.process_time() - began)\n"
        "    print(min(spent))\n"
    )
    sizes = (6_000, 96_000)
    with tempfile.TemporaryDirectory() as folder:
        files = [samples.write(Path(folder), str(size), _SLOW_INPUTS[kind](size)) for size in sizes]
        command = [sys.executable, "-c", script, *map(str, files)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    small, large = map(float, done.stdout.split())
    assert large < 100 * max(small, 100e-6)
