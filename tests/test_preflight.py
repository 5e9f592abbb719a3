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

if TYPE_CHECKING:
    from pathlib import Path

HEAD = ["to", "subject", "category", "type", "id", "reference", "documents"]
ROWS = 3000  # the crew begins after some hundred

needs_crew = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="a crew needs Linux and two cores"
)

# The installed command, which says on stderr when it is copied.
_WATCHED = """
import os, sys
os.register_at_fork(after_in_parent=lambda: os.write(2, b"a helper begins\\n"))
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

    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, "send", "--batch", file, "--dry-run", *options],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL, preexec_fn=stay,
    )  # fmt: skip
    return done.returncode, re.sub(r'"seconds": [0-9.]+', "", done.stdout), done.stderr.splitlines()


@needs_crew
@pytest.mark.parametrize("options", [(), ("--lang", "he"), ("--json",), ("--shard", "2/3")])
def test_several_processes_find_what_one_finds(tmp_path, options) -> None:
    if sys.platform != "linux":
        raise NotImplementedError
    file = manifest(tmp_path)
    code, out, said = checked(file, *options)
    assert said.count("a helper begins") == min(8, len(os.sched_getaffinity(0))) - 1
    alone = checked(file, *options, cores=1)
    assert "a helper begins" not in alone[2]
    assert (code, out, [line for line in said if line != "a helper begins"]) == alone
    assert code == 3


@needs_crew
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
    assert (code, "a helper begins" in said) == (0, False), said


# -- the crew itself ---------------------------------------------------------------------------------------

# Forty pieces of work, each of which says who has done it. FATE is what happens to a helper.
_WORK = """
import os, resource, signal, sys, time
from docsend import crew

fate, first = sys.argv[1], os.getpid()
if fate == "has no pipe":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
elif fate == "is nobody's child":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
elif fate == "is interrupted when it begins":
    os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))

def work(piece):
    time.sleep(0.01)
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

if fate == "is one of three":
    crew._cores = lambda: 4  # whatever this machine has
for result in crew.in_order(iter(range(int(sys.argv[2]))), work, alone=fate == "alone"):
    print(*result[:2], flush=True)
"""


def worked(fate: str, pieces: int = 40) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", _WORK, fate, str(pieces)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


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


@needs_crew
@pytest.mark.parametrize(
    "fate",
    [
        "lives",
        "is one of three",
        "killed",
        "raises",
        "cannot say",
        "alone",
        "has no pipe",
        "is nobody's child",
    ],
)
def test_every_piece_is_done_once_and_in_order_whatever_becomes_of_helpers(fate) -> None:
    process = worked(fate)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    results = [line.split() for line in out.splitlines()]
    assert [int(piece) for piece, _ in results] == list(range(40))
    is_alone = fate in ("alone", "has no pipe", "is nobody's child")
    assert (len({who for _, who in results}) > 1) != is_alone
    assert are_gone(process.pid)
    assert not err


@needs_crew
@pytest.mark.parametrize("fate", ["lives", "is one of three"])
@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_helper_outlives_the_one_who_called_it(sign, fate) -> None:
    process = worked(fate, 100_000)
    assert process.stdout is not None
    while process.stdout.readline().split()[1] == str(process.pid):
        pass  # until a helper's result is there
    process.send_signal(signal.Signals[sign])
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert are_gone(process.pid)


def with_a_helper_that_hangs() -> subprocess.Popen[str]:
    process = worked("is slow")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1.5)
    return process


@needs_crew
def test_ctrl_c_does_not_wait_for_a_helper_that_hangs() -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    process = with_a_helper_that_hangs()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    process.communicate(timeout=10)
    assert process.returncode != 0
    assert are_gone(process.pid)


@needs_crew
def test_an_interruption_while_helpers_begin_leaves_none() -> None:
    process = worked("is interrupted when it begins")
    process.communicate(timeout=10)
    assert process.returncode != 0
    assert are_gone(process.pid)


@needs_crew
def test_nobody_waits_for_a_helper_of_one_that_was_killed() -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    process = with_a_helper_that_hangs()
    process.kill()
    process.communicate(timeout=5)  # to the end of what it writes
    os.killpg(process.pid, signal.SIGKILL)
    assert are_gone(process.pid)
