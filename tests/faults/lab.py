"""Tools that all fault experiments share: real processes, workspaces, and the check of the results.

A fault may make an attempt fail. It must never lose a submission (lost), create two receipts for one
submission (duplicated), change a byte (wrong), reveal a secret (leaked), or make a later run of the same
command send bytes again (resent).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docsend.config import settings
from docsend.model import catalog
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

ID_NUMBER = "000000018"  # fictional: the check digit is right, but the number is not in use
BOOKLET = "BOOKLET-7781"
CODE, PASSWORD = "1001", "fictional-pending"  # an account of sandbox/accounts.json, with R-4711 pending
# None of these may ever appear in an output, a log or a ledger.
SECRETS = (ID_NUMBER, BOOKLET, PASSWORD)
CATALOG_OPTIONS = (
    "--to",
    "benefits",
    "--subject",
    "unemployment",
    "--category",
    "employer",
    "--type",
    "payslips",
)
# Return code of a process that was killed: -signal.SIGKILL, which Windows does not define.
KILLED = -9
VIOLATION_KINDS = ("lost", "duplicated", "wrong", "leaked", "resent", "other")


@dataclass
class FaultSummary:
    """Results for one class of faults: violations by kind (VIOLATION_KINDS), and up to 20 examples."""

    name: str
    seed: int
    tried: int = 0
    triggered: int = 0  # experiments in which the fault really happened
    violations: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    note: str = ""

    def add(self, experiment: str, found: Iterable[tuple[str, str]], *, triggered: bool = True) -> None:
        """Count one experiment and its violations, which are (kind, sentence)."""
        self.tried += 1
        self.triggered += triggered
        for kind, sentence in found:
            assert kind in VIOLATION_KINDS, kind
            self.violations[kind] += 1
            if len(self.examples) < 20:
                self.examples.append(f"{experiment}: {kind}: {sentence}")

    def merge(self, other: FaultSummary) -> None:
        self.tried += other.tried
        self.triggered += other.triggered
        self.violations.update(other.violations)
        self.examples = (self.examples + other.examples)[:20]

    @property
    def passed(self) -> bool:
        return not self.violations


@dataclass(frozen=True)
class RunResult:
    """Result of one run of the program; `code` is negative if a signal ended it."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """JSON object on stdout, or {} if there is none (a killed process prints nothing or only a part)."""
        lines = self.out.strip().splitlines()
        try:
            return dict(json.loads(lines[-1])) if lines else {}
        except ValueError:
            return {}

    @property
    def receipt(self) -> dict[str, Any] | None:
        return self.result.get("receipt")


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return a client's environment: its own home, a retry time of 2 s, and no settings of the developer."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DOCSEND_", "XDG_", "PYTHON_KEYRING")) and not name.lower().endswith("_proxy")
    }
    return {
        **inherited,
        "HOME": str(home),
        "DOCSEND_HOME": str(home / "docsend"),
        "DOCSEND_PATIENCE": "2",
        "DOCSEND_NO_INPUT": "1",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        **more,
    }


def store_catalog(env: Mapping[str, str], url: str, one_exchange_bytes: int | None) -> None:
    """Store a catalog with this limit for one exchange in a client's home, as if fetched from the service.

    With None the client sends everything staged. With a limit above the service's own, the service refuses
    what is too large for one exchange.
    """
    file = settings.resolve(service=url, environment=env).catalog_file
    assert file is not None
    content = json.loads(catalog.BUNDLED.read_bytes())
    content["one_exchange_bytes"] = one_exchange_bytes
    files.replace_file(file, json.dumps(content).encode())  # atomically: other processes may read it


def docsend_command(*argv: object) -> list[str]:
    """Return the command line that runs docsend; without -I, because planted bugs come in by PYTHONPATH."""
    return [sys.executable, "-m", "docsend", *map(str, argv)]


def run(
    argv: Sequence[object], env: dict[str, str], *, under: Sequence[str] = (), timeout: float = 60
) -> RunResult:
    """Run docsend until it ends, as a child of the command line `under` (strace) if that is given.

    Raise subprocess.TimeoutExpired if it takes longer than `timeout` seconds.
    """
    completed = subprocess.run(
        [*under, *docsend_command(*argv)],
        env=env,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )
    return RunResult(
        completed.returncode,
        completed.stdout.decode("utf-8", "replace"),
        completed.stderr.decode("utf-8", "replace"),
    )


@contextlib.contextmanager
def sandbox(folder: Path, *, under: Sequence[str] = (), port: int = 0) -> Iterator[Sandbox]:
    """Run a sandbox over this folder in a separate process, which may be killed at any time."""
    if sys.platform == "win32":
        raise NotImplementedError
    command = docsend_command("sandbox", "--data", folder, "--port", port, "--json")
    with subprocess.Popen(
        [*under, *command],
        env=environment(folder / "home"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            yield Sandbox(folder, json.loads(line).get("address", "") if line else "", process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox; `url` is empty if it died before it printed its address."""

    folder: Path
    url: str
    process: subprocess.Popen[bytes]

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> bool:
        """Send SIGTERM and return whether the sandbox ends within 20 s.

        Under strace the signal goes to the traced process, because strace itself would only detach.
        """
        traced = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii").split()
        for pid in map(int, traced or [str(self.process.pid)]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            return False
        return True


# -- checks ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReceivedSubmission:
    """A received submission, as stored in the sandbox's tables and files."""

    owner: str
    key: str
    number: str
    documents: tuple[tuple[str, str], ...]  # (name, SHA-256 of the stored bytes)


def received_submissions(folder: Path, names: Container[str] | None = None) -> list[ReceivedSubmission]:
    """Return the submissions that the sandbox has received, read from its tables and files, not over HTTP.

    With `names`, return only submissions that have a document with one of these names: many experiments
    share a sandbox, and each gives its documents unique names.
    """
    database = folder / "sandbox.sqlite3"
    if not database.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            receipts = connection.execute("SELECT owner, key, body FROM receipt ORDER BY number").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # killed before it created them
                return []
            raise
        found = []
        for owner, key, body in receipts:
            rows = connection.execute(
                "SELECT name, file FROM document WHERE owner = ? AND key = ? ORDER BY position", (owner, key)
            ).fetchall()
            if names is not None and not any(name in names for name, _ in rows):
                continue
            stored = [(name, folder / "documents" / (file or "nowhere")) for name, file in rows]
            documents = tuple((name, digest(file)) for name, file in stored)
            found.append(ReceivedSubmission(owner, key, json.loads(body)["number"], documents))
    return found


def receipt_keys(folder: Path) -> dict[str, str]:
    """Return the submission key of each receipt, by receipt number."""
    database = folder / "sandbox.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        rows = connection.execute("SELECT key, body FROM receipt").fetchall()
    return {json.loads(body)["number"]: key for key, body in rows}


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "-"


def ledger_rows(home: Path) -> dict[tuple[str, str], tuple[str, bytes | None]]:
    """Return the ledger's rows as (service, key) -> (state, receipt), read with plain SQLite."""
    file = home / "docsend" / "ledger.sqlite3"
    if not file.exists() or not file.stat().st_size:
        return {}
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            rows = connection.execute("SELECT service, key, state, receipt FROM submission").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return {}
            raise
        return {(service, key): (state, receipt) for service, key, state, receipt in rows}


def find_violations(
    folder: Path,
    homes: Sequence[Path],
    runs: Sequence[RunResult],
    *,
    expected: dict[str, str],
    submissions: int = 1,
) -> list[tuple[str, str]]:
    """Return the violations found by comparing the clients' output and ledgers with the sandbox's data.

    `expected` maps the name of each document that has to arrive to its SHA-256; no other experiment uses
    these names. `submissions` is the number of submissions that the sandbox should have received in the end.
    """
    submissions_received = received_submissions(folder, expected)
    keys = receipt_keys(folder)
    tokens = token_digests(folder)
    found = run_and_ledger_violations(runs, homes, keys, tokens)
    if len(submissions_received) > submissions:
        found.append(("duplicated", f"{len(submissions_received)} receipts for {submissions} submissions"))
    if len(submissions_received) < submissions:
        found.append(("lost", f"{len(submissions_received)} receipts for {submissions} submissions"))
    found += [
        ("wrong", f"{name} has other bytes")
        for submission in submissions_received
        for name, sha256 in submission.documents
        if expected.get(name) != sha256
    ]
    return found


def run_and_ledger_violations(
    runs: Sequence[RunResult], homes: Sequence[Path], keys: Mapping[str, str], tokens: set[str]
) -> list[tuple[str, str]]:
    """Return what is not true, or must not be there, in the outputs of runs and in the clients' ledgers."""
    found = [violation for result in runs for violation in _run_violations(result, keys, tokens)]
    return found + [violation for home in homes for violation in _ledger_violations(home, keys)]


def _run_violations(
    run_result: RunResult, keys: Mapping[str, str], tokens: set[str]
) -> Iterator[tuple[str, str]]:
    """Check that what a run printed is true, and that it contains no secret."""
    is_single = run_result.result.get("schema") == "docsend.result/2"  # not the summary of a batch
    if run_result.code == 0 and run_result.receipt is None and is_single:
        yield "lost", "exit code 0 without a receipt"
    if run_result.receipt is not None and run_result.receipt["number"] not in keys:
        yield "lost", f"{run_result.receipt['number']} was printed, but the sandbox has no such receipt"
    output = run_result.out + run_result.err
    yield from (("leaked", f"{secret[:3]}… in an output") for secret in SECRETS if secret in output)
    words = re.findall(r"[\w.~+/=-]{16,}", output) if tokens else []
    if any(hashlib.sha256(word.encode()).hexdigest() in tokens for word in words):
        yield "leaked", "a session token in an output"
    if "Traceback" in run_result.err or '"code": "bug"' in run_result.out:
        yield "other", f"a bug: {run_result.err[-300:]}"


def _ledger_violations(home: Path, keys: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Check that what a ledger records as received is true, and that it contains no secret."""
    for (service, key), (state, receipt) in ledger_rows(home).items():
        number = json.loads(receipt or b"{}").get("number")
        if state == "received" and keys.get(number) != key:
            yield "lost", f"the ledger has {number} at {service}, but the sandbox does not"
    for file in (home / "docsend").glob("ledger*"):
        content = file.read_bytes()
        yield from (
            ("leaked", f"{secret[:3]}… in {file.name}") for secret in SECRETS if secret.encode() in content
        )


def token_digests(folder: Path) -> set[str]:
    """Return the SHA-256 of the token of each session that the sandbox has stored."""
    database = folder / "sandbox.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return {token for (token,) in connection.execute("SELECT token FROM session")}


# -- workspaces and documents ------------------------------------------------------------------------------


def make_documents(
    folder: Path, count: int, seed: int, size: int | None = 4000, stem: str = "payslip"
) -> list[Path]:
    """Write `count` small, valid PDFs that differ for each seed, and return their paths."""
    import samples

    folder.mkdir(parents=True, exist_ok=True)
    return [
        samples.write(folder, f"{stem}-{n}.pdf", samples.pdf(seed * 100 + n, size=size)) for n in range(count)
    ]


def digests_by_name(documents: Iterable[Path]) -> dict[str, str]:
    return {file.name: digest(file) for file in documents}


@contextlib.contextmanager
def workspace(parent: Path, name: str) -> Iterator[Path]:
    """Create a folder for one experiment, and remove it at the end unless the experiment raises."""
    folder = parent / re.sub(r"[^\w.-]", "_", name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def wait_until(is_ready: Any, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not is_ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
