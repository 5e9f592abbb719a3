"""The institute's rules for documents: number, size, format, content and file name.

Without a destination, only the rules that all destinations share are checked. A rule is a function, as in
`field_rules`.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from docsend.checks import defect_rules
from docsend.checks.formats.detect import FORMAT_OF_EXTENSION
from docsend.codes import Code
from docsend.i18n import Message
from docsend.model.document import Document, UnreadDocument
from docsend.model.problem import Problem
from docsend.text import escape_control_characters, has_control_characters, strip_invisible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docsend.model.catalog import Catalog, Destination

_BY_NAME = attrgetter("name", "sha256")


def check(
    documents: tuple[Document | UnreadDocument, ...],
    destination: Destination | None,
    catalog: Catalog,
    problems: list[Problem],
) -> tuple[Document, ...]:
    """Check documents against every rule and append each violation to `problems`.

    Return the documents that could be read, sorted by name.

    Source: "Il est possible de télécharger jusqu'à 15 documents différents, chaque fichier ayant une taille
    maximale de 10 Mo." (Up to 15 different documents can be uploaded, each file of at most 10 MB.)
    """
    if not documents:
        problems.append(Problem(Code.DOCUMENTS_MISSING, Message("no document given")))
    limit = destination.max_documents if destination else None
    if limit is not None and len(documents) > limit:
        message = Message(
            "too many documents: {count} ({destination} accepts at most {limit})",
            count=len(documents),
            destination=destination.code if destination else "",
            limit=limit,
        )
        hint = Message("send the rest in a second submission")
        problems.append(Problem(Code.TOO_MANY_DOCUMENTS, message, hint))
    if len(documents) > 1:
        problems.extend(_find_duplicates(documents))
    for document in documents:
        found = _document_problems(document, destination, catalog)
        problems += [replace(problem, path=document.path) for problem in found if problem is not None]
    readable = [document for document in documents if isinstance(document, Document)]
    problems.extend(defect_rules.find_common_problems(readable))
    return tuple(sorted(readable, key=_BY_NAME))


def _document_problems(
    document: Document | UnreadDocument, destination: Destination | None, catalog: Catalog
) -> tuple[Problem | None, ...]:
    name = _check_name(document, catalog.texts.document_name)
    format_ = _check_format(document, destination, catalog) if destination is not None else None
    if isinstance(document, UnreadDocument):
        return name, format_, _unread_problem(document, destination, catalog)
    return name, format_, *_content_problems(document), _check_near_limit(document, destination)


def _find_duplicates(documents: tuple[Document | UnreadDocument, ...]) -> Iterator[Problem]:
    """Yield a problem for each document with the same content as an earlier one in `documents`.

    Source: "jusqu'à 15 documents différents" (up to 15 different documents).
    """
    names: dict[str, str] = {}  # by digest
    for document in documents:
        if not isinstance(document, Document):
            continue
        other = names.get(document.sha256)
        if other is None:
            names[document.sha256] = document.name
        else:
            message = Message(
                "duplicate document: {name} has the same content as {other}", name=document.name, other=other
            )
            if other == document.name:
                message = Message("document given twice: {name}", name=document.name)
            yield Problem(
                Code.DUPLICATE_DOCUMENT,
                message,
                Message("give each document once"),
                document=document.name,
                path=document.path,
            )


def _check_name(document: Document | UnreadDocument, max_bytes: int) -> Problem | None:
    """Check that the name has no separators or control characters and is not too long.

    A clerk has to read it and a file system has to store it. It is sent as text, never as a path.
    """
    name = document.name
    size = len(name.encode("utf-8", "surrogatepass"))
    has_separator = "/" in name or "\\" in name
    if not (has_separator or has_control_characters(name) or size > max_bytes):
        return None
    # Only the characters that must not be there are escaped, so that the name stays readable in any script.
    quoted = Message.verbatim(f'"{escape_control_characters(name[:60])}"')
    message = Message(
        "invalid file name {name}: it contains characters that cannot be displayed", name=quoted
    )
    if has_separator:
        message = Message("invalid file name {name}: it contains a slash or backslash", name=quoted)
    elif size > max_bytes:
        message = Message("file name too long: {name} (at most {limit} bytes)", name=quoted, limit=max_bytes)
    return Problem(Code.NAME_NOT_ACCEPTED, message, Message("rename the file"), document=name)


def _check_format(
    document: Document | UnreadDocument, destination: Destination, catalog: Catalog
) -> Problem | None:
    """Check that the destination accepts the extension, in upper or lower case.

    Source: "Les formats de fichiers suivants peuvent être téléchargés : JPEG, JPG, TIFF, TIF, PNG, BMP, PDF."
    (The following file formats can be uploaded.) For the personal service: "Vous pouvez télécharger les
    formats de documents suivants : JPG, PNG, TIF, TIFF et PDF." (You can upload the following document
    formats.)
    """
    if isinstance(document, UnreadDocument) and document.reason in (
        "directory",
        "not-found",
        "not-regular",
    ):
        return None
    extension = _extension(document.name)
    if extension in destination.formats:
        return None
    if strip_invisible(extension) in destination.formats:
        return Problem(
            Code.FORMAT_NOT_ACCEPTED,
            Message('file name ends with a blank or an invisible mark: "{name}"', name=document.name),
            Message("rename the file, without the last character"),
            document=document.name,
        )
    given = f".{extension}" if extension else Message("files without an extension")
    message = Message(
        "file format not accepted: {name} ({code} does not accept {given})",
        name=document.name,
        code=destination.code,
        given=given,
    )
    return Problem(
        Code.FORMAT_NOT_ACCEPTED,
        message,
        _format_hint(document, extension, destination, catalog),
        document=document.name,
    )


def _format_hint(
    document: Document | UnreadDocument, extension: str, destination: Destination, catalog: Catalog
) -> Message:
    accepted = ", ".join(destination.formats)
    content = document.format if isinstance(document, Document) else None
    matching = [name for name in destination.formats if FORMAT_OF_EXTENSION.get(name) == content]
    if content and matching:
        return Message(
            "rename it to end in .{extension}: its content is {kind}",
            extension=matching[0],
            kind=content.upper(),
        )
    others = [other.code for other in catalog.destinations.values() if extension in other.formats]
    if others:
        return Message(
            "convert it to a format that {code} accepts ({accepted}); the destination {other} accepts "
            "{extension}",
            code=destination.code,
            accepted=accepted,
            other=others[0],
            extension=extension,
        )
    return Message(
        "save it as a PDF or an image: {code} accepts {accepted}", code=destination.code, accepted=accepted
    )


def _extension(name: str) -> str:
    """Return the extension in lower case, or "" if there is none, as in "README" or ".profile"."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


_UNREAD_PROBLEMS = {
    "not-found": (
        Code.DOCUMENT_NOT_FOUND,
        Message("there is no file {name}"),
        Message("check the path and its spelling"),
    ),
    "directory": (
        Code.NOT_A_REGULAR_FILE,
        Message("not a file: {name} is a folder"),
        Message("give the files inside the folder"),
    ),
    "not-regular": (
        Code.NOT_A_REGULAR_FILE,
        Message("not a file: {name} is a pipe, socket or device"),
        Message("give a regular file"),
    ),
    "unreadable": (
        Code.UNREADABLE_DOCUMENT,
        Message("cannot read {name}"),
        Message("check the file's permissions and the disk"),
    ),
    "empty": (
        Code.EMPTY_DOCUMENT,
        Message("empty file: {name} has 0 bytes"),
        Message("scan or save it again"),
    ),
}


def _unread_problem(document: UnreadDocument, destination: Destination | None, catalog: Catalog) -> Problem:
    if document.reason == "too-large":
        return _too_large_problem(document, destination, catalog)
    code, message, hint = _UNREAD_PROBLEMS[document.reason]
    return Problem(
        code, message.with_values(name=document.name), hint, field="documents", document=document.name
    )


def _too_large_problem(
    document: UnreadDocument, destination: Destination | None, catalog: Catalog
) -> Problem:
    """Return the problem for a document that is larger than the destination accepts.

    Source: "chaque fichier ayant une taille maximale de 10 Mo" (each file of at most 10 MB). For the personal
    service: "La taille maximale du fichier est de 5 Mo." (The maximum file size is 5 MB.)
    """
    size = document.size or 0
    largest = max(catalog.destinations.values(), key=lambda entry: entry.max_document_bytes)
    limit = (destination or largest).max_document_bytes
    where = destination.code if destination else Message("every destination")
    message = Message(
        "document too large: {name} has {size:,} bytes "
        "({where} accepts at most {limit:,} bytes, which is {limit_in_words})",
        name=document.name,
        size=size,
        where=where,
        limit=limit,
        limit_in_words=format_limit(limit),
    )
    hint = Message("scan it at a lower resolution (300 dpi, black and white) or in two parts")
    if size <= largest.max_document_bytes:
        hint = Message(
            "scan it at a lower resolution; {where} accepts at most {limit_in_words}, but {code} accepts "
            "{more}",
            where=where,
            limit_in_words=format_limit(limit),
            code=largest.code,
            more=format_limit(largest.max_document_bytes),
        )
    return Problem(Code.DOCUMENT_TOO_LARGE, message, hint, document=document.name)


def _check_near_limit(document: Document, destination: Destination | None) -> Problem | None:
    """Return a warning if the document is accepted only if a megabyte means 2**20 bytes."""
    if destination is None or document.size <= destination.near_document_bytes:
        return None
    message = Message(
        "size near the limit: {name} has {size:,} bytes (the institute does not say whether "
        '"{limit_in_words}" means {less:,} or {more:,} bytes)',
        name=document.name,
        size=document.size,
        limit_in_words=format_limit(destination.max_document_bytes),
        less=destination.near_document_bytes,
        more=destination.max_document_bytes,
    )
    hint = Message(
        "reduce the file to {less:,} bytes or less to be safe", less=destination.near_document_bytes
    )
    return Problem(Code.SIZE_NEAR_LIMIT, message, hint, document=document.name)


FORMAT_NAMES = {
    "jpeg": Message("a JPEG image"),
    "tiff": Message("a TIFF image"),
    "png": Message("a PNG image"),
    "bmp": Message("a BMP image"),
    "pdf": Message("a PDF"),
    "bigtiff": Message("a BigTIFF image"),
    "avif": Message("an AVIF photo"),
    "ico": Message("a Windows icon"),
    "jpeg2000": Message("a JPEG 2000 image"),
    "jpegxl": Message("a JPEG XL image"),
    "photoshop": Message("a Photoshop image"),
    "postscript": Message("a PostScript file"),
    "gif": Message("a GIF image"),
    "webp": Message("a WebP image"),
    "heic": Message("a HEIC photo"),
    "zip": Message("a ZIP file or an Office document"),
    "msoffice": Message("an Office document"),
    "rtf": Message("an RTF document"),
    "html": Message("a web page"),
    "svg": Message("an SVG image"),
    "xml": Message("an XML file"),
    None: Message("an unknown kind of file"),
}


_IMAGES = ("avif", "bigtiff", "gif", "heic", "ico", "jpeg2000", "jpegxl", "photoshop", "svg", "webp")


def _content_problems(document: Document) -> list[Problem]:
    """Check that the content matches the extension, is complete, and can be read by a clerk."""
    expected = FORMAT_OF_EXTENSION.get(strip_invisible(_extension(document.name)))
    actual = "tiff" if document.format == "bigtiff" else document.format
    if expected is not None and expected != actual:
        return [_content_mismatch(document, expected)]
    if not document.defects:
        return []
    find = functools.partial(defect_rules.find_problem, document.name, document.format)
    return [problem for problem in map(find, document.defects) if problem is not None]


def _content_mismatch(document: Document, expected: str) -> Problem:
    message = Message(
        "content does not match the extension: {name} is {actual}, not {expected}",
        name=document.name,
        actual=FORMAT_NAMES[document.format],
        expected=FORMAT_NAMES[expected],
    )
    extension = next(
        (name for name, format_ in FORMAT_OF_EXTENSION.items() if format_ == document.format), None
    )
    hint = Message("open it and save or export it as a PDF")
    if extension:
        hint = Message("rename it to end in .{extension}", extension=extension)
    elif document.format is None:
        hint = Message("open it and check that it is not damaged, then save or scan it again")
    elif document.format in _IMAGES:
        hint = Message("open it and save it as a JPEG image")
    return Problem(Code.CONTENT_MISMATCH, message, hint, document=document.name)


def format_limit(limit: int) -> Message:
    """Return a limit, given in bytes, as a message in megabytes of 2**20 bytes, such as "10 MB"."""
    return Message("{size:g} MB", size=limit / 2**20)
