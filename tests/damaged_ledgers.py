"""Damages of a ledger file, as disks, editors and copies make them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from docsend.model.canonical import canonicalize
from docsend.storage import ledger_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextlib.contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a ledger for changes that docsend would never make."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        trigger = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger'").fetchone()[0]
        connection.execute("DROP TRIGGER final_states_never_change")
        yield connection
        connection.execute(trigger)


def change_rows(file: Path, **changes: Any) -> None:
    """Change columns of all submissions of a ledger, with right checksums, as docsend itself would."""
    with opened(file) as connection:
        ledger_rows.register_functions(connection)
        ledger_rows.update(connection, changes, "true", ())


def change_receipt(file: Path, change: Callable[[bytes], bytes], *, with_checksums: bool = False) -> None:
    """Change the kept receipts of a ledger, and their checksums as well if `with_checksums` is true."""
    with opened(file) as connection:
        ledger_rows.register_functions(connection)
        for rowid, receipt in connection.execute("SELECT rowid, receipt FROM submission").fetchall():
            if receipt is None:
                continue
            changed = change(receipt)
            assert changed != receipt
            if with_checksums:
                ledger_rows.update(connection, {"receipt": changed}, "rowid = ?", (rowid,))
            else:
                connection.execute("UPDATE submission SET receipt = ? WHERE rowid = ?", (changed, rowid))


def with_member(*path: str | int, value: Any) -> Callable[[bytes], bytes]:
    """Return a function that gives a member of a receipt another value."""

    def change(receipt: bytes) -> bytes:
        parsed = json.loads(receipt)
        target = parsed
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value
        return canonicalize(parsed)

    return change


def flip_bit(file: Path, bit: int) -> None:
    """Flip one bit of a file."""
    with file.open("r+b") as opened_file:
        opened_file.seek(bit // 8)
        (byte,) = opened_file.read(1)
        opened_file.seek(bit // 8)
        opened_file.write(bytes([byte ^ 1 << bit % 8]))


def rename_service(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Let a ledger say that its submissions were sent to another service, with right checksums."""
    connection.execute("PRAGMA foreign_keys = 0")
    ledger_rows.register_functions(connection)
    ledger_rows.update(connection, {"service": new}, "service = ?", (old,))  # of all rows
    columns = ", ".join("?" if name == "service" else name for name in ledger_rows.DOCUMENT_COLUMNS)
    connection.execute(
        f"UPDATE document SET service = ?, checksum = row_checksum({columns}) WHERE service = ?",  # noqa: S608
        (new, new, old),
    )
