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
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from docsend.model.canonical import canonicalize
from docsend.sandbox.database import Database
from docsend.sandbox.declaration import Declared
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
KEEPS_UNFINISHED = timedelta(hours=72)


class Place(NamedTuple):
    """Where a submission is kept: whose it is (an account's code, or nobody's: "") and its key."""

    owner: str
    key: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A submission as the store has it: its state, the digests it lacks, its receipt."""

    state: State
    missing: tuple[str, ...]
    branch: str | None
    expires_at: str | None
    receipt: bytes | None
    required: str | None

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
        files.make_private_folder(self._documents)
        self.database = Database(folder / "sandbox.sqlite3")
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.database.close)
            self._sweep()
            on_failure.pop_all()

    def close(self) -> None:
        self.database.close()

    # -- the calls of the contract -----------------------------------------------------------------------

    def declare(self, place: Place, declaration: Declaration, branch: str) -> tuple[Kept, bool]:
        """Open a submission, or find it; say whether it is new. Refuses other content under the key."""
        with self.database.transaction() as connection:
            known = self._declared(connection, place, declaration.canonical)
            if known is not None:
                return known, False
            self._open(connection, place, declaration, branch)
            return self._kept(connection, place), True

    def declared(self, place: Place, declaration: bytes) -> Kept | None:
        """Return what is kept under this declaration's key, None if nothing is.

        Refuses with 409 a key that was withdrawn or that another declaration has.
        """
        with self.database.transaction() as connection:
            return self._declared(connection, place, declaration)

    def knows(self, place: Place) -> bool:
        with self.database.transaction() as connection:
            found = connection.execute("SELECT 1 FROM submission WHERE owner = ? AND key = ?", place)
            return found.fetchone() is not None

    def standing(self, place: Place) -> Kept:
        with self.database.transaction() as connection:
            return self._kept(connection, place)

    def expected(self, place: Place, sha256: str) -> Declared | None:
        """Return a document that is still missing; None if it is there. Refuses others."""
        with self.database.transaction() as connection:
            if self._kept(connection, place).state == "withdrawn":
                raise withdrawn()
            row = connection.execute(
                "SELECT name, bytes, file FROM document WHERE owner = ? AND key = ? AND sha256 = ?",
                (*place, sha256),
            ).fetchone()
            if row is None:
                raise not_found()
            name, size, file = row
            return None if file else Declared(name, size, sha256)

    @contextlib.contextmanager
    def incoming(self, count: int = 1) -> Iterator[list[Path]]:
        """Give names for names that are about to arrive; at the end, remove those that were not kept.

        Nothing of the sender's is in the names.
        """
        names = [self._documents / f"{secrets.token_hex(16)}.part" for _ in range(count)]
        try:
            yield names
        finally:
            for file in names:
                file.unlink(missing_ok=True)

    def keep(self, place: Place, sha256: str, arrived: Path) -> None:
        """Make an arrived document part of its submission: the file first, durably, then its row."""
        file = arrived.stem
        self._make_durable([arrived])
        with self.database.transaction() as connection:
            is_kept = self._enter(connection, place, sha256, file)
        if not is_kept:
            # Another request was faster; or the key was withdrawn or has expired, and then this says so.
            self._remove([file])
            self.expected(place, sha256)

    def receive(self, place: Place, branch: Branch) -> bytes:
        """Give the receipt, and make it if all documents are here: one transaction, at most once a key."""
        with self.database.transaction() as connection:
            return self._received(connection, place, branch)

    def receive_whole(
        self, place: Place, declaration: Declaration, branch: Branch, arrived: list[Path]
    ) -> tuple[bytes, bool]:
        """Return the receipt of a submission whose documents have all arrived, and whether it is new.

        The names become durable first. One transaction then opens the submission, or finds it open, takes the
        documents that it lacked, and makes the receipt. If it is refused, nothing is kept or changed.
        """
        names = [part.stem for part in arrived]
        surplus = set(names)
        is_judged = False
        try:
            self._make_durable(arrived)
            with self.database.transaction() as connection:
                known = self._declared(connection, place, declaration.canonical)
                if known is None:
                    self._open(connection, place, declaration, branch.code)
                is_new = known is None or known.receipt is None
                if is_new:
                    surplus -= {
                        file
                        for document, file in zip(declaration.documents, names, strict=True)
                        if self._enter(connection, place, document.sha256, file)
                    }
                receipt = self._received(connection, place, branch)
                is_judged = True
        except Exception:
            # In the commit itself nobody knows: a disk that fails in the sync behind it does not undo it.
            # What is of no submission then, goes when it is old.
            if not is_judged:
                self._remove(names)
            raise
        self._remove(surplus)
        return receipt, is_new

    def withdraw(self, place: Place) -> Kept:
        """Fence a key off, also one that is not known yet: a late request must not open it."""
        with self.database.transaction() as connection:
            receipt = connection.execute(
                "SELECT body FROM receipt WHERE owner = ? AND key = ?", place
            ).fetchone()
            if receipt is not None:
                members = {"receipt": json.loads(receipt[0])}
                raise Refusal(409, "already-received", "this submission has been received", members)
            connection.execute(
                "INSERT INTO submission (owner, key, state) VALUES (?, ?, 'withdrawn') ON CONFLICT DO UPDATE"
                " SET state = 'withdrawn', declaration = NULL, expires_at = NULL",
                place,
            )
            names = self._forget_documents(connection, place)
            kept = self._kept(connection, place)
        self._remove(names)
        return kept

    # -- how ---------------------------------------------------------------------------------------------

    def _make_durable(self, arrived: list[Path]) -> None:
        """Put arrived names on the disk for good; their names lose their ending."""
        for part in arrived:
            with part.open("rb+") as file:  # Windows syncs only what may be written
                os.fsync(file.fileno())
        for part in arrived:
            part.replace(part.with_suffix(""))
        files.sync_folder(self._documents)

    def _enter(self, connection: sqlite3.Connection, place: Place, sha256: str, file: str) -> bool:
        """Write down that a file is a document that an open submission lacked; tell whether it did."""
        changed = connection.execute(
            "UPDATE document SET file = ? WHERE owner = ? AND key = ? AND sha256 = ? AND file IS NULL"
            " AND EXISTS (SELECT * FROM submission AS whole WHERE whole.owner = document.owner"
            " AND whole.key = document.key AND whole.state = 'open')",
            (file, *place, sha256),
        ).rowcount
        return changed > 0

    def _received(self, connection: sqlite3.Connection, place: Place, branch: Branch) -> bytes:
        kept = self._kept(connection, place)
        if kept.state == "withdrawn":
            raise withdrawn()
        if kept.receipt is not None:
            return kept.receipt
        if kept.missing:
            detail = "documents are missing"
            raise Refusal(409, "incomplete", detail, {"missing": list(kept.missing)})
        (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM receipt").fetchone()
        body = canonicalize(self._receipt(connection, place, last + 1, branch))
        connection.execute(
            "INSERT INTO receipt (number, owner, key, body) VALUES (?, ?, ?, ?)",
            (last + 1, *place, body),
        )
        if kept.required is not None:
            connection.execute(
                "INSERT OR IGNORE INTO fulfilled VALUES (?, ?, ?)",
                (place.owner, kept.required, place.key),
            )
        connection.execute(
            "UPDATE submission SET state = 'received', expires_at = NULL WHERE owner = ? AND key = ?",
            place,
        )
        return body

    def _declared(self, connection: sqlite3.Connection, place: Place, declaration: bytes) -> Kept | None:
        row = connection.execute(
            "SELECT state, declaration FROM submission WHERE owner = ? AND key = ?", place
        ).fetchone()
        if row is None:
            return None
        state, declared = row
        if state == "withdrawn":
            raise withdrawn()
        if declared != declaration:
            raise Refusal(409, "key-reused", "another declaration has this key")
        return self._kept(connection, place)

    def _open(
        self, connection: sqlite3.Connection, place: Place, declaration: Declaration, branch: str
    ) -> None:
        expires_at = _timestamp(self._now() + KEEPS_UNFINISHED)
        connection.execute(
            "INSERT INTO submission (owner, key, state, declaration, branch, expires_at)"
            " VALUES (?, ?, 'open', ?, ?, ?)",
            (*place, declaration.canonical, branch, expires_at),
        )
        connection.executemany(
            "INSERT INTO document (owner, key, position, name, bytes, sha256) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (*place, position, document.name, document.size, document.sha256)
                for position, document in enumerate(declaration.documents)
            ],
        )

    def _kept(self, connection: sqlite3.Connection, place: Place) -> Kept:
        row = connection.execute(
            "SELECT state, branch, expires_at, body, declaration"
            " FROM submission LEFT JOIN receipt USING (owner, key) WHERE owner = ? AND key = ?",
            place,
        ).fetchone()
        if row is None:
            raise not_found()
        missing = connection.execute(
            "SELECT sha256 FROM document WHERE owner = ? AND key = ? AND file IS NULL ORDER BY position",
            place,
        )
        state, branch, expires_at, receipt, declared = row
        required = json.loads(declared)["required"] if declared else None
        return Kept(state, tuple(digest for (digest,) in missing), branch, expires_at, receipt, required)

    def _receipt(
        self, connection: sqlite3.Connection, place: Place, number: int, branch: Branch
    ) -> dict[str, Any]:
        documents = connection.execute(
            "SELECT name, bytes, sha256 FROM document WHERE owner = ? AND key = ? ORDER BY position", place
        )
        return {
            "key": place.key,
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
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT file FROM document WHERE file IS NOT NULL")
            kept = {name for (name,) in rows}
            names = [
                file.name
                for file in self._documents.iterdir()
                if file.name not in kept and self._is_abandoned(file)
            ]
            expired = connection.execute(
                "SELECT owner, key FROM submission WHERE state = 'open' AND expires_at < ?",
                (_timestamp(self._now()),),
            ).fetchall()
            for place in [Place(*row) for row in expired]:
                names += self._forget_documents(connection, place)
                connection.execute("DELETE FROM submission WHERE owner = ? AND key = ?", place)
        self._remove(names)

    def _is_abandoned(self, part: Path) -> bool:
        """Tell a file that a killed process left from one that is arriving at another process."""
        try:
            return part.stat().st_mtime < (self._now() - KEEPS_UNFINISHED).timestamp()
        except FileNotFoundError:
            return False

    def _forget_documents(self, connection: sqlite3.Connection, place: Place) -> list[str]:
        rows = connection.execute(
            "DELETE FROM document WHERE owner = ? AND key = ? RETURNING file", place
        ).fetchall()
        return [file for (file,) in rows if file]

    def _remove(self, names: Iterable[str]) -> None:
        for file in names:
            (self._documents / file).unlink(missing_ok=True)


def _timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
