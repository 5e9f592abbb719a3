"""A kept receipt is believed only if it is what was stored and belongs to its own entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import damaged_ledgers
import samples
from conftest import ABOUT, WHO, RunningSandbox
from damaged_ledgers import change_receipt, with_member
from docsend.sandbox import server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.everywhere

SEND = (*ABOUT, *WHO, "--json")
# Damages that the checksum of the receipt finds. The others have a right checksum, as if they had been stored
# so: they belong to another submission.
DAMAGES = {
    "its key": with_member("key", value="A" * 52),
    "its number": with_member("number", value="SANDBOX-000000"),
    "its time": with_member("received_at", value="2001-01-01T00:00:00Z"),
    "a document's name": with_member("documents", 0, "name", value="other.pdf"),
    "a document's size": with_member("documents", 0, "bytes", value=7),
    "a document's digest": with_member("documents", 0, "sha256", value="0" * 64),
    "no document": with_member("documents", value=[]),
    "one byte": lambda receipt: receipt[:-3] + b"#" + receipt[-2:],
    "cut short": lambda receipt: receipt[:40],
    "nothing": lambda _receipt: b"",
    "not UTF-8": lambda receipt: receipt + b"\xff",
}
OF_ANOTHER_SUBMISSION = [name for name in DAMAGES if name not in ("its number", "its time")]
CASES = [
    *[pytest.param(name, False, id=name) for name in DAMAGES],
    *[pytest.param(name, True, id=f"{name}, stored so") for name in OF_ANOTHER_SUBMISSION],
]


@pytest.fixture
def ledger(home):
    """Return the path of the ledger."""
    return home / "docsend" / "ledger.sqlite3"


@pytest.fixture
def sent(run, sandbox, payslip):
    """Send one document to the sandbox, and return the outcome."""
    outcome = run("send", payslip, *SEND, "--service", sandbox.url)
    assert outcome.code == 0
    return outcome


def kept(run, key: str):
    return run("receipts", "show", key, "--json").json["receipts"][0]["receipt"]


@pytest.mark.parametrize(("damage", "is_stored_so"), CASES)
def test_a_damaged_receipt_is_asked_for_again_by_the_same_command(
    run, sandbox, payslip, sent, ledger, damage, is_stored_so
) -> None:
    change_receipt(ledger, DAMAGES[damage], with_checksums=is_stored_so)
    again = run("send", payslip, *SEND, "--service", sandbox.url)
    assert (again.code, again.json["repeated"]) == (0, True)
    assert again.json["receipt"] == sent.json["receipt"]
    assert kept(run, sent.json["key"]) == sent.json["receipt"], "the service's receipt is kept"
    assert sandbox.count() == 1


@pytest.mark.parametrize(("damage", "is_stored_so"), CASES)
def test_a_damaged_receipt_is_neither_shown_nor_exported(
    run, sent, ledger, tmp_path, damage, is_stored_so
) -> None:
    change_receipt(ledger, DAMAGES[damage], with_checksums=is_stored_so)
    key = sent.json["key"]
    for command in (
        ("receipts",),
        ("receipts", "show", key),
        *[
            ("receipts", "export", key, "--format", form, "--output", tmp_path / "proof")
            for form in ("pdf", "text", "json")
        ],
    ):
        outcome = run(*command)
        assert (outcome.code, outcome.out) == (8, ""), command
        assert f"the kept receipt of {key[:12]} is damaged" in outcome.err
        assert f"docsend receipts show {key[:12]} --ask" in outcome.err
    assert not (tmp_path / "proof").exists()


def test_asking_the_service_replaces_a_damaged_receipt(run, sent, ledger) -> None:
    change_receipt(ledger, DAMAGES["its number"])
    asked = run("receipts", "show", sent.json["key"], "--ask", "--json")
    assert asked.code == 0
    assert asked.json["receipts"][0]["receipt"] == sent.json["receipt"]
    assert "the kept receipt was damaged" in asked.err
    assert run("receipts", "export", sent.json["key"], "--format", "text").code == 0
    with damaged_ledgers.opened(ledger) as connection:
        ((replaced_at,),) = connection.execute("SELECT replaced_at FROM submission").fetchall()
    assert replaced_at is not None


def test_a_damaged_receipt_is_replaced_before_a_withdrawal_is_refused(run, sent, ledger) -> None:
    change_receipt(ledger, DAMAGES["its number"])
    outcome = run("receipts", "withdraw", sent.json["key"])
    assert outcome.code == 5
    assert kept(run, sent.json["key"]) == sent.json["receipt"]


def test_without_the_service_a_damaged_receipt_is_not_believed(run, payslip, sandbox, sent, ledger) -> None:
    change_receipt(ledger, DAMAGES["its number"])
    _rename_service(ledger, sandbox.url, "http://127.0.0.1:9")
    outcome = run("send", payslip, *SEND, "--service", "http://127.0.0.1:9")
    assert (outcome.code, outcome.json["status"]) == (8, "failed")
    assert "is damaged, and asking the service for it failed" in outcome.err


def test_a_service_that_does_not_know_the_submission_replaces_nothing(
    run, payslip, sandbox, sent, ledger, tmp_path
) -> None:
    change_receipt(ledger, DAMAGES["its number"])
    with server.run_in_background(tmp_path / "other") as url:
        _rename_service(ledger, sandbox.url, url)
        outcome = run("send", payslip, *SEND, "--service", url)
        assert outcome.code == 8
        assert "the service does not know this submission" in outcome.err
        other = RunningSandbox(url, tmp_path / "other")
        assert other.state(sent.json["key"]) is None, "nothing is sent a second time"


def _rename_service(ledger: Path, old: str, new: str) -> None:
    """Let a ledger say that its submissions were sent to another service."""
    with damaged_ledgers.opened(ledger) as connection:
        damaged_ledgers.rename_service(connection, old, new)


def test_a_batch_asks_for_its_damaged_receipts_and_sends_nothing_twice(
    run, sandbox, ledger, tmp_path
) -> None:
    for number in range(3):
        samples.write(tmp_path, f"{number}.pdf", samples.pdf(number))
    manifest = tmp_path / "rows.csv"
    rows = [f"benefits,unemployment,employer,payslips,000000018,r{n},{n}.pdf" for n in range(3)]
    manifest.write_text("\n".join(["to,subject,category,type,id,reference,documents", *rows]))
    batch = ("send", "--batch", manifest, "--service", sandbox.url, "--json")
    first = run(*batch)
    assert first.code == 0
    change_receipt(ledger, DAMAGES["a document's digest"])
    second = run(*batch)
    assert second.code == 0
    numbers = [sorted(row["receipt"]["number"] for row in outcome.rows) for outcome in (first, second)]
    assert numbers[0] == numbers[1]
    assert sandbox.count() == 3
    assert run("receipts").code == 0
