"""Fictional pages and pictures: text, shapes and noise, so that they compress like documents of real life."""

from __future__ import annotations

import functools
import io
import random
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from PIL import Image, ImageDraw

import docsend

_FONTS = Path(docsend.__file__).parent / "data" / "fonts"
_WORDS = (
    *(
        "wages",
        "month",
        "employer",
        "certificate",
        "days",
        "hours",
        "insured",
        "form",
        "branch",
        "total",
        "paid",
    ),
    *("account", "holiday", "sick", "leave", "reference", "period", "gross", "net", "amount", "signature"),
    *("stamp", "date", "approved", "copy", "claim", "benefit", "parent", "child", "address"),
    *("שכר", "חודש", "מעסיק", "אישור", "ימים", "טופס", "סניף", "סכום", "חתימה", "תאריך"),
)
PAGE_POOL = 10  # different PDFs of pages; subsetting fonts takes most of the time


def text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice((*_WORDS, str(rng.randrange(10_000)))) for _ in range(words))


def picture(rng: random.Random, mode: str = "RGB", size: tuple[int, int] | None = None) -> Image.Image:
    """Return the photo of a form: soft shapes, some noise, lines of text."""
    width, height = size or (rng.randrange(90, 260), rng.randrange(90, 260))
    soft = Image.frombytes("RGB", (6, 6), rng.randbytes(108)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noise = Image.frombytes("RGB", (width, height), rng.randbytes(width * height * 3))
    photo = Image.blend(soft, noise, 0.12)
    draw = ImageDraw.Draw(photo)
    for top in range(4, height - 10, 14):
        ascii_words = text(rng, 8).encode("ascii", "ignore").decode()
        draw.text((5, top), ascii_words, fill=(10, 10, 30))
    if mode == "LA":
        return Image.merge("LA", (photo.convert("L"), photo.getchannel("G")))
    if mode == "RGBA":
        return Image.merge("RGBA", (*photo.split(), photo.getchannel("R")))
    if mode in ("I;16", "I", "F"):
        return photo.convert("L").convert("I").point(lambda value: value * 200).convert(mode)
    return photo.convert(mode)


def saved(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def pages(rng: random.Random) -> bytes:
    """Return a PDF of one to four pages with embedded fonts and a photo, in Flate streams."""
    return _pages(rng.randrange(PAGE_POOL))


@functools.cache
def _pages(number: int) -> bytes:
    rng = random.Random(f"pages {number}")
    document = FPDF()
    document.set_creation_date(datetime(2026, 1, 1 + number, tzinfo=UTC))
    document.set_title(f"fictional certificate {number}")
    document.add_font("sans", fname=_FONTS / "DejaVuSans.ttf")
    photo = io.BytesIO(saved(picture(rng, size=(200, 140)), "JPEG", quality=80))
    for page in range(1 + number % 4):
        document.add_page()
        document.set_font("sans", size=11)
        for _ in range(6):
            document.multi_cell(0, 6, text(rng, 50), new_x="LMARGIN", new_y="NEXT")
            document.ln(3)
        if page == 0:
            document.image(photo, w=80)
        document.set_draw_color(200, 30, 30)
        for line in range(10):
            document.line(10, 200 + 6 * line, 190, 200 + 6 * line)
    return bytes(document.output())


def web_page(rng: random.Random) -> bytes:
    body = "".join(f"<p>{text(rng, 20)}</p>\n" for _ in range(8))
    head = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>"
    return f"{head}<body>\n{body}</body></html>\n".encode()


def log_lines(rng: random.Random, size: int) -> bytes:
    line = b"2026-01-02 12:00:00 INFO %d document was fetched, 200 OK, the archive is /data/archive\n"
    return b"".join(line % rng.randrange(10**6) for _ in range(size // 80 + 1))[:size]


def flip(rng: random.Random, content: bytes, start: int, end: int, flips: int) -> bytes:
    """Return the content with some bytes between `start` and `end` changed."""
    changed = bytearray(content)
    for _ in range(flips):
        at = rng.randrange(start, min(end, len(content)))
        changed[at] = rng.choice((0, 0xFF, changed[at] ^ (1 << rng.randrange(8)), rng.randrange(256)))
    return bytes(changed)


def cut(rng: random.Random, content: bytes, least: float = 0.15, most: float = 0.9) -> bytes:
    return content[: int(len(content) * rng.uniform(least, most))]
