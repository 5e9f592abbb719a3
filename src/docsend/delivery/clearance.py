"""What the ledger knew of a submission when it was planned, carried along instead of asked for again."""

from __future__ import annotations

from typing import NamedTuple


class Clearance(NamedTuple):
    """Leave to send what is planned.

    `may_be_received` if an earlier try may have brought a receipt; `is_begun` if the service may have been
    told of it, as far as the ledger knows.
    """

    may_be_received: bool = True
    may_be_declared: bool = True
