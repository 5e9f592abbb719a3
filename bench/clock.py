"""Running commands against the clock, one after another, round after round."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SILENT = (
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
)


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to measure. `command` is called before each run, outside the clock: content can be fresh."""

    name: str
    command: Callable[[], Sequence[str]]
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """One run of one process, from before its start to after its end, in milliseconds."""

    wall: float
    cpu: float


def measured(
    base: Contender, contenders: Sequence[Contender], environment: Mapping[str, str], rounds: int
) -> dict[str, list[Timing]]:
    """Run all contenders in turn, round after round, so that a ratio compares neighbours in time.

    The base is what all are compared with, and short: it runs before each of the others, and counts in a
    round with the median of its runs.
    """
    for contender in (base, *contenders):
        warm_up(contender.command(), environment)
    timings: dict[str, list[Timing]] = {contender.name: [] for contender in (base, *contenders)}
    for done in range(rounds):
        bases = []
        for contender in contenders:
            bases.append(timed(base.command(), environment))
            timings[contender.name].append(timed(contender.command(), environment))
        timings[base.name].append(_median(bases))
        print(f"\rround {done + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return timings


def _median(runs: Sequence[Timing]) -> Timing:
    return Timing(statistics.median(run.wall for run in runs), statistics.median(run.cpu for run in runs))


def warm_up(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run once outside the clock and give what it prints; end the benchmark if it fails."""
    ended = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {ended.returncode}\n{ended.stderr}")
    return ended.stdout


def timed(command: Sequence[str], environment: Mapping[str, str]) -> Timing:
    began = time.perf_counter()
    process = os.posix_spawn(command[0], list(command), environment, file_actions=_SILENT)
    _, status, used = os.wait4(process, 0)
    wall = time.perf_counter() - began
    _ended_well(command, status)
    return Timing(wall * 1000, (used.ru_utime + used.ru_stime) * 1000)


# -- memory ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest resident set of one run, and who said so."""

    mib: float
    by: str


def peak(command: Sequence[str], environment: Mapping[str, str]) -> Peak:
    """Measure the peak memory of a command.

    Not with the `wait4` of this process: `ru_maxrss` outlives the exec, so a child's would begin with this
    Python's own memory. GNU time is a small parent; without it the kernel's figure is read while it runs.
    """
    if program := _gnu_time():
        return Peak(_peak_by_gnu_time(program, command, environment), "GNU time")
    return Peak(_peak_by_proc(command, environment), "VmHWM of /proc/PID/status, read every 0.5 ms")


def _gnu_time() -> str | None:
    program = shutil.which("time")
    if program is None:
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return program if "GNU" in told.stdout + told.stderr else None


def _peak_by_gnu_time(program: str, command: Sequence[str], environment: Mapping[str, str]) -> float:
    with tempfile.NamedTemporaryFile("r", encoding="ascii") as answer:
        warm_up([program, "--format=%M", f"--output={answer.name}", *command], environment)
        return int(answer.read()) / 1024


def _peak_by_proc(command: Sequence[str], environment: Mapping[str, str]) -> float:
    most = 0
    process = os.posix_spawn(command[0], list(command), environment, file_actions=_SILENT)
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        lines = Path(f"/proc/{process}/status").read_text("ascii", "replace").splitlines()
        most = max([most, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))])
        time.sleep(0.0005)
    _ended_well(command, status)
    return most / 1024


def _ended_well(command: Sequence[str], status: int) -> None:
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)}: exit code {code}")
