"""The wire: one request to one service, and its answer, over HTTP/1.1, through TLS and a proxy where needed.

What it keeps:
- redirects are never followed; certificates are held against the system's trust store;
- every step of an exchange ends at its deadline, however the far side drips, and no answer is read further
  than its caller wants;
- each thread has a connection of its own, which it keeps: threads that share a pool wait for one another, and
  a pool looks at every connection that it has before each request.

The only user of httpcore, which httpx stands on: what httpx has beyond it, cookies and the like, has nothing
to do here, and cost half of each request's time.
"""

from __future__ import annotations

import ssl
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import httpcore

from docsend import __version__
from docsend.answers import Answer, NotTheContract
from docsend.errors import UsageFault
from docsend.language import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Header = tuple[bytes, bytes]

_BLOCK = 128 * 1024
_SLICE = 128 * 1024
_KEPT_S = 5.0  # how long a connection that nobody uses stays open
_LIMITS = {"timeout": {"connect": 10.0, "read": 30.0, "write": 30.0, "pool": 30.0}}
_ALWAYS = (
    (b"User-Agent", f"docsend/{__version__}".encode("ascii")),
    (b"Accept", b"application/json, application/problem+json"),
    (b"Accept-Encoding", b"identity"),
)
_PORTS = {"http": 80, "https": 443}
_STAYS_IN_PATHS = "/%:@!$&'()*+,;=-._~"
_TROUBLE = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


class Unanswered(Exception):
    """A request that has no answer. `why` is for people; `may_have_arrived` unless nothing of it has left."""

    def __init__(self, why: Phrase, *, may_have_arrived: bool) -> None:
        super().__init__(why)
        self.why = why
        self.may_have_arrived = may_have_arrived


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
            self._scheme, self._host, self._port, self._folder = _parts(url)
        except ValueError as error:
            raise UsageFault(
                Phrase("the service's address is not one"), Phrase("as in https://documents.example")
            ) from error
        named = b"[%b]" % self._host if b":" in self._host else self._host
        self._always = ((b"Host", named if self._port is None else b"%b:%d" % (named, self._port)), *_ALWAYS)
        self._trust: ssl.SSLContext | None = (
            None  # over http there is nothing to verify, and stores load slowly
        )
        if self._scheme == b"https":
            import truststore  # noqa: PLC0415 - the sandbox speaks http and does without

            self._trust = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._proxy = _proxy(proxy, self._trust) if proxy else None
        self._mine = threading.local()
        self._lines: list[_Line] = []

    def close(self) -> None:
        """Close the connections of all threads; none may be in an exchange."""
        for line in self._lines:
            line.pool.close()

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
        url = httpcore.URL(
            scheme=self._scheme,
            host=self._host,
            port=self._port,
            target=self._folder + path.encode("ascii"),
        )
        content = body if sent is None else _blocks(body, sent)
        line = self._line()
        line.deadline = deadline
        try:
            response = line.pool.handle_request(
                httpcore.Request(method, url, headers=stated, content=content, extensions=_LIMITS)
            )
            try:
                return _answer(response, most)
            finally:
                response.close()
        except _TROUBLE as error:
            is_early = isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout)
            raise Unanswered(_in_words(error), may_have_arrived=not is_early) from None

    def _line(self) -> _Line:
        """Give this thread's connection."""
        line: _Line | None = getattr(self._mine, "line", None)
        if line is None:
            line = self._mine.line = _Line(self._trust, self._proxy)
            self._lines.append(line)
        return line


def _blocks(content: bytes, sent: Callable[[int], None]) -> Iterator[bytes]:
    for start in range(0, len(content), _BLOCK):
        block = content[start : start + _BLOCK]
        yield block
        sent(start + len(block))


def _answer(response: httpcore.Response, most: int) -> Answer:
    headers = read_headers(response.headers)
    if response.status != 304 and 300 <= response.status < 400:
        # Invariant 5: a redirect would carry documents and tokens to somebody else.
        raise Redirected(response.status)
    if headers.get("content-encoding", "identity") != "identity":
        raise NotTheContract(Phrase("compressed, though nobody asked for that"))
    body = b""
    for piece in response.iter_stream():
        body += piece
        if len(body) > most:
            raise NotTheContract(Phrase("more than {most:,} bytes", most=most))
    return Answer(response.status, headers, body)


def read_headers(raw: Iterable[Header]) -> dict[str, str]:
    """Give headers by their names in small letters; what stands twice is joined (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in raw:
        known, said = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[known] = f"{headers[known]}, {said}" if known in headers else said
    return headers


def _in_words(error: Exception) -> Phrase:
    """Say what went wrong between here and the service, without the words of the libraries below."""
    if isinstance(error, httpcore.ConnectTimeout | httpcore.ConnectError):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return Phrase("the service's certificate cannot be verified")
        return Phrase("the service cannot be reached")
    if isinstance(error, httpcore.TimeoutException):
        return Phrase("the service did not answer in time")
    if isinstance(error, httpcore.ProxyError):
        return Phrase("the proxy did not let the request through")
    return Phrase("the connection broke off")


# -- addresses ---------------------------------------------------------------------------------------------


def _parts(url: str) -> tuple[bytes, bytes, int | None, bytes]:
    """Give scheme, host, port unless it is the usual one, and path; raise ValueError if it is no address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or parts.scheme not in _PORTS:
        raise ValueError("not an address")
    port = None if parts.port == _PORTS[parts.scheme] else parts.port
    path = quote(parts.path.rstrip("/"), safe=_STAYS_IN_PATHS)
    return parts.scheme.encode("ascii"), _in_ascii(host), port, path.encode("ascii")


def _in_ascii(host: str) -> bytes:
    """Give a host as DNS knows it (IDNA 2008); raise UnicodeError, a ValueError, if it cannot be one."""
    if host.isascii() and "xn--" not in host:
        return host.encode("ascii")
    import idna  # noqa: PLC0415 - nearly all names are ASCII

    encoded = idna.encode(host)
    idna.decode(encoded)  # what came encoded may be nothing
    return encoded


def _proxy(url: str, trust: ssl.SSLContext | None) -> httpcore.Proxy:
    try:
        scheme, host, port, _ = _parts(url)
        parts = urlsplit(url)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        return httpcore.Proxy(
            httpcore.URL(scheme=scheme, host=host, port=port, target=b"/"),
            auth=(username.encode(), password.encode()) if username or password else None,
            ssl_context=trust if scheme == b"https" else None,
        )
    except ValueError as error:  # without its value: it may hold a password
        raise UsageFault(
            Phrase("the proxy of the environment is not the address of one"),
            Phrase("as in http://proxy.example:3128"),
        ) from error


# -- encryption -------------------------------------------------------------------------------------------


class Tls(NamedTuple):
    """How a connection is encrypted: protocol, who vouches for the certificate, and until which day."""

    version: str
    issuer: str
    expires: str


def tls_of(url: str, *, timeout_s: float = 10) -> Tls:
    """Look at the TLS of an https address, verified as every call's; raise OSError if there is none."""
    import socket  # noqa: PLC0415 - only `docsend doctor` looks

    import truststore  # noqa: PLC0415

    _, encoded, port, _ = _parts(url)
    host = encoded.decode("ascii")
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with (
        socket.create_connection((host, port or _PORTS["https"]), timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        certificate = wrapped.getpeercert() or {}
        issuers: Any = certificate.get("issuer", ())  # ((("organizationName", "..."),), ...)
        names = {name: value for part in issuers for name, value in part}
        issuer = names.get("organizationName") or names.get("commonName") or "?"
        expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        return Tls(wrapped.version() or "?", str(issuer), expires.date().isoformat())


# -- deadlines ---------------------------------------------------------------------------------------------


class _Line(httpcore.NetworkBackend):
    """One thread's connection, made anew where it has to be; every step on it ends at the deadline.

    httpcore itself limits single steps only.
    """

    def __init__(self, trust: ssl.SSLContext | None, proxy: httpcore.Proxy | None) -> None:
        self.deadline = float("inf")
        self._network = httpcore.SyncBackend()
        self.pool = httpcore.ConnectionPool(
            ssl_context=trust,
            proxy=proxy,
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=_KEPT_S,
            network_backend=self,
        )

    def left(self, limit: float | None) -> float:
        """Give how long the next step may take; raise if there is no time left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("slower than the deadline")
        return left if limit is None else min(left, limit)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        limit = self.left(timeout)
        return _Timed(self._network.connect_tcp(host, port, limit, local_address, socket_options), self)


class _Timed(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, line: _Line) -> None:
        self._inner = inner
        self._line = line

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._line.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)  # what is sent in parts is not copied for it
        for start in range(0, len(buffer), _SLICE):
            part = view[start : start + _SLICE]
            self._inner.write(part, self._line.left(timeout))  # type: ignore[arg-type]  # bytes-like will do

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        limit = self._line.left(timeout)
        return _Timed(self._inner.start_tls(ssl_context, server_hostname, limit), self._line)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as the interface has it
        return self._inner.get_extra_info(info)
