"""Start-up: the number of function calls that commands make, and modules that must not be imported.

Calls are counted because their number hardly changes from run to run, however busy the machine is. The limits
are a tenth above the numbers of Python 3.11, which makes the most. They are exceeded when a command starts to
import or compute something large. `make bench` measures the times and compares them with the budgets.
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

# Runs the command of the other arguments, and writes the number of calls to the file that is the first one.
_COUNTING_CALLS = """
import sys

calls = 0

def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")

if __name__ == "__main__":
    file = sys.argv.pop(1)
    sys.setprofile(count)
    try:
        from docsend.__main__ import run
        run()
    finally:
        sys.setprofile(None)
        with open(file, "w") as output:
            output.write(str(calls))
"""
_ROWS = 60  # one chunk, which one process checks
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
    """A command line, the limit of calls that it makes, and modules that it must not import.

    The words DOCUMENT, MANIFEST, SERVICE and NEW are placeholders; NEW is a different text for each run.
    """

    words: tuple[str, ...]
    most_calls: int
    without: frozenset[str]


COMMANDS = {
    "--version": Command(("--version",), 770, _NEVER | _NETWORK | _OWN | {"typer", "platformdirs"}),
    "--help": Command(("--help",), 80_000, _NEVER | _NETWORK | _OWN | {"platformdirs"}),
    "send --help": Command(("send", "--help"), 95_000, _NEVER | _NETWORK | _OWN | {"platformdirs"}),
    "a completion": Command(
        ("_complete", "send", "--"), 33_000, _NEVER | _NETWORK | {*_DATACLASSES, "typer", "platformdirs"}
    ),
    "a completion from the catalog": Command(
        ("_complete", "send", "--to", "benefits", "--subject", ""),
        49_000,
        _NEVER | _NETWORK | {*_DATACLASSES, "typer"},
    ),
    "a check of a batch": Command(
        ("send", "--batch", "MANIFEST", "--dry-run", "--quiet"),
        210_000,
        _NEVER | _NETWORK | {"platformdirs", "sqlite3", "stdnum"},
    ),
    # Each run has a new reference, because a repeated submission is only looked up in the ledger.
    "send": Command(
        ("send", "DOCUMENT", *ABOUT, *WHO, "--reference", "NEW", "--anyway", "--service", "SERVICE"),
        270_000,
        _NEVER | {"platformdirs", "stdnum"},
    ),
}


@dataclass(frozen=True)
class Bench:
    """A folder for results, an environment with compiled modules, and the values of the placeholders."""

    folder: Path
    environment: Mapping[str, str]
    values: Mapping[str, str]
    counter: Iterator[int] = field(default_factory=itertools.count)

    def arguments(self, command: Command) -> tuple[str, ...]:
        """Return the words of this command, with values instead of placeholders."""
        values = {**self.values, "NEW": f"run {next(self.counter)}"}
        return tuple(values.get(word, word) for word in command.words)

    def calls(self, arguments: Sequence[str]) -> int:
        """Run a command once and return the number of function calls that it makes."""
        file = self.folder / "calls.txt"
        command = [sys.executable, "-c", _COUNTING_CALLS, str(file), *arguments]
        subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return int(file.read_text("utf-8"))

    def imported(self, arguments: Sequence[str]) -> set[str]:
        """Run a command once and return the names of all modules that it imported."""
        command = [sys.executable, "-X", "importtime", "-m", "docsend", *arguments]
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
    others = ("PYTHON", "DOCSEND_", "XDG_", "LANG", "LC_", "COLUMNS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    environment |= {
        "HOME": str(folder),
        "DOCSEND_HOME": str(folder / "docsend"),
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONHASHSEED": "0",
    }
    document = samples.write(folder, "payslip.pdf", samples.pdf())
    values = {
        "DOCUMENT": str(document),
        "SERVICE": shared_sandbox.url,
        "MANIFEST": str(_manifest(folder, document)),
    }
    return Bench(folder, environment, values)


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


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_makes_few_calls(name: str, bench: Bench) -> None:
    command = COMMANDS[name]
    bench.calls(bench.arguments(command))  # Compiles the modules and creates the ledger.
    calls = bench.calls(bench.arguments(command))
    assert 0 < calls <= command.most_calls, f"{name}: {calls:,} calls"


@pytest.mark.everywhere
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_only_what_it_needs(name: str, bench: Bench) -> None:
    imported = bench.imported(bench.arguments(COMMANDS[name]))
    assert "docsend" in imported  # Checks that the list is complete.
    assert not COMMANDS[name].without & imported
