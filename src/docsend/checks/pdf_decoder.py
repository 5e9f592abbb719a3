"""Decode the pages of a PDF with pikepdf (qpdf), inside the process `decoder_process`."""

from __future__ import annotations

import io
import re
import time
import zlib
from typing import TYPE_CHECKING, Literal

from docsend.checks import picture_decoder
from docsend.checks.decoders import PAGES_LIMIT_S, Decoded
from docsend.checks.formats.pdf import find_startxref, has_object

if TYPE_CHECKING:
    from collections.abc import Callable

    import pikepdf

    from docsend.model.document import DefectKind

_MAX_STREAM_BYTES = 256 * 2**20  # of one stream. Windows has no limit for the memory of a process.
_REPAIR = re.compile(r"reconstruct|recover", re.IGNORECASE)
_UNKNOWN = re.compile(r"unsupported|unfilterable", re.IGNORECASE)
_LIMIT = re.compile(r"memory limit exceeded|bad_alloc", re.IGNORECASE)
_WRONG_CHECKSUM = re.compile(r"incorrect data check", re.IGNORECASE)
# A picture from this size on is decoded on every page. A smaller one is a logo or a stamp.
_MIN_PICTURE_PIXELS = 100_000
# A picture from this size on is the page: a scan, whose text, if there is any, is invisible. A4 with 80 dots
# per inch has 618,000 pixels.
_PAGE_PICTURE_PIXELS = 600_000
_MAX_PICTURE_BYTES = 64 * 2**20
_MAX_FORMS = 50  # that are searched for pictures, on a page
_MAX_PARENTS = 50
# The table of a PDF has to be within this distance from the end of the file, or qpdf reconstructs it.
_ENDING_BYTES = 1024
_END = b"%%EOF"
# All operators of content streams (ISO 32000-2, annex A).
_OPERATORS = frozenset(
    b"b B b* B* BDC BI BMC BT BX c cm CS cs d d0 d1 Do DP EI EMC ET EX f F f* G g gs h i ID j J K k l m M MP "
    b"n q Q re RG rg ri s S SC sc SCN scn sh T* Tc Td TD Tf Tj TJ TL Tm Tr Ts Tw Tz v w W W* y ' \" "
    b"true false null".split()
)
# What is no operator: strings, of which the last may be cut off, names and comments.
_OPERANDS = re.compile(
    rb"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*(?:\)|\Z)|<[0-9A-Fa-f\s]*>|/[^\s()<>\[\]{}/%]*|"
    rb"%[^\r\n]*",
    re.DOTALL,
)
_PICTURE_DATA = re.compile(rb"\sID\s")  # of a picture that is a part of the content
_WORD = re.compile(rb"[^\s\[\]<>{}]+")
_NUMBER = re.compile(rb"[-+]*[0-9.][0-9.eE+-]*\Z")
_MIN_SOUND_SHARE = 10  # With less than a tenth of its content, a page is lost.
_MAX_EXAMINED_BYTES = 4 * 2**20

# "partial" is data of which viewers show the beginning.
State = Literal["sound", "partial", "corrupt"]


def load() -> Callable[[bytes], Decoded]:
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
            with pikepdf.Pdf.open(io.BytesIO(_without_appended(content))) as pdf:
                is_content_expected = b"/Contents" in content or b"/ObjStm" in content
                return _decode_pages(pdf, is_content_expected=is_content_expected)
        except pikepdf.PasswordError:
            return Decoded("needs-password")
        except pikepdf.PdfError as error:
            if _LIMIT.search(str(error)):
                return Decoded("gave-up")
            return Decoded("unsupported" if _UNKNOWN.search(str(error)) else "damaged")

    return decoder


def _without_appended(content: bytes) -> bytes:
    """Return a PDF without what follows its end and is no part of it, with which qpdf would miss the end."""
    ending = find_startxref(content)
    if ending is None or len(content) - ending.start() <= _ENDING_BYTES or has_object(content, ending.end()):
        return content
    mark = content.find(_END, ending.end(), ending.end() + _ENDING_BYTES)
    return content[: ending.end() if mark < 0 else mark + len(_END)]


def _decode_pages(pdf: pikepdf.Pdf, *, is_content_expected: bool) -> Decoded:
    """Decode the content of one page after the other, then the pictures, until the time is up.

    `is_content_expected` is false if the file says that all of its pages are blank.
    """
    started = time.monotonic()
    states: list[State] = []  # of all streams
    is_page_lost = has_content = has_annotations = False
    pages = []
    for page in pdf.pages:
        if time.monotonic() - started > PAGES_LIMIT_S:
            break
        pages.append(page.obj)
        streams = list(map(_content_state, _content_streams(page.obj)))
        states += streams
        has_annotations = has_annotations or "/Annots" in page.obj
        has_content = has_content or bool(streams)
        is_page_lost = is_page_lost or (bool(streams) and all(state == "corrupt" for state in streams))
    pictures, is_picture_lost = _decode_pictures(pages, started + PAGES_LIMIT_S)
    states += pictures
    messages = " ".join(map(str, pdf.get_warnings()))
    if _LIMIT.search(messages):
        return Decoded("gave-up")
    has_errors = "corrupt" in states or "partial" in states
    is_repaired = has_errors or _REPAIR.search(messages) is not None
    # Where the end of a file is missing, the pages may be there, and nothing that was on them.
    is_content_lost = is_repaired and is_content_expected and not has_content and not has_annotations
    is_empty = len(pdf.pages) == 0 or is_content_lost
    if is_empty or is_page_lost or is_picture_lost:
        return Decoded("damaged")
    return Decoded(
        "opens", is_repaired, pdf.is_encrypted, _forbidden(pdf.allow), has_errors, _needs_adobe(pdf.Root)
    )


def _content_streams(page: pikepdf.Dictionary) -> list[pikepdf.Stream]:
    """Return the streams that draw a page."""
    import pikepdf

    contents = page.get("/Contents")
    parts = list(contents) if isinstance(contents, pikepdf.Array) else [contents]
    return [part for part in parts if isinstance(part, pikepdf.Stream)]


def _content_state(stream: pikepdf.Stream) -> State:
    """Return whether the data of a content stream is sound.

    If its checksum is wrong or its end is missing, which viewers do not mind, it still has to look like a
    content stream.
    """
    state = _stream_state(stream)
    if state == "corrupt" or _filters(stream) != ["/FlateDecode"]:
        return state
    inflater = zlib.decompressobj(-15)  # without the header and the checksum, which qpdf ignores
    try:
        data = inflater.decompress(stream.read_raw_bytes()[2:], _MAX_EXAMINED_BYTES)
    except zlib.error:
        return state  # qpdf could read it.
    if not inflater.eof and (inflater.unconsumed_tail or len(data) == _MAX_EXAMINED_BYTES):
        return state
    checksum = inflater.unused_data[:4]
    is_right = inflater.eof and (len(checksum) < 4 or zlib.adler32(data) == int.from_bytes(checksum, "big"))
    if is_right or not data:
        return state
    sound, total = _count_sound_words(data)
    if sound == total:
        return state  # A wrong checksum does not keep viewers from showing the data.
    return "partial" if sound * _MIN_SOUND_SHARE >= total else "corrupt"


def _count_sound_words(data: bytes) -> tuple[int, int]:
    """Return how many words there are before the first that is not of a content stream, and in all.

    Data behind the start of a picture is not counted, nor is the last word, which may be cut off.
    """
    text = _PICTURE_DATA.split(data, maxsplit=1)[0]
    words = _WORD.findall(_OPERANDS.sub(b" ", text))[:-1]
    for sound, word in enumerate(words):
        if word not in _OPERATORS and not _NUMBER.match(word):
            return sound, len(words)
    return len(words), len(words)


def _decode_pictures(pages: list[pikepdf.Dictionary], deadline: float) -> tuple[list[State], bool]:
    """Decode the pictures that matter, until the deadline. Return their states, and whether a page is lost.

    Of a page that shows nothing else, as a scanner makes it, these are all pictures; of another page, the
    large ones.
    """
    states: dict[object, State] = {}  # by object, since pages often share pictures
    is_lost = False
    for page in pages:
        pictures, is_alone = _pictures(page)
        page_states = []
        for picture in pictures:
            pixels = _pixels(picture)
            if not is_alone and pixels < _MIN_PICTURE_PIXELS:
                continue
            if time.monotonic() > deadline:
                return list(states.values()), is_lost
            key = picture.objgen
            if key not in states:
                states[key] = _stream_state(picture)
            page_states.append(states[key])
            is_lost = is_lost or (states[key] == "corrupt" and pixels >= _PAGE_PICTURE_PIXELS)
        if is_alone and page_states and all(state == "corrupt" for state in page_states):
            is_lost = True
    return list(states.values()), is_lost


def _pixels(picture: pikepdf.Stream) -> int:
    width: object = picture.get("/Width")
    height: object = picture.get("/Height")
    return width * height if isinstance(width, int) and isinstance(height, int) else 0


def _pictures(page: pikepdf.Dictionary) -> tuple[list[pikepdf.Stream], bool]:
    """Return the pictures of a page, also those inside its forms, and whether it shows nothing else."""
    import pikepdf

    is_alone = "/Contents" in page
    pictures: list[pikepdf.Stream] = []
    seen: set[object] = set()
    waiting = [_resources(page)]
    for resources in waiting:  # It grows.
        is_alone = is_alone and resources is not None and "/Font" not in resources
        objects = resources.get("/XObject") if resources is not None else None
        for _, stream in objects.items() if isinstance(objects, pikepdf.Dictionary) else ():
            if not isinstance(stream, pikepdf.Stream) or stream.objgen in seen:
                continue
            seen.add(stream.objgen)
            if stream.get("/Subtype") == pikepdf.Name.Image:
                pictures.append(stream)
                continue
            is_alone = False
            inner = stream.get("/Resources")
            if isinstance(inner, pikepdf.Dictionary) and len(waiting) < _MAX_FORMS:
                waiting.append(inner)
    return pictures, is_alone


def _resources(page: pikepdf.Dictionary) -> pikepdf.Dictionary | None:
    """Return the resources of a page, which it may have from a parent."""
    import pikepdf

    node: pikepdf.Object | None = page
    for _ in range(_MAX_PARENTS):
        if not isinstance(node, pikepdf.Dictionary):
            return None
        resources = node.get("/Resources")
        if isinstance(resources, pikepdf.Dictionary):
            return resources
        node = node.get("/Parent")
    return None


def _filters(stream: pikepdf.Stream) -> list[str]:
    import pikepdf

    filters = stream.get("/Filter")
    return [str(each) for each in (filters if isinstance(filters, pikepdf.Array) else [filters])]


def _stream_state(stream: pikepdf.Stream) -> State:
    """Return whether the data of a stream is corrupt. A filter that is not known here is no proof of that.

    Raise MemoryError if the data expands to more than the limit.
    """
    import pikepdf

    filters = _filters(stream)
    if "/JBIG2Decode" in filters:  # pikepdf would start another program, which may not be installed.
        return "sound"
    try:
        if filters[-1:] == ["/DCTDecode"]:
            jpeg = _jpeg_data(stream, filters[:-1])
            outcome = "unsupported" if jpeg is None else picture_decoder.load("jpeg")(jpeg).outcome
            return "corrupt" if outcome == "damaged" else "sound"
        stream.read_bytes(pikepdf.StreamDecodeLevel.specialized)  # all filters except DCT
    except zlib.error:
        return "corrupt"
    except pikepdf.PdfError as error:
        if _LIMIT.search(str(error)):
            raise MemoryError from error
        return "sound" if _UNKNOWN.search(str(error)) or _WRONG_CHECKSUM.search(str(error)) else "corrupt"
    return "sound"


def _jpeg_data(stream: pikepdf.Stream, outer: list[str]) -> bytes | None:
    """Return the JPEG in a stream, or None if it has other filters around it than Flate."""
    data = stream.read_raw_bytes()
    if outer == ["/FlateDecode"]:
        return zlib.decompressobj().decompress(data, _MAX_PICTURE_BYTES)
    return None if outer else data


def _forbidden(permissions: pikepdf.Permissions) -> tuple[str, ...]:
    """Return what the permissions forbid, in the order of `decoders.FORBIDDEN`."""
    is_allowed = {
        "printing": permissions.print_lowres,
        "changing": permissions.modify_other,
        "copying": permissions.extract,
        "commenting": permissions.modify_annotation,
    }
    forbidden = [action for action, allowed in is_allowed.items() if not allowed]
    if permissions.print_lowres and not permissions.print_highres:
        forbidden.append("sharp-printing")
    return tuple(forbidden)


def _needs_adobe(catalog: pikepdf.Object) -> tuple[DefectKind, ...]:
    """Return whether a PDF is a dynamic XFA form or a portfolio, as `formats.pdf` finds it in its text."""
    import pikepdf

    found: list[DefectKind] = []
    form = catalog.get("/AcroForm")
    if isinstance(form, pikepdf.Dictionary) and "/XFA" in form:
        form_fields = form.get("/Fields")
        has_fields = isinstance(form_fields, pikepdf.Array) and len(form_fields) > 0
        needs_rendering: object = catalog.get("/NeedsRendering")
        if needs_rendering is True or not has_fields:
            found.append("xfa")
    if isinstance(catalog.get("/Collection"), pikepdf.Dictionary):
        found.append("portfolio")
    return tuple(found)
