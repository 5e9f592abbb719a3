"""The sandbox's HTTP face: the calls of openapi.yaml, one function each.

Limits hold while bytes arrive, not after; a refusal that comes before the body is read lets the body pass
first, so that the sender gets to see the answer.
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

from docsend import disk
from docsend.sandbox import content, declaration, residences
from docsend.sandbox.problems import Refusal, not_found
from docsend.sandbox.store import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    _Call: TypeAlias = Callable[[Request], Awaitable[Response]]

    from docsend.catalog import Catalog
    from docsend.sandbox.accounts import Account, Accounts
    from docsend.sandbox.store import Store

_KEY = re.compile(r"[A-Z2-7]{52}\Z")
_MOST_DECLARATION = 2**20
_MOST_CREDENTIALS = 4096
_LETS_PASS = 16 * 2**20  # of a refused body, before the connection is closed instead
_SECONDS_TO_ARRIVE = 300


class Sandbox:
    """The service: a catalog, a store, and what to answer."""

    def __init__(self, store: Store, accounts: Accounts, catalog: Catalog, catalog_body: bytes) -> None:
        self._store = store
        self._accounts = accounts
        self._catalog = catalog
        self._catalog_body = catalog_body
        self._etag = f'"{hashlib.sha256(catalog_body).hexdigest()[:32]}"'

    def app(self) -> Starlette:
        submission = "/v1/submissions/{key}"
        app = Starlette(
            routes=[
                _route("/v1/catalog", GET=self.catalog),
                _route("/v1/session", POST=self.sign_in, DELETE=self.sign_out),
                _route("/v1/required", GET=self.required),
                _route(submission, PUT=self.declare, GET=self.standing, DELETE=self.withdraw),
                _route(f"{submission}/documents/{{sha256}}", PUT=self.put),
                _route(f"{submission}/send", POST=self.send),
            ],
            exception_handlers={404: _no_such_path, 405: _no_such_method, 500: _own_fault},
        )
        app.router.redirect_slashes = False  # the contract knows no redirect
        return app

    # -- the calls ---------------------------------------------------------------------------------------

    async def catalog(self, request: Request) -> Response:
        headers = {"ETag": self._etag, "Cache-Control": "no-cache"}
        known = request.headers.get("if-none-match", "")
        if known == "*" or self._etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]:
            return Response(status_code=304, headers=headers)
        return Response(self._catalog_body, media_type="application/json", headers=headers)

    async def sign_in(self, request: Request) -> Response:
        code, password = _credentials(await _body(request, _MOST_CREDENTIALS))
        token, expires_in = await run_in_threadpool(self._accounts.sign_in, code, password)
        return _json({"token": token, "expires_in": expires_in})

    async def sign_out(self, request: Request) -> Response:
        await self._signed_in(request)
        await run_in_threadpool(self._accounts.sign_out, _token(request) or "")
        return Response(status_code=204)

    async def required(self, request: Request) -> Response:
        account = await self._signed_in(request)
        pending = await run_in_threadpool(self._accounts.pending, account)
        return _json({"required": [{**asked, "state": "pending"} for asked in pending]})

    async def declare(self, request: Request) -> Response:
        key = _key(request)
        account = await self._signed_in(request) if _token(request) is not None else None
        body = await _body(request, _MOST_DECLARATION)
        read = declaration.read(body, self._catalog, is_signed_in=account is not None)
        if read.is_personal and account is not None:
            place, resides = Place(account.code, key), account.residence
            if not await run_in_threadpool(self._store.knows, place):
                pending = await run_in_threadpool(self._accounts.pending, account)
                declaration.refuse_what_is_not_required(read, pending)
        else:
            place, resides = Place("", key), residences.branch_of(read.resident)
        kept, is_new = await run_in_threadpool(self._store.declare, place, read, read.branch or resides)
        return _json(kept.body(), 201 if is_new else 200)

    async def standing(self, request: Request) -> Response:
        kept = await run_in_threadpool(self._store.standing, await self._place(request))
        return _json(kept.body())

    async def put(self, request: Request) -> Response:
        place, sha256 = await self._place(request), request.path_params["sha256"]
        if not declaration.SHA256.match(sha256):
            raise not_found()
        length = request.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refusal(411, "length-required", "a document is sent with its Content-Length")
        expected = await run_in_threadpool(self._store.expected, place, sha256)
        if expected is None:
            await _let_pass(request)
            return Response(status_code=204)
        name, size = expected
        if int(length) != size:
            if int(length) > max(known.max_document_bytes for known in self._catalog.destinations.values()):
                raise Refusal(413, "document-too-large", "larger than any document may be")
            raise Refusal(400, "digest-mismatch", f"{size} bytes were declared, {length} are announced")
        await self._take(request, place, sha256, name, size)
        return Response(status_code=201)

    async def send(self, request: Request) -> Response:
        place = await self._place(request)
        kept = await run_in_threadpool(self._store.standing, place)
        branch = self._catalog.branches[kept.branch or residences.ELSEWHERE]
        receipt = await run_in_threadpool(self._store.receive, place, branch)
        return Response(receipt, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def withdraw(self, request: Request) -> Response:
        kept = await run_in_threadpool(self._store.withdraw, await self._place(request))
        return _json(kept.body())

    # -- how ---------------------------------------------------------------------------------------------

    async def _signed_in(self, request: Request) -> Account:
        """Give the account whose token the request carries; refuse with 401 if it carries no good one."""
        token = _token(request)
        if token is None:
            raise Refusal(401, "sign-in-needed", "this call needs a session")
        return await run_in_threadpool(self._accounts.signed_in, token)

    async def _place(self, request: Request) -> Place:
        """Give the place that a request may see: its account's own, or what was sent without an account.

        What belongs to another account is looked for where it is not, and so answers like what never was.
        """
        key = _key(request)
        if _token(request) is None:
            return Place("", key)
        account = await self._signed_in(request)
        own, open_ = Place(account.code, key), Place("", key)
        is_open = not await run_in_threadpool(self._store.knows, own)
        return open_ if is_open and await run_in_threadpool(self._store.knows, open_) else own

    async def _take(self, request: Request, place: Place, sha256: str, name: str, size: int) -> None:
        """Write a document to the disk while it arrives; keep it only if it is what was declared."""
        part = self._store.incoming()
        digest, arrived, start = hashlib.sha256(), 0, b""
        try:
            # Buffered: a bare write may take less than it was given, and a disk that is nearly full does.
            with disk.create_private(part) as file:
                async for chunk in request.stream():
                    arrived += len(chunk)
                    if arrived > size:
                        raise Refusal(400, "digest-mismatch", "more bytes than were declared")
                    start = start or chunk[: content.LOOKS_AT]
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != sha256:
                raise Refusal(400, "digest-mismatch", "other bytes than were declared")
            if not content.is_what_it_says(name, start):
                raise Refusal(415, "content-mismatch", "the content is not what the extension says")
            if part.stat().st_size != size:
                raise _failed()
            await run_in_threadpool(self._store.keep, place, sha256, part)
        finally:
            part.unlink(missing_ok=True)


def _route(path: str, **calls: _Call) -> Route:
    """Give one address with the call that each of its methods makes."""

    async def answer(request: Request) -> Response:
        return await _answer(calls["GET" if request.method == "HEAD" else request.method], request)

    return Route(path, answer, methods=list(calls))


async def _answer(call: _Call, request: Request) -> Response:
    """Make a call's answer, within a time; a Refusal becomes its problem, after the body has passed."""
    try:
        async with asyncio.timeout(_SECONDS_TO_ARRIVE):
            try:
                return await call(request)
            except Refusal as refusal:
                await _let_pass(request)
                return _problem(refusal)
    except (TimeoutError, ClientDisconnect):
        return _problem(Refusal(408, "too-slow", "the request did not arrive in time"))
    except (OSError, sqlite3.Error):  # the disk is full or broken: nothing was kept
        return _problem(_failed())


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


async def _body(request: Request, at_most: int) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > at_most:
            raise Refusal(413, "declaration-too-large", f"this call takes at most {at_most} bytes")
    return body


async def _let_pass(request: Request) -> None:
    """Read what is still coming and forget it: an answer under a running upload would be lost in a reset."""
    passed = 0
    try:
        async for chunk in request.stream():
            passed += len(chunk)
            if passed > _LETS_PASS:
                return
    except (RuntimeError, ClientDisconnect):  # the body has been read already, or nobody is there any more
        return


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status_code=status, headers={"Cache-Control": "no-store"})


def _problem(refusal: Refusal) -> Response:
    return JSONResponse(
        refusal.body(),
        status_code=refusal.status,
        media_type="application/problem+json",
        headers={"Cache-Control": "no-store", **refusal.headers},
    )


async def _no_such_path(_request: Request, _error: Exception) -> Response:
    return _problem(not_found())


async def _no_such_method(_request: Request, error: Exception) -> Response:
    answer = _problem(Refusal(405, "method-not-allowed", "this address takes other methods"))
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def _own_fault(_request: Request, _error: Exception) -> Response:
    return _problem(_failed())


def _failed() -> Refusal:
    return Refusal(500, "own-fault", "the sandbox failed; the same request may be repeated")
