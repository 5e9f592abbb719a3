"""Views of one submission: the result of the check, the summary before sending, and the receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.checks.document_rules import format_limit
from docsend.i18n import Data, LocalizedName, Message
from docsend.model import fields
from docsend.model.document import Document
from docsend.ui.views.receipt import document_rows, receipt_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from docsend.config.address import Endpoint
    from docsend.i18n import Displayable
    from docsend.model.catalog import Catalog
    from docsend.model.document import UnreadDocument
    from docsend.model.problem import Problem
    from docsend.model.receipt import Receipt
    from docsend.model.submission import CheckedSubmission, Submission
    from docsend.ui.send_result import SendResult
    from docsend.ui.terminal import Streams


class Received(NamedTuple):
    """A received submission with its receipt."""

    result: SendResult
    checked: CheckedSubmission
    receipt: Receipt

    def as_json(self) -> dict[str, Any]:
        return self.result.as_json()

    def show(self, streams: Streams) -> None:
        checked, is_repeated = self.checked, self.result.is_repeated
        about = " / ".join(filter(None, (checked.to, checked.subject, checked.category, checked.type)))
        rows: list[tuple[Displayable, Displayable]] = [
            *receipt_rows(self.receipt),
            (Message("for"), _on_behalf_of(checked)),
            (Message("about"), Data(about)),
            *([(Message("reference"), Data(checked.reference))] if checked.reference else []),
            *([(Message("occurrence"), Data(str(checked.occurrence)))] if checked.occurrence > 1 else []),
            *document_rows(self.receipt),
        ]
        streams.print_card(Message("already received") if is_repeated else Message("received"), rows)


class Checked(NamedTuple):
    """Result of a successful dry run. `limit` is the maximum size of a document in bytes, if known."""

    result: SendResult
    limit: int | None

    def as_json(self) -> dict[str, Any]:
        return self.result.as_json()

    def show(self, streams: Streams) -> None:
        if self.result.submission is not None:
            DocumentFindings(self.result.submission, self.result.problems, self.limit).show(streams)
        streams.say(Message("no errors found; nothing was sent"))


class DocumentFindings(NamedTuple):
    """Table that shows people the format, size, digest and problems of each document.

    `limit` is the maximum size of a document in bytes, if known.
    """

    submission: Submission | CheckedSubmission
    problems: Sequence[Problem]
    limit: int | None

    def as_json(self) -> None:
        """Return None, because the problems are already in the JSON of the result."""

    def show(self, streams: Streams) -> None:
        rows = [
            (
                Data(document.name),
                Data((document.format or "?") if isinstance(document, Document) else "-"),
                Data("-") if document.size is None else _size(document.size, self.limit),
                Data(document.sha256[:16] if isinstance(document, Document) else "-"),
                _verdict(document, self.problems),
            )
            for document in self.submission.documents
        ]
        streams.print_table(("document", "format", "bytes", "sha256", "verdict"), rows)


def show_summary(
    streams: Streams,
    checked: CheckedSubmission,
    catalog: Catalog,
    sender: str | None,
    endpoint: Endpoint | None,
) -> None:
    """Print what is about to be sent, before the final confirmation of a guided send."""
    about = [
        (Message("destination"), catalog.destinations.get(checked.to)),
        (Message("subject"), catalog.subjects.get(checked.subject or "")),
        (Message("category"), catalog.categories.get(checked.category)),
        (Message("type"), next((each for each in catalog.types if each.code == checked.type), None)),
        (Message("branch"), catalog.branches.get(checked.branch or "")),
    ]
    who = _on_behalf_of(checked)
    rows: list[tuple[Message, Displayable]] = [
        (Message("for"), Message("{sender}, {number}", sender=sender, number=who) if sender else who),
        *(
            (name, Message("{label} ({code})", label=LocalizedName(entry.labels), code=entry.code))
            for name, entry in about
            if entry is not None
        ),
        *_free_fields(checked),
        *([(Message("service"), Data(endpoint.name))] if endpoint else []),
        *(
            (Message("document"), Message("{name}, {size:,} bytes", name=each.name, size=each.size))
            for each in checked.documents
        ),
    ]
    width = max(len(streams.render(name)) for name, _ in rows)
    streams.say_rendered("")
    for name, value in rows:
        streams.say_rendered(f"{streams.render(name).ljust(width)}  {streams.render(value)}", indent=2)
    streams.say_problems(checked.warnings)
    streams.say_rendered("")


def _on_behalf_of(checked: CheckedSubmission) -> Data | Message:
    return Data(checked.masked_identity) if checked.masked_identity else Message("the signed-in account")


def _free_fields(checked: CheckedSubmission) -> Iterator[tuple[Message, Displayable]]:
    """Yield (label, value) for each content field that is not a catalog code. Omit an occurrence of 1."""
    for field in fields.CONTENT_FIELDS:
        value = getattr(checked, field.name)
        if value and not field.is_catalog_code and (field.name, value) != ("occurrence", 1):
            yield field.label or Message.verbatim(field.name), Data(str(value))


def _size(size: int, limit: int | None) -> Message:
    if limit is None:
        return Message("{size:,}", size=size)
    return Message("{size:,} of {limit}", size=size, limit=format_limit(limit))


def _verdict(document: Document | UnreadDocument, problems: Sequence[Problem]) -> Displayable:
    codes = [problem.code.value for problem in problems if problem.path == document.path]
    return Data(", ".join(codes)) if codes else Message("ok")
