"""A model of a disk, which derives what may remain of files and folders after a power cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SECTOR = 512  # bytes that a disk writes atomically; SQLite does not rely on more

# The content of a folder: a file's bytes or a subfolder's image, by name.
Image: TypeAlias = "dict[str, Image | bytes]"


@dataclass(frozen=True, slots=True)
class Created:
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
    """A sync that has returned; it covers the first `started` changes, those before the call started."""

    path: str
    started: int


Change: TypeAlias = Created | Written | Resized | Renamed | Removed | Synced


@dataclass(eq=False, slots=True)
class File:
    """A file: the synced bytes, and the later changes as (number, change), in order."""

    synced: bytes = b""
    pending: list[tuple[int, Written | Resized]] = field(default_factory=list)
    size: int = 0

    def write(self, number: int, change: Written) -> None:
        end = change.offset + len(change.data)
        if end > self.size:  # size and bytes are stored separately, so either may reach the disk first
            self.resize(number, Resized(change.path, end))
        self.pending.append((number, change))

    def resize(self, number: int, change: Resized) -> None:
        self.size = change.size
        self.pending.append((number, change))

    def sync(self, started: int) -> None:
        self.synced = _apply_changes(
            self.synced, [change for number, change in self.pending if number < started]
        )
        self.pending = [(number, change) for number, change in self.pending if number >= started]

    def current(self) -> bytes:
        return _apply_changes(self.synced, [change for _, change in self.pending])

    def after_power_cut(self, rng: random.Random) -> bytes:
        changes = [change for _, change in self.pending]
        match rng.randrange(4):
            case 0:
                remaining: Iterable[Written | Resized] = changes
            case 1:
                remaining = []
            case 2:  # in order, up to a change that is written only partly
                last = rng.randrange(len(changes) + 1)
                torn = [part for change in changes[last : last + 1] for part in _split_into_sectors(change)]
                remaining = changes[:last] + [part for part in torn if rng.random() < 0.5]
            case _:  # in any order, so any subset of the sectors
                probability = rng.random()
                remaining = [
                    part
                    for change in changes
                    for part in _split_into_sectors(change)
                    if rng.random() < probability
                ]
        return _apply_changes(self.synced, remaining)


@dataclass(eq=False, slots=True)
class NameChange:
    """A change of a name in a folder: `old` is None for a new entry, `new` is None for a removed one."""

    number: int
    old: str | None
    new: str | None
    entry: File | Folder


@dataclass(eq=False, slots=True)
class Folder:
    """A folder: the synced names, the later changes, and the names that a running program sees."""

    synced: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[NameChange] = field(default_factory=list)
    names: dict[str, File | Folder] = field(default_factory=dict)

    def change(self, change: NameChange) -> None:
        self.pending.append(change)
        _apply_name_change(self.names, change)

    def sync(self, started: int) -> None:
        for naming in self.pending:
            if naming.number < started:
                _apply_name_change(self.synced, naming)
        self.pending = [naming for naming in self.pending if naming.number >= started]

    def current(self) -> Image:
        return {name: what.current() for name, what in self.names.items()}

    def after_power_cut(self, rng: random.Random) -> Image:
        names = dict(self.synced)
        if rng.random() < 0.5:  # a journal stores changes in order
            for naming in self.pending[: rng.randrange(len(self.pending) + 1)]:
                _apply_name_change(names, naming)
        else:
            probability = rng.random()
            for naming in self.pending:
                if rng.random() < probability:
                    is_moved = naming.old is not None and naming.new is not None
                    _apply_name_change(names, naming, has_both=is_moved and rng.random() < 0.5)
        return {name: what.after_power_cut(rng) for name, what in names.items()}


class Disk:
    """A folder on a disk: what is synced, and what a power cut may still lose."""

    def __init__(self, before: Image) -> None:
        """Start with a folder that is completely synced."""
        self._root = _synced_folder(before)

    def apply(self, number: int, change: Change) -> None:
        """Apply a change; numbers must increase."""
        match change:
            case Created(path, is_folder):
                entry = Folder() if is_folder else File()
                self._parent(path).change(NameChange(number, None, _base_name(path), entry))
            case Renamed(path, to):
                folder = self._parent(path)
                assert folder is self._parent(to), "the model does not support renames between folders"
                folder.change(
                    NameChange(number, _base_name(path), _base_name(to), folder.names[_base_name(path)])
                )
            case Removed(path):
                folder = self._parent(path)
                folder.change(NameChange(number, _base_name(path), None, folder.names[_base_name(path)]))
            case Written(path):
                self._file(path).write(number, change)
            case Resized(path):
                self._file(path).resize(number, change)
            case Synced(path, started):
                self._entry(path).sync(started)

    def current(self) -> Image:
        """Return the content that a running program sees."""
        return self._root.current()

    def after_power_cut(self, rng: random.Random) -> Image:
        """Return a random one of the contents that may remain if the power fails now."""
        return self._root.after_power_cut(rng)

    def has(self, path: str) -> bool:
        """Return whether a running program sees this path."""
        return _base_name(path) in self._parent(path).names

    def _entry(self, path: str) -> File | Folder:
        entry: File | Folder = self._root
        for name in filter(None, path.split("/")):
            assert isinstance(entry, Folder), path
            entry = entry.names[name]
        return entry

    def _parent(self, path: str) -> Folder:
        folder = self._entry(path.rpartition("/")[0])
        assert isinstance(folder, Folder), path
        return folder

    def _file(self, path: str) -> File:
        file = self._entry(path)
        assert isinstance(file, File), path
        return file


def _synced_folder(image: Image) -> Folder:
    names = {
        name: _synced_folder(what) if isinstance(what, dict) else File(what, size=len(what))
        for name, what in image.items()
    }
    return Folder(synced=dict(names), names=names)


def _apply_name_change(
    names: dict[str, File | Folder], change: NameChange, *, has_both: bool = False
) -> None:
    """Apply a name change; remove the old name only if it still refers to the renamed entry."""
    if change.new is not None:
        names[change.new] = change.entry
    if change.old is not None and not has_both and names.get(change.old) is change.entry:
        del names[change.old]


def _apply_changes(content: bytes, changes: Iterable[Written | Resized]) -> bytes:
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


def _split_into_sectors(change: Written | Resized) -> Iterator[Written | Resized]:
    """Split a change at the sector boundaries, where a power cut may tear it."""
    if isinstance(change, Resized):
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, start - start % SECTOR + SECTOR)
        yield Written(change.path, start, change.data[start - change.offset : stop - change.offset])
        start = stop


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]


def write_image(image: Image, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, what in image.items():
        if isinstance(what, dict):
            write_image(what, folder / name)
        else:
            (folder / name).write_bytes(what)


def read_image(folder: Path) -> Image:
    return {
        entry.name: read_image(entry) if entry.is_dir() else entry.read_bytes() for entry in folder.iterdir()
    }
