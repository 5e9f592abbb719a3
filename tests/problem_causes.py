"""Causes of problems: options, files, responses of a service, the network and signals."""

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
from problem_runs import SEND, RunResult, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from doubles import Asked, Reply

BY_NAME = {code.value: code for code in Code}

EMPLOYER = [*bad_input.EMPLOYER, *bad_input.EMPLOYER_WHO]
OTHER_HOST = "https://documents.example"  # Not on this machine, so that the proxy is used.

CLAIM = ["--subject", "long-term-care", "--category", "claim", "--type", "long-term-care-reassessment"]
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
SHORT_LIMITS = TimeLimits(connect_s=0.5, grace_s=0.5, slowest_bytes_per_s=2**30)


def _without_option(options: list[str], name: str) -> list[str]:
    index = options.index(name)
    return options[:index] + options[index + 2 :]


def without_option(options: list[str], name: str) -> Callable[[World], RunResult]:
    return lambda here: here.dry_run(*_without_option(options, name))


def with_options(options: list[str], *more: str) -> Callable[[World], RunResult]:
    return lambda here: here.dry_run(*options, *more)


def with_value(options: list[str], name: str, value: str) -> Callable[[World], RunResult]:
    return lambda here: here.dry_run(*_without_option(options, name), name, value)


def manifest_rows(head: str, *lines: str) -> Callable[[World], RunResult]:
    return lambda here: here.run("send", "--batch", here.write_manifest(*lines, head=head), "--dry-run")


def upload_unknown_required(here: World) -> RunResult:
    here.set_account("1002", "fictional-clear")
    return here.run("required", "upload", "R-0000", here.payslip, "--service", here.start_sandbox())


def send_before_required(here: World) -> RunResult:
    here.set_account("1001", "fictional-pending")
    about = [*_without_option(bad_input.PERSONAL, "--type"), "--type", "termination-letter"]
    return here.run("send", here.payslip, *about, "--service", here.start_sandbox())


def change_while_sending(here: World) -> RunResult:
    file = here.payslip
    # No buffer is kept, as for large documents.
    here.patch(documents.read_all, "__kwdefaults__", {"buffer_up_to": 0})

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        if asked.method == "PUT" and now == "after":
            file.write_bytes(samples.pdf(2))
        return None

    return here.send_to(here.start_relay(fate))


def manifest_with_too_many_rows(here: World) -> RunResult:
    here.patch(tables, "MAX_ROWS", 2)
    return manifest_rows(bad_manifests.HEAD, *(bad_manifests.good(n) for n in range(3)))(here)


def document_near_limit(here: World) -> RunResult:
    return here.dry_run(*SEND, file=samples.write(here.folder, "scan.pdf", samples.pdf(size=10**7 + 1)))


def manifest_without_zeros(here: World) -> RunResult:
    samples.write(here.folder, "one.pdf", samples.pdf(1))
    manifest = bad_manifests.employer(mobile="501234567").encode()
    file = samples.write(here.folder, "batch.csv", manifest)
    return here.run("send", "--batch", file, "--service", here.start_sandbox())


def document_in_two_rows(here: World) -> RunResult:
    file = here.write_manifest(bad_manifests.good(1), bad_manifests.good(2))
    return here.run("send", "--batch", file, "--dry-run")


# -- responses of a service --------------------------------------------------------------------------------


def refusal_with_code(code: Code) -> Reply:
    """Return the response with which a service refuses with this code, as the contract defines it."""
    if code in responses.PROBLEMS and code is not Code.INVALID:
        return doubles.problem(responses.PROBLEMS[code], code.value)
    error = {"pointer": f"/{code.field or ''}", "code": code.value, "detail": "no"}
    return doubles.problem(422, "invalid", errors=[error])


def service_refuses(code: Code) -> Callable[[World], RunResult]:
    return lambda here: here.send_to_reply(refusal_with_code(code))


def refuse_call(
    kind: str, code: Code, *, times: int = 1, staged: bool = True, **members: object
) -> Callable[[World], RunResult]:
    """Send to a sandbox through a relay that refuses one kind of call so many times."""

    def make(here: World) -> RunResult:
        here.set_environment(DOCSEND_PATIENCE="5" if times == 1 else "0")
        left = [doubles.problem(responses.PROBLEMS[code], code.value, **members)] * times

        def fate(asked: Asked, _count: int, now: str) -> Reply | None:
            matches = now == "before" and kind in f"{asked.method} {asked.path}"
            return left.pop() if matches and left else None

        result = here.send_to(here.start_relay(fate, staged=staged))
        assert len(left) < times, "the call was never made"
        return result

    return make


def send_after_withdrawal(here: World) -> RunResult:
    is_down = [True]

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        return doubles.Reply(cut=True) if is_down and asked.method == "PUT" and now == "before" else None

    url = here.start_relay(fate)
    assert here.send_to(url).exit_code == ExitCode.UNFINISHED
    is_down.clear()
    withdrawal = here.run("receipts", "withdraw", ledger_key(here))
    assert withdrawal.exit_code == 0, withdrawal.err
    return here.send_to(url)


def withdraw_after_lost_response(here: World) -> RunResult:
    """Withdraw a submission whose receipt was lost: the service refuses and returns the receipt."""

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        return doubles.Reply(cut=True) if asked.method == "PUT" and now == "after" else None

    assert here.send_to(here.start_relay(fate)).exit_code == ExitCode.UNFINISHED
    return here.run("receipts", "withdraw", ledger_key(here))


def withdraw_received(here: World) -> RunResult:
    assert here.send_to(here.start_sandbox()).exit_code == 0
    return here.run("receipts", "withdraw", ledger_key(here))


def ledger_key(here: World) -> str:
    """Return the key of the only submission in the ledger."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["receipts", "--json"]) == 0
    (entry,) = json.loads(out.getvalue())["receipts"]
    assert here.home.exists()
    return str(entry["key"])


def html_page(status: int, title: str) -> Reply:
    body = f"<html><head><title>{title}</title></head></html>"
    return doubles.Reply(status, body.encode(), {"Content-Type": "text/html"})


def firewall_refuses_put(here: World) -> RunResult:
    """Send through a firewall that refuses PUT requests only."""

    def fate(asked: Asked, _count: int, now: str) -> Reply | None:
        is_put = asked.method == "PUT" and now == "before"
        return html_page(403, "Access denied") if is_put else None

    return here.send_to(here.start_relay(fate))


# -- sign-in -----------------------------------------------------------------------------------------------


def wrong_password(here: World) -> RunResult:
    here.set_account("1002", "wrong")
    return here.run("required", "--service", here.start_sandbox())


def locked_out(here: World) -> RunResult:
    here.set_account("1002", "fictional-clear")
    reply = doubles.problem(429, "locked-out")
    reply.headers["Retry-After"] = "900"
    return here.run("required", "--service", here.start_service(lambda _: reply))


# -- the network -------------------------------------------------------------------------------------------


def unknown_host_name(here: World) -> RunResult:
    getaddrinfo = socket.getaddrinfo

    def fail(host: str, *rest: Any, **more: Any) -> object:
        if host == "documents.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return getaddrinfo(host, *rest, **more)

    here.set_environment(DOCSEND_PATIENCE="5")
    here.patch(socket, "getaddrinfo", fail)
    return here.send_to(OTHER_HOST)


def closed_port(here: World) -> RunResult:
    bound = here.stack.enter_context(socket.socket())
    bound.bind(("127.0.0.1", 0))  # Reserves the port, on which nothing listens.
    return here.send_to(f"http://127.0.0.1:{bound.getsockname()[1]}")


def silent_service(here: World) -> RunResult:
    here.patch(client, "HttpClient", functools.partial(HttpClient, limits=SHORT_LIMITS))
    is_over = threading.Event()
    port = here.open_port(lambda connection: (connection.recv(2**16), is_over.wait(10)))
    here.stack.callback(is_over.set)  # Runs before the port is closed, which waits for the connection.
    return here.send_to(f"http://127.0.0.1:{port}")


def over_tls(
    name: str = "127.0.0.1",
    *,
    is_trusted: bool = True,
    path_length: int = 9,
    not_after: dt.datetime | None = None,
    not_before: dt.datetime | None = None,
) -> Callable[[World], RunResult]:
    """Send to a service with a certificate for `name` from an authority that is trusted or not."""

    def make(here: World) -> RunResult:
        root = trustme.CA(path_length=path_length)
        authority = root if path_length else trustme.CA(parent_cert=root)
        trusted = here.folder / "authorities.pem"
        (root if is_trusted else trustme.CA()).cert_pem.write_to_path(str(trusted))
        here.set_environment(SSL_CERT_FILE=str(trusted))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, not_after=not_after, not_before=not_before).configure_cert(context)
        return here.send_to(here.start_service(lambda _: refusal_with_code(Code.KEY_REUSED), tls=context))

    return make


def https_to_http_port(here: World) -> RunResult:
    return here.send_to(here.start_service(lambda _: doubles.Reply()).replace("http:", "https:"))


def proxy_with_status(status: int) -> Callable[[World], RunResult]:
    def make(here: World) -> RunResult:
        def serve(connection: socket.socket) -> None:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)

        here.set_environment(HTTPS_PROXY=f"http://127.0.0.1:{here.open_port(serve)}")
        return here.send_to(OTHER_HOST)

    return make


# -- how a run ends ----------------------------------------------------------------------------------------


def batch_ends_early(here: World) -> RunResult:
    file = here.write_manifest(*(bad_manifests.good(n) for n in range(3)))
    url = here.start_service(lambda _: html_page(200, "Hotel Wi-Fi"))
    return here.run("send", "--batch", file, "--service", url, "--jobs", "1")


def damaged_ledger(here: World) -> RunResult:
    here.home.mkdir(parents=True)
    (here.home / "ledger.sqlite3").write_bytes(b"this is no database" * 100)
    return here.send_to(here.start_sandbox())


def full_disk(here: World) -> RunResult:
    """Limit the size of files to 4 KiB (8 blocks), so that writing fails as on a full disk."""
    here.set_environment(PYTHONDONTWRITEBYTECODE="1")  # Truncated bytecode files would remain.
    return _run_process(here, here.start_sandbox(), prefix=("sh", "-c", 'ulimit -f 8; exec "$@"', "sh"))


def bug_inside(here: World) -> RunResult:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    here.patch(submission_rules, "check", broken)
    return here.send("--dry-run")


def signal_while_waiting(number: int) -> Callable[[World], RunResult]:
    """Send in a separate process, and signal it while the service processes the request."""

    def make(here: World) -> RunResult:
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

        return _run_process(here, here.start_service(answer), on_start=begun)

    return make


def _run_process(
    here: World,
    url: str,
    *,
    prefix: Sequence[str] = (),
    on_start: Callable[[subprocess.Popen[str]], object] = id,
) -> RunResult:
    command = [*prefix, *lab.docsend("send", here.payslip, *SEND, "--service", url, "--json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        on_start(process)
        out, err = process.communicate(timeout=60)
    return RunResult.from_output(process.returncode, out, err)


EVERY_TIME = 99
ONLY_FROM_SERVICE = "only a service reports it"
