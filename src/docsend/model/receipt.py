"""The receipts that a service returns for submissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.model.problem import Problem


class ReceivedDocument(NamedTuple):
    name: str
    size: int
    sha256: str


class Receipt(NamedTuple):
    """The service's confirmation that it has every document. It means "received", never "approved".

    `issuer` is the name that the service gives itself. `received_at` is an RFC 3339 time as the service wrote
    it. `branch_names` has one name per language. `body` is the complete receipt as canonical JSON. The ledger
    stores it in this form.
    """

    key: str
    number: str
    issuer: str
    received_at: str
    branch_code: str
    branch_names: Mapping[str, str]
    documents: tuple[ReceivedDocument, ...]
    body: bytes


class Delivery(NamedTuple):
    """A receipt, and whether it is new.

    `is_repeated` is true if the service had already issued the receipt, to an earlier run or another sender.
    `is_stored` is true if the receipt is already in the ledger. `notices` are warnings about earlier
    submissions, which appeared while this one was sent.
    """

    receipt: Receipt
    is_repeated: bool
    is_stored: bool = False
    notices: tuple[Problem, ...] = ()
