"""JSON objects for `--json`: one function for each object in docs/json.md. Member names never change."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from docsend.i18n import ENGLISH
from docsend.model.document import Document
from docsend.model.submission import CheckedSubmission
from docsend.text import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from docsend.config.senders import Sender
    from docsend.diagnostics import Finding
    from docsend.i18n import Displayable, Message
    from docsend.model.catalog import CatalogEntry as Row
    from docsend.model.document import UnreadDocument
    from docsend.model.problem import Problem
    from docsend.model.receipt import Receipt
    from docsend.model.required import RequiredDocument
    from docsend.model.submission import Submission
    from docsend.storage.ledger_repair import Repair
    from docsend.storage.ledger_rows import LedgerEntry


def result(
    status: str,
    given: CheckedSubmission | Submission | None,
    *,
    is_repeated: bool,
    service: str | None,
    receipt_: Receipt | None,
    problems: Iterable[Problem],
    row: int | None = None,
) -> dict[str, Any]:
    """Return the outcome of one submission in the `docsend.result/2` format.

    `row` is the submission's row number in a batch, or None.
    """
    checked = given if isinstance(given, CheckedSubmission) else None
    return {
        "schema": "docsend.result/2",
        "status": status,
        "repeated": is_repeated,
        # Occurrence and key are known only after a successful check; the key also needs the account.
        "occurrence": checked.occurrence if checked else None,
        "row": row,
        "key": checked.key if checked and checked.has_key else None,
        "service": service,
        "reference": given.reference if given else None,
        "submission": submission(given) if given else None,
        "receipt": receipt(receipt_) if receipt_ else None,
        "problems": [problem(found) for found in problems],
    }


def receipt(received: Receipt) -> dict[str, Any]:
    """Convert a receipt to its JSON form. The branch name is in English, whatever the reader's language."""
    return {
        "number": received.number,
        "received_at": received.received_at,
        "branch": {"code": received.branch_code, "name": received.branch_names["en"]},
        "documents": [
            {"name": document.name, "bytes": document.size, "sha256": document.sha256}
            for document in received.documents
        ],
    }


def problem(found: Problem) -> dict[str, Any]:
    return {
        "code": found.code.value,
        "severity": found.severity,
        "message": ENGLISH.render(found.message),
        "hint": None if found.hint is None else ENGLISH.render(found.hint),
        "field": found.field,
        "document": found.document,
        "row": found.row,
    }


def submission(submission: CheckedSubmission | Submission) -> dict[str, Any]:
    return {
        **{name: _redacted(getattr(submission, name)) for name in ("to", "subject", "category", "type")},
        "documents": [_document(document) for document in submission.documents],
    }


def _redacted(code: str | None) -> str | None:
    """Return a code with numbers masked, because an ID number may have been given instead of a code."""
    return None if code is None else redact(code)


def _document(document: Document | UnreadDocument) -> dict[str, Any]:
    return {
        "name": document.name,
        "bytes": document.size,
        "sha256": document.sha256 if isinstance(document, Document) else None,
        "format": document.format if isinstance(document, Document) else None,
    }


def sent_submission(entry: LedgerEntry, received: Receipt | None) -> dict[str, Any]:
    """Convert one submission in the ledger to its JSON form in the `docsend.receipts/1` format."""
    return {
        "key": entry.key,
        "service": entry.service,
        "state": entry.state,
        "to": entry.to,
        "subject": entry.subject,
        "category": entry.category,
        "type": entry.type,
        "reference": entry.reference,
        "occurrence": entry.occurrence,
        "problem": entry.problem,
        "planned_at": entry.planned_at,
        "changed_at": entry.changed_at,
        "receipt": receipt(received) if received else None,
        "documents": [
            {
                "name": document.name,
                "path": document.path,
                "bytes": document.size,
                "sha256": document.sha256,
            }
            for document in entry.documents
        ],
    }


def repaired_ledger(repair: Repair) -> dict[str, Any]:
    """Convert what a repair of the ledger kept and lost to the `docsend.repair/1` format."""
    return {
        "schema": "docsend.repair/1",
        "file": str(repair.file),
        "was_damaged": repair.kept_as is not None,
        "kept_as": None if repair.kept_as is None else str(repair.kept_as),
        "submissions": {
            "kept": repair.submissions,
            "unconfirmed": repair.unconfirmed,
            "lost": repair.lost,
        },
        "documents": {"kept": repair.documents, "lost": repair.lost_documents},
        "damaged_receipts": list(repair.damaged_receipts),
        "key_file_is_usable": repair.key_error is None,
    }


def proof(
    entry: LedgerEntry,
    received: Receipt,
    on_behalf_of: str | None,
    *,
    is_sandbox: bool,
    notes: Sequence[Message],
) -> dict[str, Any]:
    """Return a proof of sending in the `docsend.proof/1` format. The notes are in English."""
    return {
        "schema": "docsend.proof/1",
        "status": "received",
        "sandbox": is_sandbox,
        "key": entry.key,
        "service": entry.service,
        "issuer": received.issuer,
        "for": on_behalf_of,
        "reference": entry.reference,
        "submission": {
            "to": entry.to,
            "subject": entry.subject,
            "category": entry.category,
            "type": entry.type,
            "required": entry.required,
            "occurrence": entry.occurrence,
        },
        "receipt": receipt(received),
        "notes": [ENGLISH.render(note) for note in notes],
    }


def exported_proof(file: Path, form: str, key: str, content: bytes) -> dict[str, Any]:
    """Return the path, size and digest of an exported proof of sending in the `docsend.export/1` format."""
    return {
        "schema": "docsend.export/1",
        "key": key,
        "format": form,
        "file": str(file),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def required(requirement: RequiredDocument) -> dict[str, Any]:
    return {
        "id": requirement.id,
        "subject": requirement.subject,
        "category": requirement.category,
        "type": requirement.type,
        "title": dict(requirement.titles),
        "due": requirement.due,
        "state": requirement.state,
    }


def sign_in(
    service: str, stored_in: Displayable | None, account: str | None, expires_in: float | None
) -> dict[str, Any]:
    """Return the state of a sign-in in the `docsend.login/2` format.

    `expires_in` is in seconds. `account` is None if nobody is signed in.
    """
    return {
        "schema": "docsend.login/2",
        "service": service,
        "signed_in": account is not None,
        "account": account,
        "stored_in": None if stored_in is None else ENGLISH.render(stored_in),
        "expires_in": None if expires_in is None else int(expires_in),
    }


def sender(name: str, sender_: Sender) -> dict[str, Any]:
    """Convert one sender to its JSON form in the `docsend.senders/1` format.

    The sender's number is masked, and the booklet number is omitted.
    """
    return {"name": name, "kind": sender_.kind, "number": sender_.masked_number}


def finding(found: Finding) -> dict[str, Any]:
    """Convert one finding to its JSON form in the `docsend.doctor/2` format."""
    return {
        "part": found.part,
        "severity": found.severity,
        "message": ENGLISH.render(found.message),
        "hint": None if found.hint is None else ENGLISH.render(found.hint),
        "facts": dict(found.facts or {}),
    }


def catalog_row(kind: str, row: Row) -> dict[str, Any]:
    extra = {name: getattr(row, name) for name in ("to", "subject", "category", "form") if hasattr(row, name)}
    online = getattr(row, "online", None)
    return {
        "kind": kind,
        "code": row.code,
        "labels": dict(row.labels),
        **extra,
        "online_form": getattr(online, "url", None) or getattr(row, "url", None),
        "status": row.status,
        "source": row.source,
    }
