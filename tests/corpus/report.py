"""The tables of docs/corpus-report.md, and the limits."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeVar

import docsend
from corpus.recipes import FORMATS, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from corpus.judging import Verdict
    from corpus.oracles import Opinion

_GOOD_REFUSED = 0.002
_BAD_TAKEN = (0.05, 0.05, 0.12)  # with the extra `documents`, with `--thorough`, without the extra
_SECONDS = 1.0

Class = Literal["good", "bad", "open"]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Judged:
    """A document with the opinion of the oracles, which of them show it, and the verdict of each edition."""

    recipe: Recipe
    name: str
    opinion: Opinion
    shown_by: tuple[str, ...]
    verdicts: Sequence[Verdict]

    @property
    def is_what(self) -> Class:
        """Return whether it is good or bad, or open if nobody can say.

        A document that has lost something is bad, though viewers show the rest. A changed byte that does not
        keep viewers from opening a document leaves it open: it may be wrong where nobody sees it.
        """
        truth = self.recipe.truth
        if truth == "spoiled":
            return "bad"
        if truth == "either" or self.opinion == "unsure" or (truth == "fuzzed" and self.opinion == "good"):
            return "open"
        return "good" if self.opinion == "good" else "bad"


@dataclass(frozen=True, slots=True)
class Accident:
    """A document after an accident, whether it still looks the same, and the verdict of each edition."""

    name: str
    format: str
    is_whole: bool
    verdicts: Sequence[Verdict]


@dataclass
class Findings:
    """Everything that was found. `slowest` is the time that no document exceeded, and for which."""

    seed: int
    editions: Sequence[str]
    oracles: Sequence[str]
    variants: list[Judged] = field(default_factory=list)
    accidents: list[Accident] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def of(self, what: Class, format_name: str | None = None) -> list[Judged]:
        return [
            each
            for each in self.variants
            if each.is_what == what and format_name in (None, each.recipe.format)
        ]

    def exceeded(self) -> list[str]:
        """Return each limit that is exceeded. The older commit has none."""
        good, bad = self.of("good"), self.of("bad")
        found = []
        for edition, limit in enumerate(_BAD_TAKEN):
            name = self.editions[edition]
            refused = sum(each.verdicts[edition].judgement == "refused" for each in good)
            taken = sum(each.verdicts[edition].judgement != "refused" for each in bad)
            if refused > _GOOD_REFUSED * len(good):
                found.append(
                    f"{name}: {refused} of {len(good)} good documents refused (limit {_GOOD_REFUSED:.1%})"
                )
            if taken > limit * len(bad):
                found.append(f"{name}: {taken} of {len(bad)} bad documents taken (limit {limit:.0%})")
        if self.slowest[0] > _SECONDS:
            found.append(f"{self.slowest[0]:.1f} s for {self.slowest[1]} (limit {_SECONDS:g} s)")
        return found


def text(findings: Findings, minutes: float) -> str:
    """Return the report as Markdown."""
    total = len(findings.variants) + len(findings.accidents)
    parts = [
        _HEADING.format(
            when=datetime.now(UTC).date().isoformat(),
            version=docsend.__version__,
            commit=_commit(),
            seed=findings.seed,
            minutes=minutes,
            total=total,
            machine=f"{platform.system()}, {os.cpu_count()} cores, CPython {platform.python_version()}",
            oracles=", ".join(findings.oracles),
            absent=f"; not installed, so not asked to write any: {', '.join(findings.absent)}"
            * bool(findings.absent),
            limits="\n".join(f"- **exceeded:** {each}" for each in findings.exceeded())
            or "- all limits are met",
        ),
        "## Refused though good, taken though bad\n",
        _summary(findings),
        "No document took more than {:.2f} s without the extra ({}).\n".format(*findings.slowest),
        "## Which\n",
        _mistakes(findings),
        "## Where the oracles see it otherwise than its maker\n",
        _disagreements(findings),
        "## Accidents\n",
        _ACCIDENTS,
        *(_accidents(findings, number) for number in range(len(findings.editions))),
        "### What docsend said\n",
        _said(findings),
    ]
    return "\n".join(parts)


def _summary(findings: Findings) -> str:
    numbers = range(len(findings.editions))
    refused_by = [f"refused, {name}" for name in findings.editions]
    taken_by = [f"taken, {name}" for name in findings.editions]
    rows: list[Sequence[str]] = [("format", "good", *refused_by, "bad", *taken_by, "open")]
    for format_name in (*FORMATS, None):
        good, bad = findings.of("good", format_name), findings.of("bad", format_name)
        if good or bad:
            refused = [_refused(good, number) for number in numbers]
            taken = [_taken(bad, number) for number in numbers]
            others = f"{len(findings.of('open', format_name)):,}"
            rows.append((format_name or "all", f"{len(good):,}", *refused, f"{len(bad):,}", *taken, others))
    return _table(rows)


def _refused(judged: Sequence[Judged], edition: int) -> str:
    count = sum(each.verdicts[edition].judgement == "refused" for each in judged)
    warned = sum(each.verdicts[edition].judgement == "warned" for each in judged)
    return f"{count} ({count / max(1, len(judged)):.1%})" + f", {warned} warned" * bool(warned)


def _taken(judged: Sequence[Judged], edition: int) -> str:
    count = sum(each.verdicts[edition].judgement != "refused" for each in judged)
    warned = sum(each.verdicts[edition].judgement == "warned" for each in judged)
    return f"{count} ({count / max(1, len(judged)):.1%})" + f", {warned} warned" * bool(warned)


def _mistakes(findings: Findings) -> str:
    """Return a row for each kind of which an edition, the older commit aside, judged a document wrongly."""
    current = range(len(_BAD_TAKEN))

    def is_mistake(each: Judged, edition: int) -> bool:
        return (each.verdicts[edition].judgement == "refused") == (each.is_what == "good")

    rows: list[Sequence[str]] = [("document", "is", "made", *findings.editions, "said")]
    for what in ("good", "bad"):
        judged = findings.of("good" if what == "good" else "bad")
        for recipe, own in _grouped(judged, lambda each: each.recipe.name).items():
            counts = [
                sum(is_mistake(each, number) for each in own) for number in range(len(findings.editions))
            ]
            if any(counts[number] for number in current):
                codes = Counter(code for each in own for code in each.verdicts[0].codes)
                said = ", ".join(f"{code} {count}" for code, count in codes.most_common(3))
                rows.append((recipe, what, str(len(own)), *map(str, counts), said))
    return _table(rows) + "\nThe numbers are of wrong verdicts.\n" if len(rows) > 1 else "None.\n"


def _disagreements(findings: Findings) -> str:
    rows: list[Sequence[str]] = [("document", "made as", "oracles", "count", "shown by")]
    for recipe, own in _grouped(findings.variants, lambda each: each.recipe.name).items():
        for opinion in ("good", "unsure", "bad"):
            odd = [each for each in own if each.opinion == opinion and each.recipe.truth in ("good", "bad")]
            if odd and odd[0].recipe.truth != opinion:
                by = ", ".join(sorted({name for each in odd for name in each.shown_by})) or "none"
                rows.append((recipe, odd[0].recipe.truth, opinion, f"{len(odd)} of {len(own)}", by))
    return _table(rows) if len(rows) > 1 else "Nowhere.\n"


def _accidents(findings: Findings, edition: int) -> str:
    formats = [name for name in FORMATS if any(each.format == name for each in findings.accidents)]
    rows: list[Sequence[str]] = [("accident", *formats)]
    for name, own in _grouped(findings.accidents, lambda each: each.name).items():
        cells = [
            _accident_cell([each for each in own if each.format == format_name], edition)
            for format_name in formats
        ]
        rows.append((name, *cells))
    return f"### {findings.editions[edition]}\n\n{_table(rows)}"


def _accident_cell(own: Sequence[Accident], edition: int) -> str:
    if not own:
        return ""
    harmed = [each.verdicts[edition] for each in own if not each.is_whole]
    whole = [each.verdicts[edition] for each in own if each.is_whole]
    parts = []
    if harmed:
        refused = sum(verdict.judgement == "refused" for verdict in harmed)
        warned = sum(verdict.judgement == "warned" for verdict in harmed)
        silent = len(harmed) - refused - warned
        parts.append(f"{refused}+{warned} of {len(harmed)}" + f" (**{silent} silent**)" * bool(silent))
    if whole:
        refused = sum(verdict.judgement == "refused" for verdict in whole)
        parts.append(f"same {len(whole)}" + f", {refused} refused" * bool(refused))
    return "; ".join(parts)


def _said(findings: Findings) -> str:
    rows: list[Sequence[str]] = [("accident", "codes and how often, by the first edition")]
    for name, own in _grouped(findings.accidents, lambda each: each.name).items():
        codes = Counter(code for each in own for code in each.verdicts[0].codes or ("nothing",))
        rows.append((name, ", ".join(f"{code} {count}" for code, count in codes.most_common())))
    return _table(rows)


def _grouped(items: Iterable[_Item], key: Callable[[_Item], str]) -> dict[str, list[_Item]]:
    found: dict[str, list[_Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |\n" for cells in rows]
    return "".join([lines[0], "|" + "---|" * len(rows[0]) + "\n", *lines[1:]])


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "-"


_HEADING = """# Documents judged by docsend and by programs that show them

Generated by `make corpus`; do not edit. `tests/corpus/` makes the documents; none comes from elsewhere.
A document is *good* if two of three oracles show its first page or picture, without a password, and *bad*
if none does or if it was made by losing a part. *Open* are the others, and documents with changed bytes
that two oracles still show: they are left out of the percentages.

- {when}, docsend {version}, commit {commit}, seed {seed}, {minutes:.0f} minutes, {total:,} documents
- {machine}
- oracles: {oracles}{absent}

"With the extra" means that pikepdf and Pillow decode what the structure leaves open, "with --thorough" that
they decode every document.

Limits: at most 0.2 % of good documents refused; at most 5 % of bad ones taken with the extra `documents`,
12 % without it; at most 1 s for the checks of one document without the extra.

{limits}
"""
_ACCIDENTS = """The same whole documents of each format, after one accident each. "5+3 of 9 (**1 silent**)":
of nine that no longer look the same in two of three oracles, five were refused, three taken with a warning,
one taken without a word. "same 4": four look the same, so they may be taken.
"""
