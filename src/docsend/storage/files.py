"""Durable and private writes, and reads that never block on special files.

New files can be read by their owner only. Nothing here depends on what the files contain.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import IO, TYPE_CHECKING

from docsend.i18n import ENGLISH, Message

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Error numbers of file systems that have no locks, such as some in a network.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
# Without O_NONBLOCK, opening a FIFO would block. Windows has no FIFOs, but needs O_BINARY.
READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
# Opening a symbolic link fails with this flag. Windows does not have it.
NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
# Messages by errno, mostly the usual texts of strerror, so that they can be translated.
_REASONS = {
    errno.EACCES: Message("Permission denied"),
    errno.EADDRINUSE: Message("Address already in use"),
    errno.EBUSY: Message("Device or resource busy"),
    errno.EDQUOT: Message("Disk quota exceeded"),
    errno.EEXIST: Message("File exists"),
    errno.EFBIG: Message("File too large"),
    errno.EINVAL: Message("Invalid argument"),
    errno.EIO: Message("Input/output error"),
    errno.EISDIR: Message("it is a folder, not a file"),
    errno.ELOOP: Message("Too many levels of symbolic links"),
    errno.EMFILE: Message("Too many open files"),
    errno.ENAMETOOLONG: Message("File name too long"),
    errno.ENOENT: Message("No such file or directory"),
    errno.ENOSPC: Message("No space left on device"),
    errno.ENOTDIR: Message("part of the path is a file, not a folder"),
    errno.ENXIO: Message("No such device or address"),
    errno.EPERM: Message("Operation not permitted"),
    errno.EROFS: Message("Read-only file system"),
}
# Where os.access cannot use the effective user id, it uses the real one.
_CAN_CHECK_EFFECTIVE_IDS = os.access in os.supports_effective_ids


class UnsuitableFile(OSError):
    """Raised for a file that can be opened but not used: not a regular file, or too large."""

    def __init__(self, error_number: int, reason: Message) -> None:
        super().__init__(error_number, ENGLISH.render(reason))
        self.reason = reason


def reason(error: OSError) -> Message:
    """Return the reason for an OSError, from the system or from this module, as a message."""
    if isinstance(error, UnsuitableFile):
        return error.reason
    translatable = None if error.errno is None else _REASONS.get(error.errno)
    return translatable or Message.verbatim(error.strerror or type(error).__name__)


def open_regular(file: Path, *, allow_pipe: bool = False) -> IO[bytes]:
    """Open a regular file for reading in binary mode.

    With `allow_pipe`, accept a pipe as well, as in `<(pass show docsend)`. A pipe without a writer reads as
    empty. Raise OSError if the file cannot be opened, and UnsuitableFile, an OSError, for a device or a
    socket.
    """
    descriptor = os.open(file, READ_FLAGS)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    if allow_pipe and stat.S_ISFIFO(mode) and sys.platform != "win32":
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise UnsuitableFile(errno.EINVAL, Message("not a regular file"))


def read_limited(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a regular file.

    Raise OSError if it cannot be read, and UnsuitableFile, an OSError, if it is larger than `max_bytes`.
    """
    with open_regular(path) as opened:
        content = opened.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnsuitableFile(errno.EFBIG, Message("larger than {limit:,} bytes", limit=max_bytes))
    return content


def hint(file: Path, error: OSError | None = None) -> Message:
    """Return a message that tells what to do about a file that cannot be read or written."""
    existing = _nearest_existing(file)
    owner = _blocking_owner(existing)
    if owner is not None:
        return foreign_owner_hint(owner)
    if isinstance(error, PermissionError):
        if existing != file:
            return Message(
                "make {folder} readable and writable for you: run `chmod u+rwx {folder}`", folder=existing
            )
        return Message("make {file} readable and writable for you: run `chmod u+rw {file}`", file=file)
    return Message("check the file and the free disk space")


def foreign_owner_hint(owner: str) -> Message:
    """Return a message that tells what to do about a file that another user owns."""
    return Message(
        "only its owner, {owner}, can change it: set HOME or DOCSEND_HOME to a folder of your own",
        owner=owner,
    )


def _nearest_existing(file: Path) -> Path:
    """Return the file if it exists, else the nearest parent folder that exists."""
    for path in (file, *file.parents):
        with contextlib.suppress(OSError):
            path.stat()
            return path
    return file


def _blocking_owner(path: Path) -> str | None:
    """Return the owner of a file or folder if another user owns it and we may not write it, else None."""
    return None if _may_write(path) else other_owner(path)


def other_owner(path: Path) -> str | None:
    """Return the name of the other user who owns a file, or the user id if that user has no name.

    Return None if the file is ours, if we are root and may write it, or if this is Windows.
    """
    if sys.platform == "win32":
        return None
    with contextlib.suppress(OSError):
        owner = path.stat().st_uid
        if owner == os.geteuid() or (os.geteuid() == 0 and _may_write(path)):
            return None
        import pwd

        with contextlib.suppress(KeyError):
            return pwd.getpwuid(owner).pw_name
        return str(owner)
    return None


def _may_write(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK, effective_ids=_CAN_CHECK_EFFECTIVE_IDS)


def create_private(file: Path) -> IO[bytes]:
    """Create and open a file that only its owner can read or write. Raise FileExistsError if it exists."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(file, flags, 0o600), "wb")


def make_private_folder(folder: Path) -> None:
    """Create a folder and its parents durably. Existing folders keep their permissions.

    The parent of an existing folder is synced as well: a process may have created the folder and been killed
    before it synced the name.
    """
    if folder.is_dir():
        with contextlib.suppress(
            PermissionError
        ):  # we may not be allowed to read the parent of the home folder
            sync_folder(folder.parent)
        return
    make_private_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)  # a strict umask removes permissions that the owner needs
    sync_folder(folder.parent)


def make_private_file(file: Path) -> None:
    """Create an empty file durably for its owner only, unless it exists.

    Libraries such as SQLite would create the file with wider permissions.
    """
    with contextlib.suppress(FileExistsError):
        create_private(file).close()
        sync_folder(file.parent)


def sync_journal(database: Path) -> None:
    """Sync the rollback journal of a SQLite file, so that commits of a killed process are durable.

    SQLite commits by truncating the journal. If a process is killed between the truncation and the sync,
    readers see the commit, but a power failure would undo it.
    """
    journal = database.with_name(f"{database.name}-journal")
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(journal, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_file(file: Path, content: bytes) -> None:
    """Replace the content of a file atomically and durably: readers see the old content or the new."""
    make_private_folder(file.parent)
    temporary = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    try:
        with create_private(temporary) as output:
            output.write(content)
            output.flush()
            os.fsync(output.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


@contextlib.contextmanager
def lock(file: Path) -> Iterator[None]:
    """Hold an exclusive lock on a lock file while the block runs.

    The system releases the lock when the process ends, however it ends.
    """
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Do nothing on Windows, where NTFS journals the names itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
