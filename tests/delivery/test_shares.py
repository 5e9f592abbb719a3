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


def test_reports_of_docsend_0_1_are_read_with_their_original_meaning(run, sandbox, tmp_path) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 3)), tmp_path / "report.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", report)
    assert run(*argv).code == 0
    assert run(*argv).code == 0
    rows = read_report(report)
    for row in rows:
        assert (row.pop("repeated"), row["status"]) == ("true", "received")
        row["status"] = "before"
    old = samples.write(tmp_path, "old.csv", report_csv(rows))
    merged = run("receipts", "merge", old, "--json")
    merged_rows = [json.loads(line) for line in merged.out.splitlines()]
    assert (merged.code, {(row["status"], row["repeated"]) for row in merged_rows}) == (
        0,
        {("received", "true")},
    )
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
