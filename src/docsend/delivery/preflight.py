"""The first pass over a batch: every row is checked, and rows against each other. Nothing is sent.

What is wrong is told at once, before the first byte leaves. No document stays in memory, and of a good row
only what shows whether another one says the same.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.delivery import processes
from docsend.i18n import Message
from docsend.model.problem import Problem
from docsend.model.submission import CheckedSubmission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from docsend.delivery.batch import Batch, CheckedRow
    from docsend.manifest.reader import Line

_MAX_WARNINGS = 1000


class PreflightResult:
    """What the first pass found: how many rows and bytes, and everything that is wrong with which row."""

    def __init__(self) -> None:
        self.rows = 0
        self.total_bytes = 0
        self.needs_account = False
        self.faulty: dict[int, tuple[Problem, ...]] = {}
        self.warnings: list[Problem] = []
        self.warning_count = 0

    def record(self, row: int, problems: Iterable[Problem]) -> None:
        """Keep the errors of a row, and the first warnings: a manifest may have one in every row."""
        errors = []
        for problem in problems:
            if problem.is_error:
                errors.append(problem)
                continue
            self.warning_count += 1
            if len(self.warnings) < _MAX_WARNINGS:
                self.warnings.append(problem)
        if errors:
            self.faulty[row] = tuple(errors)

    @property
    def good_rows(self) -> int:
        return self.rows - len(self.faulty)


def run_preflight(batch: Batch, on_progress: Callable[[int], None] = lambda _rows: None) -> PreflightResult:
    """Check every row; `seen` hears how many were."""
    plan = PreflightResult()
    doubles = _DuplicateDetector()

    # A keyring is open in one process.
    alone = batch.manifest.needs_keyring
    look = functools.partial(_check_piece, batch)
    with contextlib.closing(processes.map_in_order(batch.line_chunks(), look, in_process=alone)) as together:
        for found in itertools.chain.from_iterable(together):
            plan.rows += 1
            plan.total_bytes += found.total_bytes
            plan.needs_account |= found.needs_account
            problems = (*found.problems, *doubles.find(found))
            if problems:
                plan.record(found.row, problems)
            on_progress(plan.rows)
    return plan


class _RowSummary(NamedTuple):
    """What the first pass knows of a row: a faulty one has no fingerprint and no documents.

    `documents` are digests and names.
    """

    row: int
    problems: tuple[Problem, ...]
    fingerprint: bytes | None = None
    documents: tuple[tuple[bytes, str], ...] = ()
    total_bytes: int = 0
    needs_account: bool = False


def _check_piece(batch: Batch, lines: Sequence[Line]) -> list[_RowSummary]:
    return [_summarize(batch, checked) for checked in batch.check_lines(lines)]


def _summarize(batch: Batch, checked: CheckedRow) -> _RowSummary:
    row, submission, problems, _ = checked
    if not isinstance(submission, CheckedSubmission):
        return _RowSummary(row.number, problems)
    documents = tuple([(bytes.fromhex(each.sha256), each.name) for each in submission.documents])
    needs_account = batch.catalog.destinations[submission.to].is_personal
    size = submission.total_bytes
    return _RowSummary(row.number, problems, submission.fingerprint, documents, size, needs_account)


class _DuplicateDetector:
    """The rows and documents that were seen, to find those that are there twice."""

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}
        self._rows_of_documents: dict[bytes, int] = {}

    def find(self, found: _RowSummary) -> Sequence[Problem]:
        """Give what is wrong with a row beside those before it."""
        if found.fingerprint is None:
            return ()
        first = self._rows.setdefault(found.fingerprint, found.row)
        problems = [] if first == found.row else [_duplicate(found.row, first)]
        for digest, name in found.documents:
            first_with_it = self._rows_of_documents.setdefault(digest, found.row)
            if first_with_it != found.row and first == found.row:  # of a twin that goes without saying
                problems.append(_shared(found.row, name, first_with_it))
        return problems


def _duplicate(row: int, first: int) -> Problem:
    return Problem(
        Code.DUPLICATE_ROW,
        Message("the row says the same as row {first}", first=first),
        Message("remove one of them; if both are meant, give each its own reference or occurrence"),
        row=row,
    )


def _shared(row: int, name: str, first: int) -> Problem:
    return Problem(
        Code.DOCUMENT_IN_TWO_ROWS,
        Message("{name} is in row {first}, too", name=name, first=first),
        Message("if it belongs to both, all is well"),
        document=name,
        row=row,
    )
