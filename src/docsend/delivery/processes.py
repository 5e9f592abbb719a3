"""Several processes share a long work of many pieces: a pool of the standard library, the same everywhere.

Its workers are begun anew (`spawn`) rather than copied, so no lock or connection of this process is in them;
each gets the work once, as plain data. While they begin, and when they have enough to do, this process works.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")

_WORTH_SHARING_S = 0.02  # work that is done by then is not shared: a worker takes about half of it to begin
_MAX_PROCESSES = 8  # processes


def map_in_order(
    items: Iterator[_Piece], function: Callable[[_Piece], _Result], *, in_process: bool = False
) -> Generator[_Result, None, None]:
    """Yield the result of each piece, in the order of the pieces; the last ones with the help of workers.

    `work`, each piece and each result have to bear pickling, else say `alone`. A worker that dies, or whose
    work raises, costs time only: what it leaves undone is done here.
    """
    began = time.monotonic()
    for piece in items:
        if (
            time.monotonic() - began > _WORTH_SHARING_S
            and not in_process
            and (workers := min(_MAX_PROCESSES, _cores()) - 1) > 0
        ):
            yield function(piece)
            from docsend.delivery.pool import Pool

            with contextlib.closing(Pool(function, workers)) as pool:
                yield from pool.results(items)
            return
        yield function(piece)


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
