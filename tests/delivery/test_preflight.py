"""The first pass over a batch: its result is the same with one process and with several."""

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
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import batch_files
import samples
from conftest import PERSON
from docsend.delivery import processes

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = ["to", "subject", "category", "type", "id", "reference", "documents"]
ROWS = 3000  # workers start after a few hundred rows

needs_cores = pytest.mark.skipif(processes._cores() < 2, reason="workers need two cores")

# Runs the command, and reports on stderr each start of a worker. The variable THREAD starts another thread.
_SCRIPT_REPORTING_WORKERS = """
import multiprocessing.process as process, os, threading, time

def start(self, original=process.BaseProcess.start):
    os.write(2, b"a copy starts\\n" if type(self).__name__ == "ForkProcess" else b"a worker starts\\n")
    original(self)

if __name__ == "__main__":
    process.BaseProcess.start = start
    if "THREAD" in os.environ:
        threading.Thread(target=time.sleep, args=[3600], daemon=True).start()
    from docsend.__main__ import run
    run()
"""


def manifest(folder: Path) -> Path:
    """Write a manifest with good and bad rows throughout."""
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
        rows[n + 5][4] = "12345674"  # a spreadsheet removed its leading zero
    text = io.StringIO()
    csv.writer(text).writerows([HEAD, *rows])
    return samples.write(folder, "batch.csv", text.getvalue().encode())


def checked(file: Path, *options: str, cores: int | None = None) -> tuple[int, str, list[str]]:
    """Check a manifest in another process, and return its exit code, its output and the lines of stderr.

    The last line is left out, because it says how long the run took.
    """

    def limit_cores() -> None:
        if cores is not None and sys.platform == "linux":
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    script = samples.write(file.parent, "reporting.py", _SCRIPT_REPORTING_WORKERS.encode())
    done = subprocess.run(
        [sys.executable, script, "send", "--batch", file, "--dry-run", *options],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        preexec_fn=limit_cores,
    )  # fmt: skip
    lines = [batch_files.without_time(line) for line in done.stderr.splitlines()[:-1]]
    return done.returncode, re.sub(r'"seconds": [0-9.]+', "", done.stdout), lines


@needs_cores
@pytest.mark.parametrize("options", [(), ("--lang", "he"), ("--json",), ("--shard", "2/3")])
def test_several_processes_find_what_one_finds(tmp_path, options) -> None:
    if sys.platform != "linux":
        raise NotImplementedError
    file = manifest(tmp_path)
    code, out, err = checked(file, *options)
    assert err.count("a worker starts") == min(8, processes._cores()) - 1
    assert file.stat().st_size < 2**18, "the workers start with the first rows"
    with_one_core = checked(file, *options, cores=1)
    assert "a worker starts" not in with_one_core[2]
    assert (code, out, [line for line in err if line != "a worker starts"]) == with_one_core
    assert code == 3


@needs_cores
def test_problems_are_reported_in_row_order_and_duplicates_name_the_first_row(tmp_path) -> None:
    _, out, _ = checked(manifest(tmp_path), "--json")
    rows = [json.loads(line) for line in out.splitlines()[:-1]]
    numbers = [row["row"] for row in rows]
    assert numbers == list(range(2, ROWS + 2))
    duplicate = rows[72]
    assert duplicate["status"] == "faulty", duplicate
    assert [problem["message"] for problem in duplicate["problems"]] == ["duplicate of row 12"]


@needs_cores
@pytest.mark.parametrize("has_thread", [True, False])
@pytest.mark.parametrize("is_good", [True, False])
def test_a_large_manifest_starts_the_workers_before_it_is_read_and_leaves_none(
    tmp_path, monkeypatch, is_good, has_thread
) -> None:
    if has_thread:  # which a copy would lack
        monkeypatch.setenv("THREAD", "1")
    started = "a worker starts" if has_thread or sys.platform != "linux" else "a copy starts"
    head = ",".join(HEAD if is_good else HEAD[:-1]).encode()
    row = f"benefits,unemployment,employer,payslips,{PERSON},one,a.pdf"
    file = samples.write(tmp_path, "batch.csv", head + b"\n" + f"{row}\n".encode().ljust(2**18))
    samples.write(tmp_path, "a.pdf", samples.pdf())
    code, _, err = checked(file)  # until no process has its output open any more
    assert (code, err.count(started)) == (0 if is_good else 3, min(8, processes._cores()) - 1), err


@needs_cores
def test_workers_import_nothing_from_the_current_folder(tmp_path) -> None:
    for name in ("multiprocessing", "runpy", "pickle", "docsend"):
        samples.write(tmp_path, f"{name}.py", b"import os; os.mkdir('executed')")
    samples.write(tmp_path, "a.pdf", samples.pdf())
    row = f"benefits,unemployment,employer,payslips,{PERSON},one,a.pdf"
    samples.write(tmp_path, "batch.csv", f"{','.join(HEAD)}\n{row}\n".encode().ljust(2**18))
    command = [str(Path(sys.executable).with_name("docsend")), "send", "--batch", "batch.csv", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(("rows", "size"), [(1, None), (50, 500_000), (129, 200_000)])
def test_a_short_batch_is_checked_by_one_process(tmp_path, rows, size) -> None:
    """Even if that takes long, because no more is left than this process does while another one starts."""
    file = batch_files.save_manifest(tmp_path, batch_files.make_rows(tmp_path, rows, size=size))
    code, _, err = checked(file)
    assert (code, "a worker starts" in err) == (0, False), err


# -- the pool of workers ------------------------------------------------------------------------------------

# Maps a function over items and prints each item with the id of the process that did it. The first argument
# is what happens to a worker; the third says whether the workers are copies of the process, or new ones. The
# function is larger than a pipe buffer: starting a worker must not block until it is read.
_SCRIPT = """
import contextlib, functools, os, signal, sys, time
from docsend.delivery import processes

def work(item, action, parent, ballast):
    time.sleep(0.02)
    if os.getpid() != parent and item > 20:
        if action == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == "raises":
            raise ValueError
        elif action == "is killed while it writes its result":
            from multiprocessing import connection

            def send_half(self, buffer, write=os.write):
                write(self.fileno(), bytes(buffer)[: len(buffer) // 2])
                os.kill(os.getpid(), signal.SIGKILL)

            connection.Connection._send = send_half
        elif action == "cannot pickle its result":
            return item, os.getpid(), lambda: None
        elif action == "is slow":
            time.sleep(3600)
    return item, os.getpid()

def main():
    action, parent, method = sys.argv[1], os.getpid(), sys.argv[3]
    if action == "lacks resources":
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
    elif action == "is not waited for":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    elif action == "is interrupted at its start":
        import multiprocessing.process as process
        original = process.BaseProcess.start
        process.BaseProcess.start = lambda self: (os.kill(os.getpid(), signal.SIGINT), original(self))
    elif action in ("cannot be started", "ends at once"):
        import multiprocessing
        from multiprocessing import resource_tracker
        resource_tracker.ensure_running()  # so that only the workers fail
        multiprocessing.set_executable({"ends at once": "/bin/true"}.get(action, "/no/such/python"))
        if method == "copies":
            copy = os.fork

            def fork():
                if action == "cannot be started":
                    raise BlockingIOError("Resource temporarily unavailable")
                return copy() or os._exit(0)

            os.fork = fork
    elif action in ("lacks the thread QueueFeederThread", "lacks the thread _ExecutorManagerThread"):
        import threading
        original, name = threading.Thread.start, action.split()[-1]

        def start(self):
            if name in (self.name, type(self).__name__):
                raise RuntimeError("can't start new thread")
            original(self)

        threading.Thread.start = start
        threading.excepthook = lambda _: None  # the executor's own thread ends with this error
    elif action == "has little memory":
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    elif action == "lives, and threads start slowly":
        import threading
        name = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"
        start_thread = getattr(threading, name)

        def start_slowly(*arguments, **named):
            time.sleep(0.4)
            return start_thread(*arguments, **named)

        setattr(threading, name, start_slowly)
    elif action == "lives, and pipes are closed slowly":
        from multiprocessing import connection

        def close(self, close=os.close):
            time.sleep(0.05)
            close(self._handle)

        connection.Connection._close = close
    elif action == "is one of three":
        processes._cores = lambda: 4  # on every machine
    function = functools.partial(work, action=action, parent=parent, ballast=os.urandom(500_000))
    if action == "cannot be pickled":
        function = lambda item: work(item, action, parent, b"")
    items = iter(range(int(sys.argv[2])))
    with contextlib.closing(processes.WorkerProcesses()) as workers:
        if method == "copies":
            workers.start_before_imports()
            workers.start_after_imports()
        for result in workers.map_in_order(function, items):
            print(*result[:2], flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.fixture(params=["copies", "new processes"])
def start_work(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts the script in another process."""
    script = samples.write(tmp_path, "work.py", _SCRIPT.encode())

    def start(action: str, items: int = 40) -> subprocess.Popen[str]:
        words = [sys.executable, str(script), action, str(items), request.param]
        return subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    return start


def wait_until_gone(group: int) -> bool:
    """Wait up to 10 s for all processes of a group to end, and return whether they have."""
    if sys.platform == "win32":
        raise NotImplementedError
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@needs_cores
@pytest.mark.parametrize(
    "action",
    [
        "lives",
        "lives, and pipes are closed slowly",
        "is one of three",
        "killed",
        "is killed while it writes its result",
        "raises",
        "cannot pickle its result",
        "is not waited for",
        "lacks resources",
        "lacks the thread QueueFeederThread",
        "lacks the thread _ExecutorManagerThread",
        "has little memory",
        "cannot be pickled",
        "cannot be started",
        "ends at once",
    ],
)
def test_every_item_is_done_once_and_in_order_whatever_happens_to_workers(start_work, action) -> None:
    process = start_work(action)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    results = [line.split() for line in out.splitlines()]
    assert [int(item) for item, _ in results] == list(range(40))
    is_in_process = action not in (
        "lives",
        "lives, and pipes are closed slowly",
        "is one of three",
        "killed",
        "is killed while it writes its result",
        "raises",
        "cannot pickle its result",
        "is not waited for",
    )
    assert (len({process_id for _, process_id in results}) > 1) != is_in_process
    assert wait_until_gone(process.pid)
    assert not err


@needs_cores
def test_the_pool_can_be_closed_while_its_threads_start(start_work) -> None:
    process = start_work("lives, and threads start slowly", 9)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, len(out.splitlines()), err) == (0, 9, "")
    assert wait_until_gone(process.pid)


@needs_cores
def test_ctrl_c_does_not_wait_for_the_rest_of_a_result(start_work) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    process = start_work("is killed while it writes its result", 100_000)
    assert process.stdout is not None
    while int(process.stdout.readline().split()[0]) < 30:
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode != 0
    assert wait_until_gone(process.pid)


@needs_cores
@pytest.mark.parametrize("action", ["lives", "is one of three"])
@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_worker_outlives_its_parent(start_work, sign, action) -> None:
    process = start_work(action, 100_000)
    assert process.stdout is not None
    while process.stdout.readline().split()[1] == str(process.pid):
        pass  # until the first result of a worker
    process.send_signal(signal.Signals[sign])
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert wait_until_gone(process.pid)


@pytest.fixture
def hanging(start_work) -> subprocess.Popen[str]:
    """Return a process with a worker that hangs."""
    process: subprocess.Popen[str] = start_work("is slow")
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
    assert wait_until_gone(process.pid)


@needs_cores
def test_an_interruption_while_workers_start_leaves_none(start_work) -> None:
    process = start_work("is interrupted at its start")
    process.communicate(timeout=10)
    assert process.returncode != 0
    assert wait_until_gone(process.pid)


@needs_cores
def test_the_workers_of_a_killed_process_keep_no_pipe_open(hanging) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    process = hanging
    process.kill()
    process.communicate(timeout=5)  # until its output is closed
    os.killpg(process.pid, signal.SIGKILL)
    assert wait_until_gone(process.pid)
