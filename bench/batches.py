"""Batches against the clock: rows a second beside curl, growth of time and memory, checking alone."""

import contextlib
import csv
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import report
from clock import Contender, measured, peak, timed
from submissions import Submissions, declared_beside, found_curl

LATENCY_MS = 20
ROUNDS = 3
_ROWS = {1: 100, 8: 1000, 32: 2000}
_BUDGETS = {8: 0.9, 32: 0.8}
_SMALL, _LARGE = 1000, 20_000
_CHECKED = 10_000
_DOCUMENT = 2000

# What a batch's dry run cannot do without: read the manifest, read each file, hash it.
_PLAIN = """
import csv, hashlib, os, sys
folder = os.path.dirname(sys.argv[1])
with open(sys.argv[1], newline="") as manifest:
    for row in csv.DictReader(manifest):
        with open(os.path.join(folder, row["documents"]), "rb") as file:
            hashlib.sha256(file.read()).hexdigest()
"""


def tables(docsend: str, python: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Measure, and give the tables."""
    documents = Submissions(folder / "rows")
    return "\n".join(
        [
            _throughput(docsend, documents, environment),
            _growth(docsend, documents, environment),
            _checking(docsend, python, documents, environment),
        ]
    )


def _throughput(docsend: str, documents: Submissions, environment: Mapping[str, str]) -> str:
    rows = [("rows", "jobs", "docsend rows/s", "curl rows/s", "docsend/curl", "budget", "", "CPU ms a row")]
    for jobs, count in _ROWS.items():
        with _stand_in(LATENCY_MS) as address:
            ours, theirs, cpu = [], [], []
            for _ in range(ROUNDS):
                manifest = _manifest(documents, count)
                argv = [docsend, "send", "--batch", str(manifest), "--jobs", str(jobs), "--quiet"]
                one = timed([*argv, "--service", address], environment)
                other = timed(_by_curl(manifest, address, jobs), environment)
                ours.append(count / one.wall * 1000)
                theirs.append(count / other.wall * 1000)
                cpu.append(one.cpu / count)
        ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
        budget = _BUDGETS.get(jobs)
        verdict = (
            "" if budget is None else "within" if ratio >= budget else f"short by {1 - ratio / budget:.0%}"
        )
        rows.append(
            (
                f"{count:,}",
                str(jobs),
                f"{statistics.median(ours):.0f}",
                f"{statistics.median(theirs):.0f}",
                f"{ratio:.2f}",
                f"≥ {budget}" if budget else "",
                verdict,
                f"{statistics.median(cpu):.2f}",
            )
        )
    return report.table(rows)


def _growth(docsend: str, documents: Submissions, environment: Mapping[str, str]) -> str:
    found = {}
    with _stand_in(0) as address:
        for count in (_SMALL, _LARGE):
            manifest = _manifest(documents, count)
            argv = [docsend, "send", "--batch", str(manifest), "--jobs", "8", "--quiet", "--service", address]
            found[count] = (timed(argv, environment).wall / count, peak(argv, environment).mib)
    more = (found[_LARGE][1] - found[_SMALL][1]) * 1024 / (_LARGE - _SMALL)
    rows = [("rows", "ms a row", "peak MiB of the same batch again", "more KiB a row", "budget", "")]
    rows.append((f"{_SMALL:,}", f"{found[_SMALL][0]:.2f}", f"{found[_SMALL][1]:.1f}", "", "", ""))
    verdict = "within" if more <= 1 else f"over by {more - 1:.0%}"
    rows.append(
        (f"{_LARGE:,}", f"{found[_LARGE][0]:.2f}", f"{found[_LARGE][1]:.1f}", f"{more:.2f}", "≤ 1", verdict)
    )
    return report.table(rows)


def _checking(docsend: str, python: str, documents: Submissions, environment: Mapping[str, str]) -> str:
    manifest = _manifest(documents, _CHECKED)
    base = Contender("plain Python reads and hashes", lambda: [python, "-I", "-c", _PLAIN, str(manifest)])
    checked = Contender(
        f"--batch --dry-run, {_CHECKED:,} rows",
        lambda: [docsend, "send", "--batch", str(manifest), "--dry-run", "--quiet"],
        3.0,
    )
    return report.times_table(base, [checked], measured(base, [checked], environment, 5))


def _manifest(documents: Submissions, count: int) -> Path:
    """Write a manifest of so many rows, each with a document that nothing else has."""
    files = documents.many(count, _DOCUMENT)
    manifest = files[0].parent / f"batch-{files[0].stem}.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["to", "subject", "category", "type", "id", "documents"])
        rows.writerows(
            ["benefits", "unemployment", "employer", "payslips", "000000018", each.name] for each in files
        )
    return manifest


def _by_curl(manifest: Path, address: str, jobs: int) -> list[str]:
    """The same three requests a row by one curl, as many at once; it waits for none before the next."""
    lines = []
    with manifest.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            document = manifest.parent / row["documents"]
            submission, digest, declared = declared_beside(document, address)
            for options in (
                ["request = PUT", f'data-binary = "@{declared}"', f"url = {submission}"],
                [f'upload-file = "{document}"', f"url = {submission}/documents/{digest}"],
                ["request = POST", 'data-binary = ""', f"url = {submission}/send"],
            ):
                lines += [*options, "output = /dev/null", "next"]
    config = manifest.with_suffix(".curl")
    config.write_text("\n".join(lines[:-1]) + "\n", "utf-8")
    return [found_curl(), "--silent", "--parallel", "--parallel-max", str(jobs), "--config", str(config)]


@contextlib.contextmanager
def _stand_in(latency_ms: int) -> Iterator[str]:
    script = Path(__file__).with_name("stand_in.py")
    command = [sys.executable, str(script), str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.terminate()
