"""Exchanges, that is, requests with their deadlines and progress, and the threads that enforce deadlines.

A `Watchdog` aborts the exchanges of other threads at their deadlines. A `Worker` runs the exchanges of the
main thread, so that the main thread reacts to Ctrl-C at once.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from docsend import threads
from docsend.service import failures
from docsend.service.failures import NoResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docsend.service.responses import Response

Header: TypeAlias = "tuple[bytes, bytes]"

_MAX_BLOCK_BYTES = 256 * 1024
_MIN_BLOCK_BYTES = 16 * 1024  # copying a smaller part is cheaper than sending it separately
# How long to wait, after a failed write, for a refusal that the service may have sent before it had read the
# complete request.
_EARLY_RESPONSE_S = 5.0
_POLL_S = 0.2  # how often a waiting thread checks for a deadline


class TimeLimits(NamedTuple):
    """Time limits in seconds. An exchange may take `grace_s` and the time for its body at minimum speed."""

    connect_s: float = 10.0  # for each address of a host name
    grace_s: float = 60.0
    min_bytes_per_s: float = 16 * 1024

    def timeout_s(self, size: int) -> float:
        return self.grace_s + size / self.min_bytes_per_s


TIME_LIMITS = TimeLimits()


class Request(NamedTuple):
    """One request. `body` is a sequence of parts that are sent one after another.

    `max_bytes` is the maximum size of the response's body.
    """

    method: str
    path: str
    headers: tuple[Header, ...] = ()
    body: Sequence[bytes] = ()
    max_bytes: int = 2**20
    is_repeatable: bool = True

    @property
    def size(self) -> int:
        return sum(map(len, self.body))


class Connection(Protocol):
    """The part of a connection that an exchange uses."""

    is_trusted: bool

    def on_connected(self, stream: Any) -> None: ...

    def on_encrypted(self, ssl_object: Any) -> None: ...

    def shut_down(self) -> None: ...


class Exchange:
    """One request that is being sent, the step it has reached, and its deadline."""

    def __init__(
        self,
        request: Request,
        deadline: float,
        on_sent: Callable[[int], None] | None,
        *,
        use_new_connection: bool = False,
    ) -> None:
        self.request = request
        self.use_new_connection = use_new_connection
        self.step: failures.Step = "connecting"
        self.is_aborted = False
        self.is_connection_reused = False
        self.is_request_complete = not request.body
        self.has_response = False
        self.may_have_arrived = False
        self.is_past_proxy = False  # whether the proxy, if there is one, has let the connection through
        self._is_proxy_request = False
        self._deadline = deadline
        self._on_sent = on_sent
        self._connection: Connection | None = None

    def start(self, connection: Connection) -> None:
        self.is_connection_reused = self.is_past_proxy = connection.is_trusted
        self._connection = connection
        self.check_deadline()

    def check_deadline(self) -> None:
        """Raise TimeoutError if the exchange was aborted or is past its deadline."""
        if self.is_past_deadline:
            self.abort()
        if self.is_aborted:
            raise TimeoutError("slower than the deadline")

    @property
    def is_past_deadline(self) -> bool:
        return time.monotonic() >= self._deadline

    def abort(self) -> None:
        """Abort the exchange, from any thread."""
        self.is_aborted = True
        if self._connection is not None:
            self._connection.shut_down()

    def timeouts(self, connect_s: float) -> dict[str, float]:
        """Return httpx's timeouts in seconds: up to `connect_s` to connect, else until the deadline."""
        rest = max(self._deadline - time.monotonic(), 0.001)
        return {"connect": min(connect_s, rest), "read": rest, "write": rest, "pool": rest}

    def blocks(self) -> Iterator[bytes]:
        done = 0
        for block in _iter_blocks(self.request.body):
            yield block
            done += len(block)
            if self._on_sent is not None:
                self._on_sent(done)
        self.is_request_complete = True

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Process an event of httpx's trace extension, such as "http11.send_request_body.started"."""
        step, _, moment = event.rpartition(".")
        name = step.rpartition(".")[2]
        if name == "connect_tcp" and moment == "complete" and self._connection is not None:
            self.is_connection_reused = False
            self._connection.on_connected(info["return_value"])
            if self.is_aborted:  # while it was connecting
                self._connection.shut_down()
        elif name == "start_tls" and moment == "complete" and self._connection is not None:
            self._connection.on_encrypted(info["return_value"].get_extra_info("ssl_object"))
        if moment == "started":  # only these events include their request
            self._is_proxy_request = getattr(info.get("request"), "method", b"") == b"CONNECT"
            self.may_have_arrived |= name == "send_request_headers" and not self._is_proxy_request
        elif moment == "failed" and name in ("send_request_headers", "send_request_body"):
            # After a failed write, httpx still tries to read a response. The service may still be waiting for
            # the rest of the request, so without a shorter deadline both sides would wait for each other.
            self._deadline = min(self._deadline, time.monotonic() + _EARLY_RESPONSE_S)
        if self.is_aborted:  # the events that follow only clean up
            return
        if moment == "started" and (started := failures.STEPS.get(name)) is not None:
            self.step = "asking the proxy" if self._is_proxy_request else started
        elif moment == "complete" and name == "receive_response_headers":
            self.is_past_proxy |= self._is_proxy_request
            self.has_response |= not self._is_proxy_request
        elif moment == "complete" and name == "setup_socks5_connection":
            self.is_past_proxy = True


def _iter_blocks(parts: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the parts in blocks for single writes: large parts are sliced, small ones are joined."""
    small: list[bytes] = []
    for part in parts:
        if len(part) < _MIN_BLOCK_BYTES:
            small.append(part)
            continue
        if small:
            yield b"".join(small)
            small = []
        for start in range(0, len(part), _MAX_BLOCK_BYTES):
            # h11 sends a memoryview without copying it.
            yield memoryview(part)[start : start + _MAX_BLOCK_BYTES]  # type: ignore[misc]
    if small:
        yield b"".join(small)


class Watchdog:
    """A thread that aborts the exchanges of other threads at their deadlines.

    The thread starts with the first exchange, unless `start` has been called before.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: set[Exchange] = set()
        self._stopped = threading.Event()
        self._is_started = False

    def start(self) -> None:
        """Start the thread unless it is running. Raise LocalError if the system cannot start one."""
        with self._lock:
            if not (self._is_started or self._stopped.is_set()):
                threads.start(self._run, name="docsend-watchdog")
                self._is_started = True

    @contextlib.contextmanager
    def watch(self, exchange: Exchange) -> Iterator[None]:
        self.start()
        with self._lock:
            self._watched.add(exchange)
            if self._stopped.is_set():
                exchange.abort()
        try:
            yield
        finally:
            with self._lock:
                self._watched.discard(exchange)

    def stop(self) -> None:
        """Abort all watched exchanges. An exchange that is still connecting ends once it is connected."""
        with self._lock:
            self._stopped.set()
            exchanges = tuple(self._watched)
        for exchange in exchanges:
            exchange.abort()

    def _run(self) -> None:
        while not self._stopped.wait(_POLL_S):
            with self._lock:
                overdue = [exchange for exchange in self._watched if exchange.is_past_deadline]
            for exchange in overdue:
                exchange.abort()


class Worker:
    """A thread that runs the main thread's exchanges, so that the main thread reacts to Ctrl-C at once.

    On Windows, Ctrl-C does not interrupt a blocked call. On no system does it interrupt the resolution of a
    host name. An exchange that does not end when it is aborted is abandoned. Its thread is a daemon, so the
    thread does not keep the process alive.
    """

    def __init__(self) -> None:
        self.is_busy = False
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threads.start(self._run, name="docsend-exchange")

    def stop(self) -> None:
        self._work.put(None)

    def run(self, exchange: Exchange, work: Callable[[Exchange], Response]) -> Response:
        done = threading.Event()
        results: list[Response | BaseException] = []

        def run() -> None:
            try:
                results.append(work(exchange))
            except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
                results.append(error)
            finally:
                done.set()

        self.is_busy = True
        self._work.put(run)
        try:
            while not done.wait(_POLL_S):
                if exchange.is_past_deadline:
                    exchange.abort()
                    if not done.wait(1.0):  # resolving a name or connecting, which cannot be aborted
                        break
        except BaseException:
            exchange.abort()
            raise
        if not done.is_set():
            raise NoResponse(failures.timed_out(exchange.step), may_have_arrived=exchange.may_have_arrived)
        self.is_busy = False
        (result,) = results
        if isinstance(result, BaseException):
            raise result
        return result

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work  # frees the document while the thread waits for the next exchange
