"""Interface through which a call reports its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docsend.i18n import Message
    from docsend.model.document import Document


class ProgressListener(Protocol):
    """Listener for the progress of calls. Its methods may be called in another thread."""

    def on_declared(self, missing_bytes: int) -> None:
        """Report that the service has the declaration, and still needs `missing_bytes` of documents."""

    def on_sent(self, document: Document, sent_bytes: int) -> None:
        """Report that `sent_bytes` of the document have been sent. A retry starts again at 0."""

    def on_document_stored(self, document: Document) -> None:
        """Report that the service has a complete document of a staged submission."""

    def on_received(self, documents: Sequence[Document]) -> None:
        """Report that the service has received a submission of these documents in one exchange."""

    def on_pause(self, pause: Pause) -> None:
        """Report that the next attempt starts after this pause."""


class Pause(NamedTuple):
    """Pause before an attempt, with its reason and its length in seconds.

    `patience_left_s` is the time in seconds during which new attempts may still start.
    """

    reason: Message
    seconds: float
    patience_left_s: float
