"""The network as the enemy: a proxy between real clients and a real sandbox that breaks what passes through.

Who is who. `experiment` starts up to two workers, each an interpreter of its own, so that a patched docsend
can stand first on its path. A worker imports docsend once and forks from then on: the proxy, which lives as
long as the worker, a sandbox for each schedule, and each client. The worker has no threads, so what it forks
is whole, and a forked client is a process like any other: it can be killed.

The proxy keeps its port over all schedules, for the ledger knows a submission by address and key. One
schedule at a time runs through it. Which request is the n-th is the machine's choice when several clients
run: a schedule can be played again (`experiment(1, seed, scratch, first=n)`), its interleaving cannot.

The proxy passes each request's `Request-Id` on, and the sandbox's back. What it says itself carries the id,
too: a liar that knows HTTP would. What comes without the id, or with another one, has its own faults.

What is not here: a forged 409 "withdrawn" with the right id among the random faults. The contract makes it
final, the ledger keeps it for ever, and the same command is refused from then on; `catalogue` holds it to
exactly that.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import hashlib
import importlib
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults import lab

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    Fault = Callable[["Exchange"], Awaitable[None]]

TALLIES = ("network, one client", "network, two clients", "network, eight clients")
STAGED = ("declare", "put", "send")
CALLS = ("whole", *STAGED)  # the first is one exchange
_LOOPBACK = "127.0.0.1"
_WORKERS = 2
_RUNS_THROUGH_FAULTS = 3
_HANGS_AFTER_S = 20.0
_MOST_GROWTH_KB = 40 * 1024  # of a client: less than what the gzip bomb would become
_DEAF_S = 0.12
_STALL_S = 1.5  # longer than a client's patience here
_PATIENCE = "1.0"
_RELAY_S = 1.9  # how long a relay keeps what it took: longer than patience, which limits no try that runs
_EARLY_BYTES = 64 * 1024
_NEVER_BUFFERED = 7_000_000  # so many bytes no connection takes before somebody reads
_LATER = "2099-01-01T00:00:00Z"
# A client's limits for one exchange in the schedules of slow relays; the program's own are 60 s and 16 KiB/s.
_SHORT_LIMITS = (1.5, 200_000.0)
_SHORT = "FAULTS_SHORT_LIMITS"  # set in the environment of a client that has them
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.1


# What clients and sandboxes import in the course of a run, most of it late: forked, they have it already.
_NEEDED = (
    "docsend.cli.app",
    "docsend.cli.sandbox",
    "docsend.cli.context",
    "docsend.cli.send",
    "docsend.cli.send_one",
    "docsend.ui.terminal",
    "docsend.storage.ledger",
    "docsend.sandbox.server",
    "docsend.delivery.deliver",
    "docsend.service.client",
    "docsend.config.settings",
    "encodings.idna",
    "uvicorn.lifespan.off",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
)


# -- answers that the sandbox did not give -----------------------------------------------------------------


def _http(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} -",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _json(status: int, value: object) -> bytes:
    return _http(status, json.dumps(value).encode(), Content_Type="application/json")


def _with_id(answer: bytes, request_id: bytes | None) -> bytes:
    """Give an answer with this id in the place of its own, if it has one; None for none."""
    head, end, rest = answer.partition(b"\r\n")
    rest = re.sub(rb"(?im)^request-id:.*\r\n", b"", rest, count=1)
    return head + end + (b"Request-Id: " + request_id + b"\r\n" if request_id else b"") + rest


def _problem(status: int, code: str, **members: object) -> bytes:
    body = {"type": f"urn:docsend:problem:{code}", "title": code, "status": status, "detail": code, **members}
    return _http(status, json.dumps(body).encode(), Content_Type="application/problem+json")


_HTML = b"<!doctype html><html><title>Sign in to the network</title></html>"

# Each of these is all that a client gets, in the place of the sandbox's answer; the sandbox sees nothing.
ANSWERS: dict[str, Callable[[], bytes]] = {
    "101": lambda: _http(101),
    "200 empty": lambda: _http(200),
    "200 HTML": lambda: _http(200, _HTML, Content_Type="text/html"),
    "201 {}": lambda: _json(201, {}),
    "204": lambda: _http(204),
    "400 plain": lambda: _http(400, b"bad request"),
    "400 malformed": lambda: _problem(400, "malformed"),
    "400 digest-mismatch": lambda: _problem(400, "digest-mismatch"),
    "401 plain": lambda: _http(401, WWW_Authenticate="Basic"),
    "401 sign-in-needed": lambda: _problem(401, "sign-in-needed"),
    "403": lambda: _http(403, _HTML, Content_Type="text/html"),
    "404 plain": lambda: _http(404, b"not found"),
    "404 not-found": lambda: _problem(404, "not-found"),
    "405": lambda: _problem(405, "method-not-allowed"),
    "408": lambda: _problem(408, "too-slow"),
    "409 incomplete": lambda: _problem(409, "incomplete", missing=[]),
    "409 key-reused": lambda: _problem(409, "key-reused"),
    "410": lambda: _http(410),
    "411": lambda: _problem(411, "length-required"),
    "413": lambda: _problem(413, "document-too-large"),
    "413 HTML": lambda: _http(413, _HTML, Content_Type="text/html"),
    "415": lambda: _problem(415, "content-mismatch"),
    "418": lambda: _http(418, b"short and stout"),
    "422": lambda: _problem(
        422, "invalid", errors=[{"pointer": "/type", "code": "type-missing", "detail": "-"}]
    ),
    "425": lambda: _http(425),
    "429 seconds": lambda: _http(429, Retry_After="0"),
    "429 date": lambda: _http(429, Retry_After=formatdate(time.time() + 1, usegmt=True), Date=_now()),
    "429 past": lambda: _http(429, Retry_After="Sat, 01 Jan 2000 00:00:00 GMT", Date=_now()),
    "429 garbage": lambda: _http(429, Retry_After="-1 soon\t\xe9"),
    "429 huge": lambda: _http(429, Retry_After="9" * 400),
    "500": lambda: _problem(500, "own-fault"),
    "502 HTML": lambda: _http(502, _HTML, Content_Type="text/html"),
    "503": lambda: _http(503, Retry_After="0"),
    "504": lambda: _http(504),
    "gzip bomb": lambda: _http(200, _BOMB, Content_Encoding="gzip", Content_Type="application/json"),
}
_BOMB: bytes = gzip.compress(bytes(50_000_000))
_WITHDRAWN = "409 withdrawn"  # final by contract, see above
# By these something on the way refuses for good what cannot have been received; a client may end with 5.
_PAGES = frozenset({"403", "413 HTML"})
# By these the form of one exchange is refused, or its body arrived altered: the same is sent in either way.
_OF_THE_FORM = _PAGES | {
    *("400 plain", "400 malformed", "400 digest-mismatch", "404 plain", "404 not-found", "405", "408", "410"),
    *("411", "418"),
}
# By these the contract refuses for good, and a client may end with 5; 401 as a problem may end it with 4.
_REFUSES = frozenset(
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
_WANTS_SIGN_IN = frozenset({"401 sign-in-needed"})


def _now() -> str:
    return formatdate(usegmt=True)


# -- one exchange, and what can be done to it --------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """The head of a request, and what the proxy has to know of it."""

    head: bytes
    path: str
    call: str
    length: int
    request_id: bytes

    @classmethod
    def of(cls, head: bytes) -> Asked:
        path = head.split(b" ", 2)[1].decode("ascii")
        call = "put" if "/documents/" in path else "send" if path.endswith("/send") else "declare"
        if head.startswith(b"GET "):
            call = "look"
        if re.search(rb"\r\ncontent-type: *multipart/", head, re.IGNORECASE):
            call = "whole"
        found = re.search(rb"\r\nrequest-id: *([^\r\n]*)", head, re.IGNORECASE)
        return cls(head, path, call, _length(head), found[1] if found else b"")


def _length(head: bytes) -> int:
    stated = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return int(stated[1]) if stated else 0


@dataclass
class Exchange:
    """One request on its way, and the connection on which it came."""

    proxy: Proxy
    asked: Asked
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    before: bytes = b""  # the answer to the request before this one, on the same connection
    answer: bytes = b""  # the sandbox's, once it has come

    async def body(self) -> bytes:
        """Read the whole body, and hold a document against its digest: that is its address."""
        body = await self._read(self.asked.length)
        self.proxy.seen_so_far.note(self.asked, body)
        return body

    async def part_of_body(self, length: int) -> bytes:
        return await self._read(min(length, self.asked.length))

    async def _read(self, length: int) -> bytes:
        body = await self.reader.readexactly(length)
        if self.asked.call == "put":
            self.proxy.seen_so_far.document_bytes += length
        return body

    async def passed_on(self) -> bytes:
        """Give the sandbox's own answer to the request as it came."""
        self.answer = await self.proxy.deliver(self.asked.head + await self.body())
        return self.answer

    async def say(self, answer: bytes) -> None:
        self.writer.write(answer)
        await self.writer.drain()

    async def claim(self, answer: bytes) -> None:
        """Say what the sandbox did not say, under the id of the request."""
        await self.say(_with_id(answer, self.asked.request_id))

    def reset(self) -> None:
        _reset(self.writer)

    def close(self) -> None:
        self.writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST: with a linger of 0 nothing that is still under way is delivered."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _untouched(exchange: Exchange) -> None:
    answer = await exchange.passed_on()
    await exchange.say(answer if exchange.proxy.echoes else _with_id(answer, None))


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
    await exchange.claim(_problem(413, "document-too-large"))
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
    location = f"http://{_LOOPBACK}:{exchange.proxy.elsewhere_port}{exchange.asked.path}"
    await exchange.claim(_http(status, Location=location))


async def _foreign_receipt(exchange: Exchange) -> None:
    """A real receipt of this sandbox, but of another submission, in the shape of the call's answer."""
    await exchange.body()
    await exchange.claim(_json(200, _shaped(exchange.asked, exchange.proxy.foreign)))


async def _failed_with_receipt(exchange: Exchange) -> None:
    """Right in everything but the status, and a lie: nothing was received."""
    await exchange.body()
    await exchange.claim(_lie(exchange, 503))


def _lie(exchange: Exchange, status: int = 200) -> bytes:
    """Make an answer that says received, under the right key and of the right documents; nothing was."""
    declared = exchange.proxy.seen_so_far.declared.get(_key(exchange.asked), {"documents": []})
    receipt = {
        "key": _key(exchange.asked),
        "number": "SANDBOX-999999",
        "issuer": "a gateway",
        "received_at": "2026-01-01T00:00:00.000Z",
        "branch": {"code": "haifa", "name": {"he": "-", "en": "Haifa", "fr": "-"}},
        "documents": declared["documents"],
    }
    return _json(status, _shaped(exchange.asked, receipt))


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
    await exchange.say(_http(408, Connection="close"))
    exchange.close()


async def _with_another_id(answer: Callable[[Exchange], bytes], exchange: Exchange) -> None:
    """A lie for somebody else's request: it must not be believed on any connection, new or kept."""
    await exchange.body()
    await exchange.say(_with_id(answer(exchange), b"0" * 32))


async def _real_with_another_id(exchange: Exchange) -> None:
    await exchange.say(_with_id(await exchange.passed_on(), b"0" * 32))


async def _the_answer_before(exchange: Exchange) -> None:
    """The answer to the last request once more, in the place of this one's: everything comes one late."""
    await exchange.body()
    await exchange.say(exchange.before or _with_id(_lie(exchange), b"0" * 32))


async def _without_id(answer: Callable[[Exchange], bytes], exchange: Exchange) -> None:
    """A lie without an id, on a connection that has carried one; a new one gets the truth, without it."""
    if exchange.before:
        await exchange.body()
        await exchange.say(_with_id(answer(exchange), None))
    else:
        await exchange.say(_with_id(await exchange.passed_on(), None))


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
        "expires_at": _LATER,
        "receipt": None,
    }
    if exchange.asked.call == "whole":
        exchange.proxy.seen_so_far.declared[_key(exchange.asked)] = _declaration_of(part)
    answers = {"put": lambda: _http(204), "declare": lambda: _json(201, opened)}
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
    reader, writer = await asyncio.open_connection(_LOOPBACK, exchange.proxy.sandbox_port, limit=2**20)
    try:
        for start in range(0, len(request), size):
            await asyncio.sleep(seconds(exchange) / pieces)
            writer.write(request[start : start + size])
            await writer.drain()
        await exchange.say(await _whole_answer(reader))
    finally:
        writer.transport.abort()


def _of_short_limit(share: float, exchange: Exchange) -> float:
    """Give a share of the time that a client with the short limits gives to this exchange."""
    grace_s, slowest_bytes_per_s = _SHORT_LIMITS
    return share * (grace_s + exchange.asked.length / slowest_bytes_per_s)


async def _whole_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(_length(head))


def _withdrawn_lie(_: Exchange) -> bytes:
    return _problem(409, "withdrawn")


def _shaped(asked: Asked, receipt: dict[str, Any]) -> dict[str, Any]:
    if asked.call != "declare":
        return receipt
    return {"state": "received", "missing": [], "branch": "haifa", "expires_at": None, "receipt": receipt}


def _declaration_of(whole: bytes) -> dict[str, Any]:
    """Give the declaration at the beginning of a body of one exchange."""
    return dict(json.loads(whole.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]))


def _key(asked: Asked) -> str:
    return asked.path.split("/")[3]


_FOREIGN, _EARLY, _RELAY = "200 foreign receipt", "2xx after 64 KB", "relay that buffers"
_RELAY_IN_TIME, _RELAY_TOO_LATE = "relay just in time", "relay too late"
_FILTERED = "403 for the answer"
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
    _FOREIGN: _foreign_receipt,
    "503 with a receipt": _failed_with_receipt,
    "stray 409 behind": partial(_stray_behind, _withdrawn_lie),
    "stray 200 behind": partial(_stray_behind, _lie),
    "stray 204 behind": partial(_stray_behind, lambda _: _http(204)),
    "stray 409 behind, same id": partial(
        _stray_behind, lambda exchange: _with_id(_withdrawn_lie(exchange), exchange.asked.request_id)
    ),
    "stray 200 behind, same id": partial(
        _stray_behind, lambda exchange: _with_id(_lie(exchange), exchange.asked.request_id)
    ),
    "stray 408 later": _stray_later,
    "answer with another id": _real_with_another_id,
    "409 withdrawn with another id": partial(_with_another_id, _withdrawn_lie),
    "200 receipt with another id": partial(_with_another_id, _lie),
    "the answer before": _the_answer_before,
    "409 withdrawn without id": partial(_without_id, _withdrawn_lie),
    "200 receipt without id": partial(_without_id, _lie),
    _EARLY: _answered_early,
    "two lengths": _two_lengths,
    _RELAY: partial(_relayed, lambda _: _RELAY_S),
}
_SAYING = {name: partial(_said_instead, answer) for name, answer in ANSWERS.items()}
_BREAKS, _SAYS = list(_BREAKING), list(_SAYING)
_ON_THE_WIRE: dict[str, Fault] = {
    **_BREAKING,
    **_SAYING,
    _WITHDRAWN: partial(_said_instead, partial(_problem, 409, "withdrawn")),
    _RELAY_IN_TIME: partial(_relayed, partial(_of_short_limit, 0.75)),
    _RELAY_TOO_LATE: partial(_relayed, partial(_of_short_limit, 1.5)),
    _FILTERED: _answer_filtered,
}
_STRAYS = [name for name in _BREAKING if name.startswith("stray")]
_ONE_BY_ONE = [name for name in _ON_THE_WIRE if name not in (_RELAY_IN_TIME, _RELAY_TOO_LATE, _FILTERED)]


# -- the proxy ---------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What came from clients, for the checker."""

    struck: list[str] = field(default_factory=list)
    document_bytes: int = 0
    whole_bytes: int = 0  # of them, those of documents in one exchange
    elsewhere_bytes: int = 0
    wrong: list[str] = field(default_factory=list)  # bytes that came under another's digest
    declared: dict[str, Any] = field(default_factory=dict)  # by key, since the schedule began

    def note(self, asked: Asked, body: bytes) -> None:
        if asked.call == "declare":
            self.declared[_key(asked)] = json.loads(body)
        if asked.call == "whole":
            self._note_whole(_key(asked), body)
        if asked.call == "put" and hashlib.sha256(body).hexdigest() != asked.path.rpartition("/")[2]:
            self.wrong.append(f"{len(body)} bytes that are not {asked.path[-8:]}")

    def _note_whole(self, key: str, body: bytes) -> None:
        """Hold the documents of one exchange against their declaration, in its order."""
        self.declared[key] = declared = _declaration_of(body)
        parts = body.split(b"\r\n--" + key.encode())[1:-1]
        documents = [part.partition(b"\r\n\r\n")[2] for part in parts]
        self.whole_bytes += sum(map(len, documents))
        self.document_bytes += sum(map(len, documents))
        if [hashlib.sha256(each).hexdigest() for each in documents] != [
            each["sha256"] for each in declared["documents"]
        ]:
            self.wrong.append(f"{len(documents)} documents that are not those of {key[-8:]}")


class Proxy:
    """The man in the middle, in a process of its own. What it is told is the name of a method."""

    def __init__(self, listener: socket.socket) -> None:
        self.seen_so_far = Seen()
        self.ghosts: list[tuple[str, bytes]] = []
        self.foreign: dict[str, Any] = {}
        self.echoes = True
        self.elsewhere_port = 0
        self._listener = listener
        self.sandbox_port = 0
        self._plan: dict[tuple[str, int], str] = {}
        self._asked: Counter[str] = Counter()
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None

    # -- what it is told -----------------------------------------------------------------------------------

    async def arm(
        self, sandbox_port: int, plan: dict[tuple[str, int], str], foreign: dict[str, Any], *echoes: bool
    ) -> None:
        """Begin a schedule: the n-th request of a call, or of any, meets its fault."""
        for task in self._connections:
            task.cancel()
        self.sandbox_port, self._plan, self.foreign = sandbox_port, dict(plan), foreign
        self.echoes = all(echoes)
        self._asked.clear()
        self.ghosts.clear()
        self.seen_so_far = Seen()
        await self._hear()

    async def calm(self) -> None:
        """End the faults. The ghosts that waited for the clients to go come now."""
        self._plan.clear()
        await self._hear()
        await self._raise_ghosts("next", "after")

    async def raise_late_ghosts(self) -> None:
        await self._raise_ghosts("next", "after", "late")

    async def seen(self) -> Seen:
        """Tell what came since the last time, so that each phase of a schedule is held to its own."""
        seen, self.seen_so_far = self.seen_so_far, Seen(declared=self.seen_so_far.declared)
        return seen

    # -- what it does --------------------------------------------------------------------------------------

    def go_deaf(self) -> None:
        """Let connections be refused for a while; the port stays ours, for a listener keeps it when shut."""
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
            self._listener.shutdown(socket.SHUT_RD)
            self._opening = asyncio.create_task(self._hear_again())

    async def deliver(self, request: bytes) -> bytes:
        """Give the sandbox's whole answer to a request, made on a connection of its own."""
        reader, writer = await asyncio.open_connection(_LOOPBACK, self.sandbox_port, limit=2**20)
        try:
            writer.write(request)
            return await _whole_answer(reader)
        finally:
            writer.transport.abort()

    async def abandon(self, part: bytes) -> None:
        """Send the sandbox this much, and be gone before it answers."""
        _, writer = await asyncio.open_connection(_LOOPBACK, self.sandbox_port)
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.002)  # a reset discards what the sandbox has not read yet
        _reset(writer)

    async def _raise_ghosts(self, *when: str) -> None:
        called = [request for its_time, request in self.ghosts if its_time in when]
        self.ghosts = [(its_time, request) for its_time, request in self.ghosts if its_time not in when]
        for request in called:
            await self.deliver(request)

    async def _hear_again(self) -> None:
        await asyncio.sleep(_DEAF_S)
        await self._hear()

    async def _hear(self) -> None:
        if self._accepting is None:
            self._listener.listen(100)
            self._accepting = asyncio.create_task(self._accept())

    async def _accept(self) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._serve(connection))
            self._connections.add(task)
            task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        """Forget a connection. What the proxy cannot handle ends it loudly, lest it look like a fault."""
        self._connections.discard(task)
        if not task.cancelled() and (error := task.exception()):
            traceback.print_exception(error)
            os._exit(1)

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=2**20)
        try:
            # A client that is killed, refused or content breaks off wherever it likes.
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                before = b""
                while not writer.is_closing():
                    before = await self._exchange(reader, writer, before)
        finally:
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: bytes
    ) -> bytes:
        """Let one request pass, or meet its fault; give the sandbox's answer to it."""
        asked = Asked.of(await reader.readuntil(b"\r\n\r\n"))
        fault = self._fault_of(asked)
        await self._raise_ghosts("next")
        exchange = Exchange(self, asked, reader, writer, before)
        await _ON_THE_WIRE.get(fault, _untouched)(exchange)
        return exchange.answer

    def _fault_of(self, asked: Asked) -> str:
        self._asked.update(("any", asked.call))
        for which in ("any", asked.call):
            if fault := self._plan.pop((which, self._asked[which]), ""):
                self.seen_so_far.struck.append(f"{fault} at {asked.call}")
                return fault
        return ""

    async def watch_elsewhere(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The place that redirects point to. Whoever comes is counted, with everything that it says."""
        self.seen_so_far.elsewhere_bytes += 1
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(2**16):
                self.seen_so_far.elsewhere_bytes += len(piece)
                writer.write(_http(200))
        writer.close()


async def _run_proxy(proxy: Proxy, orders: Connection) -> None:
    elsewhere = await asyncio.start_server(proxy.watch_elsewhere, _LOOPBACK, 0)
    proxy.elsewhere_port = elsewhere.sockets[0].getsockname()[1]
    ordered = asyncio.Event()
    asyncio.get_running_loop().add_reader(orders.fileno(), ordered.set)
    while True:
        await ordered.wait()
        ordered.clear()
        while orders.poll():
            name, *values = orders.recv()
            orders.send(await getattr(proxy, name)(*values))


class Switch:
    """The worker's hand on its proxy: `proxy("calm")` returns when it is done."""

    def __init__(self, listener: socket.socket) -> None:
        self.url = f"http://{_LOOPBACK}:{listener.getsockname()[1]}"
        context = multiprocessing.get_context("fork")
        self._orders, far_end = context.Pipe()
        if sys.platform == "win32":
            raise NotImplementedError
        self._process: BaseProcess = context.Process(
            target=self._serve, args=(listener, far_end), daemon=True
        )
        self._process.start()

    @staticmethod
    def _serve(listener: socket.socket, orders: Connection) -> None:
        listener.setblocking(False)
        asyncio.run(_run_proxy(Proxy(listener), orders))

    def __call__(self, order: str, *values: object) -> Any:
        self._orders.send((order, *values))
        if not self._orders.poll(30):
            raise TimeoutError(f"the proxy does not {order}")
        return self._orders.recv()

    def close(self) -> None:
        self._process.kill()
        self._process.join()


@contextlib.contextmanager
def _proxied() -> Iterator[Switch]:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port = probe.getsockname()[1]
    # A port that was bound by its number stays bound while nobody listens on it.
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # So that no large body has left before the proxy reads it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**17)
        listener.bind((_LOOPBACK, port))
        switch = Switch(listener)
    try:
        yield switch
    finally:
        switch.close()


# -- processes ---------------------------------------------------------------------------------------------


def _forked(argv: Sequence[object], env: dict[str, str], out: int, err: int) -> int:
    """Start docsend in a fork of this process, which has imported it; give its process id."""
    if sys.platform == "win32":
        raise NotImplementedError
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.environ.clear()
        os.environ.update(env)
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        # New ones: the worker's own know of another kind of file behind their numbers.
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
        code = _main([str(each) for each in argv])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _main(argv: list[str]) -> int:
    from docsend.cli import app
    from docsend.service.exchange import LIMITS
    from docsend.service.http import HttpClient
    from docsend.service.retry import RetryPolicy

    # Shorter pauses, so that tries are many; how they are made is the program's own.
    RetryPolicy.__new__.__defaults__ = (_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
    shortened = RetryPolicy(0)
    assert (shortened.first_pause_s, shortened.longest_pause_s) == (_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
    if os.environ.pop(_SHORT, None):
        grace_s, slowest_bytes_per_s = _SHORT_LIMITS
        assert HttpClient.__init__.__defaults__ == (LIMITS,)
        HttpClient.__init__.__defaults__ = (
            LIMITS._replace(grace_s=grace_s, slowest_bytes_per_s=slowest_bytes_per_s),
        )
    return app.main(argv)


@contextlib.contextmanager
def _sandbox(folder: Path) -> Iterator[int]:
    """A sandbox over this folder, forked: an interpreter for each would cost more than its clients."""
    if sys.platform == "win32":
        raise NotImplementedError
    folder.mkdir()
    reading, writing = os.pipe()
    with (folder / "stderr").open("wb") as err:
        argv = ("sandbox", "--data", folder, "--port", 0, "--json")
        pid = _forked(argv, lab.environment(folder / "home"), writing, err.fileno())
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as said:
            yield int(json.loads(said.readline())["address"].rpartition(":")[2])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@dataclass
class Client:
    """Somebody who runs one command until it is done; `ran` is how each run ended."""

    number: int
    submission: int
    files: list[Path]
    home: Path
    has_short_limits: bool = False
    is_staged: bool = False
    ran: list[lab.Ran] = field(default_factory=list)
    trouble: list[tuple[str, str]] = field(default_factory=list)

    def argv(self, url: str) -> list[object]:
        return ["send", *self.files, *lab.ABOUT, "--id", lab.PERSON, "--service", url, "--json"]


@dataclass
class _Running:
    """One run of a client that has not ended."""

    client: Client
    pid: int
    folder: Path
    began: float
    kill_at: float | None

    @classmethod
    def start(
        cls, client: Client, url: str, folder: Path, kill_after: float | None, more: Sequence[str]
    ) -> _Running:
        folder = folder / f"{client.number}-{len(client.ran)}"
        folder.mkdir(parents=True)
        env = lab.environment(client.home, DOCSEND_PATIENCE=_PATIENCE)
        if client.has_short_limits:
            env[_SHORT] = "1"
        if client.is_staged:
            lab.offer(env, url, None)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            pid = _forked([*client.argv(url), *more], env, out.fileno(), err.fileno())
        now = time.monotonic()
        return cls(client, pid, folder, now, None if kill_after is None else now + kill_after)

    def has_ended(self) -> bool:
        """Kill it if its time has come, and note how it ended if it has."""
        if sys.platform == "win32":
            raise NotImplementedError
        pid, status, used = os.wait4(self.pid, os.WNOHANG)
        now = time.monotonic()
        if not pid and self.kill_at is not None and now > self.kill_at:
            os.kill(self.pid, signal.SIGKILL)
            self.kill_at = None
        elif not pid and now - self.began > _HANGS_AFTER_S:
            self.client.trouble.append(("other", f"still running after {_HANGS_AFTER_S:.0f} s"))
            os.kill(self.pid, signal.SIGKILL)
            self.began = now
        if pid:
            out, err = ((self.folder / name).read_text("utf-8", "replace") for name in ("out", "err"))
            self.client.ran.append(lab.Ran(os.waitstatus_to_exitcode(status), out, err))
            grown = used.ru_maxrss - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if grown > _MOST_GROWTH_KB:
                self.client.trouble.append(("other", f"took {grown // 1024} MB of memory"))
        return bool(pid)


def _run(
    clients: Iterable[Client],
    url: str,
    folder: Path,
    *,
    most: int = 1,
    kills: dict[tuple[int, int], float] | None = None,
    more: Sequence[str] = (),
) -> None:
    """Run clients at the same time, each again until it has a receipt, at `most` so often."""

    def start(client: Client) -> _Running:
        kill_after = (kills or {}).get((client.number, len(client.ran)))
        return _Running.start(client, url, folder, kill_after, more)

    started = Counter({client.number: 1 for client in clients})
    running = [start(client) for client in clients]
    while running:
        time.sleep(0.002)
        for one in list(running):
            if not one.has_ended():
                continue
            running.remove(one)
            if one.client.ran[-1].code != 0 and started[one.client.number] < most:
                started[one.client.number] += 1
                running.append(start(one.client))


# -- schedules ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Schedule:
    """What will happen: who sends which submission, which request meets which fault, who is killed when."""

    name: str
    seed: int
    senders: tuple[int, ...]  # for each client the number of its submission
    shares_home: bool
    documents: int
    plan: dict[tuple[str, int], str]
    kills: dict[tuple[int, int], float] = field(default_factory=dict)
    echoes: bool = True  # whether the service repeats the ids of requests
    codes: tuple[int, ...] = ()  # how the runs through the faults have to end, if that is certain
    transfers: int | None = None  # how often all documents' bytes go through the faults, if that is certain
    pool: str = "files"
    staged: tuple[int, ...] = ()  # the numbers of the clients that go staged; those of one home go one way

    @property
    def has_short_limits(self) -> bool:
        return bool({_RELAY_IN_TIME, _RELAY_TOO_LATE} & set(self.plan.values()))

    @property
    def tally(self) -> str:
        return TALLIES[(len(self.senders) > 1) + (len(self.senders) > 2)]

    def __str__(self) -> str:
        plan = ", ".join(f"{fault!r} at {call} {n}" for (call, n), fault in sorted(self.plan.items()))
        home = "one home" if self.shares_home else "a home each"
        echo = "" if self.echoes else ", no ids"
        ways = f", staged {self.staged}" if self.staged else ""
        kills = self.kills or "none"
        return f"{self.name}: submissions {self.senders}, {home}, {plan}, kills {kills}{echo}{ways}"


def schedule(seed: int, number: int) -> Schedule:
    """Make the random schedule of this number: 1 to 8 faults among the requests that are likely to come."""
    chance = random.Random(f"{seed}/{number}")
    clients = chance.choices((1, 2, 8), (40, 50, 10))[0]
    senders = tuple(range(clients)) if chance.random() < 0.2 else (0,) * clients
    documents = chance.randint(1, 3)
    faults = chance.randint(1, 8)
    shares_home = chance.random() < 0.5
    if shares_home:
        staged = tuple(range(clients)) * (chance.random() < 0.5)
    else:
        staged = tuple(number for number in range(clients) if chance.random() < 0.5)
    requests = len(staged) * (documents + 2) + clients - len(staged)
    places = [("any", n) for n in chance.sample(range(1, requests + faults + 1), faults)]
    # Most requests bring documents, and a third of the faults looks for what is the dearest to lose.
    dear = ("send",) * bool(staged) + ("whole",) * (len(staged) < clients)
    places = [
        (chance.choice(dear), chance.randint(1, 3)) if chance.random() < 1 / 3 else place for place in places
    ]
    kills = {
        (chance.randrange(clients), chance.randrange(_RUNS_THROUGH_FAULTS)): chance.uniform(0, 0.15)
        for _ in range(chance.choice((0, 0, 1, 2)))
    }
    return Schedule(
        f"schedule {seed}/{number}",
        seed,
        senders,
        shares_home,
        documents,
        {place: chance.choice(chance.choice((_BREAKS, _SAYS))) for place in places},
        kills,
        echoes=chance.random() < 0.85,
        staged=staged,
    )


def singles() -> list[Schedule]:
    """Each fault alone, at the first request of each call, and what needs more than one fault to be seen."""
    return [
        Schedule(
            f"{fault} at {call}",
            0,
            (0,),
            shares_home=True,
            documents=2,
            plan={(call, 1): fault},
            codes=_codes(fault, call),
            transfers=1 if fault == _RELAY else None,
            staged=(0,) if call in STAGED else (),
        )
        for fault in _ONE_BY_ONE
        for call in CALLS
    ] + _stories()


def _codes(fault: str, call: str) -> tuple[int, ...]:
    """Give how runs end if that is certain: at once for good, or received in spite of the fault."""
    if call == "whole" and fault in _OF_THE_FORM:
        return (0,)
    if fault in _PAGES:  # after `send` was asked for, it may have been received, and nobody may deny that
        return (6, 0) if call == "send" else (5, 0)
    at_once = fault.startswith(("stray", "relay", "answer", "two lengths", "the answer", _EARLY))
    return (0,) if at_once or fault.endswith(("another id", "without id")) else ()


def _stories() -> list[Schedule]:
    def story(name: str, plan: dict[tuple[str, int], str], documents: int = 2, **more: Any) -> Schedule:
        is_staged = not any(call == "whole" for call, _ in plan)
        alone: dict[str, Any] = {"senders": (0,), "shares_home": True, "staged": (0,) * is_staged}
        return Schedule(name, 0, documents=documents, plan=plan, **{**alone, **more})

    pages = {("send", 1): "answer lost", ("send", 2): "403", ("declare", 2): "413 HTML"}
    return [
        story("a service that repeats no ids", {}, 3, echoes=False, codes=(0,), transfers=1),
        story(
            "a service that repeats no ids, in one exchange",
            {("whole", 1): "answer lost"},
            3,
            echoes=False,
            codes=(0,),
            transfers=2,
        ),
        *_of_one_exchange(story),
        story("pages after it may have been received", pages, codes=(6, 6, 0)),
        story("a page to a repeated try", {("put", 1): "reset after body", ("put", 2): "403"}, codes=(5, 0)),
        story("a large document", {("put", 1): _EARLY}, 1, pool="large", codes=(0,)),
        story("a relay in time", {("put", 3): _RELAY_IN_TIME}, 3, codes=(0,), transfers=1),
        story("a relay that is too late", {("put", 3): _RELAY_TOO_LATE}, 3, codes=(6, 0), transfers=None),
        story(
            "strays behind each answer",
            {("any", n): name for n, name in enumerate(_STRAYS, 1)},
            3,
            codes=(0,),
        ),
    ]


def _of_one_exchange(story: Callable[..., Schedule]) -> list[Schedule]:
    """Give what becomes of one exchange that is lost or refused, and goes on staged."""
    lost = {("whole", 1): "answer lost"}
    apart = {"senders": (0, 0), "shares_home": False, "staged": (1,)}
    return [
        story(
            "pages after one exchange that was lost",
            {**lost, ("whole", 2): "403", ("declare", 1): "413 HTML"},
            codes=(6, 0),
        ),
        story(
            "pages to one exchange and to the staged way",
            {("whole", 1): "403", ("declare", 1): "403"},
            codes=(5, 0),
        ),
        story(
            "a page for the answer to one exchange, and to the staged way",
            {("whole", 1): _FILTERED, ("declare", 1): "403"},
            codes=(6, 0),
        ),
        story(
            "one exchange broken off twice",
            {("whole", 1): "reset in body", ("whole", 2): "reset after body"},
            codes=(0,),
        ),
        story("one exchange lost twice", {**lost, ("whole", 2): "answer lost"}, codes=(0,), transfers=2),
        story(
            "one exchange altered twice",
            {("whole", 1): "400 digest-mismatch", ("whole", 2): "400 digest-mismatch"},
            codes=(0,),
        ),
        story(
            "ghosts of one exchange on the staged way",
            {("whole", 1): "ghost after the clients", ("whole", 2): "ghost on the next request"},
            codes=(0,),
        ),
        story(
            "a late ghost of one exchange",
            {("whole", 1): "ghost after the receipt", ("whole", 2): "ghost after the receipt"},
            codes=(0,),
        ),
        *(
            story(
                f"a form refused, then {fault} at {call}", {("whole", 1): "405", (call, 1): fault}, codes=(0,)
            )
            for call in STAGED
            for fault in ("answer lost", "duplicate", "answer cut in body")
        ),
        *(
            story(f"one staged, one at once: {fault} at {call}", {(call, 1): fault}, **apart)
            for call in CALLS
            for fault in ("answer lost", "duplicate", "reset in body", "ghost on the next request", "drip")
        ),
        story("a large document at once", {("whole", 1): _EARLY}, 1, pool="middling", codes=(0,)),
    ]


class World:
    """All that the schedules of one worker have in common, and what happens in each."""

    def __init__(self, scratch: Path, proxy: Switch) -> None:
        self._scratch = scratch
        self._proxy = proxy
        self._pool = [_files(scratch / "files", submission) for submission in range(9)]
        self._large = [_large(scratch / "large", 9_500_000)]
        self._middling = [_large(scratch / "middling", 7_500_000)]  # what one exchange still takes

    def play(self, plan: Schedule) -> tuple[list[tuple[str, str]], bool]:
        """Play one schedule; give its violations, and whether a fault really happened."""
        with lab.world(self._scratch, "schedule") as folder, _sandbox(folder / "sandbox") as port:
            return self._play(plan, folder, port)

    def _play(self, plan: Schedule, folder: Path, port: int) -> tuple[list[tuple[str, str]], bool]:
        pool = {"large": self._large, "middling": self._middling}.get(plan.pool, self._pool)
        sent = {submission: pool[submission][: plan.documents] for submission in plan.senders}
        clients = [
            Client(
                number,
                submission,
                sent[submission],
                folder / f"home-{0 if plan.shares_home else number}",
                has_short_limits=plan.has_short_limits,
                is_staged=number in plan.staged,
            )
            for number, submission in enumerate(plan.senders)
        ]
        foreign = self._foreign(plan, folder, port)
        self._proxy("arm", port, plan.plan, _as_given(foreign) if foreign else {}, plan.echoes)
        _run(clients, self._proxy.url, folder / "faulty", most=_RUNS_THROUGH_FAULTS, kills=plan.kills)
        attempts = [list(client.ran) for client in clients]
        self._proxy("calm")
        if _WITHDRAWN in plan.plan.values():
            return self._withdrawn(clients[0], folder)
        faulty = self._proxy("seen")
        _run(clients, self._proxy.url, folder / "clean")
        clean = self._proxy("seen")
        self._proxy("raise_late_ghosts")
        # Somebody else with the same documents has no ledger that knows: there, the service alone can tell.
        others = [
            Client(100 + submission, submission, files, folder / f"home-other-{submission}")
            for submission, files in sent.items()
        ]
        _run(clients, self._proxy.url, folder / "again")
        again = self._proxy("seen")
        _run(others, self._proxy.url, folder / "elsewhere")
        elsewhere = self._proxy("seen")
        elsewhere.document_bytes -= elsewhere.whole_bytes  # in one exchange nobody can ask before
        struck = {fault.rpartition(" at ")[0] for fault in faulty.struck}
        broken = [
            *_whole(folder / "sandbox", [*clients, *others, *([foreign] if foreign else [])]),
            *_receipts_of_each([*clients, *others], lab.received(folder / "sandbox")),
            *_once_more([client.ran[-1] for client in clients], again),
            *_once_more([client.ran[-1] for client in others], elsewhere),
            *_on_the_wire([faulty, clean, again, elsewhere], submissions=len(sent)),
            *_as_planned(plan, attempts[0], faulty.document_bytes, clients[0].files),
        ]
        for client, tried in zip(clients, attempts, strict=True):
            may_be_killed = client.number in {who for who, _ in plan.kills}
            broken += _after_faults(tried, struck, may_be_killed=may_be_killed)
            broken += _after_clean_run(client.ran[len(tried)])
        was_killed = any(ran.code == lab.KILLED for tried in attempts for ran in tried)
        return broken, bool(struck) or was_killed or not plan.echoes

    def _foreign(self, plan: Schedule, folder: Path, port: int) -> Client | None:
        """Let somebody else's submission be received first, if the schedule needs its receipt."""
        if _FOREIGN not in plan.plan.values():
            return None
        foreign = Client(99, 99, self._pool[-1][:1], folder / "home-foreign")
        _run([foreign], f"http://{_LOOPBACK}:{port}", folder / "foreign")
        foreign.trouble += _after_clean_run(foreign.ran[0])
        return foreign

    def _withdrawn(self, client: Client, folder: Path) -> tuple[list[tuple[str, str]], bool]:
        """What was said to be withdrawn stays so, and --again is the way to send it, once."""
        struck = self._proxy("seen").struck
        _run([client], self._proxy.url, folder / "clean")
        refused, document_bytes = client.ran[-1], self._proxy("seen").document_bytes
        _run([client], self._proxy.url, folder / "again", more=["--again"])
        codes = [problem["code"] for problem in refused.result.get("problems", ())]
        broken = [*_whole(folder / "sandbox", [client]), *_after_clean_run(client.ran[-1])]
        if (refused.code, codes, document_bytes) != (5, ["withdrawn"], 0):
            broken.append(
                ("other", f"after a withdrawal: {refused.code}, {codes}, {document_bytes} bytes sent")
            )
        return broken, bool(struck)


def _files(folder: Path, submission: int) -> list[Path]:
    """Three documents that no other submission has; the last of them takes more than one packet."""
    import samples

    folder.mkdir(parents=True, exist_ok=True)
    sizes = (4_000, 9_000, 300_000)
    return [
        samples.write(folder, f"payslip-{submission}-{n}.pdf", samples.pdf(10 * submission + n, size=size))
        for n, size in enumerate(sizes)
    ]


def _large(folder: Path, size: int) -> list[Path]:
    """One document that no buffers of a connection can take whole."""
    import samples

    folder.mkdir(parents=True, exist_ok=True)
    return [samples.write(folder, "payslip-large.pdf", samples.pdf(500, size=size))]


def _as_given(client: Client) -> dict[str, Any]:
    """The receipt as the sandbox wrote it, which is more than a result shows; {} if there is none."""
    receipts = [receipt for _, receipt in lab.ledger_rows(client.home).values() if receipt]
    return dict(json.loads(receipts[0])) if receipts else {}


# -- what has to hold --------------------------------------------------------------------------------------


def _whole(sandbox: Path, clients: Sequence[Client]) -> Iterator[tuple[str, str]]:
    """What the laboratory asks of all experiments, and what was noticed while clients ran."""
    yield from lab.violations(
        sandbox,
        list(dict.fromkeys(client.home for client in clients)),
        [ran for client in clients for ran in client.ran],
        expected=lab.expected(file for client in clients for file in client.files),
        submissions=len({client.submission for client in clients}),
    )
    for client in clients:
        yield from client.trouble


def _after_faults(
    tried: Sequence[lab.Ran], struck: set[str], *, may_be_killed: bool
) -> Iterator[tuple[str, str]]:
    """A run through faults ends received, unfinished, or as the faults allow."""
    allowed = {0, 6}
    if (_REFUSES | _PAGES) & struck:
        allowed.add(5)
    if _WANTS_SIGN_IN & struck:
        allowed.add(4)
    if may_be_killed:
        allowed.add(lab.KILLED)
    for ran in tried:
        if ran.code not in allowed:
            yield "other", f"exit code {ran.code}: {_said(ran)}"
        if ran.code == 0 and not ran.receipt:
            yield "lost", "exit code 0 without a receipt"


def _after_clean_run(ran: lab.Ran) -> Iterator[tuple[str, str]]:
    if ran.code != 0 or not ran.receipt:
        yield "lost", f"a clean run ended with {ran.code}: {_said(ran)}"


def _receipts_of_each(clients: Iterable[Client], kept: Sequence[lab.Kept]) -> Iterator[tuple[str, str]]:
    """Whoever sent the same has one receipt, and it is of these documents."""
    documents = {one.number: {name for name, _ in one.documents} for one in kept}
    numbers: dict[int, set[str]] = {}
    for client in clients:
        for ran in client.ran:
            if ran.receipt:
                number = ran.receipt["number"]
                numbers.setdefault(client.submission, set()).add(number)
                if number in documents and documents[number] != {file.name for file in client.files}:
                    yield "lost", f"{number} was printed, which is of other documents"
    for submission, shown in numbers.items():
        if len(shown) > 1:
            yield "twice", f"submission {submission} has the receipts {', '.join(sorted(shown))}"


def _once_more(last: Iterable[lab.Ran], seen: Seen) -> Iterator[tuple[str, str]]:
    for ran in last:
        if ran.code != 0 or not ran.receipt:
            yield "lost", f"one more run ended with {ran.code}: {_said(ran)}"
        elif ran.result.get("repeated") is not True:
            yield "resent", "one more run does not say that it is repeated"
    if seen.document_bytes:
        yield "resent", f"one more run sent {seen.document_bytes} bytes of documents"


def _as_planned(
    plan: Schedule, tried: Sequence[lab.Ran], document_bytes: int, files: Sequence[Path]
) -> Iterator[tuple[str, str]]:
    """What is certain of a single fault: how its runs end, and that no document goes twice without need."""
    codes = tuple(ran.code for ran in tried)
    if plan.codes and codes != plan.codes:
        yield "other", f"the runs ended with {codes}, not with {plan.codes}: {_said(tried[0])}"
    whole = sum(file.stat().st_size for file in files)
    if plan.transfers is not None and document_bytes != plan.transfers * whole:
        yield "resent", f"{document_bytes} bytes of documents of {whole} went through the fault"


def _on_the_wire(phases: Sequence[Seen], *, submissions: int) -> Iterator[tuple[str, str]]:
    if (keys := len(phases[-1].declared)) > submissions:
        yield "twice", f"{keys} keys were declared for {submissions} submissions"
    for seen in phases:
        if seen.elsewhere_bytes:
            yield "seen", f"{seen.elsewhere_bytes} bytes at the place that a redirect named"
        yield from (("wrong", f"a client sent {wrong}") for wrong in seen.wrong)


def _said(ran: lab.Ran) -> str:
    return ran.err.strip()[-300:] or "nothing"


# -- the experiments ---------------------------------------------------------------------------------------


def experiment(
    count: int, seed: int, scratch: Path, *, source: Path | None = None, first: int = 0
) -> list[lab.Tally]:
    """Play random schedules from number `first` on; `source` is the folder of a patched docsend."""
    tallies = {name: lab.Tally(name, seed) for name in TALLIES}
    for found in _worked(scratch, source, {"seed": seed, "first": first, "count": count}):
        tallies[found.name].merge(found)
    return list(tallies.values())


def catalogue(scratch: Path, *, source: Path | None = None) -> lab.Tally:
    """Play each single fault at each call, once, with one client."""
    whole = lab.Tally("network, each fault at each call", 0)
    for found in _worked(scratch, source, {}):
        whole.merge(found)
    return whole


def _worked(scratch: Path, source: Path | None, job: dict[str, int]) -> list[lab.Tally]:
    """Let workers do a job together; each takes the schedules whose turn is its own."""
    path = [str(source)] if source else []
    path += [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    workers = []
    for turn in range(_WORKERS):
        folder = scratch / f"network-{turn}"
        folder.mkdir(parents=True, exist_ok=True)
        about = {"turn": turn, "scratch": str(folder), "source": source and str(source), **job}
        worker = subprocess.Popen(
            [sys.executable, "-c", "from faults import network; network.work()", json.dumps(about)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        workers.append(worker)
    outputs = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise RuntimeError(f"a worker ended with {[worker.returncode for worker in workers]}")
    return [
        lab.Tally(**{**raw, "broken": Counter(raw["broken"])})
        for output in outputs
        for raw in json.loads(output)
    ]


def work() -> None:
    """Do a worker's part of a job; it is in the arguments, what came of it goes to stdout."""
    job = json.loads(sys.argv[1])
    _import_all(job["source"])
    schedules = singles()
    if "count" in job:
        schedules = [schedule(job["seed"], job["first"] + n) for n in range(job["count"])]
    tallies: dict[str, lab.Tally] = {}
    with _proxied() as proxy:
        world = World(Path(job["scratch"]), proxy)
        for plan in schedules[job["turn"] :: _WORKERS]:
            broken, struck = world.play(plan)
            tally = tallies.setdefault(plan.tally, lab.Tally(plan.tally, plan.seed))
            tally.add(str(plan), broken, struck=struck)
    sys.stdout.write(json.dumps([vars(tally) for tally in tallies.values()]))


def _import_all(source: str | None) -> None:
    """Import what clients and sandboxes need before any is forked, and make sure that it is the one meant."""
    for name in _NEEDED:
        importlib.import_module(name)
    found = Path(sys.modules["docsend"].__file__ or "")
    assert source is None or found.is_relative_to(source), found
    gc.freeze()  # a fork that collected what it shares would copy it
