"""`docsend receipts export`: write a one-page proof of sending for your records."""

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
    from docsend.storage.ledger_rows import LedgerEntry

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
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="pdf|text|json",
            help="Format of the proof; a PDF by default.",
            show_default=False,
        ),
    ] = "pdf",
    client: Annotated[
        str | None,
        typer.Option("--for", metavar="NAME", help="Person or employer to name on the page."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="Write to this file; `-` is standard output."),
    ] = None,
) -> None:
    """Write a one-page proof of sending: what was sent, when, for whom, and the receipt.

    Text and JSON go to standard output, and a PDF to receipt-NUMBER.pdf in the current folder, unless
    --output names a file. An existing file with different content is never overwritten. The ledger stores no
    identities, so the page names a person or an employer only if --for is given.
    """
    from docsend.ui.proof_writers import WRITERS, file_name

    if format_ not in WRITERS:
        raise UsageError(
            Message("unknown format: {format!r}", format=format_[:60]),
            Message("choose one of: {formats}", formats=", ".join(WRITERS)),
        )
    with context.open_ledger() as ledger:
        entry = context.find_entry(ledger, key)
    receipt = receipts.stored_receipt(entry)
    if receipt is None:
        raise _no_receipt_error(entry)
    if output is None:
        output = file_name(receipt) if format_ == "pdf" else _STDOUT
    if output == _STDOUT:
        _check_stdout_accepts(context, format_)
    catalog = context.for_service(entry.service).catalog()
    client = (client or "").strip() or None
    content = WRITERS[format_](entry, receipt, catalog, client, context.settings.language)
    if output == _STDOUT:
        context.streams.write(content)
        return
    _write_new_file(Path(output), content)
    context.output.show(ProofFile(Path(output), format_, entry.key, content))


def _no_receipt_error(entry: "LedgerEntry") -> UsageError:
    """Return the error for a submission that was not received.

    The exit code is 2, as for a key that is not in the ledger, because the proof does not exist. Codes 5 and
    6 would be wrong. They report a service's response, but this command contacts no service, and running it
    again changes nothing.
    """
    hint = Message("run `docsend receipts resume {key}` to finish it", key=entry.key[:12])
    if entry.state == "refused":
        hint = Message(
            "run `docsend receipts show {key}` to see why, fix the cause, then send it again",
            key=entry.key[:12],
        )
    elif entry.state == "withdrawn":
        hint = Message(
            "a withdrawal is final; to send the same content, use `docsend send … --occurrence {next}`",
            next=entry.occurrence + 1,
        )
    return UsageError(
        Message("no proof available: the submission is {state}", state=STATE_NAMES[entry.state]),
        hint,
    )


def _check_stdout_accepts(context: "CommandContext", format_: str) -> None:
    if context.settings.as_json and format_ != "json":
        raise UsageError(
            Message("with --json, the proof can only be printed in the format json"),
            Message("write it to a file with --output FILE, or print it with `--format json`"),
        )
    if format_ == "pdf" and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(
            Message("cannot write a PDF to a terminal"),
            Message("use --output FILE, or redirect the output to a file or a pipe"),
        )


def _write_new_file(file: Path, content: bytes) -> None:
    """Write a file atomically, unless it already exists with the same content.

    Raise UsageError if the file exists with different content, if it is not a regular file, or if its folder
    does not exist. Raise LocalError if the file cannot be written.
    """
    try:
        if file.is_file():
            if (
                file.stat().st_size == len(content)
                and files.read_limited(file, max_bytes=len(content)) == content
            ):
                return
            raise UsageError(
                Message("{file} already exists with different content", file=file),
                Message("move it, or choose another file with --output"),
            )
        if file.exists():
            raise UsageError(
                Message("{file} is not a regular file", file=file),
                Message("choose another file with --output"),
            )
        if not file.parent.is_dir():
            raise UsageError(
                Message("no such folder: {folder}", folder=file.parent),
                Message("create it, or choose another folder"),
            )
        files.replace_file(file, content)
    except (OSError, ValueError) as error:
        reason = files.reason(error) if isinstance(error, OSError) else Message.verbatim(error)
        raise LocalError(
            Message("cannot write {file}: {reason}", file=file, reason=reason),
            Message("check the folder and its permissions"),
        ) from error
