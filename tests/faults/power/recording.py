"""A recording of the changes that processes made to one folder, and of their promises."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from docsend.errors import LocalError
from faults import lab

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faults.power.disk import Change, Image
    from faults.power.promises import Promise

Violations: TypeAlias = list[tuple[str, str]]  # (kind, sentence), as in lab.FaultSummary.add

LEDGER = Path("docsend") / "ledger.sqlite3"
IDENTITY_OPTIONS = ("--id", lab.ID_NUMBER)


@dataclass(frozen=True)
class Recording:
    """The changes of some processes to one folder, their promises, and a command to run after a cut.

    `check` returns the promises that a folder violates. `open` opens the folder in this process. `restart`
    starts the program on it and runs the command `rerun`. `kills` counts the recorded processes that were
    killed.
    """

    name: str
    initial: Image
    changes: list[Change]
    promises: list[Promise]
    check: Callable[[Path, Sequence[Promise]], Violations]
    open: Callable[[Path], None]
    restart: Callable[[Path, Sequence[str], Sequence[Promise]], Violations]
    rerun: Sequence[str]
    kills: int

    def promises_at(self, position: int) -> list[Promise]:
        return [promise for promise in self.promises if promise.since <= position <= promise.until]

    def violations(
        self, folder: Path, position: int, *, opens: bool = False, restarts: bool = False
    ) -> Violations:
        """Return the promises that a folder violates and, if asked, whether the program can use it."""
        promises = self.promises_at(position)
        try:
            found = self.check(folder, promises)
            if opens and not found:
                self.open(folder)
                found = self.check(folder, promises)
            if restarts and not found:
                found = self.restart(folder, self.rerun, promises)
        except (sqlite3.Error, OSError, LocalError, Damaged) as error:
            return [("other", f"{type(error).__name__}: {error}")]
        return found


class Damaged(Exception):
    """Raised when SQLite's integrity check reports a damaged database."""
