"""A pool of worker processes that apply a function to items, and the code that runs in each worker."""

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

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_ITEMS_AHEAD = 16  # items per process that may be read before the oldest result is yielded
_SUBMITTED_PER_WORKER = 2  # one item in progress, and the next one ready
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Task(Generic[_Item, _Result]):
    """One item: unassigned, submitted to the workers, or done."""

    def __init__(self, item: _Item) -> None:
        self._item = item
        self._future: Future[tuple[int, _Result]] | None = None
        self.worker: int | None = None  # id of the process that ran the function
        self._results: list[_Result] = []

    @property
    def is_unassigned(self) -> bool:
        return self._future is None and not self._results

    @property
    def is_done(self) -> bool:
        return bool(self._results) or (self._future is not None and self._future.done())

    def submit(self, executor: ProcessPoolExecutor, pickled: bytes | None) -> None:
        """Submit the item to the workers. Raise OSError or RuntimeError if no worker can be started."""
        with _blocked_signals():  # submitting may start a worker
            self._future = executor.submit(_run_in_worker, pickled, self._item)

    def run(self, function: Callable[[_Item], _Result]) -> None:
        """Run the function on the item in this process."""
        self._results.append(function(self._item))

    def result(self, function: Callable[[_Item], _Result]) -> _Result:
        """Wait for the result. If the worker fails, run the function in this process."""
        if self._future is not None and not self._results:
            try:
                self.worker, result = self._future.result()
            except Exception:  # noqa: BLE001 - an error of the function itself is raised again here
                self.run(function)
            else:
                return result
        return self._results.pop()


class Pool(Generic[_Item, _Result]):
    """Worker processes that apply a function to items.

    A worker receives the function with its first items, not as an argument when it starts. This thread would
    write such an argument to a pipe, and block forever if the worker died before reading it.
    """

    def __init__(self, function: Callable[[_Item], _Result], workers: int) -> None:
        self._function = function
        self._workers = workers
        self._initialized: set[int] = set()  # ids of workers that have received the function
        self._pickled = _pickle(function)
        self._executor = None if self._pickled is None else _create_executor(workers)

    def close(self) -> None:
        """Terminate the workers, whatever they are doing."""
        if self._executor is not None:
            for worker in multiprocessing.active_children():
                worker.terminate()
            self._executor.shutdown(cancel_futures=True)

    def results(self, items: Iterator[_Item]) -> Iterator[_Result]:
        """Yield the result for each item, in order."""
        tasks: deque[_Task[_Item, _Result]] = deque()
        while True:
            while len(tasks) < _ITEMS_AHEAD * (self._workers + 1) and (item := next(items, None)) is not None:
                tasks.append(_Task(item))
            if not tasks:
                return
            unassigned = deque(task for task in tasks if task.is_unassigned)
            submitted = sum(not (task.is_unassigned or task.is_done) for task in tasks)
            while (
                unassigned
                and submitted < _SUBMITTED_PER_WORKER * self._workers
                and self._try_submit(unassigned[0])
            ):
                unassigned.popleft()
                submitted += 1
            if tasks[0].is_done or not unassigned:
                task = tasks.popleft()
                yield task.result(self._function)
                if task.worker is not None:
                    self._initialized.add(task.worker)
            else:
                unassigned[0].run(self._function)

    def _try_submit(self, task: _Task[_Item, _Result]) -> bool:
        if self._executor is not None:
            pickled = self._pickled if len(self._initialized) < self._workers else None
            try:
                task.submit(self._executor, pickled)
            except (OSError, RuntimeError):
                return False
        return self._executor is not None


def _pickle(function: Callable[[Any], Any]) -> bytes | None:
    """Return the pickled function, or None if it cannot be pickled."""
    try:
        return pickle.dumps(function, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _create_executor(workers: int) -> ProcessPoolExecutor | None:
    """Return an executor, or None if the system lacks the resources for one."""
    try:
        if sys.platform != "win32":
            # Start the tracker first: if it cannot start, resources created before it would never be freed.
            resource_tracker.ensure_running()
        return ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_initialize_worker
        )
    except (OSError, RuntimeError, NotImplementedError, ImportError):
        return None


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """Block signals while a worker starts.

    The worker inherits the mask, installs its own signal handlers and then unblocks the signals.
    """
    if sys.platform == "win32":
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


# -- in a worker -------------------------------------------------------------------------------------------

_function: Callable[[Any], Any] | None = None


def _initialize_worker() -> None:
    """Ignore Ctrl-C, which is meant for the parent process, and end when the parent ends."""
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


def _run_in_worker(pickled: bytes | None, item: Any) -> tuple[int, Any]:
    """Return the process id and the result for an item.

    `pickled` is the pickled function. It may be None once this worker has received the function.
    """
    global _function  # noqa: PLW0603 - the only state that the calls in one worker can share
    if _function is None:
        if pickled is None:
            raise LookupError("this worker has not received its function")
        _function = pickle.loads(pickled)  # noqa: S301 - written by the parent process
    return os.getpid(), _function(item)
