"""What is told of work on its way: a line a document, and of a batch a line every few seconds.

Watchers for `service` and for the workers of a batch, where no terminal draws a bar (`progress` has those).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from docsend.language import Phrase, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from docsend.batch import Outcome, Tally
    from docsend.service import Watcher
    from docsend.streams import Streams
    from docsend.submission import Document


class Ends:
    """Counts how the rows of a batch end, and shows it."""

    def __init__(self, tally: Tally, show: Callable[..., None]) -> None:
        self.tally = tally
        self._show = show

    def ended(self, outcome: Outcome) -> None:
        self.tally.add(outcome)
        done = sum(self.tally.counts.values())
        self._show(done, done - self.tally.received)


class Told(NamedTuple):
    """How the progress of a batch is told: with a total, and without."""

    heading: Phrase
    of_total: Phrase
    so_far_only: Phrase

    def so_far(self, done: int, total: int | None) -> Phrase:
        return (
            self.so_far_only.about(done=done)
            if total is None
            else self.of_total.about(done=done, total=total)
        )


CHECKED = Told(
    Phrase("checked"), Phrase("checked {done:,} of {total:,} rows"), Phrase("checked {done:,} rows")
)


SENT = Told(Phrase("sent"), Phrase("sent {done:,} of {total:,} rows"), Phrase("sent {done:,} rows"))


class Heartbeat:
    """Progress of a batch without a terminal: a plain line every few seconds, none for a short one."""

    EVERY_S = 5.0

    def __init__(self, streams: Streams, told: Told, total: int | None) -> None:
        self._streams = streams
        self._told = told
        self._total = total
        self._began = self._last = time.monotonic()

    def __call__(self, done: int, failed: int = 0) -> None:
        now = time.monotonic()
        if now - self._last < self.EVERY_S:
            return
        self._last = now
        rate = done / (now - self._began)
        parts: list[str] = [self._told.so_far(done, self._total)]
        if failed:
            parts.append(Phrase("{count:,} not received", count=failed))
        parts.append(Phrase("{rate:,.0f} a second", rate=rate))
        if self._total and rate:
            parts.append(Phrase("{duration} left", duration=duration((self._total - done) / rate)))
        self._streams.say(joined(parts))


class Lines:
    """Progress without a terminal: a line for each document that has arrived."""

    def __init__(self, streams: Streams, documents: Sequence[Document]) -> None:
        self._streams = streams
        self._documents = documents

    def declared(self, missing_bytes: int) -> None:
        pass

    def sent(self, document: Document, sent_bytes: int) -> None:
        pass

    def arrived(self, document: Document) -> None:
        self._streams.say(arrived(document, self._documents))

    def waiting(self, reason: str, seconds: float) -> None:
        self._streams.say(trying_again(reason, seconds))


class Relay:
    """Passes on what is told, to the watcher of the submission that is on its way: `to`."""

    def __init__(self, to: Watcher) -> None:
        self.to = to

    def declared(self, missing_bytes: int) -> None:
        self.to.declared(missing_bytes)

    def sent(self, document: Document, sent_bytes: int) -> None:
        self.to.sent(document, sent_bytes)

    def arrived(self, document: Document) -> None:
        self.to.arrived(document)

    def waiting(self, reason: str, seconds: float) -> None:
        self.to.waiting(reason, seconds)


def arrived(document: Document, documents: Sequence[Document]) -> Phrase:
    """Say that the service has a document, and which one of its submission's documents it is.

    It is counted by its place among them: the service may have others from an earlier run.
    """
    digests = [each.sha256 for each in documents]
    return Phrase(
        "sent {name}, {size:,} bytes ({number} of {count})",
        name=document.name,
        size=document.size,
        number=digests.index(document.sha256) + 1,
        count=len(documents),
    )


def trying_again(reason: str, seconds: float) -> Phrase:
    return Phrase("{reason}; trying again in {seconds:.1f} s", reason=reason, seconds=seconds)


def duration(seconds: float) -> Phrase:
    if seconds >= 120:
        return Phrase("{minutes:.0f} min", minutes=seconds / 60)
    return Phrase("{seconds:.0f} s", seconds=seconds)
