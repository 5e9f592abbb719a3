"""Report of a failed run. It goes to stderr, so that it is seen even if stdout cannot be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docsend.errors import DocsendError
    from docsend.model.problem import Problem
    from docsend.ui.terminal import Streams


def say_failure(streams: Streams, error: DocsendError, problems: Iterable[Problem]) -> None:
    """Print an error, with its hint unless it has problems.

    Then print its cause (with --verbose), its problems if any, and the warnings.
    """
    streams.say_error(error.message, None if error.problems else error.hint)
    if error.cause is not None:
        streams.say_detail(Message("cause: {code}", code=error.cause))
    streams.say_problems(problem for problem in problems if error.problems or not problem.is_error)
