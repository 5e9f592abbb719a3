"""Shares of one manifest on several machines, and the merging of their reports."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

import doubles
import samples
from batch_files import HEAD, REPORT_ROW, json_rows, make_rows, read_report, report_csv, save_manifest

pytestmark = pytest.mark.everywhere


def test_shares_are_disjoint_complete_and_independent_of_the_order_of_rows(run, tmp_path) -> None:
    rows = make_rows(tmp_path, 40)
    shares = []
    for order in (rows, rows[::-1]):
        file = save_manifest(tmp_path, order)
        found = []
        for k in range(1, 5):
            argv = ("send", "--batch", file, "-n", "--json", "--shard", f"{k}/4")
            found.append({line["reference"] for line in json_rows(run(*argv))})
        assert set().union(*found) == {row[5] for row in rows}
        assert sum(map(len, found)) == 40
        assert all(found)
        shares.append(found)
    assert shares[0] == shares[1]


def test_merged_reports_of_shares_and_repeated_runs_have_each_row_once(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    monkeypatch.chdir(tmp_path)
    rows = make_rows(tmp_path, 12)
    file = save_manifest(tmp_path, rows)
    reports = []
    for k in (1, 2, 3):
        report = tmp_path / f"result-{k}.csv"
        url = "http://127.0.0.1:9" if k == 2 else sandbox.url
        run("send", "--batch", file, "--service", url, "--shard", f"{k}/3", "--report", report)
        reports.append(report)
    merged = run("receipts", "merge", *reports)
    assert merged.code == 7
    left = samples.write(tmp_path, "left.csv", merged.out.encode())
    assert len(read_report(left)) == 12
    finished = run("send", "--batch", left, "--service", sandbox.url, "--report", tmp_path / "last.jsonl")
    assert finished.code == 0, finished.err
    once_more = run("receipts", "merge", *reports, tmp_path / "last.jsonl", "--json")
    assert once_more.code == 0
    merged_rows = [json.loads(line) for line in once_more.out.splitlines()]
    for row in merged_rows:
        jsonschema.validate(row, REPORT_ROW, cls=jsonschema.Draft202012Validator)
    assert len(merged_rows) == len({row["receipt"] for row in merged_rows}) == 12
    assert run("receipts", "merge", file).code == 2, "a manifest is not a report"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_share_that_never_ran_is_missed_with_its_number(run, sandbox, tmp_path, monkeypatch, form) -> None:
    monkeypatch.chdir(tmp_path)
    file = save_manifest(tmp_path, make_rows(tmp_path, 12))

    def send(share: str, report: str) -> None:
        argv = ("send", "--batch", file, "--service", sandbox.url, "--shard", share)
        assert run(*argv, "--report", report).code == 0

    send("1/3", f"one.{form}")
    send("3/3", f"three.{form}")
    incomplete = run("receipts", "merge", f"one.{form}", f"three.{form}")
    assert incomplete.code == 7
    assert "share 2 of 3 is missing: no report is about it" in incomplete.err
    assert "for example --shard 2/3" in incomplete.err
    (tmp_path / "both.csv").write_text(incomplete.out, "utf-8")
    assert run("receipts", "merge", "both.csv").code == 7, "a merged report still says what it lacks"
    assert "shares of 3 are missing: no report is about 2, 3" in run("receipts", "merge", f"one.{form}").err
    send("2/3", f"two.{form}")
    assert run("receipts", "merge", "both.csv", f"two.{form}").code == 0
    send("2/2", f"half.{form}")
    send("1/4", f"quarter.{form}")
    assert "share 3 of 4" in run("receipts", "merge", f"half.{form}", f"quarter.{form}").err
    send("3/4", f"another.{form}")
    parts = (f"half.{form}", f"quarter.{form}", f"another.{form}")
    assert run("receipts", "merge", *parts).code == 0, "a half and two quarters"
    send("1/1", f"all.{form}")
    assert run("receipts", "merge", f"one.{form}", f"all.{form}").code == 0, (
        "a run without shares has all rows"
    )


def test_a_share_without_rows_needs_no_report(run, sandbox, tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 3))
    reports = [tmp_path / f"{k}.csv" for k in range(1, 10)]
    for k, report in enumerate(reports, 1):
        argv = ("send", "--batch", file, "--service", sandbox.url, "--shard", f"{k}/9")
        assert run(*argv, "--report", report).code == 0
    assert run("receipts", "merge", *reports).code == 0
    filled = [report for report in reports if read_report(report)]
    assert 1 <= len(filled) <= 3
    assert run("receipts", "merge", *filled).code == 0
    if len(filled) > 1:
        missing = run("receipts", "merge", *filled[1:])
        assert (missing.code, f"share {filled[0].stem} of 9 is missing" in missing.err) == (7, True)


def test_reports_of_two_batches_are_complete_only_if_both_are(run, sandbox, tmp_path) -> None:
    reports = []
    for month, first in (("november", 0), ("december", 20)):
        file = save_manifest(tmp_path, make_rows(tmp_path, 8, first=first), f"{month}.csv")
        for k in (1, 2):
            reports.append(tmp_path / f"{month}-{k}.csv")
            argv = ("send", "--batch", file, "--service", sandbox.url, "--shard", f"{k}/2")
            assert run(*argv, "--report", reports[-1]).code == 0
    assert run("receipts", "merge", *reports).code == 0
    missing = run("receipts", "merge", *reports[:3])
    assert (missing.code, missing.err.count("is missing"), "share 2 of 2" in missing.err) == (7, 1, True)


def test_merged_reports_end_with_the_code_of_a_batch_with_their_rows(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    rows = make_rows(tmp_path, 4)
    rows[0][4] = "000000019"
    file = save_manifest(tmp_path, rows)
    names = ("good.csv", "faulty.csv", "checked.csv", "dead.csv")
    good, faulty, checked, dead = [tmp_path / name for name in names]
    valid = save_manifest(tmp_path, rows[1:], "valid.csv")
    assert run("send", "--batch", valid, "--service", sandbox.url, "--report", good).code == 0
    argv = ("send", "--batch", file, "--only-valid", "--report")
    assert run(*argv, faulty, "--service", sandbox.url).code == 9
    assert run(*argv, checked, "--dry-run").code == 3
    assert run(*argv, dead, "--service", "http://127.0.0.1:9", "--occurrence", 2).code == 7
    cases = {
        (good,): 0,
        (good, faulty): 9,
        (checked,): 7,
        (checked, faulty): 9,
        (faulty, dead): 7,
        (good, checked): 9,
    }
    for reports, code in cases.items():
        assert run("receipts", "merge", *reports).code == code, reports


def test_reports_of_docsend_0_1_are_read_with_their_original_meaning(run, sandbox, tmp_path) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 3)), tmp_path / "report.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", report)
    assert run(*argv).code == 0
    assert run(*argv).code == 0
    rows = read_report(report)
    for row in rows:
        assert (row.pop("repeated"), row["status"]) == ("true", "received")
        row["status"] = "before"
        for column in ("share", "empty_shares", "batch"):
            del row[column]
    old = samples.write(tmp_path, "old.csv", report_csv(rows))
    merged = run("receipts", "merge", old, "--json")
    merged_rows = [json.loads(line) for line in merged.out.splitlines()]
    assert (merged.code, {(row["status"], row["repeated"]) for row in merged_rows}) == (
        0,
        {("received", "true")},
    )
    assert f"{old} names no share, as docsend 0.1 wrote it: a gap goes unnoticed" in merged.err
    for row in rows:
        row["status"] = "received"
    first = run("receipts", "merge", samples.write(tmp_path, "first.csv", report_csv(rows)), "--json")
    merged_rows = [json.loads(line) for line in first.out.splitlines()]
    assert {(row["status"], row["repeated"]) for row in merged_rows} == {("received", "false")}
    again = run("send", "--batch", old, "--service", sandbox.url)
    assert (again.code, again.out, sandbox.count()) == (0, "3 rows: 3 received before\n", 3)
    rows[0]["id"] = "000000026"
    changed = samples.write(tmp_path, "changed.csv", report_csv(rows))
    assert "[key-changed]" in run("send", "--batch", changed, "--service", sandbox.url).err


def _send_shares(run, url: str, file: Path, count: int, folder: Path, *more: object) -> list[Path]:
    """Send a manifest in `count` shares, and return their reports."""
    reports = [folder / f"{file.stem}-{k}.csv" for k in range(1, count + 1)]
    for k, report in enumerate(reports, 1):
        run("send", "--batch", file, "--service", url, "--shard", f"{k}/{count}", "--report", report, *more)
    return reports


def test_rows_that_are_missing_from_a_report_are_missed_under_any_name(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = save_manifest(tmp_path, make_rows(tmp_path, 20))
    reports = _send_shares(run, sandbox.url, file, 3, tmp_path)
    assert run("receipts", "merge", *reports).code == 0
    lines = reports[0].read_bytes().splitlines(keepends=True)
    cut = samples.write(tmp_path, "cut.csv", b"".join(lines[:2]))  # an incomplete copy, or a renamed .part
    gone = len(lines) - 2
    assert gone > 1
    merged = run("receipts", "merge", cut, *reports[1:])
    assert merged.code == 7
    assert f"{gone} rows are missing: their batch has 20 rows, but cut.csv" in merged.err.replace(
        f"{tmp_path}/", ""
    )
    again = samples.write(tmp_path, "again.csv", merged.out.encode())
    assert run("receipts", "merge", again).code == 7, "the merged report lacks them, too"
    assert run("receipts", "merge", again, reports[0]).code == 0
    assert run("receipts", "merge", again, reports[0], "--quiet").err == ""


def test_reports_without_any_rows_are_no_success(run, sandbox, tmp_path) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 2)), tmp_path / "r.csv"
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    header = report.read_bytes().splitlines(keepends=True)[0]
    for name, content in {"empty.csv": b"", "empty.jsonl": b"", "header.csv": header}.items():
        merged = run("receipts", "merge", samples.write(tmp_path, name, content), "--quiet")
        assert (merged.code, "the reports have no rows" in merged.err) == (7, True), name


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_row_is_not_received_without_the_number_of_its_receipt(run, sandbox, tmp_path, form) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 3)), tmp_path / f"r.{form}"
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    number = read_report(report)[1]["receipt"]
    report.write_text(report.read_text("utf-8").replace(number, ""), "utf-8")
    merged = run("receipts", "merge", report)
    assert (merged.code, "3 rows: 2 received, 1 unfinished" in merged.err) == (7, True)
    assert "row 3: received without the number of a receipt; it counts as unfinished" in merged.err
    again = run("send", "--batch", report, "--service", sandbox.url, "--report", tmp_path / "last.csv")
    assert (again.out, run("receipts", "merge", report, tmp_path / "last.csv").code) == (
        "3 rows: 3 received before\n",
        0,
    )


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_rows_with_the_same_content_stay_several_rows(run, sandbox, tmp_path, monkeypatch, form) -> None:
    monkeypatch.chdir(tmp_path)
    rows = make_rows(tmp_path, 2)
    content = [*rows, rows[1], rows[1]]
    lines = [json.dumps(dict(zip(HEAD, row, strict=True))) for row in content]
    broken = "".join(line + "\n" for line in [*lines, "{", "["])
    file = samples.write(tmp_path, "m.jsonl", broken.encode())
    argv = ("send", "--batch", file, "--service", sandbox.url, "--only-valid", "--report")
    for report in (f"one.{form}", f"two.{form}"):
        assert run(*argv, report).code == 9
    merged = run("receipts", "merge", f"one.{form}", f"two.{form}")
    assert (merged.code, "6 rows: 4 faulty, 2 received" in merged.err) == (9, True)
    (tmp_path / "merged.csv").write_text(merged.out, "utf-8")
    assert run("receipts", "merge", "merged.csv", f"one.{form}").out == merged.out
    changed = save_manifest(tmp_path, rows)
    assert run("send", "--batch", changed, "--service", sandbox.url, "--report", "three.csv").code == 0
    assert "6 rows" in run("receipts", "merge", f"one.{form}", "three.csv").err, (
        "the same rows in another batch"
    )


def test_merged_rows_are_in_the_order_of_the_manifest(run, sandbox, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = save_manifest(tmp_path, make_rows(tmp_path, 20))
    reports = _send_shares(run, sandbox.url, file, 3, tmp_path)
    merged = run("receipts", "merge", *reports[::-1], "--json")
    assert [json.loads(line)["row"] for line in merged.out.splitlines()] == [str(n) for n in range(2, 22)]


def test_a_merged_report_of_two_batches_stays_complete_when_it_is_merged_again(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    """Most rows of the first batch are then rows of the second one, which had one more correct row."""
    monkeypatch.chdir(tmp_path)
    rows = make_rows(tmp_path, 12)
    rows[4][4] = "000000019"
    first = save_manifest(tmp_path, rows, "first.csv")
    reports = _send_shares(run, sandbox.url, first, 3, tmp_path, "--only-valid")
    rows[4][4] = "000000018"
    second = save_manifest(tmp_path, rows, "second.csv")
    reports += _send_shares(run, sandbox.url, second, 3, tmp_path)
    merged = run("receipts", "merge", *reports)
    assert (merged.code, "13 rows: 12 received, 1 faulty" in merged.err) == (9, True)
    (tmp_path / "merged.csv").write_text(merged.out, "utf-8")
    again = run("receipts", "merge", "merged.csv")
    assert (again.code, again.out, "missing" in again.err) == (9, merged.out, False)
    incomplete = run("receipts", "merge", *reports[1:])
    assert incomplete.code == 7
    (tmp_path / "incomplete.csv").write_text(incomplete.out, "utf-8")
    assert run("receipts", "merge", "incomplete.csv").code == 7
    assert run("receipts", "merge", "incomplete.csv", reports[0]).code == 9


def test_missing_shares_of_several_batches_are_told_apart_by_their_reports(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    """A row was corrected, and only one share was sent again: that is another batch."""
    monkeypatch.chdir(tmp_path)
    rows = make_rows(tmp_path, 12)
    one, two = _send_shares(run, sandbox.url, save_manifest(tmp_path, rows), 2, Path())
    rows[4][4] = "000000026"
    file = save_manifest(tmp_path, rows)
    assert run("send", "--batch", file, "--service", sandbox.url, "--shard", "1/2", "--report", one).code == 0
    merged = run("receipts", "merge", one, two)
    assert merged.code == 7
    lines = [line.strip() for line in merged.err.splitlines()]
    for share, file_name in (("2", one), ("1", two)):
        at = lines.index(f"share {share} of 2 is missing: no report is about it")
        assert lines[at + 1] == f"this is about the batch of {file_name}"
    assert "a manifest that was changed, or sent from another folder, is a new batch" in merged.err
    assert any(re.fullmatch(f"{one}: [0-9]+ rows?, received on [-0-9]{{10}}", line) for line in lines)
    assert run("send", "--batch", file, "--service", sandbox.url, "--shard", "2/2", "--report", two).code == 0
    assert run("receipts", "merge", one, two).code == 0


def test_reports_that_are_left_from_another_month_are_noticed_by_the_manifest(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    """A failed check does not replace a report with receipts, so the reports are those of November."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    november = save_manifest(tmp_path, make_rows(tmp_path, 6), "november.csv")
    rows = make_rows(tmp_path, 6, first=20)
    rows[2][0] = ""
    december = save_manifest(tmp_path, rows, "december.csv")
    rows[1][4] = "000000019"
    faulty = save_manifest(tmp_path, rows, "faulty.csv")
    reports = [Path("reports") / f"result-{k}.csv" for k in (1, 2)]

    def send(manifest: Path, *more: object) -> list[int]:
        argv = ("send", "--batch", manifest, "--service", sandbox.url, *more)
        return [
            run(*argv, "--shard", f"{k}/2", "--report", report).code for k, report in enumerate(reports, 1)
        ]

    assert send(november) == [0, 0]
    assert run("receipts", "merge", *reports, "--manifest", november).code == 0
    assert 3 in send(faulty)
    stale = run("receipts", "merge", *reports, "--manifest", december)
    assert stale.code == 7
    assert "6 rows of the manifest are in no report; the first is row 2" in stale.err
    assert send(december, "--to", "benefits", "--remark", "x") == [0, 0]
    merged = run("receipts", "merge", *reports, "--manifest", december)
    assert (merged.code, "of the manifest" in merged.err) == (0, False)
    twice = save_manifest(tmp_path, [*rows[3:], rows[3]], "twice.csv")
    assert "row 5 of the manifest is in no report" in (
        run("receipts", "merge", *reports, "--manifest", twice).err
    )
    assert run("receipts", "merge", *reports, "--manifest", "none.csv").code == 2


@pytest.mark.needs("parallel", "pgrep")
def test_shares_under_gnu_parallel_killed_and_overlapping_send_each_row_once(sandbox, tmp_path, run) -> None:
    if sys.platform == "win32":
        pytest.skip("signals of POSIX")
    file = save_manifest(tmp_path, make_rows(tmp_path, 100))
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "docsend").write_text(f'#!/bin/sh\nexec {sys.executable} -m docsend "$@"\n')
    (bin_ / "docsend").chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "DOCSEND_PATIENCE": "10"}
    # The halves overlap with the quarters: two processes send each row, and share one ledger.
    shares = ["1/4", "2/4", "3/4", "4/4", "1/2", "2/2"]
    chance = random.Random(5)
    with doubles.relay(sandbox.url, lambda *_: time.sleep(0.01)) as (url, _):
        command = [
            "parallel", "--will-cite", "--jobs", "6", "--retries", "20",
            f"docsend send --batch {file} --shard {{}} --report result-{{#}}.csv --service {url} --quiet",
            ":::", *shares,
        ]  # fmt: skip
        with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE) as engine:
            for _ in range(6):
                time.sleep(chance.uniform(0.3, 0.7))
                running = _sending_processes(str(file))
                for pid in chance.sample(running, min(2, len(running))):
                    os.kill(pid, signal.SIGKILL)
            _, err = engine.communicate(timeout=90)
        assert engine.returncode == 0, err
    assert sandbox.count() == 100
    merged = run("receipts", "merge", *sorted(tmp_path.glob("result-*.csv")))
    assert merged.code == 0
    assert len(merged.out.splitlines()) == 1 + 100


def _sending_processes(manifest: str) -> list[int]:
    """Return the ids of the Python processes that send a manifest, without parallel and its shells."""
    command = ["pgrep", "-f", f"docsend send --batch {manifest}"]
    pids = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return [int(pid) for pid in pids if "python" in _program_name(pid)]


def _program_name(pid: str) -> str:
    """Return the name of a process's program, or "" if the process has ended."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except FileNotFoundError:
        return ""


def test_the_scripts_in_docs_scale_are_valid(tmp_path) -> None:
    folder = Path(__file__).parents[2] / "docs" / "scale"
    for script in ("parallel.sh", "slurm.sbatch"):
        subprocess.run(["bash", "-n", folder / script], check=True)
    (job,) = yaml.safe_load_all((folder / "job.yaml").read_text())
    assert (job["kind"], job["spec"]["completionMode"]) == ("Job", "Indexed")


@pytest.mark.needs("parallel")
def test_the_script_for_gnu_parallel_works(sandbox, tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 10))
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "docsend").write_text(f'#!/bin/sh\nexec {sys.executable} -m docsend "$@"\n')
    (bin_ / "docsend").chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "DOCSEND_SERVICE": sandbox.url}
    script = Path(__file__).parents[2] / "docs" / "scale" / "parallel.sh"
    done = subprocess.run(
        [script, file, "3"], env=environment, cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(read_report(tmp_path / "result.csv")) == 10
    assert sandbox.count() == 10
