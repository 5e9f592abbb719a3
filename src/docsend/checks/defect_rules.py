"""What to say about each defect of a document: an error or a warning, and its cure. See docs/documents.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.i18n import Message, join
from docsend.model.document import Defect
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docsend.model.document import DefectKind, Document

_SAVE_AGAIN = Message("copy, download, save or scan it again")
_GET_AGAIN = Message("get it again as bytes: no program on its way may treat it as text")
_DEFECT_PROBLEMS: dict[DefectKind, tuple[Code, Message, Message]] = {
    "altered": (
        Code.DOCUMENT_ALTERED,
        Message("altered document: {name} was converted as if it were text, which destroyed its content"),
        _GET_AGAIN,
    ),
    "chunked": (
        Code.DOCUMENT_ALTERED,
        Message(
            "altered document: {name} contains chunk sizes of an HTTP transfer, and parts may be unreadable"
        ),
        Message("download it again with a program that decodes chunked transfers"),
    ),
    "damaged": (Code.DAMAGED_DOCUMENT, Message("damaged or truncated document: {name}"), _SAVE_AGAIN),
    "lines-altered": (
        Code.DOCUMENT_ALTERED,
        Message("altered document: a program converted line endings in {name}, and parts may be unreadable"),
        _GET_AGAIN,
    ),
    "lengths-wrong": (
        Code.DOCUMENT_ALTERED,
        Message("altered document: parts of {name} are longer or shorter than it says"),
        Message("open it in a viewer and check that no page is blank, or get it again"),
    ),
    "needs-certificate": (
        Code.ENCRYPTED_PDF,
        Message("encrypted PDF: {name} needs a certificate or a special program to be opened"),
        Message("save or print it as a PDF without encryption"),
    ),
    "needs-password": (
        Code.ENCRYPTED_PDF,
        Message("encrypted PDF: {name} cannot be opened without its password"),
        Message("open it with the password and save or print it as a PDF without one"),
    ),
    "no-page": (Code.DAMAGED_DOCUMENT, Message("PDF without pages: {name}"), Message("create it again")),
    "not-decoded": (
        Code.NOT_DECODED,
        Message("not fully checked: {name} could not be decoded completely"),
        Message("open it in a viewer and check that it is readable"),
    ),
    "password-unknown": (
        Code.PASSWORD_UNKNOWN,
        Message("encrypted PDF: whether {name} opens without a password was not checked"),
        Message("open it in a viewer. If that asks for a password, save or print it as a PDF without one"),
    ),
    "portfolio": (
        Code.PORTFOLIO_PDF,
        Message("PDF portfolio: {name} is a cover sheet with attached files, which many viewers do not show"),
        Message("send the attached files themselves, or print them to a PDF"),
    ),
    "repaired": (
        Code.REPAIRED_BY_VIEWERS,
        Message("slightly damaged: {name} has damage that viewers repair silently"),
        Message("open it in a viewer and check that nothing is missing, or save it again"),
    ),
    "unusual": (
        Code.UNVIEWABLE_IMAGE,
        Message("unusual image: {name} is a kind of {format} image that common viewers cannot open"),
        Message("open it in the program that created it, and save it as an ordinary image"),
    ),
    "xfa": (
        Code.XFA_FORM,
        Message("XFA form: many viewers do not show the pages of {name}"),
        Message("open it in Adobe Reader and print it to a PDF"),
    ),
}
_NO_DECODER = Defect("not-decoded", ("unavailable",))
_WARNINGS = ("chunked", "lengths-wrong", "lines-altered")
_OPERATIONS = {
    "printing": Message("printing"),
    "changing": Message("changes"),
    "copying": Message("copying"),
    "commenting": Message("comments"),
    "sharp-printing": Message("printing in high quality"),
}


def find_problem(name: str, format_name: str | None, defect: Defect) -> Problem | None:
    """Return the problem for a defect. Without a decoder, a doubt remains without a word.

    That the decoders do not work is said once, by `find_common_problems`.
    """
    if defect.kind == "doubtful" or defect == _NO_DECODER:
        return None
    if defect.kind == "restricted":
        return _restricted_problem(name, defect)
    if defect.kind == "rare":
        return _rare_problem(name, format_name, defect)
    if defect.kind == "repaired" and defect.details:
        return _lost_pages_problem(name)
    code, message, hint = _DEFECT_PROBLEMS[defect.kind]
    values = {"name": name, "format": (format_name or "").upper()}
    used = {key: value for key, value in values.items() if f"{{{key}}}" in message.template}
    return Problem(
        code, message.with_values(**used), hint, document=name, is_warning=defect.kind in _WARNINGS
    )


def find_common_problems(documents: Iterable[Document]) -> list[Problem]:
    """Return the problems that concern the computer rather than a single document."""
    if _NO_DECODER not in [defect for document in documents for defect in document.defects]:
        return []
    message = Message("not fully checked: the decoders pikepdf and Pillow do not work on this computer")
    hint = Message(
        "run `{command}` with the Python of docsend to see why, and install them again",
        command='python -c "import pikepdf, PIL.Image"',
    )
    return [Problem(Code.NOT_DECODED, message, hint)]


def _restricted_problem(name: str, defect: Defect) -> Problem:
    message = Message("restricted PDF: {name} is encrypted, but opens without a password", name=name)
    if defect.details:
        message = Message(
            "restricted PDF: {name} opens without a password, but forbids {operations}",
            name=name,
            operations=join([_OPERATIONS[operation] for operation in defect.details]),
        )
    hint = Message(
        "the institute does not say whether it accepts such files; an unrestricted copy or a scan is safer"
    )
    return Problem(Code.RESTRICTED_PDF, message, hint, document=name)


def _lost_pages_problem(name: str) -> Problem:
    message = Message("slightly damaged: {name} refers to further pages that are not in it", name=name)
    hint = Message("open it in a viewer and check that all pages are there, or save it again")
    return Problem(Code.REPAIRED_BY_VIEWERS, message, hint, document=name)


def _rare_problem(name: str, format_name: str | None, defect: Defect) -> Problem:
    variant, *compression = defect.details or ((format_name or "").upper(),)
    message = Message(
        "rare image: {name} is a kind of {variant} image that some viewers cannot open",
        name=name,
        variant=variant,
    )
    if compression:
        message = Message(
            "rare image: {name} is a {variant} image with {compression} compression, "
            "which some viewers cannot open",
            name=name,
            variant=variant,
            compression=compression[0],
        )
    return Problem(Code.RARE_IMAGE, message, Message("save it as an ordinary image or a PDF"), document=name)
