"""A model of a disk: what may be left of files and folders after a power cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SECTOR = 512  # what a disk writes whole; SQLite counts on no more

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


def write_out(image: Image, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, what in image.items():
        if isinstance(what, dict):
            write_out(what, folder / name)
        else:
            (folder / name).write_bytes(what)


def read_in(folder: Path) -> Image:
    return {
        entry.name: read_in(entry) if entry.is_dir() else entry.read_bytes() for entry in folder.iterdir()
    }
