"""Notices shown with every receipt: one line in the terminal, the full text in the proof."""

from __future__ import annotations

from docsend.i18n import Message

NOT_APPROVED = Message('"received" means that the service has everything; it does not mean approved')
NOT_APPROVED_IN_FULL = Message(
    '"Received" means that the service has every document listed here. It does not mean that anything '
    "has been approved: that is decided later, by others."
)
NOT_THE_INSTITUTE_IN_FULL = Message(
    "For testing only: the sandbox issued this receipt. Nothing has reached the institute."
)
NOT_THE_INSTITUTE = Message("sandbox: nothing here reaches the institute")
