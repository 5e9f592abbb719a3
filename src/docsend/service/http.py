"""The HTTP client: one request to one service and its response, before a deadline. The only user of httpx.

httpx limits single reads and writes, not an exchange, and trusts what a connection carries. So this module
adds what invariants 5 and 6 need, by httpx's public interface alone:

- a deadline for the whole exchange: a watchdog shuts the socket down, whatever the service drips;
- an id in each request that its response has to carry: bytes behind one response are never the next one;
- responses of a bounded size, uncompressed, with exactly one statement of their length;
- whether a request may have arrived, for each kind of failure;
- Ctrl-C: an exchange of the main thread runs in a worker thread and is left behind if it does not end.

It uses httpx's transport rather than its `Client`, which costs a third more processor time a request, and of
which redirects, cookies, environment and decoders would only be turned off (docs/decisions.md).
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import socksio

from docsend import __version__
from docsend.codes import Code
from docsend.errors import UsageError
from docsend.i18n import Message
from docsend.service import failures
from docsend.service.certificates import issuer_of, tls_of, trust_store
from docsend.service.exchange import TIME_LIMITS, Exchange, Watchdog, Worker
from docsend.service.failures import ContractViolation, NoResponse
from docsend.service.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docsend.config.address import Endpoint
    from docsend.service.certificates import Tls
    from docsend.service.exchange import Header, Request, TimeLimits


@contextlib.contextmanager
def _click_hidden() -> Iterator[None]:
    """Hide click: httpx would import its own command line with it, and rich, for twice the start-up time."""
    click = sys.modules.get("click")
    sys.modules["click"] = None  # type: ignore[assignment]  # makes an import fail
    try:
        yield
    finally:
        del sys.modules["click"]
        if click is not None:
            sys.modules["click"] = click


with _click_hidden():
    import httpx

# httpx lets through what its extra raises for an answer that is not SOCKS.
_SOCKS_ERRORS = (socksio.ProtocolError,)


_ALWAYS: tuple[Header, ...] = (
    (b"User-Agent", f"docsend/{__version__}".encode("ascii")),
    (b"Accept", b"application/json, application/problem+json"),
    (b"Accept-Encoding", b"identity"),
)
_KEPT_S = 5.0  # how long a connection that nobody uses stays open
_BODILESS = (204, 304)


class HttpClient:
    """The way to one service. Any number of threads may use it, each over a connection of its own."""

    def __init__(self, endpoint: Endpoint, url: str, limits: TimeLimits = TIME_LIMITS) -> None:
        """Prepare the way to `url`, connecting nowhere yet; raise UsageFault for what cannot be used."""
        self._url = url
        self._endpoint = endpoint
        self._limits = limits
        self._parsed_url(url)
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._open: set[_Connection] = set()
        self._watchdog = Watchdog()
        self._worker: Worker | None = None
        self._is_closed = False
        self.tls: Tls | None = None  # of the connection made last

    def start_watchdog(self) -> None:
        """Begin what watches the exchanges of other threads before they take up the room for it."""
        self._watchdog.begin()

    def close(self) -> None:
        """End exchanges that are still on their way, and close all connections; no other exchange begins."""
        self._is_closed = True
        self._watchdog.stop()
        if self._worker is not None:
            self._worker.stop()
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            connection.end()
            if not connection.is_used:  # else its own thread closes it
                connection.close()

    def exchange(self, request: Request, sent: Callable[[int], None] | None = None) -> Response:
        """Send one request and read its response, before the deadline that follows from its size.

        `sent` is told after each block how many bytes of the body have left, perhaps in another thread. A
        connection that was kept may be of no use any more: then the request goes once more over a new one.
        Raises NoResponse, or ContractViolation for a response that HTTP or the contract does not allow.
        """
        if self._is_closed:
            raise NoResponse(failures.connection_broken("connecting"), may_have_arrived=False)
        deadline = time.monotonic() + self._limits.exchange_s(request.size)
        try:
            return self._exchange_once(Exchange(request, deadline, sent))
        except _OfNoUse as kept:
            if not request.is_repeatable:
                raise kept.failure from None
            may_have_arrived = kept.may_have_arrived
        try:
            response = self._exchange_once(Exchange(request, deadline, sent, on_new_connection=True))
        except NoResponse as error:
            error.may_have_arrived |= may_have_arrived
            raise
        return response._replace(may_have_arrived_before=may_have_arrived)

    def _exchange_once(self, exchange: Exchange) -> Response:
        if threading.current_thread() is not threading.main_thread():
            with self._watchdog.watching(exchange):
                return self._run(exchange)
        if self._worker is None or self._worker.is_busy:
            self._worker = Worker()
        return self._worker.run(exchange, self._run)

    def _run(self, exchange: Exchange) -> Response:
        """Run an exchange over this thread's connection; close it unless it can carry another one."""
        connection: _Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = _Connection(self._transport())
            with self._lock:
                self._open.add(connection)
        if exchange.on_new_connection:
            connection.close()
        is_kept = False
        connection.is_used = True
        try:
            response = self._exchange_over(connection, exchange)
            is_kept = connection.is_trusted
        except (httpx.HTTPError, httpx.StreamError, ssl.SSLError, OSError, *_SOCKS_ERRORS) as error:
            connection.close()  # before anything is looked at over another one
            raise self._no_response(error, exchange) from error
        finally:
            self.tls = connection.tls or self.tls
            connection.is_used = False
            if not is_kept or self._is_closed:
                connection.close()
        return response

    def _exchange_over(self, connection: _Connection, exchange: Exchange) -> Response:
        request = exchange.request
        exchange.begin(connection)
        asked_id = os.urandom(16).hex()
        headers = [*_ALWAYS, (b"Request-Id", asked_id.encode("ascii")), *request.headers]
        if request.body or request.method in ("PUT", "POST"):
            headers.append((b"Content-Length", b"%d" % request.size))
        sending = httpx.Request(
            request.method,
            self._url + request.path,
            headers=headers,
            content=exchange.blocks() if request.body else None,
            extensions={"trace": exchange.trace, "timeout": exchange.timeouts(self._limits.connect_s)},
        )
        received = connection.transport.handle_request(sending)
        try:
            response = _read(received, request.max_bytes)
        finally:
            received.close()
        exchange.end_in_time()
        connection.hold_to(response.headers.get("request-id"), asked_id)
        if 200 <= response.status < 300 and not exchange.has_left_whole:
            # Only a refusal may come before its request has arrived.
            raise NoResponse(failures.connection_broken(exchange.step), may_have_arrived=True)
        return response if exchange.has_left_whole else response._replace(has_arrived_whole=False)

    def _no_response(self, error: Exception, exchange: Exchange) -> Exception:
        """Name what went wrong; what reached a connection that was kept may be tried again at once."""
        if exchange.is_over:
            return NoResponse(failures.timed_out(exchange.step), may_have_arrived=exchange.may_have_arrived)
        proxy = None if exchange.is_through else self._endpoint.proxy
        failure = failures.from_exception(error, exchange.step, self._url, proxy=proxy)
        if failure.code == Code.CERTIFICATE_AUTHORITY and (
            issuer := self._issuer(at_proxy=proxy is not None)
        ):
            host = httpx.URL(proxy or self._url).host
            named = failures.unknown_authority(host, issuer)
            failure = (
                named if proxy is None else failure._replace(message=failures.proxy_failure(named.message))
            )
        found = NoResponse(failure, may_have_arrived=exchange.may_have_arrived)
        if exchange.was_kept and not exchange.has_answer:  # closed just when it was used again
            return _OfNoUse(found, may_have_arrived=found.may_have_arrived)
        return found

    # -- what it is made of -----------------------------------------------------------------------------

    def _parsed_url(self, url: str) -> None:
        try:
            host = httpx.URL(url).host
        except (httpx.InvalidURL, ValueError):
            host = ""
        if not host:
            raise UsageError(
                Message("the service's address is not one"), Message("as in https://documents.example")
            )
        if self._endpoint.proxy:
            self._proxy(None)

    def _transport(
        self, trust: ssl.SSLContext | None = None, of_proxy: ssl.SSLContext | None = None
    ) -> httpx.HTTPTransport:
        """Make a thread's transport, with a context of its own: truststore's is locked in handshakes."""
        encrypted = self._url.startswith("https:")
        trust = trust or (
            trust_store(self._endpoint.ca_file) if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        return httpx.HTTPTransport(
            verify=trust,
            trust_env=False,
            proxy=self._proxy(of_proxy or trust_store(self._endpoint.ca_file))
            if self._endpoint.proxy
            else None,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEPT_S),
            retries=0,
        )

    def _proxy(self, trust: ssl.SSLContext | None) -> httpx.Proxy:
        proxy = self._endpoint.proxy or ""
        try:
            return httpx.Proxy(proxy, ssl_context=trust if proxy.startswith("https:") else None)
        except (httpx.InvalidURL, ValueError):
            raise UsageError(  # without its value: it may hold a password
                Message("the proxy of the environment is not the address of one"),
                Message("as in http://proxy.example:3128"),
            ) from None

    def _issuer(self, *, at_proxy: bool) -> str | None:
        """Look who signed a certificate that is not trusted: shake hands without trust, and send nothing."""
        seen: list[str | None] = []
        # A proxy that is encrypted, too, shakes hands first.
        encrypted_proxy = (self._endpoint.proxy or "").startswith("https:")
        wanted = 1 if at_proxy or not encrypted_proxy else 2
        distrust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        distrust.check_hostname = False
        distrust.verify_mode = ssl.CERT_NONE
        connection = _Connection(self._transport(distrust, of_proxy=distrust if at_proxy else None))

        def trace(event: str, info: Mapping[str, Any]) -> None:
            if event.endswith("connect_tcp.complete"):
                connection.connected(info["return_value"])
            elif event.endswith("start_tls.complete"):
                stream = info["return_value"]
                certificate = stream.get_extra_info("ssl_object").getpeercert(True)
                seen.append(issuer_of(certificate or b""))
                if len(seen) == wanted:
                    stream.close()
                    raise _SeenEnough

        limit = dict.fromkeys(("connect", "read", "write", "pool"), self._limits.connect_s)
        look = httpx.Request("GET", self._url, extensions={"trace": trace, "timeout": limit})
        late = threading.Timer(self._limits.connect_s, connection.end)  # a handshake may drip
        late.daemon = True
        late.start()
        try:
            connection.transport.handle_request(look)
        except (_SeenEnough, httpx.HTTPError, OSError, *_SOCKS_ERRORS):
            pass
        finally:
            late.cancel()
            connection.close()
        return seen[-1] if len(seen) == wanted else None


class _SeenEnough(Exception):
    """The certificate was seen; nothing is to be sent."""


class _OfNoUse(Exception):
    """A kept connection was of no use any more: nothing of a response came, or one that may be another's.

    That is not a failure yet. `failure` is what it is if the request cannot be repeated.
    """

    def __init__(self, failure: Exception, *, may_have_arrived: bool) -> None:
        super().__init__()
        self.failure = failure
        self.may_have_arrived = may_have_arrived


class _Connection:
    """A thread's transport, and what is known of the connection that it has open."""

    def __init__(self, transport: httpx.HTTPTransport) -> None:
        self.transport = transport
        self.is_used = False
        self.is_trusted = False  # whether the response read last carried its request's id
        self.tls: Tls | None = None
        self._socket: socket.socket | None = None
        self._stream: Any = None
        self._lock = threading.Lock()

    def connected(self, stream: Any) -> None:
        """Note a new connection. Its duplicate can be shut down while the original is wrapped into TLS."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._stream, self._socket = stream, stream.get_extra_info("socket").dup()
        self.is_trusted = False

    def encrypted(self, ssl_object: Any) -> None:
        self.tls = tls_of(ssl_object)

    def hold_to(self, echoed_id: str | None, asked_id: str) -> None:
        """Raise ContractViolation if a response is not the one to its request.

        One without an id is believed as the first of a connection, which is then closed: nothing can have
        stood before it. Services that do not echo are served so, over a new connection each time; and so are
        the pages of who stands before a service that does.
        """
        was_trusted, self.is_trusted = self.is_trusted, echoed_id == asked_id
        if not self.is_trusted and (was_trusted or echoed_id is not None):
            violation = ContractViolation(Message("the response to another request"))
            raise _OfNoUse(violation, may_have_arrived=True) if echoed_id is None else violation

    def end(self) -> None:
        """Shut the connection down from another thread: whoever waits for it is woken with an error.

        On the plain socket below TLS: SSLSocket.shutdown would let a sender go on in plain text.
        """
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            if self._stream is not None:  # after a SOCKS proxy has failed, nobody else would close it
                self._stream.close()
                self._stream = None
        self.is_trusted = False
        self.transport.close()


def _read(received: httpx.Response, most: int) -> Response:
    """Read a response of at most so many bytes; raise ContractViolation for one that is ambiguous."""
    status, raw = received.status_code, received.headers.raw
    headers = read_headers(raw)
    lengths = sum(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in raw)
    if status < 200 or (lengths != 1 and not (lengths == 0 and status in _BODILESS)):
        # RFC 9112, 6.3: with both, or with none, two readers may see two different ends.
        raise ContractViolation(Message("a response without one clear length"))
    if headers.get("content-encoding", "identity") != "identity":
        raise ContractViolation(Message("compressed, though nobody asked for that"))
    body = bytearray()
    for piece in received.iter_raw():
        body += piece
        if len(body) > most:
            raise ContractViolation(Message("more than {most:,} bytes", most=most))
    return Response(status, headers, bytes(body))


def read_headers(raw: Sequence[Header]) -> dict[str, str]:
    """Give headers by their names in small letters; what stands twice is joined (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in raw:
        known, said = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[known] = f"{headers[known]}, {said}" if known in headers else said
    return headers
