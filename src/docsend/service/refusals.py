"""Responses that are no success: the refusals of the contract, each as the error that it stands for."""

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
_MOST_ERRORS_READ = 10_000
# Of what the service says to people; more is cut.
_LONGEST_DETAIL, _LONGEST_FIELD, _MOST_ERRORS = 300, 40, 20
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


def unexpected_response(response: Response) -> Exception:
    """Make the error for a response that is not a success: the contract's refusals, a page, or a breach."""
    code = response.problem_code
    if code is None or code in _OF_OTHER_CALLS:
        return ContractViolation(
            Message("{status}, and no problem that the contract has for this call", status=response.status)
        )
    if response.status == 401:
        return SignInRequired(Message("the service asks for a sign-in"), Message("`docsend login` signs in"))
    if code == Code.NOT_FOUND:
        return UnknownSubmission()
    if code == Code.DIGEST_MISMATCH:  # the bytes were changed on the way: they may be sent again
        return BodyAltered(Message("the document arrived with other bytes"))
    return _refusal(response, code)


def _refusal(response: Response, code: Code) -> DocsendError:
    """Make the error of a refusal: of the host, of the request itself, or of the submission for good."""
    if code == Code.HOST_NOT_SERVED:
        return UsageError(
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


HINTS = {
    Code.WITHDRAWN: Message("it was withdrawn for good; --again sends it as a new submission"),
    Code.KEY_REUSED: Message(
        "this is a fault of docsend or of the service: nothing was received, please report it"
    ),
}


def _problems(response: Response, code: Code) -> list[Problem]:
    """Return the findings of a refusal: one, or one for each entry of `errors`, as far as they are read."""
    raw = response.json()
    url = raw.values.get("url")
    cure = HINTS.get(code) or (_foreign(url) if isinstance(url, str) else None)
    if code != Code.INVALID:
        return [Problem(code, _foreign(raw.values["detail"]), cure)]
    errors = raw.each("errors", 1, _MOST_ERRORS_READ)
    problems = [
        Problem(
            codes.from_service(each.matching("code", _SHORT_NAME)),
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
