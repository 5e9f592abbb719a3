"""Progress bars for a terminal: the bytes of a submission, and the rows of a batch."""

from __future__ import annotations

import contextlib
import math
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

from docsend.i18n import Message, join
from docsend.text import escape_for_terminal
from docsend.ui.progress import document_sent_message, retry_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from docsend.i18n import Translator
    from docsend.model.document import Document
    from docsend.service.progress import Pause
    from docsend.ui.progress import ProgressTexts, RowProgress


# Redrawing after every row would take longer than checking the row.
_REDRAW_INTERVAL_S = 0.1


class _PausingProgress(Progress):
    """Progress bar that counts down a pause on a line below it. The line disappears when the pause ends."""

    translator: Translator
    _pause: Pause | None = None
    _pause_ends_at = 0.0

    def on_pause(self, pause: Pause) -> None:
        self._pause, self._pause_ends_at = pause, time.monotonic() + pause.seconds

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        left = self._pause_ends_at - time.monotonic()
        if self._pause is not None and left > 0:
            gone = self._pause.seconds - left
            now = self._pause._replace(patience_left_s=self._pause.patience_left_s - gone)
            line = retry_message(now, math.ceil(left))
            yield Text(self.translator.render(line, escape=escape_for_terminal, isolate=True))


class _DocumentBar:
    """Progress listener that shows how many bytes of a submission have been sent."""

    def __init__(
        self, progress: _PausingProgress, documents: Sequence[Document], translator: Translator
    ) -> None:
        self._progress = progress
        self._translator = translator
        total = sum(document.size for document in documents)
        self._task = progress.add_task(translator.render(Message("contacting the service")), total=total)
        self._sent_bytes = dict.fromkeys((document.sha256 for document in documents), 0)
        self._documents = documents
        self.on_pause = progress.on_pause

    def on_declared(self, missing_bytes: int) -> None:
        self._sent_bytes = dict.fromkeys(self._sent_bytes, 0)
        self._progress.update(self._task, total=missing_bytes, completed=0)

    def on_sent(self, document: Document, sent_bytes: int) -> None:
        self._sent_bytes[document.sha256] = sent_bytes
        description = _truncate(escape_for_terminal(document.name))
        self._progress.update(self._task, description=description, completed=sum(self._sent_bytes.values()))

    def on_document_stored(self, document: Document) -> None:
        self._sent_bytes[document.sha256] = document.size
        self._print(document_sent_message(document, self._documents))

    def on_received(self, documents: Sequence[Document]) -> None:
        for document in documents:
            self.on_document_stored(document)

    def _print(self, line: Message) -> None:
        self._progress.console.print(
            Text(self._translator.render(line, escape=escape_for_terminal, isolate=True))
        )


@contextlib.contextmanager
def document_bar(documents: Sequence[Document], translator: Translator) -> Iterator[_DocumentBar]:
    """Draw a bar on stderr while the block runs. Yield the listener that moves the bar."""
    progress = _PausingProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, highlight=False, emoji=False, markup=False),
        transient=True,
        expand=True,
        redirect_stdout=False,  # stdout may be a file, where results must arrive unchanged
    )
    progress.translator = translator
    with progress:
        yield _DocumentBar(progress, documents, translator)


class _RowBar:
    """`RowProgress` that draws a bar. If the total is unknown, only `update` redraws the bar."""

    def __init__(
        self, progress: _PausingProgress, texts: ProgressTexts, total: int | None, translator: Translator
    ) -> None:
        self._progress = progress
        self._translator = translator
        self._total = total
        self._drawn_at = 0.0
        self._task = progress.add_task(translator.render(texts.heading), total=total, counts="")
        self.on_pause = progress.on_pause

    def update(self, done: int, failed: int = 0, *, is_stopping: bool = False) -> None:
        if is_stopping:
            columns = self._progress.columns
            self._progress.columns = tuple(c for c in columns if not isinstance(c, TimeRemainingColumn))
        now = time.monotonic()
        if self._total is None and now - self._drawn_at < _REDRAW_INTERVAL_S:
            return
        self._drawn_at = now
        elapsed = self._progress.tasks[0].elapsed or 0
        so_far = Message("{done:,} rows") if self._total is None else Message("{done:,}/{total:,} rows")
        parts: list[Message] = [so_far.with_values(done=done, total=self._total)]
        if failed:
            parts.append(Message("{count:,} not received", count=failed))
        if is_stopping:
            parts.append(Message("stopping"))
        elif elapsed > 1:
            parts.append(Message("{rate:,.0f} a second", rate=done / elapsed))
        counts = self._translator.render(join(parts), isolate=True)
        self._progress.update(self._task, completed=done, counts=counts, refresh=self._total is None)


@contextlib.contextmanager
def row_bar(texts: ProgressTexts, total: int | None, translator: Translator) -> Iterator[RowProgress]:
    """Show how many rows of a batch are done while the block runs. Yield the listener that moves the bar.

    If the total is unknown, the bar is redrawn only when the listener is called.
    """
    progress = _PausingProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[counts]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, highlight=False, emoji=False, markup=False),
        transient=True,
        expand=True,
        redirect_stdout=False,  # stdout may be a file, where results must arrive unchanged
        auto_refresh=total is not None,
    )
    progress.translator = translator
    with progress:
        yield _RowBar(progress, texts, total, translator)


def _truncate(name: str, max_length: int = 24) -> str:
    return name if len(name) <= max_length else name[: max_length - 1] + "\N{HORIZONTAL ELLIPSIS}"
