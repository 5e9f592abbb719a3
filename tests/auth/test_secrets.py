"""Secrets appear in no output, trace, ledger or file."""

from __future__ import annotations

import base64
import configparser
import json
import re
import stat

from accounts import ABOUT, log_in
from docsend.auth.account import Account
from docsend.auth.keyring_store import Credentials, Token
from docsend.service.client import ServiceClient


def test_no_secret_is_in_any_output_trace_ledger_or_file(
    run, sandbox, payslip, home, monkeypatch, plaintext_keyring
) -> None:
    output = ""
    for options in ([], ["--json"], ["--verbose"]):
        for argv in (
            ("login", "--status"),
            ("required",),
            ("send", payslip, *ABOUT),
            ("send", payslip, *ABOUT, "-n"),
            ("receipts",),
            ("required", "upload", "R-1", payslip),
        ):
            if argv[:2] == ("login", "--status"):
                logged = log_in(run, sandbox.url, monkeypatch, "10029999" if options else "1002")
                output += logged.out + logged.err
            outcome = run(*argv, *options, "--service", sandbox.url)
            output += outcome.out + outcome.err
    token = json.loads(_plaintext_entries(home)["session"])["token"]
    broken = log_in(run, sandbox.url, monkeypatch, password="canary-password")
    output += broken.out + broken.err
    files = b"".join(path.read_bytes() for path in (home / "docsend").rglob("*") if path.is_file())
    for secret in ("fictional-clear", "canary-password", "1002", token):
        assert secret not in output.replace("SANDBOX-", "")
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
