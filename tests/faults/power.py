"""Power cuts: the ledger's and the sandbox's files, as a disk may hold them when the power fails.

Real processes run under strace, which notes every change that they make to their files, every sync, and, in
the same order, every promise that they make to the outside: a byte on the network, a receipt on stdout, an
HTTP answer. From such a log a model of the disk gives, for any moment, what could be left after a power cut:

- of a file: what was synced, and of the changes since then any part, in sectors of 512 bytes, in any order;
  a new size may be there without its bytes (zeros are in their place), or a truncation may be undone;
- of a folder: the names that were synced, and of the changes of names since then the first few (a file
  system with a journal) or any (one without). Syncing a file does not sync its name. A renamed file has its
  old name, its new one, or both; never neither.

What is left is written to a real folder and opened by real SQLite. Every promise that was made before the cut
has to be kept there. A cut is drawn from nothing but its recording, its position and its own seed; recordings
in which something was broken are kept (see `again`).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import pickle
import random
import re
import shutil
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from docsend.errors import LocalFailure
from docsend.model.canonical import canonical
from docsend.model.states import STATES
from docsend.sandbox.store import Store
from docsend.storage.ledger import Ledger
from faults import lab, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from multiprocessing.pool import Pool

Broken: TypeAlias = list[tuple[str, str]]  # as lab.Tally.add takes it: (kind, sentence)

SECTOR = 512  # what a disk writes whole; SQLite counts on no more
OPENED_EVERY = 10  # how many cuts come to one that the program's own classes open
RESTARTED_EVERY = 200  # and to one on which the real program is started, which takes a second

_LEDGER = Path("docsend") / "ledger.sqlite3"
_WHO = ("--id", lab.PERSON)
# Two kills that are not tried one after the other: as the very first transaction syncs its database, and as
# the next process syncs the truncation that undoes it. SQLite then takes the journal of an empty database for
# a remnant and deletes it, so that a disk may hold the deletion and not the truncation, and no program opens
# that. Nothing had been planned by then, and a file system with a journal keeps the two in order.
_TOO_HARSH = (4, 2)


def experiment(count: int, seed: int, scratch: Path, source: Path | None = None) -> list[lab.Tally]:
    """Cut the power `count` times, half of them on the client's side, half on the sandbox's.

    `source` is a folder that the recorded processes take `docsend` from, for bugs planted on purpose.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with lab.world(scratch, f"power-{seed}") as world, contextlib.ExitStack() as running:
        with _docsend_from(source):
            far_side = running.enter_context(lab.sandbox(world / "far-side"))
            with ThreadPoolExecutor(2) as side_by_side:  # recorded processes mostly wait for strace
                ledgers = side_by_side.submit(_ledger_recordings, world, seed, far_side)
                stores = side_by_side.submit(_sandbox_recordings, world, seed)
        received = len(lab.received(far_side.folder))
        with multiprocessing.get_context("fork").Pool(2) as workers:
            of_ledger, of_sandbox = (
                _cut(lab.Tally(name, seed), recordings, _tasks(recordings, share, seed), workers, scratch)
                for name, recordings, share in (
                    ("power cut, ledger", ledgers.result(), count - count // 2),
                    ("power cut, sandbox", stores.result(), count // 2),
                )
            )
        if (more := len(lab.received(far_side.folder)) - received) > 0:
            of_ledger.add("all that was sent again", [("twice", f"it made {more} new receipts")])
    return [of_ledger, of_sandbox]


def _cut(
    tally: lab.Tally, recordings: Sequence[Recording], tasks: Sequence[Task], workers: Pool, scratch: Path
) -> lab.Tally:
    """Let the workers make all cuts of one tally, and keep the recordings in which something is broken."""
    for (recording, _), done in zip(tasks, workers.imap(_cut_all, tasks), strict=True):
        tally.merge(done)
        if done.broken:
            name = re.sub(r"\W+", "-", recording.name)
            (scratch / f"power-{tally.seed}-{name}.pickle").write_bytes(pickle.dumps(recording))
    kills = sum(recording.kills for recording in recordings)
    tally.note = f"{len(recordings)} recordings, in which {kills} processes were killed"
    return tally


def again(recording: Path, position: int, seed: int, folder: Path) -> Broken:
    """Repeat one cut of a kept recording, leave its disk in `folder`, and say what is broken."""
    recorded: Recording = pickle.loads(recording.read_bytes())  # noqa: S301 - our own file
    disk = Disk(recorded.before)
    for number, change in enumerate(recorded.changes[:position]):
        disk.happen(number, change)
    _write_out(disk.after_a_cut(_dice(recorded, position, seed)), folder)
    return recorded.violations(folder, position)


# -- the disk ----------------------------------------------------------------------------------------------

# A folder as a value: what its names stand for.
Image: TypeAlias = "dict[str, Image | bytes]"


@dataclass(frozen=True, slots=True)
class Made:
    path: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Written:
    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resized:
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Renamed:
    path: str
    to: str


@dataclass(frozen=True, slots=True)
class Removed:
    path: str


@dataclass(frozen=True, slots=True)
class Synced:
    """A sync that has returned; it covers what had happened when it began, after `began` changes."""

    path: str
    began: int


Change: TypeAlias = Made | Written | Resized | Renamed | Removed | Synced


@dataclass(eq=False, slots=True)
class File:
    """One file's bytes: `synced`, and the (number, change) since then, in order."""

    synced: bytes = b""
    pending: list[tuple[int, Written | Resized]] = field(default_factory=list)
    size: int = 0

    def write(self, number: int, change: Written) -> None:
        end = change.offset + len(change.data)
        if end > self.size:  # a file system keeps the size elsewhere than the bytes: either may come first
            self.resize(number, Resized(change.path, end))
        self.pending.append((number, change))

    def resize(self, number: int, change: Resized) -> None:
        self.size = change.size
        self.pending.append((number, change))

    def sync(self, began: int) -> None:
        self.synced = _applied(self.synced, [change for number, change in self.pending if number < began])
        self.pending = [(number, change) for number, change in self.pending if number >= began]

    def now(self) -> bytes:
        return _applied(self.synced, [change for _, change in self.pending])

    def after_a_cut(self, dice: random.Random) -> bytes:
        changes = [change for _, change in self.pending]
        match dice.randrange(4):
            case 0:
                kept: Iterable[Written | Resized] = changes
            case 1:
                kept = []
            case 2:  # in order, up to one that the cut tore
                last = dice.randrange(len(changes) + 1)
                torn = [part for change in changes[last : last + 1] for part in _sectors(change)]
                kept = changes[:last] + [part for part in torn if dice.random() < 0.5]
            case _:  # in any order, which is to say: any of them
                chance = dice.random()
                kept = [part for change in changes for part in _sectors(change) if dice.random() < chance]
        return _applied(self.synced, kept)


@dataclass(eq=False, slots=True)
class Naming:
    """A change of names in a folder: `old` is None for a new file, `new` is None for a removed one."""

    number: int
    old: str | None
    new: str | None
    what: File | Folder


@dataclass(eq=False, slots=True)
class Folder:
    """One folder's names: `synced`, what changed since then, and what a running program sees."""

    synced: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[Naming] = field(default_factory=list)
    names: dict[str, File | Folder] = field(default_factory=dict)

    def change(self, naming: Naming) -> None:
        self.pending.append(naming)
        _rename(self.names, naming)

    def sync(self, began: int) -> None:
        for naming in self.pending:
            if naming.number < began:
                _rename(self.synced, naming)
        self.pending = [naming for naming in self.pending if naming.number >= began]

    def now(self) -> Image:
        return {name: what.now() for name, what in self.names.items()}

    def after_a_cut(self, dice: random.Random) -> Image:
        names = dict(self.synced)
        if dice.random() < 0.5:  # a journal: what happened first is there first
            for naming in self.pending[: dice.randrange(len(self.pending) + 1)]:
                _rename(names, naming)
        else:
            chance = dice.random()
            for naming in self.pending:
                if dice.random() < chance:
                    is_moved = naming.old is not None and naming.new is not None
                    _rename(names, naming, has_both=is_moved and dice.random() < 0.5)
        return {name: what.after_a_cut(dice) for name, what in names.items()}


class Disk:
    """What a folder on a disk has been through: what is safe, and what a power cut may still take."""

    def __init__(self, before: Image) -> None:
        """Begin with a folder of which everything has been safe for long."""
        self._root = _long_safe(before)

    def happen(self, number: int, change: Change) -> None:
        """Let the change of this number happen; numbers rise."""
        match change:
            case Made(path, is_folder):
                what = Folder() if is_folder else File()
                self._above(path).change(Naming(number, None, _name(path), what))
            case Renamed(path, to):
                folder = self._above(path)
                assert folder is self._above(to), "the model knows no renames from folder to folder"
                folder.change(Naming(number, _name(path), _name(to), folder.names[_name(path)]))
            case Removed(path):
                folder = self._above(path)
                folder.change(Naming(number, _name(path), None, folder.names[_name(path)]))
            case Written(path):
                self._file(path).write(number, change)
            case Resized(path):
                self._file(path).resize(number, change)
            case Synced(path, began):
                self._at(path).sync(began)

    def now(self) -> Image:
        """Give what a running program sees."""
        return self._root.now()

    def after_a_cut(self, dice: random.Random) -> Image:
        """Give one of the things that may be left if the power fails now."""
        return self._root.after_a_cut(dice)

    def has(self, path: str) -> bool:
        """Tell whether a running program sees something under this name."""
        return _name(path) in self._above(path).names

    def _at(self, path: str) -> File | Folder:
        what: File | Folder = self._root
        for name in filter(None, path.split("/")):
            assert isinstance(what, Folder), path
            what = what.names[name]
        return what

    def _above(self, path: str) -> Folder:
        folder = self._at(path.rpartition("/")[0])
        assert isinstance(folder, Folder), path
        return folder

    def _file(self, path: str) -> File:
        file = self._at(path)
        assert isinstance(file, File), path
        return file


def _long_safe(image: Image) -> Folder:
    names = {
        name: _long_safe(what) if isinstance(what, dict) else File(what, size=len(what))
        for name, what in image.items()
    }
    return Folder(synced=dict(names), names=names)


def _rename(names: dict[str, File | Folder], naming: Naming, *, has_both: bool = False) -> None:
    """Change the names so; an old name is given up only if it still stands for what was renamed."""
    if naming.new is not None:
        names[naming.new] = naming.what
    if naming.old is not None and not has_both and names.get(naming.old) is naming.what:
        del names[naming.old]


def _applied(content: bytes, changes: Iterable[Written | Resized]) -> bytes:
    changed = bytearray(content)
    for change in changes:
        if isinstance(change, Resized):
            del changed[change.size :]
            changed.extend(bytes(change.size - len(changed)))
        else:
            end = change.offset + len(change.data)
            changed.extend(bytes(max(0, end - len(changed))))
            changed[change.offset : end] = change.data
    return bytes(changed)


def _sectors(change: Written | Resized) -> Iterator[Written | Resized]:
    """Part a change where a disk may part it."""
    if isinstance(change, Resized):
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, start - start % SECTOR + SECTOR)
        yield Written(change.path, start, change.data[start - change.offset : stop - change.offset])
        start = stop


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _write_out(image: Image, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, what in image.items():
        if isinstance(what, dict):
            _write_out(what, folder / name)
        else:
            (folder / name).write_bytes(what)


def _read_in(folder: Path) -> Image:
    return {
        entry.name: _read_in(entry) if entry.is_dir() else entry.read_bytes() for entry in folder.iterdir()
    }


# -- the log -----------------------------------------------------------------------------------------------

# With -xx every string and path is \x.., so that a line can be taken apart without knowing its call.
_LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed>)(.*?)(?: <unfinished \.\.\.>|\) += (-?\d+)(.*))$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_PLACE = re.compile(r'(?:(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})+)>, )?"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})+)>")
_CHANGING = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,truncate,fallocate,"
    "copy_file_range,sendfile,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,symlink,"
    "symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat"
)
_TALKING = "sendto,sendmsg,recvfrom,recvmsg"


@dataclass(frozen=True, slots=True)
class Call:
    """One system call: its arguments as strace wrote them, and its result, None while it still runs."""

    name: str
    thread: str
    arguments: str
    result: int | None
    rest: str
    is_resumed: bool

    @property
    def descriptor(self) -> tuple[int, str]:
        """The file descriptor that it was called with, or that `open` gave, and its path."""
        is_given = self.name in ("open", "openat", "creat")
        found = _DESCRIPTOR.match(f"{self.result}{self.rest}" if is_given else self.arguments)
        return (int(found[1]), _plain(found[2]).decode()) if found else (-1, "")

    @property
    def paths(self) -> list[str]:
        """The paths that it names, as texts."""
        return [
            os.path.join(_plain(folder or "").decode(), _plain(name).decode("utf-8", "replace"))
            for folder, name in _PLACE.findall(self.arguments)
        ]

    @property
    def last_number(self) -> int:
        """The offset or the size, which come last."""
        return int(self.arguments.rpartition(", ")[2])

    @property
    def data(self) -> bytes:
        """The bytes that it wrote, sent or received."""
        strings = _STRING.findall(self.arguments)
        assert not any(cut for _, cut in strings), "strace cut off a string: -s is too small"
        whole = _plain("".join(string for string, _ in strings))
        return whole if self.result is None else whole[: self.result]


def _plain(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _calls(log: Path) -> Iterator[Call]:
    """Read a log in order. A call during which another thread ran comes twice: its begin, its end."""
    begun: dict[str, str] = {}
    with log.open() as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:  # a signal, an exit, or a call that a kill ended
                continue
            thread, name, opening, arguments, result, rest = found.groups()
            is_resumed = opening != "("
            if is_resumed:
                arguments = begun.pop(thread) + arguments
            if result is None:
                begun[thread] = arguments
            elif int(result) < 0:
                continue
            yield Call(
                name, thread, arguments, None if result is None else int(result), rest or "", is_resumed
            )


class Watch:
    """Reads the logs of processes that worked in one folder, one after another."""

    def __init__(self, root: Path, listener: Client | FarSide) -> None:
        """Begin before the first process; `listener` is told what they say, and when."""
        self._root = root.resolve()
        self._listener = listener
        self.before = _read_in(self._root)
        self._disk = Disk(self.before)
        self.changes: list[Change] = []

    def under(self, log: Path, *more: str) -> list[str]:
        """Give the command line of strace for the next process."""
        calls = f"trace={_CHANGING},{_TALKING}"
        # Faster, but strace 6.1 does not kill with it.
        filtered = () if more else ("--seccomp-bpf",)
        names = ("-f", "-y", "-xx", "-s", "1000000")
        return ["strace", *filtered, *names, "-e", calls, *more, "-o", str(log)]

    def read(self, log: Path) -> None:
        """Read what a process did that has ended, and hold the model against its folder."""
        offsets: dict[int, int] = {}
        began: dict[str, int] = {}
        self._listener.starts()
        for call in _calls(log):
            if call.name in _TALKING or (call.name == "write" and self._inside(call.descriptor[1]) is None):
                self._listener.hears(call, len(self.changes))
            elif call.result is None:
                began[call.thread] = len(self.changes)
            else:
                start = began[call.thread] if call.is_resumed else len(self.changes)
                for change in self._changes(call, offsets, start):
                    self._disk.happen(len(self.changes), change)
                    self.changes.append(change)
        assert self._disk.now() == _read_in(self._root), f"the model missed something in {log}"

    def _inside(self, path: str) -> str | None:
        """Give a path relative to the folder; None if it is elsewhere."""
        root = str(self._root)
        return path[len(root) + 1 :] if path == root or path.startswith(f"{root}/") else None

    def _changes(self, call: Call, offsets: dict[int, int], began: int) -> Iterator[Change]:
        inside = self._inside(call.descriptor[1])
        if call.name in ("open", "openat", "creat", "lseek") or inside is not None:
            yield from self._changes_of_content(call, inside, offsets, began)
        elif named := self._named(call):
            match call.name:
                case "mkdir" | "mkdirat":
                    yield Made(named[0], is_folder=True)
                case "rename" | "renameat" | "renameat2":
                    yield Renamed(*named)
                case "unlink" | "unlinkat" | "rmdir":
                    yield Removed(named[0])
                case other:
                    raise AssertionError(f"the model does not know {other}")

    def _changes_of_content(
        self, call: Call, inside: str | None, offsets: dict[int, int], began: int
    ) -> Iterator[Change]:
        """Give what a call did through a descriptor; `offsets` are where the descriptors stand."""
        number, _ = call.descriptor
        match call.name:
            case "lseek":
                offsets[number] = call.result or 0
            case "open" | "openat" | "creat":
                offsets[number] = 0
                if inside and "O_CREAT" in call.arguments and not self._disk.has(inside):
                    yield Made(inside, is_folder=False)
                elif inside and "O_TRUNC" in call.arguments:
                    yield Resized(inside, 0)
            case "write":
                yield Written(inside or "", offsets[number], call.data)
                offsets[number] += len(call.data)
            case "pwrite64":
                yield Written(inside or "", call.last_number, call.data)
            case "ftruncate":
                yield Resized(inside or "", call.last_number)
            case "fsync" | "fdatasync":
                yield Synced(inside or "", began)
            case other:
                raise AssertionError(f"the model does not know {other}")

    def _named(self, call: Call) -> list[str]:
        """Give what the call names in the folder, if anything."""
        return [inside for path in call.paths if (inside := self._inside(path)) is not None]


# -- what was promised -------------------------------------------------------------------------------------

_FOR_EVER = 2**62
_ASKED = re.compile(
    rb"(GET|PUT|POST|DELETE) /v1/submissions/([A-Z2-7]{52})(?:/documents/([0-9a-f]{64})|(/send))? "
)


_WHOLE = re.compile(rb"\r\ncontent-type: *multipart/", re.IGNORECASE)
_SIGNED = re.compile(rb"\r\nauthorization:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that holds after every cut from `since` changes on, up to `until`."""

    what: str
    key: str
    detail: bytes
    since: int
    until: int = _FOR_EVER


class Client:
    """What a client promises: what it sends was planned, and what it prints is kept.

    A personal submission that leaves in one exchange is `sending` before it does: it may meet what is
    required of the account, and the next run must know that.
    """

    def __init__(self) -> None:
        self.promises: list[Promise] = []
        self._printed = b""

    def starts(self) -> None:
        self._printed = b""

    def hears(self, call: Call, position: int) -> None:
        """Take what leaves the process: at the moment at which the call begins, so not at its late end."""
        if call.is_resumed or call.name.startswith("recv"):
            return
        number, _ = call.descriptor
        if number == 1:
            self._printed += call.data
            self._is_told(position)
        elif call.name.startswith("send") and (asked := _ASKED.match(call.data)):
            _, key, sha256, _ = asked.groups()
            self.promises.append(Promise("planned", key.decode(), sha256 or b"", position))
            if _WHOLE.search(call.data) and _SIGNED.search(call.data):
                self.promises.append(Promise("sending", key.decode(), b"", position))

    def _is_told(self, position: int) -> None:
        try:
            told = json.loads(self._printed)
        except ValueError:  # the rest is still to come
            return
        if told["schema"] == "docsend.result/2" and told["receipt"]:
            number = told["receipt"]["number"].encode()
            self.promises.append(Promise("received", told["key"], number, position))
        elif told["schema"] == "docsend.receipts/1":
            self.promises += [
                Promise("withdrawn", entry["key"], b"", position)
                for entry in told["receipts"]
                if entry["state"] == "withdrawn"
            ]


class FarSide:
    """What the sandbox promises by its answers: documents, receipts and withdrawals are there for good."""

    def __init__(self) -> None:
        self.promises: list[Promise] = []
        self._asked: dict[int, tuple[str, str, bytes, bytes]] = {}  # connection -> method, key, digest, send
        self._answers: dict[int, tuple[int, bytes]] = {}  # connection -> when it began, its bytes so far

    def starts(self) -> None:
        self._asked.clear()
        self._answers.clear()

    def hears(self, call: Call, position: int) -> None:
        """Take what was asked when the call is over, what is answered when it begins."""
        connection, _ = call.descriptor
        if call.name.startswith("recv") and call.result is not None:
            if asked := _ASKED.search(call.data):
                method, key, sha256, send = asked.groups()
                self._asked[connection] = (method.decode(), key.decode(), sha256 or b"", send or b"")
                if method == b"DELETE":
                    self._ends(key.decode(), position)
        elif call.name.startswith("send") and not call.is_resumed and connection in self._asked:
            began, before = self._answers.pop(connection, (position, b""))
            head, blank, body = (before + call.data).partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if blank and (length is None or len(body) >= int(length[1])):
                self._is_told(*self._asked.pop(connection), int(head.split()[1]), body, began)
            else:
                self._answers[connection] = (began, before + call.data)

    def _is_told(
        self, method: str, key: str, sha256: bytes, send: bytes, status: int, body: bytes, position: int
    ) -> None:
        if status not in (200, 201, 204):
            return
        if sha256:
            self.promises.append(Promise("kept", key, sha256, position))
        elif send:
            self.promises.append(Promise("received", key, body, position))
        elif method == "DELETE":
            self.promises.append(Promise("withdrawn", key, b"", position))
        else:
            self.promises.append(Promise("declared", key, b"", position))
            told = json.loads(body)
            # A state, with the receipt if there is one; or, of one exchange, the receipt itself.
            if receipt := told["receipt"] if "state" in told else told:
                self.promises.append(Promise("received", key, canonical(receipt), position))

    def _ends(self, key: str, position: int) -> None:
        """Let the promises about a key's documents end: its withdrawal has been asked for."""
        self.promises = [
            Promise(one.what, one.key, one.detail, one.since, min(one.until, position))
            if (one.what, one.key) == ("kept", key)
            else one
            for one in self.promises
        ]


# -- holding a disk against the promises -------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """What some processes did to one folder, what they promised, and a command to run again after a cut.

    `check` holds a folder against promises; `open` opens it in this process; `restart` starts the program on
    it and runs the command `again`. `kills` is how many of the recorded processes were killed.
    """

    name: str
    before: Image
    changes: list[Change]
    promises: list[Promise]
    check: Callable[[Path, Sequence[Promise]], Broken]
    open: Callable[[Path], None]
    restart: Callable[[Path, Sequence[str], Sequence[Promise]], Broken]
    again: Sequence[str]
    kills: int

    def made_by(self, position: int) -> list[Promise]:
        return [promise for promise in self.promises if promise.since <= position <= promise.until]

    def violations(
        self, folder: Path, position: int, *, opens: bool = False, restarts: bool = False
    ) -> Broken:
        """Say which promises a folder breaks, and whether the program can go on from it."""
        promises = self.made_by(position)
        try:
            broken = self.check(folder, promises)
            if opens and not broken:
                self.open(folder)
                broken = self.check(folder, promises)
            if restarts and not broken:
                broken = self.restart(folder, self.again, promises)
        except (sqlite3.Error, OSError, LocalFailure, _Damaged) as error:
            return [("other", f"{type(error).__name__}: {error}")]
        return broken


class _Damaged(Exception):
    """SQLite's own check finds the database damaged."""


@contextlib.contextmanager
def _database(file: Path) -> Iterator[sqlite3.Connection | None]:
    """Open a database whole, after a rollback if one is due; None if it is not there or has no tables yet."""
    if not file.exists():
        yield None
        return
    with contextlib.closing(sqlite3.connect(file)) as connection:
        findings = connection.execute("PRAGMA integrity_check").fetchall()
        findings += connection.execute("PRAGMA foreign_key_check").fetchall()
        if findings != [("ok",)]:
            raise _Damaged(str(findings[:3]))
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield connection if tables else None


def _ledger_broken(home: Path, promises: Sequence[Promise]) -> Broken:
    rows: dict[str, tuple[str, bytes | None]] = {}
    documents: set[tuple[str, str]] = set()
    with _database(home / _LEDGER) as ledger:
        if ledger:
            found = ledger.execute("SELECT key, state, receipt FROM submission")
            rows = {key: (state, receipt) for key, state, receipt in found}
            documents = set(ledger.execute("SELECT key, sha256 FROM document"))
    broken: Broken = []
    for key, (state, receipt) in rows.items():
        if state not in STATES or (state == "received") != (receipt is not None):
            broken.append(("other", f"{key[:12]} is {state}, with the receipt {receipt!r}"))
        if not any(key == of for of, _ in documents):
            broken.append(("lost", f"{key[:12]} is planned without its documents"))
    for promise in promises:
        state, receipt = rows.get(promise.key, ("not there", None))
        has_document = not promise.detail or (promise.key, promise.detail.decode()) in documents
        broken += _client_broke(promise, state, receipt, has_document=has_document)
    return broken


def _client_broke(promise: Promise, state: str, receipt: bytes | None, *, has_document: bool) -> Broken:
    key = promise.key[:12]
    ways: dict[str, list[tuple[bool, str, str]]] = {
        "planned": [
            (state == "not there", "lost", f"bytes of {key} were sent, and it is not there"),
            (not has_document, "lost", f"a document of {key} was sent, and it is not there"),
        ],
        "sending": [
            (state in ("not there", "planned"), "lost", f"{key} left in one exchange, and it is {state}")
        ],
        "received": [
            (state != "received", "lost", f"the receipt of {key} was printed, and it is {state}"),
            (receipt != promise.detail, "wrong", f"the receipt of {key} is not the one that was printed"),
        ],
        "withdrawn": [(state != "withdrawn", "lost", f"{key} was said to be withdrawn, and it is {state}")],
    }
    return [(kind, sentence) for is_broken, kind, sentence in ways[promise.what] if is_broken][:1]


def _ledger_opens(home: Path) -> None:
    with Ledger(home / _LEDGER) as ledger:
        list(ledger.entries())


def _ledger_restarts(home: Path, again: Sequence[str], _promises: Sequence[Promise]) -> Broken:
    """List what is there, and send the recording's first documents to the far side, which has them."""
    far_side, *send = again
    listed = lab.run(["receipts", "--json"], lab.environment(home))
    sent = lab.run(send, lab.environment(home))
    if listed.code or sent.code or sent.receipt is None:
        return [("other", f"exit codes {listed.code}, {sent.code}: {listed.err[-200:]} {sent.err[-200:]}")]
    numbers = [kept.number for kept in lab.received(Path(far_side)) if kept.key == sent.result["key"]]
    if len(numbers) != 1:
        return [("twice", f"{numbers} for one submission")]
    return [] if sent.receipt["number"] == numbers[0] else [("wrong", f"{numbers[0]} became another")]


@dataclass(frozen=True)
class _Tables:
    """What the sandbox's tables say: of keys, and of (key, SHA-256) of documents."""

    states: dict[str, str] = field(default_factory=dict)
    receipts: dict[str, bytes] = field(default_factory=dict)
    files: dict[tuple[str, str], str | None] = field(default_factory=dict)


def _sandbox_broken(root: Path, promises: Sequence[Promise]) -> Broken:
    folder, tables = root / "sandbox", _Tables()
    with _database(folder / "sandbox.sqlite3") as database:
        if database:
            found = database.execute("SELECT key, sha256, file FROM document")
            tables = _Tables(
                dict(database.execute("SELECT key, state FROM submission")),
                dict(database.execute("SELECT key, body FROM receipt")),
                {(key, sha256): file for key, sha256, file in found},
            )
    broken = [
        ("other", f"{key[:12]} is {state}, with the receipt {tables.receipts.get(key)!r}")
        for key, state in tables.states.items()
        if (state == "received") != (key in tables.receipts)
    ]
    for (key, sha256), file in tables.files.items():
        document = f"document {sha256[:8]} of {key[:12]}"
        if file is None:
            if key in tables.receipts:
                broken.append(("lost", f"{document} has a receipt and no file"))
        elif not (folder / "documents" / file).is_file():
            broken.append(("lost", f"{document} has a row, and its file is gone"))
        elif lab.digest(folder / "documents" / file) != sha256:
            broken.append(("wrong", f"{document} has other bytes"))
    for promise in promises:
        broken += _far_side_broke(promise, tables)
    return broken


def _far_side_broke(promise: Promise, tables: _Tables) -> Broken:
    key, short = promise.key, promise.key[:12]
    match promise.what:
        case "declared" if key not in tables.states:
            return [("lost", f"{short} was answered as declared, and it is not there")]
        case "kept" if tables.files.get((key, promise.detail.decode())) is None:
            return [("lost", f"a document of {short} was answered as kept, and has no row")]
        case "received" if key not in tables.receipts or not any(key == of for of, _ in tables.files):
            return [("lost", f"the receipt of {short} was answered, and it or its documents are not there")]
        case "received" if tables.receipts[key] != promise.detail:
            return [("wrong", f"the receipt of {short} is not the one that was answered")]
        case "withdrawn" if tables.states.get(key) != "withdrawn":
            return [("lost", f"{short} was answered as withdrawn: {tables.states.get(key)}")]
    return []


def _sandbox_opens(root: Path) -> None:
    Store(root / "sandbox").close()


def _sandbox_restarts(root: Path, again: Sequence[str], promises: Sequence[Promise]) -> Broken:
    """Serve what is left, and let a client that knows nothing send the recording's first documents again."""
    with lab.sandbox(root / "sandbox") as served:
        if not served.url:
            return [("other", "the sandbox does not start")]
        sent = lab.run([*again, "--service", served.url], lab.environment(root / "new-home"))
    if sent.code or sent.receipt is None:
        return [("other", f"exit code {sent.code}: {sent.err[-300:]}")]
    key = sent.result["key"]
    kept = [one for one in lab.received(root / "sandbox") if one.key == key]
    if [one.number for one in kept] != [sent.receipt["number"]]:
        return [("twice", f"{[one.number for one in kept]} for one submission")]
    declared = {document["sha256"] for document in sent.receipt["documents"]}
    if {sha256 for _, sha256 in kept[0].documents} != declared:
        return [("wrong", f"{key[:12]}'s documents have other bytes")]
    return _sandbox_broken(root, promises)


# -- cutting -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cut:
    position: int
    seed: int
    opens: bool
    restarts: bool


Task: TypeAlias = tuple[Recording, list[Cut]]


def _tasks(recordings: Sequence[Recording], count: int, seed: int) -> list[Task]:
    """Draw the cuts of these recordings, in portions for the workers.

    Three of four are drawn evenly over all changes; one comes in the very moment of a promise.
    """
    dice = random.Random(f"power/{seed}/{recordings[0].name}")
    weights = [len(recording.changes) for recording in recordings]
    cuts: dict[str, list[Cut]] = {recording.name: [] for recording in recordings}
    for number, recording in enumerate(dice.choices(recordings, weights, k=count)):
        cuts[recording.name].append(
            Cut(
                position=dice.randint(0, len(recording.changes))
                if dice.random() < 0.75
                else dice.choice(recording.promises).since,
                seed=dice.getrandbits(32),
                opens=number % OPENED_EVERY == 0,
                restarts=number % RESTARTED_EVERY == 0,
            )
        )
    portion = 400
    return [
        (
            recording,
            sorted(cuts[recording.name][start :: -(-len(cuts[recording.name]) // portion)], key=_when),
        )
        for recording in recordings
        for start in range(-(-len(cuts[recording.name]) // portion))
    ]


def _when(cut: Cut) -> int:
    return cut.position


def _dice(recording: Recording, position: int, seed: int) -> random.Random:
    return random.Random(f"{recording.name}/{position}/{seed}")


def _cut_all(task: Task) -> lab.Tally:
    """Make a portion of cuts, in the order of their positions: the disk is lived through once."""
    recording, cuts = task
    tally = lab.Tally(recording.name, 0)
    disk, happened = Disk(recording.before), 0
    memory = Path("/dev/shm")  # noqa: S108 - a disk of memory, for there is nothing to be kept
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as scratch:
        for number, cut in enumerate(cuts):
            while happened < cut.position:
                disk.happen(happened, recording.changes[happened])
                happened += 1
            left = disk.after_a_cut(_dice(recording, cut.position, cut.seed))
            folder = Path(scratch) / str(number)
            _write_out(left, folder)
            broken = recording.violations(folder, cut.position, opens=cut.opens, restarts=cut.restarts)
            what = f"{recording.name}, position {cut.position}, seed {cut.seed}"
            tally.add(what, broken, struck=left != disk.now())
            shutil.rmtree(folder)
    return tally


# -- recording ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _docsend_from(source: Path | None) -> Iterator[None]:
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
            _ledger_broken,
            _ledger_opens,
            _ledger_restarts,
            again,
            self._kills,
        )


def _send(files: Iterable[Path]) -> list[object]:
    return ["send", *files, *lab.ABOUT, *_WHO]


def _send_signed(files: Iterable[Path]) -> list[object]:
    return ["send", *files, "--to", "personal", *lab.ABOUT[2:]]


def _ledger_recordings(world: Path, seed: int, far_side: lab.Sandbox) -> list[Recording]:
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
        sent = whole.Whole.of(files)
        with self.serving(killed) as served:
            if served.url:
                sender = whole.Sender(served.url)
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
            _sandbox_broken,
            _sandbox_opens,
            _sandbox_restarts,
            [*map(str, _send(files)), "--json"],
            self._kills,
        )


def _sandbox_recordings(world: Path, seed: int) -> list[Recording]:
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
