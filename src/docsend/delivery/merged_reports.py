"""Merge the reports of several runs, or several shares, of one batch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from docsend.delivery import coverage, report_file
from docsend.delivery.batch_result import rows_exit_code
from docsend.manifest.columns import COLUMNS, REPORT_COLUMNS, SHARE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from docsend.delivery.coverage import MissingShares
    from docsend.errors import ExitCode

_FAULTY = ("faulty", "refused")


class MergedReport(NamedTuple):
    """The merged rows of several reports, and what is missing.

    `partial` contains the reports of runs that did not finish. `missing` contains the shares that no report
    is about. `without_share` contains the reports that do not name their share, as docsend 0.1 wrote them.
    """

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, str]]
    partial: tuple[Path, ...]
    missing: tuple[MissingShares, ...]
    without_share: tuple[Path, ...]

    @property
    def counts(self) -> Counter[str]:
        """Number of rows by status."""
        return Counter(row["status"] for row in self.rows)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that a batch with these rows would have."""
        counts = self.counts
        faulty = sum(counts[status] for status in _FAULTY)
        unfinished = counts.total() - faulty - counts["received"]
        return rows_exit_code(
            has_unfinished=bool(unfinished or self.partial or self.missing), has_faulty=bool(faulty)
        )

    def lines(self, *, as_json: bool) -> Iterator[str]:
        """Yield the lines of the merged report, in CSV or JSON Lines."""
        yield report_file.format_header(self.columns, as_json=as_json)
        for row in self.rows:
            yield report_file.format_row(self.columns, row, as_json=as_json)


def merge(reports: Sequence[Path]) -> MergedReport:
    """Merge reports.

    Rows with the same content become one row: the one with the most informative status, or the last of those
    with that status. In the result, document paths are relative to the current folder. Raise UsageError if a
    file is not a report or cannot be read.
    """
    best: dict[tuple[str, ...], dict[str, str]] = {}
    columns: dict[str, None] = dict.fromkeys(SHARE_COLUMNS)
    shares: dict[coverage.ReportedShare, None] = {}
    without_share: dict[Path, None] = {}
    for file in reports:
        for row in report_file.read_rows(file):
            columns.update(dict.fromkeys(row))
            if share := coverage.ReportedShare.read(row):
                shares[share] = None
            else:
                without_share[file] = None
            row["documents"] = report_file.relocate(Path(), file.parent, row["documents"])
            content = tuple(row.get(name, "") for name in COLUMNS)
            previous = best.get(content)
            if previous is None or _rank(row) >= _rank(previous):
                best[content] = row
    return MergedReport(
        tuple(name for name in (*COLUMNS, *REPORT_COLUMNS) if name in columns),
        list(best.values()),
        tuple(filter(report_file.is_part, reports)),
        tuple(coverage.find_missing(shares)),
        tuple(without_share),
    )


def _rank(row: Mapping[str, str]) -> tuple[int, bool]:
    """Return a sort key, which is highest for a row received in the run that its report is about."""
    return report_file.STATUSES.index(row["status"]), row.get("repeated") != "true"
