"""The experiments: random schedules, and each fault once at each call."""

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
from faults.network.player import World
from faults.network.proxy import proxied
from faults.network.schedules import TALLIES, schedule, singles

_WORKERS = 2

# What clients and sandboxes import in the course of a run, most of it late: forked, they have it already.
_NEEDED = (
    "docsend.cli.app",
    "docsend.cli.sandbox",
    "docsend.cli.context",
    "docsend.cli.send",
    "docsend.cli.send_one",
    "docsend.ui.terminal",
    "docsend.storage.ledger",
    "docsend.sandbox.server",
    "docsend.delivery.deliver",
    "docsend.service.client",
    "docsend.config.settings",
    "encodings.idna",
    "uvicorn.lifespan.off",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
)


def experiment(
    count: int, seed: int, scratch: Path, *, source: Path | None = None, first: int = 0
) -> list[lab.Tally]:
    """Play random schedules from number `first` on; `source` is the folder of a patched docsend."""
    tallies = {name: lab.Tally(name, seed) for name in TALLIES}
    for found in _worked(scratch, source, {"seed": seed, "first": first, "count": count}):
        tallies[found.name].merge(found)
    return list(tallies.values())


def catalogue(scratch: Path, *, source: Path | None = None) -> lab.Tally:
    """Play each single fault at each call, once, with one client."""
    whole = lab.Tally("network, each fault at each call", 0)
    for found in _worked(scratch, source, {}):
        whole.merge(found)
    return whole


def _worked(scratch: Path, source: Path | None, job: dict[str, int]) -> list[lab.Tally]:
    """Let workers do a job together; each takes the schedules whose turn is its own."""
    path = [str(source)] if source else []
    path += [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    workers = []
    for turn in range(_WORKERS):
        folder = scratch / f"network-{turn}"
        folder.mkdir(parents=True, exist_ok=True)
        about = {"turn": turn, "scratch": str(folder), "source": source and str(source), **job}
        worker = subprocess.Popen(
            [sys.executable, "-c", "from faults import network; network.work()", json.dumps(about)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        workers.append(worker)
    outputs = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise RuntimeError(f"a worker ended with {[worker.returncode for worker in workers]}")
    return [
        lab.Tally(**{**raw, "broken": Counter(raw["broken"])})
        for output in outputs
        for raw in json.loads(output)
    ]


def work() -> None:
    """Do a worker's part of a job; it is in the arguments, what came of it goes to stdout."""
    job = json.loads(sys.argv[1])
    _import_all(job["source"])
    schedules = singles()
    if "count" in job:
        schedules = [schedule(job["seed"], job["first"] + n) for n in range(job["count"])]
    tallies: dict[str, lab.Tally] = {}
    with proxied() as proxy:
        world = World(Path(job["scratch"]), proxy)
        for plan in schedules[job["turn"] :: _WORKERS]:
            broken, struck = world.play(plan)
            tally = tallies.setdefault(plan.tally, lab.Tally(plan.tally, plan.seed))
            tally.add(str(plan), broken, struck=struck)
    sys.stdout.write(json.dumps([vars(tally) for tally in tallies.values()]))


def _import_all(source: str | None) -> None:
    """Import what clients and sandboxes need before any is forked, and make sure that it is the one meant."""
    for name in _NEEDED:
        importlib.import_module(name)
    found = Path(sys.modules["docsend"].__file__ or "")
    assert source is None or found.is_relative_to(source), found
    gc.freeze()  # a fork that collected what it shares would copy it
