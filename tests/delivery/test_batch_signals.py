"""Signals end a batch in an orderly way."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from typing import Any

import pytest

import doubles
import samples
from accounts import CLEAR
from batch_files import make_rows, read_report, save_manifest, start_batch
from conftest import PERSON
from docsend.checks import documents
from docsend.cli.context import CommandContext
from docsend.delivery import second_round
from docsend.ui import progress

pytestmark = pytest.mark.everywhere


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_ends_a_batch_in_order_with_a_complete_report(
    sandbox, tmp_path, run, number, code
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 60)), tmp_path / "r.csv"
    reached = threading.Event()

    def intercept(request, _count, phase):
        time.sleep(0.02)
        if len(requests) > 30 and phase == "before":
            reached.set()

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        with start_batch(file, url, "--report", report, "--jobs", 4) as batch:
            assert reached.wait(30)
            batch.send_signal(number)
            out, err = batch.communicate(timeout=30)
        assert batch.returncode == code, err
        assert b"Traceback" not in err
        rows = read_report(report)
        assert len(rows) == 60
        counts = Counter(row["status"] for row in rows)
        assert counts["not tried"] > 0
        assert 0 < counts["received"] <= sandbox.count()
        assert f"{counts['received']} received".encode() in out
        assert run("send", "--batch", file, "--service", url).code == 0
    assert sandbox.count() == 60


def test_the_progress_of_a_stopped_batch_counts_only_rows_that_were_tried(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(progress.RowProgressLines, "INTERVAL_S", 0.0)
    file = save_manifest(tmp_path, make_rows(tmp_path, 60))

    def interrupt(_request, _count, phase):
        if len(requests) == 20 and phase == "before":
            os.kill(os.getpid(), signal.SIGINT)

    with doubles.relay(sandbox.url, interrupt) as (url, requests):
        outcome = run(
            "send", "--batch", file, "--service", url, "--jobs", "4", "--report", tmp_path / "r.csv"
        )
    assert outcome.code == 130
    beats = [line for line in outcome.err.splitlines() if " of 60 rows" in line]
    stopping = [line for line in beats if line.endswith("stopping")]
    assert stopping
    assert not any("left" in line for line in beats[beats.index(stopping[0]) :])
    tried = int(re.search("sent ([0-9]+) of 60", beats[-1])[1])  # type: ignore[index]  # it matches
    rows = Counter(row["status"] for row in read_report(tmp_path / "r.csv"))
    assert tried == 60 - rows["not tried"] < 60
    assert re.search("ended after [0-9]+ s; service: http.*; report: .*r.csv$", outcome.err.strip())


def test_after_a_signal_no_more_rows_are_read_even_if_none_can_be_sent(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    make_rows(tmp_path, 1)
    about = ["benefits", "unemployment", "employer", "payslips", PERSON]
    rows = [[*about, f"client {n}", "payslip-0.pdf"] for n in range(3000)]
    file, report = save_manifest(tmp_path, rows), tmp_path / "r.csv"
    real = documents.read_all

    def remove_and_interrupt(*args: Any, **options: Any) -> object:
        if options["buffer_up_to"] and (tmp_path / "payslip-0.pdf").exists():  # the second pass has started
            (tmp_path / "payslip-0.pdf").unlink()
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **options)

    monkeypatch.setattr(documents, "read_all", remove_and_interrupt)
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--report", report, "--anyway")
    statuses = Counter(row["status"] for row in read_report(report))
    assert (outcome.code, sandbox.count(), statuses.total()) == (130, 0, 3000)
    assert statuses["not tried"] > 1000, statuses


@pytest.mark.parametrize("more", [(), ("--anyway",), ("--occurrence", "2")])
def test_an_interrupted_run_keeps_the_receipts_of_an_earlier_one_in_its_report(
    run, sandbox, tmp_path, more
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 40)), tmp_path / "r.csv"
    if "--occurrence" in more:
        assert run("send", "--batch", file, "--service", sandbox.url).code == 0
    empty = {tmp_path / f"payslip-{n}.pdf": samples.pdf(n) for n in range(20)}
    for document in empty:
        document.write_bytes(b"")
    interrupts_at = [10_000]

    def interrupt(_request, _count, phase):
        if len(requests) == interrupts_at[0] and phase == "before":
            os.kill(os.getpid(), signal.SIGTERM)

    with doubles.relay(sandbox.url, interrupt) as (url, requests):
        if "--occurrence" in more:
            assert run("send", "--batch", file, "--service", url, "--only-valid").code == 9
        argv = ("send", "--batch", file, "--service", url, "--report", report, "--jobs", "1", *more)
        assert run(*argv, "--only-valid").code == 9
        receipts = {row["reference"]: row["receipt"] for row in read_report(report) if row["receipt"]}
        assert len(receipts) == 20
        for document, content in empty.items():
            document.write_bytes(content)
        if "--occurrence" in more:
            assert run("send", "--batch", file, "--service", url).code == 0
        interrupts_at[0] = len(requests) + 5
        outcome = run(*argv)
    rows = read_report(report)
    statuses = Counter(row["status"] for row in rows)
    assert (outcome.code, statuses["not tried"] > 10) == (143, True)
    assert {row["reference"]: row["receipt"] for row in rows if row["repeated"] == "true"} == receipts
    assert statuses["received"] - 20 < 10
    assert f"20 received before, {statuses['not tried']} not tried" in outcome.out


def test_an_interrupted_run_keeps_the_receipts_of_personal_submissions(
    run, sandbox, tmp_path, signed_in_as
) -> None:
    signed_in_as(*CLEAR)
    rows = [["personal", *row[1:4], "", row[5], row[6]] for row in make_rows(tmp_path, 12)]
    file, report = save_manifest(tmp_path, rows), tmp_path / "r.csv"
    (tmp_path / "payslip-0.pdf").write_bytes(b"")
    interrupts_at = [10_000]

    def interrupt(_request, _count, phase):
        if len(requests) == interrupts_at[0] and phase == "before":
            os.kill(os.getpid(), signal.SIGINT)

    with doubles.relay(sandbox.url, interrupt) as (url, requests):
        argv = ("send", "--batch", file, "--service", url, "--report", report, "--jobs", "1")
        first = run(*argv, "--only-valid")
        assert (first.code, "11 received" in first.out) == (9, True), first.err
        (tmp_path / "payslip-0.pdf").write_bytes(samples.pdf(0))
        interrupts_at[0] = len(requests) + 1
        assert run(*argv).code == 130
    assert Counter(row["status"] for row in read_report(report))["received"] >= 11


def test_unfinished_rows_keep_their_keys_when_the_second_round_is_interrupted(
    run, tmp_path, monkeypatch
) -> None:
    """Without its key, a row that the service may have is not recognized if a spreadsheet changes it."""
    monkeypatch.setenv("DOCSEND_PATIENCE", "0.5")
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 8)), tmp_path / "r.csv"
    real = second_round.UnfinishedRows.begin_second_round

    def interrupt(*args: Any) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*args)

    monkeypatch.setattr(second_round.UnfinishedRows, "begin_second_round", interrupt)
    argv = ("send", "--batch", file, "--service", "http://127.0.0.1:9", "--report", report)
    outcome = run(*argv, "--json")
    assert outcome.code == 143
    rows = read_report(report)
    assert [(row["status"], len(row["key"])) for row in rows] == [("unfinished", 52)] * 8
    assert {row["key"] for row in rows} == {row["key"] for row in outcome.rows if row["row"]}


def test_rows_that_were_not_tried_keep_the_key_of_an_earlier_try(run, sandbox, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0.5")
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 30)), tmp_path / "r.csv"
    lost = [True]

    def lose_receipts(_request, _count, phase):
        if phase == "after":
            return doubles.Reply(cut=True) if lost[0] else None
        if not lost[0]:
            os.kill(os.getpid(), signal.SIGTERM)
        return None

    with doubles.relay(sandbox.url, lose_receipts) as (url, _):
        argv = ("send", "--batch", file, "--service", url, "--report", report)
        assert run(*argv, "--jobs", "32").code == 7
        lost[0] = False
        assert run(*argv, "--jobs", "1").code == 143
    rows = read_report(report)
    assert any(row["status"] == "not tried" for row in rows)
    assert {len(row["key"]) for row in rows} == {52}


@pytest.mark.parametrize("target", ["open_ledger", "open_service"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_just_before_the_first_row_ends_with_counts_and_leaves_the_report(
    run, sandbox, tmp_path, monkeypatch, target, number, code
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 3)), tmp_path / "r.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", report)
    assert run(*argv).code == 0
    before = report.read_bytes()
    real = getattr(CommandContext, target)
    calls: list[object] = []

    def interrupt(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == (2 if target == "open_ledger" else 1):  # the first one is for the checks
            os.kill(os.getpid(), number)
        return real(*args, **options)

    monkeypatch.setattr(CommandContext, target, interrupt)
    outcome = run(*argv, "--json")
    assert (outcome.code, report.read_bytes(), list(tmp_path.glob("r.*"))) == (code, before, [report])
    assert (outcome.summary["rows"], outcome.summary["counts"]["not_tried"]) == (3, 3)
    assert outcome.summary["report"] is None
    assert "ended after" in outcome.err
