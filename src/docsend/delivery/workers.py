"""The second pass over a batch: rows are checked again and planned, carried by workers, and kept.

    planner ── ahead ──> workers ── ended ──> the main thread
    checks, plans        declare, put, send   keeps receipts, tells

Who waits for the disk holds nobody back who could use the network. What is planned or kept together is one
commit of the ledger: each waits for the disk several times, and a batch has thousands of rows. Rows end in
any order; a row that fails stops no other.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from docsend import threads
from docsend.checks import documents
from docsend.delivery.batch import Outcome
from docsend.delivery.clearance import Clearance
from docsend.errors import DocsendError, LocalError
from docsend.model.receipt import Delivery, Receipt
from docsend.model.submission import CheckedSubmission

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from docsend.delivery.batch import Batch, CheckedRow
    from docsend.delivery.preflight import PreflightResult
    from docsend.manifest.reader import Row
    from docsend.model.document import Document
    from docsend.service.progress import Pause

# Receipts that come within this time are kept in one commit. Nobody waits for it but the tally: a worker goes
# on with its next row, and what a power cut takes, the service still has.
_COMMIT_WINDOW_S = 0.02
# For so long after a stop an exchange that is on its way may still bring its receipt.
_GRACE_S = 5.0
_POLL_S = 0.2  # how soon the main thread hears of a stop, if nothing else ends
_SHOWN_PAUSE_S = 3.0
_MIN_THREADS = 2  # one that plans, and one worker


class DeliveryCalls(NamedTuple):
    """The journey of a submission, as `deliver` has it: each stage after the one before has returned.

    `abandon` ends the exchanges that are on their way, whichever worker waits for them.
    """

    record_plans: Callable[[Sequence[CheckedSubmission]], list[Delivery | DocsendError | Clearance]]
    upload: Callable[[CheckedSubmission, Clearance], Delivery]
    record_receipts: Callable[[Sequence[Receipt]], Mapping[str, LocalError]]
    abort: Callable[[], None]


class StopRequested(Exception):
    """Somebody was asked to stop in the middle of a row."""


_Ended: TypeAlias = "Outcome | None"  # None: a thread has ended


class BatchRunner:
    """Brings the good rows of a batch to their receipts."""

    def __init__(self, batch: Batch, preflight: PreflightResult, *, jobs: int) -> None:
        """Prepare up to `jobs` workers; nothing begins before `outcomes` is asked."""
        self._batch = batch
        self.jobs = max(1, min(jobs, preflight.good_rows or 1))
        self._rows = (row for row in batch.read_rows() if row.number not in preflight.faulty)
        self._planned = _PlannedQueue(self.jobs)
        # Bounded: a slow report holds the workers back rather than filling the memory.
        self._ended: queue.Queue[_Ended] = queue.Queue(maxsize=max(64, 4 * self.jobs))
        self._running = 0  # threads whose end the main thread has not heard of
        self._is_stopped = False
        self._aborts_at: float | None = None
        self._ended_by: DocsendError | None = None  # what no other row would survive
        self._woken = threading.Event()  # by the main thread alone
        self._bug: Exception | None = None
        self._ledger_error: LocalError | None = None

    def stop(self) -> None:
        """Let no row begin any more, and end those that are on their way at their next step.

        It takes no lock, for a signal's handler calls it, wherever the main thread is; the main thread wakes
        those that sleep as soon as it sees it.
        """
        self._is_stopped = True

    def _stop_for(self, error: DocsendError) -> None:
        """Stop, since no other row would fare better."""
        self._ended_by = self._ended_by or error
        self.stop()

    def check_stop(self) -> None:
        """Raise Stop if the batch was stopped; workers ask at every step."""
        if self._is_stopped:
            raise StopRequested

    def sleep(self, seconds: float) -> None:
        """Wait, but not for a batch that was stopped."""
        self._woken.wait(seconds)
        self.check_stop()

    def outcomes(self, calls: DeliveryCalls) -> Generator[Outcome, None, None]:
        """Give what becomes of each good row, as it ends; after a stop the others as not tried.

        Closing it before its end stops the workers, waits for them and keeps what they brought. A bug in a
        thread ends the batch, and is raised here.
        """
        try:
            self._start_threads(calls)
            while self._running:
                yield from self._store_receipts(self._gather(calls), calls)
        finally:
            self._join_threads(calls)
        for row in self._rows:
            yield Outcome(row, "not tried", row.submission)
        if self._bug is not None:
            raise self._bug

    def _start_threads(self, stages: DeliveryCalls) -> None:
        """Begin the threads; where there is no room for all, fewer workers do."""
        for number, work in enumerate((self._run_planner, *[self._run_worker] * self.jobs)):
            try:
                threads.start(work, [stages])
            except LocalError:
                if number < _MIN_THREADS:
                    raise
                return
            self._running += 1

    # -- the main thread: receipts are kept ----------------------------------------------------------------

    def _gather(self, stages: DeliveryCalls) -> list[Outcome]:
        """Wait for what ends, and shortly for more."""
        while True:
            if self._is_stopped:
                self._wake()
                self._abort_after_grace(stages)
            with contextlib.suppress(queue.Empty):
                # With a limit: Windows would not hear Ctrl-C, and nobody a stop.
                together = [self._ended.get(timeout=_POLL_S)]
                break
        if self._running > 1:
            time.sleep(_COMMIT_WINDOW_S)
        with contextlib.suppress(queue.Empty):
            while True:
                together.append(self._ended.get_nowait())
        self._running -= together.count(None)
        return [ended for ended in together if ended is not None]

    def _store_receipts(self, together: Sequence[Outcome], stages: DeliveryCalls) -> Iterator[Outcome]:
        """Keep the receipts of several rows; then, and not before, give what became of them."""
        lost = self._try_store_receipts(together, stages)
        for ended in together:
            failure = lost.get(ended.receipt.key) if ended.receipt and not ended.is_stored else None
            yield ended.as_not_stored(failure) if failure else ended

    def _try_store_receipts(
        self, together: Sequence[Outcome], stages: DeliveryCalls
    ) -> Mapping[str, LocalError]:
        """Keep receipts; give, by key, why one is not there. A ledger that failed once is not tried again."""
        receipts = [ended.receipt for ended in together if ended.receipt and not ended.is_stored]
        try:
            if self._ledger_error is None:
                lost = stages.record_receipts(receipts)
                if lost:
                    self.stop()  # no other row would fare better
                return lost
        except LocalError as failure:
            self._ledger_error = failure
            self._stop_for(failure)
        return dict.fromkeys((receipt.key for receipt in receipts), self._ledger_error)

    def _join_threads(self, stages: DeliveryCalls) -> None:
        """Wait for all threads, and keep what they still brought; nobody will be told of it any more."""
        self.stop()
        self._wake()
        brought: list[Outcome] = []
        while self._running:
            self._abort_after_grace(stages)
            try:
                ended = self._ended.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if ended is None:
                self._running -= 1
            else:
                brought.append(ended)
        self._try_store_receipts(brought, stages)

    def _abort_after_grace(self, stages: DeliveryCalls) -> None:
        """After a stop, wait for the service for a little while only: it may never answer."""
        now = time.monotonic()
        self._aborts_at = self._aborts_at or now + _GRACE_S
        if now >= self._aborts_at:
            stages.abort()

    def _wake(self) -> None:
        self._woken.set()
        self._planned.close()

    # -- the planner ---------------------------------------------------------------------------------------

    def _run_planner(self, stages: DeliveryCalls) -> None:
        with self._reporting_end():
            try:
                while not self._is_stopped and (group := self._check_next_rows()):
                    ready = self._plan_rows(group, stages)
                    if not self._planned.put(ready):
                        self._report_not_tried(each.row for each in ready)
                    self._planned.wait_until_low()
            finally:
                self._planned.close()

    def _check_next_rows(self) -> list[CheckedRow]:
        """Check as many rows as there are workers, or fewer if they are large; none if there are no more."""
        group: list[Row] = []
        ready: list[CheckedRow] = []
        try:
            while not (ready or self._is_stopped) and self._read_next_rows(group):
                for checked in [self._batch.check_row(row) for row in group]:
                    if isinstance(checked.submission, CheckedSubmission):
                        ready.append(checked)
                    else:  # changed since the first pass
                        self._ended.put(checked.as_outcome("faulty"))
        except BaseException:
            self._report_not_tried(group)
            raise
        return ready

    def _read_next_rows(self, group: list[Row]) -> bool:
        """Read so many rows anew; tell whether there are any."""
        group.clear()
        held = 0
        for row in self._rows:
            group.append(self._batch.read_row(row, buffer=True))
            held += group[-1].submission.buffered_bytes
            if len(group) == self.jobs or held >= documents.BUFFER_BYTES or self._is_stopped:
                break
        return bool(group)

    def _plan_rows(self, group: Sequence[CheckedRow], stages: DeliveryCalls) -> list[CheckedRow]:
        """Plan rows together; give those that are to be carried, and tell what becomes of the others."""
        found: Sequence[Delivery | DocsendError | Clearance]
        try:
            found = stages.record_plans([checked.sendable for checked in group])
        except LocalError as failure:
            found = [failure] * len(group)
        except BaseException:
            self._report_not_tried(each.row for each in group)
            raise
        if (broken := next((known for known in found if isinstance(known, LocalError)), None)) is not None:
            self._stop_for(broken)
        going: list[CheckedRow] = []
        for ready, known in zip(group, found, strict=True):
            if isinstance(known, Clearance):
                going.append(ready._replace(clearance=known))
            elif isinstance(known, Delivery):
                self._ended.put(ready.as_delivered(known))
            else:
                self._ended.put(ready.as_failed(known))
        return going

    def _report_not_tried(self, rows: Iterable[Row]) -> None:
        for row in rows:
            bare = row.without_documents()
            self._ended.put(Outcome(bare, "not tried", bare.submission))

    # -- the workers ---------------------------------------------------------------------------------------

    def _run_worker(self, stages: DeliveryCalls) -> None:
        with self._reporting_end():
            while (ready := self._planned.take()) is not None:
                if self._is_stopped:
                    self._report_not_tried([ready.row])
                else:
                    self._ended.put(self._upload_row(ready, stages))

    def _upload_row(self, ready: CheckedRow, stages: DeliveryCalls) -> Outcome:
        """Carry a row; whatever happens, it ends."""
        try:
            return ready.as_delivered(stages.upload(ready.sendable, ready.clearance))
        except StopRequested:
            if self._ended_by is not None:  # nobody interrupted: another row found that none can be sent
                return ready.as_failed(self._ended_by)
        except DocsendError as error:
            if error.affects_all:
                self._stop_for(error)
            return ready.as_failed(error)
        except Exception as bug:  # noqa: BLE001 - it is raised in the main thread, where bugs are told
            self._bug = bug
            self.stop()
        return ready.as_outcome("unfinished")

    @contextlib.contextmanager
    def _reporting_end(self) -> Iterator[None]:
        """Tell the main thread when a thread ends, and with which bug."""
        try:
            yield
        except Exception as bug:  # noqa: BLE001 - it is raised in the main thread, where bugs are told
            self._bug = bug
            self.stop()
        finally:
            self._ended.put(None)


class _PlannedQueue:
    """Rows that are planned and wait for a worker: so many that no worker waits, and no more."""

    def __init__(self, jobs: int) -> None:
        self._enough = jobs
        self._ready: deque[CheckedRow] = deque()
        self._held_bytes = 0
        self._is_closed = False
        lock = threading.Lock()
        self._some, self._few = threading.Condition(lock), threading.Condition(lock)

    def put(self, ready: Sequence[CheckedRow]) -> bool:
        """Add rows; False, and they are not added, if it is closed."""
        with self._some:
            if self._is_closed:
                return False
            self._ready.extend(ready)
            self._held_bytes += sum(each.buffered_bytes for each in ready)
            self._some.notify(len(ready))
            return True

    def take(self) -> CheckedRow | None:
        """Wait for a row; None if there will be no more."""
        with self._some:
            while not self._ready:
                if self._is_closed:
                    return None
                self._some.wait()
            ready = self._ready.popleft()
            self._held_bytes -= ready.buffered_bytes
            if self._is_low():
                self._few.notify()
            return ready

    def wait_until_low(self) -> None:
        """Wait until workers will soon want more, or it is closed."""
        with self._few:
            self._few.wait_for(lambda: self._is_closed or self._is_low())

    def close(self) -> None:
        """Let nothing be added any more; what there is can be taken."""
        with self._some:
            self._is_closed = True
            self._some.notify_all()
            self._few.notify_all()

    def _is_low(self) -> bool:
        return len(self._ready) < self._enough and self._held_bytes < documents.BUFFER_BYTES


class BatchProgress:
    """A watcher of all workers: asks at every step whether to go on, and tells of trouble only."""

    def __init__(self, runner: BatchRunner, show_pause: Callable[[Pause], None]) -> None:
        self._runner = runner
        self._show_pause = show_pause

    def declared(self, missing_bytes: int) -> None:  # noqa: ARG002 - a watcher's method
        self._runner.check_stop()

    def sent(self, document: Document, sent_bytes: int) -> None:
        if sent_bytes < document.size:  # else the answer may be on its way, and is waited for
            self._runner.check_stop()

    def arrived(self, document: Document) -> None:  # noqa: ARG002
        self._runner.check_stop()

    def received(self, documents: Sequence[Document]) -> None:
        """Go on whatever was asked: the receipt is here, and is to be kept."""

    def waiting(self, pause: Pause) -> None:
        """Tell of a pause that a person would notice."""
        self._runner.check_stop()
        if pause.seconds >= _SHOWN_PAUSE_S:
            self._show_pause(pause)
