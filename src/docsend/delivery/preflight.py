"""The first pass over a batch: check every row and look for duplicates, without sending anything.

All problems are reported before anything is sent. No document stays in memory. Of a row without problems,
only the hashes that detect duplicates stay.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from docsend.checks import submission_rules
from docsend.codes import Code
from docsend.delivery import occurrence_order
from docsend.i18n import Message
from docsend.model.problem import Problem
from docsend.model.submission import CheckedSubmission
from docsend.text import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from docsend.delivery.batch import Batch, CheckedRow
    from docsend.delivery.processes import WorkerProcesses
    from docsend.delivery.repetition import ReceivedBefore
    from docsend.manifest.reader import Line
    from docsend.manifest.row import Row
    from docsend.model.submission import SubmissionContent
    from docsend.storage.identity_key import IdentityDigests

_MAX_WARNINGS = 1000


class PreflightResult:
    """Result of the first pass: the number of rows and bytes, the errors by row number, and the warnings.

    `needs_account` is true if a row without errors is a personal submission. Only an account can send one.
    `repetitions` are the errors of rows that repeat what was received before, as far as the ledger shows.
    Such a row does not keep the others from being sent. `known_keys` contains the keys of the rows that the
    ledger knows, by row number.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.total_bytes = 0
        self.needs_account = False
        self.faulty: dict[int, tuple[Problem, ...]] = {}
        self.warnings: list[Problem] = []
        self.warning_count = 0
        self.repetitions: dict[int, Problem] = {}
        self.known_keys: dict[int, str] = {}

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
            self.faulty[row] = (*self.faulty.get(row, ()), *errors)

    @property
    def good_rows(self) -> int:
        """Number of rows without errors."""
        return self.rows - len(self.faulty)


def run_preflight(
    batch: Batch,
    workers: WorkerProcesses,
    on_progress: Callable[[int], None] = lambda _rows: None,
    known: ReceivedBefore | None = None,
) -> PreflightResult:
    """Check every row of a batch. Call `on_progress` with the number of rows checked so far.

    `known` tells which rows the ledger knows, and which repeat what was received before.
    """
    result = PreflightResult()
    duplicates = _DuplicateDetector()
    check = functools.partial(_check_chunk, batch)
    with contextlib.closing(workers):
        # Worker processes could not use the keyring that is open in this one.
        apply = map if batch.manifest.needs_keyring else workers.map_in_order
        for summaries in apply(check, batch.line_chunks()):
            for summary in summaries:
                for row, problem in duplicates.find_problems(summary):
                    result.record(row, [problem])
                if summary.problems:
                    result.record(summary.row, summary.problems)
            result.rows += sum([summary.is_in_share for summary in summaries])
            result.total_bytes += sum([summary.total_bytes for summary in summaries])
            result.needs_account |= any(summary.needs_account for summary in summaries)
            on_progress(result.rows)
            if known is not None:
                _look_up(summaries, known, result, needs_keys=batch.needs_keys)
    for row in result.faulty:
        result.repetitions.pop(row, None)
    return result


def _look_up(
    summaries: Sequence[_RowSummary], known: ReceivedBefore, result: PreflightResult, *, needs_keys: bool
) -> None:
    """Record which rows repeat what was received before and, with `needs_keys`, which rows are known."""
    digests = {each.row: (each.key, each.digests) for each in summaries if each.digests}
    if digests:
        result.repetitions.update(known.problems(digests))
    for each in summaries:
        repetition = known.find_problem(each.submission) if each.submission else None
        if repetition is not None:
            result.repetitions[each.row] = replace(repetition, row=each.row)
    keys = {each.row: each.key for each in summaries if each.key}
    if needs_keys and keys:
        result.known_keys.update(known.known_keys(keys))


# Values that two rows have in common if they repeat each other.
_Group: TypeAlias = "tuple[tuple[str | None, ...] | str | None, ...]"


class _RowSummary(NamedTuple):
    """What the first pass records about one row. A faulty row has no content.

    `content` is that of its submission. Two rows with the same `reference_group` have the same reference,
    person, destination, subject and type. Two rows with the same `content_group` have the same documents
    instead of the reference. Of a row in another share, only the `reference_group` is known. If the rows are
    compared with a ledger, `key` and `digests` are known, or `submission` if these do not suffice.
    """

    row: int
    problems: tuple[Problem, ...] = ()
    content: SubmissionContent | None = None
    total_bytes: int = 0
    needs_account: bool = False
    reference_group: _Group | None = None
    content_group: _Group | None = None
    is_in_share: bool = True
    key: str = ""
    digests: IdentityDigests | None = None
    submission: CheckedSubmission | None = None

    def __repr__(self) -> str:
        """Return a representation with only the number, because the content contains personal data."""
        return f"_RowSummary({self.row})"


def _check_chunk(batch: Batch, lines: Sequence[Line]) -> list[_RowSummary]:
    rows = list(map(batch.manifest.row, lines))
    if batch.share is None:
        return [_summarize(batch, checked) for checked in batch.check_rows(rows)]
    included = list(map(batch.includes, rows))
    checked_rows = iter(batch.check_rows(list(itertools.compress(rows, included))))
    return [
        _summarize(batch, next(checked_rows))
        if is_included
        else _RowSummary(row.number, is_in_share=False, reference_group=_reference_group(batch, row))
        for row, is_included in zip(rows, included, strict=True)
    ]


def _summarize(batch: Batch, checked: CheckedRow) -> _RowSummary:
    row, submission, problems, _ = checked
    if not isinstance(submission, CheckedSubmission):
        return _RowSummary(row.number, problems, reference_group=_reference_group(batch, row))
    needs_account = batch.catalog.destinations[submission.to].is_personal
    reference_group, content_group = _groups(batch, submission)
    summary = _RowSummary(
        row.number,
        problems,
        submission.content,
        submission.total_bytes,
        needs_account,
        reference_group,
        content_group,
    )
    if batch.needs_keys and submission.has_key:
        summary = summary._replace(key=submission.key)
    if batch.identity_key is None:
        return summary
    # The account of a personal submission is not known yet. A lower occurrence has the same digests.
    if batch.has_old_entries or submission.occurrence > 1 or not submission.has_key:
        return summary._replace(submission=submission)
    return summary._replace(key=submission.key, digests=batch.identity_key.digests(submission))


def _reference_group(batch: Batch, row: Row) -> _Group | None:
    """Return what rows with the same reference, person, destination, subject and type have in common.

    Return None for a row without a reference, or with a higher occurrence, which repeats another on purpose.
    """
    if batch.anyway or not row.is_readable or occurrence_order.occurrence_of(row) != 1:
        return None
    group = submission_rules.reference_group(row.submission, batch.catalog)
    if group is None:
        return None
    *about, reference = group
    return tuple(about), fold(reference or "")


def _groups(batch: Batch, checked: CheckedSubmission) -> tuple[_Group | None, _Group | None]:
    """Return the `reference_group` and the `content_group` of a checked row."""
    if batch.anyway or checked.occurrence > 1:
        return None, None
    # Without the account, which is the same for all rows.
    person = checked.person[1:] if checked.has_key else ()
    about = (checked.to, checked.subject, checked.type, *person)
    digests = sorted([document.sha256 for document in checked.documents])
    return (
        (about, fold(checked.reference)) if checked.reference else None,
        (about, checked.required, *digests),
    )


class _DuplicateDetector:
    """Rows and documents seen so far, to find those that occur again.

    Only Python's own hashes of them are kept, which takes little memory. They have 64 bits, and differ from
    process to process.
    """

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._rows_of_documents: dict[int, int] = {}
        self._rows_of_references: dict[int, int] = {}
        self._rows_of_contents: dict[int, int] = {}
        self._other_shares: set[int] = set()  # rows of other shares whose references were seen first

    def find_problems(self, summary: _RowSummary) -> list[tuple[int, Problem]]:
        """Record a row, and return a problem for each earlier row or document that it repeats, with its row.

        If the row is in another share, the problem belongs to the earlier row.
        """
        row, content = summary.row, summary.content
        problems: list[tuple[int, Problem]] = []
        if content is not None:
            first = self._rows.setdefault(hash(content), row)
            if first != row:  # It has the same reference and documents anyway.
                return [(row, _duplicate_row_problem(row, first))]
        if summary.reference_group is not None:
            first = self._rows_of_references.setdefault(hash(summary.reference_group), row)
            problems += self._same_reference_problems(summary, first)
        same_content = row
        if summary.content_group is not None:
            same_content = self._rows_of_contents.setdefault(hash(summary.content_group), row)
            if same_content != row:
                problems.append((row, _same_content_problem(row, same_content)))
        if content is not None:
            for name, _, sha256 in content[1]:
                first = self._rows_of_documents.setdefault(hash(sha256), row)
                if first not in (row, same_content):
                    problems.append((row, _shared_document_problem(row, name, first)))
        return problems

    def _same_reference_problems(self, summary: _RowSummary, first: int) -> list[tuple[int, Problem]]:
        """Return the problem of a row with the same reference as `first`, which may be the row itself."""
        row = summary.row
        if first == row:
            if not summary.is_in_share:
                self._other_shares.add(row)
            return []
        if summary.is_in_share:
            return [(row, _same_reference_problem(row, first))]
        return [] if first in self._other_shares else [(first, _same_reference_problem(first, row))]


def _duplicate_row_problem(row: int, first: int) -> Problem:
    return Problem(
        Code.DUPLICATE_ROW,
        Message("duplicate of row {first}", first=first),
        Message("remove one of them; to send both, give the second one the occurrence 2"),
        row=row,
    )


def _same_reference_problem(row: int, other: int) -> Problem:
    return Problem(
        Code.REFERENCE_IN_TWO_ROWS,
        Message("row {other} has the same reference, person, destination, subject and type", other=other),
        Message(
            "put all documents into one row, or give each row its own reference; to send both as they are, "
            "give --anyway"
        ),
        row=row,
    )


def _same_content_problem(row: int, other: int) -> Problem:
    return Problem(
        Code.CONTENT_IN_TWO_ROWS,
        Message("row {other} has the same documents, person, destination, subject and type", other=other),
        Message("remove one of them; to send both as they are, give --anyway"),
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
