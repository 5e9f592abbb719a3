"""Report of a failed run. It goes to stderr, so that people see it even if stdout cannot be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docsend.errors import DocsendError
    from docsend.model.problem import Problem
    from docsend.ui.terminal import Streams


def say_failure(streams: Streams, error: DocsendError, problems: Iterable[Problem]) -> None:
    """Print an error with its hint, or without it if each of the error's problems has its own hint.

    Then print the error's cause (with --verbose), the error's problems, if any, and the warnings.
    """
    streams.say_error(error.message, None if error.problems else error.hint)
    if error.cause is not None:
        streams.say_detail(Message("cause: {code}", code=error.cause))
    streams.say_problems(problem for problem in problems if error.problems or not problem.is_error)
