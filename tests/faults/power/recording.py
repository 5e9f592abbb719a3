"""A recording: what processes did to one folder, what they promised, and whether a folder keeps it."""

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

Broken: TypeAlias = list[tuple[str, str]]  # as lab.Tally.add takes it: (kind, sentence)

LEDGER = Path("docsend") / "ledger.sqlite3"
WHO = ("--id", lab.PERSON)


@dataclass(frozen=True)
class Recording:
    """What some processes did to one folder, what they promised, and a command to run again after a cut.

    `check` holds a folder against promises; `open` opens it in this process; `restart` starts the program on
    it and runs the command `again`. `kills` is how many of the recorded processes were killed.
    """

    name: str
    before: Image
    changes: list[Change]
    promises: list[Promise]
    check: Callable[[Path, Sequence[Promise]], Broken]
    open: Callable[[Path], None]
    restart: Callable[[Path, Sequence[str], Sequence[Promise]], Broken]
    again: Sequence[str]
    kills: int

    def made_by(self, position: int) -> list[Promise]:
        return [promise for promise in self.promises if promise.since <= position <= promise.until]

    def violations(
        self, folder: Path, position: int, *, opens: bool = False, restarts: bool = False
    ) -> Broken:
        """Say which promises a folder breaks, and whether the program can go on from it."""
        promises = self.made_by(position)
        try:
            broken = self.check(folder, promises)
            if opens and not broken:
                self.open(folder)
                broken = self.check(folder, promises)
            if restarts and not broken:
                broken = self.restart(folder, self.again, promises)
        except (sqlite3.Error, OSError, LocalError, Damaged) as error:
            return [("other", f"{type(error).__name__}: {error}")]
        return broken


class Damaged(Exception):
    """SQLite's own check finds the database damaged."""
