"""The child process of `decoders`: it decodes one document after the other, and says how that went.

A request on stdin is a line with the format and the number of bytes, followed by the bytes. The reply on
stdout is a `Decoded` as a line of JSON. A request of no bytes only imports the decoder of a format. The
process ends at the end of stdin.

No document can make the process use more than the limits below, which `isolation.limits` sets.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import struct
import sys
import time
import zlib
from typing import TYPE_CHECKING

from docsend.checks.decoders import Decoded
from docsend.isolation import limits

if TYPE_CHECKING:
    from collections.abc import Callable

    import pikepdf
    from PIL import ImageFile

    from docsend.checks.decoders import Outcome

_MEMORY_BYTES = 2**30  # of address space. A picture with the highest number of pixels has 800 MB.
_MAX_PIXELS = 200_000_000  # A4 with 1200 dots per inch has 140 million.
_MAX_STREAM_BYTES = 256 * 2**20  # of one stream of a PDF. Windows has no limit for the memory of a process.
_REQUEST_LIMIT_S = 10  # more than `decoders` waits for a document, and as much as it waits for an import
# When this time has passed, no further page is tried. A hundred pages of a fax (11 MB) take one second.
_PAGES_LIMIT_S = 3.0
# Pictures in a PDF are decoded only on pages that show nothing else, and only for this time; one takes 60 ms.
_PICTURES_LIMIT_S = 1.0


def main() -> None:
    """Reply to requests until stdin ends."""
    replies = limits.start(_MEMORY_BYTES)
    requests = sys.stdin.buffer
    with contextlib.suppress(BrokenPipeError):
        while header := requests.readline().split():
            content = requests.read(size := int(header[1]))
            if len(content) < size:
                break
            with limits.limited_time(_REQUEST_LIMIT_S):
                decoded = decode(content, header[0].decode("ascii"))
            os.write(replies, json.dumps(decoded).encode("ascii") + b"\n")
            del content
    os._exit(0)  # The modules of the decoders take longer to clean up than a document to decode.


def decode(content: bytes, format_name: str) -> Decoded:
    """Decode a document in this process. Raise ImportError if the decoder does not work here."""
    decoder = _pdf_decoder() if format_name == "pdf" else _picture_decoder(format_name)
    if not content:
        return Decoded("unsupported")
    try:
        return decoder(content)
    except MemoryError:
        return Decoded("gave-up")
    except Exception:  # noqa: BLE001 - a bug of a decoder, which is no proof that the document is damaged
        return Decoded("unsupported")


# -- pictures ----------------------------------------------------------------------------------------------

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
_JPEG_PROCESSES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC are not frame headers.
_JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


def _picture_decoder(format_name: str) -> Callable[[bytes], Decoded]:
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


def _decode_frames(picture: ImageFile.ImageFile) -> Outcome:
    """Decode one frame after the other, until there is none or the time is up."""
    started = time.monotonic()
    frame = 0
    while time.monotonic() - started < _PAGES_LIMIT_S:
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
        return "damaged" if format_name == "jpeg" and _jpeg_process(content) is None else "unsupported"
    if format_name == "jpeg":
        is_sure = _jpeg_process(content) in {None, *_SURE_JPEG_PROCESSES}
    else:
        is_sure = compression in _SURE_TIFF_COMPRESSIONS or not isinstance(compression, str)
    return "damaged" if is_sure else "unsupported"


def _jpeg_process(content: bytes) -> int | None:
    """Return the marker of a JPEG's frame header (ITU-T T.81, table B.1), or None if it has none."""
    position = 2
    while 0 <= (position := content.find(b"\xff", position)) < len(content) - 3:
        marker = content[position + 1]
        if marker in _JPEG_PROCESSES:
            return marker
        if marker == 0xDA:  # the start of the compressed data
            return None
        if marker == 0xFF:
            position += 1
        elif marker == 0 or marker in _JPEG_WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return None


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


# Number of samples of a pixel, by type of color.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# The passes of an interlaced PNG (ISO/IEC 15948, 8.2): first column and row, and the steps to the next ones.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MAX_INFLATED_BYTES = 2**30


def _has_all_rows(png: bytes) -> bool:
    """Return whether the data of a PNG has all rows. Pillow does not say that some are missing."""
    width, height, depth, color, _, _, interlace = struct.unpack_from(">IIBBBBB", png, 16)
    bits = depth * _CHANNELS.get(color, 1)
    expected = 0
    for left, top, step_x, step_y in _PASSES if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // step_x), -(-(height - top) // step_y)
        if columns > 0 and rows > 0:
            expected += rows * (1 + (columns * bits + 7) // 8)
    inflater, size, position = zlib.decompressobj(), 0, 8
    while position < len(png) and size < min(expected, _MAX_INFLATED_BYTES):
        length, kind = struct.unpack_from(">I4s", png, position)
        data = png[position + 8 : position + 8 + length] if kind == b"IDAT" else b""
        while data and size < expected:
            size += len(inflater.decompress(data, 2**20))
            data = inflater.unconsumed_tail
        position += 12 + length
    return size >= min(expected, _MAX_INFLATED_BYTES)


# -- PDF ---------------------------------------------------------------------------------------------------

_REPAIR = re.compile(r"reconstruct|recover", re.IGNORECASE)
_UNKNOWN = re.compile(r"unsupported|unfilterable", re.IGNORECASE)
_LIMIT = re.compile(r"memory limit exceeded|bad_alloc", re.IGNORECASE)
# All data is there, and only its checksum is wrong. Viewers do not look at it.
_WRONG_CHECKSUM = re.compile(r"incorrect data check", re.IGNORECASE)


def _pdf_decoder() -> Callable[[bytes], Decoded]:
    """Import pikepdf and return its decoder."""
    import pikepdf

    pikepdf.settings.set_qpdf_limits(
        flate_max_memory=_MAX_STREAM_BYTES,
        png_max_memory=_MAX_STREAM_BYTES,
        run_length_max_memory=_MAX_STREAM_BYTES,
        tiff_max_memory=_MAX_STREAM_BYTES,
    )

    def decoder(content: bytes) -> Decoded:
        try:
            with pikepdf.Pdf.open(io.BytesIO(content)) as pdf:
                return _decode_pages(pdf)
        except pikepdf.PasswordError:
            return Decoded("needs-password")
        except pikepdf.PdfError as error:
            if _LIMIT.search(str(error)):
                return Decoded("gave-up")
            return Decoded("unsupported" if _UNKNOWN.search(str(error)) else "damaged")

    return decoder


def _decode_pages(pdf: pikepdf.Pdf) -> Decoded:
    """Decode the content of one page after the other, until there is none or the time is up."""
    started = time.monotonic()
    decoded: list[bool] = []  # of all streams
    lost_pages: list[bool] = []  # of the pages that have content
    has_annotations = False
    for page in pdf.pages:
        passed_s = time.monotonic() - started
        if passed_s > _PAGES_LIMIT_S:
            break
        streams = list(map(_can_be_decoded, _content_streams(page.obj)))
        pictures = (
            list(map(_can_be_decoded, _lone_pictures(page.obj))) if passed_s < _PICTURES_LIMIT_S else []
        )
        decoded += streams + pictures
        has_annotations = has_annotations or "/Annots" in page.obj
        if streams:
            lost_pages.append(not any(streams) or (bool(pictures) and not any(pictures)))
    messages = " ".join(map(str, pdf.get_warnings()))
    if _LIMIT.search(messages):
        return Decoded("gave-up")
    is_repaired = bool(_REPAIR.search(messages)) or not all(decoded)
    # Where the end of a file is missing, the pages may be there, and nothing that was on them.
    is_empty = len(pdf.pages) == 0 or (is_repaired and not lost_pages and not has_annotations)
    if is_empty or any(lost_pages):
        return Decoded("damaged")
    return Decoded("opens", is_repaired, pdf.is_encrypted, _forbidden(pdf.allow))


def _content_streams(page: pikepdf.Dictionary) -> list[pikepdf.Stream]:
    """Return the streams that draw a page."""
    import pikepdf

    contents = page.get("/Contents")
    parts = list(contents) if isinstance(contents, pikepdf.Array) else [contents]
    return [part for part in parts if isinstance(part, pikepdf.Stream)]


def _lone_pictures(page: pikepdf.Dictionary) -> list[pikepdf.Stream]:
    """Return the pictures of a page that shows nothing else, as a scanner makes it; of other pages, none."""
    import pikepdf

    resources = page.get("/Resources")
    if not isinstance(resources, pikepdf.Dictionary) or "/Font" in resources:
        return []
    objects = resources.get("/XObject")
    pictures = []
    for _, stream in objects.items() if isinstance(objects, pikepdf.Dictionary) else ():
        if not isinstance(stream, pikepdf.Stream) or stream.get("/Subtype") != pikepdf.Name.Image:
            return []
        pictures.append(stream)
    return pictures


def _can_be_decoded(stream: pikepdf.Stream) -> bool:
    """Return False if the data of a stream is corrupt. A filter that is not known here is no proof of that.

    Raise MemoryError if the data expands to more than the limit.
    """
    import pikepdf

    filters = stream.get("/Filter")
    names = list(filters) if isinstance(filters, pikepdf.Array) else [filters]
    try:
        if names == [pikepdf.Name.DCTDecode]:
            return _picture_decoder("jpeg")(stream.read_raw_bytes()).outcome != "damaged"
        stream.read_bytes(pikepdf.StreamDecodeLevel.specialized)  # all filters except DCT
    except pikepdf.PdfError as error:
        if _LIMIT.search(str(error)):
            raise MemoryError from error
        return bool(_UNKNOWN.search(str(error)) or _WRONG_CHECKSUM.search(str(error)))
    return True


def _forbidden(permissions: pikepdf.Permissions) -> tuple[str, ...]:
    """Return what the permissions forbid, in the order of `decoders.FORBIDDEN`."""
    is_allowed = {
        "printing": permissions.print_lowres,
        "changing": permissions.modify_other,
        "copying": permissions.extract,
        "commenting": permissions.modify_annotation,
    }
    return tuple(action for action, allowed in is_allowed.items() if not allowed)


if __name__ == "__main__":
    main()
