"""`docsend send`: check, send, print the receipt."""

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
    from docsend.model.submission import Submission

# Of `required upload`, too; batches have one more.
EXITS = (ExitCode.RECEIVED, ExitCode.FAULTY, ExitCode.SIGN_IN, ExitCode.REFUSED, ExitCode.UNFINISHED)


def register(app: typer.Typer) -> None:
    command(
        app,
        "send",
        exits=(*EXITS, ExitCode.SOME_ROWS),
        example="docsend send payslip.pdf --to benefits --subject unemployment \\\n"
        "    --category employer --type payslips --id 000000018 --service sandbox\n"
        "docsend send --batch payroll.csv --report result.csv --service sandbox",
        success=EXIT_MEANINGS[ExitCode.RECEIVED],
        fields=fields.FIELDS,
    )(send)


def send(
    context: "CommandContext",
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE...", help="The documents.")] = None,
    *,
    given: Mapping[str, str],
    sender: Annotated[
        str | None,
        typer.Option("--sender", metavar="NAME", help="Who it is for, as `docsend senders` knows them."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Check everything, show the findings, send nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Send once more what has been received before.")
    ] = False,
    batch: Annotated[
        str | None,
        typer.Option("--batch", metavar="MANIFEST", help="Send many: one submission a row; - reads stdin."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", min=1, max=64, help="Rows sent at once; 4 if not said."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="What became of each row, as .csv or .jsonl."),
    ] = None,
    only_valid: Annotated[
        bool, typer.Option("--only-valid", help="Send the good rows of a batch although others are faulty.")
    ] = False,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Take documents from outside the manifest's folder.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="K/N", help="Only this machine's share of the rows.")
    ] = None,
    batch_template: Annotated[
        str | None,
        typer.Option("--batch-template", metavar="csv|jsonl", help="Print an example manifest and exit."),
    ] = None,
) -> None:
    """Check documents against the institute's rules, send them exactly once, and print the receipt.

    Everything that is wrong is told at once, before a byte leaves. Running the same command again
    finishes what was interrupted and sends nothing twice. `docsend catalog` finds the codes; on a terminal
    what is missing is asked for.

    With --batch each row of a manifest is a submission (docs/manifest.md); the other options are defaults
    for rows that do not say them.
    """
    if again and "occurrence" in given:
        raise UsageError(
            Message("--again and --occurrence do not go together"),
            Message("--occurrence says which sending it is, --again finds the next one by itself"),
        )
    if batch_template is not None:
        from docsend.cli.batch import print_template

        print_template(context, batch_template)
        return
    from docsend.model.submission import Submission

    submission = Submission().with_values(given)
    if batch is None:
        of_batches = {
            "--jobs": jobs is not None,
            "--report": report is not None,
            "--only-valid": only_valid,
            "--allow-outside": allow_outside,
            "--shard": shard is not None,
        }
        _refuse_if_any(
            of_batches, Message("{option} is for batches"), Message("name a manifest with --batch")
        )
        _send_one(context, submission, files or (), sender=sender, dry_run=dry_run, again=again)
        return
    of_one = {"FILE": bool(files), "--again": again}
    _refuse_if_any(
        of_one,
        Message("{option} does not go with --batch"),
        Message("the rows name the documents; --again is said for one"),
    )
    from docsend.cli import batch as batches

    options = batches.BatchOptions(
        batch, jobs or 4, report, only_valid, allow_outside, shard, dry_run, sender
    )
    batches.run(context, submission, options)


def _send_one(
    context: "CommandContext",
    submission: "Submission",
    files: Sequence[str],
    *,
    sender: str | None,
    dry_run: bool,
    again: bool,
) -> None:
    """Send what the command line states, after asking for what it leaves open, if anybody is there."""
    from docsend.cli import send_one

    paths = send_one.expand_files(files)
    if sender is not None:
        senders = context.senders()
        senders.require(sender)
        submission = senders.apply(sender, submission)
    if context.can_prompt:
        from docsend.cli import send_guided

        send_guided.run(context, submission, paths, sender=sender, dry_run=dry_run, again=again)
    else:
        send_one.run(context, submission, paths, dry_run=dry_run, again=again)


def _refuse_if_any(given: Mapping[str, bool], why: Message, hint: Message) -> None:
    for option, is_given in given.items():
        if is_given:
            raise UsageError(why.replace_values(option=option), hint)
