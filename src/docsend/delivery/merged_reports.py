"""Merge the reports of several runs, or several shares, of one batch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from docsend.delivery import coverage, report_file
from docsend.delivery.batch_result import rows_exit_code
from docsend.delivery.reported_batches import ReportedBatch
from docsend.manifest.columns import BATCH_ROWS, COLUMNS, REPORT_COLUMNS, SHARE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from docsend.delivery.coverage import MissingShares
    from docsend.delivery.reported_batches import BatchSummary
    from docsend.errors import ExitCode

_FAULTY = ("faulty", "refused")
# What makes rows of two reports the same: their content, and which of the rows with this content they are.
_Identity: TypeAlias = "tuple[tuple[str, ...], object]"


class RowWithoutReceipt(NamedTuple):
    """A row that is called received but has no number of a receipt, so that it counts as unfinished."""

    file: Path
    row: str


class MergedReport(NamedTuple):
    """The merged rows of several reports, and what is missing.

    `batches` says what the reports are about, by the name of the batch. `partial` contains the reports of
    runs that did not finish. `missing` contains the shares that no report is about. `without_share` contains
    the reports that do not name their share, as docsend 0.1 wrote them. `unreported` contains the rows of the
    manifest that no report is about, if the reports were compared with one.
    """

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, str]]
    batches: Mapping[str, BatchSummary]
    partial: tuple[Path, ...]
    missing: tuple[MissingShares, ...]
    without_share: tuple[Path, ...]
    without_receipt: tuple[RowWithoutReceipt, ...]
    unreported: tuple[int, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        """Number of rows by status."""
        return Counter(row["status"] for row in self.rows)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that a batch with these rows would have.

        Reports without any rows tell of nothing that was received, so they are never a success.
        """
        counts = self.counts
        faulty = sum(counts[status] for status in _FAULTY)
        unfinished = counts.total() - faulty - counts["received"]
        lacks_rows = (
            not self.rows or self.unreported or any(batch.missing_rows for batch in self.batches.values())
        )
        return rows_exit_code(
            has_unfinished=bool(unfinished or self.partial or self.missing or lacks_rows),
            has_faulty=bool(faulty),
        )

    def lines(self, *, as_json: bool) -> Iterator[str]:
        """Yield the lines of the merged report, in CSV or JSON Lines."""
        yield report_file.format_header(self.columns, as_json=as_json)
        for row in self.rows:
            yield report_file.format_row(self.columns, row, as_json=as_json)


def merge(reports: Sequence[Path]) -> MergedReport:
    """Merge reports.

    Rows with the same content become one row: the one with the most informative status, or the last of those
    with that status. Rows that have the same content in one report stay several. The result is in the order
    of the manifest, and its document paths are relative to the current folder. Raise UsageError if a file is
    not a report or cannot be read.
    """
    best: dict[_Identity, tuple[str, dict[str, str]]] = {}
    batches: dict[str, ReportedBatch] = {}
    columns: dict[str, None] = dict.fromkeys((*SHARE_COLUMNS, BATCH_ROWS))
    without_share: dict[Path, None] = {}
    without_receipt: list[RowWithoutReceipt] = []
    for file in reports:
        identify = _RowIdentifier()
        for row in report_file.read_rows(file):
            columns.update(dict.fromkeys(row))
            if row["status"] == "received" and not row.get("receipt"):
                without_receipt.append(RowWithoutReceipt(file, row.get("row", "")))
                row |= {"status": "unfinished", "repeated": ""}
            row["documents"] = report_file.relocate(Path(), file.parent, row["documents"])
            batch = row.get("batch", "")
            if coverage.ReportedShare.read(row) is None:
                without_share[file] = None
                batch = str(file)
            identity = identify(row)
            batches.setdefault(batch, ReportedBatch()).add(file, identity, row)
            previous = best.get(identity)
            if previous is None or _rank(row) >= _rank(previous[1]):
                best[identity] = (batch, row)
    missing = tuple(coverage.find_missing(share for each in batches.values() for share in each.shares))
    incomplete = {each.batch for each in missing}
    return MergedReport(
        tuple(name for name in (*COLUMNS, *REPORT_COLUMNS) if name in columns),
        list(_merged_rows(best, batches, incomplete)),
        {name: each.summary(has_all_shares=name not in incomplete) for name, each in batches.items()},
        tuple(filter(report_file.is_part, reports)),
        missing,
        tuple(without_share),
        tuple(without_receipt),
    )


def _merged_rows(
    best: Mapping[_Identity, tuple[str, dict[str, str]]],
    batches: Mapping[str, ReportedBatch],
    incomplete: set[str],
) -> Iterator[dict[str, str]]:
    """Yield the best rows, batch by batch, each in the order of its manifest."""
    by_batch: dict[str, list[_Identity]] = {name: [] for name in batches}
    for identity, (name, _) in best.items():
        by_batch[name].append(identity)
    for name, identities in by_batch.items():
        batch = batches[name]
        rows = [
            best[identity][1] for identity in sorted(identities, key=lambda each: batch.row_numbers[each])
        ]
        share_cells = batch.share_cells(rows, has_all_shares=name not in incomplete)
        for row in rows:
            yield row | share_cells.get(row.get("share", ""), {})


class _RowIdentifier:
    """Tells the rows of one report from each other, and recognizes them in other reports by their content."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], dict[tuple[str, str], int]] = {}

    def __call__(self, row: Mapping[str, str]) -> _Identity:
        content = tuple(row.get(name, "") for name in COLUMNS)
        place = (row.get("batch", ""), row.get("row", ""))
        if not any(content):  # the row could not be read
            return content, place
        same = self._seen.setdefault(content, {})
        return content, same.setdefault(place, len(same))


def _rank(row: Mapping[str, str]) -> tuple[int, bool]:
    """Return a sort key, which is highest for a row received in the run that its report is about."""
    return report_file.STATUSES.index(row["status"]), row.get("repeated") != "true"
