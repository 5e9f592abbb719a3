"""One submission of `docsend send` and `docsend required upload`: checked, sent, and its receipt shown."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from docsend.checks import documents, submission_rules
from docsend.errors import DocsendError, ExitCode, Interrupted, LocalFailure, UsageFault
from docsend.i18n import Message
from docsend.ui import result
from docsend.ui.views.submission import Checked, DocumentFindings, Received

if TYPE_CHECKING:
    from docsend.auth.account import Account
    from docsend.cli.context import Session
    from docsend.model.catalog import Catalog
    from docsend.model.receipt import Delivery
    from docsend.model.submission import CheckedSubmission, Submission
    from docsend.storage.ledger import Ledger


def send(
    session: "Session",
    stated: "Submission",
    paths: Sequence[Path],
    *,
    sender: str | None,
    dry_run: bool,
    again: bool,
) -> None:
    """Send what the command line states, after asking for what it leaves open, if anybody is there."""
    if sender is not None:
        senders = session.senders()
        senders.require(sender)
        stated = senders.applied(sender, stated)
    if session.can_ask:
        from docsend.cli import send_guided

        send_guided.run(session, stated, paths, sender=sender, dry_run=dry_run, again=again)
    else:
        check_and_deliver(session, stated, paths, dry_run=dry_run, again=again)


def check_and_deliver(
    session: "Session",
    stated: "Submission",
    paths: Sequence[Path],
    *,
    account: "Account | None" = None,
    dry_run: bool,
    again: bool = False,
) -> None:
    """Read, check, and show the findings or send; `account` is the one to use, if it is known already."""
    catalog = session.catalog()
    most = submission_rules.largest_document(stated, catalog)
    stated = stated.with_documents(documents.read_all(paths, at_most=most))
    checked = submission_rules.check(stated, catalog)
    limit = most if stated.to in catalog.destinations else None
    if isinstance(checked, submission_rules.Faulty):
        _refuse(session, stated, checked, limit, dry_run=dry_run)
        return
    if catalog.destinations[checked.to].is_personal and not dry_run:
        account = account or session.needed_account()
    if account is not None:
        checked = checked.with_account(account.code)
    if dry_run:
        _show_clean(session, checked, limit)
    else:
        _deliver(session, checked, account, catalog, again=again)


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
        is_pattern = glob.has_magic(name) and not os.path.exists(name)  # noqa: PTH110
        found = sorted(glob.glob(name)) if is_pattern else []  # noqa: PTH207
        paths += map(Path, found) if found else [path]
    return paths


def _refuse(
    session: "Session",
    stated: "Submission",
    faulty: submission_rules.Faulty,
    limit: int | None,
    *,
    dry_run: bool,
) -> None:
    """Tell all that is wrong and end: with 2 if options are missing, with 3 if what is there is faulty."""
    problems, error = faulty.problems, faulty.as_error()
    if dry_run and stated.documents:
        session.output.show(DocumentFindings(stated, problems, limit))
    endpoint = session.settings.endpoint
    session.output.fail(error, result.of_error(error, stated, endpoint.name if endpoint else None))
    raise typer.Exit(error.code)


def _show_clean(session: "Session", checked: "CheckedSubmission", limit: int | None) -> None:
    endpoint = session.settings.endpoint
    clean = result.Result(
        status="checked",
        exit_code=ExitCode.RECEIVED,
        service=endpoint.name if endpoint else None,
        submission=checked,
        problems=checked.warnings,
    )
    session.streams.problems(checked.warnings)
    session.output.conclude(Checked(clean, limit))


def _deliver(
    session: "Session",
    checked: "CheckedSubmission",
    account: "Account | None",
    catalog: "Catalog",
    *,
    again: bool,
) -> None:
    """Send, and show the receipt or how far it came."""
    service = session.settings.chosen_endpoint().name
    session.streams.problems(checked.warnings)
    try:
        with session.ledger() as ledger:
            is_new_here = False
            if again:
                checked = _next_occurrence(checked, service, ledger)
                is_new_here = ledger.find(service, checked.key) is None
            delivery = _deliver_watched(session, checked, account, catalog, ledger)
            while is_new_here and delivery.is_repeated:
                # It had been sent from elsewhere, and once more was asked for.
                checked = checked.with_occurrence(checked.occurrence + 1)
                delivery = _deliver_watched(session, checked, account, catalog, ledger)
    except DocsendError as error:
        session.output.fail(error, result.of_error(error, checked, service, checked.warnings))
        raise typer.Exit(error.code) from error
    received = result.Result(
        status="received",
        exit_code=ExitCode.RECEIVED,
        is_repeated=delivery.is_repeated,
        service=service,
        submission=checked,
        receipt=delivery.receipt,
        problems=checked.warnings,
    )
    try:
        session.output.conclude(Received(received, checked, delivery.receipt))
    except LocalFailure as failure:
        raise LocalFailure(
            Message(
                "received as {number}, but {message}", number=delivery.receipt.number, message=failure.message
            ),
            Message("`docsend receipts show {key}` shows the receipt", key=checked.key[:12]),
        ) from failure


def _deliver_watched(
    session: "Session",
    checked: "CheckedSubmission",
    account: "Account | None",
    catalog: "Catalog",
    ledger: "Ledger",
) -> "Delivery":
    from docsend.storage import receipts

    name = session.settings.chosen_endpoint().name
    if (known := ledger.find(name, checked.key)) and (before := receipts.delivered(known)):
        return before
    from docsend.delivery import deliver as journey

    try:
        with (
            session.output.watching(checked.documents) as watcher,
            session.service(watcher, account, catalog=catalog) as service,
        ):
            return journey.deliver(checked, service, ledger)
    except KeyboardInterrupt as stop:
        raise Interrupted.by(stop, *_how_far(checked, name, ledger)) from None


def _next_occurrence(checked: "CheckedSubmission", service: str, ledger: "Ledger") -> "CheckedSubmission":
    """Give the first occurrence that has not ended: one that was interrupted is finished first."""
    while (known := ledger.find(service, checked.key)) and known.state in ("received", "withdrawn"):
        checked = checked.with_occurrence(checked.occurrence + 1)
    return checked


def _how_far(checked: "CheckedSubmission", service: str, ledger: "Ledger") -> tuple[Message, Message]:
    known = ledger.find(service, checked.key)
    come = {
        None: Message("interrupted: nothing was sent"),
        "planned": Message("interrupted: nothing was received, perhaps it was declared"),
        "open": Message("interrupted: declared, perhaps some documents were sent, nothing was received"),
        "sending": Message("interrupted: perhaps all of it was sent, and perhaps it was received"),
    }
    message = come.get(known.state if known else None, Message("interrupted"))
    return message, Message("nothing is lost: run the same command again")
