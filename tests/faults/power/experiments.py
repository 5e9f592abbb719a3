"""The experiment: record, cut, and say what is broken."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from faults import lab
from faults.power.cuts import Task, cut_all, dice_of, draw_tasks
from faults.power.disk import Disk, write_out
from faults.power.processes import docsend_from, ledger_recordings, sandbox_recordings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.pool import Pool
    from pathlib import Path

    from faults.power.recording import Broken, Recording


def experiment(count: int, seed: int, scratch: Path, source: Path | None = None) -> list[lab.Tally]:
    """Cut the power `count` times, half of them on the client's side, half on the sandbox's.

    `source` is a folder that the recorded processes take `docsend` from, for bugs planted on purpose.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with lab.world(scratch, f"power-{seed}") as world, contextlib.ExitStack() as running:
        with docsend_from(source):
            far_side = running.enter_context(lab.sandbox(world / "far-side"))
            with ThreadPoolExecutor(2) as side_by_side:  # recorded processes mostly wait for strace
                ledgers = side_by_side.submit(ledger_recordings, world, seed, far_side)
                stores = side_by_side.submit(sandbox_recordings, world, seed)
        received = len(lab.received(far_side.folder))
        with multiprocessing.get_context("fork").Pool(2) as workers:
            of_ledger, of_sandbox = (
                _cut(lab.Tally(name, seed), recordings, draw_tasks(recordings, share, seed), workers, scratch)
                for name, recordings, share in (
                    ("power cut, ledger", ledgers.result(), count - count // 2),
                    ("power cut, sandbox", stores.result(), count // 2),
                )
            )
        if (more := len(lab.received(far_side.folder)) - received) > 0:
            of_ledger.add("all that was sent again", [("twice", f"it made {more} new receipts")])
    return [of_ledger, of_sandbox]


def _cut(
    tally: lab.Tally, recordings: Sequence[Recording], tasks: Sequence[Task], workers: Pool, scratch: Path
) -> lab.Tally:
    """Let the workers make all cuts of one tally, and keep the recordings in which something is broken."""
    for (recording, _), done in zip(tasks, workers.imap(cut_all, tasks), strict=True):
        tally.merge(done)
        if done.broken:
            name = re.sub(r"\W+", "-", recording.name)
            (scratch / f"power-{tally.seed}-{name}.pickle").write_bytes(pickle.dumps(recording))
    kills = sum(recording.kills for recording in recordings)
    tally.note = f"{len(recordings)} recordings, in which {kills} processes were killed"
    return tally


def again(recording: Path, position: int, seed: int, folder: Path) -> Broken:
    """Repeat one cut of a kept recording, leave its disk in `folder`, and say what is broken."""
    recorded: Recording = pickle.loads(recording.read_bytes())  # noqa: S301 - our own file
    disk = Disk(recorded.before)
    for number, change in enumerate(recorded.changes[:position]):
        disk.happen(number, change)
    write_out(disk.after_a_cut(dice_of(recorded, position, seed)), folder)
    return recorded.violations(folder, position)
