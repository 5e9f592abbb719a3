"""The guided `docsend send`: asks for what is missing, shows all, sends, and tells the command for it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from docsend.checks import documents, submission_rules
from docsend.cli import send_one
from docsend.errors import Interrupted
from docsend.i18n import Message
from docsend.model.submission import Submission
from docsend.ui import interactive
from docsend.ui.views.submission import show_summary

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext
    from docsend.model.catalog import Catalog, Destination
    from docsend.model.document import Document, UnreadDocument
    from docsend.ui.interactive import GuidedSubmission
    from docsend.ui.prompts import TerminalPrompter


def run(
    context: "CommandContext",
    submission: Submission,
    paths: Sequence[Path],
    *,
    sender: str | None,
    dry_run: bool,
    again: bool,
) -> None:
    """Ask only for what is missing; with nothing missing this is the plain send. Ctrl-C sends nothing."""
    submission = send_one.read(context, submission, paths)
    if interactive.missing_fields(submission, context.catalog()):
        if not dry_run:
            context.settings.chosen_endpoint()  # nobody should answer ten questions in vain
        guided, paths = _asked(context, submission, paths, dry_run=dry_run)
        _send(context, replace(guided, sender=guided.sender or sender), paths, dry_run=dry_run, again=again)
    else:
        checked = send_one.checked_or_exit(context, submission, dry_run=dry_run)
        send_one.show_or_send(context, submission, checked, dry_run=dry_run, again=again)


def _send(
    context: "CommandContext",
    guided: "GuidedSubmission",
    paths: Sequence[Path],
    *,
    dry_run: bool,
    again: bool,
) -> None:
    """Show all that was answered, send it, and tell the command that says the same."""
    submission = _within_limit(guided.submission, context.catalog())
    of_sender = context.senders().apply(guided.sender, Submission()).given_values() if guided.sender else {}
    try:
        checked = send_one.checked_or_exit(context, submission, dry_run=dry_run)
        show_summary(context.streams, checked, context.catalog(), guided.sender, context.settings.endpoint)
        if not dry_run:
            _last_look(context)
        send_one.show_or_send(context, submission, checked, dry_run=dry_run, again=again)
    finally:
        # Also of what broke off, or is to wait: nobody wants to answer twice.
        command = interactive.command_line(
            guided, paths, of_sender=of_sender, service=context.settings.service_flag, again=again
        )
        context.streams.say_command(Message("without questions:"), command)


def _within_limit(submission: Submission, catalog: "Catalog") -> Submission:
    """Return it with documents as large as its destination takes: they were read before it was known."""
    most = submission_rules.max_document_bytes(submission, catalog)
    return submission.with_documents(
        tuple(documents.within_limit(each, most) for each in submission.documents)
    )


def _last_look(context: "CommandContext") -> None:
    """Have what is shown agreed to; raise Interrupted if it is not."""
    try:
        agreed = _terminal(context).confirm(Message("send it? y sends, n does not"))
    except KeyboardInterrupt as stop:
        raise Interrupted.from_signal(stop, Message("interrupted: nothing was sent")) from None
    if not agreed:
        raise Interrupted(Message("nothing was sent"))


def _asked(
    context: "CommandContext", submission: Submission, paths: Sequence[Path], *, dry_run: bool
) -> "tuple[GuidedSubmission, Sequence[Path]]":
    """Have everything answered that is missing; raise Interrupted if the person has had enough."""
    catalog, given = context.catalog(), list(paths)

    def read(names: list[str], so_far: Submission) -> "tuple[Document | UnreadDocument, ...]":
        given[:] = send_one.expand_files(names)
        return documents.read_all(given, max_bytes=submission_rules.max_document_bytes(so_far, catalog))

    def going_to(destination: "Destination") -> None:
        if destination.is_personal and not dry_run:
            context.require_account()

    asker = _terminal(context)
    try:
        guided = interactive.fill_in(submission, catalog, asker, context.senders(), read, going_to)
    except KeyboardInterrupt as stop:
        raise Interrupted.from_signal(stop, Message("interrupted: nothing was sent")) from None
    return guided, given


def _terminal(context: "CommandContext") -> "TerminalPrompter":
    from docsend.ui.prompts import TerminalPrompter

    return TerminalPrompter(context.streams.render)
