"""Content of a proof of sending: what was sent, when, on whose behalf, and what the service confirmed.

The content does not depend on the format. It consists of sections and a list of documents. `as_text` writes
it as plain text, and `pdf` as a PDF. `ui.to_json.proof` writes a proof as JSON from the same data. The data
comes from the receipt and the ledger, and the labels from the catalog. Only the name given with `--for` is
stored nowhere.
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
    from docsend.storage.ledger_rows import LedgerEntry

# Prefix of the issuer in the receipts of a sandbox, and the service name of the built-in sandbox.
_SANDBOX_ISSUER, _SANDBOX = "docsend sandbox", "sandbox"

_TITLE = Message("Proof of sending")
_DOCUMENTS = Message("Documents")
_DIGEST_REMARK = Message(
    "The SHA-256 value identifies a document exactly: a file with the same SHA-256 value is "
    "identical, byte for byte, to the document that was received."
)
_ORIGIN_REMARK = Message(
    "docsend produced this page from the receipt stored on the sender's computer. The page is "
    "not signed. The authoritative record is the service's own, under the receipt number and "
    "key shown on this page."
)


@dataclass(frozen=True, slots=True)
class Field:
    """A label with its value. `is_code` is true for a value that readers compare character by character."""

    label: Message
    value: Displayable
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its rows."""

    heading: Message
    rows: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """Content of a proof. Values may come from outside and must be escaped before they are shown."""

    number: str
    received_at: datetime
    notice: Message | None
    sections: tuple[Section, ...]
    documents: tuple[ReceivedDocument, ...]
    title: Message = _TITLE
    status: Message = NOT_APPROVED_IN_FULL
    heading: Message = _DOCUMENTS
    remarks: tuple[Message, ...] = (_DIGEST_REMARK, _ORIGIN_REMARK)

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


def build_proof(entry: LedgerEntry, receipt: Receipt, catalog: Catalog, on_behalf_of: str | None) -> Proof:
    """Return the proof of a received submission.

    `on_behalf_of` is the name given with `--for`, or None. The name is not verified.
    """
    branch = Message("{name} ({code})", name=LocalizedName(receipt.branch_names), code=receipt.branch_code)
    receipt_rows = [
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
            Section(Message("Receipt"), tuple(receipt_rows)),
            Section(Message("Submission"), tuple(_submission_rows(entry, catalog, on_behalf_of))),
        ),
        documents=receipt.documents,
    )


def is_from_sandbox(entry: LedgerEntry, receipt: Receipt) -> bool:
    """Return whether a sandbox issued the receipt. Such a receipt proves nothing about the institute."""
    return entry.service == _SANDBOX or receipt.issuer.startswith(_SANDBOX_ISSUER)


def file_name(receipt: Receipt) -> str:
    """Return the PDF's file name: "receipt-" and the receipt number, with unsafe characters as "_"."""
    number = "".join(
        char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in receipt.number
    )
    return f"receipt-{number[:100]}.pdf"


def as_text(proof: Proof, render: Callable[[Displayable], str]) -> str:
    """Return the proof as plain text. `render` translates a value and escapes it."""
    return "\n".join(_lines(proof, render)) + "\n"


def _lines(proof: Proof, render: Callable[[Displayable], str]) -> Iterator[str]:
    title = render(proof.title)
    yield from (title, "=" * len(title), "", render(proof.subtitle))
    if proof.notice is not None:
        yield render(proof.notice)
    yield render(proof.status)
    for section in proof.sections:
        yield from ("", render(section.heading))
        labels = [render(row.label) for row in section.rows]
        width = max(map(len, labels))
        for label, row in zip(labels, section.rows, strict=True):
            yield f"  {label.ljust(width)}  {render(row.value)}"
    yield from ("", render(proof.heading))
    for number, document in enumerate(proof.documents, 1):
        size = render(Message("{size:,} bytes", size=document.size))
        yield f"  {number}. {render(Data(document.name))}  {size}"
        yield f"     sha256 {render(Data(document.sha256))}"
    yield f"  {render(proof.total)}"
    yield ""
    yield from map(render, proof.remarks)


def _submission_rows(entry: LedgerEntry, catalog: Catalog, on_behalf_of: str | None) -> Iterator[Field]:
    yield Field(Message("For"), Data(on_behalf_of) if on_behalf_of else _text_without_name(entry))
    if entry.reference:
        yield Field(Message("Reference"), Data(entry.reference))
    yield Field(Message("Destination"), _label_and_code(entry.to, [catalog.destinations.get(entry.to)]))
    if entry.subject:
        yield Field(Message("Subject"), _label_and_code(entry.subject, [catalog.subjects.get(entry.subject)]))
    yield Field(
        Message("Category"), _label_and_code(entry.category, [catalog.categories.get(entry.category)])
    )
    fitting = (type_ for type_ in catalog.types if type_.fits(entry.to, entry.subject))
    yield Field(
        Message("Type"), _label_and_code(entry.type, (type_ for type_ in fitting if type_.code == entry.type))
    )
    if entry.required:
        yield Field(Message("Required document"), Data(entry.required))
    if entry.occurrence > 1:
        yield Field(
            Message("Occurrence"),
            Message("{number} (the same content was sent before)", number=entry.occurrence),
        )


def _text_without_name(entry: LedgerEntry) -> Message:
    """Return the text of the row "For" if no name was given. The ledger stores no identities."""
    if entry.to == "personal":
        return Message("the account signed in at the time (docsend does not store identity numbers)")
    if entry.reference:
        return Message("docsend does not store identity numbers, only the reference below")
    return Message("docsend does not store identity numbers")


def _label_and_code(code: str, rows: Iterable[Row | None]) -> Displayable:
    """Return a code with the label of the first catalog entry in `rows`, or the code if there is none."""
    row = next(iter(rows), None)
    if row is None:
        return Data(code)
    return Message("{name} ({code})", name=LocalizedName(row.labels), code=code)
