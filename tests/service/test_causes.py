"""Why a send came to nothing is told by a few fixed codes; what cannot get better by itself ends at once."""

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
from sockets import serve_connections
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
def test_what_a_page_says_ends_it_at_once_with_its_own_cause(run, payslip, reply, code, exit_code) -> None:
    began = time.monotonic()
    with doubles.service(lambda _: reply) as (url, asked):
        outcome = run("send", payslip, *SEND, "--service", url, "--json", "-v")
    assert (outcome.code, outcome.problems) == (exit_code, [code])
    assert time.monotonic() - began < 5
    # Who does not let one exchange pass may let the staged requests pass; a captive page lets nothing. Who
    # says 403 may have passed it on all the same: the service is asked.
    assert len(asked) == {403: 3, 404: 2, 413: 2}.get(reply.status, 1)
    assert f"cause: {code}" in outcome.err
    assert "\x1b" not in outcome.err + outcome.out
    if code != "redirected":
        message = outcome.json["problems"][0]["message"]
        assert re.search(rf'"[^"]+", Firewall/9.*, {reply.status}', message), message


def test_a_page_of_a_gateway_whose_service_is_down_is_tried_again(run, sandbox, payslip) -> None:
    def fate(asked, count, now):
        return page(502) if (asked.method, count, now) == ("PUT", 1, "before") else None

    with doubles.relay(sandbox.url, fate) as (url, _):
        assert run("send", payslip, *SEND, "--service", url).code == 0


@pytest.mark.parametrize("status", [403, 413])
def test_a_page_to_a_document_refuses_what_was_never_sent(run, sandbox, payslip, status) -> None:
    def fate(asked, _count, now):
        return page(status) if "/documents/" in asked.path and now == "before" else None

    with doubles.relay(sandbox.url, fate) as (url, _):
        force_staged_upload(url)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
        assert (outcome.code, outcome.json["status"]) == (5, "refused")
        (entry,) = run("receipts", "--json").json["receipts"]
        assert (entry["state"], entry["problem"]) == ("refused", outcome.problems[0])


def test_a_page_of_who_stands_before_the_service_is_read_also_after_the_service_has_answered(
    run, sandbox, payslip
) -> None:
    """As nginx has it: it passes small requests on, and answers large ones itself, with no id."""

    def fate(asked, _count, now):
        is_large = len(asked.body) > 600
        return dataclasses.replace(page(413), echoes=False) if is_large and now == "before" else None

    with doubles.relay(sandbox.url, fate) as (url, asked):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.problems) == (5, ["limit-on-the-way"])
    assert outcome.err.count("\n") == 2, "at once, and nothing of another request"
    assert [request.method for request in asked] == ["PUT"] * 4  # whole, declared, and the document twice


@pytest.mark.parametrize("way", ["in one exchange", "staged"])
@pytest.mark.parametrize("when", ["in this run", "in an earlier run"])
def test_a_page_refuses_nothing_that_may_have_been_received(
    run, sandbox, payslip, monkeypatch, when, way
) -> None:
    """The receipt was lost on its way; a firewall that forbids the next try must not make it a refusal."""
    is_forbidden: list[bool] = []

    def fate(asked, _count, now):
        if is_forbidden:
            return page(403)
        if (way == "in one exchange" or asked.path.endswith("/send")) and now == "after":
            is_forbidden.append(True)
            return doubles.Reply(cut=True)
        return None

    if when == "in an earlier run":
        monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.relay(sandbox.url, fate) as (url, _):
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


def test_a_page_refuses_nothing_that_another_process_asked_the_receipt_of(
    run, sandbox, payslip, home
) -> None:
    def fate(asked, count, now):
        if (asked.method, now) != ("PUT", "before"):
            return None
        with Ledger(home / "docsend" / "ledger.sqlite3") as other:  # somebody else sends the same meanwhile
            (entry,) = other.unfinished()
            other.record_sending(entry.service, entry.key, is_durable=True)
        return page(403)

    with doubles.relay(sandbox.url, fate) as (url, _):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.problems) == (6, ["page-instead"])
    assert run("receipts", "--json").json["receipts"][0]["state"] == "sending"


def test_a_page_refuses_nothing_if_a_declaration_before_it_may_have_arrived(run, sandbox, payslip) -> None:
    def fate(asked, count, now):
        if asked.method != "PUT" or count > 1:
            return page(403) if now == "before" else None
        return doubles.Reply(cut=True) if now == "after" else None

    with doubles.relay(sandbox.url, fate) as (url, _):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.problems) == (6, ["page-instead"])


def test_a_name_that_nobody_knows_is_looked_up_twice(run, payslip, monkeypatch) -> None:
    looked: list[str] = []
    resolve = socket.getaddrinfo

    def nobody(host: str, *rest: Any, **more: Any) -> object:
        if host != "documents.example":
            return resolve(host, *rest, **more)
        looked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    began = time.monotonic()
    outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert (outcome.code, outcome.problems) == (6, ["name-unknown"])
    assert len(looked) == 2
    assert time.monotonic() - began < 5


# -- a batch -----------------------------------------------------------------------------------------------


def a_batch(folder, rows: int):
    lines = ["to,subject,category,type,id,reference,documents"]
    samples.write(folder, "payslip.pdf", samples.pdf(1))
    lines += [f"benefits,unemployment,employer,payslips,{PERSON},{n},payslip.pdf" for n in range(rows)]
    return samples.write(folder, "batch.csv", "\n".join(lines).encode())


def test_what_no_other_row_would_survive_ends_a_batch_at_once(run, tmp_path) -> None:
    file = a_batch(tmp_path, 200)
    with doubles.service(lambda _: page(200)) as (url, asked):
        outcome = run("send", "--batch", file, "--service", url, "--jobs", "4", "--json")
    rows = outcome.rows
    assert outcome.code == 7
    assert len(asked) < 12
    assert {row["status"] for row in rows} == {"unfinished"}
    assert {problem["code"] for row in rows for problem in row["problems"]} == {"page-instead", "not-tried"}


# -- patience ----------------------------------------------------------------------------------------------


def test_a_long_wait_is_told_in_a_few_lines(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "5")
    with doubles.service(lambda _: doubles.Reply(503)) as (url, asked):
        outcome = run("send", payslip, *SEND, "--service", url)
    told = [line for line in outcome.err.splitlines() if "trying again" in line]
    assert len(asked) > 3
    assert len(told) == 1, "one line, and another one only every twenty seconds"
    assert re.fullmatch(r"the service answered 503; trying again in \d+ s, for \d s more", told[0])


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
@pytest.mark.parametrize("what", ["a submission", "a batch"])
def test_a_terminal_counts_down_with_the_reason(payslip, tmp_path, monkeypatch, what) -> None:
    words = ["send", str(payslip), *SEND]
    if what == "a batch":
        words = ["send", "--batch", str(a_batch(tmp_path, 2))]
    busy = doubles.Reply(503, headers={"Retry-After": "5"})
    with doubles.service(lambda _: busy) as (url, _):
        terminal = Terminal(*words, "--no-input", "--service", url)
        seen = terminal.read_until("the service answered 503; trying again in 5 s, for 5 min more")
        assert "trying again in 5 s" in seen, seen
        seen = terminal.read_until("trying again in 3 s")
        assert seen.count("trying again") == 1, seen
        terminal.type("\x03")
        assert terminal.finish() == 130


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_batch_that_is_stopped_does_not_wait_for_a_service_that_never_answers(tmp_path) -> None:
    file = a_batch(tmp_path, 20)
    heard: list[bytes] = []

    def serve(near: socket.socket) -> None:
        heard.append(near.recv(65536))
        time.sleep(40)

    with serve_connections(serve) as port:
        command = [sys.executable, "-m", "docsend", "send", "--batch", str(file), "--jobs", "4"]
        with subprocess.Popen(
            [*command, "--service", f"http://127.0.0.1:{port}"], stderr=subprocess.PIPE, env=os.environ
        ) as process:
            deadline = time.monotonic() + 20
            while len(heard) < 4 and time.monotonic() < deadline:
                time.sleep(0.05)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
    assert (process.returncode, time.monotonic() - began < 15) == (130, True), err
    assert b"Traceback" not in err
