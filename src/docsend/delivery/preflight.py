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

_MOST_WARNINGS = 1000


class Plan:
    """What the first pass found: how many rows and bytes, and everything that is wrong with which row."""

    def __init__(self) -> None:
        self.rows = 0
        self.total_bytes = 0
        self.needs_account = False
        self.faulty: dict[int, tuple[Problem, ...]] = {}
        self.warnings: list[Problem] = []
        self.warned = 0

    def note(self, row: int, problems: Iterable[Problem]) -> None:
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
            self.faulty[row] = tuple(errors)

    @property
    def good(self) -> int:
        return self.rows - len(self.faulty)


def preflight(batch: Batch, seen: Callable[[int], None] = lambda _rows: None) -> Plan:
    """Check every row; `seen` hears how many were."""
    plan = Plan()
    doubles = _Doubles()

    # A keyring is open in one process.
    alone = batch.manifest.needs_keyring
    look = functools.partial(_look, batch)
    with contextlib.closing(processes.in_order(batch.pieces(), look, alone=alone)) as together:
        for found in itertools.chain.from_iterable(together):
            plan.rows += 1
            plan.total_bytes += found.total_bytes
            plan.needs_account |= found.needs_account
            problems = (*found.problems, *doubles.of(found))
            if problems:
                plan.note(found.row, problems)
            seen(plan.rows)
    return plan


class _Found(NamedTuple):
    """What the first pass knows of a row: a faulty one has no fingerprint and no documents.

    `documents` are digests and names.
    """

    row: int
    problems: tuple[Problem, ...]
    fingerprint: bytes | None = None
    documents: tuple[tuple[bytes, str], ...] = ()
    total_bytes: int = 0
    needs_account: bool = False


def _look(batch: Batch, lines: Sequence[Line]) -> list[_Found]:
    return [_found(batch, checked) for checked in batch.checked(lines)]


def _found(batch: Batch, checked: CheckedRow) -> _Found:
    row, submission, problems, _ = checked
    if not isinstance(submission, CheckedSubmission):
        return _Found(row.number, problems)
    documents = tuple([(bytes.fromhex(each.sha256), each.name) for each in submission.documents])
    needs_account = batch.catalog.destinations[submission.to].is_personal
    size = submission.total_bytes
    return _Found(row.number, problems, submission.fingerprint, documents, size, needs_account)


class _Doubles:
    """The rows and documents that were seen, to find those that are there twice."""

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}
        self._rows_of_documents: dict[bytes, int] = {}

    def of(self, found: _Found) -> Sequence[Problem]:
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
