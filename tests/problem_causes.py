"""What provokes problems: options, files, answers of a service, the network, signals."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import io
import json
import socket
import ssl
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import trustme

import bad_input
import bad_manifests
import doubles
import samples
from docsend.checks import documents, submission_rules
from docsend.cli.app import main
from docsend.codes import Code
from docsend.errors import ExitCode
from docsend.manifest import tables
from docsend.service import client, responses
from docsend.service.exchange import TimeLimits
from docsend.service.http import HttpClient
from faults import lab
from problem_runs import SEND, Seen, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from doubles import Asked, Reply

BY_NAME = {code.value: code for code in Code}

EMPLOYER = [*bad_input.EMPLOYER, *bad_input.EMPLOYER_WHO]
ABROAD = "https://documents.example"  # no address of this machine: a proxy is asked

CLAIM = ["--subject", "long-term-care", "--category", "claim", "--type", "long-term-care-reassessment"]
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
HASTY = TimeLimits(connect_s=0.5, grace_s=0.5, slowest_bytes_per_s=2**30)


def _without(options: list[str], name: str) -> list[str]:
    place = options.index(name)
    return options[:place] + options[place + 2 :]


def lacking(options: list[str], name: str) -> Callable[[World], Seen]:
    return lambda here: here.checks(*_without(options, name))


def adding(options: list[str], *more: str) -> Callable[[World], Seen]:
    return lambda here: here.checks(*options, *more)


def instead(options: list[str], name: str, value: str) -> Callable[[World], Seen]:
    return lambda here: here.checks(*_without(options, name), name, value)


def one_row(head: str, *lines: str) -> Callable[[World], Seen]:
    return lambda here: here.run("send", "--batch", here.batch(*lines, head=head), "--dry-run")


def asked_for_nothing_like_it(here: World) -> Seen:
    here.signs_in("1002", "fictional-clear")
    return here.run("required", "upload", "R-0000", here.payslip, "--service", here.sandbox())


def something_else_first(here: World) -> Seen:
    here.signs_in("1001", "fictional-pending")
    about = [*_without(bad_input.PERSONAL, "--type"), "--type", "termination-letter"]
    return here.run("send", here.payslip, *about, "--service", here.sandbox())


def changed_meanwhile(here: World) -> Seen:
    file = here.payslip
    here.replaces(documents.read_all, "__kwdefaults__", {"hold_up_to": 0})  # as many large ones would have it

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        if asked.method == "PUT" and now == "after":
            file.write_bytes(samples.pdf(2))
        return None

    return here.sends_to(here.relay(fate))


def too_many_rows(here: World) -> Seen:
    here.replaces(tables, "MOST_ROWS", 2)
    return one_row(bad_manifests.HEAD, *(bad_manifests.good(n) for n in range(3)))(here)


def near_the_limit(here: World) -> Seen:
    return here.checks(*SEND, file=samples.write(here.folder, "scan.pdf", samples.pdf(size=10**7 + 1)))


def zeros_lost(here: World) -> Seen:
    samples.write(here.folder, "one.pdf", samples.pdf(1))
    manifest = bad_manifests.employer(mobile="501234567").encode()
    file = samples.write(here.folder, "batch.csv", manifest)
    return here.run("send", "--batch", file, "--service", here.sandbox())


def in_two_rows(here: World) -> Seen:
    file = here.batch(bad_manifests.good(1), bad_manifests.good(2))
    return here.run("send", "--batch", file, "--dry-run")


# -- what a service says -----------------------------------------------------------------------------------


def said(code: Code) -> Reply:
    """Make the refusal with which a service of the contract says this code."""
    if code in responses.PROBLEMS and code is not Code.INVALID:
        return doubles.problem(responses.PROBLEMS[code], code.value)
    error = {"pointer": f"/{code.field or ''}", "code": code.value, "detail": "no"}
    return doubles.problem(422, "invalid", errors=[error])


def service_says(code: Code) -> Callable[[World], Seen]:
    return lambda here: here.answers(said(code))


def refused(
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


def withdrawn(here: World) -> Seen:
    is_down = [True]

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        return doubles.Reply(cut=True) if is_down and asked.method == "PUT" and now == "before" else None

    url = here.relay(fate)
    assert here.sends_to(url).exit_code == ExitCode.UNFINISHED
    is_down.clear()
    withdrawal = here.run("receipts", "withdraw", key_of_it(here))
    assert withdrawal.exit_code == 0, withdrawal.err
    return here.sends_to(url)


def withdrawn_too_late(here: World) -> Seen:
    """The service has it, and its answer was lost: it refuses the withdrawal and gives the receipt."""

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        return doubles.Reply(cut=True) if asked.method == "PUT" and now == "after" else None

    assert here.sends_to(here.relay(fate)).exit_code == ExitCode.UNFINISHED
    return here.run("receipts", "withdraw", key_of_it(here))


def withdrawn_when_received(here: World) -> Seen:
    assert here.sends_to(here.sandbox()).exit_code == 0
    return here.run("receipts", "withdraw", key_of_it(here))


def key_of_it(here: World) -> str:
    """Return the key of the submission that the ledger has."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["receipts", "--json"]) == 0
    (entry,) = json.loads(out.getvalue())["receipts"]
    assert here.home.exists()
    return str(entry["key"])


def html_page(status: int, title: str) -> Reply:
    body = f"<html><head><title>{title}</title></head></html>"
    return doubles.Reply(status, body.encode(), {"Content-Type": "text/html"})


def forbidden(here: World) -> Seen:
    """A firewall lets nothing be sent, and questions pass."""

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        is_sent = asked.method == "PUT" and now == "before"
        return html_page(403, "Access denied") if is_sent else None

    return here.sends_to(here.relay(fate))


# -- sign-ins ----------------------------------------------------------------------------------------------


def wrong_password(here: World) -> Seen:
    here.signs_in("1002", "wrong")
    return here.run("required", "--service", here.sandbox())


def locked_out(here: World) -> Seen:
    here.signs_in("1002", "fictional-clear")
    reply = doubles.problem(429, "locked-out")
    reply.headers["Retry-After"] = "900"
    return here.run("required", "--service", here.service(lambda _: reply))


# -- the network -------------------------------------------------------------------------------------------


def nobody_knows_the_name(here: World) -> Seen:
    look_up = socket.getaddrinfo

    def nobody(host: str, *rest: Any, **more: Any) -> object:
        if host == "documents.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **more)

    here.says(DOCSEND_PATIENCE="5")
    here.replaces(socket, "getaddrinfo", nobody)
    return here.sends_to(ABROAD)


def nobody_listens(here: World) -> Seen:
    taken = here.stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))  # and nobody else can have the port
    return here.sends_to(f"http://127.0.0.1:{taken.getsockname()[1]}")


def never_answers(here: World) -> Seen:
    here.replaces(client, "HttpClient", functools.partial(HttpClient, limits=HASTY))
    is_over = threading.Event()
    port = here.port(lambda near: (near.recv(2**16), is_over.wait(10)))
    here.stack.callback(is_over.set)  # before the port's own end, which waits for it
    return here.sends_to(f"http://127.0.0.1:{port}")


def over_tls(
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


def without_encryption(here: World) -> Seen:
    return here.sends_to(here.service(lambda _: doubles.Reply()).replace("http:", "https:"))


def behind_a_proxy(status: int) -> Callable[[World], Seen]:
    def make(here: World) -> Seen:
        def serve(near: socket.socket) -> None:
            near.recv(4096)
            near.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)

        here.says(HTTPS_PROXY=f"http://127.0.0.1:{here.port(serve)}")
        return here.sends_to(ABROAD)

    return make


# -- how a run ends ----------------------------------------------------------------------------------------


def a_batch_that_ends_early(here: World) -> Seen:
    file = here.batch(*(bad_manifests.good(n) for n in range(3)))
    url = here.service(lambda _: html_page(200, "Hotel Wi-Fi"))
    return here.run("send", "--batch", file, "--service", url, "--jobs", "1")


def no_ledger(here: World) -> Seen:
    here.home.mkdir(parents=True)
    (here.home / "ledger.sqlite3").write_bytes(b"this is no database" * 100)
    return here.sends_to(here.sandbox())


def a_full_disk(here: World) -> Seen:
    """No file may become longer than 4 KiB (8 blocks), as on a full disk."""
    here.says(PYTHONDONTWRITEBYTECODE="1")  # it would leave modules behind that are cut short
    return _spawned(here, here.sandbox(), under=("sh", "-c", 'ulimit -f 8; exec "$@"', "sh"))


def broken_inside(here: World) -> Seen:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    here.replaces(submission_rules, "check", broken)
    return here.send("--dry-run")


def stopped_by(number: int) -> Callable[[World], Seen]:
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
    command = [*under, *lab.docsend_command("send", here.payslip, *SEND, "--service", url, "--json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        begun(process)
        out, err = process.communicate(timeout=60)
    return Seen.of(process.returncode, out, err)


ALWAYS = 99
ONLY_A_SERVICE = "no check here finds it, only a service says it"
