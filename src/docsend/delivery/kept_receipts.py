"""Asks the service for a receipt again whose copy in the ledger is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.errors import DocsendError, Interrupted
from docsend.i18n import Message
from docsend.service.responses import UnknownSubmission
from docsend.storage import receipts
from docsend.storage.receipts import DamagedReceipt

if TYPE_CHECKING:
    from docsend.i18n import Displayable
    from docsend.model.receipt import Delivery
    from docsend.service.client import ServiceClient
    from docsend.storage.ledger import Ledger
    from docsend.storage.ledger_rows import LedgerEntry


def deliver(entry: LedgerEntry, service: ServiceClient, ledger: Ledger) -> Delivery:
    """Return the delivery by an earlier run, with the service's receipt.

    Raise DamagedReceipt like `fetch`.
    """
    delivery = receipts.earlier_delivery(fetch(entry, service, ledger))
    if delivery is None:
        raise _failure(entry, Message("the ledger has changed"))
    return delivery


def fetch(entry: LedgerEntry, service: ServiceClient, ledger: Ledger) -> LedgerEntry:
    """Replace the damaged receipt of an entry by the service's, and return the entry with it.

    Raise DamagedReceipt if the service cannot be asked, or if it has no receipt that fits the entry.
    """
    try:
        status = service.fetch_status(entry.key, with_token=entry.to == "personal")
    except UnknownSubmission:
        raise _failure(entry, Message("the service does not know this submission")) from None
    except Interrupted:
        raise
    except DocsendError as error:
        raise _failure(entry, error.message) from error
    whole = ledger.find(entry.service, entry.key) or entry  # with its documents
    if status.receipt is None or not receipts.fits(status.receipt, whole):
        raise _failure(entry, Message("the service has no receipt for these documents"))
    return ledger.replace_receipt(whole, status.receipt)


def _failure(entry: LedgerEntry, reason: Displayable) -> DamagedReceipt:
    message = Message(
        "the kept receipt of {key} is damaged, and asking the service for it failed: {reason}",
        key=entry.key[:12],
        reason=reason,
    )
    return DamagedReceipt(message, receipts.fetch_hint(entry))
