"""What the ledger knew of a submission when its plan was recorded. Passing this on saves a second query."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from docsend.model.problem import Problem
    from docsend.storage.ledger_rows import LedgerEntry


class Clearance(NamedTuple):
    """Permission to send a submission, with what the ledger knew of it when its plan was recorded.

    If `is_planned` is false, the plan is not in the ledger yet: the service has to be asked about earlier
    submissions first. `notices` are warnings about these.

    If `may_be_received` is false, no earlier attempt can have led to a receipt. If `may_be_declared` is
    false, the ledger knows of no declaration at the service. Both default to true, the cautious assumption.

    `damaged` is the entry of a submission that was received, if its kept receipt is damaged. Nothing is sent
    then: the service is asked for the receipt.
    """

    may_be_received: bool = True
    may_be_declared: bool = True
    is_planned: bool = True
    notices: tuple[Problem, ...] = ()
    damaged: LedgerEntry | None = None
