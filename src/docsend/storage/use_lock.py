"""Locks that say who uses a file: many processes at once, or one alone that replaces it.

A lock is on a file of its own. SQLite locks the database itself only during transactions, and a process that
has it open between two of them would go on writing to a file that was replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sys
import time
from typing import TYPE_CHECKING

from docsend.i18n import Message
from docsend.storage.files import NO_LOCKS, UnsuitableFile

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RETRY_S = 0.05
# The locks of Windows exclude everybody else. There, whoever shares the file locks one of these bytes, and
# whoever wants it alone locks them all.
_BYTES = 1024
# Where the lock file cannot be created, its folder cannot be written to. Then no one can replace the file.
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


class InUse(UnsuitableFile):
    """Raised when another process holds a lock that excludes the one asked for."""

    def __init__(self) -> None:
        super().__init__(errno.EBUSY, Message("another process is using the file"))


@contextlib.contextmanager
def shared(file: Path, *, timeout_s: float) -> Iterator[None]:
    """Use a file together with other processes while the block runs.

    Raise InUse if a process still uses it alone after `timeout_s` seconds.
    """
    try:
        descriptor = _open(file)
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        yield
        return
    with _closing(descriptor):
        deadline = time.monotonic() + timeout_s
        while not _try_lock(descriptor, alone=False):
            if time.monotonic() >= deadline:
                raise InUse
            time.sleep(_RETRY_S)
        yield


@contextlib.contextmanager
def alone(file: Path) -> Iterator[None]:
    """Use a file alone while the block runs. Raise InUse at once if another process uses it."""
    with _closing(_open(file)) as descriptor:
        if not _try_lock(descriptor, alone=True):
            raise InUse
        yield


def _open(file: Path) -> int:
    return os.open(file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    """Close a lock file at the end of the block, which releases its locks."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


if sys.platform == "win32":

    def _try_lock(descriptor: int, *, alone: bool) -> bool:
        starts = [0] if alone else random.sample(range(_BYTES), _BYTES)
        for start in starts:
            os.lseek(descriptor, start, os.SEEK_SET)
            with contextlib.suppress(OSError):
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, _BYTES if alone else 1)
                return True
        return False

else:

    def _try_lock(descriptor: int, *, alone: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        return True
