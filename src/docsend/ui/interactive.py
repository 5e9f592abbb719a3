"""The guided send: prompts for missing fields, in the order of the institute's page.

This module uses the catalog and the rules to decide what to ask and which answers are valid. A `Prompter`
decides how to ask. This module sends nothing.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from docsend.checks import submission_rules
from docsend.codes import Kind
from docsend.i18n import Data, LocalizedName, Message
from docsend.model import fields
from docsend.model.identity import EMPLOYER_KINDS
from docsend.text import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from docsend.config.senders import Senders
    from docsend.i18n import Displayable
    from docsend.model.catalog import Catalog, CatalogEntry, Destination
    from docsend.model.document import Document, UnreadDocument
    from docsend.model.fields import Field
    from docsend.model.problem import Problem
    from docsend.model.submission import Submission

    Validate = Callable[[str], "Message | None"]

# Questions, keyed by field name. Most of them come from the table in `model.fields`.
_QUESTIONS = {
    **{field.name: field.question for field in fields.FIELDS if field.question},
    "sender": Message("sender"),
    "documents": Message("document"),
}
_EMPLOYER_KIND_LABELS = {
    "deduction": Message("deduction file (9 digits)"),
    "household": Message("household employer"),
    "building-committee": Message("building committee"),
}
_HIDDEN = "…"
# The documents come first; the rest is in the order of the institute's page: destination, identity, content.
_FIELD_ORDER = (
    "documents",
    "to",
    *(field.name for field in fields.IDENTITY_FIELDS),
    *(field.name for field in fields.CONTENT_FIELDS),
)


@dataclass(frozen=True)
class Choice:
    """A possible answer to a question: its code, and the label that the person reads.

    `entry` is the catalog entry with its kind, so that words in any language find the choice.
    """

    code: str
    label: Displayable
    entry: tuple[str, CatalogEntry] | None = None


class Prompter(Protocol):
    """Asks a person questions. Every method raises KeyboardInterrupt if the person cancels."""

    def ask_choice(self, question: Message, choices: Sequence[Choice], default: str | None = None) -> str:
        """Ask for one of the choices and return its code. An empty answer selects `default`, if given."""

    def ask_text(
        self, question: Message, validate: Validate, *, optional: bool = False, secret: bool = False
    ) -> str | None:
        """Ask for a text until `validate` returns None for it, and return the text.

        Return None if the answer is optional and empty. A secret is not echoed.
        """

    def ask_files(self, question: Message) -> list[str]:
        """Ask for an existing file. Return a list that contains only its path."""


@dataclass(frozen=True)
class GuidedSubmission:
    """The completed submission, and the name of the sender that was chosen, if any."""

    submission: Submission
    sender: str | None


def missing_fields(submission: Submission, catalog: Catalog) -> list[str] | None:
    """Return the fields to ask for, in order, or None if there are errors that no answer can fix."""
    checked = submission_rules.check(submission, catalog)
    if not isinstance(checked, submission_rules.FailedCheck):
        return []
    errors = [problem for problem in checked.problems if problem.is_error]
    if not all(problem.code.kind is Kind.MISSING for problem in errors):
        return None
    return sorted((problem.field or "" for problem in errors), key=_FIELD_ORDER.index)


def fill_in(
    submission: Submission,
    catalog: Catalog,
    prompter: Prompter,
    senders: Senders,
    read: Callable[[list[str], Submission], tuple[Document | UnreadDocument, ...]],
    on_destination: Callable[[Destination], None],
) -> GuidedSubmission:
    """Ask for all missing fields, then for the optional ones. Return the completed submission.

    `read` takes the paths of documents and the submission so far, and returns the documents. `on_destination`
    is called as soon as the destination is known. It may raise an exception to end the questions early, for
    example because a sign-in is required.
    """
    sender: str | None = None
    if submission.to in catalog.destinations:
        on_destination(catalog.destinations[submission.to])
    while missing := missing_fields(submission, catalog):
        field = missing[0]
        if field == "documents":
            submission = submission.with_documents(read(prompter.ask_files(_QUESTIONS[field]), submission))
        elif field in ("id", "employer_file") and sender is None and not submission.employer_file:
            sender, submission = _ask_sender(submission, catalog, prompter, senders)
        else:
            submission = _set(submission, field, _ask_field(field, submission, catalog, prompter))
            if field == "to":
                on_destination(catalog.destinations[submission.to or ""])
    if not isinstance(submission_rules.check(submission, catalog), submission_rules.FailedCheck):
        submission = _ask_optional_fields(submission, catalog, prompter)
    return GuidedSubmission(submission, sender or None)


def _ask_sender(
    submission: Submission, catalog: Catalog, prompter: Prompter, senders: Senders
) -> tuple[str, Submission]:
    """Ask for the person or employer, and return the sender's name and the submission with the identity.

    Offer the stored senders of the kind that the destination expects. If none is chosen, ask for the number
    that identifies the person or employer, and return the name "".
    """
    kind = catalog.destinations[submission.to or ""].identity
    stored = senders.of_party(kind)
    if stored:
        nobody = Choice("-", Message("somebody else"))
        choices = [*(Choice(name, Data(sender.masked_number)) for name, sender in stored.items()), nobody]
        name = prompter.ask_choice(_QUESTIONS["sender"], choices)
        if name != nobody.code:
            return name, senders.apply(name, submission)
    if kind == "insured":
        return "", _set(submission, "id", _ask_field("id", submission, catalog, prompter))
    if submission.employer_kind is None:
        kinds = [Choice(code, _EMPLOYER_KIND_LABELS[code]) for code in EMPLOYER_KINDS]
        chosen = prompter.ask_choice(_QUESTIONS["employer_kind"], kinds, EMPLOYER_KINDS[0])
        submission = _set(submission, "employer_kind", chosen)
    return "", _set(submission, "employer_file", _ask_field("employer_file", submission, catalog, prompter))


def _ask_field(field: str, submission: Submission, catalog: Catalog, prompter: Prompter) -> str:
    to, subject = submission.to or "", submission.subject
    offered: dict[str, Callable[[], Sequence[CatalogEntry]]] = {
        "to": lambda: _offered_destinations(submission, catalog),
        "subject": lambda: catalog.subjects_of(to),
        "category": lambda: catalog.categories_of(to, subject),
        # Types that must be filed online are included, because choosing one shows the form's address.
        "type": lambda: [
            type_ for type_ in catalog.types_of(to, subject) if submission.category in (None, type_.category)
        ],
    }
    if field in offered:
        choices = _choices("destination" if field == "to" else field, offered[field]())
        only = choices[0].code if len(choices) == 1 else None
        return prompter.ask_choice(_QUESTIONS[field], choices, only)
    validate = _validator(field, submission, catalog)
    answer = prompter.ask_text(_QUESTIONS[field], validate, secret=fields.BY_NAME[field].display == "never")
    return answer or ""


def _offered_destinations(submission: Submission, catalog: Catalog) -> Sequence[CatalogEntry]:
    """Return the destinations that accept the fields given so far, or all destinations if none does.

    In the latter case, the rules report why the chosen destination does not accept the fields.
    """
    destinations = tuple(catalog.destinations.values())
    accepting = [
        entry
        for entry in destinations
        if missing_fields(_set(submission, "to", entry.code), catalog) is not None
    ]
    return accepting or destinations


def _ask_optional_fields(submission: Submission, catalog: Catalog, prompter: Prompter) -> Submission:
    """Ask for the optional fields: the branch, and content fields such as a remark."""
    if submission.branch is None and catalog.destinations[submission.to or ""].takes_branch:
        by_residence = Choice("-", Message("chosen by the service, according to the place of residence"))
        choices = [by_residence, *_choices("branch", tuple(catalog.branches.values()))]
        branch = prompter.ask_choice(_QUESTIONS["branch"], choices, by_residence.code)
        submission = submission if branch == by_residence.code else _set(submission, "branch", branch)
    for field in fields.CONTENT_FIELDS:
        if field.question and not field.is_catalog_code and getattr(submission, field.name) is None:
            answer = prompter.ask_text(
                field.question, _validator(field.name, submission, catalog), optional=True
            )
            submission = _set(submission, field.name, answer) if answer else submission
    return submission


def _choices(kind: str, entries: Sequence[CatalogEntry]) -> list[Choice]:
    seen = {
        entry.code: Choice(entry.code, LocalizedName(entry.labels), (kind, entry))
        for entry in reversed(entries)
    }
    return list(reversed(seen.values()))


def _validator(field: str, submission: Submission, catalog: Catalog) -> Validate:
    """Return a function that checks an answer with the same rules as the complete submission."""

    def validate(answer: str) -> Message | None:
        checked = submission_rules.check(_set(submission, field, answer), catalog)
        problems: Sequence[Problem] = (
            checked.problems if isinstance(checked, submission_rules.FailedCheck) else ()
        )
        for problem in problems:
            if problem.is_error and problem.field == field:
                return problem.message
        return None

    return validate


def _set(submission: Submission, field: str, value: str | None) -> Submission:
    return submission.with_values({field: value})


def command_line(
    guided: GuidedSubmission,
    files: Sequence[Path],
    *,
    sender_values: Mapping[str, str],
    service: str | None,
    flags: Sequence[str],
) -> str:
    """Return the command that sends the same submission without prompts.

    `sender_values` contains the stored sender's values, keyed by field name. Values that are equal to these
    do not become options. Numbers are masked. A placeholder replaces the booklet number, which works as a
    password.
    """
    submission = guided.submission
    values = {
        "sender": guided.sender,
        **{
            field.name: _displayed_value(field, str(value))
            for field in fields.FIELDS
            if (value := getattr(submission, field.name))
            and not (field.party and sender_values.get(field.name) == value)
        },
        "service": service,
    }
    options = [
        part
        for name, value in values.items()
        if value
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]
    options += flags
    names = [str(file) for file in files]
    if any(name.startswith("-") for name in names):
        names = ["--", *names]
        return _quote_words(["docsend", "send", *options, *names])
    return _quote_words(["docsend", "send", *names, *options])


def _displayed_value(field: Field, value: str) -> str:
    """Return a value as it may be displayed: in full, masked, or as a placeholder."""
    return {"whole": value, "masked": mask(value), "never": _HIDDEN}[field.display]


def _quote_words(words: Sequence[str]) -> str:
    """Quote words for this system's shell. Except on Windows, unprintable characters become escapes."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(words)
    return " ".join(shlex.quote(word) if word.isprintable() else _ansi_c_quote(word) for word in words)


def _ansi_c_quote(word: str) -> str:
    r"""Return a word as $'...' for bash and zsh, with unprintable characters escaped, such as \u200d."""
    escaped = word.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    shown = (char if char.isprintable() else _unicode_escape(ord(char)) for char in escaped)
    return f"$'{''.join(shown)}'"


def _unicode_escape(character: int) -> str:
    return f"\\u{character:04x}" if character <= 0xFFFF else f"\\U{character:08x}"
