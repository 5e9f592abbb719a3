"""Ask docsend about documents, as a user does: one manifest with a row for each, checked but not sent."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The columns that say what the documents are about. The number has a valid check digit and belongs to nobody.
_ABOUT = {
    "to": "insured-collection",
    "category": "supporting",
    "type": "employer-certificate",
    "id": "000000018",
}
# What is said about a row because of other rows.
_IGNORED = {"content-in-two-rows", "document-in-two-rows", "duplicate-row"}

Judgement = Literal["refused", "warned", "clean"]


@dataclass(frozen=True, slots=True)
class Edition:
    """A docsend to ask: its command, the options of `send` that it is asked with, and its environment."""

    name: str
    command: Sequence[str]
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What docsend said about one document."""

    judgement: Judgement
    codes: tuple[str, ...] = ()

    @property
    def is_told(self) -> bool:
        return self.judgement != "clean"


def write_manifest(folder: Path, names: Sequence[str]) -> Path:
    """Write a manifest with a row for each of the files of the folder."""
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["reference", *_ABOUT, "documents"])
        rows.writerows([f"document-{number}", *_ABOUT.values(), name] for number, name in enumerate(names))
    return manifest


def arguments(manifest: Path) -> list[str]:
    """Return the arguments with which docsend checks a manifest and sends nothing."""
    return [
        "send",
        "--batch",
        str(manifest),
        "--dry-run",
        "--json",
        "--service",
        "http://127.0.0.1:9",
    ]


def read_verdicts(output: str, count: int) -> list[Verdict]:
    """Return the verdict on each row of what docsend printed as JSON."""
    verdicts: dict[int, Verdict] = {}
    for line in output.splitlines():
        result = json.loads(line)
        if result["schema"].startswith("docsend.result/"):
            verdicts[result["row"] - 2] = _verdict(result["problems"])
    missing = [number for number in range(count) if number not in verdicts]
    if missing or len(verdicts) != count:
        raise LookupError(f"docsend judged {len(verdicts)} of {count} documents; missing: {missing[:5]}")
    return [verdicts[number] for number in range(count)]


def _verdict(problems: list[dict[str, str]]) -> Verdict:
    own = [problem for problem in problems if problem["code"] not in _IGNORED]
    codes = tuple(dict.fromkeys(problem["code"] for problem in own))
    if any(problem["severity"] == "error" for problem in own):
        return Verdict("refused", codes)
    return Verdict("warned" if own else "clean", codes)


def ask(edition: Edition, manifest: Path, count: int) -> list[Verdict]:
    """Return what an edition of docsend says about each row of a manifest."""
    done = subprocess.run(
        [*edition.command, *arguments(manifest), *edition.options],
        env=dict(edition.environment) or None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):
        print(done.stderr[-2000:], file=sys.stderr)
        raise RuntimeError(f"{edition.name}: exit code {done.returncode}")
    return read_verdicts(done.stdout, count)
