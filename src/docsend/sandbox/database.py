"""The sandbox's SQLite file: its schema, its version, and transactions for one thread at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

from docsend.storage import sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA_VERSION = 2
_BUSY_TIMEOUT_S = 30.0  # how long to wait for a lock of another process
_SCHEMA = """
CREATE TABLE submission (
    owner       TEXT NOT NULL,  -- the account's code; empty if it was sent without an account
    key         TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('open', 'received', 'withdrawn')),
    declaration BLOB,
    branch      TEXT,
    expires_at  TEXT,
    PRIMARY KEY (owner, key)
) STRICT;
CREATE TABLE document (
    owner    TEXT NOT NULL,
    key      TEXT NOT NULL,
    position INTEGER NOT NULL,
    name     TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    sha256   TEXT NOT NULL,
    file     TEXT,
    PRIMARY KEY (owner, key, sha256),
    FOREIGN KEY (owner, key) REFERENCES submission (owner, key)
) STRICT;
CREATE TABLE receipt (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    owner  TEXT NOT NULL,
    key    TEXT NOT NULL,
    body   BLOB NOT NULL,
    UNIQUE (owner, key),
    FOREIGN KEY (owner, key) REFERENCES submission (owner, key)
) STRICT;
CREATE TABLE fulfilled (
    owner    TEXT NOT NULL,
    required TEXT NOT NULL,
    key      TEXT NOT NULL,
    PRIMARY KEY (owner, required)
) STRICT;
CREATE TABLE session (
    token      TEXT PRIMARY KEY,  -- SHA-256 of the token: a reader of this file cannot use it
    owner      TEXT NOT NULL,
    expires_at REAL NOT NULL      -- seconds since the epoch
) STRICT;
CREATE TABLE attempt (
    code         TEXT PRIMARY KEY,  -- SHA-256 of the code; unknown codes are counted, too
    failures     INTEGER NOT NULL,
    locked_until REAL NOT NULL
) STRICT;
"""


class Database:
    """A connection that several threads share. Other processes can use the file at the same time."""

    def __init__(self, file: Path) -> None:
        """Open or create the file. Raise sqlite3.Error if it has another schema version."""
        self._lock = threading.Lock()
        self._connection = sqlite.connect(file, busy_timeout_s=_BUSY_TIMEOUT_S)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._connection.close)
            self._prepare()
            on_failure.pop_all()

    def _prepare(self) -> None:
        with self.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables and version != _SCHEMA_VERSION:
                raise sqlite3.DatabaseError("the database was created by another version of the sandbox")
            if not tables:
                sqlite.execute_script(connection, _SCHEMA)
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction. Other threads wait until it ends.

        At the end, the block's changes are on the disk. If the block raised an exception, they are undone.
        """
        with self._lock, sqlite.transaction(self._connection) as connection:
            yield connection
