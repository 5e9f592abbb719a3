"""Text from a manifest or a service cannot control a terminal or a spreadsheet through a report."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import unicodedata
from typing import TYPE_CHECKING

import httpx
import pytest

import doubles
import samples
from batch_files import HEAD, make_rows, read_report, report_csv, save_manifest, to_csv
from conftest import PERSON
from terminals import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.everywhere

FORMULAS = [
    *("=1+1", "+1", "-1", "@x", " =1+1", "\u00a0=1", "\u3000=1", '"=1', "'=1", "`=1", "''=1", "\u2800=1"),
    *("＝1+1", "＋1", "－1", "＠x", "﹦1", "﹣1", "﹢1", "﹫x", "⁼1", "₊1", "\u22121"),
    *('a",=1', "a;=1", "a,=1", "a|=1", "a: -1", 'a";"=1', "a\n=1", "a\n\n @x"),
    *(
        "a =1",
        "a  =1",
        "a, =1",
        "(=1",
        "a (=1)",
        "[+1",
        "a/@x",
        "_=1",
        "a.-1",
        "a==1",
        "a - -1",
        "a -1",
        "%=1",
    ),
]
CONTROLS = [
    *("\x1b]0;PWN\x07", "\x1b[2J", "\x9b31m", "\u202eX", "\u2066X", "a\x00b", "a\rb", "a\x7fb", "a\u2028b"),
    *("\n=1+1", "\t=1", "\r=1", "\u202e=1", "\u200f=1", "\ufeff=1", "\x00=1", "\x1b=1", "\u200b=1"),
]
# What no terminal may get, apart from line breaks and tabs.
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
HARMLESS = ["\\x3d1", "C:\\x41\\u0041", "'tis", "''5", "'5", "001", "1/2", "1E5", "a - b", "שלום", "‘x’ é"]
# What LibreOffice or Excel converts, in some language or with some option.
CONVERTIBLE = [
    *(
        "Nov 2026",
        "1,234",
        ".5",
        "5.",
        "1e-5",
        "12:30",
        "10%",
        "$5",
        "5 €",
        "₪5",
        "(5)",
        "Nov-26",
        "5- 3",
        "4/5",
    ),
    *(
        "2026-11-01T10:00",
        "001",
        "1/2",
        "123456789012",
        "5 PM",
        "1 2/3",
        "TRUE",
        "faux",
        "EUR 5",
        "R$ 5",
        "1'000",
    ),
    *(
        "5,0",
        "1.11.26",
        "nov. 2026",
        "נובמבר 2026",
        "1 בנובמבר 2026",
        "ноя 26",
        "Mon 2 Nov 26",
        ":30",
        "1.234.567",
    ),
]


def _is_formula(cell: str) -> bool:
    """Return whether a spreadsheet could take a cell, or a part that it splits off, for a formula."""
    visible = "".join(c for c in cell if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Mn"))
    parts = [part.strip(' \u2800\u3000"`') for part in re.split(r"[^\w\\=+@'-]|_", visible)]
    parts += [part.strip(' \u2800\u3000"`') for part in re.split("[,;|\t\n(]", visible)]
    parts = [part for part in parts if len(part) > 1]  # a sign alone is no formula
    return any(unicodedata.normalize("NFKC", part)[:1] in ("=", "+", "-", "@", "\u2212") for part in parts)


def _assert_harmless(report: Path) -> None:
    text = report.read_bytes().decode("utf-8").removeprefix("\ufeff")
    unsafe = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\r", "\n"}
    assert not unsafe
    assert text.count("\r") == (text.count("\r\n") if report.suffix == ".csv" else 0)
    if report.suffix == ".csv":
        formulas = [
            cell for line in csv.reader(io.StringIO(text, newline="")) for cell in line if _is_formula(cell)
        ]
        assert not formulas


def _save_json(folder: Path, references: list[str]) -> Path:
    rows = [dict(zip(HEAD, row, strict=True)) for row in make_rows(folder, len(references))]
    for row, reference in zip(rows, references, strict=True):
        row["reference"] = reference
    return samples.write(folder, "m.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_report_starts_no_formula_and_its_rows_keep_their_keys(
    run, sandbox, tmp_path, monkeypatch, form
) -> None:
    """The reference is part of the key, so a row that was read differently would be sent once more."""
    monkeypatch.chdir(tmp_path)
    file, report = _save_json(tmp_path, FORMULAS + HARMLESS), tmp_path / f"r.{form}"
    rows = len(FORMULAS + HARMLESS)
    # Without blanks at their ends, some of the references are the same.
    send = ("send", "--service", sandbox.url, "--anyway", "--batch")
    sent = run(*send, file, "--report", report)
    assert sent.code == 0, sent.err
    _assert_harmless(report)
    again = run(*send, report, "--report", report)
    assert again.out == f"{rows} rows: {rows} received before\n"
    assert sandbox.count() == rows
    merged = samples.write(tmp_path, "merged.csv", run("receipts", "merge", report).out.encode())
    _assert_harmless(merged)
    assert run(*send, merged).out == again.out


def test_what_a_spreadsheet_could_convert_stays_text_in_a_report(run, tmp_path) -> None:
    file, report = _save_json(tmp_path, [*CONVERTIBLE, "client 1", "12"]), tmp_path / "r.csv"
    run("send", "--batch", file, "--dry-run", "--report", report)
    rows = read_report(report)
    assert [row["reference"] for row in rows] == [*(f"'{text}" for text in CONVERTIBLE), "client 1", "12"]
    assert rows[0]["documents"] == "payslip-0.pdf"
    merged = run("receipts", "merge", report, "--json")
    values = [json.loads(line)["reference"] for line in merged.out.splitlines()]
    assert values == [*CONVERTIBLE, "client 1", "12"]


def test_the_cells_of_reports_of_earlier_versions_are_read_as_these_wrote_them(run, tmp_path) -> None:
    """They have no column `batch_rows`, and no apostrophe protects `.5` or `Nov 2026` there."""
    written = {
        "'.5": "'.5",
        ".5": ".5",
        "Nov 2026": "Nov 2026",
        "'001": "001",
        "''001": "'001",
        "\\x3d1": "=1",
    }
    written |= {"'Nov 26": "'Nov 26", "'=1+1": "=1+1"}
    file, report = _save_json(tmp_path, [f"client {n}" for n in range(len(written))]), tmp_path / "r.csv"
    run("send", "--batch", file, "--dry-run", "--report", report)
    rows = read_report(report)
    for row, cell in zip(rows, written, strict=True):
        row["reference"] = cell
        del row["batch_rows"]
    old = samples.write(tmp_path, "old.csv", report_csv(rows))
    merged = run("receipts", "merge", old, "--json").out.splitlines()
    assert [json.loads(line)["reference"] for line in merged] == list(written.values())


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_report_shows_control_characters_as_escapes_and_is_read_as_it_was(run, tmp_path, form) -> None:
    texts = CONTROLS + FORMULAS + HARMLESS + ["a\udc80b"]
    remarks = [text for text in texts if text == text.strip()]
    file, report = _save_json(tmp_path, remarks), tmp_path / f"r.{form}"
    assert run("send", "--batch", file, "--dry-run", "--report", report).code == 3
    _assert_harmless(report)
    merged = run("receipts", "merge", report, "--json")
    values = [json.loads(line)["reference"] for line in merged.out.splitlines()]
    read = [json.loads(line)["reference"] for line in file.read_text().splitlines()]
    cleaned = {"''5": "''5", "'5": "5", "'=1": "=1"}  # an apostrophe that a spreadsheet needs
    assert values == [cleaned.get(text, text.strip("\u200e\u200f\ufeff\u00a0")) for text in read]
    once_more = samples.write(tmp_path, f"again.{form}", merged.out.encode())
    if form == "jsonl":
        _assert_harmless(once_more)


@contextlib.contextmanager
def _service_with(sandbox_url: str, numbers: list[str], detail: str) -> Iterator[str]:
    """Yield the address of a service with these numbers of receipts, which then refuses with `detail`."""
    left = list(numbers)

    def respond(request: doubles.ReceivedRequest) -> doubles.Reply:
        if not left:
            return doubles.problem(
                422, "invalid", errors=[{"pointer": "/type", "code": "unknown-type", "detail": detail}]
            )
        response = client.request(
            request.method,
            request.path,
            content=request.body,
            headers={"content-type": request.headers["content-type"]},
        )
        receipt = response.json()
        receipt["number"] = left.pop(0)
        return doubles.json_reply(response.status_code, receipt)

    with (
        httpx.Client(base_url=sandbox_url, trust_env=False, timeout=30) as client,
        doubles.service(respond) as (url, _),
    ):
        yield url


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_service_writes_neither_to_a_terminal_nor_to_a_spreadsheet(run, sandbox, tmp_path, form) -> None:
    numbers = ["=1+1", 'a",=1', "＝1+1", "-1|x", '"=1', "001"]
    detail = "=x\x1b]0;PWN\x07\x1b[2J \u202eX \x9b31m; =1; \n@x"
    file = save_manifest(tmp_path, make_rows(tmp_path, len(numbers) + 1))
    report = tmp_path / f"r.{form}"
    with _service_with(sandbox.url, numbers, detail) as url:
        sent = run("send", "--batch", file, "--service", url, "--jobs", "1", "--report", report)
    assert (sent.code, sent.out) == (9, "7 rows: 6 received, 1 refused\n"), sent.err
    _assert_harmless(report)
    assert "PWN" in report.read_text("utf-8")
    merged = json.loads("[" + ",".join(run("receipts", "merge", report, "--json").out.splitlines()) + "]")
    assert [row["receipt"] for row in merged] == [*numbers, ""]
    assert detail.replace("\n", "\n") in merged[-1]["problems"]
    for more in ((), ("--json",)):
        terminal = Terminal("receipts", "merge", report, *more, TERM="xterm")
        assert terminal.finish() == 9
        assert not CONTROL_CHARACTERS.search(terminal.raw)
        assert "PWN" in terminal.raw
    shown = Terminal.from_command("cat", str(report))
    assert shown.finish() == 0
    assert not CONTROL_CHARACTERS.search(shown.raw)


def test_a_file_name_like_a_formula_is_sent_again_from_a_report(run, sandbox, tmp_path) -> None:
    make_rows(tmp_path, 1)
    (tmp_path / "payslip-0.pdf").rename(tmp_path / "=1 '\u200fשכר.pdf")
    row = ["benefits", "unemployment", "employer", "payslips", PERSON, "x", "=1 '\u200fשכר.pdf"]
    file, report = save_manifest(tmp_path, [row]), tmp_path / "r.csv"
    assert run("send", "--batch", file, "--service", sandbox.url, "--report", report).code == 0
    _assert_harmless(report)
    assert read_report(report)[0]["documents"] == "\\x3d1 '\\u200fשכר.pdf"
    assert run("send", "--batch", report, "--service", sandbox.url).out == "1 row: 1 received before\n"


def test_a_manifest_with_a_column_called_share_is_not_taken_for_a_report(run, sandbox, tmp_path) -> None:
    row = [*make_rows(tmp_path, 1)[0], "50%"]
    row[5] = "C:\\x41"
    file = samples.write(tmp_path, "m.csv", to_csv([row], head=[*HEAD, "share"]).encode())
    sent = run("send", "--batch", file, "--service", sandbox.url, "--json")
    assert (sent.code, sent.rows[0]["reference"]) == (0, "C:\\x41")


def test_a_report_that_docsend_0_1_wrote_steers_no_terminal_when_it_is_merged(run, tmp_path) -> None:
    hostile = "\x1b]0;PWN\x07\x1b[2J\u202eX\x9b31m\x00=1"
    line = {
        "to": "benefits",
        "documents": "a.pdf",
        "status": "refused",
        "receipt": hostile,
        "problems": hostile,
    }
    old = samples.write(tmp_path, "old.csv", to_csv([list(line.values())], head=list(line)).encode())
    terminal = Terminal("receipts", "merge", old, TERM="xterm")
    assert terminal.finish() == 9
    assert not CONTROL_CHARACTERS.search(terminal.raw)
    assert "\\x1b]0;PWN\\x07" in terminal.raw
    assert json.loads(run("receipts", "merge", old, "--json").out)["receipt"] == hostile
