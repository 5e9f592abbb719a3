"""Entries that version 0.1.0 recorded, which do not tell who they are for.

If such an entry is for the same person as a new submission, its key results from that person and the entry's
other values. The remark, the branch and an employer's contacts are not in the ledger. So if the key differs,
nobody can tell.

A ledger may have many entries with one reference, such as that of a month, and a batch as many rows. So the
entries are read once. They never become more: only version 0.1.0 writes them, and it cannot use this ledger.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from typing import TYPE_CHECKING, NamedTuple

from docsend.model import fields
from docsend.model.canonical import canonicalize
from docsend.storage import identity_key, ledger_rows
from docsend.text import fold

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from docsend.model.canonical import Json
    from docsend.model.submission import CheckedSubmission
    from docsend.storage.ledger_rows import LedgerEntry

# What the ledger stores of a declaration. The rest is known from the new submission, or has to be guessed.
_RECORDED = ("category", "reference", "required", "occurrence")
_GUESSED = ("remark", "branch")
_MEMBERS = {field.name: field.member for field in fields.CONTENT_FIELDS}


class OldMatches(NamedTuple):
    """Keys of old entries that resemble a new submission.

    `certain` are for the same person. `perhaps` is the newest of the others with the same reference or the
    same documents, or None.
    """

    certain: tuple[str, ...] = ()
    perhaps: str | None = None


class _OldEntry(NamedTuple):
    """An old entry. `members` are the recorded members of its declaration as canonical JSON, by name."""

    key: str
    digest: bytes
    is_received: bool
    documents_sha256: bytes | None
    names: tuple[str, ...]
    members: dict[str, bytes]


class OldEntries:
    """The old entries of one service, for the whole run."""

    def __init__(self, connection: sqlite3.Connection, service: str) -> None:
        """Read the entries. Raise DamagedRow if one is damaged."""
        self._groups: dict[tuple[object, ...], list[_OldEntry]] = {}
        self._known: dict[str, OldMatches] = {}
        for row in ledger_rows.select(
            connection,
            f"WHERE service = ? AND content_digest IS NULL AND {ledger_rows.COUNTS}"
            " ORDER BY planned_at DESC, key",
            service,
        ):
            self._add(ledger_rows.with_documents(connection, row))

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._groups)

    def find(self, checked: CheckedSubmission) -> OldMatches:
        """Return the old entries that resemble a new submission."""
        if not self._groups:
            return OldMatches()
        known = self._known.get(checked.key)
        if known is None:
            known = self._known[checked.key] = self._find(checked)
        return known

    def _find(self, checked: CheckedSubmission) -> OldMatches:
        candidates = list(self._candidates(checked))
        # An export made anew usually has the names of the first one.
        names = _names(document.name for document in checked.documents)
        documents = identity_key.documents_digest(document.sha256 for document in checked.documents)
        digests = _Digests(checked)
        certain = []
        for entry in sorted(candidates, key=lambda entry: entry.names != names):
            if entry.digest in digests.of(entry):
                certain.append(entry.key)
                if entry.is_received and entry.documents_sha256 != documents:
                    break  # It is enough to refuse the new one. Comparing the others may take long.
        perhaps = next((entry.key for entry in candidates if entry.key not in certain), None)
        return OldMatches(tuple(certain), perhaps)

    def _add(self, entry: LedgerEntry) -> None:
        documents: list[Json] = [
            {"name": document.name, "bytes": document.size, "sha256": document.sha256}
            for document in entry.documents
        ]
        recorded = {_MEMBERS[name]: canonicalize(getattr(entry, name)) for name in _RECORDED}
        old = _OldEntry(
            entry.key,
            base64.b32decode(entry.key + "=" * (-len(entry.key) % 8)),
            entry.state == "received",
            entry.documents_sha256,
            _names(document.name for document in entry.documents),
            {**recorded, "documents": canonicalize(documents)},
        )
        about = (entry.to, entry.subject, entry.type)
        groups: list[tuple[object, ...]] = [("content", *about, entry.required, entry.documents_sha256)]
        if entry.reference:
            groups.append(("reference", *about, fold(entry.reference)))
        if entry.required:
            groups.append(("required", *about, entry.required))
        for group in groups:
            self._groups.setdefault(group, []).append(old)

    def _candidates(self, checked: CheckedSubmission) -> Iterator[_OldEntry]:
        """Yield the entries with the same documents, reference or required document, the newest first."""
        about = (checked.to, checked.subject, checked.type)
        documents = identity_key.documents_digest(document.sha256 for document in checked.documents)
        groups: list[tuple[object, ...]] = [("content", *about, checked.required, documents)]
        if checked.reference:
            groups.append(("reference", *about, fold(checked.reference)))
        if checked.required:
            groups.append(("required", *about, checked.required))
        seen: set[str] = set()
        for group in groups:
            for entry in self._groups.get(group, []):
                if entry.key not in seen:
                    seen.add(entry.key)
                    yield entry


class _Digests:
    """Digests of the declarations that a person may have sent, for comparison with many old entries.

    Encoding each whole declaration would take ten times as long.
    """

    def __init__(self, checked: CheckedSubmission) -> None:
        declared = checked.declaration()
        if checked.account is not None:
            declared["account"] = checked.account
        guesses = [
            {_MEMBERS[name]: value for name, value in zip(_GUESSED, values, strict=True)}
            for values in itertools.product(
                *(dict.fromkeys((getattr(checked, name), None)) for name in _GUESSED)
            )
        ]
        self._names = sorted(declared)
        self._variants = [
            {name: canonicalize(value) for name, value in {**declared, **guess}.items()} for guess in guesses
        ]
        self._starts = {name: canonicalize(name) + b":" for name in self._names}

    def of(self, entry: _OldEntry) -> list[bytes]:
        """Return the digests that the key of an entry may have if the entry is for this person."""
        return [
            hashlib.sha256(
                b"{"
                + b",".join(
                    [self._starts[name] + (entry.members.get(name) or variant[name]) for name in self._names]
                )
                + b"}"
            ).digest()
            for variant in self._variants
        ]


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
