"""`docsend receipts merge`: merge batch reports from several machines or runs into one."""

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
    reports: Annotated[
        list[Path], typer.Argument(metavar="REPORT...", help="Report files written by --report.")
    ],
) -> None:
    """Merge the reports of several shares or several runs of one batch, and print the result as CSV.

    Each row appears once, with the best status found in any report. The output is also a valid manifest.
    With --json, it is JSON Lines. Exit code 7 means that some rows were not received.
    """
    from docsend.delivery import report
    from docsend.ui.views.batch import say_merge_summary

    for file in filter(report.is_part, reports):
        context.streams.say(Message("{file} is from an unfinished run: rows may be missing", file=file))
    columns, rows = report.merge(reports)
    for line in report.format_merged(columns, rows, as_json=context.settings.as_json):
        context.streams.write(line, encoding="utf-8")
    say_merge_summary(context.streams, rows)
    is_complete = not any(map(report.is_part, reports))
    if not is_complete or any(row["status"] != "received" for row in rows):
        raise typer.Exit(ExitCode.SOME_ROWS)
