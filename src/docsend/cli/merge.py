"""`docsend receipts merge`: the reports of several machines, or of several runs, become one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.errors import ExitCode
from docsend.i18n import Message

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext

EXITS = (ExitCode.RECEIVED, ExitCode.SOME_ROWS)
EXAMPLE = "docsend receipts merge result-*.csv > result.csv"


def merge(
    context: "CommandContext",
    reports: Annotated[list[Path], typer.Argument(metavar="REPORT...", help="Files that --report wrote.")],
) -> None:
    """Join the reports of shares or of repeated runs of one batch, and print the result as CSV.

    Each row comes once, as the report has it that came furthest; what is printed is a manifest, too. With
    --json it is JSON Lines. Exit code 7 says that rows are left that were not received.
    """
    from docsend.delivery import report
    from docsend.ui.views.batch import say_merge_summary

    for file in filter(report.is_part, reports):
        context.streams.say(Message("{file} is of a run that did not end: rows may be missing", file=file))
    columns, rows = report.merge(reports)
    for line in report.format_merged(columns, rows, as_json=context.settings.as_json):
        context.streams.write(line, encoding="utf-8")
    say_merge_summary(context.streams, rows)
    is_whole = not any(map(report.is_part, reports))
    if not is_whole or any(row["status"] != "received" for row in rows):
        raise typer.Exit(ExitCode.SOME_ROWS)
