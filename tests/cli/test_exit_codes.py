"""Every exit code, caused by a real run; the help of every command lists its exit codes."""

from __future__ import annotations

import errno
import json
import signal
import socket
import subprocess
import sys
import time

import pytest

import doubles
from conftest import ABOUT, PERSON, WHO, parse_json
from docsend.checks import submission_rules
from docsend.errors import EXIT_MEANINGS, ExitCode
from docsend.storage.ledger import Ledger

pytestmark = pytest.mark.everywhere

SEND = (*ABOUT, *WHO)
COMMANDS = {
    ("send",): {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130, 143},
    ("login",): {0, 1, 2, 4, 6, 8, 130, 143},
    ("required",): {0, 1, 2, 4, 6, 8, 130, 143},
    ("required", "upload"): {0, 1, 2, 3, 4, 5, 6, 8, 130, 143},
    ("catalog",): {0, 1, 2, 6, 8, 130, 143},
    ("receipts",): {0, 1, 2, 8, 130, 143},
    ("receipts", "show"): {0, 1, 2, 4, 5, 6, 8, 130, 143},
    ("receipts", "resume"): {0, 1, 2, 4, 5, 6, 8, 130, 143},
    ("receipts", "merge"): {0, 1, 2, 7, 8, 9, 130, 143},
    ("receipts", "export"): {0, 1, 2, 8, 130, 143},
    ("receipts", "withdraw"): {0, 1, 2, 4, 5, 6, 8, 130, 143},
    ("sandbox",): {1, 2, 8, 130, 143},
}


def test_0_received_and_received_before_and_checked_clean(run, shared_sandbox, payslip) -> None:
    sent = ("send", payslip, *SEND, "--service", shared_sandbox.url)
    assert [run(*sent).code, run(*sent).code, run(*sent, "--dry-run").code] == [0, 0, 0]


def test_1_a_bug_is_reported_without_personal_data(run, payslip, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("000000018")

    monkeypatch.setattr(submission_rules, "check", broken)
    outcome = run("send", payslip, *SEND, "--json")
    assert (outcome.code, outcome.json["status"], outcome.problems) == (1, "failed", ["bug"])
    assert "ZeroDivisionError at test_exit_codes.py:" in outcome.err
    assert "000000018" not in outcome.err + outcome.out
    assert "Traceback" not in outcome.err


def test_the_traceback_of_a_bug_has_locations_but_no_values(run, payslip, monkeypatch) -> None:
    def broken(*_: object) -> None:
        try:
            _ = dict[str, tuple[()]]()[PERSON]
        except KeyError as error:
            raise ZeroDivisionError(PERSON) from error

    monkeypatch.setattr(submission_rules, "check", broken)
    outcome = run("send", payslip, *SEND, "-v")
    assert outcome.code == 1
    assert "KeyError" in outcome.err
    assert "in check_or_exit" in outcome.err
    assert PERSON not in outcome.err


def test_2_a_command_line_that_cannot_be_understood(run) -> None:
    assert run("send", "--nonsense").code == 2
    assert run("nonsense").code == 2
    assert run("send").code == 2
    assert run("sandbox", "--port", "x").code == 2


def test_3_faulty(run) -> None:
    assert run("send", "nowhere.pdf", *SEND).code == 3


def test_4_sign_in(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_KEYRING", "keyrings.alt.file.PlaintextKeyring")
    about = ("--to", "personal", *ABOUT[2:])
    assert run("send", payslip, *about, "--service", "sandbox").code == 4
    assert run("required", "--service", "sandbox").code == 4


def test_5_refused(run, shared_sandbox, payslip) -> None:
    type_ = ("--subject", "long-term-care", "--category", "claim", "--type", "long-term-care-reassessment")
    outcome = run("send", payslip, "--to", "benefits", *type_, *WHO, "--service", shared_sandbox.url)
    assert outcome.code == 5


def test_6_unfinished(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    assert run("send", payslip, *SEND, "--service", "http://127.0.0.1:9").code == 6
    assert run("catalog", "--update", "--service", "http://127.0.0.1:9").code == 6


def test_8_the_ledger_fails(run, payslip, home) -> None:
    (home / "docsend").write_text("a file where the folder should be")
    assert run("receipts").code == 8
    (home / "docsend").unlink()
    (home / "docsend" / "ledger.sqlite3").mkdir(parents=True)
    assert run("receipts").code == 8
    assert run("send", payslip, *SEND, "--service", "sandbox").code == 8


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_130_and_143_signals(number, code) -> None:
    command = [sys.executable, "-m", "docsend", "sandbox"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stdout.readline().startswith(b"http://127.0.0.1:")
        running.send_signal(number)
        _, err = running.communicate(timeout=10)
    assert (running.returncode, b"Traceback" in err) == (code, False)


# Sends a signal to the run at the first import of a module, or when Typer formats a help.
_STOPPED = """
import os, sys, typer.core
place, number, *words = sys.argv[1:]
def stop(*_):
    os.kill(os.getpid(), int(number))
class Once:
    def find_spec(self, name, path=None, target=None):
        if name == place:
            sys.meta_path.remove(self)
            stop()
sys.meta_path.insert(0, Once())
if place == "help":
    typer.core.TyperGroup.format_help = stop
sys.argv[1:] = words
from docsend.__main__ import run
run()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    "place",
    [
        "docsend.cli.complete",
        "docsend.cli.receipts",
        "docsend.cli.context",
        "docsend.ui.terminal",
        "docsend.storage.ledger",
        "help",
    ],
)
def test_a_signal_has_its_exit_code_from_the_start_of_a_run(home, place, number, code) -> None:
    words = ["receipts", *(["--help"] if place == "help" else [])]
    words = ["_complete", "send", "--"] if place == "docsend.cli.complete" else words
    command = [sys.executable, "-c", _STOPPED, place, str(int(number)), *words]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr, done.stdout) == (code, b"docsend: interrupted\n", b"")


def test_a_broken_pipe_that_is_not_stdout_is_a_bug(run, monkeypatch) -> None:
    def raise_broken_pipe(*_: object, **__: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(Ledger, "entries", raise_broken_pipe)
    outcome = run("receipts")
    assert (outcome.code, "a bug in docsend" in outcome.err) == (1, True), outcome


def test_a_lack_of_memory_is_not_a_bug(run, monkeypatch) -> None:
    def raise_memory_error(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Ledger, "entries", raise_memory_error)
    outcome = run("receipts")
    assert (outcome.code, "out of memory" in outcome.err) == (8, True), outcome


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("send --to", "--to requires a value"),
        ("send x --dry-run=3", "--dry-run takes no value"),
        ("send x --sevrice sandbox", "no such option: --sevrice; did you mean --service, --sheet?"),
        ("send x --qqqqqqqqqq", "no such option: --qqqqqqqqqq"),
        ("receipts show", "missing: KEY"),
        ("send --batch x --jobs 65", "--jobs must be a whole number from 1 to 64"),
        ("receipts --most 0", "--most must be a whole number, 1 or more"),
        ("receipts --most many", "--most must be a whole number, 1 or more"),
    ],
)
def test_errors_of_the_command_line_are_docsend_s_own_messages(run, words, message) -> None:
    outcome = run(*words.split())
    first, hint = outcome.err.splitlines()
    assert (outcome.code, first) == (2, f"docsend: {message}"), outcome
    assert hint.strip().endswith("--help` for usage")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_lists_its_exit_codes_and_an_example(run, command) -> None:
    outcome = run(*command, "--help")
    assert outcome.code == 0
    _, exit_codes = outcome.out.split("Exit codes:")
    codes = {int(line.split()[0]) for line in exit_codes.splitlines() if line.strip()[:1].isdigit()}
    assert codes == COMMANDS[command]
    for code in codes - {0}:
        assert EXIT_MEANINGS[ExitCode(code)].template in exit_codes
    sends = command in (("send",), ("required", "upload"))
    assert (EXIT_MEANINGS[ExitCode.RECEIVED].template in exit_codes) == sends
    assert "Example:" in outcome.out
    assert run(*command, "-h").out == outcome.out


def test_help_and_version_need_no_settings(run, spawn) -> None:
    outcome = run("--help")
    assert outcome.code == 0
    assert "publishes no programming interface" in " ".join(outcome.out.split())
    assert spawn("--version").out == run("--version").out
    assert run().code == 2


def test_json_is_also_printed_on_every_failure(run, payslip) -> None:
    for argv in (
        ("send", "--json", "--nonsense"),
        ("nonsense", "--json"),
        ("catalog", "--to", "nowhere", "--json"),
        ("receipts", "show", "NOTHING", "--json"),
        ("send", payslip, *SEND, "--json"),
    ):
        outcome = run(*argv)
        assert (outcome.code, outcome.json["status"]) == (2, "failed")
        assert len(outcome.out.splitlines()) == 1


def test_a_faulty_response_is_not_reported_as_the_sender_s_error(run, payslip) -> None:
    with doubles.service(lambda _: doubles.Reply(403, b"{}", {"Content-Type": "application/json"})) as (
        url,
        _,
    ):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert outcome.code == 6
    assert json.loads(outcome.out)["problems"][0]["code"] == "contract-broken"


def test_a_sandbox_that_is_terminated_during_an_upload_ends_without_a_traceback(tmp_path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "docsend", "sandbox", "--json", "--data", tmp_path / "data"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        port = int(parse_json(process.stdout.readline())["address"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(
                b"PUT /v1/submissions/" + b"A" * 52 + b" HTTP/1.1\r\nHost: localhost\r\nRequest-Id: 1\r\n"
                b"Content-Length: 1000\r\n\r\n{"
            )
            time.sleep(0.3)
            process.terminate()
            answer = connection.makefile("rb").read()
        _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (143, False), err
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"urn:docsend:problem:own-fault" in answer
