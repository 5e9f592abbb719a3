"""What a command came to, as a value and as the JSON of `--json`: docsend.result/2 and docsend.batch/1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from docsend.codes import Code, Kind
from docsend.errors import DocsendError, ExitCode, FaultySubmission, UsageFault
from docsend.i18n import Message
from docsend.model import fields
from docsend.model.submission import CheckedSubmission, Problem, Submission
from docsend.ui import shapes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from docsend.delivery.batch import Outcome
    from docsend.model.submission import Receipt

Status: TypeAlias = Literal["received", "checked", "faulty", "refused", "unfinished", "failed"]

_STATUS_OF_EXIT: dict[ExitCode, Status] = {
    ExitCode.FAULTY: "faulty",
    ExitCode.REFUSED: "refused",
    ExitCode.UNFINISHED: "unfinished",
    ExitCode.INTERRUPTED: "unfinished",
    ExitCode.TERMINATED: "unfinished",
}
# The problem's code when an error is all there is to report.
_CODE_OF_EXIT = {
    ExitCode.BUG: Code.BUG,
    ExitCode.USAGE: Code.USAGE,
    ExitCode.FAULTY: Code.FAULTY,
    ExitCode.SIGN_IN: Code.SIGN_IN_NEEDED,
    ExitCode.REFUSED: Code.REFUSED,
    ExitCode.UNFINISHED: Code.UNFINISHED,
    ExitCode.LOCAL: Code.LOCAL_FAILURE,
    ExitCode.INTERRUPTED: Code.INTERRUPTED,
    ExitCode.TERMINATED: Code.TERMINATED,
}


# What a run ends with that has only problems of one kind to report.
EXIT_OF_KIND: dict[Kind, ExitCode] = {
    Kind.MISSING: ExitCode.USAGE,
    Kind.INVALID: ExitCode.FAULTY,
    Kind.WARNING: ExitCode.RECEIVED,
    Kind.USAGE: ExitCode.USAGE,
    Kind.SIGN_IN: ExitCode.SIGN_IN,
    Kind.REFUSED: ExitCode.REFUSED,
    Kind.UNFINISHED: ExitCode.UNFINISHED,
    Kind.LOCAL: ExitCode.LOCAL,
    Kind.BUG: ExitCode.BUG,
    Kind.INTERRUPTED: ExitCode.INTERRUPTED,
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


class BatchSummary(NamedTuple):
    """What a batch came to; `seconds` from the first look at the manifest on."""

    rows: int
    counts: Mapping[str, int]
    service: str | None
    report: str | None
    seconds: float
    repeat_helps: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "docsend.batch/1",
            "rows": self.rows,
            "counts": dict(self.counts),
            "service": self.service,
            "report": self.report,
            "seconds": round(self.seconds, 3),
            "repeat_helps": self.repeat_helps,
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


def error_of(problems: Sequence[Problem]) -> DocsendError:
    """Return the error that a run ends with whose check found these: what is missing goes first."""
    missing = [problem for problem in problems if problem.code.kind is Kind.MISSING]
    if not missing:
        return FaultySubmission.of(problems)
    options = ", ".join(_option(problem) for problem in missing)
    return UsageFault(Message("missing: {options}", options=options), problems=problems)


def _option(problem: Problem) -> str:
    field = fields.BY_NAME.get(problem.field or "")
    return field.option if field else "FILE"


def problem_of(error: DocsendError) -> Problem:
    """Give an error as a problem, under the code of its cause or of its kind."""
    return Problem(error.cause or _CODE_OF_EXIT[error.code], error.message, error.hint)


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
        problems=(error.problems or (problem_of(error),)) + warnings,
    )
