"""The headers that every request is judged by before its call, and the `Request-Id` of every answer.

A web page that a browser shows can send requests to this machine, and through a name of its own (DNS
rebinding) even read the answers. Its requests carry its `Host` or its `Origin`, and are refused by them.
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

from docsend.sandbox.body import GRACE_S, discarded
from docsend.sandbox.problems import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

    from docsend.sandbox.body import Body

_REQUEST_ID = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]{1,64}\Z")  # a token (RFC 9110, 5.6.2)
_ID_LINE = re.compile(rb"^request-id:[ \t]*(.*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_AUTHORITY = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[0-9A-Za-z._-]+))(?::[0-9]*)?\Z")


class _Problem(JSONResponse):
    """The answer that tells a refusal, sent at once; what still comes of a body is read behind it.

    So nobody waits for a body that nobody wants, and a sender that is still sending does not lose the answer
    with its connection.
    """

    def __init__(self, refusal: Refusal, body: Body | None) -> None:
        super().__init__(
            refusal.body(),
            status_code=refusal.status,
            media_type="application/problem+json",
            headers={"Cache-Control": "no-store", **refusal.headers},
        )
        self._refused = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._refused is None:
            await super().__call__(scope, receive, send)
            return
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self._refused.discard()
        await send({"type": "http.response.body", "body": b""})


def problem(refusal: Refusal, body: Body | None = None) -> JSONResponse:
    """Make the answer that tells a refusal; `body` is what may still be coming of the request."""
    return _Problem(refusal, body)


class RequestChecks:
    """An ASGI application around another one, which only sees requests that were meant for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        echo = _echoed(_stated(scope, b"request-id"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *echo]}
            await send(message)

        try:
            _check(scope)
        except Refusal as refusal:
            if refusal.status != 400:  # where a malformed request's body ends is not certain
                await discarded(Request(scope, receive))
            await problem(refusal)(scope, receive, send_with_id)
        else:
            await self._app(scope, receive, send_with_id)


def _stated(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _echoed(given: list[str]) -> list[tuple[bytes, bytes]]:
    """Return the header that repeats a request's id; none if it is not one token."""
    is_plain = len(given) == 1 and _REQUEST_ID.match(given[0])
    return [(b"request-id", given[0].encode("ascii"))] if is_plain else []


def _check(scope: Scope) -> None:
    hosts = _stated(scope, b"host")
    if len(hosts) != 1 or not _AUTHORITY.match(hosts[0]):
        raise Refusal(400, "malformed", "a request names its host, once")
    if not _is_served(hosts[0], scope["server"]):
        raise Refusal(421, "host-not-served", "this service is not the host that the request names")
    own = {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")}
    if any(origin.lower() not in own for origin in _stated(scope, b"origin")):
        raise Refusal(403, "origin-not-allowed", "web pages of other origins may not call this service")
    request_id = _stated(scope, b"request-id")
    if len(request_id) > 1 or not all(map(_REQUEST_ID.match, request_id)):
        raise Refusal(400, "malformed", "a Request-Id is one token of at most 64 characters")
    if _stated(scope, b"content-length") and _stated(scope, b"transfer-encoding"):
        raise Refusal(400, "malformed", "a body has a Content-Length or a Transfer-Encoding, not both")
    if len(_stated(scope, b"content-type")) > 1:
        raise Refusal(400, "malformed", "a body has one Content-Type")


def _is_served(authority: str, bound: tuple[str, int | None] | None) -> bool:
    """Tell this machine's own names, and the address at which the request arrived, from others.

    The port does not count: relays and `ssh -L` keep the one that the sender named.
    """
    match = _AUTHORITY.match(authority)
    host = (match["address"] or match["name"]).lower().removesuffix(".") if match else ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or (bound is not None and str(address) == bound[0])


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the contract's answer to what cannot be read as a request.

    A request without a Host, or with two, is of this kind: h11 makes no request of it.
    """

    _head = b""
    _last_cycle: object = None

    def data_received(self, data: bytes) -> None:
        is_between = str(self.conn.their_state) == "IDLE"
        if not is_between or self._last_cycle is not self.cycle:
            self._head, self._last_cycle = b"", self.cycle
        if is_between:
            self._head += data
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None until a first request was read
        in_hand = None if cycle is None or cycle.response_complete else cycle
        if in_hand is not None and (in_hand.response_started or not in_hand.more_body):
            # What stands behind a whole request changes nothing about its answer, and is not read.
            in_hand.keep_alive = False
            return
        if str(self.conn.our_state) not in ("IDLE", "SEND_RESPONSE"):
            self.transport.close()
            return
        ids = self._echo() if in_hand is None else _echoed(_stated(dict(in_hand.scope), b"request-id"))
        answer = problem(Refusal(400, "malformed", "this is no HTTP request with one Host"))
        headers = [*answer.raw_headers, *ids, (b"connection", b"close")]
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%b: %b" % header for header in headers), b"", b""]
        self.transport.write(b"\r\n".join(lines) + bytes(answer.body))
        self.transport.close()

    def _echo(self) -> list[tuple[bytes, bytes]]:
        """Return the Request-Id of what could not be read, if it is clear which one that is."""
        if self.cycle is not self._last_cycle:  # a request was read since, and the id may be its own
            return []
        found = _ID_LINE.findall(self._head.partition(b"\r\n\r\n")[0])
        return _echoed([one.decode("latin-1") for one in found])
