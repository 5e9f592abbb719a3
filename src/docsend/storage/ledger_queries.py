"""Read-only queries on a ledger file.

They create and change nothing. If another process is writing to the file, they wait at most 2 s.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from docsend.storage import ledger_rows, ledger_schema, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from docsend.model.states import State


class LatestKey(NamedTuple):
    """A submission's key, and what helps people recognize the submission. `planned_at` is RFC 3339 in UTC."""

    key: str
    state: State
    reference: str | None
    planned_at: str


def latest_keys(file: Path, *, limit: int) -> list[LatestKey]:
    """Return the keys of the `limit` submissions that were recorded last in a ledger file, newest first.

    Return an empty list if the file cannot be read, or if another process locks it for more than 50 ms.
    """
    with contextlib.suppress(sqlite3.Error), sqlite.read_only(file, busy_timeout_s=0.05) as connection:
        rows = connection.execute(
            "SELECT key, state, reference, planned_at FROM submission ORDER BY planned_at DESC LIMIT ?",
            (limit,),
        )
        return [LatestKey(*row) for row in rows]
    return []


def key_fingerprint(file: Path) -> bytes | None:
    """Return the fingerprint of the ledger's key (see `identity_key`), or None if it has none yet."""
    with sqlite.read_only(file, busy_timeout_s=2) as connection:
        with contextlib.suppress(sqlite3.OperationalError):  # the table does not exist in version 0.1.0
            row = connection.execute("SELECT fingerprint FROM identity_key").fetchone()
            return row and bytes(row[0])
        return None


def health(file: Path) -> tuple[str, Mapping[State, int]]:
    """Return the result of SQLite's own check ("ok" or an error) and the number of submissions by state.

    Raise DamagedRow if a row does not match its checksum. Raise sqlite3.Error if the file cannot be read, for
    example because it is not a ledger or because another process is writing to it.
    """
    with sqlite.read_only(file, busy_timeout_s=2) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict == "ok" and ledger_schema.is_current(connection):
            ledger_rows.verify(connection)
        return verdict, dict(connection.execute("SELECT state, count(*) FROM submission GROUP BY state"))
