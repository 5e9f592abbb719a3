"""A ledger that cannot be used stops a command before anything is sent, and its file is closed."""

from __future__ import annotations

import contextlib
import functools
import gc
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import samples
from conftest import ABOUT, WHO
from docsend.errors import LocalError
from docsend.sandbox import server
from docsend.sandbox.store import Store
from docsend.storage import ledger as ledger_module
from docsend.storage.ledger import Ledger

SEND = (*ABOUT, *WHO)


def test_without_a_ledger_nothing_is_sent(run, sandbox, payslip, home) -> None:
    (home / "docsend").mkdir()
    (home / "docsend" / "ledger.sqlite3").write_bytes(b"this is no database" * 100)
    outcome = run("send", payslip, *SEND, "--service", sandbox.url, "--json")
    assert (outcome.code, outcome.json["status"], outcome.problems) == (8, "failed", ["local-failure"])
    assert sandbox.count() + sandbox.count("open") == 0


def test_a_full_disk_stops_before_anything_is_sent(spawn, sandbox, payslip) -> None:
    # With RLIMIT_FSIZE every write beyond 4 KiB fails, as on a full disk.
    def limit_file_size() -> None:
        if sys.platform == "win32":
            raise NotImplementedError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    outcome = spawn("send", payslip, *SEND, "--service", sandbox.url, "--json", preexec_fn=limit_file_size)
    assert outcome.code == 8, outcome.err
    assert sandbox.count() + sandbox.count("open") == 0
    assert spawn("send", payslip, *SEND, "--service", sandbox.url).code == 0


def test_a_ledger_of_a_newer_docsend_is_left_alone(run, payslip, home) -> None:
    (home / "docsend").mkdir()
    with sqlite3.connect(home / "docsend" / "ledger.sqlite3") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    outcome = run("send", payslip, *SEND, "--service", "http://127.0.0.1:9")
    assert outcome.code == 8
    assert "newer docsend" in outcome.err


def test_only_its_owner_can_access_the_ledger(run, shared_sandbox, payslip, home) -> None:
    run("send", payslip, *SEND, "--service", shared_sandbox.url)
    ledger = home / "docsend" / "ledger.sqlite3"
    assert (ledger.stat().st_mode & 0o777, ledger.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    modes_for_others = [path.stat().st_mode & 0o077 for path in ledger.parent.iterdir()]
    assert not any(modes_for_others)


def test_a_ledger_that_stays_locked_for_too_long_stops_before_anything_is_sent(
    run, sandbox, payslip, home, monkeypatch
) -> None:
    monkeypatch.setattr(ledger_module, "_BUSY_TIMEOUT_S", 0.2)
    assert run("receipts").code == 0
    with sqlite3.connect(home / "docsend" / "ledger.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        outcome = run("send", payslip, *SEND, "--service", sandbox.url)
        other.execute("ROLLBACK")
    other.close()
    assert outcome.code == 8
    assert "another process is using the file" in outcome.err
    assert sandbox.select("SELECT * FROM submission") == []
    assert run("send", payslip, *SEND, "--service", sandbox.url).code == 0


@pytest.mark.parametrize("damage", ["no database", "a torn header", "a torn page"])
def test_a_damaged_ledger_is_reported_and_nothing_is_sent(run, sandbox, payslip, home, damage) -> None:
    assert run("send", payslip, *SEND, "--service", sandbox.url, "--reference", "before").code == 0
    file = home / "docsend" / "ledger.sqlite3"
    content = bytearray(file.read_bytes())
    if damage == "no database":
        content = bytearray(b"not a database" * 100)
    elif damage == "a torn header":
        content[:64] = bytes(64)
    else:
        content[4096:] = bytes(len(content) - 4096)
    file.write_bytes(content)
    outcome = run("send", payslip, *SEND, "--service", sandbox.url)
    assert (outcome.code, "Traceback" in outcome.err) == (8, False)
    assert "the ledger" in outcome.err
    assert sandbox.count() == 1
    # Without the ledger nothing is sent twice either: the service knows the key.
    file.unlink()
    again = run("send", payslip, *SEND, "--service", sandbox.url, "--reference", "before", "--json")
    assert (again.code, again.json["repeated"]) == (0, True)


def _open_file_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _ledger_of_version(version: int):
    def create(file: Path) -> None:
        with contextlib.closing(sqlite3.connect(file)) as ledger:
            ledger.execute("CREATE TABLE some (thing)")
            ledger.execute(f"PRAGMA user_version = {version}")

    return create


@contextlib.contextmanager
def _locked_by_another_process(file: Path):
    script = (
        "import sqlite3, sys\n"
        "ledger = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "ledger.execute('BEGIN EXCLUSIVE')\n"
        "print(flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        yield
        other.communicate()


def _tear(file: Path, *, first: int, last: int | None) -> None:
    Ledger(file).__exit__(None, None, None)
    content = bytearray(file.read_bytes())
    content[first:last] = bytes(len(content[first:last]))
    file.write_bytes(content)


def _create_foreign_tables(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE submission (x)")


_UNUSABLE_LEDGERS = {
    "of a newer docsend": _ledger_of_version(99),
    "of an unreleased docsend": _ledger_of_version(1),
    "no database": lambda file: file.write_bytes(b"not a database" * 100),
    "a torn header": functools.partial(_tear, first=0, last=64),
    "a torn page": functools.partial(_tear, first=100, last=None),
    "a folder": Path.mkdir,
    "a pipe": samples.named_pipe,
    "a device that is full": lambda file: file.symlink_to("/dev/full"),
    "a link to itself": lambda file: file.symlink_to(file),
    "foreign tables": _create_foreign_tables,
}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux lists them")
@pytest.mark.parametrize("kind", [*_UNUSABLE_LEDGERS, "locked"])
def test_a_ledger_that_cannot_be_opened_is_closed_again(run, tmp_path, home, monkeypatch, kind) -> None:
    monkeypatch.setattr(ledger_module, "_BUSY_TIMEOUT_S", 0.1)
    file = home / "docsend" / "ledger.sqlite3"
    file.parent.mkdir()
    with contextlib.ExitStack() as stack:
        if kind == "locked":
            stack.enter_context(_locked_by_another_process(file))
        else:
            _UNUSABLE_LEDGERS[kind](file)
        gc.collect()
        before = _open_file_count()
        assert run("receipts").code == 8
        # The exception keeps its frames alive, so that no file is closed by garbage collection.
        with pytest.raises(LocalError) as failure:
            Ledger(file)
        assert _open_file_count() == before
        assert str(failure.value)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux lists them")
@pytest.mark.parametrize("kind", [*_UNUSABLE_LEDGERS, "documents that cannot be listed"])
def test_a_sandbox_that_cannot_be_opened_is_closed_again(tmp_path, kind) -> None:
    if kind == "documents that cannot be listed":
        Store(tmp_path).close()
        with contextlib.closing(sqlite3.connect(tmp_path / "sandbox.sqlite3", isolation_level=None)) as made:
            made.execute("DROP TABLE document")
    else:
        _UNUSABLE_LEDGERS[kind](tmp_path / "sandbox.sqlite3")
    gc.collect()
    before = _open_file_count()
    with (
        pytest.raises(LocalError, match="cannot use the sandbox folder") as failure,
        server.run_in_background(tmp_path),
    ):
        pass
    assert _open_file_count() == before
    assert str(failure.value)
