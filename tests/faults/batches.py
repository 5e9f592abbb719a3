"""A batch whose process is killed repeatedly while requests fail.

In the end each row must have been received exactly once, and the report must be complete.
"""

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
FAULT_RATE = 0.05  # share of requests that fail, half of them before the service acts and half after


def experiment(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    """Send `count` rows with 8 workers, kill the process 20 times, and run it once more to its end."""
    summary = lab.FaultSummary("a batch that is killed 20 times", seed)
    rng = random.Random(seed)
    with lab.workspace(scratch, "batch") as folder, lab.sandbox(folder / "sandbox") as sandbox:
        files = lab.make_documents(folder / "in", count, seed, size=None, stem="row")
        manifest, report = folder / "in" / "batch.csv", folder / "in" / "report.csv"
        _write_manifest(manifest, files)
        env = lab.environment(folder / "home", DOCSEND_PATIENCE="120")
        with doubles.relay(sandbox.url, _random_faults(rng)) as (url, _):
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
            kills = [_run_and_kill(argv, env, rng.uniform(1, 3)) for _ in range(KILLS)]
            last_run = lab.run(argv, env, timeout=900)
        violations = lab.find_violations(
            sandbox.folder,
            [folder / "home"],
            [last_run],
            expected=lab.digests_by_name(files),
            submissions=count,
        )
        if last_run.code != 0:
            violations.append(("lost", f"the last run ended with {last_run.code}: {last_run.err[-300:]}"))
        violations += _report_violations(report, sandbox.folder, count)
    summary.add(f"{count} rows", violations)
    summary.tried, summary.triggered = count, sum(kills)
    summary.note = (
        f"{sum(kills)} of {KILLS} runs were killed in the middle, {FAULT_RATE:.0%} of requests failed"
    )
    return [summary]


def _write_manifest(manifest: Path, files: list[Path]) -> None:
    with manifest.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["to", "subject", "category", "type", "id", "reference", "documents"])
        about = ["benefits", "unemployment", "employer", "payslips", lab.ID_NUMBER]
        rows.writerows([*about, f"row {n}", document.name] for n, document in enumerate(files))


def _random_faults(rng: random.Random) -> doubles.Interceptor:
    def decide(_request: doubles.ReceivedRequest, _count: int, phase: str) -> doubles.Reply | None:
        if rng.random() >= FAULT_RATE / 2:
            return None
        busy = doubles.Reply(503, headers={"Retry-After": "0"})
        return doubles.Reply(cut=True) if phase == "after" else rng.choice([busy, doubles.Reply(cut=True)])

    return decide


def _run_and_kill(argv: tuple[object, ...], env: dict[str, str], seconds: float) -> bool:
    """Start a run, kill it after this many seconds, and return whether it was still running."""
    with subprocess.Popen(
        lab.docsend_command(*argv), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        time.sleep(seconds)
        process.kill()
        return process.wait() == lab.KILLED


def _report_violations(report: Path, folder: Path, count: int) -> list[tuple[str, str]]:
    """Return how the last report differs from the receipts that the sandbox has stored."""
    rows = list(csv.DictReader(io.StringIO(report.read_text("utf-8-sig"), newline="")))
    keys = lab.receipt_keys(folder)
    violations = []
    if len(rows) != count:
        violations.append(("other", f"the report has {len(rows)} rows of {count}"))
    wrong = [row["row"] for row in rows if keys.get(row["receipt"]) != row["key"]]
    if wrong:
        violations.append(
            ("lost", f"{len(wrong)} rows of the report have a receipt that the sandbox does not have")
        )
    if len({row["receipt"] for row in rows}) != len(rows):
        violations.append(("duplicated", "two rows of the report have the same receipt"))
    return violations
