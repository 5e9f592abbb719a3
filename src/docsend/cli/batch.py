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
from docsend.delivery.batch_end import BatchEnd, Tally
from docsend.delivery.preflight import Plan, preflight
from docsend.delivery.report import Report, refuse_to_overwrite
from docsend.errors import DocsendError, Interrupted, LocalFailure, UsageFault
from docsend.i18n import Message
from docsend.manifest import reader
from docsend.manifest.tables import MOST_BYTES
from docsend.ui import result
from docsend.ui.progress import CHECKED, SENT
from docsend.ui.views.batch import (
    BatchRow,
    BatchSummary,
    CheckedBatch,
    SentBatch,
    tell_failed_rows,
    tell_faults,
    tell_what_next,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docsend.auth.account import Account
    from docsend.cli.context import Session
    from docsend.delivery.workers import Runner, Stages
    from docsend.model.submission import Submission
    from docsend.service.watcher import Pause
    from docsend.storage.ledger import Ledger


class Options(NamedTuple):
    """What `send` was told about a batch."""

    manifest: str
    jobs: int
    report: Path | None
    only_valid: bool
    allow_outside: bool
    shard: str | None
    dry_run: bool
    sender: str | None = None


def print_template(session: "Session", form: str) -> None:
    """Print an example manifest, to be filled in."""
    if form not in ("csv", "jsonl"):
        raise UsageFault(Message("there is no template {form!r}", form=form), Message("csv or jsonl"))
    session.streams.put(reader.template(form), encoding="utf-8")


def run(session: "Session", stated: "Submission", options: Options) -> None:
    """Check every row; then, unless something is wrong or nothing is to be sent, send them."""
    began = time.monotonic()
    if options.report:
        refuse_to_overwrite(options.report, options.manifest)
    if not options.dry_run:
        session.settings.chosen_endpoint()  # before anything is checked or written
    senders = session.senders()
    if options.sender is not None:
        senders.require(options.sender)
    manifest = reader.read(
        options.manifest,
        stated,
        standard_input=_standard_input,
        senders=senders,
        sender=options.sender,
    )
    session.streams.say(manifest.described)
    batch = Batch(manifest, session.catalog(), _share(options.shard), options.allow_outside)
    with session.output.counting(CHECKED, None) as progress:
        plan = preflight(batch, progress.count)
    tell_faults(session.streams, plan)
    is_checked_only = plan.rows == 0 or bool(plan.faulty and not options.only_valid) or options.dry_run
    tally, error = Tally(), None
    with contextlib.ExitStack() as opened:
        report = opened.enter_context(Report(options.report, manifest)) if options.report else None
        try:
            if is_checked_only:
                _report_check(session, batch, plan, report)
            else:
                _send(session, batch, plan, report, options.jobs, tally)
        except DocsendError as failure:
            error = failure
    ended = BatchEnd(plan, None if is_checked_only else tally, error)
    _show_end(session, ended, options.report, time.monotonic() - began)
    raise typer.Exit(ended.exit_code)


def _show_end(session: "Session", ended: BatchEnd, report: Path | None, seconds: float) -> None:
    """Show what ended the batch early, if anything did, and then its summary."""
    endpoint = session.settings.endpoint
    service = endpoint.name if endpoint else None
    if ended.error is not None:
        session.output.fail(ended.error, result.of_error(ended.error, service=service))
    summary = BatchSummary(
        rows=ended.plan.rows,
        counts=ended.counts,
        service=service,
        report=str(report) if report else None,
        seconds=seconds,
        repeat_helps=ended.repeat_helps,
    )
    session.output.show(summary)


def _standard_input() -> bytes:
    return sys.stdin.buffer.read(MOST_BYTES + 1) if sys.stdin else b""


def _share(stated: str | None) -> "Share | None":
    if stated is None:
        return None
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", stated)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageFault(
            Message("--shard is {stated!r}, not K/N", stated=stated),
            Message("as in --shard 2/8, with K from 1 to N"),
        )
    return Share(int(found[1]), int(found[2]))


def _report_check(session: "Session", batch: "Batch", plan: "Plan", report: "Report | None") -> None:
    """Report what the first pass found: nothing is sent."""
    wanted = report is not None or session.output.takes_rows
    for lines in batch.pieces() if wanted else ():
        # What was found of a good row was not kept: memory is dearer than a second look.
        for row, checked, warnings, _ in batch.checked(lines):
            errors = plan.faulty.get(row.number, ())
            known = row.stated if errors else checked
            outcome = Outcome(row, "faulty" if errors else "checked", known, problems=errors or warnings)
            _tell(session, outcome, report)
    if report is not None:
        report.finish()
    session.output.show(CheckedBatch(plan))


def _send(
    session: "Session", batch: "Batch", plan: "Plan", report: "Report | None", jobs: int, tally: "Tally"
) -> None:
    """Send the good rows; raise what ended the batch before its last row."""
    account = session.needed_account() if plan.needs_account else None
    batch = batch._replace(account=account.code if account else None)
    broken: LocalFailure | None = None
    with (
        session.ledger() as ledger,
        session.output.counting(SENT, plan.good) as shown,
        _runner(session, batch, plan, ledger, account, jobs, shown.waiting) as (runner, stages),
    ):
        for row in batch.rows() if plan.faulty else ():
            if row.number in plan.faulty:
                _tell(session, Outcome(row, "faulty", row.stated, problems=plan.faulty[row.number]), report)
        with (
            signals.noted(lambda: _stop(session, runner)) as came,
            contextlib.closing(runner.outcomes(stages)) as outcomes,
        ):
            for outcome in outcomes:
                tally.add(outcome)
                shown.count(tally.done, tally.done - tally.received)
                try:
                    _tell(session, outcome, report)
                except LocalFailure as failure:
                    # Rows that are on their way still end in the ledger; nobody begins another one.
                    broken = broken or failure
                    runner.stop()
    tell_failed_rows(session.streams, tally)
    session.output.show(SentBatch(plan, tally))
    tell_what_next(session.streams, tally)
    if report is not None:
        report.finish()
    if came:
        raise Interrupted.by(signals.came_as(came[0]))
    if broken is not None:
        raise broken


def _stop(session: "Session", runner: "Runner") -> None:
    runner.stop()
    session.streams.say(Message("ending what is on its way; Ctrl-C again ends at once"))


@contextlib.contextmanager
def _runner(
    session: "Session",
    batch: "Batch",
    plan: "Plan",
    ledger: "Ledger",
    account: "Account | None",
    jobs: int,
    show_pause: "Callable[[Pause], None]",
) -> "Iterator[tuple[Runner, Stages]]":
    """Open the service once for all workers; one Retry-After holds all of them back."""
    from docsend.delivery import deliver, workers
    from docsend.delivery.required import Required

    runner = workers.Runner(batch, plan, jobs=jobs)
    steps = workers.Steps(runner, show_pause)
    with session.service(
        steps, account, catalog=batch.catalog, jobs=runner.jobs, sleep=runner.sleep
    ) as service:
        required = Required(service)
        yield (
            runner,
            workers.Stages(
                plan=lambda checked: deliver.plan(checked, service, ledger),
                carry=lambda checked, cleared: deliver.carry(checked, cleared, service, ledger, required),
                keep=lambda deliveries: deliver.keep(deliveries, service, ledger),
                abandon=service.close,
            ),
        )


def _tell(session: "Session", outcome: "Outcome", report: "Report | None") -> None:
    if report is not None:
        report.add(outcome)
    endpoint = session.settings.endpoint
    session.output.show(BatchRow(outcome, endpoint.name if endpoint else None))
