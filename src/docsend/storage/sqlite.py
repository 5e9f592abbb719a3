"""SQLite files: durable connections, transactions, and reasons for errors."""

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
# SQLite's own error texts, so that they can be translated.
_REASONS = {
    "attempt to write a readonly database": Message("the file is read-only"),
    "database disk image is malformed": Message("the file is damaged"),
    "database is locked": Message("another process is using the file"),
    "database or disk is full": Message("the disk is full"),
    "disk I/O error": Message("the disk reports an error"),
    "file is not a database": Message("the file is not a database"),
    "unable to open database file": Message("the file cannot be opened"),
}
# What SQLite reports of a file that may well be whole.
_NOT_DAMAGE = {
    *(sqlite3.SQLITE_AUTH, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL),
    *(sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOLFS),
    *(sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY),
}
# What the module `sqlite3` raises for statements on a damaged file. Besides its own errors, these are a text
# or a message that is not UTF-8, and sizes that are impossible.
ERRORS = (sqlite3.Error, UnicodeError, OverflowError, MemoryError)


def connect(file: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """Open a database whose commits are durable. If the file does not exist, create it for its owner only.

    A statement waits up to `busy_timeout_s` seconds while another process has locked the file. Threads may
    share the connection if only one of them uses it at a time. Raise sqlite3.Error or OSError if the file
    cannot be opened or created.
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
    """Run the block as one transaction. Commit it durably at the end, or roll it back after an exception."""
    # A deferred transaction that reads before it writes can fail at once instead of waiting for the lock.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors, such as a full disk, roll it back themselves
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def read_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block on one state of the file, whatever other processes write meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def read_only(file: Path, *, busy_timeout_s: float) -> Iterator[sqlite3.Connection]:
    """Open an existing database for reading only. Close it at the end of the block."""
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=busy_timeout_s)
    with contextlib.closing(connection):
        yield connection


def execute_script(connection: sqlite3.Connection, script: str) -> None:
    """Execute a script's statements without ending the open transaction.

    `executescript` would commit the transaction before running them.
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def is_damage(error: Exception) -> bool:
    """Return whether an error of a statement means that the file is damaged, or not what docsend wrote."""
    if isinstance(error, OSError):
        return False
    # Errors of Python's own, such as a text that is not UTF-8, have no code.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF not in _NOT_DAMAGE


def reason(error: Exception) -> Message:
    """Return the reason for an error of SQLite or of the file system, as a message."""
    if isinstance(error, OSError):
        return files.reason(error)
    return _REASONS.get(str(error)) or Message.verbatim(error)
