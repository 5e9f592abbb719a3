"""Rules for single fields.

A rule is a function that appends a `Problem` for each violation and returns the field's value in normal form.
Each function keeps the comparison, the problem code, the message and the hint together. `RULES` maps field
names to rules. Rules that need the catalog's codes are in `submission_rules`.
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

Problems: TypeAlias = list[Problem]
_MAX_REQUIRED_LENGTH = 100  # characters, as for RequiredId in openapi.yaml


def _check_id(submission: Submission, _catalog: Catalog, problems: Problems) -> str:
    """Check the insured person's id number: nine digits, the last of which is a check digit.

    Source: "saisissez les données d'identification de l'assuré" (enter the identification details of the
    insured person). Messages never contain the number.
    """
    if not submission.id:
        message = Message("no id number given for the insured person")
        problems.append(Problem(Code.ID_NUMBER_MISSING, message, Message("give --id NUMBER")))
        return ""
    number = _without_separators(submission.id)
    if len(number) < 9 and number.isascii() and number.isdecimal():
        message = Message("invalid id number: expected 9 digits, got {count}", count=len(number))
        hint = Message("include the check digit and the leading zeros")
        problems.append(Problem(Code.ID_NUMBER_INVALID, message, hint))
        return ""
    is_digits = number.isascii() and number.isdecimal() and number.strip("0")
    if len(number) != 9 or not is_digits or not has_check_digit(number):
        message = Message("invalid id number: expected 9 digits with a valid check digit")
        hint = Message("compare it with the identity card: two digits may be swapped")
        if any(character.isalpha() for character in number):
            hint = Message("leave only the digits")
        problems.append(Problem(Code.ID_NUMBER_INVALID, message, hint))
    return number


def _find_employer_kind(submission: Submission) -> EmployerKind | None:
    return next((kind for kind in EMPLOYER_KINDS if kind == (submission.employer_kind or "deduction")), None)


def _check_employer_kind(
    submission: Submission, _catalog: Catalog, problems: Problems
) -> EmployerKind | None:
    """Check the kind of employer file: one of three, by default a deduction file.

    Source: "le numéro de dossier de déductions de l'entreprise (ou le numéro du dossier de ménage ou de
    comité d'immeuble)" (the company's deduction file number, or the file number of the household or building
    committee).
    """
    kind = _find_employer_kind(submission)
    if kind is None:
        hint = Message("one of: {choices}", choices=", ".join(EMPLOYER_KINDS))
        message = Message(
            "unknown kind of employer file: {kind!r}", kind=redact(submission.employer_kind or "")
        )
        problems.append(Problem(Code.UNKNOWN_EMPLOYER_KIND, message, hint))
    return kind


def _check_booklet(submission: Submission, _catalog: Catalog, problems: Problems) -> str:
    """Check the booklet number, which serves as a password, so messages never contain it.

    Source: "le numéro d'identification du livret (figurant sur le livret)" (the booklet's identification
    number, which is printed on the booklet). Its format is not public; docs/contract.md allows 1 to 32
    digits, letters, hyphens and slashes.
    """
    booklet = (submission.booklet or "").strip()
    if not booklet:
        message = Message("no booklet number given")
        hint = Message("give --booklet NUMBER, as printed on the booklet")
        problems.append(Problem(Code.BOOKLET_MISSING, message, hint))
    elif not re.fullmatch(r"[0-9A-Za-z/-]{1,32}", booklet):
        message = Message("invalid booklet number: expected 1 to 32 digits, letters, hyphens or slashes")
        hint = Message("copy it from the booklet, without spaces")
        problems.append(Problem(Code.BOOKLET_INVALID, message, hint))
    return booklet


def _check_email(submission: Submission, _catalog: Catalog, problems: Problems) -> str | None:
    """Check the employer's email address.

    Source: "adresse courriel est facultative" (the email address is optional).
    """
    email = unicodedata.normalize("NFC", submission.email or "").strip() or None
    is_address = re.fullmatch(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+", email or "")
    if email and (has_control_characters(email) or not is_address):
        message = Message("invalid email address: expected name@host.tld")
        hint = Message("correct the address, or leave it out")
        problems.append(Problem(Code.EMAIL_INVALID, message, hint))
    return email


def _check_employer_file(submission: Submission, _catalog: Catalog, problems: Problems) -> str:
    """Check the employer's file number.

    Source: "le numéro de dossier de déductions de l'entreprise" (the company's deduction file number). It has
    nine digits; known ones start with 9 and end with a check digit. The format of the other kinds of file
    number is not public, so any number of at most 20 digits is accepted.
    """
    number, kind = _without_separators(submission.employer_file or ""), _find_employer_kind(submission)
    if not number:
        message = Message("no employer file number given")
        hint = Message("give --employer-file NUMBER")
        problems.append(Problem(Code.EMPLOYER_FILE_MISSING, message, hint))
    elif not (number.isascii() and number.isdecimal() and len(number) <= 20):
        message = Message("invalid employer file number: expected 1 to 20 digits")
        hint = Message("give the digits as they are printed on the booklet")
        problems.append(Problem(Code.EMPLOYER_FILE_INVALID, message, hint))
    elif kind == "deduction" and len(number) != 9:
        message = Message("invalid deduction file number: expected 9 digits, got {count}", count=len(number))
        hint = Message("for another kind of file, give --employer-kind household or building-committee")
        problems.append(Problem(Code.EMPLOYER_FILE_INVALID, message, hint))
    elif kind == "deduction" and not _is_usual_deduction_file(number):
        message = Message("unusual deduction file number: known ones start with 9 and end with a check digit")
        problems.append(Problem(Code.EMPLOYER_FILE_UNUSUAL, message, Message("compare it with the booklet")))
    return number


def _is_usual_deduction_file(number: str) -> bool:
    return number.startswith("9") and has_check_digit(number)


def _check_mobile(submission: Submission, _catalog: Catalog, problems: Problems) -> str:
    """Check the mobile number: 05 and eight digits. It may also be given with the prefix +972 or 00972.

    Source: "le numéro de téléphone portable" (the mobile phone number).
    """
    number = re.sub(r"^(?:\+|00)972(?:\(?0\)?)?", "0", _without_separators(submission.mobile or ""))
    hint = Message("give --mobile 05XXXXXXXX")
    if not number:
        problems.append(Problem(Code.MOBILE_MISSING, Message("no mobile number given"), hint))
    elif not re.fullmatch(r"05[0-9]{8}", number):
        message = Message("invalid mobile number: expected 10 digits starting with 05")
        problems.append(Problem(Code.MOBILE_INVALID, message, hint))
    return number


def _without_separators(number: str) -> str:
    return number if number.isalnum() else re.sub(r"[\s-]", "", number)


# -- free text and occurrence ------------------------------------------------------------------------------


def _text_rule(name: str, too_long: Code, max_length: Callable[[Catalog], int]) -> Rule:
    """Return the rule for a text field: NFC, at most `max_length` characters, no control characters.

    A clerk's screen could interpret control characters as commands.
    """

    def rule(submission: Submission, catalog: Catalog, problems: Problems) -> str | None:
        value = getattr(submission, name)
        if not value:
            return None
        text = unicodedata.normalize("NFC", value).strip()
        limit = max_length(catalog)
        if len(text) > limit:
            message = Message(
                "{field} too long: {count} characters (at most {limit})",
                field=name,
                count=len(text),
                limit=limit,
            )
            hint = Message("shorten it, or put the text in a document")
            problems.append(Problem(too_long, message, hint))
        if has_control_characters(text.replace("\n", "")):
            message = Message(
                "invalid {field}: it contains control characters or characters that reverse the reading "
                "direction",
                field=name,
            )
            hint = Message("delete it and type it again, without pasting")
            problems.append(Problem(Code.TEXT_NOT_ACCEPTED, message, hint, field=name))
        return text or None

    return rule


_MAX_OCCURRENCE = 2**53 - 1


def _check_occurrence(submission: Submission, _catalog: Catalog, problems: Problems) -> int:
    """Check the occurrence: a whole number from 1 to 2**53 - 1; return 1 if none is given.

    RFC 8259, section 6: JSON implementations agree exactly on integers up to 2**53 - 1.
    """
    given = submission.occurrence
    if given is None:
        return 1
    text = str(given).strip()
    number = int(text) if re.fullmatch(r"[0-9]{1,16}", text) else 0
    if 1 <= number <= _MAX_OCCURRENCE:
        return number
    if re.fullmatch(r"[0-9]{16,}", text):
        message = Message("invalid occurrence: expected at most {limit:,}", limit=_MAX_OCCURRENCE)
    else:
        message = Message(
            "invalid occurrence {given!r}: expected a whole number of at least 1", given=redact(text[:20])
        )
    hint = Message("give 1, or 2 to send the same content a second time")
    problems.append(Problem(Code.OCCURRENCE_INVALID, message, hint))
    return number


RULES: Mapping[str, Rule] = {
    "id": _check_id,
    "employer_file": _check_employer_file,
    "employer_kind": _check_employer_kind,
    "booklet": _check_booklet,
    "mobile": _check_mobile,
    "email": _check_email,
    "remark": _text_rule("remark", Code.REMARK_TOO_LONG, lambda catalog: catalog.texts.remark),
    "reference": _text_rule("reference", Code.REFERENCE_TOO_LONG, lambda catalog: catalog.texts.reference),
    "required": _text_rule("required", Code.REQUIRED_TOO_LONG, lambda _: _MAX_REQUIRED_LENGTH),
    "occurrence": _check_occurrence,
}
