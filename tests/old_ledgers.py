"""Ledgers as earlier versions of docsend wrote them."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from typing import TYPE_CHECKING

from docsend.model.canonical import key_of_bytes
from docsend.model.states import STATES

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_SUBMISSION = (
    *("service", "key", "state", "destination", "subject", "category", "type", "reference", "required"),
    *("occurrence", "problem", "receipt", "planned_at", "changed_at"),
)
_DOCUMENT = ("service", "key", "position", "path", "name", "bytes", "sha256")
# The schema of docsend 0.1.0, word by word.
_VERSION_3 = f"""
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
CREATE INDEX submission_unfinished ON submission (planned_at, key)
    WHERE state IN ('planned', 'open', 'sending');
CREATE INDEX submission_required ON submission (service, required) WHERE required IS NOT NULL;
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
PRAGMA application_id = 1685021555;
PRAGMA user_version = 3;
"""
# What version 3 added to version 2.
_BACK_TO_2 = """
DROP INDEX submission_unfinished;
DROP INDEX submission_required;
PRAGMA user_version = 2;
"""


def rewrite_as(file: Path, version: int) -> None:
    """Replace a ledger by one with the same submissions, as schema version 2 or 3 stored them."""
    tables = {"submission": _SUBMISSION, "document": _DOCUMENT}
    with contextlib.closing(sqlite3.connect(file)) as new:
        rows = {
            table: new.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()  # noqa: S608
            for table, columns in tables.items()
        }
    file.unlink()
    file.with_suffix(".key").unlink()
    with contextlib.closing(sqlite3.connect(file)) as old, old:
        old.executescript(_VERSION_3)
        for table, columns in tables.items():
            marks = ", ".join("?" * len(columns))
            old.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])  # noqa: S608
        if version == 2:
            old.executescript(_BACK_TO_2)


def add_others(file: Path, count: int) -> None:
    """Add newer entries like the only one in a ledger of version 3, for others, with other documents."""
    with contextlib.closing(sqlite3.connect(file)) as ledger, ledger:
        (submission,) = ledger.execute("SELECT * FROM submission").fetchall()
        documents = ledger.execute("SELECT * FROM document").fetchall()
        for number in range(count):
            key = key_of_bytes(b"fictional %d" % number)
            values = dict(zip(_SUBMISSION, submission, strict=True))
            values |= {"key": key, "planned_at": f"2999-01-01T00:00:00.{number % 1000:03d}Z"}
            ledger.execute(f"INSERT INTO submission VALUES ({_marks(values)})", tuple(values.values()))  # noqa: S608
            for document in documents:
                copy = dict(zip(_DOCUMENT, document, strict=True))
                copy |= {"key": key, "sha256": hashlib.sha256(key.encode()).hexdigest()}
                ledger.execute(f"INSERT INTO document VALUES ({_marks(copy)})", tuple(copy.values()))  # noqa: S608


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def schema(file: Path) -> list[tuple[str, str]]:
    """Return the columns, the indexes and the triggers of a ledger, sorted."""
    with contextlib.closing(sqlite3.connect(file)) as ledger:
        columns = [
            (table, str(column[1:]))
            for table in ("submission", "document", "identity_key")
            for column in ledger.execute(f"PRAGMA table_info({table})")
        ]
        others = ledger.execute("SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger')")
        return sorted([*columns, *((name, " ".join((sql or "").split())) for name, sql in others)])
