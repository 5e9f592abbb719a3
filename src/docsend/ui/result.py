"""What a command came to, as a value and as the JSON of `--json`: docsend.result/2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from docsend.codes import Code
from docsend.errors import DocsendError, ExitCode
from docsend.i18n import Message
from docsend.model.problem import Problem
from docsend.model.submission import CheckedSubmission, Submission
from docsend.ui import shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.delivery.batch import Outcome
    from docsend.model.receipt import Receipt

Status: TypeAlias = Literal["received", "checked", "faulty", "refused", "unfinished", "failed"]

_STATUS_OF_EXIT: dict[ExitCode, Status] = {
    ExitCode.FAULTY: "faulty",
    ExitCode.REFUSED: "refused",
    ExitCode.UNFINISHED: "unfinished",
    ExitCode.INTERRUPTED: "unfinished",
    ExitCode.TERMINATED: "unfinished",
}


class Result(NamedTuple):
    """One submission's outcome. `service` is an address or "sandbox"; `row` the row of a batch."""

    status: Status
    exit_code: ExitCode
    is_repeated: bool = False
    row: int | None = None
    service: str | None = None
    submission: CheckedSubmission | Submission | None = None
    receipt: Receipt | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def key(self) -> str | None:
        known = self.submission
        return known.key if isinstance(known, CheckedSubmission) and known.is_named else None

    @property
    def occurrence(self) -> int | None:
        """Which sending of its content it is; None where nobody can know."""
        return self.submission.occurrence if isinstance(self.submission, CheckedSubmission) else None

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "docsend.result/2",
            "status": self.status,
            "repeated": self.is_repeated,
            "occurrence": self.occurrence,
            "row": self.row,
            "key": self.key,
            "service": self.service,
            "reference": self.submission.reference if self.submission else None,
            "submission": shapes.submission(self.submission) if self.submission else None,
            "receipt": shapes.receipt(self.receipt) if self.receipt else None,
            "problems": [shapes.problem(problem) for problem in self.problems],
        }


_OF_ROWS: dict[str, tuple[Status, ExitCode]] = {
    "received": ("received", ExitCode.RECEIVED),
    "checked": ("checked", ExitCode.RECEIVED),
    "faulty": ("faulty", ExitCode.FAULTY),
    "refused": ("refused", ExitCode.REFUSED),
    "unfinished": ("unfinished", ExitCode.UNFINISHED),
    "not tried": ("unfinished", ExitCode.UNFINISHED),
}


_AGAIN = Message("nothing is lost: the same command again finishes the rest, and sends nothing twice")
# What became of a row that nothing is wrong with.
_UNTOLD: Mapping[str, tuple[Problem, ...]] = {
    "not tried": (Problem(Code.NOT_TRIED, Message("the batch ended before it was this row's turn"), _AGAIN),),
    "unfinished": (Problem(Code.INTERRUPTED, Message("interrupted"), _AGAIN),),
}


def of_row(outcome: Outcome, service: str | None) -> Result:
    """Give the result of one row of a batch."""
    status, code = _OF_ROWS[outcome.status]
    return Result(
        status=status,
        exit_code=code,
        is_repeated=outcome.is_repeated,
        row=outcome.row.number,
        service=service,
        submission=outcome.submission,
        receipt=outcome.receipt,
        problems=outcome.problems or _UNTOLD.get(outcome.status, ()),
    )


def of_error(
    error: DocsendError,
    submission: CheckedSubmission | Submission | None = None,
    service: str | None = None,
    warnings: tuple[Problem, ...] = (),
) -> Result:
    """Give the result of a command that failed."""
    return Result(
        status=_STATUS_OF_EXIT.get(error.code, "failed"),
        exit_code=error.code,
        service=service,
        submission=submission,
        problems=(error.problems or (error.as_problem(),)) + warnings,
    )
