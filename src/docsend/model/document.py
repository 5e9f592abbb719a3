"""A document: one file that is to be sent, read or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Defect: TypeAlias = Literal["damaged", "encrypted"]
UnreadReason: TypeAlias = Literal["not-found", "directory", "not-regular", "unreadable", "empty", "too-large"]


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """One file that was read: its digest and what its bytes turned out to be.

    `format` is what the content is (`pdf`, `jpeg`, ... or another known kind such as `html`), None if no
    known kind. `held` is the very buffer that was hashed and checked, if there was room to keep it.
    """

    path: str
    name: str
    size: int
    sha256: str
    format: str | None = None
    defect: Defect | None = None
    buffer: bytes | None = None

    def __repr__(self) -> str:
        """Say which one it is, and not its bytes."""
        return f"Document({self.path!r}, {self.size} bytes, {self.sha256[:12]})"

    def without_buffer(self) -> Document:
        """Return the same document without its bytes, which take up memory."""
        return self if self.buffer is None else replace(self, buffer=None)


@dataclass(frozen=True, slots=True)
class UnreadDocument:
    """A file that could not be read, or was not because of its size (in bytes, if known), and why."""

    path: str
    name: str
    reason: UnreadReason
    size: int | None = None

    def without_buffer(self) -> UnreadDocument:
        """Return the same: there are no bytes."""
        return self
