"""Shares of one manifest on several machines, and the merging of their reports."""

from __future__ import annotations

import json
import os
import random
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
from batch_files import REPORT_ROW, json_rows, make_rows, read_report, report_csv, save_manifest

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
