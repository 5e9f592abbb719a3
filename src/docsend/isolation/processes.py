"""Child processes that read what strangers sent, as seen from the process that starts them.

A library written in C may crash, hang or need all memory. In a child, that costs one file, and the child
holds no credentials. Bytes reach it through a pipe, never through a file, an argument or the environment.
When this process ends, however it ends, the pipe closes, and the child ends. `limits` is the child's part.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Starting Python and importing a library takes 0.1 to 0.2 s, and some seconds from a cold or a network disk.
START_LIMIT_S = 10.0
_END_LIMIT_S = 1.0
# In a process group of its own, or on a console of its own, the child does not receive the terminal's Ctrl-C.
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW
    _PROCESS_GROUP = None
else:
    _CREATION_FLAGS = 0
    _PROCESS_GROUP = 0


class ChildProcess:
    """A running child process and the pipes to it."""

    def __init__(self, module: str) -> None:
        """Start a module of docsend as a process. Raise OSError if this is not possible."""
        # -P: a module in the current folder must not replace one of the standard library. -I would also
        # ignore PYTHONPATH and the user's packages, from which docsend itself may have been imported.
        isolation = "-I" if sys.flags.isolated else "-P"
        self.process = subprocess.Popen(  # noqa: S603 - a fixed command
            [sys.executable, isolation, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            close_fds=True,
            env={name: value for name, value in os.environ.items() if not _may_be_secret(name)},
            creationflags=_CREATION_FLAGS,
            process_group=_PROCESS_GROUP,
        )

    @contextlib.contextmanager
    def killed_after(self, limit_s: float) -> Iterator[None]:
        """Kill the child when the time is up, which ends a blocked read or write on any platform.

        Raise RuntimeError if no thread can start.
        """
        timer = threading.Timer(limit_s, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def write(self, content: bytes) -> None:
        """Write all of the content. Raise OSError if the child has ended."""
        assert self.process.stdin is not None  # noqa: S101 - for mypy
        rest = memoryview(content)
        while rest:
            rest = rest[self.process.stdin.write(rest) :]

    def read_line(self) -> bytes:
        """Return the only line that the child writes now, or less than a line if the child ended."""
        line = b""
        while not line.endswith(b"\n") and (piece := self._read_piece()):
            line += piece
        return line

    def read_to_end(self, limit: int) -> bytes:
        """Return what the child writes until it closes the pipe, but no more than about `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        while size <= limit and (piece := self._read_piece()):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def _read_piece(self) -> bytes:
        assert self.process.stdout is not None  # noqa: S101 - for mypy
        return os.read(self.process.stdout.fileno(), 2**16)

    def close_pipes(self) -> None:
        """Close this process's ends of the pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def end(self) -> None:
        """Let an idle child end by itself; kill one that does not."""
        self.close_pipes()
        try:
            self.process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the child, whatever it is doing, and wait for its end."""
        self.process.kill()
        self.process.wait()

    def disown(self) -> None:
        """In a forked copy of this process: leave the child, which is the original's, to the original."""
        # Otherwise the child would not notice the end of the original as long as the copy lives.
        self.close_pipes()
        self.process.returncode = 0  # Otherwise Popen would wait for a process that is not its own.


def _may_be_secret(name: str) -> bool:
    """Return whether an environment variable may hold a password, which the child has no use for."""
    return name.upper().startswith("DOCSEND_") or name.upper().endswith("_PROXY")
