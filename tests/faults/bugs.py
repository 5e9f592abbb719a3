"""Bugs that others made: the laboratory has to find each of them when it is planted.

A bug is a wrong function for one or more named seams of the program (`seams.py`), and the experiment that
must notice. A wrong function says as little as possible of the program again: it calls what is `right`.
A test looks whether each still fits its seam, and mypy whether what it uses is there.

They go into processes in which docsend has not begun, so they import it when they are called.
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
    from starlette.requests import Request as Received
    from starlette.responses import Response as Answer

    from docsend.auth.account import Account
    from docsend.cli.context import CommandContext
    from docsend.delivery.clearance import Clearance
    from docsend.delivery.deliver import DeliveredSubmission, OpenCall
    from docsend.errors import DocsendError
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
    from docsend.storage.ledger import Ledger

_Wrong = TypeVar("_Wrong", bound="Callable[..., object]")


class Bug:
    """A bug by its name, and what must notice it: a name of faults.__main__.PROBES."""

    def __init__(self, name: str, probe: str) -> None:
        self.name = name
        self.probe = probe
        self.seams: list[Seam] = []
        BUGS.append(self)

    def at(self, place: str) -> Callable[[_Wrong], _Wrong]:
        """Say in which submission_id of the program a wrong function stands."""

        def noted(wrong: _Wrong) -> _Wrong:
            self.seams.append(Seam(place, wrong))
            return wrong

        return noted


BUGS: list[Bug] = []


def named(name: str) -> Bug:
    (found,) = [bug for bug in BUGS if bug.name == name]
    return found


bug = Bug("a random key for every attempt", "kills")


@bug.at("docsend.model.canonical:key_of_bytes")
def _named_by_chance(right: Callable[[bytes], str], named: bytes) -> str:
    return right(os.urandom(32))


bug = Bug("the plan is written after the first byte has left", "power")


@bug.at("docsend.delivery.deliver:record_plans")
def _declared_first(
    right: Callable[..., list[Delivery | DocsendError | Clearance]],
    submissions: Sequence[CheckedSubmission],
    service: ServiceClient,
    ledger: Ledger,
) -> list[Delivery | DocsendError | Clearance]:
    for checked in submissions:
        service.declare(checked, may_be_received=True)
    return right(submissions, service, ledger)


bug = Bug("the receipt is printed before it is on the disk", "power")
_put_off: list[tuple[str, str, Receipt]] = []


@bug.at("docsend.delivery.deliver:deliver")
def _received_later(
    right: Callable[..., DeliveredSubmission],
    checked: CheckedSubmission,
    service: str,
    ledger: Ledger,
    *more: object,
    **named: object,
) -> DeliveredSubmission:
    vars(ledger)["record_receipt"] = lambda *received: _put_off.append(received)
    try:
        return right(checked, service, ledger, *more, **named)
    finally:
        del vars(ledger)["record_receipt"]


@bug.at("docsend.cli.send_one:_send")
def _kept_after_all(
    right: Callable[..., None],
    context: CommandContext,
    checked: CheckedSubmission,
    account: Account | None,
    *,
    again: bool,
) -> None:
    right(context, checked, account, again=again)
    with context.open_ledger() as late:
        for service, key, receipt in _put_off:
            late.record_receipt(service, key, receipt)


bug = Bug("the ledger does not wait for the disk (synchronous = OFF)", "power")


@bug.at("docsend.storage.ledger_schema:prepare")
def _prepared_not_to_wait(
    right: Callable[[sqlite3.Connection, Path], None], connection: sqlite3.Connection, file: Path
) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    right(connection, file)


bug = Bug("the sandbox does not wait for the disk before it says 201", "power")


@bug.at("docsend.sandbox.store:os.fsync")
def _not_synced(right: Callable[[int], None], fd: int) -> None:
    pass


bug = Bug("a 404 on the way makes a new key", "network")


class _Forgotten(Exception):
    """The service knows nothing of a key; nobody in the program catches it."""


@contextlib.contextmanager
def _not_caught() -> Iterator[None]:
    from docsend.service.responses import UnknownSubmission

    try:
        yield
    except UnknownSubmission as unknown:
        raise _Forgotten from unknown


@bug.at("docsend.service.client:ServiceClient.put_document")
def _put_or_forgotten(
    right: Callable[..., None],
    self: ServiceClient,
    submission: Sendable,
    document: Document,
    content: bytes,
    *,
    may_be_received: bool,
) -> None:
    with _not_caught():
        right(self, submission, document, content, may_be_received=may_be_received)


@bug.at("docsend.service.client:ServiceClient.send")
def _sent_or_forgotten(right: Callable[..., Receipt], self: ServiceClient, submission: Sendable) -> Receipt:
    with _not_caught():
        return right(self, submission)


@bug.at("docsend.delivery.deliver:_run_staged_calls")
def _begun_under_a_new_key(
    right: Callable[..., Delivery],
    submission: CheckedSubmission,
    begin: OpenCall,
    cleared: Clearance,
    service: ServiceClient,
    ledger: Ledger,
) -> Delivery:
    from docsend.errors import Unfinished
    from docsend.i18n import Message

    def declare(*, may_be_received: bool) -> OpenSubmission | Receipt:
        return service.declare(submission, may_be_received=True)

    for _ in range(3):
        try:
            return right(submission, begin, cleared, service, ledger)
        except _Forgotten:
            submission = submission.with_occurrence(submission.occurrence + 1)
            ledger.record_plan(service.name, submission)
            begin = declare
    raise Unfinished(Message("the service keeps losing the declaration"))


bug = Bug("a further try sends the rest of the document only", "network")
_already: Counter[str] = Counter()


@bug.at("docsend.service.http:HttpClient._exchange_over")
def _the_rest_only(
    right: Callable[..., Response], self: HttpClient, connection: _Connection, exchange: Exchange
) -> Response:
    request = exchange.request
    whole = b"".join(request.body)
    if whole.startswith(b"%PDF"):
        exchange.request = request._replace(body=(whole[_already[request.path] :],))
        _already[request.path] += 1024
    return right(self, connection, exchange)


bug = Bug("redirects are followed", "network")


@bug.at("docsend.service.http:HttpClient.exchange")
def _followed(
    right: Callable[..., Response],
    self: HttpClient,
    request: Request,
    sent: Callable[[int], None] | None = None,
) -> Response:
    from urllib.parse import urlsplit

    from docsend.config.address import Endpoint
    from docsend.service.http import HttpClient

    response = right(self, request, sent)
    if 300 <= response.status < 400 and response.status != 304:
        there = urlsplit(response.headers["location"])
        url = f"{there.scheme}://{there.netloc}"
        response = right(HttpClient(Endpoint(url), url), request)
    return response


bug = Bug("the sandbox keeps a 5xx as its answer", "service errnos")


@bug.at("docsend.sandbox.app:Sandbox._respond")
async def _failed_once_and_for_all(
    right: Callable[..., Awaitable[Answer]], self: Sandbox, handler: object, request: Received
) -> Answer:
    from docsend.sandbox.middleware import problem_response
    from docsend.sandbox.problems import internal_error

    kept = Path(os.environ["FAULTS_FOLDER"], request.url.path.replace("/", "_"))
    if kept.exists():
        return problem_response(internal_error())
    answer = await right(self, handler, request)
    if answer.status_code >= 500:
        kept.touch()
    return answer


bug = Bug("the sandbox does not compare the digest of what arrived", "tampering")


class _LikeAnything(str):
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False


@bug.at("docsend.sandbox.arrival:receive_file")
async def _not_compared(
    right: Callable[..., Awaitable[None]],
    chunks: AsyncIterator[bytes],
    declared: DeclaredDocument,
    path: Path,
) -> None:
    from dataclasses import replace

    await right(chunks, replace(declared, sha256=_LikeAnything(declared.sha256)), path)


bug = Bug("a response is believed without its request's id", "network")


@bug.at("docsend.service.http:_Connection.check_request_id")
def _always_trusted(
    right: Callable[..., None], self: _Connection, echoed_id: str | None, asked_id: str
) -> None:
    self.is_trusted = True


bug = Bug("a response with two lengths is believed", "network")


@bug.at("docsend.service.http:_read_response")
def _first_length_believed(right: Callable[..., Response], received: httpx.Response, most: int) -> Response:
    raw = received.headers.raw
    lengths = [one for one in raw if one[0].lower() in (b"content-length", b"transfer-encoding")]
    others = [one for one in raw if one not in lengths]
    received.headers = type(received.headers)([*others, *lengths[:1]])
    return right(received, most)


bug = Bug("patience cuts a try that runs", "network")


@bug.at("docsend.service.client:ServiceClient._exchange")
def _no_longer_than_patience(right: Callable[..., Response], self: ServiceClient, *rest: object) -> Response:
    self._http._limits = self._http._limits._replace(grace_s=self._policy.total_s)
    return right(self, *rest)


bug = Bug("a page is a refusal whatever may have been received", "network")


@bug.at("docsend.service.failures:Failure.as_error")
def _refused_all_the_same(
    right: Callable[..., Exception], self: Failure, url: str, *, is_refusal: bool = False
) -> Exception:
    return right(self, url, is_refusal=self.is_lasting_refusal)


bug = Bug("a personal submission leaves before it is on the disk that it may have", "power")


@bug.at("docsend.storage.ledger:Ledger.record_sending")
def _noted_only(
    right: Callable[..., str], self: Ledger, service: str, key: str, *, is_durable: bool = False
) -> str:
    return right(self, service, key)


bug = Bug("staged after one exchange, it is forgotten that a try may have arrived", "network")


@bug.at("docsend.service.client:ServiceClient.send_in_one_exchange")
def _forgotten_when_staged(
    right: Callable[..., Delivery | StagedFallback],
    self: ServiceClient,
    checked: CheckedSubmission,
    contents: Sequence[bytes],
    *,
    may_be_received: bool,
) -> Delivery | StagedFallback:
    from docsend.service.one_exchange import StagedFallback

    sent = right(self, checked, contents, may_be_received=may_be_received)
    return sent._replace(may_be_received=False) if isinstance(sent, StagedFallback) else sent


bug = Bug("a receipt that somebody else got is called this sender's own", "kills")


@bug.at("docsend.service.reading:read_one_exchange")
def _always_new(
    right: Callable[..., tuple[Receipt, bool]], response: Response, checked: CheckedSubmission
) -> tuple[Receipt, bool]:
    receipt, _ = right(response, checked)
    return receipt, True


bug = Bug("a foreign answer says that nothing has arrived", "network")


@bug.at("docsend.service.attempts:may_have_been_received")
def _hides_nothing(right: Callable[..., bool], response: Response) -> bool:
    return False


bug = Bug("one exchange takes more parts than were declared", "forms")


@bug.at("docsend.sandbox.form:Form.end")
async def _whatever_comes(right: Callable[..., Awaitable[None]], self: Form) -> None:
    async for _ in self._events:
        pass


bug = Bug("what one exchange was refused with stays on the disk", "forms")
_never_ended: list[contextlib.AbstractContextManager[list[Path]]] = []


@bug.at("docsend.sandbox.store:Store.incoming_files")
@contextlib.contextmanager
def _never_removed(
    right: Callable[..., contextlib.AbstractContextManager[list[Path]]], self: Store, count: int = 1
) -> Iterator[list[Path]]:
    incoming = right(self, count)
    _never_ended.append(incoming)  # it would end with its last reference
    yield incoming.__enter__()


bug = Bug("a receipt is believed without looking whose it is", "network")


@bug.at("docsend.service.reading:_check_receipt")
def _of_anything(right: Callable[..., Receipt], submission: Sendable, receipt: Receipt) -> Receipt:
    return receipt


@bug.at("docsend.service.reading:_check_key")
def _of_any_key(right: Callable[..., Receipt], key: str, receipt: Receipt) -> Receipt:
    return receipt


bug = Bug("a repeated send is not replayed but makes another receipt", "network")


@bug.at("docsend.sandbox.app:Sandbox.send")
async def _never_replayed(
    right: Callable[..., Awaitable[Answer]], self: Sandbox, request: Received, body: Body
) -> Answer:
    from starlette.concurrency import run_in_threadpool

    from docsend.sandbox import residences
    from docsend.sandbox.app import _receipt_response

    submission_id = await self._id_for_request(request)
    await body.skip_unused()
    kept = await run_in_threadpool(self._store.status, submission_id)
    branch = self._catalog.branches[kept.branch or residences.DEFAULT_BRANCH]
    return _receipt_response(await run_in_threadpool(self._store.receive, submission_id, branch))


@bug.at("docsend.sandbox.store:Store._receive")
def _received_anew(
    right: Callable[..., bytes],
    self: Store,
    connection: sqlite3.Connection,
    submission_id: SubmissionId,
    branch: Branch,
) -> bytes:
    # The old receipt gives up its submission_id, and goes only when the new one has the next number.
    connection.execute("PRAGMA defer_foreign_keys = 1")
    connection.execute("UPDATE receipt SET key = '' WHERE owner = ? AND key = ?", submission_id)
    receipt = right(self, connection, submission_id, branch)
    connection.execute("DELETE FROM receipt WHERE key = ''")
    return receipt


bug = Bug("the session's token is written to the log", "personal kills")


@bug.at("docsend.service.http:HttpClient._run")
def _token_told(right: Callable[..., Response], self: HttpClient, exchange: Exchange) -> Response:
    token = dict(exchange.request.headers).get(b"Authorization", b"")
    sys.stderr.write(f"{token.decode()}\n")
    return right(self, exchange)


bug = Bug("a key that was withdrawn may be opened again", "stories")


@bug.at("docsend.sandbox.store:Store._find_declared")
def _withdrawn_for_a_while(
    right: Callable[..., StoredSubmission | None],
    self: Store,
    connection: sqlite3.Connection,
    submission_id: SubmissionId,
    canonical: bytes,
) -> StoredSubmission | None:
    connection.execute(
        "DELETE FROM submission WHERE owner = ? AND key = ? AND state = 'withdrawn'", submission_id
    )
    return right(self, connection, submission_id, canonical)


bug = Bug("what was received expires like what was not", "stories")


@bug.at("docsend.sandbox.store:Store._remove_expired")
def _received_expires(right: Callable[[Store], None], self: Store) -> None:
    with self.database.transaction() as connection:
        connection.execute("DELETE FROM receipt")
        connection.execute(
            "UPDATE submission SET state = 'open', expires_at = '2000' WHERE state = 'received'"
        )
    right(self)


bug = Bug("names of files reach the terminal as they are", "hostile")


@bug.at("docsend.text:escape_for_terminal")
def _as_it_is(right: Callable[[object], str], text: object) -> str:
    return str(text)
