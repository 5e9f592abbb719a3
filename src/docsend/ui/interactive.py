"""The guided send: what is still missing is asked for, in the order in which the institute's page asks.

It decides what to ask and what may be answered, from the catalog and the rules; how it looks is the business
of an `Asker`. Nothing is sent from here.
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

# What each question is called; of a field, the table of fields says it.
_QUESTIONS = {
    **{field.name: field.question for field in fields.FIELDS if field.question},
    "sender": Message("sender"),
    "documents": Message("document"),
}
_KINDS = {
    "deduction": Message("a deduction file, 9 digits"),
    "household": Message("somebody who employs in the household"),
    "building-committee": Message("the committee of a building"),
}
_HIDDEN = "…"
# In the order of the institute's page: where to, for whom, about what.
_ORDER = (
    "documents",
    "to",
    *(field.name for field in fields.IDENTITY_FIELDS),
    *(field.name for field in fields.CONTENT_FIELDS),
)


@dataclass(frozen=True)
class Choice:
    """One of the answers to a question: what is kept, and what a person reads beside it."""

    code: str
    label: Displayable
    entry: tuple[str, CatalogEntry] | None = None


class Prompter(Protocol):
    """Somebody who can be asked. Each raises KeyboardInterrupt when the person has had enough."""

    def ask_choice(self, question: Message, choices: Sequence[Choice], default: str | None = None) -> str:
        """Have one of the choices taken; give its code."""

    def ask_text(
        self, question: Message, validate: Validate, *, optional: bool = False, secret: bool = False
    ) -> str | None:
        """Have a text written for which `judge` has no fault to tell; None if it is left open."""

    def ask_files(self, question: Message) -> list[str]:
        """Have the name of a file written that is there."""


@dataclass(frozen=True)
class GuidedSubmission:
    """What the person stated in the end, and the sender by whose name they stated it."""

    submission: Submission
    sender: str | None


def missing_fields(submission: Submission, catalog: Catalog) -> list[str] | None:
    """Give the fields that have to be asked for; None if something is wrong that no answer mends."""
    checked = submission_rules.check(submission, catalog)
    if not isinstance(checked, submission_rules.FailedCheck):
        return []
    errors = [problem for problem in checked.problems if problem.is_error]
    if not all(problem.code.kind is Kind.MISSING for problem in errors):
        return None
    return sorted((problem.field or "" for problem in errors), key=_ORDER.index)


def fill_in(
    submission: Submission,
    catalog: Catalog,
    asker: Prompter,
    senders: Senders,
    read: Callable[[list[str], Submission], tuple[Document | UnreadDocument, ...]],
    going_to: Callable[[Destination], None],
) -> GuidedSubmission:
    """Ask for everything that is missing, and for what is optional beside it.

    `read` reads documents; `going_to` is told the destination as soon as it is known, and may raise: nobody
    should answer ten questions and hear then that a sign-in is needed.
    """
    sender: str | None = None
    if submission.to in catalog.destinations:
        going_to(catalog.destinations[submission.to])
    while unanswered := missing_fields(submission, catalog):
        field = unanswered[0]
        if field == "documents":
            submission = submission.with_documents(read(asker.ask_files(_QUESTIONS[field]), submission))
        elif field in ("id", "employer_file") and sender is None and not submission.employer_file:
            sender, submission = _whom(submission, catalog, asker, senders)
        else:
            submission = _set(submission, field, _answer(field, submission, catalog, asker))
            if field == "to":
                going_to(catalog.destinations[submission.to or ""])
    if not isinstance(submission_rules.check(submission, catalog), submission_rules.FailedCheck):
        submission = _options(submission, catalog, asker)
    return GuidedSubmission(submission, sender or None)


def _whom(
    submission: Submission, catalog: Catalog, asker: Prompter, senders: Senders
) -> tuple[str, Submission]:
    """Have a sender chosen, if there are any of the kind, or the numbers written."""
    kind = catalog.destinations[submission.to or ""].identity
    known = senders.of_party(kind)
    if known:
        nobody = Choice("-", Message("somebody else"))
        choices = [*(Choice(name, Data(each.masked_number)) for name, each in known.items()), nobody]
        name = asker.ask_choice(_QUESTIONS["sender"], choices)
        if name != nobody.code:
            return name, senders.apply(name, submission)
    if kind == "insured":
        return "", _set(submission, "id", _answer("id", submission, catalog, asker))
    if submission.employer_kind is None:
        kinds = [Choice(each, _KINDS[each]) for each in EMPLOYER_KINDS]
        chosen = asker.ask_choice(_QUESTIONS["employer_kind"], kinds, EMPLOYER_KINDS[0])
        submission = _set(submission, "employer_kind", chosen)
    return "", _set(submission, "employer_file", _answer("employer_file", submission, catalog, asker))


def _answer(field: str, submission: Submission, catalog: Catalog, asker: Prompter) -> str:
    to, subject = submission.to or "", submission.subject
    offered: dict[str, Callable[[], Sequence[CatalogEntry]]] = {
        "to": lambda: _fitting(submission, catalog),
        "subject": lambda: catalog.subjects_of(to),
        "category": lambda: catalog.categories_of(to, subject),
        # Those that are filed online, too: whoever wants one of them is told where.
        "type": lambda: [
            each for each in catalog.types_of(to, subject) if submission.category in (None, each.category)
        ],
    }
    if field in offered:
        choices = _choices("destination" if field == "to" else field, offered[field]())
        only = choices[0].code if len(choices) == 1 else None
        return asker.ask_choice(_QUESTIONS[field], choices, only)
    judge = _validator(field, submission, catalog)
    answer = asker.ask_text(_QUESTIONS[field], judge, secret=fields.BY_NAME[field].display == "never")
    return answer or ""


def _fitting(submission: Submission, catalog: Catalog) -> Sequence[CatalogEntry]:
    """Give the destinations that take what is stated; all, if none does, and the rules say why."""
    known = tuple(catalog.destinations.values())
    fitting = [
        each for each in known if missing_fields(_set(submission, "to", each.code), catalog) is not None
    ]
    return fitting or known


def _options(submission: Submission, catalog: Catalog, asker: Prompter) -> Submission:
    """Ask for what may be left open: the branch, a remark."""
    if submission.branch is None and catalog.destinations[submission.to or ""].takes_branch:
        by_residence = Choice("-", Message("the service chooses, by residence"))
        choices = [by_residence, *_choices("branch", tuple(catalog.branches.values()))]
        branch = asker.ask_choice(_QUESTIONS["branch"], choices, by_residence.code)
        submission = submission if branch == by_residence.code else _set(submission, "branch", branch)
    for field in fields.CONTENT_FIELDS:
        if field.question and not field.is_catalog_code and getattr(submission, field.name) is None:
            answer = asker.ask_text(
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
    """Give a check of what is being written: the very rules that the whole submission is held against."""

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
    of_sender: Mapping[str, str],
    service: str | None,
    again: bool,
) -> str:
    """Give the command that does the same without questions.

    `of_sender` is what the sender states already, by the names of `Submission`. Numbers are masked; of the
    booklet's, which works as a password, nothing is shown.
    """
    submission = guided.submission
    said = {
        "sender": guided.sender,
        **{
            field.name: _shown(field, str(value))
            for field in fields.FIELDS
            if (value := getattr(submission, field.name))
            and not (field.party and of_sender.get(field.name) == value)
        },
        "service": service,
    }
    options = [
        part for name, value in said.items() if value for part in (f"--{name.replace('_', '-')}", str(value))
    ]
    if again:
        options.append("--again")
    names = [str(file) for file in files]
    if any(name.startswith("-") for name in names):
        names = ["--", *names]
        return _joined(["docsend", "send", *options, *names])
    return _joined(["docsend", "send", *names, *options])


def _shown(field: Field, value: str) -> str:
    """Return as much of a value as anybody may be shown."""
    return {"whole": value, "masked": mask(value), "never": _HIDDEN}[field.display]


def _joined(words: Sequence[str]) -> str:
    """Join words as this system's shell takes them apart; what cannot be shown is written out for it."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(words)
    return " ".join(shlex.quote(word) if word.isprintable() else _written_out(word) for word in words)


def _written_out(word: str) -> str:
    r"""Give a word as $'...', which bash, zsh and others read: line breaks as \n, marks as \u200d."""
    escaped = word.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    shown = (each if each.isprintable() else _numbered(ord(each)) for each in escaped)
    return f"$'{''.join(shown)}'"


def _numbered(character: int) -> str:
    return f"\\u{character:04x}" if character <= 0xFFFF else f"\\U{character:08x}"
