"""`docsend required`: list the documents that the service requires from an account, and upload them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.cli import send
from docsend.cli.options import command
from docsend.errors import EXIT_MEANINGS, ExitCode
from docsend.ui.views.catalog import RequiredList

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext

EXITS = (ExitCode.RECEIVED, ExitCode.SIGN_IN, ExitCode.UNFINISHED)


def register(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    command(
        group,
        None,
        exits=EXITS,
        example="docsend required --service sandbox",
        invoke_without_command=True,
    )(list_)
    command(
        group,
        "upload",
        exits=send.EXITS,
        example="docsend required upload R-4711 payslips.pdf --service sandbox",
        success=EXIT_MEANINGS[ExitCode.RECEIVED],
    )(upload)
    app.add_typer(group, name="required")


def list_(context: "CommandContext") -> None:
    """List the documents that the service requires from the signed-in person.

    While a required document is pending, its subject accepts no other documents.
    """
    account = context.require_account()
    with context.open_service(context.retry_listener(), account) as service:
        context.output.show(RequiredList(service.fetch_required()))


def upload(
    context: "CommandContext",
    id_: Annotated[str, typer.Argument(metavar="ID", help="The id of the required document.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="The document to send.")],
    *,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", help="Check everything and show the findings, but send nothing."),
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Send even the same documents that were received before.")
    ] = False,
) -> None:
    """Check and send one required document, and print the receipt.

    Running the same command again finishes an interrupted submission and sends nothing twice.
    """
    from docsend.cli import send_one
    from docsend.delivery import required

    account = context.require_account()
    service = context.settings.chosen_endpoint().name
    with context.open_ledger() as ledger:
        submission = required.submission_for(
            id_, service, ledger, lambda: context.open_service(context.retry_listener(), account)
        )
    options = send_one.SendOptions(dry_run=dry_run, anyway=anyway)
    send_one.run(context, submission, [Path(file)], options, account=account)
