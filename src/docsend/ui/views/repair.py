"""View of a repaired ledger: what was kept and what was lost, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.i18n import Message
from docsend.ui import to_json

if TYPE_CHECKING:
    from docsend.storage.ledger_repair import Repair
    from docsend.ui.terminal import Streams

_SHOWN_KEYS = 10


class RepairedLedger(NamedTuple):
    """Result of `receipts repair`."""

    result: Repair

    def as_json(self) -> dict[str, Any]:
        return to_json.repaired_ledger(self.result)

    def show(self, streams: Streams) -> None:
        result = self.result
        if result.kept_as is None:
            streams.say(
                Message.plural(
                    "the ledger {file} is not damaged: 1 submission",
                    "the ledger {file} is not damaged: {count:,} submissions",
                    result.submissions,
                    file=result.file,
                )
            )
            return
        streams.say(
            Message("the ledger was repaired; the damaged file is kept as {file}", file=result.kept_as)
        )
        streams.say(
            Message.plural("1 submission was kept", "{count:,} submissions were kept", result.submissions)
        )
        if result.unconfirmed:
            streams.say(
                Message.plural(
                    "1 of them was damaged: run `docsend receipts resume` to ask the service for it",
                    "{count:,} of them were damaged: run `docsend receipts resume` to ask the service for "
                    "them",
                    result.unconfirmed,
                )
            )
        if result.lost:
            streams.say(
                Message.plural(
                    "at least 1 submission is lost: the service still recognizes it if it is sent again, but "
                    "docsend no longer recognizes its reference, or its documents with other details",
                    "at least {count:,} submissions are lost: the service still recognizes them if they are "
                    "sent again, but docsend no longer recognizes their references, or their documents with "
                    "other details",
                    result.lost,
                )
            )
        if result.lost_documents:
            streams.say(
                Message.plural(
                    "1 document of an unfinished submission is lost: run the command that sent it again",
                    "{count:,} documents of unfinished submissions are lost: run the commands that sent them "
                    "again",
                    result.lost_documents,
                )
            )


def say_what_remains(streams: Streams, result: Repair) -> bool:
    """Print what a repair could not do, and return whether there is anything."""
    if result.damaged_receipts:
        keys = [key[:12] for key in result.damaged_receipts[:_SHOWN_KEYS]]
        streams.say_error(
            Message.plural(
                "the kept receipt of 1 submission is damaged: {keys}",
                "the kept receipts of {count:,} submissions are damaged: {keys}",
                len(result.damaged_receipts),
                keys=", ".join(keys) + (" …" if len(keys) < len(result.damaged_receipts) else ""),
            ),
            Message("run `docsend receipts show KEY --ask` for each: it asks the service for the receipt"),
        )
    if result.key_error is not None:
        streams.say_error(result.key_error.message, result.key_error.hint)
    return bool(result.damaged_receipts or result.key_error)
