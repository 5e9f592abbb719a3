"""PDF files that every viewer opens, by several writers and by hand, also after harmless damage."""

from __future__ import annotations

import hashlib
import io
import re
import warnings
import zlib
from typing import TYPE_CHECKING

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf

from corpus import contents
from corpus.contents import pages, picture, saved
from corpus.recipes import table

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Make = Callable[[random.Random], bytes]

GENERATE, DISABLE = pikepdf.ObjectStreamMode.generate, pikepdf.ObjectStreamMode.disable
_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def opened(content: bytes) -> Pdf:
    return Pdf.open(io.BytesIO(content))


def written(rng: random.Random, document: Pdf, **options: object) -> bytes:
    """Return the document as pikepdf saves it, with a title of its own so that no two are the same."""
    document.docinfo["/Title"] = f"fictional document {rng.randrange(10**9)}"
    buffer = io.BytesIO()
    more = {} if options.get("encryption") else {"static_id": True}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Encryption R=5")
        document.save(buffer, **more, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def saved_by_pikepdf(**options: object) -> Make:
    return lambda rng: written(rng, opened(pages(rng)), **options)


def _changed(change: Callable[[random.Random, Pdf], object], **options: object) -> Make:
    def make(rng: random.Random) -> bytes:
        document = opened(pages(rng))
        change(rng, document)
        return written(rng, document, **options)

    return make


def plain(rng: random.Random) -> bytes:
    return written(rng, opened(pages(rng)), object_stream_mode=DISABLE)


def _linearized(rng: random.Random) -> bytes:
    return written(
        rng, opened(pages(rng)), linearize=True, object_stream_mode=rng.choice((DISABLE, GENERATE))
    )


def _from_fpdf2(rng: random.Random) -> bytes:
    number = rng.randrange(10**9)
    return pages(rng).replace(b"%%EOF", b"%% fictional copy %d\n%%%%EOF" % number)


def _from_pillow(rng: random.Random) -> bytes:
    more = [picture(rng, "L") for _ in range(rng.randrange(3))]
    mode = rng.choice(("1", "L", "P", "RGB", "CMYK"))
    return saved(picture(rng, mode), "PDF", save_all=True, append_images=more, resolution=100)


def _photo_only(rng: random.Random) -> bytes:
    """Return a page that is a JPEG as it came from the camera, as scanners and converters write it."""
    image = picture(rng)
    document = pikepdf.new()
    document.add_blank_page(page_size=(300, 300))
    stream = document.make_stream(
        saved(image, "JPEG"),
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=image.width,
        Height=image.height,
        ColorSpace=Name.DeviceRGB,
        BitsPerComponent=8,
        Filter=Name.DCTDecode,
    )
    first = document.pages[0]
    first.Resources = Dictionary(XObject=Dictionary(Im0=stream))
    first.Contents = document.make_stream(b"q 280 0 0 280 10 10 cm /Im0 Do Q")
    return written(rng, document)


# -- by hand -----------------------------------------------------------------------------------------------


def bodies(rng: random.Random, *, lines: int = 30) -> list[bytes]:
    """Return the objects 1, 2, … of a document by hand: catalog, pages, one page, its text, a font."""
    said = b"BT /F1 9 Tf 40 760 Td 14 TL\n"
    for _ in range(lines):
        words = contents.text(rng, 10).encode("ascii", "ignore").replace(b"  ", b" ")
        said += b"(" + words.strip() + b") Tj T*\n"
    packed = zlib.compress(said + b"ET\n")
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
    page += b"/Resources << /Font << /F1 5 0 R >> >> >>"
    stream = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)
    return [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page,
        stream,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]


def assembled(
    objects: list[bytes],
    *,
    line: bytes = b"\n",
    version: bytes = b"1.4",
    binary_comment: bool = True,
    shift: int = 0,
    more: bytes = b"",
    root: bytes = b"/Root 1 0 R",
) -> bytes:
    """Return a file with a cross-reference table: offsets wrong by `shift`, `more` in the trailer."""
    out = b"%PDF-" + version + line + (b"%\xe2\xe3\xcf\xd3" + line if binary_comment else b"")
    table_rows = b"0000000000 65535 f" + (line if len(line) == 2 else b" " + line)
    for number, body in enumerate(objects, start=1):
        end = line if len(line) == 2 else b" " + line
        table_rows += b"%010d 00000 n" % (len(out) + shift) + end
        out += b"%d 0 obj" % number + line + body + line + b"endobj" + line
    start = len(out)
    out += b"xref" + line + b"0 %d" % (len(objects) + 1) + line + table_rows
    out += b"trailer" + line + b"<< /Size %d %s %s >>" % (len(objects) + 1, root, more) + line
    return out + b"startxref" + line + b"%d" % (start + shift) + line + b"%%EOF" + line


def _by_hand(**options: object) -> Make:
    return lambda rng: assembled(bodies(rng), **options)  # type: ignore[arg-type]


def updated(rng: random.Random, content: bytes, times: int = 1) -> bytes:
    """Append incremental updates, as editors and signing programs do: each replaces the information."""
    for _ in range(times):
        previous = int(re.findall(rb"startxref\s+(\d+)", content)[-1])
        document = opened(content)
        size, root = int(document.trailer.Size), document.trailer.Root.objgen[0]
        base = content if content.endswith(b"\n") else content + b"\n"
        at = len(base)
        base += b"%d 0 obj\n<< /Title (update %d) >>\nendobj\n" % (size, rng.randrange(10**9))
        table_at = len(base)
        base += b"xref\n0 0\n%d 1\n%010d 00000 n \ntrailer\n" % (size, at)
        base += b"<< /Size %d /Root %d 0 R /Info %d 0 R /Prev %d >>\n" % (size + 1, root, size, previous)
        content = base + b"startxref\n%d\n%%%%EOF\n" % table_at
    return content


def _updated_with_a_stream(rng: random.Random) -> bytes:
    """Append an update whose cross-references are a stream, to a file that has only such."""
    content = written(rng, opened(pages(rng)), object_stream_mode=GENERATE)
    previous = int(re.findall(rb"startxref\s+(\d+)", content)[-1])
    document = opened(content)
    size, root = int(document.trailer.Size), document.trailer.Root.objgen[0]
    at = len(content)
    content += b"%d 0 obj\n<< /Title (update %d) >>\nendobj\n" % (size, rng.randrange(10**9))
    stream_at = len(content)
    rows = zlib.compress(b"".join(b"\1" + where.to_bytes(4, "big") + b"\0" for where in (at, stream_at)))
    content += b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 1] /Index [%d 2] /Root %d 0 R /Info %d 0 R " % (
        size + 1,
        size + 2,
        size,
        root,
        size,
    )
    content += b"/Prev %d /Filter /FlateDecode /Length %d >>\nstream\n" % (previous, len(rows))
    return content + rows + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % stream_at


def _updates(rng: random.Random) -> bytes:
    return updated(rng, plain(rng), rng.randrange(1, 4))


def _hybrid_update(rng: random.Random) -> bytes:
    return updated(rng, written(rng, opened(pages(rng)), linearize=True, object_stream_mode=DISABLE))


# -- encrypted, opening without a password -----------------------------------------------------------------


def locked(revision: int, *, user: str = "", aes: bool = False, allowed: bool = True) -> Make:
    def make(rng: random.Random) -> bytes:
        permissions = (
            pikepdf.Permissions()
            if allowed
            else pikepdf.Permissions(
                extract=False,
                modify_other=False,
                print_highres=False,
                print_lowres=False,
                modify_annotation=False,
            )
        )
        encryption = pikepdf.Encryption(
            owner=f"owner {rng.randrange(99)}",
            user=user,
            R=revision,  # type: ignore[arg-type]
            aes=aes,
            metadata=aes,
            allow=permissions,
        )
        return written(
            rng, opened(pages(rng)), encryption=encryption, object_stream_mode=rng.choice((DISABLE, GENERATE))
        )

    return make


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def locked_by_hand(rng: random.Random, password: bytes = b"") -> bytes:
    """Return a page encrypted with 40-bit RC4 (revision 2) without qpdf, by ISO 32000-1, 7.6.3."""
    identity, permissions = rng.randbytes(16), (-64 & 0xFFFFFFFF).to_bytes(4, "little")
    owner_key = hashlib.md5((b"fictional" + _PADDING)[:32]).digest()[:5]  # noqa: S324 - the format's own
    padded = (password + _PADDING)[:32]
    owner = _rc4(owner_key, padded)
    key = hashlib.md5(padded + owner + permissions + identity).digest()[:5]  # noqa: S324
    user = _rc4(key, _PADDING)
    objects = bodies(rng)
    data = zlib.compress(b"BT /F1 20 Tf 40 700 Td (fictional page) Tj ET 40 40 300 300 re f")
    own = hashlib.md5(key + (4).to_bytes(3, "little") + bytes(2)).digest()[:10]  # noqa: S324
    objects[3] = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (
        len(data),
        _rc4(own, data),
    )
    objects.append(
        b"<< /Filter /Standard /V 1 /R 2 /P -64 /O <%s> /U <%s> >>"
        % (owner.hex().encode(), user.hex().encode())
    )
    stamp = identity.hex().encode()
    return assembled(objects, more=b"/Encrypt 6 0 R /ID [<%s> <%s>]" % (stamp, stamp))


# -- what is in the document -------------------------------------------------------------------------------


def _attach(rng: random.Random, document: Pdf) -> None:
    document.attachments["list.csv"] = pikepdf.AttachedFileSpec(
        document,
        contents.text(rng, 200).encode(),
        filename="list.csv",
        mime_type="text/csv",
        description="",
        creation_date="",
        mod_date="",
    )


def _form(_: random.Random, document: Pdf) -> None:
    field = Dictionary(
        Type=Name.Annot,
        Subtype=Name.Widget,
        FT=Name.Tx,
        T=pikepdf.String("name"),
        V=pikepdf.String("fictional"),
        Rect=Array([50, 50, 200, 70]),
        F=4,
    )
    field = document.make_indirect(field)
    document.pages[0].Annots = Array([field])
    document.Root.AcroForm = Dictionary(Fields=Array([field]))


def _metadata(rng: random.Random, document: Pdf) -> None:
    with document.open_metadata(set_pikepdf_as_editor=False) as metadata:
        metadata["dc:title"] = contents.text(rng, 5)


def _rotate(rng: random.Random, document: Pdf) -> None:
    for each in document.pages:
        each.rotate(rng.choice((90, 180, 270)), relative=False)


def _more_pages(rng: random.Random, document: Pdf) -> None:
    for _ in range(rng.randrange(5, 40)):
        document.pages.append(document.pages[0])


def _nested_tree(_: random.Random, document: Pdf) -> None:
    """Put the pages behind two more levels of the page tree."""
    kids = [each.obj for each in document.pages]
    for _level in range(2):
        node = document.make_indirect(
            Dictionary(Type=Name.Pages, Kids=Array(kids), Count=len(document.pages))
        )
        for kid in kids:
            kid.Parent = node
        kids = [node]
    document.Root.Pages = kids[0]


def _xfa(rng: random.Random, document: Pdf) -> None:
    answers = f"<xdp><datasets><name>{contents.text(rng, 4)}</name></datasets></xdp>".encode()
    document.Root.NeedsRendering = True
    document.Root.AcroForm = Dictionary(Fields=Array([]), XFA=document.make_stream(answers))


def _portfolio(rng: random.Random, document: Pdf) -> None:
    _attach(rng, document)
    document.Root.Collection = Dictionary(Type=Name.Collection, View=Name.D)


# -- harmless damage ---------------------------------------------------------------------------------------


def anything(rng: random.Random) -> bytes:
    """Return a whole PDF of one of the common manners of writing."""
    return rng.choice(
        (plain, _linearized, saved_by_pikepdf(object_stream_mode=GENERATE), _updates, _from_fpdf2)
    )(rng)


def realistic(rng: random.Random) -> bytes:
    return rng.choice(
        (plain, _linearized, saved_by_pikepdf(object_stream_mode=GENERATE), _photo_only, _updates)
    )(rng)


def _damaged(damage: Callable[[random.Random, bytes], bytes], make: Make = anything) -> Make:
    return lambda rng: damage(rng, make(rng))


def _without_eof_mark(_: random.Random, content: bytes) -> bytes:
    return content[: content.rindex(b"%%EOF")]


def _startxref_number(number: bytes) -> Callable[[random.Random, bytes], bytes]:
    def change(_: random.Random, content: bytes) -> bytes:
        at = content.rindex(b"startxref")
        return content[:at] + b"startxref\n" + number + b"\n%%EOF\n"

    return change


def _without_startxref(_: random.Random, content: bytes) -> bytes:
    return content[: content.rindex(b"startxref")] + b"%%EOF\n"


def _junk_before(junk: Callable[[random.Random], bytes]) -> Callable[[random.Random, bytes], bytes]:
    return lambda rng, content: junk(rng) + content


def _mail_header(rng: random.Random) -> bytes:
    return (
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\nX-Id: %d\r\n\r\n"
        % rng.randrange(10**9)
    )


def _log_of_objects(rng: random.Random, content: bytes) -> bytes:
    return content + b"% log: 12 0 obj read ok\n" * rng.randrange(1, 5)


def _text_behind(rng: random.Random, content: bytes) -> bytes:
    return content + contents.log_lines(rng, rng.randrange(9_000, 30_000))


def _one_line_behind(rng: random.Random, content: bytes) -> bytes:
    return content + contents.text(rng, 8).encode("ascii", "ignore")


def _zeros_behind(rng: random.Random, content: bytes) -> bytes:
    return content + bytes(rng.randrange(1, 100_000))


def _page_behind(rng: random.Random, content: bytes) -> bytes:
    return content + contents.web_page(rng)


def _zeros_and_page_behind(rng: random.Random, content: bytes) -> bytes:
    return content + bytes(10_000) + contents.web_page(rng)


def _stripped(_: random.Random, content: bytes) -> bytes:
    return content.rstrip(b"\r\n")


def _last_byte_lost(_: random.Random, content: bytes) -> bytes:
    return content[:-1]


def _padded_lines(rng: random.Random) -> bytes:
    """Return a text of the printer's job language before the PDF, which drivers leave there."""
    return b"\x1b%%-12345X@PJL JOB NAME=%d\r\n@PJL ENTER LANGUAGE=PDF\r\n" % rng.randrange(10**6)


_TABLE = [
    ("by fpdf2", _from_fpdf2),
    ("by pikepdf", plain),
    ("object streams", saved_by_pikepdf(object_stream_mode=GENERATE)),
    ("linearized", _linearized),
    (
        "nothing packed",
        saved_by_pikepdf(compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.all),
    ),
    ("qdf", saved_by_pikepdf(qdf=True)),
    ("by Pillow", _from_pillow),
    ("a photo only", _photo_only),
    ("by hand", _by_hand()),
    ("by hand, CR line ends", _by_hand(line=b"\r")),
    ("by hand, CRLF line ends", _by_hand(line=b"\r\n")),
    ("by hand, no binary comment", _by_hand(binary_comment=False)),
    ("updates", _updates),
    ("an update of a linearized file", _hybrid_update),
    ("an update with a stream", _updated_with_a_stream),
    ("an attachment", _changed(_attach)),
    ("a form", _changed(_form)),
    ("metadata", _changed(_metadata)),
    ("turned pages", _changed(_rotate)),
    ("many pages", _changed(_more_pages)),
    ("a deep page tree", _changed(_nested_tree, object_stream_mode=GENERATE)),
    *(
        (f"version {version}", saved_by_pikepdf(force_version=version))
        for version in ("1.0", "1.3", "1.7", "2.0")
    ),
]
_HARMLESS = [
    ("a line behind it", _damaged(_one_line_behind)),
    ("20 KB of text behind it", _damaged(_text_behind)),
    ("a log of objects behind it", _damaged(_log_of_objects)),
    ("zeros behind it", _damaged(_zeros_behind)),
    ("a web page behind it", _damaged(_page_behind)),
    ("zeros and a web page behind it", _damaged(_zeros_and_page_behind)),
    ("last newline lost", _damaged(_stripped)),
    ("last newline lost, linearized", _damaged(_stripped, _linearized)),
    ("last byte lost", _damaged(_last_byte_lost)),
    ("no %%EOF", _damaged(_without_eof_mark)),
    ("no %%EOF, linearized", _damaged(_without_eof_mark, _linearized)),
    ("a mail header before it", _damaged(_junk_before(_mail_header))),
    ("a byte order mark before it", _damaged(_junk_before(lambda _: b"\xef\xbb\xbf"))),
    ("empty lines before it", _damaged(_junk_before(lambda rng: b"\r\n" * rng.randrange(1, 9)))),
    ("a printer's job before it", _damaged(_junk_before(_padded_lines))),
    ("a web page's start before it", _damaged(_junk_before(lambda _: b"<html>\n"))),
    ("BM before it", _damaged(_junk_before(lambda _: b"BM\n"))),
    ("wrong offsets", lambda rng: assembled(bodies(rng), shift=rng.choice((-7, 3, 40)))),
    ("startxref is 0", _damaged(_startxref_number(b"0"), plain)),
    ("startxref is beyond the end", _damaged(_startxref_number(b"99999999"), plain)),
]
# Viewers rebuild the cross-references. docsend may not refuse these, but has to say that something is lost.
_REPAIRED = [
    ("startxref without a number", _damaged(_startxref_number(b""), plain)),
    ("no startxref, a whole trailer", _damaged(_without_startxref, plain)),
]
_LOCKED = [
    (
        f"encrypted R{revision}{' AES' * aes}, no password needed{'' if allowed else ', printing barred'}",
        locked(revision, aes=aes, allowed=allowed),
    )
    for revision, aes in ((2, False), (3, False), (4, False), (4, True), (5, True), (6, True))
    for allowed in (True, False)
]
_ADOBE_ONLY = [("an XFA form", _changed(_xfa)), ("a portfolio", _changed(_portfolio))]

RECIPES = [
    *table("pdf", "good", _TABLE, count=10),
    *table("pdf", "good", _HARMLESS, count=10, damaged=True),
    *table("pdf", "good", _REPAIRED, count=5, told=True),
    *table("pdf", "good", _LOCKED, count=5, told=True),
    *table("pdf", "good", [("encrypted R2 by hand, no password needed", locked_by_hand)], count=5, told=True),
    *table("pdf", "good", _ADOBE_ONLY, count=6, told=True),
]
