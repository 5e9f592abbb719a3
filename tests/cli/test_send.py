"""`docsend send`: documents are sent exactly once, and the receipt is printed."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest

import doubles
import samples
from conftest import ABOUT, PERSON, WHO

pytestmark = pytest.mark.everywhere

SEND = (*ABOUT, *WHO)
EMPLOYER = ("--to", "employer-collection", "--category", "correspondence", "--type", "correction-letter")
EMPLOYER_WHO = ("--employer-file", "900000019", "--booklet", "77431", "--mobile", "+972-50-1234567")


def test_three_documents_are_received_and_the_service_has_their_bytes(run, sandbox, tmp_path) -> None:
    files = [
        samples.write(tmp_path, "payslip.pdf", samples.pdf()),
        samples.write(tmp_path, "photo.jpg", samples.jpeg()),
        samples.write(tmp_path, "form.tiff", samples.tiff()),
    ]
    outcome = run("send", *files, *SEND, "--service", sandbox.url, "--json")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert (result["status"], result["repeated"], result["service"]) == ("received", False, sandbox.url)
    assert sandbox.content(result["key"]) == {file.name: file.read_bytes() for file in files}
    named = {document["name"]: document["sha256"] for document in result["receipt"]["documents"]}
    assert named == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.pdf", samples.pdf),
        ("a.PDF", lambda: samples.pdf(streams=True)),
        ("a.jpg", samples.jpeg),
        ("a.jpeg", samples.jpeg),
        ("a.JPG", samples.jpeg),
        ("a.png", samples.png),
        ("a.tif", samples.tiff),
        ("a.tiff", lambda: samples.tiff(pages=5)),
        ("a.bmp", samples.bmp),
        ("תלוש שכר.pdf", samples.pdf),
        ("relevé d'août.pdf", samples.pdf),
        ("[link=x] & 'quote'.pdf", samples.pdf),
        ("-n.pdf", samples.pdf),
    ],
)
def test_every_format_and_unusual_file_names_are_received(run, shared_sandbox, tmp_path, name, make) -> None:
    file = samples.write(tmp_path, name, make())
    outcome = run("send", *SEND, "--service", shared_sandbox.url, "--json", "--reference", name, "--", file)
    assert outcome.code == 0, outcome.err
    assert [document["name"] for document in outcome.json["receipt"]["documents"]] == [name]


@pytest.mark.parametrize(
    "options",
    [
        (*ABOUT, *WHO),
        ("--to", "insured-collection", "--category", "supporting", "--type", "power-of-attorney", *WHO),
        ("--to", "health-funds", "--category", "forms", "--type", "form-7000", *WHO),
        (*EMPLOYER, *EMPLOYER_WHO, "--email", "office@bakery.example"),
        (*EMPLOYER, *EMPLOYER_WHO, "--employer-kind", "household"),
    ],
)
def test_each_open_destination_takes_a_submission(run, shared_sandbox, payslip, options) -> None:
    outcome = run("send", payslip, *options, "--service", shared_sandbox.url, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["receipt"]["number"].startswith("SANDBOX-")


def test_the_second_run_reports_an_earlier_receipt_without_contacting_the_service(
    run, sandbox, payslip
) -> None:
    first = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    outcome = run("send", payslip, *SEND, "--service", sandbox.url, "--json")
    assert outcome.code == 0
    assert outcome.json == {**first, "repeated": True}
    assert sandbox.count() == 1


def test_without_its_ledger_a_client_gets_the_same_receipt(run, sandbox, payslip, home) -> None:
    first = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    shutil.rmtree(home / "docsend")
    second = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    assert second == {**first, "repeated": True}
    assert sandbox.count() == 1


def test_the_order_and_the_folder_of_the_files_do_not_change_the_key(run, sandbox, tmp_path) -> None:
    one = samples.write(tmp_path, "a.pdf", samples.pdf(1))
    two = samples.write(tmp_path, "b.jpg", samples.jpeg(2))
    first = run("send", one, two, *SEND, "--service", sandbox.url, "--json").json
    (tmp_path / "elsewhere").mkdir()
    moved = [shutil.move(path, tmp_path / "elsewhere" / path.name) for path in (two, one)]
    second = run("send", *moved, *SEND, "--service", sandbox.url, "--json").json
    assert (second["key"], second["repeated"]) == (first["key"], True)


def test_each_occurrence_is_sent_once_however_often_its_command_is_repeated(run, sandbox, payslip) -> None:
    arguments = ("send", payslip, *SEND, "--service", sandbox.url, "--json")
    keys = {}
    for option, number in (([], 1), (["--occurrence", "2"], 2), (["--occurrence", " 03 "], 3)):
        for is_repeated in (False, True, True):
            sent = run(*arguments, *option)
            assert (sent.code, sent.json["occurrence"], sent.json["repeated"]) == (0, number, is_repeated)
            keys[sent.json["key"]] = number
    declared = sandbox.select("SELECT key, declaration FROM submission WHERE state = 'received'")
    assert {key: json.loads(declaration)["occurrence"] for key, declaration in declared} == keys
    assert len(keys) == 3


def test_a_command_whose_submission_was_received_says_how_to_send_it_once_more(run, sandbox, payslip) -> None:
    arguments = ("send", payslip, *SEND, "--service", sandbox.url)
    for following in (2, 3):
        sent = run(*arguments, "--occurrence", str(following - 1), "--json").json
        for again in (run(*arguments), run(*arguments, "--json")):
            assert again.code == 0
            assert "had already been received: receipt SANDBOX-000001 of " in again.err
            assert f"give --occurrence {following}" in again.err
        assert sent["occurrence"] == following - 1
    assert sandbox.count() == 2


def test_an_occurrence_follows_one_that_another_machine_has_sent(run, sandbox, payslip, home) -> None:
    arguments = ("send", payslip, *SEND, "--service", sandbox.url, "--json")
    for number in ("1", "2", "3"):
        assert run(*arguments, "--occurrence", number).code == 0
        shutil.rmtree(home / "docsend")
    fourth = run(*arguments, "--occurrence", "4").json
    assert (fourth["repeated"], fourth["occurrence"], sandbox.count()) == (False, 4, 4)
    states = [entry["state"] for entry in run("receipts", "--json").json["receipts"]]
    assert states == ["received"] * 4, "the receipts of the others are kept, too"


@pytest.mark.parametrize("lower", ["never sent", "unfinished", "refused by the service"])
def test_an_occurrence_is_refused_until_every_lower_one_was_received(
    run, sandbox, payslip, lower, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    reply = {
        "unfinished": doubles.Reply(503),
        "refused by the service": doubles.problem(409, "key-reused"),
    }.get(lower)
    is_over: list[bool] = []

    def intercept(request, _count, phase):
        return reply if request.method == "PUT" and phase == "before" and not is_over else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        arguments = ("send", payslip, *SEND, "--service", url, "--json")
        if reply is not None:
            assert run(*arguments).code in (5, 6)
        is_over.append(True)
        for number in (2, 3):
            refused = run(*arguments, "--occurrence", str(number))
            assert (refused.code, refused.problems) == (3, ["occurrence-too-early"]), refused.err
            assert "--occurrence 1\n" in refused.err, "the lowest one comes first"
        assert sandbox.count() == 0
        codes = [run(*arguments, "--occurrence", number).code for number in ("1", "2", "3")]
    assert (codes, sandbox.count()) == ([0, 0, 0], 3)


@pytest.mark.parametrize("more", [[], ["--occurrence", "2"], ["--batch", "x.csv"]])
def test_again_is_refused_and_both_of_its_successors_are_named(run, sandbox, payslip, more) -> None:
    refused = run("send", payslip, *SEND, "--service", sandbox.url, "--again", *more)
    assert refused.code == 2
    assert "--occurrence" in refused.err
    assert "--anyway" in refused.err
    assert sandbox.select("SELECT * FROM submission") == []


def test_the_receipt_shows_an_occurrence_that_is_not_the_first(run, sandbox, payslip) -> None:
    send = ("send", payslip, *SEND, "--service", sandbox.url)
    first, second = run(*send, "--occurrence", "1"), run(*send, "--occurrence", "2")
    assert "occurrence" not in first.out
    assert re.search(r"occurrence +2\n", second.out), second.out


def test_the_same_occurrence_again_is_not_sent_to_the_service(run, sandbox, payslip) -> None:
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        arguments = ("send", payslip, *SEND, "--service", url, "--json")
        assert run(*arguments).code == 0
        first = run(*arguments, "--occurrence", "2").json
        requests.clear()
        second = run(*arguments, "--occurrence", "2").json
        assert (second["key"], second["repeated"], requests) == (first["key"], True, [])
        assert run(*arguments, "--occurrence", "1").json["key"] == run(*arguments).json["key"]
    assert sandbox.count() == 2


@pytest.mark.parametrize(("number", "code"), [(2**53 - 1, 0), (2**53, 3)])
def test_an_occurrence_is_a_number_that_every_json_parser_preserves(run, payslip, number, code) -> None:
    outcome = run("send", payslip, *SEND, "--occurrence", str(number), "--dry-run", "--json")
    assert outcome.code == code
    assert outcome.json["occurrence"] == (number if code == 0 else None)


def test_the_branch_is_that_of_the_residence_and_can_be_changed(run, shared_sandbox, payslip) -> None:
    arguments = ("send", payslip, *SEND, "--service", shared_sandbox.url, "--json")
    assert run(*arguments).json["receipt"]["branch"] == {"code": "haifa", "name": "Haifa"}
    assert run(*arguments, "--branch", "eilat", "--anyway").json["receipt"]["branch"]["code"] == "eilat"


def test_the_service_decides_about_an_uncertain_online_form(run, sandbox, payslip) -> None:
    about = ("--to", "benefits", "--subject", "long-term-care", "--category", "claim")
    type_ = ("--type", "long-term-care-reassessment")
    outcome = run("send", payslip, *about, *type_, *WHO, "--service", sandbox.url, "--json")
    assert outcome.code == 5
    assert outcome.problems == ["online-form-required", "online-form-possible"]
    assert sandbox.count() == 0
    again = run("send", payslip, *about, *type_, *WHO, "--service", sandbox.url, "--json")
    assert again.code == 5, "the same command asks again: the cause may be gone by then"


def test_a_document_near_the_limit_is_received_with_a_warning(run, shared_sandbox, tmp_path) -> None:
    file = samples.write(tmp_path, "big.pdf", samples.pdf(size=10 * 10**6 + 1))
    outcome = run("send", file, *SEND, "--service", shared_sandbox.url, "--json")
    assert (outcome.code, outcome.problems) == (0, ["size-near-limit"])
    assert outcome.json["problems"][0]["severity"] == "warning"


def test_fifteen_documents_of_ten_megabytes_arrive_complete(spawn, sandbox, tmp_path) -> None:
    files = []
    for number in range(15):
        # Each is a PDF padded to the size limit, with a different last line.
        content = samples.pdf(number, size=10 * 2**20)
        files.append(samples.write(tmp_path, f"scan-{number:02}.pdf", content))
    outcome = spawn("send", *files, *SEND, "--service", sandbox.url, "--json")
    assert outcome.code == 0, outcome.err
    stored = sandbox.content(outcome.json["key"])
    assert {name: hashlib.sha256(content).digest() for name, content in stored.items()} == {
        file.name: hashlib.sha256(file.read_bytes()).digest() for file in files
    }


def test_a_pattern_that_no_shell_expanded_is_expanded_here(run, shared_sandbox, tmp_path) -> None:
    for number in range(3):
        samples.write(tmp_path, f"page-{number}.png", samples.png(number))
    outcome = run("send", tmp_path / "page-*.png", *SEND, "--service", shared_sandbox.url, "--json")
    assert len(outcome.json["receipt"]["documents"]) == 3


# -- dry run ---------------------------------------------------------------------------------------------


def test_a_dry_run_sends_nothing_and_stores_nothing(run, payslip, home) -> None:
    outcome = run("send", payslip, *SEND, "--dry-run", "--json")
    assert (outcome.code, outcome.json["status"]) == (0, "checked")
    assert not (home / "docsend").exists()


def test_a_dry_run_shows_the_key_of_the_submission(run, shared_sandbox, payslip) -> None:
    checked = run("send", payslip, *SEND, "--dry-run", "--json").json
    sent = run("send", payslip, *SEND, "--service", shared_sandbox.url, "--json").json
    assert checked["key"] == sent["key"]


def test_a_dry_run_shows_each_document_with_format_size_digest_and_verdict(run, tmp_path, payslip) -> None:
    bad = samples.write(tmp_path, "photo.jpg", samples.png())
    outcome = run("send", payslip, bad, *SEND, "--dry-run")
    assert outcome.code == 3
    heads, *rows = outcome.out.splitlines()
    assert heads.split() == ["document", "format", "bytes", "sha256", "verdict"]
    digest = hashlib.sha256(payslip.read_bytes()).hexdigest()
    assert rows[0].split() == [
        "payslip.pdf",
        "pdf",
        f"{payslip.stat().st_size:,}",
        "of",
        "10",
        "MB",
        digest[:16],
        "ok",
    ]
    assert rows[1].split()[-1] == "content-mismatch"


# -- privacy ---------------------------------------------------------------------------------------------


def test_identity_is_masked_everywhere_and_stays_out_of_the_ledger(
    run, shared_sandbox, payslip, home
) -> None:
    secrets = [PERSON, "900000019", "77431", "0501234567", "+972-50-1234567"]
    output = ""
    for who in (SEND, (*EMPLOYER, *EMPLOYER_WHO)):
        for option in ([], ["--json"], ["--verbose"], ["--dry-run"]):
            outcome = run("send", payslip, *who, *option, "--service", shared_sandbox.url)
            assert outcome.code == 0
            output += outcome.out + outcome.err
    assert "••••••018" in output
    stored = b"".join(path.read_bytes() for path in (home / "docsend").rglob("*") if path.is_file())
    for secret in secrets:
        assert secret not in output
        assert secret.encode() not in stored


# -- the sandbox inside the process ----------------------------------------------------------------------


def test_service_sandbox_needs_no_other_process_and_says_that_it_is_the_sandbox(run, payslip, home) -> None:
    outcome = run("send", payslip, *SEND, "--service", "sandbox")
    assert outcome.code == 0
    assert "nothing here reaches the institute" in outcome.err
    assert "docsend sandbox (not the institute)" in outcome.out
    again = run("send", payslip, *SEND, "--service", "sandbox", "--json").json
    assert (again["repeated"], again["service"]) == (True, "sandbox")
    assert (home / "docsend" / "sandbox" / "sandbox.sqlite3").exists()


def test_service_sandbox_uses_a_sandbox_that_is_already_running(spawn, run, payslip) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "docsend", "sandbox", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout
        address = json.loads(running.stdout.readline())["address"]
        outcome = run("send", payslip, *SEND, "--service", "sandbox", "--verbose", "--json")
        assert outcome.code == 0
        assert address in outcome.err
        second = spawn("sandbox")
        assert (second.code, address in second.err) == (2, True)
        running.terminate()
        assert running.wait(timeout=10) == 143


def test_two_files_with_the_same_name_have_separate_verdicts(run, tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    good = samples.write(tmp_path / "a", "payslip.pdf", samples.pdf(1))
    bad = samples.write(tmp_path / "b", "payslip.pdf", samples.pdf(2)[:300])
    outcome = run("send", good, bad, *SEND, "--dry-run")
    verdicts = [line.split()[-1] for line in outcome.out.splitlines() if line.startswith("payslip.pdf")]
    assert (outcome.code, verdicts) == (3, ["ok", "damaged-document"])


def test_an_empty_file_name_is_a_usage_error(run, payslip) -> None:
    outcome = run("send", payslip, "", *SEND)
    assert outcome.code == 2
    assert "empty file name" in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
def test_documents_are_sent_even_if_the_working_folder_is_gone(spawn, sandbox, payslip, tmp_path) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    words = " ".join(map(shlex.quote, [sys.executable, "-m", "docsend", "send", str(payslip), *SEND]))
    script = f"rmdir {shlex.quote(str(nowhere))}; exec {words} --service {sandbox.url}"
    done = subprocess.run(["sh", "-c", script], cwd=nowhere, capture_output=True, text=True, check=False)
    assert (done.returncode, sandbox.count()) == (0, 1), done.stderr
