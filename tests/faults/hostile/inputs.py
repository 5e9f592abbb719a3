"""A class of hostile input, and what holds of every submission that passes the check."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import samples
from docsend.checks import submission_rules
from docsend.checks.formats import detect
from docsend.model.canonical import canonicalize
from docsend.model.submission import Submission
from docsend.sandbox import declaration
from docsend.sandbox.problems import Refusal
from docsend.storage import catalogs
from faults import lab
from faults.hostile.program import UNSAFE, environment_at, judged, rendered, through_the_door, unsafe

if TYPE_CHECKING:
    import contextlib
    import random

    from docsend.model import catalog
    from docsend.model.document import Document, UnreadDocument
    from faults.hostile.program import Violations


class Inputs:
    """One class of hostile input: `near` takes it to the nearest function, `door` through the program."""

    what = ""  # the input at hand, for the report

    def __init__(self, folder: Path, opened: contextlib.ExitStack) -> None:
        self.folder = folder
        self.opened = opened
        self.home = folder / "home"
        self.home.mkdir()
        self.catalog = catalogs.load()
        self.pdf = samples.write(folder, "payslip.pdf", samples.pdf(1))
        self.prepare()

    def prepare(self) -> None: ...

    def near(self, rng: random.Random) -> Violations:
        raise NotImplementedError

    def door(self, rng: random.Random) -> Violations:
        raise NotImplementedError

    def send(self, rng: random.Random, *argv: object, **environment: str) -> Violations:
        """Run `send`, most often dry, with a known identity that must never be seen."""
        as_json = rng.random() < 0.5
        about = (*PERSONAL,) if "--required" in argv else (*lab.ABOUT, "--id", lab.PERSON)
        given = ["send", *map(str, argv), *about, *(["--json"] if as_json else [])]
        yield from judged(through_the_door(given, environment_at(self.home, **environment)), as_json=as_json)


def stated_submission(*read: Document | UnreadDocument, **more: str) -> Submission:
    names = ("to", "subject", "category", "type")
    about = dict(zip(names, lab.ABOUT[1::2], strict=True))
    return Submission(**{**about, "id": lab.PERSON, **more}, documents=read)


def checked_document(read: Document | UnreadDocument, rows: catalog.Catalog) -> Violations:
    """Check a submission of one document: findings can be shown, and what passes is what it says."""
    found = submission_rules.check(stated_submission(read), rows)
    if isinstance(found, submission_rules.FailedCheck):
        if not found.problems:
            yield "other", "faulty without a problem"
        for problem in found.problems:
            yield from unsafe(rendered(problem.message, problem.hint), "in a problem, made safe")
            yield from unsafe(str(problem.code), "in a code")
        return
    (document,) = found.documents
    yield from _fit_name(document.name)
    if document.size != Path(document.path).stat().st_size or document.sha256 != lab.digest(
        Path(document.path)
    ):
        yield "wrong", "what passed has another size or digest than its file"
    if detect.FORMAT_OF_EXTENSION.get(document.name.rpartition(".")[2].lower()) != document.format:
        yield "wrong", "what passed is of another format than its name says"
    try:
        declaration.read(declaration.parsed(canonicalize(found.declaration())), rows)
    except Refusal as refusal:
        yield "other", f"the check passes what the sandbox refuses: {refusal.code} {dict(refusal.members)!a}"


def _fit_name(name: str) -> Violations:
    if UNSAFE.search(name) or "\n" in name or re.search(r"[/\\\u2028\u2029]", name):
        yield "wrong", f"a name passed that should not: {name[:60]!a}"
    if len(name.encode("utf-8", "surrogatepass")) > 255 or name != unicodedata.normalize("NFC", name):
        yield "wrong", f"a name passed that is too long or not in NFC: {name[:60]!a}"


PERSONAL = ("--to", "personal", *lab.ABOUT[2:])
