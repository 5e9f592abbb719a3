"""From timings to the table that is printed and kept in docs/benchmarks.md."""

import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clock import Contender, Peak, Timing
from venvs import ROOT, Venvs

_DOCUMENT = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"


def _ratios(timings: Sequence[Timing], to: Sequence[Timing]) -> list[float]:
    """Compare each run with the other's run of the same round."""
    return [one.wall / other.wall for one, other in zip(timings, to, strict=True)]


def times_table(
    base: Contender, contenders: Sequence[Contender], timings: Mapping[str, Sequence[Timing]]
) -> str:
    """Give a line for each contender, and how it compares with the base."""
    rows = [("what", "median ms", "CPU ms", f"× {base.name}", "min–max", "budget", "")]
    for contender in (base, *contenders):
        own = timings[contender.name]
        found = _ratios(own, timings[base.name])
        rows.append(
            (
                contender.name,
                f"{statistics.median(run.wall for run in own):.1f}",
                f"{statistics.median(run.cpu for run in own):.1f}",
                f"{statistics.median(found):.2f}",
                f"{min(found):.2f}–{max(found):.2f}",
                f"≤ {contender.budget}" if contender.budget else "",
                _verdict(statistics.median(found), contender.budget),
            )
        )
    return table(rows)


def pairs_table(pairs: Sequence[tuple[str, str]], timings: Mapping[str, Sequence[Timing]]) -> str:
    """Give a line for each two contenders that are compared with one another."""
    rows = [("what", "compared with", "×", "min–max")]
    for one, other in pairs:
        found = _ratios(timings[one], timings[other])
        rows.append((one, other, f"{statistics.median(found):.2f}", f"{min(found):.2f}–{max(found):.2f}"))
    return table(rows)


def memory_table(name: str, found: Peak, budget: float) -> str:
    row = (name, f"{found.mib:.1f}", f"≤ {budget:.0f}", _verdict(found.mib, budget), found.by)
    return table([("what", "peak MiB", "budget", "", "measured by"), row])


def _verdict(value: float, budget: float | None) -> str:
    if budget is None:
        return ""
    return "within" if value <= budget else f"over by {value / budget - 1:.0%}"


def circumstances(venvs: Venvs, rounds: int, curl: str) -> str:
    """Tell the day, the machine and the versions, without a name or a path of this machine."""
    versions = {**venvs.with_sandbox.versions(), **venvs.plain.versions()}
    day = datetime.now(UTC).date()
    machine = f"{_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    lines = [
        f"{day}, {rounds} rounds",
        f"{machine}; {_system()}; one fsync of 4 KiB takes {_fsync_ms():.2f} ms",
        ", ".join([python, f"pip {venvs.pip}", *(f"{name} {version}" for name, version in versions.items())]),
        curl,
    ]
    return "".join(f"- {line}\n" for line in lines)


def write(report: str) -> None:
    """Put the report between the two marks of docs/benchmarks.md; the words around them stay."""
    text = _DOCUMENT.read_text("utf-8")
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    _DOCUMENT.write_text(f"{before}{_BEGIN}\n{report}\n{_END}{after}", "utf-8")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out as a Markdown table that is readable as it stands."""
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
    """Measure what it costs here to put a page on the disk: the ledger and the sandbox do so many times."""
    taken = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(times):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)
