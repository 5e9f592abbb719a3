"""The command line's root, and the one border where errors become words and exit codes."""

import errno
import importlib
import inspect
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.core

from docsend import __version__, signals
from docsend.cli.session import taking_common_options
from docsend.errors import DocsendError, ExitCode, Interrupted, LocalFailure, UsageFault
from docsend.language import Language, Phrase, Reader, spoken

# In the order of the help, with what it says of each in its list. Each is a module with a `register(app)`.
COMMANDS = {
    "send": "Check documents, send them exactly once, print the receipt.",
    "login": "Sign in to the personal service; show or forget the sign-in.",
    "required": "List what the service asks for; send one of them.",
    "catalog": "Find destinations, subjects, categories, types, branches, forms.",
    "receipts": "List what was sent; show, export, resume, withdraw, merge.",
    "senders": "Keep who documents are for: add, list, remove.",
    "doctor": "Look at version, paths, service, keyring, ledger, clock, terminal.",
    "sandbox": "Run a whole service on this machine, for trying and testing.",
}


# Of each app. Rich help would double the time that every command needs to start.
_HOW: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
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


class _Root(typer.core.TyperGroup):
    """The commands in their order; each is a name with a short help until it is called or told apart."""

    reader: Reader | None = None

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as Typer calls it
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS:
            self.commands[args[0]] = _command(args[0], self.reader)
        return super().resolve_command(ctx, args)


def tree() -> Any:
    """Make the whole command line: the group that Typer makes of it, with all its commands."""
    root = _names()
    root.commands = {name: _command(name) for name in COMMANDS}
    return root


def _names(reader: Reader | None = None) -> Any:
    """Make the command line of names alone: for its help, and for options that stand before a command."""
    app = typer.Typer(cls=_Root, **_HOW)
    epilog = "`docsend COMMAND --help` tells the exit codes of each command."
    app.callback(epilog=epilog)(taking_common_options(_root, [_VERSION]))
    root: Any = typer.main.get_command(app)
    root.reader = reader
    root.commands = {
        name: typer.core.TyperCommand(name, short_help=short_help) for name, short_help in COMMANDS.items()
    }
    return _translated(root, reader)


def _command(name: str, reader: Reader | None = None) -> Any:
    """Make one command, or a group of them, without those beside it."""
    app = typer.Typer(**_HOW)
    importlib.import_module(f"docsend.cli.{name}").register(app)
    command: Any = typer.main.get_command(app)
    if command.name != name:  # Typer puts a group into another one
        command = command.commands[name]
    command.short_help = COMMANDS[name]
    command.context_settings = _HOW["context_settings"]
    return _translated(command, reader)


def _translated(root: Any, reader: Reader | None) -> Any:
    if reader is not None:
        from docsend.cli.help import translate  # noqa: PLC0415 - English does without

        translate(root, reader)
    return root


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code (see `docsend.errors`); nothing is raised."""
    _let_streams_write_anything()
    try:
        with signals.raised():
            return _run(argv)
    except DocsendError as error:
        return _report(error, argv)
    except Exception as error:  # noqa: BLE001 - the last border: a bug is reported, not thrown at the user
        bug = _bug(error, with_trace="-v" in argv or "--verbose" in argv)
        return _report(bug, argv)


def _run(argv: Sequence[str]) -> int:
    if not argv:
        _call(["--help"])
        return ExitCode.USAGE
    return _call(argv)


def _call(argv: Sequence[str]) -> int:
    try:
        language = _language(argv)
        reader = None if language == "en" else Reader(language)
        name, *words = argv
        if name in COMMANDS:  # without the root, which it has no need of
            code = _command(name, reader)(args=words, prog_name=f"docsend {name}", standalone_mode=False)
        else:
            code = _names(reader)(args=list(argv), prog_name="docsend", standalone_mode=False)
    except KeyboardInterrupt as stop:
        raise Interrupted.by(stop) from None
    except typer.Abort:
        raise Interrupted(Phrase("interrupted")) from None
    except SystemExit as stop:
        # Typer writes its help itself, and leaves this way when nobody reads it: `docsend --help | true`.
        if isinstance(stop.__context__, BrokenPipeError):
            return ExitCode.RECEIVED
        raise
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        raise LocalFailure(
            Phrase("the disk failed: {reason}", reason=error.strerror),
            Phrase("look at its space and its state"),
        ) from error
    except typer.TyperException as error:
        raise _usage(error) from error
    return int(code or 0)


def _report(error: DocsendError, argv: Sequence[str]) -> int:
    from docsend import result  # noqa: PLC0415 - only a failure pays for its report
    from docsend.console import Console  # noqa: PLC0415

    console = Console(as_json=_asks_for_json(argv), language=_language(argv))
    console.failure(error, result.of_error(error))
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
    return UsageFault(_of_typer(message), Phrase("`{path} --help` tells what it takes", path=path))


# What Typer says of a command line, and how it is said here.
_OF_TYPER = (
    (r"No such option: (?P<option>\S+)", Phrase("no such option: {option}")),
    (
        r"No such option: (?P<option>\S+) \(Possible options: (?P<close>.+)\)",
        Phrase("no such option: {option}; did you mean {close}?"),
    ),
    (
        r"No such option: (?P<option>\S+) Did you mean (?P<close>.+)\?",
        Phrase("no such option: {option}; did you mean {close}?"),
    ),
    (r"No such command '(?P<command>.*)'", Phrase("no such command: {command}")),
    (
        r"No such command '(?P<command>.*)'\. Did you mean '(?P<close>.+)'\?",
        Phrase("no such command: {command}; did you mean {close}?"),
    ),
    (r"Missing command", Phrase("missing: the command")),
    (r"Missing argument '(?P<name>.*)'", Phrase("missing: {name}")),
    (r"Missing option '(?P<name>.*)'", Phrase("missing: {name}")),
    (r"Option '(?P<option>.+)' requires (?:an|\d+) arguments?", Phrase("{option} needs a value")),
    (r"Option '(?P<option>.+)' does not take a value", Phrase("{option} takes no value")),
    (r"Got unexpected extra argument(?:s|\(s\))? \((?P<words>.*)\)", Phrase("too many words: {words}")),
    (
        r"Invalid value for '(?P<name>.+)': '(?P<value>.*)' is not a valid int(?:eger)?(?: range)?",
        Phrase("{name} takes a whole number, not {value!r}"),
    ),
    (
        r"Invalid value for '(?P<name>.+)': (?P<value>\S+) is not in the range (?P<range>.+)",
        Phrase("{name} takes a number in the range {range}, not {value}"),
    ),
)


def _of_typer(message: str) -> str:
    message = message.rstrip(".")
    for pattern, phrase in _OF_TYPER:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            named = {name: value.replace("'", "") for name, value in found.groupdict().items()}
            return phrase.about(**named)
    return message[:1].lower() + message[1:]


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
        Phrase(
            "a bug in docsend {version}: {kind} at {where}",
            version=__version__,
            kind=type(error).__name__,
            where=where,
        ),
        Phrase(
            "please report it, with what --verbose shows. Nothing is lost: the ledger knows how far it came"
        ),
    )


def _language(argv: Sequence[str]) -> Language:
    """Give the language to speak before the options are understood, and when they cannot be."""
    words = list(argv)[: list(argv).index("--")] if "--" in argv else list(argv)
    flag: str | None = None
    for place, word in enumerate(words):
        if word == "--lang":
            flag = words[place + 1] if place + 1 < len(words) else None
        elif word.startswith("--lang="):
            flag = word.removeprefix("--lang=")
    try:
        return spoken(flag, os.environ)
    except ValueError:
        return "en"


def _asks_for_json(argv: Sequence[str]) -> bool:
    """Tell whether --json was given, when the command line itself could not be understood."""
    before_files = list(argv)[: list(argv).index("--")] if "--" in argv else argv
    return "--json" in before_files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
