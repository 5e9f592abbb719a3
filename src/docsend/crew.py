"""A crew: processes that share a long work of many pieces, so that it uses every core of the machine.

A copy of this process (`fork`) has all that was read and imported already, so it begins at once; threads
would wait for one another. Where there is no `fork` that can be trusted (Windows, macOS), or where another
thread could be in the middle of something, this process does the whole work itself.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, BinaryIO, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")

_WORTH_S = 0.02  # work that is done by then has no use for a crew
_MOST = 8  # processes
_LENGTH = 8  # bytes, before each result
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def in_order(
    pieces: Iterator[_Piece], work: Callable[[_Piece], _Result], *, alone: bool = False
) -> Generator[_Result, None, None]:
    """Give the result of each piece, in the order of the pieces; the last ones with the help of a crew.

    Each process goes through all pieces, and works on those whose turn is its own: they have to be cheap to
    make. What the work touches has to bear a copy, else say `alone`. A helper that dies, or whose work
    raises, costs time only: what it leaves undone is done here.
    """
    began = time.monotonic()
    for piece in pieces:
        if time.monotonic() - began > _WORTH_S:
            yield from _shared(piece, pieces, work, 1 if alone else min(_MOST, _cores()))
            return
        yield work(piece)


def _shared(
    first: _Piece, others: Iterator[_Piece], work: Callable[[_Piece], _Result], size: int
) -> Generator[_Result, None, None]:
    with contextlib.ExitStack() as crew:
        helpers: list[_Helper] = []
        with _uninterrupted():
            for place in range(1, size):
                helpers.append(_Helper(itertools.islice(others, place - 1, None, size), work))
                crew.callback(helpers[-1].dismiss)
        for number, piece in enumerate(itertools.chain([first], others)):
            place = number % size
            yield helpers[place - 1].result_of(piece, work) if place else work(piece)


def _cores() -> int:
    """Give how many copies of this process could work at the same time; 1 if it should not be copied."""
    if sys.platform != "linux" or threading.active_count() > 1:
        return 1
    # Who ignores the end of children never knows whether a number still is its child's.
    ignores_children = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    return 1 if ignores_children else len(os.sched_getaffinity(0))


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait: no helper may be half made, and none go on as if it were the one who made it."""
    if sys.platform == "win32":
        yield
        return
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


class _Helper:
    """A copy of this process that works on every piece whose turn it is."""

    def __init__(self, turns: Iterator[_Piece], work: Callable[[_Piece], object]) -> None:
        """Begin to help; without room for one more process, do not."""
        self._process: int | None = None
        self._results: BinaryIO | None = None
        if sys.platform != "linux":
            return
        with contextlib.suppress(OSError):
            reading, writing = os.pipe()
            self._results = os.fdopen(reading, "rb")
            try:
                self._process = os.fork()
                if self._process == 0:
                    self._help(turns, work, writing)
            finally:
                os.close(writing)

    def result_of(self, piece: _Piece, work: Callable[[_Piece], _Result]) -> _Result:
        """Give what the helper has made of its next piece; if it is gone, work here."""
        if self._results is not None:
            import pickle  # noqa: PLC0415 - short work does without

            size = int.from_bytes(self._results.read(_LENGTH), "big")
            content = self._results.read(size)
            if size and len(content) == size:
                result: _Result = pickle.loads(content)  # noqa: S301 - a copy of ourselves has written it
                return result
            self.dismiss()
        return work(piece)

    def dismiss(self) -> None:
        """End the helper, wherever it is."""
        self.leave()
        if self._process is not None and sys.platform != "win32":
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = None

    def leave(self) -> None:
        """Read no results any more: a helper whose results nobody can read hears it, and ends."""
        if self._results is not None:
            self._results.close()
            self._results = None

    def _help(self, turns: Iterator[_Piece], work: Callable[[_Piece], object], writing: int) -> NoReturn:
        """Be the copy: write a result after the other, and end without a word, whatever happens."""
        status = 1
        try:
            import pickle  # noqa: PLC0415

            # A Ctrl-C is for the one whom the user has called; it dismisses us.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if sys.platform != "win32":
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self.leave()
            _fall_silent(but=writing)
            with os.fdopen(writing, "wb") as results:
                for piece in turns:
                    content = pickle.dumps(work(piece), pickle.HIGHEST_PROTOCOL)
                    results.write(len(content).to_bytes(_LENGTH, "big") + content)
                    results.flush()
            status = 0
        finally:
            os._exit(status)


def _fall_silent(*, but: int) -> None:
    """Let go of the standard streams: who reads those to their end waits for the one who was called, only."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in {0, 1, 2} - {but}:  # which was closed, if a pipe has its number
        os.dup2(nowhere, stream)
    os.close(nowhere)
