"""The receipts that the ledger stores: parsed, and held against their checksum and their own entry."""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING

from docsend.errors import LocalError
from docsend.i18n import LANGUAGES, Message
from docsend.model.canonical import canonicalize
from docsend.model.receipt import Delivery, Receipt, ReceivedDocument
from docsend.storage.identity_key import documents_digest

if TYPE_CHECKING:
    from docsend.storage.ledger_rows import LedgerEntry


class MalformedReceipt(ValueError):
    """Raised when bytes are not a valid receipt."""


class DamagedReceipt(LocalError):
    """Raised when the receipt of one submission cannot be believed. Other submissions are not affected."""

    affects_all = False


def parse(body: bytes) -> Receipt:
    """Parse a receipt from the ledger. Raise MalformedReceipt if a member is missing or has a wrong type.

    This parser is more lenient than the parser of responses (`service.reading`), because ledgers also contain
    receipts that older versions stored.
    """
    try:
        raw = json.loads(body)
        datetime.fromisoformat(raw["received_at"])
        receipt = Receipt(
            key=_text(raw["key"]),
            number=_text(raw["number"]),
            issuer=_text(raw["issuer"]),
            received_at=_text(raw["received_at"]),
            branch_code=_text(raw["branch"]["code"]),
            # Names in other languages are ignored, like any unknown member.
            branch_names={
                language: _text(name)
                for language, name in raw["branch"]["name"].items()
                if language in LANGUAGES
            },
            documents=tuple(
                ReceivedDocument(
                    _text(document["name"]), _count(document["bytes"]), _text(document["sha256"])
                )
                for document in raw["documents"]
            ),
            body=canonicalize(raw),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise MalformedReceipt("not a receipt") from None
    if not receipt.number or not receipt.documents or not receipt.branch_names.get("en"):
        raise MalformedReceipt("not a receipt")
    return receipt


def stored_receipt(entry: LedgerEntry) -> Receipt | None:
    """Return the stored receipt of a submission, or None if it has none.

    Raise DamagedReceipt if the stored bytes are not the receipt that was stored, or if it does not belong to
    the entry.
    """
    if entry.receipt is None:
        return None
    with contextlib.suppress(MalformedReceipt):
        receipt = parse(entry.receipt)
        if hashlib.sha256(entry.receipt).digest() == entry.receipt_sha256 and fits(receipt, entry):
            return receipt
    raise DamagedReceipt(
        Message("the kept receipt of {key} is damaged", key=entry.key[:12]), fetch_hint(entry)
    )


def fetch_hint(entry: LedgerEntry) -> Message:
    """Return the hint to ask the service for a receipt again."""
    return Message("run `docsend receipts show {key} --ask`: it asks the service for it", key=entry.key[:12])


def is_damaged(entry: LedgerEntry) -> bool:
    """Return whether an entry has a receipt that is damaged, or another submission's."""
    try:
        stored_receipt(entry)
    except DamagedReceipt:
        return True
    return False


def fits(receipt: Receipt, entry: LedgerEntry) -> bool:
    """Return whether a receipt is for the submission of an entry: for its key and its documents.

    Names and sizes are compared only if the entry was read with its documents.
    """
    if receipt.key != entry.key or entry.document_count not in (None, len(receipt.documents)):
        return False
    if entry.documents:
        kept = [(document.name, document.size, document.sha256) for document in entry.documents]
        return kept == [tuple(document) for document in receipt.documents]
    digest = documents_digest(document.sha256 for document in receipt.documents)
    return entry.documents_sha256 in (None, digest)


def earlier_delivery(entry: LedgerEntry) -> Delivery | None:
    """Return the delivery by an earlier run, with the stored receipt, or None if there is no receipt.

    Raise DamagedReceipt like `stored_receipt`.
    """
    receipt = stored_receipt(entry)
    return Delivery(receipt, is_repeated=True, is_stored=True) if receipt else None


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not an integer")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
