"""The ledger stores submissions and receipts, and states change in one direction only."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

import doubles
import old_ledgers
import samples
from conftest import ABOUT, WHO, force_staged_upload
from declarations import checked_submission, different_submissions
from docsend.errors import LocalError
from docsend.model.submission import PASSED_ALL_RULES, CheckedSubmission
from docsend.storage import ledger_rows, receipts
from docsend.storage.earlier import NotPlanned
from docsend.storage.ledger import Ledger

if TYPE_CHECKING:
    from docsend.storage.ledger_rows import LedgerEntry

pytestmark = pytest.mark.everywhere

SEND = (*ABOUT, *WHO)
RECEIPT = (
    b'{"branch":{"code":"haifa","name":{"en":"Haifa"}},"documents":[{"bytes":1,"name":"a.pdf","sha256":"00"}],'
    b'"issuer":"a test","key":"K","number":"1","received_at":"2026-11-23T00:00:00Z"}'
)


def plan(ledger: Ledger, one: CheckedSubmission) -> LedgerEntry:
    (entry,) = plan_all(ledger, [one])
    return entry


def plan_all(ledger: Ledger, submissions: list[CheckedSubmission]) -> list[LedgerEntry]:
    entries = ledger.record_plans("sandbox", submissions)
    planned = [entry for entry in entries if not isinstance(entry, NotPlanned)]
    assert len(planned) == len(submissions)
    return planned


def find(ledger: Ledger, key: str) -> LedgerEntry:
    entry = ledger.find("sandbox", key)
    assert entry is not None
    return entry


@pytest.fixture
def sent(run, shared_sandbox, payslip, home):
    """Send one document, and return its key and the path of the ledger."""
    result = run(
        "send", payslip, *SEND, "--service", shared_sandbox.url, "--json", "--reference", "client 1"
    ).json
    return result["key"], home / "docsend" / "ledger.sqlite3"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE submission SET state = 'planned', receipt = NULL",
        "UPDATE submission SET state = 'refused', receipt = NULL",
        "UPDATE submission SET receipt = x'00'",
    ],
)
def test_a_received_submission_never_changes_whoever_tries(sent, sql) -> None:
    _, file = sent
    connection = sqlite3.connect(file)
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        connection.execute(sql)
    connection.close()


def test_a_withdrawn_submission_never_changes_either(sent) -> None:
    _, file = sent
    connection = sqlite3.connect(file)
    connection.execute(
        "INSERT INTO submission (service, key, state, destination, category, type, occurrence, planned_at,"
        " changed_at) VALUES ('sandbox', 'K', 'withdrawn', 'benefits', 'employer', 'payslips', 1, '', '')"
    )
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        connection.execute("UPDATE submission SET state = 'planned' WHERE key = 'K'")
    connection.close()


def test_the_ledger_syncs_every_commit_and_uses_a_rollback_journal(sent) -> None:
    _, file = sent
    with Ledger(file) as ledger:
        pragmas = {
            name: ledger._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "truncate", "synchronous": 2, "foreign_keys": 1}


def test_receipts_lists_the_newest_first_and_shows_one_by_the_prefix_of_its_key(run, sent) -> None:
    key, _ = sent
    listed = run("receipts", "--json").json
    assert [(row["key"], row["state"], row["reference"]) for row in listed["receipts"]] == [
        (key, "received", "client 1")
    ]
    shown = run("receipts", "show", key[:8].lower(), "--json").json["receipts"][0]
    assert shown["receipt"] == listed["receipts"][0]["receipt"]
    assert [document["name"] for document in shown["documents"]] == ["payslip.pdf"]
    for outcome in (run("receipts"), run("receipts", "show", key[:8])):
        assert outcome.code == 0
        assert "SANDBOX-" in outcome.out


def test_an_empty_ledger_is_reported_as_empty(run) -> None:
    outcome = run("receipts")
    assert (outcome.code, outcome.out) == (0, "")
    assert "nothing has been sent from this computer yet" in outcome.err
    assert run("receipts", "--json").json["receipts"] == []


def test_an_unknown_key_is_a_usage_error(run) -> None:
    outcome = run("receipts", "show", "ZZZZZZZZ")
    assert outcome.code == 2
    assert "no key in the ledger starts with 'ZZZZZZZZ'" in outcome.err


def test_a_key_at_two_services_needs_the_service_as_well(run, sent, sandbox, payslip) -> None:
    key, _ = sent
    run("send", payslip, *SEND, "--service", sandbox.url, "--reference", "client 1")
    outcome = run("receipts", "show", key)
    assert outcome.code == 2
    assert sandbox.url in outcome.err
    assert (
        run("receipts", "show", key, "--service", sandbox.url, "--json").json["receipts"][0]["service"]
        == sandbox.url
    )


def test_times_are_utc_and_come_from_the_given_clock(tmp_path) -> None:
    noon = datetime(2026, 11, 23, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    with Ledger(tmp_path / "ledger", now=lambda: noon) as ledger:
        entry = plan(ledger, checked_submission(tmp_path))
    assert entry.planned_at == "2026-11-23T12:00:00.000Z"


def test_eight_writers_at_once_lose_nothing(tmp_path) -> None:
    submissions = different_submissions(tmp_path, 25)
    failures: list[BaseException] = []

    def write(worker: int) -> None:
        try:
            with Ledger(tmp_path / "ledger") as ledger:
                for one in submissions:
                    ledger.record_plan(f"https://{worker}.example", one)
        except BaseException as error:  # noqa: BLE001 - every error fails the test
            failures.append(error)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with Ledger(tmp_path / "ledger") as ledger:
        assert len(list(ledger.entries())) == 200


def test_a_ledger_without_a_table_is_a_local_error(sent) -> None:
    key, file = sent
    connection = sqlite3.connect(file)
    connection.execute("DROP TABLE document")
    connection.close()
    with Ledger(file) as ledger, pytest.raises(LocalError, match="no such table"):
        ledger.find_by_prefix(key)


def test_unusual_file_names_are_stored_unchanged(run, shared_sandbox, tmp_path) -> None:
    odd = samples.write(tmp_path, "תלוש [bold]שכר[red].pdf", samples.pdf(5))
    key = run("send", odd, *SEND, "--service", shared_sandbox.url, "--json").json["key"]
    assert odd.name in run("receipts", "show", key).out


# -- withdrawing -------------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(run, sandbox, payslip):
    """Declare a submission at the sandbox without sending it, and yield its key and the service's URL."""

    def intercept(request, _count, phase):
        is_busy = phase == "before" and "/documents/" in request.path
        return doubles.Reply(503, headers={"Retry-After": "999"}) if is_busy else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        force_staged_upload(url)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
        assert outcome.code == 6
        yield outcome.json["key"], url


def test_a_withdrawn_submission_is_never_received(run, sandbox, interrupted, payslip) -> None:
    key, url = interrupted
    outcome = run("receipts", "withdraw", key, "--json")
    assert (outcome.code, outcome.json["receipts"][0]["state"]) == (0, "withdrawn")
    assert sandbox.state(key) == "withdrawn"
    assert run("receipts", "withdraw", key).code == 0, "a second time changes nothing"
    refused = run("send", payslip, *SEND, "--service", url, "--json")
    assert (refused.code, refused.problems) == (5, ["withdrawn"])
    assert "--occurrence 2" in refused.err
    # Under the sandbox's own address the ledger has no entry, and the service reports the withdrawal.
    second = ("send", payslip, *SEND, "--service", sandbox.url, "--json", "--occurrence", "2")
    sent = run(*second)
    assert (sent.code, sent.json["key"] == key) == (0, False)
    assert (run(*second).json["repeated"], sandbox.count()) == (True, 1)


def test_a_received_submission_cannot_be_withdrawn(run, sent) -> None:
    key, _ = sent
    outcome = run("receipts", "withdraw", key, "--json")
    assert (outcome.code, outcome.json["status"]) == (5, "refused")


def test_a_withdrawal_that_comes_too_late_stores_the_receipt(run, sandbox, payslip) -> None:
    lost: list[bool] = []

    def intercept(request, _count, phase):
        if phase == "after" and request.method == "PUT":
            lost.append(True)
            return doubles.Reply(503, headers={"Retry-After": "999"})
        return None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        key = run("send", payslip, *SEND, "--service", url, "--json").json["key"]
        assert lost
        assert run("receipts", "show", key, "--json").json["receipts"][0]["state"] == "sending"
        requests = run("receipts", "show", key, "--ask")
        assert "status at the service: received" in requests.err
        outcome = run("receipts", "withdraw", key)
    assert outcome.code == 5
    shown = run("receipts", "show", key, "--json").json["receipts"][0]
    assert (shown["state"], shown["receipt"]["number"]) == ("received", "SANDBOX-000001")


def test_the_service_can_be_asked_for_the_missing_documents(run, interrupted) -> None:
    key, _ = interrupted
    assert "status at the service: open, 1 document missing\n" in run("receipts", "show", key, "--ask").err


@pytest.mark.parametrize("key", ["", "A", "ABCDEFG"])
def test_a_key_prefix_that_is_too_short_is_refused(run, sent, key) -> None:
    assert run("receipts", "show", key).code == 2


def test_a_withdrawal_needs_the_complete_key(run, interrupted) -> None:
    key, _ = interrupted
    for prefix in ("", key[:8], key[:-1]):
        assert run("receipts", "withdraw", prefix).code == 2
    assert run("receipts", "show", key, "--json").json["receipts"][0]["state"] == "open"


def test_a_submission_withdrawn_in_the_ledger_is_refused_without_a_request(
    run, sandbox, payslip, interrupted
) -> None:
    key, url = interrupted
    assert run("receipts", "withdraw", key).code == 0
    # A service that has forgotten the withdrawal would receive it, so no request is made.
    with sqlite3.connect(sandbox.folder / "sandbox.sqlite3") as connection:
        connection.execute("DELETE FROM submission WHERE key = ?", (key,))
    connection.close()
    outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.problems) == (5, ["withdrawn"])
    assert sandbox.state(key) is None
    assert run("receipts", "show", key, "--json").json["receipts"][0]["state"] == "withdrawn"


def test_a_receipt_that_cannot_be_stored_is_never_reported_as_received(tmp_path, run, sent) -> None:
    _, file = sent
    body = run("receipts", "--json").json["receipts"][0]["receipt"]
    assert body
    one = checked_submission(tmp_path)
    with Ledger(tmp_path / "ledger") as ledger, Ledger(file) as other:
        receipt = receipts.stored_receipt(next(other.entries()))
        assert receipt is not None
        ledger.record_plan("sandbox", one)
        ledger.record_withdrawn("sandbox", one.key)
        with pytest.raises(LocalError, match="that is withdrawn in this ledger"):
            ledger.record_receipt("sandbox", one.key, receipt)


# -- batches and threads ------------------------------------------------------------------------------------


def test_plans_and_receipts_of_a_batch_take_one_commit_each(tmp_path) -> None:
    plans = different_submissions(tmp_path, 20)
    receipt = receipts.parse(RECEIPT)
    commits: list[str] = []
    with Ledger(tmp_path / "ledger") as ledger:
        ledger._connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        assert [entry.state for entry in plan_all(ledger, plans)] == ["planned"] * 20
        ledger.record_receipts("sandbox", {one.key: receipt for one in plans})
        assert len(commits) == 2
        assert ledger.record_plans("sandbox", []) == []
        ledger.record_receipts("sandbox", {})
        assert len(commits) == 2, "nothing to write takes no commit"
        assert {entry.state for entry in ledger.entries()} == {"received"}


def test_planning_again_returns_the_entry_and_changes_only_a_refused_one(tmp_path) -> None:
    one = checked_submission(tmp_path)
    with Ledger(tmp_path / "ledger") as ledger:
        planned = plan(ledger, one)
        assert planned.is_newly_planned
        known = planned._replace(is_newly_planned=False)
        assert known == plan(ledger, one) == find(ledger, one.key)._replace(documents=())
        ledger.record_refused("sandbox", one.key, "key-reused")
        again = plan(ledger, one)
        assert (again.state, again.problem, again.planned_at) == ("planned", None, again.changed_at)
        assert again == find(ledger, one.key)._replace(documents=(), is_newly_planned=True)


def test_a_receipt_that_cannot_be_stored_does_not_prevent_others_from_being_stored(tmp_path) -> None:
    plans = different_submissions(tmp_path, 3)
    receipt = receipts.parse(RECEIPT)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record_plans("sandbox", plans)
        ledger.record_withdrawn("sandbox", plans[1].key)
        (failure,) = ledger.record_receipts("sandbox", {one.key: receipt for one in plans}).items()
        assert (failure[0], "that is withdrawn in this ledger" in str(failure[1])) == (plans[1].key, True)
        states = [find(ledger, one.key).state for one in plans]
    assert states == ["received", "withdrawn", "received"]


def test_a_pending_state_is_written_before_a_query_and_before_the_ledger_is_closed(tmp_path) -> None:
    one = checked_submission(tmp_path)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record_plan("sandbox", one)
        ledger.record_open("sandbox", one.key)
        assert find(ledger, one.key).state == "open"
        ledger.record_sending("sandbox", one.key)
    with Ledger(tmp_path / "ledger") as ledger:
        assert find(ledger, one.key).state == "sending"


def test_a_pending_state_does_not_overwrite_a_final_state(tmp_path) -> None:
    one = checked_submission(tmp_path)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record_plan("sandbox", one)
        ledger.record_sending("sandbox", one.key)
        ledger.record_refused("sandbox", one.key, "key-reused")
        assert find(ledger, one.key).state == "refused"


def test_a_failed_change_is_rolled_back_and_the_next_one_succeeds(tmp_path) -> None:
    one, other = different_submissions(tmp_path, 2)
    incomplete = replace(other, category=None, token=PASSED_ALL_RULES)  # type: ignore[arg-type]  # SQLite refuses it
    with Ledger(tmp_path / "ledger") as ledger:
        with pytest.raises(LocalError, match="category"):
            ledger.record_plans("sandbox", [one, incomplete])
        assert list(ledger.entries()) == []
        assert plan(ledger, one).state == "planned"


def test_many_threads_with_two_connections_to_one_ledger_lose_nothing(tmp_path) -> None:
    plans = different_submissions(tmp_path, 60)
    receipt = receipts.parse(RECEIPT)
    errors: list[BaseException] = []

    def deliver(ledger: Ledger, submissions: list[CheckedSubmission]) -> None:
        try:
            for one in submissions:
                assert plan(ledger, one).state in ("planned", "open", "sending", "received")
                ledger.record_open("sandbox", one.key)
                ledger.record_sending("sandbox", one.key)
                ledger.record_receipt("sandbox", one.key, receipt)
                assert find(ledger, one.key).receipt == receipt.body
        except BaseException as error:  # noqa: BLE001 - every error fails the test
            errors.append(error)

    with Ledger(tmp_path / "ledger") as first, Ledger(tmp_path / "ledger") as second:
        threads = [
            threading.Thread(target=deliver, args=(ledger, plans[start::6]))
            for ledger in (first, second)
            for start in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []
        assert [entry.state for entry in first.entries()] == ["received"] * 60


@pytest.mark.parametrize("version", [2, 3])
def test_a_ledger_of_an_earlier_version_becomes_like_a_new_one_and_keeps_its_entries(
    run, shared_sandbox, payslip, home, tmp_path, version
) -> None:
    sent = run("send", payslip, *ABOUT, *WHO, "--service", shared_sandbox.url, "--json").json
    file = home / "docsend" / "ledger.sqlite3"
    old_ledgers.rewrite_as(file, version)
    shown = run("receipts", "show", sent["key"], "--json").json["receipts"][0]
    assert (shown["receipt"], shown["occurrence"]) == (sent["receipt"], 1)
    Ledger(tmp_path / "new.sqlite3").__exit__(None, None, None)
    assert old_ledgers.schema(file) == old_ledgers.schema(tmp_path / "new.sqlite3")
    with contextlib.closing(sqlite3.connect(file)) as after:
        assert after.execute("PRAGMA user_version").fetchone() == (4,)
        assert after.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_every_row_has_a_checksum_over_its_columns_however_it_was_written(
    run, shared_sandbox, payslip, home
) -> None:
    def send(reference: str) -> None:
        outcome = run(
            "send", payslip, *ABOUT, *WHO, "--service", shared_sandbox.url, "--reference", reference
        )
        assert outcome.code == 0

    file = home / "docsend" / "ledger.sqlite3"
    send("before the upgrade")
    old_ledgers.rewrite_as(file, 3)
    payslip.write_bytes(payslip.read_bytes() + b"% another\n")
    send("after it")
    with contextlib.closing(sqlite3.connect(file)) as ledger:
        submissions = ledger.execute("SELECT * FROM submission").fetchall()
        documents = ledger.execute("SELECT * FROM document").fetchall()
    assert (len(submissions), len(documents)) == (2, 2)
    assert [ledger_rows.checksum(*row[:-1]) for row in documents] == [row[-1] for row in documents]
    stored = [dict(zip(ledger_rows.SUBMISSION_COLUMNS, row, strict=False)) for row in submissions]
    assert [ledger_rows.submission_checksum(row) for row in stored] == [row[-1] for row in submissions]
    assert all(hashlib.sha256(row["receipt"]).digest() == row["receipt_sha256"] for row in stored)
    assert [row["document_count"] for row in stored] == [1, 1]


# -- the key of the identity digests ------------------------------------------------------------------------


def test_the_ledger_stores_no_identity_and_its_key_file_is_private(sent, home) -> None:
    _, file = sent
    key = file.with_suffix(".key")
    assert key.stat().st_mode & 0o077 == 0
    assert b"000000018" not in file.read_bytes()
    secret = bytes.fromhex(key.read_text(encoding="ascii"))
    assert secret not in file.read_bytes()


@pytest.mark.parametrize("damage", ["missing", "empty", "another", "no key"])
def test_without_its_key_file_a_ledger_sends_nothing_and_no_new_key_is_made(
    run, sent, shared_sandbox, payslip, damage
) -> None:
    _, file = sent
    key = file.with_suffix(".key")
    content = {"empty": "", "another": "00" * 32, "no key": "not a key"}.get(damage)
    original = key.read_bytes()
    if content is None:
        key.unlink()
    else:
        key.write_text(content, encoding="ascii")
    before = shared_sandbox.count()
    for reference in ("client 1", "client 2"):  # received before, and new
        outcome = run(
            "send", payslip, *SEND, "--service", shared_sandbox.url, "--reference", reference, "--json"
        )
        assert (outcome.code, outcome.problems) == (8, ["local-failure"])
        assert str(key) in outcome.err
    assert shared_sandbox.count() == before
    assert key.exists() == (content is not None)
    assert run("receipts").code == 0, "what was received can still be seen"
    key.write_bytes(original)
    assert run("send", payslip, *SEND, "--service", shared_sandbox.url, "--reference", "client 1").code == 0


def test_a_key_file_that_outlived_its_ledger_is_used_again(run, sent, shared_sandbox, payslip) -> None:
    _, file = sent
    key = file.with_suffix(".key").read_bytes()
    file.unlink()
    assert run("send", payslip, *SEND, "--service", shared_sandbox.url, "--reference", "client 1").code == 0
    assert file.with_suffix(".key").read_bytes() == key
