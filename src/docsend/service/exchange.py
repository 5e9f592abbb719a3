"""One exchange on its way: the request, its deadline, how far it is, and who ends it when it is late.

A `Watchdog` ends the exchanges of other threads at their deadlines; a `Worker` runs those of the main thread,
so that Ctrl-C is heard at once.
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

_BLOCK = 256 * 1024
_WORTH_JOINING = 16 * 1024  # a copy of less costs less than to send it by itself
# After a write that failed only a refusal that is on its way already is waited for.
_FOR_A_REFUSAL_S = 5.0
_SLICE_S = 0.2  # how often somebody who waits looks whether to go on


class TimeLimits(NamedTuple):
    """How long things may take: an exchange `grace_s`, and what its bytes need at the slowest speed."""

    connect_s: float = 10.0  # to each address of a name
    grace_s: float = 60.0
    slowest_bytes_per_s: float = 16 * 1024

    def exchange_s(self, size: int) -> float:
        return self.grace_s + size / self.slowest_bytes_per_s


TIME_LIMITS = TimeLimits()


class Request(NamedTuple):
    """One request. The body's parts follow one another; `most` is the largest response in bytes."""

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
    """What an exchange knows of the connection that it goes over."""

    is_trusted: bool

    def connected(self, stream: Any) -> None: ...

    def encrypted(self, ssl_object: Any) -> None: ...

    def end(self) -> None: ...


class Exchange:
    """One request on its way: how far it is, and until when it may last."""

    def __init__(
        self,
        request: Request,
        deadline: float,
        sent: Callable[[int], None] | None,
        *,
        on_new_connection: bool = False,
    ) -> None:
        self.request = request
        self.on_new_connection = on_new_connection
        self.step: failures.Step = "connecting"
        self.is_over = False  # somebody has ended it
        self.was_kept = False
        self.has_left_whole = not request.body
        self.has_answer = False
        self.may_have_arrived = False
        self.is_through = False  # a proxy, if there is one
        self._asks_proxy = False
        self._deadline = deadline
        self._sent = sent
        self._connection: Connection | None = None

    def begin(self, connection: Connection) -> None:
        self.was_kept = self.is_through = connection.is_trusted
        self._connection = connection
        self.end_in_time()

    def end_in_time(self) -> None:
        """Raise TimeoutError if the exchange is over, so that a response after its time is none."""
        if self.is_late:
            self.end()
        if self.is_over:
            raise TimeoutError("slower than the deadline")

    @property
    def is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def end(self) -> None:
        """End it, from any thread."""
        self.is_over = True
        if self._connection is not None:
            self._connection.end()

    def timeouts(self, connect_s: float) -> dict[str, float]:
        """Give httpx's limits of single steps in seconds: only that of connecting is below the deadline."""
        left = max(self._deadline - time.monotonic(), 0.001)
        return {"connect": min(connect_s, left), "read": left, "write": left, "pool": left}

    def blocks(self) -> Iterator[bytes]:
        done = 0
        for block in _blocks(self.request.body):
            yield block
            done += len(block)
            if self._sent is not None:
                self._sent(done)
        self.has_left_whole = True

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Follow httpx's trace extension: names such as "http11.send_request_body.started"."""
        step, _, moment = event.rpartition(".")
        name = step.rpartition(".")[2]
        if name == "connect_tcp" and moment == "complete" and self._connection is not None:
            self.was_kept = False
            self._connection.connected(info["return_value"])
            if self.is_over:  # ended while it was connecting
                self._connection.end()
        elif name == "start_tls" and moment == "complete" and self._connection is not None:
            self._connection.encrypted(info["return_value"].get_extra_info("ssl_object"))
        if moment == "started":  # what is complete does not say of which request
            self._asks_proxy = getattr(info.get("request"), "method", b"") == b"CONNECT"
            self.may_have_arrived |= name == "send_request_headers" and not self._asks_proxy
        elif moment == "failed" and name in ("send_request_headers", "send_request_body"):
            # httpx reads a response all the same, and the service may wait for the rest as long as we for it.
            self._deadline = min(self._deadline, time.monotonic() + _FOR_A_REFUSAL_S)
        if self.is_over:  # what follows tidies up
            return
        if moment == "started" and (known := failures.STEPS.get(name)) is not None:
            self.step = "asking the proxy" if self._asks_proxy else known
        elif moment == "complete" and name == "receive_response_headers":
            self.is_through |= self._asks_proxy
            self.has_answer |= not self._asks_proxy
        elif moment == "complete" and name == "setup_socks5_connection":
            self.is_through = True


def _blocks(parts: Sequence[bytes]) -> Iterator[bytes]:
    """Give the parts in blocks that each go out at once: large parts in slices, small ones joined."""
    small: list[bytes] = []
    for part in parts:
        if len(part) < _WORTH_JOINING:
            small.append(part)
            continue
        if small:
            yield b"".join(small)
            small = []
        for start in range(0, len(part), _BLOCK):
            yield memoryview(part)[start : start + _BLOCK]  # type: ignore[misc]  # h11 takes it uncopied
    if small:
        yield b"".join(small)


class Watchdog:
    """A thread that ends the exchanges of other threads at their deadlines; it begins with the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: set[Exchange] = set()
        self._stopped = threading.Event()
        self._has_begun = False

    def begin(self) -> None:
        """Begin the thread, unless it has; raise LocalFailure where there is no room for one."""
        with self._lock:
            if not (self._has_begun or self._stopped.is_set()):
                threads.start(self._watch, name="docsend-watchdog")
                self._has_begun = True

    @contextlib.contextmanager
    def watching(self, exchange: Exchange) -> Iterator[None]:
        self.begin()
        with self._lock:
            self._watched.add(exchange)
            if self._stopped.is_set():
                exchange.end()
        try:
            yield
        finally:
            with self._lock:
                self._watched.discard(exchange)

    def stop(self) -> None:
        """End all exchanges that are watched, those that are still connecting as soon as they have."""
        with self._lock:
            self._stopped.set()
            watched = tuple(self._watched)
        for exchange in watched:
            exchange.end()

    def _watch(self) -> None:
        while not self._stopped.wait(_SLICE_S):
            with self._lock:
                late = [exchange for exchange in self._watched if exchange.is_late]
            for exchange in late:
                exchange.end()


class Worker:
    """A thread that runs the main thread's exchanges, so that the main thread hears of Ctrl-C at once.

    Windows wakes nobody from a blocked call, and no system from a look-up of a name. What does not end when
    it is asked to is left behind: the thread is a daemon.
    """

    def __init__(self) -> None:
        self.is_busy = False
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threads.start(self._run, name="docsend-exchange")

    def stop(self) -> None:
        self._work.put(None)

    def run(self, exchange: Exchange, work: Callable[[Exchange], Response]) -> Response:
        done = threading.Event()
        ended: list[Response | BaseException] = []

        def run() -> None:
            try:
                ended.append(work(exchange))
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
                ended.append(error)
            finally:
                done.set()

        self.is_busy = True
        self._work.put(run)
        try:
            while not done.wait(_SLICE_S):
                if exchange.is_late:
                    exchange.end()
                    if not done.wait(1.0):  # in a look-up or a connect, which nobody can end
                        break
        except BaseException:
            exchange.end()
            raise
        if not done.is_set():
            raise NoResponse(failures.timed_out(exchange.step), may_have_arrived=exchange.may_have_arrived)
        self.is_busy = False
        (end,) = ended
        if isinstance(end, BaseException):
            raise end
        return end

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work  # and with it a document, while it waits for the next
