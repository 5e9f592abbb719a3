"""What strace notes of a process: its changes to files, its syncs, and what it says to the outside."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults.power.disk import Change, Disk, Made, Removed, Renamed, Resized, Synced, Written, read_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.power.promises import Client, FarSide

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
        self.before = read_in(self._root)
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
        assert self._disk.now() == read_in(self._root), f"the model missed something in {log}"

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
