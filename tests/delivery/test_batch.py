"""Batches: every row is sent once, whatever happens to it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter

import pytest

import doubles
import samples
from batch_files import HEAD, json_rows, make_rows, read_report, save_manifest, start_batch, to_csv
from conftest import PERSON

pytestmark = pytest.mark.everywhere


def test_a_batch_is_sent_and_reported_and_a_second_run_makes_no_requests(run, sandbox, tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 12))
    report = tmp_path / "result.csv"
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        argv = ("send", "--batch", file, "--service", url, "--report", report)
        first = run(*argv)
        assert (first.code, first.out) == (0, "12 rows: 12 received\n")
        requests.clear()
        second = run(*argv)
        assert (second.code, second.out, requests) == (0, "12 rows: 12 received before\n", [])
        reported = read_report(report)
        assert Counter(row["status"] for row in reported) == {"received": 12}
        # The report is a manifest, too.
        third = run("send", "--batch", report, "--service", url, "--report", tmp_path / "again.jsonl")
        assert (third.code, third.out, requests) == (0, "12 rows: 12 received before\n", [])
    again = read_report(tmp_path / "again.jsonl")
    assert {row["receipt"] for row in again} == {row["receipt"] for row in reported}
    assert sandbox.count() == 12
    assert report.stat().st_mode & 0o777 == 0o600


def test_nothing_is_sent_if_a_row_is_faulty_unless_only_valid_is_given(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path, 4)
    rows[1][4] = "000000019"
    file, report = save_manifest(tmp_path, rows), tmp_path / "result.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", report)
    refused = run(*argv)
    assert (refused.code, sandbox.count()) == (3, 0)
    assert [row["status"] for row in read_report(report)] == ["checked", "faulty", "checked", "checked"]
    assert "id-number-invalid" in read_report(report)[1]["problems"]
    sent = run(*argv, "--only-valid")
    assert (sent.code, sandbox.count()) == (9, 3)
    assert sent.out == "4 rows: 3 received, 1 faulty\n"
    # The corrected report is sent: only the corrected row causes requests.
    report.write_text(report.read_text("utf-8-sig").replace("000000019", PERSON), "utf-8")
    assert (
        run("send", "--batch", report, "--service", sandbox.url).out
        == "4 rows: 1 received, 3 received before\n"
    )


def test_a_refused_row_does_not_stop_others(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path, 6)

    def intercept(request, _count, phase):
        if request.method == "PUT" and b'"reference":"client 2"' in request.body and phase == "before":
            errors = [{"pointer": "/type", "code": "unknown-type", "detail": "not this one"}]
            return doubles.problem(422, "invalid", errors=errors)
        return None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        outcome = run("send", "--batch", save_manifest(tmp_path, rows), "--service", url, "--jobs", "3")
    assert (outcome.code, outcome.out) == (9, "6 rows: 5 received, 1 refused\n")
    assert "row 4: refused: not this one [unknown-type]" in outcome.err
    assert sandbox.count() == 5


def test_a_dead_service_leaves_every_row_unfinished(run, sandbox, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    file = save_manifest(tmp_path, make_rows(tmp_path, 30))
    with doubles.service(lambda _: doubles.Reply(503)) as (url, requests):
        outcome = run("send", "--batch", file, "--service", url, "--report", tmp_path / "r.csv")
    assert (outcome.code, outcome.out) == (7, "30 rows: 30 unfinished\n")
    assert len(requests) < 20, "after ten failures no more requests are made"
    assert "and 10 more rows" in outcome.err
    assert "nothing is lost" in outcome.err
    sent = run("send", "--batch", tmp_path / "r.csv", "--service", sandbox.url)
    assert (sent.code, sandbox.count()) == (0, 30)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize(("gigabytes", "code", "received"), [(8, 0, 12), (2, 8, 0)])
def test_a_machine_that_can_start_only_few_threads_sends_with_those(
    sandbox, tmp_path, gigabytes, code, received
) -> None:
    (tmp_path / "m.csv").write_text(to_csv(make_rows(tmp_path, 12)))
    # Each thread reserves a gigabyte of address space.
    limits = f'ulimit -s 1048576; ulimit -v {gigabytes * 1048576}; exec "$@"'
    words = (sys.executable, "-m", "docsend", "send", "--batch", str(tmp_path / "m.csv"), "--jobs", "40")
    options = ("--service", sandbox.url, "--json")
    done = subprocess.run(
        ["bash", "-c", limits, "bash", *words, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, sandbox.count()) == (code, received), done.stderr
    assert (summary["counts"]["received"], summary["counts"]["not_tried"]) == (received, 12 - received)
    assert ("cannot start another thread" in done.stderr) == (code == 8)
    assert not summary["repeat_helps"]


def test_one_retry_after_delays_all_workers(run, sandbox, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "30")
    limited_at: list[float] = []
    times: list[float] = []

    def intercept(_request, _count, phase):
        if phase == "before":
            times.append(time.monotonic())
            if not limited_at and len(times) == 5:
                limited_at.append(times[-1])
                return doubles.Reply(429, headers={"Retry-After": "2"})
        return None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        file = save_manifest(tmp_path, make_rows(tmp_path, 12))
        assert run("send", "--batch", file, "--service", url, "--jobs", "4").code == 0
    # Requests that were under way go on; none starts until the pause is over.
    during_pause = [moment for moment in times if limited_at[0] + 0.5 < moment < limited_at[0] + 1.9]
    assert during_pause == []
    assert sandbox.count() == 12


def test_a_personal_batch_signs_in_once_and_a_refused_sign_in_ends_it(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    rows = make_rows(tmp_path, 40)
    for row in rows:
        row[0], row[4] = "personal", ""
    file = save_manifest(tmp_path, rows)
    password = samples.write(tmp_path, "password", b"wrong\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1002")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        outcome = run("send", "--batch", file, "--service", url, "--jobs", "8")
        assert outcome.code == 4
        assert [request.path for request in requests] == ["/v1/session"], "one failed sign-in for all rows"
        password.write_bytes(b"fictional-clear\n")
        requests.clear()
        assert run("send", "--batch", file, "--service", url, "--jobs", "8").code == 0
        paths = Counter(request.path for request in requests)
        assert (paths["/v1/session"], paths["/v1/required"]) == (1, 1)
    assert sandbox.count() == 40


def test_one_worker_sends_personal_rows_in_order_so_that_a_row_can_meet_a_requirement_of_the_next(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    rows = [["personal", "", *row[1:]] for row in make_rows(tmp_path, 3)]
    for row, required in zip(rows, ("R-4711", "", ""), strict=True):
        row[1], row[5] = required, ""
    password = samples.write(tmp_path, "password", b"fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    file = samples.write(tmp_path, "batch.csv", to_csv(rows, head=["to", "required", *HEAD[1:]]).encode())
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--jobs", "1", "-v")
    assert (outcome.code, sandbox.count()) == (0, 3), outcome.out + outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="names there are not bytes")
def test_a_name_that_the_locale_cannot_encode_is_a_document_that_does_not_exist(spawn, tmp_path) -> None:
    rows = make_rows(tmp_path, 1)
    rows[0][-1] = "תלוש.pdf"
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    outcome = spawn("send", "--batch", save_manifest(tmp_path, rows), "--dry-run", "--json", env=environment)
    assert outcome.code == 3, outcome.err
    assert [problem["code"] for problem in json_rows(outcome)[0]["problems"]] == ["document-not-found"]


def test_a_document_that_changes_between_check_and_sending_is_not_sent(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path, 3)
    changed = tmp_path / "payslip-2.pdf"

    def intercept(_request, _count, phase):
        if phase == "before":
            changed.write_bytes(b"")

    with doubles.relay(sandbox.url, intercept) as (url, _):
        outcome = run("send", "--batch", save_manifest(tmp_path, rows), "--service", url, "--jobs", "1")
    assert (outcome.code, outcome.out) == (9, "3 rows: 2 received, 1 faulty\n")
    assert sandbox.count() == 2


def test_json_has_one_line_per_row_that_follows_the_schema(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path, 3)
    rows[1][3] = "payslip"
    argv = (
        "send",
        "--batch",
        save_manifest(tmp_path, rows),
        "--service",
        sandbox.url,
        "--json",
        "--only-valid",
    )
    found = json_rows(run(*argv))
    for line in found:
        assert line["schema"] == "docsend.result/2"
    by_row = {line["row"]: line for line in found}
    assert {row: line["status"] for row, line in by_row.items()} == {
        2: "received",
        3: "faulty",
        4: "received",
    }
    (problem,) = by_row[3]["problems"]
    assert (problem["code"], problem["row"], problem["field"]) == ("unknown-type", 3, "type")


def test_the_json_of_a_dry_run_has_the_documents_and_the_key_of_each_row(run, tmp_path) -> None:
    found = json_rows(
        run("send", "--batch", save_manifest(tmp_path, make_rows(tmp_path, 2)), "--dry-run", "--json")
    )
    assert [line["status"] for line in found] == ["checked", "checked"]
    assert all(len(line["key"]) == 52 and line["submission"]["documents"] for line in found)


def test_options_for_one_submission_are_refused_with_a_batch_and_the_reverse(run, tmp_path, payslip) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path / "x", 1))
    assert run("send", payslip, "--batch", file).code == 2
    assert run("send", "--batch", file, "--again").code == 2
    for option in (("--jobs", "2"), ("--report", "r.csv"), ("--only-valid",), ("--shard", "1/2")):
        assert run("send", payslip, *option).code == 2


def test_a_batch_that_is_killed_again_and_again_sends_each_row_once(
    sandbox, tmp_path, run, monkeypatch
) -> None:
    """`make faults` runs the complete version, with 5,000 rows and 20 kills."""
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 120)), tmp_path / "r.jsonl"
    chance = random.Random(3)

    def intercept(_request, _count, phase):
        if chance.random() < 0.05:
            return (
                doubles.Reply(cut=True)
                if phase == "after"
                else doubles.Reply(503, headers={"Retry-After": "0"})
            )
        return None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        for _ in range(4):
            with start_batch(file, url, "--report", report, "--jobs", 4) as batch:
                time.sleep(chance.uniform(0.4, 1.2))
                batch.kill()
        monkeypatch.setenv("DOCSEND_PATIENCE", "60")
        final = run("send", "--batch", file, "--service", url, "--report", report, "--jobs", "4")
    assert final.code == 0, final.err
    assert sandbox.count() == 120
    reported = read_report(report)
    assert len(reported) == 120
    assert {row["status"] for row in reported} == {"received"}
    receipts = {body for (body,) in sandbox.select("SELECT body FROM receipt")}
    assert {row["receipt"] for row in reported} == {json.loads(body)["number"] for body in receipts}
