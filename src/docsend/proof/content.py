"""What a proof of sending says: what was sent, when, for whom, and what the service answered.

A page to file, as sections of rows and a list of documents, whatever it is written as: `as_text` here,
`pdf` for a PDF, `ui.shapes.proof` for JSON. All of it comes from the receipt and the ledger; the only
thing that neither knows is whom it was for (`--for`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from docsend.i18n import Data, LocalizedName, Message, format_time
from docsend.model.notices import NOT_APPROVED_IN_FULL, NOT_THE_INSTITUTE_IN_FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from docsend.i18n import Displayable
    from docsend.model.catalog import Catalog
    from docsend.model.catalog import CatalogEntry as Row
    from docsend.model.receipt import Receipt, ReceivedDocument
    from docsend.storage.ledger import LedgerEntry

# How the issuer of the sandbox's receipts begins, and the name of the one inside the process.
_SANDBOX_ISSUER, _SANDBOX = "docsend sandbox", "sandbox"

_TITLE = Message("Proof of sending")
_DOCUMENTS = Message("Documents")
_WHAT_A_DIGEST_IS = Message(
    "The SHA-256 identifies a document to the last byte: a file with the same SHA-256 is the one that was "
    "received."
)
_WHERE_FROM = Message(
    "docsend wrote this page from the receipt that it keeps on the sender's computer. The page bears no "
    "signature: what counts is the service's own record, under the receipt's number and the key."
)


@dataclass(frozen=True, slots=True)
class Field:
    """One row of a section. `is_code` if the value is to be compared letter by letter."""

    label: Message
    value: Displayable
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    heading: Message
    rows: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """A page to file. Its data came from outside, and is not safe to show yet."""

    number: str
    received_at: datetime
    notice: Message | None
    sections: tuple[Section, ...]
    documents: tuple[ReceivedDocument, ...]
    title: Message = _TITLE
    status: Message = NOT_APPROVED_IN_FULL
    heading: Message = _DOCUMENTS
    remarks: tuple[Message, ...] = (_WHAT_A_DIGEST_IS, _WHERE_FROM)

    @property
    def subtitle(self) -> Message:
        return Message("Receipt {number}", number=self.number)

    @property
    def total(self) -> Message:
        return Message.plural(
            "1 document, {size:,} bytes",
            "{count} documents, {size:,} bytes",
            len(self.documents),
            size=sum(document.size for document in self.documents),
        )


def build_proof(entry: LedgerEntry, receipt: Receipt, catalog: Catalog, whom: str | None) -> Proof:
    """Put a received submission on a page; `whom` it was for is what the sender says it is."""
    branch = Message("{name} ({code})", name=LocalizedName(receipt.branch_names), code=receipt.branch_code)
    received = [
        Field(Message("Receipt number"), Data(receipt.number)),
        Field(Message("Received at"), Data(format_time(receipt.received_at))),
        Field(Message("Issued by"), Data(receipt.issuer)),
        Field(Message("Branch"), branch),
        Field(Message("Service"), Data(entry.service)),
        Field(Message("Key"), Data(receipt.key), is_code=True),
    ]
    return Proof(
        number=receipt.number,
        received_at=datetime.fromisoformat(receipt.received_at),
        notice=NOT_THE_INSTITUTE_IN_FULL if is_from_sandbox(entry, receipt) else None,
        sections=(
            Section(Message("Receipt"), tuple(received)),
            Section(Message("Submission"), tuple(_sent(entry, catalog, whom))),
        ),
        documents=receipt.documents,
    )


def is_from_sandbox(entry: LedgerEntry, receipt: Receipt) -> bool:
    """Tell whether a receipt is worth nothing outside this machine."""
    return entry.service == _SANDBOX or receipt.issuer.startswith(_SANDBOX_ISSUER)


def file_name(receipt: Receipt) -> str:
    """Give the name of the page's file: the receipt's number, without what could lead elsewhere."""
    number = "".join(
        each if each.isascii() and (each.isalnum() or each in "-_.") else "_" for each in receipt.number
    )
    return f"receipt-{number[:100]}.pdf"


def as_text(proof: Proof, words: Callable[[Displayable], str]) -> str:
    """Give the page as plain lines; `words` makes a text safe and puts it into the reader's language."""
    return "\n".join(_lines(proof, words)) + "\n"


def _lines(proof: Proof, words: Callable[[Displayable], str]) -> Iterator[str]:
    title = words(proof.title)
    yield from (title, "=" * len(title), "", words(proof.subtitle))
    if proof.notice is not None:
        yield words(proof.notice)
    yield words(proof.status)
    for section in proof.sections:
        yield from ("", words(section.heading))
        labels = [words(row.label) for row in section.rows]
        width = max(map(len, labels))
        for label, row in zip(labels, section.rows, strict=True):
            yield f"  {label.ljust(width)}  {words(row.value)}"
    yield from ("", words(proof.heading))
    for number, document in enumerate(proof.documents, 1):
        size = words(Message("{size:,} bytes", size=document.size))
        yield f"  {number}. {words(Data(document.name))}  {size}"
        yield f"     sha256 {words(Data(document.sha256))}"
    yield f"  {words(proof.total)}"
    yield ""
    yield from map(words, proof.remarks)


def _sent(entry: LedgerEntry, catalog: Catalog, whom: str | None) -> Iterator[Field]:
    yield Field(Message("For"), Data(whom) if whom else _nobody_known(entry))
    if entry.reference:
        yield Field(Message("Reference"), Data(entry.reference))
    yield Field(Message("Destination"), _named(entry.to, [catalog.destinations.get(entry.to)]))
    if entry.subject:
        yield Field(Message("Subject"), _named(entry.subject, [catalog.subjects.get(entry.subject)]))
    yield Field(Message("Category"), _named(entry.category, [catalog.categories.get(entry.category)]))
    fitting = (each for each in catalog.types if each.fits(entry.to, entry.subject))
    yield Field(Message("Type"), _named(entry.type, (each for each in fitting if each.code == entry.type)))
    if entry.required:
        yield Field(Message("Asked for as"), Data(entry.required))
    if entry.occurrence > 1:
        yield Field(
            Message("Occurrence"),
            Message("{number} (the same content was sent before)", number=entry.occurrence),
        )


def _nobody_known(entry: LedgerEntry) -> Message:
    """Say that the ledger keeps no identity, and what is there in its place."""
    if entry.to == "personal":
        return Message("the account that was signed in (docsend keeps no identities)")
    if entry.reference:
        return Message("not stated: docsend keeps no identities, only the reference below")
    return Message("not stated: docsend keeps no identities")


def _named(code: str, found: Iterable[Row | None]) -> Displayable:
    """Give a code with its label, as far as the catalog has it."""
    row = next(iter(found), None)
    if row is None:
        return Data(code)
    return Message("{name} ({code})", name=LocalizedName(row.labels), code=code)
