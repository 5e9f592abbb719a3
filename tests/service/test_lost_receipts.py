"""Whose the receipt of one exchange is, whoever answers in the service's place."""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import doubles
import samples
from conftest import ABOUT, WHO, force_staged_upload
from doubles import kind
from middleboxes import STAGED, page, refusing, ways

if TYPE_CHECKING:
    from collections.abc import Callable

SEND = (*ABOUT, *WHO)


@pytest.mark.parametrize("way", ["in one exchange", "staged"])
def test_a_receipt_that_somebody_else_got_is_a_repeated_one(run, sandbox, payslip, home, way) -> None:
    first = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    (home / "docsend" / "ledger.sqlite3").unlink()  # as on another machine
    if way == "staged":
        force_staged_upload(sandbox.url)
    again = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    assert (again["repeated"], again["receipt"]) == (True, first["receipt"])


@pytest.mark.parametrize("then", ["in one exchange", "staged"])
@pytest.mark.parametrize("when", ["in this run", "in an earlier run"])
def test_a_receipt_that_was_lost_on_its_way_is_the_sender_s_own(
    run, sandbox, payslip, monkeypatch, when, then
) -> None:
    lost = iter([doubles.Reply(cut=True)] * (2 if then == "staged" else 1))

    def fate(asked, _count, now):
        return next(lost, None) if kind(asked) == "whole" and now == "after" else None

    with doubles.relay(sandbox.url, fate) as (url, asked):
        if when == "in an earlier run":
            monkeypatch.setenv("DOCSEND_PATIENCE", "0")
            first = run("send", payslip, *SEND, "--service", url)
            assert first.code == 6
            assert run("receipts", "--json").json["receipts"][0]["state"] == "sending"
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["repeated"]) == (0, False)
    assert ("declare" in ways(asked)) == (then == "staged" or when == "in an earlier run")
    assert sandbox.count() == 1


def test_again_sends_once_more_what_somebody_else_had_sent(run, sandbox, payslip, home) -> None:
    first = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    (home / "docsend" / "ledger.sqlite3").unlink()
    again = run("send", payslip, *SEND, "--service", sandbox.url, "--again", "--json").json
    assert (again["repeated"], again["key"] == first["key"], sandbox.count()) == (False, False, 2)


def test_once_more_that_breaks_off_names_the_sending_that_is_on_its_way(
    run, sandbox, payslip, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    first = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json

    is_cut: list[bool] = []

    def fate(asked, _count, now):
        return doubles.Reply(cut=True) if now == "after" and is_cut else None

    with doubles.relay(sandbox.url, fate) as (url, _):
        assert run("send", payslip, *SEND, "--service", url).code == 0
        is_cut.append(True)
        broken = run("send", payslip, *SEND, "--service", url, "--again", "--json")
        (kept,) = [each for each in run("receipts", "--json").json["receipts"] if each["state"] != "received"]
    assert (broken.code, broken.json["status"], broken.json["occurrence"]) == (
        6,
        "unfinished",
        kept["occurrence"],
    )
    assert (broken.json["key"], broken.json["key"] == first["key"]) == (kept["key"], False)


def test_a_dead_service_leaves_nothing_that_looks_as_if_it_was_sent(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    assert run("send", payslip, *SEND, "--service", "http://127.0.0.1:9").code == 6
    assert run("receipts", "--json").json["receipts"][0]["state"] == "planned"


def test_a_personal_submission_is_on_the_disk_as_sending_before_it_leaves(
    run, sandbox, payslip, tmp_path, home, monkeypatch
) -> None:
    """Killed after the receipt, the next run must not refuse it for the requirement that it has met."""
    password = samples.write(tmp_path, "password", b"fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    states: list[str] = []

    def fate(asked, _count, now):
        if kind(asked) == "whole" and now == "before":
            with sqlite3.connect(home / "docsend" / "ledger.sqlite3") as ledger:
                states.extend(ledger.execute("SELECT state FROM submission").fetchone())
            ledger.close()

    with doubles.relay(sandbox.url, fate) as (url, asked):
        upload = ("required", "upload", "R-4711", payslip, "--service", url, "--json")
        outcome = run(*upload)
        assert (outcome.code, states) == (0, ["sending"])
        ledger = sqlite3.connect(home / "docsend" / "ledger.sqlite3")
        with ledger:  # as a kill before the receipt was kept leaves it
            ledger.execute("DROP TRIGGER final_states_never_change")
            ledger.execute("UPDATE submission SET state = 'sending', receipt = NULL")
        ledger.close()
        ways(asked)
        again = run(*upload)
    assert (again.code, again.json["repeated"], again.json["receipt"]) == (0, False, outcome.json["receipt"])
    assert sandbox.count() == 1


def test_a_token_that_has_run_out_is_renewed_and_the_same_bytes_are_sent(
    run, sandbox, payslip, tmp_path, monkeypatch
) -> None:
    password = samples.write(tmp_path, "password", b"fictional-clear\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1002")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    refused = refusing(doubles.problem(401, "sign-in-needed"), times=1)
    with doubles.relay(sandbox.url, refused) as (url, asked):
        outcome = run("send", payslip, "--to", "personal", *ABOUT[2:], "--service", url, "--json")
    assert outcome.code == 0, outcome.err
    first, second = [request for request in asked if kind(request) == "whole"]
    assert first.body == second.body
    assert first.headers["authorization"] != second.headers["authorization"]


def test_kill_9_in_the_middle_of_one_exchange_and_the_same_command_make_one_submission(
    run, sandbox, payslip, home
) -> None:
    for moment in ("before", "after"):
        reached, go_on = threading.Event(), threading.Event()

        def fate(asked, _count, now, moment=moment, reached=reached, go_on=go_on):
            if kind(asked) == "whole" and now == moment and not reached.is_set():
                reached.set()
                go_on.wait(20)

        about = (*SEND, "--reference", moment)
        with doubles.relay(sandbox.url, fate) as (url, _):
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

    def fate(asked, _count, now):
        return doubles.Reply(503) if kind(asked) == "whole" and now == moment else None

    with doubles.relay(sandbox.url, fate) as (url, _):
        begun = run("send", payslip, *SEND, "--service", url, "--json")
        assert begun.code == 6
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


def test_two_clients_with_one_key_one_staged_and_one_whole_make_one_receipt(
    run, spawn, sandbox, payslip, tmp_path
) -> None:
    """The staged one has declared and put when the other sends all of it at once."""

    def fate(asked, count, now):
        if kind(asked) == "send" and count == 1 and now == "before":
            other = spawn(
                "send", payslip, *SEND, "--service", sandbox.url, env={"DOCSEND_HOME": str(tmp_path)}
            )
            assert other.code == 0, other.err

    with doubles.relay(sandbox.url, fate) as (url, asked):
        force_staged_upload(url)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, ways(asked), sandbox.count()) == (0, STAGED, 1)


def test_a_stop_lets_one_exchange_that_has_left_bring_its_receipt(sandbox, payslip, run) -> None:
    reached = threading.Event()

    def fate(asked, _count, now):
        if kind(asked) == "whole" and now == "before":
            reached.set()
            time.sleep(1)

    manifest = payslip.with_name("batch.csv")
    manifest.write_text(f"files\n{payslip.name}\n")
    with doubles.relay(sandbox.url, fate) as (url, _):
        command = [sys.executable, "-m", "docsend", "send", "--batch", str(manifest), *SEND, "--service", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            assert reached.wait(20)
            client.terminate()
            client.communicate(timeout=20)
        assert client.returncode == 143
    assert run("receipts", "--json").json["receipts"][0]["state"] == "received"


LIES = {
    "a page of 524": page(524),
    "a page of 403": page(403),
    "a text of 403": doubles.Reply(403, b"no", {"Content-Type": "text/plain"}),
    "a text of 404": doubles.Reply(404, b"no", {"Content-Type": "text/plain"}),
    "JSON of 404": doubles.json_reply(404, {"message": "no"}),
    "a text of 501": doubles.Reply(501, b"no", {"Content-Type": "text/plain"}),
    "a captive page": page(200),
    "a redirect": doubles.Reply(302, b"", {"Location": "https://elsewhere.example/"}),
}


def lying(reply: doubles.Reply, calls: Callable[[doubles.Asked, int], bool]) -> Callable[..., Any]:
    """A fate: the service acts on some calls, and its answer is replaced by another one."""
    closing = dataclasses.replace(reply, headers={**reply.headers, "Connection": "close"}, echoes=False)

    def fate(asked: doubles.Asked, count: int, now: str) -> doubles.Reply | None:
        return closing if now == "after" and calls(asked, count) else None

    return fate


def first_whole(asked: doubles.Asked, count: int) -> bool:
    return kind(asked) == "whole" and count == 1


@pytest.mark.parametrize("reply", LIES.values(), ids=LIES)
def test_a_receipt_behind_a_foreign_answer_is_the_sender_s_own(
    run, sandbox, payslip, monkeypatch, reply
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "5")
    with doubles.relay(sandbox.url, lying(reply, first_whole)) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--json")
        if sent.code == 6:  # a redirect or a captive page ends a run
            sent = run("send", payslip, *SEND, "--service", url, "--json")
    assert (sent.code, sent.json["status"], sent.json["repeated"]) == (0, "received", False)
    assert sandbox.count() == 1


@pytest.mark.parametrize("reply", LIES.values(), ids=LIES)
def test_again_sends_once_also_where_a_foreign_answer_hid_the_receipt(
    run, sandbox, payslip, monkeypatch, reply
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "5")
    with doubles.relay(sandbox.url, lying(reply, first_whole)) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--again", "--json")
    assert sent.code in (0, 6)
    assert sandbox.count() == 1


def test_nothing_is_called_refused_that_a_filter_of_answers_may_hide(run, sandbox, payslip) -> None:
    def whatever(asked: doubles.Asked, _count: int) -> bool:
        return asked.method != "GET"

    with doubles.relay(sandbox.url, lying(page(403), whatever)) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--json")
        assert (sent.code, sent.json["status"]) == (6, "unfinished")
        assert sandbox.count() == 1
        again = run("receipts", "resume", "--json", "--service", url)
    assert again.json["receipts"][0]["state"] == "received"


def test_what_a_firewall_forbids_and_the_service_does_not_know_is_refused(run, sandbox, payslip) -> None:
    def fate(asked: doubles.Asked, _count: int, now: str) -> doubles.Reply | None:
        return page(403) if asked.method == "PUT" and now == "before" else None

    with doubles.relay(sandbox.url, fate) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--json")
    assert (sent.code, sent.json["status"], sent.problems) == (5, "refused", ["page-instead"])


def test_a_required_document_behind_a_foreign_answer_is_not_lost_to_its_sender(
    run, sandbox, payslip, monkeypatch, tmp_path
) -> None:
    password = tmp_path / "password"
    password.write_text("fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))

    def twice(asked: doubles.Asked, count: int) -> bool:
        return kind(asked) == "whole" and count <= 2  # over the connection of the sign-in, and over a new one

    with doubles.relay(sandbox.url, lying(page(200), twice)) as (url, _):
        first = run("required", "upload", "R-4711", payslip, "--service", url, "--json")
        then = run("required", "upload", "R-4711", payslip, "--service", url, "--json")
    assert (first.code, then.code, then.json["status"]) == (6, 0, "received")
    assert sandbox.count() == 1
