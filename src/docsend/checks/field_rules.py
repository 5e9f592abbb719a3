"""The rules of single fields: what a submission says in each must keep, and its normal form.

A rule is a function: what it compares, the code of its problem, the message and the cure, side by side. Each
appends what is wrong, and returns the normal form. `RULES` has them by the fields' names.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, TypeAlias

from docsend.codes import Code
from docsend.i18n import Message
from docsend.model.identity import EMPLOYER_KINDS, has_check_digit
from docsend.model.problem import Problem
from docsend.text import has_control_characters, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docsend.model.catalog import Catalog
    from docsend.model.identity import EmployerKind
    from docsend.model.submission import Submission

    Rule: TypeAlias = Callable[[Submission, Catalog, list[Problem]], Any]

Findings: TypeAlias = list[Problem]
_MOST_REQUIRED = 100  # characters of an id, as in openapi.yaml's RequiredId


def _id(submission: Submission, _catalog: Catalog, found: Findings) -> str:
    """Nine digits, the last of them a check digit. The number itself is never repeated."""
    if not submission.id:
        message = Message("the insured person's id number is not given")
        found.append(Problem(Code.ID_NUMBER_MISSING, message, Message("--id NUMBER")))
        return ""
    number = _digits(submission.id)
    if len(number) < 9 and number.isascii() and number.isdecimal():
        message = Message("an id number has 9 digits, this one has {count}", count=len(number))
        hint = Message("write it with its check digit and its leading zeros")
        found.append(Problem(Code.ID_NUMBER_INVALID, message, hint))
        return ""
    is_digits = number.isascii() and number.isdecimal() and number.strip("0")
    if len(number) != 9 or not is_digits or not has_check_digit(number):
        message = Message(
            "the id number is not one: it needs 9 digits, and the last must agree with the others"
        )
        hint = Message("compare it with the identity card; often two digits changed places")
        found.append(Problem(Code.ID_NUMBER_INVALID, message, hint))
    return number


def _known_kind(submission: Submission) -> EmployerKind | None:
    return next((kind for kind in EMPLOYER_KINDS if kind == (submission.employer_kind or "deduction")), None)


def _employer_kind(submission: Submission, _catalog: Catalog, found: Findings) -> EmployerKind | None:
    """One of three, of which the institute's page tells; without a word a deduction file."""
    kind = _known_kind(submission)
    if kind is None:
        hint = Message("one of: {choices}", choices=", ".join(EMPLOYER_KINDS))
        message = Message(
            "there is no kind of employer file {kind!r}", kind=redact(submission.employer_kind or "")
        )
        found.append(Problem(Code.UNKNOWN_EMPLOYER_KIND, message, hint))
    return kind


def _booklet(submission: Submission, _catalog: Catalog, found: Findings) -> str:
    """Seed: "le numéro d'identification du livret"; it works as a password."""
    booklet = (submission.booklet or "").strip()
    if not booklet:
        message = Message("the booklet's identification number is not given")
        hint = Message("--booklet NUMBER; it is printed on the vouchers of the booklet")
        found.append(Problem(Code.BOOKLET_MISSING, message, hint))
    elif not re.fullmatch(r"[0-9A-Za-z/-]{1,32}", booklet):
        message = Message("the booklet's identification number has characters that no such number has")
        hint = Message("digits, letters, - and / only, at most 32")
        found.append(Problem(Code.BOOKLET_INVALID, message, hint))
    return booklet


def _email(submission: Submission, _catalog: Catalog, found: Findings) -> str | None:
    """Seed: the e-mail is optional."""
    email = unicodedata.normalize("NFC", submission.email or "").strip() or None
    is_address = re.fullmatch(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+", email or "")
    if email and (has_control_characters(email) or not is_address):
        message = Message("the e-mail address is not one")
        found.append(Problem(Code.EMAIL_INVALID, message, Message("name@host.tld")))
    return email


def _employer_file(submission: Submission, _catalog: Catalog, found: Findings) -> str:
    """A deduction file has nine digits and begins with 9; of the other kinds no format is public.

    Seed: "le numéro de dossier".
    """
    number, kind = _digits(submission.employer_file or ""), _known_kind(submission)
    if not number:
        message = Message("the employer's file number is not given")
        found.append(Problem(Code.EMPLOYER_FILE_MISSING, message, Message("--employer-file NUMBER")))
    elif not (number.isascii() and number.isdecimal() and len(number) <= 20):
        message = Message("the employer's file number has other characters than digits, or more than 20")
        hint = Message("digits only, as on the booklet")
        found.append(Problem(Code.EMPLOYER_FILE_INVALID, message, hint))
    elif kind == "deduction" and len(number) != 9:
        message = Message("a deduction file number has 9 digits, this one has {count}", count=len(number))
        hint = Message("for another kind of file say --employer-kind household or building-committee")
        found.append(Problem(Code.EMPLOYER_FILE_INVALID, message, hint))
    elif kind == "deduction" and not _is_usual_deduction_file(number):
        message = Message(
            "deduction file numbers begin with 9 and end in a check digit, as far as is known; not this one"
        )
        found.append(Problem(Code.EMPLOYER_FILE_UNUSUAL, message, Message("compare it with the booklet")))
    return number


def _is_usual_deduction_file(number: str) -> bool:
    return number.startswith("9") and has_check_digit(number)


def _mobile(submission: Submission, _catalog: Catalog, found: Findings) -> str:
    """05 and eight digits; +972 and 00972 are the same number written for abroad."""
    number = re.sub(r"^(?:\+|00)972(?:\(?0\)?)?", "0", _digits(submission.mobile or ""))
    hint = Message("--mobile 05XXXXXXXX")
    if not number:
        found.append(Problem(Code.MOBILE_MISSING, Message("the mobile number is not given"), hint))
    elif not re.fullmatch(r"05[0-9]{8}", number):
        message = Message("the mobile number is not one: it needs 10 digits and begins with 05")
        found.append(Problem(Code.MOBILE_INVALID, message, hint))
    return number


def _digits(given: str) -> str:
    return given if given.isalnum() else re.sub(r"[\s-]", "", given)


# -- free text, and the number of the sending --------------------------------------------------------------


def _text(name: str, too_long: Code, at_most: Callable[[Catalog], int]) -> Rule:
    """Make the rule of a text: in NFC, without characters that a clerk's screen could take for commands."""

    def rule(submission: Submission, catalog: Catalog, found: Findings) -> str | None:
        given = getattr(submission, name)
        if not given:
            return None
        text = unicodedata.normalize("NFC", given).strip()
        if len(text) > at_most(catalog):
            message = Message(
                "{field} has {count} characters, {at_most} are taken",
                field=name,
                count=len(text),
                at_most=at_most(catalog),
            )
            found.append(Problem(too_long, message, Message("shorten it, or put it into a document")))
        if has_control_characters(text.replace("\n", "")):
            message = Message(
                "{field} has control characters or characters that reverse the reading direction", field=name
            )
            hint = Message("write it anew, as plain text")
            found.append(Problem(Code.TEXT_NOT_ACCEPTED, message, hint, field=name))
        return text or None

    return rule


_MOST_OCCURRENCES = 2**53 - 1


def _occurrence(submission: Submission, _catalog: Catalog, found: Findings) -> int:
    """A whole number from 1 that every JSON reader keeps exact (RFC 8259, 6); 1 if nobody says one."""
    given = submission.occurrence
    if given is None:
        return 1
    text = str(given).strip()
    number = int(text) if re.fullmatch(r"[0-9]{1,16}", text) else 0
    if 1 <= number <= _MOST_OCCURRENCES:
        return number
    if re.fullmatch(r"[0-9]{16,}", text):
        message = Message("the number of a sending is at most {most:,}", most=_MOST_OCCURRENCES)
    else:
        message = Message("{stated!r} is not the number of a sending", stated=redact(text[:20]))
    hint = Message("a whole number: 1, or 2 to send the same content a second time")
    found.append(Problem(Code.OCCURRENCE_INVALID, message, hint))
    return number


# The rules of single fields, by the fields' names. Each appends what is wrong, and returns the normal form.
RULES: Mapping[str, Rule] = {
    "id": _id,
    "employer_file": _employer_file,
    "employer_kind": _employer_kind,
    "booklet": _booklet,
    "mobile": _mobile,
    "email": _email,
    "remark": _text("remark", Code.REMARK_TOO_LONG, lambda catalog: catalog.texts.remark),
    "reference": _text("reference", Code.REFERENCE_TOO_LONG, lambda catalog: catalog.texts.reference),
    "required": _text("required", Code.REQUIRED_TOO_LONG, lambda _: _MOST_REQUIRED),
    "occurrence": _occurrence,
}
