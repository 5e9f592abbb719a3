"""The rows of a batch that were left unfinished, and are tried once more before the batch ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.delivery.batch import Outcome
from docsend.errors import OccurrenceTooEarly, Unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docsend.delivery.batch import Batch
    from docsend.manifest.row import Row
    from docsend.model.problem import Problem


class UnfinishedRows:
    """Rows whose first try failed, with their problems and keys. A second failure is final.

    Only their numbers, problems and keys stay in memory: the rows are read from the manifest again.
    """

    def __init__(self) -> None:
        self._problems: dict[int, tuple[Problem, ...]] = {}
        self._keys: dict[int, str | None] = {}
        self._is_second_round = False

    def __len__(self) -> int:
        return len(self._problems)

    def keep(self, outcome: Outcome) -> bool:
        """Return whether an outcome is not final yet, because its row has another try, or has had only one.

        The outcome of such a row is not reported. `remaining` yields it if there is no second one.
        """
        number = outcome.row.number
        if self._is_second_round:
            had_second_try = outcome.status != "not tried" and (outcome.is_received or outcome.problems)
            is_kept = number in self._problems and not had_second_try
            if not is_kept:
                self._problems.pop(number, None)
            return is_kept
        is_kept = isinstance(outcome.error, Unfinished | OccurrenceTooEarly) and not outcome.error.affects_all
        if is_kept:
            self._problems[number] = outcome.problems
            self._keys[number] = outcome.key
        return is_kept

    def begin_second_round(self, batch: Batch) -> Iterator[Row]:
        """Return the rows to try once more. From now on, `keep` keeps only those that were not tried."""
        self._is_second_round = True
        return self._read_rows(batch)

    def remaining(self, batch: Batch) -> Iterator[Outcome]:
        """Yield the outcomes that were kept and that no second one has replaced."""
        for row in self._read_rows(batch):
            problems, key = self._problems[row.number], self._keys[row.number]
            yield Outcome(row, "unfinished", row.submission, problems=problems, known_key=key)

    def __contains__(self, row: Row) -> bool:
        return row.number in self._problems

    def _read_rows(self, batch: Batch) -> Iterator[Row]:
        numbers = frozenset(self._problems)
        return (row for row in batch.read_rows() if row.number in numbers) if numbers else iter(())
