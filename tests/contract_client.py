"""A client that checks every response against openapi.yaml, and declarations for it to send."""

from __future__ import annotations

import copy
import http.client
import itertools
import json
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from conftest import PERSON
from docsend.model.canonical import key_of
from docsend.storage import catalogs
from openapi import OPERATIONS, PREFIX, resolve, schema_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    Declaration = dict[str, Any]

CATALOG = catalogs.load()


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of the problem, or None if the response is not a problem."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        return str(self.json["type"]).removeprefix(PREFIX)


def check(response: Response, pointer: str) -> None:
    """Check headers, media type and body against the response of openapi.yaml at `pointer`."""
    pointer, expected = resolve(pointer)
    for name, header in expected.get("headers", {}).items():
        header_pointer = header.get("$ref", f"{pointer}/headers/{name}").removeprefix("#")
        assert name.lower() in response.headers, f"no {name}"
        assert not schema_errors(f"{header_pointer}/schema", response.headers[name.lower()])
    if "content" not in expected:
        assert response.body == b""
        return
    (media_type,) = expected["content"]
    assert response.headers["content-type"] == media_type
    schema = f"{pointer}/content/{media_type.replace('/', '~1')}/schema"
    assert not schema_errors(schema, response.json, closed=True)


class Sender:
    """Makes calls by their operationId in openapi.yaml and checks every response against it.

    A sender that is signed in to an account sends its token with every request.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._token: str | None = None
        self._by_account: dict[str, Sender] = {}
        self.account = ""

    def with_token(self, account: str, token: str | None) -> Sender:
        other = copy.copy(self)
        other.account, other._token = account, token
        return other

    def as_account(self, account: str) -> Sender:
        """Return a sender that is signed in to this account; further calls return the same session."""
        if account not in self._by_account:
            token = self.sign_in(account, PASSWORDS[account]).json["token"]
            self._by_account[account] = self.with_token(account, token)
        return self._by_account[account]

    def sign_in(self, code: str, password: str) -> Response:
        return self.call("sign_in", body=json.dumps({"code": code, "password": password}).encode())

    def key(self, declaration: Declaration) -> str:
        """Return the key of a declaration; that of a personal one includes the account's code."""
        return key_of(declaration | ({"account": self.account} if declaration["to"] == "personal" else {}))

    def call(self, name: str, *, key: str = "", digest: str = "", **options: Any) -> Response:
        operation = OPERATIONS[name]
        path = operation.path.replace("{key}", key).replace("{sha256}", digest)
        response = self.request(operation.method, path, **options)
        assert str(response.status) in resolve(operation.pointer)[1]["responses"], (
            f"{name} has no documented response {response.status}: {response.body!r}"
        )
        check(response, f"{operation.pointer}/responses/{response.status}")
        return response

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] = b"",
        headers: dict[str, str] | None = None,
        withheld: int = 0,
    ) -> Response:
        """Send a request. An iterable body is sent in chunks.

        With `withheld` the Content-Length is that number of bytes, and none of them is sent.
        """
        connection = http.client.HTTPConnection(self._address, timeout=20)
        request_id = secrets.token_hex(16)
        token = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        headers = {"Request-Id": request_id, **token, **(headers or {})}
        try:
            if withheld:
                connection.putrequest(method, path, skip_host="Host" in headers)
                connection.putheader("Content-Length", str(withheld))
                for header, value in headers.items():
                    connection.putheader(header, value)
                connection.endheaders()
            else:
                chunked = not isinstance(body, bytes)
                connection.request(method, path, body, headers, encode_chunked=chunked)
            response = connection.getresponse()
            received = {header.lower(): value for header, value in response.getheaders()}
            assert received.get("request-id") == request_id or headers["Request-Id"] != request_id
            return Response(response.status, received, response.read())
        finally:
            connection.close()

    def declare(self, declaration: Declaration, key: str | None = None) -> Response:
        body = json.dumps(declaration).encode()
        return self.call("declare", key=key or self.key(declaration), body=body)

    def put(
        self, declaration: Declaration, content: bytes, digest: str | None = None, **options: Any
    ) -> Response:
        digest = digest or sha256(content).hexdigest()
        return self.call("put", key=self.key(declaration), digest=digest, body=content, **options)

    def send_in_one_exchange(self, declaration: Declaration, *contents: bytes, **options: Any) -> Response:
        """Send the declaration and its documents in one exchange."""
        parts = [
            part("declaration", json.dumps(declaration).encode()),
            *(part("document", c) for c in contents),
        ]
        return self.send_form(declaration, form(*parts), **options)

    def send_form(self, declaration: Declaration, body: bytes | Iterable[bytes], **options: Any) -> Response:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **options.pop("headers", {})}
        key = options.pop("key", None) or self.key(declaration)
        return self.call("declare", key=key, body=body, headers=headers, **options)

    def open_submission(self, declaration: Declaration | None = None) -> Declaration:
        """Open a submission and return its declaration."""
        declaration = declaration or new_declaration()
        assert self.declare(declaration).status == 201
        return declaration

    def complete_submission(self, declaration: Declaration | None = None) -> Declaration:
        """Declare, put and send a submission; return its declaration."""
        declaration = self.open_submission(declaration)
        assert self.put(declaration, CONTENT).status == 201
        assert self.call("send", key=self.key(declaration)).status == 200
        return declaration

    def withdraw_submission(self, declaration: Declaration | None = None) -> Declaration:
        """Open a submission and withdraw it; return its declaration."""
        declaration = self.open_submission(declaration)
        assert self.call("withdraw", key=self.key(declaration)).status == 200
        return declaration


CONTENT = b"%PDF-1.4 fictional"
DIGEST = sha256(CONTENT).hexdigest()
DOCUMENT: Declaration = {"name": "payslip.pdf", "bytes": len(CONTENT), "sha256": DIGEST}
INSURED: Declaration = {
    "to": "benefits",
    "identity": {"id_number": PERSON},
    "subject": "unemployment",
    "category": "employer",
    "type": "payslips",
    "remark": None,
    "branch": None,
    "required": None,
    "reference": None,
    "occurrence": 1,
    "documents": [DOCUMENT],
}
EMPLOYER: Declaration = INSURED | {
    "to": "employer-collection",
    "identity": {
        "employer_file": "900000000",
        "employer_kind": "deduction",
        "booklet": "A-123",
        "mobile": "0500000000",
        "email": None,
    },
    "subject": None,
    "category": "forms",
    "type": "form-620",
}
PERSONAL: Declaration = {name: value for name, value in INSURED.items() if name != "identity"} | {
    "to": "personal",
    "subject": "children",
    "category": "identity-bank",
    "type": "id-card-copy",
}
# A document that the sandbox requires from account 1001. The scenarios never send it, so it stays pending.
ANSWERING: Declaration = PERSONAL | {
    "subject": "unemployment",
    "category": "employer",
    "type": "payslips",
    "required": "R-4711",
}
# The sandbox's fictional accounts: one with required documents, one without, and one that is locked out.
ASKED, CLEAR, LOCKED = "1001", "1002", "1003"
PASSWORDS = {ASKED: "fictional-pending", CLEAR: "fictional-clear", LOCKED: "fictional-locked"}
UNKNOWN_TOKEN = "A" * 43  # has the format of a token
LARGEST = max(known.max_document_bytes for known in CATALOG.destinations.values())
numbers = itertools.count(1)


BOUNDARY = "a-boundary"


def part(name: str | None, content: bytes, more: str = "") -> bytes:
    """Return one part of a form, with or without a name."""
    named = "" if name is None else f'; name="{name}"'
    return f"Content-Disposition: form-data{named}{more}\r\n\r\n".encode() + content


def form(*parts: bytes, boundary: str = BOUNDARY, end: str = "--\r\n") -> bytes:
    """Return the body of a form."""
    edge = f"--{boundary}".encode()
    return b"".join(edge + b"\r\n" + one + b"\r\n" for one in parts) + edge + end.encode()


def new_declaration(base: Declaration = INSURED, **changes: Any) -> Declaration:
    """Return a declaration that no test has used yet."""
    return base | {"reference": f"test {next(numbers)}"} | changes


def new_key() -> str:
    """Return a key that the service has never seen."""
    return key_of(new_declaration())
