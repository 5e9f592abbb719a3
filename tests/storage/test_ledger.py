"""The ledger keeps what it was told, in one direction only, and nothing that it should not know."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

import doubles
import samples
from conftest import ABOUT, WHO, goes_staged
from declarations import checked_submission
from docsend.errors import LocalError
from docsend.model.submission import PASSED_ALL_RULES
from docsend.storage import receipts
from docsend.storage.ledger import Ledger, LedgerEntry

pytestmark = pytest.mark.everywhere

SEND = (*ABOUT, *WHO)
RECEIPT = (
    b'{"branch":{"code":"haifa","name":{"en":"Haifa"}},"documents":[{"bytes":1,"name":"a.pdf","sha256":"00"}],'
    b'"issuer":"a test","key":"K","number":"1","received_at":"2026-11-23T00:00:00Z"}'
)


def found(ledger: Ledger, key: str) -> LedgerEntry:
    entry = ledger.find("sandbox", key)
    assert entry is not None
    return entry


@pytest.fixture
def kept(run, shared_sandbox, payslip, home):
    """Send one document; give its key and the ledger's file."""
    result = run(
        "send", payslip, *SEND, "--service", shared_sandbox.url, "--json", "--reference", "kept"
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
def test_a_received_submission_never_changes_whoever_tries(kept, sql) -> None:
    _, file = kept
    connection = sqlite3.connect(file)
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        connection.execute(sql)
    connection.close()


def test_a_withdrawn_submission_never_changes_either(kept) -> None:
    _, file = kept
    connection = sqlite3.connect(file)
    connection.execute(
        "INSERT INTO submission (service, key, state, destination, category, type, occurrence, planned_at,"
        " changed_at) VALUES ('sandbox', 'K', 'withdrawn', 'benefits', 'employer', 'payslips', 1, '', '')"
    )
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        connection.execute("UPDATE submission SET state = 'planned' WHERE key = 'K'")
    connection.close()


def test_it_syncs_every_commit_and_keeps_a_rollback_journal(kept) -> None:
    _, file = kept
    with Ledger(file) as ledger:
        pragmas = {
            name: ledger._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "truncate", "synchronous": 2, "foreign_keys": 1}


def test_receipts_lists_the_latest_first_and_shows_one_by_the_start_of_its_key(run, kept) -> None:
    key, _ = kept
    listed = run("receipts", "--json").json
    assert [(row["key"], row["state"], row["reference"]) for row in listed["receipts"]] == [
        (key, "received", "kept")
    ]
    shown = run("receipts", "show", key[:8].lower(), "--json").json["receipts"][0]
    assert shown["receipt"] == listed["receipts"][0]["receipt"]
    assert [document["name"] for document in shown["documents"]] == ["payslip.pdf"]
    for outcome in (run("receipts"), run("receipts", "show", key[:8])):
        assert outcome.code == 0
        assert "SANDBOX-" in outcome.out


def test_an_empty_ledger_says_so(run) -> None:
    outcome = run("receipts")
    assert (outcome.code, outcome.out) == (0, "")
    assert "nothing has been sent from here yet" in outcome.err
    assert run("receipts", "--json").json["receipts"] == []


def test_an_unknown_key_is_a_usage_fault(run) -> None:
    outcome = run("receipts", "show", "ZZZZZZZZ")
    assert outcome.code == 2
    assert "no key that begins with 'ZZZZZZZZ'" in outcome.err


def test_one_key_at_two_services_asks_for_more(run, kept, sandbox, payslip) -> None:
    key, _ = kept
    run("send", payslip, *SEND, "--service", sandbox.url, "--reference", "kept")
    outcome = run("receipts", "show", key)
    assert outcome.code == 2
    assert sandbox.url in outcome.err
    assert (
        run("receipts", "show", key, "--service", sandbox.url, "--json").json["receipts"][0]["service"]
        == sandbox.url
    )


def test_times_are_utc_and_come_from_the_clock_it_was_given(tmp_path) -> None:
    noon = datetime(2026, 11, 23, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    with Ledger(tmp_path / "ledger", now=lambda: noon) as ledger:
        entry = ledger.record_plan("sandbox", checked_submission(tmp_path))
    assert entry.planned_at == "2026-11-23T12:00:00.000Z"


def test_eight_writers_at_once_lose_nothing(tmp_path) -> None:
    one = checked_submission(tmp_path)
    failures: list[BaseException] = []

    def write(worker: int) -> None:
        try:
            with Ledger(tmp_path / "ledger") as ledger:
                for number in range(25):
                    ledger.record_plan(f"https://{worker}.example", one.with_occurrence(number + 1))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it fails the test
            failures.append(error)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with Ledger(tmp_path / "ledger") as ledger:
        assert len(list(ledger.entries())) == 200


def test_a_ledger_that_lacks_a_table_is_a_local_failure(kept) -> None:
    key, file = kept
    connection = sqlite3.connect(file)
    connection.execute("DROP TABLE document")
    connection.close()
    with Ledger(file) as ledger, pytest.raises(LocalError, match="no such table"):
        ledger.find_by_prefix(key)


def test_names_of_any_kind_are_kept(run, shared_sandbox, tmp_path) -> None:
    odd = samples.write(tmp_path, "תלוש [bold]שכר[red].pdf", samples.pdf(5))
    key = run("send", odd, *SEND, "--service", shared_sandbox.url, "--json").json["key"]
    assert odd.name in run("receipts", "show", key).out


# -- withdrawing -------------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(run, sandbox, payslip):
    """Declare a submission at the sandbox and get no further; give its key."""

    def fate(asked, _count, now):
        gone = now == "before" and "/documents/" in asked.path
        return doubles.Reply(503, headers={"Retry-After": "999"}) if gone else None

    with doubles.relay(sandbox.url, fate) as (url, _):
        goes_staged(url)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
        assert outcome.code == 6
        yield outcome.json["key"], url


def test_what_was_not_received_can_be_withdrawn_and_then_never_is(run, sandbox, interrupted, payslip) -> None:
    key, url = interrupted
    outcome = run("receipts", "withdraw", key, "--json")
    assert (outcome.code, outcome.json["receipts"][0]["state"]) == (0, "withdrawn")
    assert sandbox.state(key) == "withdrawn"
    assert run("receipts", "withdraw", key).code == 0, "a second time changes nothing"
    refused = run("send", payslip, *SEND, "--service", url, "--json")
    assert (refused.code, refused.problems) == (5, ["withdrawn"])
    assert "--again" in refused.err
    # At the sandbox's own address this ledger knows nothing of the key yet, and learns that it is fenced off.
    again = ("send", payslip, *SEND, "--service", sandbox.url, "--json", "--again")
    assert run(*again).problems == ["withdrawn"]
    once_more = run(*again)
    assert (once_more.code, once_more.json["key"] == key) == (0, False)


def test_what_has_been_received_cannot_be_withdrawn(run, kept) -> None:
    key, _ = kept
    outcome = run("receipts", "withdraw", key, "--json")
    assert (outcome.code, outcome.json["status"]) == (5, "refused")


def test_a_withdrawal_that_comes_too_late_brings_the_receipt_home(run, sandbox, payslip) -> None:
    lost: list[bool] = []

    def fate(asked, _count, now):
        if now == "after" and asked.method == "PUT":
            lost.append(True)
            return doubles.Reply(503, headers={"Retry-After": "999"})
        return None

    with doubles.relay(sandbox.url, fate) as (url, _):
        key = run("send", payslip, *SEND, "--service", url, "--json").json["key"]
        assert lost
        assert run("receipts", "show", key, "--json").json["receipts"][0]["state"] == "sending"
        asked = run("receipts", "show", key, "--ask")
        assert "the service says: received" in asked.err
        outcome = run("receipts", "withdraw", key)
    assert outcome.code == 5
    shown = run("receipts", "show", key, "--json").json["receipts"][0]
    assert (shown["state"], shown["receipt"]["number"]) == ("received", "SANDBOX-000001")


def test_the_service_can_be_asked_for_what_it_lacks(run, interrupted) -> None:
    key, _ = interrupted
    assert "the service says: open, lacking 1 document\n" in run("receipts", "show", key, "--ask").err


@pytest.mark.parametrize("key", ["", "A", "ABCDEFG"])
def test_too_little_of_a_key_means_no_submission(run, kept, key) -> None:
    assert run("receipts", "show", key).code == 2


def test_a_withdrawal_needs_the_whole_key(run, interrupted) -> None:
    key, _ = interrupted
    for part in ("", key[:8], key[:-1]):
        assert run("receipts", "withdraw", part).code == 2
    assert run("receipts", "show", key, "--json").json["receipts"][0]["state"] == "open"


def test_what_the_ledger_holds_as_withdrawn_is_refused_without_asking(
    run, sandbox, payslip, interrupted
) -> None:
    key, url = interrupted
    assert run("receipts", "withdraw", key).code == 0
    # A service that has forgotten the withdrawal would receive it: nobody is asked.
    with sqlite3.connect(sandbox.folder / "sandbox.sqlite3") as connection:
        connection.execute("DELETE FROM submission WHERE key = ?", (key,))
    connection.close()
    outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.problems) == (5, ["withdrawn"])
    assert sandbox.state(key) is None
    assert run("receipts", "show", key, "--json").json["receipts"][0]["state"] == "withdrawn"


def test_a_receipt_that_cannot_be_kept_is_never_called_received(tmp_path, run, kept) -> None:
    _, file = kept
    body = run("receipts", "--json").json["receipts"][0]["receipt"]
    assert body
    one = checked_submission(tmp_path)
    with Ledger(tmp_path / "ledger") as ledger, Ledger(file) as other:
        receipt = receipts.stored_receipt(next(other.entries()))
        assert receipt is not None
        ledger.record_plan("sandbox", one)
        ledger.record_withdrawn("sandbox", one.key)
        with pytest.raises(LocalError, match="holds as withdrawn"):
            ledger.record_receipt("sandbox", one.key, receipt)


# -- many threads ------------------------------------------------------------------------------------------


def test_what_is_planned_or_kept_together_is_one_commit(tmp_path) -> None:
    plans = [checked_submission(tmp_path).with_occurrence(occurrence) for occurrence in range(1, 21)]
    receipt = receipts.read(RECEIPT)
    commits: list[str] = []
    with Ledger(tmp_path / "ledger") as ledger:
        ledger._connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        assert [entry.state for entry in ledger.record_plans("sandbox", plans)] == ["planned"] * 20
        ledger.record_receipts("sandbox", {one.key: receipt for one in plans})
        assert len(commits) == 2
        assert ledger.record_plans("sandbox", []) == []
        ledger.record_receipts("sandbox", {})
        assert len(commits) == 2, "nothing to write is no commit"
        assert {entry.state for entry in ledger.entries()} == {"received"}


def test_planning_again_gives_what_is_known_and_changes_nothing(tmp_path) -> None:
    one = checked_submission(tmp_path)
    with Ledger(tmp_path / "ledger") as ledger:
        planned = ledger.record_plan("sandbox", one)
        assert planned.is_newly_planned
        known = planned._replace(is_newly_planned=False)
        assert known == ledger.record_plan("sandbox", one) == found(ledger, one.key)._replace(documents=())
        ledger.record_refused("sandbox", one.key, "key-reused")
        again = ledger.record_plan("sandbox", one)
        assert (again.state, again.problem, again.planned_at) == ("planned", None, planned.planned_at)
        assert again == found(ledger, one.key)._replace(documents=(), is_newly_planned=True)


def test_a_receipt_that_cannot_be_kept_keeps_no_other_from_the_disk(tmp_path) -> None:
    plans = [checked_submission(tmp_path).with_occurrence(occurrence) for occurrence in range(1, 4)]
    receipt = receipts.read(RECEIPT)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record_plans("sandbox", plans)
        ledger.record_withdrawn("sandbox", plans[1].key)
        (failure,) = ledger.record_receipts("sandbox", {one.key: receipt for one in plans}).items()
        assert (failure[0], "holds as withdrawn" in str(failure[1])) == (plans[1].key, True)
        states = [found(ledger, one.key).state for one in plans]
    assert states == ["received", "withdrawn", "received"]


def test_a_note_is_written_before_anybody_looks_and_before_the_ledger_is_closed(tmp_path) -> None:
    one = checked_submission(tmp_path)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record_plan("sandbox", one)
        ledger.record_open("sandbox", one.key)
        assert found(ledger, one.key).state == "open"
        ledger.record_sending("sandbox", one.key)
    with Ledger(tmp_path / "ledger") as ledger:
        assert found(ledger, one.key).state == "sending"


def test_a_note_that_the_end_has_overtaken_changes_nothing(tmp_path) -> None:
    one = checked_submission(tmp_path)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record_plan("sandbox", one)
        ledger.record_sending("sandbox", one.key)
        ledger.record_refused("sandbox", one.key, "key-reused")
        assert found(ledger, one.key).state == "refused"


def test_a_change_that_fails_leaves_nothing_behind_and_the_next_one_its_turn(tmp_path) -> None:
    one, other = checked_submission(tmp_path), checked_submission(tmp_path).with_occurrence(2)
    # SQLite refuses a submission without a category.
    incomplete = replace(other, category=None, token=PASSED_ALL_RULES)  # type: ignore[arg-type]
    with Ledger(tmp_path / "ledger") as ledger:
        with pytest.raises(LocalError, match="category"):
            ledger.record_plans("sandbox", [one, incomplete])
        assert list(ledger.entries()) == []
        assert ledger.record_plan("sandbox", one).state == "planned"


def test_many_threads_over_two_openings_of_one_ledger_lose_nothing(tmp_path) -> None:
    plans = [checked_submission(tmp_path).with_occurrence(occurrence) for occurrence in range(1, 61)]
    receipt = receipts.read(RECEIPT)
    failed: list[BaseException] = []

    def work(ledger, mine) -> None:
        try:
            for one in mine:
                assert ledger.plan("sandbox", one).state in ("planned", "open", "sending", "received")
                ledger.opened("sandbox", one.key)
                ledger.sending("sandbox", one.key)
                ledger.received("sandbox", one.key, receipt)
                assert ledger.find("sandbox", one.key).receipt == receipt.body
        except BaseException as error:  # noqa: BLE001 - held against what is expected
            failed.append(error)

    with Ledger(tmp_path / "ledger") as here, Ledger(tmp_path / "ledger") as there:
        threads = [
            threading.Thread(target=work, args=(ledger, plans[start::6]))
            for ledger in (here, there)
            for start in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failed == []
        assert [entry.state for entry in here.entries()] == ["received"] * 60


def test_a_ledger_of_the_version_before_gets_its_indexes_and_keeps_what_it_has(
    run, shared_sandbox, payslip, home
) -> None:
    sent = run("send", payslip, *ABOUT, *WHO, "--service", shared_sandbox.url, "--json").json
    file = home / "docsend" / "ledger.sqlite3"
    with sqlite3.connect(file) as before:
        for name in ("submission_unfinished", "submission_required"):
            before.execute(f"DROP INDEX {name}")
        before.execute("PRAGMA user_version = 2")
    before.close()
    assert run("receipts", "show", sent["key"], "--json").json["receipts"][0]["receipt"] == sent["receipt"]
    after = sqlite3.connect(file)
    names = {name for (name,) in after.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert {"submission_unfinished", "submission_required"} <= names
    assert after.execute("PRAGMA user_version").fetchone() == (3,)
    after.close()
