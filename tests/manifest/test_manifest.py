"""Manifests from all kinds of programs are parsed, and all rows are checked before any is sent."""

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
from batch_files import HEAD, json_rows, make_rows, save_manifest, save_occurrences, to_csv
from conftest import PERSON
from docsend.manifest import reader as manifests
from docsend.manifest.row import Defaults
from docsend.model.submission import Submission

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.everywhere

# A fictional person whose number a spreadsheet would shorten.
SHORT = "012345674"

ENCODINGS = {
    "UTF-8": ("utf-8", ",", "UTF-8, separated by commas"),
    "UTF-8 with a byte order mark": ("utf-8-sig", ";", "UTF-8, separated by semicolons"),
    "UTF-16 as Excel writes it": ("utf-16", "\t", "UTF-16, separated by tabs"),
    "Windows-1255 as a Hebrew Excel writes it": ("cp1255", ",", "Windows-1255, separated by commas"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_csv_is_read_as_spreadsheets_write_it_and_the_format_is_reported(
    run, sandbox, tmp_path, name
) -> None:
    encoding, separator, description = ENCODINGS[name]
    rows = make_rows(tmp_path, 2)
    rows[0][5] = "תלוש; שכר, אחד"
    text = to_csv(rows, separator=separator)
    file = samples.write(tmp_path, "batch.csv", text.encode(encoding))
    outcome = run("send", "--batch", file, "--service", sandbox.url, "--json")
    assert (outcome.code, f"batch.csv: {description}" in outcome.err) == (0, True)
    assert {line["reference"] for line in json_rows(outcome)} == {"תלוש; שכר, אחד", "client 1"}
    assert sandbox.count() == 2


def test_json_lines_and_excel_give_the_same_rows_as_csv(run, sandbox, tmp_path) -> None:
    rows = [[*row[:4], SHORT, *row[5:]] for row in make_rows(tmp_path, 2)]
    book = openpyxl.Workbook()
    for row in [HEAD, *rows]:
        book.active.append([int(cell) if cell == SHORT else cell for cell in row])
    book.save(tmp_path / "batch.xlsx")
    objects: list[dict[str, object]] = [dict(zip(HEAD, row, strict=True)) for row in rows]
    objects[1]["documents"] = [objects[1]["documents"]]
    text = "".join(json.dumps(row) + "\n" for row in objects)
    files = (
        save_manifest(tmp_path, rows),
        tmp_path / "batch.xlsx",
        samples.write(tmp_path, "batch.jsonl", text.encode()),
    )
    keys = []
    for file in files:
        outcome = run("send", "--batch", file, "--service", sandbox.url, "--json")
        assert outcome.code == 0, outcome.err
        keys.append({line["key"] for line in json_rows(outcome)})
    assert keys[0] == keys[1] == keys[2]
    assert sandbox.count() == 2
    assert (
        "restored the leading zeros that a spreadsheet removed from id"
        in run("send", "--batch", files[1], "-n").err
    ), "a workbook stores numbers without leading zeros"


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx"])
def test_rows_that_differ_only_in_their_occurrence_are_each_sent_once(run, sandbox, tmp_path, form) -> None:
    file, report = save_occurrences(tmp_path, form, 3, None, 2), tmp_path / "report.csv"
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        argv = ("send", "--batch", file, "--service", url, "--report", report)
        first = run(*argv, "--json")
        assert (first.code, sorted(line["occurrence"] for line in json_rows(first))) == (0, [1, 2, 3]), (
            first.err
        )
        declared = sandbox.select("SELECT key, declaration FROM submission WHERE state = 'received'")
        by_key = {key: json.loads(declaration)["occurrence"] for key, declaration in declared}
        assert by_key == {line["key"]: line["occurrence"] for line in json_rows(first)}
        requests.clear()
        assert run(*argv).out == "3 rows: 3 received before\n"
        assert run("send", "--batch", report, "--service", url).out == "3 rows: 3 received before\n"
        assert requests == []


def test_a_row_is_a_duplicate_of_one_that_states_the_same_occurrence_in_another_way(run, tmp_path) -> None:
    outcome = run("send", "--batch", save_occurrences(tmp_path, "csv", None, 1), "-n")
    assert (outcome.code, "[duplicate-row]" in outcome.err) == (3, True)


def test_an_invalid_occurrence_is_reported_with_its_row(run, tmp_path) -> None:
    outcome = run("send", "--batch", save_occurrences(tmp_path, "jsonl", 1, 0), "-n")
    assert outcome.code == 3
    assert "row 2, occurrence: invalid occurrence '0'" in outcome.err


def _with_stored_size(file: Path, size: str | None) -> None:
    """Change the size that a workbook stores for its sheet, or remove it."""
    with zipfile.ZipFile(file) as read:
        parts = {name: read.read(name) for name in read.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    dimension = f'<dimension ref="{size}"/>'.encode() if size else b""
    parts[sheet], count = re.subn(rb'<dimension ref="[^"]*" ?/>', dimension, parts[sheet])
    assert count == 1
    with zipfile.ZipFile(file, "w") as output:
        for name, content in parts.items():
            output.writestr(name, content)


@pytest.mark.parametrize("size", ["A1:G11", "A1", "A1:C31", "B2:F20", "A1:G5000", "A1:XFD1048576", None])
def test_a_workbook_loses_no_row_and_no_column_whatever_size_it_stores(run, tmp_path, size) -> None:
    rows = make_rows(tmp_path, 30)
    rows[3][5] = ""  # an empty reference in the middle
    book = openpyxl.Workbook()
    for row in [HEAD, *rows[:20], [], *rows[20:]]:
        book.active.append([cell or None for cell in row])
    book.save(tmp_path / "batch.xlsx")
    _with_stored_size(tmp_path / "batch.xlsx", size)
    keys = []
    for file in (tmp_path / "batch.xlsx", save_manifest(tmp_path, rows)):
        outcome = run("send", "--batch", file, "-n", "--json")
        assert outcome.code == 0, outcome.err
        keys.append([line["key"] for line in json_rows(outcome)])
    assert len(keys[0]) == 30
    assert keys[0] == keys[1]


def test_a_report_in_a_workbook_whose_last_cells_are_empty_is_still_a_manifest(run, tmp_path) -> None:
    rows = make_rows(tmp_path, 2)
    book = openpyxl.Workbook()
    for row in [[*HEAD, "status", "problems"], *([*row, "received", None] for row in rows)]:
        book.active.append(row)
    book.save(tmp_path / "batch.xlsx")
    outcome = run("send", "--batch", tmp_path / "batch.xlsx", "-n", "--json")
    assert (outcome.code, len(json_rows(outcome))) == (0, 2), outcome.err


@pytest.mark.parametrize("source", ["/dev/stdin", "<(cat {file})", "a pipe that is written later"])
def test_a_manifest_may_be_a_pipe(tmp_path, source) -> None:
    file = save_manifest(tmp_path, [[*row[:-1], str(tmp_path / row[-1])] for row in make_rows(tmp_path, 2)])
    pipe = tmp_path / "pipe"
    samples.named_pipe(pipe)
    name = {"/dev/stdin": "/dev/stdin < {file}", "a pipe that is written later": "{pipe}"}.get(source, source)
    script = (
        "(sleep 1; [ -n '{late}' ] && cat {file} > {pipe}) &\n"
        f"{sys.executable} -m docsend send --allow-outside -n --batch {name}"
    ).format(file=file, pipe=pipe, late="yes" if source.startswith("a pipe") else "")
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, check=False, timeout=30, text=True
    )
    assert (done.returncode, "2 rows" in done.stdout + done.stderr) == (0, True), done.stderr


def test_document_paths_of_a_manifest_in_a_pipe_are_relative_to_the_working_folder(tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 2))
    script = f"{sys.executable} -m docsend send -n --batch <(cat {file})"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=False, text=True)
    assert (done.returncode, "2 rows" in done.stdout + done.stderr) == (0, True), done.stderr


@pytest.mark.parametrize("device", ["/dev/full", "/dev/zero", "/dev/null"])
def test_an_endless_or_empty_device_as_a_manifest_is_reported(spawn, device) -> None:
    outcome = spawn("send", "--batch", device, "-n", timeout=30)
    assert (outcome.code, "Traceback" in outcome.err) == (3, False)


@pytest.mark.parametrize(
    "make", [samples.named_pipe, lambda file: file.symlink_to("/dev/full")], ids=["pipe", "device"]
)
def test_a_report_that_is_not_a_regular_file_is_refused_and_never_waited_for(
    spawn, sandbox, tmp_path, make
) -> None:
    file, report = save_manifest(tmp_path, make_rows(tmp_path, 1)), tmp_path / "report.csv"
    make(report)
    outcome = spawn("send", "--batch", file, "--report", report, "--service", sandbox.url, timeout=20)
    assert (outcome.code, "not a regular file" in outcome.err) == (2, True)
    assert spawn("receipts", "merge", report, timeout=20).code == 2
    assert sandbox.count() == 0


def test_standard_input_is_read_only_if_requested(spawn, sandbox, tmp_path) -> None:
    text = to_csv(make_rows(tmp_path, 1)).encode()
    argv = ("send", "--batch", "-", "--service", sandbox.url, "--json")
    outcome = spawn(*argv, stdin=None, input=text, cwd=tmp_path)
    assert (outcome.code, sandbox.count()) == (0, 1)


def test_header_and_cells_are_accepted_as_people_write_them(run, tmp_path) -> None:
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
    assert "restored the leading zeros" in outcome.err


def test_nothing_carries_over_from_one_row_to_the_next(run, tmp_path) -> None:
    rows = make_rows(tmp_path, 2)
    rows[1][4] = ""
    outcome = run("send", "--batch", save_manifest(tmp_path, rows), "-n")
    assert outcome.code == 3
    assert "row 3, id: no id number given for the insured person" in outcome.err
    assert "row 2" not in outcome.err


def test_options_are_defaults_for_empty_cells(run, sandbox, tmp_path) -> None:
    rows = [row[4:] for row in make_rows(tmp_path, 2)]
    file = samples.write(tmp_path, "batch.csv", to_csv(rows, head=HEAD[4:]).encode())
    about = ("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips")
    outcome = run("send", "--batch", file, *about, "--service", sandbox.url)
    assert (outcome.code, sandbox.count()) == (0, 2)


def test_a_document_outside_the_folder_is_sent_only_if_allowed(run, sandbox, tmp_path) -> None:
    rows = make_rows(tmp_path / "in", 1)
    samples.write(tmp_path, "outside.pdf", samples.pdf(5))
    rows[0][6] = "../outside.pdf"
    file = save_manifest(tmp_path / "in", rows)
    assert run("send", "--batch", file, "--service", sandbox.url).code == 3
    assert run("send", "--batch", file, "--service", sandbox.url, "--allow-outside").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="links and such names need POSIX")
@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("[1].pdf", []),  # a name, not a pattern: the file exists
        ("link-inside.pdf", []),
        ("folder-inside/deep.pdf", []),
        ("link-outside.pdf", ["path-outside"]),
        ("folder-outside/outside.pdf", ["path-outside"]),
        ("..", ["path-outside"]),
        ("link-nowhere.pdf", ["document-not-found"]),
        ("loop.pdf", ["document-not-found"]),
        ("link-device.pdf", ["path-outside"]),
        ("pipe.pdf", ["not-a-regular-file"]),
    ],
)
def test_a_path_leads_to_a_file_of_the_folder_whatever_links_there_are(run, tmp_path, name, codes) -> None:
    rows = make_rows(tmp_path / "in", 1)
    samples.write(tmp_path, "outside.pdf", samples.pdf(5))
    samples.write(tmp_path / "in", "[1].pdf", samples.pdf(6))
    (tmp_path / "in" / "deep").mkdir()
    samples.write(tmp_path / "in" / "deep", "deep.pdf", samples.pdf(7))
    links = {
        "link-inside.pdf": rows[0][6], "folder-inside": "deep", "link-outside.pdf": "../outside.pdf",
        "folder-outside": "..", "link-nowhere.pdf": "nowhere", "loop.pdf": "loop.pdf",
        "link-device.pdf": "/dev/full",
    }  # fmt: skip
    for link, target in links.items():
        (tmp_path / "in" / link).symlink_to(target)
    samples.named_pipe(tmp_path / "in" / "pipe.pdf")
    rows[0][6] = name
    file = save_manifest(tmp_path / "in", rows)
    outcome = run("send", "--batch", file, "-n", "--json")
    problems = json.loads(outcome.out.splitlines()[0])["problems"]
    assert [problem["code"] for problem in problems] == codes
    assert outcome.code == (3 if codes else 0)


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
    monkeypatch.setattr("docsend.manifest.table.MAX_ROWS", 3)
    outcome = run("send", "--batch", save_manifest(tmp_path, make_rows(tmp_path, 4)), "-n", "--json")
    assert (outcome.code, outcome.problems) == (3, ["manifest-too-large"])
    monkeypatch.setattr("docsend.manifest.reader.MAX_BYTES", 100)
    assert run("send", "--batch", tmp_path / "batch.csv", "-n", "--json").problems == ["manifest-too-large"]


@pytest.mark.parametrize("case", bad_manifests.CASES, ids=lambda case: case.what.replace(" ", "-"))
def test_a_bad_manifest_gets_its_codes_and_its_exit_code(case: bad_manifests.Case) -> None:
    seen = bad_manifests.observe(case)
    codes = [match[1] for line in seen.lines if (match := re.search(r"error: .*\[([a-z-]+)\]", line))]
    expected = () if case.codes == ("usage",) else case.codes
    assert (tuple(codes), seen.exit_code) == (expected, case.exit_code), seen.lines


def test_the_manual_shows_the_actual_messages_for_bad_manifests() -> None:
    assert bad_manifests.PART.current_text() == bad_manifests.table(), "run python tests/bad_manifests.py"
    assert len(bad_manifests.CASES) >= 40


def test_one_bad_row_among_many_costs_one_line(run, tmp_path) -> None:
    rows = [row for row in make_rows(tmp_path, 1) for _ in range(5000)]
    rows = [[*row[:5], f"client {n}", row[6]] for n, row in enumerate(rows)]
    rows[2500][4] = "000000019"
    outcome = run("send", "--batch", save_manifest(tmp_path, rows), "-n", "--quiet", "--anyway")
    assert outcome.code == 3
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("error: row 2502, id: ")


def test_manifests_of_unusual_programs_are_read(run, tmp_path) -> None:
    samples.write(tmp_path, "a.pdf", samples.pdf(1))
    (tmp_path / "d [2026]").mkdir()
    samples.write(tmp_path / "d [2026]", "b.pdf", samples.pdf(2))
    nfd = unicodedata.normalize("NFD", "é.pdf")
    samples.write(tmp_path, nfd, samples.pdf(3))
    about = ["benefits", "unemployment", "employer", "payslips", PERSON]

    def manifest(folder: Path, *documents: str) -> Path:
        rows = [[*about, name, name] for name in documents]
        text = "sep=;\r\n;;\r\n" + to_csv(rows, separator=";")
        return samples.write(folder, "batch.csv", text.encode())

    outcome = run("send", "--batch", manifest(tmp_path, "a.pdf", "é.pdf"), "-n")
    assert (outcome.code, outcome.out[:6]) == (0, "2 rows"), outcome.err
    # A folder name that looks like a pattern is not a pattern.
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


def test_an_identity_number_in_the_wrong_column_is_not_shown(run, tmp_path) -> None:
    rows = make_rows(tmp_path, 1)
    rows[0][1] = PERSON
    outcome = run("send", "--batch", save_manifest(tmp_path, rows), "-n", "--json")
    assert outcome.code == 3
    assert PERSON not in outcome.err + outcome.out


def test_the_repr_of_options_for_all_rows_contains_no_personal_data() -> None:
    submission = Submission(to="benefits", id=PERSON, booklet="77431", mobile="0501234567")
    shown = repr(Defaults(submission, submission.given_values()))
    assert "benefits" in shown
    assert not any(number in shown for number in (PERSON, "77431", "0501234567"))


def test_reading_a_manifest_again_gives_the_same_rows(tmp_path) -> None:
    file = save_manifest(tmp_path, make_rows(tmp_path, 5))
    manifest = manifests.read(str(file), Submission(), standard_input=lambda: b"")
    assert list(manifest.rows()) == list(manifest.rows())
