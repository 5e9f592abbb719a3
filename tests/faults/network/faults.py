"""What can be done to an exchange: each fault by its name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from faults.network.exchange import LOOPBACK, Asked, Exchange, stated_length
from faults.network.responses import (
    ANSWERS,
    LATER,
    WITHDRAWN,
    http_answer,
    json_answer,
    problem_answer,
    with_id,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Fault = Callable[["Exchange"], Awaitable[None]]

_STALL_S = 1.5  # longer than a client's patience here

_RELAY_S = 1.9  # how long a relay keeps what it took: longer than patience, which limits no try that runs
_EARLY_BYTES = 64 * 1024
_NEVER_BUFFERED = 7_000_000  # so many bytes no connection takes before somebody reads

# A client's limits for one exchange in the schedules of slow relays; the program's own are 60 s and 16 KiB/s.
SHORT_LIMITS = (1.5, 200_000.0)


async def untouched(exchange: Exchange) -> None:
    answer = await exchange.passed_on()
    await exchange.say(answer if exchange.proxy.echoes else with_id(answer, None))


async def _refuse(exchange: Exchange) -> None:
    """Nobody listens: this connection is gone, and those that the client tries next are refused."""
    exchange.reset()
    exchange.proxy.go_deaf()


async def _reset_before(exchange: Exchange) -> None:
    exchange.reset()


async def _reset_in_body(exchange: Exchange) -> None:
    half = await exchange.part_of_body(exchange.asked.length // 2)
    await exchange.proxy.abandon(exchange.asked.head + half)
    exchange.reset()


async def _reset_after_body(exchange: Exchange) -> None:
    await exchange.proxy.abandon(exchange.asked.head + await exchange.body())
    exchange.reset()


async def _answer_lost(exchange: Exchange) -> None:
    await exchange.passed_on()
    exchange.close()


async def _answer_filtered(exchange: Exchange) -> None:
    """Who stands on the way lets the request pass, and gives a page in the place of its answer."""
    await exchange.passed_on()
    await exchange.claim(ANSWERS["403"]())


async def _cut_in_head(exchange: Exchange) -> None:
    answer = await exchange.passed_on()
    await exchange.say(answer[: answer.index(b"\r\n\r\n") // 2])
    exchange.close()


async def _cut_in_body(exchange: Exchange) -> None:
    """An answer without a body is cut just before its head ends."""
    head, end, body = (await exchange.passed_on()).partition(b"\r\n\r\n")
    await exchange.say(head + end + body[: len(body) // 2] if body else head)
    exchange.close()


async def _drip(exchange: Exchange) -> None:
    for byte in await exchange.passed_on():
        await exchange.say(bytes([byte]))
        await asyncio.sleep(0.0002)


async def _stall(exchange: Exchange) -> None:
    await exchange.body()
    await asyncio.sleep(_STALL_S)
    exchange.reset()


async def _duplicate(exchange: Exchange) -> None:
    """Both arrive at the same time, as when a middlebox thought the first one lost."""
    request = exchange.asked.head + await exchange.body()
    answer, _ = await asyncio.gather(exchange.proxy.deliver(request), exchange.proxy.deliver(request))
    await exchange.say(answer)


async def _ghost(when: str, exchange: Exchange) -> None:
    """The request was taken and seemed lost; it comes to the sandbox when nobody thinks of it any more."""
    exchange.proxy.ghosts.append((when, exchange.asked.head + await exchange.body()))
    exchange.reset()


async def _refused_early(exchange: Exchange) -> None:
    await exchange.claim(problem_answer(413, "document-too-large"))
    exchange.close()


async def _flood_of_hints(exchange: Exchange) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    await exchange.say(hint * 200 + await exchange.passed_on())


async def _endless_head(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.say(b"HTTP/1.1 200 OK\r\n")
    for number in range(300):
        await exchange.say(b"X-%d: %s\r\n" % (number, b"a" * 1000))
    exchange.reset()


async def _elsewhere(status: int, exchange: Exchange) -> None:
    await exchange.body()
    location = f"http://{LOOPBACK}:{exchange.proxy.elsewhere_port}{exchange.asked.path}"
    await exchange.claim(http_answer(status, Location=location))


async def _foreign_receipt(exchange: Exchange) -> None:
    """A real receipt of this sandbox, but of another submission, in the shape of the call's answer."""
    await exchange.body()
    await exchange.claim(json_answer(200, _shaped(exchange.asked, exchange.proxy.foreign)))


async def _failed_with_receipt(exchange: Exchange) -> None:
    """Right in everything but the status, and a lie: nothing was received."""
    await exchange.body()
    await exchange.claim(_lie(exchange, 503))


def _lie(exchange: Exchange, status: int = 200) -> bytes:
    """Make an answer that says received, under the right key and of the right documents; nothing was."""
    declared = exchange.proxy.seen_so_far.declared.get(key_in(exchange.asked), {"documents": []})
    receipt = {
        "key": key_in(exchange.asked),
        "number": "SANDBOX-999999",
        "issuer": "a gateway",
        "received_at": "2026-01-01T00:00:00.000Z",
        "branch": {"code": "haifa", "name": {"he": "-", "en": "Haifa", "fr": "-"}},
        "documents": declared["documents"],
    }
    return json_answer(status, _shaped(exchange.asked, receipt))


async def _said_instead(answer: Callable[[], bytes], exchange: Exchange) -> None:
    await exchange.body()
    await exchange.claim(answer())


async def _stray_behind(stray: Callable[[Exchange], bytes], exchange: Exchange) -> None:
    """The answer, and in the same packet behind it one that nobody asked for, before the next request is."""
    await exchange.say(await exchange.passed_on() + stray(exchange))


async def _stray_later(exchange: Exchange) -> None:
    """What servers say to a connection that nobody uses, when they tire of it."""
    answer = await exchange.passed_on()
    await exchange.say(answer)
    await asyncio.sleep(0.005)
    await exchange.say(http_answer(408, Connection="close"))
    exchange.close()


async def _with_another_id(answer: Callable[[Exchange], bytes], exchange: Exchange) -> None:
    """A lie for somebody else's request: it must not be believed on any connection, new or kept."""
    await exchange.body()
    await exchange.say(with_id(answer(exchange), b"0" * 32))


async def _real_with_another_id(exchange: Exchange) -> None:
    await exchange.say(with_id(await exchange.passed_on(), b"0" * 32))


async def _the_answer_before(exchange: Exchange) -> None:
    """The answer to the last request once more, in the place of this one's: everything comes one late."""
    await exchange.body()
    await exchange.say(exchange.before or with_id(_lie(exchange), b"0" * 32))


async def _without_id(answer: Callable[[Exchange], bytes], exchange: Exchange) -> None:
    """A lie without an id, on a connection that has carried one; a new one gets the truth, without it."""
    if exchange.before:
        await exchange.body()
        await exchange.say(with_id(answer(exchange), None))
    else:
        await exchange.say(with_id(await exchange.passed_on(), None))


async def _answered_early(exchange: Exchange) -> None:
    """Say that all is well after a part of the body, and close: the rest can have arrived nowhere."""
    asked = exchange.asked
    # The one has no body of which a part could be missing; of the other all may have left, and then a receipt
    # that is none cannot be known.
    if asked.call == "send" or (asked.call == "whole" and asked.length < _NEVER_BUFFERED):
        await exchange.say(await exchange.passed_on())
        return
    part = await exchange.part_of_body(min(_EARLY_BYTES, exchange.asked.length // 2))
    opened: dict[str, object] = {
        "state": "open",
        "missing": [],
        "branch": "haifa",
        "expires_at": LATER,
        "receipt": None,
    }
    if exchange.asked.call == "whole":
        exchange.proxy.seen_so_far.declared[key_in(exchange.asked)] = declaration_of(part)
    answers = {"put": lambda: http_answer(204), "declare": lambda: json_answer(201, opened)}
    await exchange.claim(answers.get(exchange.asked.call, lambda: _lie(exchange, 201))())
    with contextlib.suppress(OSError):  # a client that was killed is not there any more
        exchange.writer.write_eof()
    await asyncio.sleep(0.05)
    exchange.close()


async def _two_lengths(exchange: Exchange) -> None:
    """Two readers see two ends: by its chunks it is a lie that is whole, by its length it is another one."""
    await exchange.body()
    lie = _lie(exchange)
    head, _, body = lie.partition(b"\r\n\r\n")
    chunks = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    stated = re.sub(rb"(?im)^content-length:.*$", b"Content-Length: %d" % len(chunks), head + b"\r\n")
    await exchange.claim(stated + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)


async def _relayed(seconds: Callable[[Exchange], float], exchange: Exchange) -> None:
    """Take everything at once, as a relay that inspects documents does, and pass it on slowly."""
    request = exchange.asked.head + await exchange.body()
    pieces = 8
    size = -(-len(request) // pieces)
    reader, writer = await asyncio.open_connection(LOOPBACK, exchange.proxy.sandbox_port, limit=2**20)
    try:
        for start in range(0, len(request), size):
            await asyncio.sleep(seconds(exchange) / pieces)
            writer.write(request[start : start + size])
            await writer.drain()
        await exchange.say(await whole_answer(reader))
    finally:
        writer.transport.abort()


def _of_short_limit(share: float, exchange: Exchange) -> float:
    """Give a share of the time that a client with the short limits gives to this exchange."""
    grace_s, slowest_bytes_per_s = SHORT_LIMITS
    return share * (grace_s + exchange.asked.length / slowest_bytes_per_s)


async def whole_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(stated_length(head))


def _withdrawn_lie(_: Exchange) -> bytes:
    return problem_answer(409, "withdrawn")


def _shaped(asked: Asked, receipt: dict[str, Any]) -> dict[str, Any]:
    if asked.call != "declare":
        return receipt
    return {"state": "received", "missing": [], "branch": "haifa", "expires_at": None, "receipt": receipt}


def declaration_of(whole: bytes) -> dict[str, Any]:
    """Give the declaration at the beginning of a body of one exchange."""
    return dict(json.loads(whole.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]))


def key_in(asked: Asked) -> str:
    return asked.path.split("/")[3]


FOREIGN, EARLY, RELAY = "200 foreign receipt", "2xx after 64 KB", "relay that buffers"
RELAY_IN_TIME, RELAY_TOO_LATE = "relay just in time", "relay too late"
FILTERED = "403 for the answer"
_BREAKING: dict[str, Fault] = {
    "refuse": _refuse,
    "reset before": _reset_before,
    "reset in body": _reset_in_body,
    "reset after body": _reset_after_body,
    "answer lost": _answer_lost,
    "answer cut in head": _cut_in_head,
    "answer cut in body": _cut_in_body,
    "drip": _drip,
    "stall": _stall,
    "duplicate": _duplicate,
    "ghost on the next request": partial(_ghost, "next"),
    "ghost after the clients": partial(_ghost, "after"),
    "ghost after the receipt": partial(_ghost, "late"),
    "413 early": _refused_early,
    "1xx flood": _flood_of_hints,
    "endless head": _endless_head,
    "301": partial(_elsewhere, 301),
    "303": partial(_elsewhere, 303),
    "307": partial(_elsewhere, 307),
    "308": partial(_elsewhere, 308),
    FOREIGN: _foreign_receipt,
    "503 with a receipt": _failed_with_receipt,
    "stray 409 behind": partial(_stray_behind, _withdrawn_lie),
    "stray 200 behind": partial(_stray_behind, _lie),
    "stray 204 behind": partial(_stray_behind, lambda _: http_answer(204)),
    "stray 409 behind, same id": partial(
        _stray_behind, lambda exchange: with_id(_withdrawn_lie(exchange), exchange.asked.request_id)
    ),
    "stray 200 behind, same id": partial(
        _stray_behind, lambda exchange: with_id(_lie(exchange), exchange.asked.request_id)
    ),
    "stray 408 later": _stray_later,
    "answer with another id": _real_with_another_id,
    "409 withdrawn with another id": partial(_with_another_id, _withdrawn_lie),
    "200 receipt with another id": partial(_with_another_id, _lie),
    "the answer before": _the_answer_before,
    "409 withdrawn without id": partial(_without_id, _withdrawn_lie),
    "200 receipt without id": partial(_without_id, _lie),
    EARLY: _answered_early,
    "two lengths": _two_lengths,
    RELAY: partial(_relayed, lambda _: _RELAY_S),
}
_SAYING = {name: partial(_said_instead, answer) for name, answer in ANSWERS.items()}
BREAKS, SAYS = list(_BREAKING), list(_SAYING)
ON_THE_WIRE: dict[str, Fault] = {
    **_BREAKING,
    **_SAYING,
    WITHDRAWN: partial(_said_instead, partial(problem_answer, 409, "withdrawn")),
    RELAY_IN_TIME: partial(_relayed, partial(_of_short_limit, 0.75)),
    RELAY_TOO_LATE: partial(_relayed, partial(_of_short_limit, 1.5)),
    FILTERED: _answer_filtered,
}
STRAYS = [name for name in _BREAKING if name.startswith("stray")]
ONE_BY_ONE = [name for name in ON_THE_WIRE if name not in (RELAY_IN_TIME, RELAY_TOO_LATE, FILTERED)]
