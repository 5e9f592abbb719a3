"""The key of the ledger's identity digests, and the digests themselves.

The ledger must recognize a person whom it has seen before without storing who that person is. It therefore
stores only digests (HMAC-SHA-256) under a random key, which is in a private file beside the ledger. Without
that file, nobody can find an identity number by computing the digests of all of them (docs/security.md).

A new key would recognize nobody. So a key is created only for a ledger without digests, and the ledger stores
a fingerprint of its key. A ledger whose key file is missing or differs cannot be used for sending.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from docsend.errors import LocalError
from docsend.i18n import Message
from docsend.model.canonical import canonicalize
from docsend.storage import files
from docsend.text import fold

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from docsend.model.canonical import Json
    from docsend.model.submission import CheckedSubmission

_KEY_BYTES = 32
_CONTENT = re.compile(rb"[0-9a-f]{64}\n?")


class IdentityDigests(NamedTuple):
    """Digests by which the ledger recognizes a submission that people would call the same.

    `reference` covers the person, the destination, the subject, the type and the reference as people read it
    (`text.fold`). It is None if the submission has no reference. `content` covers the person, the
    destination, the subject, the type, the required document and the documents' bytes, but no names.
    """

    reference: bytes | None
    content: bytes


class IdentityKey:
    """The random key of a ledger's identity digests."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        """Return a representation without the key."""
        return "IdentityKey()"

    @property
    def fingerprint(self) -> bytes:
        """Digest by which the ledger recognizes its key. It reveals nothing about the key."""
        return self._digest("docsend ledger key")

    def digests(self, checked: CheckedSubmission) -> IdentityDigests:
        """Return the digests of a submission. The account of a personal submission must be known."""
        same = _same(checked)
        return IdentityDigests(
            self._digest(["reference", *same, fold(checked.reference)]) if checked.reference else None,
            self.content_digest(checked, [document.sha256 for document in checked.documents]),
        )

    def content_digest(self, checked: CheckedSubmission, sha256s: Iterable[str]) -> bytes:
        """Return the digest `content` that a submission has if its documents have these SHA-256."""
        return self._digest(["content", *_same(checked), checked.required, sorted(sha256s)])

    def _digest(self, value: Json) -> bytes:
        return hmac.digest(self._key, canonicalize(value), "sha256")


def _same(checked: CheckedSubmission) -> list[str | None]:
    return [*checked.person, checked.to, checked.subject, checked.type]


def key_file(ledger: Path) -> Path:
    """Return the path of the key file that belongs to a ledger file."""
    return ledger.with_suffix(".key")


def documents_digest(sha256s: Iterable[str]) -> bytes:
    """Return the digest of a submission's documents, given their SHA-256. It contains no identity.

    It finds the submissions of version 0.1.0 with the same documents, which have no identity digests.
    """
    return hashlib.sha256("\n".join(sorted(sha256s)).encode("ascii", "replace")).digest()


def load_or_create(ledger: Path) -> IdentityKey:
    """Return the key beside a ledger that has no digests yet. Create it durably if there is none.

    The caller must hold the ledger's write lock. Raise LocalError if the file is not a key, and OSError if it
    cannot be read or written.
    """
    file = key_file(ledger)
    if not file.exists():
        # Durable before the first digest: digests without their key would be useless.
        files.replace_file(file, os.urandom(_KEY_BYTES).hex().encode("ascii") + b"\n")
    return _read(file)


def load_existing(ledger: Path) -> IdentityKey:
    """Return the key beside a ledger that has lost its fingerprint. Raise LocalError if there is none."""
    file = key_file(ledger)
    try:
        return _read(file)
    except OSError as error:
        raise _unusable_key(file, files.reason(error)) from error


def load(ledger: Path, fingerprint: bytes) -> IdentityKey:
    """Return the key of a ledger, which has this fingerprint.

    Raise LocalError if the file is missing, cannot be read, or contains another key.
    """
    key = load_existing(ledger)
    if key.fingerprint != fingerprint:
        raise _unusable_key(key_file(ledger), Message("it is the key of another ledger"))
    return key


def _read(file: Path) -> IdentityKey:
    content = files.read_limited(file, max_bytes=1000)
    if not _CONTENT.fullmatch(content):
        raise _unusable_key(file, Message("the file is damaged"))
    return IdentityKey(bytes.fromhex(content.decode("ascii")))


def _unusable_key(file: Path, reason: Message) -> LocalError:
    return LocalError(
        Message("the ledger's key file {file} cannot be used: {reason}", file=file, reason=reason),
        Message(
            "restore it from a backup; as the last resort, move the ledger and its key file aside: the "
            "service still recognizes the same submissions, but earlier references and contents are no "
            "longer known"
        ),
    )
