"""The service's responses: the problems that the contract defines, and the values parsed from responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from docsend.codes import Code
from docsend.service import json_object
from docsend.service.failures import ContractViolation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.i18n import Message
    from docsend.model.receipt import Receipt
    from docsend.model.submission import CheckedSubmission, PlannedSubmission
    from docsend.service.json_object import JsonObject

    # Only these can be sent. `submission_rules.check` creates a CheckedSubmission. Once a submission is
    # recorded, the ledger returns it as a PlannedSubmission.
    Sendable: TypeAlias = CheckedSubmission | PlannedSubmission

PROBLEM_TYPE = "urn:docsend:problem:"
# All problems that the contract defines (docs/contract.md), each with its status.
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
    """An HTTP response: status, header fields keyed by lower-case name, and body.

    `may_have_arrived_before` is true if the request may already have arrived over an earlier connection that
    was lost. `is_request_complete` is true if the request was sent completely before the response arrived.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    may_have_arrived_before: bool = False
    is_request_complete: bool = True

    def json(self) -> JsonObject:
        """Return the JSON object in the body. Raise ContractViolation if there is none."""
        return json_object.read(self.body)

    @property
    def problem_code(self) -> Code | None:
        """Code of the problem in the body (RFC 9457), or None.

        It is None unless the problem is complete and has the status that the contract assigns to it.
        """
        if self.headers.get("content-type", "").partition(";")[0].strip() != "application/problem+json":
            return None
        try:
            problem = self.json()
            problem.integer("status", self.status, self.status)
            problem_type = problem.text("type", 100)
        except ContractViolation:
            return None
        texts = [problem.values.get(name) for name in ("title", "detail")]
        if not all(text and isinstance(text, str) for text in texts):
            return None
        code = _CODES.get(problem_type)
        return code if code and PROBLEMS[code] == self.status else None


class OpenSubmission(NamedTuple):
    """A submission that was declared but not received yet.

    `missing` contains the digests of the documents that the service lacks.
    """

    missing: frozenset[str]


class SubmissionStatus(NamedTuple):
    """The state of one submission at the service: "open", "received" or "withdrawn".

    `missing` contains the digests of the documents that the service lacks.
    """

    state: str
    missing: frozenset[str]
    receipt: Receipt | None


class ServiceInfo(NamedTuple):
    """Version of a service's catalog, and the unparsed Date field of the response."""

    catalog_version: str
    date: str | None


class UnknownSubmission(Exception):
    """Raised when the service does not know a key, or no longer knows it.

    The submission has to be declared again under the same key.
    """


class IncompleteSubmission(Exception):
    """Raised when the service is asked to receive a submission of which it lacks documents."""


class BodyAltered(ContractViolation):
    """Raised when the service did not receive the same bytes that were sent."""

    def __init__(self, reason: Message) -> None:
        super().__init__(reason)
        # The response itself is valid.
        self.failure = self.failure._replace(message=reason)


_MAX_RETRY_AFTER_S = 10 * 365 * 24 * 3600


def retry_after(response: Response) -> float | None:
    """Return the seconds to wait according to Retry-After (RFC 9110, 10.2.3).

    Return None if the field is missing or invalid. A date is compared with the response's own Date field, so
    that the result does not depend on this machine's clock.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(min(int(value[:1000]), _MAX_RETRY_AFTER_S))
    if not value:
        return None
    from email.utils import parsedate_to_datetime

    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(response.headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
