"""The sandbox's HTTP API: one handler for each operation of openapi.yaml.

Every request is checked in the same order: `Host` and `Origin` (middleware.py), the token, the key, the type
and length of the body, the submission stored with this key, the rules, and the document's bytes.
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
from docsend.sandbox import declaration, form, residences, upload
from docsend.sandbox.body import (
    DOCUMENT,
    JSON,
    MAX_DISCARDED_BYTES,
    Body,
    discard_body,
    read_all,
    request_timeout,
)
from docsend.sandbox.form import Form
from docsend.sandbox.middleware import RequestChecks, problem_response
from docsend.sandbox.problems import Refusal, internal_error, not_found
from docsend.sandbox.store import SubmissionId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    _Handler: TypeAlias = Callable[[Request, Body], Awaitable[Response]]

    from docsend.sandbox.accounts import Account, Accounts
    from docsend.sandbox.store import Store, StoredSubmission

_KEY_PATTERN = re.compile(r"[A-Z2-7]{52}\Z")
_MAX_DECLARATION_BYTES = 2**20
_MAX_CREDENTIALS_BYTES = 4096
_MAX_FORM_OVERHEAD_BYTES = 2 * 2**20  # for the declaration and the headers of the parts


class Sandbox:
    """The service: a catalog, a store of submissions, the accounts, and a handler for each call."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        catalog_bytes: bytes,
        *,
        request_timeout: Callable[[int], float] = request_timeout,
    ) -> None:
        """Serve a store with the given catalog.

        `request_timeout` takes the size of a request's body in bytes and returns how many seconds the request
        may take.
        """
        self._store = store
        self._accounts = accounts
        self._catalog = Catalog(catalog_bytes)
        self._catalog_bytes = catalog_bytes
        self._etag = f'"{hashlib.sha256(catalog_bytes).hexdigest()[:32]}"'
        destinations = self._catalog.destinations.values()
        self._max_document_bytes = max(destination.max_document_bytes for destination in destinations)
        self._request_timeout = request_timeout

    def app(self) -> RequestChecks:
        """Return the ASGI application."""
        app = Starlette(
            routes=self.routes(),
            exception_handlers={404: _path_not_found, 405: _method_not_allowed, 500: _server_error},
        )
        app.router.redirect_slashes = False  # the contract has no redirects
        return RequestChecks(app)  # outermost, so that an internal error also repeats the Request-Id

    def routes(self) -> list[Route]:
        submission = "/v1/submissions/{key}"
        return [
            self._route("/v1/catalog", GET=self.catalog),
            self._route("/v1/session", POST=self.sign_in, DELETE=self.sign_out),
            self._route("/v1/required", GET=self.required),
            self._route(submission, PUT=self.declare, GET=self.status, DELETE=self.withdraw),
            self._route(f"{submission}/documents/{{sha256}}", PUT=self.put_document),
            self._route(f"{submission}/send", POST=self.send),
        ]

    # -- handlers ----------------------------------------------------------------------------------------

    async def catalog(self, request: Request, body: Body) -> Response:
        await body.skip_unused()
        headers = {"ETag": self._etag, "Cache-Control": "no-cache"}
        etags = request.headers.get("if-none-match", "")
        if etags == "*" or self._etag in [tag.strip().removeprefix("W/") for tag in etags.split(",")]:
            return Response(status_code=304, headers=headers)
        return Response(self._catalog_bytes, media_type="application/json", headers=headers)

    async def sign_in(self, _request: Request, body: Body) -> Response:
        body.require_media_type(JSON)
        code, password = _parse_credentials(await body.read(_MAX_CREDENTIALS_BYTES))
        token, expires_in = await run_in_threadpool(self._accounts.sign_in, code, password)
        return _json_response({"token": token, "expires_in": expires_in})

    async def sign_out(self, request: Request, body: Body) -> Response:
        await self._require_account(request)
        await body.skip_unused()
        await run_in_threadpool(self._accounts.sign_out, _bearer_token(request) or "")
        return Response(status_code=204)

    async def required(self, request: Request, body: Body) -> Response:
        account = await self._require_account(request)
        await body.skip_unused()
        pending = await run_in_threadpool(self._accounts.pending, account)
        return _json_response({"required": [{**document, "state": "pending"} for document in pending]})

    async def declare(self, request: Request, body: Body) -> Response:
        account = await self._authenticate(request)
        key = _submission_key(request)
        limit = self._catalog.one_exchange_bytes
        if body.media_type == form.MEDIA_TYPE and limit is not None:
            return await self._receive_in_one_exchange(body, account, key, limit)
        body.require_media_type(JSON if limit is None else (*JSON, form.MEDIA_TYPE))
        raw = declaration.parse(await body.read(_MAX_DECLARATION_BYTES))
        submission_id = await self._id_for_declaration(raw, account, key)
        stored = await run_in_threadpool(self._store.find_declared, submission_id, canonicalize(raw))
        if stored is not None and stored.state == "received":
            return _json_response(stored.body())
        try:
            validated, branch = await self._validate(raw, account, is_declared=stored is not None)
        except Refusal:
            if received := await self._find_received(submission_id, raw):
                return _json_response(received.body())
            raise
        opened, is_new = await run_in_threadpool(self._store.declare, submission_id, validated, branch)
        return _json_response(opened.body(), 201 if is_new else 200)

    async def _receive_in_one_exchange(
        self, body: Body, account: Account | None, key: str, limit: int
    ) -> Response:
        """Receive a submission in one exchange: the declaration, then its documents in order."""
        detail = f"one exchange accepts documents of at most {limit} bytes in total"
        too_large = Refusal(413, "one-exchange-too-large", detail)
        if body.require_length() > limit + _MAX_FORM_OVERHEAD_BYTES:
            raise too_large
        parts = Form(body)
        raw = declaration.parse(await read_all(parts.read_part("declaration"), _MAX_DECLARATION_BYTES))
        submission_id = await self._id_for_declaration(raw, account, key)
        if declaration.declared_bytes(raw) > limit:
            raise too_large
        stored = await run_in_threadpool(self._store.find_declared, submission_id, canonicalize(raw))
        if stored is not None and stored.receipt is not None:
            await body.drain()
            return _receipt_response(stored.receipt)
        try:
            validated, branch = await self._validate(raw, account, is_declared=stored is not None)
        except Refusal:
            if (received := await self._find_received(submission_id, raw)) and received.receipt:
                await body.drain()
                return _receipt_response(received.receipt)
            raise
        with self._store.incoming_files(len(validated.documents)) as files:
            for document, file in zip(validated.documents, files, strict=True):
                await upload.receive_file(parts.read_part("document"), document, file)
            await parts.end()
            receive = self._store.receive_in_one_exchange
            receipt, is_new = await run_in_threadpool(
                receive, submission_id, validated, self._catalog.branches[branch], files
            )
        return _receipt_response(receipt, 201 if is_new else 200)

    async def status(self, request: Request, body: Body) -> Response:
        submission_id = await self._id_for_request(request)
        await body.skip_unused()
        return _json_response((await run_in_threadpool(self._store.status, submission_id)).body())

    async def put_document(self, request: Request, body: Body) -> Response:
        submission_id, sha256 = await self._id_for_request(request), request.path_params["sha256"]
        if not declaration.SHA256.match(sha256):
            raise not_found()
        body.require_media_type(DOCUMENT)
        length = body.require_length()
        if length > self._max_document_bytes:
            raise Refusal(413, "document-too-large", "the document is larger than any destination accepts")
        expected = await run_in_threadpool(self._store.find_missing, submission_id, sha256)
        if expected is None:
            await body.drain()
            return Response(status_code=204)
        if length != expected.size:
            detail = (
                f"the document was declared with {expected.size} bytes, but the Content-Length is {length}"
            )
            raise Refusal(400, "digest-mismatch", detail)
        with self._store.incoming_files() as (file,):
            await upload.receive_file(body.iter_bytes(), expected, file)
            await run_in_threadpool(self._store.store_document, submission_id, sha256, file)
        return Response(status_code=201)

    async def send(self, request: Request, body: Body) -> Response:
        submission_id = await self._id_for_request(request)
        await body.skip_unused()
        stored = await run_in_threadpool(self._store.status, submission_id)
        receipt = stored.receipt
        if receipt is None:
            branch = self._catalog.branches[stored.branch or residences.DEFAULT_BRANCH]
            receipt = await run_in_threadpool(self._store.receive, submission_id, branch)
        return _receipt_response(receipt)

    async def withdraw(self, request: Request, body: Body) -> Response:
        submission_id = await self._id_for_request(request)
        await body.skip_unused()
        return _json_response((await run_in_threadpool(self._store.withdraw, submission_id)).body())

    # -- dispatch ----------------------------------------------------------------------------------------

    def _route(self, path: str, **handlers: _Handler) -> Route:
        """Return the route for a path, with one handler for each method."""

        async def respond(request: Request) -> Response:
            handler = handlers["GET" if request.method == "HEAD" else request.method]
            return await self._respond(handler, request)

        return Route(path, respond, methods=list(handlers))

    async def _respond(self, handler: _Handler, request: Request) -> Response:
        """Run a handler within the request's timeout, and return its response.

        Turn a Refusal, a timeout or a failure of the disk into a problem response.
        """
        body = Body(request)
        max_size = max(self._max_document_bytes, self._catalog.one_exchange_bytes or 0) + MAX_DISCARDED_BYTES
        size = _MAX_DECLARATION_BYTES if body.declared_size is None else min(body.declared_size, max_size)
        try:
            async with asyncio.timeout(self._request_timeout(size)):
                return await handler(request, body)
        except Refusal as refusal:
            return problem_response(refusal, body)
        except (TimeoutError, ClientDisconnect):
            return problem_response(Refusal(408, "too-slow", "the request did not arrive in time"))
        except (OSError, sqlite3.Error):  # the disk is full or broken; nothing was stored
            return problem_response(internal_error())
        except asyncio.CancelledError:  # the sandbox is shutting down and no longer waits for this request
            return problem_response(internal_error())

    async def _authenticate(self, request: Request) -> Account | None:
        """Return the account for the request's token, or None without a token.

        Raise Refusal with 401 if the token is invalid.
        """
        token = _bearer_token(request)
        return None if token is None else await run_in_threadpool(self._accounts.authenticate, token)

    async def _require_account(self, request: Request) -> Account:
        account = await self._authenticate(request)
        if account is None:
            raise Refusal(401, "sign-in-needed", "this call needs a session")
        return account

    async def _id_for_request(self, request: Request) -> SubmissionId:
        """Return the id of the submission that the request names.

        It is the account's own submission, or one that was sent without an account. Another account's
        submission is never found. The call then ends with a 404, as if the submission did not exist.
        """
        account = await self._authenticate(request)
        return await self._find_visible(account, _submission_key(request))

    async def _find_visible(self, account: Account | None, key: str) -> SubmissionId:
        if account is None:
            return SubmissionId("", key)
        own, open_ = SubmissionId(account.code, key), SubmissionId("", key)
        is_open = not await run_in_threadpool(self._store.exists, own)
        return open_ if is_open and await run_in_threadpool(self._store.exists, open_) else own

    async def _id_for_declaration(
        self, raw: dict[str, Any], account: Account | None, key: str
    ) -> SubmissionId:
        """Return the id to store a declaration with.

        Raise Refusal with 401 if the declaration needs a session and the request has none.
        """
        destination = declaration.find_destination(raw, self._catalog)
        if destination is None:  # an earlier catalog may have had it
            return await self._find_visible(account, key)
        if not destination.is_personal:
            return SubmissionId("", key)
        if account is None:
            raise Refusal(401, "sign-in-needed", "the personal service needs a session")
        return SubmissionId(account.code, key)

    async def _find_received(
        self, submission_id: SubmissionId, raw: dict[str, Any]
    ) -> StoredSubmission | None:
        """Return the submission if a concurrent attempt has completed it in the meantime, else None.

        The other attempt may be the reason why this one is refused. If the other attempt has delivered a
        required document, the account no longer has to send that document.
        """
        stored = await run_in_threadpool(self._store.find_declared, submission_id, canonicalize(raw))
        return stored if stored is not None and stored.state == "received" else None

    async def _validate(
        self, raw: dict[str, Any], account: Account | None, *, is_declared: bool
    ) -> tuple[declaration.Declaration, str]:
        """Check a declaration against the rules. Return it with the code of the branch that handles it.

        If `is_declared` is true, the declaration is already stored. It is then not checked against the
        account's required documents again.
        """
        validated = declaration.validate(raw, self._catalog)
        if not validated.is_personal or account is None:
            return validated, validated.branch or residences.branch_of(validated.resident)
        if not is_declared:
            pending = await run_in_threadpool(self._accounts.pending, account)
            declaration.check_required(validated, pending)
        return validated, account.residence


def _bearer_token(request: Request) -> str | None:
    """Return the token of `Authorization: Bearer ...` (RFC 6750, 2.1), or None if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _parse_credentials(body: bytes) -> tuple[str, str]:
    try:
        raw = json.loads(body.decode("utf-8"))
        texts = (raw["code"], raw["password"])
        is_valid = all(isinstance(text, str) and 0 < len(text.encode()) <= 200 for text in texts)
    except (ValueError, KeyError, TypeError, RecursionError):
        is_valid, texts = False, ("", "")
    if not is_valid:
        raise Refusal(400, "malformed", "the body must be a JSON object with code and password")
    return texts


def _submission_key(request: Request) -> str:
    key: str = request.path_params["key"]
    if not _KEY_PATTERN.match(key):
        raise not_found()
    return key


def _receipt_response(receipt: bytes, status: int = 200) -> Response:
    return Response(receipt, status, {"Cache-Control": "no-store"}, media_type="application/json")


def _json_response(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status_code=status, headers={"Cache-Control": "no-store"})


async def _path_not_found(request: Request, _error: Exception) -> Response:
    await discard_body(request)
    return problem_response(not_found())


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    await discard_body(request)
    answer = problem_response(Refusal(405, "method-not-allowed", "this address does not support this method"))
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def _server_error(_request: Request, _error: Exception) -> Response:
    return problem_response(internal_error())
