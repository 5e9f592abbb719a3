"""What the ledger holds: one submission, a list of them, what `receipts resume` came to."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.i18n import Data, Message, moment
from docsend.model.notices import NOT_APPROVED
from docsend.ui import shapes
from docsend.ui.output import JsonList
from docsend.ui.views.receipt import receipt_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from docsend.errors import DocsendError
    from docsend.i18n import Shown
    from docsend.model.receipt import Receipt
    from docsend.storage.ledger import Entry
    from docsend.ui.terminal import Streams

_VERY_WIDE = 150  # columns of a terminal


class Record(NamedTuple):
    """One submission of the ledger with all that is known of it."""

    entry: Entry
    receipt: Receipt | None

    def as_json(self) -> dict[str, Any]:
        return {"schema": "docsend.receipts/1", "receipts": [shapes.kept(self.entry, self.receipt)]}

    def show(self, streams: Streams) -> None:
        entry, receipt = self
        about = " / ".join(filter(None, (entry.to, entry.subject, entry.category, entry.type)))
        rows: list[tuple[Shown, Shown]] = [
            *(receipt_rows(receipt) if receipt else [(Message("key"), Data(entry.key))]),
            (Message("service"), Data(entry.service)),
            (Message("about"), Data(about)),
            *([(Message("reference"), Data(entry.reference))] if entry.reference else []),
            *([(Message("occurrence"), Data(str(entry.occurrence)))] if entry.occurrence > 1 else []),
            *([(Message("problem"), Data(entry.problem))] if entry.problem else []),
            (Message("planned at"), Data(moment(entry.planned_at))),
            (Message("changed at"), Data(moment(entry.changed_at))),
            *[
                (
                    Data(document.name),
                    Message("{size:,} bytes, sha256 {digest}", size=document.size, digest=document.sha256),
                )
                for document in entry.documents
            ],
        ]
        streams.card(Data(entry.state), rows, footnote=NOT_APPROVED if receipt else None)


class RecordList(NamedTuple):
    """Submissions of the ledger, the latest first."""

    entries: Iterable[tuple[Entry, Receipt | None]]

    def as_json(self) -> JsonList:
        listed = (shapes.kept(entry, receipt) for entry, receipt in self.entries)
        return JsonList({"schema": "docsend.receipts/1"}, "receipts", listed)

    def show(self, streams: Streams) -> None:
        rows: list[dict[str, Shown]] = [
            {
                "key": Data(entry.key[:12]),
                "state": Data(entry.state),
                "receipt": Data(receipt.number if receipt else "-"),
                "time": Data(moment(receipt.received_at if receipt else entry.changed_at)),
                "about": Data("/".join(filter(None, (entry.to, entry.subject, entry.type)))),
                "reference": Data(entry.reference or "-"),
                "service": Data(entry.service),
            }
            for entry, receipt in self.entries
        ]
        if not rows:
            streams.say(Message("nothing has been sent from here yet; `docsend send FILE` does"))
            return
        # `receipts show` has the rest.
        narrow = ("key", "state", "receipt", "time", "reference")
        is_narrow = streams.draws(sys.stdout) and shutil.get_terminal_size().columns < _VERY_WIDE
        heads = narrow if is_narrow else tuple(rows[0])
        streams.table(heads, [[row[head] for head in heads] for row in rows])


class Resumed(NamedTuple):
    """One submission after the attempt to finish it: as the ledger has it now, and what is in the way."""

    entry: Entry
    receipt: Receipt | None
    error: DocsendError | None

    def as_json(self) -> dict[str, Any]:
        problems = [] if self.error is None else [shapes.problem(self.error.as_problem())]
        return {**shapes.kept(self.entry, self.receipt), "problems": problems}


class ResumedList(NamedTuple):
    """What became of each submission that was to be finished."""

    ends: Sequence[Resumed]

    def as_json(self) -> dict[str, Any]:
        return {"schema": "docsend.receipts/1", "receipts": [end.as_json() for end in self.ends]}

    def show(self, streams: Streams) -> None:
        if not self.ends:
            streams.say(Message("nothing is unfinished"))
            return
        rows = [
            (
                Data(end.entry.key[:12]),
                Data(end.entry.state),
                Data(end.receipt.number if end.receipt else "-"),
                Data(end.entry.reference or "-"),
            )
            for end in self.ends
        ]
        streams.table(("key", "state", "receipt", "reference"), rows)


def tell_unresumed(streams: Streams, ends: Iterable[Resumed]) -> None:
    """Tell what is in the way of each submission that could not be finished."""
    for end in ends:
        if end.error is not None:
            message = Message("{key}: {message}", key=end.entry.key[:12], message=end.error.message)
            streams.error(message, end.error.hint)
