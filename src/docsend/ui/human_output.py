"""Output for people: tables, cards and progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from docsend import signals
from docsend.ui.progress import LineProgress, NoRowProgress, RowProgressLines
from docsend.ui.views.failure import say_failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from docsend.errors import DocsendError
    from docsend.model.document import Document
    from docsend.service.progress import ProgressListener
    from docsend.ui.output import View
    from docsend.ui.progress import ProgressTexts, RowProgress
    from docsend.ui.send_result import SendResult
    from docsend.ui.terminal import Streams


class HumanOutput:
    """The `Output` for people."""

    shows_rows = False

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    @property
    def is_paged(self) -> bool:
        return self._streams.is_interactive(sys.stdout)

    def show(self, view: View) -> None:
        view.show(self._streams)

    def show_final(self, view: View) -> None:
        signals.ignore_next_signal()
        self.show(view)

    def fail(self, error: DocsendError, result: SendResult) -> None:
        signals.ignore_next_signal()
        say_failure(self._streams, error, result.problems)

    @contextlib.contextmanager
    def document_progress(self, documents: Sequence[Document]) -> Iterator[ProgressListener]:
        """Show a bar on a terminal, and one line per document elsewhere."""
        if self._streams.is_quiet or not self._streams.is_interactive(sys.stderr):
            yield LineProgress(self._streams, documents)
            return
        from docsend.ui.bars import document_bar

        with document_bar(documents, self._streams.translator) as listener:
            yield listener

    @contextlib.contextmanager
    def row_progress(self, texts: ProgressTexts, total: int | None) -> Iterator[RowProgress]:
        """Show a bar on a terminal, and a line every few seconds elsewhere."""
        if self._streams.is_quiet:
            yield NoRowProgress()
        elif self._streams.is_interactive(sys.stderr):
            from docsend.ui.bars import row_bar

            with row_bar(texts, total, self._streams.translator) as shown:
                yield shown
        else:
            yield RowProgressLines(self._streams, texts, total)
