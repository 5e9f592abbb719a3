"""Record clients and sandboxes, some of which are killed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from faults import lab, one_exchange
from faults.power.checks import (
    ledger_violations,
    open_ledger,
    open_sandbox,
    restart_client,
    restart_sandbox,
    sandbox_violations,
)
from faults.power.promises import ClientPromises, Promise, SandboxPromises
from faults.power.recording import IDENTITY_OPTIONS, Recording
from faults.power.strace import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

# One pair of kills is excluded: while the first transaction syncs its database, and while the next process
# syncs the truncation that rolls it back. SQLite then takes the journal of an empty database for a leftover
# and deletes it, so a disk may have the deletion without the truncation, which no program can open. Nothing
# is planned at that point, and a file system with a journal stores the two in order.
_EXCLUDED_KILLS = (4, 2)


@contextlib.contextmanager
def import_docsend_from(source: Path | None) -> Iterator[None]:
    """Make processes that start in this context import `docsend` from another folder."""
    before = os.environ.get("PYTHONPATH")
    if source is not None:
        os.environ["PYTHONPATH"] = str(source)
    try:
        yield
    finally:
        if source is not None:
            del os.environ["PYTHONPATH"]
            if before is not None:
                os.environ["PYTHONPATH"] = before


def _kill_at(call: str, when: int) -> tuple[str, ...]:
    """Return strace's options for a kill -9 instead of a thread's n-th call."""
    return ("-e", f"inject={call}:signal=KILL:when={when}")


class _RecordedClient:
    """A client's home, and a recording of the commands that run in it, one after another."""

    def __init__(
        self, world: Path, name: str, sandbox: lab.Sandbox, *, is_staged: bool = False, **variables: str
    ) -> None:
        self.home = world / name / "home"
        self.home.mkdir(parents=True)
        self._variables = variables
        if is_staged:
            lab.store_catalog(lab.environment(self.home), sandbox.url, None)
        self._logs = world / name
        self._client = ClientPromises()
        self._recorder = Recorder(self.home, self._client)
        self._name, self._sandbox = name, sandbox
        self._runs = self._kills = 0

    def run(self, *argv: object, kill: tuple[str, ...] = ()) -> lab.RunResult:
        self._runs += 1
        log = self._logs / f"{self._runs}.log"
        command = [*argv, "--service", self._sandbox.url, "--json"]
        env = lab.environment(self.home, **self._variables)
        result = lab.run(command, env, under=self._recorder.strace_command(log, *kill))
        self._kills += result.code == lab.KILLED
        self._recorder.read(log)
        log.unlink()
        return result

    def recording(self, files: Sequence[Path]) -> Recording:
        """Return the recording. The promised receipts have exactly the bytes that the sandbox has stored."""
        with contextlib.closing(sqlite3.connect(self._sandbox.folder / "sandbox.sqlite3")) as database:
            bodies = {
                json.loads(body)["number"].encode(): body
                for (body,) in database.execute("SELECT body FROM receipt")
            }
        promises = [
            Promise(promise.kind, promise.key, bodies[promise.detail], promise.since)
            if promise.kind == "received"
            else promise
            for promise in self._client.promises
        ]
        rerun = [
            str(self._sandbox.folder), *map(str, _send(files)), "--service", self._sandbox.url, "--json"
        ]  # fmt: skip
        return Recording(
            self._name,
            self._recorder.initial,
            self._recorder.changes,
            promises,
            ledger_violations,
            open_ledger,
            restart_client,
            rerun,
            self._kills,
        )


def _send(files: Iterable[Path]) -> list[object]:
    return ["send", *files, *lab.CATALOG_OPTIONS, *IDENTITY_OPTIONS]


def _send_signed_in(files: Iterable[Path]) -> list[object]:
    return ["send", *files, "--to", "personal", *lab.CATALOG_OPTIONS[2:]]


def ledger_recordings(world: Path, seed: int, sandbox: lab.Sandbox) -> list[Recording]:
    """Record clients: undisturbed, or killed while sending, in a transaction, or while creating a folder."""
    rng = random.Random(f"power/{seed}/clients")
    files = lab.make_documents(world / "clients", 18, seed)

    peaceful = _RecordedClient(world, "sent and sent again", sandbox)
    peaceful.run(*_send(files[:2]))
    peaceful.run(*_send(files[:2]), "--occurrence", "2")
    peaceful.run(*_send(files[:2]))

    staged = _RecordedClient(world, "sent staged and sent again", sandbox, is_staged=True)
    staged.run(*_send(files[9:11]))
    staged.run(*_send(files[9:11]), "--occurrence", "2")
    staged.run(*_send(files[9:11]))

    # One exchange is two calls, for head and body: killed before either, or before the response, and rerun.
    killed = _RecordedClient(world, "killed in one exchange", sandbox)
    killed.run(*_send(files[11:13]), kill=_kill_at("sendto", rng.randint(1, 2)))
    killed.run(*_send(files[11:13]))
    killed.run(*_send(files[13:14]), kill=_kill_at("recvfrom", 1))
    killed.run(*_send(files[13:14]))

    # Each of these runs signs in first, and has one more commit: `sending`, before it sends any document.
    password = world / "password"
    password.write_text("fictional-clear")
    password.chmod(0o600)
    account = {"DOCSEND_CODE": "1002", "DOCSEND_PASSWORD_FILE": str(password)}
    signed = _RecordedClient(world, "signed in, in one exchange", sandbox, is_staged=False, **account)
    signed.run(*_send_signed_in(files[14:16]))
    signed.run(*_send_signed_in(files[16:17]), kill=_kill_at("recvfrom", 2))
    signed.run(*_send_signed_in(files[16:17]))

    resumed = _RecordedClient(world, "killed while sending", sandbox, is_staged=True)
    resumed.run(*_send(files[2:4]), kill=_kill_at("sendto", rng.randint(2, 7)))
    resumed.run(*_send(files[2:4]))
    resumed.run(*_send(files[4:5]), kill=_kill_at("sendto", rng.randint(2, 4)))
    unfinished = [
        key for (_, key), (state, _) in lab.ledger_rows(resumed.home).items() if state != "received"
    ]
    resumed.run("receipts", "withdraw", *unfinished)

    # A transaction syncs five times, the fourth time the database itself; the first one creates the tables.
    # The next process rolls back what a kill leaves, and is killed in turn.
    rolled_back = _RecordedClient(world, "killed in transactions", sandbox)
    first, second = rng.choice(
        [pair for pair in itertools.product((4, 9), (1, 2, 3)) if pair != _EXCLUDED_KILLS]
    )
    rolled_back.run(*_send(files[5:7]), kill=_kill_at("fdatasync", first))
    rolled_back.run(*_send(files[5:7]), kill=_kill_at("fdatasync", second))
    rolled_back.run(*_send(files[5:7]), kill=_kill_at("fdatasync", rng.randint(8, 15)))
    rolled_back.run(*_send(files[5:7]))

    # A commit is visible once the journal is truncated, and durable once the truncation is synced, by the
    # fifth sync. The kill comes in between, and the next process prints the receipt that it finds: the first
    # commit creates the tables, the second the plan, the third stores the receipt.
    committing = _RecordedClient(world, "killed before a commit was synced", sandbox)
    committing.run(*_send(files[7:8]), kill=_kill_at("fdatasync", 15))
    committing.run(*_send(files[7:8]))

    new = _RecordedClient(world, "killed before its folder was synced", sandbox)
    new.run(*_send(files[8:9]), kill=_kill_at("fsync", 1))
    new.run(*_send(files[8:9]))

    return [
        peaceful.recording(files[:2]),
        staged.recording(files[9:11]),
        killed.recording(files[11:13]),
        signed.recording(files[:2]),  # the rerun after a cut has no account
        resumed.recording(files[2:4]),
        rolled_back.recording(files[5:7]),
        committing.recording(files[7:8]),
        new.recording(files[8:9]),
    ]


class _RecordedSandbox:
    """A sandbox's folder, and a recording of the processes that serve it, one after another."""

    def __init__(self, world: Path, name: str) -> None:
        self.folder = world / name / "root" / "sandbox"
        self.folder.parent.mkdir(parents=True)
        self._world, self._name = world / name, name
        self._promises = SandboxPromises()
        self._kills = 0
        self._recorder = Recorder(self.folder.parent, self._promises)

    @contextlib.contextmanager
    def serve(self, kill: tuple[str, ...] = ()) -> Iterator[lab.Sandbox]:
        log = self._world / "service.log"
        with lab.sandbox(self.folder, under=self._recorder.strace_command(log, *kill)) as running:
            yield running
            self._kills += bool(kill) and lab.wait_until(lambda: not running.is_alive, seconds=2)
        self._recorder.read(log)
        log.unlink()

    def send(self, running: lab.Sandbox, home: str, files: Sequence[Path], **variables: str) -> lab.RunResult:
        """Send from a client's home with this name; staged if the name starts with "staged"."""
        env = lab.environment(self._world / home, **variables)
        if home.startswith("staged"):
            lab.store_catalog(env, running.url, None)
        return lab.run([*_send(files), "--service", running.url, "--json"], env)

    def serve_client(self, files: Sequence[Path], kill: tuple[str, ...] = ()) -> None:
        """Serve one client with a process that may be killed, even before it prints its address."""
        with self.serve(kill) as running:
            if running.url:
                self.send(running, "staged client", files, DOCSEND_PATIENCE="0.2")

    def serve_one_exchange(
        self, files: Sequence[Path], kill: tuple[str, ...] = (), staged: int | None = None
    ) -> None:
        """Serve one exchange, after the upload of its first `staged` documents; the process may be killed."""
        submission = one_exchange.FormSubmission.from_files(files)
        with self.serve(kill) as running:
            if running.url:
                sender = one_exchange.Sender(running.url)
                if staged is not None:
                    sender.stage(submission, staged)
                sender.send(submission)

    def leave_and_withdraw(self, running: lab.Sandbox, home: str, files: Sequence[Path]) -> None:
        """Kill a client after its first document, then withdraw the unfinished submission."""
        env = lab.environment(self._world / home)
        lab.store_catalog(env, running.url, None)
        service = ("--service", running.url, "--json")
        under = ("strace", "-f", "-o", "/dev/null", "-e", "trace=sendto", *_kill_at("sendto", 5))
        lab.run([*_send(files), *service], env, under=under)
        for _, key in lab.ledger_rows(self._world / home):
            lab.run(["receipts", "withdraw", key, *service], env)

    def recording(self, files: Sequence[Path]) -> Recording:
        return Recording(
            self._name,
            self._recorder.initial,
            self._recorder.changes,
            self._promises.promises,
            sandbox_violations,
            open_sandbox,
            restart_sandbox,
            [*map(str, _send(files)), "--json"],
            self._kills,
        )


def sandbox_recordings(world: Path, seed: int) -> list[Recording]:
    """Record sandboxes: with clients in turn and a withdrawal, with several clients at once, and killed."""
    rng = random.Random(f"power/{seed}/sandboxes")
    files = lab.make_documents(world / "senders", 18, seed + 50_000)

    in_turn = _RecordedSandbox(world, "clients in turn and a withdrawal")
    with in_turn.serve() as running:
        in_turn.send(running, "staged one", files[:3])
        in_turn.leave_and_withdraw(running, "two", files[3:5])
        in_turn.send(running, "one", files[5:6])

    at_once = _RecordedSandbox(world, "clients at once")
    with at_once.serve() as running, ThreadPoolExecutor(3) as clients:
        for number, home in ((6, "one"), (9, "staged nine"), (12, "staged twelve")):
            clients.submit(at_once.send, running, home, files[number : number + 3])

    # Declaring, storing and receiving one document take five fdatasyncs each in the serving thread. The
    # second kill hits the rollback after the first one, or a later call.
    killed = _RecordedSandbox(world, "killed in transactions, the sandbox")
    killed.serve_client(files[15:16], _kill_at("fdatasync", rng.choice((9, 14))))
    killed.serve_client(files[15:16], _kill_at("fdatasync", rng.randint(1, 10)))
    killed.serve_client(files[15:16])

    # As with the clients, the kill comes after the truncation that commits and before its sync.
    committing = _RecordedSandbox(world, "killed before a commit was synced, the sandbox")
    committing.serve_client(files[16:17], _kill_at("fdatasync", 15))
    committing.serve_client(files[16:17])

    new = _RecordedSandbox(world, "killed before its folder was synced, the sandbox")
    new.serve_client(files[17:18], _kill_at("fsync", 1))
    new.serve_client(files[17:18])

    more = lab.make_documents(world / "exchanges", 8, seed + 60_000, stem="exchange")
    exchanges = _RecordedSandbox(world, "one exchange, the sandbox")
    exchanges.serve_one_exchange(more[:1])
    exchanges.serve_one_exchange(more[1:4], staged=1)
    exchanges.serve_one_exchange(more[1:4])

    # One exchange first syncs its files and their folder, then its only transaction.
    killed_in_exchange = _RecordedSandbox(world, "killed in one exchange, the sandbox")
    killed_in_exchange.serve_one_exchange(more[4:5])
    killed_in_exchange.serve_one_exchange(more[5:7], _kill_at("fsync", rng.randint(1, 3)))
    for _ in range(2):
        killed_in_exchange.serve_one_exchange(more[5:7], _kill_at("fdatasync", rng.randint(1, 5)))
    killed_in_exchange.serve_one_exchange(more[5:7])

    return [
        exchanges.recording(more[1:4]),
        killed_in_exchange.recording(more[5:7]),
        in_turn.recording(files[:3]),
        at_once.recording(files[6:9]),
        killed.recording(files[15:16]),
        committing.recording(files[16:17]),
        new.recording(files[17:18]),
    ]
