"""Bugs that others made (`bugs.py`), planted into running programs: the laboratory has to find each of them.

They are planted in every process of the experiment that must notice, and nowhere else: sitecustomize.py in
`planting`, which only `hunt` puts on the path, does it for the bug that the environment names.
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

__all__ = ("BUGS", "environment", "hunt")

_TESTS = Path(__file__).resolve().parent.parent


def environment(bug: Bug, folder: Path) -> dict[str, str]:
    """Give the environment of processes that have the bug; `folder` is one that it may leave things in."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_TESTS / "faults" / "planting"), str(_TESTS)]),
        "FAULTS_BUG": bug.name,
        "FAULTS_FOLDER": str(folder),
    }


def hunt(bug: Bug, seed: int, scratch: Path) -> lab.Tally:
    """Run the experiment that must notice, with the bug planted. The tally is that experiment's."""
    for seam in bug.seams:  # what does not fit would break the program, and that would be noticed, too
        seam.check()
    with lab.world(scratch, "planted") as folder:
        (folder / "lab").mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "faults", "--probe", bug.probe, "--seed", str(seed)],
            cwd=_TESTS,
            env=environment(bug, folder / "lab"),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    tally = lab.Tally(bug.name, seed, note=bug.probe)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{bug.name}: the probe said nothing: {done.stderr[-2000:]}")
    for line in lines:
        told = json.loads(line)
        tally.tried += told["tried"]
        tally.broken.update(told["broken"])
        tally.examples += told["examples"][:2]
    return tally
