"""`docsend doctor`: every part has a verdict, every problem has a hint, and no secret is shown."""

from __future__ import annotations

import json
import shutil
import sqlite3
import ssl
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

import doubles
import samples
from conftest import ABOUT, PERSON, WHO
from declarations import checked_submission
from docsend.model.catalog import BUNDLED
from docsend.storage.ledger import Ledger

pytestmark = pytest.mark.everywhere

PARTS = ["version", "configuration", "data", "catalog", "ledger", "keyring", "terminal"]
SERVICE_PARTS = ["service", "network", "clock"]


def findings(outcome) -> dict[str, dict[str, Any]]:
    return {finding["part"]: finding for finding in outcome.json["findings"]}


def test_with_a_service_every_part_is_checked_and_nothing_is_changed(run, sandbox, home) -> None:
    outcome = run("doctor", "--service", sandbox.url, "--json")
    assert outcome.code == 0
    assert list(findings(outcome)) == [*PARTS, *SERVICE_PARTS]
    assert {each["severity"] for each in outcome.json["findings"]} <= {"ok", "warning"}
    assert not (home / "docsend").exists()


def test_text_output_has_a_line_for_each_part_and_a_hint_for_each_problem(run, sandbox) -> None:
    outcome = run("doctor", "--service", sandbox.url)
    assert outcome.code == 0
    assert [line.split()[1] for line in outcome.out.splitlines() if not line.startswith(" ")] == [
        *PARTS,
        *SERVICE_PARTS,
    ]
    assert "a keyring is needed only for the personal service" in outcome.out


def test_without_a_service_it_says_so_and_how_to_choose_one(run) -> None:
    outcome = run("doctor", "--json")
    assert outcome.code == 0
    service = findings(outcome)["service"]
    assert (service["severity"], service["message"]) == ("warning", "no service is chosen")
    assert "DOCSEND_SERVICE" in service["hint"]


def test_a_dead_service_is_an_error_and_the_other_parts_are_still_reported(run) -> None:
    outcome = run("doctor", "--service", "http://127.0.0.1:9", "--json")
    assert outcome.code == 6
    assert list(findings(outcome)) == [*PARTS, "service"]
    assert findings(outcome)["service"]["severity"] == "error"


def test_a_damaged_ledger_is_an_error_and_is_not_changed(run, home) -> None:
    folder = home / "docsend"
    folder.mkdir()
    (folder / "ledger.sqlite3").write_bytes(b"this is no database, and has been one" * 100)
    before = (folder / "ledger.sqlite3").read_bytes()
    outcome = run("doctor", "--json")
    assert outcome.code == 8
    assert findings(outcome)["ledger"]["severity"] == "error"
    assert (folder / "ledger.sqlite3").read_bytes() == before


def test_a_ledger_without_its_key_file_is_an_error(run, sandbox, payslip, home) -> None:
    assert run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url).code == 0
    assert findings(run("doctor", "--json"))["ledger"]["severity"] == "ok"
    (home / "docsend" / "ledger.key").unlink()
    found = findings(run("doctor", "--json"))["ledger"]
    assert (found["severity"], "ledger.key" in found["message"]) == ("error", True)
    assert not (home / "docsend" / "ledger.key").exists()


def test_a_row_that_does_not_match_its_checksum_is_an_error(run, sandbox, payslip, home) -> None:
    assert run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url).code == 0
    file = home / "docsend" / "ledger.sqlite3"
    file.write_bytes(file.read_bytes().replace(b"payslip.pdf", b"payslip.pdg"))
    outcome = run("doctor", "--json")
    found = findings(outcome)["ledger"]
    assert (outcome.code, found["severity"]) == (8, "error")
    assert "docsend receipts repair" in found["hint"]


def test_unfinished_submissions_are_counted(run, sandbox, payslip, home, tmp_path) -> None:
    assert run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url).code == 0
    with Ledger(home / "docsend" / "ledger.sqlite3") as ledger:
        another = checked_submission(tmp_path, name="another.pdf", reference="another")
        ledger.record_plan(sandbox.url, another, anyway=True)
        ledger.record_open(sandbox.url, another.key)
    found = findings(run("doctor", "--json"))["ledger"]
    assert found["severity"] == "warning"
    assert found["facts"]["states"] == {"received": 1, "open": 1}
    assert "receipts resume" in found["hint"]


@pytest.mark.parametrize(
    ("date", "verdict"),
    [
        ("Mon, 23 Nov 2020 05:00:00 GMT", "warning"),
        ("Mon, 23 Nov 2020 05:00:00", "warning"),
        ("Mon, 23 Nov 2099 05:00:00 -0000", "warning"),
        ("yesterday", "ok"),
        ("", "ok"),
    ],
)
def test_a_clock_that_differs_from_the_service_s_is_reported(run, date, verdict) -> None:
    def answer(_request):
        headers = {"Content-Type": "application/json", "ETag": '"1"', **({"Date": date} if date else {})}
        return doubles.Reply(200, BUNDLED.read_bytes(), headers)

    with doubles.service(answer) as (url, _):
        clock = findings(run("doctor", "--service", url, "--json"))["clock"]
    assert clock["severity"] == verdict, clock


def test_over_tls_protocol_issuer_and_expiry_are_reported(run, monkeypatch, tmp_path) -> None:
    authority = trustme.CA(organization_name="Fictional Authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    def answer(_request):
        return doubles.Reply(200, BUNDLED.read_bytes(), {"Content-Type": "application/json"})

    with doubles.service(answer, tls=context) as (plain, _):
        url = plain.replace("http://127.0.0.1", "https://localhost")
        network = findings(run("doctor", "--service", url, "--json"))["network"]
    assert network["facts"]["tls"]["version"].startswith("TLSv1.")
    assert network["facts"]["tls"]["issuer"] == "Fictional Authority"


def test_no_secret_and_no_identity_is_printed(run, spawn, sandbox, payslip, home, monkeypatch) -> None:
    password = home / "password.txt"
    password.write_text("fictional-clear")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "10023344")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    monkeypatch.setenv("HTTPS_PROXY", "http://somebody:proxy-secret@127.0.0.1:9")
    run("senders", "add", "client-1", "--id", PERSON)
    run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url)
    for argv in (("--json",), ("-v",), ()):
        for service in (sandbox.url, "https://documents.example"):
            outcome = run("doctor", "--service", service, *argv)
            output = outcome.out + outcome.err
            assert not [
                secret
                for secret in ("fictional-clear", "10023344", "proxy-secret", PERSON)
                if secret in output
            ], output


INVALID: dict[str, str | bytes] = {
    "not TOML": "nonsense",
    "a table twice": "[senders.cohen-123456782]\n[senders.cohen-123456782]\n",
    "an unknown key": "defualt_service = 'sandbox'",
    "a number for a key": "[senders.cohen]\nid = '123456782'\n123456782 = 'id'",
    "a number for a name": "[senders.123456782]\nname = 'cohen'",
    "a service without an address": "default_service = 'office'\n[services.office]\nurl = 5",
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("what", INVALID)
def test_an_invalid_configuration_is_an_error_and_the_other_parts_are_still_reported(run, home, what) -> None:
    (home / "docsend").mkdir()
    config = INVALID[what]
    (home / "docsend" / "config.toml").write_bytes(config if isinstance(config, bytes) else config.encode())
    outcome = run("doctor", "--json")
    assert (outcome.code, list(findings(outcome))) == (2, [*PARTS, "service"])
    found = findings(outcome)["configuration"]
    assert (found["severity"], "is not a valid configuration" in found["message"]) == ("error", True)
    assert "run any other command" in found["hint"]
    assert findings(outcome)["service"]["message"] == "cannot determine which service to use"
    assert "cannot determine" in run("doctor", "--service", "office").out
    assert "cohen" not in run("doctor", "-v").out
    elsewhere = run("receipts")
    assert (elsewhere.code, "config.toml" in elsewhere.err) == (2, True), "the other commands report it"
    assert "123456782" not in elsewhere.err


def test_with_an_invalid_configuration_a_service_given_by_its_url_is_still_checked(
    run, home, shared_sandbox
) -> None:
    (home / "docsend").mkdir()
    (home / "docsend" / "config.toml").write_text("nonsense")
    outcome = run("doctor", "--service", shared_sandbox.url, "--json")
    assert (outcome.code, list(findings(outcome))) == (2, [*PARTS, *SERVICE_PARTS])
    assert findings(outcome)["service"]["severity"] == "ok"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "DOCSEND_PATIENCE",
            "long",
            "invalid DOCSEND_PATIENCE: 'long' (expected a number of seconds, at most one week)",
        ),
        ("DOCSEND_LANG", "xx", "unsupported language: 'xx'"),
        ("DOCSEND_CODE", "\udcff", "DOCSEND_CODE is not UTF-8"),
    ],
)
def test_an_invalid_variable_is_an_error_and_the_other_parts_are_still_reported(
    run, monkeypatch, name, value, message
) -> None:
    monkeypatch.setenv(name, value)
    outcome = run("doctor", "--json")
    assert (outcome.code, list(findings(outcome))) == (2, [*PARTS, "service"])
    assert findings(outcome)["configuration"]["message"] == message
    assert run("receipts").code == 2


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("office", "unknown service: 'office'"),
        ("office-123456782", "unknown service: 'office-••••••'"),
        ("http://documents.example", "others could read the data in transit"),
        ("https://me:secret@documents.example", "contains a user name or a password"),
    ],
)
def test_an_invalid_service_is_an_error_and_the_other_parts_are_still_reported(run, service, message) -> None:
    outcome = run("doctor", "--service", service, "--json")
    assert (outcome.code, list(findings(outcome))) == (2, [*PARTS, "service"])
    found = findings(outcome)["service"]
    assert (found["severity"], message in found["message"], bool(found["hint"])) == ("error", True, True)
    assert "secret" not in outcome.out


def test_a_configuration_with_numbers_that_others_can_read_is_a_warning(run, home) -> None:
    run("senders", "add", "client-1", "--id", PERSON)
    (home / "docsend" / "config.toml").chmod(0o644)
    found = findings(run("doctor", "--json"))["configuration"]
    assert (found["severity"], found["hint"][:14]) == ("warning", "run `chmod 600")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_ledger_that_is_a_pipe_is_an_error(run, home) -> None:
    (home / "docsend").mkdir()
    samples.named_pipe(home / "docsend" / "ledger.sqlite3")
    assert findings(run("doctor", "--json"))["ledger"]["severity"] == "error"


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("empty", "ok"), ("journal", "warning"), ("written", "warning")],
)
def test_a_ledger_in_use_or_interrupted_is_not_damaged(run, sandbox, payslip, home, state, verdict) -> None:
    assert run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url).code == 0
    file = home / "docsend" / "ledger.sqlite3"
    connection = sqlite3.connect(file, isolation_level=None)
    if state == "empty":
        file.write_bytes(b"")
    elif state == "journal":
        (home / "docsend" / "ledger.sqlite3-journal").write_bytes(b"what a killed process left")
    else:
        connection.execute("BEGIN EXCLUSIVE")
    outcome = run("doctor", "--json")
    connection.close()
    ledger = findings(outcome)["ledger"]
    assert (outcome.code, ledger["severity"]) == (0, verdict), ledger
    assert "restore" not in (ledger["hint"] or "")


@pytest.mark.parametrize(
    ("mode", "code", "verdict"), [(0o600, "1002", "ok"), (0o644, "1002", "error"), (0o600, None, "error")]
)
def test_a_password_file_is_checked(run, home, monkeypatch, mode, code, verdict) -> None:
    file = home / "password.txt"
    file.write_text("fictional-clear")
    file.chmod(mode)
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(file))
    if code:
        monkeypatch.setenv("DOCSEND_CODE", code)
    keyring = findings(run("doctor", "--json"))["keyring"]
    assert keyring["severity"] == verdict, keyring
    assert verdict == "ok" or keyring["hint"]


def test_the_sandbox_inside_the_process_is_not_started_for_a_check(run, home) -> None:
    assert findings(run("doctor", "--service", "sandbox", "--json"))["service"]["severity"] == "ok"
    assert not (home / "docsend").exists()


def test_a_full_disk_and_a_folder_that_cannot_be_created_are_reported(run, home, monkeypatch) -> None:
    usage = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    data = findings(run("doctor", "--json"))["data"]
    assert (data["severity"], "free some disk space" in data["hint"]) == ("warning", True)
    (home / "docsend").write_text("a file where the folder should be")
    outcome = run("doctor", "--json")
    assert (outcome.code, findings(outcome)["data"]["severity"]) == (8, "error")


@pytest.mark.parametrize(
    ("version", "verdict", "source"),
    [("2026-11-01", "ok", "service"), ("2020-01-01", "warning", "service"), (None, "error", "service")],
)
def test_an_old_catalog_is_a_warning(run, sandbox, home, version, verdict, source) -> None:
    assert run("catalog", "--update", "--service", sandbox.url).code == 0
    (own,) = (home / "docsend" / "catalogs").glob("*.json")
    raw = json.loads(own.read_text("utf-8"))
    own.write_text(json.dumps({**raw, "version": version}) if version else "nonsense", "utf-8")
    catalog = findings(run("doctor", "--service", sandbox.url, "--json"))["catalog"]
    assert (catalog["severity"], catalog["facts"]["source"]) == (verdict, source), catalog
    assert verdict == "ok" or "--update" in catalog["hint"]


def test_a_slow_keyring_is_reported_with_its_time(run, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "backends"))
    monkeypatch.setenv("DOCSEND_KEYRING", "slow_keyring.SlowKeyring")
    keyring = findings(run("doctor", "--json"))["keyring"]
    assert keyring["severity"] == "warning", keyring
    assert keyring["facts"]["milliseconds"] >= 1000


@pytest.mark.parametrize(("ahead", "word"), [(-3600, "behind"), (3600, "ahead")])
def test_the_message_says_whether_the_clock_is_ahead_or_behind(run, ahead, word) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=ahead), usegmt=True)

    def answer(_request):
        headers = {"Content-Type": "application/json", "ETag": '"1"', "Date": date}
        return doubles.Reply(200, BUNDLED.read_bytes(), headers)

    with doubles.service(answer) as (url, _):
        clock = findings(run("doctor", "--service", url, "--json"))["clock"]
    assert word in clock["message"]
    assert abs(clock["facts"]["skew_s"] - ahead) < 5


def test_an_encoding_other_than_utf_8_is_reported(spawn) -> None:
    outcome = spawn("doctor", "--json", env={"PYTHONIOENCODING": "cp1252"})
    terminal = {each["part"]: each for each in json.loads(outcome.out)["findings"]}["terminal"]
    assert (terminal["severity"], "UTF-8" in terminal["hint"]) == ("warning", True)
