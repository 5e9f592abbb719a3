"""What is said of a ledger that is damaged or cannot be used, and the check of a whole file."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from docsend.errors import LocalError
from docsend.i18n import Message
from docsend.storage import files, sqlite
from docsend.storage.ledger_rows import DamagedRow

if TYPE_CHECKING:
    from pathlib import Path

# Up to this size, which is about 500 submissions, the whole file is checked whenever it is opened: that takes
# some milliseconds. In larger files, only the rows that are read are checked, and SQLite checks pages.
_CHECKED_BYTES = 1024 * 1024
REPAIR_HINT = Message(
    "run `docsend receipts repair`: it keeps this file, and writes a new ledger with everything that can "
    "still be read"
)
LAST_RESORT = Message(
    "restore the ledger from a backup, or, as the last resort, move it aside: the service still recognizes "
    "the same submission, but docsend no longer recognizes the same reference or the same documents with "
    "other details, and earlier receipts are gone"
)


class DamagedLedger(LocalError):
    """Raised for a ledger that is damaged, or that contains something else. Repairing it may help."""


def damaged(file: Path, what: Message) -> DamagedLedger:
    """Return the error for a ledger that is damaged. `what` tells what of it is."""
    return DamagedLedger(Message("the ledger {file} is damaged: {what}", file=file, what=what), REPAIR_HINT)


def unusable(file: Path, error: Exception) -> LocalError:
    """Return the error for a ledger that cannot be used because of an error of SQLite or the file system."""
    message = Message("the ledger {file} cannot be used: {reason}", file=file, reason=sqlite.reason(error))
    if sqlite.is_damage(error) or _claims_to_be_read_only(file, error):
        return DamagedLedger(message, REPAIR_HINT)
    hint = Message(
        "{hint}, then run the same command again; without the ledger, a submission could be sent twice",
        hint=files.hint(file, error if isinstance(error, OSError) else None),
    )
    return LocalError(message, hint)


def check(connection: sqlite3.Connection, file: Path, *, whatever_size: bool = False) -> None:
    """Raise DamagedRow if a ledger is not consistent in itself. A large one is not checked by default."""
    if whatever_size or file.stat().st_size <= _CHECKED_BYTES:
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedRow(Message("its tables contradict themselves"))


def _claims_to_be_read_only(file: Path, error: Exception) -> bool:
    """Return whether a damaged header says that the file must not be written, although it may be."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_READONLY and os.access(file, os.W_OK)
