"""The plan of a submission: the ledger entry that is made before anything of it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.storage import earlier, ledger_rows
from docsend.storage.earlier import NotPlanned

if TYPE_CHECKING:
    import sqlite3

    from docsend.model.submission import CheckedSubmission
    from docsend.storage.identity_key import IdentityKey
    from docsend.storage.ledger_rows import LedgerEntry
    from docsend.storage.old_entries import OldMatches


def plan(
    connection: sqlite3.Connection,
    service: str,
    checked: CheckedSubmission,
    key: IdentityKey,
    now: str,
    old: OldMatches | None,
) -> LedgerEntry | NotPlanned:
    """Record a submission, unless it is the same as an earlier one (see `Ledger.record_plan`).

    `key` is that of the ledger's digests. `old` are the entries of version 0.1.0 that are the same, or None
    if no earlier submission counts.
    """
    known = _find(connection, service, checked.key)
    if known is not None and known.state == "received":
        return insert(connection, service, checked, key, now)
    unfinished = known if known is not None and known.state != "refused" else None
    if unfinished is None and (missing := earlier.missing_occurrence(connection, service, checked)):
        return missing
    found = [] if old is None else earlier.find(connection, service, checked, key, old)
    certain = tuple(each for each in found if each.is_certain)
    if certain and not (known is not None and known.state == "withdrawn"):
        return NotPlanned(certain, unfinished=unfinished)
    return insert(connection, service, checked, key, now)._replace(
        received_instead=tuple(each.entry for each in certain if each.is_received),
        perhaps_same=() if unfinished else tuple(each.entry for each in found),
    )


def insert(
    connection: sqlite3.Connection, service: str, checked: CheckedSubmission, key: IdentityKey, now: str
) -> LedgerEntry:
    """Record a new or refused submission as `planned`, and return its entry.

    A submission in another state keeps that state. Unless it is received or withdrawn, the paths of its
    documents are updated. An entry of version 0.1.0 gains its digests: the same key is the same person.
    """
    digests = key.digests(checked)
    known = _find(connection, service, checked.key)
    changes: dict[str, object] = {}
    if known is None:
        ledger_rows.insert(connection, service, checked, digests, planned_at=now)
    elif known.state == "refused":
        changes = {"state": "planned", "problem": None, "planned_at": now, "changed_at": now}
    if known is not None and not known.has_digests:
        changes |= {"reference_digest": digests.reference, "content_digest": digests.content}
    if changes:
        ledger_rows.update(connection, changes, "service = ? AND key = ?", (service, checked.key))
    entry = _find(connection, service, checked.key)
    if entry is None:
        raise LookupError("the entry was written in this transaction")
    if entry.state not in ("received", "withdrawn"):
        ledger_rows.write_documents(connection, service, checked)
    return entry._replace(is_newly_planned=known is None or known.state == "refused")


def _find(connection: sqlite3.Connection, service: str, key: str) -> LedgerEntry | None:
    """Return an entry without its documents, or None."""
    entries = ledger_rows.select(connection, "WHERE service = ? AND key = ?", service, key)
    return entries[0] if entries else None
