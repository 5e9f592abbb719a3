"""Read documents: hash a file, detect its format and check it, all from one buffer.

The buffers of small submissions stay in memory until they are sent. Larger documents are read again before
they are sent, and `read_content` returns their bytes only if these have not changed since the check.
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

from docsend.checks import defects
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

# Limit for the documents of one submission that stay in memory between the check and the upload.
BUFFER_BYTES = 16 * 2**20
_MIN_BYTES_FOR_THREADS = 2 * 2**20  # Below this, starting threads costs more than it saves.
_SMALL_BYTES = 64 * 1024  # of a file that is checked together with others
_GROUP_BYTES = 256 * 1024  # of the files that are checked together
_SEPARATORS = f"{os.sep}{os.altsep or ''}"


def read_all(
    paths: Iterable[str | os.PathLike[str]],
    *,
    max_bytes: int,
    buffer_up_to: int = BUFFER_BYTES,
    is_thorough: bool = False,
    follow_links: bool = True,
) -> tuple[Document | UnreadDocument, ...]:
    """Read and check every file, and return the documents in the order of the paths.

    A file that cannot be read, or that has more than `max_bytes` bytes, is returned as an UnreadDocument; no
    error is raised. Up to `buffer_up_to` bytes of the documents stay in memory. Without `follow_links`, a
    symbolic link is "not-found" (except on Windows).
    """
    names = [os.fspath(path) for path in paths]
    flags = files.READ_FLAGS if follow_links else files.READ_FLAGS | files.NO_LINK
    budget = _BufferBudget(buffer_up_to)
    if len(names) == 1:
        return (_read_document(names[0], max_bytes, flags, budget, is_thorough=is_thorough),)
    read = functools.partial(
        _read_document, max_bytes=max_bytes, flags=flags, budget=budget, is_thorough=is_thorough
    )
    if sum(map(_file_size, names)) >= _MIN_BYTES_FOR_THREADS:
        # Reading and hashing release the GIL, so two threads work in parallel with one buffer each.
        with contextlib.suppress(RuntimeError), _thread_pool(2) as pool:  # RuntimeError: no thread can start
            return tuple(pool.map(read, names))
    return tuple(map(read, names))


def read_small(paths: Iterable[str], *, is_thorough: bool = False) -> dict[str, Document]:
    """Read and check the small files among these, and return the documents by path, without their content.

    Each step is done for a group of files before the next step. Done for one file at a time, the steps would
    take a third longer, because each would find the processor's caches filled by the system and the others.
    Files that are large, symbolic links, or cannot be read are left out.
    """
    find = functools.partial(defects.find, is_thorough=is_thorough)
    documents: dict[str, Document] = {}
    for contents in _read_small_contents(paths):
        formats = list(map(detect.detect_format, contents.values()))
        found = list(map(find, contents.values(), formats))
        digests = [hashlib.sha256(content).hexdigest() for content in contents.values()]
        names, sizes = map(_name, contents), map(len, contents.values())
        created = map(Document, contents, names, sizes, digests, formats, found)
        documents.update(zip(contents, created, strict=True))
    return documents


def _read_small_contents(paths: Iterable[str]) -> Iterator[dict[str, bytes]]:
    """Yield the contents of small files by path, in groups that fit into a processor's cache."""
    contents: dict[str, bytes] = {}
    group_bytes = 0
    for path in paths:
        content = _read_file(path, _SMALL_BYTES, files.READ_FLAGS | files.NO_LINK)
        if isinstance(content, bytes):
            contents[path] = content
            group_bytes += len(content)
        if group_bytes >= _GROUP_BYTES:
            yield contents
            contents, group_bytes = {}, 0
    yield contents


def _thread_pool(count: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(count)


class _BufferBudget:
    """Memory budget for the documents that stay in memory between the check and the upload."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def reserve(self, size: int) -> bool:
        """Reserve `size` bytes and return True, or return False if fewer are left."""
        if size > self._left:  # No lock is needed, because the budget only shrinks.
            return False
        with self._lock:
            self._left -= size if (fits := size <= self._left) else 0
            return fits


def _file_size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _read_document(
    path: str, max_bytes: int, flags: int, budget: _BufferBudget, *, is_thorough: bool
) -> Document | UnreadDocument:
    """Read a file once and check its content, which stays in memory if the budget allows."""
    name = _name(path)
    content = _read_file(path, max_bytes, flags)
    if not isinstance(content, bytes):
        reason, size = content
        return UnreadDocument(path, name, reason, size)
    format_ = detect.detect_format(content)
    found = defects.find(content, format_, is_thorough=is_thorough)
    buffer = content if budget.reserve(len(content)) else None
    return Document(path, name, len(content), hashlib.sha256(content).hexdigest(), format_, found, buffer)


def within_limit(document: Document | UnreadDocument, max_bytes: int) -> Document | UnreadDocument:
    """Return the document, or an UnreadDocument "too-large" if it has more than `max_bytes` bytes."""
    if isinstance(document, Document) and document.size > max_bytes:
        return UnreadDocument(document.path, document.name, "too-large", document.size)
    return document


def read_contents(documents: Sequence[Document]) -> Iterator[tuple[Document, bytes]]:
    """Yield each document with the bytes that were checked, in order.

    While the caller sends one document, a thread reads the next and compares its digest. Raises
    InvalidSubmission as `read_content` does.
    """
    if len(documents) < 2 or all(document.buffer is not None for document in documents):
        yield from ((document, read_content(document)) for document in documents)
        return
    with _thread_pool(1) as pool:
        try:
            pending = pool.submit(read_content, documents[0])
        except RuntimeError:  # no thread can start
            yield from ((document, read_content(document)) for document in documents)
            return
        for document, following in zip(documents, (*documents[1:], None), strict=True):
            content = pending.result()
            if following is not None:
                pending = pool.submit(read_content, following)
            yield document, content
            del content  # At most two buffers are in memory at a time, not three.


def read_content(document: Document) -> bytes:
    """Return the bytes that were checked. Raise InvalidSubmission if the file has changed since then."""
    if document.buffer is not None:
        return document.buffer
    content = _read_file(document.path, document.size)
    if isinstance(content, bytes) and hashlib.sha256(content).hexdigest() == document.sha256:
        return content
    problem = Problem(
        Code.DOCUMENT_CHANGED,
        Message("{name} was changed, moved or removed while it was being sent", name=document.name),
        Message(
            "run the same command again: the service has not received this submission, and the documents "
            "will be checked again"
        ),
        document=document.name,
    )
    raise InvalidSubmission(problem.message, problem.hint, [problem])


def _name(path: str) -> str:
    """Return the name of a document: the last part of its path in normal form C."""
    name = os.path.basename(path.rstrip(_SEPARATORS))
    if name in ("", os.curdir):
        name = Path(path).name or path
    return unicodedata.normalize("NFC", _as_utf8(name))


def _as_utf8(name: str) -> str:
    """Return the file name decoded as UTF-8, because Python decodes it as ASCII in the C locale."""
    if sys.platform == "win32" or name.isascii():
        return name
    try:
        return os.fsencode(name).decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # The name is from a manifest and cannot exist in this locale.
        return name


def _read_file(  # noqa: PLR0911 - a list of cases
    path: str, max_bytes: int, flags: int = files.READ_FLAGS
) -> bytes | tuple[UnreadReason, int | None]:
    """Return the bytes of a file, or the reason why it was not read and its size if known."""
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        return _unread_reason(path, error), None
    except ValueError:  # The path contains a NUL.
        return "not-found", None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return "directory" if stat.S_ISDIR(status.st_mode) else "not-regular", None
        if status.st_size > max_bytes:
            return "too-large", status.st_size
        # Reading one byte more than allowed detects files that grow while they are read, and files in
        # /proc, which report a size of 0.
        content = _read_up_to(descriptor, max_bytes + 1, expected=status.st_size)
    except OSError:
        return "unreadable", None
    finally:
        os.close(descriptor)
    if len(content) > max_bytes:
        return "too-large", len(content)
    return content or ("empty", 0)


def _read_up_to(descriptor: int, limit: int, *, expected: int) -> bytes:
    """Read to the end of the file or up to `limit` bytes, in one call if the file has the expected size."""
    content = os.read(descriptor, min(expected + 1, limit))
    if expected and len(content) == expected:
        return content  # One byte more was asked for, so this is the end.
    while len(content) < limit and (piece := os.read(descriptor, min(2**20, limit - len(content)))):
        content += piece
    return content


def _unread_reason(path: str, error: OSError) -> UnreadReason:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP):
        return "not-found"
    if error.errno in (errno.ENXIO, errno.ENODEV):  # A socket, or a device that does not exist.
        return "not-regular"
    # On Windows, opening a folder fails with "access denied".
    return "directory" if os.path.isdir(path) else "unreadable"
