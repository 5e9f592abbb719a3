"""Lock files that contain the process id of their holder, so that others can name it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from typing import TYPE_CHECKING

from docsend.i18n import Message
from docsend.storage.files import NO_LOCKS, READ_FLAGS, UnsuitableFile

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OPEN_FLAGS = READ_FLAGS | os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
_MAX_DIGITS = 20
_READS, _PAUSE_S = 20, 0.01
_LOCKED_BYTE = 1024  # behind the process id: on Windows, other processes cannot read a locked byte


class LockHeld(Exception):
    """Raised for a lock that another process holds. `holder` is its process id, or None if unknown."""

    def __init__(self, holder: int | None) -> None:
        super().__init__(holder)
        self.holder = holder


class LockFailed(Exception):
    """Raised for a lock file that cannot be written, or that is not a lock file. `error` is the reason."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.errno)
        self.error = error


@contextlib.contextmanager
def hold(file: Path) -> Iterator[None]:
    """Hold a lock file while the block runs, and then remove it.

    Raise LockHeld at once if another process holds it, and LockFailed if it cannot be written. The system
    releases the lock when the process ends, however it ends, and the next process takes the file over.
    """
    try:
        descriptor = _lock(file)
    except OSError as error:
        raise LockFailed(error) from error
    try:
        yield
    finally:
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(descriptor)
        with contextlib.suppress(OSError):
            file.unlink()
        if sys.platform != "win32":
            os.close(descriptor)


def _lock(file: Path) -> int:
    """Lock a file, write our process id into it, and return its descriptor."""
    while True:
        with contextlib.ExitStack() as stack:
            descriptor = os.open(file, _OPEN_FLAGS, 0o600)
            stack.callback(os.close, descriptor)
            _read_holder(descriptor)
            _lock_or_refuse(descriptor)
            if _is_still_at(descriptor, file):
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.ftruncate(descriptor, 0)
                _write_holder(descriptor, file)
                stack.pop_all()
                return descriptor
        # The process that held the lock has removed the file meanwhile.


def _write_holder(descriptor: int, file: Path) -> None:
    """Write our process id into a locked file. If that fails, for example on a full disk, remove the file."""
    try:
        os.write(descriptor, str(os.getpid()).encode())
    except OSError:
        with contextlib.suppress(OSError):  # Windows does not remove an open file
            file.unlink()
        raise


def _read_holder(descriptor: int) -> int | None:
    """Return the process id in an open lock file, or None if it is empty.

    Raise UnsuitableFile if it is no lock file.
    """
    content = b"?"
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.lseek(descriptor, 0, os.SEEK_SET)
        content = os.read(descriptor, _MAX_DIGITS + 1)
    if content and not (content.isdigit() and len(content) <= _MAX_DIGITS):
        raise UnsuitableFile(errno.EEXIST, Message("it exists and is not a lock file"))
    return int(content) if content else None


def _lock_or_refuse(descriptor: int) -> None:
    """Lock an open file. Raise LockHeld if another process holds the lock.

    Some network file systems have no locks. Do nothing there.
    """
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise LockHeld(_await_holder(descriptor)) from None


def _await_holder(descriptor: int) -> int | None:
    """Return the process id of the holder, who may be about to write it."""
    for _ in range(_READS):
        if holder := _read_holder(descriptor):
            return holder
        time.sleep(_PAUSE_S)
    return None


def _is_still_at(descriptor: int, file: Path) -> bool:
    """Return whether an open file is still the one with this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.lstat())
    except FileNotFoundError:
        return False
