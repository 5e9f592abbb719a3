"""`docsend receipts export`: a proof of sending, one page to file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.cli.options import Key
from docsend.errors import ExitCode, LocalError, UsageError
from docsend.i18n import Message
from docsend.model.states import STATE_NAMES
from docsend.storage import files, receipts
from docsend.ui.views.proof import ProofFile

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext
    from docsend.storage.ledger import LedgerEntry

EXITS = (ExitCode.RECEIVED,)
EXAMPLE = (
    'docsend receipts export 7QH2XKZL --for "Client 4711"\n'
    "docsend receipts export 7QH2XKZL --lang fr --output preuve.pdf"
)
_STDOUT = "-"


def export(
    context: "CommandContext",
    key: Key,
    *,
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="pdf|text|json", help="What to write; a PDF unless told.", show_default=False
        ),
    ] = "pdf",
    whom: Annotated[
        str | None,
        typer.Option("--for", metavar="NAME", help="Whom it was for, as the page is to say it."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="Write it there; `-` is standard output."),
    ] = None,
) -> None:
    """Write a proof of sending, one page to file: what was sent, when, for whom, and the receipt.

    Text and JSON go to standard output, a PDF to receipt-NUMBER.pdf in this folder, unless --output names
    a file. A file with other content is never overwritten. The ledger keeps no identities: --for says whom
    it was for.
    """
    from docsend.ui.proof_writers import WRITERS, file_name

    if form not in WRITERS:
        raise UsageError(
            Message("there is no format {format!r}", format=form[:60]),
            Message("one of: {formats}", formats=", ".join(WRITERS)),
        )
    with context.open_ledger() as ledger:
        entry = context.find_entry(ledger, key)
    receipt = receipts.stored_receipt(entry)
    if receipt is None:
        raise _without_receipt(entry)
    if output is None:
        output = file_name(receipt) if form == "pdf" else _STDOUT
    if output == _STDOUT:
        _refuse_what_stdout_cannot_take(context, form)
    catalog = context.for_service(entry.service).catalog()
    whom = (whom or "").strip() or None
    content = WRITERS[form](entry, receipt, catalog, whom, context.settings.language)
    if output == _STDOUT:
        context.streams.write(content)
        return
    _write(Path(output), content)
    context.output.show(ProofFile(Path(output), form, entry.key, content))


def _without_receipt(entry: "LedgerEntry") -> UsageError:
    """Give the error for a submission that was not received.

    Exit code 2, as for a key that the ledger does not have: there is no such proof. Not 5 or 6, which tell
    what this run came to at a service; this one asked none, and running it again changes nothing.
    """
    hint = Message("`docsend receipts resume {key}` finishes it", key=entry.key[:12])
    if entry.state == "refused":
        hint = Message(
            "`docsend receipts show {key}` tells why; mend it and send it again", key=entry.key[:12]
        )
    elif entry.state == "withdrawn":
        hint = Message("a withdrawal is final; `docsend send --again` sends the same content anew")
    return UsageError(
        Message("there is no proof of what was not received: it is {state}", state=STATE_NAMES[entry.state]),
        hint,
    )


def _refuse_what_stdout_cannot_take(context: "CommandContext", form: str) -> None:
    if context.settings.as_json and form != "json":
        raise UsageError(
            Message("with --json, standard output is for the result"),
            Message("--output FILE writes the proof into a file; `--format json` prints it"),
        )
    if form == "pdf" and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(
            Message("a PDF is not for a terminal"), Message("--output FILE, or send it into a file or a pipe")
        )


def _write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all; one that is there already has to be the same."""
    try:
        if file.is_file():
            if (
                file.stat().st_size == len(content)
                and files.read_limited(file, max_bytes=len(content)) == content
            ):
                return
            raise UsageError(
                Message("{file} is there already, with other content", file=file),
                Message("move it away, or name another with --output"),
            )
        if file.exists():
            raise UsageError(Message("{file} is not a file", file=file), Message("name a file with --output"))
        if not file.parent.is_dir():
            raise UsageError(
                Message("there is no folder {folder}", folder=file.parent),
                Message("make it, or name another"),
            )
        files.replace_file(file, content)
    except (OSError, ValueError) as error:
        reason = files.reason(error) if isinstance(error, OSError) else Message.verbatim(error)
        raise LocalError(
            Message("{file} cannot be written: {reason}", file=file, reason=reason),
            Message("look at where it is to go"),
        ) from error
