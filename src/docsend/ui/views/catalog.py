"""Views of the catalog: its entries, the result of an update, and the required documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.i18n import Data, LocalizedName, Message, join
from docsend.ui import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docsend.model.catalog import CatalogEntry
    from docsend.model.required import RequiredDocument
    from docsend.ui.terminal import Streams


class CatalogRows(NamedTuple):
    """Catalog entries that match `words`, with their kinds. Labels are shown in the reader's language."""

    rows: Sequence[tuple[str, CatalogEntry]]
    words: str

    def as_json(self) -> dict[str, Any]:
        rows = [to_json.catalog_row(kind, row) for kind, row in self.rows]
        return {"schema": "docsend.catalog-rows/1", "rows": rows}

    def show(self, streams: Streams) -> None:
        if not self.rows:
            streams.say(Message("nothing in the catalog matches {words!r}", words=self.words))
            return
        streams.print_table(
            ("kind", "code", "label", "belongs to"),
            [
                (Data(kind), Data(row.code), LocalizedName(row.labels), _parent(row))
                for kind, row in self.rows
            ],
        )


class CatalogUpdate(NamedTuple):
    """Result of `catalog --update`.

    If `alone` is false, catalog entries are shown after this view, and the JSON contains only them.
    """

    version: str
    is_new: bool
    alone: bool

    def as_json(self) -> dict[str, Any] | None:
        if not self.alone:
            return None
        return {"schema": "docsend.catalog-update/1", "version": self.version, "updated": self.is_new}

    def show(self, streams: Streams) -> None:
        if self.is_new:
            streams.say(Message("now using the service's catalog of {version}", version=self.version))
        else:
            streams.say(Message("the catalog is up to date"))


class RequiredList(NamedTuple):
    """Documents that the service requires of the signed-in account."""

    documents: Sequence[RequiredDocument]

    def as_json(self) -> dict[str, Any]:
        required = [to_json.required(document) for document in self.documents]
        return {"schema": "docsend.required/1", "required": required}

    def show(self, streams: Streams) -> None:
        if not self.documents:
            streams.say(Message("the service asks for no documents"))
            return
        streams.print_table(
            ("id", "subject", "title", "due", "state"),
            [
                (
                    Data(document.id),
                    Data(document.subject),
                    LocalizedName(document.titles),
                    Data(document.due),
                    Data(document.state),
                )
                for document in self.documents
            ],
        )


def _parent(row: CatalogEntry) -> Message:
    """Return what an entry belongs to: its subject, or else its destinations, followed by its category."""
    subject, category = getattr(row, "subject", None), getattr(row, "category", None)
    top = subject or " ".join(getattr(row, "to", ()))
    parts = [Message("any") if part == "*" else Data(part) for part in (top, category) if part]
    return join(parts, " / ")
