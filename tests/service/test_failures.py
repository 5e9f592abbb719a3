"""A failed send is reported with one of a few fixed codes, and ends at once if a retry cannot help."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

import doubles
import samples
from conftest import ABOUT, PERSON, WHO, force_staged_upload
from docsend.storage.ledger import Ledger
from sockets import tcp_server
from terminals import Terminal

SEND = (*ABOUT, *WHO)
HTML = {"Content-Type": "text/html; charset=utf-8", "Server": "Firewall/9\x1b[2J"}


def page(status: int, title: str = "Hotel Wi-Fi") -> doubles.Reply:
    return doubles.Reply(status, f"<html><head><title>\n {title} </title></head></html>".encode(), HTML)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "300")


@pytest.mark.parametrize(
    ("reply", "code", "exit_code"),
    [
        (page(200), "page-instead", 6),
        (page(511), "page-instead", 6),
        (page(404), "page-instead", 6),
        (doubles.Reply(302, headers={"Location": "http://portal.example/"}), "redirected", 6),
        (page(403, "Access denied"), "page-instead", 6),
        (page(413, "413 Request Entity Too Large"), "limit-on-the-way", 5),
    ],
)
def test_a_page_ends_the_run_at_once_with_its_own_code(run, payslip, reply, code, exit_code) -> None:
    began = time.monotonic()
    with doubles.service(lambda _: reply) as (url, requests):
        outcome = run("send", payslip, *SEND, "--service", url, "--json", "-v")
    assert (outcome.code, outcome.problems) == (exit_code, [code])
    assert time.monotonic() - began < 5
    # An intermediary that blocks one exchange may forward staged requests; a captive portal forwards nothing.
    # An intermediary that responds with 403 or 413 may have forwarded it, so the client asks for the key.
    assert len(requests) == {403: 3, 404: 2, 413: 3}.get(reply.status, 1)
    assert f"cause: {code}" in outcome.err
    assert "\x1b" not in outcome.err + outcome.out
    if code != "redirected":
        message = outcome.json["problems"][0]["message"]
        assert re.search(rf'"[^"]+", Firewall/9.*, {reply.status}', message), message


def test_the_502_page_of_a_gateway_is_retried(run, sandbox, payslip) -> None:
    def intercept(request, count, phase):
        return page(502) if (request.method, count, phase) == ("PUT", 1, "before") else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        assert run("send", payslip, *SEND, "--service", url).code == 0


@pytest.mark.parametrize("status", [403, 413])
def test_a_page_in_response_to_a_document_refuses_the_submission(run, sandbox, payslip, status) -> None:
    def intercept(request, _count, phase):
        return page(status) if "/documents/" in request.path and phase == "before" else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
        assert (outcome.code, outcome.json["status"]) == (5, "refused")
        (entry,) = run("receipts", "--json").json["receipts"]
        assert (entry["state"], entry["problem"]) == ("refused", outcome.problems[0])


def test_a_page_without_a_request_id_is_read_after_responses_of_the_service(run, sandbox, payslip) -> None:
    """Nginx forwards small requests, and responds to large ones itself, without their id."""

    def intercept(request, _count, phase):
        is_large = len(request.body) > 600
        return dataclasses.replace(page(413), echoes_id=False) if is_large and phase == "before" else None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.problems) == (5, ["limit-on-the-way"])
    assert outcome.err.count("\n") == 2, "at once, and without a message about another request"
    # One exchange, declare, the document twice, and the question whether it was received.
    assert [request.method for request in requests] == [*["PUT"] * 4, "GET"]


@pytest.mark.parametrize("way", ["in one exchange", "staged"])
@pytest.mark.parametrize("when", ["in this run", "in an earlier run"])
def test_a_page_refuses_nothing_that_may_have_been_received(
    run, sandbox, payslip, monkeypatch, when, way
) -> None:
    """The receipt is lost in transit. A firewall that blocks the next attempt must not make it a refusal."""
    is_forbidden: list[bool] = []

    def intercept(request, _count, phase):
        if is_forbidden:
            return page(403)
        if (way == "in one exchange" or request.path.endswith("/send")) and phase == "after":
            is_forbidden.append(True)
            return doubles.Reply(cut=True)
        return None

    if when == "in an earlier run":
        monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.relay(sandbox.url, intercept) as (url, _):
        if way == "staged":
            force_staged_upload(url)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
        if when == "in an earlier run":
            assert outcome.code == 6
            outcome = run("send", payslip, *SEND, "--service", url, "--json")
        assert (outcome.code, outcome.json["status"], outcome.problems) == (6, "unfinished", ["page-instead"])
        is_forbidden.clear()
        assert sandbox.count() == 1
        assert run("send", payslip, *SEND, "--service", sandbox.url).code == 0


def test_a_page_refuses_nothing_that_another_process_may_have_sent(run, sandbox, payslip, home) -> None:
    def intercept(request, count, phase):
        if (request.method, phase) != ("PUT", "before"):
            return None
        with Ledger(home / "docsend" / "ledger.sqlite3") as other:  # another process sends the same
            (entry,) = other.unfinished()
            other.record_sending(entry.service, entry.key, is_durable=True)
        return page(403)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.problems) == (6, ["page-instead"])
    assert run("receipts", "--json").json["receipts"][0]["state"] == "sending"


def test_a_page_refuses_nothing_if_an_earlier_declaration_may_have_arrived(run, sandbox, payslip) -> None:
    def intercept(request, count, phase):
        if request.method != "PUT" or count > 1:
            return page(403) if phase == "before" else None
        return doubles.Reply(cut=True) if phase == "after" else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.problems) == (6, ["page-instead"])


def test_an_unknown_host_name_is_looked_up_twice(run, payslip, monkeypatch) -> None:
    lookups: list[str] = []
    resolve = socket.getaddrinfo

    def fail(host: str, *rest: Any, **more: Any) -> object:
        if host != "documents.example":
            return resolve(host, *rest, **more)
        lookups.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    began = time.monotonic()
    outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert (outcome.code, outcome.problems) == (6, ["name-unknown"])
    assert len(lookups) == 2
    assert time.monotonic() - began < 5


# -- batches -----------------------------------------------------------------------------------------------


def write_batch(folder, rows: int):
    lines = ["to,subject,category,type,id,reference,documents"]
    for n in range(rows):
        samples.write(folder, f"payslip-{n}.pdf", samples.pdf(n))
        lines.append(f"benefits,unemployment,employer,payslips,{PERSON},{n},payslip-{n}.pdf")
    return samples.write(folder, "batch.csv", "\n".join(lines).encode())


def test_a_failure_that_affects_all_rows_ends_a_batch_at_once(run, tmp_path) -> None:
    file = write_batch(tmp_path, 200)
    with doubles.service(lambda _: page(200)) as (url, requests):
        outcome = run("send", "--batch", file, "--service", url, "--jobs", "4", "--json")
    rows = outcome.rows
    assert outcome.code == 7
    assert len(requests) < 12
    assert {row["status"] for row in rows} == {"unfinished"}
    assert {problem["code"] for row in rows for problem in row["problems"]} == {"page-instead", "not-tried"}


# -- waiting -----------------------------------------------------------------------------------------------


def test_a_long_wait_is_reported_in_a_few_lines(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "5")
    with doubles.service(lambda _: doubles.Reply(503)) as (url, requests):
        outcome = run("send", payslip, *SEND, "--service", url)
    lines = [line for line in outcome.err.splitlines() if "retrying" in line]
    assert len(requests) > 3
    assert len(lines) == 1, "one line, and another one only after twenty seconds"
    assert re.fullmatch(r"the service answered 503; retrying in \d+ s \(giving up in \d s\)", lines[0])


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
@pytest.mark.parametrize("what", ["a submission", "a batch"])
def test_a_terminal_counts_down_with_the_reason(payslip, tmp_path, monkeypatch, what) -> None:
    words = ["send", str(payslip), *SEND]
    if what == "a batch":
        words = ["send", "--batch", str(write_batch(tmp_path, 2))]
    busy = doubles.Reply(503, headers={"Retry-After": "5"})
    with doubles.service(lambda _: busy) as (url, _):
        terminal = Terminal(*words, "--no-input", "--service", url)
        seen = terminal.read_until("the service answered 503; retrying in 5 s (giving up in 5 min)")
        assert "retrying in 5 s" in seen, seen
        seen = terminal.read_until("retrying in 3 s")
        assert seen.count("retrying") == 1, seen
        terminal.type("\x03")
        assert terminal.finish() == 130


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_batch_that_is_stopped_does_not_wait_for_a_service_that_never_answers(tmp_path) -> None:
    file = write_batch(tmp_path, 20)
    received: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        received.append(connection.recv(65536))
        time.sleep(40)

    with tcp_server(serve) as port:
        command = [sys.executable, "-m", "docsend", "send", "--batch", str(file), "--jobs", "4"]
        with subprocess.Popen(
            [*command, "--service", f"http://127.0.0.1:{port}"], stderr=subprocess.PIPE, env=os.environ
        ) as process:
            deadline = time.monotonic() + 20
            while len(received) < 4 and time.monotonic() < deadline:
                time.sleep(0.05)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
    assert (process.returncode, time.monotonic() - began < 15) == (130, True), err
    assert b"Traceback" not in err
