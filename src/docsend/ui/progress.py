"""Progress as plain lines: one for each document, and occasional ones for a batch or a pause.

These listeners are used where there is no terminal. The module `bars` draws bars on a terminal.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from docsend.i18n import Message, join

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from docsend.model.document import Document
    from docsend.service.progress import Pause, ProgressListener
    from docsend.ui.terminal import Streams


class RowProgress(Protocol):
    """Listener that shows pauses, and how many rows of a batch are done. Several threads may call it.

    After a stop, the remaining rows are not done, so how long they would take is not shown.
    """

    def update(self, done: int, failed: int = 0, *, is_stopping: bool = False) -> None: ...

    def on_pause(self, pause: Pause) -> None: ...


class NoRowProgress:
    """`RowProgress` that shows nothing."""

    def update(self, done: int, failed: int = 0, *, is_stopping: bool = False) -> None:
        pass

    def on_pause(self, pause: Pause) -> None:
        pass


class ProgressTexts(NamedTuple):
    """Texts that show the progress of a batch: a heading, a text with the total, and one without it."""

    heading: Message
    with_total: Message
    without_total: Message

    def message(self, done: int, total: int | None) -> Message:
        """Return the text for `done` rows of `total`, which is None if unknown."""
        return (
            self.without_total.with_values(done=done)
            if total is None
            else self.with_total.with_values(done=done, total=total)
        )


CHECKED_TEXTS = ProgressTexts(
    Message("checking"), Message("checked {done:,} of {total:,} rows"), Message("checked {done:,} rows")
)


SENT_TEXTS = ProgressTexts(
    Message("sent"), Message("sent {done:,} of {total:,} rows"), Message("sent {done:,} rows")
)


class RowProgressLines:
    """`RowProgress` that prints a line with the time of day every five seconds. A short batch prints none."""

    INTERVAL_S = 5.0

    def __init__(self, streams: Streams, texts: ProgressTexts, total: int | None) -> None:
        self._streams = streams
        self._texts = texts
        self._total = total
        self._started_at = self._printed_at = time.monotonic()
        self._pauses = _PauseLines(streams.say_event)

    def on_pause(self, pause: Pause) -> None:
        self._pauses.on_pause(pause)

    def update(self, done: int, failed: int = 0, *, is_stopping: bool = False) -> None:
        now = time.monotonic()
        if now - self._printed_at < self.INTERVAL_S:
            return
        self._printed_at = now
        rate = done / (now - self._started_at)
        parts: list[Message] = [self._texts.message(done, self._total)]
        if failed:
            parts.append(Message("{count:,} not received", count=failed))
        if is_stopping:
            parts.append(Message("stopping"))
        else:
            if rate >= 1:
                parts.append(Message("{rate:,.0f} a second", rate=rate))
            elif rate:
                parts.append(Message("{rate:,.0f} a minute", rate=60 * rate))
            if self._total and rate:
                left_s = (self._total - done) / rate
                parts.append(Message("{duration} left", duration=format_duration(left_s)))
        self._streams.say_event(join(parts))


class _PauseLines:
    """Prints why the run is waiting: at once for the first pause, then at most every 20 seconds."""

    INTERVAL_S = 20.0

    def __init__(self, say: Callable[[Message], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._silent_until = 0.0

    def on_pause(self, pause: Pause) -> None:
        with self._lock:
            now = time.monotonic()
            is_due = now >= self._silent_until
            if is_due:
                self._silent_until = now + self.INTERVAL_S
        if is_due:
            self._say(retry_message(pause, pause.seconds))


class LineProgress:
    """`ProgressListener` that prints a line for each document that has arrived."""

    def __init__(self, streams: Streams, documents: Sequence[Document]) -> None:
        self._streams = streams
        self._documents = documents
        self.on_pause = _PauseLines(streams.say).on_pause

    def on_declared(self, missing_bytes: int) -> None:
        pass

    def on_sent(self, document: Document, sent_bytes: int) -> None:
        pass

    def on_document_stored(self, document: Document) -> None:
        self._streams.say(document_sent_message(document, self._documents))

    def on_received(self, documents: Sequence[Document]) -> None:
        for document in documents:
            self.on_document_stored(document)


class ForwardingListener:
    """Passes every event to `target`, the listener of the submission that is being sent."""

    def __init__(self, target: ProgressListener) -> None:
        self.target = target

    def on_declared(self, missing_bytes: int) -> None:
        self.target.on_declared(missing_bytes)

    def on_sent(self, document: Document, sent_bytes: int) -> None:
        self.target.on_sent(document, sent_bytes)

    def on_document_stored(self, document: Document) -> None:
        self.target.on_document_stored(document)

    def on_received(self, documents: Sequence[Document]) -> None:
        self.target.on_received(documents)

    def on_pause(self, pause: Pause) -> None:
        self.target.on_pause(pause)


def document_sent_message(document: Document, documents: Sequence[Document]) -> Message:
    """Return the message that a document has arrived, with the document's position in `documents`.

    The message does not count uploads, because the service may already have some of the documents from an
    earlier run.
    """
    digests = [each.sha256 for each in documents]
    return Message(
        "sent {name}, {size:,} bytes ({number} of {count})",
        name=document.name,
        size=document.size,
        number=digests.index(document.sha256) + 1,
        count=len(documents),
    )


def retry_message(pause: Pause, seconds: float) -> Message:
    """Return the message for a pause with `seconds` left.

    It contains the reason, and for how long new attempts may still start.
    """
    return Message(
        "{reason}; retrying in {seconds:.0f} s (giving up in {left})",
        reason=pause.reason,
        seconds=max(seconds, 1),
        left=format_duration(max(pause.patience_left_s, 1)),
    )


def format_duration(seconds: float) -> Message:
    """Return a duration in hours if it is at least 2 h, in minutes if at least 2 min, else in seconds."""
    if seconds >= 2 * 3600:
        return Message("{hours:.0f} h", hours=seconds / 3600)
    if seconds >= 120:
        return Message("{minutes:.0f} min", minutes=seconds / 60)
    return Message("{seconds:.0f} s", seconds=seconds)
