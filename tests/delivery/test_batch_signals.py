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
from batch_files import make_rows, read_report, save_manifest, start_batch
from conftest import PERSON
from docsend.checks import documents
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
