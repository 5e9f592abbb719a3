"""Read strace logs: a process's changes to files, its syncs, and the data that it sends and receives."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults.power.disk import Change, Created, Disk, Removed, Renamed, Resized, Synced, Written, read_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.power.promises import ClientPromises, SandboxPromises

# With -xx every string and path is written as \x.., so a line can be parsed without knowing its call.
_LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed>)(.*?)(?: <unfinished \.\.\.>|\) += (-?\d+)(.*))$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})+)>, )?"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})+)>")
_FILE_CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,truncate,fallocate,"
    "copy_file_range,sendfile,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,symlink,"
    "symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat"
)
_NETWORK_CALLS = "sendto,sendmsg,recvfrom,recvmsg"


@dataclass(frozen=True, slots=True)
class Call:
    """One system call: its arguments as written by strace, and its result, or None while it runs."""

    name: str
    thread: str
    arguments: str
    result: int | None
    rest: str
    is_resumed: bool

    @property
    def descriptor(self) -> tuple[int, str]:
        """The call's first argument, a file descriptor, or the result of `open`; and its path."""
        is_given = self.name in ("open", "openat", "creat")
        found = _DESCRIPTOR.match(f"{self.result}{self.rest}" if is_given else self.arguments)
        return (int(found[1]), _unescape(found[2]).decode()) if found else (-1, "")

    @property
    def paths(self) -> list[str]:
        """The paths among the arguments."""
        return [
            os.path.join(_unescape(folder or "").decode(), _unescape(name).decode("utf-8", "replace"))
            for folder, name in _PATH.findall(self.arguments)
        ]

    @property
    def last_number(self) -> int:
        """The last argument, which is an offset or a size."""
        return int(self.arguments.rpartition(", ")[2])

    @property
    def data(self) -> bytes:
        """The bytes written, sent or received."""
        strings = _STRING.findall(self.arguments)
        assert not any(cut for _, cut in strings), "strace truncated a string: -s is too small"
        data = _unescape("".join(string for string, _ in strings))
        return data if self.result is None else data[: self.result]


def _unescape(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


def _read_calls(log: Path) -> Iterator[Call]:
    """Yield the calls of a log in order. A call that strace splits is yielded at its start and at its end."""
    unfinished: dict[str, str] = {}
    with log.open() as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:  # a signal, an exit, or a call interrupted by a kill
                continue
            thread, name, opening, arguments, result, rest = found.groups()
            is_resumed = opening != "("
            if is_resumed:
                arguments = unfinished.pop(thread) + arguments
            if result is None:
                unfinished[thread] = arguments
            elif int(result) < 0:
                continue
            yield Call(
                name, thread, arguments, None if result is None else int(result), rest or "", is_resumed
            )


class Recorder:
    """Reads the logs of processes that change one folder, one after another."""

    def __init__(self, root: Path, listener: ClientPromises | SandboxPromises) -> None:
        """Read the folder before the first process; `listener` gets the data sent and received."""
        self._root = root.resolve()
        self._listener = listener
        self.initial = read_image(self._root)
        self._disk = Disk(self.initial)
        self.changes: list[Change] = []

    def strace_command(self, log: Path, *extra: str) -> list[str]:
        """Return the strace command line for the next process."""
        calls = f"trace={_FILE_CALLS},{_NETWORK_CALLS}"
        # Faster, but strace 6.1 does not kill with it.
        filtered = () if extra else ("--seccomp-bpf",)
        names = ("-f", "-y", "-xx", "-s", "1000000")
        return ["strace", *filtered, *names, "-e", calls, *extra, "-o", str(log)]

    def read(self, log: Path) -> None:
        """Read the log of a process that has ended, and check that the model matches the folder."""
        offsets: dict[int, int] = {}
        started: dict[str, int] = {}
        self._listener.start_process()
        for call in _read_calls(log):
            if call.name in _NETWORK_CALLS or (
                call.name == "write" and self._relative_path(call.descriptor[1]) is None
            ):
                self._listener.observe(call, len(self.changes))
            elif call.result is None:
                started[call.thread] = len(self.changes)
            else:
                start = started[call.thread] if call.is_resumed else len(self.changes)
                for change in self._changes(call, offsets, start):
                    self._disk.apply(len(self.changes), change)
                    self.changes.append(change)
        assert self._disk.current() == read_image(self._root), f"the model missed something in {log}"

    def _relative_path(self, path: str) -> str | None:
        """Return a path relative to the folder, or None if it is outside."""
        root = str(self._root)
        return path[len(root) + 1 :] if path == root or path.startswith(f"{root}/") else None

    def _changes(self, call: Call, offsets: dict[int, int], started: int) -> Iterator[Change]:
        inside = self._relative_path(call.descriptor[1])
        if call.name in ("open", "openat", "creat", "lseek") or inside is not None:
            yield from self._descriptor_changes(call, inside, offsets, started)
        elif named := self._named_paths(call):
            match call.name:
                case "mkdir" | "mkdirat":
                    yield Created(named[0], is_folder=True)
                case "rename" | "renameat" | "renameat2":
                    yield Renamed(*named)
                case "unlink" | "unlinkat" | "rmdir":
                    yield Removed(named[0])
                case other:
                    raise AssertionError(f"the model does not know {other}")

    def _descriptor_changes(
        self, call: Call, inside: str | None, offsets: dict[int, int], started: int
    ) -> Iterator[Change]:
        """Yield the changes made through a descriptor; `offsets` has each descriptor's current offset."""
        number, _ = call.descriptor
        match call.name:
            case "lseek":
                offsets[number] = call.result or 0
            case "open" | "openat" | "creat":
                offsets[number] = 0
                if inside and "O_CREAT" in call.arguments and not self._disk.has(inside):
                    yield Created(inside, is_folder=False)
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
                yield Synced(inside or "", started)
            case other:
                raise AssertionError(f"the model does not know {other}")

    def _named_paths(self, call: Call) -> list[str]:
        """Return the arguments of a call that are paths in the folder, relative to it."""
        return [inside for path in call.paths if (inside := self._relative_path(path)) is not None]
