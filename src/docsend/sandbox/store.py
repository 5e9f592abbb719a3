"""The sandbox's storage: submissions and receipts in SQLite, documents as files in the same folder.

A document is complete and on the disk before its row in the database records it. A receipt is on the disk
before it is sent, and its bytes never change. Several processes may share one folder. Transactions decide
between them, so that a key has at most one receipt. Only unfinished submissions that have expired are
removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from docsend.model.canonical import canonicalize
from docsend.sandbox.database import Database
from docsend.sandbox.declaration import DeclaredDocument
from docsend.sandbox.problems import Refusal, not_found, withdrawn
from docsend.storage import files

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from docsend.model.catalog import Branch
    from docsend.sandbox.declaration import Declaration

State: TypeAlias = Literal["open", "received", "withdrawn"]
ISSUER = "docsend sandbox (not the institute)"
UNFINISHED_LIFETIME = timedelta(hours=72)


class SubmissionId(NamedTuple):
    """Identifies a submission by its key and its owner, the code of an account or "" for no account."""

    owner: str
    key: str


@dataclass(frozen=True, slots=True)
class StoredSubmission:
    """A submission in the store. `missing` has the SHA-256 of each document that has not arrived."""

    state: State
    missing: tuple[str, ...]
    branch: str | None
    expires_at: str | None
    receipt: bytes | None
    required: str | None

    def body(self) -> dict[str, Any]:
        """Return the JSON object that reports the submission's state (`SubmissionStatus` in openapi.yaml)."""
        return {
            "state": self.state,
            "missing": list(self.missing),
            "branch": self.branch,
            "expires_at": self.expires_at,
            "receipt": json.loads(self.receipt) if self.receipt else None,
        }


class Store:
    """One folder of submissions. The methods wait for the disk, so call them outside the event loop."""

    def __init__(self, folder: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open the folder and remove expired submissions.

        A new folder is created so that only its owner has access.
        """
        self._now = now
        self._documents = folder / "documents"
        files.make_private_folder(self._documents)
        self.database = Database(folder / "sandbox.sqlite3")
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.database.close)
            self._remove_expired()
            on_failure.pop_all()

    def close(self) -> None:
        self.database.close()

    # -- operations of the contract ----------------------------------------------------------------------

    def declare(
        self, submission_id: SubmissionId, declaration: Declaration, branch: str
    ) -> tuple[StoredSubmission, bool]:
        """Return the submission for a declaration, and whether it is new. Store it as open if it is new.

        Raise Refusal with 409 if the key was withdrawn or belongs to another declaration.
        """
        with self.database.transaction() as connection:
            stored = self._find_declared(connection, submission_id, declaration.canonical)
            if stored is not None:
                return stored, False
            self._open_submission(connection, submission_id, declaration, branch)
            return self._load(connection, submission_id), True

    def find_declared(self, submission_id: SubmissionId, canonical: bytes) -> StoredSubmission | None:
        """Return the submission for a declaration in canonical JSON, or None if its key is not stored.

        Raise Refusal with 409 if the key was withdrawn or belongs to another declaration.
        """
        with self.database.transaction() as connection:
            return self._find_declared(connection, submission_id, canonical)

    def exists(self, submission_id: SubmissionId) -> bool:
        """Return whether the key is stored, in any state."""
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT 1 FROM submission WHERE owner = ? AND key = ?", submission_id)
            return rows.fetchone() is not None

    def status(self, submission_id: SubmissionId) -> StoredSubmission:
        """Return a submission. Raise Refusal with 404 if it is not stored."""
        with self.database.transaction() as connection:
            return self._load(connection, submission_id)

    def find_missing(self, submission_id: SubmissionId, sha256: str) -> DeclaredDocument | None:
        """Return a document that is still missing, or None if it has arrived.

        Raise Refusal with 404 if the document was not declared, and with 409 if the submission was withdrawn.
        """
        with self.database.transaction() as connection:
            if self._load(connection, submission_id).state == "withdrawn":
                raise withdrawn()
            row = connection.execute(
                "SELECT name, bytes, file FROM document WHERE owner = ? AND key = ? AND sha256 = ?",
                (*submission_id, sha256),
            ).fetchone()
            if row is None:
                raise not_found()
            name, size, file = row
            return None if file else DeclaredDocument(name, size, sha256)

    @contextlib.contextmanager
    def incoming_files(self, count: int = 1) -> Iterator[list[Path]]:
        """Yield paths for documents that are about to arrive. On exit, remove files that were not stored.

        The names are random and contain nothing from the sender.
        """
        paths = [self._documents / f"{secrets.token_hex(16)}.part" for _ in range(count)]
        try:
            yield paths
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def store_document(self, submission_id: SubmissionId, sha256: str, path: Path) -> None:
        """Make the file of an arrived document durable, then record it in the database.

        Raise Refusal with 404 or 409 if the submission has expired or was withdrawn in the meantime.
        """
        file = path.stem
        self._make_durable([path])
        with self.database.transaction() as connection:
            is_recorded = self._record_file(connection, submission_id, sha256, file)
        if not is_recorded:
            # Another request was faster, or else find_missing raises: the key was withdrawn or has expired.
            self._remove_files([file])
            self.find_missing(submission_id, sha256)

    def receive(self, submission_id: SubmissionId, branch: Branch) -> bytes:
        """Return the receipt of a submission. If there is none yet, issue it in one transaction.

        Raise Refusal with 409 if documents are missing or the submission was withdrawn.
        """
        with self.database.transaction() as connection:
            return self._receive(connection, submission_id, branch)

    def receive_in_one_exchange(
        self, submission_id: SubmissionId, declaration: Declaration, branch: Branch, paths: list[Path]
    ) -> tuple[bytes, bool]:
        """Return the receipt of a submission whose documents have arrived, and whether the receipt is new.

        The files become durable first. One transaction then stores the submission unless it is stored
        already, records the documents that it lacked, and issues the receipt. A receipt that was issued
        earlier is returned unchanged.

        Raise Refusal with 409 if the key was withdrawn or belongs to another declaration. The database then
        stays unchanged, and the files are removed.
        """
        names = [path.stem for path in paths]
        surplus = set(names)
        is_decided = False
        try:
            self._make_durable(paths)
            with self.database.transaction() as connection:
                stored = self._find_declared(connection, submission_id, declaration.canonical)
                if stored is None:
                    self._open_submission(connection, submission_id, declaration, branch.code)
                is_new = stored is None or stored.receipt is None
                if is_new:
                    surplus -= {
                        file
                        for document, file in zip(declaration.documents, names, strict=True)
                        if self._record_file(connection, submission_id, document.sha256, file)
                    }
                receipt = self._receive(connection, submission_id, branch)
                is_decided = True
        except Exception:
            # If the commit itself fails, its outcome is unknown, because a failed sync does not undo it. The
            # files then stay; those that belong to no submission are removed once they are old.
            if not is_decided:
                self._remove_files(names)
            raise
        self._remove_files(surplus)
        return receipt, is_new

    def withdraw(self, submission_id: SubmissionId) -> StoredSubmission:
        """Withdraw a submission, and return it. Raise Refusal with 409 if it has been received.

        A key that is not stored yet can be withdrawn, too, so that no late request can declare it.
        """
        with self.database.transaction() as connection:
            receipt = connection.execute(
                "SELECT body FROM receipt WHERE owner = ? AND key = ?", submission_id
            ).fetchone()
            if receipt is not None:
                members = {"receipt": json.loads(receipt[0])}
                raise Refusal(409, "already-received", "this submission has been received", members)
            connection.execute(
                "INSERT INTO submission (owner, key, state) VALUES (?, ?, 'withdrawn') ON CONFLICT DO UPDATE"
                " SET state = 'withdrawn', declaration = NULL, expires_at = NULL",
                submission_id,
            )
            names = self._delete_documents(connection, submission_id)
            stored = self._load(connection, submission_id)
        self._remove_files(names)
        return stored

    # -- helpers -----------------------------------------------------------------------------------------

    def _make_durable(self, paths: list[Path]) -> None:
        """Sync arrived files to the disk and remove the `.part` suffix from their names."""
        for path in paths:
            with path.open("rb+") as file:  # Windows syncs only files that are open for writing
                os.fsync(file.fileno())
        for path in paths:
            path.replace(path.with_suffix(""))
        files.sync_folder(self._documents)

    def _record_file(
        self, connection: sqlite3.Connection, submission_id: SubmissionId, sha256: str, file: str
    ) -> bool:
        """Record a document's file. Return whether an open submission still lacked the document."""
        changed = connection.execute(
            "UPDATE document SET file = ? WHERE owner = ? AND key = ? AND sha256 = ? AND file IS NULL"
            " AND EXISTS (SELECT * FROM submission AS parent WHERE parent.owner = document.owner"
            " AND parent.key = document.key AND parent.state = 'open')",
            (file, *submission_id, sha256),
        ).rowcount
        return changed > 0

    def _receive(self, connection: sqlite3.Connection, submission_id: SubmissionId, branch: Branch) -> bytes:
        stored = self._load(connection, submission_id)
        if stored.state == "withdrawn":
            raise withdrawn()
        if stored.receipt is not None:
            return stored.receipt
        if stored.missing:
            detail = "documents are missing"
            raise Refusal(409, "incomplete", detail, {"missing": list(stored.missing)})
        (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM receipt").fetchone()
        body = canonicalize(self._build_receipt(connection, submission_id, last + 1, branch))
        connection.execute(
            "INSERT INTO receipt (number, owner, key, body) VALUES (?, ?, ?, ?)",
            (last + 1, *submission_id, body),
        )
        if stored.required is not None:
            connection.execute(
                "INSERT OR IGNORE INTO fulfilled VALUES (?, ?, ?)",
                (submission_id.owner, stored.required, submission_id.key),
            )
        connection.execute(
            "UPDATE submission SET state = 'received', expires_at = NULL WHERE owner = ? AND key = ?",
            submission_id,
        )
        return body

    def _find_declared(
        self, connection: sqlite3.Connection, submission_id: SubmissionId, canonical: bytes
    ) -> StoredSubmission | None:
        row = connection.execute(
            "SELECT state, declaration FROM submission WHERE owner = ? AND key = ?", submission_id
        ).fetchone()
        if row is None:
            return None
        state, stored_declaration = row
        if state == "withdrawn":
            raise withdrawn()
        if stored_declaration != canonical:
            raise Refusal(409, "key-reused", "another declaration has this key")
        return self._load(connection, submission_id)

    def _open_submission(
        self,
        connection: sqlite3.Connection,
        submission_id: SubmissionId,
        declaration: Declaration,
        branch: str,
    ) -> None:
        expires_at = _timestamp(self._now() + UNFINISHED_LIFETIME)
        connection.execute(
            "INSERT INTO submission (owner, key, state, declaration, branch, expires_at)"
            " VALUES (?, ?, 'open', ?, ?, ?)",
            (*submission_id, declaration.canonical, branch, expires_at),
        )
        connection.executemany(
            "INSERT INTO document (owner, key, position, name, bytes, sha256) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (*submission_id, position, document.name, document.size, document.sha256)
                for position, document in enumerate(declaration.documents)
            ],
        )

    def _load(self, connection: sqlite3.Connection, submission_id: SubmissionId) -> StoredSubmission:
        row = connection.execute(
            "SELECT state, branch, expires_at, body, declaration"
            " FROM submission LEFT JOIN receipt USING (owner, key) WHERE owner = ? AND key = ?",
            submission_id,
        ).fetchone()
        if row is None:
            raise not_found()
        missing = connection.execute(
            "SELECT sha256 FROM document WHERE owner = ? AND key = ? AND file IS NULL ORDER BY position",
            submission_id,
        )
        state, branch, expires_at, receipt, declaration = row
        required = json.loads(declaration)["required"] if declaration else None
        return StoredSubmission(
            state, tuple(digest for (digest,) in missing), branch, expires_at, receipt, required
        )

    def _build_receipt(
        self, connection: sqlite3.Connection, submission_id: SubmissionId, number: int, branch: Branch
    ) -> dict[str, Any]:
        documents = connection.execute(
            "SELECT name, bytes, sha256 FROM document WHERE owner = ? AND key = ? ORDER BY position",
            submission_id,
        )
        return {
            "key": submission_id.key,
            "number": f"SANDBOX-{number:06d}",
            "issuer": ISSUER,
            "received_at": _timestamp(self._now()),
            "branch": {"code": branch.code, "name": dict(branch.labels)},
            "documents": [
                {"name": name, "bytes": size, "sha256": sha256} for name, size, sha256 in documents
            ],
        }

    def _remove_expired(self) -> None:
        """Remove abandoned files, and unfinished submissions that have expired. Their keys are free again."""
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT file FROM document WHERE file IS NOT NULL")
            recorded = {name for (name,) in rows}
            names = [
                file.name
                for file in self._documents.iterdir()
                if file.name not in recorded and self._is_abandoned(file)
            ]
            expired = connection.execute(
                "SELECT owner, key FROM submission WHERE state = 'open' AND expires_at < ?",
                (_timestamp(self._now()),),
            ).fetchall()
            for submission_id in [SubmissionId(*row) for row in expired]:
                names += self._delete_documents(connection, submission_id)
                connection.execute("DELETE FROM submission WHERE owner = ? AND key = ?", submission_id)
        self._remove_files(names)

    def _is_abandoned(self, path: Path) -> bool:
        """Return whether a file is so old that no other process can still be receiving the document."""
        try:
            return path.stat().st_mtime < (self._now() - UNFINISHED_LIFETIME).timestamp()
        except FileNotFoundError:
            return False

    def _delete_documents(self, connection: sqlite3.Connection, submission_id: SubmissionId) -> list[str]:
        rows = connection.execute(
            "DELETE FROM document WHERE owner = ? AND key = ? RETURNING file", submission_id
        ).fetchall()
        return [file for (file,) in rows if file]

    def _remove_files(self, names: Iterable[str]) -> None:
        for file in names:
            (self._documents / file).unlink(missing_ok=True)


def _timestamp(moment: datetime) -> str:
    """Return an RFC 3339 timestamp in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
