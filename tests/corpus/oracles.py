"""Programs that show documents, which docsend does not use. Each runs as a program of its own.

PDF: poppler, MuPDF and PDFium (the one in Chrome). Pictures: ImageMagick, GraphicsMagick and libvips, which
reads BMP by way of ImageMagick, so that gdk-pixbuf takes its place there. `requirements/corpus.txt` lists the
Debian packages; PDFium comes from the package index into an environment of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Opinion = Literal["good", "bad", "unsure"]
_TIMEOUT = 30.0
_MAJORITY = 2  # of three
_SIDE = 48  # pixels of the small copies that are compared
_MAGICK = ("convert-im6.q16", "magick")
# Answers each path with a digest of what it shows: of the first page, or of all pages after "all".
_PDFIUM = """
import hashlib
import sys
import pypdfium2
for line in sys.stdin:
    wanted, path = line.rstrip("\\n").split(" ", 1)
    shown = hashlib.sha256()
    try:
        document = pypdfium2.PdfDocument(path)
        for number in range(len(document) if wanted == "all" else 1):
            shown.update(bytes(document[number].render(scale=0.3).buffer))
        answer = shown.hexdigest()
    except Exception as error:
        answer = ""
    print(answer, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Oracle:
    """A program that shows documents.

    `show` returns a small picture of a file, or something else that differs if the picture does: of the first
    page, and nothing if the program complains; or of all pages, whatever it says.
    """

    name: str
    show: Callable[[Path, bool], bytes]


def _run(command: Sequence[object], *, whatever: bool = False) -> bytes:
    """Return what a program wrote to stdout; nothing if it was too slow or, unless `whatever`, failed."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return b""
    return done.stdout if whatever or done.returncode == 0 else b""


def _poppler(path: Path, whole: bool) -> bytes:  # noqa: FBT001 - see Oracle
    first = [] if whole else ["-f", "1", "-l", "1"]
    return _run(["pdftoppm", "-r", "20", *first, "-gray", path], whatever=whole)


def _mupdf(path: Path, whole: bool) -> bytes:  # noqa: FBT001
    first = [] if whole else ["1"]
    options = ["-q", "-r", "20", "-c", "gray", "-F", "pgm", "-o", "-"]
    return _run(["mutool", "draw", *options, path, *first], whatever=whole)


def magick() -> str:
    """Return ImageMagick's program: `magick` of version 7, or Debian's name for that of version 6."""
    return next(filter(shutil.which, _MAGICK), _MAGICK[-1])


def _small(program: Sequence[str], path: Path, *, whole: bool) -> bytes:
    first = path if whole else f"{path}[0]"
    size = f"{_SIDE}x{_SIDE}!"
    return _run([*program, first, "-resize", size, "-depth", "8", "gray:-"], whatever=whole)


def _imagemagick(path: Path, whole: bool) -> bytes:  # noqa: FBT001
    return _small([magick()], path, whole=whole)


def _graphicsmagick(path: Path, whole: bool) -> bytes:  # noqa: FBT001
    return _small(["gm", "convert"], path, whole=whole)


def _vips(path: Path, whole: bool) -> bytes:  # noqa: FBT001
    """Return the average of all pixels of the first page."""
    strictness = "none" if whole else "error"
    return _run(["vips", "avg", f"{path}[fail-on={strictness}]"])


def _gdk_pixbuf(path: Path, whole: bool) -> bytes:  # noqa: FBT001
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "small.png"
        _run(["gdk-pixbuf-thumbnailer", "-s", _SIDE, path, out])
        return _run([magick(), out, "-depth", "8", "gray:-"]) if out.exists() else b""


class Pdfium:
    """PDFium in processes that stay open, one for each thread; one that crashed is started again."""

    def __init__(self, python: str) -> None:
        self._python = python
        self._own = threading.local()
        self._started: list[subprocess.Popen[str]] = []

    def show(self, path: Path, whole: bool) -> bytes:  # noqa: FBT001
        process: subprocess.Popen[str] | None = getattr(self._own, "process", None)
        if process is None or process.poll() is not None:
            process = subprocess.Popen(
                [self._python, "-I", "-c", _PDFIUM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self._own.process = process
            self._started.append(process)
        if process.stdin is None or process.stdout is None:
            raise AssertionError("its streams are pipes")
        alarm = threading.Timer(_TIMEOUT, process.kill)
        alarm.start()
        try:
            process.stdin.write(f"{'all' if whole else 'first'} {path}\n")
            process.stdin.flush()
            return process.stdout.readline().strip().encode()
        except BrokenPipeError:
            return b""
        finally:
            alarm.cancel()

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


class Oracles:
    """All oracles, which are asked about several files at a time."""

    def __init__(self, pdfium_python: str) -> None:
        self._pdfium = Pdfium(pdfium_python)
        pictures = [Oracle("ImageMagick", _imagemagick), Oracle("GraphicsMagick", _graphicsmagick)]
        self._pdf = [Oracle("poppler", _poppler), Oracle("MuPDF", _mupdf)]
        self._pdf += [Oracle("PDFium", self._pdfium.show)]
        self._bmp = [*pictures, Oracle("gdk-pixbuf", _gdk_pixbuf)]
        self._pictures = [*pictures, Oracle("libvips", _vips)]
        self._pool = ThreadPoolExecutor(os.cpu_count() or 2)

    def close(self) -> None:
        self._pool.shutdown()
        self._pdfium.close()

    def opinions(self, files: Iterable[tuple[str, Path]]) -> list[tuple[Opinion, tuple[str, ...]]]:
        """Return for each format and file: whether it is good, and the names of the oracles that show it."""
        return list(self._pool.map(self._opinion, files))

    def _opinion(self, file: tuple[str, Path]) -> tuple[Opinion, tuple[str, ...]]:
        format_name, path = file
        shown = tuple(oracle.name for oracle in self._asked(format_name) if oracle.show(path, False))
        return ("good" if len(shown) >= _MAJORITY else "unsure" if shown else "bad"), shown

    def looks(self, files: Iterable[tuple[str, Path]]) -> list[tuple[bytes, ...]]:
        """Return what each oracle shows of all pages of each file."""
        return list(self._pool.map(self._look, files))

    def _look(self, file: tuple[str, Path]) -> tuple[bytes, ...]:
        format_name, path = file
        return tuple(oracle.show(path, True) for oracle in self._asked(format_name))

    def _asked(self, format_name: str) -> list[Oracle]:
        return {"pdf": self._pdf, "bmp": self._bmp}.get(format_name, self._pictures)


def is_same(before: tuple[bytes, ...], after: tuple[bytes, ...]) -> bool:
    """Return whether two oracles show the same of both files."""
    return sum(bool(one) and one == other for one, other in zip(before, after, strict=True)) >= _MAJORITY


def versions(pdfium: str) -> list[str]:
    """Return the names of the oracles with their versions."""
    found = [f"PDFium (pypdfium2 {pdfium})"]
    for name, command in (
        ("poppler", ["pdftoppm", "-v"]),
        ("MuPDF", ["mutool", "-v"]),
        ("ImageMagick", [magick(), "-version"]),
        ("GraphicsMagick", ["gm", "version"]),
        ("libvips", ["vips", "--version"]),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        words = (done.stdout + done.stderr).replace("-", " ").split()
        found.append(f"{name} {next((word for word in words if word[:1].isdigit() and '.' in word), '?')}")
    return found


def require(listed: Path) -> None:
    """Exit with the names of the Debian packages that are missing of those in the list."""
    lines = [line.split() for line in listed.read_text("utf-8").splitlines() if not line.startswith("#")]
    needed = {line[0]: line[1] for line in lines if line}
    here = {command for command in needed if any(map(shutil.which, command.split("|")))}
    if missing := sorted({package for command, package in needed.items() if command not in here}):
        print(f"missing: install them with apt-get install {' '.join(missing)}", file=sys.stderr)
        raise SystemExit(2)
