"""Base class of hostile inputs, and the check of each submission that docsend accepts."""

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
from faults.hostile.program import (
    UNSAFE_CHARACTERS,
    output_violations,
    program_environment,
    render,
    run_program,
    unsafe_text,
)

if TYPE_CHECKING:
    import contextlib
    import random

    from docsend.model import catalog
    from docsend.model.document import Document, UnreadDocument
    from faults.hostile.program import Violations


class HostileInputs:
    """One class of hostile input.

    `try_function` passes an input to the function that reads it, `try_program` to the command line.
    """

    description = ""  # of the current input, for the report

    def __init__(self, folder: Path, opened: contextlib.ExitStack) -> None:
        self.folder = folder
        self.resources = opened
        self.home = folder / "home"
        self.home.mkdir()
        self.catalog = catalogs.load()
        self.pdf = samples.write(folder, "payslip.pdf", samples.pdf(1))
        self.prepare()

    def prepare(self) -> None: ...

    def try_function(self, rng: random.Random) -> Violations:
        raise NotImplementedError

    def try_program(self, rng: random.Random) -> Violations:
        raise NotImplementedError

    def send(self, rng: random.Random, *argv: object, **environment: str) -> Violations:
        """Run `send` with a known identity, which must not appear in the output."""
        as_json = rng.random() < 0.5
        about = (
            (*PERSONAL_OPTIONS,) if "--required" in argv else (*lab.CATALOG_OPTIONS, "--id", lab.ID_NUMBER)
        )
        given = ["send", *map(str, argv), *about, *(["--json"] if as_json else [])]
        yield from output_violations(
            run_program(given, program_environment(self.home, **environment)), as_json=as_json
        )


def make_submission(*documents: Document | UnreadDocument, **more: str) -> Submission:
    names = ("to", "subject", "category", "type")
    codes = dict(zip(names, lab.CATALOG_OPTIONS[1::2], strict=True))
    return Submission(**{**codes, "id": lab.ID_NUMBER, **more}, documents=documents)


def document_violations(document_read: Document | UnreadDocument, rows: catalog.Catalog) -> Violations:
    """Check a submission of one document.

    Problems must be safe to print. An accepted document must have the stated name, size, digest and format.
    """
    result = submission_rules.check(make_submission(document_read), rows)
    if isinstance(result, submission_rules.FailedCheck):
        if not result.problems:
            yield "other", "refused without a problem"
        for problem in result.problems:
            yield from unsafe_text(render(problem.message, problem.hint), "in an escaped problem")
            yield from unsafe_text(str(problem.code), "in a code")
        return
    (document,) = result.documents
    yield from _name_violations(document.name)
    if document.size != Path(document.path).stat().st_size or document.sha256 != lab.digest(
        Path(document.path)
    ):
        yield "wrong", "an accepted document has another size or digest than its file"
    if detect.FORMAT_OF_EXTENSION.get(document.name.rpartition(".")[2].lower()) != document.format:
        yield "wrong", "an accepted document has another format than its extension"
    try:
        declaration.validate(declaration.parse(canonicalize(result.declaration())), rows)
    except Refusal as refusal:
        yield "other", f"the check accepts what the sandbox refuses: {refusal.code} {dict(refusal.members)!a}"


def _name_violations(name: str) -> Violations:
    if UNSAFE_CHARACTERS.search(name) or "\n" in name or re.search(r"[/\\\u2028\u2029]", name):
        yield "wrong", f"an invalid name was accepted: {name[:60]!a}"
    if len(name.encode("utf-8", "surrogatepass")) > 255 or name != unicodedata.normalize("NFC", name):
        yield "wrong", f"a name that is too long or not in NFC was accepted: {name[:60]!a}"


PERSONAL_OPTIONS = ("--to", "personal", *lab.CATALOG_OPTIONS[2:])
