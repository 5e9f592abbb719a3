"""Apply a function to items in several processes, using the standard library's process pool.

On Linux, workers that start early are copies of this process (`fork`), which have imported everything that it
has. All others are new processes (`spawn`): a copy would have this process's open files, with their locks and
connections, but not its other threads. Each worker receives the function once, pickled. This process does
part of the work itself while the workers start or are busy.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from docsend.delivery.pool import Pool, StartMethod

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Shorter work is not distributed: starting a worker takes longer. Many items always take longer.
_MIN_SHARED_S = 0.02
_MANY_ITEMS = 8
_MAX_PROCESSES = 8
_MIN_MEMORY_BYTES = 2**31


class WorkerProcesses:
    """Worker processes, one for each core but this process's own. They start when they are needed."""

    def __init__(self) -> None:
        self._pool: Pool | None = None

    def start_before_imports(self) -> None:
        """Start the workers unless they can be copies of this process.

        New processes import everything themselves, and take longer for it than this process.
        """
        if not _can_fork():
            self._start("spawn")

    def start_after_imports(self) -> None:
        """Start the workers, if they have not been started, while this process has no files open."""
        self._start("fork" if _can_fork() else "spawn")

    def _start(self, method: StartMethod) -> None:
        count = min(_MAX_PROCESSES, _cores()) - 1
        if self._pool is None and count > 0 and not _is_memory_limited():
            from docsend.delivery.pool import Pool  # takes 10 ms

            self._pool = Pool(count, method)

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
        has_many = len(first) == _MANY_ITEMS
        items = itertools.chain(first, items)
        for item in items:
            if has_many or time.monotonic() - started > _MIN_SHARED_S:
                rest = [item, *itertools.islice(items, 1)]
                items = itertools.chain(rest, items)
                if len(rest) > 1:  # While a worker starts, this process does one item itself.
                    self._start("spawn")
                break
            yield function(item)
        if self._pool is None:
            yield from map(function, items)
        else:
            yield from self._pool.map_in_order(function, items)


def _can_fork() -> bool:
    """Return whether a copy of this process can work: on Linux, if it has no other thread.

    A thread that the copy lacks could hold a lock for ever. On macOS, the system's libraries have threads.
    """
    if sys.platform != "linux":
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


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
