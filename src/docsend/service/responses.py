"""What the service may respond with: the contract's problems, and what each response is read into."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from docsend.codes import Code
from docsend.service import json_object
from docsend.service.failures import ContractViolation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.model.receipt import Receipt
    from docsend.model.submission import CheckedSubmission, PlannedSubmission
    from docsend.service.json_object import JsonObject

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

    def json(self) -> JsonObject:
        return json_object.read(self.body)

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


class BodyAltered(ContractViolation):
    """The service got other bytes than were sent."""


_LONGEST_PAUSE_S = 10 * 365 * 24 * 3600


def retry_after(response: Response) -> float | None:
    """Return the seconds that the service asks to wait: RFC 9110, 10.2.3, a number or a date.

    A date is taken relative to the response's own Date, so that a wrong clock here does no harm.
    """
    given = response.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(min(int(given[:1000]), _LONGEST_PAUSE_S))
    if not given:
        return None
    from email.utils import parsedate_to_datetime

    try:
        until = parsedate_to_datetime(given)
        now = parsedate_to_datetime(response.headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
