"""Handling of SIGINT and SIGTERM: the first signal ends the run cleanly, the next one exits at once.

Exiting at once is safe, because whatever docsend has confirmed to a user or a service is already on disk.
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
    """Raise KeyboardInterrupt for SIGINT and Terminated for SIGTERM in the main thread.

    `pending` lists the signals that were received before the block. If there are any, the exception for the
    first one is raised on entry. A signal received inside the block is appended to the list.
    """
    _state.is_disarmed = False

    def on_first_signal(number: int) -> None:
        if _state.is_disarmed:
            return
        if pending is not None:
            pending.append(number)
        raise exception_for(number)

    with _install_handler(on_first_signal):
        if pending:
            raise exception_for(pending[0])
        yield


class _State:
    """State of `interrupt_on_signal`.

    While `is_disarmed` is true, the first signal is ignored, because the result is being shown.
    """

    is_disarmed = False


_state = _State()


def ignore_next_signal() -> None:
    """Ignore the next signal, because the result is about to be shown and must not change.

    A second signal still exits at once, for example if the output is blocked because nobody reads it.
    """
    _state.is_disarmed = True


@contextmanager
def stop_on_signal(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call `stop` on the first signal instead of raising. Yield a list that collects the signals."""
    received: list[int] = []

    def on_first_signal(number: int) -> None:
        received.append(number)
        stop()

    with _install_handler(on_first_signal):
        yield received


def exception_for(number: int) -> KeyboardInterrupt:
    """Return the exception to raise for a signal."""
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()


@contextmanager
def _install_handler(on_first_signal: Callable[[int], None]) -> Iterator[None]:
    count = 0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            _exit_now(number)
        on_first_signal(number)

    def unraisable_hook(unraisable: sys.UnraisableHookArgs) -> None:
        """Send the signal again if its exception was raised where Python cannot propagate it.

        This happens in destructors and in weak reference callbacks, such as importlib's.
        """
        nonlocal count
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            count = 0
            number = signal.SIGTERM if isinstance(unraisable.exc_value, Terminated) else signal.SIGINT
            _thread.start_new_thread(_send_again, (number,))
        else:
            previous_hook(unraisable)

    previous_hook, sys.unraisablehook = sys.unraisablehook, unraisable_hook
    previous_handlers: dict[int, Any] = {}
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        # Handlers can only be set in the main thread. A signal that is already ignored, as in a shell's
        # background job, stays ignored.
        with suppress(ValueError):
            if signal.getsignal(signal_number) is not signal.SIG_IGN:
                previous_handlers[signal_number] = signal.signal(signal_number, handle)
    try:
        yield
    finally:
        sys.unraisablehook = previous_hook
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


def _send_again(number: int) -> None:
    """Send this process a signal after 10 ms, when the main thread can be interrupted again."""
    time.sleep(0.01)
    signal.raise_signal(number)


def _exit_now(number: int) -> None:
    """Exit at once, after restoring the cursor that a progress bar may have hidden."""
    if sys.stderr is not None and sys.stderr.isatty():
        with suppress(OSError):
            os.write(sys.stderr.fileno(), b"\x1b[?25h\r\n")
    os._exit(128 + number)
