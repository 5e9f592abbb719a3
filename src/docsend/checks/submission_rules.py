"""The institute's rules for a submission, checked before anything is sent.

`check` applies every rule and reports all problems together. The numbers are in the catalog, next to the
sentences of the institute's page that they come from ("sentences"). Docstrings quote that page in French and
translate it. A rule is a function that keeps the comparison, the problem code, the message and the hint
together. The rules about catalog codes are in this module, those for single fields in `field_rules`, and
those for documents in `document_rules`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.checks import document_rules
from docsend.checks.field_rules import RULES, Problems
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
    from docsend.model.document import Document, UnreadDocument
    from docsend.model.fields import Field, Party
    from docsend.model.required import RequiredDocument


class FailedCheck(NamedTuple):
    """The problems of a submission that must not be sent: errors first, then warnings."""

    problems: tuple[Problem, ...]

    def as_error(self) -> DocsendError:
        """Return the error to raise: a UsageError if a value is missing, else an InvalidSubmission."""
        missing = [problem for problem in self.problems if problem.code.kind is Kind.MISSING]
        if not missing:
            return InvalidSubmission.from_problems(self.problems)
        options = ", ".join(_missing_option(problem) for problem in missing)
        return UsageError(Message("missing: {options}", options=options), problems=self.problems)


def _missing_option(problem: Problem) -> str:
    field = fields.BY_NAME.get(problem.field or "")
    return field.option if field else "FILE"


def check(
    submission: Submission,
    catalog: Catalog,
    documents: tuple[Document | UnreadDocument, ...] | None = None,
) -> CheckedSubmission | FailedCheck:
    """Check a submission, with its own documents or with those that are given, against every rule.

    Return a CheckedSubmission, with its warnings, or a FailedCheck with all errors and warnings. No other
    function creates a CheckedSubmission.
    """
    context = _context(
        catalog, submission.to, submission.subject, submission.category, submission.type, submission.branch
    )
    destination, type_, problems = context.destination, context.type, list(context.problems)
    given = submission.documents if documents is None else documents
    checked_documents = document_rules.check(given, destination, catalog, problems)
    if destination is None:
        return _failed_check(problems)
    _refuse_unaccepted_fields(submission, context, problems)
    values: dict[str, object] = {name: rule(submission, catalog, problems) for name, rule in context.rules}
    if type_ is None or any(problem.is_error for problem in problems):
        return _failed_check(problems)
    values |= {
        "to": destination.code,
        "subject": context.subject,
        "category": type_.category,
        "type": type_.code,
        "branch": submission.branch or None,
        "party": _party_of(destination),
        "documents": checked_documents,
        "warnings": tuple(problems),
    }
    return CheckedSubmission.from_values(values, PASSED_ALL_RULES)


def reference_group(submission: Submission, catalog: Catalog) -> tuple[str | None, ...] | None:
    """Return the reference of a submission with the person, the destination, the subject and the type.

    The documents need not have been read. Return None if there is no reference, or if a value is invalid.
    """
    context = _context(
        catalog, submission.to, submission.subject, submission.category, submission.type, submission.branch
    )
    if not submission.reference or context.destination is None or context.type is None:
        return None
    problems: Problems = []
    names = (*_PERSON_FIELDS[context.destination.identity], "reference")
    values = [RULES[name](submission, catalog, problems) for name in names]
    if any(problem.is_error for problem in problems):
        return None
    return (context.destination.code, context.subject, context.type.code, *values)


def _party_of(destination: Destination) -> Party | None:
    """Return the party whose identity fields a destination requires, or None if the account identifies it."""
    return None if destination.identity == "account" else destination.identity


def pending_requirement(checked: CheckedSubmission, required: Sequence[RequiredDocument]) -> Problem | None:
    """Check a personal submission against the documents that the service currently requires.

    Return a problem if the submission names a requirement that is not in `required`, or if it names none
    although documents are required for its subject. Otherwise return None.

    Source: "Si un document est requis par le système, il ne sera pas possible de télécharger d'autres
    documents en ligne concernant le sujet pour lequel il existe une telle exigence." (If the system requires
    a document, it is not possible to upload other documents online about the subject that the requirement
    concerns.)
    """
    if checked.required is not None:
        if any(document.id == checked.required for document in required):
            return None
        message = Message(
            "unknown required document {required!r}: the service does not ask for it, or no longer does",
            required=checked.required,
        )
        hint = Message("run `docsend required` to list the required documents")
        return Problem(Code.UNKNOWN_REQUIRED, message, hint)
    pending = [document for document in required if document.subject == checked.subject]
    if not pending:
        return None
    documents = join(
        [
            Message("{title} (due {due})", title=LocalizedName(document.titles), due=document.due)
            for document in pending
        ]
    )
    message = Message(
        "required documents are pending: the service accepts nothing else about {subject} until it has "
        "received {documents}",
        subject=checked.subject,
        documents=documents,
    )
    commands = "; ".join(f"docsend required upload {document.id} FILE" for document in pending)
    return Problem(Code.REQUIRED_DOCUMENTS_PENDING, message, Message.verbatim(commands))


def identity_problems(party: Party, values: Mapping[str, str], catalog: Catalog) -> list[Problem]:
    """Return the errors in the identity fields of a saved sender.

    Missing values are not errors, because they can be given each time something is sent.
    """
    problems: Problems = []
    submission_values: dict[str, Any] = {**values}
    for field in fields.fields_of(party):
        RULES[field.name](Submission(**submission_values), catalog, problems)
    return [problem for problem in problems if problem.is_error and problem.code.kind is not Kind.MISSING]


def max_document_bytes(submission: Submission, catalog: Catalog) -> int:
    """Return the size limit for a document in bytes; if the destination is unknown, the largest limit."""
    destination = catalog.destinations.get(submission.to or "")
    if destination is not None:
        return destination.max_document_bytes
    return max(destination.max_document_bytes for destination in catalog.destinations.values())


def _failed_check(problems: Problems) -> FailedCheck:
    return FailedCheck(tuple(sorted(problems, key=lambda problem: not problem.is_error)))


# The fields that say who a person or an employer is, whatever else changes (`CheckedSubmission.person`).
_PERSON_FIELDS: Mapping[str, tuple[str, ...]] = {
    "insured": ("id",),
    "employer": ("employer_file", "employer_kind"),
    "account": (),
}


# -- destination, subject, category, type and branch -------------------------------------------------------


class _Context(NamedTuple):
    """Catalog entries for the codes of a submission, and the problems with those codes.

    `unaccepted` contains the fields that the destination does not accept, and `rules` the field rules that
    apply.
    """

    destination: Destination | None = None
    subject: str | None = None
    type: DocumentType | None = None
    unaccepted: tuple[Field, ...] = ()
    rules: tuple[tuple[str, Rule], ...] = ()
    problems: tuple[Problem, ...] = ()


@lru_cache(maxsize=256)  # Thousands of rows of a batch have the same codes.
def _context(
    catalog: Catalog,
    to: str | None,
    subject: str | None,
    category: str | None,
    type_: str | None,
    branch: str | None,
) -> _Context:
    submission = Submission(to=to, subject=subject, category=category, type=type_, branch=branch)
    problems: Problems = []
    destination = _check_destination(submission, catalog, problems)
    if destination is None:
        return _Context(problems=tuple(problems))
    checked_subject = _check_subject(submission, destination, catalog, problems)
    checked_type = _check_category_and_type(submission, destination, checked_subject, catalog, problems)
    _check_branch(submission, catalog, problems)
    party = _party_of(destination)
    names = (field.name for field in fields.FIELDS if field.name in RULES and field.party in (None, party))
    return _Context(
        destination,
        checked_subject,
        checked_type,
        _unaccepted_fields(destination),
        tuple((name, RULES[name]) for name in names),
        tuple(problems),
    )


def _check_destination(submission: Submission, catalog: Catalog, problems: Problems) -> Destination | None:
    """Check the destination: one of the four that need no sign-in, or the personal service.

    Source: "choisissez l'une des quatre options ci-dessous" (choose one of the four options below).
    """
    if not submission.to:
        hint = Message("give --to with one of: {choices}", choices=", ".join(catalog.destinations))
        problems.append(Problem(Code.DESTINATION_MISSING, Message("no destination given"), hint))
        return None
    destination = catalog.destinations.get(submission.to)
    if destination is None:
        problems.append(_unknown_code("destination", submission.to, catalog.destinations.values()))
    return destination


def _unaccepted_fields(destination: Destination) -> tuple[Field, ...]:
    is_accepted = {
        "subject": destination.needs_subject,
        "branch": destination.takes_branch,
        "required": destination.is_personal,
        **{field.name: field.party == destination.identity for field in fields.IDENTITY_FIELDS},
    }
    return tuple(field for field in fields.FIELDS if not is_accepted.get(field.name, True))


def _refuse_unaccepted_fields(submission: Submission, context: _Context, problems: Problems) -> None:
    """Report values that the destination does not accept, instead of ignoring them silently."""
    for field in context.unaccepted:
        if getattr(submission, field.name):
            values = {"code": submission.to, "option": field.option}
            message = Message("{code} does not accept {option}", **values)
            hint = Message("remove {option}, or choose another destination", **values)
            problems.append(Problem(Code.NOT_TAKEN, message, hint, field=field.name))


def _check_subject(
    submission: Submission, destination: Destination, catalog: Catalog, problems: Problems
) -> str | None:
    """Check the subject, if the destination requires one.

    Source: "Ensuite, sélectionnez le sujet demandé" (then select the subject concerned).
    """
    if not destination.needs_subject:
        return None
    if not submission.subject:
        message = Message("no subject given: {code} requires one", code=destination.code)
        hint = Message(
            "give --subject CODE; `docsend catalog --to {code}` lists the codes", code=destination.code
        )
        problems.append(Problem(Code.SUBJECT_MISSING, message, hint))
        return None
    subject = catalog.subjects.get(submission.subject)
    if subject is None or destination.code not in subject.to:
        subjects = catalog.subjects_of(destination.code)
        problems.append(_unknown_code("subject", submission.subject, subjects))
        return None
    return submission.subject


def _check_category_and_type(
    submission: Submission,
    destination: Destination,
    subject: str | None,
    catalog: Catalog,
    problems: Problems,
) -> DocumentType | None:
    """Check the category and the type of the documents.

    Source: "sélectionner la catégorie et le type de document" (select the category and the type of document).
    """
    if not submission.category:
        hint = Message(
            "give --category CODE; `docsend catalog --to {code}` lists the codes", code=destination.code
        )
        problems.append(Problem(Code.CATEGORY_MISSING, Message("no category given"), hint))
    if not submission.type:
        hint = Message(
            "give --type CODE; `docsend catalog --to {code}` lists the codes", code=destination.code
        )
        problems.append(Problem(Code.TYPE_MISSING, Message("no document type given"), hint))
    if destination.needs_subject and subject is None:
        return None  # Which categories and types are valid depends on the subject.
    category = _check_category(submission, catalog.categories_of(destination.code, subject), problems)
    types = catalog.types_of(destination.code, subject)
    type_ = next((entry for entry in types if entry.code == submission.type), None)
    if type_ is None:
        if submission.type:
            in_category = [entry for entry in types if category in (None, entry.category)]
            problems.append(_unknown_code("type", submission.type, in_category))
        return None
    if category is not None and category != type_.category:
        message = Message(
            "document type {code} is not in category {category}", code=type_.code, category=category
        )
        hint = Message("change the category to {category}", category=type_.category)
        problems.append(Problem(Code.UNKNOWN_TYPE, message, hint))
    _check_online_form(type_, problems)
    return type_


def _check_category(
    submission: Submission, categories: tuple[Category, ...], problems: Problems
) -> str | None:
    if not submission.category:
        return None
    if submission.category not in {category.code for category in categories}:
        problems.append(_unknown_code("category", submission.category, categories))
        return None
    return submission.category


def _check_online_form(type_: DocumentType, problems: Problems) -> None:
    """Check whether the type has to be filed as an online form instead.

    Source: "le système ne permettra pas l'envoi du document" (the system will not allow the document to be
    sent) if the category and type are those of an application that can be filed as an online form.

    If an official page confirms the online form, the problem is an error. Otherwise it is a warning, and the
    service decides.
    """
    if type_.online is None:
        return
    number = type_.online.number
    form = Message("form {number}", number=number) if number else Message("a form")
    hint = (
        Message("fill it in at {url}", url=type_.online.url)
        if type_.online.url
        else Message("find it on the institute's website")
    )
    if type_.online.is_confirmed:
        message = Message(
            "{code} must be filed online as {form}: the service does not accept it as a document",
            code=type_.code,
            form=form,
        )
        problems.append(Problem(Code.ONLINE_FORM_REQUIRED, message, hint))
    else:
        message = Message(
            "{code} may have to be filed online as {form}: the service decides", code=type_.code, form=form
        )
        problems.append(Problem(Code.ONLINE_FORM_POSSIBLE, message, hint))


def _check_branch(submission: Submission, catalog: Catalog, problems: Problems) -> None:
    """Check the branch, if one is given.

    Source: "changer l'agence traitante (par défaut, l'agence traitante qui apparaîtra sera celle de la zone
    de résidence de l'assuré)" (change the branch that handles the documents; by default, it is that of the
    area where the insured person lives).
    """
    if submission.branch and submission.branch not in catalog.branches:
        problems.append(_unknown_code("branch", submission.branch, catalog.branches.values()))


_UNKNOWN_CODES = {
    "destination": (Code.UNKNOWN_DESTINATION, Message("unknown destination: {given!r}")),
    "subject": (Code.UNKNOWN_SUBJECT, Message("unknown subject for this destination: {given!r}")),
    "category": (
        Code.UNKNOWN_CATEGORY, Message("unknown category for this destination or subject: {given!r}"),
    ),
    "type": (Code.UNKNOWN_TYPE, Message("unknown document type for this destination or subject: {given!r}")),
    "branch": (Code.UNKNOWN_BRANCH, Message("unknown branch: {given!r}")),
}  # fmt: skip


_MAX_SHOWN = 100  # characters of a code in a message


def _unknown_code(kind: str, given: str, entries: Iterable[CatalogEntry]) -> Problem:
    from docsend.model.search import nearest

    codes = [entry.code for entry in entries]
    if len(given) > _MAX_SHOWN:
        given = f"{given[:_MAX_SHOWN]}…"
    close = nearest(given, codes)
    if close:
        hint = Message("did you mean {close}?", close=close)
    elif len(codes) <= 20:
        hint = Message("one of: {choices}", choices=", ".join(codes))
    else:
        hint = Message(
            "run `docsend catalog {kind}` to list the codes, or `docsend catalog WORDS` to search", kind=kind
        )
    code, message = _UNKNOWN_CODES[kind]
    return Problem(code, message.with_values(given=redact(given)), hint)
