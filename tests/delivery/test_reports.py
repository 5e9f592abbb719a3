"""The report of a batch has one row per row of the manifest, is complete, and is a manifest itself."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import threading
import time
from pathlib import Path

import pytest

import doubles
import samples
from batch_files import make_rows, read_report, save_manifest, start_batch, to_csv

pytestmark = pytest.mark.everywhere


def test_an_occurrence_for_all_rows_is_in_the_report(run, sandbox, tmp_path) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 2)), tmp_path / "report.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url)
    assert run(*argv).code == 0
    second = run(*argv, "--occurrence", "2", "--report", report)
    assert (second.out, sandbox.count()) == ("2 rows: 2 received\n", 4)
    assert [row["occurrence"] for row in read_report(report)] == ["2", "2"]
    assert run("send", "--batch", report, "--service", sandbox.url).out == "2 rows: 2 received before\n", (
        "even without the option"
    )


def test_a_folder_for_the_report_must_exist_before_anything_is_sent(run, sandbox, tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 2))
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--report", tmp_path / "no" / "r.csv")
    assert (outcome.code, sandbox.count()) == (2, 0)
    assert "there is no folder" in outcome.err


def test_no_cell_of_a_report_starts_a_formula(run, tmp_path, sandbox) -> None:
    rows = make_rows(tmp_path, 4)
    for row, start in zip(rows, ("=1+1", "+1", "-1", "@x"), strict=True):
        row[5] = start
    report = tmp_path / "r.csv"
    argv = ("send", "--batch", save_manifest(tmp_path, rows), "--service", sandbox.url, "--report", report)
    assert run(*argv).code == 0
    for line in csv.reader(io.StringIO(report.read_text("utf-8-sig"), newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line)
    again = run("send", "--batch", report, "--service", sandbox.url)
    assert again.out == "4 rows: 4 received before\n", "escaped cells are read as they were"


def test_a_report_in_another_folder_has_document_paths_relative_to_that_folder(
    run, sandbox, tmp_path
) -> None:
    (tmp_path / "reports").mkdir()
    file, report = (
        save_manifest(tmp_path / "in", make_rows(tmp_path / "in", 1)),
        tmp_path / "reports" / "r.csv",
    )
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    assert read_report(report)[0]["documents"] == "../in/payslip-0.pdf"
    again = run("send", "--batch", report, "--service", sandbox.url, "--allow-outside")
    assert again.out == "1 row: 1 received before\n"


def test_option_values_are_in_the_report_so_that_it_means_the_same_without_the_options(
    run, sandbox, tmp_path
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 3)), tmp_path / "r.csv"
    url = ("--service", sandbox.url)
    assert (
        run("send", "--batch", file, *url, "--branch", "haifa", "--remark", "x", "--report", report).code == 0
    )
    assert {row["branch"] for row in read_report(report)} == {"haifa"}
    again = run("send", "--batch", report, *url)
    assert again.out == "3 rows: 3 received before\n"
    assert sandbox.count() == 3


def test_a_report_that_a_spreadsheet_has_changed_is_not_sent_a_second_time(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path, 3)
    for row, reference in zip(rows, ("001", "1/2", "123456789012345678"), strict=True):
        row[5] = reference
    file, report = save_manifest(tmp_path, rows), tmp_path / "r.csv"
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    original = report.read_text("utf-8-sig")
    assert run("send", "--batch", report, "--service", sandbox.url).out == "3 rows: 3 received before\n"
    for cell in ("'001", "'1/2", "'123456789012345678"):
        assert cell in original
    report.write_text(original.replace("'001", "1"), "utf-8")
    changed = run("send", "--batch", report, "--service", sandbox.url)
    assert changed.code == 3
    assert "[key-changed]" in changed.err
    assert sandbox.count() == 3


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_unfinished_row_that_a_spreadsheet_has_changed_is_not_sent_a_second_time(
    run, sandbox, tmp_path, monkeypatch, form
) -> None:
    """The service has received the row, but its response was lost, so the ledger does not know."""
    monkeypatch.setenv("DOCSEND_PATIENCE", "0.5")
    rows = make_rows(tmp_path, 2)
    rows[0][5] = "5."
    file, report = save_manifest(tmp_path, rows), tmp_path / f"r.{form}"

    def lose_receipts(_request, _count, phase):
        return doubles.Reply(cut=True) if phase == "after" else None

    with doubles.relay(sandbox.url, lose_receipts) as (url, _):
        assert run("send", "--batch", file, "--service", url, "--report", report).code == 7
    assert [(row["status"], len(row["key"])) for row in read_report(report)] == [("unfinished", 52)] * 2
    received = sandbox.count()
    assert received == 2
    report.write_text(report.read_text("utf-8").replace("'5.", "5").replace("5.", "5"), "utf-8")
    changed = run("send", "--batch", report, "--service", url)
    assert (changed.code, sandbox.count(), "row" in changed.err) == (3, received, True)
    assert "the content of this row has changed since the report was written [key-changed]" in changed.err


def test_a_refused_row_of_a_report_can_be_corrected_and_sent(run, sandbox, tmp_path) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 1)), tmp_path / "r.csv"

    def refuse(_request, _count, phase):
        errors = [{"pointer": "/reference", "code": "reference-too-long", "detail": "too long"}]
        return doubles.problem(422, "invalid", errors=errors) if phase == "before" else None

    with doubles.relay(sandbox.url, refuse) as (url, _):
        assert run("send", "--batch", file, "--service", url, "--report", report).code == 9
    assert read_report(report)[0]["status"] == "refused"
    report.write_text(report.read_text("utf-8").replace("client 0", "client zero"), "utf-8")
    assert run("send", "--batch", report, "--service", sandbox.url).out == "1 row: 1 received\n"


def test_a_report_has_its_final_name_only_when_it_is_complete(run, sandbox, tmp_path) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 40)), tmp_path / "r.csv"
    part = tmp_path / "r.csv.part"
    reached = threading.Event()

    def intercept(_request, _count, _phase):
        time.sleep(0.01)
        if len(requests) > 30:
            reached.set()

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        with start_batch(file, url, "--report", report) as batch:
            assert reached.wait(30)
            batch.kill()
        assert (report.exists(), part.exists()) == (False, True)
        assert part.stat().st_mode & 0o777 == 0o600
        merged = run("receipts", "merge", part)
        assert merged.code == 7, "rows are missing"
        assert "is from an unfinished run" in merged.err
        assert run("send", "--batch", file, "--service", url, "--report", report).code == 0
    assert (len(read_report(report)), part.exists()) == (40, False)


def test_a_report_that_fails_in_the_middle_stops_the_batch_and_loses_nothing(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 60)), tmp_path / "r.csv"
    real, synced = os.fsync, []

    def fail_after_five(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve().name == "r.csv.part":
            synced.append(descriptor)
            if len(synced) > 5:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail_after_five)
    argv = ("send", "--batch", file, "--service", sandbox.url, "--jobs", "4")
    outcome = run(*argv, "--report", report)
    assert outcome.code == 8
    assert outcome.err.count("No space left") == 1
    assert re.match(r"60 rows: \d+ received, .*\d+ not tried\n", outcome.out), outcome.out
    assert (report.exists(), (tmp_path / "r.csv.part").exists()) == (False, True)
    received = int(outcome.out.split()[2])
    assert 4 <= received <= sandbox.count() < 20
    states = [entry["state"] for entry in run("receipts", "--json").json["receipts"]]
    assert states.count("received") == received
    monkeypatch.undo()
    monkeypatch.setenv("DOCSEND_HOME", str(tmp_path / "another-ledger"))
    assert run(*argv).code == 0
    assert sandbox.count() == 60


def test_a_report_overwrites_nothing_but_a_report(run, sandbox, tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 2))
    other = samples.write(tmp_path, "accounts.csv", b"year,total\n2026,1\n")
    (tmp_path / "folder.csv").mkdir()
    assert (
        run("send", "--batch", file, "--service", sandbox.url, "--report", tmp_path / "folder.csv").code == 2
    )
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report")
    assert run(*argv, other).code == 2
    assert run("send", "--batch", "-", "--service", sandbox.url, "--report", other).code == 2
    assert other.read_bytes() == b"year,total\n2026,1\n"
    report = tmp_path / "r.csv"
    assert run(*argv, report).code == 0
    before = report.read_bytes()
    assert run("send", "--batch", file, "--report", report).code == 2, "no service"
    assert report.read_bytes() == before
    assert run("send", "--batch", report, "--service", sandbox.url, "--report", report).code == 0


def test_the_rows_of_a_report_are_in_the_order_of_the_manifest(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path, 12)
    rows[3][4] = "000000019"  # faulty rows end first

    def delay(request, _count, phase):
        if phase == "before" and b'"reference":"client 0"' in request.body:
            time.sleep(0.5)

    for name in ("r.csv", "r.jsonl"):
        with doubles.relay(sandbox.url, delay) as (url, _):
            argv = ("send", "--batch", save_manifest(tmp_path, rows), "--service", url, "--only-valid")
            assert run(*argv, "--occurrence", 1 + name.count("json"), "--report", tmp_path / name).code == 9
        report = read_report(tmp_path / name)
        assert [row["row"] for row in report] == [str(number) for number in range(2, 14)]
        assert [row["reference"] for row in report] == [row[5] for row in rows]
        assert [row["status"] for row in report].index("faulty") == 3
        assert sorted(tmp_path.glob("r.*")) == sorted(tmp_path.glob("r.csv")) + sorted(
            tmp_path.glob("r.jsonl")
        )


def test_a_disk_that_is_full_when_rows_are_sorted_leaves_a_complete_report(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    rows = make_rows(tmp_path, 6)
    rows[5][4] = "000000019"  # a faulty row ends first
    real = os.fsync

    def fail(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve().name == "r.csv.sorted":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    argv = ("send", "--batch", save_manifest(tmp_path, rows), "--service", sandbox.url, "--only-valid")
    assert run(*argv, "--report", tmp_path / "r.csv").code == 9
    report = read_report(tmp_path / "r.csv")
    assert report[0]["row"] == "7", "the order in which the rows ended"
    assert sorted(int(row["row"]) for row in report) == [2, 3, 4, 5, 6, 7]
    assert list(tmp_path.glob("r.csv*")) == [tmp_path / "r.csv"]


def test_a_report_that_a_full_disk_does_not_even_begin_ends_the_run_before_anything_is_sent(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 3))
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", tmp_path / "r.csv")
    assert run(*argv).code == 0
    second = (*argv, "--occurrence", "2")
    before = (tmp_path / "r.csv").read_bytes()
    real_sync, real_write = os.fsync, os.write

    def fail_sync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve().name == "r.csv.part":
            raise OSError(errno.ENOSPC, "No space left on device")
        real_sync(descriptor)

    def fail_write(descriptor: int, content: bytes) -> int:
        if Path(f"/proc/self/fd/{descriptor}").resolve().name == "r.csv.lock":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, content)

    for name, failing in (("fsync", fail_sync), ("write", fail_write)):
        with monkeypatch.context() as patches:
            patches.setattr(os, name, failing)
            failed = run(*second)
        assert (failed.code, failed.out, sandbox.count()) == (8, "", 3), name
        assert "cannot write the report" in failed.err
        assert "free disk space or choose another file with --report" in failed.err
        assert (tmp_path / "r.csv").read_bytes() == before
    assert run(*second).code == 0
    assert sandbox.count() == 6
    assert list(tmp_path.glob("r.csv*")) == [tmp_path / "r.csv"]


def test_two_overlapping_runs_with_one_report_the_second_ends_at_once_and_names_the_first(
    run, sandbox, tmp_path
) -> None:
    first = save_manifest(tmp_path, make_rows(tmp_path, 8), "first.csv")
    second = save_manifest(tmp_path, make_rows(tmp_path, 5, first=100), "second.csv")
    report, lock = tmp_path / "r.csv", tmp_path / "r.csv.lock"
    started, go_on = threading.Event(), threading.Event()

    def hold(_request, _count, phase):
        if phase == "before":
            started.set()
            go_on.wait(30)

    with doubles.relay(sandbox.url, hold) as (url, _):
        with start_batch(first, url, "--report", report) as running:
            assert started.wait(30)
            for more in ((), ("--dry-run",)):
                began = time.monotonic()
                refused = run("send", "--batch", second, "--service", sandbox.url, "--report", report, *more)
                assert (refused.code, refused.out) == (6, "")
                assert f"another docsend (process {running.pid}) is writing the report" in refused.err
                assert "or give another name with --report" in refused.err
                assert time.monotonic() - began < 15
            failed = run("send", "--batch", second, "--service", sandbox.url, "--report", report, "--json")
            assert (failed.json["status"], failed.json["problems"][0]["code"]) == ("unfinished", "unfinished")
            assert sandbox.count() == 0
            go_on.set()
            out, _ = running.communicate(timeout=60)
            assert (running.returncode, out) == (0, b"8 rows: 8 received\n")
        assert [row["reference"] for row in read_report(report)] == [f"client {n}" for n in range(8)]
        assert not lock.exists()
    assert run("send", "--batch", second, "--service", sandbox.url, "--report", report).code == 0
    assert len(read_report(report)) == 5


def test_a_killed_run_does_not_keep_others_from_its_report(run, sandbox, tmp_path) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 4)), tmp_path / "r.csv"
    started = threading.Event()

    def hold(_request, _count, phase):
        if phase == "before":
            started.set()
            time.sleep(0.3)

    with (
        doubles.relay(sandbox.url, hold) as (url, _),
        start_batch(file, url, "--report", report) as running,
    ):
        assert started.wait(30)
        running.kill()
    assert (tmp_path / "r.csv.lock").read_text() == str(running.pid)
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    assert list(tmp_path.glob("r.csv*")) == [report]


def test_a_file_that_is_no_lock_file_is_left_alone(run, sandbox, tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 1))
    other = samples.write(tmp_path, "r.csv.lock", b"mine")
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", tmp_path / "r.csv")
    refused = run(*argv)
    assert (refused.code, sandbox.count(), other.read_bytes()) == (8, 0, b"mine")
    assert "r.csv.lock: it exists and is not a lock file" in refused.err


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_dry_run_or_a_failed_check_never_replaces_a_report_with_receipts(
    run, sandbox, tmp_path, form
) -> None:
    rows = make_rows(tmp_path, 3)
    file, report = save_manifest(tmp_path, rows), tmp_path / f"r.{form}"
    argv = ("send", "--service", sandbox.url, "--report", report, "--batch")
    assert run(*argv, file).code == 0
    received = report.read_bytes()
    rows[1][4] = "000000019"
    faulty = save_manifest(tmp_path, rows, "faulty.csv")
    for code, *words in (
        (0, file, "--dry-run"),
        (3, faulty),
        (3, faulty, "--quiet"),
        (3, faulty, "--dry-run"),
    ):
        checked = run(*argv, *words)
        assert (checked.code, report.read_bytes(), list(tmp_path.glob("r.*"))) == (code, received, [report])
        assert f"{report} has receipts, so it stays as it is; this check has no report" in checked.err
        assert "give another name with --report" in checked.err
    assert run(*argv, file, "--dry-run", "--json").summary["report"] is None
    part = tmp_path / f"r.{form}.part"
    report.rename(part)  # as of a run that was killed
    assert run(*argv, file, "--dry-run").code == 0
    assert (part.read_bytes(), report.exists()) == (received, False)
    part.unlink()
    for _ in range(2):
        assert run(*argv, faulty).code == 3
        assert [row["status"] for row in read_report(report)] == ["checked", "faulty", "checked"]
    assert run(*argv, file).code == 0
    assert [row["status"] for row in read_report(report)] == ["received"] * 3


def test_a_run_that_sends_nothing_keeps_a_report_with_receipts(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path, 3)
    file, report = save_manifest(tmp_path, rows), tmp_path / "r.csv"
    argv = ("send", "--service", sandbox.url, "--report", report, "--batch")
    assert run(*argv, file).code == 0
    received = report.read_bytes()
    for row in rows:
        row[4] = "000000019"
    nothing = run(*argv, save_manifest(tmp_path, rows, "faulty.csv"), "--only-valid")
    assert (nothing.code, report.read_bytes(), list(tmp_path.glob("r.*"))) == (9, received, [report])
    assert f"{report} has receipts, so it stays as it is" in nothing.err


@pytest.mark.parametrize("more", [(), ("--only-valid",)])
def test_a_month_exported_anew_of_which_nothing_is_sent_keeps_the_report_with_its_receipts(
    run, sandbox, tmp_path, more
) -> None:
    rows = make_rows(tmp_path, 3)
    file, report = save_manifest(tmp_path, rows), tmp_path / "r.csv"
    argv = ("send", "--service", sandbox.url, "--report", report, "--batch", file)
    assert run(*argv).code == 0
    received = report.read_bytes()
    for row in rows:
        document = tmp_path / row[-1]
        document.write_bytes(document.read_bytes() + b"% exported anew\n")
    nothing = run(*argv, *more)
    assert (nothing.code, report.read_bytes(), list(tmp_path.glob("r.*"))) == (9, received, [report])
    assert (nothing.out, sandbox.count()) == ("3 rows: 3 faulty\n", 3)
    assert f"{report} has receipts, so it stays as it is" in nothing.err


@pytest.mark.parametrize("name", ["r.csv.part", "r.jsonl.part", "r.csv.lock", "r.csv.sorted", "R.CSV.PART"])
def test_a_report_has_no_name_that_another_one_needs_while_it_is_written(
    run, sandbox, tmp_path, name
) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 1))
    refused = run("send", "--batch", file, "--service", sandbox.url, "--report", tmp_path / name)
    assert (refused.code, sandbox.count(), "invalid report name" in refused.err) == (2, 0, True)


@pytest.mark.parametrize("suffix", ["part", "sorted"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_files_that_docsend_did_not_write_are_not_deleted(run, sandbox, tmp_path, suffix, form) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 2))
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", tmp_path / f"r.{form}")
    other = tmp_path / f"r.{form}.{suffix}"
    for content in (b"precious\n", b"precious", b'{"year": 1', b'{"year": 1}\n'):
        other.write_bytes(content)
        for more in ((), ("--dry-run",)):
            refused = run(*argv, *more)
            assert (refused.code, other.read_bytes(), sandbox.count()) == (2, content, 0)
            assert f"{other} already exists and is not a docsend report" in refused.err
    other.unlink()
    other.mkdir()
    assert (run(*argv).code, sandbox.count()) == (2, 0)
    other.rmdir()
    other.write_bytes(
        b'{"to": "benef' if form == "jsonl" else b""
    )  # of a run that was killed at its first row
    assert run(*argv).code == 0
    if suffix == "part":
        assert list(tmp_path.glob("r.*")) == [tmp_path / f"r.{form}"]


def test_a_run_that_ends_before_its_first_row_leaves_the_partial_report_of_an_earlier_one(
    run, sandbox, tmp_path
) -> None:
    rows = [["personal", *row[1:4], "", row[5], row[6]] for row in make_rows(tmp_path, 2)]
    file, report, part = save_manifest(tmp_path, rows), tmp_path / "r.csv", tmp_path / "r.csv.part"
    good = save_manifest(tmp_path, make_rows(tmp_path, 2, first=10), "good.csv")
    assert run("send", "--batch", good, "--service", sandbox.url, "--report", report).code == 0
    report.rename(part)
    before = part.read_bytes()
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--report", report)
    assert outcome.code in (4, 8), "not signed in, or there is no keyring"
    assert (part.read_bytes(), report.exists()) == (before, False)
    assert "report:" not in outcome.err.splitlines()[-1]


def test_a_link_as_report_stays_a_link(run, sandbox, tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 2))
    (tmp_path / "reports").mkdir()
    link, target = tmp_path / "latest.csv", tmp_path / "reports" / "november.csv"
    link.symlink_to(target)
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", link).code == 0
    assert (link.is_symlink(), len(read_report(target))) == (True, 2)
    assert read_report(target)[0]["documents"] == "../payslip-0.pdf"
    assert list((tmp_path / "reports").iterdir()) == [target]
    other = samples.write(tmp_path, "accounts.txt", b"1\n")
    link.unlink()
    link.symlink_to(other)
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", link).code == 2
    assert other.read_bytes() == b"1\n"
    link.unlink()
    link.symlink_to(link)
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", link).code == 2


def test_a_place_where_no_report_can_be_written_is_named_with_its_own_cure(run, sandbox, tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 1))
    lock = tmp_path / "r.csv.lock"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", tmp_path / "r.csv")
    lock.mkdir()
    refused = run(*argv)
    assert (refused.code, "disk space" in refused.err, "choose another file" in refused.err) == (
        8,
        False,
        True,
    )
    lock.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(lock)
        refused = run(*argv)
        assert (refused.code, "it exists and is not a lock file" in refused.err) == (8, True), refused.err
    assert sandbox.count() == 0


def test_a_full_disk_leaves_no_empty_lock_file(run, sandbox, tmp_path, monkeypatch) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 1))
    real = os.write

    def fail(descriptor: int, content: bytes) -> int:
        if Path(f"/proc/self/fd/{descriptor}").resolve().name == "r.csv.lock":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content)

    monkeypatch.setattr(os, "write", fail)
    refused = run("send", "--batch", file, "--service", sandbox.url, "--report", tmp_path / "r.csv")
    assert (refused.code, "free disk space" in refused.err, list(tmp_path.glob("r.*"))) == (8, True, [])


def test_many_failed_rows_are_said_to_be_in_the_report_if_there_is_one(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    file = save_manifest(tmp_path, make_rows(tmp_path, 25))
    argv = ("send", "--batch", file, "--service", "http://127.0.0.1:9")
    assert "and 5 more rows; give --report FILE to list them all" in run(*argv).err
    with_report = run(*argv, "--report", tmp_path / "r.csv").err
    assert "and 5 more rows; the report lists them all" in with_report


def test_a_partial_report_as_manifest_is_named_as_one(run, sandbox, tmp_path) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 2)), tmp_path / "r.csv"
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    part = report.rename(tmp_path / "r.csv.part")
    sent = run("send", "--batch", part, "--service", sandbox.url, "--quiet")
    assert f"{part} is from an unfinished run: rows may be missing" in sent.err


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_report_that_a_spreadsheet_saved_with_another_separator_is_merged(
    run, sandbox, tmp_path, separator
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 3)), tmp_path / "r.csv"
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    rows = read_report(report)
    for row in rows:
        row["status"] = "Received"
    saved = to_csv([list(row.values()) for row in rows], head=list(rows[0]), separator=separator)
    merged = run("receipts", "merge", samples.write(tmp_path, "saved.csv", saved.encode()))
    assert (merged.code, merged.out) == (0, run("receipts", "merge", report).out)


def test_a_damaged_line_of_a_report_is_named(run, sandbox, tmp_path) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 3)), tmp_path / "r.jsonl"
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    lines = report.read_bytes().splitlines()
    report.write_bytes(b"\n".join([lines[0], lines[1][:50], lines[2]]) + b"\n")
    refused = run("receipts", "merge", report)
    assert (refused.code, "line 2 is not a row of one" in refused.err) == (2, True)
