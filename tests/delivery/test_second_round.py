"""Rows that are left unfinished are tried once more before a batch ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter

import pytest

import doubles
from batch_files import make_rows, read_report, save_manifest, start_batch

pytestmark = pytest.mark.everywhere


@pytest.mark.parametrize("staged", [False, True])
def test_a_service_that_is_away_for_longer_than_a_call_is_retried_loses_no_row(
    run, sandbox, tmp_path, monkeypatch, staged
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "1")
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 40)), tmp_path / "r.csv"
    away: list[float] = []

    def go_away(request, _count, phase):
        if staged and request.headers.get("content-type", "").startswith("multipart/"):
            return doubles.Reply(415)
        if phase == "before" and len(requests) > 15 and not away:
            away.append(time.monotonic() + 1.5)
        return doubles.Reply(503) if away and time.monotonic() < away[0] else None

    with doubles.relay(sandbox.url, go_away) as (url, requests):
        outcome = run("send", "--batch", file, "--service", url, "--report", report, "--json")
    assert outcome.code == 0, outcome.err
    assert "once more" in outcome.err
    assert sorted(row["row"] for row in outcome.rows) == list(range(2, 42)), "each row is reported once"
    assert outcome.summary["counts"]["received"] == sandbox.count() == 40
    assert {row["status"] for row in read_report(report)} == {"received"}


def test_a_row_that_fails_while_the_others_are_received_is_tried_once_more(run, sandbox, tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 6))
    began = time.monotonic()

    def refuse_for_a_while(request, _count, _phase):
        is_affected = b'"reference":"client 3"' in request.body
        return doubles.Reply(503) if is_affected and time.monotonic() - began < 1.3 else None

    with doubles.relay(sandbox.url, refuse_for_a_while) as (url, _):
        outcome = run("send", "--batch", file, "--service", url)
    assert (outcome.code, outcome.out, sandbox.count()) == (0, "6 rows: 6 received\n", 6)
    assert "trying 1 unfinished row once more" in outcome.err


def test_a_row_that_is_refused_or_faulty_is_not_tried_again(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path, 4)
    rows[0][4] = "000000019"
    refused: list[str] = []

    def refuse(request, _count, phase):
        if phase == "before" and b'"reference":"client 2"' in request.body:
            refused.append(request.path)
            return doubles.problem(422, "online-form-required")
        return None

    with doubles.relay(sandbox.url, refuse) as (url, _):
        file = save_manifest(tmp_path, rows)
        outcome = run("send", "--batch", file, "--service", url, "--only-valid")
    assert (outcome.code, outcome.out) == (9, "4 rows: 2 received, 1 faulty, 1 refused\n")
    assert "once more" not in outcome.err
    assert len(refused) == 1


def test_a_service_that_stays_away_ends_the_batch_after_the_second_round(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "1")
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 30)), tmp_path / "r.csv"
    began = time.monotonic()
    with doubles.service(lambda _: doubles.Reply(503)) as (url, requests):
        outcome = run("send", "--batch", file, "--service", url, "--report", report, "--json")
    assert (outcome.code, outcome.err.count("once more")) == (7, 1)
    assert time.monotonic() - began < 25, "30 rows, one after another, would be 60 s"
    assert len(requests) < 40, "after ten failures, one call tries on behalf of all"
    assert sorted(row["row"] for row in outcome.rows) == list(range(2, 32))
    assert {row["problems"][0]["code"] for row in outcome.rows} == {"service-busy"}
    assert Counter(row["status"] for row in read_report(report)) == {"unfinished": 30}


@pytest.mark.parametrize("during", ["the first round", "the second round"])
def test_after_a_signal_no_row_is_tried_once_more(sandbox, tmp_path, monkeypatch, during) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "1")
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 30)), tmp_path / "r.csv"
    reached = threading.Event()

    def fail_some(request, _count, _phase):
        time.sleep(0.02)
        number = int(request.body.partition(b'"reference":"client ')[2].partition(b'"')[0] or 0)
        if number < 2:
            return doubles.Reply(503)
        if during == "the first round" and number == 10:
            reached.set()
            time.sleep(2)
        return None

    with doubles.relay(sandbox.url, fail_some) as (url, _):
        with start_batch(file, url, "--report", report, "--jobs", 4) as batch:
            if during == "the first round":
                assert reached.wait(30)
            else:
                assert batch.stderr
                while b"once more" not in batch.stderr.readline():
                    pass
                time.sleep(0.3)
            os.kill(batch.pid, signal.SIGINT)
            _, err = batch.communicate(timeout=60)
        assert batch.returncode == 130, err
    assert (b"once more" in err) is False
    rows = {row["reference"]: row for row in read_report(report)}
    assert len(rows) == 30
    assert [rows[f"client {n}"]["status"] for n in range(2)] == ["unfinished"] * 2
    if during == "the second round":
        assert [rows[f"client {n}"]["status"] for n in range(2, 30)] == ["received"] * 28
        assert all("service-busy" in rows[f"client {n}"]["problems"] for n in range(2)), "their first error"
