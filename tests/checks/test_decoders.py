"""Documents are decoded in a child process, which reports what it finds and harms nobody."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest
from PIL import Image

import samples
from docsend.checks import decoders, defects
from docsend.checks.decoders import Decoded, decode
from docsend.isolation import processes
from docsend.model.document import Defect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD = "a fictional password"
OPENS = Decoded("opens")
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="sends signals of POSIX")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


# -- documents ---------------------------------------------------------------------------------------------


def picture(
    format_name: str, mode: str = "RGB", size: tuple[int, int] = (200, 150), **options: object
) -> bytes:
    buffer = io.BytesIO()
    samples.picture(1, size).convert(mode).save(buffer, format_name, **options)
    return buffer.getvalue()


def blank(format_name: str, mode: str, size: tuple[int, int], pages: int = 1, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.new(mode, size)
    more = {"save_all": True, "append_images": [image] * (pages - 1)} if pages > 1 else {}
    image.save(buffer, format_name, **more, **options)
    return buffer.getvalue()


def pdf(*contents: bytes, save: dict[str, object] | None = None) -> bytes:
    """Return a PDF with a page for each content stream."""
    document = pikepdf.Pdf.new()
    for content in contents:
        page = document.add_blank_page()
        page.obj.Contents = document.make_stream(content)
    return saved(document, **(save or {}))


def saved(document: pikepdf.Pdf, **options: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer, static_id="encryption" not in options, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def text(page: int = 0) -> bytes:
    """Return a content stream that is long enough to be compressed."""
    lines = (f"BT /F1 12 Tf 72 {800 - 12 * line} Td (page {page}, line {line}) Tj ET" for line in range(60))
    return "\n".join(lines).encode("ascii")


def encoded_pdf(stream: bytes, *filters: str) -> bytes:
    """Return a PDF whose only content stream has exactly these bytes and filters."""
    document = pikepdf.Pdf.new()
    page = document.add_blank_page()
    names = pikepdf.Array([pikepdf.Name(f"/{name}") for name in filters])
    page.obj.Contents = pikepdf.Stream(document, stream, Filter=names)
    return saved(document, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)


def wrong_checksums(*contents: bytes) -> bytes:
    """Return a PDF in which the checksum of the content of each page is wrong."""
    document = pikepdf.Pdf.new()
    for content in contents:
        page = document.add_blank_page()
        compressed = zlib.compress(content)
        stream = flip(compressed, len(compressed) - 1)
        page.obj.Contents = pikepdf.Stream(document, stream, Filter=pikepdf.Name.FlateDecode)
    return saved(document, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)


def text_layer(page: pikepdf.Page) -> None:
    """Add the resources that text recognition adds to a scan."""
    page.obj.Resources.Font = pikepdf.Dictionary(F1=pikepdf.Dictionary(Type=pikepdf.Name.Font))


def jbig2(page: pikepdf.Page) -> None:
    page.obj.Resources.XObject.Scan.Filter = pikepdf.Name.JBIG2Decode


def form(page: pikepdf.Page) -> None:
    """Move the resources of a page into a form, and the form to the parent of the page."""
    inner = page.obj.Resources
    page.obj.Parent.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Form=page.obj.Contents))
    page.obj.Contents.Subtype = pikepdf.Name.Form
    page.obj.Contents.Resources = inner
    del page.obj.Resources


def big_jpeg(width: int, height: int) -> bytes:
    return blank("JPEG", "RGB", (width, height))


def headless(jpeg: bytes) -> bytes:
    """Return a JPEG whose tables and frame header were lost."""
    return jpeg[:2] + bytes(400) + jpeg[402:]


def scanned_pdf(
    *jpegs: bytes, change: Callable[[pikepdf.Page], None] = lambda _: None, **save: object
) -> bytes:
    """Return a PDF as scanners make it: each page is a JPEG."""
    document = pikepdf.Pdf.new()
    for jpeg in jpegs:
        page = document.add_blank_page()
        options = {
            "Type": "/XObject",
            "Subtype": "/Image",
            "ColorSpace": "/DeviceRGB",
            "Filter": "/DCTDecode",
        }
        names = {name: pikepdf.Name(value) for name, value in options.items()}
        frame = jpeg.find(b"\xff\xc0") + 5
        height, width = struct.unpack_from(">HH", jpeg, frame) if frame > 4 else (1000, 700)
        image = pikepdf.Stream(document, jpeg, Width=width, Height=height, BitsPerComponent=8, **names)
        page.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Scan=image))
        page.obj.Contents = document.make_stream(b"q 595 0 0 842 0 0 cm /Scan Do Q")
        change(page)
    return saved(document, **save)


def encrypted_pdf(user: str, permissions: pikepdf.Permissions | None = None) -> bytes:
    """Return a PDF that is encrypted with AES-256 (revision 6)."""
    allow = permissions or pikepdf.Permissions()
    return pdf(text(), save={"encryption": pikepdf.Encryption(owner=PASSWORD, user=user, R=6, allow=allow)})


def slow() -> bytes:
    """Return a BMP whose run-length encoding takes Pillow some seconds."""
    width, height = 3000, 3000
    rows = (b"\x01\x00\x01\x01" * (width // 2) + b"\0\0") * height
    palette = b"".join(bytes((255 - grey, grey, grey, 0)) for grey in range(256))
    start = 54 + len(palette)
    header = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    return (
        header
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
        + palette
        + rows
    )


def tiff_with(tags: dict[int, int]) -> bytes:
    """Return a TIFF with other values of some tags."""
    content = bytearray(picture("TIFF"))
    (directory,) = struct.unpack_from("<L", content, 4)
    (count,) = struct.unpack_from("<H", content, directory)
    for position in range(directory + 2, directory + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", content, position)
        if tag in tags:
            struct.pack_into("<HHLL", content, position, tag, 4, 1, tags[tag])
    return bytes(content)


def with_pages(content: bytes, count: int) -> bytes:
    """Return a TIFF that shows its page many times."""
    (directory,) = struct.unpack_from("<L", content, 4)
    (entries,) = struct.unpack_from("<H", content, directory)
    page = content[directory : directory + 2 + 12 * entries]
    first = len(content) + len(content) % 2
    starts = [first + number * (len(page) + 4) for number in range(count)]
    pages = (page + struct.pack("<L", following) for following in (*starts[1:], 0))
    # Pillow reads no more data of the directories than there are bytes in the file.
    return (
        content[:4] + struct.pack("<L", first) + content[8:].ljust(first - 8) + b"".join(pages) + bytes(2**23)
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(added: bytes) -> bytes:
    """Return a PNG with one more chunk behind its header."""
    content = samples.png()
    return content[:33] + added + content[33:]


def zeros(count: int) -> bytes:
    """Return compressed zeros."""
    compressor = zlib.compressobj(1)
    pieces = [compressor.compress(bytes(2**20)) for _ in range(count // 2**20)]
    return b"".join([*pieces, compressor.flush()])


def flip(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]


def flip_in_stream(content: bytes, number: int) -> bytes:
    """Return a PDF with another bit near the start of its second, third, ... stream."""
    start = len(b"\nstream\n".join(content.split(b"\nstream\n")[:number]))
    return flip(content, start + 30)


def as_utf8(content: bytes) -> bytes:
    """Return the content as a program leaves it that takes it for text."""
    return content.decode("latin-1").encode("utf-8")


# -- outcomes ----------------------------------------------------------------------------------------------

SOUND = {
    "pdf": pdf(text(1), text(2)),
    "pdf: a blank page": samples.pdf(),
    "pdf: a page without content": saved(pikepdf.Pdf.open(io.BytesIO(samples.pdf(streams=True)))),
    "pdf: a filter that qpdf does not know": encoded_pdf(b"?", "FictionalDecode"),
    "pdf: a scan": scanned_pdf(samples.jpeg(1), samples.jpeg(2)),
    "pdf: a picture that Pillow does not know": scanned_pdf(
        samples.jpeg().replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c")
    ),
    "pdf: a wrong checksum only": wrong_checksums(text()),
    "pdf: zeros after its end": pdf(text(1), text(2)) + bytes(5000),
    "pdf: random bytes after its end": pdf(text(1), text(2)) + random.Random(1).randbytes(5000),
    "pdf: a log after its end": pdf(text(1), text(2)) + b"a line of a log\n" * 500,
    "pdf: a scan with a text layer": scanned_pdf(big_jpeg(700, 1000), change=text_layer),
    "pdf: a small damaged picture on a page with text": scanned_pdf(
        samples.jpeg(1), samples.jpeg()[:1500], change=text_layer
    ),
    "pdf: a picture that needs another program": scanned_pdf(samples.jpeg(), change=jbig2),
    "jpeg": samples.jpeg(),
    "jpeg: progressive": picture("JPEG", progressive=True),
    "jpeg: four colours": picture("JPEG", "CMYK"),
    "jpeg: several pictures": blank("MPO", "RGB", (64, 48), pages=2),
    "png": samples.png(),
    "png: interlaced palette": picture("PNG", "P"),
    "png: animated": blank("PNG", "RGB", (64, 48), pages=3),
    "png: a text that expands to 80 MB": with_chunk(chunk(b"zTXt", b"Comment\0\0" + zeros(80 * 2**20))),
    "png: a wrong checksum of a text": with_chunk(flip(chunk(b"tEXt", b"Comment\0text"), -1)),
    "tiff": samples.tiff(pages=5),
    **{
        f"tiff: {compression}": picture("TIFF", mode, compression=compression)
        for compression, mode in {
            "raw": "RGB",
            "tiff_adobe_deflate": "RGB",
            "packbits": "RGB",
            "jpeg": "RGB",
            "group3": "1",
            "group4": "1",
        }.items()
    },
    "bigtiff": picture("TIFF", big_tiff=True),
    "bmp": samples.bmp(),
    "bmp: palette": picture("BMP", "P"),
}


@pytest.mark.everywhere
@pytest.mark.parametrize("name", SOUND)
def test_a_sound_document_opens(name: str) -> None:
    assert decode(SOUND[name], name.partition(":")[0]) == OPENS


DAMAGED = {
    "pdf: one page of three is broken": flip_in_stream(pdf(text(1), text(2), text(3)), 2),
    "pdf: one of two scans is broken": scanned_pdf(samples.jpeg(1), samples.jpeg(2)[:1500]),
    "pdf: one of three scans with a text layer is broken": scanned_pdf(
        headless(big_jpeg(700, 1000)), big_jpeg(700, 1001), big_jpeg(700, 1002), change=text_layer
    ),
    "pdf: one of three scans is broken": scanned_pdf(
        big_jpeg(700, 1000), big_jpeg(700, 1001), headless(big_jpeg(700, 1000))
    ),
    "pdf: a scan inside a form is broken": scanned_pdf(headless(big_jpeg(700, 1000)), change=form),
    "pdf: a wrong checksum and another content": wrong_checksums(text().replace(b"Td", b"T\xe4")),
    "pdf: only its header": b"%PDF-1.7\n",
    "pdf: its first half": pdf(text(1), text(2))[:700],
    "pdf: taken for text": as_utf8(pdf(text(1), text(2))),
    "pdf: eight bits cut to seven": bytes(byte & 127 for byte in pdf(text(1), text(2))),
    "pdf: no pages": saved(pikepdf.Pdf.new()),
    "pdf: a scan of a damaged picture": scanned_pdf(samples.jpeg()[:1500]),
    "jpeg: cut off": samples.jpeg()[:1500],
    "jpeg: cut off in its header": samples.jpeg()[:100],
    "jpeg: only its signature": samples.jpeg()[:4],
    "jpeg: taken for text": as_utf8(samples.jpeg()),
    "png: cut off": samples.png()[:4000],
    "png: cut off after its header": samples.png()[:33],
    "png: another bit": flip(samples.png(), 4000),
    "png: taken for text": as_utf8(samples.png()),
    "png: an incomplete picture": samples.png()[:33]
    + chunk(b"IDAT", zlib.compress(b"\0"))
    + chunk(b"IEND", b""),
    "tiff: cut off": samples.tiff()[:4000],
    "tiff: cut off in its last page": samples.tiff(pages=3)[:-200],
    "tiff: another content": samples.tiff()[:500] + bytes(4000) + samples.tiff()[4500:],
    "tiff: taken for text": as_utf8(samples.tiff()),
    "bigtiff: cut off": picture("TIFF", big_tiff=True)[:4000],
    "bmp: cut off": samples.bmp()[:4000],
    "bmp: cut off in its header": samples.bmp()[:30],
}


@pytest.mark.everywhere
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_document_is_recognized(name: str) -> None:
    assert decode(DAMAGED[name], name.partition(":")[0]) == Decoded("damaged")


UNSUPPORTED = {
    "pdf: encrypted for a certificate": samples.pdf().replace(
        b"trailer <<", b"trailer << /Encrypt << /Filter /Adobe.PubSec /V 4 >>"
    ),
    "jpeg: twelve bits": samples.jpeg().replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"),
    "jpeg: lossless": samples.jpeg().replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc3\x00\x11\x08"),
    "jpeg: two colours": samples.jpeg().replace(b"\x03\x01\x22\x00", b"\x02\x01\x22\x00"),
    "tiff: an unknown compression": tiff_with({259: 9999}),
    "tiff: a compression that libtiff lacks": tiff_with({259: 34676}),
    "bmp: a JPEG inside": samples.bmp()[:30] + struct.pack("<I", 4) + samples.bmp()[34:],
}


@pytest.mark.everywhere
@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_variant_that_the_decoder_does_not_know_is_no_damage(name: str) -> None:
    assert decode(UNSUPPORTED[name], name.partition(":")[0]) == Decoded("unsupported")


def changed(line: int) -> bytes:
    """Return a content stream that is not one from a line on."""
    lines = text().split(b"\n")
    return b"\n".join([*lines[:line], *(each.replace(b"Td", b"T\xe4") for each in lines[line:])])


def cut_off(content: bytes) -> bytes:
    return encoded_pdf(zlib.compress(content)[:-90], "FlateDecode")


ERRORS = {
    "a broken picture of middle size on a page with text": scanned_pdf(
        blank("JPEG", "RGB", (400, 300))[:1500], change=text_layer
    ),
    "a content that is cut off and changed": cut_off(changed(20)),
    "a wrong checksum and a content that is changed": wrong_checksums(changed(20)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_damage_that_loses_no_page_is_told(name: str) -> None:
    assert decode(ERRORS[name], "pdf") == Decoded("opens", is_repaired=True, has_errors=True)


REPAIRED = {
    "without its end": pdf(text(1), text(2))[:-40],
    "with other line ends": pdf(b"", b"").replace(b"\n", b"\r\n"),
}


@pytest.mark.everywhere
@pytest.mark.parametrize("name", REPAIRED)
def test_a_pdf_that_opens_only_after_repairs_says_so(name: str) -> None:
    assert decode(REPAIRED[name], "pdf") == Decoded("opens", is_repaired=True)


@pytest.mark.parametrize(("has_errors", "kind"), [(True, "damaged"), (False, "repaired")])
def test_damage_of_the_structure_remains_if_data_is_corrupt(*, has_errors: bool, kind: str) -> None:
    decoded = Decoded("opens", is_repaired=True, has_errors=has_errors)
    (defect,) = defects.confirm((Defect("damaged", is_certain=False),), decoded)
    assert defect.kind == kind


# -- encryption --------------------------------------------------------------------------------------------


def test_a_pdf_that_needs_a_password_is_not_opened() -> None:
    assert decode(encrypted_pdf(PASSWORD), "pdf") == Decoded("needs-password")


FORBIDDEN = {
    "print_lowres": ("printing",),
    "print_highres": ("sharp-printing",),
    "modify_other": ("changing",),
    "extract": ("copying",),
    "modify_annotation": ("commenting",),
}


@pytest.mark.parametrize("permission", FORBIDDEN)
def test_an_encrypted_pdf_without_a_password_says_what_is_forbidden(permission: str) -> None:
    # Without permission to print in low resolution, none in high resolution is written either.
    denied = {permission: False} | ({"print_highres": False} if permission == "print_lowres" else {})
    content = encrypted_pdf("", pikepdf.Permissions(**denied))
    assert decode(content, "pdf") == Decoded("opens", is_encrypted=True, forbidden=FORBIDDEN[permission])


def test_everything_can_be_forbidden_at_once() -> None:
    content = encrypted_pdf("", pikepdf.Permissions(*[False] * len(pikepdf.Permissions._fields)))
    assert decode(content, "pdf").forbidden == decoders.FORBIDDEN[:-1], "no printing is no sharp printing"


def test_a_damaged_scan_is_recognized_in_an_encrypted_pdf() -> None:
    encryption = pikepdf.Encryption(owner=PASSWORD, user="", R=6)
    assert decode(scanned_pdf(samples.jpeg(), encryption=encryption), "pdf").outcome == "opens"
    assert decode(scanned_pdf(samples.jpeg()[:1500], encryption=encryption), "pdf").outcome == "damaged"


# -- limits ------------------------------------------------------------------------------------------------


BOMBS: dict[str, Callable[[], bytes]] = {
    "png": lambda: blank("PNG", "1", (20_000, 20_000)),
    "tiff": lambda: tiff_with({256: 60_000, 257: 60_000}),
    "bmp": lambda: samples.bmp()[:18] + struct.pack("<ii", 60_000, 60_000) + samples.bmp()[26:],
    "jpeg": lambda: samples.jpeg().replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 60_000, 60_000)),
    "pdf": lambda: encoded_pdf(zeros(400 * 2**20), "FlateDecode"),
    "pdf: compressed twice": lambda: encoded_pdf(
        zlib.compress(zeros(400 * 2**20)), "FlateDecode", "FlateDecode"
    ),
    "pdf: runs": lambda: encoded_pdf(
        zlib.compress(b"\x81\0" * (12 * 2**20)), "FlateDecode", "RunLengthDecode"
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_expands_without_end_is_given_up(name: str) -> None:
    content = BOMBS[name]()
    started = time.monotonic()
    assert decode(content, name.partition(":")[0]) == Decoded("gave-up")
    assert time.monotonic() - started < 6
    assert decode(samples.png(), "png") == OPENS


def test_a_document_of_many_pages_is_decoded_for_some_seconds_only() -> None:
    content = with_pages(blank("TIFF", "1", (12_000, 12_000), compression="group4"), 2000)
    started = time.monotonic()
    assert decode(content, "tiff") == OPENS
    assert time.monotonic() - started < 5


def test_a_decoder_that_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    decode(samples.bmp(), "bmp")
    first = child_pid()
    monkeypatch.setattr(decoders, "_DOCUMENT_LIMIT_S", 0.5)
    started = time.monotonic()
    assert decode(slow(), "bmp") == Decoded("gave-up")
    assert time.monotonic() - started < 3
    assert not is_running(first)
    assert decode(samples.bmp(), "bmp") == OPENS


def test_the_child_ends_a_decoder_that_takes_too_long_even_if_nobody_else_does() -> None:
    script = """if True:
        from docsend.isolation import limits
        with limits.limited_time(1):
            sum(range(10**12))  # holds the interpreter's lock
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=20, check=False)
    assert done.returncode == 1


def test_a_large_document_passes_the_pipe() -> None:
    assert decode(blank("BMP", "RGB", (1800, 1800)), "bmp") == OPENS
    assert decode(samples.pdf(size=10_000_000), "pdf") == OPENS


# -- the child ---------------------------------------------------------------------------------------------


def child_pid() -> int:
    child = decoders._decoders._child
    assert child is not None
    return child.process.pid


def is_running(pid: int) -> bool:
    """Return whether a process exists. One that nobody has waited for does not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def kill(pid: int) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    os.kill(pid, signal.SIGKILL)


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """Interrupt all processes of the foreground group, as a terminal does."""
    if sys.platform == "win32":
        raise NotImplementedError
    os.killpg(process.pid, signal.SIGINT)


def wait_until(condition: Callable[[], bool], limit_s: float = 10) -> bool:
    started = time.monotonic()
    while time.monotonic() - started < limit_s:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def _new_child() -> Iterator[None]:
    """Start with no child, and end the one that the test has started, with its environment."""
    decoders.close()
    yield
    decoders.close()


@pytest.fixture
def _no_failed_starts() -> Iterator[None]:
    yield
    decoders._decoders._failed_starts.clear()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Return a function that starts a Python script that decodes. It prints what a test wants to know."""
    started: list[subprocess.Popen[str]] = []
    prelude = f"""if True:
        import json, os, signal, sys, time
        from pathlib import Path
        from docsend.checks import decoders
        from docsend.checks.decoders import decode
        def child():
            return decoders._decoders._child.process.pid
        def tell(*values):
            print(json.dumps(values), flush=True)
        small = Path({str(samples.write(tmp_path, "small", samples.bmp()))!r}).read_bytes()
        slow = Path({str(samples.write(tmp_path, "slow", slow()))!r}).read_bytes()
    """

    def start_(script: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", prelude + script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start_
    for process in started:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> list[Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate()[1])
    values: list[Any] = json.loads(line)
    return values


def test_one_child_serves_all_documents() -> None:
    decode(samples.png(), "png")
    first = child_pid()
    for number in range(3):
        for format_name, content in (("pdf", samples.pdf(number)), ("jpeg", samples.jpeg(number))):
            assert decode(content, format_name) == OPENS
    assert child_pid() == first


@pytest.mark.usefixtures("_new_child")
def test_the_child_is_replaced_after_some_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "_MAX_DOCUMENTS", 2)
    pids = []
    for number in range(4):
        assert decode(samples.bmp(number), "bmp") == OPENS
        pids.append(child_pid())
    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert not is_running(pids[0])


def test_two_threads_share_the_child() -> None:
    documents = [
        document
        for number in range(15)
        for document in (
            (samples.pdf(number), "pdf", "opens"),
            (samples.jpeg(number)[:1500], "jpeg", "damaged"),
            (UNSUPPORTED["jpeg: twelve bits"], "jpeg", "unsupported"),
            (picture("PNG", size=(900, 900)), "png", "opens"),
        )
    ]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda document: decode(document[0], document[1]).outcome, documents))
    assert outcomes == [outcome for _, _, outcome in documents]


@posix_only
def test_a_child_that_is_killed_gives_up_one_document_only() -> None:
    decode(samples.bmp(), "bmp")
    first = child_pid()
    killer = threading.Timer(0.3, kill, (first,))
    killer.start()
    assert decode(slow(), "bmp") == Decoded("gave-up")
    killer.join()
    assert decode(samples.bmp(), "bmp") == OPENS
    assert child_pid() != first


@posix_only
def test_a_child_that_is_killed_between_documents_gives_up_none() -> None:
    decode(samples.bmp(), "bmp")
    first = child_pid()
    kill(first)
    wait_until(lambda: not is_running(first))
    assert decode(samples.bmp(), "bmp") == OPENS
    assert child_pid() != first


def test_after_it_is_closed_the_child_is_gone_and_the_next_document_starts_another() -> None:
    decode(samples.bmp(), "bmp")
    first = child_pid()
    decoders.close()
    decoders.close()
    assert not is_running(first)
    assert decode(samples.bmp(), "bmp") == OPENS


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"[",
        b"\xff\n",
        b"null\n",
        b"[]\n",
        b'["opens", false, false]\n',
        b'["opens", false, false, 1]\n',
        b'["opens", false, false, ["flying"]]\n',
        b'["perfect", false, false, []]\n',
        b"[[], false, false, []]\n",
    ],
)
def test_a_reply_of_another_form_is_none(reply: bytes) -> None:
    assert decoders._parse_reply(reply) is None


@linux_only
def test_the_child_of_a_process_that_ends_is_gone_at_once(start) -> None:
    process = start("""
        tell(decode(small, "bmp").outcome, child())
    """)
    outcome, pid = told(process)
    assert outcome == "opens"
    assert process.wait() == 0
    assert not is_running(pid)


@linux_only
@pytest.mark.parametrize("work", ["time.sleep(60)", 'decode(slow, "bmp")'], ids=["idle", "busy"])
def test_no_child_is_left_when_its_process_is_killed(work: str, start) -> None:
    process = start(f"""
        decode(small, "bmp")
        tell(child())
        {work}
    """)
    (pid,) = told(process)
    time.sleep(0.3)
    assert is_running(pid)
    process.kill()
    assert wait_until(lambda: not is_running(pid), limit_s=12)


@pytest.mark.everywhere
@linux_only
def test_ctrl_c_interrupts_a_document_and_not_the_decoder_of_the_next(start) -> None:
    process = start("""
        decode(small, "bmp")
        tell(child())
        try:
            decode(slow, "bmp")
        except KeyboardInterrupt:
            tell("interrupted")
        try:
            tell(decode(small, "bmp").outcome, child())
            time.sleep(60)
        except KeyboardInterrupt:
            tell(decode(small, "bmp").outcome, child())
    """)
    (first,) = told(process)
    time.sleep(0.3)
    press_ctrl_c(process)
    assert told(process) == ["interrupted"]
    outcome, second = told(process)
    assert outcome == "opens"
    assert second != first
    assert not is_running(first)
    os.kill(second, signal.SIGINT)
    press_ctrl_c(process)
    assert told(process) == ["opens", second]
    assert process.wait() == 0


@pytest.mark.everywhere
@linux_only
def test_a_forked_copy_of_a_process_has_its_own_child(start) -> None:
    # From Python 3.12 on, fork warns when the process has threads; the test is about what the copy does then.
    process = start("""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        decode(small, "bmp")
        original = child()
        copy = os.fork()
        if copy == 0:
            tell(decoders._decoders._child is None, decode(small, "bmp").outcome, child() != original)
            sys.exit()
        os.waitpid(copy, 0)
        tell(decode(small, "bmp").outcome, child() == original)
    """)
    assert told(process) == [True, "opens", True]
    assert told(process) == ["opens", True]
    assert process.wait() == 0
    assert process.stderr.read() == ""


@linux_only
def test_a_copy_that_was_forked_while_a_document_is_decoded_does_not_wait_for_it(start) -> None:
    process = start("""
        import threading
        decode(small, "bmp")
        original = child()
        threading.Thread(target=decode, args=(slow, "bmp"), daemon=True).start()
        time.sleep(0.3)
        if os.fork() == 0:
            tell(decode(small, "bmp").outcome, os.getpid(), original)
            time.sleep(60)
        time.sleep(60)
    """)
    outcome, copy, original = told(process)
    assert outcome == "opens"
    assert is_running(original)
    process.kill()
    # The copy lives on, and does not keep the original's child alive.
    assert wait_until(lambda: not is_running(original), limit_s=12)
    assert is_running(copy)
    kill(copy)


@linux_only
@pytest.mark.usefixtures("_new_child")
def test_the_child_learns_nothing_but_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", "/fictional/password")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy.invalid")
    monkeypatch.setenv("FICTIONAL_TOKEN", "a fictional token")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    content = pdf(text())
    decode(content, "pdf")
    process = Path(f"/proc/{child_pid()}")
    command = process.joinpath("cmdline").read_bytes().split(b"\0")
    assert command[1:-1] == [b"-P", b"-m", b"docsend.checks.decoder_process"]
    environment = process.joinpath("environ").read_bytes()
    assert b"LC_ALL=C.UTF-8" in environment.split(b"\0")
    names = {entry.partition(b"=")[0].decode() for entry in environment.split(b"\0") if entry}
    assert {name for name in names if not name.startswith("LC_")} <= processes._CHILD_VARIABLES
    files = {os.readlink(link).partition(":")[0] for link in process.joinpath("fd").iterdir()}
    assert files == {"pipe", "/dev/null"}


@linux_only
def test_the_memory_of_the_child_is_limited() -> None:
    decode(samples.bmp(), "bmp")
    limits = Path(f"/proc/{child_pid()}/limits").read_text()
    numbers = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert numbers["Max address space"] == str(2**30)
    assert numbers["Max core file size"] == "0"
    assert int(numbers["Max cpu time"]) < 60


# -- without decoders --------------------------------------------------------------------------------------


def test_they_are_installed_here_and_not_imported() -> None:
    script = """if True:
        import sys
        from docsend.checks import decoders
        assert decoders.are_installed()
        assert not {"pikepdf", "PIL"} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("missing", ["pikepdf", "PIL"])
def test_both_have_to_be_installed(missing: str) -> None:
    script = f"""if True:
        import sys
        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name == {missing!r}:
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Missing())
        from docsend.checks import decoders
        assert not decoders.are_installed()
    """
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.fixture
def replace_pikepdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that makes `import pikepdf` run this code in processes that start from now on."""

    def replace(code: str) -> Path:
        attempts = tmp_path / "attempts"
        attempts.touch()
        counting = f"open({str(attempts)!r}, 'a').write('.')\n"
        folder = tmp_path / "replaced"
        folder.mkdir()
        samples.write(folder, "pikepdf.py", (counting + code).encode("utf-8"))
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        return attempts

    return replace


BROKEN = {
    "a library is missing": "raise ImportError('a library is missing')",
    "an error": "raise RuntimeError('no')",
    "an interruption": "raise KeyboardInterrupt",
    "its end": "import os; os._exit(3)",
    "a crash": "import ctypes; ctypes.string_at(0)",
}


@pytest.mark.usefixtures("_new_child", "_no_failed_starts")
@pytest.mark.parametrize("name", BROKEN)
def test_a_decoder_that_cannot_be_imported_is_tried_three_times(name: str, replace_pikepdf) -> None:
    attempts = replace_pikepdf(BROKEN[name])
    assert [decode(samples.pdf(), "pdf").outcome for _ in range(6)] == ["unavailable"] * 6
    assert attempts.read_text() == "..."
    assert decode(samples.png(), "png") == OPENS


@pytest.mark.usefixtures("_new_child", "_no_failed_starts")
def test_decoders_that_do_not_work_are_told_once_for_all_documents(replace_pikepdf, run, tmp_path) -> None:
    replace_pikepdf("raise ImportError('a library is missing')")
    files = [samples.write(tmp_path, f"{number}.pdf", samples.pdf(number)) for number in (1, 2)]
    where = ("--to", "insured-collection", "--category", "supporting", "--type", "employer-certificate")
    more = ("--id", "000000018", "--service", "http://127.0.0.1:9", "--dry-run", "--json", "--thorough")
    outcome = run("send", *files, *where, *more)
    (problem,) = outcome.json["problems"]
    assert (problem["code"], problem["severity"], outcome.code) == ("not-decoded", "warning", 0)
    assert "do not work" in problem["message"]
    assert problem.get("document") is None


@posix_only
@pytest.mark.usefixtures("_new_child", "_no_failed_starts")
def test_a_process_that_the_decoder_left_behind_keeps_nobody_waiting(
    replace_pikepdf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    left = tmp_path / "left"
    replace_pikepdf(f"""if True:
        import os, time
        if (pid := os.fork()) == 0:
            time.sleep(300)
        open({str(left)!r}, "w").write(str(pid))
        raise ImportError
    """)
    monkeypatch.setattr(decoders, "START_LIMIT_S", 1)
    started = time.monotonic()
    assert decode(samples.pdf(), "pdf") == Decoded("unavailable")
    assert time.monotonic() - started < 5
    assert wait_until(lambda: not is_running(int(left.read_text())))


@pytest.mark.usefixtures("_new_child", "_no_failed_starts")
def test_a_decoder_that_hangs_when_it_is_imported_is_killed(
    replace_pikepdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = replace_pikepdf("import time; time.sleep(60)")
    monkeypatch.setattr(decoders, "START_LIMIT_S", 0.5)
    started = time.monotonic()
    assert [decode(samples.pdf(), "pdf").outcome for _ in range(5)] == ["unavailable"] * 5
    assert time.monotonic() - started < 5
    assert attempts.read_text() == "..."


@pytest.mark.usefixtures("_new_child", "_no_failed_starts")
@pytest.mark.parametrize("executable", ["/fictional/python", "", None])
def test_a_machine_that_starts_no_process_has_no_decoder(
    executable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    assert decode(samples.png(), "png") == Decoded("unavailable")


@pytest.mark.usefixtures("_new_child")
def test_a_machine_that_starts_no_thread_has_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patches:
        patches.setattr(threading.Thread, "start", no_thread)
        assert decode(samples.png(), "png") == Decoded("unavailable")
    assert decode(samples.png(), "png") == OPENS
