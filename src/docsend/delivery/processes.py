"""Apply a function to items in several processes, using the standard library's process pool.

Workers are started with `spawn` rather than forked, so that they inherit no locks or connections. Each
worker receives the function once, pickled. This process does part of the work itself while the workers start
or are busy.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from docsend.delivery.pool import Pool

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Shorter work is not distributed: starting a worker takes longer. Many items always take longer.
_MIN_SHARED_S = 0.02
_MANY_ITEMS = 16
_MAX_PROCESSES = 8
_MIN_MEMORY_BYTES = 2**31


class WorkerProcesses:
    """Worker processes, one for each core but this process's own. They start when they are needed."""

    def __init__(self) -> None:
        self._pool: Pool | None = None

    def start(self) -> None:
        """Start the workers early. They take longer than this process until they have imported everything."""
        count = min(_MAX_PROCESSES, _cores()) - 1
        if self._pool is None and count > 0 and not _is_memory_limited():
            from docsend.delivery.pool import Pool  # takes 10 ms

            self._pool = Pool(count)

    def close(self) -> None:
        """Kill the workers, whatever they are doing."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def map_in_order(
        self, function: Callable[[_Item], _Result], items: Iterator[_Item]
    ) -> Generator[_Result, None, None]:
        """Yield the result of `function` for each item, in order.

        If there are many items, or if they take long, the workers help. They can do so only if the function,
        the items and the results can be pickled. If a worker dies or the function raises in a worker, this
        process repeats the work.
        """
        started = time.monotonic()
        first = list(itertools.islice(items, _MANY_ITEMS))
        items = itertools.chain(first, items)
        is_long = len(first) == _MANY_ITEMS
        while not is_long and (item := next(items, None)) is not None:
            yield function(item)
            is_long = time.monotonic() - started > _MIN_SHARED_S
        if is_long:
            self.start()
        if self._pool is None:
            yield from map(function, items)
        else:
            yield from self._pool.map_in_order(function, items)


def _is_memory_limited() -> bool:
    """Return whether a limit of address space leaves no room for threads, which reserve much of it."""
    if sys.platform == "win32":
        return False
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return limit != resource.RLIM_INFINITY and limit < _MIN_MEMORY_BYTES


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
