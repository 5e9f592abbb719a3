"""`docsend send --batch`: one submission a row, all checked before the first byte, safe to run again."""

import contextlib
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from docsend import signals
from docsend.delivery.batch import Batch, Outcome, Share
from docsend.delivery.batch_result import BatchResult, OutcomeCounts
from docsend.delivery.preflight import PreflightResult, run_preflight
from docsend.delivery.report import Report, refuse_to_overwrite
from docsend.errors import DocsendError, Interrupted, LocalError, UsageError
from docsend.i18n import Message
from docsend.manifest import reader
from docsend.manifest.tables import MAX_BYTES
from docsend.ui import send_result
from docsend.ui.progress import CHECKED_TEXTS, SENT_TEXTS
from docsend.ui.views.batch import (
    BatchChecked,
    BatchRow,
    BatchSent,
    BatchSummaryLine,
    say_failed_rows,
    say_next_steps,
    say_problems,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docsend.auth.account import Account
    from docsend.cli.context import CommandContext
    from docsend.delivery.workers import BatchRunner, DeliveryCalls
    from docsend.model.submission import Submission
    from docsend.service.progress import Pause
    from docsend.storage.ledger import Ledger


class BatchOptions(NamedTuple):
    """What `send` was told about a batch."""

    manifest: str
    jobs: int
    report: Path | None
    only_valid: bool
    allow_outside: bool
    shard: str | None
    dry_run: bool
    sender: str | None = None


def print_template(context: "CommandContext", form: str) -> None:
    """Print an example manifest, to be filled in."""
    if form not in ("csv", "jsonl"):
        raise UsageError(Message("there is no template {form!r}", form=form), Message("csv or jsonl"))
    context.streams.write(reader.template(form), encoding="utf-8")


def run(context: "CommandContext", submission: "Submission", options: BatchOptions) -> None:
    """Check every row; then, unless something is wrong or nothing is to be sent, send them."""
    began = time.monotonic()
    if options.report:
        refuse_to_overwrite(options.report, options.manifest)
    if not options.dry_run:
        context.settings.chosen_endpoint()  # before anything is checked or written
    senders = context.senders()
    if options.sender is not None:
        senders.require(options.sender)
    manifest = reader.read(
        options.manifest,
        submission,
        standard_input=_standard_input,
        senders=senders,
        sender=options.sender,
    )
    context.streams.say(manifest.description)
    batch = Batch(manifest, context.catalog(), _share(options.shard), options.allow_outside)
    with context.output.row_progress(CHECKED_TEXTS, None) as progress:
        plan = run_preflight(batch, progress.count)
    say_problems(context.streams, plan)
    is_checked_only = plan.rows == 0 or bool(plan.faulty and not options.only_valid) or options.dry_run
    tally, error = OutcomeCounts(), None
    with contextlib.ExitStack() as opened:
        report = opened.enter_context(Report(options.report, manifest)) if options.report else None
        try:
            if is_checked_only:
                _report_check(context, batch, plan, report)
            else:
                _send(context, batch, plan, report, options.jobs, tally)
        except DocsendError as failure:
            error = failure
    ended = BatchResult(plan, None if is_checked_only else tally, error)
    _show_end(context, ended, options.report, time.monotonic() - began)
    raise typer.Exit(ended.exit_code)


def _show_end(context: "CommandContext", ended: BatchResult, report: Path | None, seconds: float) -> None:
    """Show what ended the batch early, if anything did, and then its summary."""
    endpoint = context.settings.endpoint
    service = endpoint.name if endpoint else None
    if ended.error is not None:
        context.output.fail(ended.error, send_result.from_error(ended.error, service=service))
    summary = BatchSummaryLine(
        rows=ended.preflight.rows,
        counts=ended.counts,
        service=service,
        report=str(report) if report else None,
        seconds=seconds,
        repeat_helps=ended.repeat_helps,
    )
    context.output.show(summary)


def _standard_input() -> bytes:
    return sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin else b""


def _share(given: str | None) -> "Share | None":
    if given is None:
        return None
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", given)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(
            Message("--shard is {stated!r}, not K/N", stated=given),
            Message("as in --shard 2/8, with K from 1 to N"),
        )
    return Share(int(found[1]), int(found[2]))


def _report_check(
    context: "CommandContext", batch: "Batch", plan: "PreflightResult", report: "Report | None"
) -> None:
    """Report what the first pass found: nothing is sent."""
    wanted = report is not None or context.output.shows_rows
    for lines in batch.line_chunks() if wanted else ():
        # What was found of a good row was not kept: memory is dearer than a second look.
        for row, checked, warnings, _ in batch.check_lines(lines):
            errors = plan.faulty.get(row.number, ())
            known = row.submission if errors else checked
            outcome = Outcome(row, "faulty" if errors else "checked", known, problems=errors or warnings)
            _tell(context, outcome, report)
    if report is not None:
        report.finish()
    context.output.show(BatchChecked(plan))


def _send(
    context: "CommandContext",
    batch: "Batch",
    plan: "PreflightResult",
    report: "Report | None",
    jobs: int,
    tally: "OutcomeCounts",
) -> None:
    """Send the good rows; raise what ended the batch before its last row."""
    account = context.require_account() if plan.needs_account else None
    batch = batch._replace(account=account.code if account else None)
    broken: LocalError | None = None
    with (
        context.open_ledger() as ledger,
        context.output.row_progress(SENT_TEXTS, plan.good_rows) as shown,
        _runner(context, batch, plan, ledger, account, jobs, shown.waiting) as (runner, stages),
    ):
        for row in batch.read_rows() if plan.faulty else ():
            if row.number in plan.faulty:
                _tell(
                    context, Outcome(row, "faulty", row.submission, problems=plan.faulty[row.number]), report
                )
        with (
            signals.stop_on_signal(lambda: _stop(context, runner)) as came,
            contextlib.closing(runner.outcomes(stages)) as outcomes,
        ):
            for outcome in outcomes:
                tally.add(outcome)
                shown.count(tally.finished, tally.finished - tally.received)
                try:
                    _tell(context, outcome, report)
                except LocalError as failure:
                    # Rows that are on their way still end in the ledger; nobody begins another one.
                    broken = broken or failure
                    runner.stop()
    say_failed_rows(context.streams, tally)
    context.output.show(BatchSent(plan, tally))
    say_next_steps(context.streams, tally)
    if report is not None:
        report.finish()
    if came:
        raise Interrupted.from_signal(signals.exception_for(came[0]))
    if broken is not None:
        raise broken


def _stop(context: "CommandContext", runner: "BatchRunner") -> None:
    runner.stop()
    context.streams.say(Message("ending what is on its way; Ctrl-C again ends at once"))


@contextlib.contextmanager
def _runner(
    context: "CommandContext",
    batch: "Batch",
    plan: "PreflightResult",
    ledger: "Ledger",
    account: "Account | None",
    jobs: int,
    show_pause: "Callable[[Pause], None]",
) -> "Iterator[tuple[BatchRunner, DeliveryCalls]]":
    """Open the service once for all workers; one Retry-After holds all of them back."""
    from docsend.delivery import deliver, workers
    from docsend.delivery.required import RequiredDocuments

    runner = workers.BatchRunner(batch, plan, jobs=jobs)
    steps = workers.BatchProgress(runner, show_pause)
    with context.open_service(
        steps, account, catalog=batch.catalog, jobs=runner.jobs, sleep=runner.sleep
    ) as service:
        required = RequiredDocuments(service)
        yield (
            runner,
            workers.DeliveryCalls(
                record_plans=lambda checked: deliver.record_plans(checked, service, ledger),
                upload=lambda checked, cleared: deliver.upload(checked, cleared, service, ledger, required),
                record_receipts=lambda deliveries: deliver.record_receipts(deliveries, service, ledger),
                abort=service.close,
            ),
        )


def _tell(context: "CommandContext", outcome: "Outcome", report: "Report | None") -> None:
    if report is not None:
        report.add(outcome)
    endpoint = context.settings.endpoint
    context.output.show(BatchRow(outcome, endpoint.name if endpoint else None))
