"""The personal service: its rules, and its required documents."""

from __future__ import annotations

import pytest

import doubles
import samples
from accounts import ABOUT, CLEAR, PENDING, PENDING_SUBJECT

# -- rules -------------------------------------------------------------------------------------------------


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
    ("name", "make", "code", "hint"),
    [
        ("a.jpeg", samples.jpeg, "format-not-accepted", "rename it to end in .jpg"),
        ("a.bmp", samples.bmp, "format-not-accepted", "the destination benefits accepts bmp"),
        ("a.pdf", lambda: samples.pdf(size=7 * 2**20), "document-too-large", "but benefits accepts 10 MB"),
        ("a.pdf", lambda: samples.pdf(size=5 * 2**20) + b"\n", "document-too-large", "5 MB"),
    ],
)
def test_a_document_that_only_other_destinations_accept_gets_a_hint(
    run, tmp_path, name, make, code, hint
) -> None:
    outcome = run("send", samples.write(tmp_path, name, make()), *ABOUT, "--dry-run", "--json")
    assert (outcome.code, outcome.problems) == (3, [code])
    assert hint in outcome.json["problems"][0]["hint"]


def test_there_is_no_limit_to_the_number_of_documents(run, shared_sandbox, signed_in_as, tmp_path) -> None:
    signed_in_as(*CLEAR)
    files = [samples.write(tmp_path, f"{n}.png", samples.png(n)) for n in range(20)]
    outcome = run("send", *files, *ABOUT, "--service", shared_sandbox.url, "--json")
    assert (outcome.code, len(outcome.json["receipt"]["documents"])) == (0, 20)


@pytest.mark.parametrize("option", [("--id", "000000018"), ("--branch", "haifa"), ("--booklet", "1")])
def test_fields_that_the_account_determines_are_refused(run, payslip, option) -> None:
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


def test_a_subject_with_a_pending_document_refuses_others_before_any_upload(
    run, sandbox, signed_in_as, payslip
) -> None:
    signed_in_as(*PENDING)
    arguments = ("send", payslip, *PENDING_SUBJECT, "--type", "termination-letter", "--json")
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        outcome = run(*arguments, "--service", url)
        calls = [(request.method, request.path.split("/")[2]) for request in requests]
    assert (outcome.code, outcome.problems) == (3, ["required-documents-pending"])
    assert calls == [("POST", "session"), ("GET", "required")]
    assert "docsend required upload R-4711 FILE" in outcome.err
    assert "Payslips from January to June (due 2026-12-15)" in outcome.err
    assert run("send", payslip, *ABOUT, "--service", sandbox.url).code == 0, "other subjects are free"


def test_the_service_refuses_a_client_with_a_stale_list(run, sandbox, signed_in_as, payslip) -> None:
    signed_in_as(*PENDING)
    nothing = doubles.Reply(200, b'{"required": []}', {"Content-Type": "application/json"})

    def intercept(request, _count, phase):
        return nothing if (request.path, phase) == ("/v1/required", "before") else None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        arguments = ("send", payslip, *PENDING_SUBJECT, "--type", "termination-letter", "--json")
        outcome = run(*arguments, "--service", url)
        assert not [request for request in requests if "/documents/" in request.path]
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


def test_an_upload_whose_response_was_lost_is_finished_by_the_same_command(
    run, sandbox, signed_in_as, payslip
) -> None:
    signed_in_as(*PENDING)
    gone: list[bool] = []

    def intercept(request, _count, phase):
        if phase == "after" and request.path.startswith("/v1/submissions/") and not gone:
            gone.append(True)
            return doubles.Reply(503, headers={"Retry-After": "999"})
        return None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        upload = ("required", "upload", "R-4711", payslip, "--service", url, "--json")
        assert run(*upload).code == 6
        outcome = run(*upload)
    assert (outcome.code, outcome.json["receipt"]["number"]) == (0, "SANDBOX-000001")
    assert sandbox.count() == 1


def test_an_upload_made_by_another_process_meanwhile_yields_the_same_receipt(
    run, spawn, sandbox, signed_in_as, payslip
) -> None:
    signed_in_as(*PENDING)
    upload = ("required", "upload", "R-4711", payslip)
    first_calls: list[str] = []
    faster: list[int] = []

    def intercept(request, _count, phase):
        if request.path == "/v1/required" and phase == "before" and not first_calls:
            first_calls.append(request.path)
            faster.append(spawn(*upload, "--service", url, "--json").code)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        outcome = run(*upload, "--service", url, "--json")
    assert (faster, outcome.code, outcome.json["repeated"]) == ([0], 0, True), outcome.err
    assert sandbox.count() == 1


def test_send_required_is_the_same_submission_as_required_upload(run, sandbox, signed_in_as, payslip) -> None:
    signed_in_as(*PENDING)
    about = (*PENDING_SUBJECT, "--type", "payslips", "--required", "R-4711")
    sent = run("send", payslip, *about, "--service", sandbox.url, "--json").json
    uploaded = run("required", "upload", "R-4711", payslip, "--service", sandbox.url, "--json").json
    assert (uploaded["key"], uploaded["repeated"]) == (sent["key"], True)


def test_an_unknown_required_document_is_reported(run, sandbox, signed_in_as, payslip) -> None:
    signed_in_as(*CLEAR)
    outcome = run("required", "upload", "R-4711", payslip, "--service", sandbox.url, "--json")
    assert (outcome.code, outcome.problems) == (3, ["unknown-required"])
    about = (*PENDING_SUBJECT, "--type", "payslips", "--required", "R-0")
    assert run("send", payslip, *about, "--service", sandbox.url, "--json").problems == ["unknown-required"]
