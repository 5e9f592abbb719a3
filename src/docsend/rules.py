"""The institute's rules: what a submission must keep before a byte of it leaves.

`check` holds a submission against every rule and reports all that it breaks at once. The numbers stand in
the catalog; the sentences that they come from stand beside them there ("sentences"). A rule here is a
function: what it compares, the code of its problem, the message and the cure, side by side. The
rules of documents are in `document_rules`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from docsend import document_rules
from docsend.i18n import LocalizedName, Message, joined
from docsend.submission import (
    EMPLOYER_KINDS,
    CheckedSubmission,
    EmployerIdentity,
    InsuredIdentity,
    Problem,
    Submission,
    has_controls,
    without_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from docsend.catalog import Catalog, Category, Destination, DocumentType, Entry
    from docsend.submission import Identity, RequiredDocument


class Faulty(NamedTuple):
    """Why a submission may not be sent: its errors first, then its warnings."""

    problems: tuple[Problem, ...]


Findings: TypeAlias = list[Problem]
_MOST_REQUIRED = 100  # characters of an id, as in openapi.yaml's RequiredId


def check(submission: Submission, catalog: Catalog) -> CheckedSubmission | Faulty:
    """Hold a submission against every rule. The only maker of a CheckedSubmission."""
    said = submission
    about = _about(catalog, said.to, said.subject, said.category, said.type, said.branch)
    destination, type_, found = about.destination, about.type, list(about.problems)
    documents = document_rules.check(submission.documents, destination, catalog, found)
    if destination is None:
        return _faulty(found)
    _nothing_that_is_not_taken(submission, about, found)
    identity = _identity(submission, destination, found)
    remark = _text(submission.remark, "remark", catalog.texts.remark, found)
    reference = _text(submission.reference, "reference", catalog.texts.reference, found)
    required = _text(submission.required, "required", _MOST_REQUIRED, found)
    if type_ is None or any(problem.is_error for problem in found):
        return _faulty(found)
    return CheckedSubmission(
        to=destination.code,
        identity=identity,
        subject=about.subject,
        category=type_.category,
        type=type_.code,
        remark=remark,
        branch=submission.branch or None,
        required=required,
        reference=reference,
        documents=documents,
        warnings=tuple(found),
    )


def required_first(checked: CheckedSubmission, asked: Sequence[RequiredDocument]) -> Problem | None:
    """Hold a personal submission against what the service asks for.

    Seed: "Si un document est requis par le système, il ne sera pas possible de télécharger d'autres documents
    en ligne concernant le sujet pour lequel il existe une telle exigence."
    """
    waiting = [document for document in asked if document.subject == checked.subject]
    if checked.required is not None:
        if any(document.id == checked.required for document in asked):
            return None
        message = Message(
            "the service asks for no document {required!r} (any more)", required=checked.required
        )
        return Problem(
            "unknown-required",
            message,
            Message("`docsend required` lists what it asks for"),
            field="required",
        )
    if not waiting:
        return None
    named = joined(
        [
            Message("{title} (due {due})", title=LocalizedName(document.titles), due=document.due)
            for document in waiting
        ]
    )
    return Problem(
        "required-documents-pending",
        Message(
            "{subject} takes nothing else before the documents that the service asks for: {named}",
            subject=checked.subject,
            named=named,
        ),
        Message.verbatim("; ".join(f"docsend required upload {each.id} FILE" for each in waiting)),
        field="subject",
    )


def of_sender(stated: Mapping[str, str], booklet: str | None) -> list[Problem]:
    """Give what is wrong with the numbers of a sender; what is not stated may be stated with each send."""
    found: Findings = []
    said: dict[str, Any] = {**stated, "booklet": booklet}
    submission = Submission(**said)
    if submission.id_number:
        _insured(submission, found)
    else:
        _employer(submission, found)
    return [problem for problem in found if problem.is_error and not problem.code.endswith("-missing")]


def largest_document(submission: Submission, catalog: Catalog) -> int:
    """How many bytes a document may have where it goes; of all destinations, if that is not known yet."""
    destination = catalog.destinations.get(submission.to or "")
    if destination is not None:
        return destination.max_document_bytes
    return max(destination.max_document_bytes for destination in catalog.destinations.values())


def _faulty(found: Findings) -> Faulty:
    return Faulty(tuple(sorted(found, key=lambda problem: not problem.is_error)))


# -- where to, what about ----------------------------------------------------------------------------------


class _About(NamedTuple):
    """What the catalog says of a destination, a subject and a type; `not_taken` are options out of place."""

    destination: Destination | None = None
    subject: str | None = None
    type: DocumentType | None = None
    not_taken: tuple[tuple[str, str], ...] = ()  # names of a Submission's field and of its option
    problems: tuple[Problem, ...] = ()


@lru_cache(maxsize=256)  # thousands of rows of a batch say the same here
def _about(
    catalog: Catalog,
    to: str | None,
    subject: str | None,
    category: str | None,
    type_: str | None,
    branch: str | None,
) -> _About:
    submission = Submission(to=to, subject=subject, category=category, type=type_, branch=branch)
    found: Findings = []
    destination = _destination(submission, catalog, found)
    if destination is None:
        return _About(problems=tuple(found))
    fitting = _subject(submission, destination, catalog, found)
    known = _category_and_type(submission, destination, fitting, catalog, found)
    _branch(submission, catalog, found)
    return _About(destination, fitting, known, _not_taken_by(destination), tuple(found))


def _destination(submission: Submission, catalog: Catalog, found: Findings) -> Destination | None:
    """Choose "l'une des quatre options ci-dessous", or the personal service."""
    if not submission.to:
        known = ", ".join(catalog.destinations)
        found.append(
            Problem(
                "destination-missing",
                Message("no destination is given"),
                Message("--to {known}", known=known),
                field="to",
            )
        )
        return None
    destination = catalog.destinations.get(submission.to)
    if destination is None:
        found.append(_unknown("destination", submission.to, catalog.destinations.values(), field="to"))
    return destination


def _not_taken_by(destination: Destination) -> tuple[tuple[str, str], ...]:
    """Give what a destination has no place for: the names of a Submission's fields and of their options."""
    is_employer = destination.identity == "employer"
    taken = {
        "subject": destination.needs_subject,
        "branch": destination.takes_branch,
        "id_number": destination.identity == "insured",
        "employer_file": is_employer,
        "employer_kind": is_employer,
        "booklet": is_employer,
        "mobile": is_employer,
        "email": is_employer,
        "required": destination.is_personal,
    }
    return tuple(
        (name, {"id_number": "id"}.get(name, name)) for name, is_taken in taken.items() if not is_taken
    )


def _nothing_that_is_not_taken(submission: Submission, about: _About, found: Findings) -> None:
    """Refuse what a destination has no place for, rather than drop it in silence."""
    for name, option in about.not_taken:
        if getattr(submission, name):
            told = {"code": submission.to, "option": _option(option)}
            message = Message("{code} takes no {option}", **told)
            hint = Message("leave {option} out, or choose another destination", **told)
            found.append(Problem("not-taken", message, hint, field=option))


def _subject(
    submission: Submission, destination: Destination, catalog: Catalog, found: Findings
) -> str | None:
    """Seed: "Ensuite, sélectionnez le sujet demandé"."""
    if not destination.needs_subject:
        return None
    if not submission.subject:
        hint = Message("--subject CODE; `docsend catalog --to {code}` lists them", code=destination.code)
        found.append(
            Problem(
                "subject-missing",
                Message("{code} needs a subject", code=destination.code),
                hint,
                field="subject",
            )
        )
        return None
    known = catalog.subjects.get(submission.subject)
    if known is None or destination.code not in known.to:
        found.append(_unknown("subject", submission.subject, catalog.subjects_of(destination.code)))
        return None
    return submission.subject


_LISTED = Message("`docsend catalog --to {code}` lists them")


def _category_and_type(
    submission: Submission,
    destination: Destination,
    subject: str | None,
    catalog: Catalog,
    found: Findings,
) -> DocumentType | None:
    """Seed: "sélectionner la catégorie et le type de document"; a type with an online form is refused."""
    where = (
        _LISTED.with_values(code=destination.code) if not (submission.category and submission.type) else ""
    )
    if not submission.category:
        hint = Message("--category CODE; {where}", where=where)
        found.append(Problem("category-missing", Message("no category is given"), hint, field="category"))
    if not submission.type:
        hint = Message("--type CODE; {where}", where=where)
        found.append(Problem("type-missing", Message("no document type is given"), hint, field="type"))
    if destination.needs_subject and subject is None:
        return None  # which categories and types there are depends on the subject
    category = _category(submission, catalog.categories_of(destination.code, subject), found)
    types = catalog.types_of(destination.code, subject)
    type_ = next((known for known in types if known.code == submission.type), None)
    if type_ is None:
        if submission.type:
            in_category = [known for known in types if category in (None, known.category)]
            found.append(_unknown("type", submission.type, in_category))
        return None
    if category is not None and category != type_.category:
        message = Message(
            "the type {code} is not in the category {category}", code=type_.code, category=category
        )
        found.append(
            Problem(
                "unknown-type",
                message,
                Message("--category {category}", category=type_.category),
                field="type",
            )
        )
    _online_form(type_, found)
    return type_


def _category(submission: Submission, categories: tuple[Category, ...], found: Findings) -> str | None:
    if not submission.category:
        return None
    if submission.category not in {category.code for category in categories}:
        found.append(_unknown("category", submission.category, categories))
        return None
    return submission.category


def _online_form(type_: DocumentType, found: Findings) -> None:
    """Seed: "le système ne permettra pas l'envoi du document" where an online form takes its place.

    Only a row that an official page confirms refuses here; an unsure one is the service's to decide.
    """
    if type_.online is None:
        return
    number = type_.online.number
    form = Message("form {number}", number=number) if number else Message("a form")
    where = (
        Message("fill it in at {url}", url=type_.online.url)
        if type_.online.url
        else Message("look for it on the institute's site")
    )
    if type_.online.is_confirmed:
        message = Message(
            "{code} is filed online ({form}), the service does not take it as a document",
            code=type_.code,
            form=form,
        )
        found.append(Problem("online-form-required", message, where, field="type"))
    else:
        message = Message(
            "{code} may have to be filed online ({form}); the service decides", code=type_.code, form=form
        )
        found.append(
            Problem("online-form-possible", message, where, field="type", severity="warning"),
        )


def _branch(submission: Submission, catalog: Catalog, found: Findings) -> None:
    """Seed: "changer l'agence traitante (par défaut, ... celle de la zone de résidence de l'assuré)"."""
    if submission.branch and submission.branch not in catalog.branches:
        found.append(_unknown("branch", submission.branch, catalog.branches.values()))


_NONE_SUCH = {
    "destination": Message("there is no destination {given!r} here"),
    "subject": Message("there is no subject {given!r} here"),
    "category": Message("there is no category {given!r} here"),
    "type": Message("there is no type {given!r} here"),
    "branch": Message("there is no branch {given!r} here"),
}


def _unknown(what: str, given: str, known: Iterable[Entry], *, field: str | None = None) -> Problem:
    from docsend.search import nearest  # noqa: PLC0415 - only for a fault

    codes = [entry.code for entry in known]
    close = nearest(given, codes)
    if close:
        hint = Message("did you mean {close}?", close=close)
    elif len(codes) <= 20:
        hint = Message("one of: {choices}", choices=", ".join(codes))
    else:
        hint = Message("`docsend catalog {what}` lists them; `docsend catalog WORDS` finds one", what=what)
    return Problem(
        f"unknown-{what}",
        _NONE_SUCH[what].with_values(given=without_numbers(given)),
        hint,
        field=field or what,
    )


def _option(field: str) -> str:
    return "--" + field.replace("_", "-")


# -- who ---------------------------------------------------------------------------------------------------


def _identity(submission: Submission, destination: Destination, found: Findings) -> Identity | None:
    if destination.identity == "insured":
        return _insured(submission, found)
    if destination.identity == "employer":
        return _employer(submission, found)
    return None  # the account's own


def _insured(submission: Submission, found: Findings) -> InsuredIdentity | None:
    """Nine digits, the last of them a check digit. The number itself is never repeated."""
    if not submission.id_number:
        message = Message("the insured person's id number is not given")
        found.append(Problem("id-number-missing", message, Message("--id NUMBER"), field="id"))
        return None
    number = _digits(submission.id_number)
    if len(number) < 9 and number.isascii() and number.isdecimal():
        message = Message("an id number has 9 digits, this one has {count}", count=len(number))
        hint = Message("write it with its check digit and its leading zeros")
        found.append(Problem("id-number-invalid", message, hint, field="id"))
        return None
    is_digits = number.isascii() and number.isdecimal() and number.strip("0")
    if len(number) != 9 or not is_digits or not is_checked(number):
        message = Message(
            "the id number is not one: it needs 9 digits, and the last must agree with the others"
        )
        hint = Message("compare it with the identity card; often two digits changed places")
        found.append(Problem("id-number-invalid", message, hint, field="id"))
        return None
    return InsuredIdentity(number)


def _employer(submission: Submission, found: Findings) -> EmployerIdentity | None:
    """Seed: "le numéro de dossier ..., le numéro d'identification du livret ..., le numéro de téléphone"."""
    before = len(found)
    kind = next((kind for kind in EMPLOYER_KINDS if kind == (submission.employer_kind or "deduction")), None)
    if kind is None:
        hint = Message("one of: {choices}", choices=", ".join(EMPLOYER_KINDS))
        message = Message("there is no kind of employer file {kind!r}", kind=submission.employer_kind)
        found.append(Problem("unknown-employer-kind", message, hint, field="employer_kind"))
    file = _employer_file(submission.employer_file, kind, found)
    booklet = (submission.booklet or "").strip()
    if not booklet:
        message = Message("the booklet's identification number is not given")
        hint = Message("--booklet NUMBER; it is printed on the vouchers of the booklet")
        found.append(Problem("booklet-missing", message, hint, field="booklet"))
    elif not re.fullmatch(r"[0-9A-Za-z/-]{1,32}", booklet):
        message = Message("the booklet's identification number has characters that no such number has")
        hint = Message("digits, letters, - and / only, at most 32")
        found.append(Problem("booklet-invalid", message, hint, field="booklet"))
    mobile = _mobile(submission.mobile, found)
    email = unicodedata.normalize("NFC", submission.email or "").strip() or None
    is_address = re.fullmatch(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+", email or "")
    if email and (has_controls(email) or not is_address):
        found.append(
            Problem(
                "email-invalid",
                Message("the e-mail address is not one"),
                Message("name@host.tld"),
                field="email",
            )
        )
    if kind is None or any(problem.is_error for problem in found[before:]):
        return None
    return EmployerIdentity(file, kind, booklet, mobile, email)


def _employer_file(stated: str | None, kind: str | None, found: Findings) -> str:
    """A deduction file has nine digits and begins with 9; of the other kinds no format is public."""
    number = _digits(stated or "")
    if not number:
        message = Message("the employer's file number is not given")
        found.append(
            Problem(
                "employer-file-missing", message, Message("--employer-file NUMBER"), field="employer_file"
            )
        )
    elif not (number.isascii() and number.isdecimal() and len(number) <= 20):
        message = Message("the employer's file number has other characters than digits, or more than 20")
        hint = Message("digits only, as on the booklet")
        found.append(Problem("employer-file-invalid", message, hint, field="employer_file"))
    elif kind == "deduction" and len(number) != 9:
        message = Message("a deduction file number has 9 digits, this one has {count}", count=len(number))
        hint = Message("for another kind of file say --employer-kind household or building-committee")
        found.append(Problem("employer-file-invalid", message, hint, field="employer_file"))
    elif kind == "deduction" and not _is_usual_deduction_file(number):
        message = Message(
            "deduction file numbers begin with 9 and end in a check digit, as far as is known; not this one"
        )
        hint = Message("compare it with the booklet")
        found.append(
            Problem("employer-file-unusual", message, hint, field="employer_file", severity="warning"),
        )
    return number


def _is_usual_deduction_file(number: str) -> bool:
    return number.startswith("9") and is_checked(number)


_DOUBLED = {digit: sum(divmod(2 * int(digit), 10)) for digit in "0123456789"}


def is_checked(number: str) -> bool:
    """Tell whether the last of some ASCII digits is the check digit of the others (Luhn; ISO/IEC 7812-1, B).

    Every other digit, from the last but one on, counts double, with its own two digits added up.
    """
    doubled = [_DOUBLED[digit] for digit in number[-2::-2]]
    return (sum(map(int, number[::-2])) + sum(doubled)) % 10 == 0


def _mobile(stated: str | None, found: Findings) -> str:
    """05 and eight digits; +972 and 00972 are the same number written for abroad."""
    number = re.sub(r"^(?:\+|00)972(?:\(?0\)?)?", "0", _digits(stated or ""))
    if not number:
        message = Message("the mobile number is not given")
        found.append(Problem("mobile-missing", message, Message("--mobile 05XXXXXXXX"), field="mobile"))
    elif not re.fullmatch(r"05[0-9]{8}", number):
        message = Message("the mobile number is not one: it needs 10 digits and begins with 05")
        found.append(Problem("mobile-invalid", message, Message("--mobile 05XXXXXXXX"), field="mobile"))
    return number


def _digits(stated: str) -> str:
    return stated if stated.isalnum() else re.sub(r"[\s-]", "", stated)


# -- free text ---------------------------------------------------------------------------------------------


def _text(stated: str | None, field: str, at_most: int, found: Findings) -> str | None:
    """Text in NFC, without characters that a clerk's screen could take for commands."""
    if not stated:
        return None
    text = unicodedata.normalize("NFC", stated).strip()
    if len(text) > at_most:
        message = Message(
            "{field} has {count} characters, {at_most} are taken",
            field=field,
            count=len(text),
            at_most=at_most,
        )
        hint = Message("shorten it, or put it into a document")
        found.append(Problem(f"{field}-too-long", message, hint, field=field))
    if has_controls(text.replace("\n", "")):
        message = Message(
            "{field} has control characters or characters that reverse the reading direction", field=field
        )
        found.append(
            Problem("text-not-accepted", message, Message("write it anew, as plain text"), field=field)
        )
    return text or None
