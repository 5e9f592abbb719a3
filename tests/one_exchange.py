"""Submissions in one exchange: two documents, and the form that carries them."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from contract_client import (
    BOUNDARY,
    CONTENT,
    DOCUMENT,
    form,
    new_declaration,
    part,
)
from docsend.model.canonical import key_of
from docsend.storage import catalogs

if TYPE_CHECKING:
    from conftest import RunningSandbox

LIMIT = catalogs.load().one_exchange_bytes or 0
SECOND = b"%PDF-1.4 another"
TWO = [DOCUMENT, {"name": "scan.pdf", "bytes": len(SECOND), "sha256": sha256(SECOND).hexdigest()}]


def two_documents(**changes: Any) -> dict[str, Any]:
    return new_declaration(documents=TWO, **changes)


def declared(declaration: dict[str, Any]) -> bytes:
    return part("declaration", json.dumps(declaration).encode())


def document(content: bytes) -> bytes:
    return part("document", content, '; filename="1"\r\nContent-Type: application/octet-stream')


def request(declaration: dict[str, Any], body: bytes, length: int | None = None, more: str = "") -> bytes:
    """Give the bytes of a request that states `length`."""
    head = (
        f"PUT /v1/submissions/{key_of(declaration)} HTTP/1.1\r\nHost: localhost\r\n{more}"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def is_empty(sandbox: RunningSandbox) -> bool:
    """Tell whether a sandbox has kept anything at all."""
    rows = [sandbox.select(f"SELECT * FROM {table}") for table in ("submission", "document", "receipt")]  # noqa: S608 - our own names
    return rows == [[], [], []] and list((sandbox.folder / "documents").iterdir()) == []


MALFORMED = (400, "malformed")
MISMATCH = (400, "digest-mismatch")
FIRST, LAST = document(CONTENT), document(SECOND)
# What follows the declaration, in a form that is otherwise right; and the answer.
PARTS: dict[str, tuple[list[bytes], tuple[int, str]]] = {
    "no document": ([], MALFORMED),
    "a document missing": ([FIRST], MALFORMED),
    "a document more": ([FIRST, LAST, FIRST], MALFORMED),
    "many tiny parts more": ([FIRST, LAST, *[document(b"")] * 5000], MALFORMED),
    "many tiny parts": ([document(b"%")] * 5000, MISMATCH),
    "the declaration again": ([FIRST, LAST, declared(two_documents())], MALFORMED),
    "the declaration between": ([FIRST, declared(two_documents()), LAST], MALFORMED),
    "a part of another name": ([FIRST, part("documents", SECOND)], MALFORMED),
    "a part of a name in capitals": ([FIRST, part("Document", SECOND)], MALFORMED),
    "an unnamed part": ([FIRST, part(None, SECOND)], MALFORMED),
    "a part with an empty name": ([FIRST, part("", SECOND)], MALFORMED),
    "a part without a disposition": ([FIRST, b"Content-Type: application/pdf\r\n\r\n" + SECOND], MALFORMED),
    "a part that is an attachment": ([FIRST, LAST.replace(b"form-data", b"attachment")], MALFORMED),
    "a part without headers": ([FIRST, b"\r\n" + SECOND], MALFORMED),
    "a part that is only a header": ([FIRST, b"Content-Disposition: form-data"], MALFORMED),
    "a header that is none": ([FIRST, b"no header\r\n" + LAST], MALFORMED),
    "a header that is no text": ([FIRST, b"X: \xff\xfe\r\n" + LAST], MALFORMED),
    "a huge header": ([FIRST, b"X: " + bytes(65536) + b"\r\n" + LAST], MALFORMED),
    "an endless header": ([FIRST, b"X: " + b"x" * 2**20], MALFORMED),
    "many headers": ([FIRST, b"X: x\r\n" * 500 + LAST], MALFORMED),
    "a length of a part that is wrong": ([FIRST, b"Content-Length: 3\r\n" + LAST], MALFORMED),
    "the wrong order": ([LAST, FIRST], MISMATCH),
    "the same document twice": ([FIRST, FIRST], MISMATCH),
    "an empty document": ([FIRST, document(b"")], MISMATCH),
    "a shorter document": ([FIRST, document(SECOND[:-1])], MISMATCH),
    "a longer document": ([FIRST, document(SECOND + b"\n")], MISMATCH),
    "other bytes": ([FIRST, document(SECOND.swapcase())], MISMATCH),
    "base64": (
        [FIRST, b"Content-Transfer-Encoding: base64\r\n" + document(b"JVBERi0xLjQgYW5vdGhlcg==")],
        MISMATCH,
    ),
}


RIGHT = two_documents(reference="of the bodies")
WHOLE = form(declared(RIGHT), FIRST, LAST)
