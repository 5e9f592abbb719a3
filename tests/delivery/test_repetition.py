"""What people would call the same is sent once: at the edges of the situations of docs/exactly-once.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

import doubles
import old_ledgers
import samples
from accounts import ABOUT as PERSONAL
from accounts import CLEAR
from bad_manifests import HEAD, good, rows
from conftest import ABOUT, WHO, force_staged_upload

if TYPE_CHECKING:
    from pathlib import Path

SEND = (*ABOUT, *WHO)
REFERENCE = ("--reference", "4711")


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


def export_anew(file) -> None:
    file.write_bytes(file.read_bytes() + b"% exported anew\n")


def _exports(folder: Path, payslip: Path, count: int) -> list[Path]:
    """Return so many exports of a document, with the same name in folders of their own."""
    return [
        samples.write(_folder(folder, str(n)), payslip.name, payslip.read_bytes() + b"%% export %d\n" % n)
        for n in range(count)
    ]


def _command(file: Path, url: str) -> list[str]:
    """Return the command that sends a document as a process of its own."""
    return [sys.executable, "-m", "docsend", "send", str(file), *SEND, *REFERENCE, "--service", url]


def states(run) -> list[str]:
    """Return the states of all entries, the oldest first."""
    return [entry["state"] for entry in reversed(run("receipts", "--json").json["receipts"])]


class Network:
    """An interceptor that fails requests with one of these methods while it is down."""

    def __init__(self, *methods: str, phase: str = "before") -> None:
        self.methods, self.phase, self.is_down = methods, phase, True

    def __call__(self, request: doubles.ReceivedRequest, _count: int, phase: str) -> doubles.Reply | None:
        is_failing = self.is_down and request.method in self.methods and phase == self.phase
        return doubles.Reply(503) if is_failing else None


@pytest.mark.parametrize("is_staged", [False, True])
def test_the_earlier_submission_is_withdrawn_before_anything_of_the_new_one_is_sent(
    run, sandbox, payslip, monkeypatch, is_staged
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")
    with doubles.relay(sandbox.url, network) as (url, requests):
        if is_staged:
            force_staged_upload(url)
        first = run("send", payslip, *SEND, *REFERENCE, "--service", url, "--json").json
        export_anew(payslip)
        network.is_down = False
        requests.clear()
        second = run("send", payslip, *SEND, *REFERENCE, "--service", url, "--json").json
        methods = [(request.method, request.path.split("/")[3]) for request in requests]
    assert methods[:2] == [("DELETE", first["key"]), ("PUT", second["key"])]
    assert (sandbox.state(first["key"]), sandbox.state(second["key"])) == ("withdrawn", "received")
    assert states(run) == ["withdrawn", "received"]
    (notice,) = second["problems"]
    assert (notice["code"], notice["severity"]) == ("earlier-withdrawn", "warning")
    assert first["key"][:12] in notice["message"]


def test_an_unfinished_upload_is_withdrawn_as_well(run, sandbox, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("POST")
    with doubles.relay(sandbox.url, network) as (url, _):
        force_staged_upload(url)
        first = run("send", payslip, *SEND, *REFERENCE, "--service", url, "--json").json
        assert states(run) == ["sending"]
        export_anew(payslip)
        network.is_down = False
        assert run("send", payslip, *SEND, *REFERENCE, "--service", url).code == 0
    assert (sandbox.state(first["key"]), sandbox.count()) == ("withdrawn", 1)


def test_while_the_earlier_one_cannot_be_withdrawn_the_new_one_is_not_recorded(
    run, sandbox, payslip, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT", "DELETE")
    with doubles.relay(sandbox.url, network) as (url, _):
        send = ("send", payslip, *SEND, *REFERENCE, "--service", url)
        assert run(*send).code == 6
        export_anew(payslip)
        assert run(*send).code == 6
        assert states(run) == ["sending"]
        network.is_down = False
        assert run(*send).code == 0
    assert (states(run), sandbox.count()) == (["withdrawn", "received"], 1)


@pytest.mark.parametrize("status", [400, 403, 405, 409, 501])
def test_if_the_earlier_one_cannot_be_withdrawn_the_message_names_both_ways_out(
    run, sandbox, payslip, monkeypatch, status
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")

    def intercept(request, count, phase):
        if request.method == "DELETE":
            return doubles.Reply(status, b"<html>no</html>", {"Content-Type": "text/html"}, echoes_id=False)
        return network(request, count, phase)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        send = ("send", payslip, *SEND, *REFERENCE, "--service", url)
        first = run(*send, "--json").json["key"]
        earlier = payslip.read_bytes()
        export_anew(payslip)
        network.is_down = False
        refused = run(*send)
        assert (refused.code, f"({first[:12]}) could not be withdrawn" in refused.err) == (6, True), (
            refused.err
        )
        assert "run the command of the earlier one, or give --anyway" in refused.err
        assert sandbox.count() == 0
        assert run(*send, "--anyway").code == 0
        payslip.write_bytes(earlier)
        assert run(*send, "--anyway").code == 0
    assert sandbox.count() == 2


def test_a_withdrawal_is_told_even_if_the_next_one_fails(run, sandbox, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")

    def intercept(request, count, phase):
        if request.method == "DELETE" and second in request.path:
            return doubles.Reply(503)
        return network(request, count, phase)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        send = ("send", payslip, *SEND, *REFERENCE, "--service", url, "--json")
        second = "none"
        first = run(*send).json["key"]
        export_anew(payslip)
        second = run(*send, "--anyway").json["key"]
        export_anew(payslip)
        network.is_down = False
        failed = run(*send)
    assert (failed.code, failed.problems) == (6, ["service-busy", "earlier-withdrawn"])
    assert failed.err.count(f"it was withdrawn ({first[:12]})") == 1
    assert states(run) == ["withdrawn", "sending"]


def test_the_way_out_that_is_named_for_an_earlier_unfinished_one_works(
    run, sandbox, payslip, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")
    with doubles.relay(sandbox.url, network) as (url, _):
        send = ("send", payslip, *SEND, *REFERENCE, "--service", url)
        earlier = payslip.read_bytes()
        assert run(*send).code == 6
        export_anew(payslip)
        assert run(*send, "--anyway").code == 6
        network.is_down = False
        payslip.write_bytes(earlier)
        left = run(*send)
        (named,) = re.findall(r"`docsend (receipts withdraw \w+)`", left.err)
        assert (left.code, run(*named.split(), "--service", url).code) == (6, 0)
        assert run(*send).code == 0
    assert (states(run), sandbox.count()) == (["received", "withdrawn"], 1)


def test_a_refused_submission_that_is_recorded_anew_is_the_later_one(
    run, sandbox, payslip, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")

    def intercept(request, count, phase):
        if request.method == "PUT" and is_refusing:
            return doubles.problem(422, "online-form-required")
        return network(request, count, phase)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        send = ("send", payslip, *SEND, *REFERENCE, "--service", url)
        first = payslip.read_bytes()
        is_refusing = True
        assert run(*send).code == 5
        is_refusing = False
        export_anew(payslip)
        assert run(*send).code == 6
        second = payslip.read_bytes()
        payslip.write_bytes(first)
        assert run(*send, "--anyway").code == 6
        network.is_down = False
        payslip.write_bytes(second)
        assert run(*send).code == 6, "the first was recorded last"
        payslip.write_bytes(first)
        assert run(*send).code == 0
    assert (sorted(states(run)), sandbox.count()) == (["received", "withdrawn"], 1)


def test_a_lost_response_to_the_withdrawal_is_repeated(run, sandbox, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network, lost = Network("PUT"), Network("DELETE", phase="after")

    def intercept(request, count, phase):
        return network(request, count, phase) or lost(request, count, phase)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        send = ("send", payslip, *SEND, *REFERENCE, "--service", url)
        assert run(*send).code == 6
        export_anew(payslip)
        network.is_down = False
        assert run(*send).code == 6
        lost.is_down = False
        assert run(*send).code == 0
    assert sandbox.count() == 1


def test_a_service_that_does_not_withdraw_an_unknown_key_gets_nothing_new(
    run, sandbox, payslip, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")

    def intercept(request, count, phase):
        if request.method == "DELETE":
            return doubles.problem(404, "not-found")
        return network(request, count, phase)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        send = ("send", payslip, *SEND, *REFERENCE, "--service", url)
        assert run(*send).code == 6
        export_anew(payslip)
        network.is_down = False
        refused = run(*send)
        assert (refused.code, "--anyway" in refused.err) == (6, True)
        assert sandbox.count() == 0
        assert run(*send, "--anyway").code == 0
    assert sandbox.count() == 1


def test_a_run_that_overlaps_with_that_of_a_new_export_is_told_that_it_was_withdrawn(
    run, sandbox, payslip, tmp_path
) -> None:
    export = samples.write(
        _folder(tmp_path, "anew"), payslip.name, payslip.read_bytes() + b"% exported anew\n"
    )
    is_waiting, may_go_on = threading.Event(), threading.Event()

    def intercept(request, count, phase):
        if request.method == "PUT" and phase == "before" and not is_waiting.is_set():
            is_waiting.set()
            assert may_go_on.wait(30)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        first = subprocess.Popen(_command(payslip, url), stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        assert is_waiting.wait(30)
        second = run(*_command(export, url)[3:], "--json")
        may_go_on.set()
        _, err = first.communicate(timeout=60)
    assert (first.returncode, b"[withdrawn]" in err) == (5, True), err
    assert (second.code, second.problems) == (0, ["earlier-withdrawn"])
    assert (states(run), sandbox.count()) == (["withdrawn", "received"], 1)


def test_of_two_exports_sent_at_the_same_time_one_is_received(sandbox, payslip, tmp_path, run) -> None:
    exports = _exports(tmp_path, payslip, 4)
    commands = [_command(file, sandbox.url) for file in exports]
    processes = [subprocess.Popen(one, stderr=subprocess.PIPE, stdout=subprocess.PIPE) for one in commands]
    codes = []
    for process in processes:
        process.communicate(timeout=60)
        codes.append(process.returncode)
    assert codes.count(0) == 1, codes
    assert set(codes) <= {0, 3, 5, 6}
    assert sandbox.count() == 1


def test_an_export_is_sent_however_many_others_are_recorded_while_it_withdraws_the_earlier_ones(
    sandbox, payslip, tmp_path, run, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    exports = _exports(tmp_path, payslip, 5)
    waiting = exports[1:]
    network = Network("PUT")

    def intercept(request, count, phase):
        if request.method == "DELETE" and phase == "before" and count not in nested and waiting:
            nested.add(count + 1)  # the withdrawal by the command that runs here
            subprocess.run(_command(waiting.pop(), url), check=False, capture_output=True, timeout=60)
            network.is_down = bool(waiting)
        return network(request, count, phase)

    nested: set[int] = set()
    with doubles.relay(sandbox.url, intercept) as (url, requests):
        assert run(*_command(exports[0], url)[3:]).code == 6
        last = run(*_command(payslip, url)[3:], "--json")
        withdrawals = [request for request in requests if request.method == "DELETE"]
    assert (last.code, set(last.problems)) == (0, {"earlier-withdrawn"}), last.err
    assert (waiting, len(withdrawals) > 2 * len(exports[1:])) == ([], True)
    assert (sorted(states(run)), sandbox.count()) == (["received"] + 5 * ["withdrawn"], 1)


def test_if_the_commands_of_two_unfinished_exports_run_at_the_same_time_the_later_export_is_received(
    sandbox, payslip, run, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")
    is_waiting, may_go_on = threading.Event(), threading.Event()

    def intercept(request, count, phase):
        if not network.is_down and request.method == "GET" and not is_waiting.is_set():
            is_waiting.set()
            assert may_go_on.wait(60)
        return network(request, count, phase)

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        send = ("send", payslip, *SEND, *REFERENCE, "--service", url, "--json")
        first = run(*send).json["key"]
        earlier = payslip.rename(payslip.parent / "earlier.pdf")
        samples.write(payslip.parent, payslip.name, earlier.read_bytes())
        export_anew(payslip)
        later = run(*send, "--anyway").json["key"]
        network.is_down = False
        requests.clear()
        folder = _folder(payslip.parent, "earlier")
        command = [str(each) for each in (sys.executable, "-m", "docsend", *send)]
        command[4] = str(earlier.rename(folder / payslip.name))
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        assert is_waiting.wait(60)
        assert run(*send).code == 0
        may_go_on.set()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["problems"][0]["code"]) == (5, "withdrawn"), (out, err)
    assert (sandbox.state(first), sandbox.state(later)) == ("withdrawn", "received")


def test_a_personal_submission_that_is_unfinished_is_withdrawn_for_its_account(
    run, sandbox, payslip, monkeypatch, tmp_path
) -> None:
    password = samples.write(tmp_path, "password", f"{CLEAR[1]}\n".encode())
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", CLEAR[0])
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")
    with doubles.relay(sandbox.url, network) as (url, requests):
        send = ("send", payslip, *PERSONAL, *REFERENCE, "--service", url, "--json")
        first = run(*send)
        assert first.code == 6, first.err
        export_anew(payslip)
        network.is_down = False
        assert run(*send).problems == ["earlier-withdrawn"]
        (withdrawal,) = [request for request in requests if request.method == "DELETE"]
    assert "authorization" in withdrawal.headers
    assert (sandbox.state(first.json["key"]), sandbox.count()) == ("withdrawn", 1)


def test_a_submission_that_the_service_refused_does_not_count(run, sandbox, payslip) -> None:
    def intercept(request, count, phase):
        is_first = request.method == "PUT" and phase == "before" and count == 1
        return doubles.problem(409, "key-reused") if is_first else None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        assert run("send", payslip, *SEND, *REFERENCE, "--service", url).code == 5
        export_anew(payslip)
        requests.clear()
        assert run("send", payslip, *SEND, *REFERENCE, "--service", url).code == 5
        assert run("send", payslip, *SEND, *REFERENCE, "--service", url, "--json").problems == []
        assert [request.method for request in requests] == ["PUT", "PUT"]


def test_what_the_sandbox_has_received_counts_at_no_other_service(
    run, sandbox, shared_sandbox, payslip
) -> None:
    assert run("send", payslip, *SEND, *REFERENCE, "--service", shared_sandbox.url).code == 0
    export_anew(payslip)
    assert run("send", payslip, *SEND, *REFERENCE, "--service", sandbox.url).code == 0


def test_a_dry_run_reports_what_would_be_refused_and_creates_no_ledger(run, sandbox, payslip, home) -> None:
    check = ("send", payslip, *SEND, *REFERENCE, "--service", sandbox.url, "--json", "--dry-run")
    assert run(*check).code == 0
    assert not (home / "docsend" / "ledger.sqlite3").exists()
    assert run(*check[:-1]).code == 0
    assert run(*check).problems == []
    export_anew(payslip)
    refused = run(*check)
    assert (refused.code, refused.problems) == (3, ["reference-received-before"])
    assert run(*check, "--anyway").code == 0
    assert states(run) == ["received"]


def test_a_dry_run_says_what_it_cannot_compare_because_no_account_is_known(
    run, sandbox, payslip, monkeypatch
) -> None:
    check = ("send", payslip, *PERSONAL, *REFERENCE, "--service", sandbox.url, "--dry-run")
    assert "not compared" not in run(*check).err, "there is no ledger"
    assert run("send", payslip, *SEND, "--service", sandbox.url).code == 0
    single = run(*check)
    assert (single.code, "1 personal submission was not compared" in single.err) == (0, True)
    line = f"personal,unemployment,employer,payslips,4711,{payslip.name}"
    head = "to,subject,category,type,reference,documents"
    manifest = samples.write(payslip.parent, "batch.csv", rows(line, head=head).encode())
    batch = run("send", "--batch", manifest, "--service", sandbox.url, "--dry-run")
    assert (batch.code, "1 personal submission was not compared" in batch.err) == (0, True)


def test_nothing_suggests_to_send_a_required_document_twice(
    run, sandbox, payslip, monkeypatch, tmp_path
) -> None:
    password = samples.write(tmp_path, "password", b"fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")
    with doubles.relay(sandbox.url, network) as (url, _):
        upload = ("required", "upload", "R-4711", payslip, "--service", url)
        assert run(*upload).code == 6
        network.is_down = False
        first = payslip.read_bytes()
        export_anew(payslip)
        assert run(*upload).code == 0
        again = run(*upload)
        copy = samples.write(tmp_path, "copy.pdf", payslip.read_bytes())
        renamed = run(*upload[:3], copy, *upload[4:])
        payslip.write_bytes(first)
        withdrawn = run(*upload)
    assert (again.code, renamed.code, withdrawn.code) == (0, 3, 5)
    for outcome in (again, renamed, withdrawn):
        assert "--occurrence" not in outcome.err + outcome.out
        assert "--anyway" not in outcome.err + outcome.out
    assert sandbox.count() == 1


# -- batches ------------------------------------------------------------------------------------------------


def test_a_batch_announces_what_it_will_refuse_and_says_what_it_withdrew(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    documents = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in (1, 2, 3)]
    manifest = tmp_path / "batch.csv"
    network = Network("PUT")
    with doubles.relay(sandbox.url, network) as (url, _):
        send = ("send", "--batch", manifest, "--service", url, "--jobs", "1")
        manifest.write_text(rows(good(2, documents="2.pdf")))
        assert run(*send).code == 7
        network.is_down = False
        manifest.write_text(rows(good(1, documents="1.pdf")))
        assert run(*send).code == 0
        for document in documents:
            export_anew(document)
        manifest.write_text(rows(*(good(n, documents=f"{n}.pdf") for n in (1, 2, 3))))
        outcome = run(*send)
    assert "1 row repeats what was received before" in outcome.err
    assert "row 2: faulty: the same reference was received before" in outcome.err
    assert "row 3: an earlier submission with the same reference was not received" in outcome.err
    assert outcome.out == "3 rows: 2 received, 1 faulty\n"
    assert sandbox.count() == 3


def test_a_row_waits_for_the_lower_occurrence_of_its_content(run, sandbox, tmp_path) -> None:
    samples.write(tmp_path, "1.pdf", samples.pdf(1))
    samples.write(tmp_path, "2.pdf", samples.pdf(2))
    head = f"{HEAD},occurrence"
    lines = [f"{good(n, documents=f'{n}.pdf')},{k}" for k in (3, 2, 1) for n in (1, 2)]
    manifest = samples.write(tmp_path, "batch.csv", rows(*lines, head=head).encode())
    outcome = run("send", "--batch", manifest, "--service", sandbox.url, "--jobs", "8")
    assert (outcome.code, outcome.out) == (0, "6 rows: 6 received\n"), outcome.err
    received = sandbox.select(
        "SELECT declaration FROM submission JOIN receipt USING (owner, key) ORDER BY number"
    )
    order = [json.loads(declaration)["occurrence"] for (declaration,) in received]
    assert order == [1, 1, 2, 2, 3, 3]


def test_a_row_whose_lower_occurrence_failed_is_unfinished_and_the_same_batch_finishes_it(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    samples.write(tmp_path, "1.pdf", samples.pdf(1))
    lines = [f"{good(1, documents='1.pdf')},{k}" for k in ("", "2")]
    manifest = samples.write(tmp_path, "batch.csv", rows(*lines, head=f"{HEAD},occurrence").encode())
    network = Network("PUT")
    with doubles.relay(sandbox.url, network) as (url, _):
        send = ("send", "--batch", manifest, "--service", url)
        assert (run(*send).out, sandbox.count()) == ("2 rows: 2 unfinished\n", 0)
        network.is_down = False
        assert run(*send).out == "2 rows: 2 received\n"
    assert sandbox.count() == 2


# -- ledgers of docsend 0.1.0 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "later", "problems"),
    [
        ([], [], ["reference-received-before"]),
        (["--remark", "x"], ["--remark", "x"], ["reference-received-before"]),
        (["--branch", "eilat"], [], ["perhaps-received-before"]),
        ([], ["--branch", "eilat"], ["reference-received-before"]),
        (["--occurrence", "1"], ["--remark", "y"], ["reference-received-before"]),
    ],
)
def test_the_key_of_an_old_entry_tells_whether_it_is_for_the_same_person(
    run, shared_sandbox, payslip, home, earlier, later, problems
) -> None:
    send = ("send", payslip, *SEND, "--service", shared_sandbox.url, *REFERENCE, "--json")
    assert run(*send, *earlier).code == 0
    old_ledgers.rewrite_as(home / "docsend" / "ledger.sqlite3", 3)
    export_anew(payslip)
    assert run(*send, *later).problems == problems


def test_an_old_entry_of_another_person_is_a_doubt_and_no_error(run, shared_sandbox, payslip, home) -> None:
    send = ("send", payslip, *ABOUT, "--service", shared_sandbox.url, *REFERENCE, "--json")
    assert run(*send, "--id", "000000018").code == 0
    old_ledgers.rewrite_as(home / "docsend" / "ledger.sqlite3", 3)
    other = run(*send, "--id", "000000026")
    assert (other.code, other.problems) == (0, ["perhaps-received-before"])


def test_however_many_old_entries_have_the_reference_of_the_month_each_is_recognized(
    run, shared_sandbox, payslip, home
) -> None:
    file = home / "docsend" / "ledger.sqlite3"
    send = ("send", payslip, *SEND, "--service", shared_sandbox.url, *REFERENCE, "--json")
    assert run(*send).code == 0
    old_ledgers.rewrite_as(file, 3)
    old_ledgers.add_others(file, 1_500)
    export_anew(payslip)
    assert run(*send).problems == ["reference-received-before"]
    renamed = payslip.rename(payslip.with_name("another-name.pdf"))
    assert run("send", renamed, *send[2:]).problems == ["reference-received-before"]
    new = run("send", renamed, *ABOUT, "--id", "000000026", *send[len(SEND) + 2 :])
    assert (new.code, new.problems) == (0, ["perhaps-received-before"]), "one warning, however many"


def test_the_documents_of_an_old_entry_are_recognized_under_another_name(
    run, shared_sandbox, payslip, home
) -> None:
    send = (*SEND, "--service", shared_sandbox.url, "--json")
    assert run("send", payslip, *send).code == 0
    old_ledgers.rewrite_as(home / "docsend" / "ledger.sqlite3", 3)
    assert run("send", payslip, *send).json["repeated"] is True
    copy = payslip.rename(payslip.with_name("copy.pdf"))
    assert run("send", copy, *send).problems == ["content-received-before"]


def test_an_unfinished_entry_of_an_old_ledger_is_withdrawn(run, sandbox, payslip, home, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    network = Network("PUT")
    with doubles.relay(sandbox.url, network) as (url, _):
        send = ("send", payslip, *SEND, *REFERENCE, "--service", url, "--json")
        assert run(*send).code == 6
        old_ledgers.rewrite_as(home / "docsend" / "ledger.sqlite3", 3)
        export_anew(payslip)
        network.is_down = False
        assert run(*send).problems == ["earlier-withdrawn"]
    assert sandbox.count() == 1


@pytest.mark.parametrize("is_batch", [False, True])
def test_an_old_entry_gains_its_digests_when_its_command_runs_again(
    run, shared_sandbox, payslip, home, is_batch
) -> None:
    send = ("send", payslip, *SEND, "--service", shared_sandbox.url, *REFERENCE, "--json")
    assert run(*send, "--branch", "eilat").code == 0
    old_ledgers.rewrite_as(home / "docsend" / "ledger.sqlite3", 3)
    if is_batch:
        assert run("send", "--batch", _batch_of(payslip), "--service", shared_sandbox.url).code == 0
    else:
        assert run(*send, "--branch", "eilat").json["repeated"] is True
    export_anew(payslip)
    assert run(*send).problems == ["reference-received-before"]


def _batch_of(payslip):
    """Return a manifest whose row is the submission of the test above."""
    line = f"{good(4711, documents=payslip.name)},eilat"
    return samples.write(payslip.parent, "batch.csv", rows(line, head=f"{HEAD},branch").encode())
