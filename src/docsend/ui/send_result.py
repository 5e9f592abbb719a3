"""Outcome of sending one submission, and its JSON (docsend.result/2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from docsend.errors import DocsendError, ExitCode
from docsend.ui import to_json

if TYPE_CHECKING:
    from docsend.model.problem import Problem
    from docsend.model.receipt import Receipt
    from docsend.model.submission import CheckedSubmission, Submission

Status: TypeAlias = Literal["received", "checked", "faulty", "refused", "unfinished", "failed"]

_STATUS_OF_EXIT: dict[ExitCode, Status] = {
    ExitCode.FAULTY: "faulty",
    ExitCode.REFUSED: "refused",
    ExitCode.UNFINISHED: "unfinished",
    ExitCode.INTERRUPTED: "unfinished",
    ExitCode.TERMINATED: "unfinished",
}


class SendResult(NamedTuple):
    """Outcome of sending one submission. `service` is an address or "sandbox"."""

    status: Status
    is_repeated: bool = False
    service: str | None = None
    submission: CheckedSubmission | Submission | None = None
    receipt: Receipt | None = None
    problems: tuple[Problem, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return to_json.result(
            self.status,
            self.submission,
            is_repeated=self.is_repeated,
            service=self.service,
            receipt_=self.receipt,
            problems=self.problems,
        )


def from_error(
    error: DocsendError,
    submission: CheckedSubmission | Submission | None = None,
    service: str | None = None,
    warnings: tuple[Problem, ...] = (),
) -> SendResult:
    """Return the result of a command that failed, with the error's problems followed by the warnings."""
    return SendResult(
        status=_STATUS_OF_EXIT.get(error.code, "failed"),
        service=service,
        submission=submission,
        problems=(error.problems or (error.as_problem(),)) + warnings,
    )
