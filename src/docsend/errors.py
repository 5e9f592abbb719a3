"""Everything that can go wrong, by what the caller should do next.

    DocsendError
    ├── UsageFault         2  the command line or the settings cannot be understood
    ├── FaultySubmission   3  the checks failed, nothing was received
    ├── SignInNeeded       4  sign-in needed or refused
    ├── Refused            5  the service refused for good
    ├── Unfinished         6  nothing lost, run the same command again
    ├── LocalFailure       8  ledger, keyring or disk failed
    └── Interrupted  130/143  stopped by a signal

A message begins small, has no full stop and says what happened; the hint says what to do next. Only the
commands (`docsend.cli`) turn these into text and exit codes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from docsend.i18n import ENGLISH, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docsend.codes import AnyCode
    from docsend.model.problem import Problem
    from docsend.model.submission import CheckedSubmission


class ExitCode(IntEnum):
    """The exit codes of every command; the texts stand in each command's help."""

    RECEIVED = 0
    BUG = 1
    USAGE = 2
    FAULTY = 3
    SIGN_IN = 4
    REFUSED = 5
    UNFINISHED = 6
    SOME_ROWS = 7
    LOCAL = 8
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_MEANINGS: dict[ExitCode, Message] = {
    ExitCode.RECEIVED: Message("received (also if it had been received before), or checked clean"),
    ExitCode.BUG: Message("a bug in docsend"),
    ExitCode.USAGE: Message("usage: the command line or the settings cannot be understood"),
    ExitCode.FAULTY: Message("faulty: the checks failed, nothing was received"),
    ExitCode.SIGN_IN: Message("sign-in needed or refused"),
    ExitCode.REFUSED: Message("refused by the service"),
    ExitCode.UNFINISHED: Message("unfinished: nothing lost, run the same command again"),
    ExitCode.SOME_ROWS: Message("batch: some rows not received"),
    ExitCode.LOCAL: Message("ledger, keyring or disk failed"),
    ExitCode.INTERRUPTED: Message("interrupted (Ctrl-C)"),
    ExitCode.TERMINATED: Message("terminated (SIGTERM)"),
}


class DocsendError(Exception):
    """The root: a message, what to do about it, and the problems found, if the message sums up several.

    `cause` is the code of what is behind it, if its class alone does not say so (see `service.failures`).
    `submission` is the one that failed, where that is a later occurrence than was asked for.
    `is_for_all` says that no other submission would fare better now; `nothing_arrived` that nothing of the
    submission can have reached the service; `may_refuse` that it is a refusal for good, if that is so.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    affects_all = False
    nothing_arrived = False
    is_lasting_refusal = False
    submission: CheckedSubmission | None = None

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
        return self.exit_code

    def as_problem(self) -> Problem:
        """Return it as a problem, under the code of its cause or of its exit code."""
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
    exit_code = ExitCode.USAGE
    is_for_all = True


class InvalidSubmission(DocsendError):
    exit_code = ExitCode.FAULTY

    @classmethod
    def from_problems(cls, problems: Iterable[Problem]) -> InvalidSubmission:
        """Give the error for what a check found."""
        problems = tuple(problems)
        errors = sum(problem.is_error for problem in problems)
        message = Message.plural("1 problem, nothing was sent", "{count} problems, nothing was sent", errors)
        return cls(message, problems=problems)

    @classmethod
    def from_manifest_problems(cls, problems: Iterable[Problem]) -> InvalidSubmission:
        """Give the error for a manifest that cannot be understood as a whole."""
        problems = tuple(problems)
        message = Message.plural(
            "the manifest: 1 problem, nothing was sent",
            "the manifest: {count} problems, nothing was sent",
            len(problems),
        )
        return cls(message, problems=problems)


class SignInRequired(DocsendError):
    exit_code = ExitCode.SIGN_IN
    is_for_all = True


class Refused(DocsendError):
    exit_code = ExitCode.REFUSED


class Unfinished(DocsendError):
    exit_code = ExitCode.UNFINISHED


class LocalError(DocsendError):
    exit_code = ExitCode.LOCAL
    is_for_all = True


class Terminated(KeyboardInterrupt):
    """SIGTERM came. It takes the way of Ctrl-C, so that the state is told before the process ends."""


class Interrupted(DocsendError):
    """A signal stopped the work: 130 for SIGINT, 143 for SIGTERM."""

    exit_code = ExitCode.INTERRUPTED

    @classmethod
    def from_signal(
        cls, stop: KeyboardInterrupt, message: Message | None = None, hint: Message | None = None
    ) -> Interrupted:
        """Give the error for what a signal raised."""
        return cls(message or Message("interrupted"), hint, terminated=isinstance(stop, Terminated))

    def __init__(self, message: Message, hint: Message | None = None, *, terminated: bool = False) -> None:
        super().__init__(message, hint)
        self.terminated = terminated

    @property
    def code(self) -> ExitCode:
        return ExitCode.TERMINATED if self.terminated else ExitCode.INTERRUPTED
