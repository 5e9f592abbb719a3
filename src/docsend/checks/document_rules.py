"""The institute's rules of documents: how many, how large, of which format, whole, under which names.

Without a destination only what holds for all of them is checked. A rule is a function, as in `field_rules`.
"""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from docsend.checks.formats.detect import FORMAT_OF_EXTENSION
from docsend.codes import Code
from docsend.i18n import Message
from docsend.model.document import Document, UnreadDocument
from docsend.model.problem import Problem
from docsend.text import has_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docsend.model.catalog import Catalog, Destination

_BY_NAME = attrgetter("name", "sha256")


def check(
    documents: tuple[Document | UnreadDocument, ...],
    destination: Destination | None,
    catalog: Catalog,
    found: list[Problem],
) -> tuple[Document, ...]:
    """Hold documents against every rule; give those that could be read, in the order of their names."""
    if not documents:
        found.append(Problem(Code.DOCUMENTS_MISSING, Message("no document is given")))
    most = destination.max_documents if destination else None
    if most is not None and len(documents) > most:
        message = Message(
            "{count} documents are given, {destination} takes {most}",
            count=len(documents),
            destination=destination.code if destination else "",
            most=most,
        )
        hint = Message("send the rest in a second submission")
        found.append(Problem(Code.TOO_MANY_DOCUMENTS, message, hint))
    found.extend(_duplicates(documents))
    for document in documents:
        about = _document(document, destination, catalog)
        found.extend(replace(problem, path=document.path) for problem in about if problem is not None)
    readable = [document for document in documents if isinstance(document, Document)]
    return tuple(sorted(readable, key=_BY_NAME))


def _document(
    document: Document | UnreadDocument, destination: Destination | None, catalog: Catalog
) -> tuple[Problem | None, ...]:
    name = _name(document, catalog.texts.document_name)
    format_ = _format(document, destination, catalog) if destination is not None else None
    if isinstance(document, UnreadDocument):
        return name, format_, _unread(document, destination, catalog)
    return name, format_, _content(document), _near_limit(document, destination)


def _duplicates(documents: tuple[Document | UnreadDocument, ...]) -> Iterator[Problem]:
    """Seed: "jusqu'à 15 documents différents"."""
    first: dict[str, str] = {}
    for document in documents if len(documents) > 1 else ():
        if not isinstance(document, Document):
            continue
        same = first.get(document.sha256)
        if same is None:
            first[document.sha256] = document.name
        else:
            message = Message("{name} is the same document as {same}", name=document.name, same=same)
            if same == document.name:
                message = Message("{name} is given twice", name=document.name)
            yield Problem(
                Code.DUPLICATE_DOCUMENT,
                message,
                Message("give it once"),
                document=document.name,
                path=document.path,
            )


def _name(document: Document | UnreadDocument, at_most_bytes: int) -> Problem | None:
    """A name that a clerk can read and a file system can keep; it travels as text, never as a path."""
    name = document.name
    size = len(name.encode("utf-8", "surrogatepass"))
    has_separator = "/" in name or "\\" in name
    if not (has_separator or has_control_characters(name) or size > at_most_bytes):
        return None
    message = Message("the file name {name!a} has characters that cannot be shown", name=name[:60])
    if has_separator:
        message = Message(
            "the file name {name!a} has a slash or backslash, as if it were a path", name=name[:60]
        )
    elif size > at_most_bytes:
        message = Message("the file name {name!a} is too long", name=name[:60])
    return Problem(Code.NAME_NOT_ACCEPTED, message, Message("rename the file"), document=name)


def _format(
    document: Document | UnreadDocument, destination: Destination, catalog: Catalog
) -> Problem | None:
    """Seed: "Les formats de fichiers suivants peuvent être téléchargés"; by extension, in any case."""
    if isinstance(document, UnreadDocument) and document.reason in ("directory", "not-found", "not-regular"):
        return None
    extension = _extension(document.name)
    if extension in destination.formats:
        return None
    given = f".{extension}" if extension else Message("a file without an extension")
    message = Message(
        "{code} does not take {stated}: {name}", code=destination.code, stated=given, name=document.name
    )
    return Problem(
        Code.FORMAT_NOT_ACCEPTED,
        message,
        _format_cure(document, extension, destination, catalog),
        document=document.name,
    )


def _format_cure(
    document: Document | UnreadDocument, extension: str, destination: Destination, catalog: Catalog
) -> Message:
    taken = ", ".join(destination.formats)
    content = document.format if isinstance(document, Document) else None
    twins = [name for name in destination.formats if FORMAT_OF_EXTENSION.get(name) == content]
    if content and twins:
        return Message(
            "its content is {kind}: rename it to end in .{extension}",
            kind=content.upper(),
            extension=twins[0],
        )
    others = [other.code for other in catalog.destinations.values() if extension in other.formats]
    if others:
        return Message(
            "{code} takes {taken}; `--to {other}` takes {extension}",
            code=destination.code,
            taken=taken,
            other=others[0],
            extension=extension,
        )
    return Message("save it as PDF or as a picture: {code} takes {taken}", code=destination.code, taken=taken)


def _extension(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


_UNREAD = {
    "not-found": (
        Code.DOCUMENT_NOT_FOUND,
        Message("there is no file {name}"),
        Message("look at the path and its spelling"),
    ),
    "directory": (
        Code.NOT_A_REGULAR_FILE,
        Message("{name} is a folder"),
        Message("give the files in it; submissions have no folders"),
    ),
    "not-regular": (
        Code.NOT_A_REGULAR_FILE,
        Message("{name} is a pipe, socket or device, not a file"),
        Message("give a file"),
    ),
    "unreadable": (
        Code.UNREADABLE_DOCUMENT,
        Message("{name} cannot be read"),
        Message("look at its permissions and at the disk"),
    ),
    "empty": (
        Code.EMPTY_DOCUMENT,
        Message("{name} is empty, it has 0 bytes"),
        Message("scan or save it again"),
    ),
}


def _unread(document: UnreadDocument, destination: Destination | None, catalog: Catalog) -> Problem:
    if document.reason == "too-large":
        return _too_large(document, destination, catalog)
    code, message, hint = _UNREAD[document.reason]
    return Problem(
        code, message.replace_values(name=document.name), hint, field="documents", document=document.name
    )


def _too_large(document: UnreadDocument, destination: Destination | None, catalog: Catalog) -> Problem:
    """Seed: "une taille maximale de 10 Mo"; "La taille maximale du fichier est de 5 Mo"."""
    size = document.size or 0
    roomiest = max(catalog.destinations.values(), key=lambda known: known.max_document_bytes)
    limit = (destination or roomiest).max_document_bytes
    where = destination.code if destination else Message("every destination")
    message = Message(
        "{name} has {size:,} bytes, {where} takes {limit_in_words} ({limit:,} bytes)",
        name=document.name,
        size=size,
        where=where,
        limit_in_words=format_limit(limit),
        limit=limit,
    )
    hint = Message("scan it at a lower resolution (300 dpi, black and white) or in two parts")
    if size <= roomiest.max_document_bytes:
        hint = Message(
            "the {where} destination takes {limit_in_words}; `--to {code}` takes {more}",
            where=where,
            limit_in_words=format_limit(limit),
            code=roomiest.code,
            more=format_limit(roomiest.max_document_bytes),
        )
    return Problem(Code.DOCUMENT_TOO_LARGE, message, hint, document=document.name)


def _near_limit(document: Document, destination: Destination | None) -> Problem | None:
    if destination is None or document.size <= destination.near_document_bytes:
        return None
    message = Message(
        '{name} has {size:,} bytes: whether the institute\'s "{limit_in_words}" means {less:,} bytes or '
        "{more:,} is not public",
        name=document.name,
        size=document.size,
        limit_in_words=format_limit(destination.max_document_bytes),
        less=destination.near_document_bytes,
        more=destination.max_document_bytes,
    )
    hint = Message("a smaller file is safe")
    return Problem(Code.SIZE_NEAR_LIMIT, message, hint, document=document.name)


_KINDS = {
    "jpeg": Message("a JPEG picture"),
    "tiff": Message("a TIFF picture"),
    "png": Message("a PNG picture"),
    "bmp": Message("a BMP picture"),
    "pdf": Message("a PDF"),
    "bigtiff": Message("a BigTIFF picture"),
    "gif": Message("a GIF picture"),
    "webp": Message("a WebP picture"),
    "heic": Message("a HEIC photo"),
    "zip": Message("a ZIP file or an Office document"),
    "msoffice": Message("an Office document"),
    "rtf": Message("an RTF text"),
    "html": Message("a web page"),
    None: Message("something else"),
}


def _content(document: Document) -> Problem | None:
    """The content is what the extension says, is whole, and opens without a password."""
    promised = FORMAT_OF_EXTENSION.get(_extension(document.name))
    if promised is not None and promised != document.format:
        message = Message(
            "{name} is not {promised}, its content is {found}",
            name=document.name,
            promised=_KINDS[promised],
            found=_KINDS[document.format],
        )
        same = next((name for name, kind in FORMAT_OF_EXTENSION.items() if kind == document.format), None)
        hint = (
            Message("rename it to end in .{same}", same=same)
            if same
            else Message("open it and save or export it as PDF")
        )
        if document.format is None:
            hint = Message("it may be damaged: open it, and save or scan it again")
        return Problem(Code.CONTENT_MISMATCH, message, hint, document=document.name)
    if document.defect == "encrypted":
        message = Message(
            "{name} is an encrypted PDF, which a clerk cannot open without its password", name=document.name
        )
        hint = Message("print it to a new PDF without a password")
        return Problem(Code.ENCRYPTED_PDF, message, hint, document=document.name)
    if document.defect == "damaged":
        message = Message("{name} is damaged or cut short", name=document.name)
        hint = Message("copy, save or scan it again; a download may have broken off")
        return Problem(Code.DAMAGED_DOCUMENT, message, hint, document=document.name)
    return None


def format_limit(limit: int) -> Message:
    """A limit of the catalog as the institute writes it: 10 MB is 10 x 2^20 bytes."""
    return Message("{size:g} MB", size=limit / 2**20)
