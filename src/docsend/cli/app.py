"""The command line's root: its commands, and the one border that no error passes."""

import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.core

from docsend import __version__, signals
from docsend.cli.options import Group, usage_error, with_common_options
from docsend.errors import ExitCode
from docsend.i18n import Language, Message, Translator, choose_language

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
_WRITTEN_BY_TYPER = frozenset({"-h", "--help", "--version"})


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


def _root(context: typer.Context, _common: dict[str, Any], *, version: bool) -> None:  # noqa: ARG001 - Typer prints it
    """Send documents to a national insurance institute's document service.

    The institute publishes no programming interface: docsend speaks a contract of its own, and `--service
    sandbox` is a whole service that keeps it. Nothing sent to the sandbox reaches the institute.
    """
    if context.invoked_subcommand is None:
        raise usage_error(Message("missing: the command"), context.command_path)


class _Root(Group):
    """The commands in their order; each is a name with a short help until it is called or told apart."""

    translator: Translator | None = None

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as Typer calls it
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS:
            self.commands[args[0]] = _command(args[0], self.translator)
        return super().resolve_command(ctx, args)


def build_command_tree() -> Any:
    """Make the whole command line: the group that Typer makes of it, with all its commands."""
    root = _names()
    root.commands = {name: _command(name) for name in COMMANDS}
    return root


def _names(translator: Translator | None = None) -> Any:
    """Make the command line of names alone: for its help, and for options that stand before a command."""
    app = typer.Typer(cls=_Root, **_HOW)
    epilog = "`docsend COMMAND --help` tells the exit codes of each command."
    app.callback(epilog=epilog, invoke_without_command=True)(with_common_options(_root, [_VERSION]))
    root: Any = typer.main.get_command(app)
    root.translator = translator
    root.commands = {
        name: typer.core.TyperCommand(name, short_help=short_help) for name, short_help in COMMANDS.items()
    }
    return _translated(root, translator)


def _command(name: str, translator: Translator | None = None) -> Any:
    """Make one command, or a group of them, without those beside it."""
    app = typer.Typer(**_HOW)
    importlib.import_module(f"docsend.cli.{name}").register(app)
    command: Any = typer.main.get_command(app)
    if command.name != name:  # Typer puts a group into another one
        command = command.commands[name]
    command.short_help = COMMANDS[name]
    command.context_settings = _HOW["context_settings"]
    return _translated(command, translator)


def _translated(root: Any, translator: Translator | None) -> Any:
    if translator is not None:
        from docsend.cli.help import translate

        translate(root, translator)
    return root


def main(argv: Sequence[str], pending_signals: list[int] | None = None) -> int:
    """Run one command line and return its exit code (see `docsend.errors`); nothing is raised.

    `noted` are signals that came before, as in `signals.raised`.
    """
    _let_streams_write_anything()
    language = _language(argv)
    try:
        with signals.interrupt_on_signal(pending_signals):
            if argv:
                return _run(argv, language)
            _run(["--help"], language)
            return ExitCode.USAGE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - also a bug is told, not thrown at the user
        from docsend.cli import errors

        return errors.report(error, argv, language)


def _run(argv: Sequence[str], language: Language) -> int:
    translator = None if language == "en" else Translator(language)
    name, *words = argv
    if name in COMMANDS:  # which has no need of the root
        command, path = _command(name, translator), f"docsend {name}"
    else:
        command, path, words = _names(translator), "docsend", list(argv)
    try:
        # Typer's own main would forget which signal came, and take any broken pipe for a reader who has left.
        with command.make_context(path, words) as context:
            command.invoke(context)
    except typer.Exit as end:
        return int(end.exit_code)
    except BrokenPipeError:
        # Help is what Typer writes itself; whatever else is written goes through `ui.terminal`.
        if _WRITTEN_BY_TYPER.isdisjoint(argv):
            raise
    return ExitCode.RECEIVED


def _let_streams_write_anything() -> None:
    """Let stdout and stderr write any text: what their encoding lacks is written out as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


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
        return choose_language(flag, os.environ)
    except ValueError:
        return "en"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
