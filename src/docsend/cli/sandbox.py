"""`docsend sandbox`: run a complete service on this machine, for testing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.cli.options import command
from docsend.i18n import Message
from docsend.model.notices import NOT_THE_INSTITUTE
from docsend.ui.views.sandbox import SandboxAddress

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext


def register(app: typer.Typer) -> None:
    command(
        app,
        "sandbox",
        exits=(),
        omitted_options=("service",),
        example="docsend sandbox --port 8750 --data /tmp/sandbox",
    )(sandbox)


def sandbox(
    context: "CommandContext",
    *,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 chooses a free one.")
    ] = 0,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Folder in which the sandbox stores its data."),
    ] = None,
    session_seconds: Annotated[
        int,
        typer.Option(
            "--session-seconds", min=1, help="How long a session of the personal service lasts, in seconds."
        ),
    ] = 3600,
) -> None:
    """Run the sandbox in the foreground and print its address; Ctrl-C stops it.

    The sandbox implements all of docsend's service contract and listens only on 127.0.0.1. Nothing sent to it
    reaches the institute.
    """
    from docsend.cli.connection import import_sandbox_server

    server = import_sandbox_server()
    folder = (data or context.settings.sandbox_folder).absolute()

    def announce(address: str) -> None:
        context.output.show(SandboxAddress(address, folder))
        context.streams.say(
            Message(
                "{sandbox}; data is stored in {folder}; press Ctrl-C to stop",
                sandbox=NOT_THE_INSTITUTE,
                folder=folder,
            )
        )

    server.serve(folder, port, announce, session_lifetime_s=session_seconds)
