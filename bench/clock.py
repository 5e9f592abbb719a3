"""Run commands and measure their time and memory, one after another, in rounds."""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

if sys.platform == "win32":
    raise SystemExit("the benchmarks need POSIX")

_SILENT = (
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A command to measure.

    `command` is called before each run, outside the measured time, so that each run can send new content.
    `extra` is added to the environment. If an optional contender fails, it is skipped; otherwise the
    benchmark stops.
    """

    name: str
    command: Callable[[], Sequence[str]]
    extra: Mapping[str, str] = field(default_factory=dict)
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock and CPU time of one process, from before its start to after its end, in milliseconds."""

    wall: float
    cpu: float


Timings = Mapping[str, Sequence[Timing]]


def measure(
    base: Contender,
    contenders: Sequence[Contender],
    environment: Mapping[str, str],
    rounds: int,
    watched: Mapping[str, Callable[[], contextlib.AbstractContextManager[None]]] | None = None,
) -> Timings:
    """Run all contenders in turn, round after round, so that a ratio compares runs that are close in time.

    The base runs before each of the other contenders, and its result for a round is the median of these runs.
    `watched` maps a contender's name to a context manager that is entered around each of its runs.
    """
    warm_up(base.command(), {**environment, **base.extra})
    running = [each for each in contenders if _runs(each, environment)]
    timings: dict[str, list[Timing]] = {each.name: [] for each in (base, *running)}
    for number in range(1, rounds + 1):
        bases = []
        for contender in running:
            bases.append(_run(base, environment))
            with (watched or {}).get(contender.name, contextlib.nullcontext)():
                timings[contender.name].append(_run(contender, environment))
        timings[base.name].append(_median(bases))
        show_progress(f"{', '.join(timings)[:60]}: round {number} of {rounds}", is_last=number == rounds)
    return timings


def show_progress(progress: str, *, is_last: bool) -> None:
    """Print the progress on one line of stderr."""
    print(f"\r{progress}", end="\n" if is_last else "", file=sys.stderr, flush=True)


def ratio(timings: Timings, one: str, other: str) -> float:
    """Return the median ratio of the two wall-clock times, round by round."""
    return statistics.median(ratios(timings[one], timings[other]))


def ratios(timings: Sequence[Timing], to: Sequence[Timing]) -> list[float]:
    """Return the ratio of the two wall-clock times for each round."""
    return [one.wall / other.wall for one, other in zip(timings, to, strict=True)]


def median_wall(timings: Sequence[Timing]) -> float:
    return statistics.median(run.wall for run in timings)


def median_cpu(timings: Sequence[Timing]) -> float:
    return statistics.median(run.cpu for run in timings)


def _median(runs: Sequence[Timing]) -> Timing:
    return Timing(median_wall(runs), median_cpu(runs))


def _runs(contender: Contender, environment: Mapping[str, str]) -> bool:
    """Return whether a contender works; report an optional one that does not."""
    try:
        warm_up(contender.command(), {**environment, **contender.extra})
    except SystemExit as failure:
        if not contender.is_optional:
            raise
        print(f"left out: {contender.name}: {failure}", file=sys.stderr)
        return False
    return True


def _run(contender: Contender, environment: Mapping[str, str]) -> Timing:
    return time_command(contender.command(), {**environment, **contender.extra})


def warm_up(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command once without measuring it, and return its output. Raise SystemExit if it fails."""
    ended = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise SystemExit(f"{' '.join(command[:8])}: exit code {ended.returncode}\n{ended.stderr[-2000:]}")
    return ended.stdout


def time_command(command: Sequence[str], environment: Mapping[str, str]) -> Timing:
    """Run a command once. The CPU time includes its children that have ended."""
    began = time.perf_counter()
    process = os.posix_spawn(command[0], list(command), environment, file_actions=_SILENT)
    _, status, used = os.wait4(process, 0)
    wall = time.perf_counter() - began
    _check_exit_status(command, status)
    return Timing(wall * 1000, (used.ru_utime + used.ru_stime) * 1000)


# -- memory ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest resident set size of one run in MiB, and how it was measured."""

    mib: float
    by: str


def time_command_with_peak(command: Sequence[str], environment: Mapping[str, str]) -> tuple[Timing, Peak]:
    """Run a command once and measure its peak memory, too.

    `wait4` of this process cannot be used: `ru_maxrss` survives exec, so the child's value would include this
    Python's own memory. GNU time is a small parent process. Without it, the value is read from /proc while
    the command runs.
    """
    program = _gnu_time()
    if program is None:
        return _time_command_by_proc(command, environment)
    with tempfile.NamedTemporaryFile("r", encoding="ascii") as answer:
        timing = time_command([program, "--format=%M", f"--output={answer.name}", *command], environment)
        return timing, Peak(int(answer.read()) / 1024, "GNU time")


def _gnu_time() -> str | None:
    program = shutil.which("time")
    if program is None:
        return None
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return program if "GNU" in version.stdout + version.stderr else None


def _time_command_by_proc(command: Sequence[str], environment: Mapping[str, str]) -> tuple[Timing, Peak]:
    most = 0
    began = time.perf_counter()
    process = os.posix_spawn(command[0], list(command), environment, file_actions=_SILENT)
    while True:
        ended, status, used = os.wait4(process, os.WNOHANG)
        if ended:
            break
        lines = Path(f"/proc/{process}/status").read_text("ascii", "replace").splitlines()
        most = max([most, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))])
        time.sleep(0.001)
    wall = time.perf_counter() - began
    _check_exit_status(command, status)
    timing = Timing(wall * 1000, (used.ru_utime + used.ru_stime) * 1000)
    return timing, Peak(most / 1024, "VmHWM of /proc/PID/status, read every millisecond")


def _check_exit_status(command: Sequence[str], status: int) -> None:
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command[:8])}: exit code {code}")
