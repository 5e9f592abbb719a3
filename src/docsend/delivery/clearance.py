"""What the ledger knew of a submission when it was planned, passed on to save a second query."""

from __future__ import annotations

from typing import NamedTuple


class Clearance(NamedTuple):
    """Permission to send a planned submission.

    `may_be_received` is false only if no earlier attempt can have led to a receipt. `may_be_declared` is
    false only if, as far as the ledger knows, the service has no declaration of the submission.
    """

    may_be_received: bool = True
    may_be_declared: bool = True
