"""HTTP client: send one request to one service and return its response before a deadline.

This is the only module that uses httpx. httpx limits single reads and writes, not a complete exchange, and it
trusts whatever arrives on a connection. This module adds what invariants 5 and 6 require, using only httpx's
public interface:

- a deadline for the complete exchange: a watchdog shuts down the socket, even while bytes are arriving;
- an id in each request, which its response repeats, so that leftover bytes are never taken for the next
  response;
- a check that a response is not too large, not compressed, and has exactly one length;
- for each kind of failure, whether the request may have arrived;
- a quick reaction to Ctrl-C: an exchange of the main thread runs in a worker thread, and is abandoned if
  it does not end when it is aborted.

This module uses httpx's transport, not `httpx.Client`. That client takes a third more processor time for each
request, and its redirects, cookies, environment variables and decoders would have to be turned off
(docs/decisions.md).
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
from docsend.service.certificates import describe_tls, read_issuer, trust_store
from docsend.service.exchange import TIME_LIMITS, Exchange, Watchdog, Worker
from docsend.service.failures import ContractViolation, NoResponse
from docsend.service.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docsend.config.address import Endpoint
    from docsend.service.certificates import Tls
    from docsend.service.exchange import Header, Request, TimeLimits


@contextlib.contextmanager
def _hide_click() -> Iterator[None]:
    """Hide click while httpx is imported.

    If httpx finds click, it imports its own command line and rich, which doubles the start-up time.
    """
    click = sys.modules.get("click")
    sys.modules["click"] = None  # type: ignore[assignment]  # makes the import fail
    try:
        yield
    finally:
        del sys.modules["click"]
        if click is not None:
            sys.modules["click"] = click


with _hide_click():
    import httpx

# httpx does not wrap the errors that socksio raises for a response that does not follow the SOCKS protocol.
_SOCKS_ERRORS = (socksio.ProtocolError,)


_DEFAULT_HEADERS: tuple[Header, ...] = (
    (b"User-Agent", f"docsend/{__version__}".encode("ascii")),
    (b"Accept", b"application/json, application/problem+json"),
    (b"Accept-Encoding", b"identity"),
)
_KEEPALIVE_S = 5.0  # how long an idle connection stays open
_STATUSES_WITHOUT_CONTENT = (204, 304)


class HttpClient:
    """HTTP client for one service. Any number of threads may use it. Each has its own connection."""

    def __init__(self, endpoint: Endpoint, url: str, limits: TimeLimits = TIME_LIMITS) -> None:
        """Prepare requests to `url` without connecting.

        Raise UsageError if the URL or the proxy's address is invalid.
        """
        self._url = url
        self._endpoint = endpoint
        self._limits = limits
        self._check_address(url)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._watchdog = Watchdog()
        self._worker: Worker | None = None
        self._is_closed = False
        self.tls: Tls | None = None  # of the most recent connection

    def start_watchdog(self) -> None:
        """Start the watchdog before other threads use up the memory that it needs."""
        self._watchdog.start()

    def close(self) -> None:
        """Abort the exchanges that are in progress and close all connections. No new exchange can start."""
        self._is_closed = True
        self._watchdog.stop()
        if self._worker is not None:
            self._worker.stop()
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            connection.shut_down()
            if not connection.is_in_use:  # otherwise its own thread closes it
                connection.close()

    def exchange(self, request: Request, on_sent: Callable[[int], None] | None = None) -> Response:
        """Send one request and return its response, before a deadline that depends on the request's size.

        After each block, `on_sent` is called with the number of body bytes sent so far, perhaps in another
        thread. If a reused connection turns out to be stale, a repeatable request is sent once more over a
        new connection. Raise NoResponse if there is no response, and ContractViolation for a response that
        violates HTTP or the contract.
        """
        if self._is_closed:
            raise NoResponse(failures.connection_broken("connecting"), may_have_arrived=False)
        deadline = time.monotonic() + self._limits.timeout_s(request.size)
        try:
            return self._exchange_once(Exchange(request, deadline, on_sent))
        except _StaleConnection as stale:
            if not request.is_repeatable:
                raise stale.error from None
            may_have_arrived = stale.may_have_arrived
        try:
            response = self._exchange_once(Exchange(request, deadline, on_sent, use_new_connection=True))
        except NoResponse as error:
            error.may_have_arrived |= may_have_arrived
            raise
        return response._replace(may_have_arrived_before=may_have_arrived)

    def _exchange_once(self, exchange: Exchange) -> Response:
        if threading.current_thread() is not threading.main_thread():
            with self._watchdog.watch(exchange):
                return self._run(exchange)
        if self._worker is None or self._worker.is_busy:
            self._worker = Worker()
        return self._worker.run(exchange, self._run)

    def _run(self, exchange: Exchange) -> Response:
        """Run an exchange over this thread's connection, and close the connection unless it can be reused."""
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _Connection(self._transport())
            with self._lock:
                self._connections.add(connection)
        if exchange.use_new_connection:
            connection.close()
        keep_open = False
        connection.is_in_use = True
        try:
            response = self._exchange_over(connection, exchange)
            keep_open = connection.is_trusted
        except (httpx.HTTPError, httpx.StreamError, ssl.SSLError, OSError, *_SOCKS_ERRORS) as error:
            connection.close()  # before _to_exception opens another one to fetch the issuer
            raise self._to_exception(error, exchange) from error
        finally:
            self.tls = connection.tls or self.tls
            connection.is_in_use = False
            if not keep_open or self._is_closed:
                connection.close()
        return response

    def _exchange_over(self, connection: _Connection, exchange: Exchange) -> Response:
        request = exchange.request
        exchange.start(connection)
        request_id = os.urandom(16).hex()
        headers = [*_DEFAULT_HEADERS, (b"Request-Id", request_id.encode("ascii")), *request.headers]
        if request.body or request.method in ("PUT", "POST"):
            headers.append((b"Content-Length", b"%d" % request.size))
        outgoing = httpx.Request(
            request.method,
            self._url + request.path,
            headers=headers,
            content=exchange.blocks() if request.body else None,
            extensions={"trace": exchange.trace, "timeout": exchange.timeouts(self._limits.connect_s)},
        )
        incoming = connection.transport.handle_request(outgoing)
        try:
            response = _read_response(incoming, request.max_bytes)
        finally:
            incoming.close()
        exchange.check_deadline()
        connection.check_request_id(response.headers.get("request-id"), request_id)
        if 200 <= response.status < 300 and not exchange.is_request_complete:
            # Until the service has read the complete request, the contract only allows it to refuse.
            raise NoResponse(failures.connection_broken(exchange.step), may_have_arrived=True)
        return response if exchange.is_request_complete else response._replace(is_request_complete=False)

    def _to_exception(self, error: Exception, exchange: Exchange) -> Exception:
        """Return the exception to raise for an httpx error: NoResponse or _StaleConnection.

        Return _StaleConnection if the exchange reused a connection and got no response. The request may then
        be sent again at once.
        """
        if exchange.is_aborted:
            return NoResponse(failures.timed_out(exchange.step), may_have_arrived=exchange.may_have_arrived)
        proxy = None if exchange.is_past_proxy else self._endpoint.proxy
        failure = failures.from_exception(error, exchange.step, self._url, proxy=proxy)
        if failure.code == Code.CERTIFICATE_AUTHORITY and (
            issuer := self._fetch_issuer(at_proxy=proxy is not None)
        ):
            host = httpx.URL(proxy or self._url).host
            untrusted = failures.unknown_authority(host, issuer)
            failure = (
                untrusted
                if proxy is None
                else failure._replace(message=failures.proxy_failure(untrusted.message))
            )
        no_response = NoResponse(failure, may_have_arrived=exchange.may_have_arrived)
        if exchange.is_connection_reused and not exchange.has_response:
            # The service may have closed the connection while it was idle.
            return _StaleConnection(no_response, may_have_arrived=no_response.may_have_arrived)
        return no_response

    # -- addresses, transports, certificates ------------------------------------------------------------

    def _check_address(self, url: str) -> None:
        try:
            host = httpx.URL(url).host
        except (httpx.InvalidURL, ValueError):
            host = ""
        if not host:
            raise UsageError(
                Message("invalid service address"),
                Message("use an address such as https://documents.example"),
            )
        if self._endpoint.proxy:
            self._proxy(None)

    def _transport(
        self, trust: ssl.SSLContext | None = None, proxy_trust: ssl.SSLContext | None = None
    ) -> httpx.HTTPTransport:
        """Return a transport with its own SSL context: truststore locks a context during a handshake."""
        is_https = self._url.startswith("https:")
        trust = trust or (
            trust_store(self._endpoint.ca_file) if is_https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        return httpx.HTTPTransport(
            verify=trust,
            trust_env=False,
            proxy=self._proxy(proxy_trust or trust_store(self._endpoint.ca_file))
            if self._endpoint.proxy
            else None,
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE_S
            ),
            retries=0,
        )

    def _proxy(self, trust: ssl.SSLContext | None) -> httpx.Proxy:
        proxy = self._endpoint.proxy or ""
        try:
            return httpx.Proxy(proxy, ssl_context=trust if proxy.startswith("https:") else None)
        except (httpx.InvalidURL, ValueError):
            raise UsageError(  # without the value, which may contain a password
                Message("invalid proxy address in the environment"),
                Message("use an address such as http://proxy.example:3128"),
            ) from None

    def _fetch_issuer(self, *, at_proxy: bool) -> str | None:
        """Return the issuer of the untrusted certificate, or None if the certificate cannot be read.

        This makes a TLS handshake without verification, and sends no request.
        """
        issuers: list[str | None] = []
        # If the proxy is reached over TLS, the first of two handshakes is with the proxy.
        is_proxy_https = (self._endpoint.proxy or "").startswith("https:")
        handshakes = 1 if at_proxy or not is_proxy_https else 2
        no_verification = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        no_verification.check_hostname = False
        no_verification.verify_mode = ssl.CERT_NONE
        connection = _Connection(
            self._transport(no_verification, proxy_trust=no_verification if at_proxy else None)
        )

        def trace(event: str, info: Mapping[str, Any]) -> None:
            if event.endswith("connect_tcp.complete"):
                connection.on_connected(info["return_value"])
            elif event.endswith("start_tls.complete"):
                stream = info["return_value"]
                certificate = stream.get_extra_info("ssl_object").getpeercert(True)
                issuers.append(read_issuer(certificate or b""))
                if len(issuers) == handshakes:
                    stream.close()
                    raise _StopAfterCertificate

        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._limits.connect_s)
        probe = httpx.Request("GET", self._url, extensions={"trace": trace, "timeout": timeouts})
        # httpx's timeouts limit single reads, so a slow handshake needs a timer.
        timer = threading.Timer(self._limits.connect_s, connection.shut_down)
        timer.daemon = True
        timer.start()
        try:
            connection.transport.handle_request(probe)
        except (_StopAfterCertificate, httpx.HTTPError, OSError, *_SOCKS_ERRORS):
            pass
        finally:
            timer.cancel()
            connection.close()
        return issuers[-1] if len(issuers) == handshakes else None


class _StopAfterCertificate(Exception):
    """Raised to end a connection once its certificate has been read, before a request is sent."""


class _StaleConnection(Exception):
    """Raised if a reused connection returns no response, or one that may belong to another request.

    The request can be sent again over a new connection. If it must not be repeated, raise `error` instead.
    """

    def __init__(self, error: Exception, *, may_have_arrived: bool) -> None:
        super().__init__()
        self.error = error
        self.may_have_arrived = may_have_arrived


class _Connection:
    """A thread's transport and the state of its open connection."""

    def __init__(self, transport: httpx.HTTPTransport) -> None:
        self.transport = transport
        self.is_in_use = False
        self.is_trusted = False  # whether the last response repeated the id of its request
        self.tls: Tls | None = None
        self._socket: socket.socket | None = None
        self._stream: Any = None
        self._lock = threading.Lock()

    def on_connected(self, stream: Any) -> None:
        """Record a new connection. Its socket is duplicated, since TLS takes over the original."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._stream, self._socket = stream, stream.get_extra_info("socket").dup()
        self.is_trusted = False

    def on_encrypted(self, ssl_object: Any) -> None:
        self.tls = describe_tls(ssl_object)

    def check_request_id(self, echoed_id: str | None, request_id: str) -> None:
        """Check that a response belongs to its request.

        Raise ContractViolation if the response has a different id. Raise _StaleConnection if the response has
        no id although the previous one on this connection had the right id, because it may be left over from
        another request.

        If the first response on a connection has no id, accept it and close the connection afterwards. The
        service may never repeat the id, or the response may come from an intermediary in front of the
        service. A service that never repeats the id therefore needs a new connection for each request.
        """
        was_trusted, self.is_trusted = self.is_trusted, echoed_id == request_id
        if not self.is_trusted and (was_trusted or echoed_id is not None):
            violation = ContractViolation(Message("it belongs to another request"))
            raise _StaleConnection(violation, may_have_arrived=True) if echoed_id is None else violation

    def shut_down(self) -> None:
        """Shut down the connection from another thread, so that the thread that is using it gets an error.

        This uses the plain socket under TLS: after SSLSocket.shutdown, a sender would continue in plain text.
        """
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            if self._stream is not None:  # httpx does not close it after a SOCKS error
                self._stream.close()
                self._stream = None
        self.is_trusted = False
        self.transport.close()


def _read_response(incoming: httpx.Response, max_bytes: int) -> Response:
    """Return a response of at most `max_bytes`.

    Raise ContractViolation if the response is larger or compressed, or if its length is ambiguous.
    """
    status, raw = incoming.status_code, incoming.headers.raw
    headers = combine_headers(raw)
    lengths = sum(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in raw)
    if status < 200 or (lengths != 1 and not (lengths == 0 and status in _STATUSES_WITHOUT_CONTENT)):
        # RFC 9112, 6.3: with both fields, or neither, two readers may disagree about where the response ends.
        raise ContractViolation(Message("its length is ambiguous"))
    if headers.get("content-encoding", "identity") != "identity":
        raise ContractViolation(Message("it is compressed, although docsend asked for no compression"))
    body = bytearray()
    for piece in incoming.iter_raw():
        body += piece
        if len(body) > max_bytes:
            raise ContractViolation(Message("it is larger than {limit:,} bytes", limit=max_bytes))
    return Response(status, headers, bytes(body))


def combine_headers(raw: Sequence[Header]) -> dict[str, str]:
    """Return header fields keyed by lower-case name. Repeated fields are joined by commas (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
