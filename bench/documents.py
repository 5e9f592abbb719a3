"""The check of documents alone, in process: small ones beside the older commit, and hostile ones of 10 MB."""

import json
import random
import statistics
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from clock import show_progress, warm_up
from report import Budget, Section, table
from venvs import OLDER_COMMIT, ROOT

_COUNT = 10_000
_SIZE = 10_485_760  # the most that a document may have
_LIMIT = 2.0  # times the older commit
_SECONDS = 1.0  # for each hostile document

# Prints the seconds that each file took: to read and hash it, and to check its format and structure.
_CHECK = """
import json, os, sys, time
try:
    from docsend.checks.documents import read_all
    limit = {'max_bytes': 10_485_760}
except ImportError:  # in the older commit
    from docsend.documents import read_all
    limit = {'at_most': 10_485_760}
folder = sys.argv[1]
paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))
read_all(paths[:1], **limit)
seconds = {}
for path in paths:
    began = time.perf_counter()
    read_all([path], **limit)
    seconds[os.path.basename(path)] = time.perf_counter() - began
print(json.dumps(seconds))
"""


def section(
    python: str, older: str | None, folder: Path, environment: Mapping[str, str], rounds: int, *, quick: bool
) -> Section:
    """Measure small documents in each version, in turn, and hostile ones in this version alone."""
    own = folder / "small-documents"
    own.mkdir()
    _write_small(own, _COUNT // 10 if quick else _COUNT)
    pythons = {"docsend": python} | ({OLDER_COMMIT: older} if older else {})
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in pythons}
    for number in range(1, rounds + 1):
        for name, each in pythons.items():
            taken[name].append(_by_format(_check(each, own, environment)))
        show_progress(f"small documents: round {number} of {rounds}", is_last=number == rounds)
    small, times = _small_table(taken)
    hostile = _hostile_seconds(python, folder / "hostile-document", environment)
    slowest = max(hostile, key=hostile.__getitem__)
    budgets = [Budget(f"a hostile document of 10 MB, {slowest}", _SECONDS, hostile[slowest], "s")]
    if times is not None:
        budgets.insert(0, Budget("check of a small document", _LIMIT, times, f"× {OLDER_COMMIT}"))
    return Section("Documents", f"{small}\n{_hostile_table(hostile)}", budgets)


def _check(python: str, folder: Path, environment: Mapping[str, str]) -> dict[str, float]:
    seconds: dict[str, float] = json.loads(warm_up([python, "-I", "-c", _CHECK, str(folder)], environment))
    return seconds


def _by_format(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return microseconds a document, by its extension, and of all."""
    formats = sorted({name.rpartition(".")[2] for name in seconds})
    found = {
        each: [taken for name, taken in seconds.items() if name.endswith(f".{each}")] for each in formats
    }
    return {
        **{each: statistics.fmean(own) * 1e6 for each, own in found.items()},
        "all": statistics.fmean(seconds.values()) * 1e6,
    }


def _small_table(taken: Mapping[str, Sequence[Mapping[str, float]]]) -> tuple[str, float | None]:
    """Return a row for each format, and how many times as long as the older commit docsend takes for all."""
    now, before = taken["docsend"], taken.get(OLDER_COMMIT, [])
    rows: list[Sequence[str]] = [("small documents", "µs each", f"µs, {OLDER_COMMIT}", f"× {OLDER_COMMIT}")]
    times = None
    for each in now[0]:
        own = statistics.median(one[each] for one in now)
        if before:
            times = statistics.median(one[each] / other[each] for one, other in zip(now, before, strict=True))
            older = statistics.median(other[each] for other in before)
            rows.append((each, f"{own:.0f}", f"{older:.0f}", f"{times:.2f}"))
        else:
            rows.append((each, f"{own:.0f}", "", ""))
    return table(rows), times


def _hostile_seconds(python: str, folder: Path, environment: Mapping[str, str]) -> dict[str, float]:
    folder.mkdir()
    found = {}
    for number, (name, make) in enumerate(_HOSTILE.items(), start=1):
        path = folder / f"hostile.{name.split()[0].lower().replace('jpeg', 'jpg').replace('tiff', 'tif')}"
        path.write_bytes(make()[:_SIZE])
        (found[name],) = _check(python, folder, environment).values()
        path.unlink()
        show_progress(f"hostile documents: {number} of {len(_HOSTILE)}", is_last=number == len(_HOSTILE))
    return found


def _hostile_table(seconds: Mapping[str, float]) -> str:
    rows = [("hostile documents of 10 MB", "seconds")]
    slowest_first = sorted(seconds.items(), key=lambda item: -item[1])
    return table([*rows, *((name, f"{taken:.3f}") for name, taken in slowest_first)])


# -- small documents -----------------------------------------------------------------------------------------


def _write_small(folder: Path, count: int) -> None:
    """Write documents of 1 to 20 KB in every format, each with a content of its own."""
    photo = _shortened((ROOT / "examples" / "certificate-photo.jpg").read_bytes())
    makers: dict[str, Callable[[random.Random], bytes]] = {
        "pdf": _small_pdf,
        "jpg": lambda rng: photo[:2] + struct.pack(">BBH", 0xFF, 0xFE, 18) + rng.randbytes(16) + photo[2:],
        "png": _small_png,
        "tif": _small_tiff,
        "bmp": _small_bmp,
    }
    rng = random.Random(20261123)  # noqa: S311 - reproducible
    for number in range(count):
        extension = (*makers,)[number % len(makers)]
        (folder / f"{number:05}.{extension}").write_bytes(makers[extension](rng))


def _shortened(photo: bytes) -> bytes:
    """Return a photo without most of its picture, so that hashing it takes no longer than checking it."""
    return photo[: photo.index(b"\xff\xda") + 2000].rstrip(b"\xff") + b"\xff\xd9"


def _small_pdf(rng: random.Random) -> bytes:
    return _pdf(_stream(zlib.compress(rng.randbytes(rng.randrange(500, 9000)).hex().encode())))


def _small_png(rng: random.Random) -> bytes:
    rows = b"".join(b"\0" + rng.randbytes(150) for _ in range(50))
    return _png(_chunk(b"IDAT", zlib.compress(rows)))


def _small_tiff(rng: random.Random) -> bytes:
    return _tiff(rng.randbytes(100 * 80), width=100, height=80)


def _small_bmp(rng: random.Random) -> bytes:
    pixels = rng.randbytes(100 * 3 * 50)
    return _bmp(pixels, 100, 50, 24, 0)


def _stream(data: bytes, more: bytes = b"") -> bytes:
    return b"4 0 obj\n<< /Length %d /Filter /FlateDecode %s>>\nstream\n%s\nendstream\nendobj\n" % (
        len(data),
        more,
        data,
    )


def _pdf(middle: bytes = b"", behind: bytes = b"", more: bytes = b"", kids: bytes = b"3 0 R") -> bytes:
    """Return a page with `middle` among its objects, `behind` behind its end, and `more` in its trailer."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R >>"
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [%s] /Count 1 >>" % kids, page]
    out, rows = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, body in enumerate(objects, start=1):
        rows += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    rows += b"%010d 00000 n \n" % len(out)
    out += middle
    start = len(out)
    out += b"xref\n0 5\n" + rows + b"trailer\n<< /Size 5 /Root 1 0 R %s>>\n" % more
    return out + b"startxref\n%d\n%%%%EOF\n" % start + behind


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(middle: bytes, width: int = 50, height: int = 50) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + middle + _chunk(b"IEND", b"")


def _tiff(pixels: bytes, width: int, height: int) -> bytes:
    fields = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in (*fields, (279, len(pixels))))
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", 9) + entries + bytes(4)


def _bmp(pixels: bytes, width: int, height: int, depth: int, compression: int) -> bytes:
    palette = bytes(1024) if depth == 8 else b""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, compression, len(pixels), 0, 0, 0, 0)
    start = 54 + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + info + palette + pixels


# -- hostile documents ---------------------------------------------------------------------------------------


def _filled(unit: bytes, size: int = _SIZE - 2000) -> bytes:
    return (unit * (size // len(unit) + 1))[:size]


def _middle(unit: bytes) -> Callable[[], bytes]:
    return lambda: _pdf(_filled(unit))


def _behind(*units: bytes) -> Callable[[], bytes]:
    """Return a function for a PDF with these runs behind its end, of equal length."""
    return lambda: _pdf(behind=b"".join(_filled(unit, (_SIZE - 2000) // len(units)) for unit in units))


def _with_wrong_offset(pdf: bytes) -> bytes:
    return pdf.replace(b"startxref\n", b"startxref\n1")


def _bombs() -> bytes:
    """Return a PDF of object streams that inflate to a thousand times their size."""
    bomb = zlib.compress(bytes(100 * 2**20), 9)
    return _pdf(_stream(bomb, b"/Type /ObjStm /N 1 /First 5 ") * (_SIZE // (len(bomb) + 200)))


def _png_bomb() -> bytes:
    bomb = zlib.compress(bytes(100 * 2**20), 9)
    return _png(_chunk(b"IDAT", bomb) * (_SIZE // (len(bomb) + 100)), 30_000, 30_000)


def _chain(step: int) -> bytes:
    """Return a TIFF of directories without end, each `step` bytes behind the one before."""
    out = bytearray(b"II*\0" + struct.pack("<I", 8))
    at = 8
    while at < _SIZE - 2 * step - 10:
        out[at:] = struct.pack("<HHHII", 1, 256, 4, 1, 9) + struct.pack("<I", at + step)
        out += bytes(max(0, at + step - len(out)))
        at += step
    return bytes(out)


def _shared_strips() -> bytes:
    """Return a TIFF of many directories that all refer to the same long lists of strips."""
    count = 300_000
    lists = struct.pack("<I", 8) * count
    out = b"II*\0" + struct.pack("<I", 8 + len(lists)) + lists
    for _ in range(9_000):
        fields = [(256, 1, 9), (257, 1, 9), (273, count, 8), (279, count, 8)]
        entries = b"".join(struct.pack("<HHII", tag, 4, many, value) for tag, many, value in fields)
        out += struct.pack("<H", 4) + entries + struct.pack("<I", len(out) + 54)
    return out.ljust(_SIZE, b"\0")


def _back_and_forth() -> bytes:
    """Return a TIFF whose two directories lead to each other, with as many fields as fit."""
    fields = struct.pack("<HHII", 65_000, 4, 1, 0) * 65_535
    first, second = 8, 8 + 6 + len(fields)
    pages = [
        struct.pack("<H", 65_535) + fields + struct.pack("<I", following) for following in (second, first)
    ]
    return (b"II*\0" + struct.pack("<I", first) + b"".join(pages)).ljust(_SIZE, b"\0")


def _deep_tree() -> bytes:
    """Return a PDF of which each page tree node has one kid, the next one, without end."""
    nodes = (
        b"%d 0 obj\n<< /Type /Pages /Kids [%d 0 R] /Count 1 >>\nendobj\n" % (at, at + 1)
        for at in range(10, 140_000)
    )
    return _pdf(b"".join(nodes), kids=b"10 0 R")


def _object_streams() -> bytes:
    """Return a PDF of 900 object streams that share one long index."""
    heads = b"5 0 obj\n<</Type/ObjStm/N 9/First 9999999>>\nstream\n" * 900
    return _pdf(middle=heads + _filled(b"7 7 ", _SIZE - len(heads) - 2000), kids=b"99 0 R")


def _missing_kids() -> bytes:
    """Return a PDF whose pages are 300 objects that do not exist."""
    return _pdf(middle=_filled(b"x"), kids=b" ".join(b"%d 0 R" % at for at in range(90_000, 90_300)))


def _large_nodes() -> bytes:
    """Return a PDF with 150 nodes of 60 KB in its page tree, none of which is a page."""
    node = b"<</A[" + b"<<>> " * 12_000 + b"]>>"
    nodes = b"".join(b"%d 0 obj\n%b\nendobj\n" % (at, node) for at in range(900, 1_050))
    return _pdf(middle=nodes, kids=b" ".join(b"%d 0 R" % at for at in range(900, 1_050)))


_PIXEL_RUNS = _filled(b"\1\7")
_HOSTILE: dict[str, Callable[[], bytes]] = {
    "PDF digits, then blanks": lambda: _pdf(behind=b"1" * 20 + _filled(b" ")),
    "PDF digits and blanks, half of each": _behind(b"1", b" "),
    "PDF digits behind the end": _behind(b"1"),
    "PDF short numbers behind the end": _behind(b"1 1 "),
    "PDF blanks before the end": _middle(b" "),
    "PDF NULs behind the end": _behind(b"\0"),
    "PDF comments": _middle(b"%\n"),
    "PDF nested dictionaries": _middle(b"<<"),
    "PDF nested dictionaries with keys": _middle(b"/A <<"),
    "PDF nested arrays": _middle(b"["),
    "PDF unclosed strings": _middle(b"("),
    "PDF escaped strings": _middle(b"(\\)"),
    "PDF unclosed hexadecimal strings": _middle(b"<A"),
    "PDF startxref": _middle(b"startxref\n"),
    "PDF startxref behind the end": _behind(b"startxref "),
    "PDF startxref with numbers": _behind(b"startxref\n1\n"),
    "PDF %%EOF": _behind(b"%%EOF\n"),
    "PDF trailer": _middle(b"trailer\n"),
    "PDF trailer with a root": _middle(b"trailer << /Root 1 0 R >>\n"),
    "PDF xref": _middle(b"xref\n0 1\n"),
    "PDF /XRef": _middle(b"/XRef "),
    "PDF /ObjStm": _middle(b"/ObjStm "),
    "PDF /Encrypt": _middle(b"/Encrypt "),
    "PDF /Encrypt with a reference": lambda: _pdf(more=_filled(b"/Encrypt 9 0 R ")),
    "PDF /Root": _middle(b"/Root "),
    "PDF /Filter and blanks": _middle(b"/Filter" + b" " * 16),
    "PDF a filter, then /Filter and blanks": lambda: _with_wrong_offset(
        _pdf(_stream(b"1", b"/Filter /FlateDecode ") + _filled(b"/Filter" + b" " * 16))
    ),
    "PDF /Length and blanks": lambda: _with_wrong_offset(
        _pdf(_stream(b"1", b"/Filter /FlateDecode ") + _filled(b"/Length" + b" " * 16))
    ),
    "PDF /Type /Page": _middle(b"/Type /Page\n"),
    "PDF /Type and blanks": _middle(b"/Type" + b" " * 1000),
    "PDF /Length": _middle(b"/Length 9"),
    "PDF /Linearized": _middle(b"/Linearized 1 /L "),
    "PDF obj": _middle(b"1 0 obj\n"),
    "PDF obj behind the end": _behind(b"obj "),
    "PDF endobj": _middle(b"endobj\n"),
    "PDF stream": _middle(b"stream\n"),
    "PDF streams without an end": _middle(b"<< /Length 9 >>\nstream\n"),
    "PDF endstream": _middle(b"endstream\n"),
    "PDF empty streams": _middle(b"5 0 obj\n<< /Length 0 >>\nstream\n\nendstream\nendobj\n"),
    "PDF letters of two bytes": _middle("é".encode()),
    "PDF a deep page tree": _deep_tree,
    "PDF uncompressed object streams": _object_streams,
    "PDF missing kids": _missing_kids,
    "PDF large page nodes": _large_nodes,
    "PDF many kids": lambda: _pdf(kids=_filled(b"3 0 R ")),
    "PDF deflate bombs": _bombs,
    "PDF words that begin like objects": lambda: _pdf(behind=_filled(b"obj<")),
    "PDF %PDF-": lambda: _filled(b"%PDF-"),
    "JPEG restart markers": lambda: b"\xff\xd8\xff" + _filled(b"\xd0\xff"),
    "JPEG empty segments": lambda: b"\xff\xd8" + _filled(b"\xff\xe0\0\2"),
    "JPEG fill bytes": lambda: b"\xff\xd8" + _filled(b"\xff"),
    "JPEG stray bytes": lambda: b"\xff\xd8\xff\xe0\0\2" + _filled(b"\0"),
    "JPEG scans": lambda: b"\xff\xd8" + _filled(b"\xff\xda\0\2"),
    "PNG empty chunks": lambda: _png(_filled(_chunk(b"IDAT", b""))),
    "PNG empty private chunks": lambda: _png(_filled(_chunk(b"prVt", b""))),
    "PNG deflate bombs": _png_bomb,
    "TIFF directories in a row": lambda: _chain(18),
    "TIFF overlapping directories": lambda: _chain(4),
    "TIFF shared lists of strips": _shared_strips,
    "TIFF two directories in a loop": _back_and_forth,
    "BMP runs of one pixel": lambda: _bmp(_PIXEL_RUNS, 30_000, 30_000, 8, 1),
    "BMP without line feeds": lambda: _bmp(_filled(b"\1"), 1_000, 3_000, 24, 0),
    "BMP of other line ends": lambda: _bmp(_filled(b"\r\n"), 1_000, 3_000, 24, 0),
    "BMP skipped pixels": lambda: _bmp(_filled(b"\0\2\0\0"), 30_000, 30_000, 8, 1),
}
