"""What `docsend receipts merge` says about the merged reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.i18n import Message, join
from docsend.model.states import STATE_NAMES
from docsend.ui.views.batch import row_summary, say_partial

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from docsend.delivery.coverage import MissingShares
    from docsend.delivery.merged_reports import MergedReport
    from docsend.delivery.reported_batches import BatchSummary
    from docsend.ui.terminal import Streams

_MAX_NUMBERS = 20
_MAX_BATCHES = 10
_MAX_FILES = 3


def say_summary(streams: Streams, merged: MergedReport) -> None:
    """Print the number of rows by status, and what is missing."""
    for file in merged.partial:
        say_partial(streams, file)
    numbers = join(
        [
            Message("{count:,} {status}", count=count, status=STATE_NAMES[status])
            for status, count in merged.counts.most_common()
            if status
        ]
    )
    rows = len(merged.rows)
    if rows:
        streams.say(row_summary(rows, numbers))
    else:
        streams.say_always(Message("the reports have no rows: they tell of nothing that was received"))
    for batch in list(merged.batches.values())[:_MAX_BATCHES]:
        streams.say(_batch_line(batch))
    if len(merged.batches) > _MAX_BATCHES:
        streams.say(Message("and {count:,} more batches", count=len(merged.batches) - _MAX_BATCHES))
    _say_missing(streams, merged)
    if merged.without_receipt:
        first = merged.without_receipt[0]
        streams.say_always(
            Message.plural(
                "{file}, row {row}: received without the number of a receipt; it counts as unfinished",
                "{count:,} rows are received without the number of a receipt and count as unfinished; the "
                "first is row {row} of {file}",
                len(merged.without_receipt),
                file=first.file,
                row=first.row,
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


def _say_missing(streams: Streams, merged: MergedReport) -> None:
    """Print which shares and which rows of which batch are missing, and what to do about it."""
    has_several = len(merged.batches) > 1
    for missing in merged.missing:
        streams.say_always(_missing_line(missing))
        if has_several:
            files = _files(merged.batches[missing.batch].files)
            streams.say_always(Message("this is about the batch of {files}", files=files), indent=2)
        streams.say(
            Message(
                "send it with --shard, for example --shard {number}/{total}, and merge its report, too",
                number=missing.numbers[0],
                total=missing.total,
            )
        )
    for batch in merged.batches.values():
        if batch.missing_rows:
            streams.say_always(
                Message.plural(
                    "1 row is missing: its batch has {total:,} rows, but {files} have {rows:,}",
                    "{count:,} rows are missing: their batch has {total:,} rows, but {files} have {rows:,}",
                    batch.missing_rows,
                    total=batch.rows + batch.missing_rows,
                    rows=batch.rows,
                    files=_files(batch.files),
                )
            )
            streams.say(Message("send the manifest again with --report, and merge the report, too"))
    if merged.unreported:
        streams.say_always(
            Message.plural(
                "row {row} of the manifest is in no report",
                "{count:,} rows of the manifest are in no report; the first is row {row}",
                len(merged.unreported),
                row=merged.unreported[0],
            )
        )
        streams.say(
            Message("send the manifest with --report, or leave out reports that are left from another batch")
        )
    if has_several and merged.missing:
        streams.say_always(
            Message(
                "the reports are about different batches: a manifest that was changed, or sent from another "
                "folder, is a new batch"
            )
        )
        streams.say_always(
            Message(
                "if that is why, send all shares of the changed manifest (nothing is sent twice), and leave "
                "out older reports"
            ),
            indent=2,
        )


def _files(files: Sequence[Path]) -> Message:
    """Return the names of up to three files, and how many more there are."""
    shown = ", ".join(map(str, files[:_MAX_FILES]))
    if len(files) <= _MAX_FILES:
        return Message.verbatim(shown)
    return Message("{files} and {count:,} more", files=shown, count=len(files) - _MAX_FILES)


def _batch_line(batch: BatchSummary) -> Message:
    """Return a line with the files of a batch, its number of rows, and when they were received."""
    files = _files(batch.files)
    if not batch.dates:
        return Message.plural("{files}: 1 row", "{files}: {count:,} rows", batch.rows, files=files)
    return Message.plural(
        "{files}: 1 row, received on {dates}",
        "{files}: {count:,} rows, received on {dates}",
        batch.rows,
        files=files,
        dates=" – ".join(batch.dates),
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
