"""Apply a function to items in several processes, using the standard library's process pool.

Workers are started with `spawn` rather than forked, so that they inherit no locks or connections. Each
worker receives the function once, pickled. This process does part of the work itself while the workers start
or are busy.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Shorter work is not distributed: starting a worker takes about half of this time.
_MIN_SHARED_S = 0.02
_MAX_PROCESSES = 8


def map_in_order(
    items: Iterator[_Item], function: Callable[[_Item], _Result], *, in_process: bool = False
) -> Generator[_Result, None, None]:
    """Yield the result of `function` for each item, in order. If that takes long, worker processes help.

    `in_process` keeps all work in this process. Otherwise the function, the items and the results must be
    picklable. If a worker dies or the function raises in a worker, this process repeats the work.
    """
    started = time.monotonic()
    for item in items:
        if (
            time.monotonic() - started > _MIN_SHARED_S
            and not in_process
            and (workers := min(_MAX_PROCESSES, _cores()) - 1) > 0
        ):
            yield function(item)
            from docsend.delivery.pool import Pool

            with contextlib.closing(Pool(function, workers)) as pool:
                yield from pool.results(items)
            return
        yield function(item)


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
