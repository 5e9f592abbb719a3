"""`docsend receipts repair`: replace a damaged ledger by a new one with everything that can still be read."""

from typing import TYPE_CHECKING

import typer

from docsend.errors import ExitCode
from docsend.ui.views.repair import RepairedLedger, say_what_remains

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext

EXITS = (ExitCode.RECEIVED,)
EXAMPLE = "docsend receipts repair\ndocsend receipts repair --json | jq .submissions"


def repair(context: "CommandContext") -> None:
    """Replace a damaged ledger by a new one with everything that can still be read.

    The damaged file is kept under another name, and a ledger that is not damaged is left as it is. No service
    is asked. Submissions whose entries are damaged become unfinished: `docsend receipts resume` asks the
    service what became of them. Exit code 8 means that the ledger was not repaired, or that something remains
    to be done.
    """
    from docsend.storage import ledger_repair

    result = ledger_repair.repair(context.settings.ledger_file)
    context.output.show(RepairedLedger(result))
    if say_what_remains(context.streams, result):
        raise typer.Exit(ExitCode.LOCAL)
