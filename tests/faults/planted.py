"""Plant the bugs of `bugs.py` into running processes, to check that the experiments detect each of them.

A bug is planted in every process of its experiment and nowhere else: `run_probe` puts the folder `planting`
on the path, and its sitecustomize.py plants the bug that the environment names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from faults import lab
from faults.bugs import BUGS

if TYPE_CHECKING:
    from faults.bugs import Bug

__all__ = ("BUGS", "environment", "run_probe")

_TESTS = Path(__file__).resolve().parent.parent


def environment(bug: Bug, folder: Path) -> dict[str, str]:
    """Return the environment of processes with this bug, which may keep files of its own in `folder`."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_TESTS / "faults" / "planting"), str(_TESTS)]),
        "FAULTS_BUG": bug.name,
        "FAULTS_FOLDER": str(folder),
    }


def run_probe(bug: Bug, seed: int, scratch: Path) -> lab.FaultSummary:
    """Run the experiment that has to detect a bug, with the bug planted, and return its results.

    Raise LookupError if the bug no longer fits the program, RuntimeError if the experiment prints no results.
    """
    for seam in bug.seams:  # a bug that does not fit would break the program, and count as detected
        seam.check()
    with lab.workspace(scratch, "planted") as folder:
        (folder / "lab").mkdir()
        completed = subprocess.run(
            [sys.executable, "-m", "faults", "--probe", bug.probe, "--seed", str(seed)],
            cwd=_TESTS,
            env=environment(bug, folder / "lab"),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    summary = lab.FaultSummary(bug.name, seed, note=bug.probe)
    lines = [line for line in completed.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{bug.name}: the experiment printed no results: {completed.stderr[-2000:]}")
    for line in lines:
        outcome = json.loads(line)
        summary.tried += outcome["tried"]
        summary.violations.update(outcome["violations"])
        summary.examples += outcome["examples"][:2]
    return summary
