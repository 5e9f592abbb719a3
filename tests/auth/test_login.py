"""`docsend login`: the sources of code and password, and where they are stored."""

from __future__ import annotations

import os
import sys

import pytest

import bad_input
import doubles
from accounts import CLEAR, log_in


def test_without_a_terminal_login_names_what_is_missing(run, plaintext_keyring) -> None:
    outcome = run("login", "--service", "sandbox")
    assert (outcome.code, "missing: --code, --password-stdin" in outcome.err) == (2, True)


def test_status_and_forget_together_are_refused_and_nothing_is_removed(
    run, sandbox, monkeypatch, plaintext_keyring
) -> None:
    assert log_in(run, sandbox.url, monkeypatch).code == 0
    refused = run("login", "--status", "--forget", "--service", sandbox.url)
    assert (refused.code, "cannot be combined" in refused.err) == (2, True)
    assert run("login", "--status", "--service", sandbox.url, "--json").json["signed_in"]


def test_login_reads_code_and_password_from_the_environment(
    run, sandbox, monkeypatch, signed_in_as, plaintext_keyring
) -> None:
    signed_in_as(*CLEAR)
    assert run("login", "--service", sandbox.url).code == 0
    monkeypatch.delenv("DOCSEND_CODE")
    monkeypatch.delenv("DOCSEND_PASSWORD_FILE")
    status = run("login", "--status", "--service", sandbox.url, "--json").json
    assert (status["signed_in"], status["stored_in"]) == (True, "keyrings.alt.file.PlaintextKeyring")


# In the locale C.UTF-8, Python decodes invalid UTF-8 as surrogates; in others it raises an error.
@pytest.mark.parametrize("errors", ["surrogateescape", "strict"])
def test_a_password_on_standard_input_that_is_not_utf_8_is_refused_and_never_sent(
    spawn, sandbox, plaintext_keyring, errors
) -> None:
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        outcome = spawn(
            *("login", "--code", "1002", "--password-stdin", "--service", url),
            env={"PYTHONIOENCODING": f"utf-8:{errors}"},
            stdin=None,
            input="contraseña".encode("latin-1"),
        )
        assert (outcome.code, "is not UTF-8" in outcome.err) == (2, True), outcome.err
        assert requests == []


@pytest.mark.parametrize(("password", "is_warned"), [("fictional\u200b", True), ("fictional é", False)])
def test_invisible_characters_in_a_password_cause_a_warning(
    run, sandbox, monkeypatch, plaintext_keyring, password, is_warned
) -> None:
    outcome = log_in(run, sandbox.url, monkeypatch, password=password)
    assert (outcome.code, "warning: the code or the password contains invisible" in outcome.err) == (
        4,
        is_warned,
    )
    assert password not in outcome.err


@pytest.mark.parametrize("name", ["keyring.backends.null.Keyring", "keyrings.alt.file.PlaintextKeyring"])
def test_an_unencrypted_keyring_is_refused_unless_chosen_by_name(spawn, sandbox, name) -> None:
    environment = {"PYTHON_KEYRING_BACKEND": name}
    outcome = spawn("login", "--code", "1002", "--password-stdin", "--service", sandbox.url, env=environment)
    assert outcome.code == 8
    assert f"no secure keyring on this machine, only {name}" in outcome.err
    assert sandbox.select("SELECT count(*) FROM session") == [(0,)], "no session was started"


def test_written_secrets_are_read_back(run, sandbox, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_KEYRING", "keyring.backends.null.Keyring")
    outcome = log_in(run, sandbox.url, monkeypatch)
    assert (outcome.code, "did not store the password" in outcome.err) == (8, True)


def test_an_unknown_backend_is_reported(run, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_KEYRING", "no.such.Backend")
    assert run("login", "--status", "--service", "sandbox").code == 8


def test_a_password_file_that_others_can_read_is_refused(run, signed_in_as, tmp_path, sandbox) -> None:
    signed_in_as(*CLEAR)
    (tmp_path / "password").chmod(0o644)
    outcome = run("required", "--service", sandbox.url)
    assert (outcome.code, "can be read by others" in outcome.err) == (2, True)
    assert f"chmod 600 {tmp_path / 'password'}" in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="owners and permissions of POSIX")
def test_the_hint_for_a_password_file_of_another_user_does_not_suggest_chmod(
    run, signed_in_as, tmp_path, sandbox
) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    signed_in_as(*CLEAR)
    (tmp_path / "password").chmod(0o644)
    os.chown(tmp_path / "password", 65534, 65534)
    with bad_input.without_root_override():
        outcome = run("required", "--service", sandbox.url)
    assert (outcome.code, "it belongs to nobody" in outcome.err) == (2, True)
    assert "chmod" not in outcome.err


@pytest.mark.parametrize("missing", ["DOCSEND_CODE", "DOCSEND_PASSWORD_FILE"])
def test_code_and_password_file_go_together(run, signed_in_as, monkeypatch, missing) -> None:
    signed_in_as(*CLEAR)
    monkeypatch.delenv(missing)
    assert run("required", "--service", "sandbox").code == 2
