"""A command on a real pseudo-terminal, and the screen that a person sees."""

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

# pyte does not support isolates (UAX 9). They are replaced by blinking, which docsend does not use, so that
# the isolated text remains distinguishable.
_ISOLATES = {ord("\u2066"): "\x1b[5m", ord("\u2068"): "\x1b[5m", ord("\u2069"): "\x1b[25m"}

_NAMED_COLORS = {
    "black": "000000", "red": "e06c75", "green": "98c379", "brown": "e5c07b", "blue": "61afef",
    "magenta": "c678dd", "cyan": "56b6c2", "white": "d7dae0", "brightblack": "8b919c",
}  # fmt: skip


class Screen(pyte.HistoryScreen):
    """A screen with dim text. pyte lacks it, so dim becomes strikethrough, which docsend never uses.

    `answer` is called with the responses of the terminal itself, such as the position of the cursor.
    """

    def __init__(self, columns: int, lines: int, answer: Callable[[str], None]) -> None:
        super().__init__(columns, lines)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)

    def select_graphic_rendition(self, *attrs: int, **more: bool) -> None:
        translated: list[int] = []
        remaining = list(attrs)
        while remaining:
            attribute = remaining.pop(0)
            translated += {2: [9], 22: [22, 29]}.get(attribute, [attribute])
            if attribute in (38, 48) and remaining:  # a color follows: a number, or red, green and blue
                count = 2 if remaining[0] == 5 else 4
                translated += remaining[:count]
                del remaining[:count]
        super().select_graphic_rendition(*translated, **more)


def is_dim(cell: Char) -> bool:
    return cell.strikethrough


def colors(cell: Char, background: str, foreground: str) -> tuple[str, str]:
    """Return the colors of a character and of its background, on a terminal with these default colors."""
    front = foreground if cell.fg == "default" else _NAMED_COLORS.get(cell.fg, cell.fg)
    behind = background if cell.bg == "default" else _NAMED_COLORS.get(cell.bg, cell.bg)
    return (behind, front) if cell.reverse else (front, behind)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors, from 1 to 21 (WCAG 2.2, "contrast ratio")."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


class Terminal:
    """`docsend` with these arguments, on a screen with this number of columns and lines."""

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

    def read_until(self, text: str) -> str:
        """Wait up to 20 seconds for a text on the screen; return the screen as text."""
        deadline = time.monotonic() + 20
        while text not in self.text and time.monotonic() < deadline:
            self._feed()
        return self.text

    def type(self, keys: str) -> None:
        self._child.send(keys)

    def answer(self, question: str, keys: str) -> None:
        """Wait for a question, then type keys."""
        assert question in self.read_until(question), self.text
        self.type(keys)

    def settle(self) -> None:
        """Read the output that arrives within 0.2 seconds."""
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
