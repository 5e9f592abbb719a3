"""Nothing is lost or sent twice: kill -9, lost responses, forgetful services, invalid responses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

import doubles
import samples
from conftest import ABOUT, WHO, force_staged_upload
from docsend.storage.ledger import Ledger
from doubles import call_name

SEND = (*ABOUT, *WHO)
JSON = {"Content-Type": "application/json"}
PROBLEM = {"Content-Type": "application/problem+json"}

STAGED = ["declare", "put", "send"]
CALLS = ["submit", *STAGED]


def choose_exchange(url: str, call: str) -> None:
    """Make submissions to a service use the exchange, single or staged, that contains a call."""
    if call in STAGED:
        force_staged_upload(url)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_lost_request_or_response_is_retried_and_received_once(run, sandbox, payslip, call, moment) -> None:
    def intercept(request, count, phase):
        return doubles.Reply(cut=True) if (call_name(request), count, phase) == (call, 1, moment) else None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        choose_exchange(url, call)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["repeated"] is False
    assert [call_name(request) for request in requests].count(call) == 2
    assert sandbox.count() == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_temporary_failure_is_retried_and_never_taken_for_a_response(
    run, sandbox, payslip, call, status
) -> None:
    def intercept(request, count, phase):
        hit = (call_name(request), phase) == (call, "before") and count <= 2
        return doubles.Reply(status, b"<html>busy</html>", {"Retry-After": "0"}) if hit else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        choose_exchange(url, call)
        assert run("send", payslip, *SEND, "--service", url).code == 0
    assert sandbox.count() == 1


CONTRACT_VIOLATIONS = {
    "HTML with 200": doubles.Reply(200, b"<html>sign in</html>", {"Content-Type": "text/html"}),
    "JSON of another kind": doubles.Reply(200, b'{"ok": true}', JSON),
    "an empty body": doubles.Reply(200, b"", JSON),
    "a number": doubles.Reply(200, b"17", JSON),
    "an unknown state": doubles.Reply(200, b'{"state": "fine", "missing": []}', JSON),
    "a document nobody declared": doubles.Reply(201, b'{"state": "open", "missing": ["00"]}', JSON),
    "404 without a problem": doubles.Reply(404, b"not found", {}),
    "418": doubles.Reply(418, b"", {}),
    "a problem of another kind": doubles.Reply(400, b'{"type": "about:blank"}', PROBLEM),
    "a compressed response": doubles.Reply(200, b"\x1f\x8b", {**JSON, "Content-Encoding": "gzip"}),
    "two megabytes": doubles.Reply(200, b" " * 2**21, JSON),
}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (call, name)
        for call in CALLS
        for name, reply in CONTRACT_VIOLATIONS.items()
        # The response to a put is its status alone, such as 201. After 4xx one exchange becomes staged.
        if not (call == "put" and reply.status == 201) and not (call == "submit" and reply.status >= 400)
    ],
)
def test_a_response_that_violates_the_contract_is_never_a_success(
    run, sandbox, payslip, home, monkeypatch, name, call
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0.2")

    def intercept(request, _count, phase):
        return CONTRACT_VIOLATIONS[name] if (call_name(request), phase) == (call, "before") else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        choose_exchange(url, call)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["status"]) == (6, "unfinished")
    assert sandbox.count() == 0
    expected = {"submit": "sending", "declare": "planned", "put": "open", "send": "sending"}[call]
    with Ledger(home / "docsend" / "ledger.sqlite3") as ledger:
        assert [entry.state for entry in ledger.entries()] == [expected]


@pytest.mark.parametrize("call", ["submit", "send"])
def test_the_receipt_of_another_submission_is_not_accepted(run, sandbox, tmp_path, call) -> None:
    one, two = (
        samples.write(tmp_path, name, samples.pdf(seed)) for seed, name in enumerate(("a.pdf", "b.pdf"))
    )
    foreign = run("send", one, *SEND, "--service", sandbox.url, "--json").json
    (receipt,) = sandbox.select("SELECT body FROM receipt WHERE key = ?", foreign["key"])[0]

    def intercept(request, _count, phase):
        return doubles.Reply(200, receipt, JSON) if (call_name(request), phase) == (call, "before") else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        choose_exchange(url, call)
        outcome = run("send", two, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["receipt"]) == (6, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(run, payslip, status) -> None:
    with doubles.service(lambda _: doubles.Reply(200)) as (elsewhere, asked_elsewhere):
        headers = {"Location": f"{elsewhere}/v1/catalog"}
        with doubles.service(lambda _: doubles.Reply(status, headers=headers)) as (url, requests):
            outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert outcome.code == 6
    assert "redirects are not followed" in outcome.err
    assert (len(requests), asked_elsewhere) == (1, [])


def test_a_service_that_forgot_the_declaration_receives_it_again_under_the_same_key(
    run, sandbox, payslip
) -> None:
    def intercept(request, count, phase):
        return (
            doubles.problem(404, "not-found")
            if (call_name(request), count, phase) == ("put", 1, "before")
            else None
        )

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        force_staged_upload(url)
        assert run("send", payslip, *SEND, "--service", url).code == 0
    assert len({request.path.split("/")[3] for request in requests}) == 1
    assert sandbox.count() == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "key-reused"),
        (409, "withdrawn"),
        (413, "document-too-large"),
        (415, "format-not-accepted"),
        (422, "invalid"),
    ],
)
def test_a_refused_submission_is_not_retried(run, payslip, status, code) -> None:
    errors = [{"pointer": "/type", "code": code, "detail": "no"}]
    with doubles.service(lambda _: doubles.problem(status, code, errors=errors)) as (url, requests):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["status"], outcome.problems) == (5, "refused", [code])
    assert len(requests) == 1


def test_every_error_of_a_refusal_is_reported_with_its_field(run, payslip) -> None:
    errors = [
        {"pointer": "/identity/id_number", "code": "id-number-invalid", "detail": "no such person"},
        {"pointer": "/documents/0/name", "code": "name-not-accepted", "detail": "too odd\x1b[2J"},
    ]
    with doubles.service(lambda _: doubles.problem(422, "invalid", errors=errors)) as (url, _):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert [(problem["code"], problem["field"]) for problem in outcome.json["problems"]] == [
        ("id-number-invalid", "id"),
        ("name-not-accepted", "documents"),
    ]
    assert "\x1b" not in outcome.err


def test_401_requires_a_sign_in(run, payslip) -> None:
    with doubles.service(lambda _: doubles.problem(401, "sign-in-needed")) as (url, _):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["status"]) == (4, "failed")


def test_a_dead_service_is_given_up_when_the_retry_time_is_over_and_nothing_is_lost(
    run, payslip, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "1")
    began = time.monotonic()
    outcome = run("send", payslip, *SEND, "--service", "http://127.0.0.1:9", "--json")
    assert time.monotonic() - began < 10
    assert (outcome.code, outcome.json["status"], outcome.problems) == (
        6,
        "unfinished",
        ["connection-refused"],
    )
    assert "run the same command again" in outcome.err


def test_a_retry_after_beyond_the_retry_time_is_reported_and_not_waited_for(run, payslip) -> None:
    busy = doubles.Reply(503, headers={"Retry-After": "3600"})
    with doubles.service(lambda _: busy) as (url, requests):
        outcome = run("send", payslip, *SEND, "--service", url)
    assert (outcome.code, len(requests)) == (6, 1)
    assert "in 3600 s, as the service asks" in outcome.err


def test_retry_after_as_a_date_is_relative_to_the_service_s_own_clock(
    run, sandbox, payslip, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "5")

    def intercept(request, count, phase):
        if (call_name(request), count, phase) != ("submit", 1, "before"):
            return None
        # The service's clock is years off; the requested delay is one second.
        dates = {"Date": "Sat, 01 Jan 2000 00:00:00 GMT", "Retry-After": "Sat, 01 Jan 2000 00:00:01 GMT"}
        return doubles.Reply(503, headers=dates)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        began = time.monotonic()
        outcome = run("send", payslip, *SEND, "--service", url)
    assert outcome.code == 0
    assert 0.9 < time.monotonic() - began < 2.5
    assert "the service answered 503; retrying in 1 s" in outcome.err


# -- the process dies --------------------------------------------------------------------------------------


def test_kill_9_during_an_upload_and_the_same_command_again_make_one_submission(
    spawn, sandbox, tmp_path, home
) -> None:
    if sys.platform == "win32":
        pytest.skip("signals of POSIX")
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(3)]
    holding = tmp_path / "holding"

    def intercept(request, count, phase):
        # The client is killed while the second document is sent: its put gets no response.
        if (
            call_name(request) == "put"
            and phase == "before"
            and request.body == files[1].read_bytes()
            and count == 1
        ):
            holding.touch()
            time.sleep(3)
            return doubles.Reply(cut=True)
        return None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        force_staged_upload(url)
        command = [
            sys.executable,
            "-m",
            "docsend",
            "send",
            *map(str, files),
            *SEND,
            "--service",
            url,
            "--json",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            deadline = time.monotonic() + 20
            while not holding.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            client.send_signal(signal.SIGKILL)
            out, _ = client.communicate()
        assert (client.returncode, out) == (-signal.SIGKILL, b"")
        assert sandbox.count() == 0
        with Ledger(home / "docsend" / "ledger.sqlite3") as ledger:
            # `open` is written with the next commit, so the kill loses it. The service knows.
            assert [entry.state for entry in ledger.entries()] == ["planned"]
        requests.clear()
        outcome = spawn("send", *files, *SEND, "--service", url, "--json")
    assert outcome.code == 0, outcome.err
    resent = [request.body for request in requests if call_name(request) == "put"]
    assert files[0].read_bytes() not in resent, "what had arrived is not sent again"
    assert sandbox.count() == 1
    assert sandbox.content(outcome.json["key"]) == {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_its_code_and_reports_the_progress(sandbox, payslip, number, code) -> None:
    reached: list[bool] = []

    def intercept(request, _count, phase):
        if (call_name(request), phase) == ("put", "before"):
            reached.append(True)
            time.sleep(2)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        command = [sys.executable, "-m", "docsend", "send", str(payslip), *SEND, "--service", url, "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            deadline = time.monotonic() + 20
            while not reached and time.monotonic() < deadline:
                time.sleep(0.01)
            client.send_signal(number)
            out, err = client.communicate(timeout=10)
    assert client.returncode == code
    assert json.loads(out)["status"] == "unfinished"
    assert b"the submission was not received" in err
    assert b"Traceback" not in err


def test_a_document_that_changes_before_it_is_sent_is_not_sent(run, sandbox, tmp_path) -> None:
    # More than fits in the buffers, so the later ones are read again before they are sent.
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n, size=9 * 2**20)) for n in range(3)]

    def intercept(request, count, phase):
        if (call_name(request), count, phase) == ("declare", 1, "after"):
            files[2].write_bytes(samples.pdf(7, size=9 * 2**20))

    arguments = ("send", *files, *SEND, "--json")
    with doubles.relay(sandbox.url, intercept) as (url, _):
        outcome = run(*arguments, "--service", url)
        assert (outcome.code, outcome.problems) == (3, ["document-changed"])
        assert sandbox.count() == 0
        assert run(*arguments, "--service", url).code == 0
    assert sandbox.count() == 1


def test_two_processes_at_once_send_one_submission(sandbox, payslip) -> None:
    command = [
        sys.executable,
        "-m",
        "docsend",
        "send",
        str(payslip),
        *SEND,
        "--service",
        sandbox.url,
        "--json",
    ]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
    results = [json.loads(client.communicate(timeout=60)[0]) for client in clients]
    assert [client.returncode for client in clients] == [0] * 6
    assert len({json.dumps(result["receipt"]) for result in results}) == 1
    assert sandbox.count() == 1
