"""The first signal ends a run in an orderly way, the second at once."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time

import pytest

import doubles
from conftest import ABOUT, WHO, force_staged_upload
from docsend import signals
from docsend.errors import Terminated
from terminals import Terminal

SEND = (*ABOUT, *WHO)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_the_run_at_once(sandbox, payslip, number, code) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def intercept(request, _count, phase):
        if "/documents/" in request.path and phase == "before":
            reached.set()
            go_on.wait(20)

    # Cleanup that is slow after the first signal, as with a slow disk.
    script = (
        "import sys, time; from docsend.storage.ledger import Ledger; from docsend.cli.app import main\n"
        "leave = Ledger.__exit__\n"
        "def slow(*a):\n    print('leaving', file=sys.stderr, flush=True); time.sleep(30); leave(*a)\n"
        "Ledger.__exit__ = slow\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        command = [sys.executable, "-c", script, "send", str(payslip), *SEND, "--service", url]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as client:
            assert reached.wait(20)
            client.send_signal(number)
            assert client.stderr
            assert client.stderr.readline() == b"leaving\n"
            started_at = time.monotonic()
            for _ in range(20):  # One between Python's check for signals and the sleep is lost.
                client.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(0.2)
                    break
            go_on.set()
    assert client.returncode == code
    assert time.monotonic() - started_at < 5
    outcome = json.dumps(sandbox.select("SELECT state FROM submission"))
    assert outcome in ('[["open"]]', '[["received"]]')


def test_a_second_ctrl_c_restores_the_cursor_that_a_bar_had_hidden(sandbox, payslip) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def intercept(request, _count, phase):
        if "/documents/" in request.path and phase == "before":
            reached.set()
            go_on.wait(20)
            return doubles.Reply(cut=True)
        return None

    # Cleanup that is slow after the first signal, while the progress bar is shown.
    script = (
        "import sys, time; from docsend.delivery import deliver; from docsend.__main__ import run\n"
        "upload = deliver._upload_planned\n"
        "def slow(*a):\n"
        "    try: return upload(*a)\n"
        "    finally: print('leaving', file=sys.stderr, flush=True); time.sleep(30)\n"
        "deliver._upload_planned = slow\n"
        "run()"
    )
    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        terminal = Terminal.from_command(
            sys.executable, "-c", script, "send", str(payslip), *SEND, "--service", url
        )
        assert reached.wait(20)
        terminal.type("\x03")
        assert "leaving" in terminal.read_until("leaving")
        assert terminal.screen.cursor.hidden
        started_at = time.monotonic()
        terminal.type("\x03")
        assert terminal.finish() == 130
        go_on.set()
    assert time.monotonic() - started_at < 5
    assert not terminal.screen.cursor.hidden
    assert "Traceback" not in terminal.raw


def test_a_background_job_of_a_shell_ignores_ctrl_c(sandbox, payslip) -> None:
    def intercept(request, _count, phase):
        if phase == "before" and request.method == "PUT":
            client.send_signal(signal.SIGINT)

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        words = ["send", str(payslip), *SEND, "--service", url, "--json"]
        # A shell without job control starts background jobs in this way.
        command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-m", "docsend", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            out, err = client.communicate(timeout=30)
        assert "PUT" in [request.method for request in requests]
    assert (client.returncode, json.loads(out)["status"]) == (0, "received"), err


@pytest.mark.parametrize(("count", "code"), [(1, 0), (2, 143)])
def test_a_signal_while_the_result_is_shown_changes_nothing_and_a_second_one_ends_the_run(
    payslip, count, code
) -> None:
    script = (
        "import signal, sys; from docsend.ui.json_output import JsonOutput\n"
        "from docsend.__main__ import run\n"
        "shown, times = JsonOutput._write, int(sys.argv.pop(1))\n"
        "def interrupted(*a):\n"
        "    for _ in range(times): signal.raise_signal(signal.SIGTERM)\n"
        "    shown(*a)\n"
        "JsonOutput._write = interrupted\n"
        "run()"
    )
    words = ["send", str(payslip), *SEND, "--dry-run", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", script, str(count), *words],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["checked"] * (code == 0)


# Signals during Python's own start-up, before docsend's first statement, are not tested.
_STARTED = "import docsend.__main__ as command; print('started', flush=True); command.run()"


_SENDS = "send FILE {send} --service {url} --json"


@pytest.mark.parametrize(
    ("number", "code", "argv"),
    [
        (signal.SIGINT, 130, _SENDS),
        (signal.SIGTERM, 143, _SENDS),
        (signal.SIGINT, 130, "receipts --lang fr"),
        (signal.SIGINT, 130, "--help"),
        (signal.SIGINT, 130, "_complete send --to b"),
    ],
)
def test_a_signal_at_any_moment_of_a_run_shows_no_traceback(sandbox, payslip, number, code, argv) -> None:
    words = argv.format(send=" ".join(SEND), url=sandbox.url).replace("FILE", str(payslip)).split()
    interrupted = 0
    for moment in range(30):
        command = [sys.executable, "-c", _STARTED, *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            assert client.stdout
            assert client.stdout.readline() == "started\n"
            time.sleep(moment * 0.01)
            client.send_signal(number)
            out, err = client.communicate(timeout=20)
        assert client.returncode in (0, code), err
        assert "Traceback" not in err
        assert "Exception ignored" not in err
        assert len([line for line in err.splitlines() if "interr" in line]) <= 1
        if client.returncode == code:
            interrupted += 1
            if "--json" in words and out:
                assert json.loads(out)["problems"][0]["code"] in ("interrupted", "terminated")
        elif "--json" in words:
            assert json.loads(out)["status"] == "received", "one object, also if a signal came late"
    assert interrupted


# Sends signals while the command line is imported; the first argument is their number.
_BEFORE_THE_COMMAND_LINE = (
    "import os, signal, sys\n"
    "import docsend.__main__ as command\n"
    "times = int(sys.argv.pop(1))\n"
    "class Interrupt:\n"
    "    def find_spec(self, name, *_):\n"
    "        if name == 'docsend.cli.app':\n"
    "            for _ in range(times):\n"
    "                os.kill(os.getpid(), signal.SIGTERM)\n"
    "sys.meta_path.insert(0, Interrupt())\n"
    "command.run()"
)


def test_a_signal_that_comes_before_the_command_line_is_reported_in_its_language_and_as_json(payslip) -> None:
    argv = ["send", str(payslip), *SEND, "--service", "sandbox", "--json", "--lang", "fr"]
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE_THE_COMMAND_LINE, "1", *argv],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    assert (done.returncode, done.stderr) == (143, "docsend\xa0: interrompu\n")
    assert json.loads(done.stdout)["problems"][0]["code"] in ("interrupted", "terminated")


def test_a_second_signal_before_the_command_line_ends_the_run_at_once(payslip) -> None:
    argv = ["send", str(payslip), *SEND, "--service", "sandbox", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE_THE_COMMAND_LINE, "2", *argv],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")


# Sends a signal while a module is imported, and replaces its exception, as interrupted code may: Python 3.11
# does so while it creates a class (`__set_name__`).
_REPLACING_ITS_EXCEPTION = (
    "import os, signal, sys\n"
    "from docsend.__main__ import run\n"
    "class Interrupt:\n"
    "    def find_spec(self, name, *_):\n"
    "        if name == 'docsend.cli.receipts':\n"
    "            try:\n"
    "                os.kill(os.getpid(), getattr(signal, sys.argv.pop()))\n"
    "            except KeyboardInterrupt:\n"
    "                raise TypeError from None\n"
    "sys.meta_path.insert(0, Interrupt())\n"
    "run()"
)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_whose_exception_is_replaced_is_no_bug(name, code) -> None:
    words = [sys.executable, "-c", _REPLACING_ITS_EXCEPTION, "receipts", name]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60, text=True)
    assert (done.returncode, done.stderr) == (code, "docsend: interrupted\n")


@pytest.mark.parametrize(
    ("number", "raises"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_swallowed_in_a_destructor_is_raised_again(capsys, number, raises) -> None:
    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(number)
            sum(range(1000))  # Gives the interpreter a chance to run the handler.

    def lose_the_first_and_wait() -> None:
        with signals.interrupt_on_signal():
            one = Interrupted()
            del one
            time.sleep(5)

    with pytest.raises(raises):
        lose_the_first_and_wait()
    assert capsys.readouterr().err == ""


def test_other_exceptions_in_a_destructor_are_still_reported_by_python(monkeypatch) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ZeroDivisionError

    reported: list[type[BaseException]] = []

    def report(unraisable: sys.UnraisableHookArgs) -> None:
        reported.append(unraisable.exc_type)

    monkeypatch.setattr(sys, "unraisablehook", report)
    with signals.interrupt_on_signal():
        one = Broken()
        del one
    assert (reported, sys.unraisablehook) == ([ZeroDivisionError], report)
