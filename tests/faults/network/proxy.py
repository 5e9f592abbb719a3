"""The proxy, which runs in its own process, and its controller."""

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

from faults.network.exchange import LOOPBACK, Exchange, Request, reset_connection
from faults.network.faults import FAULTS, declaration_of, forward, key_in, read_response
from faults.network.responses import http_response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_REFUSING_S = 0.12


@dataclass
class Observations:
    """Requests and bytes that the proxy observed, for the checks."""

    triggered: list[str] = field(default_factory=list)
    document_bytes: int = 0
    one_exchange_bytes: int = 0  # the part of document_bytes that was sent in one exchange
    redirected_bytes: int = 0
    mismatches: list[str] = field(default_factory=list)  # documents that did not match their digest
    declared: dict[str, Any] = field(default_factory=dict)  # declarations by key, since the schedule started

    def record(self, request: Request, body: bytes) -> None:
        if request.call == "declare":
            self.declared[key_in(request)] = json.loads(body)
        if request.call == "submit":
            self._record_one_exchange(key_in(request), body)
        if request.call == "put" and hashlib.sha256(body).hexdigest() != request.path.rpartition("/")[2]:
            self.mismatches.append(f"{len(body)} bytes that do not match {request.path[-8:]}")

    def _record_one_exchange(self, key: str, body: bytes) -> None:
        """Record the documents of one exchange, and whether they match their declaration in order."""
        self.declared[key] = declared = declaration_of(body)
        parts = body.split(b"\r\n--" + key.encode())[1:-1]
        documents = [part.partition(b"\r\n\r\n")[2] for part in parts]
        self.one_exchange_bytes += sum(map(len, documents))
        self.document_bytes += sum(map(len, documents))
        if [hashlib.sha256(document).hexdigest() for document in documents] != [
            document["sha256"] for document in declared["documents"]
        ]:
            self.mismatches.append(f"{len(documents)} documents that do not match those of {key[-8:]}")


class Proxy:
    """The proxy. It runs in its own process, and its controller calls the methods under "orders" by name."""

    def __init__(self, listener: socket.socket) -> None:
        self.observations = Observations()
        self.delayed: list[tuple[str, bytes]] = []
        self.foreign: dict[str, Any] = {}
        self.echoes_ids = True
        self.redirect_port = 0
        self._listener = listener
        self.sandbox_port = 0
        self._plan: dict[tuple[str, int], str] = {}
        self._counts: Counter[str] = Counter()
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None

    # -- orders --------------------------------------------------------------------------------------------

    async def start(
        self, sandbox_port: int, plan: dict[tuple[str, int], str], foreign: dict[str, Any], *echoes: bool
    ) -> None:
        """Start a schedule; `plan` maps (call, n) to the fault for the n-th request of a call or of "any"."""
        for task in self._connections:
            task.cancel()
        self.sandbox_port, self._plan, self.foreign = sandbox_port, dict(plan), foreign
        self.echoes_ids = all(echoes)
        self._counts.clear()
        self.delayed.clear()
        self.observations = Observations()
        await self._listen()

    async def stop_faults(self) -> None:
        """Stop injecting faults, and deliver the requests that were delayed until the clients ended."""
        self._plan.clear()
        await self._listen()
        await self._deliver_delayed("next", "after")

    async def deliver_late_requests(self) -> None:
        await self._deliver_delayed("next", "after", "late")

    async def take_observations(self) -> Observations:
        """Return the observations since the last call, to check each phase of a schedule separately."""
        taken, self.observations = self.observations, Observations(declared=self.observations.declared)
        return taken

    # -- forwarding ----------------------------------------------------------------------------------------

    def refuse_connections(self) -> None:
        """Refuse connections for a while; the socket keeps its port after the shutdown."""
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
            self._listener.shutdown(socket.SHUT_RD)
            self._opening = asyncio.create_task(self._listen_later())

    async def deliver(self, request: bytes) -> bytes:
        """Send a request to the sandbox on a new connection and return the complete response."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.sandbox_port, limit=2**20)
        try:
            writer.write(request)
            return await read_response(reader)
        finally:
            writer.transport.abort()

    async def abandon(self, part: bytes) -> None:
        """Send a part of a request to the sandbox, and reset the connection before it responds."""
        _, writer = await asyncio.open_connection(LOOPBACK, self.sandbox_port)
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.002)  # a reset discards what the sandbox has not read yet
        reset_connection(writer)

    async def _deliver_delayed(self, *when: str) -> None:
        due = [request for moment, request in self.delayed if moment in when]
        self.delayed = [(moment, request) for moment, request in self.delayed if moment not in when]
        for request in due:
            await self.deliver(request)

    async def _listen_later(self) -> None:
        await asyncio.sleep(_REFUSING_S)
        await self._listen()

    async def _listen(self) -> None:
        if self._accepting is None:
            self._listener.listen(100)
            self._accepting = asyncio.create_task(self._accept())

    async def _accept(self) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._serve(connection))
            self._connections.add(task)
            task.add_done_callback(self._connection_ended)

    def _connection_ended(self, task: asyncio.Task[None]) -> None:
        """Forget a connection. An unexpected error ends the proxy, so that it does not look like a fault."""
        self._connections.discard(task)
        if not task.cancelled() and (error := task.exception()):
            traceback.print_exception(error)
            os._exit(1)

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=2**20)
        try:
            # A client may close the connection at any point: when it is killed, refused or done.
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                previous = b""
                while not writer.is_closing():
                    previous = await self._handle_request(reader, writer, previous)
        finally:
            writer.close()

    async def _handle_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, previous: bytes
    ) -> bytes:
        """Forward one request or inject its fault, and return the sandbox's response."""
        request = Request.from_head(await reader.readuntil(b"\r\n\r\n"))
        fault = self._next_fault(request)
        await self._deliver_delayed("next")
        exchange = Exchange(self, request, reader, writer, previous)
        await FAULTS.get(fault, forward)(exchange)
        return exchange.response

    def _next_fault(self, request: Request) -> str:
        self._counts.update(("any", request.call))
        for which in ("any", request.call):
            if fault := self._plan.pop((which, self._counts[which]), ""):
                self.observations.triggered.append(f"{fault} at {request.call}")
                return fault
        return ""

    async def serve_redirect_target(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the target of redirects, and count each connection and the bytes it sends."""
        self.observations.redirected_bytes += 1
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(2**16):
                self.observations.redirected_bytes += len(piece)
                writer.write(http_response(200))
        writer.close()


async def _run_proxy(proxy: Proxy, orders: Connection) -> None:
    redirect_target = await asyncio.start_server(proxy.serve_redirect_target, LOOPBACK, 0)
    proxy.redirect_port = redirect_target.sockets[0].getsockname()[1]
    has_order = asyncio.Event()
    asyncio.get_running_loop().add_reader(orders.fileno(), has_order.set)
    while True:
        await has_order.wait()
        has_order.clear()
        while orders.poll():
            name, *values = orders.recv()
            orders.send(await getattr(proxy, name)(*values))


class ProxyController:
    """Controller of a proxy: `controller("stop_faults")` calls that method and waits for it to return."""

    def __init__(self, listener: socket.socket) -> None:
        self.url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        context = multiprocessing.get_context("fork")
        self._orders, worker_end = context.Pipe()
        if sys.platform == "win32":
            raise NotImplementedError
        self._process: BaseProcess = context.Process(
            target=self._serve, args=(listener, worker_end), daemon=True
        )
        self._process.start()

    @staticmethod
    def _serve(listener: socket.socket, orders: Connection) -> None:
        listener.setblocking(False)
        asyncio.run(_run_proxy(Proxy(listener), orders))

    def __call__(self, order: str, *values: object) -> Any:
        self._orders.send((order, *values))
        if not self._orders.poll(30):
            raise TimeoutError(f"the proxy did not finish {order}")
        return self._orders.recv()

    def close(self) -> None:
        self._process.kill()
        self._process.join()


@contextlib.contextmanager
def running_proxy() -> Iterator[ProxyController]:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    # A socket bound to an explicit port number keeps it while it does not listen.
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A small buffer, so that a client cannot send a large body before the proxy reads it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**17)
        listener.bind((LOOPBACK, port))
        switch = ProxyController(listener)
    try:
        yield switch
    finally:
        switch.close()
