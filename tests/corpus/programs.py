"""Documents by Ghostscript, ImageMagick, qpdf and LibreOffice, as far as these are installed."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from corpus import contents, oracles, pdfs
from corpus.recipes import Recipe, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COUNT = 6
_GHOSTSCRIPT = ("gs", "-q", "-dBATCH", "-dNOPAUSE", "-sOutputFile={result}")
_OFFICE = ("lowriter", "--headless", "--convert-to", "pdf", "--outdir", "{folder}", "{source}")
_MAGICK = ("magick", "{source}")
# What it is; its format; the format of its source; the command.
_ROWS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("by Ghostscript", "pdf", "ps", (*_GHOSTSCRIPT, "-sDEVICE=pdfwrite", "{source}")),
    (
        "by Ghostscript, 1.3",
        "pdf",
        "ps",
        (*_GHOSTSCRIPT, "-sDEVICE=pdfwrite", "-dCompatibilityLevel=1.3", "{source}"),
    ),
    ("a scan by Ghostscript", "pdf", "ps", (*_GHOSTSCRIPT, "-sDEVICE=pdfimage24", "-r60", "{source}")),
    ("a fax by Ghostscript", "tiff", "ps", (*_GHOSTSCRIPT, "-sDEVICE=tiffg4", "-r60", "{source}")),
    ("by qpdf, linearized", "pdf", "pdf", ("qpdf", "--linearize", "{source}", "{result}")),
    ("by qpdf, object streams", "pdf", "pdf", ("qpdf", "--object-streams=generate", "{source}", "{result}")),
    ("by qpdf, uncompressed", "pdf", "pdf", ("qpdf", "--stream-data=uncompress", "{source}", "{result}")),
    ("by ImageMagick, progressive", "jpeg", "png", (*_MAGICK, "-interlace", "Plane", "{result}")),
    ("by ImageMagick, interlaced", "png", "png", (*_MAGICK, "-interlace", "PNG", "{result}")),
    ("by ImageMagick, LZW", "tiff", "png", (*_MAGICK, "-compress", "LZW", "{result}")),
    ("by ImageMagick, version 3", "bmp", "png", (*_MAGICK, "BMP3:{result}")),
    ("by ImageMagick, version 4", "bmp", "png", (*_MAGICK, "{result}")),
    ("by LibreOffice", "pdf", "txt", _OFFICE),
)


def variants(seed: int) -> tuple[list[Variant], list[str]]:
    """Return the documents, and the names of the programs that are not installed."""
    made, absent = [], []
    for kind, format_name, source_format, command in _ROWS:
        program = oracles.magick() if command[0] == "magick" else command[0]
        if shutil.which(program) is None:
            absent.append(program)
            continue
        recipe = Recipe(kind, format_name, "good", lambda _: b"", _COUNT)
        made += [
            Variant(recipe, number, content)
            for number, content in _make_all(recipe, source_format, (program, *command[1:]), seed)
        ]
    return made, sorted({*absent})


def _make_all(
    recipe: Recipe, source_format: str, command: Sequence[str], seed: int
) -> Iterator[tuple[int, bytes]]:
    for number in range(_COUNT):
        rng = random.Random(f"{seed} {recipe.name} {number}")
        with TemporaryDirectory(prefix="corpus-") as folder:
            source, result = (
                Path(folder, f"source.{source_format}"),
                Path(folder, f"source.made.{recipe.format}"),
            )
            if command[0] == "lowriter":
                result = Path(folder, "source.pdf")
            source.write_bytes(_source(rng, source_format))
            filled = [word.format(source=source, result=result, folder=folder) for word in command]
            done = subprocess.run(filled, capture_output=True, timeout=120, check=False)
            if done.returncode or not result.exists():
                raise RuntimeError(f"{' '.join(filled)}: exit code {done.returncode}: {done.stderr[-500:]!r}")
            yield number, result.read_bytes()


def _source(rng: random.Random, source_format: str) -> bytes:
    if source_format == "pdf":
        return pdfs.plain(rng)
    if source_format == "png":
        return contents.saved(contents.picture(rng), "PNG")
    lines = [contents.text(rng, 9).encode("ascii", "ignore") for _ in range(40)]
    if source_format == "txt":
        return b"\n".join(lines)
    shown = b"".join(b"40 %d moveto (%s) show\n" % (780 - 16 * row, line) for row, line in enumerate(lines))
    return b"%%!PS\n/Helvetica findfont 9 scalefont setfont\n%s showpage\n" % shown * 2
