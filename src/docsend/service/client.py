"""Client for the service, with one method for each call in the contract (docs/contract.md).

- A retry repeats the same request under the same key, and no call can duplicate a submission.
- A response that violates the contract is a failure, never a success.
- Every exchange has a deadline, and the retry policy limits how long a call is retried.

This module never writes to the console. It reports progress to a `ProgressListener`. The module `http`
handles the sockets.
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
_MIN_PAUSE_S = 0.02
_TOO_MANY_REQUESTS = 429
_RETRYABLE = frozenset({408, 425, _TOO_MANY_REQUESTS, 500, 502, 503, 504})
_REQUEST_TIMEOUT = 408
_NOT_RETRIED_HINT = Message("nothing is lost: try again")


class _Call(NamedTuple):
    """A request and what the client needs to know about it. The request is the same in every attempt."""

    request: Request
    on_sent: Callable[[int], None] | None = None
    needs_token: bool = False
    may_be_received: bool = True
    submission: CheckedSubmission | None = None  # set if this call sends it in one exchange

    @property
    def is_one_exchange(self) -> bool:
        """Whether this call sends a whole submission in one exchange.

        If so, a lost response may have contained the receipt.
        """
        return self.submission is not None


class ServiceClient:
    """Client for one service at one address.

    Calls reuse connections. Use the client as a context manager, so that the connections are closed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        url: str,
        policy: RetryPolicy,
        listener: ProgressListener,
        account: Account | None = None,
        *,
        one_exchange: OneExchangePolicy = NEVER,
        jobs: int = 1,
        clock: Clock = CLOCK,
    ) -> None:
        """Create a client for the service at `url`, the endpoint's URL or that of the in-process sandbox.

        Calls that concern the personal service carry a token of `account`, an account for this endpoint only.
        Up to `jobs` threads may make calls at the same time.
        """
        self.name = endpoint.name
        self.one_exchange = one_exchange
        self._url = url
        self._policy = policy
        self._listener = listener
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
        """Abort the exchanges of all threads and close all connections."""
        self._http.close()

    @property
    def tls(self) -> Tls | None:
        """TLS details of the most recent encrypted connection, or None if there was none."""
        return self._http.tls

    # -- calls -------------------------------------------------------------------------------------------

    def fetch_catalog(self, etag: str | None) -> tuple[bytes, str] | None:
        """Return the service's catalog (JSON) and ETag, or None if the catalog still has this `etag`."""
        headers = ((b"If-None-Match", etag.encode("ascii")),) if etag else ()
        request = Request("GET", "/v1/catalog", headers, max_bytes=MAX_BYTES)
        return self._call(_Call(request), reading.read_catalog)

    def fetch_info(self) -> ServiceInfo:
        """Return the service's catalog version and time, to check that the service is reachable."""
        return self._call(_Call(Request("GET", "/v1/catalog", max_bytes=MAX_BYTES)), reading.read_info)

    def sign_in(self, credentials: Credentials) -> tuple[str, float]:
        """Return a token and its lifetime in seconds.

        Raise SignInRequired if the service refuses the credentials. An attempt that may have reached the
        service is not repeated, because each failed sign-in counts toward a lockout.
        """
        body = canonicalize({"code": credentials.code, "password": credentials.password})
        request = Request("POST", "/v1/session", _JSON, (body,), is_repeatable=False)
        return self._call(_Call(request), reading.read_session)

    def sign_out(self, token: str) -> None:
        """End a token's session. A session that the service no longer knows counts as ended."""
        request = Request("DELETE", "/v1/session", (_bearer(token),))
        self._call(_Call(request), reading.read_sign_out)

    def fetch_required(self) -> tuple[RequiredDocument, ...]:
        """Return the documents that the service requires from the signed-in account."""
        return self._call(_Call(Request("GET", "/v1/required"), needs_token=True), reading.read_required)

    def declare(self, checked: CheckedSubmission, *, may_be_received: bool) -> OpenSubmission | Receipt:
        """Declare a submission before its documents are sent.

        Return the documents that the service lacks, or the receipt if the submission has already been
        received. `may_be_received` is true if the service may have received an earlier attempt. An
        intermediary's response then never counts as a refusal of the submission.
        """
        request = Request("PUT", _submission_path(checked.key), _JSON, (checked.declaration_bytes,))
        call = _Call(request, needs_token=checked.is_signed, may_be_received=may_be_received)
        result = self._call(call, lambda response: reading.read_declare(response, checked))
        self._report_missing(checked, result)
        return result

    def reopen(self, planned: PlannedSubmission) -> OpenSubmission | Receipt:
        """Return the documents that the service lacks of a submission that an earlier run declared.

        Return the receipt if the submission has already been received. Raise UnknownSubmission if the service
        does not know the submission's key.
        """
        call = _Call(Request("GET", _submission_path(planned.key)), needs_token=planned.is_signed)
        result = self._call(call, lambda response: reading.read_submission(response, planned))
        self._report_missing(planned, result)
        return result

    def put_document(
        self, submission: Sendable, document: Document, content: bytes, *, may_be_received: bool
    ) -> None:
        """Send one document, identified by its digest.

        Raise UnknownSubmission if the service no longer has the declaration.
        """
        request = Request(
            "PUT", f"{_submission_path(submission.key)}/documents/{document.sha256}", body=(content,)
        )
        on_sent = partial(self._listener.on_sent, document)
        self._call(_Call(request, on_sent, submission.is_signed, may_be_received), reading.read_put_document)
        self._listener.on_document_stored(document)

    def send(self, submission: Sendable) -> Receipt:
        """Complete a staged submission and return its receipt.

        Raise IncompleteSubmission if the service lacks documents, and UnknownSubmission if it does not know
        the key.
        """
        call = _Call(
            Request("POST", f"{_submission_path(submission.key)}/send"), needs_token=submission.is_signed
        )
        return self._call(call, lambda response: reading.read_send(response, submission))

    def send_in_one_exchange(
        self, checked: CheckedSubmission, contents: Sequence[bytes], *, may_be_received: bool
    ) -> Delivery | StagedFallback:
        """Send a submission in one exchange and return its delivery.

        If the service does not accept one exchange, or the request does not get through, return a
        `StagedFallback`. The submission then has to be sent staged. If the service already had a receipt, the
        delivery is marked as repeated unless an earlier attempt may have led to that receipt. In the errors
        that this method raises, `nothing_arrived` is true if no attempt of this call can have arrived.
        """
        body = one_exchange.build_body(checked, contents)
        request = Request("PUT", _submission_path(checked.key), one_exchange.build_headers(checked), body)
        on_sent = BodyProgress(checked.documents, body, self._listener.on_sent)
        call = _Call(request, on_sent, checked.is_signed, may_be_received, checked)
        attempts = Attempts(self._policy.total_s, self._clock.now)

        def read(response: Response) -> Delivery:
            receipt, is_new = reading.read_one_exchange(response, checked)
            is_own = is_new or may_be_received or attempts.may_have_arrived
            return Delivery(receipt, is_repeated=not is_own)

        try:
            delivery = self._call(call, read, attempts)
        except OneExchangeRefused as refusal:
            return StagedFallback(
                refusal.fewer_than, may_be_received=attempts.may_have_arrived, is_lost=refusal.is_lost
            )
        except DocsendError as error:
            error.nothing_arrived = not attempts.may_have_arrived
            raise
        self.one_exchange.record_success()
        if not delivery.is_repeated:
            self._listener.on_received(checked.documents)
        return delivery

    def fetch_status(self, key: str, *, with_token: bool) -> SubmissionStatus:
        """Return the state of the submission with this key at the service.

        Raise UnknownSubmission if the service does not know the key.
        """
        call = _Call(Request("GET", _submission_path(key)), needs_token=with_token)
        return self._call(call, lambda response: reading.read_status(response, key))

    def withdraw(self, key: str, *, with_token: bool) -> SubmissionStatus:
        """Withdraw the submission with this key, and return its state at the service.

        Nothing can be received under a withdrawn key. A submission that has been received stays received.
        """
        call = _Call(Request("DELETE", _submission_path(key)), needs_token=with_token)
        return self._call(call, lambda response: reading.read_withdraw(response, key))

    def _report_missing(self, submission: Sendable, result: OpenSubmission | Receipt) -> None:
        """Report the total size of the documents that the service lacks, unless there is a receipt."""
        if isinstance(result, OpenSubmission):
            missing = [
                document.size for document in submission.documents if document.sha256 in result.missing
            ]
            self._listener.on_declared(sum(missing))

    def renew_retry_time(self) -> None:
        """Retry new calls for the policy's whole time, even if the service has already failed for as long."""
        self._breaker.restart()

    # -- attempts and retries ----------------------------------------------------------------------------

    def _call(self, call: _Call, read: Callable[[Response], _T], attempts: Attempts | None = None) -> _T:
        """Make one call, and retry it for as long as the retry policy allows. Raise Unfinished after that.

        A failure that a retry cannot fix is raised at once (see `Failure.as_error`). A caller that needs to
        know how the attempts went passes its own `attempts`.

        Invariant 4: a retry sends the same request, byte for byte. No call can duplicate a submission,
        because the service identifies a submission by its key.
        """
        attempts = attempts or Attempts(self._policy.total_s, self._clock.now)
        pause_s = 0.0
        while True:
            self._await_turn(attempts, pause_s)
            try:
                return self._attempt(call, attempts, read)
            except AttemptFailed as failed:
                failure, retry_after_s = failed.failure, failed.retry_after_s
            attempts.record(failure)
            self._breaker.record_failure(failure.message, failure.code)
            if call.is_one_exchange:
                attempts.raise_for_fallback()
            if failure.is_lasting or attempts.is_name_unknown:
                is_refusal = failure.is_lasting_refusal and not (
                    call.may_be_received or attempts.may_have_arrived
                )
                raise failure.as_error(self._url, is_refusal=is_refusal)
            if retry_after_s:
                self._concurrency.pause_all(retry_after_s)
            elif attempts.remaining_s <= 0:
                raise failure.as_error(self._url)
            pause_s = 0.0 if retry_after_s else self._policy.pause_s(attempts.failures)

    def _attempt(self, call: _Call, attempts: Attempts, read: Callable[[Response], _T]) -> _T:
        """Make one attempt of a call. Raise AttemptFailed if another attempt may succeed."""
        try:
            exchange = self._authenticated_exchange if call.needs_token else self._exchange
            response = exchange(call, call.request, attempts)
            if response.status not in _RETRYABLE or not call.request.is_repeatable:
                return self._read(response, read)
        except NoResponse as error:
            attempts.may_have_arrived |= error.may_have_arrived
            attempts.lost_responses += error.may_have_arrived
            if error.may_have_arrived and not call.request.is_repeatable:
                raise error.failure._replace(hint=_NOT_RETRIED_HINT).as_error(self._url) from None
            raise AttemptFailed(error.failure) from None
        except UnexpectedPage as error:
            raise AttemptFailed(error.failure) from None
        except ContractViolation as error:
            attempts.may_have_arrived |= call.is_one_exchange
            attempts.altered_bodies += isinstance(error, BodyAltered)
            raise AttemptFailed(error.failure) from None
        attempts.may_have_arrived |= call.is_one_exchange  # an intermediary may have sent this response
        attempts.was_too_slow |= response.status == _REQUEST_TIMEOUT
        if response.status == _TOO_MANY_REQUESTS:
            self._concurrency.record_too_many()
        raise AttemptFailed(failures.busy(response.status), responses.retry_after(response))

    def _await_turn(self, attempts: Attempts, pause_s: float) -> None:
        """Wait for this call's own pause, a pause that the service asked for, and the circuit breaker.

        When the policy's time is up, the pause ends early and the last attempt starts. A pause that the
        service asked for never ends early: if it would exceed the policy's time, raise Unfinished.
        """
        while True:
            retry_after_s = self._concurrency.wait_s()
            if retry_after_s > max(attempts.remaining_s, 0):
                raise self._retries_exhausted(attempts, retry_after_s)
            if self._breaker.has_failed_for(self._policy.total_s) and attempts.failures == 0:
                raise self._retries_exhausted(attempts, None)
            pause_s = max(retry_after_s, min(max(pause_s, self._breaker.wait_s()), attempts.remaining_s))
            if pause_s < _MIN_PAUSE_S:
                return
            reason = attempts.last_failure.message if attempts.last_failure else self._breaker.reason
            self._listener.on_pause(Pause(reason, pause_s, attempts.remaining_s))
            self._clock.sleep(pause_s)
            pause_s = 0.0

    def _retries_exhausted(self, attempts: Attempts, retry_after_s: float | None) -> Unfinished:
        """Return the error for a call whose next attempt could only start after the policy's time is up."""
        reason = attempts.last_failure.message if attempts.last_failure else self._breaker.reason
        hint = Message("nothing is lost: run the same command again")
        if retry_after_s:
            hint = Message(
                "nothing is lost: run the same command again in {seconds:.0f} s, as the service asks",
                seconds=retry_after_s,
            )
        cause = attempts.last_failure.code if attempts.last_failure else self._breaker.cause
        return Unfinished(Message("{trouble}: {url}", trouble=reason, url=self._url), hint, cause=cause)

    def _read(self, response: Response, read: Callable[[Response], _T]) -> _T:
        """Read a response. Any valid response, even a refusal, shows that the service works."""
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

    def _authenticated_exchange(self, call: _Call, request: Request, attempts: Attempts) -> Response:
        """Send a request with the account's token. After a 401, send it once more with a new token.

        After a second 401, all other calls of this run that need the account fail as well.
        """
        if self._account is None:
            raise SignInRequired(
                Message("the personal service requires sign-in"), Message("run `docsend login`")
            )
        token = self._account.token(self.sign_in)
        response = self._exchange(call, _with_token(request, token), attempts)
        if response.status == 401:
            token = self._account.token(self.sign_in, instead_of=token)
            response = self._exchange(call, _with_token(request, token), attempts)
            if response.status == 401:
                raise self._account.record_refusal(
                    SignInRequired(
                        Message("the service rejected a token that it had just issued"),
                        Message("run `docsend login`"),
                    )
                )
        return response

    def _exchange(self, call: _Call, request: Request, attempts: Attempts) -> Response:
        """Send one request and return its response. Wait first if too many calls are running."""
        with self._concurrency:
            response = self._http.exchange(request, call.on_sent)
        attempts.may_have_arrived |= call.is_one_exchange and response.may_have_arrived_before
        if call.submission and (refusal := one_exchange.form_refusal(response, call.submission)):
            attempts.may_have_arrived |= may_have_been_received(response)
            raise refusal
        page = pages.redirect_failure(response.status) if _is_redirect(response) else None
        if response.status not in _RETRYABLE:
            page = page or pages.page_failure(response)
        if page is not None:
            attempts.may_have_arrived |= call.is_one_exchange and may_have_been_received(response)
            raise UnexpectedPage(page)
        return response


def _is_redirect(response: Response) -> bool:
    return 300 <= response.status < 400 and response.status != 304


def _submission_path(key: str) -> str:
    return f"/v1/submissions/{key}"


def _with_token(request: Request, token: str) -> Request:
    return request._replace(headers=(*request.headers, _bearer(token)))


def _bearer(token: str) -> Header:
    return b"Authorization", f"Bearer {token}".encode("ascii")
