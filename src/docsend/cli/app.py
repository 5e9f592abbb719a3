"""The command line's root, and the one border where errors become words and exit codes."""

import errno
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.core

from docsend import __version__, signals
from docsend.cli.session import taking_common_options
from docsend.errors import DocsendError, ExitCode, Interrupted, LocalFailure, UsageFault

# In the order of the help. Each is a module with a `register(app)`.
COMMANDS = ("send", "login", "required", "catalog", "receipts", "sandbox")


# No fault of the program: it may meet them wherever it writes.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)


class _Bug(DocsendError):
    exit_code = ExitCode.BUG


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"docsend {__version__}")
        raise typer.Exit


_VERSION = inspect.Parameter(
    "version",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ],
)


def _root(_context: typer.Context, _common: dict[str, Any], *, version: bool) -> None:
    """Send documents to a national insurance institute's document service.

    The institute publishes no programming interface: docsend speaks a contract of its own, and `--service
    sandbox` is a whole service that keeps it. Nothing sent to the sandbox reaches the institute.
    """


class _InOrder(typer.core.TyperGroup):
    """Typer alone would list the commands with commands of their own last."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as Typer calls it
        return [name for name in COMMANDS if name in self.commands]


def build(asked: str = "") -> typer.Typer:
    """Make the command line: of the one command that is asked for, or else of all."""
    app = typer.Typer(
        cls=_InOrder,
        # Rich help would double the time that every command needs to start.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    epilog = "`docsend COMMAND --help` tells the exit codes of each command."
    app.callback(epilog=epilog)(taking_common_options(_root, [_VERSION]))
    for name in (asked,) if asked in COMMANDS else COMMANDS:
        importlib.import_module(f"docsend.cli.{name}").register(app)
    return app


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code (see `docsend.errors`); nothing is raised."""
    _let_streams_write_anything()
    try:
        with signals.raised():
            return _run(argv)
    except DocsendError as error:
        return _report(error, as_json=_asks_for_json(argv))
    except Exception as error:  # noqa: BLE001 - the last border: a bug is reported, not thrown at the user
        bug = _bug(error, with_trace="-v" in argv or "--verbose" in argv)
        return _report(bug, as_json=_asks_for_json(argv))


def _run(argv: Sequence[str]) -> int:
    if not argv:
        _call(["--help"])
        return ExitCode.USAGE
    return _call(argv)


def _call(argv: Sequence[str]) -> int:
    try:
        code = build(argv[0])(args=list(argv), prog_name="docsend", standalone_mode=False)
    except KeyboardInterrupt as stop:
        raise Interrupted.by(stop) from None
    except typer.Abort:
        raise Interrupted("interrupted") from None
    except SystemExit as stop:
        # Typer writes its help itself, and leaves this way when nobody reads it: `docsend --help | true`.
        if isinstance(stop.__context__, BrokenPipeError):
            return ExitCode.RECEIVED
        raise
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        raise LocalFailure(f"the disk failed: {error.strerror}", "look at its space and its state") from error
    except typer.TyperException as error:
        raise _usage(error) from error
    return int(code or 0)


def _report(error: DocsendError, *, as_json: bool) -> int:
    from docsend import result  # noqa: PLC0415 - only a failure pays for its report
    from docsend.console import Console  # noqa: PLC0415

    Console(as_json=as_json).failure(error, result.of_error(error))
    return int(error.code)


def _let_streams_write_anything() -> None:
    """Let stdout and stderr write any text: what their encoding lacks is written out as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _usage(error: typer.TyperException) -> UsageFault:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "docsend"
    return UsageFault(message[:1].lower() + message[1:].rstrip("."), f"`{path} --help` tells what it takes")


def _bug(error: Exception, *, with_trace: bool) -> _Bug:
    """Tell where it happened. No values and no texts of exceptions: they could be somebody's identity."""
    if with_trace:
        import traceback  # noqa: PLC0415 - only for a bug

        cause: BaseException | None = error
        while cause is not None:
            sys.stderr.write("".join(traceback.format_tb(cause.__traceback__)) + f"{type(cause).__name__}\n")
            cause = cause.__cause__ or cause.__context__
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"  # noqa: PTH119
    return _Bug(
        f"a bug in docsend {__version__}: {type(error).__name__} at {where}",
        "please report it, with what --verbose shows. Nothing is lost: the ledger knows how far it came",
    )


def _asks_for_json(argv: Sequence[str]) -> bool:
    """Tell whether --json was given, when the command line itself could not be understood."""
    before_files = list(argv)[: list(argv).index("--")] if "--" in argv else argv
    return "--json" in before_files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
