"""`make faults`: the whole laboratory, and docs/fault-report.md. `--sample` is the short one of `make test`.

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
    contract_fuzz,
    hostile,
    kills,
    lab,
    network,
    one_exchange,
    planted,
    power,
    stateful,
    tampering,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Experiment = Callable[[int, int, Path], list[lab.Tally]]


def _client_kills(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [kills.clients(count, seed, scratch)]


def _more_client_kills(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [kills.clients(count, seed, scratch, only=kills.MORE)]


def _service_kills(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [kills.services(count, seed, scratch)]


def _one_exchange_kills(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [
        one_exchange.services(count, seed, scratch),
        one_exchange.services(count, seed, scratch, errnos=True),
    ]


def _forms(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [one_exchange.fuzz(count, seed, scratch)]


def _client_errnos(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [kills.clients(count, seed, scratch, errnos=True)]


def _service_errnos(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [kills.services(count, seed, scratch, errnos=True)]


def _personal_kills(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [kills.clients(count, seed, scratch, only=("required upload",))]


def _catalogue(_count: int, _seed: int, scratch: Path) -> list[lab.Tally]:
    return [network.catalogue(scratch)]


def _stories(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [stateful.experiment(count, seed, scratch)]


def _fuzz(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    return [contract_fuzz.experiment(count, seed, scratch)]


# name -> (experiment, how many in the whole gate, how many in the sample)
EXPERIMENTS: dict[str, tuple[Experiment, int, int]] = {
    "client kills": (_client_kills, 1550, 12),
    "more client kills": (_more_client_kills, 1000, 4),
    "service kills": (_service_kills, 480, 4),
    "client errnos": (_client_errnos, 700, 8),
    "service errnos": (_service_errnos, 350, 4),
    "one exchange": (_one_exchange_kills, 400, 4),
    "forms": (_forms, 3000, 60),
    "power": (power.experiment, 20_000, 600),
    "single network faults": (_catalogue, 1, 0),
    "network": (network.experiment, 1000, 12),
    "tampering": (tampering.experiment, 60, 4),
    "batch": (batches.experiment, 5000, 0),
    "stories": (_stories, 400, 8),
    "hostile": (hostile.experiment, 50_000, 1200),
    "contract fuzz": (_fuzz, 60, 3),
}
# What a planted bug has to be noticed by: name -> (experiment, how many).
PROBES: dict[str, tuple[Experiment, int]] = {
    "kills": (_client_kills, 30),
    "personal kills": (_personal_kills, 6),
    "service errnos": (_service_errnos, 30),
    "power": (power.experiment, 1500),
    "network": (_catalogue, 1),
    "tampering": (tampering.experiment, 4),
    "stories": (_stories, 60),
    "forms": (_forms, 300),
    "hostile": (hostile.experiment, 3000),
}


@dataclass(frozen=True)
class Result:
    """One line of the record: what a tally came to, when, and of which commit."""

    name: str
    is_planted: bool
    tried: int
    struck: int
    broken: dict[str, int]
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
        "--record", type=Path, metavar="FILE", help="add the results to this file (JSON Lines)"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report of the record there")
    parser.add_argument("--probe", choices=PROBES, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    memory = Path("/dev/shm")  # noqa: S108 - thousands of short lives; what has to survive is modelled
    with tempfile.TemporaryDirectory(prefix="faults-", dir=memory if memory.is_dir() else None) as folder:
        if asked.probe:
            experiment, count = PROBES[asked.probe]
            for tally in experiment(count, asked.seed, Path(folder)):
                print(json.dumps({"tried": tally.tried, "broken": tally.broken, "examples": tally.examples}))
            return 0
        results = list(_run(asked, Path(folder)))
    if asked.write:
        recorded = [Result(**json.loads(line)) for line in asked.record.read_text("utf-8").splitlines()]
        asked.write.write_text(_report(recorded), "utf-8")
    return 0 if all(result.is_planted == bool(result.broken) for result in results) else 1


def _run(asked: argparse.Namespace, scratch: Path) -> Iterator[Result]:
    for name, (experiment, gate, sample) in EXPERIMENTS.items():
        count = sample if asked.sample else gate
        if count and (not asked.only or name in asked.only):
            began = time.monotonic()
            tallies = experiment(count, asked.seed, scratch)
            took = (time.monotonic() - began) / len(tallies)
            for tally in tallies:
                yield _recorded(asked, tally, took, is_planted=False)
    if (not asked.only or "planted" in asked.only) and not asked.sample:
        for bug in planted.BUGS:
            began = time.monotonic()
            tally = planted.hunt(bug, asked.seed, scratch)
            yield _recorded(asked, tally, time.monotonic() - began, is_planted=True)


def _recorded(asked: argparse.Namespace, tally: lab.Tally, took: float, *, is_planted: bool) -> Result:
    """Tell a result, and add it to the record: an hour's work should not be lost to its last minute."""
    result = Result(
        tally.name,
        is_planted,
        tally.tried,
        tally.struck,
        dict(tally.broken),
        took,
        tally.note,
        asked.seed,
        _commit(),
    )
    came = (
        ("caught" if tally.broken else "NOT CAUGHT") if is_planted else dict(tally.broken) or "all survived"
    )
    print(f"{tally.name}: {tally.tried} tried, {came} ({took:.0f} s)", flush=True)
    for example in () if is_planted else tally.examples:
        print(f"    {example}", flush=True)
    if asked.record:
        with asked.record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
    return result


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "-"


def _report(recorded: list[Result]) -> str:
    latest = {result.name: result for result in recorded}.values()
    tallies = [result for result in latest if not result.is_planted]
    hunted = [result for result in latest if result.is_planted]
    rows = [
        f"| {one.name} | {one.tried:,} | {one.struck:,} |"
        + "".join(f" {one.broken.get(kind, 0)} |" for kind in lab.KINDS)
        + f" {one.seconds:.0f} | {one.commit} | {one.note} |"
        for one in tallies
    ]
    bugs = [
        f"| {one.name} | {one.note} | {one.tried:,} | {sum(one.broken.values()):,} | "
        f"{'caught' if one.broken else '**not caught**'} |"
        for one in hunted
    ]
    return _FRAME.format(
        when=datetime.now(UTC).date().isoformat(),
        version=docsend.__version__,
        seeds=", ".join(sorted({str(one.seed) for one in latest})),
        minutes=sum(one.seconds for one in latest) / 60,
        machine=f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, "
        f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        rows="\n".join(rows),
        bugs="\n".join(bugs),
        caught=sum(bool(one.broken) for one in hunted),
        planted=len(hunted),
    )


_FRAME = """# Fault report

Written by `make faults`; do not edit. What is tried, how, and what is compared stands at the beginning of
each file of `tests/faults/`.

- {when}, docsend {version}, seed {seeds}, {minutes:.0f} minutes; the commit is named in each row
- {machine}

"Struck" are the experiments in which the fault really happened (a process may end before the n-th call).
After every fault the client's ledger and all that it printed are held against the sandbox's own tables and
files.

- **lost**: called received, and not there; or not received by the same command again
- **twice**: two submissions of one
- **wrong**: other bytes
- **seen**: a secret in an output, a log or the ledger, or a character that steers a terminal
- **resent**: a later run sent bytes again
- **other**: a bug, a hang, a damaged database, a wrong exit code

| fault | tried | struck | lost | twice | wrong | seen | resent | other | seconds | commit | |
|---|---|---|---|---|---|---|---|---|---|---|---|
{rows}

## Planted bugs: {caught} of {planted} caught

A laboratory that finds nothing may be blind. Each of these bugs was planted into the program, and
the experiment named beside it had to notice; the number is how many violations it reported.

| planted bug | experiment | tried | violations | |
|---|---|---|---|---|
{bugs}
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
