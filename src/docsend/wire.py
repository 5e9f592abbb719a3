"""The wire: one request to one service, and its answer, in HTTP/1.1.

What it keeps:
- redirects are never followed; certificates are held against the system's trust store;
- every step of an exchange ends at its deadline, however the far side drips, and no answer is read further
  than its caller wants;
- each thread has a connection of its own, which it keeps: threads that share some wait for one another.

h11 reads and writes the protocol, as it does inside httpx; connections are `connection`'s. Of what else httpx
has, nothing is wanted here (docs/decisions.md).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeAlias

import h11

from docsend import __version__
from docsend.answers import Answer, NotTheContract
from docsend.connection import Address, Proxy, Route, Unanswered
from docsend.errors import UsageFault
from docsend.language import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from docsend.connection import Connection

Header: TypeAlias = "tuple[bytes, bytes]"

_ALWAYS = (
    (b"User-Agent", f"docsend/{__version__}".encode("ascii")),
    (b"Accept", b"application/json, application/problem+json"),
    (b"Accept-Encoding", b"identity"),
)


class Redirected(Exception):
    """The service names another place instead of answering; nobody goes there."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Wire:
    """The way to one service. Any number of threads may use it, each over a connection of its own."""

    def __init__(self, url: str, proxy: str | None) -> None:
        """Prepare the way to `url`, connecting nowhere yet; raise UsageFault if an address is not one."""
        try:
            address = Address.of(url)
        except ValueError as error:
            raise UsageFault(
                Phrase("the service's address is not one"), Phrase("as in https://documents.example")
            ) from error
        self._route = Route(address, Proxy.of(proxy) if proxy else None)
        self._folder = address.folder
        self._always = ((b"Host", address.short_host), *_ALWAYS)
        self._mine = threading.local()
        self._open: set[Connection] = set()

    def close(self) -> None:
        """Close the connections of all threads; none may be in an exchange."""
        for connection in self._open:
            connection.close()

    def exchange(
        self,
        method: str,
        path: str,
        headers: Sequence[Header],
        body: bytes,
        *,
        deadline: float,
        most: int,
        sent: Callable[[int], None] | None = None,
    ) -> Answer:
        """Send one request and read its answer of at most so many bytes, all before `deadline` (monotonic).

        `sent` is told after each block how many bytes of the body have left. Raises Unanswered, Redirected,
        or NotTheContract for an answer that is too long or compressed.
        """
        stated = [*self._always, *headers]
        if body or method in ("PUT", "POST"):
            stated.append((b"Content-Length", b"%d" % len(body)))
        connection = self._connection(deadline)
        is_kept = False
        try:
            request = h11.Request(method=method, headers=stated, target=self._folder + path)
            connection.ask(request, body, sent)
            answer = _answer(connection, most)
            is_kept = connection.rest()
        except TimeoutError:
            raise Unanswered(Phrase("the service did not answer in time"), may_have_arrived=True) from None
        except (OSError, h11.ProtocolError):
            raise Unanswered(Phrase("the connection broke off"), may_have_arrived=True) from None
        finally:
            if is_kept:
                self._mine.connection = connection
            else:
                self._end(connection)
        return answer

    def _connection(self, deadline: float) -> Connection:
        """Give this thread's connection if it still is good, or a new one."""
        kept: Connection | None = getattr(self._mine, "connection", None)
        self._mine.connection = None
        if kept is not None:
            if kept.is_fresh():
                kept.deadline = deadline
                return kept
            self._end(kept)
        connection = self._route.connect(deadline)
        self._open.add(connection)
        return connection

    def _end(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()


def _answer(connection: Connection, most: int) -> Answer:
    response = connection.response()
    headers = read_headers(response.headers.raw_items())
    if response.status_code != 304 and 300 <= response.status_code < 400:
        # Invariant 5: a redirect would carry documents and tokens to somebody else.
        raise Redirected(response.status_code)
    if headers.get("content-encoding", "identity") != "identity":
        raise NotTheContract(Phrase("compressed, though nobody asked for that"))
    body = b""
    for piece in connection.body():
        body += piece
        if len(body) > most:
            raise NotTheContract(Phrase("more than {most:,} bytes", most=most))
    return Answer(response.status_code, headers, body)


def read_headers(raw: Iterable[Header]) -> dict[str, str]:
    """Give headers by their names in small letters; what stands twice is joined (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in raw:
        known, said = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[known] = f"{headers[known]}, {said}" if known in headers else said
    return headers
