"""Decode pictures completely with Pillow, inside the process `decoder_process`."""

from __future__ import annotations

import io
import re
import struct
import time
import zlib
from typing import TYPE_CHECKING

from docsend.checks.decoders import PAGES_LIMIT_S, Decoded
from docsend.checks.formats import jpeg
from docsend.checks.formats.png import decompressed_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import ImageFile

    from docsend.checks.decoders import Outcome

_MAX_PIXELS = 200_000_000  # A4 with 1200 dots per inch has 140 million.
# Pillow tells its errors apart by their texts only. These are the texts that speak of the data; all others
# speak of what Pillow does not know.
_DAMAGE = re.compile(
    r"truncated|broken|buffer overrun|unrecognized data stream|decoder error -[123]\b|not enough data|"
    r"bad quantization table|no marker found|(?:missing|invalid) (?:tile )?dimensions|"
    r"tile cannot extend|tile offset cannot|unable to seek",
    re.IGNORECASE,
)
_OUT_OF_MEMORY = re.compile(r"out of memory|decoder error -9\b", re.IGNORECASE)
# libtiff reports damaged data and a compression that it was built without in the same way. These are always
# built in.
_SURE_TIFF_COMPRESSIONS = {
    "raw",
    "tiff_ccitt",
    "group3",
    "group4",
    "tiff_lzw",
    "jpeg",
    "tiff_adobe_deflate",
    "tiff_deflate",
    "packbits",
}
# libjpeg reports damaged data and a process that it does not know in the same way. It knows SOF0, 1 and 2.
_SURE_JPEG_PROCESSES = {0xC0, 0xC1, 0xC2}

_OTHER_PIXELS = bytes(range(255))  # compressed ones, unlike those that a decoder makes up behind the end
_BAND_ROWS = 256


def load(format_name: str) -> Callable[[bytes], Decoded]:
    """Import Pillow's plugin for one format, and no other, and return its decoder."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = _MAX_PIXELS
    plugin = _plugin(format_name)

    def decoder(content: bytes) -> Decoded:
        picture = None
        try:
            if format_name == "png":
                content = _critical_chunks(content)
                if not _has_all_rows(content):
                    return Decoded("damaged")
            if format_name == "jpeg" and content.endswith(b"\xff"):
                if not _is_whole(content, plugin):
                    return Decoded("damaged")
                content += b"\xd9"  # The last byte was lost, which other viewers do not mind.
            picture = plugin(io.BytesIO(content))
            return Decoded(_decode_frames(picture))
        except Image.DecompressionBombError:
            return Decoded("gave-up")
        except Exception as error:  # noqa: BLE001 - plugins raise a dozen different exceptions
            compression = picture.info.get("compression") if picture else None
            return Decoded(_judge(error, content, format_name, compression))

    return decoder


def _plugin(format_name: str) -> type[ImageFile.ImageFile]:
    if format_name == "jpeg":  # This one also opens the first picture of an MPO, which starts like a JPEG.
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile
    if format_name == "png":
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile
    if format_name == "bmp":
        from PIL.BmpImagePlugin import BmpImageFile

        return BmpImageFile
    from PIL.TiffImagePlugin import TiffImageFile

    return TiffImageFile


def _is_whole(jpeg_content: bytes, plugin: type[ImageFile.ImageFile]) -> bool:
    """Return whether nothing but the last byte is missing from a JPEG that ends with 0xFF.

    If pixels are missing, what follows the content is decoded in their place.
    """
    checksums = []
    for following in (b"", _OTHER_PIXELS):
        checksum = 0
        with plugin(io.BytesIO(jpeg_content[:-1] + following + b"\xff\xd9")) as picture:
            picture.load()
            for top in range(0, picture.height, _BAND_ROWS):  # A copy of all pixels may be too large.
                band = (0, top, picture.width, min(top + _BAND_ROWS, picture.height))
                checksum = zlib.crc32(picture.crop(band).tobytes(), checksum)
        checksums.append(checksum)
    return checksums[0] == checksums[1]


def _decode_frames(picture: ImageFile.ImageFile) -> Outcome:
    """Decode one frame after the other, until there is none or the time is up."""
    started = time.monotonic()
    frame = 0
    while time.monotonic() - started < PAGES_LIMIT_S:
        if picture.width * picture.height > _MAX_PIXELS:
            return "gave-up"
        picture.load()
        frame += 1
        try:
            picture.seek(frame)
        except EOFError:
            break
    return "opens"


def _judge(error: Exception, content: bytes, format_name: str, compression: object) -> Outcome:
    """Return what an exception of Pillow says about a picture."""
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
        return "gave-up"
    # Pillow turns an end of the data inside a header into a SyntaxError with this cause.
    is_cut_off = any(
        isinstance(each, (struct.error, IndexError, EOFError)) for each in (error, error.__cause__)
    )
    if not is_cut_off and not _DAMAGE.search(str(error)):
        # A JPEG that ends before its frame header has no size, which Pillow does not tell apart from a size
        # that it does not know.
        return "damaged" if format_name == "jpeg" and jpeg.frame_marker(content) is None else "unsupported"
    if format_name == "jpeg":
        is_sure = jpeg.frame_marker(content) in {None, *_SURE_JPEG_PROCESSES}
    else:
        is_sure = compression in _SURE_TIFF_COMPRESSIONS or not isinstance(compression, str)
    return "damaged" if is_sure else "unsupported"


def _critical_chunks(content: bytes) -> bytes:
    """Return a PNG of the picture alone. Raise ValueError if a chunk of it is truncated or corrupt.

    Decoders ignore a wrong checksum in an ancillary chunk (text, times, profiles, animation), and some of
    these chunks can be made to expand to gigabytes. Pillow does not look at the checksums of the picture.
    """
    position = 8
    picture = [content[:position]]
    while True:
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        if kind[:1].isupper():
            chunk = content[position:end]
            (checksum,) = struct.unpack(">I", chunk[-4:])
            if len(chunk) < 12 + length or zlib.crc32(chunk[4:-4]) != checksum:
                raise ValueError("broken PNG file")
            picture.append(chunk)
        if kind == b"IEND":
            return b"".join(picture)
        position = end


_MAX_INFLATED_BYTES = 2**30


def _has_all_rows(png: bytes) -> bool:
    """Return whether the data of a PNG has all rows. Pillow does not say that some are missing."""
    expected = decompressed_bytes(png)
    inflater, size, position = zlib.decompressobj(), 0, 8
    while position < len(png) and size < min(expected, _MAX_INFLATED_BYTES):
        length, kind = struct.unpack_from(">I4s", png, position)
        data = png[position + 8 : position + 8 + length] if kind == b"IDAT" else b""
        while data and size < expected:
            size += len(inflater.decompress(data, 2**20))
            data = inflater.unconsumed_tail
        position += 12 + length
    return size >= min(expected, _MAX_INFLATED_BYTES)
