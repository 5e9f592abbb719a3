"""Apply a function to items in several processes, using the standard library's process pool.

Workers are started with `spawn` rather than forked, so that they inherit no locks or connections. Each
worker receives the function once, pickled. This process does part of the work itself while the workers start
or are busy.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Shorter work is not distributed: starting a worker takes longer. Many items always take longer.
_MIN_SHARED_S = 0.02
_MANY_ITEMS = 16
_MAX_PROCESSES = 8


def map_in_order(
    items: Iterator[_Item], function: Callable[[_Item], _Result], *, in_process: bool = False
) -> Generator[_Result, None, None]:
    """Yield the result of `function` for each item, in order.

    If there are many items, or if they take long, worker processes help.

    `in_process` keeps all work in this process. Otherwise the function, the items and the results must be
    picklable. If a worker dies or the function raises in a worker, this process repeats the work.
    """
    started = time.monotonic()
    workers = 0 if in_process else min(_MAX_PROCESSES, _cores()) - 1
    first = list(itertools.islice(items, _MANY_ITEMS))
    items = itertools.chain(first, items)
    is_long = len(first) == _MANY_ITEMS
    while workers > 0 and not is_long and (item := next(items, None)) is not None:
        yield function(item)
        is_long = time.monotonic() - started > _MIN_SHARED_S
    if is_long and workers > 0:
        from docsend.delivery.pool import Pool

        with contextlib.closing(Pool(function, workers)) as pool:
            yield from pool.results(items)
    else:
        yield from map(function, items)


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
