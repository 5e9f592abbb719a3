"""The cuts of a recording, drawn and made."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from faults import lab
from faults.power.disk import Disk, write_out
from faults.power.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Sequence

OPENED_EVERY = 10  # how many cuts come to one that the program's own classes open
RESTARTED_EVERY = 200  # and to one on which the real program is started, which takes a second


@dataclass(frozen=True, slots=True)
class Cut:
    position: int
    seed: int
    opens: bool
    restarts: bool


Task: TypeAlias = tuple[Recording, list[Cut]]


def draw_tasks(recordings: Sequence[Recording], count: int, seed: int) -> list[Task]:
    """Draw the cuts of these recordings, in portions for the workers.

    Three of four are drawn evenly over all changes; one comes in the very moment of a promise.
    """
    dice = random.Random(f"power/{seed}/{recordings[0].name}")
    weights = [len(recording.changes) for recording in recordings]
    cuts: dict[str, list[Cut]] = {recording.name: [] for recording in recordings}
    for number, recording in enumerate(dice.choices(recordings, weights, k=count)):
        cuts[recording.name].append(
            Cut(
                position=dice.randint(0, len(recording.changes))
                if dice.random() < 0.75
                else dice.choice(recording.promises).since,
                seed=dice.getrandbits(32),
                opens=number % OPENED_EVERY == 0,
                restarts=number % RESTARTED_EVERY == 0,
            )
        )
    portion = 400
    return [
        (
            recording,
            sorted(cuts[recording.name][start :: -(-len(cuts[recording.name]) // portion)], key=_when),
        )
        for recording in recordings
        for start in range(-(-len(cuts[recording.name]) // portion))
    ]


def _when(cut: Cut) -> int:
    return cut.position


def dice_of(recording: Recording, position: int, seed: int) -> random.Random:
    return random.Random(f"{recording.name}/{position}/{seed}")


def cut_all(task: Task) -> lab.Tally:
    """Make a portion of cuts, in the order of their positions: the disk is lived through once."""
    recording, cuts = task
    tally = lab.Tally(recording.name, 0)
    disk, happened = Disk(recording.before), 0
    memory = Path("/dev/shm")  # noqa: S108 - a disk of memory, for there is nothing to be kept
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
        for number, cut in enumerate(cuts):
            while happened < cut.position:
                disk.happen(happened, recording.changes[happened])
                happened += 1
            left = disk.after_a_cut(dice_of(recording, cut.position, cut.seed))
            folder = Path(scratch) / str(number)
            write_out(left, folder)
            broken = recording.violations(folder, cut.position, opens=cut.opens, restarts=cut.restarts)
            what = f"{recording.name}, position {cut.position}, seed {cut.seed}"
            tally.add(what, broken, struck=left != disk.now())
            shutil.rmtree(folder)
    return tally
