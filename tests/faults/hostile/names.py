"""Hostile file names and option values."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from docsend.checks import documents
from docsend.text import escape_for_terminal
from faults import lab
from faults.hostile.inputs import HostileInputs, document_violations
from faults.hostile.program import unsafe_text
from faults.hostile.texts import hostile_text

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.hostile.program import Violations

_EXTENSIONS = (".pdf",) * 6 + (
    ".PDF",
    ".Pdf",
    ".jpg",
    ".docx",
    ".pdf ",
    ".pdf.",
    ".",
    "",
    "pdf",
    ".p\u0064f\u200b",
)


def _name(rng: random.Random) -> str:
    name = hostile_text(rng).replace("/", "\u2215")
    if rng.random() < 0.15:  # close to the longest name that a file system allows
        name += rng.choice("a\u05d0\U0001d49c") * rng.randrange(50, 256)
    return name + rng.choice(_EXTENSIONS)


def _option(name: str) -> Callable[[random.Random], tuple[str, ...]]:
    return lambda rng: (f"--{name}", hostile_text(rng))


# `send` adds an identity, so --booklet is a second one; neither may appear in a message.
_OPTIONS: tuple[Callable[[random.Random], tuple[str, ...]], ...] = (
    *map(_option, ("reference", "remark", "branch", "required", "employer-file", "employer-kind", "mobile")),
    *map(_option, ("email", "lang", "service")),
    lambda _: ("--booklet", lab.BOOKLET),
)


class FileNames(HostileInputs):
    def prepare(self) -> None:
        self.names = self.folder / "names"
        self.names.mkdir()

    @contextlib.contextmanager
    def make_file(self, rng: random.Random) -> Iterator[Path]:
        name = _name(rng)
        self.description = ascii(name)
        path = self.names / name
        with contextlib.suppress(OSError, ValueError):  # too long, NUL, "." or "..": the file is missing then
            os.link(self.pdf, path)
        try:
            yield path
        finally:
            with contextlib.suppress(OSError, ValueError):
                path.unlink()

    def try_function(self, rng: random.Random) -> Violations:
        with self.make_file(rng) as path:
            read = documents.read_all([path], max_bytes=10**7, buffer_up_to=10**7)[0]
            yield from document_violations(read, self.catalog)
            yield from unsafe_text(escape_for_terminal(path), "in an escaped path")

    def try_program(self, rng: random.Random) -> Violations:
        with self.make_file(rng) as path:
            options = [
                part for option in rng.sample(_OPTIONS, rng.choice((0, 0, 0, 1, 2))) for part in option(rng)
            ]
            self.description += f" {options!a}"
            yield from self.send(rng, path, "-n", *options)
