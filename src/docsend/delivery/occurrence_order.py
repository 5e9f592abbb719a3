"""The order in which the rows of a batch are sent: those with the occurrence 1 first, then 2, and so on.

The ledger accepts an occurrence only if the ones below it were received. So the rows of one occurrence have
to wait until all rows before them have ended and their receipts are stored.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from docsend.manifest.row import Row

_POLL_S = 0.2  # how soon a stop is noticed


def in_order(rows: Iterable[Row]) -> Iterator[Row | None]:
    """Yield rows by their occurrence, with None wherever the rows that follow have to wait."""
    higher: dict[int, list[Row]] = {}
    for row in rows:
        occurrence = occurrence_of(row)
        if occurrence > 1:
            higher.setdefault(occurrence, []).append(row)
        else:
            yield row
    for _, waiting in sorted(higher.items()):
        yield None
        yield from waiting


def occurrence_of(row: Row) -> int:
    """Return the occurrence of a row, or 1 if its value is invalid, which the first pass reports."""
    try:
        return int(row.submission.occurrence or 1)
    except ValueError:
        return 1


class UnsettledRows:
    """Number of rows that were taken from the manifest, and whose results are not stored yet."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def add(self, count: int) -> None:
        """Count rows that were taken, or with a negative number those whose results are stored."""
        with self._changed:
            self._count += count
            self._changed.notify_all()

    def wait(self, is_stopped: Callable[[], bool]) -> None:
        """Wait until there are none, or until `is_stopped`."""
        with self._changed:
            while self._count > 0 and not is_stopped():
                self._changed.wait(_POLL_S)
