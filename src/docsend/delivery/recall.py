"""Receipts of an earlier run for rows that this run did not reach.

A report replaces the one of an earlier run. If a run ends early, its report must not lack the receipts that
the earlier report had, so they are taken from the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.errors import LocalError
from docsend.model.submission import CheckedSubmission
from docsend.storage import receipts

if TYPE_CHECKING:
    from docsend.delivery.batch import Batch, Outcome
    from docsend.delivery.preflight import PreflightResult
    from docsend.manifest.row import Row
    from docsend.storage.ledger import Ledger


class EarlierReceipts:
    """What the ledger knows about the rows of a batch that were not tried."""

    def __init__(self, batch: Batch, plan: PreflightResult, ledger: Ledger, service: str) -> None:
        self._batch = batch
        self._known_keys = plan.known_keys
        self._ledger = ledger
        self._service = service
        self._has_failed = False

    def complete(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a row that was not tried as received before, if the ledger has its receipt.

        If the ledger knows the row without a receipt, add its key: the service may have received it.
        """
        if outcome.status != "not tried" or self._has_failed:
            return outcome
        try:
            key = self._known_keys.get(outcome.row.number) or self._personal_key(outcome.row)
            entry = self._ledger.find(self._service, key) if key else None
            receipt = receipts.stored_receipt(entry) if entry else None
        except receipts.DamagedReceipt:
            return outcome
        except LocalError:
            self._has_failed = True  # one that does not work is not asked for each of the rows
            return outcome
        if receipt is not None:
            return outcome._replace(status="received", receipt=receipt, is_repeated=True, known_key=key)
        return outcome._replace(known_key=key) if entry else outcome

    def _personal_key(self, row: Row) -> str | None:
        """Return the key of a personal submission, which the first pass did not know without the account."""
        destination = self._batch.catalog.destinations.get(row.submission.to or "")
        if self._batch.account is None or destination is None or not destination.is_personal:
            return None
        submission = self._batch.check_row(self._batch.read_row(row, buffer=False)).submission
        return submission.key if isinstance(submission, CheckedSubmission) else None
