"""Sample documents for tests, made with common libraries. All content is fictional."""

from __future__ import annotations

import io
import os
import random
import sys
from typing import TYPE_CHECKING

import pikepdf
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


def picture(seed: int = 0, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return an image of random pixels, a different one for each seed."""
    return Image.frombytes("RGB", size, random.Random(seed).randbytes(size[0] * size[1] * 3))


def jpeg(seed: int = 0) -> bytes:
    return _save(picture(seed), "JPEG")


def png(seed: int = 0) -> bytes:
    return _save(picture(seed), "PNG")


def bmp(seed: int = 0) -> bytes:
    return _save(picture(seed), "BMP")


def tiff(seed: int = 0, pages: int = 2) -> bytes:
    more = [picture(seed + 1000 + page) for page in range(1, pages)]
    return _save(picture(seed), "TIFF", save_all=True, append_images=more, compression="tiff_lzw")


def pdf(
    seed: int = 0, *, password: str | None = None, size: int | None = None, streams: bool = False
) -> bytes:
    """Return a PDF of one page: encrypted, of exactly `size` bytes, or with a cross-reference stream."""
    document = pikepdf.Pdf.new()
    document.add_blank_page()
    document.docinfo["/Title"] = f"fictional sample {seed}"
    encryption = pikepdf.Encryption(owner=password, user=password) if password else False
    mode = pikepdf.ObjectStreamMode.generate if streams else pikepdf.ObjectStreamMode.disable
    buffer = io.BytesIO()
    document.save(buffer, encryption=encryption, object_stream_mode=mode, static_id=not password)
    content = buffer.getvalue()
    if size is None:
        return content
    # The padding is a stream, because a comment would change every offset and only blanks may follow %%EOF.
    padding = size - len(content)
    return _pad(document, padding, size)


def _pad(document: pikepdf.Pdf, padding: int, size: int) -> bytes:
    """Add a stream of random bytes to a PDF so that it has exactly `size` bytes."""
    noise = random.Random(1).randbytes(padding)
    for _ in range(20):
        document.Root["/Filler"] = document.make_stream(noise)
        buffer = io.BytesIO()
        document.save(buffer, compress_streams=False, static_id=True)
        short = size - len(buffer.getvalue())
        if short == 0:
            return buffer.getvalue()
        noise = noise[:short] if short < 0 else noise + bytes(short)
    raise AssertionError("no PDF of that size was found")


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def named_pipe(path: Path) -> None:
    """Create a named pipe."""
    if sys.platform == "win32":
        raise NotImplementedError
    os.mkfifo(path)


def _save(image: Image.Image, format_name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()
