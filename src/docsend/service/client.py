"""The calls of the contract (docs/contract.md), each as a method.

What they keep:
- a retry repeats the same request under the same key, and every call here is one that cannot duplicate;
- a response that is not what the contract says is a failure, never a success;
- nothing waits for ever: every exchange has a deadline, and patience limits for how long it is tried again.

It knows no console: what a person should see goes to a `Watcher`. Bytes and sockets are `http`'s.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from docsend.errors import DocsendError, SignInRequired, Unfinished
from docsend.i18n import Message
from docsend.model.canonical import canonicalize
from docsend.model.catalog import MAX_BYTES
from docsend.model.receipt import Delivery
from docsend.service import failures, one_exchange, pages, reading, responses
from docsend.service.attempts import AttemptFailed, Attempts, may_have_been_received
from docsend.service.exchange import Request
from docsend.service.failures import ContractViolation, NoResponse, UnexpectedPage
from docsend.service.http import HttpClient
from docsend.service.one_exchange import (
    NEVER,
    BodyProgress,
    OneExchangePolicy,
    OneExchangeRefused,
    StagedFallback,
)
from docsend.service.progress import Pause
from docsend.service.responses import BodyAltered, OpenSubmission, ServiceInfo
from docsend.service.retry import CLOCK, CircuitBreaker, ConcurrencyLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from docsend.auth.account import Account
    from docsend.auth.keyring_store import Credentials
    from docsend.config.address import Endpoint
    from docsend.model.document import Document
    from docsend.model.receipt import Receipt
    from docsend.model.required import RequiredDocument
    from docsend.model.submission import CheckedSubmission, PlannedSubmission
    from docsend.service.certificates import Tls
    from docsend.service.exchange import Header
    from docsend.service.progress import ProgressListener
    from docsend.service.responses import Response, Sendable, SubmissionStatus
    from docsend.service.retry import Clock, RetryPolicy

_T = TypeVar("_T")

_JSON = ((b"Content-Type", b"application/json"),)
_SHORTEST_PAUSE_S = 0.02
_TOO_MANY_REQUESTS = 429
_RETRYABLE = frozenset({408, 425, _TOO_MANY_REQUESTS, 500, 502, 503, 504})
_TOO_SLOW = 408
_NOT_REPEATED = Message("nothing is lost: try again")


class _Call(NamedTuple):
    """A request as it is made, the same at every try, and what the client has to know of it."""

    request: Request
    sent: Callable[[int], None] | None = None
    is_signed: bool = False
    may_be_received: bool = True
    whole: CheckedSubmission | None = None  # what goes in one exchange

    @property
    def is_whole(self) -> bool:
        """Whether any answer but a refusal may mean that it was received."""
        return self.whole is not None


class ServiceClient:
    """One service at one address. Use it as a context manager: connections are kept for the calls inside."""

    def __init__(
        self,
        endpoint: Endpoint,
        url: str,
        policy: RetryPolicy,
        watcher: ProgressListener,
        account: Account | None = None,
        *,
        one_exchange: OneExchangePolicy = NEVER,
        jobs: int = 1,
        clock: Clock = CLOCK,
    ) -> None:
        """Make the client of the service at `url`: the endpoint's own, or that of the sandbox in the process.

        Calls about what is personal carry the token of `account`, which was made for this endpoint alone. Up
        to `jobs` threads may call at the same time.
        """
        self.name = endpoint.name
        self.one_exchange = one_exchange
        self._url = url
        self._policy = policy
        self._watcher = watcher
        self._account = account
        self._http = HttpClient(endpoint, url)
        if jobs > 1:
            self._http.start_watchdog()
        self._clock = clock
        self._breaker = CircuitBreaker(clock.now)
        self._concurrency = ConcurrencyLimit(jobs, clock.now)

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what is on its way, in whichever thread, and close all connections."""
        self._http.close()

    @property
    def tls(self) -> Tls | None:
        """How the connection made last is encrypted; None if it is not."""
        return self._http.tls

    # -- the calls of the contract -----------------------------------------------------------------------

    def fetch_catalog(self, etag: str | None) -> tuple[bytes, str] | None:
        """Fetch the service's catalog and its ETag; None if it is still the one of this `etag`."""
        headers = ((b"If-None-Match", etag.encode("ascii")),) if etag else ()
        request = Request("GET", "/v1/catalog", headers, max_bytes=MAX_BYTES)
        return self._call(_Call(request), reading.read_catalog)

    def fetch_info(self) -> ServiceInfo:
        """Ask for the catalog, to see whether the service is there, and what time it is there."""
        return self._call(_Call(Request("GET", "/v1/catalog", max_bytes=MAX_BYTES)), reading.read_info)

    def sign_in(self, credentials: Credentials) -> tuple[str, float]:
        """Return a token and the seconds that it lasts; raise SignInNeeded if the service refuses.

        A try that may have reached the service is not repeated: each one counts towards a lock.
        """
        body = canonicalize({"code": credentials.code, "password": credentials.password})
        request = Request("POST", "/v1/session", _JSON, (body,), is_repeatable=False)
        return self._call(_Call(request), reading.read_session)

    def sign_out(self, token: str) -> None:
        """End a session; one that the service does not know any more has ended."""
        request = Request("DELETE", "/v1/session", (_bearer(token),))
        self._call(_Call(request), reading.read_sign_out)

    def fetch_required(self) -> tuple[RequiredDocument, ...]:
        """Ask which documents the signed-in person has to send."""
        return self._call(_Call(Request("GET", "/v1/required"), is_signed=True), reading.read_required)

    def declare(self, checked: CheckedSubmission, *, may_be_received: bool) -> OpenSubmission | Receipt:
        """Declare a submission before any of its documents; the receipt comes back if it has one already.

        `may_be_received` says whether an earlier try may have brought it to its receipt: then nothing but
        the service itself can say that it is refused.
        """
        request = Request("PUT", _submission(checked.key), _JSON, (checked.declaration_bytes,))
        call = _Call(request, is_signed=checked.is_signed, may_be_received=may_be_received)
        found = self._call(call, lambda response: reading.read_declare(response, checked))
        return self._opened(checked, found)

    def reopen(self, planned: PlannedSubmission) -> OpenSubmission | Receipt:
        """Ask what is missing of what an earlier run declared; raise UnknownSubmission if none did."""
        call = _Call(Request("GET", _submission(planned.key)), is_signed=planned.is_signed)
        found = self._call(call, lambda response: reading.read_status_of(response, planned))
        return self._opened(planned, found)

    def put_document(
        self, submission: Sendable, document: Document, content: bytes, *, may_be_received: bool
    ) -> None:
        """Send one document under its digest; raise UnknownSubmission if the declaration is gone."""
        request = Request(
            "PUT", f"{_submission(submission.key)}/documents/{document.sha256}", body=(content,)
        )
        sent = partial(self._watcher.sent, document)
        self._call(_Call(request, sent, submission.is_signed, may_be_received), reading.read_put)
        self._watcher.arrived(document)

    def send(self, submission: Sendable) -> Receipt:
        """Ask for the receipt; raise IncompleteSubmission or UnknownSubmission if something is lacking."""
        call = _Call(Request("POST", f"{_submission(submission.key)}/send"), is_signed=submission.is_signed)
        return self._call(call, lambda response: reading.read_send(response, submission))

    def send_in_one_exchange(
        self, checked: CheckedSubmission, contents: Sequence[bytes], *, may_be_received: bool
    ) -> Delivery | StagedFallback:
        """Send a submission in one exchange; it goes staged if that is not taken, or does not get through.

        A receipt that had been given before is this sender's own if an earlier try may have arrived. What it
        raises says whether nothing can have arrived.
        """
        body = one_exchange.build_body(checked, contents)
        request = Request("PUT", _submission(checked.key), one_exchange.build_headers(checked), body)
        sent = BodyProgress(checked.documents, body, self._watcher.sent)
        call = _Call(request, sent, checked.is_signed, may_be_received, checked)
        tries = Attempts(self._policy.total_s, self._clock.now)

        def read(response: Response) -> Delivery:
            receipt, is_new = reading.read_whole(response, checked)
            is_own = is_new or may_be_received or tries.may_have_arrived
            return Delivery(receipt, is_repeated=not is_own)

        try:
            delivery = self._call(call, read, tries)
        except OneExchangeRefused as refusal:
            return StagedFallback(
                refusal.fewer_than, may_be_received=tries.may_have_arrived, broke_off=refusal.broke_off
            )
        except DocsendError as error:
            error.nothing_arrived = not tries.may_have_arrived
            raise
        self.one_exchange.record_success()
        if not delivery.is_repeated:
            self._watcher.received(checked.documents)
        return delivery

    def fetch_status(self, key: str, *, signed: bool) -> SubmissionStatus:
        """Ask what became of a key; raise UnknownSubmission if the service does not know it."""
        call = _Call(Request("GET", _submission(key)), is_signed=signed)
        return self._call(call, lambda response: reading.read_status(response, key))

    def withdraw(self, key: str, *, signed: bool) -> SubmissionStatus:
        """Fence a key off: nothing can be received under it any more, unless it has been already."""
        call = _Call(Request("DELETE", _submission(key)), is_signed=signed)
        return self._call(call, lambda response: reading.read_withdraw(response, key))

    def _opened(self, submission: Sendable, found: OpenSubmission | Receipt) -> OpenSubmission | Receipt:
        if isinstance(found, OpenSubmission):
            missing = [document.size for document in submission.documents if document.sha256 in found.missing]
            self._watcher.declared(sum(missing))
        return found

    # -- how a call is made ------------------------------------------------------------------------------

    def _call(self, call: _Call, read: Callable[[Response], _T], tries: Attempts | None = None) -> _T:
        """Make one call, repeated for as long as patience lasts; raise Unfinished when it is over.

        Invariant 4: a repeated request is the same request, byte for byte, and every call here is one that
        cannot duplicate: the service answers to the key. `tries` are those of a caller who looks at them.
        """
        tries = tries or Attempts(self._policy.total_s, self._clock.now)
        pause_s = 0.0
        while True:
            self._await_turn(tries, pause_s)
            try:
                return self._attempt(call, tries, read)
            except AttemptFailed as failed:
                failure, asked_to_wait = failed.failure, failed.asked_to_wait
            tries.record(failure)
            self._breaker.record_failure(failure.message, failure.code)
            if call.is_whole:
                tries.go_staged_if_better()
            if failure.is_lasting or tries.has_looked_enough:
                is_refusal = failure.is_lasting_refusal and not (
                    call.may_be_received or tries.may_have_arrived
                )
                raise failure.as_error(self._url, is_refusal=is_refusal)
            if asked_to_wait:
                self._concurrency.pause_all(asked_to_wait)
            elif tries.left_s <= 0:
                raise failure.as_error(self._url)
            pause_s = 0.0 if asked_to_wait else self._policy.pause_s(tries.failures)

    def _attempt(self, call: _Call, tries: Attempts, read: Callable[[Response], _T]) -> _T:
        """Make one try of a call; raise Failed if another one may help."""
        try:
            exchange = self._signed_exchange if call.is_signed else self._exchange
            response = exchange(call, call.request, tries)
            if response.status not in _RETRYABLE or not call.request.is_repeatable:
                return self._read(response, read)
        except NoResponse as error:
            tries.may_have_arrived |= error.may_have_arrived
            tries.broken_off += error.may_have_arrived
            if error.may_have_arrived and not call.request.is_repeatable:
                raise error.failure._replace(hint=_NOT_REPEATED).as_error(self._url) from None
            raise AttemptFailed(error.failure) from None
        except UnexpectedPage as error:
            raise AttemptFailed(error.failure) from None
        except ContractViolation as error:
            tries.may_have_arrived |= call.is_whole
            tries.altered += isinstance(error, BodyAltered)
            raise AttemptFailed(error.failure) from None
        tries.may_have_arrived |= call.is_whole  # whoever on the way said that it is busy
        tries.was_too_slow |= response.status == _TOO_SLOW
        if response.status == _TOO_MANY_REQUESTS:
            self._concurrency.record_too_many()
        raise AttemptFailed(failures.busy(response.status), responses.retry_after(response))

    def _await_turn(self, tries: Attempts, pause_s: float) -> None:
        """Wait for this call's own pause, for one that the service asked of all, and for the circuit breaker.

        No pause outlasts patience, for then the last try begins; but one that the service asked for is kept,
        and if that is too long the call ends.
        """
        while True:
            asked_s = self._concurrency.wait_s()
            if asked_s > max(tries.left_s, 0):
                raise self._retries_exhausted(tries, asked_s)
            if self._breaker.has_failed_for(self._policy.total_s) and tries.failures == 0:
                raise self._retries_exhausted(tries, None)
            pause_s = max(asked_s, min(max(pause_s, self._breaker.wait_s()), tries.left_s))
            if pause_s < _SHORTEST_PAUSE_S:
                return
            reason = tries.failure.message if tries.failure else self._breaker.reason
            self._watcher.waiting(Pause(reason, pause_s, tries.left_s))
            self._clock.sleep(pause_s)
            pause_s = 0.0

    def _retries_exhausted(self, tries: Attempts, asked_s: float | None) -> Unfinished:
        """Make the error of a call whose patience is over before it could try again."""
        reason = tries.failure.message if tries.failure else self._breaker.reason
        hint = Message("nothing is lost: run the same command again")
        if asked_s:
            hint = Message(
                "nothing is lost: in {seconds:.0f} s, as the service asks, run the same command again",
                seconds=asked_s,
            )
        cause = tries.failure.code if tries.failure else self._breaker.cause
        return Unfinished(Message("{trouble}: {url}", trouble=reason, url=self._url), hint, cause=cause)

    def _read(self, response: Response, read: Callable[[Response], _T]) -> _T:
        """Read a response; one that the contract knows shows that the service works, also if it refuses."""
        try:
            result = read(response)
        except ContractViolation:
            raise
        except Exception:
            self._breaker.record_success()
            raise
        self._breaker.record_success()
        self._concurrency.record_success()
        return result

    def _signed_exchange(self, call: _Call, request: Request, tries: Attempts) -> Response:
        """Exchange with the account's token; on a 401 with a new one, once. A second 401 ends it for all."""
        if self._account is None:
            raise SignInRequired(
                Message("the personal service needs a sign-in"), Message("`docsend login` signs in")
            )
        token = self._account.token(self.sign_in)
        response = self._exchange(call, _with_token(request, token), tries)
        if response.status == 401:
            token = self._account.token(self.sign_in, instead_of=token)
            response = self._exchange(call, _with_token(request, token), tries)
            if response.status == 401:
                raise self._account.record_refusal(
                    SignInRequired(
                        Message("the service does not accept the session that it has just given"),
                        Message("`docsend login` signs in"),
                    )
                )
        return response

    def _exchange(self, call: _Call, request: Request, tries: Attempts) -> Response:
        """Send one request and read its response, when it is this thread's turn."""
        with self._concurrency:
            response = self._http.exchange(request, call.sent)
        tries.may_have_arrived |= call.is_whole and response.may_have_arrived_before
        if call.whole and (refusal := one_exchange.form_refusal(response, call.whole)):
            tries.may_have_arrived |= may_have_been_received(response)
            raise refusal
        page = pages.redirect_failure(response.status) if _is_redirect(response) else None
        if response.status not in _RETRYABLE:
            page = page or pages.page_failure(response)
        if page is not None:
            tries.may_have_arrived |= call.is_whole and may_have_been_received(response)
            raise UnexpectedPage(page)
        return response


def _is_redirect(response: Response) -> bool:
    return 300 <= response.status < 400 and response.status != 304


def _submission(key: str) -> str:
    return f"/v1/submissions/{key}"


def _with_token(request: Request, token: str) -> Request:
    return request._replace(headers=(*request.headers, _bearer(token)))


def _bearer(token: str) -> Header:
    return b"Authorization", f"Bearer {token}".encode("ascii")
