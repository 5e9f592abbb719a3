"""A sample of the fault laboratory (the whole: `make faults`), and whether it still fits the program."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults import planted
from faults.__main__ import EXPERIMENTS

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
def test_a_planted_bug_fits_the_program_as_it_is(bug, tmp_path) -> None:
    source = planted.plant(bug, tmp_path / "source")
    assert (source / "docsend" / "__init__.py").exists()


@pytest.mark.needs("strace")
@pytest.mark.timeout(300)
def test_the_laboratory_notices_a_planted_bug(scratch) -> None:
    bug = next(bug for bug in planted.BUGS if bug.probe == "personal kills")
    assert planted.hunt(bug, SEED, scratch).broken["seen"] > 0
