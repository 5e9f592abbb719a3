"""The tables of docs/tables-report.md, and the limits."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import docsend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tables.judging import Verdict
    from tables.kinds import Kind

_GOOD_REFUSED = 0.005
_MOST_SHOWN = 12  # failures of a kind
_PACKAGES = ("openpyxl", "python-calamine", "xlwt", "XlsxWriter")


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "-"


@dataclass
class Findings:
    """Everything that was found. `office` says which LibreOffice there was, and how much it read.

    `unsafe_reports` says where a report had a formula or was changed in LibreOffice.
    """

    seed: int
    verdicts: list[Verdict] = field(default_factory=list)
    office: str = ""
    commit: str = field(default_factory=_commit)  # before the run: there may be another one after it
    unsafe_reports: tuple[str, ...] = ()

    def count(self, name: str) -> int:
        """Return how many rows, or tables, have this fault."""
        return sum(int(getattr(verdict, name)) for verdict in self.verdicts)

    def exceeded(self) -> list[str]:
        """Return each limit that is exceeded."""
        found = [f"{text}: {count}" for name, text in _NONE_OF.items() if (count := self.count(name))]
        found += self.unsafe_reports
        crashed = sum(verdict.outcome == "crashed" for verdict in self.verdicts)
        if crashed:
            found.append(f"tables that ended docsend: {crashed}")
        good = sum(verdict.truth == "good" for verdict in self.verdicts)
        refused = self.count("good_refused")
        if refused > _GOOD_REFUSED * good:
            found.append(f"{refused} of {good} good tables refused (limit {_GOOD_REFUSED:.1%})")
        return found


_NONE_OF = {
    "lost": "rows lost",
    "married": "rows married",
    "wrong": "rows with a wrong text",
    "untold": "problems not told",
    "differing": "rows that another reader reads otherwise",
}


def text(findings: Findings, seconds: float) -> str:
    """Return the report as Markdown."""
    limits = [f"- **exceeded:** {each}" for each in findings.exceeded()] or ["- all limits are met"]
    parts = [
        _HEADING.format(
            when=datetime.now(UTC).date().isoformat(),
            version=docsend.__version__,
            commit=findings.commit,
            seed=findings.seed,
            seconds=seconds,
            total=len(findings.verdicts),
            machine=f"{platform.system()}, {os.cpu_count()} cores, CPython {platform.python_version()}",
            packages=", ".join(map(_version, _PACKAGES)),
            office=findings.office,
            limits="\n".join(limits),
        ),
        "## Kinds and outcomes\n",
        _kinds(findings),
        _LEGEND,
        "## Why tables and rows were refused\n",
        _codes(findings),
        "## Failures\n",
        _failures(findings),
    ]
    return "\n".join(parts)


def _by_kind(findings: Findings) -> dict[Kind, list[Verdict]]:
    found: dict[Kind, list[Verdict]] = {}
    for verdict in findings.verdicts:
        found.setdefault(verdict.kind, []).append(verdict)
    return found


def _kinds(findings: Findings) -> str:
    rows: list[Sequence[str]] = [
        (
            *("table", "is", "made", "taken", "rows told", "refused", "rows lost", "married", "wrong text"),
            *("not told", "read otherwise", "refused though good", "taken though bad"),
        )
    ]
    names = ("lost", "married", "wrong", "untold", "differing", "good_refused", "bad_taken")
    groups = [(f"{kind.format}: {kind.name}", own) for kind, own in _by_kind(findings).items()]
    for name, own in [*groups, ("all", findings.verdicts)]:
        truths = {verdict.truth for verdict in own}
        outcomes = Counter(verdict.outcome for verdict in own)
        counts = [sum(int(getattr(verdict, each)) for verdict in own) for each in names]
        told = [f"{outcomes[each]:,}" for each in ("taken", "rows told", "refused")]
        rows.append(
            (
                *(name, truths.pop() if len(truths) == 1 else "", f"{len(own):,}", *told),
                *(f"**{count}**" if count else "0" for count in counts),
            )
        )
    return _table(rows)


def _codes(findings: Findings) -> str:
    rows: list[Sequence[str]] = [("table", "codes, and in how many tables")]
    for kind, own in _by_kind(findings).items():
        codes = Counter(code for verdict in own for code in set(verdict.codes))
        if codes:
            said = ", ".join(f"{code} {count}" for code, count in codes.most_common())
            rows.append((f"{kind.format}: {kind.name}", said))
    return _table(rows) if len(rows) > 1 else "None were.\n"


def _failures(findings: Findings) -> str:
    rows: list[Sequence[str]] = [("table", "number", "outcome", "what is wrong")]
    for kind, own in _by_kind(findings).items():
        failed = [verdict for verdict in own if verdict.is_failure]
        for verdict in failed[:_MOST_SHOWN]:
            what = "; ".join(verdict.notes[:4]) or ", ".join(verdict.codes) or "taken though bad"
            rows.append((f"{kind.format}: {kind.name}", str(verdict.number), verdict.outcome, what))
        if more := failed[_MOST_SHOWN:]:
            numbers = ", ".join(str(verdict.number) for verdict in more)
            rows.append((f"{kind.format}: {kind.name}", numbers, "", "likewise"))
    return _AGAIN.format(seed=findings.seed) + _table(rows) if len(rows) > 1 else "None.\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n" for cells in rows]
    return "".join([lines[0], "|" + "---|" * len(rows[0]) + "\n", *lines[1:]])


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{package} not installed"


_HEADING = """# Tables as docsend reads them, held against what was put in

Generated by `make tables`; do not edit. `tests/tables/` makes the tables; none comes from elsewhere.
A *good* table must be read row by row as its maker meant it. A *bad* one must be refused, or each of its rows
that cannot be trusted must have a problem. Good text tables are also read by Python's csv module, and every
`.xlsx` and `.xlsm` by python-calamine, which docsend does not use for these. LibreOffice, where it is
installed, saves tables in its formats, and shows the cells of workbooks and of some of the texts; what it
shows must be what docsend read.

- {when}, docsend {version}, commit {commit}, seed {seed}, {seconds:,.0f} seconds, {total:,} tables
- {machine}; {packages}
- {office}

Limits: no row lost, none that has values of two, none with a wrong text or read otherwise by another reader,
no problem that is not told; at most 0.5 % of good tables refused, as a whole or in a row.

{limits}
"""
_LEGEND = """
*Rows told*: taken, but for rows with a problem. *Not told*: an error value, a formula without result, hidden
rows or the limits of a format, without a word. These and *rows lost*, *married*, *wrong text* and *read
otherwise* count rows; the others count tables.
"""
_AGAIN = """To make one again: `cd tests; python -m tables --seed {seed} --kind TABLE --number N --keep FILE`.

"""
