"""`docsend doctor`: check everything that docsend depends on."""

from typing import TYPE_CHECKING

import typer

from docsend.cli.options import command
from docsend.errors import ExitCode
from docsend.i18n import Message
from docsend.ui.views.diagnosis import Diagnosis

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext

EXITS = (ExitCode.RECEIVED, ExitCode.UNFINISHED, ExitCode.REFUSED)


def register(app: typer.Typer) -> None:
    command(
        app,
        "doctor",
        exits=EXITS,
        example="docsend doctor --service sandbox\n"
        "docsend doctor --json | jq '.findings[] | select(.severity != \"ok\")'",
        success=Message("no errors found; there may be warnings"),
        tolerate_errors=True,
    )(doctor)


def doctor(context: "CommandContext") -> None:
    """Check everything that docsend depends on, and suggest a fix for each problem.

    Nothing is sent or changed. The output contains no secrets, so it can be forwarded to support as it is.
    """
    from docsend import diagnostics

    short = context.with_short_retry_time()
    findings = list(
        diagnostics.diagnose(
            short.settings, short.credential_store, lambda: short.open_service(short.retry_listener())
        )
    )
    context.output.show(Diagnosis(findings))
    error = next((finding for finding in findings if finding.severity == "error"), None)
    if error is not None:
        raise typer.Exit(error.exit_code)
