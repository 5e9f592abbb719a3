"""Earlier submissions that people would call the same as a new one, although their keys differ.

- The same reference: the reference, the person, the destination, the subject and the type are equal, but not
  the documents, as when a payroll program exports a month anew.
- The same required document: its id and the person are equal, but not the documents.
- The same content: the documents, the person, the destination, the subject, the type and the required
  document are equal, but not the names, the remark, the branch or the reference.

The queries run in the transaction that records the new submission, so that of two processes only one finds
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from docsend.storage import ledger_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from docsend.model.submission import CheckedSubmission
    from docsend.storage.identity_key import IdentityDigests, IdentityKey
    from docsend.storage.ledger_rows import LedgerEntry
    from docsend.storage.old_entries import OldMatches

Sameness: TypeAlias = Literal["reference", "required", "content"]


class EarlierSubmission(NamedTuple):
    """An earlier submission with its documents, and what is the same as in the new one.

    `is_certain` is false if the ledger does not know whether both are for the same person.
    """

    entry: LedgerEntry
    same: Sameness
    is_certain: bool = True

    @property
    def is_received(self) -> bool:
        """Whether the submission was received, as far as the ledger knows."""
        return self.entry.state == "received"


class NotPlanned(NamedTuple):
    """Why a submission was not recorded.

    `earlier` are the earlier submissions that are the same. `lower_occurrence` is an occurrence of the same
    content that must be received first, and `lower_entry` its entry, or None if the ledger has none.
    `unfinished` is the entry of the submission itself, if an earlier run did not finish it.
    """

    earlier: tuple[EarlierSubmission, ...] = ()
    unfinished: LedgerEntry | None = None
    lower_occurrence: int | None = None
    lower_entry: LedgerEntry | None = None


def find(
    connection: sqlite3.Connection,
    service: str,
    checked: CheckedSubmission,
    key: IdentityKey,
    old: OldMatches,
) -> list[EarlierSubmission]:
    """Return the earlier submissions that people would call the same as `checked`, oldest first.

    Other occurrences of the same content are not among them. `old` are those that version 0.1.0 recorded.
    """
    digests = key.digests(checked)
    found: dict[str, EarlierSubmission] = {}
    for each in (
        *_by_digests(connection, service, digests),
        *_by_requirement(connection, service, checked, key),
        *_without_digests(connection, service, checked, old),
    ):
        if not _is_occurrence(each.entry, checked) and each.entry.key not in found:
            entry = each.entry if each.entry.documents else ledger_rows.with_documents(connection, each.entry)
            if each.same == "content" or not _has_same_documents(entry, checked):
                found[entry.key] = each._replace(entry=entry)
    return sorted(found.values(), key=lambda each: each.entry.planned_at)


def find_same(connection: sqlite3.Connection, entry: LedgerEntry) -> LedgerEntry | None:
    """Return another entry that is the same as this one, or may be, as far as the ledger alone can tell.

    An entry of version 0.1.0 does not tell who it is for. So it may be the same as each entry with the same
    reference or the same documents. A received entry is preferred. Other occurrences do not count.
    """
    row = connection.execute(
        "SELECT reference_digest, content_digest FROM submission WHERE service = ? AND key = ?",
        (entry.service, entry.key),
    ).fetchone()
    reference, content = row or (None, None)
    documents = entry.documents_sha256
    # If both have digests, these decide. Otherwise only the values that are in the ledger can be compared.
    about = "destination IS ? AND subject IS ? AND type IS ?"
    undecided = about if content is None else f"content_digest IS NULL AND {about}"
    values = (entry.to, entry.subject, entry.type)
    queries: list[tuple[str, tuple[object, ...]]] = [
        ("content_digest = ? AND occurrence = ?", (content, entry.occurrence)),
        ("reference_digest = ? AND documents_sha256 IS NOT ?", (reference, documents)),
        ("required = ? AND documents_sha256 IS NOT ?", (entry.required, documents)),
        (
            f"documents_sha256 = ? AND required IS ? AND occurrence = ? AND {undecided}",
            (documents, entry.required, entry.occurrence, *values),
        ),
        (
            f"reference = ? AND documents_sha256 IS NOT ? AND {undecided}",
            (entry.reference, documents, *values),
        ),
    ]
    found = [
        other
        for condition, parameters in queries
        for other in ledger_rows.select(
            connection,
            f"WHERE service = ? AND {condition} AND key != ? AND {ledger_rows.COUNTS}"
            " ORDER BY state != 'received', planned_at LIMIT 1",
            *(entry.service, *parameters, entry.key),
        )
    ]
    return min(found, key=lambda other: other.state != "received", default=None)


def missing_occurrence(
    connection: sqlite3.Connection, service: str, checked: CheckedSubmission
) -> NotPlanned | None:
    """Return the lowest occurrence that was neither received nor withdrawn, or None."""
    for occurrence in range(1, checked.occurrence):
        key = checked.with_occurrence(occurrence).key
        entries = ledger_rows.select(connection, "WHERE service = ? AND key = ?", service, key)
        entry = entries[0] if entries else None
        if entry is None or entry.state not in ("received", "withdrawn"):
            return NotPlanned(lower_occurrence=occurrence, lower_entry=entry)
    return None


def received_keys(
    connection: sqlite3.Connection, service: str, digests: Sequence[IdentityDigests]
) -> dict[bytes, list[str]]:
    """Return the keys of received submissions that have one of these digests, by digest."""
    keys: dict[bytes, list[str]] = {}
    for column, values in (
        ("reference_digest", [each.reference for each in digests if each.reference]),
        ("content_digest", [each.content for each in digests]),
    ):
        marks = ", ".join("?" * len(values))
        rows = connection.execute(
            f"SELECT {column}, key FROM submission WHERE service = ? AND state = 'received'"  # noqa: S608
            f" AND {column} IN ({marks})",
            (service, *values),
        )
        for digest, key in rows:
            keys.setdefault(digest, []).append(key)
    return keys


def _by_digests(
    connection: sqlite3.Connection, service: str, digests: IdentityDigests
) -> Iterator[EarlierSubmission]:
    for entry in ledger_rows.select(
        connection,
        f"WHERE service = ? AND content_digest = ? AND {ledger_rows.COUNTS}",
        service,
        digests.content,
    ):
        yield EarlierSubmission(entry, "content")
    if digests.reference is not None:
        for entry in ledger_rows.select(
            connection,
            f"WHERE service = ? AND reference_digest = ? AND {ledger_rows.COUNTS}",
            service,
            digests.reference,
        ):
            yield EarlierSubmission(entry, "reference")


def _by_requirement(
    connection: sqlite3.Connection, service: str, checked: CheckedSubmission, key: IdentityKey
) -> Iterator[EarlierSubmission]:
    """Yield submissions that provide the same required document, for the same person."""
    if checked.required is None:
        return
    where = f"WHERE service = ? AND required = ? AND content_digest IS NOT NULL AND {ledger_rows.COUNTS}"
    digests = connection.execute(
        f"SELECT key, content_digest FROM submission {where}",  # noqa: S608
        (service, checked.required),
    )
    digest_of = dict(digests.fetchall())
    for entry in ledger_rows.select(connection, where, service, checked.required):
        with_documents = ledger_rows.with_documents(connection, entry)
        sha256s = [document.sha256 for document in with_documents.documents]
        # The digest tells who the entry is for, because the documents are known.
        if digest_of.get(entry.key) == key.content_digest(checked, sha256s):
            yield EarlierSubmission(with_documents, "required")


def _without_digests(
    connection: sqlite3.Connection, service: str, checked: CheckedSubmission, old: OldMatches
) -> Iterator[EarlierSubmission]:
    """Yield submissions that version 0.1.0 recorded, as far as they still count."""
    for key in (*old.certain, *filter(None, [old.perhaps])):
        for entry in ledger_rows.select(
            connection, f"WHERE service = ? AND key = ? AND {ledger_rows.COUNTS}", service, key
        ):
            with_documents = ledger_rows.with_documents(connection, entry)
            same = _sameness(with_documents, checked)
            yield EarlierSubmission(with_documents, same, is_certain=key in old.certain)


def _sameness(entry: LedgerEntry, checked: CheckedSubmission) -> Sameness:
    if entry.required != checked.required:
        return "reference"
    if _has_same_documents(entry, checked):
        return "content"
    return "reference" if checked.required is None else "required"


def _is_occurrence(entry: LedgerEntry, checked: CheckedSubmission) -> bool:
    """Return whether an entry is the same submission, or another occurrence of it."""
    return entry.key == checked.with_occurrence(entry.occurrence).key


def _has_same_documents(entry: LedgerEntry, checked: CheckedSubmission) -> bool:
    return sorted(document.sha256 for document in entry.documents) == sorted(
        document.sha256 for document in checked.documents
    )
