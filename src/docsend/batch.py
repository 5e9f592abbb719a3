"""The journey of many submissions: every row is checked before the first byte leaves, then workers send them.

Nothing of a row is kept between the two passes but its key, so memory hardly grows with the batch: a worker
reads and checks its row once more, and sends the very buffers that it has just checked. Rows end in any
order; a row that fails stops no other. Running the same batch again finishes it, and sends nothing twice.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from docsend import documents, rules
from docsend.errors import DocsendError, FaultySubmission, LocalFailure, Refused, SignInNeeded
from docsend.language import Phrase
from docsend.result import problem_of
from docsend.submission import CheckedSubmission, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from docsend.catalog import Catalog
    from docsend.errors import ExitCode
    from docsend.manifest import Manifest, Row
    from docsend.submission import Delivery, Document, Receipt, Submission

Status: TypeAlias = Literal["received", "before", "faulty", "refused", "unfinished", "not tried", "checked"]
_MOST_WARNINGS = 1000
Deliver: TypeAlias = "Callable[[CheckedSubmission], Delivery]"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row. `before` means: received, but by an earlier run."""

    row: Row
    status: Status
    submission: CheckedSubmission | Submission
    receipt: Receipt | None = None
    problems: tuple[Problem, ...] = ()
    error: DocsendError | None = None

    @property
    def key(self) -> str | None:
        known = self.submission
        return known.key if isinstance(known, CheckedSubmission) and known.is_named else None

    @property
    def is_received(self) -> bool:
        return self.status in ("received", "before")


@dataclass(frozen=True, slots=True)
class Share:
    """The rows of one machine of several: the K-th of N. What a row says decides where it belongs."""

    number: int
    of: int

    def has(self, row: Row) -> bool:
        return row.share % self.of == self.number - 1


@dataclass(slots=True)
class Plan:
    """What the first pass found: how many rows and bytes, and everything that is wrong with which row."""

    rows: int = 0
    total_bytes: int = 0
    needs_account: bool = False
    faulty: dict[int, tuple[Problem, ...]] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)
    warned: int = 0

    def warn(self, warnings: Iterable[Problem]) -> None:
        """Count warnings, and keep the first of them: a manifest may have one in every row."""
        for warning in warnings:
            self.warned += 1
            if len(self.warnings) < _MOST_WARNINGS:
                self.warnings.append(warning)

    @property
    def good(self) -> int:
        return self.rows - len(self.faulty)


@dataclass(frozen=True, slots=True)
class Batch:
    """A manifest with all that is needed to check its rows."""

    manifest: Manifest
    catalog: Catalog
    share: Share | None = None
    allow_outside: bool = False
    account: str | None = None

    def rows(self) -> Iterator[Row]:
        rows = self.manifest.rows()
        return rows if self.share is None else filter(self.share.has, rows)

    def check(self, row: Row, *, hold: bool) -> tuple[CheckedSubmission | Submission, tuple[Problem, ...]]:
        """Read a row's documents and hold the row against every rule; with errors it stays a Submission."""
        if any(problem.code == "row-malformed" for problem in row.problems):
            return row.stated, row.problems  # what its cells say, nobody can know
        paths, found = self.manifest.paths(row, allow_outside=self.allow_outside)
        most = rules.largest_document(row.stated, self.catalog)
        room = documents.HELD_BYTES if hold else 0
        stated = row.stated.of(documents.read_all(paths, at_most=most, hold_up_to=room))
        checked = rules.check(stated, self.catalog)
        problems = (*row.problems, *found)
        more = checked.problems if isinstance(checked, rules.Faulty) else checked.warnings
        told = {problem.field for problem in problems if problem.is_error}
        # What could not be taken from a cell is not missing, too.
        problems += tuple(p for p in more if not (p.code.endswith("-missing") and p.field in told))
        numbered = tuple(problem._replace(row=row.number) for problem in problems)
        if isinstance(checked, rules.Faulty) or any(problem.is_error for problem in numbered):
            return stated, numbered
        if (changed := _changed(row, checked)) is not None:
            return stated, (*numbered, changed)
        if self.account is not None and self.catalog.destinations[checked.to].is_personal:
            checked = checked.of_account(self.account)
        return checked, numbered


def _changed(row: Row, checked: CheckedSubmission) -> Problem | None:
    """Hold a row of a report against the key under which the report says that it was received.

    A spreadsheet that removed a zero, or other options on the command line, would make another submission
    of it, and send it a second time.
    """
    if row.claimed is None or not checked.is_named or checked.key == row.claimed:
        return None
    return Problem(
        "key-changed",
        Phrase("the report says that this row was received, but it does not say the same any more"),
        Phrase(
            "use the report as it was written, with the same options; or empty status and key to send it anew"
        ),
        row=row.number,
    )


def preflight(batch: Batch, seen: Callable[[int], None] = lambda _rows: None) -> Plan:
    """Check every row, and rows against each other. Nothing is sent, and no document stays in memory."""
    plan = Plan()
    rows_of_keys: dict[str, int] = {}
    rows_of_documents: dict[bytes, int] = {}
    for row in batch.rows():
        plan.rows += 1
        checked, problems = batch.check(row, hold=False)
        errors = [problem for problem in problems if problem.is_error]
        if isinstance(checked, CheckedSubmission):
            first = rows_of_keys.setdefault(checked.key, row.number)
            if first != row.number:
                errors.append(_duplicate(row, first))
            plan.total_bytes += checked.total_bytes
            plan.needs_account |= batch.catalog.destinations[checked.to].is_personal
            problems += tuple(_shared_documents(row, checked, rows_of_documents, is_twin=first != row.number))
        if errors:
            plan.faulty[row.number] = tuple(errors)
        plan.warn(problem for problem in problems if not problem.is_error)
        seen(plan.rows)
    return plan


def _duplicate(row: Row, first: int) -> Problem:
    return Problem(
        "duplicate-row",
        Phrase("the row says the same as row {first}", first=first),
        Phrase("remove one of them; if both are meant, give each its own reference"),
        row=row.number,
    )


def _shared_documents(
    row: Row, checked: CheckedSubmission, rows_of_documents: dict[bytes, int], *, is_twin: bool
) -> Iterator[Problem]:
    for document in checked.documents:
        first = rows_of_documents.setdefault(bytes.fromhex(document.sha256), row.number)
        if first != row.number and not is_twin:
            yield Problem(
                "document-in-two-rows",
                Phrase("{name} is in row {first}, too", name=document.name, first=first),
                Phrase("if it belongs to both, all is well"),
                severity="warning",
                field="documents",
                document=document.name,
                row=row.number,
            )


class Stop(Exception):
    """A worker was asked to stop in the middle of its row."""


class Runner:
    """Workers that bring the good rows of a batch to their receipts."""

    def __init__(self, batch: Batch, plan: Plan, *, jobs: int) -> None:
        self._batch = batch
        self._plan = plan
        self.jobs = max(1, min(jobs, plan.good or 1))
        self._rows = self._good_rows()
        self._next = threading.Lock()
        # Bounded: a slow report holds the workers back rather than filling the memory.
        self._outcomes: queue.Queue[Outcome | None] = queue.Queue(maxsize=4 * self.jobs)
        self._stopped = threading.Event()
        self._bug: Exception | None = None

    def stop(self) -> None:
        """Let no row begin any more, and end those that are on their way at their next step."""
        self._stopped.set()

    def go_on(self) -> None:
        """Raise Stop if the batch was stopped; workers ask at every step."""
        if self._stopped.is_set():
            raise Stop

    def sleep(self, seconds: float) -> None:
        """Wait, but not for a batch that was stopped."""
        if self._stopped.wait(seconds):
            raise Stop

    def outcomes(self, deliver: Deliver) -> Generator[Outcome, None, None]:
        """Give what becomes of each good row, as it ends; after a stop the others as not tried.

        Closing it before its end stops the workers and waits for them. A bug in a worker ends the batch, and
        is raised here.
        """
        for _ in range(self.jobs):
            threading.Thread(target=self._work, args=(deliver,), daemon=True).start()
        running = self.jobs
        try:
            while running:
                try:
                    # With a limit, or Windows would not hear Ctrl-C.
                    outcome = self._outcomes.get(timeout=0.5)
                except queue.Empty:
                    continue
                if outcome is None:
                    running -= 1
                else:
                    yield outcome
        finally:
            self.stop()
            while running:
                running -= self._outcomes.get() is None
        for row in self._rows:
            yield Outcome(row, "not tried", row.stated)
        if self._bug is not None:
            raise self._bug

    def _good_rows(self) -> Iterator[Row]:
        return (row for row in self._batch.rows() if row.number not in self._plan.faulty)

    def _work(self, deliver: Deliver) -> None:
        try:
            while not self._stopped.is_set():
                with self._next:
                    row = next(self._rows, None)
                if row is None:
                    return
                self._outcomes.put(self._outcome(row, deliver))
        except Exception as bug:  # noqa: BLE001 - it is raised in the main thread, where bugs are told
            self._bug = bug
            self.stop()
        finally:
            self._outcomes.put(None)

    def _outcome(self, row: Row, deliver: Deliver) -> Outcome:
        checked, problems = self._batch.check(row, hold=True)
        if not isinstance(checked, CheckedSubmission):
            return Outcome(row, "faulty", checked, problems=problems)  # changed since the first pass
        try:
            delivery = deliver(checked)
        except Stop:
            return Outcome(row, "unfinished", checked, problems=problems)
        except DocsendError as error:
            if isinstance(error, LocalFailure | SignInNeeded):
                self.stop()  # no other row would fare better
            found = tuple(
                problem._replace(row=row.number) for problem in error.problems or (problem_of(error),)
            )
            return Outcome(row, _status(error), checked, problems=found + problems, error=error)
        status: Status = "before" if delivery.is_repeated else "received"
        return Outcome(row, status, checked, delivery.receipt, problems)


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


_SHOWN = 20
_NOTICED_S = 3.0


@dataclass(slots=True)
class Tally:
    """How a batch ended: how many rows how, and which were not received (the first of them)."""

    counts: Counter[Status] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)
    worst: ExitCode | None = None

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        if outcome.is_received:
            return
        if len(self.failed) < _SHOWN and outcome.status != "not tried":
            self.failed.append(outcome)
        if isinstance(outcome.error, LocalFailure | SignInNeeded):
            self.worst = outcome.error.code

    @property
    def received(self) -> int:
        return self.counts["received"] + self.counts["before"]


def _status(error: DocsendError) -> Status:
    if isinstance(error, Refused):
        return "refused"
    return "faulty" if isinstance(error, FaultySubmission) else "unfinished"
