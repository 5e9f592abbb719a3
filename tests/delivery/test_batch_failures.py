"""A ledger, an output or a bug that fails in the middle of a batch."""

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

import doubles
from batch_files import read_report, save_manifest, make_rows
from docsend.storage.ledger import Ledger

pytestmark = pytest.mark.everywhere


@pytest.fixture
def broken(home):
    """Make a ledger in which a statement runs whenever a submission changes; give how to say which."""
    file = home / "docsend" / "ledger.sqlite3"
    Ledger(file).__enter__().__exit__(None, None, None)
    connection = sqlite3.connect(file)

    def when(happens: str, then: str) -> None:
        connection.execute(f"CREATE TRIGGER broken {happens} BEGIN {then}; END")

    yield when
    connection.close()


def states(run) -> dict[str, str]:
    """Give what the ledger knows: reference by reference."""
    return {entry["reference"]: entry["state"] for entry in run("receipts", "--json").json["receipts"]}


def test_a_receipt_that_the_ledger_cannot_keep_takes_no_other_with_it(run, sandbox, tmp_path, broken) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 40)), tmp_path / "r.csv"
    # As if somebody withdrew it from another machine, while it is sent from here.
    broken(
        "AFTER INSERT ON submission WHEN NEW.reference = 'client 7'",
        "UPDATE submission SET state = 'withdrawn' WHERE key = NEW.key",
    )
    together, sends = threading.Barrier(8), itertools.count()

    def fate(asked, _count, now):
        if now == "after" and asked.method == "PUT" and next(sends) < 8:
            together.wait(30)  # the first eight receipts leave at the same time

    with doubles.relay(sandbox.url, fate) as (url, _):
        outcome = run("send", "--batch", file, "--service", url, "--jobs", "8", "--report", report)
    assert outcome.code == 8
    assert "holds as withdrawn" in outcome.err
    told = {row["reference"]: row["status"] for row in read_report(report)}
    assert (len(told), told["client 7"]) == (40, "unfinished")
    received = {name for name, status in told.items() if status == "received"}
    assert received == {name for name, state in states(run).items() if state == "received"}
    assert received >= {f"client {n}" for n in range(7)}, "those that came with it are kept"


def test_a_ledger_that_takes_no_receipt_ends_the_batch_and_calls_nothing_received(
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
    told = {row["reference"]: row["status"] for row in read_report(report)}
    assert (len(told), told["client 7"]) == (40, "unfinished")
    assert {name for name, status in told.items() if status == "received"} == {
        name for name, state in states(run).items() if state == "received"
    }
    with sqlite3.connect(home / "docsend" / "ledger.sqlite3") as mended:
        mended.execute("DROP TRIGGER broken")
    mended.close()
    assert run(*argv).code == 0
    assert sandbox.count() == 40


def test_a_ledger_that_somebody_holds_is_waited_for_once_and_not_by_each_row(
    run, sandbox, tmp_path, home, monkeypatch
) -> None:
    monkeypatch.setattr("docsend.storage.ledger._BUSY_S", 1.0)
    file, held, once = save_manifest(tmp_path, make_rows(tmp_path, 40)), [], threading.Lock()
    real = Ledger.record_sending

    def hold(*args: Any, **options: Any) -> str:
        since = real(*args, **options)
        if once.acquire(blocking=False):
            held.append(sqlite3.connect(home / "docsend" / "ledger.sqlite3", check_same_thread=False))
            held[0].execute("BEGIN IMMEDIATE")
        return since

    monkeypatch.setattr(Ledger, "sending", hold)
    began = time.monotonic()
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--jobs", "8")
    held[0].close()
    assert outcome.code == 8
    assert time.monotonic() - began < 8, "40 rows would be 40 s"
    assert run("send", "--batch", file, "--service", sandbox.url).code == 0
    assert sandbox.count() == 40


def test_a_receipt_in_the_ledger_that_is_none_is_told_of_its_own_row_alone(
    run, sandbox, tmp_path, home
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 16)), tmp_path / "r.csv"
    assert run("send", "--batch", file, "--service", sandbox.url).code == 0
    with sqlite3.connect(home / "docsend" / "ledger.sqlite3") as ledger:
        ledger.execute("DROP TRIGGER final_states_never_change")
        ledger.execute("UPDATE submission SET receipt = x'00' WHERE reference = 'client 7'")
    ledger.close()
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--jobs", "16", "--report", report)
    told = {row["reference"]: row["status"] for row in read_report(report)}
    assert (outcome.code, told.pop("client 7"), set(told.values())) == (8, "unfinished", {"received"})


@pytest.mark.parametrize(
    ("thread", "function"), [("planner", "plan_all"), ("worker", "sending"), ("main", "received_all")]
)
def test_a_bug_in_any_thread_ends_the_batch_as_a_bug_and_nobody_waits_for_ever(
    run, sandbox, tmp_path, monkeypatch, thread, function
) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 30))
    calls = []
    real = getattr(Ledger, function)

    def sometimes(*args: object, **options: object) -> object:
        calls.append(function)
        if len(calls) == 3:
            raise RuntimeError(f"a bug in the {thread}")
        return real(*args, **options)

    monkeypatch.setattr(Ledger, function, sometimes)
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--jobs", "4", "-v")
    assert (outcome.code, outcome.err.count("a bug in the")) == (1, 1), outcome.err
    assert not [each for each in threading.enumerate() if "_all" in each.name], "all threads have ended"
    monkeypatch.undo()
    assert run("send", "--batch", file, "--service", sandbox.url).code == 0
    assert sandbox.count() == 30


def test_results_that_stdout_does_not_take_stop_the_batch_and_leave_the_report_whole(
    spawn, sandbox, tmp_path
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 40)), tmp_path / "r.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", report, "--json")
    with Path("/dev/full").open("wb") as full:
        outcome = spawn(*argv, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert outcome.code == 8
    assert "the result cannot be written: No space left" in outcome.err
    told = read_report(report)
    assert len(told) == 40
    assert Counter(row["status"] for row in told)["received"] <= sandbox.count()
