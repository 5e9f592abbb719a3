"""Batches: a manifest, the checks of its rows, and the outcome of each row.

The first pass (`preflight`) checks every row before anything is sent. The second pass (`workers`) sends the
rows. Between the passes only the problems of faulty rows stay in memory, so memory use hardly grows with the
batch.
The second pass reads and checks each row again, and sends the buffers that it has just checked. Running the
same batch again finishes it and sends nothing twice.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from docsend.checks import documents, submission_rules
from docsend.codes import Code, Kind
from docsend.delivery.clearance import Clearance
from docsend.errors import InvalidSubmission, LocalError, OccurrenceTooEarly, Refused
from docsend.i18n import Message
from docsend.model import fields
from docsend.model.document import Document, UnreadDocument
from docsend.model.problem import Problem
from docsend.model.submission import CheckedSubmission

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from docsend.errors import DocsendError
    from docsend.manifest.reader import Line, Manifest
    from docsend.manifest.row import Row
    from docsend.model.catalog import Catalog
    from docsend.model.receipt import Delivery, Receipt
    from docsend.model.states import RowStatus
    from docsend.model.submission import Submission
    from docsend.storage.identity_key import IdentityKey

_LINES_PER_CHUNK = 128
_IS_ERROR = attrgetter("is_error")


class ReadRow(NamedTuple):
    """A row and its documents, which were read. They are not part of the row's submission yet."""

    row: Row
    documents: tuple[Document | UnreadDocument, ...] = ()

    @property
    def buffered_bytes(self) -> int:
        """Total size in bytes of the documents that are in memory."""
        return sum(len(each.buffer or b"") for each in self.documents if isinstance(each, Document))


class CheckedRow(NamedTuple):
    """A row that was read and checked, with its problems.

    `submission` is a CheckedSubmission only if the row has no errors. `clearance` is what the ledger knew of
    the submission when its plan was recorded.
    """

    row: Row
    submission: CheckedSubmission | Submission
    problems: tuple[Problem, ...]
    clearance: Clearance = Clearance()

    @property
    def sendable(self) -> CheckedSubmission:
        """The checked submission. Raise TypeError for a faulty row."""
        if isinstance(self.submission, CheckedSubmission):
            return self.submission
        raise TypeError("a faulty row cannot be sent")

    @property
    def buffered_bytes(self) -> int:
        """Total size in bytes of the row's documents that are in memory."""
        return self.submission.buffered_bytes

    def as_outcome(self, status: RowStatus) -> Outcome:
        """Return an outcome with this status and the problems found by the check."""
        return Outcome(self.row, status, self.submission.without_buffers(), problems=self.problems)

    def as_failed(self, error: DocsendError) -> Outcome:
        """Return the outcome of a row that failed with `error`, without its documents' buffers."""
        problems = self._numbered(error.problems or (error.as_problem(),))
        notices = self._numbered(error.notices)
        return Outcome(
            self.row,
            _failure_status(error),
            self.submission.without_buffers(),
            problems=problems + self.problems + notices,
            error=error,
            notices=notices,
        )

    def _numbered(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        return tuple(replace(problem, row=self.row.number) for problem in problems)

    def as_delivered(self, delivery: Delivery) -> Outcome:
        """Return the outcome of a row that was received."""
        notices = self._numbered(delivery.notices)
        return Outcome(
            self.row,
            "received",
            self.submission.without_buffers(),
            delivery.receipt,
            self.problems + notices,
            is_repeated=delivery.is_repeated,
            is_stored=delivery.is_stored,
            notices=notices,
        )


class Outcome(NamedTuple):
    """How one row ended.

    `is_repeated` is true if an earlier run, or another client, had already delivered the submission.
    `is_stored` is true if the receipt is in the ledger. Until then, the row must not be reported as received.
    `notices` are those of the problems that appeared while the row was sent. `known_key` is the key of a row
    whose documents were not read again, if it is known.
    """

    row: Row
    status: RowStatus
    submission: CheckedSubmission | Submission
    receipt: Receipt | None = None
    problems: tuple[Problem, ...] = ()
    error: DocsendError | None = None
    is_repeated: bool = False
    is_stored: bool = True
    notices: tuple[Problem, ...] = ()
    known_key: str | None = None

    @property
    def key(self) -> str | None:
        """Key of the submission, or None if the row is faulty or the account is not known yet."""
        submission = self.submission
        if isinstance(submission, CheckedSubmission) and submission.has_key:
            return submission.key
        return self.known_key

    @property
    def is_received(self) -> bool:
        """Whether the row was received, now or before."""
        return self.status == "received"

    def as_not_stored(self, failure: LocalError) -> Outcome:
        """Return this outcome as failed, because its receipt could not be stored."""
        return CheckedRow(self.row, self.submission, self.problems).as_failed(failure)


def _failure_status(error: DocsendError) -> RowStatus:
    if isinstance(error, Refused):
        return "refused"
    if isinstance(error, OccurrenceTooEarly):
        return "unfinished"  # the same command again helps, once the lower occurrence is received
    return "faulty" if isinstance(error, InvalidSubmission) else "unfinished"


class Share(NamedTuple):
    """One of `total` disjoint parts of a batch, so that each of several machines can send one part.

    `number` counts from 1. A row's content alone decides which share the row is in, so the machines do not
    have to coordinate.
    """

    number: int
    total: int

    def includes(self, row: Row) -> bool:
        """Return whether a row belongs to this share."""
        return row.content_number % self.total == self.number - 1


class Batch(NamedTuple):
    """A manifest, and everything needed to check its rows. If `share` is None, the batch is all rows.

    With `anyway`, rows may repeat each other, or earlier submissions, as people mean it (see `repetition`).
    `identity_key` is the key of the ledger's digests, or None if no ledger needs to be compared. If
    `has_old_entries` is true, digests do not suffice for that. With `needs_keys`, the first pass looks up
    every row's key in the ledger.
    """

    manifest: Manifest
    catalog: Catalog
    share: Share | None = None
    allow_outside: bool = False
    is_thorough: bool = False
    account: str | None = None
    anyway: bool = False
    identity_key: IdentityKey | None = None
    has_old_entries: bool = False
    needs_keys: bool = False

    def read_rows(self) -> Iterator[Row]:
        """Return the rows of the batch's share, without their documents."""
        return filter(self.includes, self.manifest.rows())

    def read_row(self, row: Row, *, buffer: bool) -> ReadRow:
        """Read a row's documents.

        With `buffer`, keep the content of the documents in memory, so that it can be sent. If the row's cells
        could not be parsed, read nothing.
        """
        if row.problems and not row.is_readable:
            return ReadRow(row)
        if paths := self.manifest.folder.direct_paths(row.documents):
            found = self._read_documents(row, paths, buffer=buffer, follow_links=False)
            if not any(map(_is_missing, found)):
                return ReadRow(row, found)
        # The others are links, patterns, misspelt, or in other folders.
        paths, problems = self.manifest.paths(row, allow_outside=self.allow_outside)
        if problems:
            row = row._replace(problems=(*row.problems, *problems))
        return ReadRow(row, self._read_documents(row, paths, buffer=buffer, follow_links=True))

    def _read_documents(
        self, row: Row, paths: Iterable[str], *, buffer: bool, follow_links: bool
    ) -> tuple[Document | UnreadDocument, ...]:
        return documents.read_all(
            paths,
            max_bytes=submission_rules.max_document_bytes(row.submission, self.catalog),
            buffer_up_to=documents.BUFFER_BYTES if buffer else 0,
            is_thorough=self.is_thorough,
            follow_links=follow_links,
        )

    def check_row(self, read: ReadRow) -> CheckedRow:
        """Check a row and its documents against every rule."""
        row = read.row
        if row.problems and not row.is_readable:
            return CheckedRow(row, row.submission, row.problems)
        checked = submission_rules.check(row.submission, self.catalog, read.documents)
        violations = (
            checked.problems if isinstance(checked, submission_rules.FailedCheck) else checked.warnings
        )
        problems = _row_problems(row, violations) if row.problems or violations else ()
        if isinstance(checked, submission_rules.FailedCheck) or any(map(_IS_ERROR, problems)):
            return CheckedRow(row, row.submission.with_documents(read.documents), problems)
        if self.account is not None and self.catalog.destinations[checked.to].is_personal:
            checked = checked.with_account(self.account)
        if row.reported_key is not None:
            key_change = _key_change_problem(row, checked)
            if key_change is not None:
                submission = row.submission.with_documents(read.documents)
                return CheckedRow(row, submission, (*problems, key_change))
        return CheckedRow(row, checked, problems)

    def line_chunks(self) -> Iterator[Sequence[Line]]:
        """Yield the manifest's unparsed lines in chunks of up to 128.

        They are plain tuples, which are pickled in half the time of named ones.
        """
        lines = map(tuple, self.manifest.lines())
        while chunk := list(itertools.islice(lines, _LINES_PER_CHUNK)):
            yield chunk

    def check_lines(self, lines: Sequence[Line]) -> list[CheckedRow]:
        """Parse lines and check those rows that belong to the batch's share (see `Share`).

        Each stage processes all rows before the next stage starts. Processing one row at a time would take
        50% longer, because each stage would find the processor's caches filled with another stage's data.
        """
        return self.check_rows([row for row in map(self.manifest.row, lines) if self.includes(row)])

    def includes(self, row: Row) -> bool:
        """Return whether a row belongs to the batch's share."""
        return self.share is None or self.share.includes(row)

    def check_rows(self, rows: Sequence[Row]) -> list[CheckedRow]:
        """Read and check rows. No document stays in memory."""
        return [self.check_row(read) for read in self._read_rows_without_buffers(rows)]

    def _read_rows_without_buffers(self, rows: Sequence[Row]) -> list[ReadRow]:
        """Read the small documents of all rows together, and those of the other rows row by row."""
        direct_paths = self.manifest.folder.direct_paths
        paths_by_row = [(None if row.problems else direct_paths(row.documents)) or () for row in rows]
        small = documents.read_small(
            itertools.chain.from_iterable(paths_by_row), is_thorough=self.is_thorough
        )

        def read_row(row: Row, paths: Sequence[str]) -> ReadRow:
            if not paths or any(path not in small for path in paths):
                return self.read_row(row, buffer=False)
            max_bytes = submission_rules.max_document_bytes(row.submission, self.catalog)
            return ReadRow(row, tuple([documents.within_limit(small[path], max_bytes) for path in paths]))

        return list(map(read_row, rows, paths_by_row))


def _is_missing(document: Document | UnreadDocument) -> bool:
    return isinstance(document, UnreadDocument) and document.reason == "not-found"


def _row_problems(row: Row, violations: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return all problems of a row, with its number.

    A field whose cell could not be read is not also reported as missing.
    """
    problems = row.problems
    unreadable = {problem.field for problem in problems if problem.is_error}
    problems += tuple(p for p in violations if not (p.code.kind is Kind.MISSING and p.field in unreadable))
    return tuple(replace(_with_row_hint(problem), row=row.number) for problem in problems)


def _with_row_hint(problem: Problem) -> Problem:
    """Return a problem, with a hint that names the column if a value that identifies the person is missing.

    The usual hint names the option. An option applies to every row without a value of its own, so it could
    identify the wrong person.
    """
    field = fields.BY_NAME.get(problem.field or "")
    if field is None or field.party is None or problem.code.kind is not Kind.MISSING:
        return problem
    return replace(problem, hint=Message("fill in the column {column}", column=field.name))


def _key_change_problem(row: Row, checked: CheckedSubmission) -> Problem | None:
    """Return a problem if a row of a report no longer has the key that the report gives.

    If a spreadsheet removed a zero, or the command line has different options, the row would become another
    submission. It would be sent a second time if it was received, or if the service has it although the row
    was left unfinished.
    """
    if not checked.has_key or checked.key == row.reported_key:
        return None
    return Problem(
        Code.KEY_CHANGED,
        Message("the content of this row has changed since the report was written"),
        Message(
            "use the original report with the same options, or clear the row's status and key to send it as "
            "a new submission"
        ),
        row=row.number,
    )
