"""Many submissions: every row of a manifest is checked before the first byte leaves; `runner` sends them.

Nothing of a row is kept between these two passes but its key, so memory hardly grows with the batch: the
second one reads and checks each row once more, and sends the very buffers that it has just checked. Running
the same batch again finishes it, and sends nothing twice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, TypeAlias

from docsend import documents, rules
from docsend.errors import LocalFailure, SignInNeeded
from docsend.language import Phrase
from docsend.submission import CheckedSubmission, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from docsend.catalog import Catalog
    from docsend.errors import DocsendError, ExitCode
    from docsend.manifest import Manifest, Row
    from docsend.submission import Receipt, Submission

Status: TypeAlias = Literal["received", "before", "faulty", "refused", "unfinished", "not tried", "checked"]
_MOST_WARNINGS = 1000
_IS_ERROR = attrgetter("is_error")


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

    def note(self, row: Row, problems: Iterable[Problem]) -> None:
        """Keep the errors of a row, and the first warnings: a manifest may have one in every row."""
        errors = []
        for problem in problems:
            if problem.is_error:
                errors.append(problem)
                continue
            self.warned += 1
            if len(self.warnings) < _MOST_WARNINGS:
                self.warnings.append(problem)
        if errors:
            self.faulty[row.number] = tuple(errors)

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
        if row.problems and any(problem.code == "row-malformed" for problem in row.problems):
            return row.stated, row.problems  # what its cells say, nobody can know
        paths, found = self.manifest.paths(row, allow_outside=self.allow_outside)
        most = rules.largest_document(row.stated, self.catalog)
        room = documents.HELD_BYTES if hold else 0
        stated = row.stated.of(documents.read_all(paths, at_most=most, hold_up_to=room))
        checked = rules.check(stated, self.catalog)
        more = checked.problems if isinstance(checked, rules.Faulty) else checked.warnings
        numbered = _numbered(row, found, more) if row.problems or found or more else ()
        if isinstance(checked, rules.Faulty) or any(map(_IS_ERROR, numbered)):
            return stated, numbered
        if (changed := _changed(row, checked)) is not None:
            return stated, (*numbered, changed)
        if self.account is not None and self.catalog.destinations[checked.to].is_personal:
            checked = checked.of_account(self.account)
        return checked, numbered


def _numbered(row: Row, found: Iterable[Problem], more: Iterable[Problem]) -> tuple[Problem, ...]:
    """Give all that is wrong with a row; what could not be taken from a cell is not missing, too."""
    problems = (*row.problems, *found)
    told = {problem.field for problem in problems if problem.is_error}
    problems += tuple(p for p in more if not (p.code.endswith("-missing") and p.field in told))
    return tuple(problem._replace(row=row.number) for problem in problems)


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
    rows_of_digests: dict[bytes, int] = {}
    rows_of_documents: dict[bytes, int] = {}
    for row in batch.rows():
        plan.rows += 1
        checked, problems = batch.check(row, hold=False)
        if isinstance(checked, CheckedSubmission):
            first = rows_of_digests.setdefault(checked.digest, row.number)
            if first != row.number:
                problems += (_duplicate(row, first),)
            problems += _shared_documents(row, checked, rows_of_documents, is_twin=first != row.number)
            plan.total_bytes += checked.total_bytes
            plan.needs_account |= batch.catalog.destinations[checked.to].is_personal
        if problems:
            plan.note(row, problems)
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
) -> tuple[Problem, ...]:
    shared: list[Problem] = []
    for document in checked.documents:
        first = rows_of_documents.setdefault(bytes.fromhex(document.sha256), row.number)
        if first != row.number and not is_twin:
            message = Phrase("{name} is in row {first}, too", name=document.name, first=first)
            shared.append(
                Problem(
                    "document-in-two-rows",
                    message,
                    Phrase("if it belongs to both, all is well"),
                    severity="warning",
                    field="documents",
                    document=document.name,
                    row=row.number,
                )
            )
    return tuple(shared)


_SHOWN = 20


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
