"""The help of every command in another language than English, which is the one that the code has.

Typer gets the English texts with the options; what it made of them is gone through once, before anything is
shown. `tools/locale/build.py` collects the texts the same way.
"""

import re
from collections.abc import Iterator
from typing import Any

import typer

from docsend.i18n import Data, Displayable, Message, Translator

# Lines that are no prose: an example's head and commands, an exit code with its meaning.
_HEADS = {"Example:": Message("Example:"), "Exit codes:": Message("Exit codes:")}
_CODE = re.compile(r"( *[0-9]+  )(.+)")
# What Typer itself says, heads and the help of --help.
_OF_TYPER = {
    "Usage: ": Message("Usage:"),
    "Arguments": Message("Arguments"),
    "Options": Message("Options"),
    "Commands": Message("Commands"),
}
_OF_HELP = Message("Show this message and exit.")
_REQUIRED = Message("required")


def translate(command: Any, translator: Translator) -> None:
    """Put every text of a command, and of the commands below it, into the reader's language."""
    command.context_class = _context(translator)
    if command.help:
        command.help = _paragraphs(command.help, translator)
    if command.short_help:
        command.short_help = translator.render(Message(command.short_help))
    if command.epilog:
        command.epilog = "\n".join(_line(line, translator) for line in command.epilog.split("\n"))
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = translator.render(Message(parameter.help))
    for below in getattr(command, "commands", {}).values():
        translate(below, translator)


def collect_texts(command: Any) -> Iterator[str]:
    """Give every English text that `translate` would ask for."""
    asked: list[str] = []

    class Asking(Translator):
        def render(self, text: Displayable, **_: Any) -> str:
            english = text.template if isinstance(text, Message) else str(text)
            asked.append(english)
            return english

    translate(command, Asking("en"))
    return iter(dict.fromkeys(asked))


def _paragraphs(text: str, translator: Translator) -> str:
    return "\n\n".join(translator.render(Message(" ".join(part.split()))) for part in text.split("\n\n"))


def _line(line: str, translator: Translator) -> str:
    if line in _HEADS:
        return translator.render(_HEADS[line])
    if found := _CODE.fullmatch(line):
        return found[1] + translator.render(Message(found[2]))
    if line.startswith("`"):
        return translator.render(Message(line))
    return line


def _context(translator: Translator) -> type[typer.Context]:
    base: Any = typer.Context.formatter_class

    class Formatter(base):  # type: ignore[misc]  # Typer names it nowhere else
        """Writes Typer's own words in the reader's language."""

        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, prefix or translator.render(_OF_TYPER["Usage: "]) + " ")

        def section(self, name: str) -> Any:
            return super().section(translator.render(_OF_TYPER.get(name, Data(name))))

        def write_dl(self, rows: Any, *more: Any, **options: Any) -> None:
            said = [(left, self._said(right)) for left, right in rows]
            super().write_dl(said, *more, **options)

        def _said(self, text: str) -> str:
            if text == _OF_HELP.template:
                return translator.render(_OF_HELP)
            return text.replace("[required]", f"[{translator.render(_REQUIRED)}]")

    class Context(typer.Context):
        formatter_class = Formatter

    return Context
