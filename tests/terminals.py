"""A command on a real pseudo-terminal, and the screen that a person sees of it."""

from __future__ import annotations

import os
import sys
import time

import pexpect
import pyte

# Isolates (UAX 9) as blinking, which the program does not use: at isolates pyte would stop, and like this it
# keeps apart what they isolate.
_ISOLATES = {ord("\u2066"): "\x1b[5m", ord("\u2068"): "\x1b[5m", ord("\u2069"): "\x1b[25m"}


class Terminal:
    """`docsend` with these arguments, on a screen of so many columns and lines."""

    def __init__(self, *argv: object, columns: int = 100, lines: int = 60, **environment: str) -> None:
        command = [sys.executable, "-m", "docsend", *map(str, argv)]
        self._start(command, columns, lines, environment)

    @classmethod
    def of(cls, *command: str, columns: int = 100, lines: int = 60, **environment: str) -> Terminal:
        """Give the terminal of another command, such as a shell's."""
        terminal = cls.__new__(cls)
        terminal._start(list(command), columns, lines, environment)
        return terminal

    def _start(self, command: list[str], columns: int, lines: int, environment: dict[str, str]) -> None:
        self.screen = pyte.HistoryScreen(columns, lines)
        # A terminal that is asked where its cursor is has to answer.
        self.screen.write_process_input = self.type  # type: ignore[method-assign]
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
        """Let the screen fill until a text is on it; give the screen."""
        deadline = time.monotonic() + 20
        while seen not in self.shown and time.monotonic() < deadline:
            self._feed()
        return self.shown

    def type(self, keys: str) -> None:
        self._child.send(keys)

    def answer(self, question: str, keys: str) -> None:
        """Wait for a question, and type."""
        assert question in self.read_until(question), self.shown
        self.type(keys)

    def rest(self) -> None:
        """Let the screen come to rest."""
        self._feed()

    def finish(self) -> int:
        while self._feed():
            pass
        self._child.close()
        return int(self._child.exitstatus)

    @property
    def shown(self) -> str:
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
