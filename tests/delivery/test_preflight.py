"""The first pass over a batch: what it finds is the same whether one process looks or several."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import samples
from conftest import PERSON
from docsend.delivery import processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = ["to", "subject", "category", "type", "id", "reference", "documents"]
ROWS = 3000  # workers begin after some hundred

needs_cores = pytest.mark.skipif(processes._cores() < 2, reason="workers need two cores")

# The installed command, which says on stderr when it begins a worker.
_WATCHED = """
import multiprocessing.process as process, os

def start(self, begins=process.BaseProcess.start):
    os.write(2, b"a worker begins\\n")
    begins(self)

if __name__ == "__main__":
    process.BaseProcess.start = start
    from docsend.__main__ import run
    run()
"""


def manifest(folder: Path) -> Path:
    """Write a manifest with what is right and what is wrong, in every part of it."""
    for n in range(20):
        samples.write(folder, f"payslip-{n}.pdf", samples.pdf(n))
    for n in range(ROWS):
        os.link(folder / "payslip-0.pdf", folder / f"{n}.pdf")
    about = ["benefits", "unemployment", "employer", "payslips"]
    rows = [[*about, PERSON, f"client {n}", f"{n}.pdf"] for n in range(ROWS)]
    for n in range(70, ROWS, 70):
        rows[n][2] = "no-such-category"
        rows[n + 1][4] = "000000019"
        rows[n + 2] = rows[n - 60]
        rows[n + 3][6] = f"payslip-{n % 20}.pdf"
        rows[n + 4][6] = "nowhere.pdf"
        rows[n + 5][4] = "12345674"  # a spreadsheet has taken its zero
    text = io.StringIO()
    csv.writer(text).writerows([HEAD, *rows])
    return samples.write(folder, "batch.csv", text.getvalue().encode())


def checked(file: Path, *options: str, cores: int | None = None) -> tuple[int, str, list[str]]:
    """Check a manifest in a process of its own; give its exit code, its output and what it said."""

    def stay() -> None:
        if cores is not None and sys.platform == "linux":
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    watched = samples.write(file.parent, "watched.py", _WATCHED.encode())
    done = subprocess.run(
        [sys.executable, watched, "send", "--batch", file, "--dry-run", *options],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL, preexec_fn=stay,
    )  # fmt: skip
    return done.returncode, re.sub(r'"seconds": [0-9.]+', "", done.stdout), done.stderr.splitlines()


@needs_cores
@pytest.mark.parametrize("options", [(), ("--lang", "he"), ("--json",), ("--shard", "2/3")])
def test_several_processes_find_what_one_finds(tmp_path, options) -> None:
    if sys.platform != "linux":
        raise NotImplementedError
    file = manifest(tmp_path)
    code, out, said = checked(file, *options)
    assert said.count("a worker begins") == min(8, processes._cores()) - 1
    alone = checked(file, *options, cores=1)
    assert "a worker begins" not in alone[2]
    assert (code, out, [line for line in said if line != "a worker begins"]) == alone
    assert code == 3


@needs_cores
def test_faults_are_told_in_the_order_of_the_rows_and_doubles_name_the_first_one(tmp_path) -> None:
    _, out, _ = checked(manifest(tmp_path), "--json")
    rows = [json.loads(line) for line in out.splitlines()[:-1]]
    numbers = [row["row"] for row in rows]
    assert numbers == list(range(2, ROWS + 2))
    twin = rows[72]
    assert twin["status"] == "faulty", twin
    assert [problem["message"] for problem in twin["problems"]] == ["the row says the same as row 12"]


def test_a_short_batch_is_checked_by_one_process(tmp_path) -> None:
    samples.write(tmp_path, "a.pdf", samples.pdf())
    row = f"benefits,unemployment,employer,payslips,{PERSON},one,a.pdf"
    file = samples.write(tmp_path, "batch.csv", f"{','.join(HEAD)}\n{row}\n".encode())
    code, _, said = checked(file)
    assert (code, "a worker begins" in said) == (0, False), said


# -- the workers themselves --------------------------------------------------------------------------------

# Forty pieces of work, each of which says who has done it. FATE is what happens to a worker. The work weighs
# more than a pipe holds: who begins a worker must not wait until it has read that.
_WORK = """
import functools, os, signal, sys, time
from docsend.delivery import processes

def work(piece, fate, first, weight):
    time.sleep(0.02)
    if os.getpid() != first and piece > 20:
        if fate == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fate == "raises":
            raise ValueError
        elif fate == "cannot say":
            return piece, os.getpid(), lambda: None
        elif fate == "is slow":
            time.sleep(3600)
    return piece, os.getpid()

def main():
    fate, first = sys.argv[1], os.getpid()
    if fate == "has no room":
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
    elif fate == "is nobody's child":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    elif fate == "is interrupted when it begins":
        import multiprocessing.process as process
        begins = process.BaseProcess.start
        process.BaseProcess.start = lambda self: (os.kill(os.getpid(), signal.SIGINT), begins(self))
    elif fate in ("cannot be begun", "ends at once"):
        import multiprocessing
        from multiprocessing import resource_tracker
        resource_tracker.ensure_running()  # the workers alone
        multiprocessing.set_executable({"ends at once": "/bin/true"}.get(fate, "/no/such/python"))
    elif fate == "is one of three":
        processes._cores = lambda: 4  # whatever this machine has
    done = functools.partial(work, fate=fate, first=first, weight=os.urandom(500_000))
    if fate == "is no plain data":
        done = lambda piece: work(piece, fate, first, b"")
    for result in processes.in_order(iter(range(int(sys.argv[2]))), done, alone=fate == "alone"):
        print(*result[:2], flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def worked(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Give a function that begins the work in a process of its own."""
    script = samples.write(tmp_path, "work.py", _WORK.encode())

    def begin(fate: str, pieces: int = 40) -> subprocess.Popen[str]:
        words = [sys.executable, str(script), fate, str(pieces)]
        return subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    return begin


def are_gone(group: int) -> bool:
    """Wait until no process of a group is left."""
    if sys.platform == "win32":
        raise NotImplementedError
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@needs_cores
@pytest.mark.parametrize(
    "fate",
    [
        "lives",
        "is one of three",
        "killed",
        "raises",
        "cannot say",
        "is nobody's child",
        "alone",
        "has no room",
        "is no plain data",
        "cannot be begun",
        "ends at once",
    ],
)
def test_every_piece_is_done_once_and_in_order_whatever_becomes_of_workers(worked, fate) -> None:
    process = worked(fate)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    results = [line.split() for line in out.splitlines()]
    assert [int(piece) for piece, _ in results] == list(range(40))
    is_alone = fate not in ("lives", "is one of three", "killed", "raises", "cannot say", "is nobody's child")
    assert (len({who for _, who in results}) > 1) != is_alone
    assert are_gone(process.pid)
    assert not err


@needs_cores
@pytest.mark.parametrize("fate", ["lives", "is one of three"])
@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_worker_outlives_the_one_who_called_it(worked, sign, fate) -> None:
    process = worked(fate, 100_000)
    assert process.stdout is not None
    while process.stdout.readline().split()[1] == str(process.pid):
        pass  # until a worker's result is there
    process.send_signal(signal.Signals[sign])
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert are_gone(process.pid)


@pytest.fixture
def hanging(worked) -> subprocess.Popen[str]:
    """Give a process with a worker that hangs."""
    process: subprocess.Popen[str] = worked("is slow")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1.5)
    return process


@needs_cores
def test_ctrl_c_does_not_wait_for_a_worker_that_hangs(hanging) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    process = hanging
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    process.communicate(timeout=10)
    assert process.returncode != 0
    assert are_gone(process.pid)


@needs_cores
def test_an_interruption_while_workers_begin_leaves_none(worked) -> None:
    process = worked("is interrupted when it begins")
    process.communicate(timeout=10)
    assert process.returncode != 0
    assert are_gone(process.pid)


@needs_cores
def test_nobody_waits_for_a_worker_of_one_that_was_killed(hanging) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    process = hanging
    process.kill()
    process.communicate(timeout=5)  # to the end of what it writes
    os.killpg(process.pid, signal.SIGKILL)
    assert are_gone(process.pid)
