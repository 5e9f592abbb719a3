"""Check the ledger and the sandbox's folder against the promises made before a power cut."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from docsend.model.states import STATES
from docsend.sandbox.store import Store
from docsend.storage.ledger import Ledger
from faults import lab
from faults.power.recording import LEDGER, Damaged, Violations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faults.power.promises import Promise


@contextlib.contextmanager
def _open_database(file: Path) -> Iterator[sqlite3.Connection | None]:
    """Open a database, which rolls back an unfinished transaction, and check its integrity.

    Yield None if it does not exist or has no tables. Raise Damaged if the check fails.
    """
    if not file.exists():
        yield None
        return
    with contextlib.closing(sqlite3.connect(file)) as connection:
        findings = connection.execute("PRAGMA integrity_check").fetchall()
        findings += connection.execute("PRAGMA foreign_key_check").fetchall()
        if findings != [("ok",)]:
            raise Damaged(str(findings[:3]))
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield connection if tables else None


def ledger_violations(home: Path, promises: Sequence[Promise]) -> Violations:
    rows: dict[str, tuple[str, bytes | None]] = {}
    documents: set[tuple[str, str]] = set()
    with _open_database(home / LEDGER) as ledger:
        if ledger:
            found = ledger.execute("SELECT key, state, receipt FROM submission")
            rows = {key: (state, receipt) for key, state, receipt in found}
            documents = set(ledger.execute("SELECT key, sha256 FROM document"))
    violations: Violations = []
    for key, (state, receipt) in rows.items():
        if state not in STATES or (state == "received") != (receipt is not None):
            violations.append(("other", f"{key[:12]} is {state}, with the receipt {receipt!r}"))
        if not any(key == of for of, _ in documents):
            violations.append(("lost", f"{key[:12]} is planned without its documents"))
    for promise in promises:
        state, receipt = rows.get(promise.key, ("missing", None))
        has_document = not promise.detail or (promise.key, promise.detail.decode()) in documents
        violations += _client_violations(promise, state, receipt, has_document=has_document)
    return violations


def _client_violations(
    promise: Promise, state: str, receipt: bytes | None, *, has_document: bool
) -> Violations:
    key = promise.key[:12]
    checks: dict[str, list[tuple[bool, str, str]]] = {
        "planned": [
            (state == "missing", "lost", f"bytes of {key} were sent, but it is missing"),
            (not has_document, "lost", f"a document of {key} was sent, but it is missing"),
        ],
        "sending": [
            (state in ("missing", "planned"), "lost", f"{key} was sent in one exchange, but it is {state}")
        ],
        "received": [
            (state != "received", "lost", f"the receipt of {key} was printed, but it is {state}"),
            (receipt != promise.detail, "wrong", f"the receipt of {key} is not the one that was printed"),
        ],
        "withdrawn": [(state != "withdrawn", "lost", f"{key} was reported as withdrawn, but it is {state}")],
    }
    return [(kind, sentence) for is_broken, kind, sentence in checks[promise.kind] if is_broken][:1]


def open_ledger(home: Path) -> None:
    with Ledger(home / LEDGER) as ledger:
        list(ledger.entries())


def restart_client(home: Path, rerun: Sequence[str], _promises: Sequence[Promise]) -> Violations:
    """List the receipts, and send the recording's first documents to the sandbox, which already has them."""
    sandbox_folder, *send = rerun
    listed = lab.run(["receipts", "--json"], lab.environment(home))
    sent = lab.run(send, lab.environment(home))
    if listed.code or sent.code or sent.receipt is None:
        return [("other", f"exit codes {listed.code}, {sent.code}: {listed.err[-200:]} {sent.err[-200:]}")]
    numbers = [
        submission.number
        for submission in lab.received_submissions(Path(sandbox_folder))
        if submission.key == sent.result["key"]
    ]
    if len(numbers) != 1:
        return [("duplicated", f"{numbers} for one submission")]
    return [] if sent.receipt["number"] == numbers[0] else [("wrong", f"{numbers[0]} became another")]


@dataclass(frozen=True)
class _Tables:
    """Contents of the sandbox's tables, by key or by (key, SHA-256)."""

    states: dict[str, str] = field(default_factory=dict)
    receipts: dict[str, bytes] = field(default_factory=dict)
    files: dict[tuple[str, str], str | None] = field(default_factory=dict)


def sandbox_violations(root: Path, promises: Sequence[Promise]) -> Violations:
    folder, tables = root / "sandbox", _Tables()
    with _open_database(folder / "sandbox.sqlite3") as database:
        if database:
            found = database.execute("SELECT key, sha256, file FROM document")
            tables = _Tables(
                dict(database.execute("SELECT key, state FROM submission")),
                dict(database.execute("SELECT key, body FROM receipt")),
                {(key, sha256): file for key, sha256, file in found},
            )
    violations = [
        ("other", f"{key[:12]} is {state}, with the receipt {tables.receipts.get(key)!r}")
        for key, state in tables.states.items()
        if (state == "received") != (key in tables.receipts)
    ]
    for (key, sha256), file in tables.files.items():
        document = f"document {sha256[:8]} of {key[:12]}"
        if file is None:
            if key in tables.receipts:
                violations.append(("lost", f"{document} has a receipt and no file"))
        elif not (folder / "documents" / file).is_file():
            violations.append(("lost", f"{document} has a row, but its file is missing"))
        elif lab.digest(folder / "documents" / file) != sha256:
            violations.append(("wrong", f"{document} has other bytes"))
    for promise in promises:
        violations += _promise_violations(promise, tables)
    return violations


def _promise_violations(promise: Promise, tables: _Tables) -> Violations:
    key, short = promise.key, promise.key[:12]
    match promise.kind:
        case "declared" if key not in tables.states:
            return [("lost", f"{short} was confirmed as declared, but it is missing")]
        case "stored" if tables.files.get((key, promise.detail.decode())) is None:
            return [("lost", f"a document of {short} was confirmed as stored, but has no row")]
        case "received" if key not in tables.receipts or not any(key == of for of, _ in tables.files):
            return [("lost", f"the receipt of {short} was sent, but it or its documents are missing")]
        case "received" if tables.receipts[key] != promise.detail:
            return [("wrong", f"the receipt of {short} is not the one that was sent")]
        case "withdrawn" if tables.states.get(key) != "withdrawn":
            return [("lost", f"{short} was confirmed as withdrawn, but it is {tables.states.get(key)}")]
    return []


def open_sandbox(root: Path) -> None:
    Store(root / "sandbox").close()


def restart_sandbox(root: Path, rerun: Sequence[str], promises: Sequence[Promise]) -> Violations:
    """Start a sandbox on the folder, and send the recording's first documents again from a new client."""
    with lab.sandbox(root / "sandbox") as running:
        if not running.url:
            return [("other", "the sandbox does not start")]
        sent = lab.run([*rerun, "--service", running.url], lab.environment(root / "new-home"))
    if sent.code or sent.receipt is None:
        return [("other", f"exit code {sent.code}: {sent.err[-300:]}")]
    key = sent.result["key"]
    received = [
        submission for submission in lab.received_submissions(root / "sandbox") if submission.key == key
    ]
    if [submission.number for submission in received] != [sent.receipt["number"]]:
        return [("duplicated", f"{[submission.number for submission in received]} for one submission")]
    declared = {document["sha256"] for document in sent.receipt["documents"]}
    if {sha256 for _, sha256 in received[0].documents} != declared:
        return [("wrong", f"{key[:12]}'s documents have other bytes")]
    return sandbox_violations(root, promises)
