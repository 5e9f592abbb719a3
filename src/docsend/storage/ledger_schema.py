"""The tables of the ledger, and the upgrade of an older ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.errors import LocalError
from docsend.i18n import Message
from docsend.model.states import STATES
from docsend.storage import sqlite

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_APPLICATION_ID = 0x646F6373  # "docs"
_VERSION = 3
# Few submissions are unfinished, and few provide a required document. With these indexes, a query need not
# scan all the others.
_PARTIAL_INDEXES = """
CREATE INDEX submission_unfinished ON submission (planned_at, key)
    WHERE state IN ('planned', 'open', 'sending');
CREATE INDEX submission_required ON submission (service, required) WHERE required IS NOT NULL;
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
    PRIMARY KEY (service, key),
    CHECK ((state = 'received') = (receipt IS NOT NULL))
) STRICT;
CREATE INDEX submission_by_time ON submission (planned_at);
{_PARTIAL_INDEXES}
CREATE TABLE document (
    service  TEXT NOT NULL,
    key      TEXT NOT NULL,
    position INTEGER NOT NULL,
    path     TEXT NOT NULL,
    name     TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    sha256   TEXT NOT NULL,
    PRIMARY KEY (service, key, position),
    FOREIGN KEY (service, key) REFERENCES submission (service, key)
) STRICT;
CREATE TRIGGER final_states_never_change BEFORE UPDATE OF state, receipt ON submission
WHEN OLD.state IN ('received', 'withdrawn')
 AND (NEW.state IS NOT OLD.state OR NEW.receipt IS NOT OLD.receipt)
BEGIN SELECT RAISE(ABORT, 'a final state never changes'); END;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
"""


def prepare(connection: sqlite3.Connection, file: Path) -> None:
    """Create the tables in a new file, or upgrade an older ledger.

    Raise LocalError if a newer or an unreleased docsend wrote the file.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
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
    if version < _VERSION:
        with sqlite.transaction(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            # The version is read again: another process may have upgraded the file meanwhile.
            # Version 2 lacks only the indexes.
            script = {0: _SCHEMA, 2: f"{_PARTIAL_INDEXES}PRAGMA user_version = {_VERSION};\n"}.get(
                version, ""
            )
            sqlite.execute_script(connection, script)
