"""The proxy, a process of its own, and the switch that tells it what to break."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import socket
import sys
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faults.network.exchange import LOOPBACK, Asked, Exchange, reset_connection
from faults.network.faults import ON_THE_WIRE, declaration_of, key_in, untouched, whole_answer
from faults.network.responses import http_answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_DEAF_S = 0.12


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
            self.declared[key_in(asked)] = json.loads(body)
        if asked.call == "whole":
            self._note_whole(key_in(asked), body)
        if asked.call == "put" and hashlib.sha256(body).hexdigest() != asked.path.rpartition("/")[2]:
            self.wrong.append(f"{len(body)} bytes that are not {asked.path[-8:]}")

    def _note_whole(self, key: str, body: bytes) -> None:
        """Hold the documents of one exchange against their declaration, in its order."""
        self.declared[key] = declared = declaration_of(body)
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
        reader, writer = await asyncio.open_connection(LOOPBACK, self.sandbox_port, limit=2**20)
        try:
            writer.write(request)
            return await whole_answer(reader)
        finally:
            writer.transport.abort()

    async def abandon(self, part: bytes) -> None:
        """Send the sandbox this much, and be gone before it answers."""
        _, writer = await asyncio.open_connection(LOOPBACK, self.sandbox_port)
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.002)  # a reset discards what the sandbox has not read yet
        reset_connection(writer)

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
        await ON_THE_WIRE.get(fault, untouched)(exchange)
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
                writer.write(http_answer(200))
        writer.close()


async def _run_proxy(proxy: Proxy, orders: Connection) -> None:
    elsewhere = await asyncio.start_server(proxy.watch_elsewhere, LOOPBACK, 0)
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
        self.url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
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
def proxied() -> Iterator[Switch]:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    # A port that was bound by its number stays bound while nobody listens on it.
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # So that no large body has left before the proxy reads it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**17)
        listener.bind((LOOPBACK, port))
        switch = Switch(listener)
    try:
        yield switch
    finally:
        switch.close()
