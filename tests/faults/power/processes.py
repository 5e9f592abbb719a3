"""Clients and sandboxes, recorded and killed."""

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
    ledger_broken,
    ledger_opens,
    ledger_restarts,
    sandbox_broken,
    sandbox_opens,
    sandbox_restarts,
)
from faults.power.promises import Client, FarSide, Promise
from faults.power.recording import WHO, Recording
from faults.power.strace import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

# Two kills that are not tried one after the other: as the very first transaction syncs its database, and as
# the next process syncs the truncation that undoes it. SQLite then takes the journal of an empty database for
# a remnant and deletes it, so that a disk may hold the deletion and not the truncation, and no program opens
# that. Nothing had been planned by then, and a file system with a journal keeps the two in order.
_TOO_HARSH = (4, 2)


@contextlib.contextmanager
def docsend_from(source: Path | None) -> Iterator[None]:
    """Let processes that start here import `docsend` from another folder."""
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
    """Give strace's options for a kill -9 in place of the n-th such call of a thread."""
    return ("-e", f"inject={call}:signal=KILL:when={when}")


class _Sender:
    """One home under watch, and the commands that are run in it, one after another."""

    def __init__(
        self, world: Path, name: str, far_side: lab.Sandbox, *, is_staged: bool = False, **more: str
    ) -> None:
        self.home = world / name / "home"
        self.home.mkdir(parents=True)
        self._more = more
        if is_staged:
            lab.offer(lab.environment(self.home), far_side.url, None)
        self._logs = world / name
        self._client = Client()
        self._watch = Watch(self.home, self._client)
        self._name, self._far_side = name, far_side
        self._runs = self._kills = 0

    def run(self, *argv: object, killed: tuple[str, ...] = ()) -> lab.Ran:
        self._runs += 1
        log = self._logs / f"{self._runs}.log"
        command = [*argv, "--service", self._far_side.url, "--json"]
        env = lab.environment(self.home, **self._more)
        ran = lab.run(command, env, under=self._watch.under(log, *killed))
        self._kills += ran.code == lab.KILLED
        self._watch.read(log)
        log.unlink()
        return ran

    def recording(self, files: Sequence[Path]) -> Recording:
        """End the recording. Receipts are promised in the very bytes that the far side has."""
        with contextlib.closing(sqlite3.connect(self._far_side.folder / "sandbox.sqlite3")) as database:
            bodies = {
                json.loads(body)["number"].encode(): body
                for (body,) in database.execute("SELECT body FROM receipt")
            }
        promises = [
            Promise(one.what, one.key, bodies[one.detail], one.since) if one.what == "received" else one
            for one in self._client.promises
        ]
        again = [
            str(self._far_side.folder), *map(str, _send(files)), "--service", self._far_side.url, "--json"
        ]  # fmt: skip
        return Recording(
            self._name,
            self._watch.before,
            self._watch.changes,
            promises,
            ledger_broken,
            ledger_opens,
            ledger_restarts,
            again,
            self._kills,
        )


def _send(files: Iterable[Path]) -> list[object]:
    return ["send", *files, *lab.ABOUT, *WHO]


def _send_signed(files: Iterable[Path]) -> list[object]:
    return ["send", *files, "--to", "personal", *lab.ABOUT[2:]]


def ledger_recordings(world: Path, seed: int, far_side: lab.Sandbox) -> list[Recording]:
    """Record clients: in peace, killed while they send, in a transaction, and as they make their folder."""
    dice = random.Random(f"power/{seed}/clients")
    files = lab.documents(world / "clients", 18, seed)

    peaceful = _Sender(world, "sent and sent again", far_side)
    peaceful.run(*_send(files[:2]))
    peaceful.run(*_send(files[:2]), "--again")
    peaceful.run(*_send(files[:2]))

    staged = _Sender(world, "sent staged and sent again", far_side, is_staged=True)
    staged.run(*_send(files[9:11]))
    staged.run(*_send(files[9:11]), "--again")
    staged.run(*_send(files[9:11]))

    # One exchange is two calls, a head and a body: killed before either, before the answer, and gone on.
    struck = _Sender(world, "killed in one exchange", far_side)
    struck.run(*_send(files[11:13]), killed=_kill_at("sendto", dice.randint(1, 2)))
    struck.run(*_send(files[11:13]))
    struck.run(*_send(files[13:14]), killed=_kill_at("recvfrom", 1))
    struck.run(*_send(files[13:14]))

    # Signed in, each run signs in first, and has one commit more: `sending`, before anything leaves.
    password = world / "password"
    password.write_text("fictional-clear")
    password.chmod(0o600)
    account = {"DOCSEND_CODE": "1002", "DOCSEND_PASSWORD_FILE": str(password)}
    signed = _Sender(world, "signed in, in one exchange", far_side, is_staged=False, **account)
    signed.run(*_send_signed(files[14:16]))
    signed.run(*_send_signed(files[16:17]), killed=_kill_at("recvfrom", 2))
    signed.run(*_send_signed(files[16:17]))

    resumed = _Sender(world, "killed while sending", far_side, is_staged=True)
    resumed.run(*_send(files[2:4]), killed=_kill_at("sendto", dice.randint(2, 7)))
    resumed.run(*_send(files[2:4]))
    resumed.run(*_send(files[4:5]), killed=_kill_at("sendto", dice.randint(2, 4)))
    unfinished = [
        key for (_, key), (state, _) in lab.ledger_rows(resumed.home).items() if state != "received"
    ]
    resumed.run("receipts", "withdraw", *unfinished)

    # A transaction syncs five times, the fourth time the database itself; the first one makes the tables.
    # What a kill leaves there is rolled back by the next process, which is killed in turn.
    rolled_back = _Sender(world, "killed in transactions", far_side)
    first, second = dice.choice([pair for pair in itertools.product((4, 9), (1, 2, 3)) if pair != _TOO_HARSH])
    rolled_back.run(*_send(files[5:7]), killed=_kill_at("fdatasync", first))
    rolled_back.run(*_send(files[5:7]), killed=_kill_at("fdatasync", second))
    rolled_back.run(*_send(files[5:7]), killed=_kill_at("fdatasync", dice.randint(8, 15)))
    rolled_back.run(*_send(files[5:7]))

    # A commit is there for others once the journal is truncated, and safe once that is synced, in the
    # fifth sync. Between the two comes the kill, and the next process prints the receipt that it finds: the
    # first commit makes the tables, the second plans, the third keeps the receipt.
    committing = _Sender(world, "killed before a commit was synced", far_side)
    committing.run(*_send(files[7:8]), killed=_kill_at("fdatasync", 15))
    committing.run(*_send(files[7:8]))

    new = _Sender(world, "killed before its folder was synced", far_side)
    new.run(*_send(files[8:9]), killed=_kill_at("fsync", 1))
    new.run(*_send(files[8:9]))

    return [
        peaceful.recording(files[:2]),
        staged.recording(files[9:11]),
        struck.recording(files[11:13]),
        signed.recording(files[:2]),  # who goes on after a cut has no account here
        resumed.recording(files[2:4]),
        rolled_back.recording(files[5:7]),
        committing.recording(files[7:8]),
        new.recording(files[8:9]),
    ]


class _Service:
    """One sandbox's folder under watch, and the processes that serve it, one after another."""

    def __init__(self, world: Path, name: str) -> None:
        self.folder = world / name / "root" / "sandbox"
        self.folder.parent.mkdir(parents=True)
        self._world, self._name = world / name, name
        self._far_side = FarSide()
        self._kills = 0
        self._watch = Watch(self.folder.parent, self._far_side)

    @contextlib.contextmanager
    def serving(self, killed: tuple[str, ...] = ()) -> Iterator[lab.Sandbox]:
        log = self._world / "service.log"
        with lab.sandbox(self.folder, under=self._watch.under(log, *killed)) as served:
            yield served
            self._kills += bool(killed) and lab.wait_until(lambda: not served.is_alive, seconds=2)
        self._watch.read(log)
        log.unlink()

    def send(self, served: lab.Sandbox, home: str, files: Sequence[Path], **more: str) -> lab.Ran:
        """Send as somebody with a home of this name does, staged if that begins so."""
        env = lab.environment(self._world / home, **more)
        if home.startswith("staged"):
            lab.offer(env, served.url, None)
        return lab.run([*_send(files), "--service", served.url, "--json"], env)

    def send_under(self, files: Sequence[Path], killed: tuple[str, ...] = ()) -> None:
        """Serve one client with a process that is killed, perhaps before it can say where it is."""
        with self.serving(killed) as served:
            if served.url:
                self.send(served, "staged client", files, DOCSEND_PATIENCE="0.2")

    def exchange(
        self, files: Sequence[Path], killed: tuple[str, ...] = (), staged: int | None = None
    ) -> None:
        """Serve one exchange, some of whose documents were `staged`, with a process that may be killed."""
        sent = one_exchange.Whole.of(files)
        with self.serving(killed) as served:
            if served.url:
                sender = one_exchange.Sender(served.url)
                if staged is not None:
                    sender.stages(sent, staged)
                sender.sends(sent)

    def withdraw_unfinished(self, served: lab.Sandbox, home: str, files: Sequence[Path]) -> None:
        """Send the first document and die before the second, then withdraw both."""
        env = lab.environment(self._world / home)
        lab.offer(env, served.url, None)
        service = ("--service", served.url, "--json")
        under = ("strace", "-f", "-o", "/dev/null", "-e", "trace=sendto", *_kill_at("sendto", 5))
        lab.run([*_send(files), *service], env, under=under)
        for _, key in lab.ledger_rows(self._world / home):
            lab.run(["receipts", "withdraw", key, *service], env)

    def recording(self, files: Sequence[Path]) -> Recording:
        return Recording(
            self._name,
            self._watch.before,
            self._watch.changes,
            self._far_side.promises,
            sandbox_broken,
            sandbox_opens,
            sandbox_restarts,
            [*map(str, _send(files)), "--json"],
            self._kills,
        )


def sandbox_recordings(world: Path, seed: int) -> list[Recording]:
    """Record sandboxes: clients in turn with a withdrawal, several at once, and kills."""
    dice = random.Random(f"power/{seed}/sandboxes")
    files = lab.documents(world / "senders", 18, seed + 50_000)

    in_turn = _Service(world, "clients in turn and a withdrawal")
    with in_turn.serving() as served:
        in_turn.send(served, "staged one", files[:3])
        in_turn.withdraw_unfinished(served, "two", files[3:5])
        in_turn.send(served, "one", files[5:6])

    at_once = _Service(world, "clients at once")
    with at_once.serving() as served, ThreadPoolExecutor(3) as clients:
        for number, home in ((6, "one"), (9, "staged nine"), (12, "staged twelve")):
            clients.submit(at_once.send, served, home, files[number : number + 3])

    # Declaring, keeping and receiving one document take the serving thread five fdatasyncs each. The second
    # kill hits the rollback of what the first one left, or what comes after it.
    killed = _Service(world, "killed in transactions, the sandbox")
    killed.send_under(files[15:16], _kill_at("fdatasync", dice.choice((9, 14))))
    killed.send_under(files[15:16], _kill_at("fdatasync", dice.randint(1, 10)))
    killed.send_under(files[15:16])

    # As with the clients: the kill comes after the truncation that commits, and before its sync.
    committing = _Service(world, "killed before a commit was synced, the sandbox")
    committing.send_under(files[16:17], _kill_at("fdatasync", 15))
    committing.send_under(files[16:17])

    new = _Service(world, "killed before its folder was synced, the sandbox")
    new.send_under(files[17:18], _kill_at("fsync", 1))
    new.send_under(files[17:18])

    more = lab.documents(world / "exchanges", 8, seed + 60_000, stem="exchange")
    exchanges = _Service(world, "one exchange, the sandbox")
    exchanges.exchange(more[:1])
    exchanges.exchange(more[1:4], staged=1)
    exchanges.exchange(more[1:4])

    # Of what one exchange syncs, its files and their folder come first, then its one transaction.
    struck = _Service(world, "killed in one exchange, the sandbox")
    struck.exchange(more[4:5])
    struck.exchange(more[5:7], _kill_at("fsync", dice.randint(1, 3)))
    for _ in range(2):
        struck.exchange(more[5:7], _kill_at("fdatasync", dice.randint(1, 5)))
    struck.exchange(more[5:7])

    return [
        exchanges.recording(more[1:4]),
        struck.recording(more[5:7]),
        in_turn.recording(files[:3]),
        at_once.recording(files[6:9]),
        killed.recording(files[15:16]),
        committing.recording(files[16:17]),
        new.recording(files[17:18]),
    ]
