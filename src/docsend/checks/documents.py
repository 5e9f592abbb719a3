"""A path becomes a Document: its bytes are read, hashed and recognised, each from one and the same buffer.

Small sets of documents stay in memory from here to the wire. What does not fit is read again when its
turn comes, and `content` gives those bytes only if they are still the ones that were checked.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import stat
import sys
import threading
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from docsend.checks.formats import detect
from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.model.document import Document, UnreadDocument
from docsend.model.problem import Problem
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from docsend.model.document import UnreadReason

# Documents of one submission that stay in memory between check and sending, together at most this much.
BUFFER_BYTES = 16 * 2**20
_WORTH_A_THREAD = 2 * 2**20
_SEPARATORS = f"{os.sep}{os.altsep or ''}"


def read_all(
    paths: Iterable[str | os.PathLike[str]], *, max_bytes: int, buffer_up_to: int = BUFFER_BYTES
) -> tuple[Document | UnreadDocument, ...]:
    """Read every path in the order given. A file of more than `at_most` bytes is not read.

    Whatever is wrong with a file is in the UnreadDocument that stands in its place; nothing raises.
    """
    names = [os.fspath(path) for path in paths]

    def read_into(room: _BufferBudget, path: str) -> Document | UnreadDocument:
        return _document(path, at_most=max_bytes, room=room)

    if len(names) > 1 and sum(map(_size, names)) >= _WORTH_A_THREAD:
        # Reading and hashing need no lock of Python's: two go on at the same time, with a buffer each.
        with contextlib.suppress(RuntimeError), _threads(2) as pool:  # if this machine has room for them
            return tuple(pool.map(functools.partial(read_into, _BufferBudget(buffer_up_to)), names))
    return tuple(map(functools.partial(read_into, _BufferBudget(buffer_up_to)), names))


def _threads(count: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(count)


class _BufferBudget:
    """The memory for documents that stay there between check and sending."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def reserve(self, size: int) -> bool:
        """Tell whether there is room for so many bytes, which are then taken."""
        if size > self._left:  # and it only becomes less
            return False
        with self._lock:
            self._left -= size if (fits := size <= self._left) else 0
            return fits


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _document(path: str, *, at_most: int, room: _BufferBudget) -> Document | UnreadDocument:
    """Read one file once: hash, recognise and check that buffer, and keep it if there is room."""
    name = os.path.basename(path.rstrip(_SEPARATORS))
    if name in ("", os.curdir):
        name = Path(path).name or path
    name = unicodedata.normalize("NFC", _in_utf8(name))
    content = _read(path, at_most)
    if not isinstance(content, bytes):
        reason, size = content
        return UnreadDocument(path, name, reason, size)
    kind = detect.detect_format(content)
    defect = detect.find_defect(content, kind)
    held = content if room.reserve(len(content)) else None
    return Document(path, name, len(content), hashlib.sha256(content).hexdigest(), kind, defect, held)


def within_limit(document: Document | UnreadDocument, at_most: int) -> Document | UnreadDocument:
    """Return a document, or one that was not read for its size if it has more than `at_most` bytes."""
    if isinstance(document, Document) and document.size > at_most:
        return UnreadDocument(document.path, document.name, "too-large", document.size)
    return document


def read_contents(documents: Sequence[Document]) -> Iterator[tuple[Document, bytes]]:
    """Give each document with the bytes that were checked, in order; raise FaultySubmission as `content`.

    While the caller sends one that had to be let go, the next is read and compared.
    """
    if len(documents) < 2 or all(document.buffer is not None for document in documents):
        yield from ((document, read_content(document)) for document in documents)
        return
    with _threads(1) as pool:
        try:
            coming = pool.submit(read_content, documents[0])
        except RuntimeError:  # this machine has no room for a thread
            yield from ((document, read_content(document)) for document in documents)
            return
        for document, following in zip(documents, (*documents[1:], None), strict=True):
            checked = coming.result()
            if following is not None:
                coming = pool.submit(read_content, following)
            yield document, checked
            del checked  # two buffers at a time, not three


def read_content(document: Document) -> bytes:
    """Give the bytes that were checked, to be sent; raise FaultySubmission if the file has changed since."""
    if document.buffer is not None:
        return document.buffer
    found = _read(document.path, document.size)
    if isinstance(found, bytes) and hashlib.sha256(found).hexdigest() == document.sha256:
        return found
    problem = Problem(
        Code.DOCUMENT_CHANGED,
        Message("{name} was changed, moved or removed while it was being sent", name=document.name),
        Message(
            "run the same command again: it is checked anew, and nothing of this submission was received"
        ),
        document=document.name,
    )
    raise InvalidSubmission(problem.message, problem.hint, [problem])


def _in_utf8(name: str) -> str:
    """Give a name as what its bytes say in UTF-8; in the C locale Python would read them as ASCII."""
    if sys.platform == "win32" or name.isascii():
        return name
    try:
        return os.fsencode(name).decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # from a manifest: no file has such a name in this locale
        return name


def _read(path: str, at_most: int) -> bytes | tuple[UnreadReason, int | None]:  # noqa: PLR0911 - a list of cases
    """Give the bytes, or why there are none and the size if it is known."""
    try:
        descriptor = os.open(path, files.READ_FLAGS)
    except OSError as error:
        return _reason(path, error), None
    except ValueError:  # a NUL in the path
        return "not-found", None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return "directory" if stat.S_ISDIR(found.st_mode) else "not-regular", None
        if found.st_size > at_most:
            return "too-large", found.st_size
        # One byte more than allowed: a file that grows while it is read, or one of /proc that states
        # no size, shows itself.
        content = _read_up_to(descriptor, at_most + 1, expected=found.st_size)
    except OSError:
        return "unreadable", None
    finally:
        os.close(descriptor)
    if len(content) > at_most:
        return "too-large", len(content)
    return content or ("empty", 0)


def _read_up_to(descriptor: int, limit: int, *, expected: int) -> bytes:
    """Read to the end of the file or to `limit`, nearly all at once where it has the size that it states."""
    content = os.read(descriptor, min(expected + 1, limit))
    while len(content) < limit and (piece := os.read(descriptor, min(2**20, limit - len(content)))):
        content += piece
    return content


def _reason(path: str, error: OSError) -> UnreadReason:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP):
        return "not-found"
    if error.errno in (errno.ENXIO, errno.ENODEV):  # a socket, or a device that is not there
        return "not-regular"
    # Windows cannot open a folder and says "access denied".
    return "directory" if os.path.isdir(path) else "unreadable"
