"""Receipts as bytes: what the service wrote, and what the ledger kept of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from docsend.errors import LocalError
from docsend.i18n import LANGUAGES, Message
from docsend.model.canonical import canonicalize
from docsend.model.receipt import Delivery, Receipt, ReceivedDocument

if TYPE_CHECKING:
    from docsend.storage.ledger import LedgerEntry


class MalformedReceipt(ValueError):
    """These bytes are not a receipt of the contract."""


def parse(body: bytes) -> Receipt:
    """Read a receipt as the ledger kept it; raise MalformedReceipt if anything in it is missing.

    What comes from a service is read more strictly (`service.reading`); ledgers have older ones, too.
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
            # Names in further languages are members that nobody knows here, and are passed over.
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
    """Give the receipt that the ledger keeps of a submission, if it was received."""
    if entry.receipt is None:
        return None
    try:
        return parse(entry.receipt)
    except MalformedReceipt as error:
        raise LocalError(
            Message("the ledger's receipt of {key} is damaged", key=entry.key[:12]),
            Message("restore the ledger from a copy"),
        ) from error


def earlier_delivery(entry: LedgerEntry) -> Delivery | None:
    """Give what an earlier run came to, if it came to a receipt."""
    receipt = stored_receipt(entry)
    return Delivery(receipt, is_repeated=True, is_stored=True) if receipt else None


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
