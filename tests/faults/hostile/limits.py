"""Time limits for one input."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


MAX_CPU_S, MAX_WALL_S = 3.0, 20.0  # for one input


class TimeLimitExceeded(BaseException):
    """Raised when an input takes too long; a BaseException, so that the program does not catch it."""


@contextlib.contextmanager
def install_timers() -> Iterator[None]:
    """Make expired timers raise TimeLimitExceeded; in another thread than the main one, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_cpu(*_: object) -> None:
        raise TimeLimitExceeded(f"{MAX_CPU_S:.0f} s of the processor")

    def on_clock(*_: object) -> None:
        raise TimeLimitExceeded(f"{MAX_WALL_S:.0f} s")

    if sys.platform == "win32":
        raise NotImplementedError
    before = signal.signal(signal.SIGPROF, on_cpu), signal.signal(signal.SIGALRM, on_clock)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, before[0])
        signal.signal(signal.SIGALRM, before[1])


@contextlib.contextmanager
def limit_time() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if sys.platform == "win32":
        raise NotImplementedError
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
    signal.setitimer(signal.ITIMER_REAL, MAX_WALL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
