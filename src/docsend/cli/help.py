"""The help of every command in another language than English, which is the one that the code has.

Typer gets the English texts with the options; what it made of them is gone through once, before anything is
shown. `tools/locale/build.py` collects the texts the same way.
"""

import re
from collections.abc import Iterator
from typing import Any

import typer

from docsend.language import Phrase, Reader

# Lines that are no prose: an example's head and commands, an exit code with its meaning.
_HEADS = (Phrase("Example:"), Phrase("Exit codes:"))
_CODE = re.compile(r"( *[0-9]+  )(.+)")
# What Typer itself says, heads and the help of --help.
_OF_TYPER = {
    "Usage: ": Phrase("Usage:"),
    "Arguments": Phrase("Arguments"),
    "Options": Phrase("Options"),
    "Commands": Phrase("Commands"),
}
_OF_HELP = Phrase("Show this message and exit.")
_REQUIRED = Phrase("required")


def translate(command: Any, reader: Reader) -> None:
    """Put every text of a command, and of the commands below it, into the reader's language."""
    command.context_class = _context(reader)
    if command.help:
        command.help = _paragraphs(command.help, reader)
    if command.short_help:
        command.short_help = reader.text(Phrase(command.short_help))
    if command.epilog:
        command.epilog = "\n".join(_line(line, reader) for line in command.epilog.split("\n"))
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = reader.text(Phrase(parameter.help))
    for below in getattr(command, "commands", {}).values():
        translate(below, reader)


def texts(command: Any) -> Iterator[str]:
    """Give every English text that `translate` would ask for."""
    asked: list[str] = []

    class Asking(Reader):
        def text(self, text: str, **_: Any) -> str:
            asked.append(text)
            return text

    translate(command, Asking("en"))
    return iter(dict.fromkeys(asked))


def _paragraphs(text: str, reader: Reader) -> str:
    return "\n\n".join(reader.text(Phrase(" ".join(part.split()))) for part in text.split("\n\n"))


def _line(line: str, reader: Reader) -> str:
    if line in _HEADS:
        return reader.text(Phrase(line))
    if found := _CODE.fullmatch(line):
        return found[1] + reader.text(Phrase(found[2]))
    if line.startswith("`"):
        return reader.text(Phrase(line))
    return line


def _context(reader: Reader) -> type[typer.Context]:
    base: Any = typer.Context.formatter_class

    class Formatter(base):  # type: ignore[misc]  # Typer names it nowhere else
        """Writes Typer's own words in the reader's language."""

        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, prefix or reader.text(_OF_TYPER["Usage: "]) + " ")

        def section(self, name: str) -> Any:
            return super().section(reader.text(_OF_TYPER.get(name, name)))

        def write_dl(self, rows: Any, *more: Any, **options: Any) -> None:
            said = [(left, self._said(right)) for left, right in rows]
            super().write_dl(said, *more, **options)

        def _said(self, text: str) -> str:
            if text == _OF_HELP:
                return reader.text(_OF_HELP)
            return text.replace("[required]", f"[{reader.text(_REQUIRED)}]")

    class Context(typer.Context):
        formatter_class = Formatter

    return Context
