"""The result of a batch: the number of rows with each outcome, and the exit code."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from docsend.errors import ExitCode, LocalError, SignInRequired, UsageError

if TYPE_CHECKING:
    from docsend.delivery.batch import Outcome
    from docsend.delivery.preflight import PreflightResult
    from docsend.errors import DocsendError
    from docsend.model.states import RowStatus

_MAX_SHOWN_FAILURES = 20


def rows_exit_code(*, has_unfinished: bool, has_faulty: bool) -> ExitCode:
    """Return the exit code for rows that were sent.

    Rows that are unfinished or were not tried go before faulty and refused ones, because the same command
    again may finish them.
    """
    if has_unfinished:
        return ExitCode.ROWS_UNFINISHED
    return ExitCode.ROWS_FAULTY if has_faulty else ExitCode.RECEIVED


class OutcomeCounts:
    """Counts of the outcomes of a batch.

    `failed` contains the first 20 rows that were tried but not received. `repeated` counts the rows that had
    already been received before. `fatal_exit_code` is the exit code of an error that affected more than its
    own row, or None.
    """

    def __init__(self) -> None:
        self.counts: Counter[RowStatus] = Counter()
        self.repeated = 0
        self.failed: list[Outcome] = []
        self.fatal_exit_code: ExitCode | None = None

    def add(self, outcome: Outcome) -> None:
        """Count the outcome of one row."""
        self.counts[outcome.status] += 1
        if outcome.is_received:
            self.repeated += outcome.is_repeated
            return
        if len(self.failed) < _MAX_SHOWN_FAILURES and outcome.status != "not tried":
            self.failed.append(outcome)
        if isinstance(outcome.error, LocalError | SignInRequired | UsageError):
            self.fatal_exit_code = outcome.error.code

    @property
    def received(self) -> int:
        """Number of rows that were received, now or before."""
        return self.counts["received"]

    @property
    def tried(self) -> int:
        """Number of rows that have an outcome because they were tried."""
        return self.counts.total() - self.counts["not tried"]


class BatchResult(NamedTuple):
    """Result of a batch: that of the first pass, the outcomes if rows were sent, and the error that ended it.

    `error` is None unless the batch ended early.
    """

    preflight: PreflightResult
    outcomes: OutcomeCounts | None
    error: DocsendError | None

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the command.

        An error of the settings, the sign-in or this machine goes before rows that are unfinished or were not
        tried, and these go before rows that are faulty or refused.
        """
        if self.error is not None and self.error.code not in (ExitCode.REFUSED, ExitCode.UNFINISHED):
            return self.error.code
        if self.outcomes is None:
            return ExitCode.FAULTY if self.preflight.faulty else ExitCode.RECEIVED
        if self.outcomes.fatal_exit_code is not None:
            return self.outcomes.fatal_exit_code
        return rows_exit_code(
            has_unfinished=bool(self.counts["unfinished"] or self.counts["not_tried"]),
            has_faulty=bool(self.counts["faulty"] or self.counts["refused"]),
        )

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by outcome, under the names that the JSON schema docsend.batch/1 gives them."""
        counts: Counter[str] = Counter(
            {"checked": self.preflight.good_rows} if self.outcomes is None else self.outcomes.counts
        )
        return {
            **{status: counts[status] for status in ("checked", "received", "refused", "unfinished")},
            "repeated": self.outcomes.repeated if self.outcomes else 0,
            "faulty": len(self.preflight.faulty) + counts["faulty"],
            "not_tried": self._not_tried,
        }

    @property
    def _not_tried(self) -> int:
        """Number of good rows that were not attempted because the batch ended early."""
        if self.outcomes is None:
            return 0
        return self.preflight.good_rows - self.outcomes.tried

    @property
    def repeat_helps(self) -> bool:
        """Whether running the same command again, unchanged, can deliver more rows."""
        if (
            self.outcomes is None
            or self.outcomes.fatal_exit_code is not None
            or (self.error and self.error.affects_all)
        ):
            return False
        return bool(self.counts["unfinished"] or self.counts["not_tried"])
