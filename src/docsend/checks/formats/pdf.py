"""Defects of PDF files (ISO 32000-1, 7.5): the end of the file, its encryption, its catalog and its pages."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from docsend.checks.formats import pdf_encryption
from docsend.checks.formats.pdf_objects import BLANK, HEAD, REFERENCE, STARTXREF, Objects, Reference, parse
from docsend.model.document import Defect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docsend.checks.formats.pdf_objects import Value

_LINEARIZED = re.compile(
    rb"obj" + BLANK + rb"{0,16}<<[^>]{0,64}?/Linearized\b[^>]{0,512}?/L" + BLANK + rb"{1,16}(\d{1,12})(?!\d)"
)
_ENCRYPT = re.compile(rb"/Encrypt(?=" + BLANK + rb"{0,16}(?:\d|<<))")
_ROOT = re.compile(rb"/Root" + BLANK + rb"{0,16}" + REFERENCE)
_PAGES = re.compile(rb"/Pages" + BLANK + rb"{0,16}" + REFERENCE)
_FORM = re.compile(rb"/AcroForm" + BLANK + rb"{0,16}" + REFERENCE)
_KIDS = re.compile(rb"/Kids" + BLANK + rb"{0,16}\[" + BLANK + rb"{0,16}" + REFERENCE)
_PAGE = re.compile(rb"/Type" + BLANK + rb"{0,16}/Page\b")
_HEAD_END = re.compile(rb"obj" + BLANK + rb"{0,16}(?:[<\[(/+\-.\d]|true\b|false\b|null\b|\Z)")
# An object that begins a line: "12 0 obj" in the middle of a log file's line is not one.
_HEAD_START = re.compile(
    rb"(?:\A|[\r\n])" + BLANK + rb"{0,16}\d{1,10}" + BLANK + rb"{1,16}\d{1,5}" + BLANK + rb"{1,16}\Z"
)
_MAX_HEAD_BYTES = 64
_MAX_HEADS = 2**16  # that are looked at behind the end. More than these are made up.

HEADER_BYTES = 1024  # that contain the header (ISO 32000-1, 7.5.2, note)
_ENDING_BYTES = 1024  # that contain `startxref` if nothing was appended
_LOST_END_BYTES = 8  # the last line, "%%EOF", with its line endings
_MAX_FIRST_PAGE_BYTES = 2048  # of a linearized file: its parameters and the table of its first page
_MAX_TRAILER_BYTES = 64 * 1024
_MAX_ENDINGS = 256  # occurrences of `startxref` that are looked at, from the last one on
_MAX_TRAILERS = 8
_MAX_PAGE_TREE_NODES = 256
_USUAL_DEPTH = 16

_DAMAGED = Defect("damaged")
_DOUBTFUL_DAMAGE = Defect("damaged", is_certain=False)
_REPAIRED = Defect("repaired", is_certain=False)
_DOUBT = Defect("doubtful")


def is_headless(content: bytes) -> bool:
    """Return whether content without a header is a PDF all the same, by its end. Viewers open such a file."""
    at = content.rfind(b"startxref", max(0, len(content) - _ENDING_BYTES))
    return at >= 0 and STARTXREF.match(content, at) is not None and b"endobj" in content


def find_defects(content: bytes) -> tuple[Defect, ...]:
    """Return the defects: a missing end, a password, no page, or content that only Adobe's programs show.

    A complete PDF ends with `startxref` and an offset. Viewers repair wrong offsets and a missing `%%EOF`.
    They ignore text that was appended.
    """
    found: list[Defect] = []
    table_at: int | None = None
    if b"%PDF-" not in content[:HEADER_BYTES]:
        found.append(_REPAIRED)
    length = _linearized_length(content)
    if length is not None and length > len(content) + _LOST_END_BYTES:
        return (_DAMAGED,)
    ending = find_startxref(content)
    if length is not None and ending is not None and ending.start() < _MAX_FIRST_PAGE_BYTES < len(content):
        ending = None  # It belongs to the table of the first page, at the start of the file.
    if ending is None:
        trailer = _find_last_trailer(content)
        if trailer is None or not _is_complete(trailer):
            return (_DAMAGED,)
        found.append(_REPAIRED)
    elif has_object(content, ending.end()):
        # An object after the last `startxref` belongs to a revision whose own `startxref` is missing.
        return (_DAMAGED,)
    else:
        trailer, table_at = _find_trailer(content, int(ending[1]))
        if table_at is None:
            found.append(_DOUBT)
    encryption = _find_encryption(content, trailer)
    found += encryption
    if any(defect.kind in ("needs-password", "needs-certificate") for defect in encryption):
        return tuple(found)
    trailer = trailer or b""
    objects = Objects(
        content, table_at, is_encrypted=bool(encryption), are_mostly_compressed=b"/XRef" in trailer
    )
    found += _find_page_defects(content, trailer, objects, is_encrypted=bool(encryption))
    return tuple(found)


# -- the end of the file -----------------------------------------------------------------------------------


def find_startxref(content: bytes) -> re.Match[bytes] | None:
    """Return the last `startxref` that is followed by a number."""
    at = len(content)
    for _ in range(_MAX_ENDINGS):
        if (at := content.rfind(b"startxref", 0, at)) < 0:
            return None
        if ending := STARTXREF.match(content, at):
            return ending
    return None


def has_object(content: bytes, start: int) -> bool:
    """Return whether the head of an object, such as "12 0 obj", begins a line from `start` on."""
    if content.find(b"obj", start) < 0:
        return False
    return any(
        _HEAD_START.search(content[max(start, found.start() - _MAX_HEAD_BYTES) : found.start()])
        for found in itertools.islice(_HEAD_END.finditer(content, start), _MAX_HEADS)
    )


def _linearized_length(content: bytes) -> int | None:
    """Return the length that a linearized file gives at its start (annex F), or None for another file.

    A file may lack its last line: mail gateways and editors drop it.
    """
    is_linearized = content.find(b"/Linearized", 0, 1024) >= 0
    linearized = _LINEARIZED.search(content, 0, 1024) if is_linearized else None
    return None if linearized is None else int(linearized[1])


def _find_trailer(content: bytes, offset: int) -> tuple[bytes | None, int | None]:
    """Return the trailer, or the cross-reference stream's dictionary, and the position of its table.

    If there is neither at `offset`, return the last one in the file, or None, and no position.
    """
    header = content.find(b"%PDF-", 0, HEADER_BYTES)
    for start in (header + offset, offset):
        table = content[start : start + 64].lstrip()
        if table.startswith(b"xref"):
            return _slice_until(content, content.find(b"trailer", start), b"startxref"), start
        if HEAD.match(table):
            dictionary = _slice_until(content, start, b"stream")
            if dictionary is not None and b"/XRef" in dictionary:
                return dictionary, start
    if (trailer := _find_last_trailer(content)) is not None:
        return trailer, None
    stream = content.rfind(b"/XRef")
    head = content.rfind(b" obj", 0, max(0, stream))
    return (None if stream < 0 else _slice_until(content, head, b"stream")), None


def _find_last_trailer(content: bytes) -> bytes | None:
    """Return the last complete trailer, or else the last one. In a linearized file, it is near the start."""
    at, last = len(content), None
    for _ in range(_MAX_TRAILERS):
        if (at := content.rfind(b"trailer", 0, at)) < 0:
            break
        trailer = _slice_until(content, at, b"startxref")
        last = last or trailer
        if trailer is not None and _is_complete(trailer):
            return trailer
    return last


def _is_complete(trailer: bytes) -> bool:
    """Return whether a trailer is complete. Viewers do not need the offset that follows it."""
    try:
        dictionary = parse(trailer, len(b"trailer"))
    except ValueError:
        return False
    return isinstance(dictionary, dict) and b"Root" in dictionary


def _slice_until(content: bytes, start: int, end: bytes) -> bytes | None:
    if start < 0:
        return None
    stop = content.find(end, start, start + _MAX_TRAILER_BYTES)
    return content[start : stop if stop >= 0 else start + _MAX_TRAILER_BYTES]


# -- encryption --------------------------------------------------------------------------------------------


def _find_encryption(content: bytes, trailer: bytes | None) -> list[Defect]:
    """Return the defect of an encrypted file, or an empty list."""
    entry = _ENCRYPT.search(trailer) if trailer is not None else None
    if trailer is None or entry is None:
        return []
    try:
        encryption = Objects(content, is_encrypted=True).find_dictionary(parse(trailer, entry.end()))
    except ValueError:
        encryption = None
    if encryption is None:
        return [Defect("password-unknown", is_certain=False)]
    if pdf_encryption.is_for_certificates(encryption):
        return [Defect("needs-certificate", is_certain=False)]
    opens = pdf_encryption.opens_without_password(encryption, _file_id(trailer))
    if opens is None:
        return [Defect("password-unknown", is_certain=False)]
    if not opens:
        return [Defect("needs-password")]
    return [Defect("restricted", pdf_encryption.forbidden_operations(encryption))]


def _file_id(trailer: bytes) -> bytes:
    """Return the first string of /ID, or b""."""
    at = trailer.rfind(b"/ID")
    try:
        value: Value = parse(trailer, at + 3) if at >= 0 else None
    except ValueError:
        return b""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], bytes) else b""


# -- the catalog and the pages -----------------------------------------------------------------------------


def _find_page_defects(
    content: bytes, trailer: bytes, objects: Objects, *, is_encrypted: bool
) -> Iterator[Defect]:
    """Yield the defects of the catalog and the page tree."""
    root = _ROOT.search(trailer)
    catalog = objects.find_referenced(root) if root else None
    if catalog is None or b"/Pages" not in catalog:
        # It may be in an object stream, which cannot be decrypted here.
        yield _DOUBT if is_encrypted and b"/ObjStm" in content else _DOUBTFUL_DAMAGE
        return
    if b"/Collection" in catalog:
        collection = _entry(catalog, b"Collection", objects)
        if isinstance(collection, dict):
            yield Defect("portfolio")
        elif collection is None and is_encrypted:
            yield _DOUBT  # It may be in an object stream, which cannot be decrypted here.
    if b"/AcroForm" in catalog:
        yield from _find_form_defects(catalog, objects, is_encrypted=is_encrypted)
    pages = _PAGES.search(catalog)
    if pages is None or not _has_page(pages, objects):
        yield from _find_page_tree_defects(catalog, objects, is_encrypted=is_encrypted)


def _entry(text: bytes, key: bytes, objects: Objects) -> Value:
    """Return the value of an entry of a dictionary, which is given as text, or None."""
    try:
        dictionary = parse(text)
    except ValueError:
        return None
    return objects.resolve(dictionary.get(key)) if isinstance(dictionary, dict) else None


def _has_page(root: re.Match[bytes], objects: Objects) -> bool:
    """Return whether the first leaf of the page tree is a page. This is the fast way, without parsing."""
    reference = root
    for _ in range(_USUAL_DEPTH):
        text = objects.find_referenced(reference)
        if text is None:
            return False
        kids = _KIDS.search(text)
        if kids is None:
            return _PAGE.search(text) is not None
        reference = kids
    return False


def _find_page_tree_defects(catalog: bytes, objects: Objects, *, is_encrypted: bool) -> Iterator[Defect]:
    """Yield the defects of a page tree whose first leaf is not simply a page."""
    try:
        root = parse(catalog)
    except ValueError:
        root = None
    if not isinstance(root, dict):
        yield _DOUBT
        return
    if (
        is_encrypted
        and isinstance(root.get(b"Pages"), Reference)
        and not objects.find_dictionary(root[b"Pages"])
    ):
        yield _DOUBT  # The tree may be in an object stream, which cannot be decrypted here.
        return
    if any(map(_is_page, _leaves(root.get(b"Pages"), objects))):
        return
    tree = objects.find_dictionary(root.get(b"Pages"))
    is_empty = tree is not None and tree.get(b"Kids") == []
    # The text of a page may look like an object, so a decoder has to confirm it.
    yield Defect("no-page", is_certain=False) if is_empty else _DOUBTFUL_DAMAGE


def _is_page(leaf: dict[bytes, Value]) -> bool:
    """Return whether a leaf of the page tree is a page. Viewers do not insist on its /Type."""
    return leaf.get(b"Type") == b"Page" or any(key in leaf for key in (b"MediaBox", b"Contents", b"Parent"))


def _leaves(root: Value, objects: Objects) -> Iterator[dict[bytes, Value]]:
    """Yield the leaves of the page tree, visiting at most _MAX_PAGE_TREE_NODES nodes."""
    pending: list[Value] = [root]
    visited: set[Reference] = set()
    for _ in range(_MAX_PAGE_TREE_NODES):
        if not pending:
            return
        value = pending.pop()
        if isinstance(value, Reference):
            if value in visited:
                continue
            visited.add(value)
        node = objects.find_dictionary(value)
        if node is None:
            continue
        kids = objects.resolve(node.get(b"Kids"))
        if isinstance(kids, list):
            pending += reversed(kids[:_MAX_PAGE_TREE_NODES])
        else:
            yield node


def _find_form_defects(catalog: bytes, objects: Objects, *, is_encrypted: bool) -> Iterator[Defect]:
    """Yield "xfa" for a dynamic form (XFA 3.3, "dynamic forms").

    Its pages exist only in the XML that Adobe's programs render. Other viewers show one page, which says
    "Please wait...".
    """
    reference = _FORM.search(catalog)
    text = catalog if reference is None else objects.find_referenced(reference)
    if text is None and is_encrypted:
        yield _DOUBT  # The form may be in an object stream, which cannot be decrypted here.
    if text is None or b"/XFA" not in text:
        return
    form = _entry(catalog, b"AcroForm", objects)
    if not isinstance(form, dict) or b"XFA" not in form:
        return
    form_fields = objects.resolve(form.get(b"Fields"))
    if _entry(catalog, b"NeedsRendering", objects) is True or form_fields == []:
        yield Defect("xfa")
    elif form_fields is None:
        yield _DOUBT if is_encrypted and b"Fields" in form else Defect("xfa")
