"""The faults that the proxy injects into an exchange, by name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from faults.network.exchange import LOOPBACK, Exchange, Request, content_length
from faults.network.responses import (
    FORGED_RESPONSES,
    LATER,
    WITHDRAWN,
    http_response,
    json_response,
    problem_response,
    with_request_id,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Fault = Callable[["Exchange"], Awaitable[None]]

_STALL_S = 1.5  # longer than the clients' retry time

_RELAY_S = 1.9  # a relay's delay: longer than the retry time, which must not end a running attempt
_EARLY_BYTES = 64 * 1024
_MIN_UNBUFFERED_BYTES = 7_000_000  # more than the buffers of a connection can hold

# A client's limits for one exchange in schedules with slow relays: grace period in seconds, and bytes per
# second. The program's defaults are 60 s and 16 KiB/s.
SHORT_LIMITS = (1.5, 200_000.0)


async def forward(exchange: Exchange) -> None:
    response = await exchange.forward()
    await exchange.send(response if exchange.proxy.echoes_ids else with_request_id(response, None))


async def _refuse(exchange: Exchange) -> None:
    """Reset this connection, and refuse new ones for a while."""
    exchange.reset()
    exchange.proxy.refuse_connections()


async def _reset_before(exchange: Exchange) -> None:
    exchange.reset()


async def _reset_in_body(exchange: Exchange) -> None:
    half = await exchange.part_of_body(exchange.request.length // 2)
    await exchange.proxy.abandon(exchange.request.head + half)
    exchange.reset()


async def _reset_after_body(exchange: Exchange) -> None:
    await exchange.proxy.abandon(exchange.request.head + await exchange.body())
    exchange.reset()


async def _lose_response(exchange: Exchange) -> None:
    await exchange.forward()
    exchange.close()


async def _filter_response(exchange: Exchange) -> None:
    """Forward the request, and replace its response with a page, as a filter does."""
    await exchange.forward()
    await exchange.forge(FORGED_RESPONSES["403"]())


async def _cut_response_in_head(exchange: Exchange) -> None:
    response = await exchange.forward()
    await exchange.send(response[: response.index(b"\r\n\r\n") // 2])
    exchange.close()


async def _cut_response_in_body(exchange: Exchange) -> None:
    """Close the connection after half of the body, or just before the end of the head if there is no body."""
    head, end, body = (await exchange.forward()).partition(b"\r\n\r\n")
    await exchange.send(head + end + body[: len(body) // 2] if body else head)
    exchange.close()


async def _send_byte_by_byte(exchange: Exchange) -> None:
    for byte in await exchange.forward():
        await exchange.send(bytes([byte]))
        await asyncio.sleep(0.0002)


async def _stall(exchange: Exchange) -> None:
    await exchange.body()
    await asyncio.sleep(_STALL_S)
    exchange.reset()


async def _duplicate(exchange: Exchange) -> None:
    """Deliver the request twice at the same time, like a middlebox that retries."""
    request = exchange.request.head + await exchange.body()
    response, _ = await asyncio.gather(exchange.proxy.deliver(request), exchange.proxy.deliver(request))
    await exchange.send(response)


async def _delay(when: str, exchange: Exchange) -> None:
    """Reset the connection, and deliver the request to the sandbox later."""
    exchange.proxy.delayed.append((when, exchange.request.head + await exchange.body()))
    exchange.reset()


async def _refuse_early(exchange: Exchange) -> None:
    await exchange.forge(problem_response(413, "document-too-large"))
    exchange.close()


async def _flood_with_hints(exchange: Exchange) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    await exchange.send(hint * 200 + await exchange.forward())


async def _send_endless_head(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(300):
        await exchange.send(b"X-%d: %s\r\n" % (number, b"a" * 1000))
    exchange.reset()


async def _redirect(status: int, exchange: Exchange) -> None:
    await exchange.body()
    location = f"http://{LOOPBACK}:{exchange.proxy.redirect_port}{exchange.request.path}"
    await exchange.forge(http_response(status, Location=location))


async def _send_foreign_receipt(exchange: Exchange) -> None:
    """Respond with a real receipt of this sandbox, but of another submission."""
    await exchange.body()
    await exchange.forge(json_response(200, _shape_receipt(exchange.request, exchange.proxy.foreign)))


async def _fail_with_receipt(exchange: Exchange) -> None:
    """Respond 503 with a forged receipt that is otherwise correct; nothing was received."""
    await exchange.body()
    await exchange.forge(_forged_receipt(exchange, 503))


def _forged_receipt(exchange: Exchange, status: int = 200) -> bytes:
    """Return a forged receipt with the right key and documents; nothing was received."""
    declared = exchange.proxy.observations.declared.get(key_in(exchange.request), {"documents": []})
    receipt = {
        "key": key_in(exchange.request),
        "number": "SANDBOX-999999",
        "issuer": "a gateway",
        "received_at": "2026-01-01T00:00:00.000Z",
        "branch": {"code": "haifa", "name": {"he": "-", "en": "Haifa", "fr": "-"}},
        "documents": declared["documents"],
    }
    return json_response(status, _shape_receipt(exchange.request, receipt))


async def _replace_response(response: Callable[[], bytes], exchange: Exchange) -> None:
    await exchange.body()
    await exchange.forge(response())


async def _append_stray(stray: Callable[[Exchange], bytes], exchange: Exchange) -> None:
    """Append a stray response to the response, in the same packet and before the next request."""
    await exchange.send(await exchange.forward() + stray(exchange))


async def _send_stray_later(exchange: Exchange) -> None:
    """Send 408 on the idle connection after the response, as servers do before they close it."""
    response = await exchange.forward()
    await exchange.send(response)
    await asyncio.sleep(0.005)
    await exchange.send(http_response(408, Connection="close"))
    exchange.close()


async def _forge_with_another_id(response: Callable[[Exchange], bytes], exchange: Exchange) -> None:
    """Respond with a forgery that has another request's id; no connection may trust it, new or reused."""
    await exchange.body()
    await exchange.send(with_request_id(response(exchange), b"0" * 32))


async def _change_id(exchange: Exchange) -> None:
    await exchange.send(with_request_id(await exchange.forward(), b"0" * 32))


async def _repeat_previous(exchange: Exchange) -> None:
    """Send the previous request's response instead of this one's, as if all responses came one late."""
    await exchange.body()
    await exchange.send(exchange.previous_response or with_request_id(_forged_receipt(exchange), b"0" * 32))


async def _forge_without_id(response: Callable[[Exchange], bytes], exchange: Exchange) -> None:
    """Send a forgery without an id on a connection that has seen ids; on a new one, the real response."""
    if exchange.previous_response:
        await exchange.body()
        await exchange.send(with_request_id(response(exchange), None))
    else:
        await exchange.send(with_request_id(await exchange.forward(), None))


async def _respond_early(exchange: Exchange) -> None:
    """Report success after a part of the body, and close the connection: the rest cannot have arrived."""
    request = exchange.request
    # `send` has no body, so no part can be missing. A small form may have been sent completely, and then the
    # client cannot recognize a forged receipt.
    if request.call == "send" or (request.call == "submit" and request.length < _MIN_UNBUFFERED_BYTES):
        await exchange.send(await exchange.forward())
        return
    part = await exchange.part_of_body(min(_EARLY_BYTES, exchange.request.length // 2))
    opened: dict[str, object] = {
        "state": "open",
        "missing": [],
        "branch": "haifa",
        "expires_at": LATER,
        "receipt": None,
    }
    if exchange.request.call == "submit":
        exchange.proxy.observations.declared[key_in(exchange.request)] = declaration_of(part)
    responses = {"put": lambda: http_response(204), "declare": lambda: json_response(201, opened)}
    await exchange.forge(responses.get(exchange.request.call, lambda: _forged_receipt(exchange, 201))())
    with contextlib.suppress(OSError):  # the client may have been killed
        exchange.writer.write_eof()
    await asyncio.sleep(0.05)
    exchange.close()


async def _send_two_lengths(exchange: Exchange) -> None:
    """Send a forged receipt with both Content-Length and chunks, so that readers disagree about its end."""
    await exchange.body()
    lie = _forged_receipt(exchange)
    head, _, body = lie.partition(b"\r\n\r\n")
    chunks = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    stated = re.sub(rb"(?im)^content-length:.*$", b"Content-Length: %d" % len(chunks), head + b"\r\n")
    await exchange.forge(stated + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)


async def _relay(seconds: Callable[[Exchange], float], exchange: Exchange) -> None:
    """Read the request at once and forward it slowly, like a relay that inspects documents."""
    request = exchange.request.head + await exchange.body()
    pieces = 8
    size = -(-len(request) // pieces)
    reader, writer = await asyncio.open_connection(LOOPBACK, exchange.proxy.sandbox_port, limit=2**20)
    try:
        for start in range(0, len(request), size):
            await asyncio.sleep(seconds(exchange) / pieces)
            writer.write(request[start : start + size])
            await writer.drain()
        await exchange.send(await read_response(reader))
    finally:
        writer.transport.abort()


def _share_of_short_limit(share: float, exchange: Exchange) -> float:
    """Return a share of the time, in seconds, that a client with SHORT_LIMITS allows for this exchange."""
    grace_s, slowest_bytes_per_s = SHORT_LIMITS
    return share * (grace_s + exchange.request.length / slowest_bytes_per_s)


async def read_response(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(content_length(head))


def _forged_withdrawal(_: Exchange) -> bytes:
    return problem_response(409, "withdrawn")


def _shape_receipt(request: Request, receipt: dict[str, Any]) -> dict[str, Any]:
    if request.call != "declare":
        return receipt
    return {"state": "received", "missing": [], "branch": "haifa", "expires_at": None, "receipt": receipt}


def declaration_of(body: bytes) -> dict[str, Any]:
    """Return the declaration, the first part of the body of one exchange."""
    return dict(json.loads(body.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]))


def key_in(request: Request) -> str:
    return request.path.split("/")[3]


FOREIGN, EARLY, RELAY = "200 foreign receipt", "2xx after 64 KB", "relay that buffers"
RELAY_IN_TIME, RELAY_TOO_LATE = "relay just in time", "relay too late"
FILTERED = "403 for the response"
_CONNECTION_FAULTS: dict[str, Fault] = {
    "refuse": _refuse,
    "reset before": _reset_before,
    "reset in body": _reset_in_body,
    "reset after body": _reset_after_body,
    "response lost": _lose_response,
    "response cut in head": _cut_response_in_head,
    "response cut in body": _cut_response_in_body,
    "byte by byte": _send_byte_by_byte,
    "stall": _stall,
    "duplicate": _duplicate,
    "delayed until the next request": partial(_delay, "next"),
    "delayed until the clients end": partial(_delay, "after"),
    "delayed until after the receipt": partial(_delay, "late"),
    "413 early": _refuse_early,
    "1xx flood": _flood_with_hints,
    "endless head": _send_endless_head,
    "301": partial(_redirect, 301),
    "303": partial(_redirect, 303),
    "307": partial(_redirect, 307),
    "308": partial(_redirect, 308),
    FOREIGN: _send_foreign_receipt,
    "503 with a receipt": _fail_with_receipt,
    "stray 409 after": partial(_append_stray, _forged_withdrawal),
    "stray 200 after": partial(_append_stray, _forged_receipt),
    "stray 204 after": partial(_append_stray, lambda _: http_response(204)),
    "stray 409 after, same id": partial(
        _append_stray,
        lambda exchange: with_request_id(_forged_withdrawal(exchange), exchange.request.request_id),
    ),
    "stray 200 after, same id": partial(
        _append_stray,
        lambda exchange: with_request_id(_forged_receipt(exchange), exchange.request.request_id),
    ),
    "stray 408 later": _send_stray_later,
    "response with another id": _change_id,
    "409 withdrawn with another id": partial(_forge_with_another_id, _forged_withdrawal),
    "200 receipt with another id": partial(_forge_with_another_id, _forged_receipt),
    "previous response": _repeat_previous,
    "409 withdrawn without id": partial(_forge_without_id, _forged_withdrawal),
    "200 receipt without id": partial(_forge_without_id, _forged_receipt),
    EARLY: _respond_early,
    "two lengths": _send_two_lengths,
    RELAY: partial(_relay, lambda _: _RELAY_S),
}
_RESPONSE_FAULTS = {name: partial(_replace_response, response) for name, response in FORGED_RESPONSES.items()}
CONNECTION_FAULTS, RESPONSE_FAULTS = list(_CONNECTION_FAULTS), list(_RESPONSE_FAULTS)
FAULTS: dict[str, Fault] = {
    **_CONNECTION_FAULTS,
    **_RESPONSE_FAULTS,
    WITHDRAWN: partial(_replace_response, partial(problem_response, 409, "withdrawn")),
    RELAY_IN_TIME: partial(_relay, partial(_share_of_short_limit, 0.75)),
    RELAY_TOO_LATE: partial(_relay, partial(_share_of_short_limit, 1.5)),
    FILTERED: _filter_response,
}
STRAY_FAULTS = [name for name in _CONNECTION_FAULTS if name.startswith("stray")]
SINGLE_FAULTS = [name for name in FAULTS if name not in (RELAY_IN_TIME, RELAY_TOO_LATE, FILTERED)]
