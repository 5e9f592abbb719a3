"""The time that one input may take."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


CPU_S, REAL_S = 3.0, 20.0  # what one input may take


class TooLong(BaseException):
    """An input takes too long; no part of the program may catch it."""


@contextlib.contextmanager
def alarms() -> Iterator[None]:
    """Let the timers raise, as long as this is the main thread, which alone may be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_cpu(*_: object) -> None:
        raise TooLong(f"{CPU_S:.0f} s of the processor")

    def on_clock(*_: object) -> None:
        raise TooLong(f"{REAL_S:.0f} s")

    if sys.platform == "win32":
        raise NotImplementedError
    before = signal.signal(signal.SIGPROF, on_cpu), signal.signal(signal.SIGALRM, on_clock)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, before[0])
        signal.signal(signal.SIGALRM, before[1])


@contextlib.contextmanager
def timed() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if sys.platform == "win32":
        raise NotImplementedError
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.setitimer(signal.ITIMER_REAL, REAL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
