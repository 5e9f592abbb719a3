"""The progress bars of a terminal: for the bytes of a submission, for the rows of a batch."""

from __future__ import annotations

import contextlib
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

from docsend.console import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docsend.submission import CheckedSubmission, Document


class _Bar:
    def __init__(self, progress: Progress, checked: CheckedSubmission) -> None:
        self._progress = progress
        self._task = progress.add_task("declaring", total=checked.total_bytes)
        self._done = 0
        self._count = len(checked.documents)
        self._arrived = 0

    def declared(self, missing_bytes: int) -> None:
        self._progress.update(self._task, total=missing_bytes)

    def sent(self, document: Document, sent_bytes: int) -> None:
        self._progress.update(
            self._task, description=_shortened(safe(document.name)), completed=self._done + sent_bytes
        )

    def arrived(self, document: Document) -> None:
        self._done += document.size
        self._arrived += 1
        line = f"sent {safe(document.name)}, {document.size:,} bytes ({self._arrived} of {self._count})"
        self._progress.console.print(Text(line))

    def waiting(self, reason: str, seconds: float) -> None:
        self._progress.console.print(Text(f"{safe(reason)}; trying again in {seconds:.1f} s"))


@contextlib.contextmanager
def bar(checked: CheckedSubmission) -> Iterator[_Bar]:
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
        yield _Bar(progress, checked)


@contextlib.contextmanager
def rows(verb: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Draw how many rows of a batch have ended while the block runs; give what is told the numbers."""
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[counts]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, highlight=False, emoji=False, markup=False),
        transient=True,
        expand=True,
        redirect_stdout=False,  # results go where they are meant to go, also into a file
    )
    task = progress.add_task(verb, total=total, counts="")
    of_total = f"/{total:,}" if total is not None else ""

    def count(done: int, failed: int = 0) -> None:
        elapsed = progress.tasks[0].elapsed or 0
        rate = f", {done / elapsed:.0f}/s" if elapsed > 1 else ""
        not_received = f", {failed:,} not received" if failed else ""
        progress.update(task, completed=done, counts=f"{done:,}{of_total} rows{not_received}{rate}")

    with progress:
        yield count


def _shortened(name: str, most: int = 24) -> str:
    return name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
