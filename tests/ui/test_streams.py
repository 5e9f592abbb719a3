"""Output on every kind of terminal, file and pipe: no crash, and no escape sequences from outside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pexpect
import pytest

import doubles
import samples
from conftest import ABOUT, WHO, force_staged_upload
from docsend.ui import progress
from terminals import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

SEND = (*ABOUT, *WHO)
COLOR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7]|38;)[0-9;]*m")


@pytest.fixture
def full() -> Iterator[IO[bytes]]:
    """Yield a file on a full disk."""
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("no /dev/full here")
    with device.open("wb") as opened:
        yield opened


@pytest.mark.parametrize("way", ["in one exchange", "staged"])
def test_a_terminal_shows_a_bar_a_line_for_each_document_and_the_receipt_as_a_panel(
    sandbox, tmp_path, way
) -> None:
    files = [samples.write(tmp_path, f"scan-{n}.pdf", samples.pdf(n, size=300_000)) for n in range(2)]
    go_on = tmp_path / "go-on"

    def intercept(request, _count, phase):
        if phase == "before" and files[1].read_bytes() in request.body:
            deadline = time.monotonic() + 10
            while not go_on.exists() and time.monotonic() < deadline:
                time.sleep(0.02)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        if way == "staged":
            force_staged_upload(url)
        terminal = Terminal("send", *files, *SEND, "--service", url)
        during = terminal.read_until("scan-1.pdf")
        go_on.touch()
        assert terminal.finish() == 0
    assert ("sent scan-0.pdf, 300,000 bytes (1 of 2)" in during) == (way == "staged")
    bar = next(line for line in during.splitlines() if line.startswith("scan-1.pdf"))
    assert "━" in bar
    assert re.search(r"\d/\S*600\.0 kB", bar)
    after = terminal.text
    assert "╭─  received  ─" in after
    assert "│ receipt      SANDBOX-000001" in after
    assert "does not mean approved" in after
    assert "sent scan-1.pdf, 300,000 bytes (2 of 2)" in after
    assert "kB" not in after, "the bar is gone when it is done"


@pytest.mark.parametrize("spoken", ["fr", "he"])
@pytest.mark.parametrize("argv", ["doctor", "receipts", "send --help", "catalog unemployment", "send no.pdf"])
def test_forty_columns_are_enough_in_every_language(shared_sandbox, argv, spoken) -> None:
    terminal = Terminal(
        *argv.split(), "--service", shared_sandbox.url, "--no-input", "--lang", spoken, columns=40
    )
    assert terminal.finish() in (0, 2)
    assert "Traceback" not in terminal.raw
    assert terminal.text


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_commands_work_on_terminals_of_any_width(sandbox, tmp_path, columns) -> None:
    file = samples.write(
        tmp_path, "a-rather-long-name-of-a-payslip-for-november-2026.pdf", samples.pdf(columns)
    )
    for argv in (
        ["send", file, *SEND, "--service", sandbox.url],
        ["send", file, *SEND, "--dry-run"],
        ["receipts"],
        ["catalog", "payslips"],
    ):
        terminal = Terminal(*argv, columns=columns, lines=200)
        assert terminal.finish() == 0, terminal.raw
        assert "Traceback" not in terminal.raw


def test_no_color_is_respected(shared_sandbox, payslip) -> None:
    argv = ("receipts",), ("catalog", "payslips"), ("send", payslip, *SEND, "--service", shared_sandbox.url)
    for each in argv:
        terminal = Terminal(*each, NO_COLOR="1")
        assert terminal.finish() == 0
        assert not COLOR.search(terminal.raw)


def test_a_dumb_terminal_gets_plain_lines(sandbox, payslip) -> None:
    terminal = Terminal("send", payslip, *SEND, "--service", sandbox.url, TERM="dumb")
    assert terminal.finish() == 0
    assert "\x1b" not in terminal.raw
    assert "sent payslip.pdf" in terminal.raw


def test_files_and_pipes_get_plain_lines(spawn, shared_sandbox, payslip) -> None:
    for argv in (
        ("send", payslip, *SEND, "--service", shared_sandbox.url),
        ("receipts",),
        ("catalog", "unemployment"),
        ("send", payslip, *SEND, "-n"),
    ):
        outcome = spawn(*argv, env={"TERM": "xterm-256color"})
        assert outcome.code == 0
        assert "\x1b" not in outcome.out + outcome.err
        assert not re.search("[╭│━]", outcome.out + outcome.err)


def test_quiet_leaves_the_result_and_errors(run, shared_sandbox, payslip) -> None:
    outcome = run("send", payslip, *SEND, "--service", shared_sandbox.url, "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert "SANDBOX-" in outcome.out
    faulty = run("send", "nowhere.pdf", *SEND, "--quiet")
    assert faulty.code == 3
    assert "there is no file nowhere.pdf" in faulty.err


def test_global_options_are_accepted_after_the_command_and_after_its_arguments(run, payslip) -> None:
    assert run("send", "--json", payslip, *SEND, "-n").json["status"] == "checked"
    assert run("send", payslip, *SEND, "-n", "--json").json["status"] == "checked"


LEGACY_ENCODINGS = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "LANG=C without any help": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "Hebrew into cp1252": {"PYTHONIOENCODING": "cp1252", "LANG": "he_IL.UTF-8"},
    "French into ascii": {"PYTHONIOENCODING": "ascii", "DOCSEND_LANG": "fr"},
    "LANG=he_IL.UTF-8": {"LANG": "he_IL.UTF-8", "PYTHONUTF8": "0"},
}


@pytest.mark.parametrize("name", LEGACY_ENCODINGS)
def test_streams_of_old_encodings_neither_crash_nor_change_a_result(
    spawn, shared_sandbox, tmp_path, name
) -> None:
    file = samples.write(tmp_path, "תלוש שכר é.pdf", samples.pdf(9))
    environment = LEGACY_ENCODINGS[name]
    arguments = ("send", file, *SEND, "--service", shared_sandbox.url, "--reference", name)
    first = spawn(*arguments, env=environment)
    assert (first.code, "Traceback" in first.err) == (0, False)
    result = spawn(*arguments, "--json", env=environment).json
    named = result["receipt"]["documents"][0]["name"]
    assert named.encode("utf-8", "surrogateescape").decode() == file.name
    for argv, code in (
        (("catalog", "--lang", "he"), 0),
        (("doctor", "--service", shared_sandbox.url), 0),
        (("receipts",), 0),
        (("send", "--help"), 0),
        (("send", tmp_path / "לא כאן.pdf", *SEND), 3),
        (("send", "--nonsense"), 2),
    ):
        outcome = spawn(*argv, env=environment)
        assert (outcome.code, "Traceback" in outcome.err) == (code, False), outcome.err


def test_a_terminal_with_a_legacy_encoding_still_shows_the_receipt(sandbox, payslip) -> None:
    terminal = Terminal(
        "send", payslip, *SEND, "--service", sandbox.url, PYTHONIOENCODING="cp1252", columns=80
    )
    assert terminal.finish() == 0
    assert "Traceback" not in terminal.raw
    assert "SANDBOX-" in terminal.text


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "| head -1", "2>&1 | head -1", "| true"])
@pytest.mark.parametrize("as_json", ["", "--json"])
def test_a_stream_that_is_closed_or_has_no_reader_does_not_stop_a_send(
    sandbox, payslip, closed, as_json
) -> None:
    send = " ".join(
        [sys.executable, "-m docsend send", str(payslip), *SEND, "--service", sandbox.url, as_json]
    )
    script = f"set -o pipefail; {send} {closed}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr
    assert sandbox.count() == 1


QUICK_COMMANDS = ["--version", "--help", "send --help", "_complete send --"]


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
@pytest.mark.parametrize("argv", QUICK_COMMANDS)
def test_quick_commands_work_with_closed_streams(argv, closed) -> None:
    script = f"{sys.executable} -m docsend {argv} {closed}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("argv", QUICK_COMMANDS)
def test_quick_commands_work_without_a_reader(spawn, argv) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody:
        outcome = spawn(*argv.split(), capture_output=False, stdout=nobody, stderr=subprocess.PIPE)
    assert (outcome.code, outcome.err) == (0, "")


_UNFLUSHED = """
import sys
from docsend import __main__ as command
def run(words):
    sys.stdout.write("receipt")
    sys.stderr.write("a library's warning")
    return 0
command._run = run
command.run()
"""


@pytest.mark.parametrize(
    ("out", "err", "code"),
    [("good", "good", 0), ("full", "good", 8), ("good", "full", 0), ("full", "full", 8)],
)
def test_unflushed_output_is_written_at_exit(full, out, err, code) -> None:
    streams = {"good": subprocess.PIPE, "full": full}
    done = subprocess.run(
        [sys.executable, "-c", _UNFLUSHED], stdout=streams[out], stderr=streams[err], check=False, timeout=60
    )
    assert done.returncode == code
    assert done.stdout == (b"receipt" if out == "good" else None)
    assert done.stderr == (b"a library's warning" if err == "good" else None)


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_receipt_that_stdout_cannot_take_is_reported_on_stderr(
    spawn, sandbox, payslip, full, as_json
) -> None:
    send = ("send", payslip, *SEND, "--service", sandbox.url, *as_json)
    outcome = spawn(*send, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert outcome.code == 8
    assert "received as SANDBOX-000001, but the result cannot be written: No space left" in outcome.err
    assert "`docsend receipts show " in outcome.err
    assert "Traceback" not in outcome.err
    assert sandbox.count() == 1


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ("--version", 8),
        ("--help", 8),
        ("receipts --help", 8),
        ("catalog", 8),
        ("nonsense --json", 2),
        ("send no.pdf --json", 2),
    ],
)
def test_a_full_disk_on_stdout_does_not_change_the_exit_code_of_an_error(spawn, full, argv, code) -> None:
    outcome = spawn(*argv.split(), capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert outcome.code == code
    assert "No space left" in outcome.err
    assert "Traceback" not in outcome.err
    assert "Exception ignored" not in outcome.err


def test_a_full_disk_on_stderr_does_not_stop_a_send(spawn, sandbox, payslip, full) -> None:
    send = ("send", payslip, *SEND, "--service", sandbox.url, "-v")
    outcome = spawn(*send, capture_output=False, stdout=subprocess.PIPE, stderr=full)
    assert outcome.code == 0
    assert "SANDBOX-000001" in outcome.out


@pytest.mark.parametrize("argv", ["--help", "send --help", ""])
def test_help_without_a_reader_ends_quietly(argv) -> None:
    script = f"{sys.executable} -m docsend {argv} | true; exit ${{PIPESTATUS[0]}}"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0 if argv else 2, b"")


def test_a_long_list_into_head_ends_quietly() -> None:
    script = f"set -o pipefail; {sys.executable} -m docsend catalog | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"kind")


HOSTILE = [
    "a\x1b]0;owned\x07b.pdf",
    "a\x1b[2Jb.pdf",
    "a\u202efdp.exe.pdf",
    "a\rb.pdf",
    "a\nb.pdf",
    "[red]x[bold].pdf",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_file_name_cannot_control_a_terminal_a_log_or_markup(run, tmp_path, name) -> None:
    file = samples.write(tmp_path, name, samples.pdf())
    plain = run("send", file, *SEND, "-n")
    shown = plain.out + plain.err
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert "[red]" in shown or "[red]" not in name
    terminal = Terminal("send", file, *SEND, "-n")
    terminal.finish()
    assert "\x1b]0;" not in terminal.raw
    assert "\u202e" not in terminal.raw
    result = run("send", file, *SEND, "-n", "--json")
    assert json.loads(result.out)["submission"]["documents"][0]["name"] == name


def test_the_list_of_receipts_fits_80_columns_and_shows_the_latest_50(run, sandbox, payslip) -> None:
    for n in range(52):
        reference = ("--reference", f"client {n}", "--anyway")
        assert run("send", payslip, *SEND, "--service", sandbox.url, *reference).code == 0
    terminal = Terminal("receipts", columns=80, lines=70)
    assert terminal.finish() == 0
    rows = [line for line in terminal.text.splitlines() if "SANDBOX-" in line]
    assert len(rows) == 50, "one line each"
    assert rows[0].split()[1:3] == ["received", "SANDBOX-000052"]
    assert rows[0].endswith("client 51")
    assert "showing the latest 50; use --most N to show more" in terminal.text
    assert len(run("receipts").out.splitlines()) == 1 + 52, "a pipe gets all"


@pytest.mark.parametrize("columns", [40, 80])
def test_the_meaning_of_received_is_shown_in_full_on_narrow_terminals(sandbox, payslip, columns) -> None:
    terminal = Terminal("send", payslip, *SEND, "--service", sandbox.url, columns=columns)
    assert terminal.finish() == 0
    shown = " ".join(terminal.text.replace("│", " ").split())
    assert "it does not mean approved" in shown


def test_a_submission_without_a_receipt_does_not_explain_received(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    key = run("send", payslip, *SEND, "--service", "http://127.0.0.1:9", "--json").json["key"]
    outcome = run("receipts", "show", key)
    assert outcome.code == 0
    assert "approved" not in outcome.out + outcome.err


def write_batch(folder: Path, count: int) -> Path:
    rows = ["to,subject,category,type,id,reference,documents"]
    for n in range(count):
        samples.write(folder, f"row-{n}.pdf", samples.pdf(n))
        rows.append(f"benefits,unemployment,employer,payslips,{WHO[1]},client {n},row-{n}.pdf")
    return samples.write(folder, "batch.csv", "\n".join(rows).encode())


def test_a_terminal_shows_one_bar_for_the_rows_of_a_batch_and_the_summary_last(sandbox, tmp_path) -> None:
    file = write_batch(tmp_path, 30)
    go_on = tmp_path / "go-on"

    def intercept(request, _count, phase):
        if b'"client 20"' in request.body and phase == "before":
            deadline = time.monotonic() + 10
            while not go_on.exists() and time.monotonic() < deadline:
                time.sleep(0.02)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        terminal = Terminal("send", "--batch", file, "--service", url, "--jobs", "1", columns=80)
        during = terminal.read_until("20/30 rows")
        go_on.touch()
        assert terminal.finish() == 0
    bar = next(line for line in during.splitlines() if "20/30 rows" in line)
    assert bar.startswith("sent")
    assert "━" in bar
    result, end = terminal.text.splitlines()[-2:]
    assert result == "30 rows: 30 received"
    assert re.fullmatch(r"ended after \d+ s; service: http://127\.0\.0\.1:\d+", end)
    assert "━" not in terminal.text


def test_without_a_terminal_a_batch_prints_its_progress_every_few_seconds(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(progress.RowProgressLines, "INTERVAL_S", 0.2)
    file, report = write_batch(tmp_path, 20), tmp_path / "r.csv"
    with doubles.relay(sandbox.url, lambda *_: time.sleep(0.02)) as (url, _):
        outcome = run("send", "--batch", file, "--service", url, "--jobs", "2", "--report", report)
    assert outcome.code == 0
    moment = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  "
    first, sending, *beats, end = outcome.err.splitlines()
    assert re.fullmatch(moment + "batch.csv: .*", first)
    assert re.fullmatch(moment + f"sending 20 rows to {url}", sending)
    assert re.fullmatch(moment + r"sent \d+ of 20 rows, \d+ a second, \d+ s left", beats[0])
    assert re.fullmatch(moment + f"ended after \\d+ s; service: {url}; report: {report}", end)
    quiet = run("send", "--batch", file, "--service", sandbox.url, "--quiet")
    assert quiet.err == ""


@pytest.mark.parametrize("columns", [20, 40])
def test_a_batch_fits_a_narrow_terminal(sandbox, tmp_path, columns) -> None:
    file = write_batch(tmp_path, 3)
    terminal = Terminal("send", "--batch", file, "--service", sandbox.url, columns=columns, lines=100)
    assert terminal.finish() == 0
    assert "Traceback" not in terminal.raw


def test_results_go_to_a_redirected_file_while_a_terminal_shows_the_bar(sandbox, tmp_path) -> None:
    file, out = write_batch(tmp_path, 3), tmp_path / "out.jsonl"
    command = f"{sys.executable} -m docsend send --batch {file} --service {sandbox.url} --json > {out}"
    child = pexpect.spawn("bash", ["-c", command], env={**os.environ, "TERM": "xterm"}, timeout=30)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    *rows, _ = out.read_text().splitlines()
    assert [json.loads(line)["status"] for line in rows] == ["received"] * 3
    single = f"{sys.executable} -m docsend send {tmp_path}/row-0.pdf {' '.join(SEND)} --anyway --service {sandbox.url} > {out}"
    child = pexpect.spawn("bash", ["-c", single], env={**os.environ, "TERM": "xterm"}, timeout=30)
    child.expect(pexpect.EOF)
    child.close()
    assert out.read_text().startswith("received")
