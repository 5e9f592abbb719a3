"""One exchange between a client and the sandbox, as the proxy handles it."""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults.network.responses import with_request_id

if TYPE_CHECKING:
    import asyncio

    from faults.network.proxy import Proxy

STAGED = ("declare", "put", "send")
CALLS = ("submit", *STAGED)  # "submit" is one exchange
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    """The head of a request, and the values that the proxy reads from it."""

    head: bytes
    path: str
    call: str
    length: int
    request_id: bytes

    @classmethod
    def from_head(cls, head: bytes) -> Request:
        path = head.split(b" ", 2)[1].decode("ascii")
        call = "put" if "/documents/" in path else "send" if path.endswith("/send") else "declare"
        if head.startswith(b"GET "):
            call = "look"
        if re.search(rb"\r\ncontent-type: *multipart/", head, re.IGNORECASE):
            call = "submit"
        found = re.search(rb"\r\nrequest-id: *([^\r\n]*)", head, re.IGNORECASE)
        return cls(head, path, call, content_length(head), found[1] if found else b"")


def content_length(head: bytes) -> int:
    stated = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return int(stated[1]) if stated else 0


@dataclass
class Exchange:
    """One request, and the connection on which it arrived."""

    proxy: Proxy
    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    previous_response: bytes = b""  # to the previous request on the same connection
    response: bytes = b""  # the sandbox's, once it has arrived

    async def body(self) -> bytes:
        """Read the complete body, and record whether documents match their digests."""
        body = await self._read(self.request.length)
        self.proxy.observations.record(self.request, body)
        return body

    async def part_of_body(self, length: int) -> bytes:
        return await self._read(min(length, self.request.length))

    async def _read(self, length: int) -> bytes:
        body = await self.reader.readexactly(length)
        if self.request.call == "put":
            self.proxy.observations.document_bytes += length
        return body

    async def forward(self) -> bytes:
        """Forward the request unchanged and return the sandbox's response."""
        self.response = await self.proxy.deliver(self.request.head + await self.body())
        return self.response

    async def send(self, response: bytes) -> None:
        self.writer.write(response)
        await self.writer.drain()

    async def forge(self, response: bytes) -> None:
        """Send a forged response with the request's id."""
        await self.send(with_request_id(response, self.request.request_id))

    def reset(self) -> None:
        reset_connection(self.writer)

    def close(self) -> None:
        self.writer.close()


def reset_connection(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST: with a linger time of 0, data that is still buffered is discarded."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
