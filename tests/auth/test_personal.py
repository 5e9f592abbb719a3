"""The personal service: its own rules, its required documents, its sessions; secrets show nowhere."""

from __future__ import annotations

import base64
import configparser
import io
import json
import os
import re
import sqlite3
import stat
import sys
import time

import pytest

import bad_input
import doubles
import samples
from docsend.auth.account import Account
from docsend.auth.keyring_store import Credentials, Token
from docsend.config.address import Endpoint
from docsend.errors import SignInNeeded
from docsend.sandbox import server
from docsend.service.client import ServiceClient
from docsend.service.retry import RetryPolicy

ABOUT = (
    "--to",
    "personal",
    "--subject",
    "reserve",
    "--category",
    "service",
    "--type",
    "reserve-service-certificate",
)
PENDING_SUBJECT = ("--to", "personal", "--subject", "unemployment", "--category", "employer")
CLEAR, PENDING = ("1002", "fictional-clear"), ("1001", "fictional-pending")


@pytest.fixture
def signed_in_as(monkeypatch, tmp_path):
    """Sign in the way of servers without a desktop: a code and a password file."""

    def sign_in(code: str, password: str) -> None:
        file = tmp_path / "password"
        file.write_text(f"{password}\n")
        file.chmod(0o600)
        monkeypatch.setenv("DOCSEND_CODE", code)
        monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(file))

    return sign_in


# -- its own rules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.jpg", samples.jpeg),
        ("a.png", samples.png),
        ("a.tif", samples.tiff),
        ("a.TIFF", samples.tiff),
        ("a.pdf", samples.pdf),
    ],
)
def test_each_format_of_the_personal_service_is_received(
    run, shared_sandbox, signed_in_as, tmp_path, name, make
) -> None:
    signed_in_as(*CLEAR)
    file = samples.write(tmp_path, name, make(3))
    outcome = run("send", file, *ABOUT, "--service", shared_sandbox.url, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["receipt"]["branch"]["code"] == "nazareth", "the branch is the account's own"


@pytest.mark.parametrize(
    ("name", "make", "code", "cure"),
    [
        ("a.jpeg", samples.jpeg, "format-not-accepted", "rename it to end in .jpg"),
        ("a.bmp", samples.bmp, "format-not-accepted", "`--to benefits` takes bmp"),
        ("a.pdf", lambda: samples.pdf(size=7 * 2**20), "document-too-large", "`--to benefits` takes 10 MB"),
        ("a.pdf", lambda: samples.pdf(size=5 * 2**20) + b"\n", "document-too-large", "5 MB"),
    ],
)
def test_what_only_other_destinations_take_gets_the_cure(run, tmp_path, name, make, code, cure) -> None:
    outcome = run("send", samples.write(tmp_path, name, make()), *ABOUT, "--dry-run", "--json")
    assert (outcome.code, outcome.problems) == (3, [code])
    assert cure in outcome.json["problems"][0]["hint"]


def test_there_is_no_limit_to_the_number_of_documents(run, shared_sandbox, signed_in_as, tmp_path) -> None:
    signed_in_as(*CLEAR)
    files = [samples.write(tmp_path, f"{n}.png", samples.png(n)) for n in range(20)]
    outcome = run("send", *files, *ABOUT, "--service", shared_sandbox.url, "--json")
    assert (outcome.code, len(outcome.json["receipt"]["documents"])) == (0, 20)


@pytest.mark.parametrize("option", [("--id", "000000018"), ("--branch", "haifa"), ("--booklet", "1")])
def test_what_the_account_says_is_not_said_again(run, payslip, option) -> None:
    outcome = run("send", payslip, *ABOUT, *option, "-n", "--json")
    assert (outcome.code, outcome.problems) == (3, ["not-taken"])


def test_the_key_names_the_account_and_a_dry_run_without_one_names_none(
    run, payslip, signed_in_as, shared_sandbox
) -> None:
    arguments = ("send", payslip, *ABOUT, "--service", shared_sandbox.url, "--json")
    assert run(*arguments, "-n").json["key"] is None
    keys = []
    for code, password in (CLEAR, PENDING):
        signed_in_as(code, password)
        keys.append(run(*arguments).json["key"])
    assert len(set(keys)) == 2


def test_without_a_sign_in_the_checks_come_first_and_then_exit_4(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_KEYRING", "keyrings.alt.file.PlaintextKeyring")
    outcome = run("send", payslip, *ABOUT, "--service", "sandbox", "--json")
    assert (outcome.code, outcome.problems) == (4, ["sign-in-needed"])
    assert "docsend login" in outcome.err
    assert run("send", "nowhere.pdf", *ABOUT, "--service", "sandbox").code == 3


# -- required documents ------------------------------------------------------------------------------------


def test_required_documents_are_listed_as_a_table_and_as_json(run, sandbox, signed_in_as) -> None:
    signed_in_as(*PENDING)
    listed = run("required", "--service", sandbox.url, "--json").json
    assert [(each["id"], each["subject"], each["due"], each["state"]) for each in listed["required"]] == [
        ("R-4711", "unemployment", "2026-12-15", "pending"),
        ("R-4712", "maternity", "2026-12-31", "pending"),
    ]
    table = run("required", "--service", sandbox.url, "--lang", "fr").out
    assert "Fiches de paie de janvier à juin" in table
    signed_in_as(*CLEAR)
    nothing = run("required", "--service", sandbox.url)
    assert (nothing.code, nothing.out, "asks for no documents" in nothing.err) == (0, "", True)


def test_a_subject_with_a_pending_document_takes_no_other_before_any_transfer(
    run, sandbox, signed_in_as, payslip
) -> None:
    signed_in_as(*PENDING)
    arguments = ("send", payslip, *PENDING_SUBJECT, "--type", "termination-letter", "--json")
    with doubles.relay(sandbox.url, lambda *_: None) as (url, asked):
        outcome = run(*arguments, "--service", url)
        calls = [(request.method, request.path.split("/")[2]) for request in asked]
    assert (outcome.code, outcome.problems) == (3, ["required-documents-pending"])
    assert calls == [("POST", "session"), ("GET", "required")]
    assert "docsend required upload R-4711 FILE" in outcome.err
    assert "Payslips from January to June (due 2026-12-15)" in outcome.err
    assert run("send", payslip, *ABOUT, "--service", sandbox.url).code == 0, "other subjects are free"


def test_a_stale_client_is_refused_by_the_service_itself(run, sandbox, signed_in_as, payslip) -> None:
    signed_in_as(*PENDING)
    nothing = doubles.Reply(200, b'{"required": []}', {"Content-Type": "application/json"})

    def fate(asked, _count, now):
        return nothing if (asked.path, now) == ("/v1/required", "before") else None

    with doubles.relay(sandbox.url, fate) as (url, asked):
        arguments = ("send", payslip, *PENDING_SUBJECT, "--type", "termination-letter", "--json")
        outcome = run(*arguments, "--service", url)
        assert not [request for request in asked if "/documents/" in request.path]
    assert (outcome.code, outcome.problems) == (5, ["required-documents-pending"])


def test_an_upload_meets_the_requirement_and_frees_the_subject(run, sandbox, signed_in_as, payslip) -> None:
    signed_in_as(*PENDING)
    upload = ("required", "upload", "R-4711", payslip, "--service", sandbox.url, "--json")
    first = run(*upload)
    assert first.code == 0, first.err
    assert sandbox.content(first.json["key"]) == {"payslip.pdf": payslip.read_bytes()}
    left = run("required", "--service", sandbox.url, "--json").json["required"]
    assert [each["id"] for each in left] == ["R-4712"]
    again = run(*upload)
    assert (again.code, again.json["repeated"], again.json["key"]) == (0, True, first.json["key"])
    other = ("send", payslip, *PENDING_SUBJECT, "--type", "termination-letter", "--service", sandbox.url)
    assert run(*other).code == 0


def test_an_upload_whose_answer_was_lost_is_finished_by_the_same_command(
    run, sandbox, signed_in_as, payslip
) -> None:
    signed_in_as(*PENDING)
    gone: list[bool] = []

    def fate(asked, _count, now):
        if now == "after" and asked.path.startswith("/v1/submissions/") and not gone:
            gone.append(True)
            return doubles.Reply(503, headers={"Retry-After": "999"})
        return None

    with doubles.relay(sandbox.url, fate) as (url, _):
        upload = ("required", "upload", "R-4711", payslip, "--service", url, "--json")
        assert run(*upload).code == 6
        outcome = run(*upload)
    assert (outcome.code, outcome.json["receipt"]["number"]) == (0, "SANDBOX-000001")
    assert sandbox.count() == 1


def test_an_upload_that_another_process_made_meanwhile_is_the_same_receipt(
    run, spawn, sandbox, signed_in_as, payslip
) -> None:
    signed_in_as(*PENDING)
    upload = ("required", "upload", "R-4711", payslip)
    begun: list[str] = []
    faster: list[int] = []

    def fate(asked, _count, now):
        if asked.path == "/v1/required" and now == "before" and not begun:
            begun.append(asked.path)
            faster.append(spawn(*upload, "--service", url, "--json").code)

    with doubles.relay(sandbox.url, fate) as (url, _):
        outcome = run(*upload, "--service", url, "--json")
    assert (faster, outcome.code, outcome.json["repeated"]) == ([0], 0, True), outcome.err
    assert sandbox.count() == 1


def test_send_required_is_the_same_submission_as_required_upload(run, sandbox, signed_in_as, payslip) -> None:
    signed_in_as(*PENDING)
    about = (*PENDING_SUBJECT, "--type", "payslips", "--required", "R-4711")
    sent = run("send", payslip, *about, "--service", sandbox.url, "--json").json
    uploaded = run("required", "upload", "R-4711", payslip, "--service", sandbox.url, "--json").json
    assert (uploaded["key"], uploaded["repeated"]) == (sent["key"], True)


def test_an_id_that_nobody_asks_for_is_told(run, sandbox, signed_in_as, payslip) -> None:
    signed_in_as(*CLEAR)
    outcome = run("required", "upload", "R-4711", payslip, "--service", sandbox.url, "--json")
    assert (outcome.code, outcome.problems) == (3, ["unknown-required"])
    about = (*PENDING_SUBJECT, "--type", "payslips", "--required", "R-0")
    assert run("send", payslip, *about, "--service", sandbox.url, "--json").problems == ["unknown-required"]


# -- sessions ----------------------------------------------------------------------------------------------


@pytest.fixture
def kept_in_a_file(monkeypatch):
    """A keyring that works anywhere: a plaintext file, chosen by its name."""
    monkeypatch.setenv("DOCSEND_KEYRING", "keyrings.alt.file.PlaintextKeyring")


def log_in(run, url: str, monkeypatch, code: str = "1002", password: str = "fictional-clear"):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))
    return run("login", "--code", code, "--password-stdin", "--service", url, "--json")


def count(asked, path: str) -> int:
    return sum(request.path == path for request in asked)


def test_one_session_serves_many_commands_until_it_expires(
    run, tmp_path, payslip, monkeypatch, kept_in_a_file
) -> None:
    with (
        server.beside(tmp_path / "short", session_s=7) as short,
        doubles.relay(short, lambda *_: None) as (url, asked),
    ):
        assert log_in(run, url, monkeypatch).code == 0
        for reference in ("1", "2", "3"):
            assert run("send", payslip, *ABOUT, "--reference", reference, "--service", url).code == 0
        assert count(asked, "/v1/session") == 1
        time.sleep(2.5)  # less than 5 s are left of it: it is not begun with any more
        assert run("required", "--service", url).code == 0
        assert count(asked, "/v1/session") == 2


def test_a_session_that_the_service_ended_is_renewed_once(
    run, sandbox, payslip, monkeypatch, kept_in_a_file
) -> None:
    assert log_in(run, sandbox.url, monkeypatch).code == 0
    connection = sqlite3.connect(sandbox.folder / "sandbox.sqlite3")
    connection.execute("DELETE FROM session")
    connection.commit()
    connection.close()
    assert run("send", payslip, *ABOUT, "--service", sandbox.url).code == 0


def test_a_second_401_ends_it_with_exit_4_and_asks_no_more(
    run, sandbox, payslip, monkeypatch, kept_in_a_file
) -> None:
    refused = doubles.Reply(
        401,
        b'{"type": "urn:docsend:problem:sign-in-needed", "status": 401}',
        {"Content-Type": "application/problem+json"},
    )

    def fate(asked, _count, now):
        return refused if now == "before" and asked.path != "/v1/session" else None

    with doubles.relay(sandbox.url, fate) as (url, asked):
        assert log_in(run, url, monkeypatch).code == 0
        outcome = run("send", payslip, *ABOUT, "--service", url, "--json")
        assert (outcome.code, outcome.json["status"]) == (4, "failed")
        assert [request.path for request in asked] == [
            "/v1/session",
            "/v1/required",
            "/v1/session",
            "/v1/required",
        ]


def test_a_refused_password_is_tried_once_however_much_is_waiting(sandbox) -> None:
    with doubles.relay(sandbox.url, lambda *_: None) as (url, asked):
        account = Account(Credentials("1002", "wrong"), None)
        with ServiceClient(Endpoint(url), url, RetryPolicy(5), doubles.Nobody(), account) as service:
            for _ in range(5000):
                with pytest.raises(SignInNeeded):
                    service.required()
        assert len(asked) == 1


def test_a_wrong_password_is_exit_4_and_keeps_nothing(run, sandbox, monkeypatch, kept_in_a_file) -> None:
    outcome = log_in(run, sandbox.url, monkeypatch, password="wrong")
    assert (outcome.code, outcome.problems) == (4, ["sign-in-refused"])
    status = run("login", "--status", "--service", sandbox.url, "--json").json
    assert (status["signed_in"], status["stored_in"]) == (False, None)


def test_a_locked_account_says_when_to_try_again(run, sandbox, monkeypatch, kept_in_a_file) -> None:
    outcome = log_in(run, sandbox.url, monkeypatch, "1003", "fictional-locked")
    assert outcome.code == 4
    assert re.search(r"try again in \d+ s", outcome.err)


def test_a_sign_in_whose_answer_is_lost_is_not_repeated(run, sandbox, monkeypatch, kept_in_a_file) -> None:
    def fate(asked, _count, now):
        return doubles.Reply(cut=True) if (asked.path, now) == ("/v1/session", "after") else None

    with doubles.relay(sandbox.url, fate) as (url, asked):
        assert log_in(run, url, monkeypatch).code == 6
        assert len(asked) == 1


def test_forget_ends_the_session_and_removes_everything(
    run, sandbox, home, monkeypatch, kept_in_a_file
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
    assert (again.code, "nothing to forget" in again.out) == (0, True)


def test_forget_works_without_the_service(run, sandbox, monkeypatch, kept_in_a_file) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.relay(sandbox.url, lambda *_: None) as (url, _):
        assert log_in(run, url, monkeypatch).code == 0
    outcome = run("login", "--forget", "--service", url)
    assert (outcome.code, "could not be ended at the service" in outcome.err) == (0, True)
    assert not run("login", "--status", "--service", url, "--json").json["signed_in"]


def test_a_token_goes_to_the_service_that_it_came_from_and_to_no_other(
    run, payslip, monkeypatch, kept_in_a_file, tmp_path
) -> None:
    with (
        server.beside(tmp_path / "one") as one,
        server.beside(tmp_path / "two") as two,
        doubles.relay(two, lambda *_: None) as (url, asked),
    ):
        assert log_in(run, one, monkeypatch).code == 0
        assert run("send", payslip, *ABOUT, "--service", url).code == 4
        assert run("required", "--service", url).code == 4
        assert asked == []


# -- the command line of login -----------------------------------------------------------------------------


def test_without_a_terminal_login_names_what_is_missing(run, kept_in_a_file) -> None:
    outcome = run("login", "--service", "sandbox")
    assert (outcome.code, "missing: --code, --password-stdin" in outcome.err) == (2, True)


def test_status_and_forget_do_not_go_together_and_nothing_is_forgotten(
    run, sandbox, monkeypatch, kept_in_a_file
) -> None:
    assert log_in(run, sandbox.url, monkeypatch).code == 0
    refused = run("login", "--status", "--forget", "--service", sandbox.url)
    assert (refused.code, "do not go together" in refused.err) == (2, True)
    assert run("login", "--status", "--service", sandbox.url, "--json").json["signed_in"]


def test_login_takes_code_and_password_from_where_the_environment_says(
    run, sandbox, monkeypatch, signed_in_as, kept_in_a_file
) -> None:
    signed_in_as(*CLEAR)
    assert run("login", "--service", sandbox.url).code == 0
    monkeypatch.delenv("DOCSEND_CODE")
    monkeypatch.delenv("DOCSEND_PASSWORD_FILE")
    status = run("login", "--status", "--service", sandbox.url, "--json").json
    assert (status["signed_in"], status["stored_in"]) == (True, "keyrings.alt.file.PlaintextKeyring")


# Python takes bytes that are not UTF-8 for surrogates in the locale C.UTF-8, and else refuses them.
@pytest.mark.parametrize("errors", ["surrogateescape", "strict"])
def test_a_password_on_standard_input_that_is_not_utf_8_is_told_and_tried_nowhere(
    spawn, sandbox, kept_in_a_file, errors
) -> None:
    with doubles.relay(sandbox.url, lambda *_: None) as (url, asked):
        outcome = spawn(
            *("login", "--code", "1002", "--password-stdin", "--service", url),
            env={"PYTHONIOENCODING": f"utf-8:{errors}"},
            stdin=None,
            input="contraseña".encode("latin-1"),
        )
        assert (outcome.code, "is not UTF-8" in outcome.err) == (2, True), outcome.err
        assert asked == []


@pytest.mark.parametrize(("password", "is_warned"), [("fictional\u200b", True), ("fictional é", False)])
def test_invisible_characters_in_a_password_are_worth_a_warning(
    run, sandbox, monkeypatch, kept_in_a_file, password, is_warned
) -> None:
    outcome = log_in(run, sandbox.url, monkeypatch, password=password)
    assert (outcome.code, "warning: there are invisible characters" in outcome.err) == (4, is_warned)
    assert password not in outcome.err


@pytest.mark.parametrize("name", ["keyring.backends.null.Keyring", "keyrings.alt.file.PlaintextKeyring"])
def test_a_keyring_that_keeps_no_secret_is_refused_unless_chosen_by_name(spawn, sandbox, name) -> None:
    environment = {"PYTHON_KEYRING_BACKEND": name}
    outcome = spawn("login", "--code", "1002", "--password-stdin", "--service", sandbox.url, env=environment)
    assert outcome.code == 8
    assert f"no keyring on this machine that keeps a secret, only {name}" in outcome.err
    assert sandbox.select("SELECT count(*) FROM session") == [(0,)], "nobody was asked in vain"


def test_what_was_written_is_read_back(run, sandbox, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_KEYRING", "keyring.backends.null.Keyring")
    outcome = log_in(run, sandbox.url, monkeypatch)
    assert (outcome.code, "did not keep it" in outcome.err) == (8, True)


def test_a_backend_that_is_none_is_told(run, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_KEYRING", "no.such.Backend")
    assert run("login", "--status", "--service", "sandbox").code == 8


def test_a_password_file_that_others_can_read_is_refused(run, signed_in_as, tmp_path, sandbox) -> None:
    signed_in_as(*CLEAR)
    (tmp_path / "password").chmod(0o644)
    outcome = run("required", "--service", sandbox.url)
    assert (outcome.code, "can be read by others" in outcome.err) == (2, True)
    assert f"chmod 600 {tmp_path / 'password'}" in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="owners and permissions of POSIX")
def test_nobody_is_told_to_change_a_password_file_that_is_somebody_elses(
    run, signed_in_as, tmp_path, sandbox
) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    signed_in_as(*CLEAR)
    (tmp_path / "password").chmod(0o644)
    os.chown(tmp_path / "password", 65534, 65534)
    with bad_input.bound_by_permissions():
        outcome = run("required", "--service", sandbox.url)
    assert (outcome.code, "it belongs to nobody" in outcome.err) == (2, True)
    assert "chmod" not in outcome.err


@pytest.mark.parametrize("missing", ["DOCSEND_CODE", "DOCSEND_PASSWORD_FILE"])
def test_code_and_password_file_go_together(run, signed_in_as, monkeypatch, missing) -> None:
    signed_in_as(*CLEAR)
    monkeypatch.delenv(missing)
    assert run("required", "--service", "sandbox").code == 2


# -- secrets -----------------------------------------------------------------------------------------------


def test_no_secret_is_in_any_output_trace_ledger_or_file(
    run, sandbox, payslip, home, monkeypatch, kept_in_a_file
) -> None:
    seen = ""
    for talk in ([], ["--json"], ["--verbose"]):
        for argv in (
            ("login", "--status"),
            ("required",),
            ("send", payslip, *ABOUT),
            ("send", payslip, *ABOUT, "-n"),
            ("receipts",),
            ("required", "upload", "R-1", payslip),
        ):
            if argv[:2] == ("login", "--status"):
                logged = log_in(run, sandbox.url, monkeypatch, "10029999" if talk else "1002")
                seen += logged.out + logged.err
            outcome = run(*argv, *talk, "--service", sandbox.url)
            seen += outcome.out + outcome.err
    token = json.loads(_plaintext_entries(home)["session"])["token"]
    broken = log_in(run, sandbox.url, monkeypatch, password="canary-password")
    seen += broken.out + broken.err
    files = b"".join(path.read_bytes() for path in (home / "docsend").rglob("*") if path.is_file())
    for secret in ("fictional-clear", "canary-password", "1002", token):
        assert secret not in seen.replace("SANDBOX-", "")
        assert secret.encode() not in files


def test_a_bug_in_the_middle_of_a_sign_in_shows_no_secret(
    run, sandbox, signed_in_as, monkeypatch, payslip
) -> None:
    def broken(self: ServiceClient, credentials: object) -> None:
        raise RuntimeError(f"{credentials!r} {self._account!r} canary")

    signed_in_as("1002", "canary-password")
    monkeypatch.setattr(ServiceClient, "sign_in", broken)
    outcome = run("send", payslip, *ABOUT, "--service", sandbox.url, "--verbose")
    assert outcome.code == 1
    assert "canary-password" not in outcome.out + outcome.err
    assert "1002" not in outcome.out + outcome.err


def test_secrets_have_a_masked_repr() -> None:
    credentials = Credentials("code-1002", "canary-password")
    for value in (credentials, Token("canary-token", 1.0), Account(credentials, None), [credentials]):
        assert not re.search("1002|canary", repr(value) + str(value))


def _plaintext_entries(home) -> dict[str, str]:
    (file,) = home.rglob("keyring_pass.cfg")
    assert not stat.S_IMODE(file.stat().st_mode) & 0o077
    parser = configparser.RawConfigParser()
    parser.read(file)
    (section,) = parser.sections()
    values = dict(parser.items(section))
    return {name: base64.decodebytes(value.encode()).decode() for name, value in values.items()}
