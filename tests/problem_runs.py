"""Runs that produce a problem: their environment and their results."""

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

    from doubles import Interceptor, ReceivedRequest, Reply

SEND = bad_input.BENEFITS

# Exit codes of runs that report only problems of one kind.
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
class RunResult:
    """Exit code of a run, and the problems in all lines of its JSON output."""

    exit_code: int
    problems: list[dict[str, Any]]
    err: str = ""

    @classmethod
    def from_output(cls, exit_code: int, out: str, err: str) -> RunResult:
        lines = [json.loads(line) for line in out.splitlines()]
        return cls(exit_code, [problem for line in lines for problem in line.get("problems", ())], err)

    def with_code(self, code: Code) -> list[dict[str, Any]]:
        return [problem for problem in self.problems if problem["code"] == code.value]


class World:
    """The environment of one run: a home, a document, and resources that are closed afterwards."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.home = folder / "home" / "docsend"
        self.stack = stack
        self.payslip = samples.write(folder, "payslip.pdf", samples.pdf())

    def run(self, *argv: str | Path) -> RunResult:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*map(str, argv), "--json"])
        return RunResult.from_output(code, out.getvalue(), err.getvalue())

    def send(self, *options: str | Path) -> RunResult:
        return self.run("send", self.payslip, *SEND, *options)

    def send_to(self, url: str) -> RunResult:
        return self.send("--service", url)

    def dry_run(self, *options: str, file: Path | None = None) -> RunResult:
        return self.run("send", file or self.payslip, *options, "--dry-run")

    def write_manifest(self, *lines: str, head: str = bad_manifests.HEAD) -> Path:
        """Write a manifest, and the document that its rows name."""
        samples.write(self.folder, "one.pdf", samples.pdf(1))
        return samples.write(self.folder, "batch.csv", bad_manifests.rows(*lines, head=head).encode())

    # -- services ------------------------------------------------------------------------------------------

    def start_sandbox(self) -> str:
        return self.stack.enter_context(server.run_in_background(self.folder / "sandbox"))

    def start_service(
        self, answer: Callable[[ReceivedRequest], Reply], tls: ssl.SSLContext | None = None
    ) -> str:
        url, _ = self.stack.enter_context(doubles.service(answer, tls=tls))
        return url.replace("http:", "https:") if tls else url

    def send_to_reply(self, reply: Reply) -> RunResult:
        """Send to a service that sends the same reply to every request."""
        return self.send_to(self.start_service(lambda _: reply))

    def start_relay(self, intercept: Interceptor, *, staged: bool = False) -> str:
        """Start a sandbox behind a relay that fails as `intercept` decides, and return the relay's URL."""
        url, _ = self.stack.enter_context(doubles.relay(self.start_sandbox(), intercept))
        if staged:
            lab.store_catalog(os.environ, url, None)
        return url

    def open_port(self, serve: Callable[[socket.socket], object]) -> int:
        return self.stack.enter_context(open_port(serve))

    def set_environment(self, **environment: str) -> None:
        os.environ.update(environment)  # new_world() restores it

    def set_account(self, code: str, password: str) -> None:
        file = self.folder / "password"
        file.write_text(password)
        file.chmod(0o600)
        self.set_environment(DOCSEND_CODE=code, DOCSEND_PASSWORD_FILE=str(file))

    def patch(self, target: Any, name: str, value: object) -> None:
        self.stack.enter_context(mock.patch.object(target, name, value))


@contextlib.contextmanager
def new_world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        environment = lab.environment(Path(name) / "home", DOCSEND_PATIENCE="0")
        stack.enter_context(mock.patch.dict(os.environ, environment, clear=True))
        yield World(Path(name), stack)


@contextlib.contextmanager
def open_port(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """Serve one connection at a time with `serve(socket)`, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.02)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                with contextlib.suppress(OSError), listener.accept()[0] as connection:
                    serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join()


@dataclass(frozen=True)
class ProblemCase:
    """A run that produces a code. `exit_code` is that of its kind, unless another is given with its `reason`.

    If docsend handles the problem itself, `handling` describes how, and `run` succeeds. If the problem
    persists, `run_persistent` ends with `final_code`.
    """

    code: Code
    description: str
    run: Callable[[World], RunResult]
    exit_code: int | None = None
    reason: str = ""
    handling: str = ""
    run_persistent: Callable[[World], RunResult] | None = None
    final_code: Code | None = None

    @property
    def expected(self) -> int:
        return EXIT_OF_KIND[self.code.kind] if self.exit_code is None else self.exit_code


def run_masked(run: Callable[[World], RunResult]) -> RunResult:
    with new_world() as world:
        result = run(world)
        masked = [
            {name: _mask(value, world) for name, value in problem.items()} for problem in result.problems
        ]
        return dataclasses.replace(result, problems=masked)


def _mask(value: object, world: World) -> object:
    """Return a text without the folder, the key prefix and the date, which differ from run to run."""
    return (
        re.sub(
            r"\b(of|on) \d{4}-\d\d-\d\d",
            r"\1 DATE",
            re.sub(r"\b[A-Z2-7]{12}\b", "KEY", value.replace(str(world.folder), "…")),
        )
        if isinstance(value, str)
        else value
    )
