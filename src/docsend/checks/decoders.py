"""Decode documents completely, with real decoders (pikepdf, Pillow), in a child process.

Decoders are large programs in C that read whatever somebody sends. One that crashes, hangs or needs all
memory does so in the child, which holds no credentials and no other document.

The child (`decoder_process`) starts with the first document and decodes all later ones, one at a time.
`isolation.processes` starts it.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import json
import os
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from docsend.isolation.processes import START_LIMIT_S, ChildProcess

if TYPE_CHECKING:
    from docsend.model.document import DefectKind

Outcome = Literal["opens", "damaged", "needs-password", "unsupported", "gave-up", "unavailable"]

# When this time has passed, no further page or picture of a document is tried. A hundred pages of a fax
# (11 MB) take one second, and a picture of a PDF 60 ms.
PAGES_LIMIT_S = 3.0
# A page of A4 with 600 dots per inch takes less than half a second, and after three seconds the child starts
# no further page. Only a page that is itself extreme takes longer.
_DOCUMENT_LIMIT_S = 5.0
_MAX_FAILED_STARTS = 3  # An installation that does not work costs no more than this many attempts.
# Decoders may leak memory. A start every 500 documents takes half a millisecond of each.
_MAX_DOCUMENTS = 500
_MODULE = "docsend.checks.decoder_process"


class Decoded(NamedTuple):
    """What decoding a document showed.

    `outcome` is "opens" if every page that was tried decodes; "damaged" if the decoder found the data corrupt
    or incomplete; "needs-password"; "unsupported" if the decoder does not know this variant of the format,
    which says nothing about damage; "gave-up" if a limit of time, memory or pixels was reached; "unavailable"
    if the decoder does not work on this computer, which says nothing about the document.
    """

    outcome: Outcome
    is_repaired: bool = (
        False  # It opens, but the decoder had to repair its structure or to skip a part of it.
    )
    is_encrypted: bool = False  # A PDF that is encrypted and opens without a password.
    forbidden: tuple[str, ...] = ()  # What the owner of a PDF forbids, of FORBIDDEN.
    has_errors: bool = False  # It opens, but some data of its pages or pictures is corrupt.
    needs_adobe: tuple[DefectKind, ...] = ()  # What only Adobe's programs show of a PDF, of NEEDS_ADOBE.


FORBIDDEN = ("printing", "changing", "copying", "commenting", "sharp-printing")
NEEDS_ADOBE: tuple[DefectKind, ...] = ("xfa", "portfolio")
_GAVE_UP = Decoded("gave-up")
_UNAVAILABLE = Decoded("unavailable")


@functools.cache
def are_installed() -> bool:
    """Return whether pikepdf and Pillow are installed. They are looked for, not imported."""
    try:
        return all(importlib.util.find_spec(name) for name in ("pikepdf", "PIL"))
    except (ImportError, ValueError):  # ValueError: a module in sys.modules without a spec
        return False


def decode(content: bytes, format_name: str) -> Decoded:
    """Decode a document in the child process, which is started if there is none.

    `format_name` is "pdf", "jpeg", "png", "tiff", "bigtiff" or "bmp". The call takes at most five seconds,
    and up to ten more if a decoder has to be started; calls from several threads wait for each other. No
    error is raised: if the decoder fails, for whatever reason, the outcome is "gave-up", or "unavailable" if
    it could not even be started.
    """
    return _decoders.decode(content, format_name)


def close() -> None:
    """End the child process, if there is one. The next document starts another one."""
    _decoders.close()


class _Child(ChildProcess):
    """A running child process, with the decoders that it has imported."""

    def __init__(self) -> None:
        """Start the process. Raise OSError if this is not possible."""
        super().__init__(_MODULE)
        self._loaded: set[str] = set()
        self._documents = 0

    @property
    def is_usable(self) -> bool:
        return self._documents < _MAX_DOCUMENTS and self.process.poll() is None

    def load(self, format_name: str) -> bool:
        """Make the child import the decoder of a format, and return whether it could."""
        if format_name not in self._loaded and self._ask(b"", format_name, START_LIMIT_S) is not None:
            self._loaded.add(format_name)
        return format_name in self._loaded

    def decode(self, content: bytes, format_name: str) -> Decoded:
        self._documents += 1
        return self._ask(content, format_name, _DOCUMENT_LIMIT_S) or _GAVE_UP

    def _ask(self, content: bytes, format_name: str, limit_s: float) -> Decoded | None:
        """Return the child's reply, or None if it died, sent anything else, or was killed after `limit_s`."""

        def exchange() -> Decoded | None:
            self.write(f"{format_name} {len(content)}\n".encode("ascii"))
            self.write(content)
            return _parse_reply(self.read_line())

        return self.run(exchange, limit_s)


class _Decoders:
    """The child of this process: started when it is needed, and replaced when it has ended."""

    def __init__(self) -> None:
        self._child: _Child | None = None
        self._lock = threading.Lock()
        self._failed_starts = Counter[str]()  # by format, since one decoder may work and the other not

    def decode(self, content: bytes, format_name: str) -> Decoded:
        with self._lock:
            try:
                child = self._start(format_name)
                decoded = _UNAVAILABLE if child is None else child.decode(content, format_name)
            except BaseException:
                # An interruption leaves half a document or a reply to it in the pipes.
                self._discard()
                raise
            if decoded.outcome in ("gave-up", "unavailable"):
                self._discard()
            return decoded

    def _start(self, format_name: str) -> _Child | None:
        """Return a child that has imported the decoder, or None if none can be started."""
        if self._failed_starts[format_name] >= _MAX_FAILED_STARTS:
            return None
        if self._child is not None and not self._child.is_usable:
            self._end()
        try:
            self._child = self._child or _Child()
        except OSError:
            is_loaded = False
        else:
            is_loaded = self._child.load(format_name)
        self._failed_starts[format_name] = 0 if is_loaded else self._failed_starts[format_name] + 1
        return self._child if is_loaded else None

    def _discard(self) -> None:
        """Kill the child, whatever it is doing."""
        if self._child is not None:
            self._child.kill()
            self._end()

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def close(self) -> None:
        child = self._child
        if self._lock.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._lock.release()
        elif child is not None:  # Another thread is decoding; it sees that the child has ended.
            child.kill()

    def forget(self) -> None:
        """In a forked copy of this process: leave the child, which is the original's, to the original."""
        if self._child is not None:
            self._child.disown()
        self._child = None
        self._lock = threading.Lock()  # Another thread of the original may hold it.


def _parse_reply(line: bytes) -> Decoded | None:
    """Return the child's reply, or None if it is none. A document may have taken over the decoder."""
    try:
        outcome, is_repaired, is_encrypted, forbidden, has_errors, needs_adobe = json.loads(line)
        are_known = set(forbidden) <= set(FORBIDDEN) and set(needs_adobe) <= set(NEEDS_ADOBE)
        if outcome in get_args(Outcome) and are_known:
            return Decoded(
                outcome,
                bool(is_repaired),
                bool(is_encrypted),
                tuple(forbidden),
                bool(has_errors),
                tuple(needs_adobe),
            )
    except (ValueError, TypeError):
        pass
    return None


_decoders = _Decoders()
atexit.register(close)
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_decoders.forget)
