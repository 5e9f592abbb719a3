"""Translates the commands' help.

The code contains the English texts. This module replaces them in the finished Typer commands before any help
is shown. `tools/locale/build.py` calls `collect_texts` for the texts to translate.
"""

import re
from collections.abc import Iterator
from typing import Any

import typer

from docsend.i18n import Data, Displayable, Message, Translator

# Lines of an epilog that are not prose: headings, and an exit code with its meaning.
_HEADINGS = {"Example:": Message("Example:"), "Exit codes:": Message("Exit codes:")}
_EXIT_CODE_LINE = re.compile(r"( *[0-9]+  )(.+)")
# Texts that Typer supplies: headings, and the help of --help.
_TYPER_HEADINGS = {
    "Usage: ": Message("Usage:"),
    "Arguments": Message("Arguments"),
    "Options": Message("Options"),
    "Commands": Message("Commands"),
}
_HELP_OPTION = Message("Show this message and exit.")
_REQUIRED = Message("required")


def translate(command: Any, translator: Translator) -> None:
    """Translate all help texts of a command and its subcommands in place."""
    command.context_class = _context_class(translator)
    if command.help:
        command.help = _translate_paragraphs(command.help, translator)
    if command.short_help:
        command.short_help = translator.render(Message(command.short_help))
    if command.epilog:
        command.epilog = "\n".join(_translate_line(line, translator) for line in command.epilog.split("\n"))
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = translator.render(Message(parameter.help))
    for subcommand in getattr(command, "commands", {}).values():
        translate(subcommand, translator)


def collect_texts(command: Any) -> Iterator[str]:
    """Return the English texts that `translate` would look up, each once."""
    templates: list[str] = []

    class Recorder(Translator):
        def render(self, text: Displayable, **_: Any) -> str:
            english = text.template if isinstance(text, Message) else str(text)
            templates.append(english)
            return english

    translate(command, Recorder("en"))
    return iter(dict.fromkeys(templates))


def _translate_paragraphs(text: str, translator: Translator) -> str:
    return "\n\n".join(translator.render(Message(" ".join(part.split()))) for part in text.split("\n\n"))


def _translate_line(line: str, translator: Translator) -> str:
    if line in _HEADINGS:
        return translator.render(_HEADINGS[line])
    if match := _EXIT_CODE_LINE.fullmatch(line):
        return match[1] + translator.render(Message(match[2]))
    if line.startswith("`"):
        return translator.render(Message(line))
    return line


def _context_class(translator: Translator) -> type[typer.Context]:
    base: Any = typer.Context.formatter_class

    class Formatter(base):  # type: ignore[misc]  # Typer exports no name for it
        """A help formatter that translates Typer's own texts."""

        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, prefix or translator.render(_TYPER_HEADINGS["Usage: "]) + " ")

        def section(self, name: str) -> Any:
            return super().section(translator.render(_TYPER_HEADINGS.get(name, Data(name))))

        def write_dl(self, rows: Any, *more: Any, **options: Any) -> None:
            translated = [(left, self._translate_cell(right)) for left, right in rows]
            super().write_dl(translated, *more, **options)

        def _translate_cell(self, text: str) -> str:
            if text == _HELP_OPTION.template:
                return translator.render(_HELP_OPTION)
            return text.replace("[required]", f"[{translator.render(_REQUIRED)}]")

    class Context(typer.Context):
        formatter_class = Formatter

    return Context
