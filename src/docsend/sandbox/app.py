"""The sandbox's HTTP face: the calls of openapi.yaml, one function each.

Every call is judged in one order: `Host` and `Origin` (middleware.py), token, key, type and length of the
body, what is known under the key, rules, and the document's bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sqlite3
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from docsend.model.canonical import canonicalize
from docsend.model.catalog import Catalog
from docsend.sandbox import arrival, declaration, form, residences
from docsend.sandbox.body import DOCUMENT, JSON, MOST_DISCARDED, Body, discarded, gathered, time_allowed
from docsend.sandbox.form import Form
from docsend.sandbox.middleware import RequestChecks, problem
from docsend.sandbox.problems import Refusal, not_found, own_fault
from docsend.sandbox.store import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    _Call: TypeAlias = Callable[[Request, Body], Awaitable[Response]]

    from docsend.sandbox.accounts import Account, Accounts
    from docsend.sandbox.store import Kept, Store

_KEY = re.compile(r"[A-Z2-7]{52}\Z")
_MOST_DECLARATION = 2**20
_MOST_CREDENTIALS = 4096
_MOST_AROUND_DOCUMENTS = 2 * 2**20  # the declaration, and the headers of parts


class Sandbox:
    """The service: a catalog, a store, and what to answer."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        offered: bytes,
        *,
        time_allowed: Callable[[int], float] = time_allowed,
    ) -> None:
        """Serve a store under the catalog that is `offered`; `time_allowed` limits a request by its bytes."""
        self._store = store
        self._accounts = accounts
        self._catalog = Catalog(offered)
        self._offered = offered
        self._etag = f'"{hashlib.sha256(offered).hexdigest()[:32]}"'
        self._largest = max(known.max_document_bytes for known in self._catalog.destinations.values())
        self._time_allowed = time_allowed

    def app(self) -> RequestChecks:
        app = Starlette(
            routes=self.routes(),
            exception_handlers={404: _no_such_path, 405: _no_such_method, 500: _own_fault},
        )
        app.router.redirect_slashes = False  # the contract knows no redirect
        return RequestChecks(app)  # outermost, so that an own fault, too, repeats the Request-Id

    def routes(self) -> list[Route]:
        submission = "/v1/submissions/{key}"
        return [
            self._route("/v1/catalog", GET=self.catalog),
            self._route("/v1/session", POST=self.sign_in, DELETE=self.sign_out),
            self._route("/v1/required", GET=self.required),
            self._route(submission, PUT=self.declare, GET=self.standing, DELETE=self.withdraw),
            self._route(f"{submission}/documents/{{sha256}}", PUT=self.put),
            self._route(f"{submission}/send", POST=self.send),
        ]

    # -- the calls ---------------------------------------------------------------------------------------

    async def catalog(self, request: Request, body: Body) -> Response:
        await body.refuse_any()
        headers = {"ETag": self._etag, "Cache-Control": "no-cache"}
        known = request.headers.get("if-none-match", "")
        if known == "*" or self._etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]:
            return Response(status_code=304, headers=headers)
        return Response(self._offered, media_type="application/json", headers=headers)

    async def sign_in(self, _request: Request, body: Body) -> Response:
        body.refuse_types_but(JSON)
        code, password = _credentials(await body.whole(_MOST_CREDENTIALS))
        token, expires_in = await run_in_threadpool(self._accounts.sign_in, code, password)
        return _json({"token": token, "expires_in": expires_in})

    async def sign_out(self, request: Request, body: Body) -> Response:
        await self._signed_in(request)
        await body.refuse_any()
        await run_in_threadpool(self._accounts.sign_out, _token(request) or "")
        return Response(status_code=204)

    async def required(self, request: Request, body: Body) -> Response:
        account = await self._signed_in(request)
        await body.refuse_any()
        pending = await run_in_threadpool(self._accounts.pending, account)
        return _json({"required": [{**asked, "state": "pending"} for asked in pending]})

    async def declare(self, request: Request, body: Body) -> Response:
        account = await self._identified(request)
        key = _key(request)
        limit = self._catalog.one_exchange_bytes
        if body.media_type == form.MEDIA_TYPE and limit is not None:
            return await self._receive_whole(body, account, key, limit)
        body.refuse_types_but(JSON if limit is None else (*JSON, form.MEDIA_TYPE))
        raw = declaration.parsed(await body.whole(_MOST_DECLARATION))
        place = await self._place_of(raw, account, key)
        kept = await run_in_threadpool(self._store.declared, place, canonicalize(raw))
        if kept is not None and kept.state == "received":
            return _json(kept.body())
        try:
            read, branch = await self._judged(raw, account, is_known=kept is not None)
        except Refusal:
            if received := await self._received_meanwhile(place, raw):
                return _json(received.body())
            raise
        opened, is_new = await run_in_threadpool(self._store.declare, place, read, branch)
        return _json(opened.body(), 201 if is_new else 200)

    async def _receive_whole(self, body: Body, account: Account | None, key: str, limit: int) -> Response:
        """Receive a submission in one exchange: its declaration, then its documents in the same order."""
        too_large = Refusal(413, "one-exchange-too-large", f"documents of {limit} bytes are taken so")
        if body.length() > limit + _MOST_AROUND_DOCUMENTS:
            raise too_large
        parts = Form(body)
        raw = declaration.parsed(await gathered(parts.part("declaration"), _MOST_DECLARATION))
        place = await self._place_of(raw, account, key)
        if declaration.stated_bytes(raw) > limit:
            raise too_large
        kept = await run_in_threadpool(self._store.declared, place, canonicalize(raw))
        if kept is not None and kept.receipt is not None:
            await body.read_to_end()
            return _receipt(kept.receipt)
        try:
            read, branch = await self._judged(raw, account, is_known=kept is not None)
        except Refusal:
            if (received := await self._received_meanwhile(place, raw)) and received.receipt:
                await body.read_to_end()
                return _receipt(received.receipt)
            raise
        with self._store.incoming(len(read.documents)) as files:
            for document, file in zip(read.documents, files, strict=True):
                await arrival.write(parts.part("document"), document, file)
            await parts.end()
            handler = self._catalog.branches[branch]
            receive = self._store.receive_whole
            receipt, is_new = await run_in_threadpool(receive, place, read, handler, files)
        return _receipt(receipt, 201 if is_new else 200)

    async def standing(self, request: Request, body: Body) -> Response:
        place = await self._place(request)
        await body.refuse_any()
        return _json((await run_in_threadpool(self._store.standing, place)).body())

    async def put(self, request: Request, body: Body) -> Response:
        place, sha256 = await self._place(request), request.path_params["sha256"]
        if not declaration.SHA256.match(sha256):
            raise not_found()
        body.refuse_types_but(DOCUMENT)
        length = body.length()
        if length > self._largest:
            raise Refusal(413, "document-too-large", "larger than any document may be")
        expected = await run_in_threadpool(self._store.expected, place, sha256)
        if expected is None:
            await body.read_to_end()
            return Response(status_code=204)
        if length != expected.size:
            detail = f"{expected.size} bytes were declared, {length} are announced"
            raise Refusal(400, "digest-mismatch", detail)
        with self._store.incoming() as (file,):
            await arrival.write(body.pieces(), expected, file)
            await run_in_threadpool(self._store.keep, place, sha256, file)
        return Response(status_code=201)

    async def send(self, request: Request, body: Body) -> Response:
        place = await self._place(request)
        await body.refuse_any()
        kept = await run_in_threadpool(self._store.standing, place)
        receipt = kept.receipt
        if receipt is None:
            branch = self._catalog.branches[kept.branch or residences.ELSEWHERE]
            receipt = await run_in_threadpool(self._store.receive, place, branch)
        return _receipt(receipt)

    async def withdraw(self, request: Request, body: Body) -> Response:
        place = await self._place(request)
        await body.refuse_any()
        return _json((await run_in_threadpool(self._store.withdraw, place)).body())

    # -- how ---------------------------------------------------------------------------------------------

    def _route(self, path: str, **calls: _Call) -> Route:
        """Return one address with the call that each of its methods makes."""

        async def answer(request: Request) -> Response:
            call = calls["GET" if request.method == "HEAD" else request.method]
            return await self._answer(call, request)

        return Route(path, answer, methods=list(calls))

    async def _answer(self, call: _Call, request: Request) -> Response:
        """Make a call's answer, within its time; a Refusal becomes its problem."""
        body = Body(request)
        most = max(self._largest, self._catalog.one_exchange_bytes or 0) + MOST_DISCARDED
        size = _MOST_DECLARATION if body.stated_size is None else min(body.stated_size, most)
        try:
            async with asyncio.timeout(self._time_allowed(size)):
                return await call(request, body)
        except Refusal as refusal:
            return problem(refusal, body)
        except (TimeoutError, ClientDisconnect):
            return problem(Refusal(408, "too-slow", "the request did not arrive in time"))
        except (OSError, sqlite3.Error):  # the disk is full or broken: nothing was kept
            return problem(own_fault())
        except asyncio.CancelledError:  # the sandbox ends, and waits for this request no longer
            return problem(own_fault())

    async def _identified(self, request: Request) -> Account | None:
        """Return the account that the request's token stands for, None without one; refuse a bad token."""
        token = _token(request)
        return None if token is None else await run_in_threadpool(self._accounts.signed_in, token)

    async def _signed_in(self, request: Request) -> Account:
        account = await self._identified(request)
        if account is None:
            raise Refusal(401, "sign-in-needed", "this call needs a session")
        return account

    async def _place(self, request: Request) -> Place:
        """Return where the request's key is kept: with its account, or with what was sent without one.

        Another account's submission yields 404, as if it did not exist.
        """
        account = await self._identified(request)
        return await self._visible(account, _key(request))

    async def _visible(self, account: Account | None, key: str) -> Place:
        if account is None:
            return Place("", key)
        own, open_ = Place(account.code, key), Place("", key)
        is_open = not await run_in_threadpool(self._store.knows, own)
        return open_ if is_open and await run_in_threadpool(self._store.knows, open_) else own

    async def _place_of(self, raw: dict[str, Any], account: Account | None, key: str) -> Place:
        """Return where a declaration belongs; refuse with 401 a personal one without a session."""
        destination = declaration.destination_of(raw, self._catalog)
        if destination is None:  # it may have been one in an earlier catalog
            return await self._visible(account, key)
        if not destination.is_personal:
            return Place("", key)
        if account is None:
            raise Refusal(401, "sign-in-needed", "the personal service needs a session")
        return Place(account.code, key)

    async def _received_meanwhile(self, place: Place, raw: dict[str, Any]) -> Kept | None:
        """Return what another try of the same has brought to its receipt since it was looked for.

        That try may be what broke the rule: the required document that both answer is asked for no more.
        """
        kept = await run_in_threadpool(self._store.declared, place, canonicalize(raw))
        return kept if kept is not None and kept.state == "received" else None

    async def _judged(
        self, raw: dict[str, Any], account: Account | None, *, is_known: bool
    ) -> tuple[declaration.Declaration, str]:
        """Hold a declaration against the rules; return it with the branch that handles it."""
        read = declaration.read(raw, self._catalog)
        if not read.is_personal or account is None:
            return read, read.branch or residences.branch_of(read.resident)
        if not is_known:
            pending = await run_in_threadpool(self._accounts.pending, account)
            declaration.refuse_what_is_not_required(read, pending)
        return read, account.residence


def _token(request: Request) -> str | None:
    """Give the token of `Authorization: Bearer ...` (RFC 6750, 2.1)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _credentials(body: bytes) -> tuple[str, str]:
    try:
        raw = json.loads(body.decode("utf-8"))
        texts = (raw["code"], raw["password"])
        is_good = all(isinstance(text, str) and 0 < len(text.encode()) <= 200 for text in texts)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_good, texts = False, ("", "")
    if not is_good:
        raise Refusal(400, "malformed", "the body is not {code, password}")
    return texts


def _key(request: Request) -> str:
    key: str = request.path_params["key"]
    if not _KEY.match(key):
        raise not_found()
    return key


def _receipt(receipt: bytes, status: int = 200) -> Response:
    return Response(receipt, status, {"Cache-Control": "no-store"}, media_type="application/json")


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status_code=status, headers={"Cache-Control": "no-store"})


async def _no_such_path(request: Request, _error: Exception) -> Response:
    await discarded(request)
    return problem(not_found())


async def _no_such_method(request: Request, error: Exception) -> Response:
    await discarded(request)
    answer = problem(Refusal(405, "method-not-allowed", "this address takes other methods"))
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def _own_fault(_request: Request, _error: Exception) -> Response:
    return problem(own_fault())
