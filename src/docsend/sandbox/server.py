"""Running the sandbox: in the foreground for others to use, or inside the process for one command.

A foreground sandbox holds a lock on its folder for as long as it lives and leaves its address in the same
file; the kernel frees the lock however the process ends, so there is no stale address to believe in.
"""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import sys
import time
from typing import IO, TYPE_CHECKING

import uvicorn

from docsend import signals, threads
from docsend.errors import LocalError, UsageError
from docsend.i18n import Message
from docsend.model import catalog
from docsend.sandbox.accounts import SESSION_S, Accounts
from docsend.sandbox.app import Sandbox
from docsend.sandbox.body import time_allowed
from docsend.sandbox.middleware import Protocol
from docsend.sandbox.store import Store
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_LOOPBACK = "127.0.0.1"
# Windows keeps others from reading what is locked, so the lock is on a byte far behind the address.
_LOCKED_BYTE = 2**30


@contextlib.contextmanager
def beside(
    folder: Path,
    *,
    session_s: float = SESSION_S,
    offered: bytes | None = None,
    time_allowed: Callable[[int], float] = time_allowed,
) -> Iterator[str]:
    """Give the address of a sandbox over this folder: the running one, or one inside this process.

    The one inside may offer another catalog than docsend's, and allow a request another time for its bytes.
    """
    running = running_at(folder)
    if running is not None:
        yield running
        return
    with _opened(folder, 0, session_s, offered=offered, time_allowed=time_allowed) as (server, listener):
        thread = threads.start(server.run, [[listener]])
        try:
            _wait_until(lambda: server.started or not thread.is_alive())
            yield _address(listener)
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def serve(folder: Path, port: int, announce: Callable[[str], None], *, session_s: float = SESSION_S) -> None:
    """Serve a folder in the foreground until a signal comes; `announce` is told the address."""
    with _presence(folder) as note, _opened(folder, port, session_s) as (server, listener):
        address = _address(listener)

        def ready() -> None:
            note.seek(0)
            note.write(address.encode("ascii"))
            note.flush()
            announce(address)

        server.when_started = ready
        _until_a_signal(server, listener)


def running_at(folder: Path) -> str | None:
    """Give the address of the foreground sandbox that serves this folder, if there is one.

    Those who look share a lock, so that they do not take one another for a sandbox.
    """
    try:
        with (folder / "running").open("rb+") as note:
            if _can_share(note):
                return None
            note.seek(0)
            return note.read(200).decode("ascii") or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(folder, error) from error


# -- how ---------------------------------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """A server that says when it listens and its signal handlers are in place."""

    when_started: Callable[[], None] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.when_started()


def _until_a_signal(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, end in peace, and raise what the signal stands for only then.

    uvicorn gives a signal back from within its event loop, which is no place to raise in.
    """

    def stop() -> None:
        server.should_exit = True

    with signals.stop_on_signal(stop) as came:
        server.run(sockets=[listener])
    if came:
        raise signals.exception_for(came[0])


@contextlib.contextmanager
def _opened(
    folder: Path,
    port: int,
    session_s: float,
    *,
    offered: bytes | None = None,
    time_allowed: Callable[[int], float] = time_allowed,
) -> Iterator[tuple[_Server, socket.socket]]:
    try:
        store = Store(folder)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(folder, error) from error
    # With the protocol named, asyncio turns Nagle's algorithm off, which would hold an answer back 40 ms.
    with (
        contextlib.closing(store),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener,
    ):
        accounts = Accounts(store.database, session_s=session_s)
        if sys.platform != "win32":  # there it would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_LOOPBACK, port))
            listener.listen(128)  # before the address is told: whoever reads it may connect at once
        except OSError as error:
            raise UsageError(
                Message("port {port} cannot be used: {reason}", port=port, reason=files.reason(error)),
                Message("--port 0 picks a free one"),
            ) from error
        config = uvicorn.Config(
            Sandbox(
                store, accounts, offered or catalog.BUNDLED.read_bytes(), time_allowed=time_allowed
            ).app(),
            http=Protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        yield _Server(config), listener


def _unusable(folder: Path, error: Exception) -> LocalError:
    reason = files.reason(error) if isinstance(error, OSError) else Message.verbatim(error)
    return LocalError(
        Message("the sandbox's folder {folder} cannot be used: {reason}", folder=folder, reason=reason),
        Message("name another with --data DIR"),
    )


def _address(listener: socket.socket) -> str:
    return f"http://{_LOOPBACK}:{listener.getsockname()[1]}"


def _wait_until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not ready():
        if time.monotonic() > deadline:
            raise LocalError(Message("the sandbox did not start within 10 s"))
        time.sleep(0.002)


@contextlib.contextmanager
def _presence(folder: Path) -> Iterator[IO[bytes]]:
    """Hold the folder's lock, which says that a foreground sandbox serves it."""
    try:
        files.make_private_folder(folder)
        files.make_private_file(folder / "running")
        note = (folder / "running").open("rb+")
    except OSError as error:
        raise _unusable(folder, error) from error
    with note:
        # A client that looks whether anybody is here holds the lock for a moment.
        for _ in range(50):
            if _lock(note):
                break
            time.sleep(0.02)
        else:
            note.seek(0)
            address = note.read(200).decode("ascii", "backslashreplace")
            raise UsageError(
                Message("a sandbox serves {folder} already, at {address}", folder=folder, address=address),
                Message("use it, or name another with --data DIR"),
            )
        note.truncate(0)  # an address of one that is gone must not be read
        try:
            yield note
        finally:
            note.truncate(0)


if sys.platform == "win32":

    def _lock(file: IO[bytes]) -> bool:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _can_share(file: IO[bytes]) -> bool:
        # There are no shared locks here: whoever looks holds it for a moment, so look more than once.
        for _ in range(10):
            if _lock(file):
                file.seek(_LOCKED_BYTE)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
                return True
            time.sleep(0.01)
        return False

else:

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _can_share(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
