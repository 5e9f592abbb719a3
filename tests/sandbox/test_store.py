"""The sandbox's store: unfinished submissions, failing disks, and the lock on its folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import samples
from conftest import ABOUT, WHO
from declarations import DECLARATION
from docsend.sandbox import declaration, server
from docsend.sandbox.problems import Refusal
from docsend.sandbox.store import UNFINISHED_LIFETIME, Store, SubmissionId
from docsend.storage import catalogs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.everywhere

ID = SubmissionId("", "A" * 52)
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def fixed_clock(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


@pytest.fixture
def declared() -> declaration.Declaration:
    return declaration.validate(dict(DECLARATION), catalogs.load())


def test_a_commit_that_fails_in_the_final_sync_removes_no_document(tmp_path, declared, monkeypatch) -> None:
    """The disk fails in the sync after the commit, which SQLite cannot undo."""
    store = Store(tmp_path)
    committed = store.database.transaction

    @contextlib.contextmanager
    def fail_after_commit() -> Iterator[sqlite3.Connection]:
        with committed() as connection:
            yield connection
        raise sqlite3.OperationalError("disk I/O error")

    with store.incoming_files(len(declared.documents)) as files:
        for file in files:
            file.write_bytes(b"as it arrived")
        monkeypatch.setattr(store.database, "transaction", fail_after_commit)
        with pytest.raises(sqlite3.OperationalError):
            store.receive_in_one_exchange(ID, declared, catalogs.load().branches["haifa"], files)
        monkeypatch.undo()
    assert store.status(ID).state == "received"
    with store.database.transaction() as connection:
        recorded = {name for (name,) in connection.execute("SELECT file FROM document")}
    assert recorded == {file.name for file in (tmp_path / "documents").iterdir()}
    store.close()


def test_an_unfinished_submission_is_removed_when_it_expires_and_its_key_is_free_again(
    tmp_path, declared
) -> None:
    for moment, exists in (
        (NOW, True),
        (NOW + UNFINISHED_LIFETIME / 2, True),
        (NOW + 2 * UNFINISHED_LIFETIME, False),
    ):
        store = Store(tmp_path, now=fixed_clock(moment))
        if moment == NOW:
            store.declare(ID, declared, "haifa")
            samples.write(tmp_path / "documents", "left.part", b"x")
            samples.write(
                tmp_path / "documents", "0123456789abcdef", b"has no row: killed before it was written"
            )
            for left in (tmp_path / "documents").iterdir():
                os.utime(left, (NOW.timestamp(), NOW.timestamp()))
        assert store.exists(ID) is exists
        assert len(list((tmp_path / "documents").iterdir())) == (2 if exists else 0)
        if not exists:
            with pytest.raises(Refusal, match="not-found"):
                store.status(ID)
            _, is_new = store.declare(ID, declared, "haifa")
            assert is_new
        store.close()


def test_a_withdrawn_key_stays_withdrawn_forever(tmp_path, declared) -> None:
    store = Store(tmp_path, now=lambda: NOW)
    store.declare(ID, declared, "haifa")
    store.withdraw(ID)
    store.close()
    later = Store(tmp_path, now=lambda: NOW + timedelta(days=4000))
    with pytest.raises(Refusal, match="withdrawn"):
        later.declare(ID, declared, "haifa")
    later.close()


def test_a_document_that_the_disk_stored_only_partly_is_never_received(run, tmp_path) -> None:
    file = samples.write(tmp_path, "big.pdf", samples.pdf(size=135_097))
    folder = tmp_path / "full"
    # No file can grow beyond 129 KiB, as on a disk that is nearly full.
    script = f"trap '' XFSZ; ulimit -f 129; exec {sys.executable} -m docsend sandbox --data {folder} --json"
    with subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE) as running:
        assert running.stdout
        address = json.loads(running.stdout.readline())["address"]
        outcome = run("send", file, *ABOUT, *WHO, "--service", address, "--json")
        running.terminate()
    assert (outcome.code, outcome.json["receipt"]) == (6, None)
    assert list((folder / "documents").iterdir()) == []


def test_callers_of_find_running_do_not_mistake_one_another_for_a_sandbox(tmp_path) -> None:
    (tmp_path / "running").write_bytes(b"http://127.0.0.1:9")
    found: set[str | None] = set()

    def search() -> None:
        found.update(server.find_running(tmp_path) for _ in range(2000))

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {None}


def test_a_sandbox_that_has_ended_leaves_no_address(tmp_path) -> None:
    command = [sys.executable, "-m", "docsend", "sandbox", "--data", str(tmp_path)]
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            assert running.stdout
            address = running.stdout.readline().decode().strip()
            assert server.find_running(tmp_path) == address
            running.send_signal(number)
            _, err = running.communicate(timeout=20)
        assert (running.returncode, b"Traceback" in err, b"ignored" in err) == (code, False, False)
        assert (tmp_path / "running").read_bytes() == b""


def test_an_unusable_folder_is_reported_by_sandbox_and_send(run, payslip, tmp_path, home) -> None:
    file = samples.write(tmp_path, "file", b"")
    served = run("sandbox", "--data", file / "below", "--port", "0")
    assert (served.code, f"cannot use the sandbox folder {file / 'below'}" in served.err) == (8, True)
    (home / "docsend" / "sandbox" / "running").mkdir(parents=True)
    sent = run("send", payslip, *ABOUT, *WHO, "--service", "sandbox", "--json")
    assert (sent.code, sent.problems, "cannot use the sandbox folder" in sent.err) == (
        8,
        ["local-failure"],
        True,
    )


def test_a_folder_that_another_program_has_locked_is_reported(run, payslip, home) -> None:
    folder = home / "docsend" / "sandbox"
    folder.mkdir(parents=True)
    with (folder / "running").open("wb") as locked:
        assert server._lock(locked)
        locked.write(b"\xff")
        locked.flush()
        sent = run("send", payslip, *ABOUT, *WHO, "--service", "sandbox", "--json")
        served = run("sandbox", "--port", "0")
    assert (sent.code, sent.problems, "cannot use the sandbox folder" in sent.err) == (
        8,
        ["local-failure"],
        True,
    )
    assert (served.code, f"folder {folder} is in use" in served.err) == (2, True)
