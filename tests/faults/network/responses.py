"""Answers that the sandbox did not give, and what a client may make of them."""

from __future__ import annotations

import gzip
import json
import re
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LATER = "2099-01-01T00:00:00Z"


def http_answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} -",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def json_answer(status: int, value: object) -> bytes:
    return http_answer(status, json.dumps(value).encode(), Content_Type="application/json")


def with_id(answer: bytes, request_id: bytes | None) -> bytes:
    """Give an answer with this id in the place of its own, if it has one; None for none."""
    head, end, rest = answer.partition(b"\r\n")
    rest = re.sub(rb"(?im)^request-id:.*\r\n", b"", rest, count=1)
    return head + end + (b"Request-Id: " + request_id + b"\r\n" if request_id else b"") + rest


def problem_answer(status: int, code: str, **members: object) -> bytes:
    body = {"type": f"urn:docsend:problem:{code}", "title": code, "status": status, "detail": code, **members}
    return http_answer(status, json.dumps(body).encode(), Content_Type="application/problem+json")


_HTML = b"<!doctype html><html><title>Sign in to the network</title></html>"

# Each of these is all that a client gets, in the place of the sandbox's answer; the sandbox sees nothing.
ANSWERS: dict[str, Callable[[], bytes]] = {
    "101": lambda: http_answer(101),
    "200 empty": lambda: http_answer(200),
    "200 HTML": lambda: http_answer(200, _HTML, Content_Type="text/html"),
    "201 {}": lambda: json_answer(201, {}),
    "204": lambda: http_answer(204),
    "400 plain": lambda: http_answer(400, b"bad request"),
    "400 malformed": lambda: problem_answer(400, "malformed"),
    "400 digest-mismatch": lambda: problem_answer(400, "digest-mismatch"),
    "401 plain": lambda: http_answer(401, WWW_Authenticate="Basic"),
    "401 sign-in-needed": lambda: problem_answer(401, "sign-in-needed"),
    "403": lambda: http_answer(403, _HTML, Content_Type="text/html"),
    "404 plain": lambda: http_answer(404, b"not found"),
    "404 not-found": lambda: problem_answer(404, "not-found"),
    "405": lambda: problem_answer(405, "method-not-allowed"),
    "408": lambda: problem_answer(408, "too-slow"),
    "409 incomplete": lambda: problem_answer(409, "incomplete", missing=[]),
    "409 key-reused": lambda: problem_answer(409, "key-reused"),
    "410": lambda: http_answer(410),
    "411": lambda: problem_answer(411, "length-required"),
    "413": lambda: problem_answer(413, "document-too-large"),
    "413 HTML": lambda: http_answer(413, _HTML, Content_Type="text/html"),
    "415": lambda: problem_answer(415, "content-mismatch"),
    "418": lambda: http_answer(418, b"short and stout"),
    "422": lambda: problem_answer(
        422, "invalid", errors=[{"pointer": "/type", "code": "type-missing", "detail": "-"}]
    ),
    "425": lambda: http_answer(425),
    "429 seconds": lambda: http_answer(429, Retry_After="0"),
    "429 date": lambda: http_answer(429, Retry_After=formatdate(time.time() + 1, usegmt=True), Date=_now()),
    "429 past": lambda: http_answer(429, Retry_After="Sat, 01 Jan 2000 00:00:00 GMT", Date=_now()),
    "429 garbage": lambda: http_answer(429, Retry_After="-1 soon\t\xe9"),
    "429 huge": lambda: http_answer(429, Retry_After="9" * 400),
    "500": lambda: problem_answer(500, "own-fault"),
    "502 HTML": lambda: http_answer(502, _HTML, Content_Type="text/html"),
    "503": lambda: http_answer(503, Retry_After="0"),
    "504": lambda: http_answer(504),
    "gzip bomb": lambda: http_answer(200, _BOMB, Content_Encoding="gzip", Content_Type="application/json"),
}
_BOMB: bytes = gzip.compress(bytes(50_000_000))
WITHDRAWN = "409 withdrawn"  # final by contract, see the package
# By these something on the way refuses for good what cannot have been received; a client may end with 5.
PAGES = frozenset({"403", "413 HTML"})
# By these the form of one exchange is refused, or its body arrived altered: the same is sent in either way.
OF_THE_FORM = PAGES | {
    *("400 plain", "400 malformed", "400 digest-mismatch", "404 plain", "404 not-found", "405", "408", "410"),
    *("411", "418"),
}
# By these the contract refuses for good, and a client may end with 5; 401 as a problem may end it with 4.
REFUSES = frozenset(
    {
        "400 malformed",
        "400 digest-mismatch",
        "405",
        "409 incomplete",
        "409 key-reused",
        "411",
        "413",
        "413 early",
        "415",
        "422",
        "404 not-found",
    }
)
WANTS_SIGN_IN = frozenset({"401 sign-in-needed"})


def _now() -> str:
    return formatdate(usegmt=True)
