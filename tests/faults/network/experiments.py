"""The network experiments: random schedules, and each fault once at each call."""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from faults import lab
from faults.network.player import SchedulePlayer
from faults.network.proxy import running_proxy
from faults.network.schedules import SUMMARIES, random_schedule, single_fault_schedules

_WORKERS = 2

# Modules that clients and sandboxes import during a run; the worker imports them once, before it forks.
_PRELOADED = (
    "docsend.cli.app",
    "docsend.cli.sandbox",
    "docsend.cli.context",
    "docsend.cli.send",
    "docsend.cli.send_one",
    "docsend.ui.terminal",
    "docsend.storage.ledger",
    "docsend.sandbox.server",
    "docsend.delivery.deliver",
    "docsend.delivery.sending",
    "docsend.service.client",
    "docsend.config.settings",
    "encodings.idna",
    "uvicorn.lifespan.off",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
)


def experiment(
    count: int, seed: int, scratch: Path, *, source: Path | None = None, first: int = 0
) -> list[lab.FaultSummary]:
    """Run `count` random schedules from number `first` on; `source` is the folder of a patched docsend."""
    summaries = {name: lab.FaultSummary(name, seed) for name in SUMMARIES}
    for found in _run_workers(scratch, source, {"seed": seed, "first": first, "count": count}):
        summaries[found.name].merge(found)
    return list(summaries.values())


def single_faults(scratch: Path, *, source: Path | None = None) -> lab.FaultSummary:
    """Run each single fault once at each call, with one client, and the combined schedules."""
    summary = lab.FaultSummary("network, each fault at each call", 0)
    for found in _run_workers(scratch, source, {}):
        summary.merge(found)
    return summary


def _run_workers(scratch: Path, source: Path | None, job: dict[str, int]) -> list[lab.FaultSummary]:
    """Run a job in two workers, which share its schedules, and return their summaries."""
    path = [str(source)] if source else []
    path += [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    workers = []
    for turn in range(_WORKERS):
        folder = scratch / f"network-{turn}"
        folder.mkdir(parents=True, exist_ok=True)
        arguments = {"turn": turn, "scratch": str(folder), "source": source and str(source), **job}
        worker = subprocess.Popen(
            [sys.executable, "-c", "from faults import network; network.run_worker()", json.dumps(arguments)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        workers.append(worker)
    outputs = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise RuntimeError(f"a worker ended with {[worker.returncode for worker in workers]}")
    return [
        lab.FaultSummary(**{**raw, "violations": Counter(raw["violations"])})
        for output in outputs
        for raw in json.loads(output)
    ]


def run_worker() -> None:
    """Run a worker's share of the job in sys.argv[1] (JSON), and write the summaries to stdout as JSON."""
    job = json.loads(sys.argv[1])
    _preload(job["source"])
    schedules = single_fault_schedules()
    if "count" in job:
        schedules = [random_schedule(job["seed"], job["first"] + n) for n in range(job["count"])]
    summaries: dict[str, lab.FaultSummary] = {}
    with running_proxy() as proxy:
        player = SchedulePlayer(Path(job["scratch"]), proxy)
        for plan in schedules[job["turn"] :: _WORKERS]:
            violations, triggered = player.play(plan)
            summary = summaries.setdefault(plan.summary, lab.FaultSummary(plan.summary, plan.seed))
            summary.add(str(plan), violations, triggered=triggered)
    sys.stdout.write(json.dumps([vars(summary) for summary in summaries.values()]))


def _preload(source: str | None) -> None:
    """Import docsend's modules before forking, and check that they come from `source` if that is given."""
    for name in _PRELOADED:
        importlib.import_module(name)
    found = Path(sys.modules["docsend"].__file__ or "")
    assert source is None or found.is_relative_to(source), found
    gc.freeze()  # a garbage collection in a fork would copy the shared memory
