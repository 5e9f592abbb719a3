"""Interfaces for a command's output, either for people (`human_output`) or as JSON (`json_output`).

Each result is a view, a value that can be shown to people and converted to JSON. A view does not know whether
text or JSON was requested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from docsend.errors import DocsendError
    from docsend.model.document import Document
    from docsend.service.progress import ProgressListener
    from docsend.ui.progress import ProgressTexts, RowProgress
    from docsend.ui.send_result import SendResult
    from docsend.ui.terminal import Streams


class JsonList(NamedTuple):
    """JSON object with the members of `head` and one more: its name is `name`, and its value is a list.

    The list contains `items`. It may be of any length, because they are written one at a time.
    """

    head: Mapping[str, Any]
    name: str
    items: Iterable[dict[str, Any]]


class View(Protocol):
    """One result of a command."""

    def as_json(self) -> dict[str, Any] | JsonList | None:
        """Return the JSON object for scripts, or None if the view is for people only."""

    def show(self, streams: Streams) -> None:
        """Print the view for people."""


class Output(Protocol):
    """Output of one run."""

    @property
    def is_paged(self) -> bool:
        """Whether results go to a terminal, where long lists should be shortened."""

    @property
    def shows_rows(self) -> bool:
        """Whether each row of a batch is shown as a result."""

    def show(self, view: View) -> None:
        """Show one result. Raise LocalError if it cannot be written."""

    def show_final(self, view: View) -> None:
        """Show the outcome of the run. From then on, the first signal no longer changes the exit code."""

    def fail(self, error: DocsendError, result: SendResult) -> None:
        """Report that the run failed: on stderr and, if the output is JSON, also as a result."""

    def document_progress(self, documents: Sequence[Document]) -> AbstractContextManager[ProgressListener]:
        """Show the upload of documents while the block runs. Yield the listener to notify."""

    def row_progress(self, texts: ProgressTexts, total: int | None) -> AbstractContextManager[RowProgress]:
        """Show how many rows are done while the block runs. Yield the listener to notify.

        `total` is the number of all rows, or None if it is unknown.
        """


class HumanOnly(NamedTuple):
    """A view that only people see. It has no JSON."""

    view: View

    def as_json(self) -> None:
        """Return None, because scripts get nothing."""

    def show(self, streams: Streams) -> None:
        self.view.show(streams)
