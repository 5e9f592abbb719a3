"""Looks at a ledger as it lies there: nothing is made or changed, and who writes is not waited for."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from docsend.storage import sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from docsend.model.states import State


class LatestKey(NamedTuple):
    """A key, with what tells it from others; `planned_at` is RFC 3339 in UTC."""

    key: str
    state: State
    reference: str | None
    planned_at: str


def latest_keys(file: Path, *, limit: int) -> list[LatestKey]:
    """Return the submissions planned last; none if the file cannot be read at once."""
    with contextlib.suppress(sqlite3.Error), sqlite.read_only(file, busy_timeout_s=0.05) as connection:
        rows = connection.execute(
            "SELECT key, state, reference, planned_at FROM submission ORDER BY planned_at DESC LIMIT ?",
            (limit,),
        )
        return [LatestKey(*row) for row in rows]
    return []


def health(file: Path) -> tuple[str, Mapping[State, int]]:
    """Return what SQLite's own check says, "ok" or a fault, and how many submissions are in which state.

    Raises sqlite3.Error, as of a file that is no ledger or that another process writes.
    """
    with sqlite.read_only(file, busy_timeout_s=2) as connection:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        return found, dict(connection.execute("SELECT state, count(*) FROM submission GROUP BY state"))
