"""Rows of a card that shows a receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.i18n import Data, LocalizedName, Message, format_time

if TYPE_CHECKING:
    from docsend.i18n import Displayable
    from docsend.model.receipt import Receipt


def receipt_rows(receipt: Receipt) -> list[tuple[Displayable, Displayable]]:
    """Return the labels and values of a receipt, without its documents."""
    branch = Message("{name} ({code})", name=LocalizedName(receipt.branch_names), code=receipt.branch_code)
    return [
        (Message("receipt"), Data(receipt.number)),
        (Message("issued by"), Data(receipt.issuer)),
        (Message("received at"), Data(format_time(receipt.received_at))),
        (Message("branch"), branch),
        (Message("key"), Data(receipt.key)),
    ]


def document_rows(receipt: Receipt) -> list[tuple[Displayable, Displayable]]:
    """Return rows (label, value): one row for all received documents, then one for each document."""
    total = sum(document.size for document in receipt.documents)
    count = len(receipt.documents)
    return [
        (Message("documents"), Message("{count}, {size:,} bytes", count=count, size=total)),
        *[
            (
                Data(""),
                Message(
                    "{name}  {size:,} bytes  sha256 {digest}",
                    name=document.name,
                    size=document.size,
                    digest=document.sha256[:16],
                ),
            )
            for document in receipt.documents
        ],
    ]
