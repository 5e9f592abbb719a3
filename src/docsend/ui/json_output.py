"""Results for scripts: JSON, one object a line (docs/json.md); no bars."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from docsend import signals
from docsend.errors import LocalError
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

# Of a long list: what stays in memory, and what is written at once.
_HELD_BYTES, _PIECE = 8 * 2**20, 2**20
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class JsonOutput:
    """See `Output`."""

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
            # The first failure keeps its exit code: it says what to do next.
            self._streams.say_error(unwritten.message)

    @contextlib.contextmanager
    def document_progress(self, documents: Sequence[Document]) -> Iterator[ProgressListener]:
        yield LineProgress(self._streams, documents)

    @contextlib.contextmanager
    def row_progress(self, told: ProgressTexts, total: int | None) -> Iterator[RowProgress]:
        yield NoRowProgress() if self._streams.is_quiet else RowProgressLines(self._streams, told, total)

    def _write(self, value: Mapping[str, Any]) -> None:
        self._streams.write(_text(value) + "\n")

    def _write_list(self, long: JsonList) -> None:
        """Write it as a whole or, if an item fails, not at all."""
        from tempfile import SpooledTemporaryFile

        with SpooledTemporaryFile(_HELD_BYTES, "w+", encoding="utf-8", newline="") as text:
            text.write(_text({**long.head, long.name: []}).removesuffix("]}"))
            for count, item in enumerate(long.items):
                text.write((", " if count else "") + _text(item))
            text.write("]}\n")
            text.seek(0)
            while piece := text.read(_PIECE):
                self._streams.write(piece)


def _text(value: Mapping[str, Any]) -> str:
    """Return JSON that stdout can write and no terminal takes for anything else."""
    stream = sys.stdout
    plain = not stream or (stream.encoding or "").lower().replace("-", "") != "utf8"
    # A lone surrogate, as in the name of a file that is not UTF-8, can only be written escaped.
    text = json.dumps(value, ensure_ascii=plain)
    # In JSON these stand in texts only, and an escape is the same character.
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
