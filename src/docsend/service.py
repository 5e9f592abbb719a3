"""The service, seen from the client: each call of the contract (docs/contract.md) as a method.

What it keeps:
- a retry repeats the same request under the same key, and every call here is one that cannot duplicate;
- redirects are never followed; certificates are held against the system's trust store;
- an answer that is not what the contract says is a failure, never a success;
- nothing waits for ever: every exchange has a deadline, every call a number of attempts and a time limit.

The only user of httpx, and it knows no console: what a person should see goes to a `Watcher`.
"""

from __future__ import annotations

import ssl
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from docsend import __version__, answers
from docsend.answers import Answer, Look, Opened
from docsend.errors import SignInNeeded, Unfinished, UsageFault
from docsend.language import Phrase
from docsend.patience import Pace, Patience, Reserve
from docsend.submission import canonical

# uvicorn brings click along, and httpx imports its own command line, with rich, wherever it finds click.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
import httpcore  # noqa: E402 - after the line above
import httpx  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from docsend.account import Account
    from docsend.answers import Sendable, Standing
    from docsend.credentials import Credentials
    from docsend.settings import Endpoint
    from docsend.submission import CheckedSubmission, Document, PlannedSubmission, Receipt, RequiredDocument

_T = TypeVar("_T")

_JSON = {"Content-Type": "application/json"}
_BLOCK = 128 * 1024
_MOST_JSON = 2**20
_MOST_CATALOG = 8 * 2**20
# A request that is slower than this on the average, after a minute's grace, is given up and repeated.
_SLOWEST_BYTES_PER_S = 4 * 1024
_GRACE_S = 60.0
_SHORTEST_PAUSE_S = 0.02
_WORTH_REPEATING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Watcher(Protocol):
    """Somebody who wants to see what happens on the wire."""

    def declared(self, missing_bytes: int) -> None:
        """The service has the declaration and lacks documents of so many bytes."""

    def sent(self, document: Document, sent_bytes: int) -> None:
        """So many bytes of the document have left; the number falls back to 0 when a try is repeated."""

    def arrived(self, document: Document) -> None:
        """The service has the whole document."""

    def waiting(self, reason: str, seconds: float) -> None:
        """A try failed; the next one begins in so many seconds."""


@dataclass(frozen=True, slots=True)
class _Request:
    """One request, the same at every try; `most` is the size of the largest answer that is read."""

    method: str
    path: str
    content: bytes = b""
    document: Document | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    most: int = _MOST_JSON
    signed: bool = False
    counts: bool = False  # each try counts at the service, and so none is made that is not needed

    def with_token(self, token: str) -> _Request:
        return replace(self, headers={**self.headers, "Authorization": f"Bearer {token}"})


class Service:
    """One service at one address. Use it as a context manager: connections are kept for the calls inside."""

    def __init__(
        self,
        endpoint: Endpoint,
        url: str,
        patience: Patience,
        watcher: Watcher,
        account: Account | None = None,
        *,
        jobs: int = 1,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make the service at `url`, which is the endpoint's own or that of the sandbox in the process.

        Calls about what is personal carry the token of `account`, which was made for this endpoint alone. Up
        to `jobs` threads may call at the same time.
        """
        self.name = endpoint.name
        self._url = url
        self._patience = patience
        self._watcher = watcher
        self._account = account
        self._sleep = sleep
        self._client = _client(url, endpoint.proxy, connections=jobs)
        self._reserve = Reserve()
        self._pace = Pace(jobs)

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    # -- the calls of the contract -----------------------------------------------------------------------

    def catalog(self, etag: str | None) -> tuple[bytes, str] | None:
        """Fetch the service's catalog and its ETag; None if it is still the one of this `etag`."""
        headers = {"If-None-Match": etag} if etag else {}
        return self._call(
            _Request("GET", "/v1/catalog", headers=headers, most=_MOST_CATALOG), answers.catalog
        )

    def look(self) -> Look:
        """Ask for the catalog, to see whether the service is there, and what time it is there."""
        request = _Request("GET", "/v1/catalog", most=_MOST_CATALOG)
        return self._call(request, answers.look)

    def sign_in(self, credentials: Credentials) -> tuple[str, float]:
        """Give a token and the seconds that it lasts; raise SignInNeeded if the service refuses.

        A try that may have reached the service is not repeated: each one counts towards a lock.
        """
        body = canonical({"code": credentials.code, "password": credentials.password})
        request = _Request("POST", "/v1/session", content=body, headers=_JSON, counts=True)
        return self._call(request, answers.session)

    def sign_out(self, token: str) -> None:
        """End a session; one that the service does not know any more has ended."""
        bearer = {"Authorization": f"Bearer {token}"}
        self._call(_Request("DELETE", "/v1/session", headers=bearer), answers.signed_out)

    def required(self) -> tuple[RequiredDocument, ...]:
        """Ask which documents the signed-in person has to send."""
        return self._call(_Request("GET", "/v1/required", signed=True), answers.required)

    def declare(self, checked: CheckedSubmission) -> Opened | Receipt:
        """Declare a submission before any of its documents; the receipt comes back if it has one already."""
        request = _Request(
            "PUT",
            _submission(checked.key),
            content=canonical(checked.declaration()),
            headers=_JSON,
            signed=checked.is_signed,
        )
        standing = self._call(request, lambda answer: answers.opened(answer, checked))
        if isinstance(standing, Opened):
            self._tell_missing(checked, standing)
        return standing

    def reopen(self, planned: PlannedSubmission) -> Opened | Receipt:
        """Ask what is missing of a submission that an earlier run declared; raise Forgotten if none did."""
        request = _Request("GET", _submission(planned.key), signed=planned.is_signed)
        standing = self._call(request, lambda answer: answers.standing_of(answer, planned))
        if isinstance(standing, Opened):
            self._tell_missing(planned, standing)
        return standing

    def put(self, checked: Sendable, document: Document, content: bytes) -> None:
        """Send one document's bytes under their digest; raise Forgotten if the declaration is gone."""
        path = f"{_submission(checked.key)}/documents/{document.sha256}"
        request = _Request("PUT", path, content=content, document=document, signed=checked.is_signed)
        self._call(request, answers.put)
        self._watcher.arrived(document)

    def send(self, checked: Sendable) -> Receipt:
        """Ask for the receipt; raise Incomplete or Forgotten if the service lacks something."""
        request = _Request("POST", f"{_submission(checked.key)}/send", signed=checked.is_signed)
        return self._call(request, lambda answer: answers.received(answer, checked))

    def _tell_missing(self, submission: Sendable, opened: Opened) -> None:
        sizes = [document.size for document in submission.documents if document.sha256 in opened.missing]
        self._watcher.declared(sum(sizes))

    def standing(self, key: str, *, signed: bool) -> Standing:
        """Ask what became of a key; raise Forgotten if the service does not know it."""
        request = _Request("GET", _submission(key), signed=signed)
        return self._call(request, lambda answer: answers.standing(answer, key))

    def withdraw(self, key: str, *, signed: bool) -> Standing:
        """Fence a key off: nothing can be received under it any more, unless it has been already."""
        request = _Request("DELETE", _submission(key), signed=signed)
        return self._call(request, lambda answer: answers.withdrawn(answer, key))

    # -- how a call is made ------------------------------------------------------------------------------

    def _call(self, request: _Request, read: Callable[[Answer], _T]) -> _T:
        """Make one call, repeated as often as patience allows; raise Unfinished when it runs out.

        Invariant 4: a repeated request is the same request, byte for byte, and every call here is one that
        cannot duplicate: the service answers to the key.
        """
        began, attempt = time.monotonic(), 0
        while True:
            self._await_turn()
            try:
                answer = self._signed_exchange(request) if request.signed else self._exchange(request)
                if answer.status not in _WORTH_REPEATING or request.counts:
                    return self._read(answer, read)
                trouble = Phrase("the service answered {status}", status=answer.status)
                asked_to_wait = answers.retry_after(answer)
                if answer.status == httpx.codes.TOO_MANY_REQUESTS:
                    self._pace.too_fast()
            except httpx.TransportError as error:
                trouble, asked_to_wait = _in_words(error), None
                if request.counts and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise Unfinished(
                        Phrase("{trouble}: {url}", trouble=trouble, url=self._url),
                        Phrase("nothing is lost: try again"),
                    ) from None
            except answers.NotTheContract as error:
                trouble = Phrase("the answer is not what the contract says ({why})", why=error.args[0])
                asked_to_wait = None
            self._reserve.failed()
            pause = self._patience.pause(attempt) if asked_to_wait is None else asked_to_wait
            attempt += 1
            if asked_to_wait:
                self._pace.hold(asked_to_wait)
            if (
                attempt == self._patience.attempts
                or time.monotonic() - began + pause > self._patience.total_s
                or not self._reserve.take()
            ):
                raise self._given_up(trouble, asked_to_wait)
            self._watcher.waiting(trouble, pause)
            self._sleep(pause)

    def _await_turn(self) -> None:
        """Wait as long as the service has asked all to, or as the breaker says; raise if that is too long."""
        while True:
            held, closed = self._pace.held_for(), self._reserve.closed_for(self._patience.total_s)
            if held > self._patience.total_s:
                raise self._given_up(Phrase("the service asks for a pause"), held)
            if closed > self._patience.total_s:
                often = Phrase("the service has failed {count} times in a row", count=Reserve.FAILURES)
                raise self._given_up(often, None)
            if (pause := max(held, closed)) < _SHORTEST_PAUSE_S:
                return
            self._watcher.waiting(Phrase("the service does not answer, or asks for a pause"), pause)
            self._sleep(pause)

    def _given_up(self, trouble: Phrase, asked_to_wait: float | None) -> Unfinished:
        hint = Phrase("nothing is lost: run the same command again")
        if asked_to_wait:
            hint = Phrase(
                "nothing is lost: in {seconds:.0f} s, as the service asks, run the same command again",
                seconds=asked_to_wait,
            )
        return Unfinished(Phrase("{trouble}: {url}", trouble=trouble, url=self._url), hint)

    def _read(self, answer: Answer, read: Callable[[Answer], _T]) -> _T:
        """Read an answer; one that the contract knows shows that the service works, also if it refuses."""
        try:
            result = read(answer)
        except answers.NotTheContract:
            raise
        except Exception:
            self._reserve.answered()
            raise
        self._reserve.answered()
        self._pace.went_well()
        return result

    def _signed_exchange(self, asked: _Request) -> Answer:
        """Exchange with the account's token; on a 401 with a new one, once. A second 401 ends it for all."""
        if self._account is None:
            raise SignInNeeded(
                Phrase("the personal service needs a sign-in"), Phrase("`docsend login` signs in")
            )
        token = self._account.token(self.sign_in)
        answer = self._exchange(asked.with_token(token))
        if answer.status == 401:
            token = self._account.token(self.sign_in, instead_of=token)
            answer = self._exchange(asked.with_token(token))
            if answer.status == 401:
                raise self._account.refused(
                    SignInNeeded(
                        Phrase("the service does not accept the session that it has just given"),
                        Phrase("`docsend login` signs in"),
                    )
                )
        return answer

    def _exchange(self, asked: _Request) -> Answer:
        """Send one request and read one answer, when it is this thread's turn."""
        with self._pace.turn():
            return self._exchange_now(asked)

    def _exchange_now(self, asked: _Request) -> Answer:
        """Send one request and read one answer, both before a deadline."""
        deadline = time.monotonic() + _GRACE_S + len(asked.content) / _SLOWEST_BYTES_PER_S
        # A document goes in blocks, so that progress can be seen and the deadline kept; the length is
        # known all the same.
        length = {"Content-Length": str(len(asked.content))} if asked.document else {}
        request = self._client.build_request(
            asked.method,
            self._url + asked.path,
            content=self._blocks(asked.content, asked.document, deadline)
            if asked.document
            else asked.content,
            headers={**asked.headers, **length},
        )
        _clock.deadline = deadline
        response = self._client.send(request, stream=True)
        try:
            if response.status_code != httpx.codes.NOT_MODIFIED and 300 <= response.status_code < 400:
                # Invariant 5: a redirect would carry documents and tokens to somebody else.
                raise Unfinished(
                    Phrase(
                        "{url} sends elsewhere ({status_code}), and redirects are not followed",
                        url=self._url,
                        status_code=response.status_code,
                    ),
                    Phrase("is the address right? A network's sign-in page answers like this, too"),
                )
            if response.headers.get("content-encoding", "identity") != "identity":
                raise answers.NotTheContract(Phrase("compressed, though nobody asked for that"))
            body = b""
            for piece in response.iter_raw():
                body += piece
                if len(body) > asked.most:
                    raise answers.NotTheContract(Phrase("more than {most:,} bytes", most=asked.most))
            return Answer(response.status_code, response.headers, body)
        finally:
            response.close()

    def _blocks(self, content: bytes, document: Document, deadline: float) -> Iterator[bytes]:
        for start in range(0, len(content), _BLOCK):
            if time.monotonic() > deadline:
                raise httpx.WriteTimeout("slower than the deadline")
            block = content[start : start + _BLOCK]
            yield block
            self._watcher.sent(document, start + len(block))


def _client(url: str, proxy: str | None, *, connections: int = 1) -> httpx.Client:
    try:
        _ = httpx.URL(url).host  # which decodes what IDNA encoded
    except (httpx.InvalidURL, UnicodeError) as error:
        raise UsageFault(
            Phrase("the service's address is not one"), Phrase("as in https://documents.example")
        ) from error
    verify: ssl.SSLContext | bool = False  # over http there is nothing to verify, and stores load slowly
    if url.startswith("https:"):
        import truststore  # noqa: PLC0415 - the sandbox speaks http and does without

        verify = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As many as there are threads, and all of them kept: fewer make threads wait, and httpcore slow.
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    try:
        transport = httpx.HTTPTransport(verify=verify, proxy=proxy, trust_env=False, limits=limits)
    except (httpx.InvalidURL, UnicodeError) as error:  # without its value: it may hold a password
        raise UsageFault(
            Phrase("the proxy of the environment is not the address of one"),
            Phrase("as in http://proxy.example:3128"),
        ) from error
    # The pool has this seam, and httpx 0.28, its last release, no other way to it.
    transport._pool._network_backend = _Timed(transport._pool._network_backend)  # noqa: SLF001
    return httpx.Client(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(30, connect=10),
        headers={
            "User-Agent": f"docsend/{__version__}",
            "Accept": "application/json, application/problem+json",
            "Accept-Encoding": "identity",
        },
    )


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection is encrypted: protocol, who vouches for the certificate, and until which day."""

    version: str
    issuer: str
    expires: str


def tls_of(url: str, *, timeout_s: float = 10) -> Tls:
    """Look at the TLS of an https address, verified as every call's; raise OSError if there is none."""
    import socket  # noqa: PLC0415 - only `docsend doctor` looks

    import truststore  # noqa: PLC0415

    address = httpx.URL(url)
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    host = address.raw_host.decode("ascii")
    with (
        socket.create_connection((host, address.port or 443), timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        certificate = wrapped.getpeercert() or {}
        issuers: Any = certificate.get("issuer", ())  # ((("organizationName", "..."),), ...)
        names = {name: value for part in issuers for name, value in part}
        issuer = names.get("organizationName") or names.get("commonName") or "?"
        expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        return Tls(wrapped.version() or "?", str(issuer), expires.date().isoformat())


# -- deadlines ---------------------------------------------------------------------------------------------


class _Clock(threading.local):
    """When the exchange that this thread makes has to be over; httpx itself limits single reads only."""

    deadline = float("inf")

    def left(self, timeout: float | None) -> float:
        """Give how long the next step may take; raise if there is no time left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("slower than the deadline")
        return left if timeout is None else min(left, timeout)


_clock = _Clock()
_SLICE = 64 * 1024


class _Timed(httpcore.NetworkBackend):
    """A network whose every step ends at the exchange's deadline, however the far side drips."""

    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        limit = _clock.left(timeout)
        return _TimedStream(self._inner.connect_tcp(host, port, limit, local_address, socket_options))


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _clock.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _SLICE):
            self._inner.write(buffer[start : start + _SLICE], _clock.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, _clock.left(timeout)))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as the interface has it
        return self._inner.get_extra_info(info)


def _submission(key: str) -> str:
    return f"/v1/submissions/{key}"


def _in_words(error: httpx.TransportError) -> Phrase:
    """Say what went wrong between here and the service, without the words of the libraries below."""
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return Phrase("the service's certificate cannot be verified")
        return Phrase("the service cannot be reached")
    if isinstance(error, httpx.TimeoutException):
        return Phrase("the service did not answer in time")
    if isinstance(error, httpx.ProxyError):
        return Phrase("the proxy did not let the request through")
    return Phrase("the connection broke off")
