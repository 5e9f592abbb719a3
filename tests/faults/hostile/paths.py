"""Hostile paths: things that are not regular files, and files that change before they are sent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import samples
from docsend.checks import documents
from docsend.errors import InvalidSubmission
from docsend.model.document import Document
from faults.hostile.files import sample_document
from faults.hostile.inputs import HostileInputs, document_violations
from faults.hostile.program import render, unsafe_text
from faults.hostile.texts import hostile_text

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from faults.hostile.program import Violations

_SYSTEM_PATHS = (
    *("/", "/..", "/proc/self/status", "/proc/self/maps", "/proc/self/environ", "/proc/self/mem"),
    *(
        "/proc/version",
        "/proc/self/fd/0",
        "/proc/self/exe",
        "/proc/self/cwd",
        "/proc/self/root",
        "/proc/1/mem",
    ),
    *("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/stdin", "/dev/fd/9999", "/sys/kernel"),
)


class Paths(HostileInputs):
    def prepare(self) -> None:
        at = self.at = self.folder / "tree"
        (at / "folder.pdf" / "below").mkdir(parents=True)
        self.kinds = ["folder.pdf", "pipe.pdf", "socket.pdf", "sparse.pdf", "empty.pdf", "file.pdf"]
        samples.named_pipe(at / "pipe.pdf")
        if sys.platform == "win32":
            raise NotImplementedError
        listener = self.resources.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
        here = Path.cwd()
        os.chdir(at)  # a socket's path has to be short
        try:
            listener.bind("socket.pdf")
        finally:
            os.chdir(here)
        with (at / "sparse.pdf").open("wb") as file:
            file.truncate(2**33)
        (at / "empty.pdf").touch()
        os.link(self.pdf, at / "file.pdf")
        for target in [*self.kinds, "nowhere", "link-to-nowhere.pdf", "/proc/self/status", "/dev/zero"]:
            name = f"link-to-{target.strip('/').replace('/', '-').removesuffix('.pdf')}.pdf"
            (at / name).symlink_to(target)
            self.kinds.append(name)
        (at / "loop-a.pdf").symlink_to("loop-b.pdf")
        (at / "loop-b.pdf").symlink_to("loop-a.pdf")
        for n in range(45):
            (at / f"chain-{n}.pdf").symlink_to(f"chain-{n + 1}.pdf" if n < 44 else "file.pdf")
        self.kinds += ["loop-a.pdf", "chain-0.pdf", "chain-20.pdf", "nowhere.pdf", "folder.pdf/below"]

    def path(self, rng: random.Random) -> str:
        if rng.random() < 0.15:
            return rng.choice(_SYSTEM_PATHS)
        parts = [
            str(self.at),
            *(rng.choice(("..", ".", "", "tree", hostile_text(rng))) for _ in range(rng.randrange(3))),
        ]
        parts = parts[:1] if rng.random() < 0.6 else parts
        end = rng.choice(
            ("", "", "", "/", "/.", "/x.pdf", "\0", "\0.pdf", "/" + "a" * 300, "*" + "a" * 300, "[!")
        )
        return "/".join([*parts, rng.choice(self.kinds)]) + end

    def try_function(self, rng: random.Random) -> Violations:
        if rng.random() < 0.5:
            yield from self._swap(rng)
            return
        path = Path(self.path(rng))
        self.description = ascii(str(path))
        read = documents.read_all([path], max_bytes=10**6, buffer_up_to=rng.choice((0, 10**7)))[0]
        if isinstance(read, Document):
            if not stat.S_ISREG(path.stat().st_mode):
                yield "wrong", "something other than a regular file was read"
            if not str(path).startswith("/proc"):
                yield from document_violations(read, self.catalog)

    def _swap(self, rng: random.Random) -> Violations:
        """Replace a file between the check and the upload."""
        path = self.folder / "swapped.pdf"
        content = sample_document(rng, "pdf")
        (self.folder / "first").write_bytes(content)
        (self.folder / "second").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        is_link = rng.random() < 0.5
        path.unlink(missing_ok=True)
        if is_link:
            path.symlink_to("first")
        else:
            path.write_bytes(content)
        read = documents.read_all([path], max_bytes=10**7, buffer_up_to=rng.choice((0, 0, 0, 10**7)))[0]
        change, make = rng.choice(list(_replacements(path, content, rng).items()))
        self.description = f"{'a link' if is_link else 'a file'} of {len(content)} bytes, then {change}"
        try:
            make()
            sent = documents.read_content(read) if isinstance(read, Document) else b""
            if hashlib.sha256(sent).digest() != hashlib.sha256(content).digest():
                yield "wrong", "the bytes sent are not the bytes checked"
        except InvalidSubmission as refused:
            yield from unsafe_text(render(refused.message), "in the message")
        finally:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            path.unlink(missing_ok=True)

    def try_program(self, rng: random.Random) -> Violations:
        path = self.path(rng)
        self.description = ascii(path)
        yield from self.send(rng, path, "-n")


def _replace(path: Path, make: Callable[[], object]) -> None:
    path.unlink()
    make()


def _replacements(path: Path, content: bytes, rng: random.Random) -> dict[str, Callable[[], object]]:
    """Return changes to a checked file, by description."""
    flipped = bytes([content[0] ^ (1 << rng.randrange(8))]) + content[1:]
    return {
        "nothing": lambda: None,
        "another file of the same length": lambda: _replace(path, lambda: path.symlink_to("second")),
        "a dangling link": lambda: _replace(path, lambda: path.symlink_to("nowhere")),
        "a link to itself": lambda: _replace(path, lambda: path.symlink_to(path.name)),
        "a link to a device": lambda: _replace(path, lambda: path.symlink_to("/dev/zero")),
        "a pipe": lambda: _replace(path, lambda: samples.named_pipe(path)),
        "a folder": lambda: _replace(path, path.mkdir),
        "gone": path.unlink,
        "grown": lambda: path.write_bytes(content + b"\n"),
        "cut short": lambda: path.write_bytes(content[: rng.randrange(len(content))]),
        "sparse and huge": lambda: os.truncate(path, 2**33),
        "changed in one bit": lambda: path.write_bytes(flipped),
        "rewritten with the same bytes": lambda: path.write_bytes(content),
    }
