"""The progress bars of a terminal: for the bytes of a submission, for the rows of a batch."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from docsend.language import Phrase, joined
from docsend.streams import safe
from docsend.watchers import arrived, trying_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from docsend.language import Reader
    from docsend.submission import Document
    from docsend.watchers import Told


_DRAWN_S = 0.1  # how often rows are told: to draw each would take longer than to check it


class _Bar:
    def __init__(self, progress: Progress, documents: Sequence[Document], reader: Reader) -> None:
        self._progress = progress
        self._reader = reader
        total = sum(document.size for document in documents)
        self._task = progress.add_task(reader.text(Phrase("declaring")), total=total)
        self._done = 0
        self._documents = documents

    def declared(self, missing_bytes: int) -> None:
        self._progress.update(self._task, total=missing_bytes)

    def sent(self, document: Document, sent_bytes: int) -> None:
        self._progress.update(
            self._task, description=_shortened(safe(document.name)), completed=self._done + sent_bytes
        )

    def arrived(self, document: Document) -> None:
        self._done += document.size
        self._print(arrived(document, self._documents))

    def waiting(self, reason: str, seconds: float) -> None:
        self._print(trying_again(reason, seconds))

    def _print(self, line: Phrase) -> None:
        self._progress.console.print(Text(self._reader.text(line, safe=safe, isolated=True)))


@contextlib.contextmanager
def bar(documents: Sequence[Document], reader: Reader) -> Iterator[_Bar]:
    """Draw on stderr while the block runs; give the watcher that moves the bar."""
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, highlight=False, emoji=False, markup=False),
        transient=True,
        expand=True,
        redirect_stdout=False,  # results go where they are meant to go, also into a file
    )
    with progress:
        yield _Bar(progress, documents, reader)


@contextlib.contextmanager
def rows(told: Told, total: int | None, reader: Reader) -> Iterator[Callable[..., None]]:
    """Draw how many rows of a batch have ended while the block runs; give what is told the numbers.

    Without a total it is drawn only when it is told: a thread that draws would keep a crew from beginning.
    """
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[counts]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, highlight=False, emoji=False, markup=False),
        transient=True,
        expand=True,
        redirect_stdout=False,  # results go where they are meant to go, also into a file
        auto_refresh=total is not None,
    )
    drawn = 0.0
    task = progress.add_task(reader.text(told.heading), total=total, counts="")

    def count(done: int, failed: int = 0) -> None:
        nonlocal drawn
        now = time.monotonic()
        if total is None and now - drawn < _DRAWN_S:
            return
        drawn = now
        elapsed = progress.tasks[0].elapsed or 0
        so_far = Phrase("{done:,} rows") if total is None else Phrase("{done:,}/{total:,} rows")
        parts: list[str] = [so_far.about(done=done, total=total)]
        if failed:
            parts.append(Phrase("{count:,} not received", count=failed))
        if elapsed > 1:
            parts.append(Phrase("{rate:,.0f} a second", rate=done / elapsed))
        counts = reader.text(joined(parts), isolated=True)
        progress.update(task, completed=done, counts=counts, refresh=total is None)

    with progress:
        yield count


def _shortened(name: str, most: int = 24) -> str:
    return name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
