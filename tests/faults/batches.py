"""A batch that is killed again and again while the network fails: every row once, the report complete."""

from __future__ import annotations

import csv
import io
import random
import subprocess
import time
from typing import TYPE_CHECKING

import doubles
from faults import lab

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 20
FAULTY = 0.05  # of all requests, half of them before the service acts and half after


def experiment(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    """Send `count` rows with 8 workers, kill the process 20 times, and let the last run finish."""
    tally = lab.Tally("a batch that is killed 20 times", seed)
    chance = random.Random(seed)
    with lab.world(scratch, "batch") as folder, lab.sandbox(folder / "sandbox") as sandbox:
        files = lab.documents(folder / "in", count, seed, size=None, stem="row")
        manifest, report = folder / "in" / "batch.csv", folder / "in" / "report.csv"
        _write(manifest, files)
        env = lab.environment(folder / "home", DOCSEND_PATIENCE="120")
        with doubles.relay(sandbox.url, _faults(chance)) as (url, _):
            argv = (
                "send",
                "--batch",
                manifest,
                "--service",
                url,
                "--report",
                report,
                "--jobs",
                "8",
                "--quiet",
            )
            kills = [_killed(argv, env, chance.uniform(1, 3)) for _ in range(KILLS)]
            ran = lab.run(argv, env, timeout=900)
        broken = lab.violations(
            sandbox.folder, [folder / "home"], [ran], expected=lab.expected(files), submissions=count
        )
        if ran.code != 0:
            broken.append(("lost", f"the last run ended with {ran.code}: {ran.err[-300:]}"))
        broken += _report_violations(report, sandbox.folder, count)
    tally.add(f"{count} rows", broken)
    tally.tried, tally.struck = count, sum(kills)
    tally.note = f"{sum(kills)} of {KILLS} runs were killed in the middle, {FAULTY:.0%} of requests failed"
    return [tally]


def _write(manifest: Path, files: list[Path]) -> None:
    with manifest.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["to", "subject", "category", "type", "id", "reference", "documents"])
        about = ["benefits", "unemployment", "employer", "payslips", lab.PERSON]
        rows.writerows([*about, f"row {n}", each.name] for n, each in enumerate(files))


def _faults(chance: random.Random) -> doubles.Interceptor:
    def fate(_asked: doubles.ReceivedRequest, _count: int, now: str) -> doubles.Reply | None:
        if chance.random() >= FAULTY / 2:
            return None
        busy = doubles.Reply(503, headers={"Retry-After": "0"})
        return doubles.Reply(cut=True) if now == "after" else chance.choice([busy, doubles.Reply(cut=True)])

    return fate


def _killed(argv: tuple[object, ...], env: dict[str, str], seconds: float) -> bool:
    """Kill a run after so long; tell whether it was still at work."""
    with subprocess.Popen(
        lab.docsend(*argv), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        time.sleep(seconds)
        process.kill()
        return process.wait() == lab.KILLED


def _report_violations(report: Path, folder: Path, count: int) -> list[tuple[str, str]]:
    """Hold the last report against the receipts that the sandbox has given."""
    rows = list(csv.DictReader(io.StringIO(report.read_text("utf-8-sig"), newline="")))
    key_of = lab.receipts(folder)
    broken = []
    if len(rows) != count:
        broken.append(("other", f"the report has {len(rows)} rows of {count}"))
    wrong = [row["row"] for row in rows if key_of.get(row["receipt"]) != row["key"]]
    if wrong:
        broken.append(("lost", f"{len(wrong)} rows of the report have a receipt that the sandbox has not"))
    if len({row["receipt"] for row in rows}) != len(rows):
        broken.append(("twice", "a receipt stands in two rows"))
    return broken
