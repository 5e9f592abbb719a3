"""Planted bugs: each of them has to be detected by the experiment that it names.

A bug replaces one or more functions of the program at named seams (`seams.py`). A replacement repeats as
little of the program as possible, and calls the `original` function instead. A test checks that each
replacement still fits its seam, and mypy checks the names that it uses.

The replacements run in processes that have not imported docsend yet, so they import it when they are called.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from faults.seams import Seam

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    import httpx
    from starlette.requests import Request as StarletteRequest
    from starlette.responses import Response as StarletteResponse

    from docsend.auth.account import Account
    from docsend.cli.context import CommandContext
    from docsend.delivery.clearance import Clearance
    from docsend.delivery.sending import OpenCall
    from docsend.model.catalog import Branch
    from docsend.model.document import Document
    from docsend.model.receipt import Delivery, Receipt
    from docsend.model.submission import CheckedSubmission
    from docsend.sandbox.app import Sandbox
    from docsend.sandbox.body import Body
    from docsend.sandbox.declaration import DeclaredDocument
    from docsend.sandbox.form import Form
    from docsend.sandbox.store import Store, StoredSubmission, SubmissionId
    from docsend.service.client import ServiceClient
    from docsend.service.exchange import Exchange, Request
    from docsend.service.failures import Failure
    from docsend.service.http import HttpClient, _Connection
    from docsend.service.one_exchange import StagedFallback
    from docsend.service.responses import OpenSubmission, Response, Sendable
    from docsend.storage.earlier import EarlierSubmission
    from docsend.storage.identity_key import IdentityKey
    from docsend.storage.ledger import Ledger
    from docsend.storage.old_entries import OldMatches

_Replacement = TypeVar("_Replacement", bound="Callable[..., object]")


class Bug:
    """A planted bug, and the experiment that has to detect it: a name in faults.__main__.PROBES."""

    def __init__(self, name: str, probe: str) -> None:
        self.name = name
        self.probe = probe
        self.seams: list[Seam] = []
        BUGS.append(self)

    def replaces(self, target: str) -> Callable[[_Replacement], _Replacement]:
        """Return a decorator that registers the replacement of a function, "module:qualified.name"."""

        def add_seam(replacement: _Replacement) -> _Replacement:
            self.seams.append(Seam(target, replacement))
            return replacement

        return add_seam


BUGS: list[Bug] = []


def find_bug(name: str) -> Bug:
    (found,) = [bug for bug in BUGS if bug.name == name]
    return found


bug = Bug("a random key for every attempt", "kills")


@bug.replaces("docsend.model.canonical:key_of_bytes")
def _random_key(original: Callable[[bytes], str], canonical: bytes) -> str:
    return original(os.urandom(32))


bug = Bug("the plan is stored after the first byte is sent", "power")


@bug.replaces("docsend.delivery.deliver:_plan")
def _declare_before_recording(
    original: Callable[..., Delivery | Clearance],
    checked: CheckedSubmission,
    service: ServiceClient,
    ledger: Ledger,
    *,
    anyway: bool,
) -> Delivery | Clearance:
    service.declare(checked, may_be_received=True)
    return original(checked, service, ledger, anyway=anyway)


bug = Bug("the receipt is printed before it is on disk", "power")
_postponed_receipts: list[tuple[str, str, Receipt]] = []


@bug.replaces("docsend.delivery.deliver:deliver")
def _postpone_receipt(
    original: Callable[..., Delivery],
    checked: CheckedSubmission,
    service: str,
    ledger: Ledger,
    *more: object,
    **named: object,
) -> Delivery:
    vars(ledger)["record_receipt"] = lambda *received: _postponed_receipts.append(received)
    try:
        return original(checked, service, ledger, *more, **named)
    finally:
        del vars(ledger)["record_receipt"]


@bug.replaces("docsend.cli.send_one:_send")
def _record_postponed_receipts(
    original: Callable[..., None],
    context: CommandContext,
    checked: CheckedSubmission,
    account: Account | None,
    *,
    anyway: bool,
) -> None:
    original(context, checked, account, anyway=anyway)
    with context.open_ledger() as late:
        for service, key, receipt in _postponed_receipts:
            late.record_receipt(service, key, receipt)


bug = Bug("the ledger does not wait for the disk (synchronous = OFF)", "power")


@bug.replaces("docsend.storage.ledger_schema:prepare")
def _turn_syncing_off(
    original: Callable[[sqlite3.Connection, Path], None], connection: sqlite3.Connection, file: Path
) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    original(connection, file)


bug = Bug("the sandbox responds 201 without waiting for the disk", "power")


@bug.replaces("docsend.sandbox.store:os.fsync")
def _skip_sync(original: Callable[[int], None], fd: int) -> None:
    pass


bug = Bug("a 404 during an upload leads to a new key", "network")


class _KeyForgotten(Exception):
    """Raised when the service does not know a key; the program itself does not catch it."""


@contextlib.contextmanager
def _raise_key_forgotten() -> Iterator[None]:
    from docsend.service.responses import UnknownSubmission

    try:
        yield
    except UnknownSubmission as unknown:
        raise _KeyForgotten from unknown


@bug.replaces("docsend.service.client:ServiceClient.put_document")
def _put_or_raise(
    original: Callable[..., None],
    self: ServiceClient,
    submission: Sendable,
    document: Document,
    content: bytes,
    *,
    may_be_received: bool,
) -> None:
    with _raise_key_forgotten():
        original(self, submission, document, content, may_be_received=may_be_received)


@bug.replaces("docsend.service.client:ServiceClient.send")
def _send_or_raise(original: Callable[..., Receipt], self: ServiceClient, submission: Sendable) -> Receipt:
    with _raise_key_forgotten():
        return original(self, submission)


@bug.replaces("docsend.delivery.sending:_run_staged_calls")
def _start_over_with_a_new_key(
    original: Callable[..., Delivery],
    submission: CheckedSubmission,
    open_call: OpenCall,
    clearance: Clearance,
    service: ServiceClient,
    ledger: Ledger,
) -> Delivery:
    from docsend.errors import Unfinished
    from docsend.i18n import Message

    def declare(*, may_be_received: bool) -> OpenSubmission | Receipt:
        return service.declare(submission, may_be_received=True)

    for _ in range(3):
        try:
            return original(submission, open_call, clearance, service, ledger)
        except _KeyForgotten:
            submission = submission.with_occurrence(submission.occurrence + 1)
            ledger.record_plan(service.name, submission)
            open_call = declare
    raise Unfinished(Message("the service keeps losing track of this submission"))


bug = Bug("a retry sends only the rest of the document", "network")
_bytes_sent: Counter[str] = Counter()


@bug.replaces("docsend.service.http:HttpClient._exchange_over")
def _send_rest_only(
    original: Callable[..., Response], self: HttpClient, connection: _Connection, exchange: Exchange
) -> Response:
    request = exchange.request
    content = b"".join(request.body)
    if content.startswith(b"%PDF"):
        exchange.request = request._replace(body=(content[_bytes_sent[request.path] :],))
        _bytes_sent[request.path] += 1024
    return original(self, connection, exchange)


bug = Bug("redirects are followed", "network")


@bug.replaces("docsend.service.http:HttpClient.exchange")
def _follow_redirect(
    original: Callable[..., Response],
    self: HttpClient,
    request: Request,
    on_sent: Callable[[int], None] | None = None,
) -> Response:
    from urllib.parse import urlsplit

    from docsend.config.address import Endpoint
    from docsend.service.http import HttpClient

    response = original(self, request, on_sent)
    if 300 <= response.status < 400 and response.status != 304:
        there = urlsplit(response.headers["location"])
        url = f"{there.scheme}://{there.netloc}"
        response = original(HttpClient(Endpoint(url), url), request)
    return response


bug = Bug("the sandbox repeats a 5xx response to every later request", "service errnos")


@bug.replaces("docsend.sandbox.app:Sandbox._respond")
async def _repeat_failure(
    original: Callable[..., Awaitable[StarletteResponse]],
    self: Sandbox,
    handler: object,
    request: StarletteRequest,
) -> StarletteResponse:
    from docsend.sandbox.middleware import problem_response
    from docsend.sandbox.problems import internal_error

    marker = Path(os.environ["FAULTS_FOLDER"], request.url.path.replace("/", "_"))
    if marker.exists():
        return problem_response(internal_error())
    response = await original(self, handler, request)
    if response.status_code >= 500:
        marker.touch()
    return response


bug = Bug("the sandbox does not verify the digest of a document", "tampering")


class _EqualToAnything(str):
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False


@bug.replaces("docsend.sandbox.upload:receive_file")
async def _write_without_comparing(
    original: Callable[..., Awaitable[None]],
    chunks: AsyncIterator[bytes],
    declared: DeclaredDocument,
    path: Path,
) -> None:
    from dataclasses import replace

    await original(chunks, replace(declared, sha256=_EqualToAnything(declared.sha256)), path)


bug = Bug("a response is trusted without its request's id", "network")


@bug.replaces("docsend.service.http:_Connection.check_request_id")
def _trust_always(
    original: Callable[..., None], self: _Connection, echoed_id: str | None, request_id: str
) -> None:
    self.is_trusted = True


bug = Bug("a response with two lengths is trusted", "network")


@bug.replaces("docsend.service.http:_read_response")
def _keep_first_length(
    original: Callable[..., Response], incoming: httpx.Response, max_bytes: int
) -> Response:
    raw = incoming.headers.raw
    lengths = [header for header in raw if header[0].lower() in (b"content-length", b"transfer-encoding")]
    others = [header for header in raw if header not in lengths]
    incoming.headers = type(incoming.headers)([*others, *lengths[:1]])
    return original(incoming, max_bytes)


bug = Bug("the retry time limit ends a running attempt", "network")


@bug.replaces("docsend.service.client:ServiceClient._exchange")
def _limit_attempt_to_retry_time(
    original: Callable[..., Response], self: ServiceClient, *rest: object
) -> Response:
    self._http._limits = self._http._limits._replace(grace_s=self._policy.total_s)
    return original(self, *rest)


bug = Bug("a page counts as a refusal although the submission may have been received", "network")


@bug.replaces("docsend.service.failures:Failure.as_error")
def _refuse_always(
    original: Callable[..., Exception], self: Failure, url: str, *, is_refusal: bool = False
) -> Exception:
    return original(self, url, is_refusal=self.is_lasting_refusal)


bug = Bug("a personal submission is sent before its state `sending` is on disk", "power")


@bug.replaces("docsend.storage.ledger:Ledger.record_sending")
def _record_without_syncing(
    original: Callable[..., str], self: Ledger, service: str, key: str, *, is_durable: bool = False
) -> str:
    return original(self, service, key)


bug = Bug("the staged fallback forgets that one exchange may have been received", "network")


@bug.replaces("docsend.service.client:ServiceClient.send_in_one_exchange")
def _forget_previous_attempt(
    original: Callable[..., Delivery | StagedFallback],
    self: ServiceClient,
    checked: CheckedSubmission,
    contents: Sequence[bytes],
    *,
    may_be_received: bool,
) -> Delivery | StagedFallback:
    from docsend.service.one_exchange import StagedFallback

    sent = original(self, checked, contents, may_be_received=may_be_received)
    return sent._replace(may_be_received=False) if isinstance(sent, StagedFallback) else sent


bug = Bug("an earlier submission without a receipt is not looked for", "exports")


@bug.replaces("docsend.storage.earlier:find")
def _find_received_only(
    original: Callable[..., list[EarlierSubmission]],
    connection: sqlite3.Connection,
    service: str,
    checked: CheckedSubmission,
    key: IdentityKey,
    old: OldMatches,
) -> list[EarlierSubmission]:
    return [each for each in original(connection, service, checked, key, old) if each.is_received]


bug = Bug("a receipt of an earlier submission is reported as new", "kills")


@bug.replaces("docsend.service.reading:read_one_exchange")
def _report_as_new(
    original: Callable[..., tuple[Receipt, bool]], response: Response, checked: CheckedSubmission
) -> tuple[Receipt, bool]:
    receipt, _ = original(response, checked)
    return receipt, True


bug = Bug("a response from elsewhere is taken to mean that nothing was received", "network")


@bug.replaces("docsend.service.attempts:may_have_been_received")
def _never_received(original: Callable[..., bool], response: Response) -> bool:
    return False


bug = Bug("the sandbox accepts more form parts than were declared", "forms")


@bug.replaces("docsend.sandbox.form:Form.end")
async def _read_all_parts(original: Callable[..., Awaitable[None]], self: Form) -> None:
    async for _ in self._events:
        pass


bug = Bug("the files of a refused exchange stay on disk", "forms")
_unfinished: list[contextlib.AbstractContextManager[list[Path]]] = []


@bug.replaces("docsend.sandbox.store:Store.incoming_files")
@contextlib.contextmanager
def _leave_files(
    original: Callable[..., contextlib.AbstractContextManager[list[Path]]], self: Store, count: int = 1
) -> Iterator[list[Path]]:
    incoming = original(self, count)
    _unfinished.append(incoming)  # without a reference, the context manager would end
    yield incoming.__enter__()


bug = Bug("a receipt is accepted without comparing its key", "network")


@bug.replaces("docsend.service.reading:_check_receipt")
def _accept_any_submission(
    original: Callable[..., Receipt], submission: Sendable, receipt: Receipt
) -> Receipt:
    return receipt


@bug.replaces("docsend.service.reading:_check_key")
def _accept_any_key(original: Callable[..., Receipt], key: str, receipt: Receipt) -> Receipt:
    return receipt


bug = Bug("a repeated send creates another receipt", "network")


@bug.replaces("docsend.sandbox.app:Sandbox.send")
async def _receive_again(
    original: Callable[..., Awaitable[StarletteResponse]],
    self: Sandbox,
    request: StarletteRequest,
    body: Body,
) -> StarletteResponse:
    from starlette.concurrency import run_in_threadpool

    from docsend.sandbox import residences
    from docsend.sandbox.app import _receipt_response

    submission_id = await self._id_for_request(request)
    await body.skip_unused()
    submission = await run_in_threadpool(self._store.status, submission_id)
    branch = self._catalog.branches[submission.branch or residences.DEFAULT_BRANCH]
    return _receipt_response(await run_in_threadpool(self._store.receive, submission_id, branch))


@bug.replaces("docsend.sandbox.store:Store._receive")
def _replace_receipt(
    original: Callable[..., bytes],
    self: Store,
    connection: sqlite3.Connection,
    submission_id: SubmissionId,
    branch: Branch,
) -> bytes:
    # The old receipt is deleted last, so that the new one gets the next number.
    connection.execute("PRAGMA defer_foreign_keys = 1")
    connection.execute("UPDATE receipt SET key = '' WHERE owner = ? AND key = ?", submission_id)
    receipt = original(self, connection, submission_id, branch)
    connection.execute("DELETE FROM receipt WHERE key = ''")
    return receipt


bug = Bug("the session token is written to the log", "personal kills")


@bug.replaces("docsend.service.http:HttpClient._run")
def _write_token(original: Callable[..., Response], self: HttpClient, exchange: Exchange) -> Response:
    token = dict(exchange.request.headers).get(b"Authorization", b"")
    sys.stderr.write(f"{token.decode()}\n")
    return original(self, exchange)


bug = Bug("a withdrawn key can be declared again", "stateful")


@bug.replaces("docsend.sandbox.store:Store._find_declared")
def _forget_withdrawal(
    original: Callable[..., StoredSubmission | None],
    self: Store,
    connection: sqlite3.Connection,
    submission_id: SubmissionId,
    canonical: bytes,
) -> StoredSubmission | None:
    connection.execute(
        "DELETE FROM submission WHERE owner = ? AND key = ? AND state = 'withdrawn'", submission_id
    )
    return original(self, connection, submission_id, canonical)


bug = Bug("received submissions expire like unfinished ones", "stateful")


@bug.replaces("docsend.sandbox.store:Store._remove_expired")
def _expire_receipts(original: Callable[[Store], None], self: Store) -> None:
    with self.database.transaction() as connection:
        connection.execute("DELETE FROM receipt")
        connection.execute(
            "UPDATE submission SET state = 'open', expires_at = '2000' WHERE state = 'received'"
        )
    original(self)


bug = Bug("file names reach the terminal unescaped", "hostile")


@bug.replaces("docsend.text:escape_for_terminal")
def _leave_unescaped(original: Callable[[object], str], text: object) -> str:
    return str(text)
