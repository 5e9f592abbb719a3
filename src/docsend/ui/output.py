"""Interfaces of the output of a command: for people (`human_output`), or JSON for scripts (`json_output`).

A result is a view: a value that can be shown to people and converted to JSON. A view does not know which of
the two was requested.
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
    """JSON object whose last member, `name`, is a list of any length."""

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
        """Whether results go to a person at a terminal, so that long lists should be cut."""

    @property
    def shows_rows(self) -> bool:
        """Whether each row of a batch is shown as a result."""

    def show(self, view: View) -> None:
        """Show one result; raise LocalError if it cannot be written."""

    def show_final(self, view: View) -> None:
        """Show the outcome of the run. From then on no signal changes its exit code."""

    def fail(self, error: DocsendError, result: SendResult) -> None:
        """Report that the run failed: on stderr in any case, and as a result where the output has one."""

    def document_progress(self, documents: Sequence[Document]) -> AbstractContextManager[ProgressListener]:
        """Show the upload of documents while the block runs; yield the listener to notify."""

    def row_progress(self, texts: ProgressTexts, total: int | None) -> AbstractContextManager[RowProgress]:
        """Show how many rows are done while the block runs; `total` is None if it is unknown."""


class HumanOnly(NamedTuple):
    """View without its JSON."""

    view: View

    def as_json(self) -> None:
        """Return None: scripts get nothing."""

    def show(self, streams: Streams) -> None:
        self.view.show(streams)
