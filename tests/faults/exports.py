"""A month that is exported anew: the same manifest and references, but other bytes in every document.

The first run is killed at one of its system calls, or overlaps with the run of the new export. In the end,
each reference must have been received exactly once, whichever of its two exports that is. The upgrade of a
ledger of docsend 0.1.0 is killed at each step.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import old_ledgers
import samples
from faults import kills, lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_ROWS = 2
_FINISHED = (0, 7, 9)  # every row was received, or some were refused
_ACCOUNT = {"code": "1002", "password": "fictional-clear"}


@dataclass(frozen=True)
class Month:
    """A manifest, its documents, and the command that sends it. `seed` is unique in its sandbox."""

    folder: Path
    command: list[object]
    env: dict[str, str]
    seed: int

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def export(self, edition: int) -> None:
        """Write all documents, with other bytes in each edition."""
        for n in range(_ROWS):
            content = samples.pdf(self.seed * 100 + n, size=4000) + b"%% edition %d\n" % edition
            samples.write(self.folder / "files", f"payslip-{n}.pdf", content)

    def references(self) -> list[str]:
        return [f"{self.seed}-{n}" for n in range(_ROWS)]

    def run(self, *, under: Sequence[str] = ()) -> lab.RunResult:
        return lab.run(self.command, self.env, under=under)


def _prepare(folder: Path, url: str, seed: int, *, to: str = "benefits") -> Month:
    files = folder / "files"
    files.mkdir(parents=True)
    env = _environment(folder / "home", is_personal=to == "personal")
    number = "" if to == "personal" else lab.ID_NUMBER
    rows = [f"{to},unemployment,employer,payslips,{number},{seed}-{n},payslip-{n}.pdf" for n in range(_ROWS)]
    manifest = files / "month.csv"
    manifest.write_text("\n".join(["to,subject,category,type,id,reference,documents", *rows, ""]))
    command: list[object] = ["send", "--batch", manifest, "--jobs", "1", "--service", url, "--json"]
    month = Month(folder, command, env, seed)
    month.export(1)
    return month


def _environment(home: Path, *, is_personal: bool) -> dict[str, str]:
    home.mkdir(parents=True)
    if not is_personal:
        return lab.environment(home)
    password = home / "password"
    password.write_text(_ACCOUNT["password"])
    password.chmod(0o600)
    return lab.environment(home, DOCSEND_CODE=_ACCOUNT["code"], DOCSEND_PASSWORD_FILE=str(password))


def _staged(folder: Path, url: str, seed: int) -> Month:
    month = _prepare(folder, url, seed)
    lab.store_catalog(month.env, url, None)
    return month


def _personal(folder: Path, url: str, seed: int) -> Month:
    return _prepare(folder, url, seed, to="personal")


def _personal_staged(folder: Path, url: str, seed: int) -> Month:
    month = _personal(folder, url, seed)
    lab.store_catalog(month.env, url, None)
    return month


SCENARIOS: dict[str, Callable[[Path, str, int], Month]] = {
    "in one exchange": _prepare,
    "staged": _staged,
    "personal": _personal,
    "personal, staged": _personal_staged,
}


def experiment(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    """Kill first exports and overlap with them, `count` times in all, and kill upgrades of old ledgers."""
    return [
        kill_first_exports(count, seed, scratch),
        overlap(max(count // 4, 1), seed, scratch),
        kill_upgrades(max(count // 4, 1), seed, scratch),
    ]


# -- a first run that is killed ----------------------------------------------------------------------------


def kill_first_exports(count: int, seed: int, scratch: Path) -> lab.FaultSummary:
    """Kill the run of the first export at `count` of its system calls, or at all of them."""
    summary = lab.FaultSummary("a month exported anew after kill -9", seed)
    with lab.workspace(scratch, "exports") as folder, lab.sandbox(folder / "sandbox") as sandbox:
        points = kills.sample(list(_points(folder, sandbox.url, seed)), count, seed)

        def run_job(job: tuple[int, tuple[str, kills.InjectionPoint]]) -> None:
            number, (name, point) = job
            with lab.workspace(folder, f"e{number}") as workspace:
                month = SCENARIOS[name](workspace, sandbox.url, number)
                first = month.run(under=point.strace())
                violations = _send_new_export(month, sandbox, random.Random(f"{seed}/{number}"))
            summary.add(f"{name}: {point}", violations, triggered=first.code != 0)

        with ThreadPoolExecutor(2) as workers:
            list(workers.map(run_job, enumerate(points, 1)))
    summary.note = f"{len(points)} points of {len(SCENARIOS)} ways to send"
    return summary


def _points(folder: Path, url: str, seed: int) -> Iterator[tuple[str, kills.InjectionPoint]]:
    for number, (name, prepare) in enumerate(SCENARIOS.items()):
        with lab.workspace(folder, f"count {number}") as workspace:
            month = prepare(workspace, url, 900_000 + seed % 1000 * 10 + number)
            month.run(under=kills.trace_command(workspace / "log"))
            counts = kills.count_calls(workspace / "log")
        for call in kills.CRASH_CALLS:
            yield from ((name, kills.InjectionPoint(call, n)) for n in range(1, counts[call] + 1))


def _send_new_export(month: Month, sandbox: lab.Sandbox, rng: random.Random) -> list[tuple[str, str]]:
    """Export the month anew, kill half of the runs that send it, then run it to its end, and again."""
    month.export(2)
    runs = []
    if rng.random() < 0.5:
        point = kills.InjectionPoint(
            rng.choice(("sendto", "recvfrom", "fsync", "fdatasync")), rng.randint(1, 8)
        )
        runs.append(month.run(under=point.strace()))
    finished = [month.run(), month.run()]
    violations = [
        ("lost", f"a later run ended with {run.code}: {run.err[-300:]}")
        for run in finished
        if run.code not in _FINISHED
    ]
    return violations + _violations(month, sandbox, [*runs, *finished])


def _violations(month: Month, sandbox: lab.Sandbox, runs: Sequence[lab.RunResult]) -> list[tuple[str, str]]:
    """Compare what the sandbox has received with the references, and the outputs with the sandbox."""
    received = received_references(sandbox.folder)
    violations = [
        ("duplicated" if received[name] > 1 else "lost", f"{name} was received {received[name]} times")
        for name in month.references()
        if received[name] != 1
    ]
    keys, tokens = lab.receipt_keys(sandbox.folder), lab.token_digests(sandbox.folder)
    return violations + lab.run_and_ledger_violations(runs, [month.home], keys, tokens)


def received_references(folder: Path) -> Counter[str]:
    """Return how often each reference was received, from the sandbox's tables."""
    database = folder / "sandbox.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        rows = connection.execute("SELECT declaration FROM submission WHERE state = 'received'").fetchall()
    return Counter(json.loads(declaration)["reference"] for (declaration,) in rows)


# -- two runs that overlap ---------------------------------------------------------------------------------


def overlap(count: int, seed: int, scratch: Path) -> lab.FaultSummary:
    """Send two exports of a month at the same time from one home, and kill one in half of the cases."""
    summary = lab.FaultSummary("two exports of a month sent at the same time", seed)
    rng = random.Random(f"{seed}/overlap")
    with lab.workspace(scratch, "overlap") as folder, lab.sandbox(folder / "sandbox") as sandbox:
        for number in range(1, count + 1):
            name = rng.choice(sorted(SCENARIOS))
            with lab.workspace(folder, f"o{number}") as workspace:
                one = SCENARIOS[name](workspace / "one", sandbox.url, number)
                other = SCENARIOS[name](workspace / "other", sandbox.url, number)
                other.export(2)
                # The same home: one ledger.
                other = Month(other.folder, other.command, one.env, number)
                was_killed = _run_at_once(one, other, rng)
                runs = [month.run() for month in (one, other, one, other)]
                violations = _violations(one, sandbox, runs)
                violations += [
                    ("other", f"a later run ended with {run.code}: {run.err[-300:]}")
                    for run in runs
                    if run.code not in _FINISHED
                ]
            summary.add(f"{name}, {'one killed' if was_killed else 'none killed'}", violations)
    return summary


def _run_at_once(one: Month, other: Month, rng: random.Random) -> bool:
    """Start two runs, kill one of them after a random time in half of the cases, and wait for both."""
    processes = []
    for month in (one, other):
        processes.append(
            subprocess.Popen(
                lab.docsend_command(*month.command),
                env=month.env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        time.sleep(rng.uniform(0, 0.2))
    is_killed = rng.random() < 0.5
    if is_killed:
        time.sleep(rng.uniform(0, 0.6))
        rng.choice(processes).kill()
    for process in processes:
        process.wait(60)
    return is_killed


# -- the upgrade of an old ledger --------------------------------------------------------------------------


def kill_upgrades(count: int, seed: int, scratch: Path) -> lab.FaultSummary:
    """Kill the first run over a ledger of docsend 0.1.0 at `count` of its system calls, or at all of them."""
    summary = lab.FaultSummary("a ledger of 0.1.0 upgraded and killed", seed)
    with lab.workspace(scratch, "upgrades") as folder, lab.sandbox(folder / "sandbox") as sandbox:
        month = _prepare(folder / "month", sandbox.url, 1)
        assert month.run().code == 0
        ledger = month.home / "docsend" / "ledger.sqlite3"
        new_schema, before = old_ledgers.schema(ledger), lab.ledger_rows(month.home)
        old_ledgers.rewrite_as(ledger, 3)
        old = ledger.read_bytes()
        show: list[object] = ["receipts", "--json"]
        lab.run(show, month.env, under=kills.trace_command(folder / "log"))
        counts = kills.count_calls(folder / "log")
        points = [
            kills.InjectionPoint(call, n) for call in kills.CRASH_CALLS for n in range(1, counts[call] + 1)
        ]
        month.export(2)
        for point in kills.sample(points, count, seed):
            for file in ledger.parent.glob("ledger*"):
                file.unlink()
            ledger.write_bytes(old)
            killed = lab.run(show, month.env, under=point.strace())
            run = month.run()  # the month was exported anew: nothing of it may be sent
            violations = _violations(month, sandbox, [run])
            if lab.ledger_rows(month.home) != before or old_ledgers.schema(ledger) != new_schema:
                violations.append(("lost", "the upgraded ledger differs"))
            if run.out.count("reference-received-before") != _ROWS:
                violations.append(("other", f"not refused: {run.code} {run.err[-300:]}"))
            summary.add(str(point), violations, triggered=killed.code != 0)
    return summary
