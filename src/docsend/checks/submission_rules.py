"""The institute's rules: what a submission must keep before a byte of it leaves.

`check` holds a submission against every rule and reports all that it breaks at once. The numbers stand in
the catalog; the sentences that they come from stand beside them there ("sentences"). A rule here is a
function: what it compares, the code of its problem, the message and the cure, side by side. Here are those
that judge the catalog's codes together; `field_rules` has those of single fields, `document_rules` those of
documents.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.checks import document_rules
from docsend.checks.field_rules import RULES, Findings
from docsend.codes import Code, Kind
from docsend.errors import DocsendError, InvalidSubmission, UsageError
from docsend.i18n import LocalizedName, Message, join
from docsend.model import fields
from docsend.model.problem import Problem
from docsend.model.submission import PASSED_ALL_RULES, CheckedSubmission, Submission
from docsend.text import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from docsend.checks.field_rules import Rule
    from docsend.model.catalog import Catalog, CatalogEntry, Category, Destination, DocumentType
    from docsend.model.fields import Field, Party
    from docsend.model.required import RequiredDocument


class FailedCheck(NamedTuple):
    """Why a submission may not be sent: its errors first, then its warnings."""

    problems: tuple[Problem, ...]

    def as_error(self) -> DocsendError:
        """Return the error that a run ends with whose check found these: what is missing goes first."""
        missing = [problem for problem in self.problems if problem.code.kind is Kind.MISSING]
        if not missing:
            return InvalidSubmission.from_problems(self.problems)
        options = ", ".join(_option(problem) for problem in missing)
        return UsageError(Message("missing: {options}", options=options), problems=self.problems)


def _option(problem: Problem) -> str:
    field = fields.BY_NAME.get(problem.field or "")
    return field.option if field else "FILE"


def check(submission: Submission, catalog: Catalog) -> CheckedSubmission | FailedCheck:
    """Hold a submission against every rule. The only maker of a CheckedSubmission."""
    said = submission
    about = _context(catalog, said.to, said.subject, said.category, said.type, said.branch)
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
        party=_party_of(destination),
        documents=documents,
        warnings=tuple(found),
        **values,
        by=PASSED_ALL_RULES,
    )


def _party_of(destination: Destination) -> Party | None:
    """Return whose identity a destination asks for; None for that of the account."""
    return None if destination.identity == "account" else destination.identity


def pending_requirement(checked: CheckedSubmission, asked: Sequence[RequiredDocument]) -> Problem | None:
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
    named = join(
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


def identity_problems(party: Party, values: Mapping[str, str], catalog: Catalog) -> list[Problem]:
    """Return what is wrong with the numbers of a sender; what is not stated may be stated with each send."""
    found: Findings = []
    said: dict[str, Any] = {**values}
    for field in fields.fields_of(party):
        RULES[field.name](Submission(**said), catalog, found)
    return [problem for problem in found if problem.is_error and problem.code.kind is not Kind.MISSING]


def max_document_bytes(submission: Submission, catalog: Catalog) -> int:
    """How many bytes a document may have where it goes; of all destinations, if that is not known yet."""
    destination = catalog.destinations.get(submission.to or "")
    if destination is not None:
        return destination.max_document_bytes
    return max(destination.max_document_bytes for destination in catalog.destinations.values())


def _faulty(found: Findings) -> FailedCheck:
    return FailedCheck(tuple(sorted(found, key=lambda problem: not problem.is_error)))


# -- where to, what about ----------------------------------------------------------------------------------


class _Context(NamedTuple):
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
def _context(
    catalog: Catalog,
    to: str | None,
    subject: str | None,
    category: str | None,
    type_: str | None,
    branch: str | None,
) -> _Context:
    submission = Submission(to=to, subject=subject, category=category, type=type_, branch=branch)
    found: Findings = []
    destination = _destination(submission, catalog, found)
    if destination is None:
        return _Context(problems=tuple(found))
    fitting = _subject(submission, destination, catalog, found)
    known = _category_and_type(submission, destination, fitting, catalog, found)
    _branch(submission, catalog, found)
    party = _party_of(destination)
    own = (field.name for field in fields.FIELDS if field.name in RULES and field.party in (None, party))
    rules = tuple((name, RULES[name]) for name in own)
    return _Context(destination, fitting, known, _not_taken_by(destination), rules, tuple(found))


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
        **{field.name: field.party == destination.identity for field in fields.IDENTITY_FIELDS},
    }
    return tuple(field for field in fields.FIELDS if not is_taken.get(field.name, True))


def _nothing_that_is_not_taken(submission: Submission, about: _Context, found: Findings) -> None:
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
    where = _LISTED.replace_values(code=destination.code)
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


def _unknown(what: str, given: str, known: Iterable[CatalogEntry]) -> Problem:
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
    return Problem(code, message.replace_values(given=redact(given)), hint)
