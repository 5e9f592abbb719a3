"""Many submissions: a manifest with all that is needed to check its rows, and what becomes of each.

Every row is checked before the first byte leaves (`preflight`), then they are sent (`runner`). Between these
two passes nothing is kept but which rows are faulty, so memory hardly grows with the batch: the second one
reads and checks each row once more, and sends the very buffers that it has just checked. Running the same
batch again finishes it, and sends nothing twice.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from docsend.checks import documents, submission_rules
from docsend.codes import Code, Kind
from docsend.errors import LocalFailure, SignInNeeded, UsageFault
from docsend.i18n import Message
from docsend.model.document import Document
from docsend.model.problem import Problem
from docsend.model.submission import CheckedSubmission

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from docsend.errors import DocsendError, ExitCode
    from docsend.manifest.reader import Line, Manifest, Row
    from docsend.model.catalog import Catalog
    from docsend.model.receipt import Receipt
    from docsend.model.states import RowStatus
    from docsend.model.submission import Submission

_TOGETHER = 64  # rows
_IS_ERROR = attrgetter("is_error")


class Outcome(NamedTuple):
    """What became of one row. `is_repeated` if it had been received by an earlier run, or from elsewhere."""

    row: Row
    status: RowStatus
    submission: CheckedSubmission | Submission
    receipt: Receipt | None = None
    problems: tuple[Problem, ...] = ()
    error: DocsendError | None = None
    is_repeated: bool = False

    @property
    def key(self) -> str | None:
        known = self.submission
        return known.key if isinstance(known, CheckedSubmission) and known.is_named else None

    @property
    def is_received(self) -> bool:
        return self.status == "received"


class Read(NamedTuple):
    """A row whose documents were read, unless its cells could not be understood."""

    row: Row
    stated: Submission
    is_understood: bool = False
    problems: Sequence[Problem] = ()  # with the paths

    @property
    def held_bytes(self) -> int:
        return sum(len(each.held or b"") for each in self.stated.documents if isinstance(each, Document))


class Checked(NamedTuple):
    """A row that was held against every rule, and what was found; with errors it stays a Submission."""

    row: Row
    submission: CheckedSubmission | Submission
    problems: tuple[Problem, ...]


class Share(NamedTuple):
    """The rows of one machine of several: the K-th of N. What a row says decides where it belongs."""

    number: int
    of: int

    def has(self, row: Row) -> bool:
        return row.share % self.of == self.number - 1


class Batch(NamedTuple):
    """A manifest with all that is needed to check its rows."""

    manifest: Manifest
    catalog: Catalog
    share: Share | None = None
    allow_outside: bool = False
    account: str | None = None

    def rows(self) -> Iterator[Row]:
        rows = self.manifest.rows()
        return rows if self.share is None else filter(self.share.has, rows)

    def read(self, row: Row, *, hold: bool) -> Read:
        """Read the documents that a row names; `hold` them, if they are about to be sent."""
        if row.problems and any(problem.code == Code.ROW_MALFORMED for problem in row.problems):
            return Read(row, row.stated)  # what its cells say, nobody can know
        paths, problems = self.manifest.paths(row, allow_outside=self.allow_outside)
        most = submission_rules.largest_document(row.stated, self.catalog)
        room = documents.HELD_BYTES if hold else 0
        stated = row.stated.with_documents(documents.read_all(paths, at_most=most, hold_up_to=room))
        return Read(row, stated, is_understood=True, problems=problems)

    def check(self, read: Read) -> Checked:
        """Hold a row that was read against every rule; with errors it stays a Submission."""
        row, stated, is_understood, found = read
        if not is_understood:
            return Checked(row, stated, row.problems)
        checked = submission_rules.check(stated, self.catalog)
        more = checked.problems if isinstance(checked, submission_rules.Faulty) else checked.warnings
        numbered = _numbered(row, found, more) if row.problems or found or more else ()
        if isinstance(checked, submission_rules.Faulty) or any(map(_IS_ERROR, numbered)):
            return Checked(row, stated, numbered)
        if row.claimed is not None and (changed := _changed(row, checked)) is not None:
            return Checked(row, stated, (*numbered, changed))
        if self.account is not None and self.catalog.destinations[checked.to].is_personal:
            checked = checked.with_account(self.account)
        return Checked(row, checked, numbered)

    def pieces(self) -> Iterator[Sequence[Line]]:
        """Give the lines of the manifest, some at a time."""
        lines = self.manifest.lines()
        while together := list(itertools.islice(lines, _TOGETHER)):
            yield together

    def checked(self, lines: Sequence[Line]) -> list[Checked]:
        """Make rows of lines, read and check those of this share, and hold no documents.

        They go through each stage together: one after the other, each would find the processor's caches full
        of another stage, and take half as long again.
        """
        rows = [self.manifest.row(line) for line in lines]
        if self.share is not None:
            rows = [row for row in rows if self.share.has(row)]
        read = [self.read(row, hold=False) for row in rows]
        return [self.check(each) for each in read]


def _numbered(row: Row, found: Iterable[Problem], more: Iterable[Problem]) -> tuple[Problem, ...]:
    """Give all that is wrong with a row; what could not be taken from a cell is not missing, too."""
    problems = (*row.problems, *found)
    told = {problem.field for problem in problems if problem.is_error}
    problems += tuple(p for p in more if not (p.code.kind is Kind.MISSING and p.field in told))
    return tuple(replace(problem, row=row.number) for problem in problems)


def _changed(row: Row, checked: CheckedSubmission) -> Problem | None:
    """Hold a row of a report against the key under which the report says that it was received.

    A spreadsheet that removed a zero, or other options on the command line, would make another submission
    of it, and send it a second time.
    """
    if not checked.is_named or checked.key == row.claimed:
        return None
    return Problem(
        Code.KEY_CHANGED,
        Message("the report says that this row was received, but it does not say the same any more"),
        Message(
            "use the report as it was written, with the same options; or empty status and key to send it anew"
        ),
        row=row.number,
    )


_SHOWN = 20


class Tally:
    """How a batch ended: how many rows how, and which were not received (the first of them)."""

    def __init__(self) -> None:
        self.counts: Counter[RowStatus] = Counter()
        self.repeated = 0  # of those that are received
        self.failed: list[Outcome] = []
        self.worst: ExitCode | None = None

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        if outcome.is_received:
            self.repeated += outcome.is_repeated
            return
        if len(self.failed) < _SHOWN and outcome.status != "not tried":
            self.failed.append(outcome)
        if isinstance(outcome.error, LocalFailure | SignInNeeded | UsageFault):
            self.worst = outcome.error.code

    @property
    def received(self) -> int:
        return self.counts["received"]
