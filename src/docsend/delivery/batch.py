"""Many submissions: a manifest with all that is needed to check its rows, and what becomes of each.

Every row is checked before the first byte leaves (`preflight`), then they are sent (`workers`). Between these
two passes nothing is kept but which rows are faulty, so memory hardly grows with the batch: the second one
reads and checks each row once more, and sends the very buffers that it has just checked. Running the same
batch again finishes it, and sends nothing twice.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from docsend.checks import documents, submission_rules
from docsend.codes import Code, Kind
from docsend.delivery.clearance import Clearance
from docsend.errors import InvalidSubmission, LocalError, Refused
from docsend.i18n import Message
from docsend.model.problem import Problem
from docsend.model.submission import CheckedSubmission

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from docsend.errors import DocsendError
    from docsend.manifest.reader import Line, Manifest, Row
    from docsend.model.catalog import Catalog
    from docsend.model.receipt import Delivery, Receipt
    from docsend.model.states import RowStatus
    from docsend.model.submission import Submission

_LINES_PER_CHUNK = 64  # rows
_IS_ERROR = attrgetter("is_error")


class CheckedRow(NamedTuple):
    """A row that was read and held against every rule, and what was found; with errors it stays a Submission.

    `cleared` is what the ledger knew of it when it was planned.
    """

    row: Row
    submission: CheckedSubmission | Submission
    problems: tuple[Problem, ...]
    clearance: Clearance = Clearance()

    @property
    def sendable(self) -> CheckedSubmission:
        """What is sent; raise TypeError for a row that did not keep every rule."""
        if isinstance(self.submission, CheckedSubmission):
            return self.submission
        raise TypeError("a faulty row is not sent")

    @property
    def buffered_bytes(self) -> int:
        """How many bytes of its documents are in memory."""
        return self.submission.buffered_bytes

    def as_outcome(self, status: RowStatus) -> Outcome:
        """Return how it ended, with nothing more to say."""
        return Outcome(self.row, status, self.submission.without_buffers(), problems=self.problems)

    def as_failed(self, error: DocsendError) -> Outcome:
        """Return that it failed. What has ended waits to be told, and holds no documents any more."""
        found = error.problems or (error.as_problem(),)
        numbered = tuple(replace(problem, row=self.row.number) for problem in found)
        submission = self.submission.without_buffers()
        return Outcome(self.row, _failure_status(error), submission, problems=numbered + self.problems, error=error)

    def as_delivered(self, delivery: Delivery) -> Outcome:
        """Return that it was received."""
        return Outcome(
            self.row,
            "received",
            self.submission.without_buffers(),
            delivery.receipt,
            self.problems,
            is_repeated=delivery.is_repeated,
            is_stored=delivery.is_stored,
        )


class Outcome(NamedTuple):
    """What became of one row.

    `is_repeated` if it had been received by an earlier run, or from elsewhere; `is_stored` if its receipt is
    in the ledger, without which nobody may be told of it.
    """

    row: Row
    status: RowStatus
    submission: CheckedSubmission | Submission
    receipt: Receipt | None = None
    problems: tuple[Problem, ...] = ()
    error: DocsendError | None = None
    is_repeated: bool = False
    is_stored: bool = True

    @property
    def key(self) -> str | None:
        known = self.submission
        return known.key if isinstance(known, CheckedSubmission) and known.has_key else None

    @property
    def is_received(self) -> bool:
        return self.status == "received"

    def as_not_stored(self, failure: LocalError) -> Outcome:
        """Return that it failed, for its receipt could not be stored."""
        return CheckedRow(self.row, self.submission, self.problems).as_failed(failure)


def _failure_status(error: DocsendError) -> RowStatus:
    if isinstance(error, Refused):
        return "refused"
    return "faulty" if isinstance(error, InvalidSubmission) else "unfinished"


class Share(NamedTuple):
    """The rows of one machine of several: the K-th of N. What a row says decides where it belongs."""

    number: int
    of: int

    def includes(self, row: Row) -> bool:
        return row.content_number % self.of == self.number - 1


class Batch(NamedTuple):
    """A manifest with all that is needed to check its rows."""

    manifest: Manifest
    catalog: Catalog
    share: Share | None = None
    allow_outside: bool = False
    account: str | None = None

    def read_rows(self) -> Iterator[Row]:
        rows = self.manifest.rows()
        return rows if self.share is None else filter(self.share.includes, rows)

    def read_row(self, row: Row, *, buffer: bool) -> Row:
        """Return a row with the documents that it names; `hold` them, if they are about to be sent."""
        if row.problems and not row.is_readable:
            return row
        paths, problems = self.manifest.paths(row, allow_outside=self.allow_outside)
        most = submission_rules.max_document_bytes(row.submission, self.catalog)
        room = documents.BUFFER_BYTES if buffer else 0
        submission = row.submission.with_documents(
            documents.read_all(paths, max_bytes=most, buffer_up_to=room)
        )
        if problems:
            row = row._replace(problems=(*row.problems, *problems))
        return row._replace(submission=submission)

    def check_row(self, read: Row, without_documents: Row | None = None) -> CheckedRow:
        """Hold a row that was read against every rule; with errors it stays a Submission.

        `bare` is the same row without its documents, if it is at hand.
        """
        submission, row = read.submission, without_documents or read.without_documents()
        if read.problems and not read.is_readable:
            return CheckedRow(row, submission, row.problems)
        checked = submission_rules.check(submission, self.catalog)
        more = checked.problems if isinstance(checked, submission_rules.FailedCheck) else checked.warnings
        numbered = _row_problems(read, more) if read.problems or more else ()
        if isinstance(checked, submission_rules.FailedCheck) or any(map(_IS_ERROR, numbered)):
            return CheckedRow(row, submission, numbered)
        if row.reported_key is not None and (changed := _key_change_problem(row, checked)) is not None:
            return CheckedRow(row, submission, (*numbered, changed))
        if self.account is not None and self.catalog.destinations[checked.to].is_personal:
            checked = checked.with_account(self.account)
        return CheckedRow(row, checked, numbered)

    def line_chunks(self) -> Iterator[Sequence[Line]]:
        """Give the lines of the manifest, some at a time."""
        lines = self.manifest.lines()
        while together := list(itertools.islice(lines, _LINES_PER_CHUNK)):
            yield together

    def check_lines(self, lines: Sequence[Line]) -> list[CheckedRow]:
        """Make rows of lines, read and check those of this share, and hold no documents.

        They go through each stage together: one after the other, each would find the processor's caches full
        of another stage, and take half as long again.
        """
        rows = [self.manifest.row(line) for line in lines]
        if self.share is not None:
            rows = [row for row in rows if self.share.includes(row)]
        read = [self.read_row(row, buffer=False) for row in rows]
        return [self.check_row(each, row) for each, row in zip(read, rows, strict=True)]


def _row_problems(row: Row, more: Iterable[Problem]) -> tuple[Problem, ...]:
    """Give all that is wrong with a row; what could not be taken from a cell is not missing, too."""
    problems = row.problems
    told = {problem.field for problem in problems if problem.is_error}
    problems += tuple(p for p in more if not (p.code.kind is Kind.MISSING and p.field in told))
    return tuple(replace(problem, row=row.number) for problem in problems)


def _key_change_problem(row: Row, checked: CheckedSubmission) -> Problem | None:
    """Hold a row of a report against the key under which the report says that it was received.

    A spreadsheet that removed a zero, or other options on the command line, would make another submission
    of it, and send it a second time.
    """
    if not checked.has_key or checked.key == row.reported_key:
        return None
    return Problem(
        Code.KEY_CHANGED,
        Message("the report says that this row was received, but it does not say the same any more"),
        Message(
            "use the report as it was written, with the same options; or empty status and key to send it anew"
        ),
        row=row.number,
    )
