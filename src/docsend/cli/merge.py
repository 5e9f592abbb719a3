"""`docsend receipts merge`: merge batch reports from several machines or runs into one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.errors import ExitCode

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext

EXITS = (ExitCode.RECEIVED, ExitCode.ROWS_UNFINISHED, ExitCode.ROWS_FAULTY)
EXAMPLE = "docsend receipts merge result-*.csv > result.csv"


def merge(
    context: "CommandContext",
    reports: Annotated[
        list[Path], typer.Argument(metavar="REPORT...", help="Report files written by --report.")
    ],
    manifest: Annotated[
        str | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            help="Also check that the reports are about each row of this manifest.",
        ),
    ] = None,
) -> None:
    """Merge the reports of several shares or several runs of one batch, and print the result as CSV.

    Each row appears once, with the best status found in any report. The output is also a valid manifest.
    With --json, it is JSON Lines. Exit code 7 also means that a share or a row is missing.
    """
    from docsend.delivery import merged_reports
    from docsend.ui.views.merged import say_summary

    merged = merged_reports.merge(reports)
    if manifest is not None:
        from docsend.delivery.unreported import find_unreported
        from docsend.manifest import reader
        from docsend.model.submission import Submission

        table = reader.read(
            manifest,
            Submission(),
            standard_input=reader.read_standard_input,
            senders=context.senders(),
        )
        merged = merged._replace(unreported=tuple(find_unreported(table, merged.rows)))
    for line in merged.lines(as_json=context.settings.as_json):
        context.streams.write(line, encoding="utf-8")
    say_summary(context.streams, merged)
    if merged.exit_code != ExitCode.RECEIVED:
        raise typer.Exit(merged.exit_code)
