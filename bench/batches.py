"""Batches: rows per second compared with curl, and how time and memory grow with the number of rows."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clock import Peak, Timing, show_progress, time_command, time_command_with_peak
from report import Budget, Section, table
from servers import Load, stand_in
from submissions import Rows, Submissions
from venvs import OLDER_COMMIT

DOCUMENT = 2000
_GROWTH = 1.0
# For (jobs, latency in ms): the minimum ratio of docsend's rows per second to those of curl with three
# requests, to those of curl with one request, and the goal for the first ratio.
_MIN_RATIOS = {(8, 20): (2.5, 0.85, None), (32, 20): (1.0, None, 1.2), (32, 100): (2.6, 0.85, None)}
_CPU_AT, _CPU_MS, _CPU_GOAL = (32, 20), 2.0, 1.5


@dataclass(frozen=True, slots=True)
class _Plan:
    """One batch: number of rows and jobs, latency of each response in milliseconds, and number of rounds."""

    rows: int
    jobs: int
    latency_ms: int
    rounds: int


_GROWING = (_Plan(2000, 8, 0, 1), _Plan(20_000, 8, 0, 1))
# With a latency of 20 ms, 20,000 rows take 20 minutes with one job and three minutes with eight.
_FULL = (
    _Plan(100, 1, 20, 5),
    _Plan(2000, 8, 20, 5),
    _Plan(2000, 32, 20, 7),
    _Plan(2000, 32, 100, 5),
    _Plan(20_000, 32, 20, 1),
    _Plan(500, 1, 0, 5),
    _Plan(1000, 8, 0, 5),
    _Plan(500, 32, 0, 5),
)
_QUICK = (
    *(_Plan(50, 1, 20, 3), _Plan(400, 8, 20, 3), _Plan(400, 32, 20, 3), _Plan(400, 32, 100, 3)),
    _Plan(400, 8, 0, 3),
)
_GROWING_QUICK = (_Plan(500, 8, 0, 1), _Plan(3000, 8, 0, 1))


@dataclass(frozen=True, slots=True)
class _Measurements:
    """Measurements of one batch: docsend, the older commit, and curl with three requests and with one."""

    plan: _Plan
    ours: Sequence[Timing]
    older: Sequence[Timing]
    by_three: Sequence[Timing]
    by_one: Sequence[Timing]
    peak: Peak
    load: Load

    def per_second(self, runs: Sequence[Timing]) -> float:
        return statistics.median(self.plan.rows / run.wall * 1000 for run in runs)

    def cpu_ms_a_row(self, runs: Sequence[Timing]) -> float:
        return statistics.median(run.cpu for run in runs) / self.plan.rows

    @property
    def ms_a_row(self) -> float:
        return statistics.median(run.wall for run in self.ours) / self.plan.rows


def _throughput_ratio(runs: Sequence[Timing], than: Sequence[Timing]) -> float | None:
    """Return the ratio of the two throughputs (median over the rounds), or None without runs."""
    if not runs:
        return None
    return statistics.median(other.wall / own.wall for own, other in zip(runs, than, strict=True))


def section(
    docsend: str, older: str | None, folder: Path, environment: Mapping[str, str], *, quick: bool
) -> Section:
    """Measure batches of one small document a row against the stand-in server."""
    plans, growing = (_QUICK, _GROWING_QUICK) if quick else (_FULL, _GROWING)
    rows = Submissions(folder / "rows").rows(max(plan.rows for plan in (*plans, *growing)), DOCUMENT)
    old = _OlderCommit(older, {**environment, "DOCSEND_HOME": str(folder / "older")}) if older else None
    found = [_measure(docsend, old, rows, plan, environment) for plan in plans]
    grown = [_measure(docsend, None, rows, plan, environment) for plan in growing]
    less, more = grown
    growth = (more.peak.mib - less.peak.mib) * 1024 / (more.plan.rows - less.plan.rows)
    budgets = [budget for each in found if each.plan.rounds > 1 for budget in _budgets(each)]
    budgets.append(Budget("growth of a batch", _GROWTH, growth, f"KiB a row ({more.peak.by})"))
    return Section("Batches", f"{_throughput(found)}\n{_growth(grown)}", budgets)


@dataclass(frozen=True, slots=True)
class _OlderCommit:
    """The program of the older commit, with its own ledger."""

    docsend: str
    environment: Mapping[str, str]


def _measure(
    docsend: str, old: _OlderCommit | None, rows: Rows, plan: _Plan, environment: Mapping[str, str]
) -> _Measurements:
    ours, older, peaks = [], [], []
    by_three: list[Timing] = []
    by_one: list[Timing] = []
    with stand_in(plan.latency_ms) as server:
        load = Load(server)

        def sends(program: str) -> list[str]:
            batch = [program, "send", "--batch", str(rows.manifest(plan.rows)), "--quiet"]
            if program == docsend:  # an older commit may not know the option
                batch.append("--anyway")  # the same documents with another reference
            return [*batch, "--jobs", str(plan.jobs), "--service", server.address]

        for number in range(1, plan.rounds + 1):
            command = sends(docsend)
            with load.measure():
                timing, peak = time_command_with_peak(command, environment)
            ours.append(timing)
            peaks.append(peak)
            if old is not None:
                older.append(time_command(sends(old.docsend), old.environment))
            for runs, at_once in ((by_three, False), (by_one, True)):
                curl = rows.curl_command(plan.rows, server.address, plan.jobs, at_once=at_once)
                runs.append(time_command(curl, environment))
            progress = f"{plan.rows} rows, {plan.jobs} jobs, {plan.latency_ms} ms: {number} of {plan.rounds}"
            show_progress(progress, is_last=number == plan.rounds)
    peak = max(peaks, key=lambda peak: peak.mib)
    return _Measurements(plan, ours, older, by_three, by_one, peak, load)


def _budgets(found: _Measurements) -> Iterator[Budget]:
    at = found.plan.jobs, found.plan.latency_ms
    work = f"batch of {found.plan.rows:,} rows, {found.plan.jobs} jobs, {found.plan.latency_ms} ms"
    three, one, goal = _MIN_RATIOS.get(at, (None, None, None))
    for least, curl, curls, aim in (
        (three, "three requests", found.by_three, goal),
        (one, "one exchange", found.by_one, None),
    ):
        if least is not None:
            yield Budget(
                work,
                least,
                _throughput_ratio(found.ours, curls) or 0,
                f"× curl --parallel, {curl}",
                at_least=True,
                goal=aim,
                older=_throughput_ratio(found.older, curls),
            )
    if at == _CPU_AT:
        older = found.cpu_ms_a_row(found.older) if found.older else None
        yield Budget(
            work, _CPU_MS, found.cpu_ms_a_row(found.ours), "ms of CPU a row", goal=_CPU_GOAL, older=older
        )


def _throughput(found: Sequence[_Measurements]) -> str:
    rows = [
        (
            *("rows", "jobs", "latency ms", "rounds"),
            *("rows/s", f"{OLDER_COMMIT} rows/s", "curl × 3 rows/s", "curl × 1 rows/s"),
            *(
                "× curl × 3",
                "× curl × 1",
                "CPU ms a row",
                f"{OLDER_COMMIT} CPU ms",
                "peak MiB",
                "server load",
            ),
        )
    ]
    rows += [
        (
            f"{each.plan.rows:,}",
            str(each.plan.jobs),
            str(each.plan.latency_ms),
            str(each.plan.rounds),
            f"{each.per_second(each.ours):.0f}",
            f"{each.per_second(each.older):.0f}" if each.older else "",
            f"{each.per_second(each.by_three):.0f}",
            f"{each.per_second(each.by_one):.0f}",
            f"{_throughput_ratio(each.ours, each.by_three):.2f}",
            f"{_throughput_ratio(each.ours, each.by_one):.2f}",
            f"{each.cpu_ms_a_row(each.ours):.2f}",
            f"{each.cpu_ms_a_row(each.older):.2f}" if each.older else "",
            f"{each.peak.mib:.1f}",
            str(each.load),
        )
        for each in found
    ]
    return table(rows)


def _growth(grown: Sequence[_Measurements]) -> str:
    rows = [("rows, 8 jobs, no latency", "ms a row", "CPU ms a row", "peak MiB")]
    rows += [
        (
            f"{each.plan.rows:,}",
            f"{each.ms_a_row:.2f}",
            f"{each.cpu_ms_a_row(each.ours):.2f}",
            f"{each.peak.mib:.1f}",
        )
        for each in grown
    ]
    return table(rows)
