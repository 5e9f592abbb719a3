"""Sessions of the personal service: started, renewed and ended, and never requested more than necessary."""

from __future__ import annotations

import re
import sqlite3
import time

import pytest

import doubles
from accounts import ABOUT, log_in
from docsend.auth.account import Account
from docsend.auth.keyring_store import Credentials
from docsend.config.address import Endpoint
from docsend.errors import SignInRequired
from docsend.sandbox import server
from docsend.service.client import ServiceClient
from docsend.service.retry import RetryPolicy


def count(requests, path: str) -> int:
    return sum(request.path == path for request in requests)


def test_one_session_serves_many_commands_until_it_expires(
    run, tmp_path, payslip, monkeypatch, plaintext_keyring
) -> None:
    with (
        server.run_in_background(tmp_path / "short", session_lifetime_s=7) as short,
        doubles.relay(short, lambda *_: None) as (url, requests),
    ):
        assert log_in(run, url, monkeypatch).code == 0
        for reference in ("1", "2", "3"):
            assert (
                run("send", payslip, *ABOUT, "--reference", reference, "--anyway", "--service", url).code == 0
            )
        assert count(requests, "/v1/session") == 1
        time.sleep(2.5)  # with less than 5 s left, the session is not used anymore
        assert run("required", "--service", url).code == 0
        assert count(requests, "/v1/session") == 2


def test_a_session_that_the_service_ended_is_renewed_once(
    run, sandbox, payslip, monkeypatch, plaintext_keyring
) -> None:
    assert log_in(run, sandbox.url, monkeypatch).code == 0
    connection = sqlite3.connect(sandbox.folder / "sandbox.sqlite3")
    connection.execute("DELETE FROM session")
    connection.commit()
    connection.close()
    assert run("send", payslip, *ABOUT, "--service", sandbox.url).code == 0


def test_a_second_401_ends_the_command_with_exit_4(
    run, sandbox, payslip, monkeypatch, plaintext_keyring
) -> None:
    refused = doubles.Reply(
        401,
        b'{"type": "urn:docsend:problem:sign-in-needed", "status": 401}',
        {"Content-Type": "application/problem+json"},
    )

    def intercept(request, _count, phase):
        return refused if phase == "before" and request.path != "/v1/session" else None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        assert log_in(run, url, monkeypatch).code == 0
        outcome = run("send", payslip, *ABOUT, "--service", url, "--json")
        assert (outcome.code, outcome.json["status"]) == (4, "failed")
        assert [request.path for request in requests] == [
            "/v1/session",
            "/v1/required",
            "/v1/session",
            "/v1/required",
        ]


def test_a_refused_password_is_tried_only_once(sandbox) -> None:
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        account = Account(Credentials("1002", "wrong"), None)
        with ServiceClient(Endpoint(url), url, RetryPolicy(5), doubles.NoProgress(), account) as service:
            for _ in range(5000):
                with pytest.raises(SignInRequired):
                    service.fetch_required()
        assert len(requests) == 1


def test_a_wrong_password_is_exit_4_and_stores_nothing(run, sandbox, monkeypatch, plaintext_keyring) -> None:
    outcome = log_in(run, sandbox.url, monkeypatch, password="wrong")
    assert (outcome.code, outcome.problems) == (4, ["sign-in-refused"])
    status = run("login", "--status", "--service", sandbox.url, "--json").json
    assert (status["signed_in"], status["stored_in"]) == (False, None)


def test_a_locked_account_says_when_to_try_again(run, sandbox, monkeypatch, plaintext_keyring) -> None:
    outcome = log_in(run, sandbox.url, monkeypatch, "1003", "fictional-locked")
    assert outcome.code == 4
    assert re.search(r"try again in \d+ s", outcome.err)


def test_a_sign_in_whose_response_is_lost_is_not_repeated(
    run, sandbox, monkeypatch, plaintext_keyring
) -> None:
    def intercept(request, _count, phase):
        return doubles.Reply(cut=True) if (request.path, phase) == ("/v1/session", "after") else None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        assert log_in(run, url, monkeypatch).code == 6
        assert len(requests) == 1


def test_forget_ends_the_session_and_removes_everything(
    run, sandbox, home, monkeypatch, plaintext_keyring
) -> None:
    assert log_in(run, sandbox.url, monkeypatch).code == 0
    assert sandbox.select("SELECT count(*) FROM session") == [(1,)]
    status = run("login", "--status", "--service", sandbox.url, "--json").json
    assert status["signed_in"]
    assert 3000 < status["expires_in"] <= 3600
    assert run("login", "--forget", "--service", sandbox.url).code == 0
    assert sandbox.select("SELECT count(*) FROM session") == [(0,)]
    assert not run("login", "--status", "--service", sandbox.url, "--json").json["signed_in"]
    again = run("login", "--forget", "--service", sandbox.url)
    assert (again.code, "nothing was stored" in again.out) == (0, True)


def test_forget_works_without_the_service(run, sandbox, monkeypatch, plaintext_keyring) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.relay(sandbox.url, lambda *_: None) as (url, _):
        assert log_in(run, url, monkeypatch).code == 0
    outcome = run("login", "--forget", "--service", url)
    assert (outcome.code, "could not end the session at the service" in outcome.err) == (0, True)
    assert not run("login", "--status", "--service", url, "--json").json["signed_in"]


def test_a_token_is_sent_only_to_the_service_that_issued_it(
    run, payslip, monkeypatch, plaintext_keyring, tmp_path
) -> None:
    with (
        server.run_in_background(tmp_path / "one") as one,
        server.run_in_background(tmp_path / "two") as two,
        doubles.relay(two, lambda *_: None) as (url, requests),
    ):
        assert log_in(run, one, monkeypatch).code == 0
        assert run("send", payslip, *ABOUT, "--service", url).code == 4
        assert run("required", "--service", url).code == 4
        assert requests == []
