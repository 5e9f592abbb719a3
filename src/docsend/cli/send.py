"""`docsend send`: check documents, send them and print the receipt."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.cli.options import command
from docsend.errors import EXIT_MEANINGS, ExitCode, UsageError
from docsend.i18n import Message
from docsend.model import fields

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext
    from docsend.cli.send_one import SendOptions
    from docsend.model.submission import Submission

# `docsend required upload` has the same exit codes; a batch adds those of its rows.
EXITS = (ExitCode.RECEIVED, ExitCode.FAULTY, ExitCode.SIGN_IN, ExitCode.REFUSED, ExitCode.UNFINISHED)

# A manifest of this size has so many rows that other processes help to check them.
_MIN_LARGE_BYTES = 2**18


def register(app: typer.Typer) -> None:
    command(
        app,
        "send",
        exits=(*EXITS, ExitCode.ROWS_UNFINISHED, ExitCode.ROWS_FAULTY),
        example="docsend send payslip.pdf --to benefits --subject unemployment \\\n"
        "    --category employer --type payslips --id 000000018 --service sandbox\n"
        "docsend send --batch payroll.csv --report result.csv --service sandbox",
        success=EXIT_MEANINGS[ExitCode.RECEIVED],
        fields=fields.FIELDS,
    )(send)


def send(
    context: "CommandContext",
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="The documents to send.")
    ] = None,
    *,
    given: Mapping[str, str],
    sender: Annotated[
        str | None,
        typer.Option(
            "--sender",
            metavar="NAME",
            help="Send for this person or employer, stored with `docsend senders`.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", help="Check everything and show the findings, but send nothing."),
    ] = False,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway",
            help="Send even what was received before: with the same reference, or the same documents.",
        ),
    ] = False,
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch",
            metavar="MANIFEST",
            help="Send one submission per row of this file; `-` is standard input.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", metavar="N", min=1, max=64, help="Number of rows sent at the same time; 4 by default."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", help="Write the result of each row to this .csv or .jsonl file."
        ),
    ] = None,
    only_valid: Annotated[
        bool, typer.Option("--only-valid", help="Send the good rows of a batch even if others are faulty.")
    ] = False,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Allow documents outside the manifest's folder.")
    ] = False,
    sheet: Annotated[
        str | None,
        typer.Option("--sheet", metavar="NAME", help="Sheet of the workbook that contains the batch."),
    ] = None,
    ignore_columns: Annotated[
        bool,
        typer.Option(
            "--ignore-columns", help="Ignore columns with unknown names, even if they look misspelled."
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="K/N",
            help="Send only share K of N of the rows, to split a batch among machines.",
        ),
    ] = None,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough", help="Decode each document completely before sending (needs the extra `documents`)."
        ),
    ] = False,
    batch_template: Annotated[
        str | None,
        typer.Option(
            "--batch-template", metavar="csv|jsonl|xlsx", help="Print an example manifest and exit."
        ),
    ] = None,
) -> None:
    """Check documents against the institute's rules, send them exactly once, and print the receipt.

    All problems are reported together, before anything is sent. Running the same command again finishes an
    interrupted submission and sends nothing twice. The same reference with other documents, and the same
    documents under another name, are refused unless --anyway is given; --occurrence 2 sends the same content
    a second time (docs/exactly-once.md). Use `docsend catalog` to find the codes. On a terminal, docsend asks
    for missing values.

    With --batch, each row of a manifest is a submission (docs/manifest.md). Options for fields, such as --to,
    are defaults for rows that leave the field empty.
    """
    if batch_template is not None:
        from docsend.cli.batch import print_template

        print_template(context, batch_template)
        return
    from docsend.model.submission import Submission

    if thorough:
        _require_decoders()
    submission = Submission().with_values(given)
    if batch is None:
        batch_options = {
            "--jobs": jobs is not None,
            "--report": report is not None,
            "--only-valid": only_valid,
            "--allow-outside": allow_outside,
            "--sheet": sheet is not None,
            "--ignore-columns": ignore_columns,
            "--shard": shard is not None,
        }
        _reject_options(
            batch_options,
            Message("{option} requires --batch"),
            Message("give a manifest with --batch MANIFEST"),
        )
        from docsend.cli.send_one import SendOptions

        _send_one(context, submission, files or (), sender, SendOptions(dry_run, anyway, thorough))
        return
    conflict = Message("{option} cannot be combined with --batch")
    _reject_options({"FILE": bool(files)}, conflict, Message("list the documents in the manifest"))
    from docsend.delivery.processes import WorkerProcesses

    with contextlib.closing(WorkerProcesses()) as workers:
        is_large = _is_large(batch)
        if is_large:
            workers.start_before_imports()
        from docsend.cli import batch as batches

        if is_large:
            workers.start_after_imports()
        options = batches.BatchOptions(
            batch,
            jobs=jobs or 4,
            report=report,
            only_valid=only_valid,
            allow_outside=allow_outside,
            shard=shard,
            dry_run=dry_run,
            thorough=thorough,
            sender=sender,
            sheet=sheet,
            ignore_columns=ignore_columns,
            anyway=anyway,
        )
        batches.run(context, submission, options, workers)


def _is_large(manifest: str) -> bool:
    """Return whether a manifest is a file of at least _MIN_LARGE_BYTES."""
    try:
        return os.stat(manifest).st_size >= _MIN_LARGE_BYTES
    except (OSError, ValueError):
        return False


def _send_one(
    context: "CommandContext",
    submission: "Submission",
    files: Sequence[str],
    sender: str | None,
    options: "SendOptions",
) -> None:
    """Send one submission. On a terminal, first ask for values that were not given."""
    from docsend.cli import send_one

    paths = send_one.expand_files(files)
    if sender is not None:
        senders = context.senders()
        senders.require(sender)
        submission = senders.apply(sender, submission)
    if context.can_prompt:
        from docsend.cli import send_guided

        send_guided.run(context, submission, paths, options, sender=sender)
    else:
        send_one.run(context, submission, paths, options)


def _require_decoders() -> None:
    """Raise UsageError if the packages of the extra `documents` are not installed."""
    from docsend.checks import decoders

    if not decoders.are_installed():
        raise UsageError(
            Message("--thorough needs pikepdf and Pillow, which are not installed"),
            Message('run `pip install ".[documents]"` in the folder that docsend was installed from'),
        )


def _reject_options(given: Mapping[str, bool], message: Message, hint: Message) -> None:
    for option, is_given in given.items():
        if is_given:
            raise UsageError(message.with_values(option=option), hint)
