"""Batches against the clock: rows a second beside curl, and how time and memory grow with the rows."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clock import Peak, Timing, tell, timed, timed_with_peak
from report import Budget, Section, table
from servers import Load, stand_in
from submissions import Rows, Submissions

DOCUMENT = 2000
_MIN_AT = {8: 0.9, 32: 0.8}
_GROWTH = 1.0


@dataclass(frozen=True, slots=True)
class _Plan:
    """One batch: how many rows, by how many jobs, after how many milliseconds each answer, how often."""

    rows: int
    jobs: int
    latency_ms: int
    rounds: int


_GROWING = (_Plan(2000, 8, 0, 1), _Plan(20_000, 8, 0, 1))
# 20,000 rows by one job at 20 ms are 20 minutes by the latency alone, by eight jobs three.
_FULL = (
    _Plan(100, 1, 20, 7),
    _Plan(2000, 8, 20, 7),
    _Plan(2000, 32, 20, 7),
    _Plan(20_000, 32, 20, 1),
    _Plan(500, 1, 0, 7),
    _Plan(1000, 8, 0, 7),
    _Plan(500, 32, 0, 7),
)
_QUICK = (_Plan(50, 1, 20, 3), _Plan(400, 8, 20, 3), _Plan(400, 32, 20, 3), _Plan(400, 8, 0, 3))
_GROWING_QUICK = (_Plan(500, 8, 0, 1), _Plan(3000, 8, 0, 1))


@dataclass(frozen=True, slots=True)
class _Found:
    """What a batch came to, of docsend and of curl, run after run."""

    plan: _Plan
    ours: Sequence[Timing]
    theirs: Sequence[Timing]
    peak: Peak
    load: Load

    @property
    def ratio(self) -> float:
        """Give docsend's rows a second by curl's."""
        return statistics.median(
            curl.wall / docsend.wall for docsend, curl in zip(self.ours, self.theirs, strict=True)
        )

    def per_second(self, runs: Sequence[Timing]) -> float:
        return statistics.median(self.plan.rows / run.wall * 1000 for run in runs)

    @property
    def ms_a_row(self) -> float:
        return statistics.median(run.wall for run in self.ours) / self.plan.rows

    @property
    def cpu_ms_a_row(self) -> float:
        return statistics.median(run.cpu for run in self.ours) / self.plan.rows


def section(docsend: str, folder: Path, environment: Mapping[str, str], *, quick: bool) -> Section:
    """Measure batches of one small document a row against the stand-in."""
    plans, growing = (_QUICK, _GROWING_QUICK) if quick else (_FULL, _GROWING)
    rows = Submissions(folder / "rows").rows(max(plan.rows for plan in (*plans, *growing)), DOCUMENT)
    found = [_measured(docsend, rows, plan, environment) for plan in plans]
    grown = [_measured(docsend, rows, plan, environment) for plan in growing]
    less, more = grown
    growth = (more.peak.mib - less.peak.mib) * 1024 / (more.plan.rows - less.plan.rows)
    budgets = [
        Budget(
            f"batch of {each.plan.rows:,} rows, {each.plan.jobs} jobs, {each.plan.latency_ms} ms",
            _MIN_AT[each.plan.jobs],
            each.ratio,
            "× curl --parallel",
            at_least=True,
        )
        for each in found
        if each.plan.latency_ms and each.plan.jobs in _MIN_AT and each.plan.rounds > 1
    ]
    budgets.append(Budget("growth of a batch", _GROWTH, growth, f"KiB a row ({more.peak.by})"))
    return Section("Batches", f"{_throughput(found)}\n{_growth(grown)}", budgets)


def _measured(docsend: str, rows: Rows, plan: _Plan, environment: Mapping[str, str]) -> _Found:
    ours, theirs, peaks = [], [], []
    with stand_in(plan.latency_ms) as server:
        load = Load(server)
        for number in range(1, plan.rounds + 1):
            manifest = rows.manifest(plan.rows)
            command = [docsend, "send", "--batch", str(manifest), "--jobs", str(plan.jobs), "--quiet"]
            with load.during():
                timing, peak = timed_with_peak([*command, "--service", server.address], environment)
            ours.append(timing)
            peaks.append(peak)
            theirs.append(timed(rows.by_curl(plan.rows, server.address, plan.jobs), environment))
            told = f"{plan.rows} rows, {plan.jobs} jobs, {plan.latency_ms} ms: {number} of {plan.rounds}"
            tell(told, is_last=number == plan.rounds)
    return _Found(plan, ours, theirs, max(peaks, key=lambda peak: peak.mib), load)


def _throughput(found: Sequence[_Found]) -> str:
    batch, speed = ("rows", "jobs", "latency ms", "rounds"), ("docsend rows/s", "curl rows/s", "docsend/curl")
    rows = [(*batch, *speed, "CPU ms a row", "peak MiB", "far side busy")]
    rows += [
        (
            f"{each.plan.rows:,}",
            str(each.plan.jobs),
            str(each.plan.latency_ms),
            str(each.plan.rounds),
            f"{each.per_second(each.ours):.0f}",
            f"{each.per_second(each.theirs):.0f}",
            f"{each.ratio:.2f}",
            f"{each.cpu_ms_a_row:.2f}",
            f"{each.peak.mib:.1f}",
            str(each.load),
        )
        for each in found
    ]
    return table(rows)


def _growth(grown: Sequence[_Found]) -> str:
    rows = [("rows, 8 jobs, no latency", "ms a row", "CPU ms a row", "peak MiB")]
    rows += [
        (
            f"{each.plan.rows:,}",
            f"{each.ms_a_row:.2f}",
            f"{each.cpu_ms_a_row:.2f}",
            f"{each.peak.mib:.1f}",
        )
        for each in grown
    ]
    return table(rows)
