"""One submission of `docsend send` and `docsend required upload`: checked, sent, and its receipt shown."""

import contextlib
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from docsend.checks import documents, submission_rules
from docsend.errors import DocsendError, LocalError, UsageError
from docsend.i18n import Message
from docsend.ui import send_result
from docsend.ui.views.submission import Checked, DocumentFindings, Received

if TYPE_CHECKING:
    from docsend.auth.account import Account
    from docsend.cli.context import CommandContext
    from docsend.model.submission import CheckedSubmission, Submission
    from docsend.service.client import ServiceClient


def run(
    context: "CommandContext",
    submission: "Submission",
    paths: Sequence[Path],
    *,
    account: "Account | None" = None,
    dry_run: bool,
    again: bool = False,
) -> None:
    """Read, check, and show the findings or send; `account` is the one to use, if it is known already."""
    submission = read_documents(context, submission, paths)
    checked = check_or_exit(context, submission, dry_run=dry_run)
    show_or_send(context, submission, checked, account=account, dry_run=dry_run, again=again)


def read_documents(context: "CommandContext", submission: "Submission", paths: Sequence[Path]) -> "Submission":
    """Return what was stated with the documents that it names."""
    most = submission_rules.max_document_bytes(submission, context.catalog())
    return submission.with_documents(documents.read_all(paths, max_bytes=most))


def check_or_exit(
    context: "CommandContext", submission: "Submission", *, dry_run: bool
) -> "CheckedSubmission":
    """Check what was stated; tell all that is wrong and end: with 2 if options are missing, else with 3."""
    checked = submission_rules.check(submission, context.catalog())
    if not isinstance(checked, submission_rules.FailedCheck):
        return checked
    error = checked.as_error()
    if dry_run and submission.documents:
        context.output.show(DocumentFindings(submission, checked.problems, _limit(context, submission)))
    endpoint = context.settings.endpoint
    context.output.fail(error, send_result.from_error(error, submission, endpoint.name if endpoint else None))
    raise typer.Exit(error.code)


def show_or_send(
    context: "CommandContext",
    submission: "Submission",
    checked: "CheckedSubmission",
    *,
    account: "Account | None" = None,
    dry_run: bool,
    again: bool = False,
) -> None:
    """Show what a dry run found, or send, and show the receipt or how far it came."""
    if context.catalog().destinations[checked.to].is_personal and not dry_run:
        account = account or context.require_account()
    if account is not None:
        checked = checked.with_account(account.code)
    context.streams.say_problems(checked.warnings)
    if dry_run:
        endpoint = context.settings.endpoint
        clean = send_result.SendResult(
            status="checked",
            service=endpoint.name if endpoint else None,
            submission=checked,
            problems=checked.warnings,
        )
        context.output.show_final(Checked(clean, _limit(context, submission)))
    else:
        _send(context, checked, account, again=again)


def _limit(context: "CommandContext", submission: "Submission") -> int | None:
    """Return how many bytes a document may have where it goes; None if that is not known."""
    destination = context.catalog().destinations.get(submission.to or "")
    return destination.max_document_bytes if destination else None


def expand_files(given: Sequence[str]) -> list[Path]:
    """Give the files meant: Windows shells leave patterns to the program, and so do quotes elsewhere."""
    paths: list[Path] = []
    for name in given:
        if not name:
            raise UsageError(
                Message("the name of a file is empty"), Message("is a variable of the script empty?")
            )
        path = Path(name)
        # Not Path.exists, which raises for a folder that may not be entered.
        is_pattern = glob.has_magic(name) and not os.path.exists(name)
        found = sorted(glob.glob(name)) if is_pattern else []
        paths += map(Path, found) if found else [path]
    return paths


def _send(
    context: "CommandContext", checked: "CheckedSubmission", account: "Account | None", *, again: bool
) -> None:
    from docsend.delivery import deliver

    service = context.settings.chosen_endpoint().name

    @contextlib.contextmanager
    def opened(checked: "CheckedSubmission") -> "Iterator[ServiceClient]":
        with (
            context.output.document_progress(checked.documents) as watcher,
            context.open_service(watcher, account, catalog=context.catalog()) as client,
        ):
            yield client

    try:
        with context.open_ledger() as ledger:
            sent = deliver.deliver(checked, service, ledger, opened, again=again)
    except DocsendError as error:
        failed = error.submission or checked
        context.output.fail(error, send_result.from_error(error, failed, service, checked.warnings))
        raise typer.Exit(error.code) from error
    received = send_result.SendResult(
        status="received",
        is_repeated=sent.delivery.is_repeated,
        service=service,
        submission=sent.submission,
        receipt=sent.delivery.receipt,
        problems=checked.warnings,
    )
    try:
        context.output.show_final(Received(received, sent.submission, sent.delivery.receipt))
    except LocalError as failure:
        number, key = sent.delivery.receipt.number, sent.submission.key[:12]
        raise LocalError(
            Message("received as {number}, but {message}", number=number, message=failure.message),
            Message("`docsend receipts show {key}` shows the receipt", key=key),
        ) from failure
