"""Checking without sending: many small files compared with plain Python, large ones with openssl."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from batches import DOCUMENT
from clock import Contender, measure, ratio
from report import Budget, Section, times_table
from sends import LARGE
from submissions import Submissions, find_program, send_command
from venvs import OLDER_COMMIT

_ROWS, _MOST_DOCUMENTS = 10_000, 15
_LIMIT = 3.3  # with a process pool; 3 with forked processes

# The minimum that a dry run has to do: read the manifest, then read and hash each file.
_PLAIN = """
import csv, hashlib, os, sys
folder = os.path.dirname(sys.argv[1])
with open(sys.argv[1], newline="") as manifest:
    for row in csv.DictReader(manifest):
        with open(os.path.join(folder, row["documents"]), "rb") as file:
            hashlib.sha256(file.read()).hexdigest()
"""


def section(
    docsend: str,
    older: str | None,
    python: str,
    folder: Path,
    environment: Mapping[str, str],
    rounds: int,
    *,
    quick: bool,
) -> Section:
    """Measure the dry run of a batch, and of one submission with 15 documents of 10 MB."""
    count = _ROWS // 10 if quick else _ROWS
    manifest = str(Submissions(folder / "checked-rows").rows(count, DOCUMENT).manifest(count))
    large = Submissions(folder / "checked").pdfs(_MOST_DOCUMENTS, LARGE)
    plain, checked = "plain Python reads and hashes", f"--batch --dry-run, {count:,} rows"
    programs = {checked: docsend} | ({f"{checked}, {OLDER_COMMIT}": older} if older else {})
    small_files = measure(
        Contender(plain, lambda: [python, "-I", "-c", _PLAIN, manifest]),
        [Contender(name, partial(_dry_run, program, manifest)) for name, program in programs.items()],
        environment,
        rounds,
    )
    openssl = "openssl dgst -sha256, 15 × 10 MB"
    large_files = measure(
        Contender(openssl, lambda: [find_program("openssl"), "dgst", "-sha256", *map(str, large)]),
        [
            Contender(
                "docsend send --dry-run, 15 × 10 MB",
                lambda: send_command(docsend, "sandbox", large, "--dry-run"),
            ),
            Contender(
                "docsend send --dry-run, one of 1 KB",
                lambda: send_command(docsend, "sandbox", [_write_tiny_document(folder)], "--dry-run"),
            ),
        ],
        environment,
        rounds,
    )
    text = f"{times_table(plain, small_files)}\n{times_table(openssl, large_files)}"
    found_older = ratio(small_files, f"{checked}, {OLDER_COMMIT}", plain) if older else None
    budget = Budget(checked, _LIMIT, ratio(small_files, checked, plain), f"× {plain}", older=found_older)
    return Section("Checks", text, [budget])


def _dry_run(docsend: str, manifest: str) -> list[str]:
    return [docsend, "send", "--batch", manifest, "--dry-run", "--quiet"]


def _write_tiny_document(folder: Path) -> Path:
    """Return a tiny document, so that start-up can be compared with hashing."""
    own = folder / "checked-one"
    return next(own.iterdir()) if own.exists() else Submissions(own).pdf(1000)
