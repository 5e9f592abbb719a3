"""Finds in the pages of a damaged ledger what can be relied on.

A checksum tells which rows are as docsend wrote them. Pages that SQLite no longer uses may contain an earlier
version of a row, so the latest one counts. A row that is damaged, and of which whole documents tell the key,
becomes an unfinished submission: the service will tell what became of it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.model.states import STATES
from docsend.storage import identity_key, ledger_rows, receipts, sqlite_pages
from docsend.storage.ledger_rows import DOCUMENT_COLUMNS, SUBMISSION_COLUMNS, LedgerDocument
from docsend.storage.receipts import MalformedReceipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from docsend.storage.sqlite_pages import Content, Value

_KEY = re.compile(r"[A-Z2-7]{52}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FINAL_STATES = ("received", "withdrawn")
# Version 0.1.0 wrote neither digests nor checksums.
_OLD_SUBMISSION_COLUMNS = SUBMISSION_COLUMNS[: SUBMISSION_COLUMNS.index("changed_at") + 1]
_FINGERPRINT_LENGTH = 2
_LENGTHS = frozenset(
    (
        *(len(SUBMISSION_COLUMNS) + 1, len(_OLD_SUBMISSION_COLUMNS)),
        *(len(DOCUMENT_COLUMNS) + 1, len(DOCUMENT_COLUMNS), _FINGERPRINT_LENGTH),
    )
)

_Key = tuple[Any, Any]  # service and key
_Row = dict[str, Any]


class Salvage(NamedTuple):
    """The rows for a new ledger, and what was lost.

    `unconfirmed` are submissions whose own row was damaged. They are among `submissions`, as unfinished ones.
    `damaged_receipts` are the keys of received submissions whose receipt is damaged. `lost` counts the
    submissions of which too little is left. There may have been more, after the last one that was found.
    """

    submissions: Sequence[_Row]
    documents: Sequence[Sequence[object]]
    fingerprint: bytes | None
    unconfirmed: int
    damaged_receipts: Sequence[str]
    lost: int
    lost_documents: int


def salvage(contents: Iterable[Content]) -> Salvage:
    """Return what can be relied on in these versions of one file, such as before and after a rollback."""
    found = _Found()
    for content in contents:
        for record in sqlite_pages.records(content, _LENGTHS):
            found.add(record.rowid, record.values)
    return found.salvage()


class _Found:
    """The rows that were found: by key, the latest that is whole, and one that is damaged."""

    def __init__(self) -> None:
        self._whole: dict[_Key, _Row] = {}
        self._old: dict[_Key, _Row] = {}
        self._damaged: dict[_Key, _Row] = {}
        self._rowids: dict[int, _Key] = {}
        self._documents: dict[_Key, dict[Value, tuple[int, tuple[Value, ...]]]] = {}
        self._fingerprint: bytes | None = None

    def add(self, rowid: int, values: tuple[Value, ...]) -> None:
        if len(values) == _FINGERPRINT_LENGTH:
            fingerprint, checksum = values
            if isinstance(fingerprint, bytes) and ledger_rows.checksum(fingerprint) == checksum:
                self._fingerprint = fingerprint
        elif len(values) in (len(DOCUMENT_COLUMNS), len(DOCUMENT_COLUMNS) + 1):
            self._add_document(rowid, values)
        else:
            self._add_submission(rowid, values)

    def _add_document(self, rowid: int, values: tuple[Value, ...]) -> None:
        row = values[: len(DOCUMENT_COLUMNS)]
        has_checksum = len(values) > len(row)
        if has_checksum and ledger_rows.checksum(*row) != values[-1]:
            return
        service, key, position, path, name, size, sha256 = row
        if _is_key(service, key) and _is_document(position, path, name, size, sha256):
            documents = self._documents.setdefault((service, key), {})
            # A document that was recorded again has a higher rowid.
            if position not in documents or documents[position][0] < rowid:
                documents[position] = (rowid, row)

    def _add_submission(self, rowid: int, values: tuple[Value, ...]) -> None:
        is_old = len(values) == len(_OLD_SUBMISSION_COLUMNS)
        row: _Row = dict.fromkeys(SUBMISSION_COLUMNS)
        row |= zip(SUBMISSION_COLUMNS, values, strict=False)
        key = (row["service"], row["key"])
        if not _is_key(*key):
            return
        if is_old:
            rows = self._old if _is_plausible(row) else self._damaged
        else:
            rows = self._whole if ledger_rows.submission_checksum(row) == values[-1] else self._damaged
        if rows is not self._damaged:
            self._rowids[rowid] = key
        if key not in rows or _age(rows[key]) <= _age(row):
            rows[key] = row

    def salvage(self) -> Salvage:
        submissions: list[_Row] = []
        documents: list[Sequence[object]] = []
        damaged_receipts: list[str] = []
        unconfirmed = lost = lost_documents = 0
        for key in dict.fromkeys((*self._whole, *self._old, *self._damaged)):
            own = [row for _, (_, row) in sorted(self._documents.get(key, {}).items(), key=_position)]
            row = self._whole.get(key) or self._with_receipt_sha256(self._old.get(key), own)
            if row is None:
                row = self._damaged.get(key)
                if not own or row is None:
                    lost += 1
                    continue
                row = _as_unconfirmed(row)
                unconfirmed += 1
            elif key in self._damaged and row["state"] not in _FINAL_STATES:
                # What was found may be older than what is damaged.
                row = {**row, "state": "sending", "problem": None}
            row, own, missing = _with_documents(row, own)
            lost_documents += missing
            if row["state"] == "received" and not _has_whole_receipt(row, own):
                damaged_receipts.append(row["key"])
            submissions.append(row)
            documents += own
        kept = {(row["service"], row["key"]) for row in submissions}
        # Rows are never deleted, so that their rowids are consecutive.
        missing_rows = max(self._rowids, default=0) - len(self._rowids)
        orphans = len(self._documents.keys() - kept)
        submissions.sort(key=lambda row: (str(row["planned_at"]), row["key"]))
        return Salvage(
            submissions,
            documents,
            self._fingerprint,
            unconfirmed,
            damaged_receipts,
            max(lost, orphans, missing_rows - unconfirmed),
            lost_documents,
        )

    @staticmethod
    def _with_receipt_sha256(row: _Row | None, documents: Sequence[Sequence[object]]) -> _Row | None:
        """Return a row of version 0.1.0 with the checksum of its receipt, or None if that is not credible."""
        if row is None or row["receipt"] is None:
            return row
        stored = {**row, "receipt_sha256": hashlib.sha256(row["receipt"]).digest()}
        return stored if _has_whole_receipt(stored, documents) else None


def _position(document: tuple[Value, object]) -> int:
    position = document[0]
    return position if isinstance(position, int) else 0


def _is_key(service: object, key: object) -> bool:
    return isinstance(service, str) and bool(service) and isinstance(key, str) and bool(_KEY.fullmatch(key))


def _is_document(position: object, path: object, name: object, size: object, sha256: object) -> bool:
    return (
        isinstance(position, int)
        and isinstance(size, int)
        and isinstance(path, str)
        and isinstance(name, str)
        and isinstance(sha256, str)
        and bool(_SHA256.fullmatch(sha256))
    )


def _is_plausible(row: Mapping[str, Any]) -> bool:
    """Return whether a row without a checksum is one that version 0.1.0 can have written."""
    texts = ("destination", "category", "type", "planned_at", "changed_at")
    optional_texts = ("subject", "reference", "required", "problem")
    return (
        row["state"] in STATES
        and all(isinstance(row[column], str) for column in texts)
        and all(isinstance(row[column], str | None) for column in optional_texts)
        and isinstance(row["occurrence"], int)
        and isinstance(row["receipt"], bytes | None)
        and (row["state"] == "received") == (row["receipt"] is not None)
    )


def _age(row: Mapping[str, Any]) -> tuple[bool, str]:
    """Return by what a later version of a row is told: final states never change, others have a time."""
    return row["state"] in _FINAL_STATES, str(row["changed_at"])


def _as_unconfirmed(row: _Row) -> _Row:
    """Return a damaged row as an unfinished submission, with what of it can be stored."""
    texts = {
        column: _as_text(row[column])
        for column in ("destination", "category", "type", "planned_at", "changed_at")
    }
    optional = {
        column: None if row[column] is None else _as_text(row[column])
        for column in ("subject", "reference", "required")
    }
    digests = {
        column: row[column] if isinstance(row[column], bytes) and len(row[column]) == 32 else None
        for column in ("reference_digest", "content_digest")
    }
    occurrence = row["occurrence"] if isinstance(row["occurrence"], int) else 1
    return {
        **dict.fromkeys(SUBMISSION_COLUMNS),
        "service": row["service"],
        "key": row["key"],
        "state": "sending",
        "occurrence": occurrence,
        **texts,
        **optional,
        **digests,
    }


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _with_documents(
    row: _Row, documents: list[tuple[Value, ...]]
) -> tuple[_Row, list[tuple[Value, ...]], int]:
    """Return a row with its documents, and how many of them are lost.

    The receipt of a received submission tells them, except where they were. Of an unfinished one, none is
    kept unless all are there: the command that sends it again records them.
    """
    count = row["document_count"]
    if [document[2] for document in documents] == list(range(len(documents))) and count in (
        None,
        len(documents),
    ):
        digests = [str(document[6]) for document in documents]
        complete = {
            "document_count": len(documents),
            "documents_sha256": identity_key.documents_digest(digests),
        }
        return {**row, **complete}, documents, 0
    if row["state"] == "received" and (from_receipt := _documents_of_receipt(row)):
        where = {document[2]: document[3] for document in documents}
        own: list[tuple[Value, ...]] = [
            (
                *(row["service"], row["key"], position, where.get(position, document.name)),
                *(document.name, document.size, document.sha256),
            )
            for position, document in enumerate(from_receipt)
        ]
        return row, own, 0
    lost = max(1, (count or 0) - len(documents))
    return {**row, "document_count": None, "documents_sha256": None}, [], lost


def _documents_of_receipt(row: Mapping[str, Any]) -> Sequence[LedgerDocument]:
    """Return the documents that the whole receipt of a submission names, or none."""
    try:
        receipt = receipts.parse(row["receipt"])
    except MalformedReceipt:
        return ()
    digest = identity_key.documents_digest(document.sha256 for document in receipt.documents)
    if hashlib.sha256(row["receipt"]).digest() != row["receipt_sha256"] or digest != row["documents_sha256"]:
        return ()
    return [LedgerDocument("", *document) for document in receipt.documents]


def _has_whole_receipt(row: Mapping[str, Any], documents: Sequence[Sequence[Any]]) -> bool:
    entry = ledger_rows.entry(row)._replace(
        documents=tuple(LedgerDocument(*document[3:7]) for document in documents)
    )
    return not receipts.is_damaged(entry)
