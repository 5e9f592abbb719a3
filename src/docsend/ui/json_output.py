"""Output for scripts: JSON, one object per line (docs/json.md), without progress bars."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from docsend import signals
from docsend.errors import LocalError
from docsend.text import escape_json
from docsend.ui.output import JsonList
from docsend.ui.progress import LineProgress, NoRowProgress, RowProgressLines
from docsend.ui.views.failure import say_failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from docsend.errors import DocsendError
    from docsend.model.document import Document
    from docsend.service.progress import ProgressListener
    from docsend.ui.output import View
    from docsend.ui.progress import ProgressTexts, RowProgress
    from docsend.ui.send_result import SendResult
    from docsend.ui.terminal import Streams

# For long lists: bytes kept in memory before a temporary file is used, and characters per write to stdout.
_MAX_MEMORY_BYTES, _CHUNK_SIZE = 8 * 2**20, 2**20


class JsonOutput:
    """The `Output` for scripts."""

    is_paged = False
    shows_rows = True

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def show(self, view: View) -> None:
        value = view.as_json()
        if isinstance(value, JsonList):
            self._write_list(value)
        elif value is not None:
            self._write(value)

    def show_final(self, view: View) -> None:
        signals.ignore_next_signal()
        self.show(view)

    def fail(self, error: DocsendError, result: SendResult) -> None:
        signals.ignore_next_signal()
        unwritten = None
        try:
            self._write(result.as_json())
        except LocalError as failure:
            unwritten = failure
        say_failure(self._streams, error, result.problems)
        if unwritten is not None:
            # The exit code stays that of the first error, which determines what to do next.
            self._streams.say_error(unwritten.message)

    @contextlib.contextmanager
    def document_progress(self, documents: Sequence[Document]) -> Iterator[ProgressListener]:
        yield LineProgress(self._streams, documents)

    @contextlib.contextmanager
    def row_progress(self, texts: ProgressTexts, total: int | None) -> Iterator[RowProgress]:
        yield NoRowProgress() if self._streams.is_quiet else RowProgressLines(self._streams, texts, total)

    def _write(self, value: Mapping[str, Any]) -> None:
        self._streams.write(_dumps(value) + "\n")

    def _write_list(self, value: JsonList) -> None:
        """Write the complete list, or nothing if producing an item raises."""
        from tempfile import SpooledTemporaryFile

        with SpooledTemporaryFile(_MAX_MEMORY_BYTES, "w+", encoding="utf-8", newline="") as text:
            text.write(_dumps({**value.head, value.name: []}).removesuffix("]}"))
            for count, item in enumerate(value.items):
                text.write((", " if count else "") + _dumps(item))
            text.write("]}\n")
            text.seek(0)
            while chunk := text.read(_CHUNK_SIZE):
                self._streams.write(chunk)


def _dumps(value: Mapping[str, Any]) -> str:
    """Return JSON that stdout can encode and that contains no terminal control characters."""
    stream = sys.stdout
    plain = not stream or (stream.encoding or "").lower().replace("-", "") != "utf8"
    # Lone surrogates (from file names that are not UTF-8) can only be written as escapes.
    return escape_json(json.dumps(value, ensure_ascii=plain))
