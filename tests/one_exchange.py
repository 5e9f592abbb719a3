"""Submissions in one exchange: two documents, and multipart forms of them, valid and invalid."""

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
SECOND_CONTENT = b"%PDF-1.4 another"
TWO_DOCUMENTS = [
    DOCUMENT,
    {"name": "scan.pdf", "bytes": len(SECOND_CONTENT), "sha256": sha256(SECOND_CONTENT).hexdigest()},
]


def declaration_of_two(**changes: Any) -> dict[str, Any]:
    return new_declaration(documents=TWO_DOCUMENTS, **changes)


def declaration_part(declaration: dict[str, Any]) -> bytes:
    return part("declaration", json.dumps(declaration).encode())


def document_part(content: bytes) -> bytes:
    return part("document", content, '; filename="1"\r\nContent-Type: application/octet-stream')


def raw_request(
    declaration: dict[str, Any], body: bytes, length: int | None = None, extra_fields: str = ""
) -> bytes:
    """Return the bytes of a request whose Content-Length is `length`, by default that of the body."""
    head = (
        f"PUT /v1/submissions/{key_of(declaration)} HTTP/1.1\r\nHost: localhost\r\n{extra_fields}"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def is_empty(sandbox: RunningSandbox) -> bool:
    """Return whether a sandbox has stored nothing."""
    rows = [sandbox.select(f"SELECT * FROM {table}") for table in ("submission", "document", "receipt")]  # noqa: S608 - our own names
    return rows == [[], [], []] and list((sandbox.folder / "documents").iterdir()) == []


MALFORMED = (400, "malformed")
MISMATCH = (400, "digest-mismatch")
FIRST, LAST = document_part(CONTENT), document_part(SECOND_CONTENT)
# The parts that follow the declaration in an otherwise valid form, and the expected response.
PARTS: dict[str, tuple[list[bytes], tuple[int, str]]] = {
    "no document": ([], MALFORMED),
    "a document missing": ([FIRST], MALFORMED),
    "one more document": ([FIRST, LAST, FIRST], MALFORMED),
    "many more tiny parts": ([FIRST, LAST, *[document_part(b"")] * 5000], MALFORMED),
    "many tiny parts": ([document_part(b"%")] * 5000, MISMATCH),
    "the declaration again": ([FIRST, LAST, declaration_part(declaration_of_two())], MALFORMED),
    "the declaration between": ([FIRST, declaration_part(declaration_of_two()), LAST], MALFORMED),
    "a part of another name": ([FIRST, part("documents", SECOND_CONTENT)], MALFORMED),
    "a part of a name in capitals": ([FIRST, part("Document", SECOND_CONTENT)], MALFORMED),
    "an unnamed part": ([FIRST, part(None, SECOND_CONTENT)], MALFORMED),
    "a part with an empty name": ([FIRST, part("", SECOND_CONTENT)], MALFORMED),
    "a part without a disposition": (
        [FIRST, b"Content-Type: application/pdf\r\n\r\n" + SECOND_CONTENT],
        MALFORMED,
    ),
    "a part that is an attachment": ([FIRST, LAST.replace(b"form-data", b"attachment")], MALFORMED),
    "a part without headers": ([FIRST, b"\r\n" + SECOND_CONTENT], MALFORMED),
    "a part that is only a header": ([FIRST, b"Content-Disposition: form-data"], MALFORMED),
    "a header line without a colon": ([FIRST, b"no header\r\n" + LAST], MALFORMED),
    "a header that is not text": ([FIRST, b"X: \xff\xfe\r\n" + LAST], MALFORMED),
    "a huge header": ([FIRST, b"X: " + bytes(65536) + b"\r\n" + LAST], MALFORMED),
    "an endless header": ([FIRST, b"X: " + b"x" * 2**20], MALFORMED),
    "many headers": ([FIRST, b"X: x\r\n" * 500 + LAST], MALFORMED),
    "a part with a wrong length": ([FIRST, b"Content-Length: 3\r\n" + LAST], MALFORMED),
    "the wrong order": ([LAST, FIRST], MISMATCH),
    "the same document twice": ([FIRST, FIRST], MISMATCH),
    "an empty document": ([FIRST, document_part(b"")], MISMATCH),
    "a shorter document": ([FIRST, document_part(SECOND_CONTENT[:-1])], MISMATCH),
    "a longer document": ([FIRST, document_part(SECOND_CONTENT + b"\n")], MISMATCH),
    "other bytes": ([FIRST, document_part(SECOND_CONTENT.swapcase())], MISMATCH),
    "base64": (
        [FIRST, b"Content-Transfer-Encoding: base64\r\n" + document_part(b"JVBERi0xLjQgYW5vdGhlcg==")],
        MISMATCH,
    ),
}


DECLARATION = declaration_of_two(reference="of the bodies")
COMPLETE_FORM = form(declaration_part(DECLARATION), FIRST, LAST)
