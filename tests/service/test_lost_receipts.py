"""A lost receipt of one exchange is recovered, whatever an intermediary returns in place of the service."""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import damaged_ledgers
import doubles
import samples
from conftest import ABOUT, WHO, force_staged_upload
from doubles import call_name
from middleboxes import STAGED, page, refuse_one_exchange, take_calls

if TYPE_CHECKING:
    from collections.abc import Callable

SEND = (*ABOUT, *WHO)


@pytest.mark.parametrize("way", ["in one exchange", "staged"])
def test_the_receipt_of_another_sender_is_reported_as_repeated(run, sandbox, payslip, home, way) -> None:
    first = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    (home / "docsend" / "ledger.sqlite3").unlink()  # like another machine
    if way == "staged":
        force_staged_upload(sandbox.url)
    again = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    assert (again["repeated"], again["receipt"]) == (True, first["receipt"])


@pytest.mark.parametrize("then", ["in one exchange", "staged"])
@pytest.mark.parametrize("when", ["in this run", "in an earlier run"])
def test_a_receipt_that_was_lost_in_transit_belongs_to_the_sender(
    run, sandbox, payslip, monkeypatch, when, then
) -> None:
    lost = iter([doubles.Reply(cut=True)] * (2 if then == "staged" else 1))

    def intercept(request, _count, phase):
        return next(lost, None) if call_name(request) == "submit" and phase == "after" else None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        if when == "in an earlier run":
            monkeypatch.setenv("DOCSEND_PATIENCE", "0")
            first = run("send", payslip, *SEND, "--service", url)
            assert first.code == 6
            assert run("receipts", "--json").json["receipts"][0]["state"] == "sending"
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["repeated"]) == (0, False)
    assert ("declare" in take_calls(requests)) == (then == "staged" or when == "in an earlier run")
    assert sandbox.count() == 1


def test_an_interrupted_occurrence_reports_its_own_key_and_number(run, sandbox, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    first = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json

    is_cut: list[bool] = []

    def intercept(request, _count, phase):
        return doubles.Reply(cut=True) if phase == "after" and is_cut else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        assert run("send", payslip, *SEND, "--service", url).code == 0
        is_cut.append(True)
        broken = run("send", payslip, *SEND, "--service", url, "--occurrence", "2", "--json")
        (entry,) = [
            item for item in run("receipts", "--json").json["receipts"] if item["state"] != "received"
        ]
    assert (broken.code, broken.json["status"], broken.json["occurrence"]) == (
        6,
        "unfinished",
        entry["occurrence"],
    )
    assert (broken.json["key"], broken.json["key"] == first["key"]) == (entry["key"], False)


def test_an_unreachable_service_leaves_the_submission_planned(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    assert run("send", payslip, *SEND, "--service", "http://127.0.0.1:9").code == 6
    assert run("receipts", "--json").json["receipts"][0]["state"] == "planned"


def test_a_personal_submission_is_recorded_as_sending_before_it_is_sent(
    run, sandbox, payslip, tmp_path, home, monkeypatch
) -> None:
    """After a kill, the next run must not refuse the submission because its requirement is already met."""
    password = samples.write(tmp_path, "password", b"fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    states: list[str] = []

    def intercept(request, _count, phase):
        if call_name(request) == "submit" and phase == "before":
            with sqlite3.connect(home / "docsend" / "ledger.sqlite3") as ledger:
                states.extend(ledger.execute("SELECT state FROM submission").fetchone())
            ledger.close()

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        upload = ("required", "upload", "R-4711", payslip, "--service", url, "--json")
        outcome = run(*upload)
        assert (outcome.code, states) == (0, ["sending"])
        # The state after a kill before the receipt was stored.
        damaged_ledgers.change_rows(home / "docsend" / "ledger.sqlite3", state="sending", receipt=None)
        take_calls(requests)
        again = run(*upload)
    assert (again.code, again.json["repeated"], again.json["receipt"]) == (0, False, outcome.json["receipt"])
    assert sandbox.count() == 1


def test_an_expired_token_is_renewed_and_the_same_bytes_are_sent(
    run, sandbox, payslip, tmp_path, monkeypatch
) -> None:
    password = samples.write(tmp_path, "password", b"fictional-clear\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1002")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    refused = refuse_one_exchange(doubles.problem(401, "sign-in-needed"), times=1)
    with doubles.relay(sandbox.url, refused) as (url, requests):
        outcome = run("send", payslip, "--to", "personal", *ABOUT[2:], "--service", url, "--json")
    assert outcome.code == 0, outcome.err
    first, second = [request for request in requests if call_name(request) == "submit"]
    assert first.body == second.body
    assert first.headers["authorization"] != second.headers["authorization"]


def test_the_same_command_after_kill_9_during_one_exchange_makes_one_submission(
    run, sandbox, payslip, home
) -> None:
    for moment in ("before", "after"):
        reached, go_on = threading.Event(), threading.Event()

        def intercept(request, _count, phase, moment=moment, reached=reached, go_on=go_on):
            if call_name(request) == "submit" and phase == moment and not reached.is_set():
                reached.set()
                go_on.wait(20)

        about = (*SEND, "--reference", moment)
        with doubles.relay(sandbox.url, intercept) as (url, _):
            command = [sys.executable, "-m", "docsend", "send", str(payslip), *about, "--service", url]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
                assert reached.wait(20)
                client.kill()
                client.communicate()
            go_on.set()
            outcome = run("send", payslip, *about, "--service", url, "--json")
            assert (outcome.code, outcome.json["repeated"]) == (0, False)
    assert sandbox.count() == 2


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_resume_finishes_one_exchange_that_arrived_and_names_the_command_for_one_that_did_not(
    run, sandbox, payslip, monkeypatch, moment
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    def intercept(request, _count, phase):
        return doubles.Reply(503) if call_name(request) == "submit" and phase == moment else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        interrupted = run("send", payslip, *SEND, "--service", url, "--json")
        assert interrupted.code == 6
        resumed = run("receipts", "resume", "--json")
        (entry,) = resumed.json["receipts"]
        if moment == "after":
            assert (resumed.code, entry["state"]) == (0, "received")
        else:
            assert (resumed.code, entry["state"]) == (6, "sending")
            assert "docsend send" in entry["problems"][0]["hint"]
        again = run("send", payslip, *SEND, "--service", url, "--json")
        assert again.code == 0
    assert sandbox.count() == 1


def test_two_clients_with_one_key_one_staged_and_one_in_one_exchange_make_one_receipt(
    run, spawn, sandbox, payslip, tmp_path
) -> None:
    """The staged client has declared and put its document when the other sends it in one exchange."""

    def intercept(request, count, phase):
        if call_name(request) == "send" and count == 1 and phase == "before":
            other = spawn(
                "send", payslip, *SEND, "--service", sandbox.url, env={"DOCSEND_HOME": str(tmp_path)}
            )
            assert other.code == 0, other.err

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        force_staged_upload(url)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, take_calls(requests), sandbox.count()) == (0, STAGED, 1)


def test_a_stopped_batch_waits_for_the_receipt_of_one_exchange_that_was_sent(sandbox, payslip, run) -> None:
    reached = threading.Event()

    def intercept(request, _count, phase):
        if call_name(request) == "submit" and phase == "before":
            reached.set()
            time.sleep(1)

    manifest = payslip.with_name("batch.csv")
    manifest.write_text(f"files\n{payslip.name}\n")
    with doubles.relay(sandbox.url, intercept) as (url, _):
        command = [sys.executable, "-m", "docsend", "send", "--batch", str(manifest), *SEND, "--service", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            assert reached.wait(20)
            client.terminate()
            client.communicate(timeout=20)
        assert client.returncode == 143
    assert run("receipts", "--json").json["receipts"][0]["state"] == "received"


FOREIGN_RESPONSES = {
    "a page of 524": page(524),
    "a page of 403": page(403),
    "a text of 403": doubles.Reply(403, b"no", {"Content-Type": "text/plain"}),
    "a text of 404": doubles.Reply(404, b"no", {"Content-Type": "text/plain"}),
    "JSON of 404": doubles.json_reply(404, {"message": "no"}),
    "a text of 501": doubles.Reply(501, b"no", {"Content-Type": "text/plain"}),
    "a captive page": page(200),
    "a redirect": doubles.Reply(302, b"", {"Location": "https://elsewhere.example/"}),
}


def replace_response(
    reply: doubles.Reply, calls: Callable[[doubles.ReceivedRequest, int], bool]
) -> Callable[..., Any]:
    """Return an interceptor that lets the service act on some calls and replaces its response."""
    closing = dataclasses.replace(reply, headers={**reply.headers, "Connection": "close"}, echoes_id=False)

    def intercept(request: doubles.ReceivedRequest, count: int, phase: str) -> doubles.Reply | None:
        return closing if phase == "after" and calls(request, count) else None

    return intercept


def is_first_exchange(request: doubles.ReceivedRequest, count: int) -> bool:
    return call_name(request) == "submit" and count == 1


@pytest.mark.parametrize("reply", FOREIGN_RESPONSES.values(), ids=FOREIGN_RESPONSES)
def test_a_receipt_hidden_by_an_intermediary_belongs_to_the_sender(
    run, sandbox, payslip, monkeypatch, reply
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "5")
    with doubles.relay(sandbox.url, replace_response(reply, is_first_exchange)) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--json")
        if sent.code == 6:  # a redirect or the page of a captive portal ends a run
            sent = run("send", payslip, *SEND, "--service", url, "--json")
    assert (sent.code, sent.json["status"], sent.json["repeated"]) == (0, "received", False)
    assert sandbox.count() == 1


def test_nothing_is_reported_as_refused_if_a_filter_may_hide_its_receipt(run, sandbox, payslip) -> None:
    def changes_something(request: doubles.ReceivedRequest, _count: int) -> bool:
        return request.method != "GET"

    with doubles.relay(sandbox.url, replace_response(page(403), changes_something)) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--json")
        assert (sent.code, sent.json["status"]) == (6, "unfinished")
        assert sandbox.count() == 1
        again = run("receipts", "resume", "--json", "--service", url)
    assert again.json["receipts"][0]["state"] == "received"


def test_a_submission_that_a_firewall_blocks_and_the_service_does_not_know_is_refused(
    run, sandbox, payslip
) -> None:
    def intercept(request: doubles.ReceivedRequest, _count: int, phase: str) -> doubles.Reply | None:
        return page(403) if request.method == "PUT" and phase == "before" else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--json")
    assert (sent.code, sent.json["status"], sent.problems) == (5, "refused", ["page-instead"])


def test_the_receipt_of_a_required_document_hidden_by_an_intermediary_is_recovered(
    run, sandbox, payslip, monkeypatch, tmp_path
) -> None:
    password = tmp_path / "password"
    password.write_text("fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))

    def is_one_of_first_two(request: doubles.ReceivedRequest, count: int) -> bool:
        return (
            call_name(request) == "submit" and count <= 2
        )  # over the connection of the sign-in and over a new one

    with doubles.relay(sandbox.url, replace_response(page(200), is_one_of_first_two)) as (url, _):
        first = run("required", "upload", "R-4711", payslip, "--service", url, "--json")
        then = run("required", "upload", "R-4711", payslip, "--service", url, "--json")
    assert (first.code, then.code, then.json["status"]) == (6, 0, "received")
    assert sandbox.count() == 1
