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
from concurrent import futures
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection, parent_process, resource_tracker
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

StartMethod: TypeAlias = Literal["fork", "spawn"]  # of multiprocessing
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_ITEMS_AHEAD = 12  # items per process that may be read before the oldest result is yielded
# One item is in progress, and the others are ready: while this process works on an item, it submits none.
_SUBMITTED_PER_WORKER = 4
_CHECK_S = 0.5  # after which it is checked again that the workers are served
_MAX_END_S = 0.5  # that the thread of an executor needs to end, unless it waits forever
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Task(Generic[_Item, _Result]):
    """A function and an item, which a worker or this process applies it to."""

    def __init__(self, function: Callable[[_Item], _Result], item: _Item) -> None:
        self._function = function
        self._item = item
        self._future: Future[tuple[int, _Result]] | None = None
        self.worker: int | None = None  # id of the process that ran the function
        self._results: list[_Result] = []

    @property
    def is_done(self) -> bool:
        return bool(self._results) or (self._future is not None and self._future.done())

    def submit(self, executor: ProcessPoolExecutor, pickled: bytes | None) -> bool:
        """Submit the item to the workers. Return False if no worker can be started."""
        try:
            with _blocked_signals(), _safe_path():  # submitting may start a worker
                self._future = executor.submit(_run_in_worker, pickled, self._item)
        except (OSError, RuntimeError):
            return False
        return True

    def run(self) -> None:
        """Run the function in this process."""
        self._results.append(self._function(self._item))

    def result(self, *, is_served: Callable[[], bool]) -> _Result:
        """Wait for the result while the workers are served. If that fails, run the function here."""
        if self._future is not None and not self._results:
            try:
                while not self._future.done() and is_served():
                    futures.wait([self._future], timeout=_CHECK_S)
                self.worker, result = self._future.result(timeout=0)
            except Exception:  # noqa: BLE001 - an error of the function itself is raised again here
                self.run()
            else:
                return result
        return self._results.pop()


class Pool:
    """Worker processes that apply functions to items. They start at once."""

    def __init__(self, workers: int, method: StartMethod) -> None:
        self._workers = workers
        self._executor = _create_executor(workers, method)
        self._thread: threading.Thread | None = None  # which serves the workers
        if self._executor is not None:
            try:
                with _blocked_signals(), _safe_path():
                    for _ in range(workers):  # An executor starts a worker only if it has something to do.
                        self._executor.submit(os.getpid)
            except (OSError, RuntimeError):  # The system lacks the resources for a process or a thread.
                self.close()
            else:
                # Python has no public name for it. Without it, this process does all the work itself.
                self._thread = getattr(self._executor, "_executor_manager_thread", None)
        self._most_alive = len(multiprocessing.active_children())

    def close(self) -> None:
        """Kill the workers, whatever they are doing."""
        if self._executor is not None:
            for worker in multiprocessing.active_children():
                worker.kill()  # A worker that starts blocks other signals.
            self._end_threads(self._executor)
            with contextlib.suppress(RuntimeError):  # its thread could not be started
                self._executor.shutdown(cancel_futures=True)
            self._executor = None

    def _end_threads(self, executor: ProcessPoolExecutor) -> None:
        """Let the executor's threads end, after its workers were killed.

        A thread may be waiting for the rest of a result, or for a worker to read an item, and would wait
        forever while this process has the other end of the pipe open itself. From Python 3.11.5 on, the
        executor closes its end of the items' pipe. Closing it here at the same time could close another file
        that has been given the same descriptor. Python has no public function for this.
        """
        with contextlib.suppress(AttributeError, OSError):
            executor._result_queue._writer.close()  # type: ignore[attr-defined] # noqa: SLF001
        if sys.version_info < (3, 11, 5) and self._thread is not None:
            self._thread.join(_MAX_END_S)
            if self._thread.is_alive():
                with contextlib.suppress(AttributeError, OSError):
                    executor._call_queue._reader.close()  # type: ignore[attr-defined] # noqa: SLF001

    def _is_served(self) -> bool:
        """Return whether the executor's thread and all workers are running.

        Otherwise, some results may never arrive: if a worker is killed while it writes one, the thread waits
        for the rest, and the other workers for their turn to write.
        """
        alive = len(multiprocessing.active_children())
        self._most_alive = max(alive, self._most_alive)
        has_lost_worker = alive < self._most_alive
        has_thread = self._thread is not None and self._thread.is_alive()
        return has_thread and not has_lost_worker

    def map_in_order(self, function: Callable[[_Item], _Result], items: Iterator[_Item]) -> Iterator[_Result]:
        """Yield the result of the function for each item, in order.

        A worker receives the function with its first items, not as an argument when it starts. This thread
        would write such an argument to a pipe, and block forever if the worker died before reading it.
        """
        pickled = _pickle(function)
        executor = None if pickled is None else self._executor
        initialized: set[int] = set()  # ids of workers that have received the function
        tasks: deque[_Task[_Item, _Result]] = deque()
        most_submitted = _SUBMITTED_PER_WORKER * self._workers

        def read_task() -> _Task[_Item, _Result] | None:
            is_far_ahead = len(tasks) >= _ITEMS_AHEAD * (self._workers + 1)
            item = None if is_far_ahead else next(items, None)
            if item is not None:
                tasks.append(_Task(function, item))
            return None if item is None else tasks[-1]

        while True:
            submitted = sum(not task.is_done for task in tasks)
            while executor is not None and submitted < most_submitted and self._is_served():
                if (task := read_task()) is None:
                    break
                if not task.submit(executor, pickled if len(initialized) < self._workers else None):
                    task.run()
                    break
                submitted += 1
            if not (tasks and tasks[0].is_done) and (task := read_task()) is not None:
                task.run()
            elif tasks:
                task = tasks.popleft()
                yield task.result(is_served=self._is_served)
                if task.worker is not None:
                    initialized.add(task.worker)
            else:
                return


def _pickle(function: Callable[[Any], Any]) -> bytes | None:
    """Return the pickled function, or None if it cannot be pickled."""
    try:
        return pickle.dumps(function, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _create_executor(workers: int, method: StartMethod) -> ProcessPoolExecutor | None:
    """Return an executor, or None if the system lacks the resources for one."""
    try:
        if sys.platform != "win32" and method == "spawn":
            # Start the tracker first: if it cannot start, resources created before it would never be freed.
            with _safe_path():
                resource_tracker.ensure_running()
        context = multiprocessing.get_context(method)
        return ProcessPoolExecutor(workers, context, initializer=_initialize_worker)
    except (OSError, RuntimeError, NotImplementedError, ImportError):
        return None


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Keep processes that start from importing modules of the current folder, as `python -c` does.

    They inherit this process's own path anyway, as soon as they have started.
    """
    name = "PYTHONSAFEPATH"
    previous = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]
        if previous is not None:
            os.environ[name] = previous


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
    try:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    except RuntimeError:  # The system allows no more threads. The parent does the work of this worker.
        os._exit(1)


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
