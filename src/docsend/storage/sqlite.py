"""SQLite files: opened durably, changed in transactions, and why they refuse."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from docsend.i18n import Message
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PRAGMAS = ("journal_mode = TRUNCATE", "synchronous = FULL", "fullfsync = 1", "foreign_keys = 1")
# SQLite's own reasons, as it words them: to be translated.
_REASONS = (
    Message("attempt to write a readonly database"),
    Message("database disk image is malformed"),
    Message("database is locked"),
    Message("database or disk is full"),
    Message("disk I/O error"),
    Message("file is not a database"),
    Message("unable to open database file"),
)


def connect(file: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """Open a file, or make it for its owner alone; wait `busy_s` for others. Raises sqlite3.Error, OSError.

    Threads may share the connection, if each has it alone while it uses it.
    """
    files.make_private_file(file)
    files.sync_journal(file)
    connection = sqlite3.connect(file, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do what is inside as one change: on the disk at the end, or undone if an error leaves it."""
    # IMMEDIATE: a transaction that first reads and then writes would not wait its turn.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some failures, as of a full disk, end it themselves
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def read_only(file: Path, *, busy_timeout_s: float) -> Iterator[sqlite3.Connection]:
    """Open a file to look at it: nothing is made, and nothing is changed."""
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=busy_timeout_s)
    with contextlib.closing(connection):
        yield connection


def execute_script(connection: sqlite3.Connection, script: str) -> None:
    """Execute statements inside a transaction; executescript would commit it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def reason(error: sqlite3.Error | OSError) -> Message:
    """Return why SQLite, or the disk under it, refused something."""
    if isinstance(error, OSError):
        return files.reason(error)
    return next((known for known in _REASONS if known.template == str(error)), Message.verbatim(error))
