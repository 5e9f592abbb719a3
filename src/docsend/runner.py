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

from docsend import documents
from docsend.batch import Outcome
from docsend.errors import DocsendError, FaultySubmission, LocalFailure, Refused, SignInNeeded
from docsend.result import problem_of
from docsend.submission import CheckedSubmission, Delivery, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from docsend.batch import Batch, Plan, Status
    from docsend.manifest import Row
    from docsend.submission import Document

# Receipts that come within this time are kept in one commit. Nobody waits for it but the tally: a worker goes
# on with its next row, and what a power cut takes, the service still has.
_GATHERED_S = 0.02
_NOTICED_S = 3.0


class Stages(NamedTuple):
    """The journey of a submission, as `send` has it: each stage after the one before has returned."""

    plan: Callable[[Sequence[CheckedSubmission]], list[Delivery | DocsendError | None]]
    carry: Callable[[CheckedSubmission], Delivery]
    keep: Callable[[Sequence[Delivery]], None]


class Stop(Exception):
    """Somebody was asked to stop in the middle of a row."""


class _Ready(NamedTuple):
    """A row that was checked, and whose documents are held."""

    row: Row
    checked: CheckedSubmission
    warnings: tuple[Problem, ...]

    def fails(self, error: DocsendError) -> Outcome:
        found = error.problems or (problem_of(error),)
        numbered = tuple(problem._replace(row=self.row.number) for problem in found)
        told = numbered + self.warnings
        return Outcome(self.row, _status(error), self.checked, problems=told, error=error)

    def comes_to(self, delivery: Delivery) -> Outcome:
        status: Status = "before" if delivery.is_repeated else "received"
        return Outcome(self.row, status, self.checked, delivery.receipt, self.warnings)

    def released(self) -> _Ready:
        """Give the same without the documents' bytes: what has ended waits to be told, and takes no room."""
        return self._replace(checked=self.checked.released())

    @property
    def held_bytes(self) -> int:
        return sum(len(document.held or b"") for document in self.checked.documents)


class _Arrived(NamedTuple):
    """A row whose receipt came, and is not kept yet; its documents are not held any more."""

    ready: _Ready
    delivery: Delivery


_Ended: TypeAlias = "_Arrived | Outcome | None"  # None: a thread has ended


class Runner:
    """Brings the good rows of a batch to their receipts."""

    def __init__(self, batch: Batch, plan: Plan, *, jobs: int) -> None:
        """Prepare up to `jobs` workers; nothing begins before `outcomes` is asked."""
        self._batch = batch
        self._plan = plan
        self.jobs = max(1, min(jobs, plan.good or 1))
        self._rows = (row for row in batch.rows() if row.number not in plan.faulty)
        self._ahead = _Ahead(self.jobs)
        # Bounded: a slow report holds the workers back rather than filling the memory.
        self._ended: queue.Queue[_Ended] = queue.Queue(maxsize=max(64, 4 * self.jobs))
        self._stopped = threading.Event()
        self._counting = threading.Lock()
        self._running = 1 + self.jobs  # threads
        self._all_ended = threading.Event()
        self._bug: Exception | None = None

    def stop(self) -> None:
        """Let no row begin any more, and end those that are on their way at their next step."""
        self._stopped.set()
        self._ahead.close()

    def go_on(self) -> None:
        """Raise Stop if the batch was stopped; workers ask at every step."""
        if self._stopped.is_set():
            raise Stop

    def sleep(self, seconds: float) -> None:
        """Wait, but not for a batch that was stopped."""
        if self._stopped.wait(seconds):
            raise Stop

    def outcomes(self, stages: Stages) -> Generator[Outcome, None, None]:
        """Give what becomes of each good row, as it ends; after a stop the others as not tried.

        Closing it before its end stops the workers, waits for them and keeps what they brought. A bug in a
        thread ends the batch, and is raised here.
        """
        running = self._running
        for work in (self._plan_all, *[self._carry_all] * self.jobs):
            threading.Thread(target=work, args=(stages,), daemon=True).start()
        try:
            while running:
                together = self._gathered()
                running -= together.count(None)
                yield from self._kept(together, stages)
        finally:
            self.stop()
            while running:
                together = [self._ended.get()]
                running -= together.count(None)
                for _ in self._kept(together, stages):
                    pass
        for row in self._rows:
            yield Outcome(row, "not tried", row.stated)
        if self._bug is not None:
            raise self._bug

    # -- the main thread: receipts are kept ----------------------------------------------------------------

    def _gathered(self) -> list[_Ended]:
        """Wait for what ends, and shortly for more."""
        while True:
            try:
                # With a limit, or Windows would not hear Ctrl-C.
                together = [self._ended.get(timeout=0.5)]
                break
            except queue.Empty:
                continue
        if together[0] is not None:
            self._all_ended.wait(_GATHERED_S)
        while True:
            try:
                together.append(self._ended.get_nowait())
            except queue.Empty:
                return together

    def _kept(self, together: Sequence[_Ended], stages: Stages) -> Iterator[Outcome]:
        """Keep the receipts of several rows; then, and not before, give what became of them."""
        arrived = [each for each in together if isinstance(each, _Arrived)]
        try:
            stages.keep([each.delivery for each in arrived])
            lost = {}
        except LocalFailure:
            lost = self._kept_singly(arrived, stages)
        for ended in together:
            if isinstance(ended, Outcome):
                yield ended
            elif ended is not None:
                error = lost.get(ended.ready.row.number)
                yield ended.ready.fails(error) if error else ended.ready.comes_to(ended.delivery)

    def _kept_singly(self, arrived: Sequence[_Arrived], stages: Stages) -> dict[int, LocalFailure]:
        """Keep what can be kept; give the failures of the others, by the numbers of their rows."""
        self.stop()  # no other row would fare better
        lost: dict[int, LocalFailure] = {}
        for each in arrived:
            try:
                stages.keep([each.delivery])
            except LocalFailure as failure:
                lost[each.ready.row.number] = failure
        return lost

    # -- the planner ---------------------------------------------------------------------------------------

    def _plan_all(self, stages: Stages) -> None:
        with self._leaving():
            try:
                while not self._stopped.is_set() and (group := self._checked()):
                    ready = self._planned(group, stages)
                    if not self._ahead.put(ready):
                        self._not_tried(ready)
                    self._ahead.wait_until_few()
            finally:
                self._ahead.close()

    def _checked(self) -> list[_Ready]:
        """Check as many rows as there are workers, or fewer if they are large; none if there are no more."""
        group: list[_Ready] = []
        for row in self._rows:
            checked, problems = self._batch.check(row, hold=True)
            if isinstance(checked, CheckedSubmission):
                group.append(_Ready(row, checked, problems))
            else:  # changed since the first pass
                self._ended.put(Outcome(row, "faulty", checked, problems=problems))
            held = sum(ready.held_bytes for ready in group)
            if len(group) == self.jobs or held >= documents.HELD_BYTES or self._stopped.is_set():
                break
        return group

    def _planned(self, group: Sequence[_Ready], stages: Stages) -> list[_Ready]:
        """Plan rows together; give those that are to be carried, and tell what becomes of the others."""
        try:
            found = stages.plan([ready.checked for ready in group])
        except Stop:
            self._not_tried(group)
            return []
        except DocsendError as error:
            self.stop()  # no other row would fare better
            for ready in group:
                self._ended.put(ready.released().fails(error))
            return []
        for ready, known in zip(group, found, strict=True):
            if known is not None:
                ended = ready.released()
                self._ended.put(ended.comes_to(known) if isinstance(known, Delivery) else ended.fails(known))
        return [ready for ready, known in zip(group, found, strict=True) if known is None]

    def _not_tried(self, group: Sequence[_Ready]) -> None:
        for ready in group:
            self._ended.put(Outcome(ready.row, "not tried", ready.row.stated))

    # -- the workers ---------------------------------------------------------------------------------------

    def _carry_all(self, stages: Stages) -> None:
        with self._leaving():
            while (ready := self._ahead.take()) is not None:
                if self._stopped.is_set():
                    self._not_tried([ready])
                else:
                    self._ended.put(self._carried(ready, stages))

    def _carried(self, ready: _Ready, stages: Stages) -> _Arrived | Outcome:
        try:
            delivery = stages.carry(ready.checked)
            return _Arrived(ready.released(), delivery)
        except Stop:
            released = ready.released()
            return Outcome(ready.row, "unfinished", released.checked, problems=ready.warnings)
        except DocsendError as error:
            if isinstance(error, LocalFailure | SignInNeeded):
                self.stop()  # no other row would fare better
            return ready.released().fails(error)

    @contextlib.contextmanager
    def _leaving(self) -> Iterator[None]:
        """Tell the main thread when a thread ends, and with which bug."""
        try:
            yield
        except Exception as bug:  # noqa: BLE001 - it is raised in the main thread, where bugs are told
            self._bug = bug
            self.stop()
        finally:
            with self._counting:
                self._running -= 1
                if not self._running:
                    self._all_ended.set()
            self._ended.put(None)


class _Ahead:
    """Rows that are planned and wait for a worker: so many that no worker waits, and no more."""

    def __init__(self, jobs: int) -> None:
        self._enough = jobs
        self._ready: deque[_Ready] = deque()
        self._held_bytes = 0
        self._is_closed = False
        lock = threading.Lock()
        self._some, self._few = threading.Condition(lock), threading.Condition(lock)

    def put(self, ready: Sequence[_Ready]) -> bool:
        """Add rows; False, and they are not added, if it is closed."""
        with self._some:
            if self._is_closed:
                return False
            self._ready.extend(ready)
            self._held_bytes += sum(each.held_bytes for each in ready)
            self._some.notify(len(ready))
            return True

    def take(self) -> _Ready | None:
        """Wait for a row; None if there will be no more."""
        with self._some:
            while not self._ready:
                if self._is_closed:
                    return None
                self._some.wait()
            ready = self._ready.popleft()
            self._held_bytes -= ready.held_bytes
            if self._are_few():
                self._few.notify()
            return ready

    def wait_until_few(self) -> None:
        """Wait until workers will soon want more, or it is closed."""
        with self._few:
            self._few.wait_for(lambda: self._is_closed or self._are_few())

    def close(self) -> None:
        """Let nothing be added any more; what there is can be taken."""
        with self._some:
            self._is_closed = True
            self._some.notify_all()
            self._few.notify_all()

    def _are_few(self) -> bool:
        return len(self._ready) < self._enough and self._held_bytes < documents.HELD_BYTES


class Steps:
    """A watcher of all workers: asks at every step whether to go on, and talks about trouble only."""

    def __init__(self, runner: Runner, talk: Callable[[str], None]) -> None:
        self._runner = runner
        self._talk = talk
        self._lock = threading.Lock()
        self._told_until = 0.0

    def declared(self, missing_bytes: int) -> None:  # noqa: ARG002 - a watcher's method
        self._runner.go_on()

    def sent(self, document: Document, sent_bytes: int) -> None:  # noqa: ARG002
        self._runner.go_on()

    def arrived(self, document: Document) -> None:  # noqa: ARG002
        self._runner.go_on()

    def waiting(self, reason: str, seconds: float) -> None:
        """Tell of a pause that a person would notice, once for all workers."""
        self._runner.go_on()
        with self._lock:
            now = time.monotonic()
            is_news = seconds >= _NOTICED_S and now >= self._told_until
            if is_news:
                self._told_until = now + seconds
        if is_news:
            self._talk(f"{reason}; going on in {seconds:.0f} s")


def _status(error: DocsendError) -> Status:
    if isinstance(error, Refused):
        return "refused"
    return "faulty" if isinstance(error, FaultySubmission) else "unfinished"
