"""Putting things on the disk so that they are there after a power cut, and for their owner's eyes alone."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, durably; what is there already is left as it is.

    Its name is synced all the same: a process that was killed may have made it and not lived to do so.
    """
    if folder.is_dir():
        with contextlib.suppress(PermissionError):  # the home's parent need not be ours to read
            sync_folder(folder.parent)
        return
    make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def make_private_file(file: Path) -> None:
    """Make an empty file, durably, unless it is there: others would ask for wider permissions."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        sync_folder(file.parent)


def settle(database: Path) -> None:
    """Put on the disk what a process that was killed had committed to a SQLite file, before it is believed.

    SQLite commits by truncating the journal. Killed between that and the sync, a process leaves a commit that
    everybody sees and a power cut takes back.
    """
    journal = database.with_name(f"{database.name}-journal")
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(journal, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_file(file: Path, content: bytes) -> None:
    """Write a file as a whole: whoever reads it sees the old content or the new, never a part."""
    make_private_folder(file.parent)
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock, a file of its own, while the block runs; it ends with its process, whatever happens."""
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk. Windows has no such call: NTFS journals names itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
