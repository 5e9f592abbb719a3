"""What calls of the personal service are aimed at: declarations and documents that no test has used yet."""

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
    """One small file that nobody else has; all of them are equally long."""

    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def declared(self) -> Declaration:
        return {"name": "scan.pdf", "bytes": len(self.content), "sha256": self.sha256}


@dataclass(frozen=True)
class Target:
    """What a call is aimed at: an address, a declaration for it, a document for it."""

    key: str
    declaration: Declaration
    document: Document


def a_document() -> Document:
    return Document(b"%%PDF-1.4 fictional %09d" % next(_numbers))


def a_declaration(base: Declaration, *documents: Document) -> Declaration:
    """One that no test has used yet."""
    declared = [document.declared for document in documents]
    return base | {"reference": f"isolation {next(_numbers):09d}", "documents": declared}


def submitted(sender: Sender, base: Declaration, *, is_whole: bool = False) -> Target:
    """Declare two documents and put one, or both; the target's document is the other one."""
    here, other = a_document(), a_document()
    declaration = sender.open_submission(a_declaration(base, here, other))
    for document in (here, other) if is_whole else (here,):
        assert sender.put(declaration, document.content).status == 201
    return Target(sender.key(declaration), declaration, other)
