"""Build the fonts of the PDF proof, `data/fonts/`, from DejaVu.

With --check, only check that they are up to date.

The source is DejaVu 2.37 (https://dejavu-fonts.github.io, a free license) from Debian: `apt-get install
fonts-dejavu-core`. Each font is reduced to the characters that a proof can contain. Hinting and shaping
tables are dropped: neither print nor Hebrew without vowel points needs them. The build is reproducible with
the same sources and the same fontTools (requirements/dev.lock).
"""

import hashlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from fontTools import subset  # type: ignore[import-untyped]  # it has no types
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # nor this

_SOURCE = Path("/usr/share/fonts/truetype/dejavu")
_LICENCE = Path("/usr/share/doc/fonts-dejavu-core/copyright")
_TARGET = Path(__file__).parent.parent.parent / "src" / "docsend" / "data" / "fonts"

_ASCII = range(0x20, 0x7F)
_TEXT = (
    *_ASCII,
    *range(0xA0, 0x180),  # Latin-1, Latin Extended-A
    *range(0x370, 0x530),  # Greek, Cyrillic
    *range(0x590, 0x600),  # Hebrew
    *range(0x2010, 0x2028),  # dashes, quotation marks, the ellipsis, but no directional marks
    *range(0x202F, 0x205F),
    *range(0x20A0, 0x20C0),  # currencies
)
# Each font: the SHA-256 of its source, and its characters.
_FONTS: dict[str, tuple[str, Sequence[int]]] = {
    "DejaVuSans": ("abdc775b21b1bc470d50c97e790d276f2054b7504e56e5bd3e64f48d68582322", _TEXT),
    "DejaVuSans-Bold": ("0d977336a6d5fba34eab8e3199eb218327161b5143749f802982c2bc34df0c96", _TEXT),
    # For keys and digests, which are easier to compare in a fixed-width font.
    "DejaVuSansMono": ("0f5db4f1749979d961019838b160bec74abdf7f9eca69553fe1aa856bbff49a4", _ASCII),
}


def build_fonts() -> dict[str, bytes]:
    """Return the content of each file by its name."""
    files = {f"{name}.ttf": _subset_font(name, digest, letters) for name, (digest, letters) in _FONTS.items()}
    return {**files, "LICENSE": _LICENCE.read_bytes()}


def _subset_font(name: str, digest: str, letters: Sequence[int]) -> bytes:
    source = (_SOURCE / f"{name}.ttf").read_bytes()
    if hashlib.sha256(source).hexdigest() != digest:
        raise SystemExit(f"{name}.ttf is not from DejaVu 2.37: {hashlib.sha256(source).hexdigest()}")
    font = TTFont(io.BytesIO(source), recalcTimestamp=False)
    options = subset.Options(
        hinting=False,
        layout_features=[],
        notdef_outline=True,
        glyph_names=False,
        legacy_kern=False,
        name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14],  # names, version, copyright, licence
        name_languages=[0x409],
        drop_tables=[*subset.Options().drop_tables, "FFTM", "GDEF", "GPOS", "GSUB", "kern", "gasp"],
    )
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=letters)
    subsetter.subset(font)
    written = io.BytesIO()
    font.save(written)
    return written.getvalue()


def main() -> int:
    """Write the files. With --check, return 1 if a file is out of date."""
    stale = [name for name, content in build_fonts().items() if not _has_content(_TARGET / name, content)]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"{name} is out of date: run python tools/fonts/build.py")
        return int(bool(stale))
    _TARGET.mkdir(parents=True, exist_ok=True)
    for name, content in build_fonts().items():
        (_TARGET / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
    return 0


def _has_content(file: Path, content: bytes) -> bool:
    return file.exists() and file.read_bytes() == content


if __name__ == "__main__":
    sys.exit(main())
