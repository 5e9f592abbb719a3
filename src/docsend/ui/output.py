"""Where results go: to people (`human_output`), or as JSON to scripts (`json_output`).

A result is a view: a value that knows both of its forms. No view asks which of them is wanted.
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
    """An object with a list of any length in it, as its last member."""

    head: Mapping[str, Any]
    name: str
    items: Iterable[dict[str, Any]]


class View(Protocol):
    """One result of a command."""

    def as_json(self) -> dict[str, Any] | JsonList | None:
        """Return the object for scripts, or None if they get nothing of it."""

    def show(self, streams: Streams) -> None:
        """Show it to people."""


class Output(Protocol):
    """Takes the results of one run."""

    @property
    def is_paged(self) -> bool:
        """Whether a person reads on a terminal, where a list without an end helps nobody."""

    @property
    def shows_rows(self) -> bool:
        """Whether the rows of a batch are shown one by one."""

    def show(self, view: View) -> None:
        """Show one result; raise LocalFailure if the disk does not take it."""

    def show_final(self, view: View) -> None:
        """Show what the run came to: no signal changes its exit code any more."""

    def fail(self, error: DocsendError, result: SendResult) -> None:
        """Show what the run came to if it failed, on stderr in any case."""

    def document_progress(self, documents: Sequence[Document]) -> AbstractContextManager[ProgressListener]:
        """Watch documents on their way while the block runs."""

    def row_progress(self, texts: ProgressTexts, total: int | None) -> AbstractContextManager[RowProgress]:
        """Show how many rows are done while the block runs; `total` may be unknown."""


class HumanOnly(NamedTuple):
    """A view that scripts get nothing of."""

    view: View

    def as_json(self) -> None:
        """Return None."""

    def show(self, streams: Streams) -> None:
        self.view.show(streams)
