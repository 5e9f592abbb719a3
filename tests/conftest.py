"""Fixtures for all tests: a temporary home, a guard, a real sandbox on a real socket, and `run`."""

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

# The id number of a fictional insured person: the check digit is valid, and nobody has this number.
PERSON = "000000018"
ABOUT = ("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips")
WHO = ("--id", PERSON)
SCHEMAS = {
    schema["properties"]["schema"]["const"]: schema
    for file in (Path(docsend.__file__).parent / "data" / "schemas").glob("*-[0-9].json")
    for schema in [json.loads(file.read_text("utf-8"))]
}


def parse_json(text: str) -> Any:
    """Return the value of a line of JSON after validating it against its docsend schema."""
    value = json.loads(text)
    jsonschema.validate(
        value,
        SCHEMAS[value["schema"]],
        cls=jsonschema.Draft202012Validator,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    return value


# These helper modules contain assertions, and are imported after this file.
pytest.register_assert_rewrite("contract_client", "declarations", "http_exchanges", "scenarios", "targets")

# A background job of a shell ignores SIGINT, and the commands that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# -- httpx2 ------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--httpx2", action="store_true", help="run the tests with httpx2 instead of httpx")


def pytest_configure(config: pytest.Config) -> None:
    """With --httpx2, make `import httpx` import httpx2, to check that docsend could switch to it."""
    if config.getoption("--httpx2"):
        sys.modules["httpx"] = importlib.import_module("httpx2")


# -- several processes -------------------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers for `-n auto`: tests wait for timers and processes half of their time."""
    return (os.cpu_count() or 1) + 1


# -- missing system packages -------------------------------------------------------------------------------

_MISSING_PROPERTY = "left out for want of"


def _needed_by(item: pytest.Item) -> set[str]:
    return {name for mark in item.iter_markers("needs") for name in mark.args}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test if a part of the system that it needs is missing; in CI, fail it."""
    needed = [system.parts()[name] for name in sorted(_needed_by(item))]
    if missing := ", ".join(dict.fromkeys(part.package for part in needed if not part.is_here)):
        item.user_properties.append((_MISSING_PROPERTY, missing))
        if os.environ.get("CI") == "true":
            pytest.fail(f"not here: {missing}; in CI no test is left out", pytrace=False)
        pytest.skip(f"not here: {missing}")


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Count a test that may not be skipped in CI as failed; pytest would count it as an error."""
    return ("failed", "F", "FAILED") if report.failed and _missing_packages(report) else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print as the last line how many tests were skipped, and which packages are missing."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    for outcome, one, several in (
        ("skipped", "test was left out", "tests were left out"),
        ("failed", "test failed", "tests failed"),
    ):
        wanted = list(filter(None, map(_missing_packages, reporter.stats.get(outcome, ()))))
        if wanted:
            packages = ", ".join(sorted(set().union(*wanted)))
            reporter.write_line(
                f"{len(wanted)} {one if len(wanted) == 1 else several}, for want of: {packages}; "
                "`make setup` installs them (Debian, as root)"
            )


def _missing_packages(report: pytest.TestReport) -> list[str]:
    """Return the missing packages because of which a test was skipped."""
    properties = dict(getattr(report, "user_properties", ()))
    return str(properties[_MISSING_PROPERTY]).split(", ") if _MISSING_PROPERTY in properties else []


# -- every test --------------------------------------------------------------------------------------------


class ExternalAccessBlocked(Exception):
    """Raised when a test opens a connection to another machine."""


@pytest.fixture(autouse=True)
def guard() -> Iterator[pytest.MonkeyPatch]:
    """Yield a separate MonkeyPatch, so that a test that undoes its own patches does not undo these."""
    with pytest.MonkeyPatch.context() as patches:
        yield patches


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, guard: pytest.MonkeyPatch) -> Path:
    """Set up a temporary home for every test, and remove settings of the environment."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        # A test that needs a narrow terminal, another encoding or unbuffered streams sets these itself.
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
    # A service that does not respond must not delay a test for minutes.
    guard.setenv("DOCSEND_PATIENCE", "1")
    guard.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return home


@pytest.fixture(autouse=True)
def _no_network(guard: pytest.MonkeyPatch) -> None:
    """Allow connections to this machine only."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if host is not None and host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ExternalAccessBlocked(f"a connection to {host}")
        connect(self, address)

    guard.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _only_declared_tools(
    request: pytest.FixtureRequest, tool_refusals: Callable[[frozenset[str]], Path], guard: pytest.MonkeyPatch
) -> None:
    """Hide the tools of requirements/system.txt that a test does not name in its `needs` mark.

    A test that forgets to name a tool then fails everywhere, and not only on a machine without the tool.
    """
    if sys.platform != "win32":
        refusals = tool_refusals(frozenset(_needed_by(request.node)))
        guard.setenv("PATH", f"{refusals}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="session")
def tool_refusals(tmp_path_factory: pytest.TempPathFactory) -> Callable[[frozenset[str]], Path]:
    """Return a function that creates a folder with a failing command for each tool that is not needed."""

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
def _check_open_resources(tmp_path: Path, guard: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test if a process that it started does not close a resource.

    Python only warns on stderr, so tests/processes/sitecustomize.py writes the warnings to a file.
    """
    warnings_file = tmp_path / "left open"
    path = [str(Path(__file__).parent / "processes"), *filter(None, [os.environ.get("PYTHONPATH")])]
    guard.setenv("PYTHONPATH", os.pathsep.join(path))
    guard.setenv("PYTHONWARNINGS", "error::ResourceWarning")
    guard.setenv("TESTS_LEFT_OPEN", str(warnings_file))
    yield
    if warnings_file.exists():
        pytest.fail(warnings_file.read_text("utf-8"), pytrace=False)


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of a run of docsend."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON on stdout, validated against its schema."""
        return parse_json(self.out)

    @property
    def rows(self) -> list[Any]:
        """The lines of a batch's JSON except the last, each validated against its schema."""
        *rows, _ = map(parse_json, self.out.splitlines())
        return rows

    @property
    def summary(self) -> Any:
        """The last line of a batch's JSON, validated against its schema."""
        return parse_json(self.out.splitlines()[-1])

    @property
    def problems(self) -> list[str]:
        """The problem codes in the JSON result."""
        return [problem["code"] for problem in self.json["problems"]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs docsend in this process, through `main`, and returns its outcome."""

    def run_(*argv: str | Path) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in argv])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run_


@pytest.fixture
def spawn() -> Run:
    """Return a function that runs docsend in a separate process, with options of `subprocess.run`."""

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
    """A real sandbox on a real socket, with access to its database and its documents."""

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
        """Return the stored bytes of a submission's documents by name."""
        rows = self.select("SELECT name, file FROM document WHERE key = ? AND file IS NOT NULL", key)
        return {name: (self.folder / "documents" / file).read_bytes() for name, file in rows}


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    with server.run_in_background(folder) as url:
        yield RunningSandbox(url, folder)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    """Yield an empty sandbox."""
    folder = tmp_path / "sandbox"
    with server.run_in_background(folder) as url:
        yield RunningSandbox(url, folder)


def force_staged_upload(service: str) -> None:
    """Make submissions to a service go staged, by storing a catalog of it that offers no single exchange."""
    lab.store_catalog(os.environ, service, None)


@pytest.fixture
def payslip(tmp_path: Path) -> Path:
    """Return the path of a small valid PDF."""
    return samples.write(tmp_path, "payslip.pdf", samples.pdf())


@pytest.fixture
def signed_in_as(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    """Return a function that signs in as servers without a desktop do: with a code and a password file."""

    def sign_in(code: str, password: str) -> None:
        file = tmp_path / "password"
        file.write_text(f"{password}\n")
        file.chmod(0o600)
        monkeypatch.setenv("DOCSEND_CODE", code)
        monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(file))

    return sign_in


@pytest.fixture
def plaintext_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a keyring that works everywhere: a plaintext file."""
    monkeypatch.setenv("DOCSEND_KEYRING", "keyrings.alt.file.PlaintextKeyring")
