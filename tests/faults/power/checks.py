"""The ledger and the sandbox's folder, held against what was promised."""

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
from faults.power.recording import LEDGER, Broken, Damaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faults.power.promises import Promise


@contextlib.contextmanager
def _database(file: Path) -> Iterator[sqlite3.Connection | None]:
    """Open a database whole, after a rollback if one is due; None if it is not there or has no tables yet."""
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


def ledger_broken(home: Path, promises: Sequence[Promise]) -> Broken:
    rows: dict[str, tuple[str, bytes | None]] = {}
    documents: set[tuple[str, str]] = set()
    with _database(home / LEDGER) as ledger:
        if ledger:
            found = ledger.execute("SELECT key, state, receipt FROM submission")
            rows = {key: (state, receipt) for key, state, receipt in found}
            documents = set(ledger.execute("SELECT key, sha256 FROM document"))
    broken: Broken = []
    for key, (state, receipt) in rows.items():
        if state not in STATES or (state == "received") != (receipt is not None):
            broken.append(("other", f"{key[:12]} is {state}, with the receipt {receipt!r}"))
        if not any(key == of for of, _ in documents):
            broken.append(("lost", f"{key[:12]} is planned without its documents"))
    for promise in promises:
        state, receipt = rows.get(promise.key, ("not there", None))
        has_document = not promise.detail or (promise.key, promise.detail.decode()) in documents
        broken += _client_broke(promise, state, receipt, has_document=has_document)
    return broken


def _client_broke(promise: Promise, state: str, receipt: bytes | None, *, has_document: bool) -> Broken:
    key = promise.key[:12]
    ways: dict[str, list[tuple[bool, str, str]]] = {
        "planned": [
            (state == "not there", "lost", f"bytes of {key} were sent, and it is not there"),
            (not has_document, "lost", f"a document of {key} was sent, and it is not there"),
        ],
        "sending": [
            (state in ("not there", "planned"), "lost", f"{key} left in one exchange, and it is {state}")
        ],
        "received": [
            (state != "received", "lost", f"the receipt of {key} was printed, and it is {state}"),
            (receipt != promise.detail, "wrong", f"the receipt of {key} is not the one that was printed"),
        ],
        "withdrawn": [(state != "withdrawn", "lost", f"{key} was said to be withdrawn, and it is {state}")],
    }
    return [(kind, sentence) for is_broken, kind, sentence in ways[promise.what] if is_broken][:1]


def ledger_opens(home: Path) -> None:
    with Ledger(home / LEDGER) as ledger:
        list(ledger.entries())


def ledger_restarts(home: Path, again: Sequence[str], _promises: Sequence[Promise]) -> Broken:
    """List what is there, and send the recording's first documents to the far side, which has them."""
    far_side, *send = again
    listed = lab.run(["receipts", "--json"], lab.environment(home))
    sent = lab.run(send, lab.environment(home))
    if listed.code or sent.code or sent.receipt is None:
        return [("other", f"exit codes {listed.code}, {sent.code}: {listed.err[-200:]} {sent.err[-200:]}")]
    numbers = [kept.number for kept in lab.received(Path(far_side)) if kept.key == sent.result["key"]]
    if len(numbers) != 1:
        return [("twice", f"{numbers} for one submission")]
    return [] if sent.receipt["number"] == numbers[0] else [("wrong", f"{numbers[0]} became another")]


@dataclass(frozen=True)
class _Tables:
    """What the sandbox's tables say: of keys, and of (key, SHA-256) of documents."""

    states: dict[str, str] = field(default_factory=dict)
    receipts: dict[str, bytes] = field(default_factory=dict)
    files: dict[tuple[str, str], str | None] = field(default_factory=dict)


def sandbox_broken(root: Path, promises: Sequence[Promise]) -> Broken:
    folder, tables = root / "sandbox", _Tables()
    with _database(folder / "sandbox.sqlite3") as database:
        if database:
            found = database.execute("SELECT key, sha256, file FROM document")
            tables = _Tables(
                dict(database.execute("SELECT key, state FROM submission")),
                dict(database.execute("SELECT key, body FROM receipt")),
                {(key, sha256): file for key, sha256, file in found},
            )
    broken = [
        ("other", f"{key[:12]} is {state}, with the receipt {tables.receipts.get(key)!r}")
        for key, state in tables.states.items()
        if (state == "received") != (key in tables.receipts)
    ]
    for (key, sha256), file in tables.files.items():
        document = f"document {sha256[:8]} of {key[:12]}"
        if file is None:
            if key in tables.receipts:
                broken.append(("lost", f"{document} has a receipt and no file"))
        elif not (folder / "documents" / file).is_file():
            broken.append(("lost", f"{document} has a row, and its file is gone"))
        elif lab.digest(folder / "documents" / file) != sha256:
            broken.append(("wrong", f"{document} has other bytes"))
    for promise in promises:
        broken += _far_side_broke(promise, tables)
    return broken


def _far_side_broke(promise: Promise, tables: _Tables) -> Broken:
    key, short = promise.key, promise.key[:12]
    match promise.what:
        case "declared" if key not in tables.states:
            return [("lost", f"{short} was answered as declared, and it is not there")]
        case "kept" if tables.files.get((key, promise.detail.decode())) is None:
            return [("lost", f"a document of {short} was answered as kept, and has no row")]
        case "received" if key not in tables.receipts or not any(key == of for of, _ in tables.files):
            return [("lost", f"the receipt of {short} was answered, and it or its documents are not there")]
        case "received" if tables.receipts[key] != promise.detail:
            return [("wrong", f"the receipt of {short} is not the one that was answered")]
        case "withdrawn" if tables.states.get(key) != "withdrawn":
            return [("lost", f"{short} was answered as withdrawn: {tables.states.get(key)}")]
    return []


def sandbox_opens(root: Path) -> None:
    Store(root / "sandbox").close()


def sandbox_restarts(root: Path, again: Sequence[str], promises: Sequence[Promise]) -> Broken:
    """Serve what is left, and let a client that knows nothing send the recording's first documents again."""
    with lab.sandbox(root / "sandbox") as served:
        if not served.url:
            return [("other", "the sandbox does not start")]
        sent = lab.run([*again, "--service", served.url], lab.environment(root / "new-home"))
    if sent.code or sent.receipt is None:
        return [("other", f"exit code {sent.code}: {sent.err[-300:]}")]
    key = sent.result["key"]
    kept = [one for one in lab.received(root / "sandbox") if one.key == key]
    if [one.number for one in kept] != [sent.receipt["number"]]:
        return [("twice", f"{[one.number for one in kept]} for one submission")]
    declared = {document["sha256"] for document in sent.receipt["documents"]}
    if {sha256 for _, sha256 in kept[0].documents} != declared:
        return [("wrong", f"{key[:12]}'s documents have other bytes")]
    return sandbox_broken(root, promises)
