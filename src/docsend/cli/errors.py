"""How a run that failed tells of it: Typer's findings in docsend's words, a bug without anybody's data."""

import errno
import os
import sys
from collections.abc import Sequence

import typer
import typer.core
from typer._click.exceptions import BadOptionUsage, BadParameter, MissingParameter, NoSuchOption
from typer._click.types import IntRange

from docsend import __version__
from docsend.cli.options import usage_error
from docsend.errors import DocsendError, ExitCode, Interrupted, LocalError, UsageError
from docsend.i18n import Language, Message
from docsend.storage import files
from docsend.ui import send_result
from docsend.ui.outputs import output_for
from docsend.ui.terminal import Streams

# No fault of the program: it may meet them wherever it writes.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)


class _Bug(DocsendError):
    exit_code = ExitCode.BUG


def report(error: Exception | KeyboardInterrupt, argv: Sequence[str], language: Language) -> int:
    """Tell what ended a run, in JSON if it was asked for, and return its exit code."""
    understood = _as_docsend_error(error, is_verbose="-v" in argv or "--verbose" in argv)
    output = output_for(Streams(language=language), as_json=_asks_for_json(argv))
    output.fail(understood, send_result.from_error(understood))
    return int(understood.code)


def _as_docsend_error(error: Exception | KeyboardInterrupt, *, is_verbose: bool) -> DocsendError:
    if isinstance(error, DocsendError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted.from_signal(error)
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        return LocalError(
            Message("the disk failed: {reason}", reason=files.reason(error)),
            Message("look at its space and its state"),
        )
    if isinstance(error, MemoryError):
        return LocalError(
            Message("this machine has no memory left"),
            Message("end other programs, or raise the limit on memory (ulimit -v)"),
        )
    return _bug(error, with_trace=is_verbose)


def _usage(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    return usage_error(_from_typer(error), context.command_path if context else "docsend")


def _from_typer(error: typer.TyperException) -> Message:
    """Say in docsend's words what Typer found wrong with a command line."""
    match error:
        case NoSuchOption(option_name=option):
            if error.possibilities:
                close = ", ".join(error.possibilities)
                return Message("no such option: {option}; did you mean {close}?", option=option, close=close)
            return Message("no such option: {option}", option=option)
        case MissingParameter():
            return Message("missing: {name}", name=_name_of(error))
        case BadOptionUsage(option_name=option):
            said = (
                Message("{option} takes no value") if _is_flag(error) else Message("{option} needs a value")
            )
            return said.replace_values(option=option)
        case BadParameter(param=typer.core.TyperOption(type=IntRange(min=least, max=most))):
            said = Message("{name} takes a whole number, from {least} to {most}")
            if most is None:
                said = Message("{name} takes a whole number, from {least} on")
            return said.replace_values(name=_name_of(error), least=least, most=most)
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    return Message.verbatim(message[:1].lower() + message[1:].rstrip("."))


def _name_of(error: BadParameter) -> str:
    return error.param.get_error_hint(error.ctx).replace("'", "") if error.param and error.ctx else "?"


def _is_flag(error: BadOptionUsage) -> bool:
    parameters = error.ctx.command.params if error.ctx else ()
    return any(error.option_name in each.opts and getattr(each, "is_flag", False) for each in parameters)


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
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
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
