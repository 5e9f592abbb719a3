"""What the ledger knew of a submission when its plan was recorded. Passing this on saves a second query."""

from __future__ import annotations

from typing import NamedTuple


class Clearance(NamedTuple):
    """Permission to send a submission whose plan is in the ledger, with what the ledger knew of it.

    If `may_be_received` is false, no earlier attempt can have led to a receipt. If `may_be_declared` is
    false, the ledger knows of no declaration at the service. Both default to true, the cautious assumption.
    """

    may_be_received: bool = True
    may_be_declared: bool = True
