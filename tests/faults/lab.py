"""What the experiments of the fault laboratory share: real processes, a world of their own, the checker.

A fault may cost an attempt. It may never cost a submission (lost), make two of one (twice), change a byte
(wrong), show a secret (seen), or make a later run of the same command send bytes again (resent).
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

PERSON = "000000018"  # fictional: a right check digit, nobody's number
BOOKLET = "BOOKLET-7781"
CODE, PASSWORD = "1001", "fictional-pending"  # an account of sandbox/accounts.json, with R-4711 pending
# Nothing of these may ever be seen in an output, a log or a ledger.
SECRETS = (PERSON, BOOKLET, PASSWORD)
ABOUT = ("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips")
# How a process ends that was killed: -signal.SIGKILL, which Windows does not know.
KILLED = -9
KINDS = ("lost", "twice", "wrong", "seen", "resent", "other")


@dataclass
class Tally:
    """What one class of faults came to. `broken` counts violations by kind (KINDS), `examples` shows some."""

    name: str
    seed: int
    tried: int = 0
    struck: int = 0  # of them, those in which the fault really happened
    broken: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    note: str = ""

    def add(self, what: str, violations: Iterable[tuple[str, str]], *, struck: bool = True) -> None:
        """Count one experiment: `what` was done, and these (kind, sentence) came of it."""
        self.tried += 1
        self.struck += struck
        for kind, sentence in violations:
            assert kind in KINDS, kind
            self.broken[kind] += 1
            if len(self.examples) < 20:
                self.examples.append(f"{what}: {kind}: {sentence}")

    def merge(self, other: Tally) -> None:
        self.tried += other.tried
        self.struck += other.struck
        self.broken.update(other.broken)
        self.examples = (self.examples + other.examples)[:20]

    @property
    def survived(self) -> bool:
        return not self.broken


@dataclass(frozen=True)
class Ran:
    """How one run of the program ended; `code` is negative if a signal ended it."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The JSON on stdout, {} if there is none (a killed process prints nothing or a part)."""
        lines = self.out.strip().splitlines()
        try:
            return dict(json.loads(lines[-1])) if lines else {}
        except ValueError:
            return {}

    @property
    def receipt(self) -> dict[str, Any] | None:
        return self.result.get("receipt")


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a client: a home of its own, no patience, nothing of the developer's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DOCSEND_", "XDG_", "PYTHON_KEYRING")) and not name.lower().endswith("_proxy")
    }
    return {
        **kept,
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


def offer(env: Mapping[str, str], url: str, one_exchange_bytes: int | None) -> None:
    """Give a client a service's catalog, as if fetched, that takes so much in one exchange; None: nothing.

    With None everything goes staged; with more than the service takes it is asked in vain.
    """
    file = settings.resolve(service=url, environment=env).catalog_file
    assert file is not None
    offered = json.loads(catalog.BUNDLED.read_bytes())
    offered["one_exchange_bytes"] = one_exchange_bytes
    files.replace_file(file, json.dumps(offered).encode())  # as a whole: others may read it


def docsend(*argv: object) -> list[str]:
    """The command line of a real process. No -I: planted bugs come in by PYTHONPATH."""
    return [sys.executable, "-m", "docsend", *map(str, argv)]


def run(
    argv: Sequence[object], env: dict[str, str], *, under: Sequence[str] = (), timeout: float = 60
) -> Ran:
    """Run docsend to its end, `under` another program (strace) if asked; a hang is an exception."""
    done = subprocess.run(
        [*under, *docsend(*argv)],
        env=env,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )
    return Ran(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )


@contextlib.contextmanager
def sandbox(folder: Path, *, under: Sequence[str] = (), port: int = 0) -> Iterator[Sandbox]:
    """A sandbox in a process of its own over this folder; it may be killed at any time."""
    if sys.platform == "win32":
        raise NotImplementedError
    command = docsend("sandbox", "--data", folder, "--port", port, "--json")
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
    """A running sandbox. `url` is empty if it died before it could say where it is."""

    folder: Path
    url: str
    process: subprocess.Popen[bytes]

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> bool:
        """End it by SIGTERM, also under strace, which would only let go of it; False if it does not end."""
        traced = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii").split()
        for pid in map(int, traced or [str(self.process.pid)]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            return False
        return True


# -- the checker -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """One received submission, as the sandbox's own tables and files have it."""

    owner: str
    key: str
    number: str
    documents: tuple[tuple[str, str], ...]  # (name, SHA-256 of the bytes on its disk)


def received(folder: Path, names: Container[str] | None = None) -> list[Kept]:
    """Read what the sandbox has received, from its tables and its files, and not through its HTTP face.

    With `names` only submissions that have a document of one of these names: many experiments share a
    sandbox, and each gives its documents names of their own.
    """
    database = folder / "sandbox.sqlite3"
    if not database.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            receipts = connection.execute("SELECT owner, key, body FROM receipt ORDER BY number").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # killed before it had made them
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
            found.append(Kept(owner, key, json.loads(body)["number"], documents))
    return found


def receipts(folder: Path) -> dict[str, str]:
    """Give the key that each receipt's number belongs to."""
    database = folder / "sandbox.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        rows = connection.execute("SELECT key, body FROM receipt").fetchall()
    return {json.loads(body)["number"]: key for key, body in rows}


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "-"


def ledger_rows(home: Path) -> dict[tuple[str, str], tuple[str, bytes | None]]:
    """The ledger's (service, key) -> (state, receipt), read by plain SQLite."""
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


def violations(
    folder: Path,
    homes: Sequence[Path],
    ran: Sequence[Ran],
    *,
    expected: dict[str, str],
    submissions: int = 1,
) -> list[tuple[str, str]]:
    """Hold what clients printed and keep against what the sandbox has.

    `expected` is name -> SHA-256 of every document that was to arrive, `submissions` how many there should be
    in the end (each of them holds documents of `expected`; no other experiment has documents of these names).
    """
    kept = received(folder, expected)
    key_of = receipts(folder)
    tokens = sessions(folder)
    broken = [found for one in ran for found in _of_a_run(one, key_of, tokens)]
    broken += [found for home in homes for found in _of_a_ledger(home, key_of)]
    if len(kept) > submissions:
        broken.append(("twice", f"{len(kept)} receipts for {submissions} submissions"))
    if len(kept) < submissions:
        broken.append(("lost", f"{len(kept)} receipts for {submissions} submissions"))
    broken += [
        ("wrong", f"{name} has other bytes")
        for one in kept
        for name, sha256 in one.documents
        if expected.get(name) != sha256
    ]
    return broken


def _of_a_run(one: Ran, key_of: Mapping[str, str], tokens: set[str]) -> Iterator[tuple[str, str]]:
    """What a run printed must be so, and may hold no secret."""
    if one.code == 0 and one.receipt is None and "docsend.result/2" in one.out:
        yield "lost", "exit code 0 without a receipt"
    if one.receipt is not None and one.receipt["number"] not in key_of:
        yield "lost", f"{one.receipt['number']} was printed, and the sandbox has none such"
    shown = one.out + one.err
    yield from (("seen", f"{secret[:3]}… in an output") for secret in SECRETS if secret in shown)
    words = re.findall(r"[\w.~+/=-]{16,}", shown) if tokens else []
    if any(hashlib.sha256(word.encode()).hexdigest() in tokens for word in words):
        yield "seen", "a session's token in an output"
    if "Traceback" in one.err or '"code": "bug"' in one.out:
        yield "other", f"a bug: {one.err[-300:]}"


def _of_a_ledger(home: Path, key_of: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What a ledger holds as received must be so, and no secret may stand in it."""
    for (service, key), (state, receipt) in ledger_rows(home).items():
        number = json.loads(receipt or b"{}").get("number")
        if state == "received" and key_of.get(number) != key:
            yield "lost", f"the ledger has {number} at {service}, the sandbox has not"
    for file in (home / "docsend").glob("ledger*"):
        content = file.read_bytes()
        yield from (
            ("seen", f"{secret[:3]}… in {file.name}") for secret in SECRETS if secret.encode() in content
        )


def sessions(folder: Path) -> set[str]:
    """Give the SHA-256 of every token that the sandbox has given out and not forgotten."""
    database = folder / "sandbox.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return {token for (token,) in connection.execute("SELECT token FROM session")}


# -- worlds ------------------------------------------------------------------------------------------------


def documents(
    folder: Path, count: int, seed: int, size: int | None = 4000, stem: str = "payslip"
) -> list[Path]:
    """Real small PDFs that nobody has sent before."""
    import samples

    folder.mkdir(parents=True, exist_ok=True)
    return [
        samples.write(folder, f"{stem}-{n}.pdf", samples.pdf(seed * 100 + n, size=size)) for n in range(count)
    ]


def expected(documents: Iterable[Path]) -> dict[str, str]:
    return {file.name: digest(file) for file in documents}


@contextlib.contextmanager
def world(parent: Path, name: str) -> Iterator[Path]:
    """A folder for one experiment, gone afterwards unless the experiment fails with an exception."""
    folder = parent / re.sub(r"[^\w.-]", "_", name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def wait_until(ready: Any, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
