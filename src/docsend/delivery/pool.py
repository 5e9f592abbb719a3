"""A pool of processes for one long work of many pieces, and what runs in each of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection, parent_process, resource_tracker
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")

_PIECES_AHEAD = 16  # pieces for each process, the results of which may wait for those before them
_PIECES_PER_WORKER = 2  # pieces that are with a worker: one in its hands, and one that it need not wait for
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Task(Generic[_Piece, _Result]):
    """One piece: nobody has it yet, a worker has it, or it is done."""

    def __init__(self, piece: _Piece) -> None:
        self._piece = piece
        self._future: Future[tuple[int, _Result]] | None = None
        self.worker: int | None = None  # the process that did it
        self._results: list[_Result] = []

    @property
    def is_free(self) -> bool:
        return self._future is None and not self._results

    @property
    def is_done(self) -> bool:
        return bool(self._results) or (self._future is not None and self._future.done())

    def submit(self, executor: ProcessPoolExecutor, work: bytes | None) -> None:
        """Give it to the workers; raise OSError or RuntimeError if there are none, or no room for one."""
        with _uninterrupted():  # a worker is begun by what is submitted
            self._future = executor.submit(_run_work, work, self._piece)

    def do(self, work: Callable[[_Piece], _Result]) -> None:
        self._results.append(work(self._piece))

    def result(self, work: Callable[[_Piece], _Result]) -> _Result:
        """Wait for the result; if the worker has none, work here."""
        if self._future is not None and not self._results:
            try:
                self.worker, result = self._future.result()
            except Exception:  # noqa: BLE001 - whatever it was, here it is seen again, or does not happen
                self.do(work)
            else:
                return result
        return self._results.pop()


class Pool(Generic[_Piece, _Result]):
    """The workers, and what they have to do.

    The work goes to a worker with its first pieces, and not as it begins: what a beginning worker is told is
    written into a pipe by this thread, which would wait for ever for one that died before it read it.
    """

    def __init__(self, work: Callable[[_Piece], _Result], workers: int) -> None:
        self._work = work
        self._workers = workers
        self._have_work: set[int] = set()  # workers
        self._plain = _pickled(work)
        self._executor = None if self._plain is None else _executor(workers)

    def close(self) -> None:
        """End the workers, wherever they are."""
        if self._executor is not None:
            for worker in multiprocessing.active_children():
                worker.terminate()
            self._executor.shutdown(cancel_futures=True)

    def results(self, pieces: Iterator[_Piece]) -> Iterator[_Result]:
        tasks: deque[_Task[_Piece, _Result]] = deque()
        while True:
            while (
                len(tasks) < _PIECES_AHEAD * (self._workers + 1) and (piece := next(pieces, None)) is not None
            ):
                tasks.append(_Task(piece))
            if not tasks:
                return
            free = deque(task for task in tasks if task.is_free)
            with_workers = sum(not (task.is_free or task.is_done) for task in tasks)
            while free and with_workers < _PIECES_PER_WORKER * self._workers and self._try_submit(free[0]):
                free.popleft()
                with_workers += 1
            if tasks[0].is_done or not free:
                task = tasks.popleft()
                yield task.result(self._work)
                if task.worker is not None:
                    self._have_work.add(task.worker)
            else:
                free[0].do(self._work)

    def _try_submit(self, task: _Task[_Piece, _Result]) -> bool:
        if self._executor is not None:
            work = self._plain if len(self._have_work) < self._workers else None
            try:
                task.submit(self._executor, work)
            except (OSError, RuntimeError):
                return False
        return self._executor is not None


def _pickled(work: Callable[[Any], Any]) -> bytes | None:
    """Return the work as plain data; None if it is none."""
    try:
        return pickle.dumps(work, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _executor(workers: int) -> ProcessPoolExecutor | None:
    """Prepare the pool; None where this system has no room for one."""
    try:
        if sys.platform != "win32":
            # First: what is made before it cannot begin would be there for ever.
            resource_tracker.ensure_running()
        return ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_initialize_worker
        )
    except (OSError, RuntimeError, NotImplementedError, ImportError):
        return None


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait: a worker begins with them blocked, until it knows what to do about them."""
    if sys.platform == "win32":
        yield
        return
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


# -- in a worker -------------------------------------------------------------------------------------------

_work: Callable[[Any], Any] | None = None


def _initialize_worker() -> None:
    """Get ready: a Ctrl-C is for the process that the user called, and this one ends when that one does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        signal.raise_signal(signal.SIGTERM)


def _run_work(work: bytes | None, piece: Any) -> tuple[int, Any]:
    """Return the worker's number and what its work gives; `work` is needed until it has some."""
    global _work  # noqa: PLW0603 - a pool has no other place for what its workers have in common
    if _work is None:
        if work is None:
            raise LookupError("nobody gave this worker its work")
        _work = pickle.loads(work)  # noqa: S301 - the process that began this one has written it
    return os.getpid(), _work(piece)
