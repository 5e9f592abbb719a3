"""One exchange between a client and the sandbox, as the proxy has it in its hands."""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults.network.responses import with_id

if TYPE_CHECKING:
    import asyncio

    from faults.network.proxy import Proxy

STAGED = ("declare", "put", "send")
CALLS = ("whole", *STAGED)  # the first is one exchange
LOOPBACK = "127.0.0.1"


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
        return cls(head, path, call, stated_length(head), found[1] if found else b"")


def stated_length(head: bytes) -> int:
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
        await self.say(with_id(answer, self.asked.request_id))

    def reset(self) -> None:
        reset_connection(self.writer)

    def close(self) -> None:
        self.writer.close()


def reset_connection(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST: with a linger of 0 nothing that is still under way is delivered."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
