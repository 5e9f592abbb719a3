"""The service's responses, read: each call's as a value or an error, all else as a breach of the contract.

Invariant 6: a response that the contract does not know, member by member, is a failure (`ContractViolation`),
whatever its status says. Nothing here makes a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from docsend import codes
from docsend.codes import Code
from docsend.errors import DocsendError, Refused, SignInNeeded, Unfinished, UsageFault
from docsend.i18n import Message
from docsend.model import fields
from docsend.model.canonical import canonical
from docsend.model.problem import Problem
from docsend.model.receipt import Receipt, ReceivedDocument
from docsend.model.required import RequiredDocument
from docsend.service import members
from docsend.service.failures import ContractViolation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.model.submission import CheckedSubmission, PlannedSubmission
    from docsend.service.members import Members

    # Nothing else can be sent: `submission_rules.check` makes the one, the ledger keeps the other of it.
    Sendable: TypeAlias = CheckedSubmission | PlannedSubmission

PROBLEM_TYPE = "urn:docsend:problem:"
# The contract's closed table of problems (docs/contract.md), each with the status that it comes with.
PROBLEMS: dict[Code, int] = {
    Code.ALREADY_RECEIVED: 409,
    Code.CONTENT_MISMATCH: 415,
    Code.DECLARATION_TOO_LARGE: 413,
    Code.DIGEST_MISMATCH: 400,
    Code.DOCUMENT_TOO_LARGE: 413,
    Code.FORMAT_NOT_ACCEPTED: 415,
    Code.HOST_NOT_SERVED: 421,
    Code.INCOMPLETE: 409,
    Code.INVALID: 422,
    Code.KEY_REUSED: 409,
    Code.LENGTH_REQUIRED: 411,
    Code.LOCKED_OUT: 429,
    Code.MALFORMED: 400,
    Code.MEDIA_TYPE_NOT_ACCEPTED: 415,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.NOT_FOUND: 404,
    Code.ONE_EXCHANGE_TOO_LARGE: 413,
    Code.ONLINE_FORM_REQUIRED: 422,
    Code.ORIGIN_NOT_ALLOWED: 403,
    Code.OWN_FAULT: 500,
    Code.REQUIRED_DOCUMENTS_PENDING: 422,
    Code.SIGN_IN_NEEDED: 401,
    Code.SIGN_IN_REFUSED: 401,
    Code.TOO_MANY_DOCUMENTS: 413,
    Code.TOO_SLOW: 408,
    Code.WITHDRAWN: 409,
}
_CODES = {f"{PROBLEM_TYPE}{code}": code for code in PROBLEMS}
# What is judged before the submission is looked at, and so says nothing about whether it was received.
_OF_THE_REQUEST = frozenset(
    {
        Code.MALFORMED,
        Code.LENGTH_REQUIRED,
        Code.METHOD_NOT_ALLOWED,
        Code.MEDIA_TYPE_NOT_ACCEPTED,
        Code.ORIGIN_NOT_ALLOWED,
    }
)
# What single calls alone are refused with, which read it before anything else does.
_OF_OTHER_CALLS = frozenset({Code.ALREADY_RECEIVED, Code.INCOMPLETE, Code.ONE_EXCHANGE_TOO_LARGE})
_LONGEST_SESSION_S = 10 * 365 * 24 * 3600
_SHORT_NAME = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(?:-[a-z0-9]+){0,9}")
_ETAG = re.compile(r'(?:W/)?"[!#-~]{1,200}"')
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,4000}=*")  # RFC 6750, 2.1
LONGEST_NUMBER, LONGEST_ISSUER, LONGEST_ID, _LONGEST_NAME = 64, 200, 100, 1024
_MOST_DOCUMENTS, _MOST_REQUIRED, _MOST_BYTES = 10_000, 1_000, 2**53 - 1
# Of what the service says to people; more is cut.
_LONGEST_DETAIL, _LONGEST_FIELD, _MOST_ERRORS = 300, 40, 20


class Response(NamedTuple):
    """A response of HTTP: status, headers by their names in small letters, body.

    `may_have_arrived_before` says that the request had gone before, over a connection that broke;
    `has_arrived_whole` that all of the request's body had left before the response came.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    may_have_arrived_before: bool = False
    has_arrived_whole: bool = True

    def json(self) -> Members:
        return members.read(self.body)

    @property
    def problem_code(self) -> Code | None:
        """The short name of an RFC 9457 problem of the contract, whole and with its own status; else None."""
        if self.headers.get("content-type", "").partition(";")[0].strip() != "application/problem+json":
            return None
        try:
            problem = self.json()
            problem.whole_number("status", self.status, self.status)
            kind = problem.text("type", 100)
        except ContractViolation:
            return None
        for_people = [problem.values.get(name) for name in ("title", "detail")]
        if not all(text and isinstance(text, str) for text in for_people):
            return None
        code = _CODES.get(kind)
        return code if code and PROBLEMS[code] == self.status else None


class OpenSubmission(NamedTuple):
    """The service has the declaration and wants these documents (SHA-256)."""

    missing: frozenset[str]


class SubmissionStatus(NamedTuple):
    """What the service says of a key: open, received or withdrawn."""

    state: str
    missing: frozenset[str]
    receipt: Receipt | None


class ServiceInfo(NamedTuple):
    """What a first look at a service shows: its catalog's version, and its Date header as it stands."""

    catalog_version: str
    date: str | None


class UnknownSubmission(Exception):
    """The service knows nothing (any more) of this key; it has to be declared again under the same one."""


class IncompleteSubmission(Exception):
    """The service was asked to receive a submission of which it lacks documents."""


class AlteredOnTheWay(ContractViolation):
    """The service got other bytes than were sent."""


# -- the calls without a key ---------------------------------------------------------------------------


def read_catalog(response: Response) -> tuple[bytes, str] | None:
    """Return the catalog's bytes and its ETag; None if it has not changed (304)."""
    if response.status == 304:
        return None
    _need_status(response, 200)
    etag = response.headers.get("etag", "")
    if not _ETAG.fullmatch(etag):
        raise ContractViolation(Message("a catalog without an ETag"))
    members.read(response.body)  # what is in it the catalog itself judges
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


def _not_let_in(code: Code, message: Message, hint: Message) -> SignInNeeded:
    return SignInNeeded(message, hint, [Problem(code, message, hint)])


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
    raise _unexpected(response)


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
            Code.WITHDRAWN, Message("the submission was withdrawn for good"), _CURES[Code.WITHDRAWN]
        )
        raise Refused(problem.message, problem.hint, [problem])
    if found.missing - {document.sha256 for document in submission.documents}:
        raise ContractViolation(Message("it asks for documents that were not declared"))
    return OpenSubmission(found.missing)


def read_put(response: Response) -> None:
    if response.status not in (201, 204):
        raise _unexpected(response)


def read_whole(response: Response, checked: CheckedSubmission) -> tuple[Receipt, bool]:
    """Return the receipt, and whether it is for this very request (201)."""
    if response.status not in (200, 201):
        raise _unexpected(response)
    return _of(checked, read_receipt(response.json())), response.status == 201


def read_send(response: Response, submission: Sendable) -> Receipt:
    if response.problem_code == Code.INCOMPLETE:
        response.json().digests("missing", _MOST_DOCUMENTS)
        raise IncompleteSubmission
    if response.status != 200:
        raise _unexpected(response)
    return _of(submission, read_receipt(response.json()))


def read_status(response: Response, key: str) -> SubmissionStatus:
    """Read what became of a key, in each of its three states as the contract has it."""
    if response.status not in (200, 201):
        raise _unexpected(response)
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


def read_receipt(receipt: Members) -> Receipt:
    """Read a receipt in the contract's form; raise ContractViolation for any other."""
    branch = receipt.members("branch")
    return Receipt(
        key=receipt.matching("key", members.KEY),
        number=receipt.printable("number", LONGEST_NUMBER),
        issuer=receipt.text("issuer", LONGEST_ISSUER),
        received_at=receipt.time("received_at"),
        branch_code=branch.code("code"),
        branch_names=branch.labels("name"),
        documents=tuple(
            ReceivedDocument(
                document.text("name", _LONGEST_NAME),
                document.whole_number("bytes", 1, _MOST_BYTES),
                document.matching("sha256", members.SHA256),
            )
            for document in receipt.each("documents", 1, _MOST_DOCUMENTS)
        ),
        body=_canonical(receipt),
    )


def _canonical(receipt: Members) -> bytes:
    """Return all of a receipt as it is kept; what the contract does not know in it may be no text at all."""
    try:
        return canonical(receipt.values)
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


# -- refusals ------------------------------------------------------------------------------------------


def _unexpected(response: Response) -> Exception:
    """Make the error for a response that is not a success: the contract's refusals, a page, or a breach."""
    code = response.problem_code
    if code is None or code in _OF_OTHER_CALLS:
        return ContractViolation(
            Message("{status}, and no problem that the contract has for this call", status=response.status)
        )
    if response.status == 401:
        return SignInNeeded(Message("the service asks for a sign-in"), Message("`docsend login` signs in"))
    if code == Code.NOT_FOUND:
        return UnknownSubmission()
    if code == Code.DIGEST_MISMATCH:  # the bytes were changed on the way: they may be sent again
        return AlteredOnTheWay(Message("the document arrived with other bytes"))
    return _refusal(response, code)


def _refusal(response: Response, code: Code) -> DocsendError:
    """Make the error of a refusal: of the host, of the request itself, or of the submission for good."""
    if code == Code.HOST_NOT_SERVED:
        return UsageFault(
            Message("the service says that it is not the host of this address"),
            Message("is the address right? A relay has to lead to a service that knows the name"),
            cause=code,
        )
    if code in _OF_THE_REQUEST:
        return Unfinished(
            Message("the service does not take the request itself: {code}", code=code),
            Message("docsend and the service do not fit together: please report it"),
            cause=code,
        )
    problems = _problems(response, code)
    return Refused(
        Message("the service refused: {message}", message=problems[0].message), problems[0].hint, problems
    )


_CURES = {
    Code.WITHDRAWN: Message("it was withdrawn for good; --again sends it as a new submission"),
    Code.KEY_REUSED: Message(
        "this is a fault of docsend or of the service: nothing was received, please report it"
    ),
}


def _problems(response: Response, code: Code) -> list[Problem]:
    """Return the findings of a refusal: one, or one for each entry of `errors`, as far as they are read."""
    raw = response.json()
    url = raw.values.get("url")
    cure = _CURES.get(code) or (_foreign(url) if isinstance(url, str) else None)
    if code != Code.INVALID:
        return [Problem(code, _foreign(raw.values["detail"]), cure)]
    errors = raw.each("errors", 1, _MOST_DOCUMENTS)
    problems = [
        Problem(
            codes.of_service(each.matching("code", _SHORT_NAME)),
            _foreign(each.for_people("detail")),
            cure,
            field=_field(each.values.get("pointer")),
        )
        for each in errors[:_MOST_ERRORS]
    ]
    if len(errors) > _MOST_ERRORS:
        more = Message("… and {count} more", count=len(errors) - _MOST_ERRORS)
        problems.append(Problem(code, more))
    return problems


def _foreign(text: str) -> Message:
    """Return what the service says to people, shortened."""
    return Message.verbatim(text if len(text) <= _LONGEST_DETAIL else text[:_LONGEST_DETAIL] + "…")


def _field(pointer: object) -> str | None:
    """Return the field that a JSON pointer (RFC 6901) into the declaration means: "/documents/0/name"."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        return None
    if known := fields.BY_POINTER.get(pointer):
        return known.name
    return pointer.split("/")[1][:_LONGEST_FIELD]


def retry_after(response: Response) -> float | None:
    """Return the seconds that the service asks to wait: RFC 9110, 10.2.3, a number or a date.

    A date is taken relative to the response's own Date, so that a wrong clock here does no harm.
    """
    stated = response.headers.get("retry-after", "").strip()
    if stated.isascii() and stated.isdigit():
        return float(min(int(stated[:1000]), _LONGEST_SESSION_S))
    if not stated:
        return None
    from email.utils import parsedate_to_datetime

    try:
        until = parsedate_to_datetime(stated)
        now = parsedate_to_datetime(response.headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
