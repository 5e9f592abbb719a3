"""Documents with defects, one for each kind that the checks tell apart. All content is fictional.

The smallest input for each was found with real files of many producers. Each is made here.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import pikepdf
from fpdf import FPDF
from PIL import Image

import samples
from docsend.checks.formats import pdf_encryption

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Case:
    """A document, the problem codes with the decoders, and those without them if they differ.

    A code that starts with "?" is a warning.
    """

    description: str
    name: str
    make: Callable[[], bytes]
    codes: tuple[str, ...] = ()
    without_decoders: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return self.description


_NO_PRINTING = pikepdf.Permissions(print_lowres=False, print_highres=False)


def text_pdf(pages: int = 2) -> bytes:
    """Return a PDF with text in compressed streams."""
    document = FPDF()
    document.set_creation_date(datetime(2026, 11, 30, tzinfo=UTC))  # so that the bytes are always the same
    for page in range(pages):
        document.add_page()
        document.set_font("helvetica", size=11)
        for line in range(40):
            text = f"Fictional line {line} of page {page}: {line * 7919 % 1000} hours"
            document.cell(0, 6, text, new_x="LMARGIN", new_y="NEXT")
    return bytes(document.output())


def encrypted_pdf(
    revision: Literal[2, 3, 4, 5, 6],
    *,
    user: str = "",
    allow: pikepdf.Permissions | None = None,
    streams: bool = False,
) -> bytes:
    with pikepdf.open(io.BytesIO(text_pdf())) as document:
        encryption = pikepdf.Encryption(
            owner="fictional-owner",
            user=user,
            R=revision,
            aes=revision >= 4,
            metadata=revision >= 4,
            allow=allow or pikepdf.Permissions(),
        )
        return save(document, encryption=encryption, object_stream_mode=_mode(streams=streams))


def _mode(*, streams: bool) -> pikepdf.ObjectStreamMode:
    modes = pikepdf.ObjectStreamMode
    mode: pikepdf.ObjectStreamMode = modes.generate if streams else modes.disable
    return mode


def save(document: pikepdf.Pdf, **options: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer, static_id=True, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def pdf_with(*, streams: bool = False, **entries: pikepdf.Object | bool) -> bytes:
    """Return a PDF with these entries in its catalog."""
    document = pikepdf.Pdf.new()
    document.add_blank_page()
    for name, value in entries.items():
        document.Root[f"/{name}"] = value
    return save(document, object_stream_mode=_mode(streams=streams))


def xfa_form(*, streams: bool = False) -> bytes:
    document = pikepdf.Pdf.new()
    document.add_blank_page()
    form = pikepdf.Dictionary(Fields=pikepdf.Array(), XFA=document.make_stream(b"<xdp>fictional</xdp>"))
    document.Root["/AcroForm"] = form
    document.Root["/NeedsRendering"] = True
    return save(document, object_stream_mode=_mode(streams=streams))


def encrypted_attachment() -> bytes:
    """Return a PDF in which only attached files are encrypted, not its own strings and streams."""
    content = encrypted_pdf(4, user="fictional")
    for key in (b"/StmF", b"/StrF"):
        content = content.replace(key + b" /StdCF", key + b" /Identity")
    return content


def pdf_of_revision_5(*, user: bytes = b"") -> bytes:
    """Return a PDF that is encrypted as in Adobe's extension level 3, which no current program writes."""
    validation_salt, key_salt = b"fictiona", b"fictionb"
    digest = hashlib.sha256(user + validation_salt).digest() + validation_salt + key_salt
    encryption = (
        b"/Encrypt << /Filter /Standard /V 5 /R 5 /Length 256 /P -4 /O <%b> /U <%b> "
        b"/CF << /StdCF << /CFM /AESV3 >> >> /StmF /StdCF /StrF /StdCF >> "
    ) % (digest.hex().encode(), digest.hex().encode())
    return samples.pdf().replace(b"trailer <<", b"trailer << " + encryption)


def pdf_with_empty_owner_password(revision: Literal[2, 3, 5]) -> bytes:
    """Return a PDF that needs a password as its user, and none as its owner. Viewers try both."""
    encrypt = pdf_encryption.rc4
    padding = pdf_encryption._PADDING
    if revision == 5:
        content = pdf_of_revision_5(user=b"fictional")
        user = re.search(rb"/U <(\w+)>", content)[1]  # type: ignore[index]
        digest = hashlib.sha256(b"fictionc" + bytes.fromhex(user.decode())).digest()
        owner_entry = (digest + b"fictionc" + b"fictiond").hex().encode()
        return re.sub(rb"/O <\w+>", b"/O <" + owner_entry + b">", content)
    rounds, hashes, length = (1, 0, 5) if revision == 2 else (20, 50, 16)

    def digest_of(data: bytes) -> bytes:
        data = hashlib.md5(data, usedforsecurity=False).digest()
        for _ in range(hashes):
            data = hashlib.md5(data[:length], usedforsecurity=False).digest()
        return data[:length]

    def encrypted(data: bytes, key: bytes) -> bytes:
        for number in range(rounds):
            data = encrypt(bytes(byte ^ number for byte in key), data)
        return data

    password = (b"fictional" + padding)[:32]
    owner = encrypted(password, digest_of(padding))
    file_id = bytes.fromhex("31415926535897932384626433832795")  # qpdf's, in files that it makes for tests
    key = digest_of(password + owner + struct.pack("<i", -4) + file_id)
    user_entry = encrypted(padding, key)
    if revision == 3:
        user_entry = encrypted(hashlib.md5(padding + file_id, usedforsecurity=False).digest(), key).ljust(
            32, b"\0"
        )
    entry = b"/Encrypt << /Filter /Standard /V %d /R %d /Length %d /P -4 /O <%b> /U <%b> >> " % (
        *(revision - 1, revision, 8 * length),
        *(owner.hex().encode(), user_entry.hex().encode()),
    )
    return samples.pdf().replace(b"trailer <<", b"trailer << " + entry)


def linearized_pdf(*, streams: bool = False) -> bytes:
    with pikepdf.open(io.BytesIO(text_pdf(1 if streams else 2))) as document:
        return save(document, linearize=True, object_stream_mode=_mode(streams=streams))


def encrypted(content: bytes) -> bytes:
    """Return a PDF that opens without a password, and whose objects are in encrypted streams.

    The entries of its catalog are references, as most programs write them.
    """
    with pikepdf.open(io.BytesIO(content)) as document:
        for name in ("/AcroForm", "/Collection"):
            if name in document.Root:
                document.Root[name] = document.make_indirect(document.Root[name])
        encryption = pikepdf.Encryption(owner="fictional-owner", user="", R=4)
        return save(document, encryption=encryption, object_stream_mode=_mode(streams=True))


def restricted_pdf() -> bytes:
    """Return a PDF that opens without a password and forbids printing."""
    return encrypted_pdf(4, allow=_NO_PRINTING)


def portfolio(*, streams: bool = False) -> bytes:
    return pdf_with(streams=streams, Collection=pikepdf.Dictionary())


def empty_pdf() -> bytes:
    return save(pikepdf.Pdf.new())


def pdf_with_page_text(text: bytes) -> bytes:
    """Return a PDF whose page has this content, not compressed."""
    document = pikepdf.Pdf.new()
    document.add_blank_page().Contents = document.make_stream(b"BT (" + text + b") Tj ET")
    return save(document, compress_streams=False, object_stream_mode=_mode(streams=False))


def pdf_with_attached_pdf() -> bytes:
    """Return a PDF with another one in it, not compressed, whose objects have the same numbers."""
    document = pikepdf.Pdf.new()
    document.add_blank_page()
    document.attachments["fictional.pdf"] = empty_pdf()
    return save(document, compress_streams=False, object_stream_mode=_mode(streams=False))


def pdf_with_replaced_pages() -> bytes:
    """Return a PDF with object streams and a revision that replaces its empty page tree, not compressed."""
    document = pikepdf.Pdf.new()
    content = save(document, object_stream_mode=_mode(streams=True))
    with pikepdf.open(io.BytesIO(content)) as pdf:
        root, pages = pdf.Root.objgen, pdf.Root.Pages.objgen
    tree = b"%d %d obj\n<< /Type /Pages /Kids [91 0 R] /Count 1 >>\nendobj\n" % pages
    page = b"91 0 obj\n<< /Type /Page /Parent %d %d R /MediaBox [0 0 9 9] >>\nendobj\n" % pages
    previous = int(content[content.rindex(b"startxref") + 9 :].split()[0])
    tree_at = len(content) + 1
    page_at = tree_at + len(tree)
    table = b"xref\n%d 1\n%010d 00000 n \n91 1\n%010d 00000 n \n" % (pages[0], tree_at, page_at)
    trailer = b"trailer << /Size 92 /Root %d %d R /Prev %d >>\n" % (*root, previous)
    return b"".join(
        (content, b"\n", tree, page, table, trailer, b"startxref\n%d\n%%%%EOF\n" % (page_at + len(page)))
    )


def blank_pdf_with_wrong_offset() -> bytes:
    document = pikepdf.Pdf.new()
    document.add_blank_page()
    content = save(document, object_stream_mode=_mode(streams=False))
    return re.sub(rb"startxref\n\d+", b"startxref\n7", content)


def bmp_of_utf8() -> bytes:
    """Return a BMP whose pixels have the bytes of a blank and an "e" with an accent."""
    pixels = " é".encode() * 1000
    size = (54 + len(pixels)).to_bytes(4, "little")
    head = b"BM" + size + bytes(4) + struct.pack("<IIiiHH", 54, 40, 20, 50, 1, 24) + bytes(24)
    return head + pixels


def pdf_without_catalog() -> bytes:
    return samples.pdf().replace(b"/Type /Catalog", b"/Kind /Catalog").replace(b"/Pages", b"/Sheet")


def pdf_with_lost_page() -> bytes:
    """Return a PDF whose page tree refers to an object that does not exist."""
    content = samples.pdf()
    kids = content.index(b"/Kids [ ") + len(b"/Kids [ ")
    return content[:kids] + b"9" + content[kids + 1 :]


def jpeg_without_frame() -> bytes:
    return b"\xff\xd8\xff\xda\0\x02\xff\xd9"


def jpeg_with_frame(
    marker: int = 0xC0, *, precision: int = 8, height: int = 48, components: int = 3
) -> bytes:
    """Return a JPEG whose frame header is replaced."""
    content = bytearray(samples.jpeg())
    at = content.index(b"\xff\xc0")
    content[at + 1] = marker
    content[at + 4] = precision
    content[at + 5 : at + 7] = height.to_bytes(2, "big")
    content[at + 9] = components
    return bytes(content)


def wrong_head(third: int) -> bytes:
    """Return a JPEG with another byte instead of the first 0xFF behind its signature."""
    content = samples.jpeg()
    return content[:2] + bytes([third]) + content[3:]


def photo(*, progressive: bool = False) -> bytes:
    buffer = io.BytesIO()
    samples.picture(size=(300, 400)).save(buffer, "JPEG", progressive=progressive)
    return buffer.getvalue()


def half(content: bytes, rest: bytes) -> bytes:
    """Return the content with its second half replaced by `rest`, as often as it fits."""
    middle = len(content) // 2
    return content[:middle] + (rest * len(content))[: len(content) - middle]


def photo_that_ends_at_a_stuffed_byte() -> bytes:
    """Return half a photo that ends with 0xFF, as a whole one does that lost only its last byte."""
    content = photo()
    return content[: content.index(b"\xff\0", len(content) // 2) + 1]


def photo_of_one_color() -> bytes:
    """Return a whole JPEG whose compressed data is a long run of zeros."""
    buffer = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(buffer, "JPEG", optimize=True)
    content = buffer.getvalue()
    assert bytes(2000) in content
    return content


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_without_scan() -> bytes:
    content = samples.jpeg()
    scan = content.index(b"\xff\xda")
    length = int.from_bytes(content[scan + 2 : scan + 4], "big")
    return content[: scan + 2 + length] + b"\xff\xd9"


def png_with_late_palette() -> bytes:
    head, data, end = png_of(color=3).partition(chunk(b"IEND", b""))
    return head + chunk(b"PLTE", bytes(12)) + data + end


def bmp_with_early_pixels() -> bytes:
    content = bytearray(bmp_of(8, 0))
    content[10:14] = struct.pack("<I", 20)
    return bytes(content)


def png_of(*, width: int = 4, height: int = 4, depth: int = 8, color: int = 0, header: bool = True) -> bytes:
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)) if header else b""
    pixels = chunk(b"IDAT", zlib.compress(bytes(5 * 4)))
    return b"\x89PNG\r\n\x1a\n" + start + pixels + chunk(b"IEND", b"")


def png_with_data(data: bytes, *, pieces: int = 0) -> bytes:
    """Return a PNG of 64 by 48 pixels with other compressed data, in pieces of so many bytes."""
    content = samples.png()
    size = pieces or max(1, len(data))
    parts = [chunk(b"IDAT", data[at : at + size]) for at in range(0, max(1, len(data)), size)]
    return content[:33] + b"".join(parts) + chunk(b"IEND", b"")


def png_data() -> bytes:
    """Return the compressed data of `samples.png`."""
    content = samples.png()
    return content[content.index(b"IDAT") + 4 : -16]


def small_png_of_one_color() -> bytes:
    """Return an interlaced PNG that is compressed almost as well as Deflate can."""
    rows = bytes(8000 * 1000 + 12_000)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8000, 8000, 1, 0, 0, 0, 1))
    data = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


def png_with_wrong_checksum() -> bytes:
    """Return a PNG in which the checksum of the chunk with the pixels is wrong."""
    content = bytearray(samples.png())
    content[-13] ^= 1
    return bytes(content)


def tiff_of(*tags: tuple[int, int], next_directory: bytes = bytes(4)) -> bytes:
    """Return a TIFF of 16 by 16 gray pixels. The tags replace those of the same number; None removes one."""
    pixels = bytes(range(256))
    fields = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 16, 279: 256} | dict(tags)
    directory = struct.pack("<H", sum(value >= 0 for value in fields.values()))
    directory += b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items() if value >= 0
    )
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory + next_directory


def tiff_of_strips(
    strips: list[bytes], *tags: tuple[int, int], sampling: tuple[int, int] | None = None, kind: int = 4
) -> bytes:
    """Return a TIFF of 16 by 16 gray pixels in these strips, its directory before them.

    `kind` is the type of the strips' lengths, and `sampling` that of the colors (tag 530).
    """
    number = len(strips)
    fields = {
        256: 16,
        257: 16,
        258: 8,
        259: 1,
        262: 1,
        273: 0,
        277: 1,
        278: max(1, 16 // number),
        279: 0,
    } | dict(tags)
    fields |= {530: 0} if sampling else {}
    start = 8 + 2 + 12 * len(fields) + 4
    letter = {1: "B", 3: "H", 4: "I"}[kind]
    tables = 4 * number + number * struct.calcsize(letter)
    offsets = [start + tables + sum(map(len, strips[:at])) for at in range(number)]
    lengths = struct.pack(f"<{number}{letter}", *map(len, strips))
    directory = b""
    for tag in sorted(fields):
        entry = struct.pack("<HHII", tag, 4, 1, fields[tag])
        if tag == 273:
            entry = struct.pack("<HHII", tag, 4, number, offsets[0] if number == 1 else start)
        elif tag == 279:
            entry = struct.pack("<HHI", tag, kind, number)
            entry += lengths.ljust(4, b"\0") if len(lengths) <= 4 else struct.pack("<I", start + 4 * number)
        elif tag == 530 and sampling:
            entry = struct.pack("<HHIHH", tag, 3, 2, *sampling)
        directory += entry
    head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + directory + bytes(4)
    return head + struct.pack(f"<{number}I", *offsets) + lengths + b"".join(strips)


def tiff_with_one_count() -> bytes:
    """Return a TIFF of two strips that gives the length of one."""
    content = tiff_of_strips([bytes(range(128))] * 2)
    return content.replace(struct.pack("<HHI", 279, 4, 2), struct.pack("<HHI", 279, 4, 1))


def planar_tiff(sampling: tuple[int, int] | None, *, photometric: int = 6) -> bytes:
    """Return a TIFF whose colors are in separate planes. Those of YCbCr may have fewer pixels."""
    across, down = sampling or (2, 2)
    small = bytes(256 // (across * down) if photometric == 6 else 256)
    planes = [bytes(256), small, small]
    return tiff_of_strips(planes, (262, photometric), (277, 3), (278, 16), (284, 2), sampling=sampling)


def saved_tiff(compression: str, image: Image.Image | None = None) -> bytes:
    buffer = io.BytesIO()
    picture = image or samples.picture(size=(64, 256))
    picture.save(buffer, "TIFF", compression=compression, tiffinfo={278: picture.height})
    return buffer.getvalue()


def tiff_of_noise(compression: int) -> bytes:
    """Return a TIFF whose strips are not compressed as it says."""
    return compressed_tiff(5).replace(
        struct.pack("<HHII", 259, 4, 1, 5), struct.pack("<HHII", 259, 4, 1, compression)
    )


def compressed_tiff(compression: int, *, strips: int = 8) -> bytes:
    """Return a TIFF of 64 by 256 gray pixels in LZW (5), JPEG (7) or Deflate, its directory before them."""
    rows = 256 // strips
    picture = samples.picture(size=(64, 256)).convert("L").point([value & 15 for value in range(256)])
    parts = []
    for top in range(0, 256, rows):
        part = picture.crop((0, top, 64, top + rows))
        buffer = io.BytesIO()
        if compression == 7:
            part.save(buffer, "JPEG")
            parts.append(buffer.getvalue())
        elif compression == 5:
            content = saved_tiff("tiff_lzw", part)
            with Image.open(io.BytesIO(content)) as saved:
                ((at,), (length,)) = saved.tag_v2[273], saved.tag_v2[279]  # type: ignore[attr-defined]
            parts.append(content[at : at + length])
        else:
            parts.append(zlib.compress(part.tobytes()))
    return tiff_of_strips(parts, (256, 64), (257, 256), (278, rows), (259, compression))


def tiff_with_loop() -> bytes:
    """Return a TIFF whose only page is its own next page."""
    return tiff_of(next_directory=struct.pack("<I", 8 + 256))


def big_tiff() -> bytes:
    buffer = io.BytesIO()
    samples.picture().save(buffer, "TIFF", big_tiff=True)
    return buffer.getvalue()


def bmp_of(depth: int, compression: int, *, colors: int = 0, header: int = 40, more: bytes = b"") -> bytes:
    fields = struct.pack("<IiiHHIIiiII", header, 8, 8, 1, depth, compression, 0, 0, 0, colors, 0)
    body = fields.ljust(header, b"\0") + bytes(1024) + more
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + header + 1024) + body


def with_huffman_table(change: Callable[[bytearray], None]) -> bytes:
    """Return a JPEG after a change of its first Huffman table: class and number, 16 counts, the symbols."""
    content = bytearray(samples.jpeg())
    start = content.index(b"\xff\xc4") + 4
    table = content[start:]
    change(table)
    return bytes(content[:start] + table)


def with_three_short_codes(table: bytearray) -> None:
    table[1] = 3  # of one bit, in which there are two


def with_a_difference_of_16_bits(table: bytearray) -> None:
    table[17] = 16


def photo_tiff(*types: tuple[int, int], is_sorted: bool = True) -> bytes:
    """Return a TIFF in Deflate whose fields have these types, by tag, or are not sorted."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "TIFF", compression="tiff_adobe_deflate")
    content = bytearray(buffer.getvalue())
    (directory,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, directory)
    fields = [content[directory + 2 + 12 * n : directory + 14 + 12 * n] for n in range(count)]
    for field in fields:
        field[2] = dict(types).get(int.from_bytes(field[:2], "little"), field[2])
    if not is_sorted:
        fields[0], fields[1] = fields[1], fields[0]
    content[directory + 2 : directory + 2 + 12 * count] = b"".join(fields)
    return bytes(content)


def bmp_of_width(width: int) -> bytes:
    """Return a BMP of black rows, which have padding unless the width is a multiple of four."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, 9)).save(buffer, "BMP")
    return buffer.getvalue()


_RUNS = b"".join(b"\x08" + bytes([row, 0, 0]) for row in range(1, 9))  # 8 rows of 8 pixels


def run_length_bmp(pixels: bytes, *, stated: int | None = None) -> bytes:
    """Return a BMP of 8 by 8 pixels in run lengths, which says that these are `stated` bytes."""
    size = len(pixels) if stated is None else stated
    fields = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, size, 0, 0, 0, 0)
    body = fields + bytes(1024) + pixels
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + 40 + 1024) + body


def red_bmp() -> bytes:
    """Return a BMP of one color, whose pixels contain each line feed behind a carriage return."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), (10, 13, 32)).save(buffer, "BMP")
    return buffer.getvalue()


def altered_bmp() -> bytes:
    """Return a BMP that is longer than it says, since each LF became CR LF."""
    return red_bmp() + b"\r\n" * 9


def red_tiff() -> bytes:
    """Return a TIFF of one color, whose pixels contain each line feed behind a carriage return."""
    pixels = b"\x0d\x0a" * 128
    return tiff_of()[:8] + pixels + tiff_of()[8 + len(pixels) :]


def chunked(content: bytes, size: int = 1024) -> bytes:
    """Return the body of a chunked HTTP response (RFC 9112, 7.1) with its chunk sizes."""
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def as_utf8(content: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode()


def from_latin_1(content: bytes) -> bytes:
    return content.decode("latin-1").encode()


DAMAGED = ("damaged-document",)
MISMATCH = ("content-mismatch",)
UNVIEWABLE = ("unviewable-image",)
RESTRICTED = ("?restricted-pdf",)
RARE = ("?rare-image",)
REPAIRED = ("?repaired-by-viewers",)
ALTERED = ("document-altered",)

CASES = [
    # 1: encryption. What opens without a password is never refused.
    *(
        Case(f"a PDF of revision {revision} that opens without a password", "a.pdf", make, RESTRICTED)
        for revision in (2, 3, 4)
        for make in [lambda revision=revision: encrypted_pdf(revision, allow=_NO_PRINTING)]
    ),
    *(
        Case(f"a PDF of revision {revision} that needs a password", "a.pdf", make, ("encrypted-pdf",))
        for revision in (2, 3, 4)
        for make in [lambda revision=revision: encrypted_pdf(revision, user="fictional")]
    ),
    Case("a PDF of revision 5 that opens without a password", "a.pdf", pdf_of_revision_5, RESTRICTED),
    Case(
        "a PDF of revision 5 that needs a password",
        "a.pdf",
        lambda: pdf_of_revision_5(user=b"fictional"),
        ("encrypted-pdf",),
    ),
    *(
        Case(f"a PDF of revision {revision} without an owner password", "a.pdf", make, RESTRICTED)
        for revision in (2, 3, 5)
        for make in [lambda revision=revision: pdf_with_empty_owner_password(revision)]
    ),
    Case("a PDF with an encrypted attachment", "a.pdf", encrypted_attachment, RESTRICTED),
    Case(
        "a PDF that is encrypted for a certificate",
        "a.pdf",
        lambda: pdf_of_revision_5().replace(b"/Standard", b"/Adobe.PubSec"),
        ("encrypted-pdf",),
    ),
    Case(
        "an AES-256 PDF that opens without a password",
        "a.pdf",
        lambda: encrypted_pdf(6),
        RESTRICTED,
        ("?password-unknown",),
    ),
    Case(
        "an AES-256 PDF that needs a password",
        "a.pdf",
        lambda: encrypted_pdf(6, user="fictional"),
        ("encrypted-pdf",),
        ("?password-unknown",),
    ),
    Case(
        "an AES-256 PDF that needs a password, followed by text",
        "a.pdf",
        lambda: encrypted_pdf(6, user="fictional") + b"log line\n" * 200,
        ("encrypted-pdf",),
        ("?password-unknown",),
    ),
    Case(
        "an encrypted PDF with object streams that opens without a password",
        "a.pdf",
        lambda: encrypted_pdf(4, streams=True),
        RESTRICTED,
    ),
    # 2: files that went through text
    Case("a PDF read and written as UTF-8", "a.pdf", lambda: as_utf8(text_pdf()), ALTERED),
    Case("Latin-1 text written as UTF-8", "a.pdf", lambda: from_latin_1(text_pdf()), ALTERED),
    Case(
        "a PDF in which question marks replace bytes",
        "a.pdf",
        lambda: text_pdf().decode("latin-1").encode("ascii", "replace"),
        ALTERED,
    ),
    Case(
        "a PDF whose LF became CR LF",
        "a.pdf",
        lambda: text_pdf().replace(b"\n", b"\r\n"),
        ("damaged-document", "?document-altered"),
        ("?document-altered",),
    ),
    Case(
        "a linearized PDF of object streams whose LF became CR LF",
        "a.pdf",
        lambda: linearized_pdf(streams=True).replace(b"\n", b"\r\n"),
        ("damaged-document", "?document-altered"),
    ),
    Case(
        "a PDF with the chunk sizes of HTTP",
        "a.pdf",
        lambda: chunked(text_pdf(8)),
        ("damaged-document", "?document-altered"),
        ("?document-altered",),
    ),
    Case(
        "a PDF whose LF became CR",
        "a.pdf",
        lambda: text_pdf(60).replace(b"\n", b"\r"),
        ("damaged-document", "?document-altered"),
        ("?document-altered",),
    ),
    Case(
        "a PDF without NUL bytes",
        "a.pdf",
        lambda: text_pdf(60).replace(b"\0", b""),
        ("damaged-document", "?document-altered"),
        ("?document-altered",),
    ),
    Case("half of a PDF", "a.pdf", lambda: text_pdf()[: len(text_pdf()) // 2], DAMAGED),
    # 3: heads without content
    Case("a JPEG without data in its scan", "a.jpg", jpeg_without_scan, DAMAGED),
    Case("a PNG whose palette is behind its pixels", "a.png", png_with_late_palette, DAMAGED),
    Case("a BMP whose pixels begin in its header", "a.bmp", bmp_with_early_pixels, DAMAGED),
    Case("a JPEG that lacks its last byte", "a.jpg", lambda: samples.jpeg()[:-1], REPAIRED),
    Case("a JPEG with too many codes", "a.jpg", lambda: with_huffman_table(with_three_short_codes), DAMAGED),
    Case(
        "a JPEG with an impossible difference",
        "a.jpg",
        lambda: with_huffman_table(with_a_difference_of_16_bits),
        DAMAGED,
    ),
    Case("a TIFF in Deflate", "a.tif", photo_tiff),
    Case("a TIFF whose fields are not sorted", "a.tif", lambda: photo_tiff(is_sorted=False)),
    Case("a TIFF whose compression is a byte", "a.tif", lambda: photo_tiff((259, 1))),
    Case("a TIFF whose rows per strip are a text", "a.tif", lambda: photo_tiff((278, 2)), DAMAGED, ()),
    Case("a JPEG that begins with FF D8 FE", "a.jpg", lambda: wrong_head(0xFE), REPAIRED),
    Case("a JPEG that begins with FF D8 00", "a.jpg", lambda: wrong_head(0), REPAIRED),
    *(
        Case(f"a photo whose second half is {what}", "a.jpg", make, DAMAGED)
        for what, rest in {
            "zeros": b"\0",
            "0xFF": b"\xff",
            "one byte": b"\x55",
            "a web page": b"<p>502 Bad gateway</p>\n",
        }.items()
        for make in [lambda rest=rest: half(photo(), rest)]
    ),
    Case(
        "a progressive photo whose second half is zeros",
        "a.jpg",
        lambda: half(photo(progressive=True), b"\0"),
        DAMAGED,
    ),
    Case(
        "half a photo that ends at a stuffed byte",
        "a.jpg",
        photo_that_ends_at_a_stuffed_byte,
        DAMAGED,
        REPAIRED,
    ),
    Case("a photo that lacks its last byte", "a.jpg", lambda: photo()[:-1], REPAIRED),
    Case(
        "a progressive photo that lacks its last byte",
        "a.jpg",
        lambda: photo(progressive=True)[:-1],
        REPAIRED,
    ),
    Case("a photo of one color", "a.jpg", photo_of_one_color),
    Case("a JPEG of 8 bytes", "a.jpg", jpeg_without_frame, DAMAGED),
    Case("a JPEG of height 0", "a.jpg", lambda: jpeg_with_frame(height=0), DAMAGED),
    Case("a JPEG with 17 components", "a.jpg", lambda: jpeg_with_frame(components=17), DAMAGED),
    Case("a hierarchical JPEG", "a.jpg", lambda: jpeg_with_frame(0xC5), UNVIEWABLE),
    Case("a JPEG with 12 bits", "a.jpg", lambda: jpeg_with_frame(precision=12), UNVIEWABLE),
    Case("a PNG without a header", "a.png", lambda: png_of(header=False), DAMAGED),
    Case("a PNG of 0 by 0 pixels", "a.png", lambda: png_of(width=0, height=0), DAMAGED),
    Case("a PNG of 3 bits", "a.png", lambda: png_of(depth=3), DAMAGED),
    Case(
        "a PNG of too many pixels for its data",
        "a.png",
        lambda: png_of(width=2**31 - 1, height=2**31 - 1),
        DAMAGED,
    ),
    Case(
        "a PNG of 200 by 200 pixels with the data of a few",
        "a.png",
        lambda: png_of(width=200, height=200),
        DAMAGED,
    ),
    Case("a PNG that is compressed as well as possible", "a.png", small_png_of_one_color),
    Case("a PNG whose data is not compressed", "a.png", lambda: png_with_data(b"fictional" * 50), DAMAGED),
    Case("a PNG whose data is zeros", "a.png", lambda: png_with_data(bytes(500)), DAMAGED),
    Case("a PNG with one byte of data", "a.png", lambda: png_with_data(b"\x78"), DAMAGED),
    Case("a PNG in pieces of a byte", "a.png", lambda: png_with_data(png_data(), pieces=1)),
    Case(
        "a PNG in pieces of a byte whose data is not compressed",
        "a.png",
        lambda: png_with_data(b"fictional" * 50, pieces=1),
        DAMAGED,
    ),
    Case("a palette PNG without a palette", "a.png", lambda: png_of(color=3), DAMAGED),
    Case("a TIFF without a width", "a.tif", lambda: tiff_of((256, -1)), DAMAGED),
    Case("a TIFF of unknown compression", "a.tif", lambda: tiff_of((259, 65000)), UNVIEWABLE),
    *(
        Case(f"a TIFF of compression {code}", "a.tif", make, RARE)
        for code in (32766, 32771, 32809, 32909, 34661, 34676, 34677, 34887, 34925, 50000, 50001)
        for make in [lambda code=code: tiff_of((259, code))]
    ),
    *(
        Case(f"a TIFF of compression {code}", "a.tif", make, UNVIEWABLE)
        for code in (9, 10, 32895, 32908, 32947, 33003, 34712, 34892, 50002)
        for make in [lambda code=code: tiff_of((259, code))]
    ),
    *(
        Case(f"a TIFF of {compression} that Pillow wrote", "a.tif", make, RARE)
        for compression in ("zstd", "lzma")
        for make in [lambda compression=compression: saved_tiff(compression)]
    ),
    Case("a TIFF with planes of fewer colors", "a.tif", lambda: planar_tiff((2, 2)), UNVIEWABLE),
    Case("a TIFF with planes of fewer colors in a row", "a.tif", lambda: planar_tiff((2, 1)), UNVIEWABLE),
    Case("a TIFF with planes of fewer colors, as is usual", "a.tif", lambda: planar_tiff(None), UNVIEWABLE),
    Case("a TIFF with planes of YCbCr", "a.tif", lambda: planar_tiff((1, 1))),
    Case("a TIFF with planes of RGB", "a.tif", lambda: planar_tiff(None, photometric=2)),
    *(
        Case(f"a TIFF of compression {code} whose second half is zeros", "a.tif", make, DAMAGED)
        for code in (5, 7, 8, 32946)
        for make in [lambda code=code: half(compressed_tiff(code), b"\0")]
    ),
    *(
        Case(
            f"a TIFF of one strip of compression {code}, whose second half is zeros",
            "a.tif",
            make,
            DAMAGED,
            (),
        )
        for code in (5, 8, 32946)
        for make in [lambda code=code: half(compressed_tiff(code, strips=1), b"\0")]
    ),
    *(
        Case(f"a TIFF of compression {code} with other data", "a.tif", make, DAMAGED)
        for code in (7, 8, 32946)
        for make in [lambda code=code: tiff_of_noise(code)]
    ),
    *(
        Case(f"a TIFF of compression {code} with its directory first", "a.tif", make)
        for code in (5, 7, 8, 32946)
        for make in [lambda code=code: compressed_tiff(code)]
    ),
    Case("a PDF that is only an ending", "a.pdf", lambda: b"%PDF-1.4\nstartxref\n0", DAMAGED),
    # 4: pages
    Case("a PDF without pages", "a.pdf", empty_pdf, DAMAGED),
    Case("a PDF without a catalog", "a.pdf", pdf_without_catalog, DAMAGED),
    Case(
        "a PDF whose trailer names no catalog",
        "a.pdf",
        lambda: text_pdf().replace(b"/Root", b"/Foot"),
        DAMAGED,
    ),
    Case(
        "a PDF whose trailer names a catalog that does not exist",
        "a.pdf",
        lambda: re.sub(rb"/Root \d+", b"/Root 99", text_pdf()),
        DAMAGED,
    ),
    Case("a PDF whose page is lost", "a.pdf", pdf_with_lost_page, DAMAGED),
    # 5: what only Adobe's programs show
    Case("a dynamic XFA form", "a.pdf", xfa_form, ("?xfa-form",)),
    Case("a compressed XFA form", "a.pdf", lambda: xfa_form(streams=True), ("?xfa-form",)),
    Case("a portfolio", "a.pdf", portfolio, ("?portfolio-pdf",)),
    Case(
        "a compressed portfolio",
        "a.pdf",
        lambda: portfolio(streams=True),
        ("?portfolio-pdf",),
    ),
    Case(
        "an encrypted XFA form in object streams",
        "a.pdf",
        lambda: encrypted(xfa_form()),
        (*RESTRICTED, "?xfa-form"),
        RESTRICTED,
    ),
    Case(
        "an encrypted portfolio in object streams",
        "a.pdf",
        lambda: encrypted(portfolio()),
        (*RESTRICTED, "?portfolio-pdf"),
        RESTRICTED,
    ),
    # 6 and 7: headers and endings
    Case("a PDF behind 1,100 other bytes", "a.pdf", lambda: b"x" * 1100 + text_pdf(), REPAIRED),
    Case("a PDF without its header", "a.pdf", lambda: text_pdf().partition(b"\n")[2], REPAIRED),
    Case("a PDF with a misspelt header", "a.pdf", lambda: text_pdf().replace(b"%PDF-", b"%PDF", 1), REPAIRED),
    Case(
        "a PDF whose table is beyond every file",
        "a.pdf",
        lambda: re.sub(rb"startxref\s+\d+", b"startxref\n" + b"9" * 20, text_pdf()),
    ),
    Case("a linearized PDF without its last newline", "a.pdf", lambda: linearized_pdf().rstrip(b"\r\n")),
    Case("a linearized PDF without %%EOF", "a.pdf", lambda: linearized_pdf().rstrip(b"\r\n%EOF")),
    Case("a linearized PDF that lost 12 bytes", "a.pdf", lambda: linearized_pdf()[:-12], DAMAGED),
    Case("a PDF followed by 20 KB of text", "a.pdf", lambda: text_pdf() + b"log line\n" * 2300),
    Case("a PDF followed by a log of objects", "a.pdf", lambda: text_pdf() + b"% log: 12 0 obj read ok\n"),
    Case("a PDF followed by NULs and a web page", "a.pdf", lambda: text_pdf() + bytes(9000) + b"<html>\n"),
    Case(
        "a PDF without the number behind startxref",
        "a.pdf",
        lambda: text_pdf().rpartition(b"startxref")[0] + b"startxref\n%%EOF\n",
        REPAIRED,
    ),
    Case(
        "a linearized PDF without the number behind startxref",
        "a.pdf",
        lambda: linearized_pdf().rpartition(b"startxref")[0] + b"startxref\n%%EOF\n",
        REPAIRED,
    ),
    Case(
        "a PDF followed by a log that begins with a number",
        "a.pdf",
        lambda: text_pdf() + b"\n12 0 obj read ok\n",
    ),
    Case("a PDF followed by line feeds", "a.pdf", lambda: text_pdf() + b"\n" * 2**20),
    Case(
        "a PDF whose text looks like an object",
        "a.pdf",
        lambda: pdf_with_page_text(b"2 0 obj <</Type/Pages/Kids[]>> endobj"),
    ),
    Case("a PDF with an attached PDF", "a.pdf", pdf_with_attached_pdf),
    Case("a PDF whose revision replaces its page tree", "a.pdf", pdf_with_replaced_pages),
    Case("a PDF of a blank page with a wrong offset", "a.pdf", blank_pdf_with_wrong_offset, REPAIRED, ()),
    Case("a BMP of one color whose bytes are UTF-8", "a.bmp", bmp_of_utf8),
    Case("a PDF behind a web page", "a.pdf", lambda: b"<html>\n" + text_pdf()),
    Case("a PDF behind the letters BM", "a.pdf", lambda: b"BM\n" + text_pdf()),
    # 9: TIFF
    Case("a TIFF without its last pointer", "a.tif", lambda: tiff_of(next_directory=b"")),
    Case(
        "a TIFF with a garbled last pointer",
        "a.tif",
        lambda: tiff_of(next_directory=b"\xff\xff\xff\0"),
        REPAIRED,
    ),
    Case(
        "a TIFF whose pages are a loop",
        "a.tif",
        tiff_with_loop,
        REPAIRED,
    ),
    Case(
        "a TIFF that lost its later pages",
        "a.tif",
        lambda: tiff_of(next_directory=struct.pack("<I", 600)),
        DAMAGED,
    ),
    Case(
        "a TIFF whose second page is zeros",
        "a.tif",
        lambda: tiff_of(next_directory=struct.pack("<I", 600)).ljust(2000, b"\0"),
        DAMAGED,
    ),
    Case("a BigTIFF", "a.tif", big_tiff, RARE),
    Case(
        "a TIFF whose lengths are bytes",
        "a.tif",
        lambda: tiff_of_strips([bytes(range(128))] * 2, kind=1),
    ),
    Case("a TIFF with one length for two strips", "a.tif", tiff_with_one_count),
    Case("a TIFF of one color that looks like line ends", "a.tif", red_tiff, (), ("?document-altered",)),
    # 11: small ones
    Case("a BMP of one color that looks like line ends", "a.bmp", red_bmp, (), ("?document-altered",)),
    Case("a BMP with other line ends", "a.bmp", altered_bmp, ("?document-altered",)),
    Case("an AVIF photo named .jpg", "a.jpg", lambda: b"\0\0\0\x1cftypavif" + bytes(99), MISMATCH),
    Case("a JPEG 2000 image named .jpg", "a.jpg", lambda: b"\0\0\0\x0cjP  " + bytes(99), MISMATCH),
    Case("a Windows icon named .jpg", "a.jpg", lambda: b"\0\0\1\0\1\0" + bytes(99), MISMATCH),
    Case(
        "a BMP with a palette that is too large",
        "a.bmp",
        lambda: bmp_of(4, 0, colors=99),
        UNVIEWABLE,
    ),
    Case("a BMP without the padding of its last row", "a.bmp", lambda: bmp_of_width(5)[:-1]),
    Case("a BMP without padding that lacks its last byte", "a.bmp", lambda: bmp_of_width(4)[:-1], DAMAGED),
    Case("a BMP of 2 bits", "a.bmp", lambda: bmp_of(2, 0), UNVIEWABLE),
    Case("a BMP in RLE24", "a.bmp", lambda: bmp_of(24, 4, header=64), UNVIEWABLE),
    Case("a run-length BMP without an end", "a.bmp", lambda: bmp_of(8, 1), DAMAGED),
    Case("a run-length BMP", "a.bmp", lambda: run_length_bmp(_RUNS + b"\0\1")),
    Case(
        "a run-length BMP that does not say its size",
        "a.bmp",
        lambda: run_length_bmp(_RUNS + b"\0\1", stated=0),
    ),
    Case(
        "a run-length BMP that says too small a size",
        "a.bmp",
        lambda: run_length_bmp(_RUNS + b"\0\1", stated=5),
    ),
    Case("a run-length BMP without the mark of its end", "a.bmp", lambda: run_length_bmp(_RUNS)),
    *(
        Case(f"half a run-length BMP that says {stated} bytes", "a.bmp", make, DAMAGED)
        for stated in (0, 5, 16, 34)
        for make in [lambda stated=stated: run_length_bmp(_RUNS[:16], stated=stated)]
    ),
    Case(
        "a run-length BMP whose second half is zeros",
        "a.bmp",
        lambda: run_length_bmp(_RUNS[:16] + bytes(400)),
        DAMAGED,
    ),
    Case(
        "a run-length BMP with a web page behind it",
        "a.bmp",
        lambda: run_length_bmp(_RUNS + b"\0\1", stated=0) + b"<html>",
    ),
    Case("a PNG with a wrong checksum", "a.png", png_with_wrong_checksum, DAMAGED),
    Case("an XML file named .pdf", "a.pdf", lambda: b'<?xml version="1.0"?>\n<invoice/>\n', MISMATCH),
    Case("an SVG image named .png", "a.png", lambda: b"<svg width='9' height='9'></svg>\n", MISMATCH),
    Case("a file name that ends with a blank", "a.pdf ", samples.pdf, ("format-not-accepted",)),
]
