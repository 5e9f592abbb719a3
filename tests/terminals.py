"""Runs a command on a real pseudo-terminal, with the screen that a person sees."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pexpect
import pyte

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyte.screens import Char

# pyte stops at isolates (UAX 9). They are replaced with blinking text, which docsend does not use, so that
# the isolated text remains distinguishable.
_ISOLATES = {ord("\u2066"): "\x1b[5m", ord("\u2068"): "\x1b[5m", ord("\u2069"): "\x1b[25m"}

_COLORS = {
    "black": "000000", "red": "e06c75", "green": "98c379", "brown": "e5c07b", "blue": "61afef",
    "magenta": "c678dd", "cyan": "56b6c2", "white": "d7dae0", "brightblack": "8b919c",
}  # fmt: skip


class Screen(pyte.HistoryScreen):
    """A screen that records dim text, which pyte does not, as struck through, which docsend never uses.

    `answer` receives what a terminal sends by itself, such as the cursor position when it is requested.
    """

    def __init__(self, columns: int, lines: int, answer: Callable[[str], None]) -> None:
        super().__init__(columns, lines)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)

    def select_graphic_rendition(self, *attrs: int, **more: bool) -> None:
        translated: list[int] = []
        left = list(attrs)
        while left:
            attribute = left.pop(0)
            translated += {2: [9], 22: [22, 29]}.get(attribute, [attribute])
            if attribute in (38, 48) and left:  # A color follows: a number, or red, green and blue.
                count = 2 if left[0] == 5 else 4
                translated += left[:count]
                del left[:count]
        super().select_graphic_rendition(*translated, **more)


def is_dim(cell: Char) -> bool:
    return cell.strikethrough


def resolve_colors(cell: Char, ground: str, ink: str) -> tuple[str, str]:
    """Return the text and background colors of a cell; `ground` and `ink` are the terminal's defaults."""
    text = ink if cell.fg == "default" else _COLORS.get(cell.fg, cell.fg)
    background = ground if cell.bg == "default" else _COLORS.get(cell.bg, cell.bg)
    return (background, text) if cell.reverse else (text, background)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors, from 1 to 21 (WCAG 2.2, "contrast ratio")."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


class Terminal:
    """`docsend` with these arguments, on a screen with this many columns and lines."""

    def __init__(self, *argv: object, columns: int = 100, lines: int = 60, **environment: str) -> None:
        command = [sys.executable, "-m", "docsend", *map(str, argv)]
        self._start(command, columns, lines, environment)

    @classmethod
    def from_command(cls, *command: str, columns: int = 100, lines: int = 60, **environment: str) -> Terminal:
        """Return the terminal of another command, such as a shell."""
        terminal = cls.__new__(cls)
        terminal._start(list(command), columns, lines, environment)
        return terminal

    def _start(self, command: list[str], columns: int, lines: int, environment: dict[str, str]) -> None:
        self.screen = Screen(columns, lines, self.type)
        self._stream = pyte.Stream(self.screen)
        self.raw = ""
        self._child = pexpect.spawn(
            command[0],
            command[1:],
            env={**os.environ, "TERM": "xterm-256color", **environment},
            dimensions=(lines, columns),
            encoding="utf-8",
            codec_errors="replace",
            timeout=30,
        )

    def read_until(self, seen: str) -> str:
        """Read output until the text is on the screen, for at most 20 s; return the screen."""
        deadline = time.monotonic() + 20
        while seen not in self.text and time.monotonic() < deadline:
            self._feed()
        return self.text

    def type(self, keys: str) -> None:
        self._child.send(keys)

    def answer(self, question: str, keys: str) -> None:
        """Wait for a question, and type."""
        assert question in self.read_until(question), self.text
        self.type(keys)

    def wait_until_quiet(self) -> None:
        """Read output once; this waits at most 0.2 s."""
        self._feed()

    def finish(self) -> int:
        """Read all output and return the exit status."""
        while self._feed():
            pass
        self._child.close()
        assert self._child.exitstatus is not None
        return self._child.exitstatus

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def _feed(self) -> bool:
        try:
            text = self._child.read_nonblocking(4096, timeout=0.2)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += text
        self._stream.feed(text.translate(_ISOLATES))
        return True
