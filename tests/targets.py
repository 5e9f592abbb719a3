"""New declarations and documents, which no test has used yet, as targets of calls to the personal service."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract_client import Declaration, Sender

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Document:
    """A small file with unique content; all of them have the same length."""

    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def declared(self) -> Declaration:
        return {"name": "scan.pdf", "bytes": len(self.content), "sha256": self.sha256}


@dataclass(frozen=True)
class Target:
    """The key, the declaration and the document that a call uses."""

    key: str
    declaration: Declaration
    document: Document


def new_document() -> Document:
    return Document(b"%%PDF-1.4 fictional %09d" % next(_numbers))


def new_declaration(base: Declaration, *documents: Document) -> Declaration:
    """Return a declaration with a new reference."""
    declared = [document.declared for document in documents]
    return base | {"reference": f"isolation {next(_numbers):09d}", "documents": declared}


def submit_documents(sender: Sender, base: Declaration, *, complete: bool = False) -> Target:
    """Declare two documents and put the first, or both; the target's document is the second."""
    first, second = new_document(), new_document()
    declaration = sender.open_submission(new_declaration(base, first, second))
    for document in (first, second) if complete else (first,):
        assert sender.put(declaration, document.content).status == 201
    return Target(sender.key(declaration), declaration, second)
