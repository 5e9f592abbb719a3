"""The rows of the ledger's tables: the only place that writes them, and what a query returns.

Every row ends in a checksum over all of its other columns, and a receipt has a checksum of its own, which
stands for it in the row's: a damaged receipt can be told from a row that is damaged elsewhere. The functions
below compute both checksums in the statement that writes the row, and compare the row's whenever they read
it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.i18n import ENGLISH, Message
from docsend.model.document import Document
from docsend.model.submission import PlannedSubmission
from docsend.storage import identity_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from docsend.model.states import State
    from docsend.model.submission import CheckedSubmission
    from docsend.storage.identity_key import IdentityDigests

# The columns in the order of the checksum, which is the last column of each table.
SUBMISSION_COLUMNS = (
    *("service", "key", "state", "destination", "subject", "category", "type", "reference", "required"),
    *("occurrence", "problem", "receipt", "planned_at", "changed_at"),
    *("reference_digest", "content_digest", "documents_sha256", "document_count"),
    *("receipt_sha256", "replaced_at"),
)
DOCUMENT_COLUMNS = ("service", "key", "position", "path", "name", "bytes", "sha256")
# The columns of a submission's checksum. The receipt is covered by `receipt_sha256`.
CHECKED_COLUMNS = tuple(column for column in SUBMISSION_COLUMNS if column != "receipt")
# Condition for a submission that was received, or may still be.
COUNTS = "state IN ('planned', 'open', 'sending', 'received')"
_ENTRY_COLUMNS = SUBMISSION_COLUMNS[: SUBMISSION_COLUMNS.index("changed_at") + 1]


class DamagedRow(ValueError):
    """Raised when a row is not what docsend wrote. `what` tells which row, without its values."""

    def __init__(self, what: Message) -> None:
        super().__init__(ENGLISH.render(what))
        self.what = what


class LedgerDocument(NamedTuple):
    """A document of an entry. `path` is its last known absolute path, `size` is in bytes."""

    path: str
    name: str
    size: int
    sha256: str


class LedgerEntry(NamedTuple):
    """A submission as the ledger stores it. Times are RFC 3339 in UTC. `receipt` is canonical JSON.

    `required` is the id of the required document that the submission provides. `problem` is the code of the
    reason for a refusal. `documents_sha256` and `document_count` tell of the documents, which not every query
    reads. `has_digests` is false for an entry that version 0.1.0 recorded: it does not tell
    who the submission is for. `is_newly_planned` is true if the call that returned this entry has just set
    its state to `planned`, for the first time or again after a refusal. In that case, no earlier attempt can
    have been received. `perhaps_same` are entries without digests that may be the same submission for the
    same person. `received_instead` are received entries that people would call the same as this one, if this
    one was withdrawn.
    """

    service: str
    key: str
    state: State
    to: str
    subject: str | None
    category: str
    type: str
    reference: str | None
    required: str | None
    occurrence: int
    problem: str | None
    receipt: bytes | None
    planned_at: str
    changed_at: str
    documents: tuple[LedgerDocument, ...] = ()
    documents_sha256: bytes | None = None
    document_count: int | None = None
    receipt_sha256: bytes | None = None
    has_digests: bool = True
    is_newly_planned: bool = False
    perhaps_same: tuple[LedgerEntry, ...] = ()
    received_instead: tuple[LedgerEntry, ...] = ()

    def as_planned_submission(self) -> PlannedSubmission:
        """Return what `resume` needs to finish the submission, once the service has its declaration."""
        documents = tuple(
            Document(document.path, document.name, document.size, document.sha256, format=None)
            for document in self.documents
        )
        return PlannedSubmission(self.key, documents, is_signed=self.to == "personal")


def register_functions(connection: sqlite3.Connection) -> None:
    """Make the checksums available to the statements of a connection."""
    connection.create_function("row_checksum", -1, checksum, deterministic=True)
    connection.create_function("sha256_of", 1, _sha256, deterministic=True)
    connection.create_function("documents_digest", 1, _joined_documents_digest, deterministic=True)


def checksum(*values: object) -> bytes:
    """Return the checksum of a row with these values, in the order of its columns."""
    return hashlib.sha256(ascii(values).encode("ascii")).digest()


def submission_checksum(columns: Mapping[str, object]) -> bytes:
    """Return the checksum of a submission's row."""
    return checksum(*(columns[column] for column in CHECKED_COLUMNS))


def _sha256(content: bytes | None) -> bytes | None:
    return None if content is None else hashlib.sha256(content).digest()


def _joined_documents_digest(sha256s: str | None) -> bytes:
    """Return `documents_digest` of digests that SQL has joined with commas."""
    return identity_key.documents_digest((sha256s or "").split(","))


# -- reading -----------------------------------------------------------------------------------------------


def select(connection: sqlite3.Connection, where: str, *values: object) -> list[LedgerEntry]:
    """Return the entries that match, without their documents. Raise DamagedRow if one is damaged."""
    rows = connection.execute(
        f"SELECT {', '.join(SUBMISSION_COLUMNS)}, checksum FROM submission {where}",  # noqa: S608 - constants
        values,
    )
    return [_checked_entry(row) for row in rows]


def verify(connection: sqlite3.Connection) -> None:
    """Raise DamagedRow if any row of the ledger does not match its checksum."""
    for row in connection.execute(f"SELECT {', '.join(SUBMISSION_COLUMNS)}, checksum FROM submission"):  # noqa: S608
        _checked_entry(row)
    for row in connection.execute(f"SELECT {', '.join(DOCUMENT_COLUMNS)}, checksum FROM document"):  # noqa: S608
        if checksum(*row[:-1]) != row[-1]:
            raise _damaged_document(row[1])


def _damaged_document(key: object) -> DamagedRow:
    return DamagedRow(Message("a document of {key} does not match its checksum", key=str(key)[:12]))


def _checked_entry(row: tuple[Any, ...]) -> LedgerEntry:
    columns = dict(zip(SUBMISSION_COLUMNS, row, strict=False))
    if submission_checksum(columns) != row[-1]:
        raise DamagedRow(Message("the entry {key} does not match its checksum", key=str(columns["key"])[:12]))
    return entry(columns)


def entry(columns: Mapping[str, Any]) -> LedgerEntry:
    """Return the entry of a row with these values of SUBMISSION_COLUMNS, without its documents."""
    return LedgerEntry(*(columns[column] for column in _ENTRY_COLUMNS))._replace(
        documents_sha256=columns["documents_sha256"],
        document_count=columns["document_count"],
        receipt_sha256=columns["receipt_sha256"],
        has_digests=columns["content_digest"] is not None,
    )


def with_documents(connection: sqlite3.Connection, entry: LedgerEntry) -> LedgerEntry:
    """Return an entry with its documents. Raise DamagedRow if one is damaged or missing."""
    rows = connection.execute(
        f"SELECT {', '.join(DOCUMENT_COLUMNS)}, checksum FROM document"  # noqa: S608 - constants
        " WHERE service = ? AND key = ? ORDER BY position",
        (entry.service, entry.key),
    ).fetchall()
    if any(checksum(*row[:-1]) != row[-1] for row in rows):
        raise _damaged_document(entry.key)
    if entry.document_count is not None and len(rows) != entry.document_count:
        raise DamagedRow(Message("a document of {key} is missing", key=entry.key[:12]))
    return entry._replace(documents=tuple(LedgerDocument(*row[3:7]) for row in rows))


# -- writing -----------------------------------------------------------------------------------------------


def insert(
    connection: sqlite3.Connection,
    service: str,
    checked: CheckedSubmission,
    digests: IdentityDigests,
    *,
    planned_at: str,
) -> None:
    """Insert a new submission in the state `planned`, without its documents."""
    values = (
        *(service, checked.key, "planned", checked.to, checked.subject, checked.category, checked.type),
        *(checked.reference, checked.required, checked.occurrence, None, None, planned_at, planned_at),
        *digests,
        identity_key.documents_digest(document.sha256 for document in checked.documents),
        *(len(checked.documents), None, None),
    )
    insert_submission(connection, dict(zip(SUBMISSION_COLUMNS, values, strict=True)))


def insert_submission(connection: sqlite3.Connection, columns: Mapping[str, object]) -> None:
    """Insert a row with these values of SUBMISSION_COLUMNS, and its checksum."""
    values = [columns[column] for column in SUBMISSION_COLUMNS]
    marks = ", ".join("?" * (len(values) + 1))
    connection.execute(
        f"INSERT INTO submission VALUES ({marks})",  # noqa: S608
        (*values, submission_checksum(columns)),
    )


def update(
    connection: sqlite3.Connection, changes: Mapping[str, Any], where: str, values: Sequence[object]
) -> bool:
    """Change columns of the submission that matches `where`. Return whether there is such a submission."""
    changed = dict(changes)
    if "receipt" in changed:
        changed["receipt_sha256"] = _sha256(changed["receipt"])
    assignments = ", ".join(f"{column} = ?" for column in changed)
    new_row = ", ".join("?" if column in changed else column for column in CHECKED_COLUMNS)
    new_values = [changed[column] for column in CHECKED_COLUMNS if column in changed]
    updated = connection.execute(
        f"UPDATE submission SET {assignments}, checksum = row_checksum({new_row}) WHERE {where}",  # noqa: S608
        (*changed.values(), *new_values, *values),
    )
    return updated.rowcount == 1


def write_documents(connection: sqlite3.Connection, service: str, checked: CheckedSubmission) -> None:
    """Store the documents of a submission, with their latest paths: the same ones may have been moved."""
    rows: Iterable[tuple[object, ...]] = (
        (
            service,
            checked.key,
            position,
            _absolute(document.path),
            document.name,
            document.size,
            document.sha256,
        )
        for position, document in enumerate(checked.documents)
    )
    insert_documents(connection, rows)


def insert_documents(connection: sqlite3.Connection, rows: Iterable[Sequence[object]]) -> None:
    """Insert or replace rows with these values of DOCUMENT_COLUMNS, and their checksums."""
    connection.executemany(
        "INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(*row, checksum(*row)) for row in rows],
    )


def insert_fingerprint(connection: sqlite3.Connection, fingerprint: bytes) -> None:
    """Store the fingerprint of the key of the digests."""
    connection.execute("INSERT INTO identity_key VALUES (?, ?)", (fingerprint, checksum(fingerprint)))


def _absolute(path: str) -> str:
    """Return an absolute path as valid UTF-8, which does not open if bytes had to be escaped."""
    return str(Path(path).absolute()).encode("utf-8", "backslashreplace").decode("utf-8")
