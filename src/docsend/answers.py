"""What a service answers, read: each answer of the contract as a value or an error, and all else a breach.

Invariant 6: an answer that the contract does not know is a failure (`NotTheContract`), whatever its status
says. Nothing here makes a request.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from docsend import receipts
from docsend.errors import Refused, SignInNeeded, Unfinished
from docsend.language import Phrase
from docsend.submission import Problem, Receipt, RequiredDocument, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.submission import CheckedSubmission, PlannedSubmission

    # Nothing else can be sent: `rules.check` makes the one, the ledger keeps the other of it.
    Sendable: TypeAlias = CheckedSubmission | PlannedSubmission

PROBLEM_TYPE = "urn:docsend:problem:"
_LONGEST_SESSION_S = 10 * 365 * 24 * 3600.0
_SHORT_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+){0,9}")


class Opened(NamedTuple):
    """The service has the declaration and wants these documents (SHA-256)."""

    missing: frozenset[str]


class Standing(NamedTuple):
    """What the service says of a key: open, received or withdrawn."""

    state: str
    missing: frozenset[str]
    receipt: Receipt | None


class Forgotten(Exception):
    """The service knows nothing (any more) of this key; it has to be declared again under the same one."""


class Incomplete(Exception):
    """The service was asked to receive a submission of which it lacks documents."""


class NotTheContract(Exception):
    """An answer that the contract does not know."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever the service wrote
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise NotTheContract(Phrase("{status} without JSON", status=self.status)) from None

    @property
    def problem_code(self) -> str | None:
        """The short name of an RFC 9457 problem of the contract."""
        if self.headers.get("content-type", "").partition(";")[0] != "application/problem+json":
            return None
        try:
            type_ = self.json()["type"]
        except (NotTheContract, TypeError, KeyError):
            return None
        known = isinstance(type_, str) and type_.startswith(PROBLEM_TYPE)
        return _code(type_.removeprefix(PROBLEM_TYPE)) if known else None


def _code(stated: object) -> str | None:
    """Give a short name as the contract has them; it goes into the ledger and into the JSON."""
    return stated if isinstance(stated, str) and _SHORT_NAME.fullmatch(stated) else None


def catalog(answer: Answer) -> tuple[bytes, str] | None:
    if answer.status == 304:
        return None
    etag = answer.headers.get("etag")
    if answer.status != 200:
        raise _no_such_call(answer)
    if not etag or not etag.isascii() or not etag.isprintable():
        raise NotTheContract(Phrase("a catalog without an ETag"))
    return answer.body, etag


class Look(NamedTuple):
    """What a first look at a service shows: its catalog's version, and its Date header as it stands."""

    catalog_version: str | None
    date: str | None


def look(answer: Answer) -> Look:
    if answer.status != 200:
        raise _no_such_call(answer)
    try:
        version = answer.json()["version"]
    except (KeyError, TypeError):
        raise NotTheContract(Phrase("not a catalog")) from None
    return Look(version if isinstance(version, str) else None, answer.headers.get("date"))


def session(answer: Answer) -> tuple[str, float]:
    if answer.status == 401:
        raise _not_let_in(
            "sign-in-refused",
            Phrase("the service refused code and password"),
            Phrase("`docsend login` signs in"),
        )
    if answer.status == 429:
        pause = retry_after(answer)
        hint = Phrase("try again in {pause:.0f} s", pause=pause) if pause else Phrase("try again later")
        raise _not_let_in(
            "locked-out", Phrase("the service takes no sign-in now: too many were refused"), hint
        )
    if answer.status != 200:
        raise Unfinished(
            Phrase("the service could not sign in: it answered {status}", status=answer.status),
            Phrase("try again later"),
        )
    raw = answer.json()
    try:
        token, expires_in = _text(raw["token"]), _session_seconds(raw["expires_in"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unfinished(
            Phrase("the service's answer to the sign-in is not what the contract says"), Phrase("try again")
        ) from None
    # Visible ASCII without blanks (RFC 6750, 2.1): nothing else may stand in a header.
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Unfinished(Phrase("the service gave a token that is none"), Phrase("try again"))
    return token, expires_in


def _session_seconds(stated: object) -> float:
    if not isinstance(stated, int | float) or not 0 < stated < _LONGEST_SESSION_S:  # nor `nan`
        raise ValueError("not a time")
    return float(stated)


def _not_let_in(code: str, message: str, hint: str) -> SignInNeeded:
    return SignInNeeded(message, hint, [Problem(code, message, hint)])


def signed_out(answer: Answer) -> None:
    if answer.status not in (204, 401):
        raise _no_such_call(answer)


def required(answer: Answer) -> tuple[RequiredDocument, ...]:
    if answer.status != 200:
        raise _no_such_call(answer)
    try:
        return tuple(
            RequiredDocument(
                id=_text(raw["id"]),
                subject=_text(raw["subject"]),
                category=_text(raw["category"]),
                type=_text(raw["type"]),
                titles={language: _text(raw["title"][language]) for language in ("he", "en", "fr")},
                due=_text(raw["due"]),
                state=_text(raw["state"]),
            )
            for raw in answer.json()["required"]
        )
    except (KeyError, TypeError):
        raise NotTheContract(Phrase("not a list of required documents")) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def opened(answer: Answer, checked: CheckedSubmission) -> Opened | Receipt:
    if answer.problem_code == "not-found":
        raise Unfinished(
            Phrase("the address answers, but takes no submissions"),
            Phrase("is it the service's base address?"),
        )
    return standing_of(answer, checked)


def standing_of(answer: Answer, submission: Sendable) -> Opened | Receipt:
    """Read what is missing of a submission, or its receipt; both must be of these very documents."""
    found = standing(answer, submission.key)
    if found.receipt is not None:
        return _of(submission, found.receipt)
    if found.state == "withdrawn":
        problem = Problem("withdrawn", Phrase("the submission was withdrawn for good"), _CURES["withdrawn"])
        raise Refused(problem.message, problem.hint, [problem])
    if found.missing - {document.sha256 for document in submission.documents}:
        raise NotTheContract(Phrase("it asks for documents that were not declared"))
    return Opened(found.missing)


def put(answer: Answer) -> None:
    if answer.status not in (201, 204):
        if answer.problem_code == "digest-mismatch":  # the bytes were changed on the way: send them again
            raise NotTheContract(Phrase("the document arrived with other bytes"))
        raise _not_expected(answer)


def received(answer: Answer, checked: Sendable) -> Receipt:
    if answer.problem_code == "incomplete":
        raise Incomplete
    if answer.status != 200:
        raise _not_expected(answer)
    try:
        return _of(checked, receipts.read(answer.body))
    except receipts.MalformedReceipt:
        raise NotTheContract(Phrase("not a receipt")) from None


def standing(answer: Answer, key: str) -> Standing:
    if answer.status not in (200, 201):
        raise _not_expected(answer)
    try:
        raw = answer.json()
        state, missing = raw["state"], frozenset(raw.get("missing", ()))
        receipt = receipts.read(canonical(raw["receipt"])) if state == "received" else None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise NotTheContract(Phrase("not the state of a submission")) from None
    if state not in ("open", "received", "withdrawn") or not all(
        isinstance(digest, str) for digest in missing
    ):
        raise NotTheContract(Phrase("not the state of a submission"))
    if receipt is not None and receipt.key != key:
        raise NotTheContract(Phrase("the receipt of another submission"))
    return Standing(state, missing, receipt)


def withdrawn(answer: Answer, key: str) -> Standing:
    """Read what became of a withdrawal: done, or too late, and then the receipt comes with the problem."""
    if answer.problem_code != "already-received":
        return standing(answer, key)
    try:
        receipt = receipts.read(canonical(answer.json()["receipt"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise NotTheContract(Phrase("not a receipt")) from None
    if receipt.key != key:
        raise NotTheContract(Phrase("the receipt of another submission"))
    return Standing("received", frozenset(), receipt)


def _of(checked: Sendable, receipt: Receipt) -> Receipt:
    """Hold a receipt against what was sent: it must be for this key, and for these very documents."""
    sent = [(document.name, document.size, document.sha256) for document in checked.documents]
    named = [(document.name, document.size, document.sha256) for document in receipt.documents]
    if receipt.key != checked.key or sent != named:
        raise NotTheContract(Phrase("the receipt of another submission"))
    return receipt


def _no_such_call(answer: Answer) -> Exception:
    """Give the error for an answer to a call without a key, where nothing can be forgotten."""
    if answer.problem_code == "not-found":
        return Unfinished(
            Phrase("the address answers, but does not know this call"),
            Phrase("is it the service's base address?"),
        )
    return _not_expected(answer)


def _not_expected(answer: Answer) -> Exception:
    """Give the error for an answer that is not a success: the contract's refusals, or a breach of it."""
    code = answer.problem_code
    if code is None:
        return NotTheContract(
            Phrase("{status}, and no problem that the contract knows", status=answer.status)
        )
    if answer.status == 401:
        return SignInNeeded(Phrase("the service asks for a sign-in"), Phrase("`docsend login` signs in"))
    if code == "not-found":
        return Forgotten()
    problems = _problems(answer, code)
    return Refused(
        Phrase("the service refused: {message}", message=problems[0].message), problems[0].hint, problems
    )


_CURES = {
    "withdrawn": Phrase("it was withdrawn for good; --again sends it as a new submission"),
    "key-reused": Phrase(
        "this is a fault of docsend or of the service: nothing was received, please report it"
    ),
}


def _problems(answer: Answer, code: str) -> list[Problem]:
    """Give the findings of a refusal: one, or one for each entry of `errors`."""
    raw = answer.json()
    cure = _CURES.get(code) or (raw["url"] if isinstance(raw.get("url"), str) else None)
    errors = raw.get("errors")
    if not isinstance(errors, list) or not errors:
        return [Problem(code, str(raw.get("detail") or raw.get("title") or code), cure)]
    return [
        Problem(
            _code(error.get("code")) or code,
            str(error.get("detail") or code),
            cure,
            field=_field(error.get("pointer")),
        )
        for error in errors
        if isinstance(error, dict)
    ] or [Problem(code, code, cure)]


def _field(pointer: object) -> str | None:
    """Give the option that a JSON pointer (RFC 6901) into the declaration speaks of: "/documents/0/name"."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        return None
    parts = pointer.split("/")
    name = parts[2] if parts[1] == "identity" and len(parts) > 2 else parts[1]
    return {"id_number": "id"}.get(name, name)


def retry_after(answer: Answer) -> float | None:
    """Give the seconds that the service asks to wait: RFC 9110, 10.2.3, a number or a date.

    A date is taken relative to the answer's own Date, so that a wrong clock here does no harm.
    """
    stated = answer.headers.get("retry-after", "").strip()
    if stated.isascii() and stated.isdigit():
        return float(stated[:9])
    if not stated:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - few services state a date

    try:
        until = parsedate_to_datetime(stated)
        now = parsedate_to_datetime(answer.headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
