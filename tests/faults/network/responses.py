"""Forged responses, and the exit codes that a client may derive from them."""

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


def http_response(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} -",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def json_response(status: int, value: object) -> bytes:
    return http_response(status, json.dumps(value).encode(), Content_Type="application/json")


def with_request_id(response: bytes, request_id: bytes | None) -> bytes:
    """Return a response with its Request-Id replaced by this one, or removed if it is None."""
    head, end, rest = response.partition(b"\r\n")
    rest = re.sub(rb"(?im)^request-id:.*\r\n", b"", rest, count=1)
    return head + end + (b"Request-Id: " + request_id + b"\r\n" if request_id else b"") + rest


def problem_response(status: int, code: str, **members: object) -> bytes:
    body = {"type": f"urn:docsend:problem:{code}", "title": code, "status": status, "detail": code, **members}
    return http_response(status, json.dumps(body).encode(), Content_Type="application/problem+json")


_HTML_PAGE = b"<!doctype html><html><title>Sign in to the network</title></html>"

# Each of these replaces the sandbox's response; the sandbox does not get the request.
FORGED_RESPONSES: dict[str, Callable[[], bytes]] = {
    "101": lambda: http_response(101),
    "200 empty": lambda: http_response(200),
    "200 HTML": lambda: http_response(200, _HTML_PAGE, Content_Type="text/html"),
    "201 {}": lambda: json_response(201, {}),
    "204": lambda: http_response(204),
    "400 plain": lambda: http_response(400, b"bad request"),
    "400 malformed": lambda: problem_response(400, "malformed"),
    "400 digest-mismatch": lambda: problem_response(400, "digest-mismatch"),
    "401 plain": lambda: http_response(401, WWW_Authenticate="Basic"),
    "401 sign-in-needed": lambda: problem_response(401, "sign-in-needed"),
    "403": lambda: http_response(403, _HTML_PAGE, Content_Type="text/html"),
    "404 plain": lambda: http_response(404, b"not found"),
    "404 not-found": lambda: problem_response(404, "not-found"),
    "405": lambda: problem_response(405, "method-not-allowed"),
    "408": lambda: problem_response(408, "too-slow"),
    "409 incomplete": lambda: problem_response(409, "incomplete", missing=[]),
    "409 key-reused": lambda: problem_response(409, "key-reused"),
    "410": lambda: http_response(410),
    "411": lambda: problem_response(411, "length-required"),
    "413": lambda: problem_response(413, "document-too-large"),
    "413 HTML": lambda: http_response(413, _HTML_PAGE, Content_Type="text/html"),
    "415": lambda: problem_response(415, "content-mismatch"),
    "418": lambda: http_response(418, b"short and stout"),
    "422": lambda: problem_response(
        422, "invalid", errors=[{"pointer": "/type", "code": "type-missing", "detail": "-"}]
    ),
    "425": lambda: http_response(425),
    "429 seconds": lambda: http_response(429, Retry_After="0"),
    "429 date": lambda: http_response(429, Retry_After=formatdate(time.time() + 1, usegmt=True), Date=_now()),
    "429 past": lambda: http_response(429, Retry_After="Sat, 01 Jan 2000 00:00:00 GMT", Date=_now()),
    "429 garbage": lambda: http_response(429, Retry_After="-1 soon\t\xe9"),
    "429 huge": lambda: http_response(429, Retry_After="9" * 400),
    "500": lambda: problem_response(500, "own-fault"),
    "502 HTML": lambda: http_response(502, _HTML_PAGE, Content_Type="text/html"),
    "503": lambda: http_response(503, Retry_After="0"),
    "504": lambda: http_response(504),
    "gzip bomb": lambda: http_response(200, _BOMB, Content_Encoding="gzip", Content_Type="application/json"),
}
_BOMB: bytes = gzip.compress(bytes(50_000_000))
WITHDRAWN = "409 withdrawn"  # final by contract, see the package's docstring
# A filter between client and service refuses permanently; if nothing was received, a client may exit with 5.
BLOCKED = frozenset({"403", "413 HTML"})
# The form of one exchange is refused, or its body arrived altered: the client sends the same content
# again, in one exchange or staged.
FORM_REFUSALS = BLOCKED | {
    *("400 plain", "400 malformed", "400 digest-mismatch", "404 plain", "404 not-found", "405", "408", "410"),
    *("411", "418"),
}
# The contract refuses permanently, so a client may exit with 5; after a 401 problem it may exit with 4.
FINAL_REFUSALS = frozenset(
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
SIGN_IN_REQUIRED = frozenset({"401 sign-in-needed"})


def _now() -> str:
    return formatdate(usegmt=True)
