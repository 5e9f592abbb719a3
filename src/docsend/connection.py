"""A connection to a service: TCP, through a proxy and TLS where needed; no step on it outlasts the deadline.

Sockets limit single steps only, and a far side that drips could hold a transfer for ever.
"""

from __future__ import annotations

import base64
import functools
import select
import socket
import ssl
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote, unquote, urlsplit

import h11

from docsend.errors import UsageFault
from docsend.language import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CONNECT_S = 10.0
_STEP_S = 30.0
_BLOCK = 128 * 1024
_TLS_RECORD = 16 * 1024  # RFC 8446, 5.1
_MOST_HEAD = 100 * 1024  # of an answer, until its body begins
_PORTS = {"http": 80, "https": 443}
_KEPT_S = 5.0  # how long a connection that nobody uses stays open
_STAYS_IN_PATHS = "/%:@!$&'()*+,;=-._~"


class Unanswered(Exception):
    """A request that has no answer. `why` is for people; `may_have_arrived` unless nothing of it has left."""

    def __init__(self, why: Phrase, *, may_have_arrived: bool) -> None:
        super().__init__(why)
        self.why = why
        self.may_have_arrived = may_have_arrived


# -- where it goes -----------------------------------------------------------------------------------------


class Address(NamedTuple):
    """A place that speaks HTTP. `host` is what DNS knows; `folder` the path before all others, or empty."""

    is_encrypted: bool
    host: str
    port: int
    folder: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Read an http or https URL; raise ValueError if it is none."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not host or parts.scheme not in _PORTS:
            raise ValueError("not an address")
        folder = quote(parts.path.rstrip("/"), safe=_STAYS_IN_PATHS)
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        return cls(parts.scheme == "https", _in_ascii(host), port, folder)

    @property
    def named_host(self) -> bytes:
        """Give the host as a Host field has it (RFC 9110, 7.2), with its port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}".encode("ascii")

    @property
    def short_host(self) -> bytes:
        """Give the host as a Host field has it, without a port that goes without saying."""
        usual = _PORTS["https" if self.is_encrypted else "http"]
        return self.named_host if self.port != usual else self.named_host.rpartition(b":")[0]


def _in_ascii(host: str) -> str:
    """Give a host as DNS knows it (IDNA 2008); raise UnicodeError, a ValueError, if it cannot be one."""
    if host.isascii() and "xn--" not in host:
        return host
    import idna  # noqa: PLC0415 - nearly all names are ASCII

    encoded = idna.encode(host)
    idna.decode(encoded)  # what came encoded may be nothing
    return encoded.decode("ascii")


class Proxy(NamedTuple):
    """A proxy that lets connections through (RFC 9110, 9.3.6), and what it wants to hear first."""

    address: Address
    authorization: bytes | None

    def __repr__(self) -> str:
        return f"Proxy({self.address!r})"  # and not what opens it

    @classmethod
    def of(cls, url: str) -> Proxy:
        """Read a proxy's URL; raise UsageFault, which does not show it: it may hold a password."""
        try:
            parts = urlsplit(url)
            who = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            basic = b"Basic " + base64.b64encode(who.encode()) if who != ":" else None
            return cls(Address.of(url), basic)
        except ValueError as error:
            raise UsageFault(
                Phrase("the proxy of the environment is not the address of one"),
                Phrase("as in http://proxy.example:3128"),
            ) from error


class Route:
    """How a service is reached. Certificates are held against the system's trust store."""

    def __init__(self, address: Address, proxy: Proxy | None) -> None:
        """Prepare a route, connecting nowhere yet."""
        self._address = address
        self._proxy = proxy

    def connect(self, deadline: float) -> Connection:
        """Connect before `deadline` (monotonic seconds); raise Unanswered, for nothing has been asked yet."""
        try:
            return self._connected(deadline)
        except _Refused:
            why = Phrase("the proxy did not let the request through")
        except ssl.SSLCertVerificationError:
            why = Phrase("the service's certificate cannot be verified")
        except (OSError, ValueError, h11.ProtocolError):  # ValueError: a host that no socket takes
            why = Phrase("the service cannot be reached")
        raise Unanswered(why, may_have_arrived=False)

    def _connected(self, deadline: float) -> Connection:
        """Connect; raise OSError, _Refused by the proxy, or h11.ProtocolError by what is no proxy."""
        first = self._proxy.address if self._proxy else self._address
        carrier: _Socket = socket.create_connection((first.host, first.port), _left(deadline, _CONNECT_S))
        try:
            if isinstance(carrier, socket.socket):
                carrier.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if first.is_encrypted:
                carrier = _encrypted(carrier, first, deadline)
            if self._proxy is not None:
                _go_through(self._proxy, self._address, Connection(carrier, deadline))
                if self._address.is_encrypted:
                    carrier = _encrypted(carrier, self._address, deadline)
        except BaseException:
            carrier.close()
            raise
        return Connection(carrier, deadline)


def _left(deadline: float, most_s: float) -> float:
    """Give how long the next step may take; raise TimeoutError if no time is left."""
    left = min(most_s, deadline - time.monotonic())
    if left <= 0:
        raise TimeoutError("slower than the deadline")
    return left


def _encrypted(carrier: _Socket, address: Address, deadline: float) -> _Socket:
    # A context a connection: truststore's is locked for as long as a far side takes to shake hands.
    trust = _trust()
    trust.set_alpn_protocols(["http/1.1"])
    carrier.settimeout(_left(deadline, _CONNECT_S))
    if isinstance(carrier, socket.socket) and not isinstance(carrier, ssl.SSLSocket):
        return trust.wrap_socket(carrier, server_hostname=address.host)
    return _TlsInTls(carrier, trust, address.host, _left(deadline, _CONNECT_S))


def _trust() -> ssl.SSLContext:
    import truststore  # noqa: PLC0415 - the sandbox speaks http and does without

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class _Refused(Exception):
    """The proxy does not let a connection through."""


def _go_through(proxy: Proxy, address: Address, connection: Connection) -> None:
    """Ask the proxy to connect to the address; raise what _connected does if it will not."""
    headers = [(b"Host", address.named_host), (b"Accept", b"*/*")]
    if proxy.authorization is not None:
        headers.append((b"Proxy-Authorization", proxy.authorization))
    connection.ask(h11.Request(method="CONNECT", target=address.named_host, headers=headers))
    answer = connection.response()
    if not 200 <= answer.status_code < 300 or connection.has_more():
        raise _Refused


# -- what goes over it -------------------------------------------------------------------------------------


class _Socket(Protocol):
    """What is used of a socket, whether bare or encrypted."""

    def send(self, content: bytes | memoryview, /) -> int: ...
    def recv(self, most: int, /) -> bytes: ...
    def settimeout(self, seconds: float, /) -> None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Connection:
    """An open connection that speaks HTTP/1.1, one exchange at a time; h11 reads and writes the protocol.

    Its steps raise OSError if it breaks, TimeoutError if they take too long, h11.ProtocolError for what is
    not HTTP; after any of these it is of no use any more.
    """

    def __init__(self, carrier: _Socket, deadline: float) -> None:
        self.deadline = deadline  # monotonic seconds, at which every step ends
        self._socket = carrier
        self._limit = 0.0
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD)
        self._is_whole = True
        self._idle_since = 0.0

    def ask(self, request: h11.Request, body: bytes = b"", sent: Callable[[int], None] | None = None) -> None:
        """Send a request; `sent` hears after each block how many bytes of the body have left.

        A far side that takes no more of it may have answered why: the answer can be read all the same.
        """
        head = self._http.send(request) or b""
        if body:
            self._http.send_with_data_passthrough(h11.Data(data=body))  # it only counts; the bytes go below
        self._http.send(h11.EndOfMessage())
        self._send(head, memoryview(body), sent)

    def _send(self, head: bytes, body: memoryview, sent: Callable[[int], None] | None) -> None:
        """Send the head together with the body's first block, then the other blocks, which nobody copies."""
        for start in range(0, max(len(body), 1), _BLOCK):
            block = body[start : start + _BLOCK]
            left = block if start else memoryview(b"".join((head, block)))
            try:
                while left:
                    self._limit_step()
                    left = left[self._socket.send(left) :]
            except TimeoutError:
                raise
            except OSError:
                self._is_whole = False
                return
            if sent is not None and block:
                sent(start + len(block))

    def response(self) -> h11.Response:
        """Read the head of the answer, past what only informs (RFC 9110, 15.2)."""
        while not isinstance(event := self._next_event(), h11.Response):
            pass
        return event

    def body(self) -> Iterator[bytes]:
        """Read the body of the answer, piece by piece."""
        while isinstance(event := self._next_event(), h11.Data):
            yield bytes(event.data)

    def has_more(self) -> bool:
        """Tell whether more has arrived than was read."""
        return bool(self._http.trailing_data[0])

    def rest(self) -> bool:
        """End an exchange; tell whether the connection can have another one."""
        has_ended = (self._http.our_state, self._http.their_state) == (h11.DONE, h11.DONE)
        if not (self._is_whole and has_ended) or self.has_more():
            return False
        self._http.start_next_cycle()
        self._idle_since = time.monotonic()
        return True

    def is_fresh(self) -> bool:
        """Tell whether it has rested shortly, and nothing came meanwhile: that would be its end, or worse."""
        return time.monotonic() - self._idle_since < _KEPT_S and not _has_arrived(self._socket.fileno())

    def close(self) -> None:
        self._socket.close()

    def _next_event(self) -> Any:  # noqa: ANN401 - h11 has no name for what it gives
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._limit_step()
            data = self._socket.recv(_BLOCK)
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise ConnectionResetError("closed instead of an answer")
            self._http.receive_data(data)
        return event

    def _limit_step(self) -> None:
        """Let the next step take what is left, but not too long; raise if nothing is left."""
        limit = _left(self.deadline, _STEP_S)
        if limit != self._limit:  # the kernel is told, which takes longer than to compare
            self._limit = limit
            self._socket.settimeout(limit)


def _has_arrived(socket_number: int) -> bool:
    if sys.platform == "win32":
        return bool(select.select([socket_number], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(socket_number, select.POLLIN)
    return bool(waiting.poll(0))


class _TlsInTls:
    """TLS to the service inside of the TLS to its proxy: ssl encrypts no socket twice."""

    def __init__(self, carrier: _Socket, trust: ssl.SSLContext, host: str, limit_s: float) -> None:
        self._carrier = carrier
        self._limit_s = limit_s
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trust.wrap_bio(self._arrived, self._leaving, server_hostname=host)
        self._pump(self._tls.do_handshake)

    def send(self, content: bytes | memoryview, /) -> int:
        sent: int = self._pump(functools.partial(self._tls.write, content))
        return sent

    def recv(self, most: int, /) -> bytes:
        received: bytes = self._pump(functools.partial(self._tls.read, most))
        return received

    def settimeout(self, seconds: float, /) -> None:
        self._limit_s = seconds

    def fileno(self) -> int:
        return self._carrier.fileno()

    def close(self) -> None:
        self._carrier.close()

    def _pump(self, step: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the step gives
        """Take a step, carrying encrypted bytes to and fro until it is done, all within its limit."""
        deadline = time.monotonic() + self._limit_s
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._flush(deadline)
                self._carrier.settimeout(_left(deadline, self._limit_s))
                data = self._carrier.recv(_TLS_RECORD)
                if data:
                    self._arrived.write(data)
                else:
                    self._arrived.write_eof()
            else:
                self._flush(deadline)
                return done

    def _flush(self, deadline: float) -> None:
        left = memoryview(self._leaving.read())
        while left:
            self._carrier.settimeout(_left(deadline, self._limit_s))
            left = left[self._carrier.send(left) :]


# -- what it is encrypted with -----------------------------------------------------------------------------


class Tls(NamedTuple):
    """How a connection is encrypted: protocol, who vouches for the certificate, and until which day."""

    version: str
    issuer: str
    expires: str


def tls_of(url: str, *, timeout_s: float = 10) -> Tls:
    """Look at the TLS of an https address, verified as every call's; raise OSError if there is none."""
    address = Address.of(url)
    with (
        socket.create_connection((address.host, address.port), timeout_s) as plain,
        _trust().wrap_socket(plain, server_hostname=address.host) as wrapped,
    ):
        certificate = wrapped.getpeercert() or {}
        issuers: Any = certificate.get("issuer", ())  # ((("organizationName", "..."),), ...)
        names = {name: value for part in issuers for name, value in part}
        issuer = names.get("organizationName") or names.get("commonName") or "?"
        expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        return Tls(wrapped.version() or "?", str(issuer), expires.date().isoformat())
