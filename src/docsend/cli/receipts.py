"""`docsend receipts`: what was sent from here, and what came back."""

from typing import TYPE_CHECKING, Annotated

import typer

from docsend.cli import export, merge, resume
from docsend.cli.options import Key, command
from docsend.delivery import withdrawal
from docsend.errors import ExitCode, Refused, UsageError
from docsend.i18n import Message
from docsend.model.states import STATE_NAMES
from docsend.storage import receipts
from docsend.ui.views.receipts import EntryDetails, EntryList

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from docsend.cli.context import CommandContext
    from docsend.service.client import ServiceClient
    from docsend.storage.ledger import LedgerEntry

EXITS = (ExitCode.RECEIVED,)
# Of the ones that ask the service, too.
SERVICE_EXITS = (*EXITS, ExitCode.SIGN_IN, ExitCode.REFUSED, ExitCode.UNFINISHED)

_WHOLE_KEY = 52
# How many a terminal gets unless more are asked for.
_PAGE = 50


def register(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    command(
        group,
        None,
        exits=EXITS,
        example="docsend receipts\ndocsend receipts --json | jq '.receipts[].receipt.number'",
        invoke_without_command=True,
    )(list_)
    command(group, "show", exits=SERVICE_EXITS, example="docsend receipts show 7QH2XKZL --ask")(show)
    command(group, "resume", exits=resume.EXITS, example=resume.EXAMPLE)(resume.resume)
    command(group, "merge", exits=merge.EXITS, example=merge.EXAMPLE)(merge.merge)
    command(group, "export", exits=export.EXITS, example=export.EXAMPLE)(export.export)
    command(group, "withdraw", exits=SERVICE_EXITS, example='docsend receipts withdraw "$KEY"')(withdraw)
    app.add_typer(group, name="receipts")


def list_(
    context: "CommandContext",
    *,
    most: Annotated[int | None, typer.Option("--most", metavar="N", min=1, help="Only the latest N.")] = None,
) -> None:
    """List what was sent from here, the latest first; show or withdraw one, resume what was interrupted."""
    page = _PAGE if most is None and context.output.is_paged else None
    with context.open_ledger() as ledger:
        entries = ledger.entries(limit=page or most)
        context.output.show(EntryList((entry, receipts.stored_receipt(entry)) for entry in entries))
        has_more = page is not None and len(list(ledger.entries(limit=page + 1))) > page
    if has_more:
        context.streams.say(Message("these are the latest {page}; --most N lists more", page=page))


def show(
    context: "CommandContext",
    key: Key,
    *,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the service what it knows of it, too.")] = False,
) -> None:
    """Show one submission with all that the ledger holds of it."""
    with context.open_ledger() as ledger:
        entry = context.find_entry(ledger, key)
    if ask:
        _ask(context, entry)
    context.output.show(EntryDetails(entry, receipts.stored_receipt(entry)))


def withdraw(context: "CommandContext", key: Key) -> None:
    """Withdraw a submission that has not been received: from then on it never can be.

    A submission that was interrupted may have been received all the same; then its receipt is kept, and
    the exit code is 5.
    """
    if len(key) != _WHOLE_KEY:
        raise UsageError(
            Message(
                "a withdrawal is for good and needs the whole key, {length} characters",
                length=_WHOLE_KEY,
            ),
            Message("`docsend receipts show KEY` shows it"),
        )
    with context.open_ledger() as ledger:
        entry = context.find_entry(ledger, key)
        if entry.state != "received":
            with _service_of(context, entry) as service:
                entry = withdrawal.withdraw(entry, service, ledger)
    if entry.state == "received":
        raise Refused(
            Message("the submission has been received and cannot be withdrawn"),
            Message("`docsend receipts show {key}` shows the receipt", key=entry.key[:12]),
        )
    context.output.show(EntryDetails(entry, receipts.stored_receipt(entry)))


def _service_of(context: "CommandContext", entry: "LedgerEntry") -> "AbstractContextManager[ServiceClient]":
    """Open the service that a submission was sent to, signed in if it is a personal one."""
    there = context.for_service(entry.service)
    account = there.require_account() if entry.to == "personal" else None
    return there.open_service(context.retry_listener(), account)


def _ask(context: "CommandContext", entry: "LedgerEntry") -> None:
    from docsend.service.responses import UnknownSubmission

    with _service_of(context, entry) as service:
        try:
            status = service.fetch_status(entry.key, signed=entry.to == "personal")
        except UnknownSubmission:
            context.streams.say(Message("the service knows nothing of this submission"))
            return
    told = Message("the service says: {state}", state=STATE_NAMES[status.state])
    if status.missing:
        told = Message.plural(
            "the service says: {state}, lacking 1 document",
            "the service says: {state}, lacking {count} documents",
            len(status.missing),
            state=STATE_NAMES[status.state],
        )
    context.streams.say(told)
