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
    from docsend.i18n import Shown
    from docsend.model.catalog import Catalog, Destination, Entry
    from docsend.model.document import Document, UnreadDocument
    from docsend.model.fields import Field
    from docsend.model.problem import Problem
    from docsend.model.submission import Submission

    Judge = Callable[[str], "Message | None"]

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
    *(field.name for field in fields.OF_IDENTITY),
    *(field.name for field in fields.OF_CONTENT),
)


@dataclass(frozen=True)
class Choice:
    """One of the answers to a question: what is kept, and what a person reads beside it."""

    code: str
    label: Shown
    entry: tuple[str, Entry] | None = None


class Asker(Protocol):
    """Somebody who can be asked. Each raises KeyboardInterrupt when the person has had enough."""

    def choose(self, question: Message, choices: Sequence[Choice], default: str | None = None) -> str:
        """Have one of the choices taken; give its code."""

    def write(
        self, question: Message, judge: Judge, *, optional: bool = False, secret: bool = False
    ) -> str | None:
        """Have a text written for which `judge` has no fault to tell; None if it is left open."""

    def files(self, question: Message) -> list[str]:
        """Have the name of a file written that is there."""


@dataclass(frozen=True)
class Guided:
    """What the person stated in the end, and the sender by whose name they stated it."""

    stated: Submission
    sender: str | None


def missing(stated: Submission, catalog: Catalog) -> list[str] | None:
    """Give the fields that have to be asked for; None if something is wrong that no answer mends."""
    checked = submission_rules.check(stated, catalog)
    if not isinstance(checked, submission_rules.Faulty):
        return []
    errors = [problem for problem in checked.problems if problem.is_error]
    if not all(problem.code.kind is Kind.MISSING for problem in errors):
        return None
    return sorted((problem.field or "" for problem in errors), key=_ORDER.index)


def fill_in(
    stated: Submission,
    catalog: Catalog,
    asker: Asker,
    senders: Senders,
    read: Callable[[list[str], Submission], tuple[Document | UnreadDocument, ...]],
    going_to: Callable[[Destination], None],
) -> Guided:
    """Ask for everything that is missing, and for what is optional beside it.

    `read` reads documents; `going_to` is told the destination as soon as it is known, and may raise: nobody
    should answer ten questions and hear then that a sign-in is needed.
    """
    sender: str | None = None
    if stated.to in catalog.destinations:
        going_to(catalog.destinations[stated.to])
    while unanswered := missing(stated, catalog):
        field = unanswered[0]
        if field == "documents":
            stated = stated.with_documents(read(asker.files(_QUESTIONS[field]), stated))
        elif field in ("id", "employer_file") and sender is None and not stated.employer_file:
            sender, stated = _whom(stated, catalog, asker, senders)
        else:
            stated = _set(stated, field, _answer(field, stated, catalog, asker))
            if field == "to":
                going_to(catalog.destinations[stated.to or ""])
    if not isinstance(submission_rules.check(stated, catalog), submission_rules.Faulty):
        stated = _options(stated, catalog, asker)
    return Guided(stated, sender or None)


def _whom(stated: Submission, catalog: Catalog, asker: Asker, senders: Senders) -> tuple[str, Submission]:
    """Have a sender chosen, if there are any of the kind, or the numbers written."""
    kind = catalog.destinations[stated.to or ""].identity
    known = senders.of(kind)
    if known:
        nobody = Choice("-", Message("somebody else"))
        choices = [*(Choice(name, Data(each.masked)) for name, each in known.items()), nobody]
        name = asker.choose(_QUESTIONS["sender"], choices)
        if name != nobody.code:
            return name, senders.applied(name, stated)
    if kind == "insured":
        return "", _set(stated, "id", _answer("id", stated, catalog, asker))
    if stated.employer_kind is None:
        kinds = [Choice(each, _KINDS[each]) for each in EMPLOYER_KINDS]
        chosen = asker.choose(_QUESTIONS["employer_kind"], kinds, EMPLOYER_KINDS[0])
        stated = _set(stated, "employer_kind", chosen)
    return "", _set(stated, "employer_file", _answer("employer_file", stated, catalog, asker))


def _answer(field: str, stated: Submission, catalog: Catalog, asker: Asker) -> str:
    to, subject = stated.to or "", stated.subject
    offered: dict[str, Callable[[], Sequence[Entry]]] = {
        "to": lambda: _fitting(stated, catalog),
        "subject": lambda: catalog.subjects_of(to),
        "category": lambda: catalog.categories_of(to, subject),
        # Those that are filed online, too: whoever wants one of them is told where.
        "type": lambda: [
            each for each in catalog.types_of(to, subject) if stated.category in (None, each.category)
        ],
    }
    if field in offered:
        choices = _choices("destination" if field == "to" else field, offered[field]())
        only = choices[0].code if len(choices) == 1 else None
        return asker.choose(_QUESTIONS[field], choices, only)
    judge = _judge(field, stated, catalog)
    answer = asker.write(_QUESTIONS[field], judge, secret=fields.BY_NAME[field].shown == "never")
    return answer or ""


def _fitting(stated: Submission, catalog: Catalog) -> Sequence[Entry]:
    """Give the destinations that take what is stated; all, if none does, and the rules say why."""
    known = tuple(catalog.destinations.values())
    fitting = [each for each in known if missing(_set(stated, "to", each.code), catalog) is not None]
    return fitting or known


def _options(stated: Submission, catalog: Catalog, asker: Asker) -> Submission:
    """Ask for what may be left open: the branch, a remark."""
    if stated.branch is None and catalog.destinations[stated.to or ""].takes_branch:
        by_residence = Choice("-", Message("the service chooses, by residence"))
        choices = [by_residence, *_choices("branch", tuple(catalog.branches.values()))]
        branch = asker.choose(_QUESTIONS["branch"], choices, by_residence.code)
        stated = stated if branch == by_residence.code else _set(stated, "branch", branch)
    for field in fields.OF_CONTENT:
        if field.question and not field.is_of_catalog and getattr(stated, field.name) is None:
            answer = asker.write(field.question, _judge(field.name, stated, catalog), optional=True)
            stated = _set(stated, field.name, answer) if answer else stated
    return stated


def _choices(kind: str, entries: Sequence[Entry]) -> list[Choice]:
    seen = {
        entry.code: Choice(entry.code, LocalizedName(entry.labels), (kind, entry))
        for entry in reversed(entries)
    }
    return list(reversed(seen.values()))


def _judge(field: str, stated: Submission, catalog: Catalog) -> Judge:
    """Give a check of what is being written: the very rules that the whole submission is held against."""

    def judge(answer: str) -> Message | None:
        checked = submission_rules.check(_set(stated, field, answer), catalog)
        problems: Sequence[Problem] = checked.problems if isinstance(checked, submission_rules.Faulty) else ()
        for problem in problems:
            if problem.is_error and problem.field == field:
                return problem.message
        return None

    return judge


def _set(stated: Submission, field: str, value: str | None) -> Submission:
    return stated.with_values({field: value})


def command_line(
    guided: Guided, files: Sequence[Path], *, of_sender: Mapping[str, str], service: str | None, again: bool
) -> str:
    """Give the command that does the same without questions.

    `of_sender` is what the sender states already, by the names of `Submission`. Numbers are masked; of the
    booklet's, which works as a password, nothing is shown.
    """
    stated = guided.stated
    said = {
        "sender": guided.sender,
        **{
            field.name: _shown(field, str(value))
            for field in fields.FIELDS
            if (value := getattr(stated, field.name))
            and not (field.whose and of_sender.get(field.name) == value)
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
    return {"whole": value, "masked": mask(value), "never": _HIDDEN}[field.shown]


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
