"""Format the measurements as the tables that are printed and stored in docs/benchmarks.md."""

import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from clock import Timings, median_cpu, median_wall, ratios
from venvs import OLDER_COMMIT, ROOT, Venvs

_DOCUMENT = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget and the measured value. `at_least` means that larger is better.

    `older` is the value of the older commit in the same run; `goal` is the target beyond the budget.
    """

    work: str
    limit: float
    found: float
    unit: str
    at_least: bool = False
    goal: float | None = None
    older: float | None = None

    @property
    def verdict(self) -> str:
        """Return whether the value is within the budget, or by how much it is not."""
        if self.at_least:
            return "within" if self.found >= self.limit else f"short by {1 - self.found / self.limit:.0%}"
        return "within" if self.found <= self.limit else f"over by {self.found / self.limit - 1:.0%}"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report: a heading, Markdown text, and its budgets."""

    title: str
    text: str
    budgets: Sequence[Budget] = ()


def budgets_table(budgets: Sequence[Budget]) -> str:
    """Return a table with a line for each budget."""
    rows = [("work", "budget", OLDER_COMMIT, "found", "of", "", "goal")]
    rows += [
        (
            each.work,
            f"{'≥' if each.at_least else '≤'} {each.limit:g}",
            "" if each.older is None else f"{each.older:.2f}",
            f"{each.found:.2f}",
            each.unit,
            each.verdict,
            "" if each.goal is None else f"{each.goal:g}",
        )
        for each in budgets
    ]
    return table(rows)


def times_table(base: str, timings: Timings) -> str:
    """Return a table with the times of each contender in milliseconds and the ratio to the base."""
    rows = [("what", "median ms", "CPU ms", f"× {base}", "min–max")]
    for name, own in timings.items():
        found = ratios(own, timings[base])
        rows.append(
            (
                name,
                f"{median_wall(own):.1f}",
                f"{median_cpu(own):.1f}",
                f"{statistics.median(found):.2f}",
                f"{min(found):.2f}–{max(found):.2f}",
            )
        )
    return table(rows)


def circumstances(installed: Venvs, peers: Mapping[str, str], programs: Sequence[str], options: str) -> str:
    """Describe the date, the machine and the versions, without names or paths of this machine."""
    if sys.platform == "win32":
        raise SystemExit("the benchmarks need POSIX")
    versions = {**installed.with_sandbox.versions(), **installed.plain.versions()}
    day = datetime.now(UTC).date()
    machine = f"{_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    lines = [
        f"{day}, {options}",
        f"{machine}; {_system()}; one fsync of 4 KiB takes {_fsync_ms():.2f} ms",
        ", ".join([python, f"pip {installed.pip}", *_names_with_versions(versions)]),
        ", ".join([*_names_with_versions(peers), *programs]),
    ]
    return "".join(f"- {line}\n" for line in lines)


def _names_with_versions(versions: Mapping[str, str]) -> list[str]:
    return [f"{name} {version}" for name, version in versions.items()]


def write(report: str) -> None:
    """Replace the part between the two markers in docs/benchmarks.md."""
    text = _DOCUMENT.read_text("utf-8")
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    _DOCUMENT.write_text(f"{before}{_BEGIN}\n{report}\n{_END}{after}", "utf-8")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as an aligned Markdown table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |\n"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|\n"
    return "".join([lines[0], rule, *lines[1:]])


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    named = (
        re.search(r"model name\s*: (.*)", information.read_text("utf-8")) if information.exists() else None
    )
    return named[1] if named else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _fsync_ms(times: int = 50) -> float:
    """Measure how long it takes to sync a page to disk, which the ledger and the sandbox do often."""
    taken = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(times):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)
