"""Run the fault experiments and write docs/fault-report.md.

python -m faults [--sample] [--only NAME ...] [--seed N] [--write FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import docsend
from faults import (
    batches,
    bit_flips,
    contract_fuzz,
    exports,
    hostile,
    kills,
    lab,
    network,
    one_exchange,
    planted,
    power,
    repairs,
    stateful,
    tampering,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Experiment = Callable[[int, int, Path], list[lab.FaultSummary]]


def _client_kills(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [kills.inject_into_clients(count, seed, scratch)]


def _more_client_kills(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [kills.inject_into_clients(count, seed, scratch, only=kills.BATCH_AND_SIGNED_IN)]


def _service_kills(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [kills.inject_into_sandboxes(count, seed, scratch)]


def _one_exchange_faults(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [
        one_exchange.inject_into_sandboxes(count, seed, scratch),
        one_exchange.inject_into_sandboxes(count, seed, scratch, errnos=True),
    ]


def _malformed_forms(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [one_exchange.fuzz(count, seed, scratch)]


def _first_exports(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [exports.kill_first_exports(count, seed, scratch)]


def _client_errnos(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [kills.inject_into_clients(count, seed, scratch, errnos=True)]


def _service_errnos(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [kills.inject_into_sandboxes(count, seed, scratch, errnos=True)]


def _personal_kills(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [kills.inject_into_clients(count, seed, scratch, only=("required upload",))]


def _single_network_faults(_count: int, _seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [network.single_faults(scratch)]


def _stateful_tests(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [stateful.experiment(count, seed, scratch)]


def _fuzz(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    return [contract_fuzz.experiment(count, seed, scratch)]


# name -> (experiment, count in a full run, count in a sample)
EXPERIMENTS: dict[str, tuple[Experiment, int, int]] = {
    "client kills": (_client_kills, 1550, 12),
    "more client kills": (_more_client_kills, 1000, 4),
    "service kills": (_service_kills, 480, 4),
    "exports": (exports.experiment, 1200, 6),
    "client errnos": (_client_errnos, 700, 8),
    "service errnos": (_service_errnos, 350, 4),
    "one exchange": (_one_exchange_faults, 400, 4),
    "forms": (_malformed_forms, 3000, 60),
    "power": (power.experiment, 20_000, 600),
    "single network faults": (_single_network_faults, 1, 0),
    "network": (network.experiment, 1000, 12),
    "tampering": (tampering.experiment, 60, 4),
    "bit flips": (bit_flips.experiment, 2000, 60),
    "repairs": (repairs.experiment, 1000, 8),
    "batch": (batches.experiment, 5000, 0),
    "stateful": (_stateful_tests, 400, 8),
    "hostile": (hostile.experiment, 50_000, 1200),
    "contract fuzz": (_fuzz, 60, 3),
}
# The experiments that have to detect planted bugs: name -> (experiment, count).
PROBES: dict[str, tuple[Experiment, int]] = {
    "kills": (_client_kills, 30),
    "personal kills": (_personal_kills, 6),
    "service errnos": (_service_errnos, 30),
    "power": (power.experiment, 1500),
    "network": (_single_network_faults, 1),
    "tampering": (tampering.experiment, 4),
    "exports": (_first_exports, 30),
    "stateful": (_stateful_tests, 60),
    "forms": (_malformed_forms, 300),
    "hostile": (hostile.experiment, 3000),
}


@dataclass(frozen=True)
class Result:
    """One line of the record: the result of one experiment or of one planted bug, and its commit."""

    name: str
    is_planted: bool
    tried: int
    triggered: int
    violations: dict[str, int]
    seconds: float
    note: str
    seed: int
    commit: str


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__.splitlines()[0])
    parser.add_argument("--sample", action="store_true", help="the short run of `make test`")
    parser.add_argument("--only", action="append", metavar="NAME", choices=[*EXPERIMENTS, "planted"])
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="append the results to this file (JSON Lines)"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write a report of the record to this file"
    )
    parser.add_argument("--probe", choices=PROBES, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    memory = Path("/dev/shm")  # noqa: S108 - thousands of short-lived files; power cuts are simulated
    with tempfile.TemporaryDirectory(prefix="faults-", dir=memory if memory.is_dir() else None) as folder:
        if args.probe:
            experiment, count = PROBES[args.probe]
            for summary in experiment(count, args.seed, Path(folder)):
                print(
                    json.dumps(
                        {
                            "tried": summary.tried,
                            "violations": summary.violations,
                            "examples": summary.examples,
                        }
                    )
                )
            return 0
        results = list(_run(args, Path(folder)))
    if args.write:
        recorded = [Result(**json.loads(line)) for line in args.record.read_text("utf-8").splitlines()]
        args.write.write_text(_report(recorded), "utf-8")
    return 0 if all(result.is_planted == bool(result.violations) for result in results) else 1


def _run(args: argparse.Namespace, scratch: Path) -> Iterator[Result]:
    for name, (experiment, full, sample) in EXPERIMENTS.items():
        count = sample if args.sample else full
        if count and (not args.only or name in args.only):
            started = time.monotonic()
            summaries = experiment(count, args.seed, scratch)
            seconds = (time.monotonic() - started) / len(summaries)
            for summary in summaries:
                yield _record(args, summary, seconds, is_planted=False)
    if (not args.only or "planted" in args.only) and not args.sample:
        for bug in planted.BUGS:
            started = time.monotonic()
            summary = planted.run_probe(bug, args.seed, scratch)
            yield _record(args, summary, time.monotonic() - started, is_planted=True)


def _record(
    args: argparse.Namespace, summary: lab.FaultSummary, seconds: float, *, is_planted: bool
) -> Result:
    """Print a result and append it to the record at once, so that a later failure does not lose it."""
    result = Result(
        summary.name,
        is_planted,
        summary.tried,
        summary.triggered,
        dict(summary.violations),
        seconds,
        summary.note,
        args.seed,
        _commit(),
    )
    outcome = (
        ("caught" if summary.violations else "NOT CAUGHT")
        if is_planted
        else dict(summary.violations) or "no violations"
    )
    print(f"{summary.name}: {summary.tried} tried, {outcome} ({seconds:.0f} s)", flush=True)
    for example in () if is_planted else summary.examples:
        print(f"    {example}", flush=True)
    if args.record:
        with args.record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
    return result


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "-"


def _report(results: list[Result]) -> str:
    latest = {result.name: result for result in results}.values()
    experiments = [result for result in latest if not result.is_planted]
    planted_bugs = [result for result in latest if result.is_planted]
    rows = [
        f"| {result.name} | {result.tried:,} | {result.triggered:,} |"
        + "".join(f" {result.violations.get(kind, 0)} |" for kind in lab.VIOLATION_KINDS)
        + f" {result.seconds:.0f} | {result.commit} | {result.note} |"
        for result in experiments
    ]
    bugs = [
        f"| {result.name} | {result.note} | {result.tried:,} | {sum(result.violations.values()):,} | "
        f"{'caught' if result.violations else '**not caught**'} |"
        for result in planted_bugs
    ]
    return _TEMPLATE.format(
        when=datetime.now(UTC).date().isoformat(),
        version=docsend.__version__,
        seeds=", ".join(sorted({str(result.seed) for result in latest})),
        minutes=sum(result.seconds for result in latest) / 60,
        machine=f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, "
        f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        rows="\n".join(rows),
        bugs="\n".join(bugs),
        caught=sum(bool(result.violations) for result in planted_bugs),
        planted=len(planted_bugs),
    )


_TEMPLATE = """# Fault report

Generated by `make faults`; do not edit. The docstring of each module in `tests/faults/` describes what its
experiments inject and what they check.

- {when}, docsend {version}, seed {seeds}, {minutes:.0f} minutes; each row names its commit
- {machine}

"Triggered" counts the experiments in which the fault really happened (a process may end before the n-th
call). After each fault, the client's ledger and output are compared with the sandbox's tables and files.

- **lost**: reported as received but not stored, or not received when the same command ran again
- **duplicated**: one submission was received twice
- **wrong**: the stored bytes differ from the document, or invalid data was accepted
- **leaked**: a secret in an output, a log or the ledger, or a control character on a terminal
- **resent**: a later run sent bytes again
- **other**: a bug, a hang, a damaged database, a wrong exit code

| fault | tried | triggered | lost | duplicated | wrong | leaked | resent | other | seconds | commit | |
|---|---|---|---|---|---|---|---|---|---|---|---|
{rows}

## Planted bugs: {caught} of {planted} caught

These bugs were planted into the program one at a time, to check that the experiments can detect bugs. The
last two numbers are how many cases the experiment tried and how many violations it reported.

| planted bug | experiment | tried | violations | |
|---|---|---|---|---|
{bugs}
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
