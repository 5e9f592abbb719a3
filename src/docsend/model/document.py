"""A document: one file of a submission, whether or not it could be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Defect: TypeAlias = Literal["damaged", "encrypted"]
UnreadReason: TypeAlias = Literal["not-found", "directory", "not-regular", "unreadable", "empty", "too-large"]


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """A file that was read.

    `size` is in bytes and `sha256` in hexadecimal. `format` is the format that was detected in the content,
    such as `pdf`, or None if it is unknown. It may be `html`, although no destination accepts that. `buffer`
    is the content that was hashed and checked, or None if the content is not in memory.
    """

    path: str
    name: str
    size: int
    sha256: str
    format: str | None = None
    defect: Defect | None = None
    buffer: bytes | None = None

    def __repr__(self) -> str:
        """Return a representation without the content."""
        return f"Document({self.path!r}, {self.size} bytes, {self.sha256[:12]})"

    def without_buffer(self) -> Document:
        """Return a copy without the buffer, to free its memory."""
        return self if self.buffer is None else replace(self, buffer=None)


@dataclass(frozen=True, slots=True)
class UnreadDocument:
    """A file that was not read, and the reason. `size` is in bytes, or None if unknown."""

    path: str
    name: str
    reason: UnreadReason
    size: int | None = None

    def without_buffer(self) -> UnreadDocument:
        """Return the document itself, because it has no buffer."""
        return self
