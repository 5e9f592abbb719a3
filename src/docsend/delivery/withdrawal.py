"""Withdrawal of a submission, so that it can never be received."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.errors import Unfinished
from docsend.i18n import Message
from docsend.storage import receipts

if TYPE_CHECKING:
    from docsend.service.client import ServiceClient
    from docsend.service.responses import SubmissionStatus
    from docsend.storage.ledger import Ledger
    from docsend.storage.ledger_rows import LedgerEntry


def withdraw(entry: LedgerEntry, service: ServiceClient, ledger: Ledger) -> LedgerEntry:
    """Withdraw a submission at its service and return its updated ledger entry.

    If the service has already received the submission, store its receipt instead. The entry's state is then
    `received`. Raise the same errors as `ServiceClient.withdraw`, Unfinished if the receipt does not fit the
    entry, and LocalError if the ledger cannot be written.
    """
    status = service.withdraw(entry.key, with_token=entry.to == "personal")
    return _record(status, entry, ledger)


def learn_state(entry: LedgerEntry, service: ServiceClient, ledger: Ledger) -> LedgerEntry:
    """Ask the service whether a submission was received or withdrawn, and return its updated ledger entry.

    Raise the same errors as `ServiceClient.fetch_status`, and the other errors of `withdraw`.
    """
    status = service.fetch_status(entry.key, with_token=entry.to == "personal")
    return entry if status.state == "open" else _record(status, entry, ledger)


def _record(status: SubmissionStatus, entry: LedgerEntry, ledger: Ledger) -> LedgerEntry:
    """Record that a submission was received or withdrawn, and return its updated entry."""
    if status.receipt is None:
        ledger.record_withdrawn(entry.service, entry.key)
    elif not receipts.fits(status.receipt, entry):
        raise Unfinished(
            Message(
                "the service sent an invalid response ({reason})",
                reason=Message("the receipt is for another submission"),
            ),
            cause=Code.CONTRACT_BROKEN,
        )
    else:
        ledger.record_receipt(entry.service, entry.key, status.receipt)
    return ledger.find(entry.service, entry.key) or entry
