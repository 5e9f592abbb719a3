"""Choose the power cuts of a recording, and simulate them."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from faults import lab
from faults.power.disk import Disk, write_image
from faults.power.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Sequence

OPEN_EVERY = 10  # one of so many cuts is also opened with the program's own classes
RESTART_EVERY = 200  # on one of so many the real program is started, which takes a second


@dataclass(frozen=True, slots=True)
class Cut:
    position: int
    seed: int
    opens: bool
    restarts: bool


Task: TypeAlias = tuple[Recording, list[Cut]]


def draw_tasks(recordings: Sequence[Recording], count: int, seed: int) -> list[Task]:
    """Return `count` random cuts of these recordings, split into tasks for the workers.

    Three of four cuts are spread evenly over all changes; the others come at the position of a promise.
    """
    rng = random.Random(f"power/{seed}/{recordings[0].name}")
    weights = [len(recording.changes) for recording in recordings]
    cuts: dict[str, list[Cut]] = {recording.name: [] for recording in recordings}
    for number, recording in enumerate(rng.choices(recordings, weights, k=count)):
        position = rng.randint(0, len(recording.changes))
        # A process that was killed before it answered has promised nothing.
        if rng.random() >= 0.75 and recording.promises:
            position = rng.choice(recording.promises).since
        cuts[recording.name].append(
            Cut(
                position=position,
                seed=rng.getrandbits(32),
                opens=number % OPEN_EVERY == 0,
                restarts=number % RESTART_EVERY == 0,
            )
        )
    portion = 400
    return [
        (
            recording,
            sorted(cuts[recording.name][start :: -(-len(cuts[recording.name]) // portion)], key=_position),
        )
        for recording in recordings
        for start in range(-(-len(cuts[recording.name]) // portion))
    ]


def _position(cut: Cut) -> int:
    return cut.position


def cut_rng(recording: Recording, position: int, seed: int) -> random.Random:
    return random.Random(f"{recording.name}/{position}/{seed}")


def make_cuts(task: Task) -> lab.FaultSummary:
    """Simulate the cuts of a task in the order of their positions, so that each change is applied once."""
    recording, cuts = task
    summary = lab.FaultSummary(recording.name, 0)
    disk, applied = Disk(recording.initial), 0
    memory = Path("/dev/shm")  # noqa: S108 - in memory, because nothing has to survive
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
        for number, cut in enumerate(cuts):
            while applied < cut.position:
                disk.apply(applied, recording.changes[applied])
                applied += 1
            remaining = disk.after_power_cut(cut_rng(recording, cut.position, cut.seed))
            folder = Path(scratch) / str(number)
            write_image(remaining, folder)
            violations = recording.violations(folder, cut.position, opens=cut.opens, restarts=cut.restarts)
            what = f"{recording.name}, position {cut.position}, seed {cut.seed}"
            summary.add(what, violations, triggered=remaining != disk.current())
            shutil.rmtree(folder)
    return summary
