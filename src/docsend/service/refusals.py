"""Exceptions for unsuccessful responses, including all refusals that the contract defines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docsend import codes
from docsend.codes import Code
from docsend.errors import DocsendError, Refused, SignInRequired, Unfinished, UsageError
from docsend.i18n import Message
from docsend.model import fields
from docsend.model.problem import Problem
from docsend.service.failures import ContractViolation
from docsend.service.responses import (
    BodyAltered,
    UnknownSubmission,
)

if TYPE_CHECKING:
    from docsend.service.responses import Response

_SHORT_NAME = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(?:-[a-z0-9]+){0,9}")
_MAX_ERRORS_READ = 10_000
# Limits on how much of the service's texts is shown.
_MAX_DETAIL_LENGTH, _MAX_FIELD_LENGTH, _MAX_ERRORS = 300, 40, 20
# Problems of the request itself. The service checks for them before it looks at the submission, so they do
# not show whether the submission was received.
_REQUEST_CODES = frozenset(
    {
        Code.MALFORMED,
        Code.LENGTH_REQUIRED,
        Code.METHOD_NOT_ALLOWED,
        Code.MEDIA_TYPE_NOT_ACCEPTED,
        Code.ORIGIN_NOT_ALLOWED,
    }
)
# Problems that only a particular call can cause, and that are handled before unexpected_response is called.
_OTHER_CALLS_CODES = frozenset({Code.ALREADY_RECEIVED, Code.INCOMPLETE, Code.ONE_EXCHANGE_TOO_LARGE})


def unexpected_response(response: Response) -> Exception:
    """Return the exception for an unsuccessful response.

    It is ContractViolation unless the response is a problem that the contract defines for this call.
    """
    code = response.problem_code
    if code is None or code in _OTHER_CALLS_CODES:
        return ContractViolation(
            Message("status {status} without a valid error description", status=response.status)
        )
    if response.status == 401:
        return SignInRequired(Message("the service requires sign-in"), Message("run `docsend login`"))
    if code == Code.NOT_FOUND:
        return UnknownSubmission()
    if code == Code.DIGEST_MISMATCH:  # altered in transit: it may be sent again
        return BodyAltered(Message("the document was altered in transit"))
    return _refusal(response, code)


def _refusal(response: Response, code: Code) -> DocsendError:
    """Return the error for a problem that refuses the host name, the request itself, or the submission."""
    if code == Code.HOST_NOT_SERVED:
        return UsageError(
            Message("the service does not recognize the host name in its address"),
            Message(
                "check the address; if a relay is used, ask whoever runs it whether the service accepts this "
                "host name"
            ),
            cause=code,
        )
    if code in _REQUEST_CODES:
        return Unfinished(
            Message("the service rejected the request as invalid: {code}", code=code),
            Message("docsend and the service are incompatible: please report it"),
            cause=code,
        )
    problems = _problems(response, code)
    return Refused(
        Message("the service refused: {message}", message=problems[0].message), problems[0].hint, problems
    )


HINTS = {
    Code.WITHDRAWN: Message(
        "to send it as a new submission, give the next occurrence, such as --occurrence 2"
    ),
    Code.KEY_REUSED: Message(
        "the service received nothing; please report this: it is a bug in docsend or in the service"
    ),
}


def _problems(response: Response, code: Code) -> list[Problem]:
    """Return a refusal's problems: a single one, or one for each of the first 20 entries of `errors`."""
    problem = response.json()
    url = problem.values.get("url")
    hint = HINTS.get(code) or (_service_text(url) if isinstance(url, str) else None)
    if code != Code.INVALID:
        return [Problem(code, _service_text(problem.values["detail"]), hint)]
    errors = problem.children("errors", 1, _MAX_ERRORS_READ)
    problems = [
        Problem(
            codes.from_service(error.matching("code", _SHORT_NAME)),
            _service_text(error.display_text("detail")),
            hint,
            field=_field_name(error.values.get("pointer")),
        )
        for error in errors[:_MAX_ERRORS]
    ]
    if len(errors) > _MAX_ERRORS:
        more = Message("… and {count} more", count=len(errors) - _MAX_ERRORS)
        problems.append(Problem(code, more))
    return problems


def _service_text(text: str) -> Message:
    """Return a text from the service as a message, shortened to 300 characters."""
    return Message.verbatim(text if len(text) <= _MAX_DETAIL_LENGTH else text[:_MAX_DETAIL_LENGTH] + "…")


def _field_name(pointer: object) -> str | None:
    """Return the name of the field that a JSON pointer (RFC 6901) into the declaration refers to.

    A pointer to no known field, such as "/documents/0/name", gives its first part, "documents". Return None
    for a value that is not a pointer.
    """
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        return None
    if field := fields.BY_POINTER.get(pointer):
        return field.name
    return pointer.split("/")[1][:_MAX_FIELD_LENGTH]
