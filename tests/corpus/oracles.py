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
_SIDE = 48  # pixels of the small copies that are compared
_MAGICK = ("convert-im6.q16", "magick")
_PDFIUM = """
import sys
import pypdfium2
for line in sys.stdin:
    try:
        document = pypdfium2.PdfDocument(line.rstrip("\\n"))
        page = document[0]
        page.render(scale=0.3)
        answer = "shown"
    except Exception as error:
        answer = "not shown: " + type(error).__name__
    print(answer, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Oracle:
    """A program, and whether it shows a file."""

    name: str
    shows: Callable[[Path], bool]


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


def _poppler(path: Path) -> bool:
    return _run(["pdftoppm", "-r", "20", "-f", "1", "-l", "1", "-gray", path]).startswith(b"P5")


def _mupdf(path: Path) -> bool:
    return _run(
        ["mutool", "draw", "-q", "-r", "20", "-c", "gray", "-F", "pgm", "-o", "-", path, "1"]
    ).startswith(b"P5")


def magick() -> str:
    """Return ImageMagick's program: `magick` of version 7, or Debian's name for that of version 6."""
    return next(filter(shutil.which, _MAGICK), _MAGICK[-1])


def _small(program: Sequence[str], path: Path, *, whatever: bool = False) -> bytes:
    command = [*program, path, "-resize", f"{_SIDE}x{_SIDE}!", "-depth", "8", "gray:-"]
    return _run(command, whatever=whatever)


def _imagemagick(path: Path) -> bool:
    return bool(_small([magick()], path))


def _graphicsmagick(path: Path) -> bool:
    return bool(_small(["gm", "convert"], path))


def _vips(path: Path) -> bool:
    return bool(_run(["vips", "avg", f"{path}[fail-on=error]"]))


def _gdk_pixbuf(path: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "small.png"
        _run(["gdk-pixbuf-thumbnailer", "-s", str(_SIDE), path, out])
        return out.exists()


class Pdfium:
    """PDFium in processes that stay open, one for each thread; one that crashed is started again."""

    def __init__(self, python: str) -> None:
        self._python = python
        self._own = threading.local()
        self._started: list[subprocess.Popen[str]] = []

    def shows(self, path: Path) -> bool:
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
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            return process.stdout.readline().strip() == "shown"
        except BrokenPipeError:
            return False
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
        self._pdf = [
            Oracle("poppler", _poppler),
            Oracle("MuPDF", _mupdf),
            Oracle("PDFium", self._pdfium.shows),
        ]
        self._bmp = [*pictures, Oracle("gdk-pixbuf", _gdk_pixbuf)]
        self._pictures = [*pictures, Oracle("libvips", _vips)]
        self._pool = ThreadPoolExecutor(os.cpu_count() or 2)

    def close(self) -> None:
        self._pool.shutdown()
        self._pdfium.close()

    def opinions(self, paths: Iterable[tuple[str, Path]]) -> list[tuple[Opinion, tuple[str, ...]]]:
        """Return for each format and file: whether it is good, and the names of the oracles that show it."""
        return list(self._pool.map(self._opinion, paths))

    def _opinion(self, file: tuple[str, Path]) -> tuple[Opinion, tuple[str, ...]]:
        format_name, path = file
        asked = {"pdf": self._pdf, "bmp": self._bmp}.get(format_name, self._pictures)
        shown = tuple(oracle.name for oracle in asked if oracle.shows(path))
        return ("good" if len(shown) > 1 else "unsure" if shown else "bad"), shown

    def looks(self, paths: Iterable[tuple[str, Path]]) -> list[bytes]:
        """Return small pictures of all pages of each file, to compare the file with another."""
        return list(self._pool.map(_look, paths))


def _look(file: tuple[str, Path]) -> bytes:
    format_name, path = file
    if format_name == "pdf":
        return _run(["pdftoppm", "-r", "20", "-gray", path], whatever=True)
    return _small([magick()], path, whatever=True)


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
