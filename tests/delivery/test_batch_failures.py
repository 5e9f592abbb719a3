"""Failures in the middle of a batch: of the ledger, of the output, and bugs."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import damaged_ledgers
import doubles
from batch_files import make_rows, read_report, save_manifest
from docsend.storage import ledger_rows
from docsend.storage.ledger import Ledger

pytestmark = pytest.mark.everywhere


@pytest.fixture
def broken(home):
    """Create a ledger, and return a function that adds a trigger to it: an event, and a statement to run."""
    file = home / "docsend" / "ledger.sqlite3"
    Ledger(file).__enter__().__exit__(None, None, None)
    connection = sqlite3.connect(file)

    def add_trigger(event: str, statement: str) -> None:
        connection.execute(f"CREATE TRIGGER broken {event} BEGIN {statement}; END")

    yield add_trigger
    connection.close()


def states(run) -> dict[str, str]:
    """Return the states in the ledger by reference."""
    return {entry["reference"]: entry["state"] for entry in run("receipts", "--json").json["receipts"]}


def test_a_receipt_that_the_ledger_cannot_store_does_not_affect_others(
    run, sandbox, tmp_path, broken
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 40)), tmp_path / "r.csv"
    # As if another process withdrew the submission while this one sends it.
    columns = ", ".join("'withdrawn'" if name == "state" else name for name in ledger_rows.CHECKED_COLUMNS)
    broken(
        "AFTER INSERT ON document WHEN NEW.name = 'payslip-7.pdf'",
        f"UPDATE submission SET state = 'withdrawn', checksum = row_checksum({columns})"  # noqa: S608
        " WHERE key = NEW.key",
    )
    barrier, sends = threading.Barrier(8), itertools.count()

    def intercept(request, _count, phase):
        if phase == "after" and request.method == "PUT" and next(sends) < 8:
            barrier.wait(30)  # the first eight receipts arrive at the same time

    with doubles.relay(sandbox.url, intercept) as (url, _):
        outcome = run("send", "--batch", file, "--service", url, "--jobs", "8", "--report", report)
    assert outcome.code == 8
    assert "that is withdrawn in this ledger" in outcome.err
    reported = {row["reference"]: row["status"] for row in read_report(report)}
    assert (len(reported), reported["client 7"]) == (40, "unfinished")
    received = {name for name, status in reported.items() if status == "received"}
    assert received == {name for name, state in states(run).items() if state == "received"}
    assert received >= {f"client {n}" for n in range(7)}, "those that arrived with it are stored"


def test_a_ledger_that_cannot_store_a_receipt_ends_the_batch_and_nothing_is_reported_as_received(
    run, sandbox, tmp_path, home, broken
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 40)), tmp_path / "r.csv"
    broken(
        "BEFORE UPDATE ON submission WHEN NEW.state = 'received' AND NEW.reference = 'client 7'",
        "SELECT RAISE(ABORT, 'a broken sector')",
    )
    argv = ("send", "--batch", file, "--service", sandbox.url, "--jobs", "8", "--report", report)
    outcome = run(*argv)
    assert outcome.code == 8
    assert "a broken sector" in outcome.err
    reported = {row["reference"]: row["status"] for row in read_report(report)}
    assert (len(reported), reported["client 7"]) == (40, "unfinished")
    assert {name for name, status in reported.items() if status == "received"} == {
        name for name, state in states(run).items() if state == "received"
    }
    with sqlite3.connect(home / "docsend" / "ledger.sqlite3") as repaired:
        repaired.execute("DROP TRIGGER broken")
    repaired.close()
    assert run(*argv).code == 0
    assert sandbox.count() == 40


def test_a_locked_ledger_is_waited_for_once_and_not_by_each_row(
    run, sandbox, tmp_path, home, monkeypatch
) -> None:
    monkeypatch.setattr("docsend.storage.ledger._BUSY_TIMEOUT_S", 1.0)
    file, locks, once = save_manifest(tmp_path, make_rows(tmp_path, 40)), [], threading.Lock()
    real = Ledger.record_sending

    def lock_ledger(*args: Any, **options: Any) -> str:
        since = real(*args, **options)
        if once.acquire(blocking=False):
            locks.append(sqlite3.connect(home / "docsend" / "ledger.sqlite3", check_same_thread=False))
            locks[0].execute("BEGIN IMMEDIATE")
        return since

    monkeypatch.setattr(Ledger, "record_sending", lock_ledger)
    began = time.monotonic()
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--jobs", "8")
    locks[0].close()
    assert outcome.code == 8
    assert time.monotonic() - began < 8, "40 rows would be 40 s"
    assert run("send", "--batch", file, "--service", sandbox.url).code == 0
    assert sandbox.count() == 40


@pytest.mark.parametrize(("is_known", "code", "status"), [(True, 0, "received"), (False, 8, "unfinished")])
def test_a_damaged_receipt_in_the_ledger_is_asked_for_again_for_its_row_only(
    run, sandbox, tmp_path, home, is_known, code, status
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 16)), tmp_path / "r.csv"
    assert run("send", "--batch", file, "--service", sandbox.url).code == 0

    def intercept(request, _count, phase):
        is_question = phase == "before" and request.method == "GET" and "/submissions/" in request.path
        return doubles.problem(404, "not-found") if is_question and not is_known else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        with damaged_ledgers.opened(home / "docsend" / "ledger.sqlite3") as ledger:
            damaged_ledgers.rename_service(ledger, sandbox.url, url)
            ledger.execute("UPDATE submission SET receipt = x'00' WHERE reference = 'client 7'")
        outcome = run("send", "--batch", file, "--service", url, "--jobs", "16", "--report", report)
    reported = {row["reference"]: row["status"] for row in read_report(report)}
    assert (outcome.code, reported.pop("client 7"), set(reported.values())) == (code, status, {"received"})
    assert sandbox.count() == 16


@pytest.mark.parametrize(
    ("thread", "function"),
    [("planner", "record_plans"), ("worker", "record_sending"), ("main", "record_receipts")],
)
def test_a_bug_in_any_thread_ends_the_batch_as_a_bug_and_no_thread_waits_forever(
    run, sandbox, tmp_path, monkeypatch, thread, function
) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 30))
    calls = []
    real = getattr(Ledger, function)

    def fail_third_call(*args: object, **options: object) -> object:
        calls.append(function)
        if len(calls) == 3:
            raise RuntimeError(f"a bug in the {thread}")
        return real(*args, **options)

    monkeypatch.setattr(Ledger, function, fail_third_call)
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--jobs", "4", "-v")
    assert (outcome.code, outcome.err.count("a bug in the")) == (1, 1), outcome.err
    assert not [thread for thread in threading.enumerate() if "_run_" in thread.name], (
        "all threads have ended"
    )
    monkeypatch.undo()
    assert run("send", "--batch", file, "--service", sandbox.url).code == 0
    assert sandbox.count() == 30


def test_results_that_cannot_be_written_to_stdout_stop_the_batch_and_leave_a_complete_report(
    spawn, sandbox, tmp_path
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 40)), tmp_path / "r.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", report, "--json")
    with Path("/dev/full").open("wb") as full:
        outcome = spawn(*argv, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert outcome.code == 8
    assert "the result cannot be written: No space left" in outcome.err
    rows = read_report(report)
    assert len(rows) == 40
    assert Counter(row["status"] for row in rows)["received"] <= sandbox.count()
