"""docsend's exceptions and exit codes, grouped by what the caller should do next.

    DocsendError
    ├── UsageError         2  the command line or the settings are invalid
    ├── InvalidSubmission  3  the checks failed, nothing was received
    │   └── OccurrenceTooEarly   a lower occurrence is unfinished
    ├── SignInRequired     4  sign-in required or refused
    ├── Refused            5  the service refused permanently
    ├── Unfinished         6  nothing is lost, run the same command again
    ├── LocalError         8  the ledger, the keyring or the disk failed
    └── Interrupted  130/143  stopped by a signal

A message says what happened, in lower case and without a full stop. The hint says what to do next. Only the
commands (`docsend.cli`) turn these exceptions into text and exit codes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from docsend.i18n import ENGLISH, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docsend.codes import AnyCode
    from docsend.model.problem import Problem


class ExitCode(IntEnum):
    """Exit codes of the commands. Each command's help lists the codes that it uses and what they mean."""

    RECEIVED = 0
    BUG = 1
    USAGE = 2
    FAULTY = 3
    SIGN_IN = 4
    REFUSED = 5
    UNFINISHED = 6
    ROWS_UNFINISHED = 7
    LOCAL = 8
    ROWS_FAULTY = 9
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_MEANINGS: dict[ExitCode, Message] = {
    ExitCode.RECEIVED: Message("received (now or in an earlier run), or checked without errors"),
    ExitCode.BUG: Message("a bug in docsend"),
    ExitCode.USAGE: Message("usage: the command line or the settings are invalid"),
    ExitCode.FAULTY: Message("faulty: the checks failed, nothing was received"),
    ExitCode.SIGN_IN: Message("sign-in required or refused"),
    ExitCode.REFUSED: Message("refused by the service"),
    ExitCode.UNFINISHED: Message("unfinished: nothing is lost, run the same command again"),
    ExitCode.ROWS_UNFINISHED: Message(
        "batch: some rows are unfinished or were not tried, the same command again may help"
    ),
    ExitCode.LOCAL: Message("local error: ledger, keyring or disk"),
    ExitCode.ROWS_FAULTY: Message(
        "batch: some rows are faulty or refused, none as in 7: only a change will help"
    ),
    ExitCode.INTERRUPTED: Message("interrupted (Ctrl-C)"),
    ExitCode.TERMINATED: Message("terminated (SIGTERM)"),
}


class DocsendError(Exception):
    """Base class of all docsend errors.

    message: what happened.
    hint: what to do next, or None.
    problems: the individual problems, if the message summarizes several.
    cause: the problem code, if it is more specific than the class (see `service.failures`), or None.
    notices: warnings about earlier submissions, which appeared before the error.
    affects_all: whether every other submission would fail now, too.
    nothing_arrived: whether it is certain that no part of the submission has reached the service.
    is_lasting_refusal: whether the error permanently refuses the submission if no part of the submission can
        have arrived.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    affects_all = False
    nothing_arrived = False
    is_lasting_refusal = False
    notices: tuple[Problem, ...] = ()

    def __init__(
        self,
        message: Message,
        hint: Message | None = None,
        problems: Iterable[Problem] = (),
        *,
        cause: AnyCode | None = None,
    ) -> None:
        super().__init__(ENGLISH.render(message))
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)
        self.cause = cause

    @property
    def code(self) -> ExitCode:
        """Exit code of a command that ends with this error."""
        return self.exit_code

    def as_problem(self) -> Problem:
        """Return the error as a problem. The problem's code is `cause`, or else that of the exit code."""
        from docsend.codes import Code
        from docsend.model.problem import Problem

        codes = {
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
        return Problem(self.cause or codes[self.code], self.message, self.hint)


class UsageError(DocsendError):
    """Raised when the command line or the settings are invalid."""

    exit_code = ExitCode.USAGE
    affects_all = True


class InvalidSubmission(DocsendError):
    """Raised when a submission or a manifest fails its checks. Nothing was received."""

    exit_code = ExitCode.FAULTY

    @classmethod
    def from_problems(cls, problems: Iterable[Problem]) -> InvalidSubmission:
        """Return the error for one submission's problems. The message counts the errors, not the warnings."""
        problems = tuple(problems)
        errors = sum(problem.is_error for problem in problems)
        message = Message.plural("1 problem, nothing was sent", "{count} problems, nothing was sent", errors)
        return cls(message, problems=problems)

    @classmethod
    def from_manifest_problems(cls, problems: Iterable[Problem]) -> InvalidSubmission:
        """Return the error for problems with the manifest itself."""
        problems = tuple(problems)
        message = Message.plural(
            "1 problem in the manifest, nothing was sent",
            "{count} problems in the manifest, nothing was sent",
            len(problems),
        )
        return cls(message, problems=problems)


class OccurrenceTooEarly(InvalidSubmission):
    """Raised when an occurrence cannot be sent yet, because a lower one is unfinished."""


class SignInRequired(DocsendError):
    """Raised when a sign-in is required, or when the service refuses a sign-in."""

    exit_code = ExitCode.SIGN_IN
    affects_all = True


class Refused(DocsendError):
    """Raised when the service refuses permanently."""

    exit_code = ExitCode.REFUSED


class Unfinished(DocsendError):
    """Raised when the work could not be finished. Running the same command again continues it."""

    exit_code = ExitCode.UNFINISHED


class LocalError(DocsendError):
    """Raised when the ledger, the keyring, the disk or another resource of this machine fails."""

    exit_code = ExitCode.LOCAL
    affects_all = True


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM.

    This is a KeyboardInterrupt, so that the run ends as it does after Ctrl-C, and reports how far it got.
    """


class Interrupted(DocsendError):
    """Raised when a signal has stopped the run. The exit code is 130 for SIGINT and 143 for SIGTERM."""

    exit_code = ExitCode.INTERRUPTED

    @classmethod
    def from_signal(
        cls, stop: KeyboardInterrupt, message: Message | None = None, hint: Message | None = None
    ) -> Interrupted:
        """Return the error for `stop`, the exception that the signal raised."""
        return cls(message or Message("interrupted"), hint, terminated=isinstance(stop, Terminated))

    def __init__(self, message: Message, hint: Message | None = None, *, terminated: bool = False) -> None:
        super().__init__(message, hint)
        self.terminated = terminated

    @property
    def code(self) -> ExitCode:
        """Exit code of the run: 130 for SIGINT, 143 for SIGTERM."""
        return ExitCode.TERMINATED if self.terminated else ExitCode.INTERRUPTED
