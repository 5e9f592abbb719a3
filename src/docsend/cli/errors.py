"""Reports the error that ended a run.

Typer's errors become docsend's own messages. The report of a bug contains no values, because they could be
personal data.
"""

import errno
import os
import sys
from collections.abc import Sequence

import typer
import typer.core
from typer._click.exceptions import BadOptionUsage, BadParameter, MissingParameter, NoSuchOption
from typer._click.types import IntRange

from docsend import __version__, signals
from docsend.cli.options import usage_error
from docsend.errors import DocsendError, ExitCode, Interrupted, LocalError, UsageError
from docsend.i18n import Language, Message
from docsend.storage import files
from docsend.ui import send_result
from docsend.ui.outputs import output_for
from docsend.ui.terminal import Streams

# Disk errors that any write can raise. They are not bugs in docsend.
_DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)


class _Bug(DocsendError):
    exit_code = ExitCode.BUG


def report(
    error: Exception | KeyboardInterrupt, argv: Sequence[str], language: Language, received_signals: list[int]
) -> int:
    """Report the error that ended a run, also as JSON if --json was given, and return the exit code.

    If signals were received, an error that only a bug could explain is taken for the exception of the first
    one: code that was interrupted may have replaced it, as Python 3.11 does while a class is created.
    """
    if isinstance(error, KeyboardInterrupt):
        docsend_error: DocsendError = Interrupted.from_signal(error)
    elif (known := _as_docsend_error(error)) is not None:
        docsend_error = known
    elif received_signals:
        docsend_error = Interrupted.from_signal(signals.exception_for(received_signals[0]))
    else:
        docsend_error = _report_bug(error, with_trace="-v" in argv or "--verbose" in argv)
    output = output_for(Streams(language=language), as_json=_wants_json(argv))
    output.fail(docsend_error, send_result.from_error(docsend_error))
    return int(docsend_error.code)


def _as_docsend_error(error: Exception) -> DocsendError | None:
    """Return what an error means, or None if only a bug could explain it."""
    if isinstance(error, DocsendError):
        return error
    if isinstance(error, typer.TyperException):
        return _from_typer_exception(error)
    if isinstance(error, OSError) and error.errno in _DISK_ERRNOS:
        return LocalError(
            Message("disk error: {reason}", reason=files.reason(error)),
            Message("check the disk's free space and condition"),
        )
    if isinstance(error, MemoryError):
        return LocalError(
            Message("out of memory"),
            Message("close other programs, or raise the memory limit (ulimit -v)"),
        )
    return None


def _from_typer_exception(error: typer.TyperException) -> UsageError:
    if isinstance(error, NoSuchOption) and error.option_name == "--again":
        return UsageError(
            Message("--again is no longer an option, because it could not be repeated safely"),
            Message(
                "give --occurrence 2 to send the same content a second time, or --anyway to send what "
                "resembles an earlier submission"
            ),
        )
    context = getattr(error, "ctx", None)
    return usage_error(_message_from_typer(error), context.command_path if context else "docsend")


def _message_from_typer(error: typer.TyperException) -> Message:
    """Return docsend's message for an error that Typer found on the command line."""
    match error:
        case NoSuchOption(option_name=option):
            if error.possibilities:
                close = ", ".join(error.possibilities)
                return Message("no such option: {option}; did you mean {close}?", option=option, close=close)
            return Message("no such option: {option}", option=option)
        case MissingParameter():
            return Message("missing: {name}", name=_parameter_name(error))
        case BadOptionUsage(option_name=option):
            message = (
                Message("{option} takes no value")
                if _is_flag(error)
                else Message("{option} requires a value")
            )
            return message.with_values(option=option)
        case BadParameter(param=typer.core.TyperOption(type=IntRange(min=least, max=most))):
            message = Message("{name} must be a whole number from {least} to {most}")
            if most is None:
                message = Message("{name} must be a whole number, {least} or more")
            return message.with_values(name=_parameter_name(error), least=least, most=most)
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return Message.verbatim(text[:1].lower() + text[1:].rstrip("."))


def _parameter_name(error: BadParameter) -> str:
    return error.param.get_error_hint(error.ctx).replace("'", "") if error.param and error.ctx else "?"


def _is_flag(error: BadOptionUsage) -> bool:
    parameters = error.ctx.command.params if error.ctx else ()
    return any(
        error.option_name in parameter.opts and getattr(parameter, "is_flag", False)
        for parameter in parameters
    )


def _report_bug(error: Exception, *, with_trace: bool) -> _Bug:
    """Return an error that locates a bug. If `with_trace` is true, also write the traceback to stderr.

    Neither contains values or exception messages, because they could identify a person.
    """
    if with_trace:
        import traceback

        cause: BaseException | None = error
        while cause is not None:
            sys.stderr.write("".join(traceback.format_tb(cause.__traceback__)) + f"{type(cause).__name__}\n")
            cause = cause.__cause__ or cause.__context__
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
    return _Bug(
        Message(
            "a bug in docsend {version}: {kind} at {where}",
            version=__version__,
            kind=type(error).__name__,
            where=where,
        ),
        Message(
            "please report it with the output of --verbose; nothing is lost: the ledger records all progress"
        ),
    )


def _wants_json(argv: Sequence[str]) -> bool:
    """Return whether --json was given, even if the command line could not be parsed."""
    before_files = list(argv)[: list(argv).index("--")] if "--" in argv else argv
    return "--json" in before_files
