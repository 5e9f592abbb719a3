"""`docsend receipts`: the submissions sent from this machine, and their receipts."""

from typing import TYPE_CHECKING, Annotated

import typer

from docsend.cli import export, merge, repair, resume
from docsend.cli.options import Key, command
from docsend.delivery import kept_receipts, withdrawal
from docsend.errors import ExitCode, Refused, UsageError
from docsend.i18n import Message
from docsend.model.states import STATE_NAMES
from docsend.storage import receipts
from docsend.ui.views.receipts import EntryDetails, EntryList

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from docsend.cli.context import CommandContext
    from docsend.service.client import ServiceClient
    from docsend.storage.ledger import Ledger
    from docsend.storage.ledger_rows import LedgerEntry

EXITS = (ExitCode.RECEIVED,)
# Exit codes of the commands that also contact the service.
SERVICE_EXITS = (*EXITS, ExitCode.SIGN_IN, ExitCode.REFUSED, ExitCode.UNFINISHED)

_KEY_LENGTH = 52
# Number of entries listed on a terminal, unless --most is given.
_PAGE_SIZE = 50


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
    command(
        group,
        "resume",
        exits=resume.EXITS,
        example=resume.EXAMPLE,
        short_help="Finish interrupted submissions.",
    )(resume.resume)
    command(
        group, "merge", exits=merge.EXITS, example=merge.EXAMPLE, short_help="Merge the reports of a batch."
    )(merge.merge)
    command(
        group, "export", exits=export.EXITS, example=export.EXAMPLE, short_help="Write a proof of sending."
    )(export.export)
    command(
        group,
        "repair",
        exits=repair.EXITS,
        example=repair.EXAMPLE,
        short_help="Replace a damaged ledger.",
    )(repair.repair)
    command(
        group,
        "withdraw",
        exits=SERVICE_EXITS,
        example='docsend receipts withdraw "$KEY"',
        short_help="Withdraw a submission that was not received.",
    )(withdraw)
    app.add_typer(group, name="receipts")


def list_(
    context: "CommandContext",
    *,
    most: Annotated[
        int | None, typer.Option("--most", metavar="N", min=1, help="Show only the latest N.")
    ] = None,
) -> None:
    """List the submissions sent from this machine, latest first, or run one of the commands below."""
    page_size = _PAGE_SIZE if most is None and context.output.is_paged else None
    with context.open_ledger() as ledger:
        entries = ledger.entries(limit=page_size or most)
        context.output.show(
            # The documents are read to hold the receipt against them. The list does not show them.
            EntryList((entry._replace(documents=()), receipts.stored_receipt(entry)) for entry in entries)
        )
        has_more = page_size is not None and len(list(ledger.entries(limit=page_size + 1))) > page_size
    if has_more:
        context.streams.say(Message("showing the latest {page}; use --most N to show more", page=page_size))


def show(
    context: "CommandContext",
    key: Key,
    *,
    ask: Annotated[
        bool, typer.Option("--ask", help="Also ask the service for the submission's status.")
    ] = False,
) -> None:
    """Show everything that the ledger stores about one submission."""
    with context.open_ledger() as ledger:
        entry = context.find_entry(ledger, key)
        if ask:
            entry = _ask_service(context, entry, ledger)
    context.output.show(EntryDetails(entry, receipts.stored_receipt(entry)))


def withdraw(context: "CommandContext", key: Key) -> None:
    """Withdraw a submission that has not been received, so that it cannot be received later.

    An interrupted submission may already have been received. In that case the receipt is stored, and the exit
    code is 5.
    """
    if len(key) != _KEY_LENGTH:
        raise UsageError(
            Message(
                "a withdrawal is final and needs the complete key ({length} characters)",
                length=_KEY_LENGTH,
            ),
            Message("run `docsend receipts show KEY` to see it"),
        )
    with context.open_ledger() as ledger:
        entry = context.find_entry(ledger, key)
        if receipts.is_damaged(entry):
            with _open_service(context, entry) as service:
                entry = kept_receipts.fetch(entry, service, ledger)
        elif entry.state != "received":
            with _open_service(context, entry) as service:
                entry = withdrawal.withdraw(entry, service, ledger)
    if entry.state == "received":
        raise Refused(
            Message("the submission has been received and cannot be withdrawn"),
            Message("run `docsend receipts show {key}` to see the receipt", key=entry.key[:12]),
        )
    context.output.show(EntryDetails(entry, receipts.stored_receipt(entry)))


def _open_service(context: "CommandContext", entry: "LedgerEntry") -> "AbstractContextManager[ServiceClient]":
    """Open the service that a submission was sent to, signed in if its destination is personal."""
    context = context.for_service(entry.service)
    account = context.require_account() if entry.to == "personal" else None
    return context.open_service(context.retry_listener(), account)


def _ask_service(context: "CommandContext", entry: "LedgerEntry", ledger: "Ledger") -> "LedgerEntry":
    """Show the status of a submission at its service, and return its entry.

    If the kept receipt is damaged, it is replaced by the service's.
    """
    from docsend.service.responses import UnknownSubmission

    with _open_service(context, entry) as service:
        if receipts.is_damaged(entry):
            entry = kept_receipts.fetch(entry, service, ledger)
            context.streams.say(Message("the kept receipt was damaged; the service's has replaced it"))
            return entry
        try:
            status = service.fetch_status(entry.key, with_token=entry.to == "personal")
        except UnknownSubmission:
            context.streams.say(Message("the service does not know this submission"))
            return entry
    message = Message("status at the service: {state}", state=STATE_NAMES[status.state])
    if status.missing:
        message = Message.plural(
            "status at the service: {state}, 1 document missing",
            "status at the service: {state}, {count} documents missing",
            len(status.missing),
            state=STATE_NAMES[status.state],
        )
    context.streams.say(message)
    return entry
