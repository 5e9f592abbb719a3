"""What `docsend receipts merge` says about the merged reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.i18n import Message, join
from docsend.model.states import STATE_NAMES
from docsend.ui.views.batch import row_summary

if TYPE_CHECKING:
    from docsend.delivery.coverage import MissingShares
    from docsend.delivery.merged_reports import MergedReport
    from docsend.ui.terminal import Streams

_MAX_NUMBERS = 20


def say_summary(streams: Streams, merged: MergedReport) -> None:
    """Print the number of rows by status, and what is missing."""
    for file in merged.partial:
        streams.say_always(Message("{file} is from an unfinished run: rows may be missing", file=file))
    numbers = join(
        [
            Message("{count:,} {status}", count=count, status=STATE_NAMES[status])
            for status, count in merged.counts.most_common()
            if status
        ]
    )
    rows = len(merged.rows)
    streams.say(row_summary(rows, numbers) if rows else Message("the reports have no rows"))
    for missing in merged.missing:
        streams.say_always(_missing_line(missing))
        streams.say(
            Message(
                "send it with --shard, for example --shard {number}/{total}, and merge its report, too",
                number=missing.numbers[0],
                total=missing.total,
            )
        )
    if merged.without_share:
        streams.say(
            Message.plural(
                "{file} names no share, as docsend 0.1 wrote it: a gap goes unnoticed",
                "{file} and {others} more name no share, as docsend 0.1 wrote them: gaps go unnoticed",
                len(merged.without_share),
                file=merged.without_share[0],
                others=len(merged.without_share) - 1,
            )
        )


def _missing_line(missing: MissingShares) -> Message:
    """Return a line with the numbers of the missing shares."""
    shown = ", ".join(map(str, missing.numbers[:_MAX_NUMBERS]))
    if len(missing.numbers) > _MAX_NUMBERS:
        shown += ", …"
    return Message.plural(
        "share {numbers} of {total} is missing: no report is about it",
        "{count} shares of {total} are missing: no report is about {numbers}",
        len(missing.numbers),
        numbers=shown,
        total=missing.total,
    )
