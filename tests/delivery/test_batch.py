"""Batches: manifests as accountants have them, all checked first, sent once whatever happens, reported."""

from __future__ import annotations

import csv
import errno
import io
import itertools
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import openpyxl  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

import bad_manifests
import docsend
import doubles
import samples
from conftest import PERSON
from docsend.checks import documents
from docsend.i18n import Translator
from docsend.manifest import reader as manifests
from docsend.manifest import tables
from docsend.model.submission import Submission
from docsend.storage.ledger import Ledger
from docsend.ui import bars, progress

pytestmark = pytest.mark.everywhere

# A fictional person whose number a spreadsheet would shorten.
SHORT = "012345674"
HEAD = ["to", "subject", "category", "type", "id", "reference", "documents"]


def table(folder: Path, count: int, *, size: int | None = None, first: int = 0) -> list[list[str]]:
    """Make so many good rows, each with a document that no other has."""
    folder.mkdir(exist_ok=True)
    rows = []
    for n in range(first, first + count):
        samples.write(folder, f"payslip-{n}.pdf", samples.pdf(n, size=size))
        cells = [
            "benefits",
            "unemployment",
            "employer",
            "payslips",
            PERSON,
            f"client {n}",
            f"payslip-{n}.pdf",
        ]
        rows.append(cells)
    return rows


def written(rows: list[list[str]], *, separator: str = ",", head: list[str] = HEAD) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows([head, *rows])
    return text.getvalue()


REPORT_ROW = json.loads(
    (Path(docsend.__file__).parent / "data" / "schemas" / "report-row.json").read_text("utf-8")
)


def save(folder: Path, rows: list[list[str]], name: str = "batch.csv") -> Path:
    return samples.write(folder, name, written(rows).encode())


def read_report(file: Path) -> list[dict[str, str]]:
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline="")))


def lines(outcome) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = outcome.rows
    return rows


# -- manifests ---------------------------------------------------------------------------------------------

ENCODINGS = {
    "UTF-8": ("utf-8", ",", "UTF-8, separated by commas"),
    "UTF-8 with a mark": ("utf-8-sig", ";", "UTF-8, separated by semicolons"),
    "UTF-16 as Excel writes it": ("utf-16", "\t", "UTF-16, separated by tabs"),
    "Windows-1255 as a Hebrew Excel writes it": ("cp1255", ",", "Windows-1255, separated by commas"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_csv_is_read_as_spreadsheets_write_it_and_what_was_found_is_told(
    run, sandbox, tmp_path, name
) -> None:
    encoding, separator, told = ENCODINGS[name]
    rows = table(tmp_path, 2)
    rows[0][5] = "תלוש; שכר, אחד"
    text = written(rows, separator=separator)
    file = samples.write(tmp_path, "batch.csv", text.encode(encoding))
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--json")
    assert (outcome.code, f"batch.csv: {told}" in outcome.err) == (0, True)
    assert {line["reference"] for line in lines(outcome)} == {"תלוש; שכר, אחד", "client 1"}
    assert sandbox.count() == 2


def test_json_lines_and_excel_say_the_same_as_csv(run, sandbox, tmp_path) -> None:
    rows = [[*row[:4], SHORT, *row[5:]] for row in table(tmp_path, 2)]
    book = openpyxl.Workbook()
    for row in [HEAD, *rows]:
        book.active.append([int(cell) if cell == SHORT else cell for cell in row])
    book.save(tmp_path / "batch.xlsx")
    objects: list[dict[str, object]] = [dict(zip(HEAD, row, strict=True)) for row in rows]
    objects[1]["documents"] = [objects[1]["documents"]]
    text = "".join(json.dumps(each) + "\n" for each in objects)
    files = (
        save(tmp_path, rows),
        tmp_path / "batch.xlsx",
        samples.write(tmp_path, "batch.jsonl", text.encode()),
    )
    keys = []
    for file in files:
        outcome = run("send", "--batch", file, "--service", sandbox.url, "--json")
        assert outcome.code == 0, outcome.err
        keys.append({line["key"] for line in lines(outcome)})
    assert keys[0] == keys[1] == keys[2]
    assert sandbox.count() == 2
    assert (
        "zeros that a spreadsheet removed from id are put back" in run("send", "--batch", files[1], "-n").err
    ), "a workbook keeps numbers without their zeros"


def sendings(folder: Path, form: str, *occurrences: int | None) -> Path:
    """Make a manifest of one row for each of these sendings of one and the same content."""
    (row,) = table(folder, 1)
    head, rows = [*HEAD, "occurrence"], [[*row, number] for number in occurrences]
    file = folder / f"sendings.{form}"
    if form == "xlsx":
        book = openpyxl.Workbook()
        for each in [head, *rows]:
            book.active.append(each)
        book.save(file)
    elif form == "jsonl":
        objects = [dict(zip(head, each, strict=True)) for each in rows]
        file.write_text("".join(json.dumps(each) + "\n" for each in objects))
    else:
        cells = [[*row, "" if number is None else str(number)] for number in occurrences]
        file.write_text(written(cells, head=head))
    return file


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx"])
def test_rows_that_differ_in_their_occurrence_alone_are_sent_each_once(run, sandbox, tmp_path, form) -> None:
    file, report = sendings(tmp_path, form, None, 2, 7), tmp_path / "report.csv"
    with doubles.relay(sandbox.url, lambda *_: None) as (url, asked):
        argv = ("send", "--batch", file, "--service", url, "--report", report)
        first = run(*argv, "--json")
        assert (first.code, sorted(line["occurrence"] for line in lines(first))) == (0, [1, 2, 7]), first.err
        declared = sandbox.select("SELECT key, declaration FROM submission WHERE state = 'received'")
        by_key = {key: json.loads(declaration)["occurrence"] for key, declaration in declared}
        assert by_key == {line["key"]: line["occurrence"] for line in lines(first)}
        asked.clear()
        assert run(*argv).out == "3 rows: 3 received before\n"
        assert run("send", "--batch", report, "--service", url).out == "3 rows: 3 received before\n"
        assert asked == []


def test_a_row_is_a_duplicate_of_one_that_states_the_same_occurrence_in_another_way(run, tmp_path) -> None:
    outcome = run("send", "--batch", sendings(tmp_path, "csv", None, 1), "-n")
    assert (outcome.code, "[duplicate-row]" in outcome.err) == (3, True)


def test_an_occurrence_that_is_none_is_told_with_its_row(run, tmp_path) -> None:
    outcome = run("send", "--batch", sendings(tmp_path, "jsonl", 1, 0), "-n")
    assert outcome.code == 3
    assert "row 2, occurrence: '0' is not the number of a sending" in outcome.err


def test_an_occurrence_for_all_rows_stands_in_the_report(run, sandbox, tmp_path) -> None:
    file, report = save(tmp_path, table(tmp_path, 2)), tmp_path / "report.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url)
    assert run(*argv).code == 0
    second = run(*argv, "--occurrence", "2", "--report", report)
    assert (second.out, sandbox.count()) == ("2 rows: 2 received\n", 4)
    assert [row["occurrence"] for row in read_report(report)] == ["2", "2"]
    assert run("send", "--batch", report, "--service", sandbox.url).out == "2 rows: 2 received before\n", (
        "without the option, too"
    )


def _with_stored_size(file: Path, size: str | None) -> None:
    """Change the size that a workbook states of its sheet, or take it out."""
    with zipfile.ZipFile(file) as read:
        parts = {name: read.read(name) for name in read.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    stated = f'<dimension ref="{size}"/>'.encode() if size else b""
    parts[sheet], count = re.subn(rb'<dimension ref="[^"]*" ?/>', stated, parts[sheet])
    assert count == 1
    with zipfile.ZipFile(file, "w") as written_:
        for name, content in parts.items():
            written_.writestr(name, content)


@pytest.mark.parametrize("size", ["A1:G11", "A1", "A1:C31", "B2:F20", "A1:G5000", "A1:XFD1048576", None])
def test_a_workbook_loses_no_row_and_no_column_whatever_size_it_states(run, tmp_path, size) -> None:
    rows = table(tmp_path, 30)
    rows[3][5] = ""  # a reference in the middle that is left open
    book = openpyxl.Workbook()
    for row in [HEAD, *rows[:20], [], *rows[20:]]:
        book.active.append([cell or None for cell in row])
    book.save(tmp_path / "batch.xlsx")
    _with_stored_size(tmp_path / "batch.xlsx", size)
    keys = []
    for file in (tmp_path / "batch.xlsx", save(tmp_path, rows)):
        outcome = run("send", "--batch", file, "-n", "--json")
        assert outcome.code == 0, outcome.err
        keys.append([line["key"] for line in lines(outcome)])
    assert len(keys[0]) == 30
    assert keys[0] == keys[1]


def test_a_report_in_a_workbook_whose_last_cells_are_empty_is_still_a_manifest(run, tmp_path) -> None:
    rows = table(tmp_path, 2)
    book = openpyxl.Workbook()
    for row in [[*HEAD, "status", "problems"], *([*row, "received", None] for row in rows)]:
        book.active.append(row)
    book.save(tmp_path / "batch.xlsx")
    outcome = run("send", "--batch", tmp_path / "batch.xlsx", "-n", "--json")
    assert (outcome.code, len(lines(outcome))) == (0, 2), outcome.err


@pytest.mark.parametrize("how", ["/dev/stdin", "<(cat {file})", "a pipe that is written later"])
def test_a_manifest_may_be_a_pipe(tmp_path, how) -> None:
    file = save(tmp_path, [[*row[:-1], str(tmp_path / row[-1])] for row in table(tmp_path, 2)])
    pipe = tmp_path / "pipe"
    samples.pipe(pipe)
    name = {"/dev/stdin": "/dev/stdin < {file}", "a pipe that is written later": "{pipe}"}.get(how, how)
    script = (
        "(sleep 1; [ -n '{late}' ] && cat {file} > {pipe}) &\n"
        f"{sys.executable} -m docsend send --allow-outside -n --batch {name}"
    ).format(file=file, pipe=pipe, late="yes" if how.startswith("a pipe") else "")
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, check=False, timeout=30, text=True
    )
    assert (done.returncode, "2 rows" in done.stdout + done.stderr) == (0, True), done.stderr


def test_the_documents_of_a_manifest_in_a_pipe_are_looked_for_in_the_working_folder(tmp_path) -> None:
    file = save(tmp_path, table(tmp_path, 2))
    script = f"{sys.executable} -m docsend send -n --batch <(cat {file})"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=False, text=True)
    assert (done.returncode, "2 rows" in done.stdout + done.stderr) == (0, True), done.stderr


@pytest.mark.parametrize("device", ["/dev/full", "/dev/zero", "/dev/null"])
def test_a_manifest_without_an_end_is_told(spawn, device) -> None:
    outcome = spawn("send", "--batch", device, "-n", timeout=30)
    assert (outcome.code, "Traceback" in outcome.err) == (3, False)


@pytest.mark.parametrize(
    "make", [samples.pipe, lambda file: file.symlink_to("/dev/full")], ids=["pipe", "device"]
)
def test_a_report_that_is_no_file_is_refused_and_never_waited_for(spawn, sandbox, tmp_path, make) -> None:
    file, report = save(tmp_path, table(tmp_path, 1)), tmp_path / "report.csv"
    make(report)
    outcome = spawn("send", "--batch", file, "--report", report, "--service", sandbox.url, timeout=20)
    assert (outcome.code, "it is not a regular file" in outcome.err) == (2, True)
    assert spawn("receipts", "merge", report, timeout=20).code == 2
    assert sandbox.count() == 0


def test_standard_input_is_read_only_if_asked_for(spawn, sandbox, tmp_path) -> None:
    text = written(table(tmp_path, 1)).encode()
    argv = ("send", "--batch", "-", "--service", sandbox.url, "--json")
    outcome = spawn(*argv, stdin=None, input=text, cwd=tmp_path)
    assert (outcome.code, sandbox.count()) == (0, 1)


def test_head_and_cells_are_taken_as_people_write_them(run, tmp_path) -> None:
    samples.write(tmp_path, "a.pdf", samples.pdf(1))
    samples.write(tmp_path, "b.pdf", samples.pdf(2))
    text = (
        "To ; Category;TYPE;Employer File;employer-kind;Booklet;mobile;Documents;;\r\n"
        " employer-collection ;correspondence;correction-letter;900000019;;7;501234567;a.pdf; b.pdf;;\r\n"
        ";;;;;;;;;\r\n"
    )
    file = samples.write(tmp_path, "batch.csv", text.replace("a.pdf; b.pdf", '"a.pdf; b.pdf"').encode())
    outcome = run("send", "--batch", file, "-n")
    assert (outcome.code, outcome.out.startswith("1 row,")) == (0, True), outcome.err
    assert "put back" in outcome.err


def test_nothing_carries_over_from_one_row_to_the_next(run, tmp_path) -> None:
    rows = table(tmp_path, 2)
    rows[1][4] = ""
    outcome = run("send", "--batch", save(tmp_path, rows), "-n")
    assert outcome.code == 3
    assert "row 3, id: the insured person's id number is not given" in outcome.err
    assert "row 2" not in outcome.err


def test_options_are_defaults_for_what_rows_leave_open(run, sandbox, tmp_path) -> None:
    rows = [row[4:] for row in table(tmp_path, 2)]
    file = samples.write(tmp_path, "batch.csv", written(rows, head=HEAD[4:]).encode())
    about = ("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips")
    outcome = run("send", "--batch", file, *about, "--service", sandbox.url)
    assert (outcome.code, sandbox.count()) == (0, 2)


def test_a_document_outside_goes_only_if_it_is_allowed(run, sandbox, tmp_path) -> None:
    rows = table(tmp_path / "in", 1)
    samples.write(tmp_path, "outside.pdf", samples.pdf(5))
    rows[0][6] = "../outside.pdf"
    file = save(tmp_path / "in", rows)
    assert run("send", "--batch", file, "--service", sandbox.url).code == 3
    assert run("send", "--batch", file, "--service", sandbox.url, "--allow-outside").code == 0


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_template_is_a_manifest(run, tmp_path, form) -> None:
    text = run("send", "--batch-template", form).out
    file = samples.write(tmp_path, f"batch.{form}", text.encode())
    for folder, names in (("payslips", ("january", "february")), ("letters", ("one",))):
        (tmp_path / folder).mkdir()
        for n, name in enumerate(names):
            samples.write(tmp_path / folder, f"{name}.pdf", samples.pdf(len(folder) * 10 + n))
    outcome = run("send", "--batch", file, "-n")
    assert (outcome.code, outcome.out.startswith("2 rows")) == (0, True), outcome.err
    assert run("send", "--batch-template", "xml").code == 2


def test_a_manifest_has_limits(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 3)
    outcome = run("send", "--batch", save(tmp_path, table(tmp_path, 4)), "-n", "--json")
    assert (outcome.code, outcome.problems) == (3, ["manifest-too-large"])
    monkeypatch.setattr(tables, "MOST_BYTES", 100)
    assert run("send", "--batch", tmp_path / "batch.csv", "-n", "--json").problems == ["manifest-too-large"]


@pytest.mark.parametrize("case", bad_manifests.CASES, ids=lambda case: case.what.replace(" ", "-"))
def test_a_bad_manifest_gets_its_codes_and_its_exit_code(case: bad_manifests.Case) -> None:
    seen = bad_manifests.observe(case)
    codes = [found[1] for line in seen.lines if (found := re.search(r"error: .*\[([a-z-]+)\]", line))]
    expected = () if case.codes == ("usage",) else case.codes
    assert (tuple(codes), seen.exit_code) == (expected, case.exit_code), seen.lines


def test_the_manual_shows_what_bad_manifests_really_get() -> None:
    assert bad_manifests.PART.shown() == bad_manifests.table(), "run python tests/bad_manifests.py"
    assert len(bad_manifests.CASES) >= 40


def test_one_bad_row_among_many_costs_one_line(run, tmp_path) -> None:
    rows = [row for row in table(tmp_path, 1) for _ in range(5000)]
    rows = [[*row[:5], f"client {n}", row[6]] for n, row in enumerate(rows)]
    rows[2500][4] = "000000019"
    outcome = run("send", "--batch", save(tmp_path, rows), "-n", "--quiet")
    assert outcome.code == 3
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("error: row 2502, id: ")


def test_manifests_are_read_as_odd_programs_write_them(run, tmp_path) -> None:
    samples.write(tmp_path, "a.pdf", samples.pdf(1))
    (tmp_path / "d [2026]").mkdir()
    samples.write(tmp_path / "d [2026]", "b.pdf", samples.pdf(2))
    nfd = unicodedata.normalize("NFD", "é.pdf")
    samples.write(tmp_path, nfd, samples.pdf(3))
    about = ["benefits", "unemployment", "employer", "payslips", PERSON]

    def manifest(folder: Path, *documents: str) -> Path:
        rows = [[*about, name, name] for name in documents]
        text = "sep=;\r\n;;\r\n" + written(rows, separator=";")
        return samples.write(folder, "batch.csv", text.encode())

    outcome = run("send", "--batch", manifest(tmp_path, "a.pdf", "é.pdf"), "-n")
    assert (outcome.code, outcome.out[:6]) == (0, "2 rows"), outcome.err
    # A folder whose name looks like a pattern is no pattern.
    assert run("send", "--batch", manifest(tmp_path / "d [2026]", "*.pdf"), "-n").code == 0


def test_a_line_separator_in_a_text_does_not_end_a_row_of_json_lines(run, tmp_path) -> None:
    samples.write(tmp_path, "a.pdf", samples.pdf(1))
    row = dict(
        zip(
            HEAD,
            ["benefits", "unemployment", "employer", "payslips", PERSON, "x\u2028y", "a.pdf"],
            strict=True,
        )
    )
    file = samples.write(tmp_path, "batch.jsonl", (json.dumps(row, ensure_ascii=False) + "\n").encode())
    outcome = run("send", "--batch", file, "-n")
    assert (outcome.code, "text-not-accepted" in outcome.err) == (3, True)
    assert "not JSON" not in outcome.err


def test_no_number_is_shown_that_was_said_in_the_wrong_place(run, tmp_path) -> None:
    rows = table(tmp_path, 1)
    rows[0][1] = PERSON
    outcome = run("send", "--batch", save(tmp_path, rows), "-n", "--json")
    assert outcome.code == 3
    assert PERSON not in outcome.err + outcome.out


# -- sending -----------------------------------------------------------------------------------------------


def test_a_batch_is_sent_reported_and_costs_nothing_the_second_time(run, sandbox, tmp_path) -> None:
    file = save(tmp_path, table(tmp_path, 12))
    report = tmp_path / "result.csv"
    with doubles.relay(sandbox.url, lambda *_: None) as (url, asked):
        argv = ("send", "--batch", file, "--service", url, "--report", report)
        first = run(*argv)
        assert (first.code, first.out) == (0, "12 rows: 12 received\n")
        asked.clear()
        second = run(*argv)
        assert (second.code, second.out, asked) == (0, "12 rows: 12 received before\n", [])
        told = read_report(report)
        assert Counter(row["status"] for row in told) == {"received": 12}
        # The report is a manifest, too.
        third = run("send", "--batch", report, "--service", url, "--report", tmp_path / "again.jsonl")
        assert (third.code, third.out, asked) == (0, "12 rows: 12 received before\n", [])
    again = read_report(tmp_path / "again.jsonl")
    assert {row["receipt"] for row in again} == {row["receipt"] for row in told}
    assert sandbox.count() == 12
    assert report.stat().st_mode & 0o777 == 0o600


def test_nothing_is_sent_if_a_row_is_faulty_unless_the_good_ones_are_wanted(run, sandbox, tmp_path) -> None:
    rows = table(tmp_path, 4)
    rows[1][4] = "000000019"
    file, report = save(tmp_path, rows), tmp_path / "result.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", report)
    refused = run(*argv)
    assert (refused.code, sandbox.count()) == (3, 0)
    assert [row["status"] for row in read_report(report)] == ["checked", "faulty", "checked", "checked"]
    assert "id-number-invalid" in read_report(report)[1]["problems"]
    sent = run(*argv, "--only-valid")
    assert (sent.code, sandbox.count()) == (7, 3)
    assert sent.out == "4 rows: 3 received, 1 faulty\n"
    # The report is mended and sent: only the mended row costs anything.
    report.write_text(report.read_text("utf-8-sig").replace("000000019", PERSON), "utf-8")
    assert (
        run("send", "--batch", report, "--service", sandbox.url).out
        == "4 rows: 1 received, 3 received before\n"
    )


def test_a_row_that_is_refused_stops_no_other(run, sandbox, tmp_path) -> None:
    rows = table(tmp_path, 6)

    def fate(asked, _count, now):
        if asked.method == "PUT" and b'"reference":"client 2"' in asked.body and now == "before":
            errors = [{"pointer": "/type", "code": "unknown-type", "detail": "not this one"}]
            return doubles.problem(422, "invalid", errors=errors)
        return None

    with doubles.relay(sandbox.url, fate) as (url, _):
        outcome = run("send", "--batch", save(tmp_path, rows), "--service", url, "--jobs", "3")
    assert (outcome.code, outcome.out) == (7, "6 rows: 5 received, 1 refused\n")
    assert "row 4: refused: not this one [unknown-type]" in outcome.err
    assert sandbox.count() == 5


def test_a_dead_service_leaves_every_row_to_be_finished(run, sandbox, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    file = save(tmp_path, table(tmp_path, 30))
    with doubles.service(lambda _: doubles.Reply(503)) as (url, asked):
        outcome = run("send", "--batch", file, "--service", url, "--report", tmp_path / "r.csv")
    assert (outcome.code, outcome.out) == (7, "30 rows: 30 unfinished\n")
    assert len(asked) < 20, "after ten failures nobody asks any more"
    assert "and 10 more rows" in outcome.err
    assert "nothing is lost" in outcome.err
    sent = run("send", "--batch", tmp_path / "r.csv", "--service", sandbox.url)
    assert (sent.code, sandbox.count()) == (0, 30)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize(("gigabytes", "code", "received"), [(8, 0, 12), (2, 8, 0)])
def test_a_machine_with_room_for_few_threads_sends_with_those(
    sandbox, tmp_path, gigabytes, code, received
) -> None:
    (tmp_path / "m.csv").write_text(written(table(tmp_path, 12)))
    # A gigabyte of addresses for each thread.
    limits = f'ulimit -s 1048576; ulimit -v {gigabytes * 1048576}; exec "$@"'
    words = (sys.executable, "-m", "docsend", "send", "--batch", str(tmp_path / "m.csv"), "--jobs", "40")
    options = ("--service", sandbox.url, "--json")
    done = subprocess.run(
        ["bash", "-c", limits, "bash", *words, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, sandbox.count()) == (code, received), done.stderr
    assert (summary["counts"]["received"], summary["counts"]["not_tried"]) == (received, 12 - received)
    assert ("no room for another thread" in done.stderr) == (code == 8)
    assert not summary["repeat_helps"]


def test_one_retry_after_holds_all_workers_back(run, sandbox, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "30")
    held: list[float] = []
    times: list[float] = []

    def fate(_asked, _count, now):
        if now == "before":
            times.append(time.monotonic())
            if not held and len(times) == 5:
                held.append(times[-1])
                return doubles.Reply(429, headers={"Retry-After": "2"})
        return None

    with doubles.relay(sandbox.url, fate) as (url, _):
        file = save(tmp_path, table(tmp_path, 12))
        assert run("send", "--batch", file, "--service", url, "--jobs", "4").code == 0
    # Requests that were on their way go on; none begins until the pause is over.
    pause = [moment for moment in times if held[0] + 0.5 < moment < held[0] + 1.9]
    assert pause == []
    assert sandbox.count() == 12


def test_a_personal_batch_signs_in_once_and_a_refused_sign_in_ends_it(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    rows = table(tmp_path, 40)
    for row in rows:
        row[0], row[4] = "personal", ""
    file = save(tmp_path, rows)
    password = samples.write(tmp_path, "password", b"wrong\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1002")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    with doubles.relay(sandbox.url, lambda *_: None) as (url, asked):
        outcome = run("send", "--batch", file, "--service", url, "--jobs", "8")
        assert outcome.code == 4
        assert [request.path for request in asked] == ["/v1/session"], "one failed sign-in for all rows"
        password.write_bytes(b"fictional-clear\n")
        asked.clear()
        assert run("send", "--batch", file, "--service", url, "--jobs", "8").code == 0
        paths = Counter(request.path for request in asked)
        assert (paths["/v1/session"], paths["/v1/required"]) == (1, 1)
    assert sandbox.count() == 40


def test_one_worker_sends_personal_rows_in_order_so_that_one_may_bring_what_the_next_needs(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    rows = [["personal", "", *row[1:]] for row in table(tmp_path, 3)]
    for row, required in zip(rows, ("R-4711", "", ""), strict=True):
        row[1], row[5] = required, ""
    password = samples.write(tmp_path, "password", b"fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    file = samples.write(tmp_path, "batch.csv", written(rows, head=["to", "required", *HEAD[1:]]).encode())
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--jobs", "1", "-v")
    assert (outcome.code, sandbox.count()) == (0, 3), outcome.out + outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="names there are not bytes")
def test_a_name_that_the_locale_cannot_write_is_a_document_that_is_not_there(spawn, tmp_path) -> None:
    rows = table(tmp_path, 1)
    rows[0][-1] = "תלוש.pdf"
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    outcome = spawn("send", "--batch", save(tmp_path, rows), "--dry-run", "--json", env=environment)
    assert outcome.code == 3, outcome.err
    assert [problem["code"] for problem in lines(outcome)[0]["problems"]] == ["document-not-found"]


def test_a_document_that_changes_between_check_and_sending_is_not_sent(run, sandbox, tmp_path) -> None:
    rows = table(tmp_path, 3)
    changed = tmp_path / "payslip-2.pdf"

    def fate(_asked, _count, now):
        if now == "before":
            changed.write_bytes(b"")

    with doubles.relay(sandbox.url, fate) as (url, _):
        outcome = run("send", "--batch", save(tmp_path, rows), "--service", url, "--jobs", "1")
    assert (outcome.code, outcome.out) == (7, "3 rows: 2 received, 1 faulty\n")
    assert sandbox.count() == 2


def test_json_has_a_line_a_row_each_after_the_schema(run, sandbox, tmp_path) -> None:
    rows = table(tmp_path, 3)
    rows[1][3] = "payslip"
    argv = ("send", "--batch", save(tmp_path, rows), "--service", sandbox.url, "--json", "--only-valid")
    found = lines(run(*argv))
    for line in found:
        assert line["schema"] == "docsend.result/2"
    by_row = {line["row"]: line for line in found}
    assert {row: line["status"] for row, line in by_row.items()} == {
        2: "received",
        3: "faulty",
        4: "received",
    }
    (problem,) = by_row[3]["problems"]
    assert (problem["code"], problem["row"], problem["field"]) == ("unknown-type", 3, "type")


def test_the_json_of_a_dry_run_has_the_documents_and_the_key_of_each_row(run, tmp_path) -> None:
    found = lines(run("send", "--batch", save(tmp_path, table(tmp_path, 2)), "--dry-run", "--json"))
    assert [line["status"] for line in found] == ["checked", "checked"]
    assert all(len(line["key"]) == 52 and line["submission"]["documents"] for line in found)


def test_what_is_for_one_submission_or_for_batches_alone_is_refused_elsewhere(run, tmp_path, payslip) -> None:
    file = save(tmp_path, table(tmp_path / "x", 1))
    assert run("send", payslip, "--batch", file).code == 2
    assert run("send", "--batch", file, "--again").code == 2
    for option in (("--jobs", "2"), ("--report", "r.csv"), ("--only-valid",), ("--shard", "1/2")):
        assert run("send", payslip, *option).code == 2


def test_a_report_that_cannot_be_written_ends_it(run, sandbox, tmp_path) -> None:
    file = save(tmp_path, table(tmp_path, 2))
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--report", tmp_path / "no" / "r.csv")
    assert (outcome.code, sandbox.count()) == (8, 0)
    assert "cannot be written" in outcome.err


def test_a_report_starts_no_formula(run, tmp_path, sandbox) -> None:
    rows = table(tmp_path, 4)
    for row, start in zip(rows, ("=1+1", "+1", "-1", "@x"), strict=True):
        row[5] = start
    report = tmp_path / "r.csv"
    argv = ("send", "--batch", save(tmp_path, rows), "--service", sandbox.url, "--report", report)
    assert run(*argv).code == 0
    for line in csv.reader(io.StringIO(report.read_text("utf-8-sig"), newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line)
    again = run("send", "--batch", report, "--service", sandbox.url)
    assert again.out == "4 rows: 4 received before\n", "what was made harmless is read as it was"


def test_a_report_elsewhere_names_the_documents_as_seen_from_there(run, sandbox, tmp_path) -> None:
    (tmp_path / "reports").mkdir()
    file, report = save(tmp_path / "in", table(tmp_path / "in", 1)), tmp_path / "reports" / "r.csv"
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    assert read_report(report)[0]["documents"] == "../in/payslip-0.pdf"
    again = run("send", "--batch", report, "--service", sandbox.url, "--allow-outside")
    assert again.out == "1 row: 1 received before\n"


def test_what_options_said_stands_in_the_report_so_that_it_means_the_same_without_them(
    run, sandbox, tmp_path
) -> None:
    file, report = save(tmp_path, table(tmp_path, 3)), tmp_path / "r.csv"
    url = ("--service", sandbox.url)
    assert (
        run("send", "--batch", file, *url, "--branch", "haifa", "--remark", "x", "--report", report).code == 0
    )
    assert {row["branch"] for row in read_report(report)} == {"haifa"}
    again = run("send", "--batch", report, *url)
    assert again.out == "3 rows: 3 received before\n"
    assert sandbox.count() == 3


def test_a_report_that_a_spreadsheet_has_changed_is_not_sent_a_second_time(run, sandbox, tmp_path) -> None:
    rows = table(tmp_path, 3)
    for row, reference in zip(rows, ("001", "1/2", "123456789012345678"), strict=True):
        row[5] = reference
    file, report = save(tmp_path, rows), tmp_path / "r.csv"
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    kept = report.read_text("utf-8-sig")
    assert run("send", "--batch", report, "--service", sandbox.url).out == "3 rows: 3 received before\n"
    for cell in ("'001", "'1/2", "'123456789012345678"):
        assert cell in kept
    report.write_text(kept.replace("'001", "1"), "utf-8")
    changed = run("send", "--batch", report, "--service", sandbox.url)
    assert changed.code == 3
    assert "[key-changed]" in changed.err
    assert sandbox.count() == 3


def test_a_report_has_its_name_only_when_it_is_whole(run, sandbox, tmp_path) -> None:
    file, report = save(tmp_path, table(tmp_path, 40)), tmp_path / "r.csv"
    part = tmp_path / "r.csv.part"
    reached = threading.Event()

    def fate(_asked, _count, _now):
        time.sleep(0.01)
        if len(requests) > 30:
            reached.set()

    with doubles.relay(sandbox.url, fate) as (url, requests):
        with start(file, url, "--report", report) as batch:
            assert reached.wait(30)
            batch.kill()
        assert (report.exists(), part.exists()) == (False, True)
        assert part.stat().st_mode & 0o777 == 0o600
        merged = run("receipts", "merge", part)
        assert merged.code == 7, "rows are missing"
        assert "is of a run that did not end" in merged.err
        assert run("send", "--batch", file, "--service", url, "--report", report).code == 0
    assert (len(read_report(report)), part.exists()) == (40, False)


def test_a_report_that_fails_in_the_middle_stops_the_batch_and_loses_nothing(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    file, report = save(tmp_path, table(tmp_path, 60)), tmp_path / "r.csv"
    real, synced = os.fsync, []

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve().name == "r.csv.part":
            synced.append(descriptor)
            if len(synced) > 5:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
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
    file, report = save(tmp_path, table(tmp_path, 40)), tmp_path / "r.csv"
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
    file, report = save(tmp_path, table(tmp_path, 40)), tmp_path / "r.csv"
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
    file, held, once = save(tmp_path, table(tmp_path, 40)), [], threading.Lock()
    real = Ledger.sending

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
    file, report = save(tmp_path, table(tmp_path, 16)), tmp_path / "r.csv"
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
    file = save(tmp_path, table(tmp_path, 30))
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
    file, report = save(tmp_path, table(tmp_path, 40)), tmp_path / "r.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", report, "--json")
    with Path("/dev/full").open("wb") as full:
        outcome = spawn(*argv, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert outcome.code == 8
    assert "the result cannot be written: No space left" in outcome.err
    told = read_report(report)
    assert len(told) == 40
    assert Counter(row["status"] for row in told)["received"] <= sandbox.count()


def test_a_report_overwrites_nothing_but_a_report(run, sandbox, tmp_path) -> None:
    file = save(tmp_path, table(tmp_path, 2))
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


def test_shares_are_disjoint_whole_and_the_same_whatever_the_order(run, tmp_path) -> None:
    rows = table(tmp_path, 40)
    shares = []
    for order in (rows, rows[::-1]):
        file = save(tmp_path, order)
        found = []
        for k in range(1, 5):
            argv = ("send", "--batch", file, "-n", "--json", "--shard", f"{k}/4")
            found.append({line["reference"] for line in lines(run(*argv))})
        assert set().union(*found) == {row[5] for row in rows}
        assert sum(map(len, found)) == 40
        assert all(found)
        shares.append(found)
    assert shares[0] == shares[1]


# -- whatever ends it --------------------------------------------------------------------------------------


def start(file: Path, url: str, *more: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "docsend", "send", "--batch", file, "--service", url, *more]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_ends_it_in_order_with_a_whole_report(sandbox, tmp_path, run, number, code) -> None:
    file, report = save(tmp_path, table(tmp_path, 60)), tmp_path / "r.csv"
    reached = threading.Event()

    def fate(asked, _count, now):
        time.sleep(0.02)
        if len(requests) > 30 and now == "before":
            reached.set()

    with doubles.relay(sandbox.url, fate) as (url, requests):
        with start(file, url, "--report", report, "--jobs", 4) as batch:
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


def test_options_for_all_rows_say_nothing_of_whom_when_they_are_printed() -> None:
    stated = Submission(to="benefits", id=PERSON, booklet="77431", mobile="0501234567")
    shown = repr(manifests.Defaults(stated, stated.given()))
    assert "benefits" in shown
    assert not any(number in shown for number in (PERSON, "77431", "0501234567"))


def test_a_bunch_of_rows_that_ended_is_drawn_to_the_last(monkeypatch) -> None:
    drawn = io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with bars.rows(progress.SENT, 24, Translator("en")) as rows:
        for done in range(1, 9):
            rows.count(done)
        time.sleep(0.3)  # it is drawn ten times a second
        shown = drawn.getvalue()
    assert "8/24 rows" in shown, shown


def test_after_a_signal_no_row_is_looked_at_any_more_though_none_can_be_sent(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    table(tmp_path, 1)
    about = ["benefits", "unemployment", "employer", "payslips", PERSON]
    rows = [[*about, f"client {n}", "payslip-0.pdf"] for n in range(3000)]
    file, report = save(tmp_path, rows), tmp_path / "r.csv"
    real = documents.read_all

    def and_then_gone(*args: Any, **options: Any) -> object:
        if options["hold_up_to"] and (tmp_path / "payslip-0.pdf").exists():  # the second pass begins
            (tmp_path / "payslip-0.pdf").unlink()
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **options)

    monkeypatch.setattr(documents, "read_all", and_then_gone)
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--report", report)
    told = Counter(row["status"] for row in read_report(report))
    assert (outcome.code, sandbox.count(), told.total()) == (130, 0, 3000)
    assert told["not tried"] > 1000, told


def test_a_batch_that_is_killed_again_and_again_sends_each_row_once(
    sandbox, tmp_path, run, monkeypatch
) -> None:
    """The whole of this, 5,000 rows and 20 kills, is in `make faults`."""
    file, report = save(tmp_path, table(tmp_path, 120)), tmp_path / "r.jsonl"
    chance = random.Random(3)

    def fate(_asked, _count, now):
        if chance.random() < 0.05:
            return (
                doubles.Reply(cut=True)
                if now == "after"
                else doubles.Reply(503, headers={"Retry-After": "0"})
            )
        return None

    with doubles.relay(sandbox.url, fate) as (url, _):
        for _ in range(4):
            with start(file, url, "--report", report, "--jobs", 4) as batch:
                time.sleep(chance.uniform(0.4, 1.2))
                batch.kill()
        monkeypatch.setenv("DOCSEND_PATIENCE", "60")
        final = run("send", "--batch", file, "--service", url, "--report", report, "--jobs", "4")
    assert final.code == 0, final.err
    assert sandbox.count() == 120
    told = read_report(report)
    assert len(told) == 120
    assert {row["status"] for row in told} == {"received"}
    receipts = {body for (body,) in sandbox.select("SELECT body FROM receipt")}
    assert {row["receipt"] for row in told} == {json.loads(body)["number"] for body in receipts}


def test_reading_a_manifest_again_gives_the_same_rows(tmp_path) -> None:
    file = save(tmp_path, table(tmp_path, 5))
    manifest = manifests.read(str(file), Submission(), standard_input=lambda: b"")
    assert list(manifest.rows()) == list(manifest.rows())


# -- many machines -----------------------------------------------------------------------------------------


def test_reports_of_shares_and_repeated_runs_are_joined_each_row_once(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    monkeypatch.chdir(tmp_path)
    rows = table(tmp_path, 12)
    file = save(tmp_path, rows)
    reports = []
    for k in (1, 2, 3):
        report = tmp_path / f"result-{k}.csv"
        url = "http://127.0.0.1:9" if k == 2 else sandbox.url
        run("send", "--batch", file, "--service", url, "--shard", f"{k}/3", "--report", report)
        reports.append(report)
    joined = run("receipts", "merge", *reports)
    assert joined.code == 7
    left = samples.write(tmp_path, "left.csv", joined.out.encode())
    assert len(read_report(left)) == 12
    finished = run("send", "--batch", left, "--service", sandbox.url, "--report", tmp_path / "last.jsonl")
    assert finished.code == 0, finished.err
    once_more = run("receipts", "merge", *reports, tmp_path / "last.jsonl", "--json")
    assert once_more.code == 0
    told = [json.loads(line) for line in once_more.out.splitlines()]
    for row in told:
        jsonschema.validate(row, REPORT_ROW, cls=jsonschema.Draft202012Validator)
    assert len(told) == len({row["receipt"] for row in told}) == 12
    assert run("receipts", "merge", file).code == 2, "a manifest is no report"


def table_of(rows: list[dict[str, str]]) -> bytes:
    return written([list(row.values()) for row in rows], head=list(rows[0])).encode()


def test_reports_of_docsend_0_1_are_read_as_what_they_meant(run, sandbox, tmp_path) -> None:
    file, report = save(tmp_path, table(tmp_path, 3)), tmp_path / "report.csv"
    argv = ("send", "--batch", file, "--service", sandbox.url, "--report", report)
    assert run(*argv).code == 0
    assert run(*argv).code == 0
    rows = read_report(report)
    for row in rows:
        assert (row.pop("repeated"), row["status"]) == ("true", "received")
        row["status"] = "before"
    old = samples.write(tmp_path, "old.csv", table_of(rows))
    joined = run("receipts", "merge", old, "--json")
    told = [json.loads(line) for line in joined.out.splitlines()]
    assert (joined.code, {(row["status"], row["repeated"]) for row in told}) == (0, {("received", "true")})
    for row in rows:
        row["status"] = "received"
    first = run("receipts", "merge", samples.write(tmp_path, "first.csv", table_of(rows)), "--json")
    told = [json.loads(line) for line in first.out.splitlines()]
    assert {(row["status"], row["repeated"]) for row in told} == {("received", "false")}
    again = run("send", "--batch", old, "--service", sandbox.url)
    assert (again.code, again.out, sandbox.count()) == (0, "3 rows: 3 received before\n", 3)
    rows[0]["id"] = "000000026"
    changed = samples.write(tmp_path, "changed.csv", table_of(rows))
    assert "[key-changed]" in run("send", "--batch", changed, "--service", sandbox.url).err


@pytest.mark.needs("parallel", "pgrep")
def test_shares_under_gnu_parallel_killed_and_overlapping_send_each_row_once(sandbox, tmp_path, run) -> None:
    if sys.platform == "win32":
        pytest.skip("signals of POSIX")
    file = save(tmp_path, table(tmp_path, 100))
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "docsend").write_text(f'#!/bin/sh\nexec {sys.executable} -m docsend "$@"\n')
    (bin_ / "docsend").chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "DOCSEND_PATIENCE": "10"}
    # The halves overlap with the quarters: each row is sent by two processes, on one ledger.
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
                running = _workers(str(file))
                for pid in chance.sample(running, min(2, len(running))):
                    os.kill(pid, signal.SIGKILL)
            _, err = engine.communicate(timeout=90)
        assert engine.returncode == 0, err
    assert sandbox.count() == 100
    joined = run("receipts", "merge", *sorted(tmp_path.glob("result-*.csv")))
    assert joined.code == 0
    assert len(joined.out.splitlines()) == 1 + 100


def _workers(manifest: str) -> list[int]:
    """Give the Python processes that send this manifest; parallel and its shells have its name, too."""
    command = ["pgrep", "-f", f"docsend send --batch {manifest}"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return [int(pid) for pid in listed if "python" in _program_of(pid)]


def _program_of(pid: str) -> str:
    """Give the name of a process's program; "" if it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except FileNotFoundError:
        return ""


def test_the_scripts_of_the_page_on_scale_can_be_read(tmp_path) -> None:
    folder = Path(__file__).parents[2] / "docs" / "scale"
    for script in ("parallel.sh", "slurm.sbatch"):
        subprocess.run(["bash", "-n", folder / script], check=True)
    (job,) = yaml.safe_load_all((folder / "job.yaml").read_text())
    assert (job["kind"], job["spec"]["completionMode"]) == ("Job", "Indexed")


@pytest.mark.needs("parallel")
def test_the_script_for_gnu_parallel_does_what_the_page_says(sandbox, tmp_path) -> None:
    file = save(tmp_path, table(tmp_path, 10))
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
