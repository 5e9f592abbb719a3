"""The root of the command line.

This module lists the commands. `main` turns every exception into a message and an exit code.
"""

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

# Command names with their short help, in the order in which the help lists them. For each command,
# `docsend.cli` has a module of that name with a function `register(app)`.
COMMANDS = {
    "send": "Check documents, send them exactly once, print the receipt.",
    "login": "Sign in to the personal service, show the sign-in, or sign out.",
    "required": "List required documents, or send one of them.",
    "catalog": "Search destinations, subjects, categories, types, branches, forms.",
    "receipts": "List submissions; show, export, resume, withdraw, merge.",
    "senders": "Store the people and employers you send for.",
    "doctor": "Check version, paths, service, keyring, ledger, clock, terminal.",
    "sandbox": "Run a complete service on this machine, for testing.",
}
# Options of every Typer app. Rich help would double the start-up time of every command.
_APP_OPTIONS: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
_TYPER_OUTPUT_OPTIONS = frozenset({"-h", "--help", "--version"})


def _print_version(value: bool) -> None:
    if value:
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

    The institute publishes no programming interface, so docsend defines its own service contract.
    `--service sandbox` runs a complete service that implements it. Nothing sent to the sandbox reaches the
    institute.
    """
    if context.invoked_subcommand is None:
        raise usage_error(Message("missing command"), context.command_path)


class _Root(Group):
    """Root group that lists commands in order. A command is a stub with a short help until it is called."""

    translator: Translator | None = None

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer's signature
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS:
            self.commands[args[0]] = _load_command(args[0], self.translator)
        return super().resolve_command(ctx, args)


def build_command_tree() -> Any:
    """Return the Typer group of the complete command line, with all its commands loaded."""
    root = _make_root()
    root.commands = {name: _load_command(name) for name in COMMANDS}
    return root


def _make_root(translator: Translator | None = None) -> Any:
    """Return the root group with stubs of the commands.

    It is needed for the help of `docsend` itself, and for options before a command.
    """
    app = typer.Typer(cls=_Root, **_APP_OPTIONS)
    epilog = "`docsend COMMAND --help` lists the exit codes of each command."
    app.callback(epilog=epilog, invoke_without_command=True)(with_common_options(_root, [_VERSION]))
    root: Any = typer.main.get_command(app)
    root.translator = translator
    root.commands = {
        name: typer.core.TyperCommand(name, short_help=short_help) for name, short_help in COMMANDS.items()
    }
    return _translate(root, translator)


def _load_command(name: str, translator: Translator | None = None) -> Any:
    """Load one command, or one group of commands, without importing the others."""
    app = typer.Typer(**_APP_OPTIONS)
    importlib.import_module(f"docsend.cli.{name}").register(app)
    command: Any = typer.main.get_command(app)
    if command.name != name:  # Typer wraps a group in another group.
        command = command.commands[name]
    command.short_help = COMMANDS[name]
    command.context_settings = _APP_OPTIONS["context_settings"]
    return _translate(command, translator)


def _translate(root: Any, translator: Translator | None) -> Any:
    if translator is not None:
        from docsend.cli.help import translate

        translate(root, translator)
    return root


def main(argv: Sequence[str], pending_signals: list[int] | None = None) -> int:
    """Run one command line and return its exit code (see `docsend.errors`). Never raise.

    `pending_signals` lists the signals received so far, as in `signals.interrupt_on_signal`.
    """
    _escape_unencodable_output()
    language = _language_from_argv(argv)
    received_signals = [] if pending_signals is None else pending_signals
    try:
        with signals.interrupt_on_signal(received_signals):
            if argv:
                return _run(argv, language)
            _run(["--help"], language)
            return ExitCode.USAGE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a bug is reported without a traceback
        from docsend.cli import errors

        return errors.report(error, argv, language, received_signals)


def _run(argv: Sequence[str], language: Language) -> int:
    translator = None if language == "en" else Translator(language)
    name, *words = argv
    if name in COMMANDS:  # The root group is not needed.
        command, path = _load_command(name, translator), f"docsend {name}"
    else:
        command, path, words = _make_root(translator), "docsend", list(argv)
    try:
        # Typer's own main would not report which signal was received, and would assume at every broken pipe
        # that the reader of standard output has gone.
        with command.make_context(path, words) as context:
            command.invoke(context)
    except typer.Exit as exit_:
        return int(exit_.exit_code)
    except BrokenPipeError:
        # Typer writes only the help and the version itself; all other output goes through `ui.terminal`.
        if _TYPER_OUTPUT_OPTIONS.isdisjoint(argv):
            raise
    return ExitCode.RECEIVED


def _escape_unencodable_output() -> None:
    """Make stdout and stderr replace characters that they cannot encode with backslash escapes."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _language_from_argv(argv: Sequence[str]) -> Language:
    """Return the language for messages, even if the options cannot be parsed."""
    words = list(argv)[: list(argv).index("--")] if "--" in argv else list(argv)
    flag: str | None = None
    for index, word in enumerate(words):
        if word == "--lang":
            flag = words[index + 1] if index + 1 < len(words) else None
        elif word.startswith("--lang="):
            flag = word.removeprefix("--lang=")
    try:
        return choose_language(flag, os.environ)
    except ValueError:
        return "en"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
