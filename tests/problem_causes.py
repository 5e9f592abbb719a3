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
import defective_documents
import doubles
import old_ledgers
import samples
import workbook_files
from docsend.checks import decoders, documents, submission_rules
from docsend.cli.app import main
from docsend.codes import Code
from docsend.errors import ExitCode
from docsend.manifest import reader, table
from docsend.model.submission import Submission
from docsend.service import client, responses
from docsend.service.exchange import TimeLimits
from docsend.service.http import HttpClient
from docsend.ui import to_json
from faults import lab
from problem_runs import SEND, RunResult, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from doubles import ReceivedRequest, Reply

BY_NAME = {code.value: code for code in Code}

EMPLOYER = [*bad_input.EMPLOYER, *bad_input.EMPLOYER_WHO]
OTHER_HOST = "https://documents.example"  # Not on this machine, so that the proxy is used.

CLAIM = ["--subject", "long-term-care", "--category", "claim", "--type", "long-term-care-reassessment"]
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
SHORT_LIMITS = TimeLimits(connect_s=0.5, grace_s=0.5, min_bytes_per_s=2**30)


def _drop_option(options: list[str], name: str) -> list[str]:
    index = options.index(name)
    return options[:index] + options[index + 2 :]


def without_option(options: list[str], name: str) -> Callable[[World], RunResult]:
    return lambda world: world.dry_run(*_drop_option(options, name))


def with_options(options: list[str], *more: str) -> Callable[[World], RunResult]:
    return lambda world: world.dry_run(*options, *more)


def with_value(options: list[str], name: str, value: str) -> Callable[[World], RunResult]:
    return lambda world: world.dry_run(*_drop_option(options, name), name, value)


def manifest_rows(head: str, *lines: str) -> Callable[[World], RunResult]:
    return lambda world: world.run("send", "--batch", world.write_manifest(*lines, head=head), "--dry-run")


def upload_unknown_required(world: World) -> RunResult:
    world.set_account("1002", "fictional-clear")
    return world.run("required", "upload", "R-0000", world.payslip, "--service", world.start_sandbox())


def send_before_required(world: World) -> RunResult:
    world.set_account("1001", "fictional-pending")
    about = [*_drop_option(bad_input.PERSONAL, "--type"), "--type", "termination-letter"]
    return world.run("send", world.payslip, *about, "--service", world.start_sandbox())


def change_while_sending(world: World) -> RunResult:
    file = world.payslip
    # No buffer is kept, as for large documents.
    defaults = documents.read_all.__kwdefaults__ or {}
    world.patch(documents.read_all, "__kwdefaults__", {**defaults, "buffer_up_to": 0})

    def intercept(request: ReceivedRequest, _count: int, phase: str) -> Reply | None:
        if request.method == "PUT" and phase == "after":
            file.write_bytes(samples.pdf(2))
        return None

    return world.send_to(world.start_relay(intercept))


def manifest_with_too_many_rows(world: World) -> RunResult:
    world.patch(table, "MAX_ROWS", 2)
    return manifest_rows(bad_manifests.HEAD, *(bad_manifests.good(n) for n in range(3)))(world)


def workbook_with_hidden_rows(world: World) -> RunResult:
    workbook = workbook_files.book(workbook_files.row())
    workbook.active.row_dimensions[2].hidden = True
    return _read_workbook(world, workbook_files.save(workbook))


def workbook_for_the_limited_reader(world: World) -> RunResult:
    return _read_workbook(world, workbook_files.ods(workbook_files.row()))


def _read_workbook(world: World, content: bytes) -> RunResult:
    """Check a manifest, and return the warnings about it as a whole."""
    samples.write(world.folder, "a.pdf", samples.pdf())
    file = samples.write(world.folder, "batch.xlsx", content)
    manifest = reader.read(str(file), Submission(), standard_input=lambda: b"")
    result = world.run("send", "--batch", file, "--dry-run")
    return RunResult(result.exit_code, [to_json.problem(warning) for warning in manifest.warnings])


def encryption_that_is_not_checked(world: World) -> RunResult:
    world.patch(decoders, "are_installed", lambda: False)
    content = defective_documents.encrypted_pdf(6)
    return world.dry_run(*SEND, file=samples.write(world.folder, "payslip.pdf", content))


def slow_decoder(world: World) -> RunResult:
    world.patch(decoders, "decode", lambda *_: decoders.Decoded("gave-up"))
    return world.dry_run(*SEND, "--thorough")


def document_near_limit(world: World) -> RunResult:
    return world.dry_run(*SEND, file=samples.write(world.folder, "scan.pdf", samples.pdf(size=10**7 + 1)))


def manifest_without_zeros(world: World) -> RunResult:
    samples.write(world.folder, "one.pdf", samples.pdf(1))
    manifest = bad_manifests.employer(mobile="501234567").encode()
    file = samples.write(world.folder, "batch.csv", manifest)
    return world.run("send", "--batch", file, "--service", world.start_sandbox())


def manifest_with_a_booklet_as_a_number(world: World) -> RunResult:
    samples.write(world.folder, "one.pdf", samples.pdf(1))
    head, row = bad_manifests.employer().splitlines()
    cells: dict[str, object] = dict(zip(head.split(","), row.split(","), strict=True))
    line = json.dumps(cells | {"booklet": 7}).encode()
    file = samples.write(world.folder, "batch.jsonl", line)
    return world.run("send", "--batch", file, "--service", world.start_sandbox())


def document_in_two_rows(world: World) -> RunResult:
    file = world.write_manifest(bad_manifests.good(1), bad_manifests.good(2, id="000000026"))
    return world.run("send", "--batch", file, "--dry-run")


# -- responses of a service --------------------------------------------------------------------------------


def refusal_with_code(code: Code) -> Reply:
    """Return the response with which a service refuses with this code, as the contract defines it."""
    if code in responses.PROBLEMS and code is not Code.INVALID:
        return doubles.problem(responses.PROBLEMS[code], code.value)
    error = {"pointer": f"/{code.field or ''}", "code": code.value, "detail": "no"}
    return doubles.problem(422, "invalid", errors=[error])


def service_refuses(code: Code) -> Callable[[World], RunResult]:
    return lambda world: world.send_to_reply(refusal_with_code(code))


def refuse_call(
    kind: str, code: Code, *, times: int = 1, staged: bool = True, **members: object
) -> Callable[[World], RunResult]:
    """Send to a sandbox through a relay that refuses one kind of call so many times."""

    def run(world: World) -> RunResult:
        world.set_environment(DOCSEND_PATIENCE="5" if times == 1 else "0")
        left = [doubles.problem(responses.PROBLEMS[code], code.value, **members)] * times

        def intercept(request: ReceivedRequest, _count: int, phase: str) -> Reply | None:
            matches = phase == "before" and kind in f"{request.method} {request.path}"
            return left.pop() if matches and left else None

        result = world.send_to(world.start_relay(intercept, staged=staged))
        assert len(left) < times, "the call was never made"
        return result

    return run


def send_after_withdrawal(world: World) -> RunResult:
    is_down = [True]

    def intercept(request: ReceivedRequest, _count: int, phase: str) -> Reply | None:
        return doubles.Reply(cut=True) if is_down and request.method == "PUT" and phase == "before" else None

    url = world.start_relay(intercept)
    assert world.send_to(url).exit_code == ExitCode.UNFINISHED
    is_down.clear()
    withdrawal = world.run("receipts", "withdraw", ledger_key(world))
    assert withdrawal.exit_code == 0, withdrawal.err
    return world.send_to(url)


def _send_reference(world: World, url: str, *more: str) -> RunResult:
    return world.send("--service", url, "--reference", "4711", *more)


def send_new_export(world: World) -> RunResult:
    url = world.start_sandbox()
    assert _send_reference(world, url).exit_code == 0
    samples.write(world.folder, "payslip.pdf", samples.pdf(2))
    return _send_reference(world, url)


def send_new_export_after_a_failure(world: World) -> RunResult:
    is_down = [True]

    def intercept(request: ReceivedRequest, _count: int, phase: str) -> Reply | None:
        return doubles.Reply(503) if is_down and request.method == "PUT" and phase == "before" else None

    url = world.start_relay(intercept)
    assert _send_reference(world, url).exit_code == ExitCode.UNFINISHED
    is_down.clear()
    samples.write(world.folder, "payslip.pdf", samples.pdf(2))
    return _send_reference(world, url)


def send_under_another_name(world: World) -> RunResult:
    url = world.start_sandbox()
    assert world.send_to(url).exit_code == 0
    world.payslip = world.payslip.rename(world.folder / "copy.pdf")
    return world.send_to(url)


def skip_an_occurrence(world: World) -> RunResult:
    url = world.start_sandbox()
    assert world.send_to(url).exit_code == 0
    return world.send("--service", url, "--occurrence", "3")


def send_reference_of_an_old_ledger(world: World) -> RunResult:
    url = world.start_sandbox()
    assert _send_reference(world, url, "--remark", "first").exit_code == 0
    old_ledgers.rewrite_as(world.home / "ledger.sqlite3", 3)
    samples.write(world.folder, "payslip.pdf", samples.pdf(2))
    return _send_reference(world, url)


def withdraw_after_lost_response(world: World) -> RunResult:
    """Withdraw a submission whose receipt was lost: the service refuses and returns the receipt."""

    def intercept(request: ReceivedRequest, _count: int, phase: str) -> Reply | None:
        return doubles.Reply(cut=True) if request.method == "PUT" and phase == "after" else None

    assert world.send_to(world.start_relay(intercept)).exit_code == ExitCode.UNFINISHED
    return world.run("receipts", "withdraw", ledger_key(world))


def withdraw_received(world: World) -> RunResult:
    assert world.send_to(world.start_sandbox()).exit_code == 0
    return world.run("receipts", "withdraw", ledger_key(world))


def ledger_key(world: World) -> str:
    """Return the key of the only submission in the ledger."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["receipts", "--json"]) == 0
    (entry,) = json.loads(out.getvalue())["receipts"]
    assert world.home.exists()
    return str(entry["key"])


def html_page(status: int, title: str) -> Reply:
    body = f"<html><head><title>{title}</title></head></html>"
    return doubles.Reply(status, body.encode(), {"Content-Type": "text/html"})


def firewall_refuses_put(world: World) -> RunResult:
    """Send through a firewall that refuses PUT requests only."""

    def intercept(request: ReceivedRequest, _count: int, phase: str) -> Reply | None:
        is_put = request.method == "PUT" and phase == "before"
        return html_page(403, "Access denied") if is_put else None

    return world.send_to(world.start_relay(intercept))


# -- sign-in -----------------------------------------------------------------------------------------------


def wrong_password(world: World) -> RunResult:
    world.set_account("1002", "wrong")
    return world.run("required", "--service", world.start_sandbox())


def locked_out(world: World) -> RunResult:
    world.set_account("1002", "fictional-clear")
    reply = doubles.problem(429, "locked-out")
    reply.headers["Retry-After"] = "900"
    return world.run("required", "--service", world.start_service(lambda _: reply))


# -- the network -------------------------------------------------------------------------------------------


def unknown_host_name(world: World) -> RunResult:
    getaddrinfo = socket.getaddrinfo

    def fail(host: str, *rest: Any, **more: Any) -> object:
        if host == "documents.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return getaddrinfo(host, *rest, **more)

    world.set_environment(DOCSEND_PATIENCE="5")
    world.patch(socket, "getaddrinfo", fail)
    return world.send_to(OTHER_HOST)


def closed_port(world: World) -> RunResult:
    bound = world.stack.enter_context(socket.socket())
    bound.bind(("127.0.0.1", 0))  # Reserves the port, on which nothing listens.
    return world.send_to(f"http://127.0.0.1:{bound.getsockname()[1]}")


def silent_service(world: World) -> RunResult:
    world.patch(client, "HttpClient", functools.partial(HttpClient, limits=SHORT_LIMITS))
    is_over = threading.Event()
    port = world.open_port(lambda connection: (connection.recv(2**16), is_over.wait(10)))
    world.stack.callback(is_over.set)  # Runs before the port is closed, which waits for the connection.
    return world.send_to(f"http://127.0.0.1:{port}")


def over_tls(
    name: str = "127.0.0.1",
    *,
    is_trusted: bool = True,
    path_length: int = 9,
    not_after: dt.datetime | None = None,
    not_before: dt.datetime | None = None,
) -> Callable[[World], RunResult]:
    """Send to a service with a certificate for `name` from an authority that is trusted or not."""

    def run(world: World) -> RunResult:
        root = trustme.CA(path_length=path_length)
        authority = root if path_length else trustme.CA(parent_cert=root)
        trusted = world.folder / "authorities.pem"
        (root if is_trusted else trustme.CA()).cert_pem.write_to_path(str(trusted))
        world.set_environment(SSL_CERT_FILE=str(trusted))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, not_after=not_after, not_before=not_before).configure_cert(context)
        return world.send_to(world.start_service(lambda _: refusal_with_code(Code.KEY_REUSED), tls=context))

    return run


def https_to_http_port(world: World) -> RunResult:
    return world.send_to(world.start_service(lambda _: doubles.Reply()).replace("http:", "https:"))


def proxy_with_status(status: int) -> Callable[[World], RunResult]:
    def run(world: World) -> RunResult:
        def serve(connection: socket.socket) -> None:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)

        world.set_environment(HTTPS_PROXY=f"http://127.0.0.1:{world.open_port(serve)}")
        return world.send_to(OTHER_HOST)

    return run


# -- how a run ends ----------------------------------------------------------------------------------------


def batch_ends_early(world: World) -> RunResult:
    file = world.write_manifest(*(bad_manifests.good(n) for n in range(3)))
    url = world.start_service(lambda _: html_page(200, "Hotel Wi-Fi"))
    return world.run("send", "--batch", file, "--service", url, "--jobs", "1", "--anyway")


def damaged_ledger(world: World) -> RunResult:
    world.home.mkdir(parents=True)
    (world.home / "ledger.sqlite3").write_bytes(b"this is no database" * 100)
    return world.send_to(world.start_sandbox())


def full_disk(world: World) -> RunResult:
    """Limit the size of files to 4 KiB (8 blocks), so that writing fails as on a full disk."""
    world.set_environment(PYTHONDONTWRITEBYTECODE="1")  # Truncated bytecode files would remain.
    return _run_process(world, world.start_sandbox(), prefix=("sh", "-c", 'ulimit -f 8; exec "$@"', "sh"))


def bug_inside(world: World) -> RunResult:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    world.patch(submission_rules, "check", broken)
    return world.send("--dry-run")


def signal_while_waiting(number: int) -> Callable[[World], RunResult]:
    """Send in a separate process, and signal it while the service processes the request."""

    def run(world: World) -> RunResult:
        started = threading.Event()
        running: list[subprocess.Popen[str]] = []

        def answer(_: ReceivedRequest) -> Reply:
            started.wait(10)
            running[0].send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running[0].wait(20)
            return doubles.Reply(cut=True)

        def remember_process(process: subprocess.Popen[str]) -> None:
            running.append(process)
            started.set()

        return _run_process(world, world.start_service(answer), on_start=remember_process)

    return run


def _run_process(
    world: World,
    url: str,
    *,
    prefix: Sequence[str] = (),
    on_start: Callable[[subprocess.Popen[str]], object] = id,
) -> RunResult:
    command = [*prefix, *lab.docsend_command("send", world.payslip, *SEND, "--service", url, "--json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        on_start(process)
        out, err = process.communicate(timeout=60)
    return RunResult.from_output(process.returncode, out, err)


EVERY_TIME = 99
ONLY_FROM_SERVICE = "only a service reports it"
