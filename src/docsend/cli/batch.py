"""`docsend send --batch`: one submission per row of a manifest.

All rows are checked before anything is sent, and running the same command again is safe.
"""

import contextlib
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from docsend import signals
from docsend.codes import Code
from docsend.delivery.batch import Batch, Outcome, Share
from docsend.delivery.batch_result import BatchResult, OutcomeCounts
from docsend.delivery.preflight import PreflightResult, run_preflight
from docsend.errors import DocsendError, Interrupted, InvalidSubmission, LocalError, UsageError
from docsend.i18n import Message
from docsend.manifest import reader, template
from docsend.manifest.columns import PART_SUFFIX
from docsend.model.problem import Problem
from docsend.ui import send_result
from docsend.ui.progress import CHECKED_TEXTS, SENT_TEXTS
from docsend.ui.views.batch import (
    BatchChecked,
    BatchRow,
    BatchSent,
    BatchSummaryLine,
    Notices,
    say_end,
    say_failed_rows,
    say_next_steps,
    say_partial,
    say_problems,
    say_report_kept,
    say_second_round,
    say_sending,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docsend.auth.account import Account
    from docsend.cli.context import CommandContext
    from docsend.delivery.processes import WorkerProcesses
    from docsend.delivery.report import Report
    from docsend.delivery.workers import BatchRunner, DeliveryCalls
    from docsend.manifest.reader import Manifest
    from docsend.model.submission import Submission
    from docsend.service.progress import Pause
    from docsend.storage.ledger import Ledger


class BatchOptions(NamedTuple):
    """Options of `docsend send` that apply to a batch."""

    manifest: str
    jobs: int
    report: Path | None
    only_valid: bool
    allow_outside: bool
    shard: str | None
    dry_run: bool
    thorough: bool = False
    sender: str | None = None
    sheet: str | None = None
    ignore_columns: bool = False
    anyway: bool = False


def print_template(context: "CommandContext", format_: str) -> None:
    """Print an example manifest in one of the formats of `template.FORMATS`.

    Raise UsageError for another format, and for a workbook that would be printed on a terminal.
    """
    if format_ == "csv":
        context.streams.write(template.as_csv(), encoding="utf-8")
    elif format_ == "jsonl":
        context.streams.write(template.as_json_lines(), encoding="utf-8")
    elif format_ != "xlsx":
        raise UsageError(
            Message("unknown template format: {form!r}", form=format_), Message("use csv, jsonl or xlsx")
        )
    elif context.streams.is_interactive(sys.stdout):
        raise UsageError(
            Message("a workbook cannot be shown on a terminal"),
            Message("redirect it to a file: docsend send --batch-template xlsx > batch.xlsx"),
        )
    else:
        context.streams.write(template.as_workbook(context.catalog()))


def run(
    context: "CommandContext", submission: "Submission", options: BatchOptions, workers: "WorkerProcesses"
) -> None:
    """Check every row, then send the rows, as `_run` does. Meanwhile no other process writes the report."""
    if options.report is None:
        _run(context, submission, options, workers)
    else:
        from docsend.delivery import report_place

        report = report_place.resolve(options.report)
        with report_place.reserve(report, options.manifest):
            _run(context, submission, options._replace(report=report), workers)


def _run(
    context: "CommandContext", submission: "Submission", options: BatchOptions, workers: "WorkerProcesses"
) -> None:
    """Check every row, then send the rows.

    In a dry run, nothing is sent. Unless `only_valid` is set, a single faulty row also prevents sending.

    Raise UsageError if the manifest, the report, the sender or the value of --shard cannot be used. Otherwise
    raise typer.Exit with the batch's exit code, even on success.
    """
    started_at = time.monotonic()
    if not options.dry_run:
        # Fail early if no service is chosen, before anything is checked or written.
        context.settings.chosen_endpoint()
    senders = context.senders()
    if options.sender is not None:
        senders.require(options.sender)
    manifest = reader.read(
        options.manifest,
        submission,
        standard_input=reader.read_standard_input,
        senders=senders,
        sender=options.sender,
        sheet=options.sheet,
        ignore_columns=options.ignore_columns,
    )
    context.streams.say_event(manifest.description)
    context.streams.say_problems(manifest.warnings)
    if options.manifest.endswith(PART_SUFFIX):
        say_partial(context.streams, Path(options.manifest))
    _require_rows(manifest)
    batch = Batch(
        manifest,
        context.catalog(),
        _parse_shard(options.shard),
        allow_outside=options.allow_outside,
        is_thorough=options.thorough,
        anyway=options.anyway,
    )
    plan = _check(context, batch, workers, is_dry_run=options.dry_run)
    _say_repeated_headers(context, manifest)
    say_problems(context.streams, plan)
    is_checked_only = plan.rows == 0 or bool(plan.faulty and not options.only_valid) or options.dry_run
    counts, error = OutcomeCounts(), None
    file = options.report
    # Rows that repeat what was received are refused without being sent.
    sends_nothing = is_checked_only or plan.good_rows <= len(plan.repetitions)
    if file and sends_nothing and _keeps_receipts(context, file):
        file = None
    with contextlib.ExitStack() as stack:
        report: Report | None = None
        try:
            if file:
                report = stack.enter_context(_open_report(file, batch))
            if is_checked_only:
                _report_preflight(context, batch, plan, report)
            else:
                _send(context, batch, plan, report, options.jobs, counts)
        except DocsendError as failure:
            error = failure
        except KeyboardInterrupt as stop:  # before the first row was begun
            error = Interrupted.from_signal(stop)
    result = BatchResult(plan, None if is_checked_only else counts, error)
    _show_result(context, result, report.path if report else None, time.monotonic() - started_at)
    raise typer.Exit(result.exit_code)


# Without a report, its modules are not imported: that takes several milliseconds of a short dry run.


def _keeps_receipts(context: "CommandContext", file: Path) -> bool:
    """Return whether a report has receipts, so that a run that sends nothing must not replace it."""
    from docsend.delivery import report_place

    kept = report_place.find_receipts(file)
    if kept:
        say_report_kept(context.streams, kept)
    return bool(kept)


def _open_report(file: Path, batch: Batch) -> "Report":
    from docsend.delivery.coverage import ReportedShare
    from docsend.delivery.report import Report

    return Report(file, batch.manifest, ReportedShare.of(batch))


def _check(
    context: "CommandContext", batch: Batch, workers: "WorkerProcesses", *, is_dry_run: bool
) -> PreflightResult:
    """Check every row, and look for what the ledger knows of it.

    Rows that repeat what was received are errors in a dry run. Otherwise they are only announced, because
    the ledger decides about each of them when it is recorded.
    """
    endpoint, file = context.settings.endpoint, context.settings.ledger_file
    with contextlib.ExitStack() as stack:
        known = None
        if not (batch.anyway and is_dry_run) and endpoint is not None and file.exists():
            from docsend.delivery.repetition import ReceivedBefore

            ledger = stack.enter_context(context.open_ledger())
            batch = batch._replace(
                identity_key=None if batch.anyway else ledger.identity_key(),
                has_old_entries=ledger.has_old_entries(endpoint.name),
                needs_keys=not is_dry_run,
            )
            known = ReceivedBefore(ledger, endpoint.name, context.find_account_code)
        progress = stack.enter_context(context.output.row_progress(CHECKED_TEXTS, None))
        plan = run_preflight(batch, workers, progress.update, known)
    if is_dry_run:
        for row, problem in plan.repetitions.items():
            plan.record(row, [problem])
        if known is not None and known.unknown_count:
            context.say_not_compared(known.unknown_count)
    elif plan.repetitions:
        context.streams.say(
            Message.plural(
                "1 row repeats what was received before and will not be sent (--anyway sends it, too)",
                "{count:,} rows repeat what was received before and will not be sent (--anyway sends "
                "them, too)",
                len(plan.repetitions),
            )
        )
    return plan


def _require_rows(manifest: "Manifest") -> None:
    """Raise InvalidSubmission if the manifest has no rows, which usually means that an export has failed."""
    if next(manifest.lines(), None) is None:
        message = Message("the manifest has no rows")
        problem = Problem(Code.NO_ROWS, message, Message("check the program that exported it"))
        raise InvalidSubmission.from_manifest_problems([problem])


def _say_repeated_headers(context: "CommandContext", manifest: "Manifest") -> None:
    """Say which rows were skipped because they only repeat the column names."""
    if rows := manifest.repeated_headers:
        context.streams.say(
            Message.plural(
                "row {row} repeats the column names and is skipped",
                "{count:,} rows repeat the column names and are skipped; the first is row {row}",
                len(rows),
                row=rows[0],
            )
        )


def _show_result(context: "CommandContext", result: BatchResult, report: Path | None, seconds: float) -> None:
    """Show the error that ended the batch early, if there is one, and the summary."""
    endpoint = context.settings.endpoint
    service = endpoint.name if endpoint else None
    if result.error is not None:
        context.output.fail(result.error, send_result.from_error(result.error, service=service))
    summary = BatchSummaryLine(
        rows=result.preflight.rows,
        counts=result.counts,
        service=service,
        report=str(report) if report else None,
        seconds=seconds,
        repeat_helps=result.repeat_helps,
    )
    context.output.show(summary)
    say_end(context.streams, seconds, service=service if result.outcomes else None, report=report)


def _parse_shard(given: str | None) -> "Share | None":
    if given is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", given)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(
            Message("invalid --shard value: {value!r}", value=given),
            Message("give K/N with K from 1 to N, for example --shard 2/8"),
        )
    return Share(int(match[1]), int(match[2]))


def _report_preflight(
    context: "CommandContext", batch: "Batch", plan: "PreflightResult", report: "Report | None"
) -> None:
    """Report whether each row is faulty or valid, without sending anything."""
    shows_rows = report is not None or context.output.shows_rows
    if report is not None:
        report.begin()
    for lines in batch.line_chunks() if shows_rows else ():
        # The first pass keeps no findings for good rows, because checking them again costs less than memory.
        for row, checked, warnings, _ in batch.check_lines(lines):
            errors = plan.faulty.get(row.number, ())
            submission = row.submission if errors else checked
            outcome = Outcome(row, "faulty" if errors else "checked", submission, problems=errors or warnings)
            _report_outcome(context, outcome, report)
    if report is not None:
        report.finish()
    context.output.show(BatchChecked(plan))


def _send(
    context: "CommandContext",
    batch: "Batch",
    plan: "PreflightResult",
    report: "Report | None",
    jobs: int,
    counts: "OutcomeCounts",
) -> None:
    """Send the good rows and add their outcomes to `counts`.

    Raise Interrupted if a signal was received, and LocalError if the report of a row could not be written.
    """
    account = context.require_account() if plan.needs_account else None
    if plan.good_rows:
        say_sending(context.streams, plan.good_rows, context.settings.chosen_endpoint().name)
    batch = batch._replace(account=account.code if account else None)
    notices = Notices(context.streams)
    report_error: LocalError | None = None
    with (
        context.open_ledger() as ledger,
        context.output.row_progress(SENT_TEXTS, plan.good_rows) as progress,
        _open_runner(context, batch, plan, ledger, account, jobs, progress.on_pause) as (runner, stages),
        signals.stop_on_signal(lambda: _stop(context, runner)) as received_signals,
    ):
        if report is not None:
            report.begin()
        for row in batch.read_rows() if plan.faulty else ():
            if row.number in plan.faulty:
                _report_outcome(
                    context, Outcome(row, "faulty", row.submission, problems=plan.faulty[row.number]), report
                )
        with contextlib.closing(runner.outcomes(stages)) as outcomes:
            from docsend.delivery.recall import EarlierReceipts

            earlier = EarlierReceipts(batch, plan, ledger, context.settings.chosen_endpoint().name)
            for outcome in map(earlier.complete, outcomes):
                counts.add(outcome)
                notices.say(outcome.notices)
                progress.update(counts.tried, counts.tried - counts.received, is_stopping=runner.is_stopped)
                try:
                    _report_outcome(context, outcome, report)
                except LocalError as failure:
                    # Finish the rows in progress, so that the ledger records them, but start no others.
                    report_error = report_error or failure
                    runner.stop()
    notices.say_how_many_more()
    say_failed_rows(context.streams, counts, has_report=report is not None)
    context.output.show(BatchSent(plan, counts))
    say_next_steps(context.streams, counts)
    if report is not None:
        report.finish()
    if received_signals:
        raise Interrupted.from_signal(signals.exception_for(received_signals[0]))
    if report_error is not None:
        raise report_error


def _stop(context: "CommandContext", runner: "BatchRunner") -> None:
    runner.stop()
    context.streams.say(
        Message("stopping: waiting up to 5 s for responses; press Ctrl-C again to stop at once")
    )


@contextlib.contextmanager
def _open_runner(
    context: "CommandContext",
    batch: "Batch",
    plan: "PreflightResult",
    ledger: "Ledger",
    account: "Account | None",
    jobs: int,
    show_pause: "Callable[[Pause], None]",
) -> "Iterator[tuple[BatchRunner, DeliveryCalls]]":
    """Yield the runner of a batch, and the calls with which it sends the rows.

    The service is opened once for all workers, so that one Retry-After delays all of them.
    """
    from docsend.delivery import deliver, workers
    from docsend.delivery.required import RequiredDocuments

    runner = workers.BatchRunner(batch, plan, jobs=jobs)
    listener = workers.BatchProgress(runner, show_pause)
    with context.open_service(
        listener, account, catalog=batch.catalog, jobs=runner.jobs, sleep=runner.sleep
    ) as service:
        required = RequiredDocuments(service)

        def begin_second_round(rows: int) -> None:
            say_second_round(context.streams, rows)
            service.renew_retry_time()

        yield (
            runner,
            workers.DeliveryCalls(
                record_plans=lambda checked: deliver.record_plans(
                    checked, service, ledger, anyway=batch.anyway
                ),
                upload=lambda checked, cleared: deliver.upload(
                    checked, cleared, service, ledger, required, anyway=batch.anyway
                ),
                record_receipts=lambda deliveries: deliver.record_receipts(deliveries, service, ledger),
                abort=service.close,
                begin_second_round=begin_second_round,
            ),
        )


def _report_outcome(context: "CommandContext", outcome: "Outcome", report: "Report | None") -> None:
    if report is not None:
        report.add(outcome)
    endpoint = context.settings.endpoint
    context.output.show(BatchRow(outcome, endpoint.name if endpoint else None))
