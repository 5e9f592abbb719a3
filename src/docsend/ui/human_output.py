"""Results for people: tables, cards, bars; plain lines where no terminal draws."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from docsend import signals
from docsend.ui.progress import Heartbeat, Lines, Silence
from docsend.ui.views.failure import tell_failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from docsend.errors import DocsendError
    from docsend.model.document import Document
    from docsend.service.watcher import Watcher
    from docsend.ui.output import View
    from docsend.ui.progress import RowProgress, Told
    from docsend.ui.result import Result
    from docsend.ui.terminal import Streams


class HumanOutput:
    """See `Output`."""

    takes_rows = False

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    @property
    def pages(self) -> bool:
        return self._streams.draws(sys.stdout)

    def show(self, view: View) -> None:
        view.show(self._streams)

    def conclude(self, view: View) -> None:
        signals.settle()
        self.show(view)

    def fail(self, error: DocsendError, result: Result) -> None:
        signals.settle()
        tell_failure(self._streams, error, result.problems)

    @contextlib.contextmanager
    def watching(self, documents: Sequence[Document]) -> Iterator[Watcher]:
        """With a bar on a terminal, a line a document elsewhere."""
        if self._streams.is_quiet or not self._streams.draws(sys.stderr):
            yield Lines(self._streams, documents)
            return
        from docsend.ui.bars import bar

        with bar(documents, self._streams.translator) as watcher:
            yield watcher

    @contextlib.contextmanager
    def counting(self, told: Told, total: int | None) -> Iterator[RowProgress]:
        """With a bar on a terminal, a line every few seconds elsewhere."""
        if self._streams.is_quiet:
            yield Silence()
        elif self._streams.draws(sys.stderr):
            from docsend.ui.bars import rows

            with rows(told, total, self._streams.translator) as shown:
                yield shown
        else:
            yield Heartbeat(self._streams, told, total)
