"""A guard against slow starts: CPU time beside bare Python's in the same run, and what must not be imported.

The limits are about one and a half times what was measured when they were set: they fail when a command
begins to import something large, not when the machine is busy. `make bench` holds the real budgets. CPU
time, and the least of several runs, since other processes disturb both less than the clock.
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

_RUNS = 5
_ROWS = 300
# Large by themselves, and needed by no command that answers at once or sends from a script.
_NEVER = frozenset({"asyncio", "importlib.metadata", "keyring", "pydantic", "rich", "unittest"})
_NETWORK = frozenset({"anyio", "h11", "httpcore", "httpx", "ssl", "truststore"})
# A sixth of a Tab to import; Typer brings most of it; from 3.14 on, Python's own traceback does.
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
    """A command line, how much CPU time it may take, and what it may not import.

    In its words DOCUMENT, MANIFEST, SERVICE and NEW stand for what a run has; NEW for another text each time.
    """

    words: tuple[str, ...]
    times_bare_python: float
    without: frozenset[str]


COMMANDS = {
    "--version": Command(("--version",), 1.9, _NEVER | _NETWORK | _OWN | {"typer", "platformdirs"}),
    "--help": Command(("--help",), 7.2, _NEVER | _NETWORK | _OWN | {"platformdirs"}),
    "send --help": Command(("send", "--help"), 7.2, _NEVER | _NETWORK | _OWN | {"platformdirs"}),
    "a Tab": Command(
        ("_complete", "send", "--"), 4.4, _NEVER | _NETWORK | {*_DATACLASSES, "typer", "platformdirs"}
    ),
    "a Tab in the catalog": Command(
        ("_complete", "send", "--to", "benefits", "--subject", ""),
        5.4,
        _NEVER | _NETWORK | {*_DATACLASSES, "typer"},
    ),
    "a check of a batch": Command(
        ("send", "--batch", "MANIFEST", "--dry-run", "--quiet"),
        12.5,
        _NEVER | _NETWORK | {"platformdirs", "sqlite3", "stdnum"},
    ),
    # A new reference each time: the same again would only be looked up in the ledger.
    "send": Command(
        ("send", "DOCUMENT", *ABOUT, *WHO, "--reference", "NEW", "--service", "SERVICE"),
        20,
        _NEVER | {"platformdirs", "stdnum"},
    ),
}


@dataclass(frozen=True)
class Bench:
    """Compiled modules, and what the words of a command stand for."""

    environment: Mapping[str, str]
    meant: Mapping[str, str]
    news: Iterator[int] = field(default_factory=itertools.count)

    def arguments(self, command: Command) -> tuple[str, ...]:
        """Give Python's arguments."""
        meant = {**self.meant, "NEW": f"run {next(self.news)}"}
        return ("-m", "docsend", *(meant.get(word, word) for word in command.words))

    def bare(self) -> tuple[str, ...]:
        """Give the arguments of a Python that does nothing; -I reads no environment."""
        return ("-I", "-X", f"pycache_prefix={self.environment['PYTHONPYCACHEPREFIX']}", "-c", "pass")

    def cpu_s(self, arguments: Sequence[str]) -> float:
        """Run Python once, and give the CPU time that it took, in seconds."""
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
        """Run Python once, and give the names of all modules that it loaded."""
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
    """Give a home with compiled modules: without them everything takes twice as long."""
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
    meant = {
        "DOCUMENT": str(document),
        "SERVICE": shared_sandbox.url,
        "MANIFEST": str(_manifest(folder, document)),
    }
    return Bench(environment, meant)


def _manifest(folder: Path, document: Path) -> Path:
    """Write a manifest of one small document a row, none like another."""
    content = document.read_bytes()
    names = [f"row-{number}.pdf" for number in range(_ROWS)]
    for name in names:
        samples.write(folder, name, content + f"% {name}\n".encode())
    said = f"{','.join((*ABOUT, *WHO)[1::2])}"
    manifest = folder / "batch.csv"
    rows = (f"{said},{name}" for name in names)
    manifest.write_text("\n".join(("to,subject,category,type,id,documents", *rows, "")), "utf-8")
    return manifest


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="CPU time of one process needs wait4")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_little_more_than_python_itself(name: str, bench: Bench) -> None:
    command = COMMANDS[name]
    bench.cpu_s(bench.bare())
    bench.cpu_s(bench.arguments(command))  # compiles what is imported, and makes the ledger
    bare, taken = [], []
    for _ in range(_RUNS):
        bare.append(bench.cpu_s(bench.bare()))
        taken.append(bench.cpu_s(bench.arguments(command)))
    times = min(taken) / min(bare)
    assert times <= command.times_bare_python, f"{name}: {times:.1f} times bare Python"


@pytest.mark.everywhere
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_only_what_it_needs(name: str, bench: Bench) -> None:
    imported = bench.imported(bench.arguments(COMMANDS[name]))
    assert "docsend" in imported  # or the list would be of something else
    assert not COMMANDS[name].without & imported
