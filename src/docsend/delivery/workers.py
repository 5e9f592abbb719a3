"""The second pass over a batch: check rows again, plan and send them, and store their receipts.

    planner ── queue ──> workers ── queue ──> main thread
    checks, plans        send                 stores receipts, yields outcomes

Threads that wait for the disk do not delay threads that use the network. Each commit to the ledger writes
several plans or receipts, because a commit waits for the disk several times and a batch can have thousands of
rows. Rows finish in any order. A row that fails does not stop the others, unless they would meet the same
error.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from docsend import threads
from docsend.checks import documents
from docsend.delivery import occurrence_order
from docsend.delivery.batch import Outcome
from docsend.delivery.clearance import Clearance
from docsend.delivery.occurrence_order import UnsettledRows
from docsend.delivery.planned_queue import PlannedQueue
from docsend.delivery.second_round import UnfinishedRows
from docsend.errors import DocsendError, LocalError
from docsend.model.receipt import Delivery, Receipt
from docsend.model.submission import CheckedSubmission

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from docsend.delivery.batch import Batch, CheckedRow, ReadRow
    from docsend.delivery.preflight import PreflightResult
    from docsend.manifest.row import Row
    from docsend.model.document import Document
    from docsend.service.progress import Pause

# Receipts that arrive within this time share a commit. Only the display waits that long, because workers
# continue with their next rows. If a power failure loses receipts here, the service still has them.
_COMMIT_WINDOW_S = 0.02
# How long after a stop a pending exchange may still return its receipt.
_GRACE_S = 5.0
_POLL_S = 0.2  # how soon the main thread notices a stop if no row ends
_MIN_SHOWN_PAUSE_S = 3.0
_MIN_THREADS = 2  # the planner and one worker


class DeliveryCalls(NamedTuple):
    """The functions of `deliver` for one row, in calling order, bound to a service and a ledger.

    Two are separate: `abort` ends all exchanges under way, so that no worker waits for them.
    `begin_second_round` is called before this number of unfinished rows is tried once more.
    """

    record_plans: Callable[[Sequence[CheckedSubmission]], list[Delivery | DocsendError | Clearance]]
    upload: Callable[[CheckedSubmission, Clearance], Delivery]
    record_receipts: Callable[[Sequence[Receipt]], Mapping[str, LocalError]]
    abort: Callable[[], None]
    begin_second_round: Callable[[int], None]


class StopRequested(Exception):
    """Raised in a worker to abandon its row after the batch was asked to stop."""


_OutcomeOrEnd: TypeAlias = "Outcome | None"  # None: a thread has ended


class BatchRunner:
    """Delivery of a batch's good rows, with a planner thread and worker threads."""

    def __init__(self, batch: Batch, preflight: PreflightResult, *, jobs: int) -> None:
        """Prepare at most `jobs` workers. Nothing starts before `outcomes` is iterated."""
        self._batch = batch
        self.jobs = max(1, min(jobs, preflight.good_rows or 1))
        self._rows = occurrence_order.in_order(
            row for row in batch.read_rows() if row.number not in preflight.faulty
        )
        self._unsettled = UnsettledRows()
        self._must_settle = False  # whether the next rows have to wait for those before
        self._unfinished = UnfinishedRows()
        self._planned = PlannedQueue(self.jobs)
        # Bounded, so that a slow report slows the workers down instead of filling memory.
        self._outcomes: queue.Queue[_OutcomeOrEnd] = queue.Queue(maxsize=max(64, 4 * self.jobs))
        self._running = 0  # threads that have not yet reported their end to the main thread
        self._is_stopped = False
        self._aborts_at: float | None = None
        self._fatal_error: DocsendError | None = None  # an error that every other row would meet as well
        self._woken = threading.Event()  # set by the main thread only
        self._bug: Exception | None = None
        self._ledger_error: LocalError | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether no more rows are started."""
        return self._is_stopped

    def stop(self) -> None:
        """Start no more rows, and abandon the rows under way at their next step.

        A signal handler may call this at any point of the main thread, so it takes no lock. The main thread
        wakes sleeping workers as soon as it notices the stop.
        """
        self._is_stopped = True

    def _stop_for(self, error: DocsendError) -> None:
        """Stop because of an error that every other row would meet as well."""
        self._fatal_error = self._fatal_error or error
        self.stop()

    def check_stop(self) -> None:
        """Raise StopRequested if the batch was stopped. Workers call this at every step."""
        if self._is_stopped:
            raise StopRequested

    def sleep(self, seconds: float) -> None:
        """Sleep, and raise StopRequested as soon as the batch is stopped."""
        self._woken.wait(seconds)
        self.check_stop()

    def outcomes(self, calls: DeliveryCalls) -> Generator[Outcome, None, None]:
        """Deliver the good rows and yield the outcome of each row when the row ends.

        Rows that are left unfinished are tried once more at the end, unless the batch was stopped. After a
        stop, yield the outcome "not tried" for the remaining rows. Closing the generator early stops
        the workers, waits for them and stores any receipts that still arrive. An unexpected exception in a
        thread ends the batch and is raised here.
        """
        try:
            yield from self._deliver(calls)
            if self._unfinished and not self._is_stopped:
                self._prepare_second_round(calls)
                yield from self._deliver(calls)
        finally:
            self._join_threads(calls)
        for row in filter(None, self._rows):
            if row not in self._unfinished:
                yield Outcome(row, "not tried", row.submission)
        yield from self._unfinished.remaining(self._batch)
        if self._bug is not None:
            raise self._bug

    def _deliver(self, calls: DeliveryCalls) -> Iterator[Outcome]:
        """Deliver the rows and yield the outcomes that are final."""
        self._start_threads(calls)
        while self._running:
            for outcome in self._store_receipts(self._collect_outcomes(calls), calls):
                if not self._unfinished.keep(outcome):
                    yield outcome

    def _prepare_second_round(self, calls: DeliveryCalls) -> None:
        """Take the rows that are left unfinished as those to deliver, for one more try."""
        calls.begin_second_round(len(self._unfinished))
        self.jobs = min(self.jobs, len(self._unfinished))
        self._planned = PlannedQueue(self.jobs)
        self._rows = occurrence_order.in_order(self._unfinished.begin_second_round(self._batch))

    def _start_threads(self, calls: DeliveryCalls) -> None:
        """Start the planner and the workers. If the system lacks resources, start fewer workers."""
        for number, target in enumerate((self._run_planner, *[self._run_worker] * self.jobs)):
            try:
                threads.start(target, [calls])
            except LocalError:
                if number < _MIN_THREADS:
                    raise
                return
            self._running += 1

    # -- the main thread -----------------------------------------------------------------------------------

    def _collect_outcomes(self, calls: DeliveryCalls) -> list[Outcome]:
        """Return the outcomes of rows that have ended. Wait for the first, then briefly for more.

        Return also if a thread ends, perhaps without any outcomes.
        """
        while True:
            if self._is_stopped:
                self._wake()
                self._abort_after_grace(calls)
            with contextlib.suppress(queue.Empty):
                # Without a timeout, Windows would not see Ctrl-C, and a stop would go unnoticed.
                collected = [self._outcomes.get(timeout=_POLL_S)]
                break
        if self._running > 1:
            time.sleep(_COMMIT_WINDOW_S)
        with contextlib.suppress(queue.Empty):
            while True:
                collected.append(self._outcomes.get_nowait())
        self._running -= collected.count(None)
        return [outcome for outcome in collected if outcome is not None]

    def _store_receipts(self, outcomes: Sequence[Outcome], calls: DeliveryCalls) -> Iterator[Outcome]:
        """Store the receipts of several rows, and only then yield their outcomes."""
        errors = self._try_store_receipts(outcomes, calls)
        self._unsettled.add(-len(outcomes))
        for outcome in outcomes:
            error = errors.get(outcome.receipt.key) if outcome.receipt and not outcome.is_stored else None
            yield outcome.as_not_stored(error) if error else outcome

    def _try_store_receipts(
        self, outcomes: Sequence[Outcome], calls: DeliveryCalls
    ) -> Mapping[str, LocalError]:
        """Store receipts. Return an error for each receipt that was not stored, by key.

        After the ledger has failed once, it is not tried again.
        """
        receipts = [outcome.receipt for outcome in outcomes if outcome.receipt and not outcome.is_stored]
        try:
            if self._ledger_error is None:
                errors = calls.record_receipts(receipts)
                if errors:
                    self.stop()  # other rows would meet the same error
                return errors
        except LocalError as error:
            self._ledger_error = error
            self._stop_for(error)
        return dict.fromkeys((receipt.key for receipt in receipts), self._ledger_error)

    def _join_threads(self, calls: DeliveryCalls) -> None:
        """Stop, wait for all threads, and store any receipts that still arrive."""
        self.stop()
        self._wake()
        late_outcomes: list[Outcome] = []
        while self._running:
            self._abort_after_grace(calls)
            try:
                outcome = self._outcomes.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if outcome is None:
                self._running -= 1
            else:
                late_outcomes.append(outcome)
        self._try_store_receipts(late_outcomes, calls)

    def _abort_after_grace(self, calls: DeliveryCalls) -> None:
        """Abort the exchanges under way if the grace period after the stop is over."""
        now = time.monotonic()
        self._aborts_at = self._aborts_at or now + _GRACE_S
        if now >= self._aborts_at:
            calls.abort()

    def _wake(self) -> None:
        self._woken.set()
        self._planned.close()

    # -- the planner ---------------------------------------------------------------------------------------

    def _run_planner(self, calls: DeliveryCalls) -> None:
        with self._reporting_end():
            try:
                while not self._is_stopped and (checked_rows := self._check_next_rows()):
                    planned_rows = self._plan_rows(checked_rows, calls)
                    if not self._planned.put(planned_rows):
                        self._report_not_tried(planned.row for planned in planned_rows)
                    self._planned.wait_until_low()
            finally:
                self._planned.close()

    def _check_next_rows(self) -> list[CheckedRow]:
        """Check the next rows and return the good ones. Return [] if no rows are left.

        Check as many rows as there are workers, or fewer if their documents are large.
        """
        rows: list[ReadRow] = []
        checked_rows: list[CheckedRow] = []
        try:
            while not (checked_rows or self._is_stopped) and self._read_next_rows(rows):
                self._unsettled.add(len(rows))
                for checked in [self._batch.check_row(read) for read in rows]:
                    if isinstance(checked.submission, CheckedSubmission):
                        checked_rows.append(checked)
                    else:  # changed since the first pass
                        self._outcomes.put(checked.as_outcome("faulty"))
        except BaseException:
            self._report_not_tried(read.row for read in rows)
            raise
        return checked_rows

    def _read_next_rows(self, rows: list[ReadRow]) -> bool:
        """Replace the content of `rows` with the next rows. Return whether there are any."""
        rows.clear()
        buffered_bytes = 0
        for row in self._rows:
            if row is None:
                self._must_settle = True
                if rows:
                    break
                continue
            if self._must_settle:
                self._unsettled.wait(lambda: self._is_stopped)
                self._must_settle = False
            rows.append(self._batch.read_row(row, buffer=True))
            buffered_bytes += rows[-1].buffered_bytes
            if len(rows) == self.jobs or buffered_bytes >= documents.BUFFER_BYTES or self._is_stopped:
                break
        return bool(rows)

    def _plan_rows(self, checked_rows: Sequence[CheckedRow], calls: DeliveryCalls) -> list[CheckedRow]:
        """Record rows in the ledger in one commit. Return those to send, and report the others' outcomes."""
        results: Sequence[Delivery | DocsendError | Clearance]
        try:
            results = calls.record_plans([checked.sendable for checked in checked_rows])
        except LocalError as error:
            results = [error] * len(checked_rows)
        except BaseException:
            self._report_not_tried(checked.row for checked in checked_rows)
            raise
        local_error = next((result for result in results if isinstance(result, LocalError)), None)
        if local_error is not None:
            self._stop_for(local_error)
        planned_rows: list[CheckedRow] = []
        for checked, result in zip(checked_rows, results, strict=True):
            if isinstance(result, Clearance):
                planned_rows.append(checked._replace(clearance=result))
            elif isinstance(result, Delivery):
                self._outcomes.put(checked.as_delivered(result))
            else:
                self._outcomes.put(checked.as_failed(result))
        return planned_rows

    def _report_not_tried(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._outcomes.put(Outcome(row, "not tried", row.submission))

    # -- the workers ---------------------------------------------------------------------------------------

    def _run_worker(self, calls: DeliveryCalls) -> None:
        with self._reporting_end():
            while (planned := self._planned.take()) is not None:
                if self._is_stopped:
                    self._report_not_tried([planned.row])
                else:
                    self._outcomes.put(self._upload_row(planned, calls))

    def _upload_row(self, planned: CheckedRow, calls: DeliveryCalls) -> Outcome:
        """Upload a row and return its outcome, whatever happens."""
        try:
            return planned.as_delivered(calls.upload(planned.sendable, planned.clearance))
        except StopRequested:
            if self._fatal_error is not None:  # stopped by the error of another row, not by a signal
                return planned.as_failed(self._fatal_error)
        except DocsendError as error:
            if error.affects_all:
                self._stop_for(error)
            return planned.as_failed(error)
        except Exception as bug:  # noqa: BLE001 - raised again in the main thread, which reports bugs
            self._bug = bug
            self.stop()
        return planned.as_outcome("unfinished")

    @contextlib.contextmanager
    def _reporting_end(self) -> Iterator[None]:
        """Report the end of a thread, and the bug that ended it, to the main thread."""
        try:
            yield
        except Exception as bug:  # noqa: BLE001 - raised again in the main thread, which reports bugs
            self._bug = bug
            self.stop()
        finally:
            self._outcomes.put(None)


class BatchProgress:
    """Progress listener of all workers. After a stop, it abandons rows. It shows only long pauses."""

    def __init__(self, runner: BatchRunner, show_pause: Callable[[Pause], None]) -> None:
        self._runner = runner
        self._show_pause = show_pause

    def on_declared(self, missing_bytes: int) -> None:  # noqa: ARG002 - the signature of a ProgressListener
        self._runner.check_stop()

    def on_sent(self, document: Document, sent_bytes: int) -> None:
        if sent_bytes < document.size:  # after the last byte, a response may be on its way: wait for it
            self._runner.check_stop()

    def on_document_stored(self, document: Document) -> None:  # noqa: ARG002
        self._runner.check_stop()

    def on_received(self, documents: Sequence[Document]) -> None:
        """Do nothing. This callback does not check for a stop: the receipt has arrived and must be stored."""

    def on_pause(self, pause: Pause) -> None:
        """Check for a stop, then report the pause if it is long enough to be noticed."""
        self._runner.check_stop()
        if pause.seconds >= _MIN_SHOWN_PAUSE_S:
            self._show_pause(pause)
