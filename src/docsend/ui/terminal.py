"""The two streams: how a text, a table, a card or JSON gets onto stdout, and talk onto stderr.

Rules:
- every string that was made elsewhere is escaped before a terminal or a log sees it (invariant 7);
- pictures (panels, bars, colours) only on a terminal that can draw them, judged for each stream by itself;
  everywhere else plain lines, which a script or a log can keep;
- `--quiet` leaves errors and the result;
- a stream that is closed, or cannot write a letter, never stops the work.

`drawing` and `bars` alone use rich.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from typing import IO, TYPE_CHECKING

from docsend.errors import LocalError
from docsend.i18n import Message, Translator
from docsend.model.notices import NOT_APPROVED
from docsend.storage import files
from docsend.text import escape_for_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from docsend.config.settings import Settings
    from docsend.i18n import Displayable, Language
    from docsend.model.problem import Problem

# Columns of a terminal.
_WIDE_TERMINAL = 80
_UNBROKEN_COLUMNS = ("code", "key", "state", "receipt", "time", "due")
# The heads of tables, by the names that the code has for them.
_COLUMN_TITLES = {
    "document": Message("document"),
    "format": Message("format"),
    "bytes": Message("bytes"),
    "sha256": Message("sha256"),
    "verdict": Message("verdict"),
    "key": Message("key"),
    "state": Message("state"),
    "receipt": Message("receipt"),
    "time": Message("time"),
    "about": Message("about"),
    "reference": Message("reference"),
    "service": Message("service"),
    "kind": Message("kind"),
    "code": Message("code"),
    "label": Message("label"),
    "belongs to": Message("belongs to"),
    "id": Message("id"),
    "subject": Message("subject"),
    "title": Message("title"),
    "due": Message("due"),
    "sender": Message("sender"),
    "number": Message("number"),
}
SEVERITY_NAMES = {"error": Message("error"), "warning": Message("warning")}


class Streams:
    """The two streams, and what this run may put on them."""

    def __init__(self, settings: Settings | None = None, *, language: Language = "en") -> None:
        """Make those of a run; without settings, of one that failed before it had any."""
        self.is_quiet = settings.quiet if settings else False
        self.is_verbose = settings.verbose if settings else False
        self.translator = Translator(settings.language if settings else language)
        self._printed: set[Message] = set()
        self._is_dumb = settings.has_dumb_terminal if settings else True

    def say(self, message: Message) -> None:
        """Tell something that is good to know and may be missed."""
        if not self.is_quiet:
            self.say_always(message)

    def say_once(self, message: Message) -> None:
        """Tell it the first time only."""
        if message not in self._printed:
            self._printed.add(message)
            self.say(message)

    def say_command(self, heading: Message, command: str) -> None:
        """Tell a command to be copied: in one line, however narrow the terminal is."""
        if not self.is_quiet:
            self.say_always(heading)
            _write(sys.stderr, f"  {escape_for_terminal(command)}\n")

    def say_detail(self, message: Message) -> None:
        """Tell what only `--verbose` wants to know."""
        if self.is_verbose:
            self.say_always(message, indent=2)

    def say_error(self, message: Message, hint: Message | None = None) -> None:
        self.say_always(Message("docsend: {message}", message=message))
        if hint:
            self.say_always(hint, indent=2)

    def say_problems(self, problems: Iterable[Problem]) -> None:
        """Tell what was found, each with its code and its cure; with `--quiet` errors only."""
        for problem in problems:
            if problem.is_error or not self.is_quiet:
                self.say_always(_problem_line(problem), indent=2)
                if problem.hint:
                    self.say_always(problem.hint, indent=4)

    def render(self, value: Displayable) -> str:
        """Give a text as it is shown on stderr: safe, and in the reader's language."""
        return self.translator.render(
            value, escape=escape_for_terminal, isolate=self.is_interactive(sys.stderr)
        )

    def print_table(self, columns: Sequence[str], rows: Sequence[Sequence[Displayable]]) -> None:
        """Show rows under their heads; on a terminal as wide as it is, elsewhere in plain columns."""
        titles = [self.render_result(_COLUMN_TITLES[head]) for head in columns]
        cells = [[self.render_result(cell) for cell in row] for row in rows]
        if not self.is_interactive(sys.stdout):
            widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
            for row in [titles, *cells]:
                padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                self.write("  ".join(padded).rstrip() + "\n")
            return
        # What is meant to be copied stays in one piece where there is room for it.
        is_wide = shutil.get_terminal_size().columns >= _WIDE_TERMINAL
        unbroken = [is_wide and head in _UNBROKEN_COLUMNS for head in columns]
        from docsend.ui import drawing

        self.write(drawing.table(titles, cells, unbroken))

    def print_card(
        self,
        heading: Displayable,
        rows: Sequence[tuple[Displayable, Displayable]],
        *,
        footnote: Message | None = NOT_APPROVED,
    ) -> None:
        """Show one thing with its properties: a panel on a terminal, an indented list elsewhere."""
        rendered = [(self.render_result(label), self.render_result(value)) for label, value in rows]
        if not self.is_interactive(sys.stdout):
            width = max(len(label) for label, _ in rendered)
            self.print_line(heading)
            for label, value in rendered:
                self.write(f"  {label.ljust(width)}  {value}\n")
            if footnote:
                self.say(footnote)
            return
        note = self.render_result(footnote) if footnote else None
        from docsend.ui import drawing

        self.write(drawing.card(self.render_result(heading), rendered, note))

    def render_result(self, value: Displayable) -> str:
        """Give a text for stdout: safe, and in the reader's language."""
        return self.translator.render(
            value, escape=escape_for_terminal, isolate=self.is_interactive(sys.stdout)
        )

    def print_line(self, value: Displayable) -> None:
        """Put one line of a result on stdout."""
        self.write(self.render_result(value) + "\n")

    @staticmethod
    def write(text: str | bytes, *, encoding: str | None = None) -> None:
        """Put a part of the result on stdout; raise LocalFailure if the disk does not take it.

        With an encoding, those very bytes: what is redirected into a file is not for the terminal's encoding.
        """
        if (failure := _write(sys.stdout, text, encoding)) is not None:
            raise LocalError(
                Message("the result cannot be written: {reason}", reason=files.reason(failure)),
                Message("check where the output is redirected"),
            )

    def say_always(self, message: Message, *, indent: int = 0) -> None:
        self.say_rendered(self.render(message), indent=indent)

    def say_rendered(self, text: str, *, indent: int = 0) -> None:
        """Put a rendered line on stderr, broken between words if a terminal is too narrow for it."""
        lines = [text]
        if self.is_interactive(sys.stderr):
            width = max(shutil.get_terminal_size().columns - indent, 20)
            lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
        for line in lines:
            _write(sys.stderr, f"{' ' * indent}{line}\n")

    def is_interactive(self, stream: IO[str] | None) -> bool:
        """Tell whether a stream is a terminal that can draw."""
        return stream is not None and not self._is_dumb and stream.isatty()


def _problem_line(problem: Problem) -> Message:
    """One line for one finding: what, and its code."""
    if problem.row is None:
        template = Message("{severity}: {message} [{code}]")
    else:
        template = Message("{severity}: row {row}: {message} [{code}]")
    return template.replace_values(
        severity=SEVERITY_NAMES[problem.severity], row=problem.row, message=problem.message, code=problem.code
    )


def _write(stream: IO[str] | None, text: str | bytes, encoding: str | None = None) -> OSError | None:
    """Write, whatever the stream is: closed (`>&-`), gone (`| head`) or of an old encoding.

    Nobody reads a broken pipe any more: the work goes on, and its exit code still tells how it ended. Any
    other failure is given back.
    """
    if stream is None:
        return None
    try:
        if isinstance(text, str) and encoding is not None:
            text = text.encode(encoding, "backslashreplace")
        if isinstance(text, str):
            stream.write(text)
        elif hasattr(stream, "buffer"):
            stream.buffer.write(text)
        else:
            stream.write(text.decode("utf-8", "replace"))
        stream.flush()
    except OSError as failure:
        # What did not get out must not be tried again when the process ends.
        with contextlib.suppress(OSError):
            _redirect_to_devnull(stream)
        return None if isinstance(failure, BrokenPipeError) else failure
    return None


def _redirect_to_devnull(stream: IO[str]) -> None:
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)
