"""Run the sandbox: in the foreground for other processes, or inside this process for one command.

A foreground sandbox locks a file in its folder while it runs, and writes its address to that file. The kernel
releases the lock however the process ends. So an address that was left behind is never taken for that of a
running sandbox.
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
from docsend.sandbox.accounts import SESSION_LIFETIME_S, Accounts
from docsend.sandbox.app import Sandbox
from docsend.sandbox.body import request_timeout
from docsend.sandbox.middleware import HTTPProtocol
from docsend.sandbox.store import Store
from docsend.storage import files, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_LOOPBACK = "127.0.0.1"
# Windows does not let other processes read a locked range, so the locked byte is far beyond the address.
_LOCKED_BYTE = 2**30


@contextlib.contextmanager
def run_in_background(
    folder: Path,
    *,
    session_lifetime_s: float = SESSION_LIFETIME_S,
    catalog_bytes: bytes | None = None,
    request_timeout: Callable[[int], float] = request_timeout,
) -> Iterator[str]:
    """Yield the URL of a sandbox that serves this folder.

    If no foreground sandbox serves the folder, run one inside this process. The other parameters apply only
    to that one. `catalog_bytes` replaces the bundled catalog, and `request_timeout` the default timeouts.
    Raise LocalError if the folder cannot be used.
    """
    running = find_running(folder)
    if running is not None:
        yield running
        return
    with _open_server(
        folder, 0, session_lifetime_s, catalog_bytes=catalog_bytes, request_timeout=request_timeout
    ) as (server, listener):
        thread = threads.start(server.run, [[listener]])
        try:
            _wait_until(lambda: server.started or not thread.is_alive())
            yield _address(listener)
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def serve(
    folder: Path,
    port: int,
    announce: Callable[[str], None],
    *,
    session_lifetime_s: float = SESSION_LIFETIME_S,
) -> None:
    """Serve a folder in the foreground until a signal arrives. Call `announce` with the URL when ready.

    Raise UsageError if the port is in use or another sandbox serves the folder, LocalError if the folder
    cannot be used, KeyboardInterrupt after SIGINT, and Terminated after SIGTERM.
    """
    with (
        _lock_folder(folder) as lock_file,
        _open_server(folder, port, session_lifetime_s) as (server, listener),
    ):
        address = _address(listener)

        def ready() -> None:
            lock_file.seek(0)
            lock_file.write(address.encode("ascii"))
            lock_file.flush()
            announce(address)

        server.on_started = ready
        _serve_until_signal(server, listener)


def find_running(folder: Path) -> str | None:
    """Return the URL of the foreground sandbox that serves this folder, or None.

    The lock is tested with a shared lock. So two callers at the same time do not take each other for a
    sandbox. Raise LocalError if the folder cannot be read.
    """
    try:
        with (folder / "running").open("rb+") as lock_file:
            if _is_unlocked(lock_file):
                return None
            lock_file.seek(0)
            return lock_file.read(200).decode("ascii") or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable_folder(folder, error) from error


# -- helpers -----------------------------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """A server that calls `on_started` once it listens and its signal handlers are installed."""

    on_started: Callable[[], None] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_started()


def _serve_until_signal(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, shut down, and only then raise the exception for the signal.

    uvicorn raises the signal again inside its event loop, where raising an exception is not safe.
    """

    def stop() -> None:
        server.should_exit = True

    with signals.stop_on_signal(stop) as received:
        server.run(sockets=[listener])
    if received:
        raise signals.exception_for(received[0])


@contextlib.contextmanager
def _open_server(
    folder: Path,
    port: int,
    session_lifetime_s: float,
    *,
    catalog_bytes: bytes | None = None,
    request_timeout: Callable[[int], float] = request_timeout,
) -> Iterator[tuple[_Server, socket.socket]]:
    try:
        store = Store(folder)
    except (OSError, sqlite3.Error) as error:
        raise _unusable_folder(folder, error) from error
    # asyncio disables Nagle's algorithm only for a socket that names its protocol. The algorithm would delay
    # responses by 40 ms.
    with (
        contextlib.closing(store),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener,
    ):
        accounts = Accounts(store.database, session_lifetime_s=session_lifetime_s)
        if sys.platform != "win32":  # on Windows it would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_LOOPBACK, port))
            listener.listen(128)  # before the address is announced, because a reader may connect at once
        except OSError as error:
            raise UsageError(
                Message("cannot listen on port {port}: {reason}", port=port, reason=files.reason(error)),
                Message("give --port 0 to use any free port"),
            ) from error
        config = uvicorn.Config(
            Sandbox(
                store,
                accounts,
                catalog_bytes or catalog.BUNDLED.read_bytes(),
                request_timeout=request_timeout,
            ).app(),
            http=HTTPProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
        yield _Server(config), listener


def _unusable_folder(folder: Path, error: Exception) -> LocalError:
    reason = sqlite.reason(error) if isinstance(error, OSError | sqlite3.Error) else Message.verbatim(error)
    return LocalError(
        Message("cannot use the sandbox folder {folder}: {reason}", folder=folder, reason=reason),
        Message("check its permissions, or run `docsend sandbox --data DIR` with another folder"),
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
def _lock_folder(folder: Path) -> Iterator[IO[bytes]]:
    """Lock the folder for a foreground sandbox. Yield the lock file, so that the address can be written."""
    try:
        files.make_private_folder(folder)
        files.make_private_file(folder / "running")
        lock_file = (folder / "running").open("rb+")
    except OSError as error:
        raise _unusable_folder(folder, error) from error
    with lock_file:
        # A client in `find_running` may hold the lock for a moment.
        for _ in range(50):
            if _lock(lock_file):
                break
            time.sleep(0.02)
        else:
            lock_file.seek(0)
            address = lock_file.read(200).decode("ascii", "backslashreplace")
            raise UsageError(
                Message(
                    "folder {folder} is in use by the sandbox at {address}", folder=folder, address=address
                ),
                Message("use that sandbox, or give another folder with --data DIR"),
            )
        lock_file.truncate(0)  # the address of an earlier sandbox must not be read
        try:
            yield lock_file
        finally:
            lock_file.truncate(0)


if sys.platform == "win32":

    def _lock(file: IO[bytes]) -> bool:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _is_unlocked(file: IO[bytes]) -> bool:
        # Windows has no shared locks. Another caller may hold the lock for a moment, so retry.
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

    def _is_unlocked(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
