"""Output to two streams: results (text, tables, cards, JSON) go to stdout, messages to stderr.

Rules:
- Every string from outside is escaped before it reaches a terminal or a log.
- Panels, bars and colors appear only on a terminal that can draw them. Each stream is checked separately.
  Everywhere else, the output consists of plain lines, for scripts and logs.
- `--quiet` suppresses everything except errors and the result.
- A stream that is closed, or whose encoding lacks a character, never stops a command.

Only `drawing` and `bars` use rich.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from datetime import datetime
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

# On terminals of at least this width, the table columns listed below are not wrapped.
_WIDE_TERMINAL = 80
_UNBROKEN_COLUMNS = ("code", "key", "state", "receipt", "time", "due")
# Titles of table columns, keyed by their names in the code.
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
    """stdout and stderr of one run, with its verbosity and language."""

    def __init__(self, settings: Settings | None = None, *, language: Language = "en") -> None:
        """Create the streams. `settings` is None for a run that failed before it had read its settings."""
        self.is_quiet = settings.quiet if settings else False
        self.is_verbose = settings.verbose if settings else False
        self.translator = Translator(settings.language if settings else language)
        self._printed: set[Message] = set()
        self._is_dumb = settings.has_dumb_terminal if settings else True

    def say(self, message: Message) -> None:
        """Print a message to stderr, unless the run is quiet."""
        if not self.is_quiet:
            self.say_always(message)

    def say_event(self, message: Message) -> None:
        """Print a message to stderr, unless the run is quiet. In a log, it starts with the time."""
        if self.is_quiet:
            return
        line = self.render(message)
        if not self.is_interactive(sys.stderr):
            line = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}  {line}"
        self.say_rendered(line)

    def say_once(self, message: Message) -> None:
        """Print a message to stderr, unless it has been printed by this method or the run is quiet."""
        if message not in self._printed:
            self._printed.add(message)
            self.say(message)

    def say_command(self, heading: Message, command: str) -> None:
        """Print a command that the user can copy, on one line of stderr, unless the run is quiet."""
        if not self.is_quiet:
            self.say_always(heading)
            _write(sys.stderr, f"  {escape_for_terminal(command)}\n")

    def say_detail(self, message: Message) -> None:
        """Print a message to stderr if `--verbose` was given."""
        if self.is_verbose:
            self.say_always(message, indent=2)

    def say_error(self, message: Message, hint: Message | None = None) -> None:
        """Print an error and its hint to stderr, even if the run is quiet."""
        self.say_always(Message("docsend: {message}", message=message))
        if hint:
            self.say_always(hint, indent=2)

    def say_problems(self, problems: Iterable[Problem]) -> None:
        """Print problems to stderr, each with its code and hint. With `--quiet`, print only the errors."""
        for problem in problems:
            if problem.is_error or not self.is_quiet:
                self.say_always(_problem_line(problem), indent=2)
                if problem.hint:
                    self.say_always(problem.hint, indent=4)

    def render(self, value: Displayable) -> str:
        """Return a text for stderr, translated and escaped."""
        return self.translator.render(
            value, escape=escape_for_terminal, isolate=self.is_interactive(sys.stderr)
        )

    def print_table(self, columns: Sequence[str], rows: Sequence[Sequence[Displayable]]) -> None:
        """Print a table to stdout, fitted to the terminal's width. Elsewhere, print plain aligned columns.

        `columns` contains keys of `_COLUMN_TITLES`.
        """
        titles = [self.render_result(_COLUMN_TITLES[head]) for head in columns]
        cells = [[self.render_result(cell) for cell in row] for row in rows]
        if not self.is_interactive(sys.stdout):
            widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
            for row in [titles, *cells]:
                padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                self.write("  ".join(padded).rstrip() + "\n")
            return
        # Values that people copy stay on one line if the terminal is wide enough.
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
        """Print labeled values to stdout: a panel on a terminal, an indented list elsewhere.

        Without a terminal, the footnote goes to stderr.
        """
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
        """Return a text for stdout, translated and escaped."""
        return self.translator.render(
            value, escape=escape_for_terminal, isolate=self.is_interactive(sys.stdout)
        )

    def print_line(self, value: Displayable) -> None:
        """Print one line of a result to stdout."""
        self.write(self.render_result(value) + "\n")

    @staticmethod
    def write(text: str | bytes, *, encoding: str | None = None) -> None:
        """Write a part of the result to stdout. Raise LocalError if that fails, as on a full disk.

        `encoding` replaces the stream's own encoding, because a file may need another one than a terminal.
        """
        if (failure := _write(sys.stdout, text, encoding)) is not None:
            raise LocalError(
                Message("the result cannot be written: {reason}", reason=files.reason(failure)),
                Message("check the file or device that the output is redirected to"),
            )

    def say_always(self, message: Message, *, indent: int = 0) -> None:
        """Print a message to stderr, even if the run is quiet."""
        self.say_rendered(self.render(message), indent=indent)

    def say_rendered(self, text: str, *, indent: int = 0) -> None:
        """Print a rendered line to stderr, wrapped between words at the width of a terminal."""
        lines = [text]
        if self.is_interactive(sys.stderr):
            width = max(shutil.get_terminal_size().columns - indent, 20)
            lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
        for line in lines:
            _write(sys.stderr, f"{' ' * indent}{line}\n")

    def is_interactive(self, stream: IO[str] | None) -> bool:
        """Return whether a stream is a terminal that is not dumb."""
        return stream is not None and not self._is_dumb and stream.isatty()


def _problem_line(problem: Problem) -> Message:
    """Return one line with the severity, message and code of a problem."""
    if problem.row is None:
        template = Message("{severity}: {message} [{code}]")
    else:
        template = Message("{severity}: row {row}: {message} [{code}]")
    return template.with_values(
        severity=SEVERITY_NAMES[problem.severity], row=problem.row, message=problem.message, code=problem.code
    )


def _write(stream: IO[str] | None, text: str | bytes, encoding: str | None = None) -> OSError | None:
    """Write to a stream that may be closed (`>&-`), have no reader (`| head`) or use a legacy encoding.

    Return None, or the OSError if writing fails. A broken pipe is not an error, because nobody reads the
    output anymore. The command continues, and its exit code reports the outcome.
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
        # Python flushes the stream again at exit, and writing the rest of the buffer would fail again.
        with contextlib.suppress(OSError):
            _redirect_to_devnull(stream)
        return None if isinstance(failure, BrokenPipeError) else failure
    return None


def _redirect_to_devnull(stream: IO[str]) -> None:
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)
