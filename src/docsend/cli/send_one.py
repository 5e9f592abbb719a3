"""One submission of `docsend send` and `docsend required upload`: checked, sent, and its receipt shown."""

import contextlib
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from docsend.checks import documents, submission_rules
from docsend.errors import DocsendError, LocalFailure, UsageFault
from docsend.i18n import Message
from docsend.ui import result
from docsend.ui.views.submission import Checked, DocumentFindings, Received

if TYPE_CHECKING:
    from docsend.auth.account import Account
    from docsend.cli.context import Session
    from docsend.model.submission import CheckedSubmission, Submission
    from docsend.service.client import ServiceClient


def run(
    session: "Session",
    stated: "Submission",
    paths: Sequence[Path],
    *,
    account: "Account | None" = None,
    dry_run: bool,
    again: bool = False,
) -> None:
    """Read, check, and show the findings or send; `account` is the one to use, if it is known already."""
    stated = read(session, stated, paths)
    checked = checked_or_exit(session, stated, dry_run=dry_run)
    show_or_send(session, stated, checked, account=account, dry_run=dry_run, again=again)


def read(session: "Session", stated: "Submission", paths: Sequence[Path]) -> "Submission":
    """Return what was stated with the documents that it names."""
    most = submission_rules.largest_document(stated, session.catalog())
    return stated.with_documents(documents.read_all(paths, at_most=most))


def checked_or_exit(session: "Session", stated: "Submission", *, dry_run: bool) -> "CheckedSubmission":
    """Check what was stated; tell all that is wrong and end: with 2 if options are missing, else with 3."""
    checked = submission_rules.check(stated, session.catalog())
    if not isinstance(checked, submission_rules.Faulty):
        return checked
    error = checked.as_error()
    if dry_run and stated.documents:
        session.output.show(DocumentFindings(stated, checked.problems, _limit(session, stated)))
    endpoint = session.settings.endpoint
    session.output.fail(error, result.of_error(error, stated, endpoint.name if endpoint else None))
    raise typer.Exit(error.code)


def show_or_send(
    session: "Session",
    stated: "Submission",
    checked: "CheckedSubmission",
    *,
    account: "Account | None" = None,
    dry_run: bool,
    again: bool = False,
) -> None:
    """Show what a dry run found, or send, and show the receipt or how far it came."""
    if session.catalog().destinations[checked.to].is_personal and not dry_run:
        account = account or session.needed_account()
    if account is not None:
        checked = checked.with_account(account.code)
    session.streams.problems(checked.warnings)
    if dry_run:
        endpoint = session.settings.endpoint
        clean = result.Result(
            status="checked",
            service=endpoint.name if endpoint else None,
            submission=checked,
            problems=checked.warnings,
        )
        session.output.conclude(Checked(clean, _limit(session, stated)))
    else:
        _send(session, checked, account, again=again)


def _limit(session: "Session", stated: "Submission") -> int | None:
    """Return how many bytes a document may have where it goes; None if that is not known."""
    destination = session.catalog().destinations.get(stated.to or "")
    return destination.max_document_bytes if destination else None


def files_of(given: Sequence[str]) -> list[Path]:
    """Give the files meant: Windows shells leave patterns to the program, and so do quotes elsewhere."""
    paths: list[Path] = []
    for name in given:
        if not name:
            raise UsageFault(
                Message("the name of a file is empty"), Message("is a variable of the script empty?")
            )
        path = Path(name)
        # Not Path.exists, which raises for a folder that may not be entered.
        is_pattern = glob.has_magic(name) and not os.path.exists(name)
        found = sorted(glob.glob(name)) if is_pattern else []
        paths += map(Path, found) if found else [path]
    return paths


def _send(
    session: "Session", checked: "CheckedSubmission", account: "Account | None", *, again: bool
) -> None:
    from docsend.delivery import deliver

    service = session.settings.chosen_endpoint().name

    @contextlib.contextmanager
    def opened(checked: "CheckedSubmission") -> "Iterator[ServiceClient]":
        with (
            session.output.watching(checked.documents) as watcher,
            session.service(watcher, account, catalog=session.catalog()) as client,
        ):
            yield client

    try:
        with session.ledger() as ledger:
            sent = deliver.deliver(checked, service, ledger, opened, again=again)
    except DocsendError as error:
        failed = error.submission or checked
        session.output.fail(error, result.of_error(error, failed, service, checked.warnings))
        raise typer.Exit(error.code) from error
    received = result.Result(
        status="received",
        is_repeated=sent.delivery.is_repeated,
        service=service,
        submission=sent.submission,
        receipt=sent.delivery.receipt,
        problems=checked.warnings,
    )
    try:
        session.output.conclude(Received(received, sent.submission, sent.delivery.receipt))
    except LocalFailure as failure:
        number, key = sent.delivery.receipt.number, sent.submission.key[:12]
        raise LocalFailure(
            Message("received as {number}, but {message}", number=number, message=failure.message),
            Message("`docsend receipts show {key}` shows the receipt", key=key),
        ) from failure
