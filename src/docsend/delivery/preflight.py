"""The first pass over a batch: check every row and look for duplicates, without sending anything.

All problems are reported before anything is sent. No document stays in memory. Of a row without problems,
only the digests that detect duplicates stay.
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
    """Result of the first pass: the number of rows and bytes, the errors by row number, and the warnings.

    `needs_account` is true if a row without errors is a personal submission. Only an account can send one.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.total_bytes = 0
        self.needs_account = False
        self.faulty: dict[int, tuple[Problem, ...]] = {}
        self.warnings: list[Problem] = []
        self.warning_count = 0

    def record(self, row: int, problems: Iterable[Problem]) -> None:
        """Record all errors of a row, but only the first 1,000 warnings of the whole batch.

        Warnings are limited because a manifest may have one in every row.
        """
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
        """Number of rows without errors."""
        return self.rows - len(self.faulty)


def run_preflight(batch: Batch, on_progress: Callable[[int], None] = lambda _rows: None) -> PreflightResult:
    """Check every row of a batch. Call `on_progress` with the number of rows checked so far."""
    result = PreflightResult()
    duplicates = _DuplicateDetector()
    check = functools.partial(_check_chunk, batch)
    # Worker processes could not use the keyring that is open in this one.
    in_process = batch.manifest.needs_keyring
    chunks = processes.map_in_order(batch.line_chunks(), check, in_process=in_process)
    with contextlib.closing(chunks):
        for summary in itertools.chain.from_iterable(chunks):
            result.rows += 1
            result.total_bytes += summary.total_bytes
            result.needs_account |= summary.needs_account
            problems = (*summary.problems, *duplicates.find_problems(summary))
            if problems:
                result.record(summary.row, problems)
            on_progress(result.rows)
    return result


class _RowSummary(NamedTuple):
    """What the first pass records about one row. A faulty row has no fingerprint and no documents.

    `documents` contains (digest, name) pairs.
    """

    row: int
    problems: tuple[Problem, ...]
    fingerprint: bytes | None = None
    documents: tuple[tuple[bytes, str], ...] = ()
    total_bytes: int = 0
    needs_account: bool = False


def _check_chunk(batch: Batch, lines: Sequence[Line]) -> list[_RowSummary]:
    return [_summarize(batch, checked) for checked in batch.check_lines(lines)]


def _summarize(batch: Batch, checked: CheckedRow) -> _RowSummary:
    row, submission, problems, _ = checked
    if not isinstance(submission, CheckedSubmission):
        return _RowSummary(row.number, problems)
    documents = tuple([(bytes.fromhex(document.sha256), document.name) for document in submission.documents])
    needs_account = batch.catalog.destinations[submission.to].is_personal
    size = submission.total_bytes
    return _RowSummary(row.number, problems, submission.fingerprint, documents, size, needs_account)


class _DuplicateDetector:
    """Rows and documents seen so far, by digest, to find those that occur again."""

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}
        self._rows_of_documents: dict[bytes, int] = {}

    def find_problems(self, summary: _RowSummary) -> Sequence[Problem]:
        """Record a row, and return a problem for each earlier row or document that it repeats."""
        if summary.fingerprint is None:
            return ()
        row = summary.row
        first = self._rows.setdefault(summary.fingerprint, row)
        problems = [] if first == row else [_duplicate_row_problem(row, first)]
        for digest, name in summary.documents:
            first_with_document = self._rows_of_documents.setdefault(digest, row)
            if first_with_document != row and first == row:  # a duplicate row has the same documents anyway
                problems.append(_shared_document_problem(row, name, first_with_document))
        return problems


def _duplicate_row_problem(row: int, first: int) -> Problem:
    return Problem(
        Code.DUPLICATE_ROW,
        Message("duplicate of row {first}", first=first),
        Message("remove one of them; to send both, give each its own reference or occurrence"),
        row=row,
    )


def _shared_document_problem(row: int, name: str, first: int) -> Problem:
    return Problem(
        Code.DOCUMENT_IN_TWO_ROWS,
        Message("{name} is also in row {first}", name=name, first=first),
        Message("ignore this warning if the document belongs to both rows"),
        document=name,
        row=row,
    )
