"""Who is told of a call on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docsend.i18n import Message
    from docsend.model.document import Document


class ProgressListener(Protocol):
    """Somebody who wants to see how a call goes. Its methods may be called in another thread."""

    def declared(self, missing_bytes: int) -> None:
        """The service has the declaration and lacks documents of so many bytes."""

    def sent(self, document: Document, sent_bytes: int) -> None:
        """So many bytes of the document have left; the number falls back to 0 when a try is repeated."""

    def arrived(self, document: Document) -> None:
        """The service has the whole document, of a submission that goes staged."""

    def received(self, documents: Sequence[Document]) -> None:
        """The service has received a submission of these documents, in one exchange."""

    def waiting(self, pause: Pause) -> None:
        """A try failed, or may not begin yet; the next one begins after this pause."""


class Pause(NamedTuple):
    """Why and for how many seconds a call waits, and how many are left in which further tries may begin."""

    reason: Message
    seconds: float
    patience_left_s: float
