"""Clients and sandboxes as forked processes."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from faults import lab
from faults.network.faults import SHORT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_TIMEOUT_S = 20.0
_MAX_GROWTH_KB = 40 * 1024  # of a client: less than the gzip bomb needs when it is decompressed

_RETRY_TIME_S = "1.0"

_SHORT_LIMITS = "FAULTS_SHORT_LIMITS"  # environment variable of clients that use SHORT_LIMITS
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.1


def _fork(argv: Sequence[object], env: dict[str, str], out: int, err: int) -> int:
    """Run docsend in a fork of this process, which has imported it, and return the process id."""
    if sys.platform == "win32":
        raise NotImplementedError
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.environ.clear()
        os.environ.update(env)
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        # New stream objects: the worker's are set up for another kind of file.
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        code = _main([str(argument) for argument in argv])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _main(argv: list[str]) -> int:
    from docsend.cli import app
    from docsend.service.exchange import TIME_LIMITS
    from docsend.service.http import HttpClient
    from docsend.service.retry import RetryPolicy

    # Shorter pauses, for more attempts in the same time; everything else is the program's own.
    RetryPolicy.__new__.__defaults__ = (_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
    shortened = RetryPolicy(0)
    assert (shortened.first_pause_s, shortened.max_pause_s) == (_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
    if os.environ.pop(_SHORT_LIMITS, None):
        grace_s, slowest_bytes_per_s = SHORT_LIMITS
        assert HttpClient.__init__.__defaults__ == (TIME_LIMITS,)
        HttpClient.__init__.__defaults__ = (
            TIME_LIMITS._replace(grace_s=grace_s, min_bytes_per_s=slowest_bytes_per_s),
        )
    return app.main(argv)


@contextlib.contextmanager
def forked_sandbox(folder: Path) -> Iterator[int]:
    """Run a forked sandbox over this folder and yield its port.

    Starting a new interpreter for each sandbox would take longer than its clients.
    """
    if sys.platform == "win32":
        raise NotImplementedError
    folder.mkdir()
    reading, writing = os.pipe()
    with (folder / "stderr").open("wb") as err:
        argv = ("sandbox", "--data", folder, "--port", 0, "--json")
        pid = _fork(argv, lab.environment(folder / "home"), writing, err.fileno())
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as output:
            yield int(json.loads(output.readline())["address"].rpartition(":")[2])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@dataclass
class Client:
    """A client that runs one command until it succeeds; `runs` are the results."""

    number: int
    submission: int
    files: list[Path]
    home: Path
    has_short_limits: bool = False
    is_staged: bool = False
    runs: list[lab.RunResult] = field(default_factory=list)
    violations: list[tuple[str, str]] = field(default_factory=list)

    def argv(self, url: str) -> list[object]:
        return ["send", *self.files, *lab.CATALOG_OPTIONS, "--id", lab.ID_NUMBER, "--service", url, "--json"]


@dataclass
class _ClientProcess:
    """The process of one run of a client."""

    client: Client
    pid: int
    folder: Path
    started: float
    kill_at: float | None

    @classmethod
    def start(
        cls, client: Client, url: str, folder: Path, kill_after: float | None, extra: Sequence[str]
    ) -> _ClientProcess:
        folder = folder / f"{client.number}-{len(client.runs)}"
        folder.mkdir(parents=True)
        env = lab.environment(client.home, DOCSEND_PATIENCE=_RETRY_TIME_S)
        if client.has_short_limits:
            env[_SHORT_LIMITS] = "1"
        if client.is_staged:
            lab.store_catalog(env, url, None)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            pid = _fork([*client.argv(url), *extra], env, out.fileno(), err.fileno())
        now = time.monotonic()
        return cls(client, pid, folder, now, None if kill_after is None else now + kill_after)

    def poll(self) -> bool:
        """Return whether the process has ended, and record its result; kill it when it is time to."""
        if sys.platform == "win32":
            raise NotImplementedError
        pid, status, used = os.wait4(self.pid, os.WNOHANG)
        now = time.monotonic()
        if not pid and self.kill_at is not None and now > self.kill_at:
            os.kill(self.pid, signal.SIGKILL)
            self.kill_at = None
        elif not pid and now - self.started > _TIMEOUT_S:
            self.client.violations.append(("other", f"still running after {_TIMEOUT_S:.0f} s"))
            os.kill(self.pid, signal.SIGKILL)
            self.started = now
        if pid:
            out, err = ((self.folder / name).read_text("utf-8", "replace") for name in ("out", "err"))
            self.client.runs.append(lab.RunResult(os.waitstatus_to_exitcode(status), out, err))
            grown = used.ru_maxrss - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if grown > _MAX_GROWTH_KB:
                self.client.violations.append(("other", f"took {grown // 1024} MB of memory"))
        return bool(pid)


def run_clients(
    clients: Iterable[Client],
    url: str,
    folder: Path,
    *,
    max_runs: int = 1,
    kills: dict[tuple[int, int], float] | None = None,
    extra: Sequence[str] = (),
) -> None:
    """Run clients at the same time, each up to `max_runs` times until it succeeds.

    `kills` maps (client number, run number) to the seconds after which that run is killed.
    """

    def start(client: Client) -> _ClientProcess:
        kill_after = (kills or {}).get((client.number, len(client.runs)))
        return _ClientProcess.start(client, url, folder, kill_after, extra)

    started = Counter({client.number: 1 for client in clients})
    running = [start(client) for client in clients]
    while running:
        time.sleep(0.002)
        for process in list(running):
            if not process.poll():
                continue
            running.remove(process)
            if process.client.runs[-1].code != 0 and started[process.client.number] < max_runs:
                started[process.client.number] += 1
                running.append(start(process.client))
