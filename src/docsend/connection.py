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
        bare = socket.create_connection((first.host, first.port), _left(deadline, _CONNECT_S))
        try:
            bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if first.is_encrypted:
                bare = _encrypted(bare, first, deadline)
            carrier: _Carrier = _Socket(bare)
            if self._proxy is not None:
                _go_through(self._proxy, self._address, Connection(carrier, deadline))
                if self._address.is_encrypted and first.is_encrypted:
                    carrier = _TlsInTls(carrier, self._address, deadline)
                elif self._address.is_encrypted:
                    bare = _encrypted(bare, self._address, deadline)
                    carrier = _Socket(bare)
        except BaseException:
            bare.close()
            raise
        return Connection(carrier, deadline)


def _left(deadline: float, most_s: float) -> float:
    """Give how long the next step may take; raise TimeoutError if no time is left."""
    left = min(most_s, deadline - time.monotonic())
    if left <= 0:
        raise TimeoutError("slower than the deadline")
    return left


def _encrypted(bare: socket.socket, address: Address, deadline: float) -> socket.socket:
    bare.settimeout(_left(deadline, _CONNECT_S))
    return _trust().wrap_socket(bare, server_hostname=address.host)


def _trust() -> ssl.SSLContext:
    """Make a context, one a connection: truststore's is locked for as long as a far side shakes hands."""
    import truststore  # noqa: PLC0415 - the sandbox speaks http and does without

    trust = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.minimum_version = ssl.TLSVersion.TLSv1_2  # some systems' Python offers all that OpenSSL can
    trust.set_alpn_protocols(["http/1.1"])
    return trust


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


class _Carrier(Protocol):
    """What carries bytes to and fro, bare or encrypted. No step ends after `until` (monotonic seconds)."""

    def send(self, content: bytes | memoryview, until: float) -> int: ...
    def recv(self, most: int, until: float) -> bytes: ...
    def has_arrived(self) -> bool: ...
    def close(self) -> None: ...


class _Socket:
    """A socket that is never waited for but here: what it can take at once, it takes at once.

    With a timeout of its own it would ask the kernel before each send whether it may, and each question lets
    another thread in.
    """

    def __init__(self, carrier: socket.socket) -> None:
        carrier.setblocking(False)
        self._socket = carrier
        self._is_encrypted = isinstance(carrier, ssl.SSLSocket)

    def send(self, content: bytes | memoryview, until: float) -> int:
        _left(until, _STEP_S)  # be there room without end
        while True:
            try:
                return self._socket.send(content)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(until, for_room=True)
            except ssl.SSLWantReadError:
                self._wait(until)

    def recv(self, most: int, until: float) -> bytes:
        if self._is_encrypted:  # what comes next may have come in one piece with what was read already
            _left(until, _STEP_S)
        else:
            self._wait(until)
        while True:
            try:
                return self._socket.recv(most)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(until)
            except ssl.SSLWantWriteError:
                self._wait(until, for_room=True)

    def has_arrived(self) -> bool:
        return _is_ready(self._socket.fileno(), 0)

    def close(self) -> None:
        self._socket.close()

    def _wait(self, until: float, *, for_room: bool = False) -> None:
        """Wait for bytes, or for room to send some; raise TimeoutError if that takes too long."""
        if not _is_ready(self._socket.fileno(), _left(until, _STEP_S), for_room=for_room):
            raise TimeoutError("slower than a step may be")


def _is_ready(descriptor: int, limit_s: float, *, for_room: bool = False) -> bool:
    if sys.platform == "win32":
        wanted = [descriptor]
        return any(select.select([] if for_room else wanted, wanted if for_room else [], [], limit_s))
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT if for_room else select.POLLIN)
    return bool(waiting.poll(limit_s * 1000))


class Connection:
    """An open connection that speaks HTTP/1.1, one exchange at a time; h11 reads and writes the protocol.

    Its steps raise OSError if it breaks, TimeoutError if they take too long, h11.ProtocolError for what is
    not HTTP; after any of these it is of no use any more.
    """

    def __init__(self, carrier: _Carrier, deadline: float) -> None:
        self.deadline = deadline  # monotonic seconds, at which every step ends
        self._carrier = carrier
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
                    left = left[self._carrier.send(left, self.deadline) :]
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
        return time.monotonic() - self._idle_since < _KEPT_S and not self._carrier.has_arrived()

    def close(self) -> None:
        self._carrier.close()

    def _next_event(self) -> Any:  # noqa: ANN401 - h11 has no name for what it gives
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = self._carrier.recv(_BLOCK, self.deadline)
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise ConnectionResetError("closed instead of an answer")
            self._http.receive_data(data)
        return event


class _TlsInTls:
    """TLS to the service inside of the TLS to its proxy: ssl encrypts no socket twice."""

    def __init__(self, carrier: _Carrier, address: Address, deadline: float) -> None:
        """Shake hands; raise OSError if that fails."""
        self._carrier = carrier
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _trust().wrap_bio(self._arrived, self._leaving, server_hostname=address.host)
        self._pump(self._tls.do_handshake, time.monotonic() + _left(deadline, _CONNECT_S))

    def send(self, content: bytes | memoryview, until: float) -> int:
        sent: int = self._pump(functools.partial(self._tls.write, content), until)
        return sent

    def recv(self, most: int, until: float) -> bytes:
        received: bytes = self._pump(functools.partial(self._tls.read, most), until)
        return received

    def has_arrived(self) -> bool:
        return self._carrier.has_arrived()

    def close(self) -> None:
        self._carrier.close()

    def _pump(self, step: Callable[[], Any], until: float) -> Any:  # noqa: ANN401 - what the step gives
        """Take a step, carrying encrypted bytes to and fro until it is done."""
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._flush(until)
                data = self._carrier.recv(_TLS_RECORD, until)
                if data:
                    self._arrived.write(data)
                else:
                    self._arrived.write_eof()
            else:
                self._flush(until)
                return done

    def _flush(self, until: float) -> None:
        left = memoryview(self._leaving.read())
        while left:
            left = left[self._carrier.send(left, until) :]


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
