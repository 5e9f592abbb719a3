"""What every test stands on: a home of its own, a guard, a real sandbox on a real socket, and `run`."""

from __future__ import annotations

import functools
import importlib
import ipaddress
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import docsend
import samples
import system
from docsend.cli.app import main
from docsend.sandbox import server
from faults import lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., "Outcome"]

# A fictional insured person: a right check digit, nobody's number.
PERSON = "000000018"
ABOUT = ("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips")
WHO = ("--id", PERSON)
SCHEMAS = {
    schema["properties"]["schema"]["const"]: schema
    for file in (Path(docsend.__file__).parent / "data" / "schemas").glob("*-[0-9].json")
    for schema in [json.loads(file.read_text("utf-8"))]
}


def held(text: str) -> Any:
    """Give what a line of JSON says; it has to be of a schema of docsend, and to keep it."""
    value = json.loads(text)
    jsonschema.validate(
        value,
        SCHEMAS[value["schema"]],
        cls=jsonschema.Draft202012Validator,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    return value


# They assert, too, and are imported later than this file.
pytest.register_assert_rewrite("contract_client", "declarations", "http_exchanges", "scenarios", "targets")

# A background job of a shell ignores Ctrl-C, and so would the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# -- httpx's successor -------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--httpx2", action="store_true", help="put httpx2 into httpx's place")


def pytest_configure(config: pytest.Config) -> None:
    """Let `import httpx` mean httpx2: the change that docsend could be asked to make one day, of one line."""
    if config.getoption("--httpx2"):
        sys.modules["httpx"] = importlib.import_module("httpx2")


# -- what is not here --------------------------------------------------------------------------------------

_LEFT_OUT = "left out for want of"


def _needed_by(item: pytest.Item) -> set[str]:
    return {name for mark in item.iter_markers("needs") for name in mark.args}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test out for want of a part of the system that it needs; in CI that is a failure."""
    needed = [system.parts()[name] for name in sorted(_needed_by(item))]
    if missing := ", ".join(dict.fromkeys(part.package for part in needed if not part.is_here)):
        item.user_properties.append((_LEFT_OUT, missing))
        if os.environ.get("CI") == "true":
            pytest.fail(f"not here: {missing}; in CI no test is left out", pytrace=False)
        pytest.skip(f"not here: {missing}")


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Count a test that CI may not leave out among the failed; pytest would call it an error."""
    return ("failed", "F", "FAILED") if report.failed and _wanted_by(report) else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the run with one line: how many tests were left out, and for want of what."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    for outcome, one, several in (
        ("skipped", "test was left out", "tests were left out"),
        ("failed", "test failed", "tests failed"),
    ):
        wanted = list(filter(None, map(_wanted_by, reporter.stats.get(outcome, ()))))
        if wanted:
            packages = ", ".join(sorted(set().union(*wanted)))
            reporter.write_line(
                f"{len(wanted)} {one if len(wanted) == 1 else several}, for want of: {packages}; "
                "`make setup` installs them (Debian, as root)"
            )


def _wanted_by(report: pytest.TestReport) -> list[str]:
    """Return the packages that a test was left out for want of."""
    properties = dict(getattr(report, "user_properties", ()))
    return str(properties[_LEFT_OUT]).split(", ") if _LEFT_OUT in properties else []


# -- every test --------------------------------------------------------------------------------------------


class YouForgotToKeepATestAtHome(Exception):
    """A test reached for the network or for the real home."""


@pytest.fixture(autouse=True)
def guard() -> Iterator[pytest.MonkeyPatch]:
    """Give the guard's own patches: a test that takes its own back does not take these."""
    with pytest.MonkeyPatch.context() as patches:
        yield patches


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, guard: pytest.MonkeyPatch) -> Path:
    """Give every test a home of its own, and no environment that somebody else set up."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        # A test that wants a narrow terminal, another encoding or no buffers says so itself.
        is_of_terminals = name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
        is_of_streams = name in ("PYTHONIOENCODING", "PYTHONUNBUFFERED")
        is_ours = name.startswith(("DOCSEND_", "XDG_", "LC_")) or name.lower().endswith("_proxy")
        if is_ours or is_of_terminals or is_of_streams:
            guard.delenv(name)
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        guard.setenv(name, str(home))
    guard.setenv("DOCSEND_HOME", str(home / "docsend"))
    guard.setenv("LANG", "C.UTF-8")
    guard.setenv("TERM", "dumb")
    # A dead service must not cost minutes.
    guard.setenv("DOCSEND_PATIENCE", "2")
    guard.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return home


@pytest.fixture(autouse=True)
def _no_network(guard: pytest.MonkeyPatch) -> None:
    """Let sockets reach this machine only."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if host is not None and host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise YouForgotToKeepATestAtHome(f"a connection to {host}")
        connect(self, address)

    guard.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _no_tool_that_is_not_named(
    request: pytest.FixtureRequest, tool_refusals: Callable[[frozenset[str]], Path], guard: pytest.MonkeyPatch
) -> None:
    """Let a test find only those tools of requirements/system.txt that its mark `needs` names.

    A test that forgets one fails here, and not first on a machine that has none.
    """
    if sys.platform != "win32":
        refusals = tool_refusals(frozenset(_needed_by(request.node)))
        guard.setenv("PATH", f"{refusals}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="session")
def tool_refusals(tmp_path_factory: pytest.TempPathFactory) -> Callable[[frozenset[str]], Path]:
    """Give a function that makes a folder of commands that refuse, one for each tool not needed."""

    @functools.cache
    def refusals(needed: frozenset[str]) -> Path:
        folder = tmp_path_factory.mktemp("refusals")
        for name in system.parts().keys() - needed:
            tool = folder / name
            tool.write_text(
                f"#!/bin/sh\necho 'a test that uses {name} is marked needs(\"{name}\")' >&2\nexit 127\n"
            )
            tool.chmod(0o755)
        return folder

    return refusals


@pytest.fixture(autouse=True)
def _nothing_left_open(tmp_path: Path, guard: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test if a process that it started drops what it opened without closing it.

    Python only tells that on stderr, if asked, and goes on: tests/processes/sitecustomize.py writes it down.
    """
    noted = tmp_path / "left open"
    path = [str(Path(__file__).parent / "processes"), *filter(None, [os.environ.get("PYTHONPATH")])]
    guard.setenv("PYTHONPATH", os.pathsep.join(path))
    guard.setenv("PYTHONWARNINGS", "error::ResourceWarning")
    guard.setenv("TESTS_LEFT_OPEN", str(noted))
    yield
    if noted.exists():
        pytest.fail(noted.read_text("utf-8"), pytrace=False)


@dataclass(frozen=True)
class Outcome:
    """How a run of the program ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON on stdout, held against its schema."""
        return held(self.out)

    @property
    def rows(self) -> list[Any]:
        """The JSON of a batch but for its last line, each held against its schema."""
        *rows, _ = map(held, self.out.splitlines())
        return rows

    @property
    def summary(self) -> Any:
        """The last line of a batch's JSON, held against its schema."""
        return held(self.out.splitlines()[-1])

    @property
    def problems(self) -> list[str]:
        """The codes of the problems in the JSON result."""
        return [problem["code"] for problem in self.json["problems"]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the program in this process, through its public door, and give back how it ended."""

    def run_(*argv: str | Path) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in argv])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run_


@pytest.fixture
def spawn() -> Run:
    """Run the program as a process of its own, with the streams and the environment that a test wants."""

    def spawn_(*argv: str | Path, **options: Any) -> Outcome:
        environment = {**os.environ, **options.pop("env", {})}
        options = {"capture_output": True, "timeout": 60, "stdin": subprocess.DEVNULL, **options}
        done = subprocess.run(
            [sys.executable, "-m", "docsend", *map(str, argv)], env=environment, check=False, **options
        )
        return Outcome(
            done.returncode,
            (done.stdout or b"").decode("utf-8", "replace"),
            (done.stderr or b"").decode("utf-8", "replace"),
        )

    return spawn_


@dataclass(frozen=True)
class RunningSandbox:
    """A real sandbox on a real socket, and a look into what it keeps."""

    url: str
    folder: Path

    def select(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.folder / "sandbox.sqlite3") as connection:
            rows = connection.execute(sql, values).fetchall()
        connection.close()
        return rows

    def state(self, key: str) -> str | None:
        rows = self.select("SELECT state FROM submission WHERE key = ?", key)
        return rows[0][0] if rows else None

    def count(self, state: str = "received") -> int:
        return int(self.select("SELECT count(*) FROM submission WHERE state = ?", state)[0][0])

    def content(self, key: str) -> dict[str, bytes]:
        """The bytes of each document that it keeps of a submission, by name."""
        rows = self.select("SELECT name, file FROM document WHERE key = ? AND file IS NOT NULL", key)
        return {name: (self.folder / "documents" / file).read_bytes() for name, file in rows}


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    with server.beside(folder) as url:
        yield RunningSandbox(url, folder)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    """Give a sandbox that nothing was sent to yet."""
    folder = tmp_path / "sandbox"
    with server.beside(folder) as url:
        yield RunningSandbox(url, folder)


def goes_staged(service: str) -> None:
    """Let what is sent to a service go staged: its catalog, as it was fetched, offers no other way."""
    lab.store_catalog(os.environ, service, None)


@pytest.fixture
def payslip(tmp_path: Path) -> Path:
    """Give one small real document."""
    return samples.write(tmp_path, "payslip.pdf", samples.pdf())


@pytest.fixture
def signed_in_as(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    """Sign in the way of servers without a desktop: a code and a password file."""

    def sign_in(code: str, password: str) -> None:
        file = tmp_path / "password"
        file.write_text(f"{password}\n")
        file.chmod(0o600)
        monkeypatch.setenv("DOCSEND_CODE", code)
        monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(file))

    return sign_in


@pytest.fixture
def kept_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyring that works anywhere: a plaintext file, chosen by its name."""
    monkeypatch.setenv("DOCSEND_KEYRING", "keyrings.alt.file.PlaintextKeyring")
