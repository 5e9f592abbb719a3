"""`docsend doctor`: a look at everything that docsend stands on."""

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
        success=Message("nothing is in the way; there may be warnings"),
        tolerate_errors=True,
    )(doctor)


def doctor(context: "CommandContext") -> None:
    """Look at everything that docsend stands on, and say what is in the way, with a cure.

    Nothing is sent, nothing is changed, and no secret is in what it prints: it can go to support as it is.
    """
    from docsend import diagnostics

    patient = context.with_short_patience()
    findings = list(
        diagnostics.diagnose(
            patient.settings, patient.credential_store, lambda: patient.open_service(patient.retry_listener())
        )
    )
    context.output.show(Diagnosis(findings))
    error = next((finding for finding in findings if finding.severity == "error"), None)
    if error is not None:
        raise typer.Exit(error.exit_code)
