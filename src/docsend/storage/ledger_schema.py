"""The tables of the ledger, and the upgrade of an older ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.errors import LocalError
from docsend.i18n import Message
from docsend.model.states import STATES
from docsend.storage import identity_key, ledger_damage, ledger_rows, sqlite
from docsend.storage.ledger_rows import DamagedRow

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_APPLICATION_ID = 0x646F6373  # "docs"
_VERSION = 4
# Few submissions are unfinished, and few provide a required document. With these indexes, a query need not
# scan all the others.
_PARTIAL_INDEXES = """
CREATE INDEX submission_unfinished ON submission (planned_at, key)
    WHERE state IN ('planned', 'open', 'sending');
CREATE INDEX submission_required ON submission (service, required) WHERE required IS NOT NULL;
"""
# By the digests of `identity_key`, or without them, as version 0.1.0 stored submissions.
_DIGEST_INDEXES = """
CREATE INDEX submission_by_reference ON submission (service, reference_digest)
    WHERE reference_digest IS NOT NULL;
CREATE INDEX submission_by_content ON submission (service, content_digest) WHERE content_digest IS NOT NULL;
CREATE INDEX submission_without_digests_by_reference ON submission (service, reference)
    WHERE content_digest IS NULL AND reference IS NOT NULL;
CREATE INDEX submission_without_digests_by_documents ON submission (service, documents_sha256)
    WHERE content_digest IS NULL;
"""
_IDENTITY_KEY = """
CREATE TABLE identity_key (fingerprint BLOB NOT NULL, checksum BLOB NOT NULL) STRICT;
"""
# A received or withdrawn submission stays so. Its receipt stays, too, unless the statement says that it
# replaces a damaged one (`replaced_at`).
_TRIGGER = """
CREATE TRIGGER final_states_never_change BEFORE UPDATE OF state, receipt ON submission
WHEN OLD.state IN ('received', 'withdrawn')
 AND (NEW.state IS NOT OLD.state
      OR NEW.receipt IS NOT OLD.receipt AND NEW.replaced_at IS OLD.replaced_at)
BEGIN SELECT RAISE(ABORT, 'a final state never changes'); END;
"""
_SCHEMA = f"""
CREATE TABLE submission (
    service      TEXT NOT NULL,
    key          TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN {STATES!r}),
    destination  TEXT NOT NULL,
    subject      TEXT,
    category     TEXT NOT NULL,
    type         TEXT NOT NULL,
    reference    TEXT,
    required     TEXT,
    occurrence   INTEGER NOT NULL,
    problem      TEXT,
    receipt      BLOB,
    planned_at   TEXT NOT NULL,
    changed_at   TEXT NOT NULL,
    reference_digest BLOB,
    content_digest   BLOB,
    documents_sha256 BLOB,
    document_count   INTEGER,
    receipt_sha256   BLOB,
    replaced_at      TEXT,
    checksum         BLOB,
    PRIMARY KEY (service, key),
    CHECK ((state = 'received') = (receipt IS NOT NULL))
) STRICT;
CREATE INDEX submission_by_time ON submission (planned_at);
{_PARTIAL_INDEXES}
{_DIGEST_INDEXES}
CREATE TABLE document (
    service  TEXT NOT NULL,
    key      TEXT NOT NULL,
    position INTEGER NOT NULL,
    path     TEXT NOT NULL,
    name     TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    sha256   TEXT NOT NULL,
    checksum BLOB,
    PRIMARY KEY (service, key, position),
    FOREIGN KEY (service, key) REFERENCES submission (service, key)
) STRICT;
{_IDENTITY_KEY}
{_TRIGGER}
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
"""
# From version 2, which lacks only the indexes, to version 3.
_ADD_INDEXES = f"{_PARTIAL_INDEXES}PRAGMA user_version = 3;\n"
_ALL_OF_SUBMISSION = ", ".join(ledger_rows.CHECKED_COLUMNS)
_ALL_OF_DOCUMENT = ", ".join(ledger_rows.DOCUMENT_COLUMNS)
# From version 3, that of docsend 0.1.0, to version 4. The digests of the submissions stay empty, because the
# ledger does not know whose they are.
_ADD_DIGESTS_AND_CHECKSUMS = f"""
ALTER TABLE submission ADD COLUMN reference_digest BLOB;
ALTER TABLE submission ADD COLUMN content_digest BLOB;
ALTER TABLE submission ADD COLUMN documents_sha256 BLOB;
ALTER TABLE submission ADD COLUMN document_count INTEGER;
ALTER TABLE submission ADD COLUMN receipt_sha256 BLOB;
ALTER TABLE submission ADD COLUMN replaced_at TEXT;
ALTER TABLE submission ADD COLUMN checksum BLOB;
ALTER TABLE document ADD COLUMN checksum BLOB;
UPDATE submission SET receipt_sha256 = sha256_of(receipt), (document_count, documents_sha256) = (
    SELECT count(*), documents_digest(group_concat(sha256)) FROM document
    WHERE document.service = submission.service AND document.key = submission.key);
UPDATE submission SET checksum = row_checksum({_ALL_OF_SUBMISSION});
UPDATE document SET checksum = row_checksum({_ALL_OF_DOCUMENT});
{_DIGEST_INDEXES}
{_IDENTITY_KEY}
DROP TRIGGER final_states_never_change;
{_TRIGGER}
PRAGMA user_version = 4;
"""  # noqa: S608 - constants
_UPGRADES = {0: _SCHEMA, 2: _ADD_INDEXES, 3: _ADD_DIGESTS_AND_CHECKSUMS}


def prepare(connection: sqlite3.Connection, file: Path) -> None:
    """Create the tables in a new file, or upgrade an older ledger, in one transaction.

    Raise LocalError if a newer or an unreleased docsend wrote the file, and DamagedRow if it is damaged.
    """
    ledger_rows.register_functions(connection)
    check_version(connection, file)
    if _version(connection) < _VERSION:
        with sqlite.transaction(connection):
            # The version is read again: another process may have upgraded the file meanwhile.
            while (version := _version(connection)) in _UPGRADES:
                sqlite.execute_script(connection, _UPGRADES[version])
                if _version(connection) == _VERSION:
                    key = identity_key.load_or_create(file)
                    ledger_rows.insert_fingerprint(connection, key.fingerprint)
    ledger_damage.check(connection, file)


def check_version(connection: sqlite3.Connection, file: Path) -> None:
    """Raise LocalError if this docsend cannot use a ledger of this version, and DamagedRow if none exists."""
    with sqlite.read_transaction(connection):  # another process may be upgrading the file
        version = _version(connection)
        has_current_tables = is_current(connection)
    if version < 0 or has_current_tables != (version == _VERSION):
        raise DamagedRow(Message("its version is impossible"))
    if version > _VERSION:
        raise LocalError(
            Message("the ledger {file} was written by a newer docsend", file=file),
            Message("update docsend on this machine"),
        )
    if version == 1:
        raise LocalError(
            Message("the ledger {file} was written by an unreleased docsend", file=file),
            Message("move it aside: this version cannot read it"),
        )


def is_current(connection: sqlite3.Connection) -> bool:
    """Return whether a ledger has the tables of this version, whatever version its header states."""
    columns = tuple(row[1] for row in connection.execute("PRAGMA table_info(submission)"))
    return columns == (*ledger_rows.SUBMISSION_COLUMNS, "checksum")


def create(connection: sqlite3.Connection) -> None:
    """Create the tables in a new file, in the transaction of the caller, without the key's fingerprint."""
    sqlite.execute_script(connection, _SCHEMA)


def read_fingerprint(connection: sqlite3.Connection) -> bytes:
    """Return the fingerprint of the key of the ledger's digests. Raise DamagedRow if it is damaged."""
    rows = connection.execute("SELECT fingerprint, checksum FROM identity_key").fetchall()
    if len(rows) != 1 or ledger_rows.checksum(rows[0][0]) != rows[0][1]:
        raise DamagedRow(Message("it does not tell which key its digests were made with"))
    fingerprint: bytes = rows[0][0]
    return fingerprint


def _version(connection: sqlite3.Connection) -> int:
    version: int
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return version
