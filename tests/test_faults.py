"""A sample of the fault laboratory (the whole: `make faults`), and whether it still fits the program."""

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

# Another month, other experiments; within a month the same, so that a failure can be looked into.
SEED = int(datetime.now(UTC).strftime("%Y%m"))
SAMPLED = [name for name, (_, _, sample) in EXPERIMENTS.items() if sample]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Give a folder in memory, where there is one: an experiment makes and removes thousands of files."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.needs("strace")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SAMPLED)
def test_a_sample_of_faults_loses_nothing_and_doubles_nothing(name, scratch) -> None:
    experiment, _, count = EXPERIMENTS[name]
    tallies = experiment(count, SEED, scratch)
    for tally in tallies:
        assert tally.survived, "\n".join(tally.examples)
    # A few schedules may have none with eight clients.
    assert sum(tally.struck for tally in tallies) > 0


@pytest.mark.parametrize("bug", planted.BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_fits_the_program_as_it_is(bug) -> None:
    assert bug.seams
    for seam in bug.seams:
        seam.check()


def _right(right, fd) -> None: ...


def _of_other_parameters(right, descriptor) -> None: ...


async def _awaited(right, fd) -> None: ...


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("docsend.no_such_module:name", _right),
        ("docsend.storage.ledger:NoSuchClass.find", _right),
        ("docsend.storage.ledger:Ledger.no_such_method", _right),
        ("docsend.model.submission:CheckedSubmission.key", _right),
        ("docsend.sandbox.store:os.fsync", _of_other_parameters),
        ("docsend.sandbox.store:os.fsync", _awaited),
    ],
)
def test_a_bug_that_does_not_fit_is_noticed(place, wrong) -> None:
    Seam("docsend.sandbox.store:os.fsync", _right).check()
    with pytest.raises(LookupError, match=place):
        Seam(place, wrong).check()


_LOOKS = """
import os
import docsend.ui.terminal, docsend.sandbox.store, docsend.text
escapes = docsend.text.escape_for_terminal
print(docsend.ui.terminal.escape_for_terminal is escapes, ascii(escapes("\x1b")))
print(docsend.sandbox.store.os.fsync is os.fsync, docsend.storage.files.os is os)
"""


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("names of files reach the terminal as they are", "True '\\x1b'\nTrue True\n"),
        (
            "the sandbox does not wait for the disk before it says 201",
            "True '\\\\x1b'\nFalse True\n",
        ),
        (None, "True '\\\\x1b'\nTrue True\n"),
    ],
    ids=["a name that others import", "a module as one other sees it", "none"],
)
def test_a_bug_is_planted_where_it_belongs_and_only_if_asked_for(name, seen, tmp_path) -> None:
    env = planted.environment(bugs.named(name or planted.BUGS[0].name), tmp_path)
    if name is None:
        del env["FAULTS_BUG"]
    done = subprocess.run([sys.executable, "-c", _LOOKS], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == seen


@pytest.mark.needs("strace")
@pytest.mark.timeout(300)
def test_the_laboratory_notices_a_planted_bug(scratch) -> None:
    bug = next(bug for bug in planted.BUGS if bug.probe == "personal kills")
    assert planted.hunt(bug, SEED, scratch).broken["seen"] > 0
