"""The service's responses, read: each call's as a value or an error, all else as a breach of the contract.

Invariant 6: a response that the contract does not know, member by member, is a failure (`ContractViolation`),
whatever its status says. Nothing here makes a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.errors import Refused, SignInRequired, Unfinished
from docsend.i18n import Message
from docsend.model.canonical import canonicalize
from docsend.model.problem import Problem
from docsend.model.receipt import Receipt, ReceivedDocument
from docsend.model.required import RequiredDocument
from docsend.service import json_object
from docsend.service.failures import ContractViolation
from docsend.service.refusals import HINTS, unexpected_response
from docsend.service.responses import (
    IncompleteSubmission,
    OpenSubmission,
    ServiceInfo,
    SubmissionStatus,
    retry_after,
)

if TYPE_CHECKING:
    from docsend.model.submission import CheckedSubmission
    from docsend.service.json_object import JsonObject
    from docsend.service.responses import Response, Sendable

_LONGEST_SESSION_S = 10 * 365 * 24 * 3600
_SHORT_NAME = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(?:-[a-z0-9]+){0,9}")
_ETAG = re.compile(r'(?:W/)?"[!#-~]{1,200}"')
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,4000}=*")  # RFC 6750, 2.1
LONGEST_NUMBER, LONGEST_ISSUER, LONGEST_ID, _LONGEST_NAME = 64, 200, 100, 1024
_MOST_DOCUMENTS, _MOST_REQUIRED, _MOST_BYTES = 10_000, 1_000, 2**53 - 1


# -- the calls without a key ---------------------------------------------------------------------------


def read_catalog(response: Response) -> tuple[bytes, str] | None:
    """Return the catalog's bytes and its ETag; None if it has not changed (304)."""
    if response.status == 304:
        return None
    _need_status(response, 200)
    etag = response.headers.get("etag", "")
    if not _ETAG.fullmatch(etag):
        raise ContractViolation(Message("a catalog without an ETag"))
    json_object.read(response.body)  # what is in it the catalog itself judges
    return response.body, etag


def read_info(response: Response) -> ServiceInfo:
    _need_status(response, 200)
    return ServiceInfo(response.json().text("version", 100), response.headers.get("date"))


def read_session(response: Response) -> tuple[str, float]:
    """Return a token and the seconds that it is good for; raise SignInNeeded if the service refuses."""
    if response.status == 401:
        raise _not_let_in(
            Code.SIGN_IN_REFUSED,
            Message("the service refused code and password"),
            Message("`docsend login` signs in"),
        )
    if response.status == 429:
        pause = retry_after(response)
        hint = Message("try again in {pause:.0f} s", pause=pause) if pause else Message("try again later")
        raise _not_let_in(
            Code.LOCKED_OUT, Message("the service takes no sign-in now: too many were refused"), hint
        )
    if response.status >= 500:
        raise Unfinished(
            Message("the service could not sign in: it answered {status}", status=response.status),
            Message("try again later"),
        )
    _need_status(response, 200)
    session = response.json()
    return (
        session.matching("token", _TOKEN),
        float(session.whole_number("expires_in", 1, _LONGEST_SESSION_S)),
    )


def _not_let_in(code: Code, message: Message, hint: Message) -> SignInRequired:
    return SignInRequired(message, hint, [Problem(code, message, hint)])


def read_sign_out(response: Response) -> None:
    if response.status != 401:  # then the session had ended by itself
        _need_status(response, 204)


def read_required(response: Response) -> tuple[RequiredDocument, ...]:
    _need_status(response, 200)
    pending = re.compile("pending")
    return tuple(
        RequiredDocument(
            id=each.text("id", LONGEST_ID),
            subject=each.code("subject"),
            category=each.code("category"),
            type=each.code("type"),
            titles=each.labels("title"),
            due=each.day("due"),
            state=each.matching("state", pending),
        )
        for each in response.json().each("required", 0, _MOST_REQUIRED)
    )


def _need_status(response: Response, expected: int) -> None:
    """Raise the error of a response to a call without a key, where nothing can be forgotten."""
    if response.status == expected:
        return
    if response.problem_code == Code.NOT_FOUND:
        raise Unfinished(
            Message("the address answers, but does not know this call"),
            Message("is it the service's base address?"),
        )
    raise unexpected_response(response)


# -- the calls of a submission -------------------------------------------------------------------------


def read_declare(response: Response, checked: CheckedSubmission) -> OpenSubmission | Receipt:
    if response.problem_code == Code.NOT_FOUND:
        raise Unfinished(
            Message("the address answers, but takes no submissions"),
            Message("is it the service's base address?"),
        )
    return read_status_of(response, checked)


def read_status_of(response: Response, submission: Sendable) -> OpenSubmission | Receipt:
    """Read what is missing of a submission, or its receipt; both must be of these very documents."""
    found = read_status(response, submission.key)
    if found.receipt is not None:
        return _of(submission, found.receipt)
    if found.state == "withdrawn":
        problem = Problem(
            Code.WITHDRAWN, Message("the submission was withdrawn for good"), HINTS[Code.WITHDRAWN]
        )
        raise Refused(problem.message, problem.hint, [problem])
    if found.missing - {document.sha256 for document in submission.documents}:
        raise ContractViolation(Message("it asks for documents that were not declared"))
    return OpenSubmission(found.missing)


def read_put(response: Response) -> None:
    if response.status not in (201, 204):
        raise unexpected_response(response)


def read_whole(response: Response, checked: CheckedSubmission) -> tuple[Receipt, bool]:
    """Return the receipt, and whether it is for this very request (201)."""
    if response.status not in (200, 201):
        raise unexpected_response(response)
    return _of(checked, read_receipt(response.json())), response.status == 201


def read_send(response: Response, submission: Sendable) -> Receipt:
    if response.problem_code == Code.INCOMPLETE:
        response.json().digests("missing", _MOST_DOCUMENTS)
        raise IncompleteSubmission
    if response.status != 200:
        raise unexpected_response(response)
    return _of(submission, read_receipt(response.json()))


def read_status(response: Response, key: str) -> SubmissionStatus:
    """Read what became of a key, in each of its three states as the contract has it."""
    if response.status not in (200, 201):
        raise unexpected_response(response)
    status = response.json()
    state = status.text("state", 20)
    if state == "open":
        missing = status.digests("missing", _MOST_DOCUMENTS)
        status.code("branch")
        status.time("expires_at")
        status.null("receipt")
        return SubmissionStatus(state, missing, None)
    if state not in ("received", "withdrawn"):
        raise status.refusal("state")
    status.list_of("missing", 0, 0)
    status.null("expires_at")
    if state == "withdrawn":
        if status.values.get("branch", "") is not None:
            status.code("branch")
        status.null("receipt")
        return SubmissionStatus(state, frozenset(), None)
    status.code("branch")
    return SubmissionStatus(state, frozenset(), _of_key(key, read_receipt(status.members("receipt"))))


def read_withdraw(response: Response, key: str) -> SubmissionStatus:
    """Read what became of a withdrawal: done, or too late, and then the receipt comes with the problem."""
    if response.problem_code != Code.ALREADY_RECEIVED:
        return read_status(response, key)
    receipt = _of_key(key, read_receipt(response.json().members("receipt")))
    return SubmissionStatus("received", frozenset(), receipt)


def read_receipt(receipt: JsonObject) -> Receipt:
    """Read a receipt in the contract's form; raise ContractViolation for any other."""
    branch = receipt.members("branch")
    return Receipt(
        key=receipt.matching("key", json_object.KEY),
        number=receipt.printable("number", LONGEST_NUMBER),
        issuer=receipt.text("issuer", LONGEST_ISSUER),
        received_at=receipt.time("received_at"),
        branch_code=branch.code("code"),
        branch_names=branch.labels("name"),
        documents=tuple(
            ReceivedDocument(
                document.text("name", _LONGEST_NAME),
                document.whole_number("bytes", 1, _MOST_BYTES),
                document.matching("sha256", json_object.SHA256),
            )
            for document in receipt.each("documents", 1, _MOST_DOCUMENTS)
        ),
        body=_canonical(receipt),
    )


def _canonical(receipt: JsonObject) -> bytes:
    """Return all of a receipt as it is kept; what the contract does not know in it may be no text at all."""
    try:
        return canonicalize(receipt.values)
    except (ValueError, RecursionError):
        raise ContractViolation(Message("a receipt that cannot be kept")) from None


def _of_key(key: str, receipt: Receipt) -> Receipt:
    if receipt.key != key:
        raise ContractViolation(Message("the receipt of another submission"))
    return receipt


def _of(submission: Sendable, receipt: Receipt) -> Receipt:
    """Hold a receipt against what was sent: it must be for this key, and for these very documents."""
    sent = [(document.name, document.size, document.sha256) for document in submission.documents]
    named = [(document.name, document.size, document.sha256) for document in receipt.documents]
    if sent != named:
        raise ContractViolation(Message("the receipt of another submission"))
    return _of_key(submission.key, receipt)
