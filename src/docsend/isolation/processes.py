"""Child processes that read what strangers sent, as seen from the process that starts them.

A library written in C may crash, hang or need all memory. In a child, that costs one file, and the child
holds no credentials: of the environment it receives only the variables that starting Python may need, which
are where programs, libraries and packages are (such as PATH, LD_LIBRARY_PATH, PYTHONPATH and HOME), the
folder for temporary files, and the language (_CHILD_VARIABLES). Bytes reach it through a pipe, never through
a file, an argument or the environment. When this process ends, however it ends, the pipe closes, and the
child ends. `limits` is the child's part.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
# The user's packages are found below HOME, or APPDATA on Windows, where Python also needs SYSTEMROOT.
_CHILD_VARIABLES = {
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),
    *("PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "PYTHONDONTWRITEBYTECODE"),
    *("HOME", "APPDATA", "LOCALAPPDATA", "USERPROFILE", "SYSTEMDRIVE", "SYSTEMROOT", "WINDIR"),
    *("TEMP", "TMP", "TMPDIR", "LANG", "LANGUAGE"),
}

Result = TypeVar("Result")


class ChildProcess:
    """A running child process and the pipes to it."""

    def __init__(self, module: str) -> None:
        """Start a module of docsend as a process. Raise OSError if this is not possible."""
        # -P: a module in the current folder must not replace one of the standard library. -I would also
        # ignore PYTHONPATH and the user's packages, from which docsend itself may have been imported.
        isolation = "-I" if sys.flags.isolated else "-P"
        if not sys.executable:  # Python was embedded, or could not find itself.
            raise OSError("the path of Python is unknown")
        self.process = subprocess.Popen(  # noqa: S603 - a fixed command
            [sys.executable, isolation, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            close_fds=True,
            env={name: value for name, value in os.environ.items() if _is_for_child(name)},
            creationflags=_CREATION_FLAGS,
            process_group=_PROCESS_GROUP,
        )
        self._exchange: threading.Thread | None = None

    def run(self, exchange: Callable[[], Result], limit_s: float) -> Result | None:
        """Return the result of an exchange with the child, or None if it fails or takes too long.

        Another thread writes and reads, so that the limit also holds if a process that the child started
        keeps the pipes open, or if the system cannot end a blocked read. Then the child is killed.
        """
        results: list[Result] = []

        def run() -> None:
            with contextlib.suppress(OSError, ValueError):  # ValueError: the pipes were closed.
                results.append(exchange())

        self._exchange = threading.Thread(target=run, daemon=True)
        try:
            self._exchange.start()
        except RuntimeError:  # no thread can start
            self._exchange = None
            return None
        self._exchange.join(limit_s)
        if self._exchange.is_alive():
            self.kill()
            return None
        return results[0] if results else None

    @contextlib.contextmanager
    def killed_after(self, limit_s: float) -> Iterator[None]:
        """Kill the child when the time is up, which ends a blocked read or write on any platform.

        Raise RuntimeError if no thread can start.
        """
        timer = threading.Timer(limit_s, self._kill_group)
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
        if self._exchange is not None:
            self._exchange.join(_END_LIMIT_S)
        if self._exchange is None or not self._exchange.is_alive():
            # To close a pipe from which a thread is reading would block on Windows.
            self.close_pipes()
        try:
            self.process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the child, whatever it is doing, and wait for its end."""
        self._kill_group()
        self.process.wait()

    def _kill_group(self) -> None:
        """Kill the child and, except on Windows, all processes that it started."""
        if sys.platform != "win32" and self.process.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()

    def disown(self) -> None:
        """In a forked copy of this process: leave the child, which is the original's, to the original."""
        # Otherwise the child would not notice the end of the original as long as the copy lives.
        self.close_pipes()
        self.process.returncode = 0  # Otherwise Popen would wait for a process that is not its own.


def _is_for_child(name: str) -> bool:
    """Return whether the child receives an environment variable. All others may hold passwords."""
    return name.upper() in _CHILD_VARIABLES or name.upper().startswith("LC_")
