"""`docsend receipts repair` keeps the damaged ledger, and writes a new one with what can still be read."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import damaged_ledgers
import old_ledgers
import samples
from conftest import ABOUT, WHO
from damaged_ledgers import change_receipt, with_member
from declarations import checked_submission
from docsend.storage.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.everywhere

SEND = (*ABOUT, *WHO, "--json")
COUNT = 40  # more than fit on one page of a table


@pytest.fixture
def file(home):
    """Return the path of the ledger."""
    return home / "docsend" / "ledger.sqlite3"


@pytest.fixture
def listed(run, shared_sandbox, tmp_path, file):
    """Send forty submissions, and return what `receipts` lists."""
    for number in range(COUNT):
        samples.write(tmp_path, f"{number}.pdf", samples.pdf(number))
    manifest = tmp_path / "rows.csv"
    rows = [f"benefits,unemployment,employer,payslips,000000018,r{n},{n}.pdf" for n in range(COUNT)]
    manifest.write_text("\n".join(["to,subject,category,type,id,reference,documents", *rows]))
    assert run("send", "--batch", manifest, "--service", shared_sandbox.url).code == 0
    return run("receipts", "--json").json["receipts"]


def zero(start: int, end: int | None, content: bytearray) -> None:
    """Overwrite a part of the content with zeros, as a disk may return it."""
    content[start:end] = bytes(len(content[start:end]))


def flip_all_of(needle: bytes, content: bytearray) -> None:
    """Flip a bit wherever some bytes occur."""
    position = content.find(needle)
    while position >= 0:
        content[position] ^= 1
        position = content.find(needle, position + 1)


def page_of(kind: int, content: bytearray, number: int) -> int:
    """Return where the page with this number among those of one kind begins."""
    starts = [start for start in range(4096, len(content), 4096) if content[start] == kind]
    return starts[number]


def destroy_page(kind: int, number: int, content: bytearray) -> None:
    """Overwrite a page of a table or an index with zeros."""
    start = page_of(kind, content, number)
    zero(start, start + 4096, content)


def destroy_pages(kind: int, content: bytearray) -> None:
    """Overwrite every page of one kind with zeros, except the first page of the file."""
    for start in range(4096, len(content), 4096):
        if content[start] == kind:
            zero(start, start + 4096, content)


def set_type(content: bytearray) -> None:
    """Change the type of every page of a table."""
    for start in range(4096, len(content), 4096):
        if content[start] == LEAF:
            content[start] = INTERIOR


def destroy_pointers(content: bytearray) -> None:
    """Overwrite the beginning of a page, which tells where its rows are."""
    start = page_of(LEAF, content, 3)
    zero(start, start + 40, content)


def set_version(content: bytearray) -> None:
    """Let the header state a version that does not exist yet."""
    content[63] = 99


LEAF, INTERIOR, INDEX = 0x0D, 0x05, 0x0A
# Damages that lose no row, since each row can be found without them.
HARMLESS = {
    "no header": functools.partial(zero, 0, 100),
    "no first page": functools.partial(zero, 0, 4096),
    "the pages that point to the others": functools.partial(destroy_pages, INTERIOR),
    "a page of an index": functools.partial(destroy_page, INDEX, 0),
    "every index": functools.partial(destroy_pages, INDEX),
    "the type of each page": set_type,
    "the pointers of a page": destroy_pointers,
    "its version": set_version,
    "the names of its columns": functools.partial(flip_all_of, b"destination  TEXT"),
}


def damage(file: Path, change) -> bytes:
    """Change the content of the ledger file, and return it."""
    content = bytearray(file.read_bytes())
    before = bytes(content)
    change(content)
    assert content != before
    file.write_bytes(content)
    return bytes(content)


def kept_files(file: Path) -> list[Path]:
    return sorted(file.parent.glob("ledger.damaged-*.sqlite3"))


def assert_whole(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert ledger.execute("PRAGMA foreign_key_check").fetchall() == []
    assert file.stat().st_mode & 0o077 == 0 or os.name == "nt"


@pytest.mark.parametrize("name", HARMLESS)
def test_a_repair_finds_every_row_without_what_only_leads_to_them(run, file, listed, name) -> None:
    content = damage(file, HARMLESS[name])
    told = run("receipts")
    assert told.code == 8
    assert "docsend receipts repair" in told.err
    repaired = run("receipts", "repair", "--json")
    assert repaired.code == 0, repaired.err
    assert repaired.json["submissions"] == {"kept": COUNT, "unconfirmed": 0, "lost": 0}
    assert repaired.json["documents"] == {"kept": COUNT, "lost": 0}
    assert run("receipts", "--json").json["receipts"] == listed
    (kept,) = kept_files(file)
    assert (str(kept), kept.read_bytes()) == (repaired.json["kept_as"], content)
    assert kept.stat().st_mode & 0o077 == 0 or os.name == "nt"
    assert_whole(file)
    assert not list(file.parent.glob(".ledger-repair-*")), "no scratch folder is left"


def test_a_repair_counts_what_is_lost_with_a_page(run, file, listed, shared_sandbox, tmp_path) -> None:
    before = shared_sandbox.count()
    damage(file, functools.partial(destroy_page, LEAF, 2))
    repaired = run("receipts", "repair", "--json").json
    submissions = repaired["submissions"]
    assert submissions["kept"] + submissions["lost"] == COUNT
    assert submissions["lost"] + repaired["documents"]["lost"] > 0
    after = run("receipts", "--json").json["receipts"]
    assert [row for row in listed if row in after] == after
    # The service recognizes the lost ones.
    again = run("send", "--batch", tmp_path / "rows.csv", "--service", shared_sandbox.url)
    assert again.code == 0
    assert shared_sandbox.count() == before
    assert len(run("receipts", "--json").json["receipts"]) == COUNT


def test_a_damaged_row_becomes_unfinished_and_the_service_tells_what_became_of_it(run, file, listed) -> None:
    damage(file, functools.partial(flip_all_of, b"benefitsunemployment"))
    repaired = run("receipts", "repair", "--json")
    assert repaired.json["submissions"] == {"kept": COUNT, "unconfirmed": COUNT, "lost": 0}
    after = run("receipts", "--json").json["receipts"]
    assert {(row["state"], row["receipt"]) for row in after} == {("sending", None)}
    assert run("receipts", "resume").code == 0
    receipts = [
        {row["key"]: row["receipt"] for row in rows}
        for rows in (listed, run("receipts", "--json").json["receipts"])
    ]
    assert receipts[0] == receipts[1]


def test_documents_that_are_lost_are_taken_from_the_receipt(run, file, listed, tmp_path) -> None:
    damage(file, functools.partial(flip_all_of, bytes(tmp_path)))
    repaired = run("receipts", "repair", "--json")
    assert repaired.json["submissions"] == {"kept": COUNT, "unconfirmed": 0, "lost": 0}
    assert repaired.json["documents"] == {"kept": COUNT, "lost": 0}
    assert run("receipts", "--json").json["receipts"] == listed
    (shown,) = run("receipts", "show", listed[0]["key"], "--json").json["receipts"]
    named = [(document["name"], document["sha256"]) for document in shown["documents"]]
    assert named == [(document["name"], document["sha256"]) for document in shown["receipt"]["documents"]]


def test_an_unfinished_submission_without_its_documents_is_finished_by_the_same_command(
    run, file, shared_sandbox, tmp_path
) -> None:
    checked = checked_submission(tmp_path)
    with Ledger(file) as ledger:
        ledger.record_plan(shared_sandbox.url, checked)
    damage(file, functools.partial(flip_all_of, bytes(tmp_path)))
    repaired = run("receipts", "repair", "--json")
    assert repaired.json["submissions"] == {"kept": 1, "unconfirmed": 0, "lost": 0}
    assert repaired.json["documents"] == {"kept": 0, "lost": 1}
    outcome = run("send", tmp_path / "payslip.pdf", *SEND, "--service", shared_sandbox.url)
    assert (outcome.code, outcome.json["key"]) == (0, checked.key)
    assert run("receipts", "export", checked.key, "--format", "text").code == 0


def test_a_ledger_that_is_not_damaged_is_left_as_it_is(run, file, listed) -> None:
    content = file.read_bytes()
    outcome = run("receipts", "repair", "--json")
    assert (outcome.code, outcome.json["was_damaged"], outcome.json["kept_as"]) == (0, False, None)
    assert outcome.json["submissions"]["kept"] == COUNT
    assert (file.read_bytes(), kept_files(file)) == (content, [])
    assert "not damaged" in run("receipts", "repair").err


def test_without_a_ledger_there_is_nothing_to_repair(run, file) -> None:
    assert run("receipts", "repair").code == 0
    assert not file.exists()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"\0" * 50_000, b"xy"])
def test_a_file_of_which_nothing_can_be_read_stays_and_the_last_resort_is_named(run, file, content) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    outcome = run("receipts", "repair")
    assert outcome.code == 8
    assert "as the last resort, move it aside" in outcome.err
    assert file.read_bytes() == content
    assert kept_files(file) == []


def test_a_damaged_receipt_stays_until_the_service_is_asked(run, file, listed) -> None:
    change_receipt(file, with_member("number", value="OTHER-1"))
    outcome = run("receipts", "repair", "--json")
    assert (outcome.code, outcome.json["was_damaged"]) == (8, False)
    assert sorted(outcome.json["damaged_receipts"]) == sorted(row["key"] for row in listed)
    assert "docsend receipts show KEY --ask" in outcome.err
    damage(file, HARMLESS["no header"])
    assert len(run("receipts", "repair", "--json").json["damaged_receipts"]) == COUNT


def test_a_ledger_of_version_0_1_0_is_repaired_too(run, file, listed) -> None:
    old_ledgers.rewrite_as(file, 3)
    damage(file, HARMLESS["no header"])
    repaired = run("receipts", "repair", "--json")
    assert (repaired.code, repaired.json["submissions"]["kept"]) == (0, COUNT)
    assert run("receipts", "--json").json["receipts"] == listed


def test_a_ledger_of_a_newer_docsend_is_not_repaired(run, file) -> None:
    file.parent.mkdir()
    with contextlib.closing(sqlite3.connect(file)) as newer:
        newer.execute("CREATE TABLE submission (service, key, more)")
        newer.execute("PRAGMA user_version = 99")
    content = file.read_bytes()
    outcome = run("receipts", "repair")
    assert outcome.code == 8
    assert "newer docsend" in outcome.err
    assert (file.read_bytes(), kept_files(file)) == (content, [])


@pytest.mark.parametrize("has_fingerprint", [True, False])
def test_a_repair_says_that_the_key_file_is_missing(run, file, listed, payslip, has_fingerprint) -> None:
    key = file.with_suffix(".key")
    content = key.read_bytes()
    if not has_fingerprint:
        with damaged_ledgers.opened(file) as connection:
            connection.execute("DELETE FROM identity_key")
    damage(file, HARMLESS["no header"])
    key.unlink()
    outcome = run("receipts", "repair", "--json")
    assert (outcome.code, outcome.json["key_file_is_usable"]) == (8, False)
    assert "restore it from a backup" in outcome.err
    assert run("receipts", "--json").json["receipts"] == listed
    assert run("send", payslip, *SEND, "--service", "http://127.0.0.1:9").code == 8
    assert not key.exists(), "a new key would recognize nobody"
    key.write_bytes(content)
    assert run("receipts", "repair").code == 0
    assert run("send", payslip, *SEND, "--service", "http://127.0.0.1:9").code == 6


def test_a_repair_does_not_replace_a_ledger_that_another_process_uses(run, file, listed) -> None:
    content = damage(file, functools.partial(destroy_page, INDEX, 0))
    with contextlib.suppress(Exception), Ledger(file):
        pytest.fail("a damaged ledger was opened")
    script = (
        "import pathlib, sys\n"
        "from docsend.storage import use_lock\n"
        "with use_lock.shared(pathlib.Path(sys.argv[1]), timeout_s=5):\n"
        "    print(flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        outcome = run("receipts", "repair")
        other.communicate()
    assert outcome.code == 8
    assert "another docsend is using the ledger" in outcome.err
    assert file.read_bytes() == content
    assert run("receipts", "repair").code == 0


def test_a_transaction_that_was_cut_off_is_undone_and_its_journal_kept(run, file, listed) -> None:
    # A copy in the middle of a transaction is what a killed process leaves behind.
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE submission SET reference = 'half written' || reference")
    connection.execute("UPDATE document SET path = 'half written' || path")
    cut_off = {path.name: path.read_bytes() for path in file.parent.glob("ledger.sqlite3*")}
    connection.execute("ROLLBACK")
    connection.close()
    for name, content in cut_off.items():
        (file.parent / name).write_bytes(content)
    assert cut_off["ledger.sqlite3-journal"]
    damage(file, functools.partial(destroy_page, INDEX, 0))
    repaired = run("receipts", "repair", "--json")
    assert repaired.json["submissions"] == {"kept": COUNT, "unconfirmed": 0, "lost": 0}
    assert run("receipts", "--json").json["receipts"] == listed
    (kept,) = kept_files(file)
    journal = kept.with_name(f"{kept.name}-journal")
    assert journal.read_bytes() == cut_off["ledger.sqlite3-journal"]


def test_a_full_disk_during_a_repair_is_told_and_the_ledger_stays(run, spawn, file, listed) -> None:
    content = damage(file, HARMLESS["no header"])

    def limit_file_size() -> None:  # every write beyond 32 KiB fails, as on a full disk
        if sys.platform == "win32":
            raise NotImplementedError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, 32 * 1024))

    outcome = spawn("receipts", "repair", "--json", preexec_fn=limit_file_size)
    assert outcome.code == 8, outcome.err
    assert "the damaged ledger is still there" in outcome.err
    assert (file.read_bytes(), kept_files(file)) == (content, [])
    assert not list(file.parent.glob(".ledger-repair-*"))
    assert run("receipts", "repair").code == 0
    assert run("receipts", "--json").json["receipts"] == listed


def test_a_second_repair_does_not_overwrite_the_first_damaged_file(run, file, listed) -> None:
    contents: set[bytes] = set()
    for _ in range(3):
        contents.add(damage(file, lambda content: zero(0, 99 - len(contents), content)))
        assert run("receipts", "repair").code == 0
    assert {kept.read_bytes() for kept in kept_files(file)} == contents
    assert len(contents) == 3


def test_a_repair_without_links_keeps_a_copy(run, file, listed, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    content = damage(file, HARMLESS["no header"])
    assert run("receipts", "repair").code == 0
    assert [kept.read_bytes() for kept in kept_files(file)] == [content]


def test_a_link_to_the_ledger_stays_a_link(run, file, listed, tmp_path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(file, elsewhere / "real.sqlite3")
    file.symlink_to(elsewhere / "real.sqlite3")
    damage(file, HARMLESS["no header"])
    assert run("receipts", "repair").code == 0
    assert file.is_symlink()
    assert run("receipts", "--json").json["receipts"] == listed
