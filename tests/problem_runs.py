"""One run that provokes a problem: the world in which it happens, and what it shows."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import bad_input
import bad_manifests
import doubles
import samples
from docsend.cli.app import main
from docsend.codes import Code, Kind
from docsend.errors import ExitCode
from docsend.sandbox import server
from faults import lab

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from doubles import Asked, Fate, Reply

SEND = bad_input.BENEFITS

# What a run ends with that has only problems of one kind to report.
EXIT_OF_KIND: dict[Kind, ExitCode] = {
    Kind.MISSING: ExitCode.USAGE,
    Kind.INVALID: ExitCode.FAULTY,
    Kind.WARNING: ExitCode.RECEIVED,
    Kind.USAGE: ExitCode.USAGE,
    Kind.SIGN_IN: ExitCode.SIGN_IN,
    Kind.REFUSED: ExitCode.REFUSED,
    Kind.UNFINISHED: ExitCode.UNFINISHED,
    Kind.LOCAL: ExitCode.LOCAL,
    Kind.BUG: ExitCode.BUG,
    Kind.INTERRUPTED: ExitCode.INTERRUPTED,
}


@dataclass(frozen=True)
class Seen:
    """How a run ended, and the problems in its JSON, whichever of its lines they stand in."""

    exit_code: int
    problems: list[dict[str, Any]]
    err: str = ""

    @classmethod
    def of(cls, exit_code: int, out: str, err: str) -> Seen:
        lines = [json.loads(line) for line in out.splitlines()]
        return cls(exit_code, [problem for line in lines for problem in line.get("problems", ())], err)

    def with_code(self, code: Code) -> list[dict[str, Any]]:
        return [problem for problem in self.problems if problem["code"] == code.value]


class World:
    """A home of its own, a document, and all that is opened for one provocation."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.home = folder / "home" / "docsend"
        self.stack = stack
        self.payslip = samples.write(folder, "payslip.pdf", samples.pdf())

    def run(self, *argv: str | Path) -> Seen:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*map(str, argv), "--json"])
        return Seen.of(code, out.getvalue(), err.getvalue())

    def send(self, *options: str | Path) -> Seen:
        return self.run("send", self.payslip, *SEND, *options)

    def sends_to(self, url: str) -> Seen:
        return self.send("--service", url)

    def checks(self, *options: str, file: Path | None = None) -> Seen:
        return self.run("send", file or self.payslip, *options, "--dry-run")

    def batch(self, *lines: str, head: str = bad_manifests.HEAD) -> Path:
        """Write a manifest, and the document that its rows name."""
        samples.write(self.folder, "one.pdf", samples.pdf(1))
        return samples.write(self.folder, "batch.csv", bad_manifests.rows(*lines, head=head).encode())

    # -- what is at the other end --------------------------------------------------------------------------

    def sandbox(self) -> str:
        return self.stack.enter_context(server.beside(self.folder / "sandbox"))

    def service(self, answer: Callable[[Asked], Reply], tls: ssl.SSLContext | None = None) -> str:
        url, _ = self.stack.enter_context(doubles.service(answer, tls=tls))
        return url.replace("http:", "https:") if tls else url

    def answers(self, reply: Reply) -> Seen:
        """Send to a service that answers so, whatever it is asked."""
        return self.sends_to(self.service(lambda _: reply))

    def relay(self, fate: Fate, *, staged: bool = False) -> str:
        """Give the sandbox behind a way that fails as told."""
        url, _ = self.stack.enter_context(doubles.relay(self.sandbox(), fate))
        if staged:
            lab.store_catalog(os.environ, url, None)
        return url

    def port(self, serve: Callable[[socket.socket], object]) -> int:
        return self.stack.enter_context(open_port(serve))

    def says(self, **environment: str) -> None:
        os.environ.update(environment)  # of this world, which takes it back

    def signs_in(self, code: str, password: str) -> None:
        file = self.folder / "password"
        file.write_text(password)
        file.chmod(0o600)
        self.says(DOCSEND_CODE=code, DOCSEND_PASSWORD_FILE=str(file))

    def replaces(self, target: Any, name: str, value: object) -> None:
        self.stack.enter_context(mock.patch.object(target, name, value))


@contextlib.contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        environment = lab.environment(Path(name) / "home", DOCSEND_PATIENCE="0")
        stack.enter_context(mock.patch.dict(os.environ, environment, clear=True))
        yield World(Path(name), stack)


@contextlib.contextmanager
def open_port(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """Serve each connection with `serve(socket)`, one after the other; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.02)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                with contextlib.suppress(OSError), listener.accept()[0] as near:
                    serve(near)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join()


@dataclass(frozen=True)
class Provocation:
    """One way to a code. `exit_code` is that of its kind unless another is stated, with the reason `why`.

    `does` says what docsend does on a code that no run ends with: the run `make` comes through, and where
    that goes on, `lasting` ends with the code `shows`.
    """

    code: Code
    what: str
    make: Callable[[World], Seen]
    exit_code: int | None = None
    why: str = ""
    does: str = ""
    lasting: Callable[[World], Seen] | None = None
    shows: Code | None = None

    @property
    def expected(self) -> int:
        return EXIT_OF_KIND[self.code.kind] if self.exit_code is None else self.exit_code


def observe(make: Callable[[World], Seen]) -> Seen:
    with world() as here:
        seen = make(here)
        masked = [
            {name: _masked(value, here) for name, value in problem.items()} for problem in seen.problems
        ]
        return dataclasses.replace(seen, problems=masked)


def _masked(value: object, here: World) -> object:
    """Give a text without what differs from run to run: the folder, and the beginning of a key."""
    return (
        re.sub(r"\b[A-Z2-7]{12}\b", "KEY", value.replace(str(here.folder), "…"))
        if isinstance(value, str)
        else value
    )
