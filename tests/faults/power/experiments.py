"""The power cut experiment: record processes, simulate cuts, and check what remains."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from faults import lab
from faults.power.cuts import Task, cut_rng, draw_tasks, make_cuts
from faults.power.disk import Disk, write_image
from faults.power.processes import import_docsend_from, ledger_recordings, sandbox_recordings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.pool import Pool
    from pathlib import Path

    from faults.power.recording import Recording, Violations


def experiment(count: int, seed: int, scratch: Path, source: Path | None = None) -> list[lab.FaultSummary]:
    """Simulate `count` power cuts, half of them of clients and half of sandboxes.

    `source` is a folder from which the recorded processes import `docsend`, for planted bugs.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with lab.workspace(scratch, f"power-{seed}") as world, contextlib.ExitStack() as running:
        with import_docsend_from(source):
            sandbox = running.enter_context(lab.sandbox(world / "far-side"))
            with ThreadPoolExecutor(2) as recorders:  # recorded processes mostly wait for strace
                ledgers = recorders.submit(ledger_recordings, world, seed, sandbox)
                stores = recorders.submit(sandbox_recordings, world, seed)
        received = len(lab.received_submissions(sandbox.folder))
        with multiprocessing.get_context("fork").Pool(2) as workers:
            ledger_tally, sandbox_tally = (
                _make_all_cuts(
                    lab.FaultSummary(name, seed),
                    recordings,
                    draw_tasks(recordings, share, seed),
                    workers,
                    scratch,
                )
                for name, recordings, share in (
                    ("power cut, ledger", ledgers.result(), count - count // 2),
                    ("power cut, sandbox", stores.result(), count // 2),
                )
            )
        if (added := len(lab.received_submissions(sandbox.folder)) - received) > 0:
            ledger_tally.add("all repeated sends", [("duplicated", f"they created {added} new receipts")])
    return [ledger_tally, sandbox_tally]


def _make_all_cuts(
    summary: lab.FaultSummary,
    recordings: Sequence[Recording],
    tasks: Sequence[Task],
    workers: Pool,
    scratch: Path,
) -> lab.FaultSummary:
    """Simulate all cuts of one summary in the workers, and store the recordings with violations."""
    for (recording, _), done in zip(tasks, workers.imap(make_cuts, tasks), strict=True):
        summary.merge(done)
        if done.violations:
            name = re.sub(r"\W+", "-", recording.name)
            (scratch / f"power-{summary.seed}-{name}.pickle").write_bytes(pickle.dumps(recording))
    kills = sum(recording.kills for recording in recordings)
    summary.note = f"{len(recordings)} recordings, in which {kills} processes were killed"
    return summary


def repeat(recording: Path, position: int, seed: int, folder: Path) -> Violations:
    """Repeat one cut of a stored recording; write its files to `folder` and return the violations."""
    loaded: Recording = pickle.loads(recording.read_bytes())  # noqa: S301 - our own file
    disk = Disk(loaded.initial)
    for number, change in enumerate(loaded.changes[:position]):
        disk.apply(number, change)
    write_image(disk.after_power_cut(cut_rng(loaded, position, seed)), folder)
    return loaded.violations(folder, position)
