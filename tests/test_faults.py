"""A sample of the fault experiments (`make faults` runs all), and checks of the planted bugs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults import bugs, planted
from faults.__main__ import EXPERIMENTS
from faults.seams import Seam

if TYPE_CHECKING:
    from collections.abc import Iterator

# The seed changes every month, for new experiments; within a month a failure can be reproduced.
SEED = int(datetime.now(UTC).strftime("%Y%m"))
SAMPLED = [name for name, (_, _, sample) in EXPERIMENTS.items() if sample]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Yield a temporary folder, in memory if possible: an experiment creates thousands of files."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.needs("strace")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SAMPLED)
def test_a_sample_of_faults_loses_nothing_and_duplicates_nothing(name, scratch) -> None:
    experiment, _, count = EXPERIMENTS[name]
    summaries = experiment(count, SEED, scratch)
    for summary in summaries:
        assert summary.passed, "\n".join(summary.examples)
    # Some summaries may be empty: a few network schedules may include none with eight clients.
    assert sum(summary.triggered for summary in summaries) > 0


@pytest.mark.parametrize("bug", planted.BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_fits_the_program_as_it_is(bug) -> None:
    assert bug.seams
    for seam in bug.seams:
        seam.check()


def _replacement(original, fd) -> None: ...


def _with_other_parameters(original, descriptor) -> None: ...


async def _async_replacement(original, fd) -> None: ...


@pytest.mark.parametrize(
    ("target", "replacement"),
    [
        ("docsend.no_such_module:name", _replacement),
        ("docsend.storage.ledger:NoSuchClass.find", _replacement),
        ("docsend.storage.ledger:Ledger.no_such_method", _replacement),
        ("docsend.model.submission:CheckedSubmission.key", _replacement),
        ("docsend.sandbox.store:os.fsync", _with_other_parameters),
        ("docsend.sandbox.store:os.fsync", _async_replacement),
    ],
)
def test_a_bug_that_does_not_fit_is_noticed(target, replacement) -> None:
    Seam("docsend.sandbox.store:os.fsync", _replacement).check()
    with pytest.raises(LookupError, match=target):
        Seam(target, replacement).check()


_CHECK_SEAMS = """
import os
import docsend.ui.terminal, docsend.sandbox.store, docsend.text
original = docsend.text.escape_for_terminal
print(docsend.ui.terminal.escape_for_terminal is original, ascii(original("\x1b")))
print(docsend.sandbox.store.os.fsync is os.fsync, docsend.storage.files.os is os)
"""


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("file names reach the terminal unescaped", "True '\\x1b'\nTrue True\n"),
        (
            "the sandbox responds 201 without waiting for the disk",
            "True '\\\\x1b'\nFalse True\n",
        ),
        (None, "True '\\\\x1b'\nTrue True\n"),
    ],
    ids=["a name that others import", "a module as imported by one other module", "none"],
)
def test_a_bug_is_planted_where_it_belongs_and_only_if_asked_for(name, printed, tmp_path) -> None:
    env = planted.environment(bugs.find_bug(name or planted.BUGS[0].name), tmp_path)
    if name is None:
        del env["FAULTS_BUG"]
    completed = subprocess.run(
        [sys.executable, "-c", _CHECK_SEAMS], env=env, capture_output=True, text=True, check=True
    )
    assert completed.stdout == printed


@pytest.mark.needs("strace")
@pytest.mark.timeout(300)
def test_the_laboratory_notices_a_planted_bug(scratch) -> None:
    bug = next(bug for bug in planted.BUGS if bug.probe == "personal kills")
    assert planted.run_probe(bug, SEED, scratch).violations["leaked"] > 0
