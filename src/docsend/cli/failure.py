"""How a run that failed tells of it: Typer's findings in docsend's words, a bug without anybody's data."""

import errno
import os
import re
import sys
from collections.abc import Sequence

import typer

from docsend import __version__, result
from docsend.console import Console
from docsend.errors import DocsendError, ExitCode, Interrupted, LocalFailure, UsageFault
from docsend.i18n import Language, Message

# No fault of the program: it may meet them wherever it writes.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)


class _Bug(DocsendError):
    exit_code = ExitCode.BUG


def told(error: Exception | KeyboardInterrupt, argv: Sequence[str], language: Language) -> int:
    """Tell what ended a run, in JSON if it was asked for, and return its exit code."""
    understood = _understood(error, is_verbose="-v" in argv or "--verbose" in argv)
    console = Console(as_json=_asks_for_json(argv), language=language)
    console.failure(understood, result.of_error(understood))
    return int(understood.code)


def _understood(error: Exception | KeyboardInterrupt, *, is_verbose: bool) -> DocsendError:
    if isinstance(error, DocsendError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted.by(error)
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        return LocalFailure(
            Message("the disk failed: {reason}", reason=error.strerror),
            Message("look at its space and its state"),
        )
    return _bug(error, with_trace=is_verbose)


def _usage(error: typer.TyperException) -> UsageFault:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "docsend"
    return UsageFault(_of_typer(message), Message("`{path} --help` tells what it takes", path=path))


# What Typer says of a command line, and how it is said here.
_OF_TYPER = (
    (r"No such option: (?P<option>\S+)", Message("no such option: {option}")),
    (
        r"No such option: (?P<option>\S+) \(Possible options: (?P<close>.+)\)",
        Message("no such option: {option}; did you mean {close}?"),
    ),
    (
        r"No such option: (?P<option>\S+) Did you mean (?P<close>.+)\?",
        Message("no such option: {option}; did you mean {close}?"),
    ),
    (r"No such command '(?P<command>.*)'", Message("no such command: {command}")),
    (
        r"No such command '(?P<command>.*)'\. Did you mean '(?P<close>.+)'\?",
        Message("no such command: {command}; did you mean {close}?"),
    ),
    (r"Missing command", Message("missing: the command")),
    (r"Missing argument '(?P<name>.*)'", Message("missing: {name}")),
    (r"Missing option '(?P<name>.*)'", Message("missing: {name}")),
    (r"Option '(?P<option>.+)' requires (?:an|\d+) arguments?", Message("{option} needs a value")),
    (r"Option '(?P<option>.+)' does not take a value", Message("{option} takes no value")),
    (r"Got unexpected extra argument(?:s|\(s\))? \((?P<words>.*)\)", Message("too many words: {words}")),
    (
        r"Invalid value for '(?P<name>.+)': '(?P<value>.*)' is not a valid int(?:eger)?(?: range)?",
        Message("{name} takes a whole number, not {value!r}"),
    ),
    (
        r"Invalid value for '(?P<name>.+)': (?P<value>\S+) is not in the range (?P<range>.+)",
        Message("{name} takes a number in the range {range}, not {value}"),
    ),
)


def _of_typer(message: str) -> Message:
    message = message.rstrip(".")
    for pattern, phrase in _OF_TYPER:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            named = {name: value.replace("'", "") for name, value in found.groupdict().items()}
            return phrase.with_values(**named)
    return Message.verbatim(message[:1].lower() + message[1:])


def _bug(error: Exception, *, with_trace: bool) -> _Bug:
    """Tell where it happened. No values and no texts of exceptions: they could be somebody's identity."""
    if with_trace:
        import traceback

        cause: BaseException | None = error
        while cause is not None:
            sys.stderr.write("".join(traceback.format_tb(cause.__traceback__)) + f"{type(cause).__name__}\n")
            cause = cause.__cause__ or cause.__context__
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"  # noqa: PTH119
    return _Bug(
        Message(
            "a bug in docsend {version}: {kind} at {where}",
            version=__version__,
            kind=type(error).__name__,
            where=where,
        ),
        Message(
            "please report it, with what --verbose shows. Nothing is lost: the ledger knows how far it came"
        ),
    )


def _asks_for_json(argv: Sequence[str]) -> bool:
    """Tell whether --json was given, when the command line itself could not be understood."""
    before_files = list(argv)[: list(argv).index("--")] if "--" in argv else argv
    return "--json" in before_files
