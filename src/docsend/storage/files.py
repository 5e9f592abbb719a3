"""Files: written durably, and for their owner alone; read without waiting for what is no file."""

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

# Without O_NONBLOCK a FIFO would hang the open; Windows has no such files, but asks for O_BINARY.
READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
# The system's own reasons, by errno: in English as every system has them, and to be translated.
_REASONS = {
    errno.EACCES: Message("Permission denied"),
    errno.EADDRINUSE: Message("Address already in use"),
    errno.EBUSY: Message("Device or resource busy"),
    errno.EDQUOT: Message("Disk quota exceeded"),
    errno.EEXIST: Message("File exists"),
    errno.EFBIG: Message("File too large"),
    errno.EINVAL: Message("Invalid argument"),
    errno.EIO: Message("Input/output error"),
    errno.EISDIR: Message("Is a directory"),
    errno.ELOOP: Message("Too many levels of symbolic links"),
    errno.EMFILE: Message("Too many open files"),
    errno.ENAMETOOLONG: Message("File name too long"),
    errno.ENOENT: Message("No such file or directory"),
    errno.ENOSPC: Message("No space left on device"),
    errno.ENOTDIR: Message("Not a directory"),
    errno.ENXIO: Message("No such device or address"),
    errno.EPERM: Message("Operation not permitted"),
    errno.EROFS: Message("Read-only file system"),
}
# Where a system cannot tell what the effective user may do, it is told of the real one.
_CAN_CHECK_EFFECTIVE_IDS = os.access in os.supports_effective_ids


class UnsuitableFile(OSError):
    """A file that can be opened, and is still none to read: no regular one, or too large."""

    def __init__(self, number: int, reason: Message) -> None:
        super().__init__(number, ENGLISH.render(reason))
        self.reason = reason


def reason(error: OSError) -> Message:
    """Return why the system, or this module, refused something."""
    if isinstance(error, UnsuitableFile):
        return error.reason
    known = None if error.errno is None else _REASONS.get(error.errno)
    return known or Message.verbatim(error.strerror or type(error).__name__)


def open_regular(file: Path, *, allow_pipe: bool = False) -> IO[bytes]:
    """Open a regular file for reading; raise OSError for a folder, a device or a socket.

    A pipe is accepted if `or_pipe`: as in `<(pass show docsend)`, and one that nobody writes is empty.
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
    raise UnsuitableFile(errno.EINVAL, Message("it is not a regular file"))


def read_limited(path: Path, *, max_bytes: int) -> bytes:
    """Read a regular file; raise OSError also for one of more than `most` bytes."""
    with open_regular(path) as opened:
        content = opened.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnsuitableFile(errno.EFBIG, Message("it has more than {most:,} bytes", most=max_bytes))
    return content


def hint(file: Path, error: OSError | None = None) -> Message:
    """Return what to do about a file that cannot be read or written; it may be somebody else's."""
    place = _nearest_existing(file)
    owner = _blocking_owner(place)
    if owner is not None:
        return foreign_owner_hint(owner)
    if isinstance(error, PermissionError):
        if place != file:
            return Message("chmod u+rwx {folder}", folder=place)
        return Message("chmod u+rw {file}", file=file)
    return Message("look at the file, and at the disk's space")


def foreign_owner_hint(owner: str) -> Message:
    """Return what to do about a file that somebody else owns."""
    return Message(
        "it belongs to {owner}, who alone can change it: set HOME or DOCSEND_HOME to a folder of your own",
        owner=owner,
    )


def _nearest_existing(file: Path) -> Path:
    """Return the file, or what is there of the folders above it."""
    for place in (file, *file.parents):
        with contextlib.suppress(OSError):
            place.stat()
            return place
    return file


def _blocking_owner(place: Path) -> str | None:
    """Return who else owns a file or folder that we may not write; None for what is ours, and on Windows."""
    return None if _may_write(place) else other_owner(place)


def other_owner(place: Path) -> str | None:
    """Return who owns a file that is not ours to change; None for a root who may, and on Windows."""
    if sys.platform == "win32":
        return None
    with contextlib.suppress(OSError):
        owner = place.stat().st_uid
        if owner == os.geteuid() or (os.geteuid() == 0 and _may_write(place)):
            return None
        import pwd

        with contextlib.suppress(KeyError):
            return pwd.getpwuid(owner).pw_name
        return str(owner)
    return None


def _may_write(place: Path) -> bool:
    return os.access(place, os.R_OK | os.W_OK, effective_ids=_CAN_CHECK_EFFECTIVE_IDS)


def create_private(file: Path) -> IO[bytes]:
    """Create a file for its owner alone, whatever the umask; raise FileExistsError if one is there."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(file, flags, 0o600), "wb")


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, durably; what is there already is left as it is.

    Its name is synced all the same: a process that was killed may have made it and not lived to do so.
    """
    if folder.is_dir():
        with contextlib.suppress(PermissionError):  # the home's parent need not be ours to read
            sync_folder(folder.parent)
        return
    make_private_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)  # a strict umask takes away what its owner needs
    sync_folder(folder.parent)


def make_private_file(file: Path) -> None:
    """Make an empty file, durably, unless it is there: others would ask for wider permissions."""
    with contextlib.suppress(FileExistsError):
        create_private(file).close()
        sync_folder(file.parent)


def sync_journal(database: Path) -> None:
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
    beside = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    try:
        with create_private(beside) as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


@contextlib.contextmanager
def lock(file: Path) -> Iterator[None]:
    """Hold a lock, a file of its own, while the block runs; it ends with its process, whatever happens."""
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
    """Put the names in a folder on the disk. Windows has no such call: NTFS journals names itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
