"""`receipts resume` finishes unfinished submissions without their options and identity."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest

import doubles
import samples
from conftest import ABOUT, WHO, force_staged_upload
from docsend.service.retry import CircuitBreaker
from terminals import Terminal

SEND = (*ABOUT, *WHO)


@dataclass
class Busy:
    """A intercept for a relay: while it is on, the service is busy for one call, before or after it acts."""

    call: str
    moment: str
    on: bool = True

    def __call__(self, request: doubles.ReceivedRequest, _count: int, phase: str) -> doubles.Reply | None:
        kind = (
            "put"
            if "/documents/" in request.path
            else "send"
            if request.path.endswith("/send")
            else "declare"
        )
        busy = doubles.Reply(503, headers={"Retry-After": "999"})
        return busy if (kind, phase) == (self.call, self.moment) and self.on else None


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["put", "send"])
def test_a_declared_submission_is_finished_without_its_options(run, sandbox, payslip, call, moment) -> None:
    intercept = Busy(call, moment)
    with doubles.relay(sandbox.url, intercept) as (url, requests):
        force_staged_upload(url)
        interrupted = run("send", payslip, *SEND, "--service", url, "--json")
        assert interrupted.code == 6
        intercept.on = False
        (resumed,) = run("receipts", "resume", "--json").json["receipts"]
        assert (resumed["key"], resumed["state"], resumed["problems"]) == (
            interrupted.json["key"],
            "received",
            [],
        )
        requests.clear()
        again = run("send", payslip, *SEND, "--service", url, "--json")
        assert (again.code, again.json["repeated"], requests) == (0, True, [])
        assert again.json["receipt"] == resumed["receipt"]
        nothing = run("receipts", "resume")
        assert (nothing.code, nothing.out, requests) == (0, "", [])
        assert "no unfinished submissions" in nothing.err
    assert sandbox.count() == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_submission_unknown_to_the_service_is_reported_with_the_command_that_sends_it(
    run, sandbox, tmp_path, moment
) -> None:
    file = samples.write(tmp_path, "pay slip's.pdf", samples.pdf(3))
    intercept = Busy("declare", moment)
    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        assert run("send", file, *SEND, "--service", url, "--reference", "client 7").code == 6
        intercept.on = False
        outcome = run("receipts", "resume")
        if moment == "after":  # the service had received the declaration
            assert outcome.code == 0
            return
        assert outcome.code == 6
        assert "the service does not know this submission" in outcome.err
        line = next(line for line in outcome.err.splitlines() if "docsend send" in line)
        command = shlex.split(line.split(": ", 1)[1].replace("…", WHO[1]))
        assert command[:3] == ["docsend", "send", str(file)]
        assert WHO[1] not in outcome.err
        assert run(*command[1:]).code == 0
        assert run("receipts", "resume").code == 0
    assert sandbox.count() == 1


def test_the_suggested_command_includes_the_occurrence(run, sandbox, payslip) -> None:
    intercept = Busy("declare", "before")
    with doubles.relay(sandbox.url, intercept) as (url, _):
        intercept.on = False
        for number in ("1", "2"):
            assert run("send", payslip, *SEND, "--service", url, "--occurrence", number).code == 0
        intercept.on = True
        force_staged_upload(url)
        left = run("send", payslip, *SEND, "--service", url, "--occurrence", "3", "--json")
        assert left.code == 6
        intercept.on = False
        err = run("receipts", "resume").err
        line = next(line for line in err.splitlines() if "docsend send" in line)
        command = shlex.split(line.split(": ", 1)[1].replace("…", WHO[1]))
        sent = run(*command[1:], "--json")
        assert (sent.code, sent.json["key"], sent.json["occurrence"]) == (0, left.json["key"], 3)
        assert run("receipts", "resume").code == 0
    assert sandbox.count() == 3


def test_a_document_that_has_changed_is_not_sent_by_resume(run, sandbox, payslip) -> None:
    intercept = Busy("put", "before")
    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        key = run("send", payslip, *SEND, "--service", url, "--json").json["key"]
        intercept.on = False
        payslip.write_bytes(samples.pdf(99))
        outcome = run("receipts", "resume", "--json")
    (left,) = outcome.json["receipts"]
    assert (outcome.code, left["key"], left["state"]) == (6, key, "open")
    assert "was changed, moved or removed" in left["problems"][0]["message"]
    assert sandbox.count() == 0


def test_a_submission_withdrawn_meanwhile_is_reported_and_stays_withdrawn(
    run, sandbox, payslip, home, monkeypatch
) -> None:
    intercept = Busy("put", "before")
    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        key = run("send", payslip, *SEND, "--service", url, "--json").json["key"]
        intercept.on = False
        ledger = home / "docsend" / "ledger.sqlite3"
        before = ledger.read_bytes()
        assert run("receipts", "withdraw", key).code == 0
        ledger.write_bytes(
            before
        )  # like the ledger of another machine, which does not know of the withdrawal
        outcome = run("receipts", "resume", "--json")
    (left,) = outcome.json["receipts"]
    assert (outcome.code, left["state"]) == (5, "withdrawn")
    assert sandbox.state(key) == "withdrawn"


def test_resume_can_be_limited_to_one_service_or_to_some_keys(run, sandbox, tmp_path) -> None:
    intercept = Busy("put", "before")
    with (
        doubles.relay(sandbox.url, intercept) as (url, _),
        doubles.relay(sandbox.url, intercept) as (other, _),
    ):
        force_staged_upload(url)
        force_staged_upload(other)
        keys = []
        for n, service in enumerate((url, url, other)):
            file = samples.write(tmp_path, f"{n}.pdf", samples.pdf(n))
            keys.append(run("send", file, *SEND, "--service", service, "--json").json["key"])
        intercept.on = False
        one = run("receipts", "resume", keys[1][:10], "--json").json["receipts"]
        assert [entry["key"] for entry in one] == [keys[1]]
        elsewhere = run("receipts", "resume", "--service", other, "--json").json["receipts"]
        assert [entry["key"] for entry in elsewhere] == [keys[2]]
        assert run("receipts", "resume", "AAAAAAAA").code == 2
        rest = run("receipts", "resume", "--json").json["receipts"]
        assert [(entry["key"], entry["state"]) for entry in rest] == [(keys[0], "received")]
    assert sandbox.count() == 3


def test_a_personal_submission_is_resumed_under_its_account(
    run, sandbox, payslip, tmp_path, monkeypatch
) -> None:
    password = samples.write(tmp_path, "password", b"fictional-clear\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1002")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    intercept = Busy("put", "before")
    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        assert run("send", payslip, "--to", "personal", *ABOUT[2:], "--service", url).code == 6
        intercept.on = False
        monkeypatch.delenv("DOCSEND_CODE")
        monkeypatch.delenv("DOCSEND_PASSWORD_FILE")
        monkeypatch.setenv("DOCSEND_KEYRING", "keyrings.alt.file.PlaintextKeyring")
        refused = run("receipts", "resume", "--json")
        assert refused.code == 4
        assert refused.json["receipts"][0]["problems"][0]["code"] == "sign-in-needed"
        monkeypatch.setenv("DOCSEND_CODE", "1002")
        monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
        assert run("receipts", "resume", "--json").json["receipts"][0]["state"] == "received"
    assert sandbox.count() == 1


def test_a_dead_service_does_not_get_a_request_for_every_unfinished_submission(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.service(lambda _: doubles.Reply(503)) as (url, requests):
        for n in range(15):
            file = samples.write(tmp_path, f"{n}.pdf", samples.pdf(n))
            assert run("send", file, *SEND, "--service", url).code == 6
        requests.clear()
        outcome = run("receipts", "resume", "--json")
    assert (outcome.code, len(requests)) == (6, CircuitBreaker.FAILURES)
    codes = [entry["problems"][0]["code"] for entry in outcome.json["receipts"]]
    assert codes == ["service-busy"] * 15


def test_an_interrupted_resume_shows_what_it_finished(sandbox, tmp_path, run) -> None:
    busy = Busy("put", "before")
    reached, keys = threading.Event(), list[str]()

    def intercept(request, count, phase):
        if not busy.on and len(keys) == 3 and keys[1] in request.path and phase == "before":
            reached.set()
            time.sleep(5)
        return busy(request, count, phase)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        for n in range(3):
            file = samples.write(tmp_path, f"{n}.pdf", samples.pdf(n))
            keys.append(run("send", file, *SEND, "--service", url, "--json").json["key"])
        busy.on = False
        command = [sys.executable, "-m", "docsend", "receipts", "resume"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            assert reached.wait(20)
            client.send_signal(signal.SIGINT)
            out, err = client.communicate(timeout=20)
    assert client.returncode == 130
    assert b"interrupted (unfinished submissions tried: 1 of 3)" in err
    _, *rows = out.decode().splitlines()
    assert [row.split()[:2] for row in rows] == [[keys[0][:12], "received"]]


def test_a_resume_counts_documents_as_their_submission_has_them(run, sandbox, tmp_path) -> None:
    """Two of five documents have arrived before, so the third, fourth and fifth of five are sent."""
    is_on, puts = True, 0
    files = [samples.write(tmp_path, f"part-{n}.pdf", samples.pdf(n)) for n in range(1, 6)]

    def intercept(request, _count, phase):
        nonlocal puts
        if is_on and "/documents/" in request.path and phase == "before":
            puts += 1
            return doubles.Reply(503) if puts > 2 else None
        return None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        interrupted = run("send", *files, *SEND, "--service", url)
        assert interrupted.code == 6
        assert "sent part-2.pdf, " in interrupted.err
        is_on = False
        resumed = run("receipts", "resume")
    assert resumed.code == 0
    counts = [line.rpartition("(")[2] for line in resumed.err.splitlines() if line.startswith("sent ")]
    assert counts == ["3 of 5)", "4 of 5)", "5 of 5)"]


def test_an_interrupted_resume_never_reports_that_nothing_is_unfinished(run, sandbox, payslip) -> None:
    busy, reached = Busy("put", "before"), threading.Event()

    def intercept(request, count, phase):
        if not busy.on:
            reached.set()
            time.sleep(5)
        return busy(request, count, phase)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        run("send", payslip, *SEND, "--service", url)
        busy.on = False
        command = [sys.executable, "-m", "docsend", "receipts", "resume"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            assert reached.wait(20)
            client.send_signal(signal.SIGINT)
            out, err = client.communicate(timeout=20)
    assert (client.returncode, out) == (130, "")
    assert "interrupted (unfinished submissions tried: 0 of 1)" in err
    assert "no unfinished submissions" not in err


def test_a_resume_on_a_terminal_draws_the_bar_of_a_send(run, sandbox, payslip) -> None:
    intercept = Busy("put", "before")
    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        run("send", payslip, *SEND, "--service", url)
        intercept.on = False
        terminal = Terminal("receipts", "resume", columns=100, lines=20)
        assert terminal.finish() == 0
    assert "sent payslip.pdf, 618 bytes (1 of 1)" in terminal.text
    assert "\u2501" in terminal.raw  # the character that the bar consists of
