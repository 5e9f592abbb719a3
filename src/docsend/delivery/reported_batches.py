"""What several reports together say about one batch: which of its shares and rows they contain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from docsend.delivery.batch import Share
from docsend.delivery.coverage import ReportedShare

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping
    from pathlib import Path


class BatchSummary(NamedTuple):
    """What people are told about one of the batches in several reports.

    `missing_rows` is the number of its rows that are in no report although the reports of their shares are
    there. `dates` are the first and the last day on which rows were received, or empty.
    """

    files: tuple[Path, ...]
    rows: int
    missing_rows: int
    dates: tuple[str, ...]


class ReportedBatch:
    """One batch, as several reports describe it.

    `row_numbers` maps each of its rows, under any name that tells it from the others, to its number in the
    manifest.
    """

    def __init__(self) -> None:
        self.shares: dict[ReportedShare, None] = {}
        self.row_numbers: dict[Hashable, int] = {}
        self._files: dict[Path, None] = {}
        self._dates: set[str] = set()

    def add(self, file: Path, identity: Hashable, row: Mapping[str, str]) -> None:
        """Record a row of a report."""
        if share := ReportedShare.read(row):
            self.shares[share] = None
        self._files[file] = None
        number = row.get("row", "")
        self.row_numbers.setdefault(identity, int(number) if re.fullmatch("[0-9]{1,9}", number) else 0)
        if re.match(r"\d{4}-\d\d-\d\d", received_at := row.get("received_at", "")):
            self._dates.add(received_at[:10])

    def summary(self, *, has_all_shares: bool) -> BatchSummary:
        """Return what people are told. Missing rows are only known if all shares are there."""
        rows = len(self.row_numbers)
        missing = max(0, (self._rows or 0) - rows) if has_all_shares else 0
        dates = tuple(sorted({min(self._dates), max(self._dates)})) if self._dates else ()
        return BatchSummary(tuple(self._files), rows, missing, dates)

    @property
    def _rows(self) -> int | None:
        """Number of rows that the batch has, or None if no report says so."""
        return max((share.rows for share in self.shares if share.rows is not None), default=None)

    def share_cells(
        self, kept: Iterable[Mapping[str, str]], *, has_all_shares: bool
    ) -> dict[str, dict[str, str]]:
        """Return the cells about share and batch for the rows that are kept, by the share that they name.

        Rows that are not kept are in the merged report as rows of another batch. If that report is merged
        once more, neither they nor their shares must be missed.
        """
        rows = list(kept)
        total = None if self._rows is None else self._rows - (len(self.row_numbers) - len(rows))
        kept_shares = {row.get("share", "") for row in rows}
        cells: dict[str, dict[str, str]] = {}
        for share in self.shares:
            whole = share._replace(share=Share(1, 1), empty=frozenset(), rows=total)
            without_rows = {
                other.share.number
                for other in self.shares
                if other.share.total == share.share.total and other.cells()["share"] not in kept_shares
            }
            part = share._replace(empty=share.empty | without_rows, rows=total)
            cells[share.cells()["share"]] = (whole if has_all_shares else part).cells()
        return cells
