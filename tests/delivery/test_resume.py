"""`docsend receipts resume`, the shared reserve of further tries, and the two signals."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest

import doubles
import samples
from conftest import ABOUT, WHO, goes_staged
from docsend import signals
from docsend.codes import Code
from docsend.config.address import Endpoint
from docsend.errors import Terminated
from docsend.i18n import Message
from docsend.service.client import ServiceClient
from docsend.service.retry import CircuitBreaker, Clock, ConcurrencyLimit, RetryPolicy
from terminals import Terminal

SEND = (*ABOUT, *WHO)


@dataclass
class Busy:
    """A fate: while it is on, the service is busy at one call, before it acts or after."""

    call: str
    moment: str
    on: bool = True

    def __call__(self, asked: doubles.Asked, _count: int, now: str) -> doubles.Reply | None:
        kind = "put" if "/documents/" in asked.path else "send" if asked.path.endswith("/send") else "declare"
        busy = doubles.Reply(503, headers={"Retry-After": "999"})
        return busy if (kind, now) == (self.call, self.moment) and self.on else None


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["put", "send"])
def test_what_was_declared_is_finished_without_saying_anything_again(
    run, sandbox, payslip, call, moment
) -> None:
    fate = Busy(call, moment)
    with doubles.relay(sandbox.url, fate) as (url, asked):
        goes_staged(url)
        begun = run("send", payslip, *SEND, "--service", url, "--json")
        assert begun.code == 6
        fate.on = False
        (resumed,) = run("receipts", "resume", "--json").json["receipts"]
        assert (resumed["key"], resumed["state"], resumed["problems"]) == (begun.json["key"], "received", [])
        asked.clear()
        again = run("send", payslip, *SEND, "--service", url, "--json")
        assert (again.code, again.json["repeated"], asked) == (0, True, [])
        assert again.json["receipt"] == resumed["receipt"]
        nothing = run("receipts", "resume")
        assert (nothing.code, nothing.out, asked) == (0, "", [])
        assert "nothing is unfinished" in nothing.err
    assert sandbox.count() == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_the_service_does_not_know_is_named_with_the_command_that_sends_it(
    run, sandbox, tmp_path, moment
) -> None:
    file = samples.write(tmp_path, "pay slip's.pdf", samples.pdf(3))
    fate = Busy("declare", moment)
    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        assert run("send", file, *SEND, "--service", url, "--reference", "client 7").code == 6
        fate.on = False
        outcome = run("receipts", "resume")
        if moment == "after":  # the service had it all the same
            assert outcome.code == 0
            return
        assert outcome.code == 6
        assert "the service knows nothing of this submission" in outcome.err
        told = next(line for line in outcome.err.splitlines() if "docsend send" in line)
        command = shlex.split(told.split(": ", 1)[1].replace("…", WHO[1]))
        assert command[:3] == ["docsend", "send", str(file)]
        assert WHO[1] not in outcome.err
        assert run(*command[1:]).code == 0
        assert run("receipts", "resume").code == 0
    assert sandbox.count() == 1


def test_the_command_that_sends_it_says_which_sending_it_is(run, sandbox, payslip) -> None:
    fate = Busy("declare", "before")
    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        left = run("send", payslip, *SEND, "--service", url, "--occurrence", "3", "--json")
        assert left.code == 6
        fate.on = False
        err = run("receipts", "resume").err
        told = next(line for line in err.splitlines() if "docsend send" in line)
        command = shlex.split(told.split(": ", 1)[1].replace("…", WHO[1]))
        sent = run(*command[1:], "--json")
        assert (sent.code, sent.json["key"], sent.json["occurrence"]) == (0, left.json["key"], 3)
        assert run("receipts", "resume").code == 0
    assert sandbox.count() == 1


def test_a_document_that_has_changed_is_not_sent_from_here(run, sandbox, payslip) -> None:
    fate = Busy("put", "before")
    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        key = run("send", payslip, *SEND, "--service", url, "--json").json["key"]
        fate.on = False
        payslip.write_bytes(samples.pdf(99))
        outcome = run("receipts", "resume", "--json")
    (left,) = outcome.json["receipts"]
    assert (outcome.code, left["key"], left["state"]) == (6, key, "open")
    assert "was changed, moved or removed" in left["problems"][0]["message"]
    assert sandbox.count() == 0


def test_what_was_withdrawn_meanwhile_is_told_and_stays_so(run, sandbox, payslip, home, monkeypatch) -> None:
    fate = Busy("put", "before")
    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        key = run("send", payslip, *SEND, "--service", url, "--json").json["key"]
        fate.on = False
        ledger = home / "docsend" / "ledger.sqlite3"
        before = ledger.read_bytes()
        assert run("receipts", "withdraw", key).code == 0
        ledger.write_bytes(before)  # as another machine's ledger has it, which knows nothing of that
        outcome = run("receipts", "resume", "--json")
    (left,) = outcome.json["receipts"]
    assert (outcome.code, left["state"]) == (5, "withdrawn")
    assert sandbox.state(key) == "withdrawn"


def test_only_one_service_or_some_keys_are_resumed_if_asked(run, sandbox, tmp_path) -> None:
    fate = Busy("put", "before")
    with doubles.relay(sandbox.url, fate) as (url, _), doubles.relay(sandbox.url, fate) as (other, _):
        goes_staged(url)
        goes_staged(other)
        keys = []
        for n, service in enumerate((url, url, other)):
            file = samples.write(tmp_path, f"{n}.pdf", samples.pdf(n))
            keys.append(run("send", file, *SEND, "--service", service, "--json").json["key"])
        fate.on = False
        one = run("receipts", "resume", keys[1][:10], "--json").json["receipts"]
        assert [entry["key"] for entry in one] == [keys[1]]
        elsewhere = run("receipts", "resume", "--service", other, "--json").json["receipts"]
        assert [entry["key"] for entry in elsewhere] == [keys[2]]
        assert run("receipts", "resume", "AAAAAAAA").code == 2
        rest = run("receipts", "resume", "--json").json["receipts"]
        assert [(entry["key"], entry["state"]) for entry in rest] == [(keys[0], "received")]
    assert sandbox.count() == 3


def test_a_personal_submission_is_resumed_under_its_account(
    run, sandbox, payslip, tmp_path, monkeypatch
) -> None:
    password = samples.write(tmp_path, "password", b"fictional-clear\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1002")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    fate = Busy("put", "before")
    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        assert run("send", payslip, "--to", "personal", *ABOUT[2:], "--service", url).code == 6
        fate.on = False
        monkeypatch.delenv("DOCSEND_CODE")
        monkeypatch.delenv("DOCSEND_PASSWORD_FILE")
        monkeypatch.setenv("DOCSEND_KEYRING", "keyrings.alt.file.PlaintextKeyring")
        refused = run("receipts", "resume", "--json")
        assert refused.code == 4
        assert refused.json["receipts"][0]["problems"][0]["code"] == "sign-in-needed"
        monkeypatch.setenv("DOCSEND_CODE", "1002")
        monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
        assert run("receipts", "resume", "--json").json["receipts"][0]["state"] == "received"
    assert sandbox.count() == 1


# -- all calls together ------------------------------------------------------------------------------------


def test_ten_failures_in_a_row_hold_all_calls_back_but_one_that_tries_for_them() -> None:
    clock = [0.0]
    breaker = CircuitBreaker(lambda: clock[0])
    for _ in range(9):
        breaker.record_failure(Message("it failed"), Code.TIMED_OUT)
    assert breaker.wait_s() == 0
    breaker.record_failure(Message("it failed again"), Code.NO_ROUTE)
    assert (breaker.wait_s(), breaker.reason, breaker.cause) == (
        30,
        Message("it failed again"),
        Code.NO_ROUTE,
    )
    clock[0] = 30
    assert breaker.wait_s() == 0, "the one that tries"
    assert breaker.wait_s() == 30, "the others wait for it"
    assert breaker.has_failed_for(30)
    assert not breaker.has_failed_for(31)
    breaker.record_success()
    assert (breaker.wait_s(), breaker.has_failed_for(0)) == (0, False)


def test_pauses_grow_and_stay_below_half_a_minute_however_often_it_failed() -> None:
    policy = RetryPolicy(300)
    longest = [max(policy.pause_s(failures) for _ in range(200)) for failures in (1, 3, 10, 100_000)]
    assert longest[0] <= 0.5 < longest[1] <= 2 < longest[2] <= 30
    assert 2 < longest[3] <= 30


def test_the_breaker_pauses_a_single_call_and_never_ends_it(sandbox) -> None:
    waited: list[float] = []
    clock, failing = [0.0], [True]

    def fate(*_: object) -> doubles.Reply | None:
        return doubles.Reply(503) if failing[0] else None

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock[0] += seconds
        failing[0] = len(waited) < 18

    with (
        doubles.relay(sandbox.url, fate) as (url, asked),
        ServiceClient(
            Endpoint(url), url, RetryPolicy(3600), doubles.Nobody(), clock=Clock(lambda: clock[0], sleep)
        ) as service,
    ):
        assert service.look().catalog_version
    assert len(asked) > 12, "more than ten, and one that came through"
    assert max(waited) == pytest.approx(30)
    assert clock[0] > 100


def test_a_429_halves_the_calls_at_once_and_successes_bring_them_back() -> None:
    limit = ConcurrencyLimit(8)
    limit.record_too_many()
    limit.record_too_many()
    assert _at_once(limit, 8) == 2
    for _ in range(100):
        limit.record_success()
    assert _at_once(limit, 20) == 8, "never more than there are workers"
    for _ in range(10):
        limit.record_too_many()
    assert _at_once(limit, 3) == 1, "one always may"


def _at_once(limit: ConcurrencyLimit, workers: int) -> int:
    """Count how many of so many workers are in their turn when none of them leaves."""
    leave, entered = threading.Event(), []

    def work() -> None:
        with limit:
            entered.append(1)
            leave.wait(10)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    count = len(entered)
    leave.set()
    for thread in threads:
        thread.join(10)
    assert len(entered) == workers
    return count


def test_a_pause_that_the_service_asks_for_holds_for_all() -> None:
    clock = [0.0]
    limit = ConcurrencyLimit(4, lambda: clock[0])
    assert limit.wait_s() == 0
    limit.hold(5)
    limit.hold(2)
    assert limit.wait_s() == 5
    clock[0] = 6
    assert limit.wait_s() == 0


def test_a_dead_service_is_not_asked_for_every_unfinished_submission(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.service(lambda _: doubles.Reply(503)) as (url, asked):
        for n in range(15):
            file = samples.write(tmp_path, f"{n}.pdf", samples.pdf(n))
            assert run("send", file, *SEND, "--service", url).code == 6
        asked.clear()
        outcome = run("receipts", "resume", "--json")
    assert (outcome.code, len(asked)) == (6, CircuitBreaker.FAILURES)
    codes = [entry["problems"][0]["code"] for entry in outcome.json["receipts"]]
    assert codes == ["service-busy"] * 15


def test_an_interrupted_resume_shows_what_it_finished(sandbox, tmp_path, run) -> None:
    busy = Busy("put", "before")
    reached, keys = threading.Event(), list[str]()

    def fate(asked, count, now):
        if not busy.on and len(keys) == 3 and keys[1] in asked.path and now == "before":
            reached.set()
            time.sleep(5)
        return busy(asked, count, now)

    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        for n in range(3):
            file = samples.write(tmp_path, f"{n}.pdf", samples.pdf(n))
            keys.append(run("send", file, *SEND, "--service", url, "--json").json["key"])
        busy.on = False
        command = [sys.executable, "-m", "docsend", "receipts", "resume"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            assert reached.wait(20)
            client.send_signal(signal.SIGINT)
            out, err = client.communicate(timeout=20)
    assert client.returncode == 130
    assert b"interrupted after 1 of 3" in err
    _, *rows = out.decode().splitlines()
    assert [row.split()[:2] for row in rows] == [[keys[0][:12], "received"]]


def test_a_resume_counts_documents_as_their_submission_has_them(run, sandbox, tmp_path) -> None:
    """Two of five have arrived before; what is sent now are the third, the fourth and the fifth of five."""
    is_on, puts = True, 0
    files = [samples.write(tmp_path, f"part-{n}.pdf", samples.pdf(n)) for n in range(1, 6)]

    def fate(asked, _count, now):
        nonlocal puts
        if is_on and "/documents/" in asked.path and now == "before":
            puts += 1
            return doubles.Reply(503) if puts > 2 else None
        return None

    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        begun = run("send", *files, *SEND, "--service", url)
        assert begun.code == 6
        assert "sent part-2.pdf, " in begun.err
        is_on = False
        resumed = run("receipts", "resume")
    assert resumed.code == 0
    told = [line.rpartition("(")[2] for line in resumed.err.splitlines() if line.startswith("sent ")]
    assert told == ["3 of 5)", "4 of 5)", "5 of 5)"]


def test_an_interrupted_resume_never_says_that_nothing_is_unfinished(run, sandbox, payslip) -> None:
    busy, reached = Busy("put", "before"), threading.Event()

    def fate(asked, count, now):
        if not busy.on:
            reached.set()
            time.sleep(5)
        return busy(asked, count, now)

    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        run("send", payslip, *SEND, "--service", url)
        busy.on = False
        command = [sys.executable, "-m", "docsend", "receipts", "resume"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            assert reached.wait(20)
            client.send_signal(signal.SIGINT)
            out, err = client.communicate(timeout=20)
    assert (client.returncode, out) == (130, "")
    assert "interrupted after 0 of 1" in err
    assert "nothing is unfinished" not in err


def test_a_resume_on_a_terminal_draws_the_bar_of_a_send(run, sandbox, payslip) -> None:
    fate = Busy("put", "before")
    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        run("send", payslip, *SEND, "--service", url)
        fate.on = False
        terminal = Terminal("receipts", "resume", columns=100, lines=20)
        assert terminal.finish() == 0
    assert "sent payslip.pdf, 618 bytes (1 of 1)" in terminal.shown
    assert "\u2501" in terminal.raw  # of which the bar is made


# -- signals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_it_at_once(sandbox, payslip, number, code) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def fate(asked, _count, now):
        if "/documents/" in asked.path and now == "before":
            reached.set()
            go_on.wait(20)

    # Code of ours that takes its time after the first signal, as a slow disk would.
    script = (
        "import sys, time; from docsend.storage.ledger import Ledger; from docsend.cli.app import main\n"
        "leave = Ledger.__exit__\n"
        "def slow(*a):\n    print('leaving', file=sys.stderr, flush=True); time.sleep(30); leave(*a)\n"
        "Ledger.__exit__ = slow\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        command = [sys.executable, "-c", script, "send", str(payslip), *SEND, "--service", url]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as client:
            assert reached.wait(20)
            client.send_signal(number)
            assert client.stderr
            assert client.stderr.readline() == b"leaving\n"
            began = time.monotonic()
            for _ in range(20):  # one that comes between Python's look for signals and the sleep is lost
                client.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(0.2)
                    break
            go_on.set()
    assert client.returncode == code
    assert time.monotonic() - began < 5
    outcome = json.dumps(sandbox.select("SELECT state FROM submission"))
    assert outcome in ('[["open"]]', '[["received"]]')


def test_a_second_ctrl_c_at_a_terminal_leaves_the_cursor_that_a_bar_had_hidden(sandbox, payslip) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def fate(asked, _count, now):
        if "/documents/" in asked.path and now == "before":
            reached.set()
            go_on.wait(20)
            return doubles.Reply(cut=True)
        return None

    # Code of ours that takes its time after the first signal, while the bar is there.
    script = (
        "import sys, time; from docsend.delivery import deliver as send; from docsend.__main__ import run\n"
        "deliver = send.deliver\n"
        "def slow(*a):\n"
        "    try: return deliver(*a)\n"
        "    finally: print('leaving', file=sys.stderr, flush=True); time.sleep(30)\n"
        "send.deliver = slow\n"
        "run()"
    )
    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        terminal = Terminal.of(sys.executable, "-c", script, "send", str(payslip), *SEND, "--service", url)
        assert reached.wait(20)
        terminal.type("\x03")
        assert "leaving" in terminal.read_until("leaving")
        assert terminal.screen.cursor.hidden
        began = time.monotonic()
        terminal.type("\x03")
        assert terminal.finish() == 130
        go_on.set()
    assert time.monotonic() - began < 5
    assert not terminal.screen.cursor.hidden
    assert "Traceback" not in terminal.raw


def test_what_a_shell_runs_in_the_background_is_not_ended_by_its_ctrl_c(sandbox, payslip) -> None:
    def fate(asked, _count, now):
        if now == "before" and asked.method == "PUT":
            client.send_signal(signal.SIGINT)

    with doubles.relay(sandbox.url, fate) as (url, asked):
        words = ["send", str(payslip), *SEND, "--service", url, "--json"]
        # As a shell without job control starts what ends in &.
        command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-m", "docsend", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            out, err = client.communicate(timeout=30)
        assert "PUT" in [request.method for request in asked]
    assert (client.returncode, json.loads(out)["status"]) == (0, "received"), err


@pytest.mark.parametrize(("signals_that_come", "code"), [(1, 0), (2, 143)])
def test_a_signal_while_the_result_is_shown_changes_nothing_and_a_second_one_ends_it(
    payslip, signals_that_come, code
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
        [sys.executable, "-c", script, str(signals_that_come), *words],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["checked"] * (code == 0)


# Whatever Python itself does before the program's first statement is not the program's.
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


# Signals that come while the command line is imported: as many as the first argument says.
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


def test_a_second_signal_before_the_command_line_ends_it_at_once(payslip) -> None:
    argv = ["send", str(payslip), *SEND, "--service", "sandbox", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE_THE_COMMAND_LINE, "2", *argv],
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")


@pytest.mark.parametrize(
    ("number", "raises"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_that_python_swallows_in_a_destructor_comes_again(capsys, number, raises) -> None:
    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(number)
            sum(range(1000))  # the handler runs between two steps of the interpreter

    def lose_the_first_and_wait() -> None:
        with signals.raised():
            one = Interrupted()
            del one
            time.sleep(5)

    with pytest.raises(raises):
        lose_the_first_and_wait()
    assert capsys.readouterr().err == ""


def test_what_else_python_swallows_in_a_destructor_is_told_as_ever(monkeypatch) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ZeroDivisionError

    told: list[type[BaseException]] = []

    def tell(unraisable: sys.UnraisableHookArgs) -> None:
        told.append(unraisable.exc_type)

    monkeypatch.setattr(sys, "unraisablehook", tell)
    with signals.raised():
        one = Broken()
        del one
    assert (told, sys.unraisablehook) == ([ZeroDivisionError], tell)
