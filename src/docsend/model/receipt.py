"""What comes back from a service: receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class ReceivedDocument(NamedTuple):
    name: str
    size: int
    sha256: str


class Receipt(NamedTuple):
    """The service's answer that it has everything. It says "received", never "approved".

    `issuer` is what the service calls itself; `received_at` an RFC 3339 time as the service wrote it;
    `branch_names` has one name a language.
    `body` is all that the service wrote, as canonical JSON: what the ledger keeps.
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
    """A receipt.

    `is_repeated` if it had been given before, to an earlier run or to somebody else; `is_stored` if the
    ledger has it already.
    """

    receipt: Receipt
    is_repeated: bool
    is_stored: bool = False
