"""What the sandbox keeps: submissions and receipts in SQLite, documents as files beside it.

A document is whole and on the disk before its row says so; a receipt is on the disk before anybody sees
it, and is the same bytes for ever. Several processes may share one folder: the row, not the process,
decides, and `receipt.key` is unique. Nothing is removed but what was never finished and has expired.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from docsend import disk
from docsend.sandbox.problems import Refusal, not_found, withdrawn
from docsend.submission import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docsend.catalog import Branch
    from docsend.sandbox.declaration import Declaration

State: TypeAlias = Literal["open", "received", "withdrawn"]
ISSUER = "docsend sandbox (not the institute)"
KEEPS_UNFINISHED = timedelta(hours=72)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS submission (
    key         TEXT PRIMARY KEY,
    state       TEXT NOT NULL CHECK (state IN ('open', 'received', 'withdrawn')),
    declaration BLOB,
    branch      TEXT,
    expires_at  TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS document (
    key      TEXT NOT NULL REFERENCES submission (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name     TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    sha256   TEXT NOT NULL,
    file     TEXT,
    PRIMARY KEY (key, sha256)
) STRICT;
CREATE TABLE IF NOT EXISTS receipt (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key    TEXT NOT NULL UNIQUE REFERENCES submission (key),
    body   BLOB NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A submission as the store has it: its state, the digests it lacks, its receipt."""

    state: State
    missing: tuple[str, ...]
    branch: str | None
    expires_at: str | None
    receipt: bytes | None

    def body(self) -> dict[str, Any]:
        """Give the JSON of openapi.yaml's `Standing`."""
        return {
            "state": self.state,
            "missing": list(self.missing),
            "branch": self.branch,
            "expires_at": self.expires_at,
            "receipt": json.loads(self.receipt) if self.receipt else None,
        }


class Store:
    """One folder of submissions. Its methods block on the disk; call them from a thread."""

    def __init__(self, folder: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open the folder, and make it, for its owner alone, if it is not there."""
        self._now = now
        self._documents = folder / "documents"
        disk.make_private_folder(self._documents)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            folder / "sandbox.sqlite3", timeout=30, isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode = TRUNCATE", "synchronous = FULL", "fullfsync = 1", "foreign_keys = 1"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)
        self._sweep()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # -- the calls of the contract -----------------------------------------------------------------------

    def declare(self, key: str, declaration: Declaration, branch: str) -> tuple[Kept, bool]:
        """Open a submission, or find it; say whether it is new. Refuses other content under the key."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT state, declaration FROM submission WHERE key = ?", (key,)
            ).fetchone()
            if row is None:
                self._open(connection, key, declaration, branch)
                return self._kept(connection, key), True
            state, declared = row
            if state == "withdrawn":
                raise withdrawn()
            if declared != declaration.canonical:
                raise Refusal(409, "key-reused", "another declaration has this key")
            return self._kept(connection, key), False

    def standing(self, key: str) -> Kept:
        with self._transaction() as connection:
            return self._kept(connection, key)

    def expected(self, key: str, sha256: str) -> tuple[str, int] | None:
        """Give name and length of a document that is still missing; None if it is there. Refuses others."""
        with self._transaction() as connection:
            if self._kept(connection, key).state == "withdrawn":
                raise withdrawn()
            row = connection.execute(
                "SELECT name, bytes, file FROM document WHERE key = ? AND sha256 = ?", (key, sha256)
            ).fetchone()
            if row is None:
                raise not_found()
            name, size, file = row
            return None if file else (name, size)

    def incoming(self) -> Path:
        """Give the name for a file that is about to arrive; nothing of the sender's is in it."""
        return self._documents / f"{secrets.token_hex(16)}.part"

    def keep(self, key: str, sha256: str, arrived: Path) -> None:
        """Make an arrived document part of its submission: the file first, durably, then its row."""
        with arrived.open("rb") as file:
            os.fsync(file.fileno())
        kept = arrived.with_suffix("")
        arrived.replace(kept)
        disk.sync_folder(self._documents)
        with self._transaction() as connection:
            changed = connection.execute(
                "UPDATE document SET file = ? WHERE key = ? AND sha256 = ? AND file IS NULL"
                " AND key IN (SELECT key FROM submission WHERE state = 'open')",
                (kept.name, key, sha256),
            ).rowcount
        if not changed:
            # Another request was faster; or the key was withdrawn or has expired, and then this says so.
            kept.unlink()
            self.expected(key, sha256)

    def receive(self, key: str, branch: Branch) -> bytes:
        """Give the receipt, and make it if all documents are here: one transaction, at most once a key."""
        with self._transaction() as connection:
            kept = self._kept(connection, key)
            if kept.state == "withdrawn":
                raise withdrawn()
            if kept.receipt is not None:
                return kept.receipt
            if kept.missing:
                detail = "documents are missing"
                raise Refusal(409, "incomplete", detail, {"missing": list(kept.missing)})
            (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM receipt").fetchone()
            body = canonical(self._receipt(connection, key, last + 1, branch))
            connection.execute(
                "INSERT INTO receipt (number, key, body) VALUES (?, ?, ?)", (last + 1, key, body)
            )
            connection.execute(
                "UPDATE submission SET state = 'received', expires_at = NULL WHERE key = ?", (key,)
            )
            return body

    def withdraw(self, key: str) -> Kept:
        """Fence a key off, also one that is not known yet: a late request must not open it."""
        with self._transaction() as connection:
            receipt = connection.execute("SELECT body FROM receipt WHERE key = ?", (key,)).fetchone()
            if receipt is not None:
                members = {"receipt": json.loads(receipt[0])}
                raise Refusal(409, "already-received", "this submission has been received", members)
            connection.execute(
                "INSERT INTO submission (key, state) VALUES (?, 'withdrawn') ON CONFLICT DO UPDATE"
                " SET state = 'withdrawn', declaration = NULL, expires_at = NULL",
                (key,),
            )
            files = self._forget_documents(connection, key)
            kept = self._kept(connection, key)
        self._remove(files)
        return kept

    # -- how ---------------------------------------------------------------------------------------------

    def _open(self, connection: sqlite3.Connection, key: str, declaration: Declaration, branch: str) -> None:
        expires_at = _timestamp(self._now() + KEEPS_UNFINISHED)
        connection.execute(
            "INSERT INTO submission (key, state, declaration, branch, expires_at)"
            " VALUES (?, 'open', ?, ?, ?)",
            (key, declaration.canonical, branch, expires_at),
        )
        connection.executemany(
            "INSERT INTO document (key, position, name, bytes, sha256) VALUES (?, ?, ?, ?, ?)",
            [
                (key, position, document.name, document.size, document.sha256)
                for position, document in enumerate(declaration.documents)
            ],
        )

    def _kept(self, connection: sqlite3.Connection, key: str) -> Kept:
        row = connection.execute(
            "SELECT state, branch, expires_at, body FROM submission LEFT JOIN receipt USING (key)"
            " WHERE key = ?",
            (key,),
        ).fetchone()
        if row is None:
            raise not_found()
        missing = connection.execute(
            "SELECT sha256 FROM document WHERE key = ? AND file IS NULL ORDER BY position", (key,)
        )
        return Kept(row[0], tuple(digest for (digest,) in missing), row[1], row[2], row[3])

    def _receipt(
        self, connection: sqlite3.Connection, key: str, number: int, branch: Branch
    ) -> dict[str, Any]:
        documents = connection.execute(
            "SELECT name, bytes, sha256 FROM document WHERE key = ? ORDER BY position", (key,)
        )
        return {
            "key": key,
            "number": f"SANDBOX-{number:06d}",
            "issuer": ISSUER,
            "received_at": _timestamp(self._now()),
            "branch": {"code": branch.code, "name": dict(branch.labels)},
            "documents": [
                {"name": name, "bytes": size, "sha256": sha256} for name, size, sha256 in documents
            ],
        }

    def _sweep(self) -> None:
        """Remove what was never finished and has expired; its key may then be opened again."""
        files = [part.name for part in self._documents.glob("*.part") if self._is_abandoned(part)]
        with self._transaction() as connection:
            expired = connection.execute(
                "SELECT key FROM submission WHERE state = 'open' AND expires_at < ?",
                (_timestamp(self._now()),),
            ).fetchall()
            for (key,) in expired:
                files += self._forget_documents(connection, key)
                connection.execute("DELETE FROM submission WHERE key = ?", (key,))
        self._remove(files)

    def _is_abandoned(self, part: Path) -> bool:
        """Tell a file that a killed process left from one that is arriving at another process."""
        try:
            return part.stat().st_mtime < (self._now() - KEEPS_UNFINISHED).timestamp()
        except FileNotFoundError:
            return False

    def _forget_documents(self, connection: sqlite3.Connection, key: str) -> list[str]:
        rows = connection.execute("DELETE FROM document WHERE key = ? RETURNING file", (key,)).fetchall()
        return [file for (file,) in rows if file]

    def _remove(self, files: list[str]) -> None:
        for file in files:
            (self._documents / file).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
