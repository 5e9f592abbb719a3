"""The end of a submission that is not to be received."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.service.client import ServiceClient
    from docsend.storage.ledger import Ledger, LedgerEntry


def withdraw(entry: LedgerEntry, service: ServiceClient, ledger: Ledger) -> LedgerEntry:
    """Fence a submission off at its service, and return what the ledger has of it then.

    One that had been received all the same is received: its receipt is stored.
    """
    status = service.withdraw(entry.key, with_token=entry.to == "personal")
    if status.receipt is None:
        ledger.record_withdrawn(entry.service, entry.key)
    else:
        ledger.record_receipt(entry.service, entry.key, status.receipt)
    return ledger.find(entry.service, entry.key) or entry
