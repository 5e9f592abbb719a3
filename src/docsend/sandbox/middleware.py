"""The header checks that every request must pass first, and the `Request-Id` header of every response.

A web page in a browser can send requests to this machine, and with DNS rebinding it can even read the
responses. Such requests carry the page's `Host` or `Origin`, so both headers are checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
from typing import TYPE_CHECKING, cast

from starlette.requests import Request
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from docsend.sandbox.body import BASE_TIMEOUT_S, discard_body
from docsend.sandbox.problems import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

    from docsend.sandbox.body import Body

_REQUEST_ID = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]{1,64}\Z")  # a token (RFC 9110, 5.6.2)
_ID_LINE = re.compile(rb"^request-id:[ \t]*(.*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_AUTHORITY = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z._-]+))(?::[0-9]*)?\Z")


class _ProblemResponse(JSONResponse):
    """The response to a refused request, sent at once. The rest of the request's body is then discarded.

    The sender gets the response without having to finish the request. Because the rest is still read, no
    connection reset destroys the response while the sender is still sending.
    """

    def __init__(self, refusal: Refusal, body: Body | None) -> None:
        super().__init__(
            refusal.body(),
            status_code=refusal.status,
            media_type="application/problem+json",
            headers={"Cache-Control": "no-store", **refusal.headers},
        )
        self._request_body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._request_body is None:
            await super().__call__(scope, receive, send)
            return
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BASE_TIMEOUT_S):
                await self._request_body.discard()
        await send({"type": "http.response.body", "body": b""})


def problem_response(refusal: Refusal, body: Body | None = None) -> JSONResponse:
    """Return the response for a refusal. `body` is the request's body if it may still be arriving."""
    return _ProblemResponse(refusal, body)


class RequestChecks:
    """ASGI middleware that rejects requests with unacceptable headers and repeats the `Request-Id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id_header = _request_id_header(_header_values(scope, b"request-id"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *request_id_header]}
            await send(message)

        try:
            _check_headers(scope)
        except Refusal as refusal:
            if refusal.status != 400:  # the end of a malformed request's body is uncertain
                await discard_body(Request(scope, receive))
            await problem_response(refusal)(scope, receive, send_with_id)
        else:
            await self._app(scope, receive, send_with_id)


def _header_values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]


def _request_id_header(values: list[str]) -> list[tuple[bytes, bytes]]:
    """Return the header that repeats the request's id, or [] unless there is exactly one valid id."""
    is_token = len(values) == 1 and _REQUEST_ID.match(values[0])
    return [(b"request-id", values[0].encode("ascii"))] if is_token else []


def _check_headers(scope: Scope) -> None:
    hosts = _header_values(scope, b"host")
    if len(hosts) != 1 or not _AUTHORITY.match(hosts[0]):
        raise Refusal(400, "malformed", "a request must have one valid Host")
    if not _is_served_host(hosts[0], scope["server"]):
        raise Refusal(421, "host-not-served", "this service does not serve the requested host")
    own_origins = {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")}
    if any(origin.lower() not in own_origins for origin in _header_values(scope, b"origin")):
        raise Refusal(403, "origin-not-allowed", "web pages of other origins may not call this service")
    request_ids = _header_values(scope, b"request-id")
    if len(request_ids) > 1 or not all(map(_REQUEST_ID.match, request_ids)):
        raise Refusal(400, "malformed", "the Request-Id must be one token of at most 64 characters")
    if _header_values(scope, b"content-length") and _header_values(scope, b"transfer-encoding"):
        raise Refusal(400, "malformed", "a request must not have both Content-Length and Transfer-Encoding")
    if len(_header_values(scope, b"content-type")) > 1:
        raise Refusal(400, "malformed", "a request must not have more than one Content-Type")


def _is_served_host(authority: str, server: tuple[str, int | None] | None) -> bool:
    """Return whether an authority names this machine, or the address at which the request arrived.

    The port is ignored, because relays and `ssh -L` pass on the port that the sender used.
    """
    match = _AUTHORITY.match(authority)
    host = (match["address"] or match["name"]).lower().removesuffix(".") if match else ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or (server is not None and str(address) == server[0])


class HTTPProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, with the contract's response to input that cannot be parsed.

    Such input includes requests without a Host header, or with two, because h11 rejects them while parsing.
    """

    _head = b""
    _last_cycle: object = None

    def data_received(self, data: bytes) -> None:
        is_idle = str(self.conn.their_state) == "IDLE"
        if not is_idle or self._last_cycle is not self.cycle:
            self._head, self._last_cycle = b"", self.cycle
        if is_idle:
            self._head += data
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's message is not used
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None until the first request has been read
        current = None if cycle is None or cycle.response_complete else cycle
        if current is not None and (current.response_started or not current.more_body):
            # Bytes after a complete request do not change its response, and are not read.
            current.keep_alive = False
            return
        if str(self.conn.our_state) not in ("IDLE", "SEND_RESPONSE"):
            self.transport.close()
            return
        id_headers = (
            self._unparsed_request_id()
            if current is None
            else _request_id_header(_header_values(dict(current.scope), b"request-id"))
        )
        response = problem_response(Refusal(400, "malformed", "this is not an HTTP request with one Host"))
        headers = [*response.raw_headers, *id_headers, (b"connection", b"close")]
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%b: %b" % header for header in headers), b"", b""]
        self.transport.write(b"\r\n".join(lines) + bytes(response.body))
        self.transport.close()

    def _unparsed_request_id(self) -> list[tuple[bytes, bytes]]:
        """Return the Request-Id header of input that could not be parsed, or [] if the id is uncertain."""
        if self.cycle is not self._last_cycle:  # `_head` may contain the id of a request that was read since
            return []
        found = _ID_LINE.findall(self._head.partition(b"\r\n\r\n")[0])
        return _request_id_header([one.decode("latin-1") for one in found])
