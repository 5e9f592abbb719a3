"""Start-up time: CPU time of commands relative to bare Python, and modules that must not be imported.

The limits are about one and a half times the times measured when they were set. They are exceeded when a
command starts to import something large, not when the machine is busy; `make bench` checks the real budgets.
The tests compare the lowest CPU time of several runs, which other processes disturb less than elapsed time.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

import samples
from conftest import ABOUT, WHO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from conftest import RunningSandbox

# A machine that is busy at times needs more runs, until both commands had a quiet moment.
_FEWEST_RUNS, _RUNS = 5, 20
_ROWS = 60  # one chunk: with more rows, a slow machine would start worker processes
# Large modules that no command needs which answers at once or sends from a script.
_NEVER = frozenset({"asyncio", "importlib.metadata", "keyring", "pydantic", "rich", "unittest"})
_NETWORK = frozenset({"anyio", "h11", "httpcore", "httpx", "ssl", "truststore"})
# Importing it takes a sixth of a completion. Typer imports most of it anyway, and from Python 3.14 on the
# traceback module imports it.
_DATACLASSES = frozenset() if sys.version_info >= (3, 14) else frozenset({"dataclasses"})
_OWN = frozenset(
    {
        "docsend.storage.ledger",
        "docsend.checks.submission_rules",
        "docsend.service",
        "json",
        "sqlite3",
        "stdnum",
    }
)


@dataclass(frozen=True)
class Command:
    """A command line, its limit of CPU time relative to bare Python, and modules it must not import.

    The words DOCUMENT, MANIFEST, SERVICE and NEW are placeholders; NEW is a different text for each run.
    """

    words: tuple[str, ...]
    times_bare_python: float
    without: frozenset[str]


COMMANDS = {
    "--version": Command(("--version",), 1.9, _NEVER | _NETWORK | _OWN | {"typer", "platformdirs"}),
    "--help": Command(("--help",), 7.2, _NEVER | _NETWORK | _OWN | {"platformdirs"}),
    "send --help": Command(("send", "--help"), 7.2, _NEVER | _NETWORK | _OWN | {"platformdirs"}),
    "a completion": Command(
        ("_complete", "send", "--"), 4.4, _NEVER | _NETWORK | {*_DATACLASSES, "typer", "platformdirs"}
    ),
    "a completion from the catalog": Command(
        ("_complete", "send", "--to", "benefits", "--subject", ""),
        5.4,
        _NEVER | _NETWORK | {*_DATACLASSES, "typer"},
    ),
    "a check of a batch": Command(
        ("send", "--batch", "MANIFEST", "--dry-run", "--quiet"),
        10.5,
        _NEVER | _NETWORK | {"platformdirs", "sqlite3", "stdnum"},
    ),
    # Each run has a new reference, because a repeated submission is only looked up in the ledger.
    "send": Command(
        ("send", "DOCUMENT", *ABOUT, *WHO, "--reference", "NEW", "--anyway", "--service", "SERVICE"),
        20,
        _NEVER | {"platformdirs", "stdnum"},
    ),
}


@dataclass(frozen=True)
class Bench:
    """An environment with compiled modules, and the values of the placeholders."""

    environment: Mapping[str, str]
    values: Mapping[str, str]
    counter: Iterator[int] = field(default_factory=itertools.count)

    def arguments(self, command: Command) -> tuple[str, ...]:
        """Return Python's arguments for this command."""
        values = {**self.values, "NEW": f"run {next(self.counter)}"}
        return ("-m", "docsend", *(values.get(word, word) for word in command.words))

    def bare(self) -> tuple[str, ...]:
        """Return the arguments of a Python that does nothing; -I ignores the environment."""
        return ("-I", "-X", f"pycache_prefix={self.environment['PYTHONPYCACHEPREFIX']}", "-c", "pass")

    def cpu_s(self, arguments: Sequence[str]) -> float:
        """Run Python once and return its CPU time in seconds."""
        if sys.platform == "win32":
            raise NotImplementedError
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, arguments
        return used.ru_utime + used.ru_stime

    def imported(self, arguments: Sequence[str]) -> set[str]:
        """Run Python once and return the names of all modules that it imported."""
        command = [sys.executable, "-X", "importtime", *arguments]
        done = subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
        return {line.rpartition("|")[2].strip() for line in lines}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, shared_sandbox: RunningSandbox) -> Bench:
    """Return a home with compiled modules; without them everything takes twice as long."""
    folder = tmp_path_factory.mktemp("speed")
    others = ("PYTHON", "DOCSEND_", "XDG_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    environment |= {
        "HOME": str(folder),
        "DOCSEND_HOME": str(folder / "docsend"),
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        "TERM": "dumb",
    }
    document = samples.write(folder, "payslip.pdf", samples.pdf())
    values = {
        "DOCUMENT": str(document),
        "SERVICE": shared_sandbox.url,
        "MANIFEST": str(_manifest(folder, document)),
    }
    return Bench(environment, values)


def _manifest(folder: Path, document: Path) -> Path:
    """Write a manifest with one small document per row, each with different content."""
    content = document.read_bytes()
    names = [f"row-{number}.pdf" for number in range(_ROWS)]
    for name in names:
        samples.write(folder, name, content + f"% {name}\n".encode())
    values = f"{','.join((*ABOUT, *WHO)[1::2])}"
    manifest = folder / "batch.csv"
    rows = (f"{values},{name}" for name in names)
    manifest.write_text("\n".join(("to,subject,category,type,id,documents", *rows, "")), "utf-8")
    return manifest


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="CPU time of one process needs wait4")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_little_more_than_python_itself(name: str, bench: Bench) -> None:
    command = COMMANDS[name]
    bench.cpu_s(bench.bare())
    bench.cpu_s(bench.arguments(command))  # Compiles the modules and creates the ledger.
    bare, taken = [], []
    times = 0.0
    for _ in range(_RUNS):
        bare.append(bench.cpu_s(bench.bare()))
        taken.append(bench.cpu_s(bench.arguments(command)))
        times = min(taken) / min(bare)
        if len(taken) >= _FEWEST_RUNS and times <= command.times_bare_python:
            break
    assert times <= command.times_bare_python, f"{name}: {times:.1f} times bare Python"


@pytest.mark.everywhere
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_only_what_it_needs(name: str, bench: Bench) -> None:
    imported = bench.imported(bench.arguments(COMMANDS[name]))
    assert "docsend" in imported  # Checks that the list is complete.
    assert not COMMANDS[name].without & imported
