"""A document: one file of a submission, whether or not it could be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

DefectKind: TypeAlias = Literal[
    "altered",  # a program converted the file as if it were text
    "damaged",  # truncated or corrupt
    "doubtful",  # the structure alone does not tell whether the file can be opened
    "lengths-wrong",  # parts of a PDF are longer or shorter than it says
    "lines-altered",  # line endings were converted
    "chunked",  # the chunk sizes of an HTTP response were left in the file
    "needs-certificate",  # a PDF that is encrypted for the holder of a certificate
    "needs-password",  # a PDF that is encrypted and cannot be opened without a password
    "no-page",  # a PDF without pages
    "not-decoded",  # the decoder reached a limit on time or memory
    "password-unknown",  # a PDF that is encrypted in a way that cannot be checked here
    "portfolio",  # a PDF that consists of a cover sheet and attached files
    "rare",  # a variant of an image format that some viewers cannot open
    "repaired",  # damaged in a way that viewers repair silently
    "restricted",  # a PDF that opens without a password, but forbids printing, copying or changes
    "unusual",  # a variant of an image format that common viewers cannot open
    "xfa",  # a form that only Adobe's programs can show
]
UnreadReason: TypeAlias = Literal["not-found", "directory", "not-regular", "unreadable", "empty", "too-large"]


@dataclass(frozen=True, slots=True)
class Defect:
    """Something in a document's content that may keep a clerk from reading it.

    `details` are the operations that a "restricted" PDF forbids, the name of a "rare" variant and of
    its compression, or "pages" if a "repaired" document may have lost pages.
    `is_certain` is false if a real decoder, where one is installed, has to confirm the defect.
    """

    kind: DefectKind
    details: tuple[str, ...] = ()
    is_certain: bool = True


class Document(NamedTuple):
    """A file that was read.

    `size` is in bytes and `sha256` in hexadecimal. `format` is detected from the content: a name such as
    `pdf`, or `html`, which no destination accepts; None if unknown. `defects` are what is wrong with the
    content. `buffer` is the content that was hashed and checked, or None if it is not in memory.
    """

    path: str
    name: str
    size: int
    sha256: str
    format: str | None = None
    defects: tuple[Defect, ...] = ()
    buffer: bytes | None = None

    def __repr__(self) -> str:
        """Return a representation without the content."""
        return f"Document({self.path!r}, {self.size} bytes, {self.sha256[:12]})"

    def without_buffer(self) -> Document:
        """Return a copy without the buffer, to free its memory."""
        return self if self.buffer is None else self._replace(buffer=None)


class UnreadDocument(NamedTuple):
    """A file that was not read, and the reason. `size` is in bytes, or None if unknown."""

    path: str
    name: str
    reason: UnreadReason
    size: int | None = None

    def without_buffer(self) -> UnreadDocument:
        """Return the document itself, because it has no buffer."""
        return self
