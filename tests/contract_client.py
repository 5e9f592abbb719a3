"""A client that holds every answer against openapi.yaml, and what it declares."""

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
from openapi import OPERATIONS, PREFIX, faults, resolved

if TYPE_CHECKING:
    from collections.abc import Iterable

    Declaration = dict[str, Any]

CATALOG = catalogs.load()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The short name of the problem, if it is one."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        return str(self.json["type"]).removeprefix(PREFIX)


def check(answer: Answer, pointer: str) -> None:
    """Hold an answer against a response of openapi.yaml: headers, media type, body."""
    pointer, response = resolved(pointer)
    for name, header in response.get("headers", {}).items():
        where = header.get("$ref", f"{pointer}/headers/{name}").removeprefix("#")
        assert name.lower() in answer.headers, f"no {name}"
        assert not faults(f"{where}/schema", answer.headers[name.lower()])
    if "content" not in response:
        assert answer.body == b""
        return
    (media_type,) = response["content"]
    assert answer.headers["content-type"] == media_type
    schema = f"{pointer}/content/{media_type.replace('/', '~1')}/schema"
    assert not faults(schema, answer.json, closed=True)


class Sender:
    """Makes calls by their names in openapi.yaml, and holds every answer against it.

    Without an account, or signed in to one: then its token goes with every request.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._token: str | None = None
        self._signed_in: dict[str, Sender] = {}
        self.account = ""

    def with_token(self, account: str, token: str | None) -> Sender:
        other = copy.copy(self)
        other.account, other._token = account, token
        return other

    def signed_in(self, account: str) -> Sender:
        """Give somebody who is signed in to this account; the same session whenever this sender is asked."""
        if account not in self._signed_in:
            token = self.sign_in(account, PASSWORDS[account]).json["token"]
            self._signed_in[account] = self.with_token(account, token)
        return self._signed_in[account]

    def sign_in(self, code: str, password: str) -> Answer:
        return self.ask("sign_in", body=json.dumps({"code": code, "password": password}).encode())

    def key(self, declaration: Declaration) -> str:
        """The key of a declaration; the account's code enters that of a personal one."""
        return key_of(declaration | ({"account": self.account} if declaration["to"] == "personal" else {}))

    def ask(self, name: str, *, key: str = "", digest: str = "", **options: Any) -> Answer:
        operation = OPERATIONS[name]
        path = operation.path.replace("{key}", key).replace("{sha256}", digest)
        answer = self.request(operation.method, path, **options)
        responses = resolved(operation.pointer)[1]["responses"]
        assert str(answer.status) in responses, (
            f"{name} is not known to answer {answer.status}: {answer.body!r}"
        )
        check(answer, f"{operation.pointer}/responses/{answer.status}")
        return answer

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] = b"",
        headers: dict[str, str] | None = None,
        withheld: int = 0,
    ) -> Answer:
        """Make a request. Pieces are sent in chunks; `withheld` bytes are announced and never sent."""
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
            stated = {header.lower(): value for header, value in response.getheaders()}
            assert stated.get("request-id") == request_id or headers["Request-Id"] != request_id
            return Answer(response.status, stated, response.read())
        finally:
            connection.close()

    def declare(self, declaration: Declaration, key: str | None = None) -> Answer:
        body = json.dumps(declaration).encode()
        return self.ask("declare", key=key or self.key(declaration), body=body)

    def put(
        self, declaration: Declaration, content: bytes, digest: str | None = None, **options: Any
    ) -> Answer:
        digest = digest or sha256(content).hexdigest()
        return self.ask("put", key=self.key(declaration), digest=digest, body=content, **options)

    def send_whole(self, declaration: Declaration, *contents: bytes, **options: Any) -> Answer:
        """Send declaration and documents in one exchange."""
        parts = [
            part("declaration", json.dumps(declaration).encode()),
            *(part("document", c) for c in contents),
        ]
        return self.send_form(declaration, form(*parts), **options)

    def send_form(self, declaration: Declaration, body: bytes | Iterable[bytes], **options: Any) -> Answer:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **options.pop("headers", {})}
        key = options.pop("key", None) or self.key(declaration)
        return self.ask("declare", key=key, body=body, headers=headers, **options)

    def opened(self, declaration: Declaration | None = None) -> Declaration:
        """Declare something, and see it open."""
        declaration = declaration or a_declaration()
        assert self.declare(declaration).status == 201
        return declaration

    def received(self, declaration: Declaration | None = None) -> Declaration:
        """Go the whole way to a receipt."""
        declaration = self.opened(declaration)
        assert self.put(declaration, CONTENT).status == 201
        assert self.ask("send", key=self.key(declaration)).status == 200
        return declaration

    def withdrawn(self, declaration: Declaration | None = None) -> Declaration:
        declaration = self.opened(declaration)
        assert self.ask("withdraw", key=self.key(declaration)).status == 200
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
# What the sandbox asks its account 1001 for. Nothing here has it received, so it stays asked for.
ANSWERING: Declaration = PERSONAL | {
    "subject": "unemployment",
    "category": "employer",
    "type": "payslips",
    "required": "R-4711",
}
# The sandbox's invented accounts: one that is asked for documents, one that is not, one that is locked.
ASKED, CLEAR, LOCKED = "1001", "1002", "1003"
PASSWORDS = {ASKED: "fictional-pending", CLEAR: "fictional-clear", LOCKED: "fictional-locked"}
NO_TOKEN = "A" * 43  # it looks like one
LARGEST = max(known.max_document_bytes for known in CATALOG.destinations.values())
numbers = itertools.count(1)


BOUNDARY = "a-boundary"


def part(name: str | None, content: bytes, more: str = "") -> bytes:
    """Give one part of a form; without a name, one that has none."""
    named = "" if name is None else f'; name="{name}"'
    return f"Content-Disposition: form-data{named}{more}\r\n\r\n".encode() + content


def form(*parts: bytes, boundary: str = BOUNDARY, end: str = "--\r\n") -> bytes:
    """Give the body of a form."""
    edge = f"--{boundary}".encode()
    return b"".join(edge + b"\r\n" + one + b"\r\n" for one in parts) + edge + end.encode()


def a_declaration(base: Declaration = INSURED, **changes: Any) -> Declaration:
    """One that no test has used yet."""
    return base | {"reference": f"test {next(numbers)}"} | changes


def a_key() -> str:
    """A key that the service has never seen."""
    return key_of(a_declaration())
