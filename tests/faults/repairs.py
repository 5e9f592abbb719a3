"""`receipts repair` is killed, or the disk fails, at the n-th of its system calls; then it runs again.

After each fault the ledger is either the damaged file or a whole new one, and the second repair finishes the
work. The damaged file is always kept unchanged.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from docsend.sandbox import server
from faults import kills, lab
from faults.hostile.program import run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LIST = ["receipts", "--json"]
_REPAIR = ["receipts", "repair", "--json"]
_CALLS = (
    *("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "rename", "mkdir", "rmdir"),
    *("link", "linkat", "openat", "flock", "copy_file_range", "sendfile"),
)
_ERRNOS = ("ENOSPC", "EIO")
_FOR_SPACE = ("write", "pwrite64", "fsync", "fdatasync", "mkdir", "link", "linkat", "rename")
_EXIT_CODES = (0, 8, lab.KILLED)


class _Home(NamedTuple):
    env: dict[str, str]
    folder: Path
    contents: dict[str, bytes]  # of the files of the damaged ledger
    expected: str

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.sqlite3"

    def restore(self) -> None:
        """Put the damaged ledger back."""
        for file in self.folder.glob("ledger*"):
            if file.suffix != ".key":
                file.unlink()
        for name, content in self.contents.items():
            (self.folder / name).write_bytes(content)


def experiment(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    """Inject `count` faults into repairs of two ledgers, one of them with a transaction that was cut off."""
    summary = lab.FaultSummary("kill -9 or an errno at a call of a repair", seed)
    with lab.workspace(scratch, "repairs") as folder, server.run_in_background(folder / "sandbox") as url:
        homes = [_make_home(folder / name, url, damage) for name, damage in _DAMAGES.items()]
        points = [(home, point) for home in homes for point in _points(home, folder)]
        random.Random(seed).shuffle(points)
        for home, point in points[:count]:
            home.restore()
            first = lab.run(_REPAIR, home.env, under=point.strace([home.ledger, home.folder]))
            violations = list(_violations(home, first))
            summary.add(f"{home.folder.parent.name}: {point}", violations, triggered=first.code != 0)
        summary.note = f"{min(count, len(points))} of {len(points)} points"
    return [summary]


def _points(home: _Home, scratch: Path) -> Iterator[kills.InjectionPoint]:
    home.restore()
    lab.run(_REPAIR, home.env, under=kills.trace_command(scratch / "log", _CALLS))
    counts = kills.count_calls(scratch / "log", [home.ledger, home.folder])
    for call in _CALLS:
        for n in range(1, counts[call] + 1):
            yield kills.InjectionPoint(call, n)
            if call in _FOR_SPACE:
                yield from (kills.InjectionPoint(call, n, f"error={errno}") for errno in _ERRNOS)


def _violations(home: _Home, first: lab.RunResult) -> Iterator[tuple[str, str]]:
    if first.code not in _EXIT_CODES or "Traceback" in first.err:
        yield "other", f"the repair ended with {first.code}: {first.err[-300:]}"
    between = _list_in_copy(home)
    if between.code == 0:
        if between.out != home.expected:
            yield "lost", f"after the fault: {between.out[:300]}"
    elif between.code != 8 or "receipts repair" not in between.err:
        yield "other", f"after the fault: {between.code} {between.err[-300:]}"
    second = run_program(_REPAIR, home.env)
    if second.code != 0:
        yield "other", f"the second repair: {second.code} {second.err[-300:]}"
    listed = run_program(_LIST, home.env)
    if (listed.code, listed.out) != (0, home.expected):
        yield "lost", f"after the second repair: {listed.code} {listed.out[:300]}"
    kept = [file.read_bytes() for file in home.folder.glob("ledger.damaged-*.sqlite3")]
    if not kept or set(kept) != {home.contents[home.ledger.name]}:
        yield "lost", f"{len(kept)} files with the damaged ledger, or a changed one"
    if left_over := list(home.folder.glob(".ledger-repair-*")):
        yield "other", f"a scratch folder is left: {left_over[0].name}"


def _list_in_copy(home: _Home) -> lab.RunResult:
    """List the receipts after the fault, in a copy: SQLite itself would undo a transaction in the file."""
    copy = home.folder.with_name("copy")
    shutil.copytree(home.folder, copy)
    result = run_program(_LIST, {**home.env, "DOCSEND_HOME": str(copy)})
    shutil.rmtree(copy)
    return result


def _make_home(folder: Path, url: str, damage: Callable[[Path], None]) -> _Home:
    """Send six submissions, and damage the ledger."""
    env = lab.environment(folder)
    for number, file in enumerate(lab.make_documents(folder / "documents", 6, len(folder.name))):
        send = ["send", *lab.CATALOG_OPTIONS, "--id", lab.ID_NUMBER, "--service", url, "--json"]
        assert run_program([*send, str(file), "--reference", f"client {number}"], env).code == 0
    expected = run_program(_LIST, env)
    assert expected.code == 0
    data = folder / "docsend"
    damage(data / "ledger.sqlite3")
    contents = {file.name: file.read_bytes() for file in data.glob("ledger.sqlite3*")}
    return _Home(env, data, contents, expected.out)


def _destroy_header(ledger: Path) -> None:
    content = ledger.read_bytes()
    ledger.write_bytes(bytes(100) + content[100:])


def _cut_off_a_transaction(ledger: Path) -> None:
    """Leave the ledger as a process does that is killed in a transaction, with a damaged index."""
    connection = sqlite3.connect(ledger, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE submission SET reference = 'half written'")
    connection.execute("UPDATE document SET path = 'half written'")
    contents = {file: file.read_bytes() for file in ledger.parent.glob("ledger.sqlite3*")}
    connection.execute("ROLLBACK")
    connection.close()
    for file, content in contents.items():
        file.write_bytes(content)
    damaged = bytearray(ledger.read_bytes())
    index = next(start for start in range(4096, len(damaged), 4096) if damaged[start] == 0x0A)
    damaged[index : index + 4096] = bytes(4096)
    ledger.write_bytes(damaged)


_DAMAGES = {"no header": _destroy_header, "a transaction cut off": _cut_off_a_transaction}
