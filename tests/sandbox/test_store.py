"""What the sandbox keeps of what was never finished, and for how long."""

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

PLACE = SubmissionId("", "A" * 52)
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def stopped_at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


@pytest.fixture
def declared() -> declaration.Declaration:
    return declaration.validate(dict(DECLARATION), catalogs.load())


def test_a_commit_that_fails_after_it_was_made_takes_no_document_with_it(
    tmp_path, declared, monkeypatch
) -> None:
    """The disk failed in the sync behind the commit, and SQLite could not take it back."""
    store = Store(tmp_path)
    committed = store.database.transaction

    @contextlib.contextmanager
    def fails_behind_the_commit() -> Iterator[sqlite3.Connection]:
        with committed() as connection:
            yield connection
        raise sqlite3.OperationalError("disk I/O error")

    with store.incoming_files(len(declared.documents)) as files:
        for file in files:
            file.write_bytes(b"as it arrived")
        monkeypatch.setattr(store.database, "transaction", fails_behind_the_commit)
        with pytest.raises(sqlite3.OperationalError):
            store.receive_in_one_exchange(PLACE, declared, catalogs.load().branches["haifa"], files)
        monkeypatch.undo()
    assert store.status(PLACE).state == "received"
    with store.database.transaction() as connection:
        kept = {name for (name,) in connection.execute("SELECT file FROM document")}
    assert kept == {file.name for file in (tmp_path / "documents").iterdir()}
    store.close()


def test_what_was_never_finished_is_removed_when_it_has_expired_and_its_key_is_free_again(
    tmp_path, declared
) -> None:
    for moment, is_kept in (
        (NOW, True),
        (NOW + UNFINISHED_LIFETIME / 2, True),
        (NOW + 2 * UNFINISHED_LIFETIME, False),
    ):
        store = Store(tmp_path, now=stopped_at(moment))
        if moment == NOW:
            store.declare(PLACE, declared, "haifa")
            samples.write(tmp_path / "documents", "left.part", b"x")
            samples.write(
                tmp_path / "documents", "0123456789abcdef", b"of no row: killed before it was written"
            )
            for left in (tmp_path / "documents").iterdir():
                os.utime(left, (NOW.timestamp(), NOW.timestamp()))
        assert store.exists(PLACE) is is_kept
        assert len(list((tmp_path / "documents").iterdir())) == (2 if is_kept else 0)
        if not is_kept:
            with pytest.raises(Refusal, match="not-found"):
                store.status(PLACE)
            _, is_new = store.declare(PLACE, declared, "haifa")
            assert is_new
        store.close()


def test_what_was_withdrawn_stays_withdrawn_for_ever(tmp_path, declared) -> None:
    store = Store(tmp_path, now=lambda: NOW)
    store.declare(PLACE, declared, "haifa")
    store.withdraw(PLACE)
    store.close()
    later = Store(tmp_path, now=lambda: NOW + timedelta(days=4000))
    with pytest.raises(Refusal, match="withdrawn"):
        later.declare(PLACE, declared, "haifa")
    later.close()


def test_a_document_that_the_disk_took_only_a_part_of_is_never_received(run, tmp_path) -> None:
    file = samples.write(tmp_path, "big.pdf", samples.pdf(size=135_097))
    folder = tmp_path / "full"
    # Every file fails beyond 129 KiB, as on a disk that is nearly full.
    script = f"trap '' XFSZ; ulimit -f 129; exec {sys.executable} -m docsend sandbox --data {folder} --json"
    with subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE) as running:
        assert running.stdout
        address = json.loads(running.stdout.readline())["address"]
        outcome = run("send", file, *ABOUT, *WHO, "--service", address, "--json")
        running.terminate()
    assert (outcome.code, outcome.json["receipt"]) == (6, None)
    assert list((folder / "documents").iterdir()) == []


def test_those_who_look_for_a_sandbox_do_not_take_one_another_for_one(tmp_path) -> None:
    (tmp_path / "running").write_bytes(b"http://127.0.0.1:9")
    seen: set[str | None] = set()

    def look() -> None:
        seen.update(server.find_running(tmp_path) for _ in range(2000))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {None}


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


def test_a_folder_that_no_sandbox_can_use_is_told_whoever_opens_it(run, payslip, tmp_path, home) -> None:
    file = samples.write(tmp_path, "file", b"")
    served = run("sandbox", "--data", file / "below", "--port", "0")
    assert (served.code, f"cannot use sandbox folder {file / 'below'}" in served.err) == (8, True)
    (home / "docsend" / "sandbox" / "running").mkdir(parents=True)
    sent = run("send", payslip, *ABOUT, *WHO, "--service", "sandbox", "--json")
    assert (sent.code, sent.problems, "cannot use sandbox folder" in sent.err) == (8, ["local-failure"], True)


def test_a_folder_whose_lock_is_held_by_what_is_no_sandbox_is_told(run, payslip, home) -> None:
    folder = home / "docsend" / "sandbox"
    folder.mkdir(parents=True)
    with (folder / "running").open("wb") as held:
        assert server._lock(held)
        held.write(b"\xff")
        held.flush()
        sent = run("send", payslip, *ABOUT, *WHO, "--service", "sandbox", "--json")
        served = run("sandbox", "--port", "0")
    assert (sent.code, sent.problems, "cannot use sandbox folder" in sent.err) == (8, ["local-failure"], True)
    assert (served.code, f"folder {folder} is in use" in served.err) == (2, True)
