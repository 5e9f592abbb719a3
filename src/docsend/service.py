"""The service, seen from the client: each call of the contract (docs/contract.md) as a method.

What it keeps:
- a retry repeats the same request under the same key, and every call here is one that cannot duplicate;
- redirects are never followed; certificates are held against the system's trust store;
- an answer that is not what the contract says is a failure, never a success;
- nothing waits for ever: every exchange has a deadline, every call a number of attempts and a time limit.

It knows no console: what a person should see goes to a `Watcher`. Bytes and sockets are the wire's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from docsend import answers
from docsend.answers import Answer, Look, Opened
from docsend.connection import Unanswered
from docsend.errors import SignInNeeded, Unfinished
from docsend.language import Phrase
from docsend.patience import Pace, Patience, Reserve
from docsend.submission import canonical
from docsend.wire import Redirected, Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from docsend.account import Account
    from docsend.answers import Sendable, Standing
    from docsend.credentials import Credentials
    from docsend.settings import Endpoint
    from docsend.submission import CheckedSubmission, Document, PlannedSubmission, Receipt, RequiredDocument
    from docsend.wire import Header

_T = TypeVar("_T")

_JSON = ((b"Content-Type", b"application/json"),)
_MOST_JSON = 2**20
_MOST_CATALOG = 8 * 2**20
# A request that is slower than this on the average, after a minute's grace, is given up and repeated.
_SLOWEST_BYTES_PER_S = 4 * 1024
_GRACE_S = 60.0
_SHORTEST_PAUSE_S = 0.02
_TOO_MANY_REQUESTS = 429
_WORTH_REPEATING = frozenset({408, 425, _TOO_MANY_REQUESTS, 500, 502, 503, 504})


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


class _Request(NamedTuple):
    """One request, the same at every try; `most` is the size of the largest answer that is read."""

    method: str
    path: str
    content: bytes = b""
    document: Document | None = None
    headers: tuple[Header, ...] = ()
    most: int = _MOST_JSON
    signed: bool = False
    counts: bool = False  # each try counts at the service, and so none is made that is not needed

    def with_token(self, token: str) -> _Request:
        return self._replace(headers=(*self.headers, _bearer(token)))


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
        self._wire = Wire(url, endpoint.proxy)
        self._reserve = Reserve()
        self._pace = Pace(jobs)

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.close()

    # -- the calls of the contract -----------------------------------------------------------------------

    def catalog(self, etag: str | None) -> tuple[bytes, str] | None:
        """Fetch the service's catalog and its ETag; None if it is still the one of this `etag`."""
        headers = ((b"If-None-Match", etag.encode("ascii")),) if etag else ()
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
        request = _Request("DELETE", "/v1/session", headers=(_bearer(token),))
        self._call(request, answers.signed_out)

    def required(self) -> tuple[RequiredDocument, ...]:
        """Ask which documents the signed-in person has to send."""
        return self._call(_Request("GET", "/v1/required", signed=True), answers.required)

    def declare(self, checked: CheckedSubmission) -> Opened | Receipt:
        """Declare a submission before any of its documents; the receipt comes back if it has one already."""
        request = _Request(
            "PUT",
            _submission(checked.key),
            content=checked.declared,
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
                if answer.status == _TOO_MANY_REQUESTS:
                    self._pace.too_fast()
            except Unanswered as error:
                trouble, asked_to_wait = error.why, None
                if request.counts and error.may_have_arrived:
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
        with self._pace:
            return self._exchange_now(asked)

    def _exchange_now(self, asked: _Request) -> Answer:
        """Send one request and read one answer, both before a deadline."""
        deadline = time.monotonic() + _GRACE_S + len(asked.content) / _SLOWEST_BYTES_PER_S
        document = asked.document
        try:
            return self._wire.exchange(
                asked.method,
                asked.path,
                asked.headers,
                asked.content,
                deadline=deadline,
                most=asked.most,
                sent=(lambda sent: self._watcher.sent(document, sent)) if document else None,
            )
        except Redirected as redirected:
            raise Unfinished(
                Phrase(
                    "{url} sends elsewhere ({status_code}), and redirects are not followed",
                    url=self._url,
                    status_code=redirected.status,
                ),
                Phrase("is the address right? A network's sign-in page answers like this, too"),
            ) from None


def _submission(key: str) -> str:
    return f"/v1/submissions/{key}"


def _bearer(token: str) -> Header:
    return b"Authorization", f"Bearer {token}".encode("ascii")
