"""The two streams: how a text, a table, a card or JSON gets onto stdout, and talk onto stderr.

Rules:
- every string that was made elsewhere is escaped before a terminal or a log sees it (invariant 7);
- pictures (panels, bars, colours) only on a terminal that can draw them, judged for each stream by itself;
  everywhere else plain lines, which a script or a log can keep;
- `--quiet` leaves errors and the result; `--json` makes the result one line of JSON and silences the bars;
- a stream that is closed, or cannot write a letter, never stops the work.

With progress.py the only user of rich.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import textwrap
from typing import IO, TYPE_CHECKING, Any

from docsend.errors import LocalFailure
from docsend.i18n import Message, Translator
from docsend.storage import files
from docsend.text import escape_for_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from docsend.config.settings import Settings
    from docsend.i18n import Language, Shown
    from docsend.model.problem import Problem

# Columns of a terminal.
_WIDE = 80
_IN_ONE_PIECE = ("code", "key", "state", "receipt", "time", "due")
# The heads of tables, by the names that the code has for them.
_HEADS = {
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
SEVERITY = {"error": Message("error"), "warning": Message("warning")}
NOT_APPROVED = Message('"received" means that the service has everything; it does not mean approved')


# Of a long list of JSON: what stays in memory, and what is written at once.
_HELD_BYTES, _PIECE = 8 * 2**20, 2**20
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Streams:
    """The two streams, and what this run may put on them."""

    def __init__(
        self, settings: Settings | None = None, *, as_json: bool = False, language: Language = "en"
    ) -> None:
        """Make the console of a run; without settings, that of one that failed before it had any."""
        self._as_json = settings.as_json if settings else as_json
        self._quiet = settings.quiet if settings else False
        self._verbose = settings.verbose if settings else False
        self._translator = Translator(settings.language if settings else language)
        self._said: set[Message] = set()
        self._is_dumb = settings.has_dumb_terminal if settings else True

    def say(self, message: Message) -> None:
        """Tell something that is good to know and may be missed."""
        if not self._quiet:
            self._tell(message)

    def say_once(self, message: Message) -> None:
        """Tell it the first time only."""
        if message not in self._said:
            self._said.add(message)
            self.say(message)

    def command(self, heading: Message, command: str) -> None:
        """Tell a command to be copied: in one line, however narrow the terminal is."""
        if not self._quiet:
            self._tell(heading)
            _write(sys.stderr, f"  {escape_for_terminal(command)}\n")

    def detail(self, message: Message) -> None:
        """Tell what only `--verbose` wants to know."""
        if self._verbose:
            self._tell(message, indent=2)

    def error(self, message: Message, hint: Message | None = None) -> None:
        self._tell(Message("docsend: {message}", message=message))
        if hint:
            self._tell(hint, indent=2)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Tell what was found, each with its code and its cure; with `--quiet` errors only."""
        for problem in problems:
            if problem.is_error or not self._quiet:
                self._tell(_found(problem), indent=2)
                if problem.hint:
                    self._tell(problem.hint, indent=4)

    def render(self, shown: Shown) -> str:
        """Give a text as it is shown on stderr: safe, and in the reader's language."""
        return self._translator.render(shown, safe=escape_for_terminal, isolated=self._draws(sys.stderr))

    @property
    def draws_talk(self) -> bool:
        """Whether talk goes to a terminal that can draw."""
        return self._draws(sys.stderr)

    @property
    def pages(self) -> bool:
        """Whether a person reads the result on a terminal, where a list without an end helps nobody."""
        return not self._as_json and self._draws(sys.stdout)

    def json(self, value: Any) -> None:
        self._put(_json_text(value) + "\n")

    def _json_list(self, head: dict[str, str], name: str, items: Iterable[Any]) -> None:
        """Write one object with a list of any length in it, as a whole or, if an item fails, not at all."""
        from tempfile import SpooledTemporaryFile

        with SpooledTemporaryFile(_HELD_BYTES, "w+", encoding="utf-8", newline="") as text:
            text.write(_json_text({**head, name: []}).removesuffix("]}"))
            for count, item in enumerate(items):
                text.write((", " if count else "") + _json_text(item))
            text.write("]}\n")
            text.seek(0)
            while piece := text.read(_PIECE):
                self._put(piece)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[Shown]]) -> None:
        """Show rows under their heads; on a terminal as wide as it is, elsewhere in plain columns."""
        heads_ = [self._out(_HEADS[head]) for head in heads]
        cells = [[self._out(cell) for cell in row] for row in rows]
        if not self._draws(sys.stdout):
            widths = [max(map(len, column)) for column in zip(heads_, *cells, strict=True)]
            for row in [heads_, *cells]:
                padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                self._put("  ".join(padded).rstrip() + "\n")
            return
        from rich import box, table

        drawn = table.Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        is_wide = shutil.get_terminal_size().columns >= _WIDE
        for head, shown in zip(heads, heads_, strict=True):
            # What is meant to be copied stays in one piece where there is room for it.
            drawn.add_column(_as_text(shown), overflow="fold", no_wrap=is_wide and head in _IN_ONE_PIECE)
        for row in cells:
            drawn.add_row(*map(_as_text, row))
        self._draw(drawn)

    def _card(
        self, heading: Shown, rows: Sequence[tuple[Shown, Shown]], *, footnote: Message | None = NOT_APPROVED
    ) -> None:
        """Show one thing with its properties: a panel on a terminal, an indented list elsewhere."""
        clean = [(self._out(label), self._out(value)) for label, value in rows]
        if not self._draws(sys.stdout):
            width = max(len(label) for label, _ in clean)
            self._print(heading)
            for label, value in clean:
                self._put(f"  {label.ljust(width)}  {value}\n")
            if footnote:
                self.say(footnote)
            return
        from rich import console, panel, table
        from rich.text import Text

        grid = table.Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for label, value in clean:
            grid.add_row(_as_text(label), _as_text(value))
        title = _as_text(f" {self._out(heading)} ")
        below = [Text(""), Text(self._out(footnote), style="dim italic")] if footnote else []
        self._draw(panel.Panel(console.Group(grid, *below), title=title, title_align="left"))

    def _draw(self, renderable: Any) -> None:
        import rich.console

        console = rich.console.Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
        with console.capture() as drawn:
            console.print(renderable)
        self._put(drawn.get())

    def _out(self, shown: Shown) -> str:
        """Give a text for stdout: safe, and in the reader's language."""
        return self._translator.render(shown, safe=escape_for_terminal, isolated=self._draws(sys.stdout))

    def _print(self, shown: Shown) -> None:
        self._put(self._out(shown) + "\n")

    @staticmethod
    def _put(text: str | bytes, *, encoding: str | None = None) -> None:
        """Put a part of the result on stdout; raise LocalFailure if the disk does not take it.

        With an encoding, those very bytes: what is redirected into a file is not for the terminal's encoding.
        """
        if (failure := _write(sys.stdout, text, encoding)) is not None:
            raise LocalFailure(
                Message("the result cannot be written: {reason}", reason=files.reason(failure)),
                Message("look at where the output goes"),
            )

    def _tell(self, message: Message, *, indent: int = 0) -> None:
        self._tell_line(self.render(message), indent=indent)

    def _tell_line(self, text: str, *, indent: int = 0) -> None:
        """Put a rendered line on stderr, broken between words if a terminal is too narrow for it."""
        lines = [text]
        if self._draws(sys.stderr):
            width = max(shutil.get_terminal_size().columns - indent, 20)
            lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
        for line in lines:
            _write(sys.stderr, f"{' ' * indent}{line}\n")

    def _draws(self, stream: IO[str] | None) -> bool:
        return stream is not None and not self._is_dumb and stream.isatty()


def _found(problem: Problem) -> Message:
    """One line for one finding: what, and its code."""
    if problem.row is None:
        template = Message("{severity}: {message} [{code}]")
    else:
        template = Message("{severity}: row {row}: {message} [{code}]")
    return template.with_values(
        severity=SEVERITY[problem.severity], row=problem.row, message=problem.message, code=problem.code
    )


def _json_text(value: Any) -> str:
    """Give a value as JSON that stdout can write and no terminal takes for anything else."""
    stream = sys.stdout
    plain = not stream or (stream.encoding or "").lower().replace("-", "") != "utf8"
    # A lone surrogate, as in the name of a file that is not UTF-8, can only be written escaped.
    text = json.dumps(value, ensure_ascii=plain)
    # In JSON these stand in texts only, and an escape is the same character.
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _as_text(text: str) -> Any:
    """Give text to rich as what it is, and not as markup."""
    from rich.text import Text

    return Text(text)


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
            _point_to_nowhere(stream)
        return None if isinstance(failure, BrokenPipeError) else failure
    return None


def _point_to_nowhere(stream: IO[str]) -> None:
    import os

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
