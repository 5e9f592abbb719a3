"""Rows that are recorded in the ledger and wait for a worker."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from docsend.checks import documents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docsend.delivery.batch import CheckedRow


class PlannedQueue:
    """Queue of rows that are recorded in the ledger and wait for a worker.

    The planner keeps the queue just full enough that no worker has to wait.
    """

    def __init__(self, jobs: int) -> None:
        self._low_mark = jobs
        self._rows: deque[CheckedRow] = deque()
        self._buffered_bytes = 0
        self._is_closed = False
        lock = threading.Lock()
        self._filled, self._drained = threading.Condition(lock), threading.Condition(lock)

    def put(self, rows: Sequence[CheckedRow]) -> bool:
        """Add rows and return True, or add nothing and return False if the queue is closed."""
        with self._filled:
            if self._is_closed:
                return False
            self._rows.extend(rows)
            self._buffered_bytes += sum(row.buffered_bytes for row in rows)
            self._filled.notify(len(rows))
            return True

    def take(self) -> CheckedRow | None:
        """Wait for a row and return it. Return None if the queue is closed and empty."""
        with self._filled:
            while not self._rows:
                if self._is_closed:
                    return None
                self._filled.wait()
            row = self._rows.popleft()
            self._buffered_bytes -= row.buffered_bytes
            if self._is_low():
                self._drained.notify()
            return row

    def wait_until_low(self) -> None:
        """Wait until workers will soon need more rows, or the queue is closed."""
        with self._drained:
            self._drained.wait_for(lambda: self._is_closed or self._is_low())

    def close(self) -> None:
        """Accept no more rows. Those in the queue can still be taken."""
        with self._filled:
            self._is_closed = True
            self._filled.notify_all()
            self._drained.notify_all()

    def _is_low(self) -> bool:
        return len(self._rows) < self._low_mark and self._buffered_bytes < documents.BUFFER_BYTES
