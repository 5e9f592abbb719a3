"""Manifests as accountants have them: read whatever program wrote them, all checked first."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
import zipfile
from typing import TYPE_CHECKING

import openpyxl  # type: ignore[import-untyped]  # it has no types
import pytest

import bad_manifests
import doubles
import samples
from batch_files import HEAD, lines, save, sendings, table, written
from conftest import PERSON
from docsend.manifest import reader as manifests
from docsend.manifest import tables
from docsend.model.submission import Submission

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.everywhere

# A fictional person whose number a spreadsheet would shorten.
SHORT = "012345674"

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
    assert "row 2, occurrence: invalid occurrence '0'" in outcome.err


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
    samples.named_pipe(pipe)
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
    "make", [samples.named_pipe, lambda file: file.symlink_to("/dev/full")], ids=["pipe", "device"]
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
    assert "row 3, id: no id number given for the insured person" in outcome.err
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
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    outcome = run("send", "--batch", save(tmp_path, table(tmp_path, 4)), "-n", "--json")
    assert (outcome.code, outcome.problems) == (3, ["manifest-too-large"])
    monkeypatch.setattr(tables, "MAX_BYTES", 100)
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


def test_options_for_all_rows_say_nothing_of_whom_when_they_are_printed() -> None:
    stated = Submission(to="benefits", id=PERSON, booklet="77431", mobile="0501234567")
    shown = repr(manifests.Defaults(stated, stated.given_values()))
    assert "benefits" in shown
    assert not any(number in shown for number in (PERSON, "77431", "0501234567"))


def test_reading_a_manifest_again_gives_the_same_rows(tmp_path) -> None:
    file = save(tmp_path, table(tmp_path, 5))
    manifest = manifests.read(str(file), Submission(), standard_input=lambda: b"")
    assert list(manifest.rows()) == list(manifest.rows())
