"""SIGINT and SIGTERM: the first ends the work in order, the second ends the process at once.

At once is safe, too: whatever was promised to anybody is on the disk already.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from docsend.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


@contextmanager
def interrupt_on_signal(pending: list[int] | None = None) -> Iterator[None]:
    """Raise what a signal stands for, KeyboardInterrupt or Terminated, wherever the main thread is.

    A signal of `noted` came before and is raised at once; those that come are added.
    """
    _run.is_disarmed = False

    def first(number: int) -> None:
        if _run.is_disarmed:
            return
        if pending is not None:
            pending.append(number)
        raise exception_for(number)

    with _handled(first):
        if pending:
            raise exception_for(pending[0])
        yield


class _Run:
    """Whether the run is past where a signal still changes its result."""

    is_disarmed = False


_run = _Run()


def ignore_next_signal() -> None:
    """Let the next signal change nothing: the result is about to be shown, and there is one only.

    Another one ends the process at once all the same, as when nobody reads what is shown.
    """
    _run.is_disarmed = True


@contextmanager
def stop_on_signal(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call `stop` when a signal comes, and interrupt nothing; give the list of those that came."""
    came: list[int] = []

    def first(number: int) -> None:
        came.append(number)
        stop()

    with _handled(first):
        yield came


def exception_for(number: int) -> KeyboardInterrupt:
    """Give what a signal is raised as."""
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()


@contextmanager
def _handled(first: Callable[[int], None]) -> Iterator[None]:
    count = 0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            _leave(number)
        first(number)

    def swallowed(unraisable: sys.UnraisableHookArgs) -> None:
        """Send a signal again whose exception was raised where Python tells of it and goes on.

        That is so in destructors and in callbacks of weak references, as importlib's.
        """
        nonlocal count
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            count = 0
            number = signal.SIGTERM if isinstance(unraisable.exc_value, Terminated) else signal.SIGINT
            _thread.start_new_thread(_send_soon, (number,))
        else:
            hook(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, swallowed
    before: dict[int, Any] = {}
    for which in (signal.SIGINT, signal.SIGTERM):
        # Outside the main thread nobody may; and what a shell's background job ignores stays ignored.
        with suppress(ValueError):
            if signal.getsignal(which) is not signal.SIG_IGN:
                before[which] = signal.signal(which, handle)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _send_soon(number: int) -> None:
    """Send this process a signal, once the main thread is out of where it could not be interrupted."""
    time.sleep(0.01)
    signal.raise_signal(number)


def _leave(number: int) -> None:
    """End the process here and now, with the cursor that a progress bar may have hidden."""
    if sys.stderr is not None and sys.stderr.isatty():
        with suppress(OSError):
            os.write(sys.stderr.fileno(), b"\x1b[?25h\r\n")
    os._exit(128 + number)
