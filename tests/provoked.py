"""Every problem code: what provokes it, and what such a run shows. Checked by test_problems.py.

A code has one row, or more: what somebody does or meets, and a function that makes it happen, through the
public door, against a real socket or a thing that is really broken. What bad_input.py and bad_manifests.py
provoke is taken from there. `python tests/provoked.py` runs all of it and writes docs/problems.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import io
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import trustme
import yaml

import bad_input
import bad_manifests
import docsend
import doubles
import pages
import samples
from docsend.checks import documents, submission_rules
from docsend.cli.app import main
from docsend.codes import Code, Kind
from docsend.errors import ExitCode
from docsend.manifest import tables
from docsend.sandbox import server
from docsend.service import client, responses
from docsend.service.exchange import Limits
from docsend.service.http import HttpClient
from faults import lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from doubles import Asked, Fate, Reply

PART = pages.Part(
    Path(__file__).parent.parent / "docs" / "problems.md",
    "<!-- problems: made by tests/provoked.py -->",
    "<!-- end of problems -->",
)

BY_NAME = {code.value: code for code in Code}
SEND = bad_input.BENEFITS
EMPLOYER = [*bad_input.EMPLOYER, *bad_input.EMPLOYER_WHO]
ABROAD = "https://documents.example"  # no address of this machine: a proxy is asked
OPENAPI = Path(docsend.__file__).parent / "sandbox" / "openapi.yaml"
CLAIM = ["--subject", "long-term-care", "--category", "claim", "--type", "long-term-care-reassessment"]
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
HASTY = Limits(connect_s=0.5, grace_s=0.5, slowest_bytes_per_s=2**30)


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
            lab.offer(os.environ, url, None)
        return url

    def port(self, serve: Callable[[socket.socket], object]) -> int:
        return self.stack.enter_context(_port(serve))

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
def _port(serve: Callable[[socket.socket], object]) -> Iterator[int]:
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


# -- from the other two tables -----------------------------------------------------------------------------


def _of_input(case: bad_input.Case) -> Callable[[World], Seen]:
    def make(_: World) -> Seen:
        seen = bad_input.observe(case)
        return Seen(seen.exit_code, seen.result["problems"], seen.err)

    return make


def _of_manifest(case: bad_manifests.Case) -> Callable[[World], Seen]:
    def make(_: World) -> Seen:
        seen = bad_manifests.observe(dataclasses.replace(case, options=(*case.options, "--json")))
        return Seen.of(seen.exit_code, seen.out, "\n".join(seen.lines))

    return make


def _elsewhere() -> Iterator[Provocation]:
    """Give the first case of each code that stands alone in one of the other two tables."""
    for one in bad_input.CASES:
        if len(one.codes) == 1:
            yield Provocation(BY_NAME[one.codes[0]], one.what, _of_input(one))
    for case in bad_manifests.CASES:
        if len(case.codes) == 1:
            yield Provocation(BY_NAME[case.codes[0]], f"in a manifest: {case.what}", _of_manifest(case))


# -- what is missing, what is wrong ------------------------------------------------------------------------


def _without(options: list[str], name: str) -> list[str]:
    place = options.index(name)
    return options[:place] + options[place + 2 :]


def _lacking(options: list[str], name: str) -> Callable[[World], Seen]:
    return lambda here: here.checks(*_without(options, name))


def _adding(options: list[str], *more: str) -> Callable[[World], Seen]:
    return lambda here: here.checks(*options, *more)


def _instead(options: list[str], name: str, value: str) -> Callable[[World], Seen]:
    return lambda here: here.checks(*_without(options, name), name, value)


def _row(head: str, *lines: str) -> Callable[[World], Seen]:
    return lambda here: here.run("send", "--batch", here.batch(*lines, head=head), "--dry-run")


def _asked_for_nothing_like_it(here: World) -> Seen:
    here.signs_in("1002", "fictional-clear")
    return here.run("required", "upload", "R-0000", here.payslip, "--service", here.sandbox())


def _something_else_first(here: World) -> Seen:
    here.signs_in("1001", "fictional-pending")
    about = [*_without(bad_input.PERSONAL, "--type"), "--type", "termination-letter"]
    return here.run("send", here.payslip, *about, "--service", here.sandbox())


def _changed_meanwhile(here: World) -> Seen:
    file = here.payslip
    here.replaces(documents.read_all, "__kwdefaults__", {"hold_up_to": 0})  # as many large ones would have it

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        if asked.method == "PUT" and now == "after":
            file.write_bytes(samples.pdf(2))
        return None

    return here.sends_to(here.relay(fate))


def _too_many_rows(here: World) -> Seen:
    here.replaces(tables, "MOST_ROWS", 2)
    return _row(bad_manifests.HEAD, *(bad_manifests.good(n) for n in range(3)))(here)


def _near_the_limit(here: World) -> Seen:
    return here.checks(*SEND, file=samples.write(here.folder, "scan.pdf", samples.pdf(size=10**7 + 1)))


def _zeros_lost(here: World) -> Seen:
    samples.write(here.folder, "one.pdf", samples.pdf(1))
    manifest = bad_manifests.employer(mobile="501234567").encode()
    file = samples.write(here.folder, "batch.csv", manifest)
    return here.run("send", "--batch", file, "--service", here.sandbox())


def _in_two_rows(here: World) -> Seen:
    file = here.batch(bad_manifests.good(1), bad_manifests.good(2))
    return here.run("send", "--batch", file, "--dry-run")


# -- what a service says -----------------------------------------------------------------------------------


def said(code: Code) -> Reply:
    """Make the refusal with which a service of the contract says this code."""
    if code in responses.PROBLEMS and code is not Code.INVALID:
        return doubles.problem(responses.PROBLEMS[code], code.value)
    error = {"pointer": f"/{code.field or ''}", "code": code.value, "detail": "no"}
    return doubles.problem(422, "invalid", errors=[error])


def _said(code: Code) -> Callable[[World], Seen]:
    return lambda here: here.answers(said(code))


def _refused(
    kind: str, code: Code, *, times: int = 1, staged: bool = True, **members: object
) -> Callable[[World], Seen]:
    """Send to a sandbox, in whose place one kind of call is refused so many times; then it goes on."""

    def make(here: World) -> Seen:
        here.says(DOCSEND_PATIENCE="5" if times == 1 else "0")
        left = [doubles.problem(responses.PROBLEMS[code], code.value, **members)] * times

        def fate(asked: Asked, _count: int, now: str) -> Reply | None:
            is_it = now == "before" and kind in f"{asked.method} {asked.path}"
            return left.pop() if is_it and left else None

        seen = here.sends_to(here.relay(fate, staged=staged))
        assert len(left) < times, "it was never asked"
        return seen

    return make


def _withdrawn(here: World) -> Seen:
    is_down = [True]

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        return doubles.Reply(cut=True) if is_down and asked.method == "PUT" and now == "before" else None

    url = here.relay(fate)
    assert here.sends_to(url).exit_code == ExitCode.UNFINISHED
    is_down.clear()
    withdrawal = here.run("receipts", "withdraw", _key(here))
    assert withdrawal.exit_code == 0, withdrawal.err
    return here.sends_to(url)


def _withdrawn_too_late(here: World) -> Seen:
    """The service has it, and its answer was lost: it refuses the withdrawal and gives the receipt."""

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        return doubles.Reply(cut=True) if asked.method == "PUT" and now == "after" else None

    assert here.sends_to(here.relay(fate)).exit_code == ExitCode.UNFINISHED
    return here.run("receipts", "withdraw", _key(here))


def _withdrawn_when_received(here: World) -> Seen:
    assert here.sends_to(here.sandbox()).exit_code == 0
    return here.run("receipts", "withdraw", _key(here))


def _key(here: World) -> str:
    """Return the key of the submission that the ledger has."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["receipts", "--json"]) == 0
    (entry,) = json.loads(out.getvalue())["receipts"]
    assert here.home.exists()
    return str(entry["key"])


def _page(status: int, title: str) -> Reply:
    body = f"<html><head><title>{title}</title></head></html>"
    return doubles.Reply(status, body.encode(), {"Content-Type": "text/html"})


def _forbidden(here: World) -> Seen:
    """A firewall lets nothing be sent, and questions pass."""

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        is_sent = asked.method == "PUT" and now == "before"
        return _page(403, "Access denied") if is_sent else None

    return here.sends_to(here.relay(fate))


# -- sign-ins ----------------------------------------------------------------------------------------------


def _wrong_password(here: World) -> Seen:
    here.signs_in("1002", "wrong")
    return here.run("required", "--service", here.sandbox())


def _locked_out(here: World) -> Seen:
    here.signs_in("1002", "fictional-clear")
    reply = doubles.problem(429, "locked-out")
    reply.headers["Retry-After"] = "900"
    return here.run("required", "--service", here.service(lambda _: reply))


# -- the network -------------------------------------------------------------------------------------------


def _nobody_knows_the_name(here: World) -> Seen:
    look_up = socket.getaddrinfo

    def nobody(host: str, *rest: Any, **more: Any) -> object:
        if host == "documents.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **more)

    here.says(DOCSEND_PATIENCE="5")
    here.replaces(socket, "getaddrinfo", nobody)
    return here.sends_to(ABROAD)


def _nobody_listens(here: World) -> Seen:
    taken = here.stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))  # and nobody else can have the port
    return here.sends_to(f"http://127.0.0.1:{taken.getsockname()[1]}")


def _never_answers(here: World) -> Seen:
    here.replaces(client, "HttpClient", functools.partial(HttpClient, limits=HASTY))
    is_over = threading.Event()
    port = here.port(lambda near: (near.recv(2**16), is_over.wait(10)))
    here.stack.callback(is_over.set)  # before the port's own end, which waits for it
    return here.sends_to(f"http://127.0.0.1:{port}")


def _over_tls(
    name: str = "127.0.0.1",
    *,
    is_trusted: bool = True,
    path_length: int = 9,
    not_after: dt.datetime | None = None,
    not_before: dt.datetime | None = None,
) -> Callable[[World], Seen]:
    """Send to a service whose certificate is for this name, by an authority that may be trusted."""

    def make(here: World) -> Seen:
        root = trustme.CA(path_length=path_length)
        authority = root if path_length else trustme.CA(parent_cert=root)
        known = here.folder / "authorities.pem"
        (root if is_trusted else trustme.CA()).cert_pem.write_to_path(str(known))
        here.says(SSL_CERT_FILE=str(known))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, not_after=not_after, not_before=not_before).configure_cert(context)
        return here.sends_to(here.service(lambda _: said(Code.KEY_REUSED), tls=context))

    return make


def _without_encryption(here: World) -> Seen:
    return here.sends_to(here.service(lambda _: doubles.Reply()).replace("http:", "https:"))


def _behind_a_proxy(status: int) -> Callable[[World], Seen]:
    def make(here: World) -> Seen:
        def serve(near: socket.socket) -> None:
            near.recv(4096)
            near.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)

        here.says(HTTPS_PROXY=f"http://127.0.0.1:{here.port(serve)}")
        return here.sends_to(ABROAD)

    return make


# -- how a run ends ----------------------------------------------------------------------------------------


def _a_batch_that_ends_early(here: World) -> Seen:
    file = here.batch(*(bad_manifests.good(n) for n in range(3)))
    url = here.service(lambda _: _page(200, "Hotel Wi-Fi"))
    return here.run("send", "--batch", file, "--service", url, "--jobs", "1")


def _no_ledger(here: World) -> Seen:
    here.home.mkdir(parents=True)
    (here.home / "ledger.sqlite3").write_bytes(b"this is no database" * 100)
    return here.sends_to(here.sandbox())


def _a_full_disk(here: World) -> Seen:
    """No file may become longer than 4 KiB (8 blocks), as on a full disk."""
    here.says(PYTHONDONTWRITEBYTECODE="1")  # it would leave modules behind that are cut short
    return _spawned(here, here.sandbox(), under=("sh", "-c", 'ulimit -f 8; exec "$@"', "sh"))


def _broken_inside(here: World) -> Seen:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    here.replaces(submission_rules, "check", broken)
    return here.send("--dry-run")


def _stopped_by(number: int) -> Callable[[World], Seen]:
    """Send in a process of its own, and stop it while the service thinks."""

    def make(here: World) -> Seen:
        started = threading.Event()
        running: list[subprocess.Popen[str]] = []

        def answer(_: Asked) -> Reply:
            started.wait(10)
            running[0].send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running[0].wait(20)
            return doubles.Reply(cut=True)

        def begun(process: subprocess.Popen[str]) -> None:
            running.append(process)
            started.set()

        return _spawned(here, here.service(answer), begun=begun)

    return make


def _spawned(
    here: World,
    url: str,
    *,
    under: Sequence[str] = (),
    begun: Callable[[subprocess.Popen[str]], object] = id,
) -> Seen:
    command = [*under, *lab.docsend("send", here.payslip, *SEND, "--service", url, "--json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        begun(process)
        out, err = process.communicate(timeout=60)
    return Seen.of(process.returncode, out, err)


ALWAYS = 99
ONLY_A_SERVICE = "no check here finds it, only a service says it"

P = Provocation
PROVOCATIONS: list[Provocation] = [
    # -- something needed is not given
    P(Code.CATEGORY_MISSING, "no category", _lacking(SEND, "--category")),
    P(Code.EMPLOYER_FILE_MISSING, "no number of the employer's file", _lacking(EMPLOYER, "--employer-file")),
    P(Code.MOBILE_MISSING, "no mobile number", _lacking(EMPLOYER, "--mobile")),
    P(Code.DOCUMENTS_MISSING, "no file", lambda here: here.run("send", *SEND)),
    # -- a check before sending found it
    P(Code.UNKNOWN_EMPLOYER_KIND, "`--employer-kind moon`", _adding(EMPLOYER, "--employer-kind", "moon")),
    P(Code.UNKNOWN_REQUIRED, "`required upload` of an id that nobody asked for", _asked_for_nothing_like_it),
    P(Code.BOOKLET_INVALID, "a booklet number with a full stop", _instead(EMPLOYER, "--booklet", "12.345")),
    P(Code.OCCURRENCE_INVALID, "`--occurrence 0`", _adding(SEND, "--occurrence", "0")),
    P(
        Code.REQUIRED_TOO_LONG,
        "in a manifest: an id of 101 characters in the column `required`",
        _row(
            "to,subject,category,type,required,documents",
            f"personal,unemployment,employer,payslips,{'R' * 101},one.pdf",
        ),
    ),
    P(
        Code.BRANCH_TOO_LONG,
        "the service says so",
        _said(Code.BRANCH_TOO_LONG),
        exit_code=ExitCode.REFUSED,
        why=ONLY_A_SERVICE,
    ),
    P(
        Code.REQUIRED_DOCUMENTS_PENDING,
        "another document about a subject of which the service asks for one",
        _something_else_first,
    ),
    P(Code.DOCUMENT_CHANGED, "a file that is saved anew while it is being sent", _changed_meanwhile),
    P(Code.MANIFEST_TOO_LARGE, "a manifest of more rows than are read", _too_many_rows),
    # -- worth knowing
    P(Code.SIZE_NEAR_LIMIT, "a PDF of 10,000,001 bytes", _near_the_limit),
    P(
        Code.ONLINE_FORM_POSSIBLE,
        "a claim of which no page of the institute says for sure that it is filed online",
        lambda here: here.checks("--to", "benefits", *CLAIM, *bad_input.PERSON),
    ),
    P(
        Code.EMPLOYER_FILE_UNUSUAL,
        "a deduction file number that begins with 8",
        _instead(EMPLOYER, "--employer-file", "800000000"),
    ),
    P(Code.ZEROS_RESTORED, "in a manifest: a mobile number without its 0", _zeros_lost),
    # -- the command line, the settings, the network's settings
    P(Code.CERTIFICATE_AUTHORITY, "an authority that nobody knows", _over_tls(is_trusted=False)),
    P(Code.CERTIFICATE_NAME, "the certificate of another machine", _over_tls("documents.example")),
    P(
        Code.CERTIFICATE_DATE,
        "a certificate that expired",
        _over_tls(not_before=LONG_AGO, not_after=LONG_AGO),
    ),
    P(Code.CERTIFICATE_INVALID, "a chain longer than its authority allows", _over_tls(path_length=0)),
    P(Code.PROXY_AUTHENTICATION, "a proxy that answers 407", _behind_a_proxy(407)),
    P(Code.HOST_NOT_SERVED, "the service refuses so (421)", _said(Code.HOST_NOT_SERVED)),
    # -- a sign-in is needed, or was refused
    P(Code.SIGN_IN_REFUSED, "a wrong password", _wrong_password),
    P(Code.LOCKED_OUT, "a sign-in after many wrong passwords", _locked_out),
    # -- refused by the service for good
    P(Code.INVALID, "the service refuses so (422)", _said(Code.INVALID)),
    P(Code.KEY_REUSED, "the service refuses so (409)", _said(Code.KEY_REUSED)),
    P(Code.WITHDRAWN, "`receipts withdraw`, and then the same command again", _withdrawn),
    P(
        Code.LIMIT_ON_THE_WAY,
        "a web page of 413, as proxies have it",
        lambda here: here.answers(_page(413, "Request Entity Too Large")),
    ),
    P(
        Code.DECLARATION_TOO_LARGE,
        "the service refuses so (413), in one exchange and staged",
        _said(Code.DECLARATION_TOO_LARGE),
    ),
    P(Code.REFUSED, "`receipts withdraw` of what has its receipt", _withdrawn_when_received),
    # -- it broke off
    P(Code.NAME_UNKNOWN, "a name that no name server knows", _nobody_knows_the_name),
    P(Code.CONNECTION_REFUSED, "an address where nobody listens", _nobody_listens),
    P(Code.NO_ROUTE, "an address that no way leads to", lambda here: here.sends_to("http://127.255.255.255")),
    P(Code.TIMED_OUT, "a service that never answers", _never_answers),
    P(
        Code.CONNECTION_BROKEN,
        "a connection that is cut before the response",
        lambda here: here.answers(doubles.Reply(cut=True)),
    ),
    P(Code.ENCRYPTION_FAILED, "`https` to a port that speaks `http`", _without_encryption),
    P(Code.PROXY_REFUSED, "a proxy that answers 403", _behind_a_proxy(403)),
    P(
        Code.REDIRECTED,
        "a redirect (302)",
        lambda here: here.answers(doubles.Reply(302, headers={"Location": "http://portal.example/"})),
    ),
    P(Code.PAGE_INSTEAD, "the sign-in page of a hotel", lambda here: here.answers(_page(200, "Hotel Wi-Fi"))),
    P(
        Code.PAGE_INSTEAD,
        "a web page of 403, to what the service does not know",
        _forbidden,
        exit_code=ExitCode.REFUSED,
        why="nothing of it has arrived, and the same command again would not pass either",
    ),
    P(Code.CONTRACT_BROKEN, "a response without a body", lambda here: here.answers(doubles.Reply())),
    P(Code.SERVICE_BUSY, "503 for as long as patience lasts", lambda here: here.answers(doubles.Reply(503))),
    P(Code.MALFORMED, "the service refuses so (400)", _said(Code.MALFORMED)),
    P(Code.LENGTH_REQUIRED, "the service refuses so (411)", _said(Code.LENGTH_REQUIRED)),
    P(Code.METHOD_NOT_ALLOWED, "the service refuses so (405)", _said(Code.METHOD_NOT_ALLOWED)),
    P(Code.MEDIA_TYPE_NOT_ACCEPTED, "the service refuses so (415)", _said(Code.MEDIA_TYPE_NOT_ACCEPTED)),
    P(Code.ORIGIN_NOT_ALLOWED, "the service refuses so (403)", _said(Code.ORIGIN_NOT_ALLOWED)),
    P(
        Code.NOT_TRIED,
        "a batch after a row whose failure no other row would survive",
        _a_batch_that_ends_early,
        exit_code=ExitCode.SOME_ROWS,
        why="a batch",
    ),
    P(
        Code.UNFINISHED,
        "a service that forgets what was declared to it",
        _refused("/documents/", Code.NOT_FOUND, times=ALWAYS),
    ),
    # -- this machine, and docsend itself
    P(Code.LOCAL_FAILURE, "a ledger that is no database", _no_ledger),
    P(Code.LOCAL_FAILURE, "a full disk", _a_full_disk),
    P(Code.BUG, "a bug that was put in", _broken_inside),
    P(Code.INTERRUPTED, "Ctrl-C while the service thinks", _stopped_by(signal.SIGINT)),
    P(
        Code.TERMINATED,
        "SIGTERM while the service thinks",
        _stopped_by(signal.SIGTERM),
        exit_code=ExitCode.TERMINATED,
        why="128 and the number of the signal",
    ),
]

# What no run ends with: docsend acts upon it, and `does` says how.
ACTED_UPON: list[Provocation] = [
    P(
        Code.DOCUMENT_IN_TWO_ROWS,
        "in a manifest: the same document in two rows",
        _in_two_rows,
        does="docsend tells it on stderr before anything is sent; it is in no row's JSON",
    ),
    P(
        Code.ALREADY_RECEIVED,
        "`receipts withdraw` of what was received, though its answer was lost",
        _withdrawn_too_late,
        exit_code=ExitCode.REFUSED,
        does="docsend keeps the receipt that comes with it, and says `refused`",
        lasting=_withdrawn_too_late,
        shows=Code.REFUSED,
    ),
    P(
        Code.ONE_EXCHANGE_TOO_LARGE,
        "the service says so (413)",
        _refused("PUT ", Code.ONE_EXCHANGE_TOO_LARGE, staged=False),
        exit_code=ExitCode.RECEIVED,
        does="docsend sends the same submission in several requests",
    ),
    P(
        Code.OWN_FAULT,
        "the service says so (500)",
        _refused("PUT ", Code.OWN_FAULT, staged=False),
        exit_code=ExitCode.RECEIVED,
        does="docsend tries again for as long as patience lasts",
        lasting=_refused("PUT ", Code.OWN_FAULT, staged=False, times=ALWAYS),
        shows=Code.SERVICE_BUSY,
    ),
    P(
        Code.TOO_SLOW,
        "the service says so (408)",
        _refused("PUT ", Code.TOO_SLOW, staged=False),
        exit_code=ExitCode.RECEIVED,
        does="docsend sends it in several requests, and tries again for as long as patience lasts",
        lasting=_refused("PUT ", Code.TOO_SLOW, staged=False, times=ALWAYS),
        shows=Code.SERVICE_BUSY,
    ),
    P(
        Code.NOT_FOUND,
        "the service has forgotten the declaration (404)",
        _refused("/documents/", Code.NOT_FOUND),
        exit_code=ExitCode.RECEIVED,
        does="docsend declares it anew, three times at most",
        lasting=_refused("/documents/", Code.NOT_FOUND, times=ALWAYS),
        shows=Code.UNFINISHED,
    ),
    P(
        Code.INCOMPLETE,
        "the service lacks a document (409)",
        _refused("/send", Code.INCOMPLETE, missing=[]),
        exit_code=ExitCode.RECEIVED,
        does="docsend sends what is missing, three times at most",
        lasting=_refused("/send", Code.INCOMPLETE, missing=[], times=ALWAYS),
        shows=Code.UNFINISHED,
    ),
    P(
        Code.DIGEST_MISMATCH,
        "the service got other bytes than were sent (400)",
        _refused("/documents/", Code.DIGEST_MISMATCH),
        exit_code=ExitCode.RECEIVED,
        does="docsend sends them again for as long as patience lasts",
        lasting=_refused("/documents/", Code.DIGEST_MISMATCH, times=ALWAYS),
        shows=Code.CONTRACT_BROKEN,
    ),
]
# What no run can have: it stands for a check that failed and found nothing, and each names what it found.
NEVER = {Code.FAULTY: "each check that fails names what it found instead"}


def rows() -> list[Provocation]:
    """Give all that is provoked, in the order of the codes; one from elsewhere only if there is none here."""
    here = [*PROVOCATIONS, *ACTED_UPON]
    known = {each.code for each in here}
    for each in _elsewhere():
        if each.code not in known:
            known.add(each.code)
            here.append(each)
    order = list(Code)
    return sorted(here, key=lambda each: order.index(each.code))


# -- the page ----------------------------------------------------------------------------------------------


def page(see: Callable[[Callable[[World], Seen]], Seen] = observe) -> str:
    """Give the page's tables, one for each kind; `see` runs each provocation."""
    return "\n\n".join(_of_kind(kind, see) for kind in Kind)


def _of_kind(kind: Kind, see: Callable[[Callable[[World], Seen]], Seen]) -> str:
    codes = [code for code in Code if code.kind is kind]
    lines = [
        f"## {kind.value[0].upper()}{kind.value[1:]}",
        "",
        f"Severity: {codes[0].severity}.",
        "",
        "| code | what it means | provoked by | what to do, as docsend says it | exit |",
        "|---|---|---|---|---|",
    ]
    for each in rows():
        if each.code.kind is kind:
            seen = see(each.make)
            lines.append(_line(each.code, each.what, _cure(each, seen), _exit(each, seen, see)))
    lines += [_line(code, "nothing", f"no run has it: {NEVER[code]}", "—") for code in codes if code in NEVER]
    return "\n".join(lines)


def _line(code: Code, what: str, cure: str, exit_code: str) -> str:
    about = f" (`{code.field}`)" if code.field else ""
    cells = (f"`{code}`", f"{code.meaning}{about}", what, cure, exit_code)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('<', '&lt;') for cell in cells)} |"


def _cure(each: Provocation, seen: Seen) -> str:
    if each.does:
        return each.does
    found = seen.with_code(each.code)
    assert found, f"{each.code} was not provoked: {seen.problems} {seen.err}"
    hint = found[0]["hint"]
    return f"*{hint}*" if hint else "—"


def _exit(each: Provocation, seen: Seen, see: Callable[[Callable[[World], Seen]], Seen]) -> str:
    if each.lasting is not None and each.lasting is not each.make:
        return f"{seen.exit_code}; if it goes on, {see(each.lasting).exit_code} as `{each.shows}`"
    if each.why:
        return f"{seen.exit_code} ({each.why})"
    return f"{seen.exit_code}, or 5" if each.code in SAID_BY_SERVICES else str(seen.exit_code)


def contract_codes() -> tuple[frozenset[str], frozenset[str]]:
    """Give the codes of the contract: those of problems, and those of the errors in a 422."""
    schemas = yaml.safe_load(OPENAPI.read_text("utf-8"))["components"]["schemas"]
    types = schemas["Problem"]["properties"]["type"]["enum"]
    problems = frozenset(name.removeprefix(responses.PROBLEM_TYPE) for name in types)
    return problems, frozenset(schemas["Error"]["properties"]["code"]["enum"])


# What a check here finds, and a service says, too: then the service has refused, and the run ends with 5.
SAID_BY_SERVICES = frozenset(
    code
    for code in Code
    if code.kind in (Kind.MISSING, Kind.INVALID) and code.value in frozenset.union(*contract_codes())
)


if __name__ == "__main__":
    PART.write(page())
    sys.stdout.write(f"{len(rows())} rows\n")
