"""Which share of a batch a report is about, and which shares of a batch have no report.

Every row of a report names its share, the shares of the batch that have no rows, and the batch itself. So the
reports of a batch show together whether one of them is missing.
"""

from __future__ import annotations

import base64
import math
import re
from typing import TYPE_CHECKING, NamedTuple

from docsend.delivery.batch import Share
from docsend.manifest.columns import BATCH_ROWS, SHARE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from docsend.delivery.batch import Batch

_BATCH_NUMBERS = 2**64
_MAX_COMPARED_SHARES = 100_000


class ReportedShare(NamedTuple):
    """The share of a batch that a report is about.

    `empty` contains the numbers of the shares without rows, which need no report. `batch` identifies the
    batch by the content of its rows, in any order. `rows` is the number of its rows in all shares, or None in
    reports of earlier versions.
    """

    share: Share
    empty: frozenset[int]
    batch: str
    rows: int | None = None

    @classmethod
    def of(cls, batch: Batch) -> ReportedShare:
        """Return the share of a batch. This reads the whole manifest, but no documents."""
        share = batch.share or Share(1, 1)
        filled: set[int] = set()
        total = rows = 0
        for number in (row.content_number for row in batch.manifest.rows()):
            filled.add(number % share.total + 1)
            total += number
            rows += 1
        empty = frozenset(range(1, share.total + 1)) - filled if filled else frozenset[int]()
        digest = (total % _BATCH_NUMBERS).to_bytes(8, "big")
        return cls(share, empty, base64.b32encode(digest).decode("ascii").rstrip("="), rows)

    @classmethod
    def read(cls, row: Mapping[str, str]) -> ReportedShare | None:
        """Return the share that a row of a report names, or None if it names none, as in docsend 0.1."""
        share, empty, batch = (row.get(name, "") for name in SHARE_COLUMNS)
        found = re.fullmatch(r"([0-9]{1,6}) of ([0-9]{1,6})", share)
        if not found or not batch or not 1 <= int(found[1]) <= int(found[2]):
            return None
        numbers = frozenset(int(number) for number in re.findall(r"[0-9]{1,6}", empty))
        rows = row.get(BATCH_ROWS, "")
        return cls(
            Share(int(found[1]), int(found[2])),
            numbers,
            batch,
            int(rows) if re.fullmatch("[0-9]{1,6}", rows) else None,
        )

    def cells(self) -> dict[str, str]:
        """Return the cells that `read` reads. A spreadsheet takes none of them for a date or a number."""
        share = f"{self.share.number} of {self.share.total}"
        empty = " ".join(map(str, sorted(self.empty)))
        cells = dict(zip(SHARE_COLUMNS, (share, empty, self.batch), strict=True))
        return cells | {BATCH_ROWS: "" if self.rows is None else str(self.rows)}


class MissingShares(NamedTuple):
    """Numbers of the shares of a batch that no report is about, out of `total`."""

    batch: str
    numbers: tuple[int, ...]
    total: int


def find_missing(reported: Iterable[ReportedShare]) -> Iterator[MissingShares]:
    """Yield the missing shares of each batch whose reports are incomplete."""
    batches: dict[str, dict[int, set[int]]] = {}
    for each in reported:
        covered = batches.setdefault(each.batch, {}).setdefault(each.share.total, set(each.empty))
        covered.add(each.share.number)
    for batch, by_total in batches.items():
        missing = [
            MissingShares(batch, tuple(sorted(numbers)), total)
            for total, numbers in _uncovered(by_total)
            if numbers
        ]
        if len(missing) == len(by_total):  # else the shares of one total are complete
            yield min(missing, key=lambda each: len(each.numbers) / each.total)


def _uncovered(by_total: Mapping[int, set[int]]) -> Iterator[tuple[int, set[int]]]:
    """Yield, for each total, the numbers of the shares with rows that no reported share covers.

    Halves and quarters may complete each other. If there are too many kinds of shares for that, each total
    counts by itself.
    """
    common = math.lcm(*by_total)
    if common > _MAX_COMPARED_SHARES:
        for total, covered in by_total.items():
            yield total, set(range(1, total + 1)) - covered
        return
    rests = [
        rest
        for rest in range(common)
        if not any(rest % total + 1 in covered for total, covered in by_total.items())
    ]
    for total in by_total:
        yield total, {rest % total + 1 for rest in rests}
