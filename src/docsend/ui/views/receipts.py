"""Views of submissions in the ledger: one submission, a list, and the result of `receipts resume`."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.i18n import Data, Message, format_time
from docsend.model.notices import NOT_APPROVED
from docsend.ui import to_json
from docsend.ui.output import JsonList
from docsend.ui.views.receipt import receipt_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from docsend.errors import DocsendError
    from docsend.i18n import Displayable
    from docsend.model.receipt import Receipt
    from docsend.storage.ledger_rows import LedgerEntry
    from docsend.ui.terminal import Streams

_FULL_TABLE_WIDTH = 150  # terminal width from which all columns of the table are shown


class EntryDetails(NamedTuple):
    """All details of one submission in the ledger."""

    entry: LedgerEntry
    receipt: Receipt | None

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "docsend.receipts/1",
            "receipts": [to_json.sent_submission(self.entry, self.receipt)],
        }

    def show(self, streams: Streams) -> None:
        entry, receipt = self
        about = " / ".join(filter(None, (entry.to, entry.subject, entry.category, entry.type)))
        rows: list[tuple[Displayable, Displayable]] = [
            *(receipt_rows(receipt) if receipt else [(Message("key"), Data(entry.key))]),
            (Message("service"), Data(entry.service)),
            (Message("about"), Data(about)),
            *([(Message("reference"), Data(entry.reference))] if entry.reference else []),
            *([(Message("occurrence"), Data(str(entry.occurrence)))] if entry.occurrence > 1 else []),
            *([(Message("problem"), Data(entry.problem))] if entry.problem else []),
            (Message("planned at"), Data(format_time(entry.planned_at))),
            (Message("changed at"), Data(format_time(entry.changed_at))),
            *[
                (
                    Data(document.name),
                    Message("{size:,} bytes, sha256 {digest}", size=document.size, digest=document.sha256),
                )
                for document in entry.documents
            ],
        ]
        streams.print_card(Data(entry.state), rows, footnote=NOT_APPROVED if receipt else None)


class EntryList(NamedTuple):
    """Submissions in the ledger, latest first."""

    entries: Iterable[tuple[LedgerEntry, Receipt | None]]

    def as_json(self) -> JsonList:
        listed = (to_json.sent_submission(entry, receipt) for entry, receipt in self.entries)
        return JsonList({"schema": "docsend.receipts/1"}, "receipts", listed)

    def show(self, streams: Streams) -> None:
        rows: list[dict[str, Displayable]] = [
            {
                "key": Data(entry.key[:12]),
                "state": Data(entry.state),
                "receipt": Data(receipt.number if receipt else "-"),
                "time": Data(format_time(receipt.received_at if receipt else entry.changed_at)),
                "about": Data("/".join(filter(None, (entry.to, entry.subject, entry.type)))),
                "reference": Data(entry.reference or "-"),
                "service": Data(entry.service),
            }
            for entry, receipt in self.entries
        ]
        if not rows:
            streams.say(
                Message(
                    "nothing has been sent from this computer yet; run `docsend send FILE` to send a document"
                )
            )
            return
        # `receipts show` shows the values that are left out.
        narrow = ("key", "state", "receipt", "time", "reference")
        is_narrow = (
            streams.is_interactive(sys.stdout) and shutil.get_terminal_size().columns < _FULL_TABLE_WIDTH
        )
        heads = narrow if is_narrow else tuple(rows[0])
        streams.print_table(heads, [[row[head] for head in heads] for row in rows])


class Resumed(NamedTuple):
    """One submission after an attempt to finish it. `error` is the reason why the attempt failed, or None."""

    entry: LedgerEntry
    receipt: Receipt | None
    error: DocsendError | None

    def as_json(self) -> dict[str, Any]:
        problems = [] if self.error is None else [to_json.problem(self.error.as_problem())]
        return {**to_json.sent_submission(self.entry, self.receipt), "problems": problems}


class ResumedList(NamedTuple):
    """Result of `receipts resume`: all submissions that it tried to finish."""

    results: Sequence[Resumed]

    def as_json(self) -> dict[str, Any]:
        return {"schema": "docsend.receipts/1", "receipts": [end.as_json() for end in self.results]}

    def show(self, streams: Streams) -> None:
        if not self.results:
            streams.say(Message("no unfinished submissions"))
            return
        rows = [
            (
                Data(end.entry.key[:12]),
                Data(end.entry.state),
                Data(end.receipt.number if end.receipt else "-"),
                Data(end.entry.reference or "-"),
            )
            for end in self.results
        ]
        streams.print_table(("key", "state", "receipt", "reference"), rows)


def say_resume_errors(streams: Streams, results: Iterable[Resumed]) -> None:
    """Print the error of each submission that could not be finished."""
    for end in results:
        if end.error is not None:
            message = Message("{key}: {message}", key=end.entry.key[:12], message=end.error.message)
            streams.say_error(message, end.error.hint)
