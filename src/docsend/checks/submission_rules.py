"""The institute's rules: what a submission must keep before a byte of it leaves.

`check` holds a submission against every rule and reports all that it breaks at once. The numbers stand in
the catalog; the sentences that they come from stand beside them there ("sentences"). A rule here is a
function: what it compares, the code of its problem, the message and the cure, side by side. `RULES` has those
of single fields; the catalog's codes are judged together; the rules of documents are in `document_rules`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from docsend.checks import document_rules
from docsend.codes import Code, Kind
from docsend.i18n import LocalizedName, Message, joined
from docsend.model import fields
from docsend.model.submission import (
    EMPLOYER_KINDS,
    KEPT_EVERY_RULE,
    CheckedSubmission,
    Problem,
    Submission,
    has_controls,
    without_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from docsend.model.catalog import Catalog, Category, Destination, DocumentType, Entry
    from docsend.model.fields import Field, Whose
    from docsend.model.submission import EmployerKind, RequiredDocument

    Rule: TypeAlias = Callable[[Submission, Catalog, list[Problem]], Any]


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
    values = {name: rule(submission, catalog, found) for name, rule in about.rules}
    if type_ is None or any(problem.is_error for problem in found):
        return _faulty(found)
    return CheckedSubmission(
        to=destination.code,
        subject=about.subject,
        category=type_.category,
        type=type_.code,
        branch=submission.branch or None,
        whose=_whose(destination),
        documents=documents,
        warnings=tuple(found),
        **values,
        by=KEPT_EVERY_RULE,
    )


def _whose(destination: Destination) -> Whose | None:
    """Return whose identity a destination asks for; None for that of the account."""
    return None if destination.identity == "account" else destination.identity


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
            Code.UNKNOWN_REQUIRED,
            message,
            Message("`docsend required` lists what it asks for"),
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
        Code.REQUIRED_DOCUMENTS_PENDING,
        Message(
            "{subject} takes nothing else before the documents that the service asks for: {named}",
            subject=checked.subject,
            named=named,
        ),
        Message.verbatim("; ".join(f"docsend required upload {each.id} FILE" for each in waiting)),
    )


def of_sender(whose: Whose, values: Mapping[str, str], catalog: Catalog) -> list[Problem]:
    """Return what is wrong with the numbers of a sender; what is not stated may be stated with each send."""
    found: Findings = []
    said: dict[str, Any] = {**values}
    for field in fields.of(whose):
        RULES[field.name](Submission(**said), catalog, found)
    return [problem for problem in found if problem.is_error and problem.code.kind is not Kind.MISSING]


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
    """What the catalog says of a destination, a subject and a type.

    `not_taken` are fields out of place; `rules` are those of the other fields that are judged by themselves.
    """

    destination: Destination | None = None
    subject: str | None = None
    type: DocumentType | None = None
    not_taken: tuple[Field, ...] = ()
    rules: tuple[tuple[str, Rule], ...] = ()
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
    whose = _whose(destination)
    own = (field.name for field in fields.FIELDS if field.name in RULES and field.whose in (None, whose))
    rules = tuple((name, RULES[name]) for name in own)
    return _About(destination, fitting, known, _not_taken_by(destination), rules, tuple(found))


def _destination(submission: Submission, catalog: Catalog, found: Findings) -> Destination | None:
    """Choose "l'une des quatre options ci-dessous", or the personal service."""
    if not submission.to:
        known = ", ".join(catalog.destinations)
        found.append(
            Problem(
                Code.DESTINATION_MISSING,
                Message("no destination is given"),
                Message("--to {known}", known=known),
            )
        )
        return None
    destination = catalog.destinations.get(submission.to)
    if destination is None:
        found.append(_unknown("destination", submission.to, catalog.destinations.values()))
    return destination


def _not_taken_by(destination: Destination) -> tuple[Field, ...]:
    """Return the fields that a destination has no place for."""
    is_taken = {
        "subject": destination.needs_subject,
        "branch": destination.takes_branch,
        "required": destination.is_personal,
        **{field.name: field.whose == destination.identity for field in fields.OF_IDENTITY},
    }
    return tuple(field for field in fields.FIELDS if not is_taken.get(field.name, True))


def _nothing_that_is_not_taken(submission: Submission, about: _About, found: Findings) -> None:
    """Refuse what a destination has no place for, rather than drop it in silence."""
    for field in about.not_taken:
        if getattr(submission, field.name):
            told = {"code": submission.to, "option": field.option}
            message = Message("{code} takes no {option}", **told)
            hint = Message("leave {option} out, or choose another destination", **told)
            found.append(Problem(Code.NOT_TAKEN, message, hint, field=field.name))


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
                Code.SUBJECT_MISSING,
                Message("{code} needs a subject", code=destination.code),
                hint,
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
    where = _LISTED.with_values(code=destination.code)
    if not submission.category:
        hint = Message("--category CODE; {where}", where=where)
        found.append(Problem(Code.CATEGORY_MISSING, Message("no category is given"), hint))
    if not submission.type:
        hint = Message("--type CODE; {where}", where=where)
        found.append(Problem(Code.TYPE_MISSING, Message("no document type is given"), hint))
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
                Code.UNKNOWN_TYPE,
                message,
                Message("--category {category}", category=type_.category),
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
        found.append(Problem(Code.ONLINE_FORM_REQUIRED, message, where))
    else:
        message = Message(
            "{code} may have to be filed online ({form}); the service decides", code=type_.code, form=form
        )
        found.append(
            Problem(Code.ONLINE_FORM_POSSIBLE, message, where),
        )


def _branch(submission: Submission, catalog: Catalog, found: Findings) -> None:
    """Seed: "changer l'agence traitante (par défaut, ... celle de la zone de résidence de l'assuré)"."""
    if submission.branch and submission.branch not in catalog.branches:
        found.append(_unknown("branch", submission.branch, catalog.branches.values()))


_UNKNOWN = {
    "destination": (Code.UNKNOWN_DESTINATION, Message("there is no destination {given!r} here")),
    "subject": (Code.UNKNOWN_SUBJECT, Message("there is no subject {given!r} here")),
    "category": (Code.UNKNOWN_CATEGORY, Message("there is no category {given!r} here")),
    "type": (Code.UNKNOWN_TYPE, Message("there is no type {given!r} here")),
    "branch": (Code.UNKNOWN_BRANCH, Message("there is no branch {given!r} here")),
}


def _unknown(what: str, given: str, known: Iterable[Entry]) -> Problem:
    from docsend.model.search import nearest

    codes = [entry.code for entry in known]
    close = nearest(given, codes)
    if close:
        hint = Message("did you mean {close}?", close=close)
    elif len(codes) <= 20:
        hint = Message("one of: {choices}", choices=", ".join(codes))
    else:
        hint = Message("`docsend catalog {what}` lists them; `docsend catalog WORDS` finds one", what=what)
    code, message = _UNKNOWN[what]
    return Problem(code, message.with_values(given=without_numbers(given)), hint)


# -- who ---------------------------------------------------------------------------------------------------


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
    if len(number) != 9 or not is_digits or not is_checked(number):
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
            "there is no kind of employer file {kind!r}", kind=without_numbers(submission.employer_kind or "")
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
    if email and (has_controls(email) or not is_address):
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
    return number.startswith("9") and is_checked(number)


_DOUBLED = {digit: sum(divmod(2 * int(digit), 10)) for digit in "0123456789"}


def is_checked(number: str) -> bool:
    """Tell whether the last of some ASCII digits is the check digit of the others (Luhn; ISO/IEC 7812-1, B).

    Every other digit, from the last but one on, counts double, with its own two digits added up.
    """
    doubled = [_DOUBLED[digit] for digit in number[-2::-2]]
    return (sum(map(int, number[::-2])) + sum(doubled)) % 10 == 0


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


def _digits(stated: str) -> str:
    return stated if stated.isalnum() else re.sub(r"[\s-]", "", stated)


# -- free text, and the number of the sending --------------------------------------------------------------


def _text(name: str, too_long: Code, at_most: Callable[[Catalog], int]) -> Rule:
    """Make the rule of a text: in NFC, without characters that a clerk's screen could take for commands."""

    def rule(submission: Submission, catalog: Catalog, found: Findings) -> str | None:
        stated = getattr(submission, name)
        if not stated:
            return None
        text = unicodedata.normalize("NFC", stated).strip()
        if len(text) > at_most(catalog):
            message = Message(
                "{field} has {count} characters, {at_most} are taken",
                field=name,
                count=len(text),
                at_most=at_most(catalog),
            )
            found.append(Problem(too_long, message, Message("shorten it, or put it into a document")))
        if has_controls(text.replace("\n", "")):
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
    stated = submission.occurrence
    if stated is None:
        return 1
    text = str(stated).strip()
    number = int(text) if re.fullmatch(r"[0-9]{1,16}", text) else 0
    if 1 <= number <= _MOST_OCCURRENCES:
        return number
    if re.fullmatch(r"[0-9]{16,}", text):
        message = Message("the number of a sending is at most {most:,}", most=_MOST_OCCURRENCES)
    else:
        message = Message("{stated!r} is not the number of a sending", stated=without_numbers(text[:20]))
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
