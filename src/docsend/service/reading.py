"""Parsers for the service's responses. Each call has a function that returns a value or raises an error.

Invariant 6: if any member that is read violates the contract, the response is a failure
(`ContractViolation`), whatever its status. This module makes no requests.
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

_MAX_SESSION_S = 10 * 365 * 24 * 3600
_ETAG = re.compile(r'(?:W/)?"[!#-~]{1,200}"')
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,4000}=*")  # RFC 6750, 2.1
MAX_NUMBER_LENGTH, MAX_ISSUER_LENGTH, MAX_REQUIRED_ID_LENGTH, _MAX_NAME_LENGTH = 64, 200, 100, 1024
_MAX_DOCUMENTS, _MAX_REQUIRED, _MAX_BYTES = 10_000, 1_000, 2**53 - 1


# -- calls without a key -------------------------------------------------------------------------------


def read_catalog(response: Response) -> tuple[bytes, str] | None:
    """Return the catalog (JSON) and its ETag, or None if it has not changed (304)."""
    if response.status == 304:
        return None
    _expect_status(response, 200)
    etag = response.headers.get("etag", "")
    if not _ETAG.fullmatch(etag):
        raise ContractViolation(Message("the catalog has no valid ETag"))
    json_object.read(response.body)  # `model.catalog` checks the members
    return response.body, etag


def read_info(response: Response) -> ServiceInfo:
    """Return the version of the service's catalog and the Date field of the response."""
    _expect_status(response, 200)
    return ServiceInfo(response.json().text("version", 100), response.headers.get("date"))


def read_session(response: Response) -> tuple[str, float]:
    """Return a token and its lifetime in seconds. Raise SignInRequired if the service refuses the sign-in."""
    if response.status == 401:
        raise _sign_in_error(
            Code.SIGN_IN_REFUSED,
            Message("the service refused the code and password"),
            Message("run `docsend login`"),
        )
    if response.status == 429:
        pause = retry_after(response)
        hint = Message("try again in {pause:.0f} s", pause=pause) if pause else Message("try again later")
        raise _sign_in_error(
            Code.LOCKED_OUT, Message("the service has locked sign-in after too many failed attempts"), hint
        )
    if response.status >= 500:
        raise Unfinished(
            Message("sign-in failed: the service answered {status}", status=response.status),
            Message("try again later"),
        )
    _expect_status(response, 200)
    session = response.json()
    return (
        session.matching("token", _TOKEN),
        float(session.integer("expires_in", 1, _MAX_SESSION_S)),
    )


def _sign_in_error(code: Code, message: Message, hint: Message) -> SignInRequired:
    return SignInRequired(message, hint, [Problem(code, message, hint)])


def read_sign_out(response: Response) -> None:
    """Check that a session has ended."""
    if response.status != 401:  # 401 means that the session had already ended
        _expect_status(response, 204)


def read_required(response: Response) -> tuple[RequiredDocument, ...]:
    """Return the documents that the service requires from an account."""
    _expect_status(response, 200)
    pending = re.compile("pending")
    return tuple(
        RequiredDocument(
            id=document.text("id", MAX_REQUIRED_ID_LENGTH),
            subject=document.code("subject"),
            category=document.code("category"),
            type=document.code("type"),
            titles=document.labels("title"),
            due=document.day("due"),
            state=document.matching("state", pending),
        )
        for document in response.json().children("required", 0, _MAX_REQUIRED)
    )


def _expect_status(response: Response, expected: int) -> None:
    """Raise the exception for a response unless its status is `expected`.

    This is for calls without a key, for which a `not-found` problem means that the address is wrong.
    """
    if response.status == expected:
        return
    if response.problem_code == Code.NOT_FOUND:
        raise Unfinished(
            Message("the server at this address does not support this request"),
            Message("check the service's base address"),
        )
    raise unexpected_response(response)


# -- calls with a key ----------------------------------------------------------------------------------


def read_declare(response: Response, checked: CheckedSubmission) -> OpenSubmission | Receipt:
    """Return the documents that the service lacks of a declared submission, or its receipt."""
    if response.problem_code == Code.NOT_FOUND:
        raise Unfinished(
            Message("the server at this address does not accept submissions"),
            Message("check the service's base address"),
        )
    return read_submission(response, checked)


def read_submission(response: Response, submission: Sendable) -> OpenSubmission | Receipt:
    """Return the documents that the service lacks of a submission, or the submission's receipt.

    Raise ContractViolation if the documents or the receipt do not belong to the submission. Raise Refused if
    the submission was withdrawn.
    """
    status = read_status(response, submission.key)
    if status.receipt is not None:
        return _check_receipt(submission, status.receipt)
    if status.state == "withdrawn":
        problem = Problem(
            Code.WITHDRAWN, Message("the submission was permanently withdrawn"), HINTS[Code.WITHDRAWN]
        )
        raise Refused(problem.message, problem.hint, [problem])
    if status.missing - {document.sha256 for document in submission.documents}:
        raise ContractViolation(Message("it asks for documents that are not part of the submission"))
    return OpenSubmission(status.missing)


def read_put_document(response: Response) -> None:
    """Check that the service has a document: it was stored now (201) or earlier (204)."""
    if response.status not in (201, 204):
        raise unexpected_response(response)


def read_one_exchange(response: Response, checked: CheckedSubmission) -> tuple[Receipt, bool]:
    """Return the receipt, and whether the submission was received by this request (201)."""
    if response.status not in (200, 201):
        raise unexpected_response(response)
    return _check_receipt(checked, read_receipt(response.json())), response.status == 201


def read_send(response: Response, submission: Sendable) -> Receipt:
    """Return the receipt. Raise IncompleteSubmission if the service lacks documents."""
    if response.problem_code == Code.INCOMPLETE:
        response.json().digests("missing", _MAX_DOCUMENTS)
        raise IncompleteSubmission
    if response.status != 200:
        raise unexpected_response(response)
    return _check_receipt(submission, read_receipt(response.json()))


def read_status(response: Response, key: str) -> SubmissionStatus:
    """Return the state of the submission with this key: "open", "received" or "withdrawn".

    Raise ContractViolation unless the response has the JSON members that its state requires.
    """
    if response.status not in (200, 201):
        raise unexpected_response(response)
    status = response.json()
    state = status.text("state", 20)
    if state == "open":
        missing = status.digests("missing", _MAX_DOCUMENTS)
        status.code("branch")
        status.time("expires_at")
        status.check_null("receipt")
        return SubmissionStatus(state, missing, None)
    if state not in ("received", "withdrawn"):
        raise status.violation("state")
    status.array("missing", 0, 0)
    status.check_null("expires_at")
    if state == "withdrawn":
        if status.values.get("branch", "") is not None:
            status.code("branch")
        status.check_null("receipt")
        return SubmissionStatus(state, frozenset(), None)
    status.code("branch")
    return SubmissionStatus(state, frozenset(), _check_key(key, read_receipt(status.child("receipt"))))


def read_withdraw(response: Response, key: str) -> SubmissionStatus:
    """Return the state of the submission with this key after a withdrawal.

    If the submission has already been received, the response is the problem `already-received`. That problem
    contains the receipt.
    """
    if response.problem_code != Code.ALREADY_RECEIVED:
        return read_status(response, key)
    receipt = _check_key(key, read_receipt(response.json().child("receipt")))
    return SubmissionStatus("received", frozenset(), receipt)


def read_receipt(receipt: JsonObject) -> Receipt:
    """Return a receipt. Raise ContractViolation if it is malformed."""
    branch = receipt.child("branch")
    return Receipt(
        key=receipt.matching("key", json_object.KEY),
        number=receipt.printable("number", MAX_NUMBER_LENGTH),
        issuer=receipt.text("issuer", MAX_ISSUER_LENGTH),
        received_at=receipt.time("received_at"),
        branch_code=branch.code("code"),
        branch_names=branch.labels("name"),
        documents=tuple(
            ReceivedDocument(
                document.text("name", _MAX_NAME_LENGTH),
                document.integer("bytes", 1, _MAX_BYTES),
                document.matching("sha256", json_object.SHA256),
            )
            for document in receipt.children("documents", 1, _MAX_DOCUMENTS)
        ),
        body=_canonical_body(receipt),
    )


def _canonical_body(receipt: JsonObject) -> bytes:
    """Return a receipt as canonical JSON, the form in which it is stored.

    Raise ContractViolation if a value cannot be stored, such as a lone surrogate. Only members that the
    contract does not define can contain such values, because the others have been checked.
    """
    try:
        return canonicalize(receipt.values)
    except (ValueError, RecursionError):
        raise ContractViolation(Message("the receipt contains values that cannot be stored")) from None


def _check_key(key: str, receipt: Receipt) -> Receipt:
    if receipt.key != key:
        raise ContractViolation(Message("the receipt is for another submission"))
    return receipt


def _check_receipt(submission: Sendable, receipt: Receipt) -> Receipt:
    """Return the receipt. Raise ContractViolation unless it is for this submission's key and documents."""
    sent = [(document.name, document.size, document.sha256) for document in submission.documents]
    received = [(document.name, document.size, document.sha256) for document in receipt.documents]
    if sent != received:
        raise ContractViolation(Message("the receipt is for another submission"))
    return _check_key(submission.key, receipt)
