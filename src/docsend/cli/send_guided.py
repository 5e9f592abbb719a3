"""The guided `docsend send`: ask for missing values, confirm, send, and show the equivalent command."""

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
    from docsend.cli.send_one import SendOptions
    from docsend.model.catalog import Catalog, Destination
    from docsend.model.document import Document, UnreadDocument
    from docsend.ui.interactive import GuidedSubmission
    from docsend.ui.prompts import TerminalPrompter


def run(
    context: "CommandContext",
    submission: Submission,
    paths: Sequence[Path],
    options: "SendOptions",
    *,
    sender: str | None,
) -> None:
    """Ask for missing values, then send. If none is missing, send without any questions.

    Raise Interrupted before anything is sent if the user presses Ctrl-C at a question or declines to send.
    """
    submission = send_one.read_documents(context, submission, paths, thorough=options.thorough)
    if interactive.missing_fields(submission, context.catalog()):
        if not options.dry_run:
            # Fail early if no service is chosen, before the user answers any questions.
            context.settings.chosen_endpoint()
        guided, paths = _ask_for_missing(context, submission, paths, options)
        _send(context, replace(guided, sender=guided.sender or sender), paths, options)
    else:
        checked = send_one.check_or_exit(context, submission, dry_run=options.dry_run)
        send_one.show_or_send(context, submission, checked, options)


def _send(
    context: "CommandContext",
    guided: "GuidedSubmission",
    paths: Sequence[Path],
    options: "SendOptions",
) -> None:
    """Show the summary, send the submission, and show the command that does the same without questions."""
    submission = _enforce_size_limit(guided.submission, context.catalog())
    of_sender = context.senders().apply(guided.sender, Submission()).given_values() if guided.sender else {}
    try:
        checked = send_one.check_or_exit(context, submission, dry_run=options.dry_run)
        show_summary(context.streams, checked, context.catalog(), guided.sender, context.settings.endpoint)
        if not options.dry_run:
            _confirm(context)
        send_one.show_or_send(context, submission, checked, options)
    finally:
        # Also shown if sending failed or the user declined, so that no question must be answered twice.
        command = interactive.command_line(
            guided,
            paths,
            sender_values=of_sender,
            service=context.settings.service_flag,
            flags=[
                *(["--anyway"] if options.anyway else []),
                *(["--thorough"] if options.thorough else []),
            ],
        )
        context.streams.say_command(Message("the same command without questions:"), command)


def _enforce_size_limit(submission: Submission, catalog: "Catalog") -> Submission:
    """Apply the destination's size limit to documents that were read before the destination was known."""
    max_bytes = submission_rules.max_document_bytes(submission, catalog)
    return submission.with_documents(
        tuple(documents.within_limit(document, max_bytes) for document in submission.documents)
    )


def _confirm(context: "CommandContext") -> None:
    """Ask whether to send what is shown. Raise Interrupted if the user declines or presses Ctrl-C."""
    try:
        is_confirmed = _prompter(context).confirm(Message("send it? (y to send, n to cancel)"))
    except KeyboardInterrupt as stop:
        raise Interrupted.from_signal(stop, Message("interrupted: nothing was sent")) from None
    if not is_confirmed:
        raise Interrupted(Message("nothing was sent"))


def _ask_for_missing(
    context: "CommandContext", submission: Submission, paths: Sequence[Path], options: "SendOptions"
) -> "tuple[GuidedSubmission, Sequence[Path]]":
    """Ask for all missing values. Return the completed submission and the paths of its documents.

    Raise Interrupted if the user presses Ctrl-C.
    """
    catalog, given = context.catalog(), list(paths)

    def read(names: list[str], so_far: Submission) -> "tuple[Document | UnreadDocument, ...]":
        given[:] = send_one.expand_files(names)
        max_bytes = submission_rules.max_document_bytes(so_far, catalog)
        return documents.read_all(given, max_bytes=max_bytes, is_thorough=options.thorough)

    def check_destination(destination: "Destination") -> None:
        if destination.is_personal and not options.dry_run:
            context.require_account()

    prompter = _prompter(context)
    try:
        guided = interactive.fill_in(
            submission, catalog, prompter, context.senders(), read, check_destination
        )
    except KeyboardInterrupt as stop:
        raise Interrupted.from_signal(stop, Message("interrupted: nothing was sent")) from None
    return guided, given


def _prompter(context: "CommandContext") -> "TerminalPrompter":
    from docsend.ui.prompts import TerminalPrompter

    return TerminalPrompter(context.streams.render)
