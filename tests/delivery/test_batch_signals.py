"""Signals end a batch in order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from typing import Any

import pytest

import doubles
from batch_files import read_report, save, start_batch, table
from conftest import PERSON
from docsend.checks import documents

pytestmark = pytest.mark.everywhere


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_ends_it_in_order_with_a_whole_report(sandbox, tmp_path, run, number, code) -> None:
    file, report = save(tmp_path, table(tmp_path, 60)), tmp_path / "r.csv"
    reached = threading.Event()

    def fate(asked, _count, now):
        time.sleep(0.02)
        if len(requests) > 30 and now == "before":
            reached.set()

    with doubles.relay(sandbox.url, fate) as (url, requests):
        with start_batch(file, url, "--report", report, "--jobs", 4) as batch:
            assert reached.wait(30)
            batch.send_signal(number)
            out, err = batch.communicate(timeout=30)
        assert batch.returncode == code, err
        assert b"Traceback" not in err
        told = read_report(report)
        assert len(told) == 60
        counts = Counter(row["status"] for row in told)
        assert counts["not tried"] > 0
        assert 0 < counts["received"] <= sandbox.count()
        assert f"{counts['received']} received".encode() in out
        assert run("send", "--batch", file, "--service", url).code == 0
    assert sandbox.count() == 60


def test_after_a_signal_no_row_is_looked_at_any_more_though_none_can_be_sent(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    table(tmp_path, 1)
    about = ["benefits", "unemployment", "employer", "payslips", PERSON]
    rows = [[*about, f"client {n}", "payslip-0.pdf"] for n in range(3000)]
    file, report = save(tmp_path, rows), tmp_path / "r.csv"
    real = documents.read_all

    def and_then_gone(*args: Any, **options: Any) -> object:
        if options["buffer_up_to"] and (tmp_path / "payslip-0.pdf").exists():  # the second pass begins
            (tmp_path / "payslip-0.pdf").unlink()
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **options)

    monkeypatch.setattr(documents, "read_all", and_then_gone)
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--report", report)
    told = Counter(row["status"] for row in read_report(report))
    assert (outcome.code, sandbox.count(), told.total()) == (130, 0, 3000)
    assert told["not tried"] > 1000, told
