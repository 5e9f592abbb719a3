"""Checks and sends one submission, and shows its receipt, for `send` and `required upload`."""

import contextlib
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from docsend.checks import documents, submission_rules
from docsend.errors import DocsendError, Interrupted, InvalidSubmission, LocalError, UsageError
from docsend.i18n import Message
from docsend.ui import send_result
from docsend.ui.views.submission import Checked, DocumentFindings, Received

if TYPE_CHECKING:
    from docsend.auth.account import Account
    from docsend.cli.context import CommandContext
    from docsend.model.receipt import Delivery
    from docsend.model.submission import CheckedSubmission, Submission
    from docsend.service.client import ServiceClient
    from docsend.storage.ledger import Ledger


class SendOptions(NamedTuple):
    """Options of `docsend send` that say how one submission is checked and sent, not what it contains."""

    dry_run: bool = False
    anyway: bool = False
    thorough: bool = False


def run(
    context: "CommandContext",
    submission: "Submission",
    paths: Sequence[Path],
    options: SendOptions,
    *,
    account: "Account | None" = None,
) -> None:
    """Read the documents and check the submission. Then send it or, in a dry run, show the findings.

    If the destination needs an account and `account` is None, use the account that the settings select. If
    the check or the sending fails, show the error and raise typer.Exit with the error's exit code.
    """
    submission = read_documents(context, submission, paths, thorough=options.thorough)
    checked = check_or_exit(context, submission, dry_run=options.dry_run)
    show_or_send(context, submission, checked, options, account=account)


def read_documents(
    context: "CommandContext", submission: "Submission", paths: Sequence[Path], *, thorough: bool
) -> "Submission":
    """Return the submission with the documents read from these paths."""
    max_bytes = submission_rules.max_document_bytes(submission, context.catalog())
    return submission.with_documents(documents.read_all(paths, max_bytes=max_bytes, is_thorough=thorough))


def check_or_exit(
    context: "CommandContext", submission: "Submission", *, dry_run: bool
) -> "CheckedSubmission":
    """Return the checked submission, or report all problems and raise typer.Exit.

    The exit code is 2 if options are missing, otherwise 3.
    """
    checked = submission_rules.check(submission, context.catalog())
    if not isinstance(checked, submission_rules.FailedCheck):
        return checked
    error = checked.as_error()
    if dry_run and submission.documents:
        context.output.show(
            DocumentFindings(submission, checked.problems, _max_document_bytes(context, submission))
        )
    endpoint = context.settings.endpoint
    context.output.fail(error, send_result.from_error(error, submission, endpoint.name if endpoint else None))
    raise typer.Exit(error.code)


def show_or_send(
    context: "CommandContext",
    submission: "Submission",
    checked: "CheckedSubmission",
    options: SendOptions,
    *,
    account: "Account | None" = None,
) -> None:
    """Show the findings in a dry run. Otherwise send the submission, and show the receipt or the error.

    If sending fails, raise typer.Exit with the error's exit code.
    """
    if context.catalog().destinations[checked.to].is_personal and not options.dry_run:
        account = account or context.require_account()
    if account is not None:
        checked = checked.with_account(account.code)
    context.streams.say_problems(checked.warnings)
    if options.dry_run:
        if not options.anyway:
            _refuse_received(context, submission, checked)
        endpoint = context.settings.endpoint
        result = send_result.SendResult(
            status="checked",
            service=endpoint.name if endpoint else None,
            submission=checked,
            problems=checked.warnings,
        )
        context.output.show_final(Checked(result, _max_document_bytes(context, submission)))
    else:
        _send(context, checked, account, anyway=options.anyway)


def _max_document_bytes(context: "CommandContext", submission: "Submission") -> int | None:
    """Return the destination's size limit for a document in bytes, or None if the destination is unknown."""
    destination = context.catalog().destinations.get(submission.to or "")
    return destination.max_document_bytes if destination else None


def expand_files(given: Sequence[str]) -> list[Path]:
    """Return the paths of these files, with patterns expanded.

    Windows shells never expand patterns, and other shells do not expand quoted ones. Raise
    UsageError for an empty name.
    """
    paths: list[Path] = []
    for name in given:
        if not name:
            raise UsageError(
                Message("empty file name"), Message("check for an empty variable in your script")
            )
        path = Path(name)
        # Unlike this function, Path.exists raises if a folder may not be entered.
        is_pattern = glob.has_magic(name) and not os.path.exists(name)
        matches = sorted(glob.glob(name)) if is_pattern else []
        paths += map(Path, matches) if matches else [path]
    return paths


def _refuse_received(
    context: "CommandContext", submission: "Submission", checked: "CheckedSubmission"
) -> None:
    """In a dry run, raise typer.Exit if the ledger alone shows that the submission would be refused."""
    endpoint = context.settings.endpoint
    if endpoint is None or not context.settings.ledger_file.exists():
        return
    if not checked.has_key:
        code = context.find_account_code()
        if code is None:
            context.say_not_compared(1)
            return
        checked = checked.with_account(code)
    from docsend.delivery import repetition

    try:
        with context.open_ledger() as ledger:
            repetition.refuse_received(ledger.find_earlier(endpoint.name, checked))
    except DocsendError as error:
        context.output.show(
            DocumentFindings(submission, checked.warnings, _max_document_bytes(context, submission))
        )
        context.output.fail(error, send_result.from_error(error, checked, endpoint.name, checked.warnings))
        raise typer.Exit(error.code) from error


def _send(
    context: "CommandContext", checked: "CheckedSubmission", account: "Account | None", *, anyway: bool
) -> None:
    """Send a submission, and show its receipt or the error.

    On a terminal, ask before something is sent a second time, in whatever sense. Elsewhere, say how to do it.
    """
    service = context.settings.chosen_endpoint().name
    try:
        with context.open_ledger() as ledger:
            checked, delivery = _deliver(context, checked, service, ledger, account, anyway=anyway)
    except DocsendError as error:
        warnings = (*checked.warnings, *error.notices)
        context.output.fail(error, send_result.from_error(error, checked, service, warnings))
        raise typer.Exit(error.code) from error
    context.streams.say_problems(delivery.notices)
    received = send_result.SendResult(
        status="received",
        is_repeated=delivery.is_repeated,
        service=service,
        submission=checked,
        receipt=delivery.receipt,
        problems=(*checked.warnings, *delivery.notices),
    )
    try:
        context.output.show_final(Received(received, checked, delivery.receipt))
    except LocalError as failure:
        number, key = delivery.receipt.number, checked.key[:12]
        raise LocalError(
            Message("received as {number}, but {message}", number=number, message=failure.message),
            Message("run `docsend receipts show {key}` to see the receipt", key=key),
        ) from failure


def _deliver(
    context: "CommandContext",
    checked: "CheckedSubmission",
    service: str,
    ledger: "Ledger",
    account: "Account | None",
    *,
    anyway: bool,
) -> "tuple[CheckedSubmission, Delivery]":
    """Deliver a submission, and return it with its delivery.

    If the user wants the same content to be sent once more, the returned submission is the next occurrence.
    """
    from docsend.delivery import deliver, repetition

    @contextlib.contextmanager
    def open_client(checked: "CheckedSubmission") -> "Iterator[ServiceClient]":
        with (
            context.output.document_progress(checked.documents) as listener,
            context.open_service(listener, account, catalog=context.catalog()) as client,
        ):
            yield client

    def deliver_or_ask(wanted: "CheckedSubmission") -> "tuple[CheckedSubmission, Delivery]":
        try:
            return wanted, deliver.deliver(wanted, service, ledger, open_client, anyway=anyway)
        except InvalidSubmission as error:
            is_repetition = any(problem.code in repetition.REPETITION_CODES for problem in error.problems)
            # The service accepts a required document only once.
            if not is_repetition or not context.can_prompt or wanted.required is not None:
                raise
            meant = _confirm_repetition(context, error, wanted, service, ledger)
            return meant, deliver.deliver(meant, service, ledger, open_client, anyway=True)

    checked, delivery = deliver_or_ask(checked)
    if delivery.is_repeated:
        once_more = _offer_once_more(context, checked, delivery, service, ledger)
        if once_more is not None:
            return deliver_or_ask(once_more)
    return checked, delivery


def _confirm_repetition(
    context: "CommandContext",
    error: InvalidSubmission,
    checked: "CheckedSubmission",
    service: str,
    ledger: "Ledger",
) -> "CheckedSubmission":
    """Ask whether to send what repeats an earlier submission, and return what to send.

    Raise Interrupted if the user does not want that.
    """
    from docsend.delivery import repetition

    context.streams.say_problems(error.problems)
    if not _confirm(context, Message("send it all the same? (y to send, n to cancel)")):
        raise Interrupted(Message("nothing was sent")) from None
    known = ledger.find(service, checked.key)
    if known is not None and known.state == "withdrawn":
        # An earlier run had left it unfinished. Its key can never be received any more.
        return checked.with_occurrence(repetition.next_occurrence(checked, service, ledger))
    return checked


def _offer_once_more(
    context: "CommandContext",
    checked: "CheckedSubmission",
    delivery: "Delivery",
    service: str,
    ledger: "Ledger",
) -> "CheckedSubmission | None":
    """Say that a submission had been received before, and how to send the same content once more.

    On a terminal, ask about that, and return the next occurrence if the user wants it.
    """
    from docsend.delivery import repetition

    context.streams.say(
        Message(
            "this submission had already been received: receipt {number} of {date}; it was not received "
            "again",
            number=delivery.receipt.number,
            date=delivery.receipt.received_at[:10],
        )
    )
    if checked.required is not None:  # the service accepts it only once
        return None
    following = repetition.next_occurrence(checked, service, ledger)
    if not context.can_prompt:
        context.streams.say(
            Message("to send the same content once more, give --occurrence {next}", next=following)
        )
        return None
    question = Message(
        "send it once more, as with --occurrence {next}? (y to send, n to keep the receipt)", next=following
    )
    hint = Message("run `docsend receipts show {key}` to see the receipt", key=checked.key[:12])
    return checked.with_occurrence(following) if _confirm(context, question, hint) else None


def _confirm(context: "CommandContext", question: Message, hint: Message | None = None) -> bool:
    """Ask a question on the terminal. Raise Interrupted, with this hint, if the user presses Ctrl-C."""
    from docsend.ui.prompts import TerminalPrompter

    try:
        return TerminalPrompter(context.streams.render).confirm(question)
    except KeyboardInterrupt as stop:
        raise Interrupted.from_signal(stop, Message("interrupted: nothing was sent"), hint) from None
