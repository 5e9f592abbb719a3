"""Parsing of the receipts that the ledger stores."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from docsend.errors import LocalError
from docsend.i18n import LANGUAGES, Message
from docsend.model.canonical import canonicalize
from docsend.model.receipt import Delivery, Receipt, ReceivedDocument

if TYPE_CHECKING:
    from docsend.storage.ledger_rows import LedgerEntry


class MalformedReceipt(ValueError):
    """Raised when bytes are not a valid receipt."""


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

    Raise LocalError if the stored bytes are not a receipt.
    """
    if entry.receipt is None:
        return None
    try:
        return parse(entry.receipt)
    except MalformedReceipt as error:
        raise LocalError(
            Message("the receipt of {key} in the ledger is damaged", key=entry.key[:12]),
            Message("restore the ledger from a backup"),
        ) from error


def earlier_delivery(entry: LedgerEntry) -> Delivery | None:
    """Return the delivery by an earlier run, with the stored receipt, or None if there is no receipt.

    Raise LocalError if the stored bytes are not a receipt.
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
