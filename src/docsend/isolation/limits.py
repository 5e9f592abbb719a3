"""The limits of a child process that reads what strangers sent. The child itself sets them.

The process that started it also kills it when it takes too long; the limit of time here is for the case that
nobody is left to do so.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def start(memory_bytes: int) -> int:
    """Prepare this process, and return the descriptor to write replies to.

    `memory_bytes` limits the address space, where the system can do so. Nothing that a library prints gets
    between the replies.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the process that started this one.
    _limit_memory(memory_bytes)
    warnings.simplefilter("ignore")
    replies = os.dup(1)
    os.dup2(2, 1)
    return replies


@contextlib.contextmanager
def limited_time(limit_s: int) -> Iterator[None]:
    """End the process, in the middle of whatever a library is doing, if the block takes too long."""
    # Unlike a signal handler or a thread of Python, this works while a library holds the interpreter's lock.
    faulthandler.dump_traceback_later(limit_s, exit=True, file=2)
    _limit_processor_time(limit_s)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _limit_memory(memory_bytes: int) -> None:
    """Limit the memory of this process, where the system can, and let a crash write nothing to the disk."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    # macOS refuses a limit below what the process has mapped.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_processor_time(limit_s: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(time.process_time()) + limit_s + 1
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(
            resource.RLIMIT_CPU, (limit if most == resource.RLIM_INFINITY else min(limit, most), most)
        )
