"""Views of a batch: the result of the check, each row, and the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.codes import Code
from docsend.i18n import Message, join
from docsend.model.problem import Problem
from docsend.model.states import STATE_NAMES
from docsend.ui import to_json
from docsend.ui.progress import format_duration
from docsend.ui.terminal import SEVERITY_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from docsend.delivery.batch import Outcome
    from docsend.delivery.batch_result import OutcomeCounts
    from docsend.delivery.preflight import PreflightResult
    from docsend.ui.terminal import Streams

_MAX_WARNINGS = 10
_MAX_ALIKE = 10  # rows with the same error that are listed one by one
_RETRY_HINT = Message("nothing is lost: run the same command again to finish the rest; nothing is sent twice")
# Problems that JSON reports for rows that were not received although they have no problems of their own.
_IMPLIED_PROBLEMS: Mapping[str, tuple[Problem, ...]] = {
    "not tried": (
        Problem(Code.NOT_TRIED, Message("the batch ended before this row was tried"), _RETRY_HINT),
    ),
    "unfinished": (Problem(Code.INTERRUPTED, Message("interrupted"), _RETRY_HINT),),
}
_STATUS = {"not tried": "unfinished"}


def say_problems(streams: Streams, plan: PreflightResult) -> None:
    """Print the errors of the rows, and up to ten warnings. An error that many rows share is printed once.

    With `--verbose`, print each error, and all warnings that were collected.
    """
    errors = [problem for problems in plan.faulty.values() for problem in problems]
    by_text: dict[tuple[str, str], list[Problem]] = {}
    for problem in errors:
        by_text.setdefault((str(problem.code), streams.render(problem.message)), []).append(problem)
    for alike in by_text.values():
        if len(alike) > _MAX_ALIKE and not streams.is_verbose:
            streams.say_always(_shared_problem(alike))
        else:
            for problem in alike:
                streams.say_always(_row_problem(problem))
    warnings = plan.warnings if streams.is_verbose else plan.warnings[:_MAX_WARNINGS]
    for problem in warnings:
        streams.say(_row_problem(problem))
    if plan.warning_count > len(warnings):
        more = plan.warning_count - len(warnings)
        streams.say(Message("and {count:,} more warnings; give --verbose to see more of them", count=more))


class Notices:
    """Prints the warnings that appear while rows are sent: the first ten, or all with `--verbose`."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._count = 0

    def say(self, problems: Sequence[Problem]) -> None:
        """Print the warnings of one row, unless there were too many before."""
        self._count += len(problems)
        if self._count <= _MAX_WARNINGS or self._streams.is_verbose:
            self._streams.say_problems(problems)

    def say_how_many_more(self) -> None:
        """Print how many warnings were not printed."""
        if self._count > _MAX_WARNINGS and not self._streams.is_verbose:
            more = self._count - _MAX_WARNINGS
            message = Message("and {count:,} more warnings; give --verbose to see more of them", count=more)
            self._streams.say(message)


def say_failed_rows(streams: Streams, outcomes: OutcomeCounts, *, has_report: bool) -> None:
    """Print one line with the first error of each failed row that is kept in `outcomes.failed`.

    Then print how many more rows failed.
    """
    for outcome in outcomes.failed:
        problem = next((p for p in outcome.problems if p.is_error), None)
        why = (
            Message("{message} [{code}]", message=problem.message, code=problem.code)
            if problem
            else Message("interrupted")
        )
        status = STATE_NAMES[outcome.status]
        streams.say_always(
            Message("row {row}: {status}: {why}", row=outcome.row.number, status=status, why=why)
        )
    failed = sum(outcomes.counts[status] for status in ("faulty", "refused", "unfinished"))
    if failed > len(outcomes.failed):
        more = failed - len(outcomes.failed)
        streams.say_always(
            Message("and {count:,} more rows; the report lists them all", count=more)
            if has_report
            else Message("and {count:,} more rows; give --report FILE to list them all", count=more)
        )


def say_sending(streams: Streams, rows: int, service: str) -> None:
    """Print that the checks are done and rows are being sent."""
    streams.say_event(
        Message.plural(
            "sending 1 row to {service}", "sending {count:,} rows to {service}", rows, service=service
        )
    )


def say_end(streams: Streams, seconds: float, *, service: str | None, report: Path | None) -> None:
    """Print how long the batch took, where it was sent, and where its report is."""
    parts = [Message("ended after {duration}", duration=format_duration(seconds))]
    if service is not None:
        parts.append(Message("service: {service}", service=service))
    if report is not None:
        parts.append(Message("report: {file}", file=report))
    streams.say_event(join(parts, "; "))


def say_second_round(streams: Streams, rows: int) -> None:
    """Print that the rows that are left unfinished are tried once more."""
    streams.say_event(
        Message.plural(
            "trying 1 unfinished row once more", "trying {count:,} unfinished rows once more", rows
        )
    )


def say_partial(streams: Streams, file: Path) -> None:
    """Print that a report is the partial one of a run that did not finish."""
    streams.say_always(Message("{file} is from an unfinished run: rows may be missing", file=file))


def say_report_kept(streams: Streams, kept: Path) -> None:
    """Print that a check has not replaced a report that has receipts."""
    streams.say_always(
        Message("{file} has receipts, so it stays as it is; this check has no report", file=kept)
    )
    streams.say_always(Message("give another name with --report to get a report of this check"), indent=2)


def say_next_steps(streams: Streams, outcomes: OutcomeCounts) -> None:
    """Print what to do about the rows that were not received."""
    if outcomes.fatal_exit_code is not None:
        hint = next(
            (o.error.hint for o in outcomes.failed if o.error and o.error.code == outcomes.fatal_exit_code),
            None,
        )
        streams.say(hint or Message("see above"))
    elif outcomes.counts["unfinished"] or outcomes.counts["not tried"]:
        streams.say(_RETRY_HINT)


class BatchChecked(NamedTuple):
    """Result of checking a batch without sending it, for people only."""

    plan: PreflightResult

    def as_json(self) -> None:
        """Return None, because the result is already in the JSON of the rows and of the summary."""

    def show(self, streams: Streams) -> None:
        plan = self.plan
        total = Message.plural(
            "1 row, {size:,} bytes", "{count:,} rows, {size:,} bytes", plan.rows, size=plan.total_bytes
        )
        if not plan.rows:
            streams.print_line(Message("this share has no rows"))
        elif not plan.faulty:
            streams.print_line(Message("{total}: all valid; nothing was sent", total=total))
        else:
            streams.print_line(
                Message(
                    "{total}: {faulty:,} faulty, {valid:,} valid; nothing was sent",
                    total=total,
                    faulty=len(plan.faulty),
                    valid=plan.good_rows,
                )
            )
            if plan.good_rows:
                streams.say(Message("give --only-valid to send the valid rows"))


class BatchRow(NamedTuple):
    """Outcome of one row, for scripts only. People see the progress and the failed rows instead."""

    outcome: Outcome
    service: str | None

    def as_json(self) -> dict[str, Any]:
        outcome = self.outcome
        result = to_json.result(
            _STATUS.get(outcome.status, outcome.status),
            outcome.submission,
            is_repeated=outcome.is_repeated,
            service=self.service,
            receipt_=outcome.receipt,
            problems=outcome.problems or _IMPLIED_PROBLEMS.get(outcome.status, ()),
            row=outcome.row.number,
        )
        return result | {"key": outcome.key}

    def show(self, streams: Streams) -> None:
        pass


class BatchSent(NamedTuple):
    """Number of rows by outcome, for people. Scripts get `BatchSummaryLine` instead."""

    plan: PreflightResult
    outcomes: OutcomeCounts

    def as_json(self) -> None:
        """Return None, because the numbers are already in the JSON of `BatchSummaryLine`."""

    def show(self, streams: Streams) -> None:
        plan, outcomes = self
        counts = (
            (outcomes.received - outcomes.repeated, Message("{count:,} received")),
            (outcomes.repeated, Message("{count:,} received before")),
            (len(plan.faulty) + outcomes.counts["faulty"], Message("{count:,} faulty")),
            (outcomes.counts["refused"], Message("{count:,} refused")),
            (outcomes.counts["unfinished"], Message("{count:,} unfinished")),
            (outcomes.counts["not tried"], Message("{count:,} not tried")),
        )
        numbers = join([phrase.with_values(count=count) for count, phrase in counts if count])
        streams.print_line(row_summary(plan.rows, numbers))


class BatchSummaryLine(NamedTuple):
    """Last line of a batch's JSON, for scripts only. `seconds` is the time since the manifest was opened."""

    rows: int
    counts: Mapping[str, int]
    service: str | None
    report: str | None
    seconds: float
    repeat_helps: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "docsend.batch/1",
            "rows": self.rows,
            "counts": dict(self.counts),
            "service": self.service,
            "report": self.report,
            "seconds": round(self.seconds, 3),
            "repeat_helps": self.repeat_helps,
        }

    def show(self, streams: Streams) -> None:
        pass


def row_summary(count: int, outcomes: Message) -> Message:
    """Return a line with the number of rows and their outcomes."""
    return Message.plural("1 row: {outcomes}", "{count:,} rows: {outcomes}", count, outcomes=outcomes)


def _shared_problem(alike: Sequence[Problem]) -> Message:
    """Return one line for an error that many rows share: how many, the first of them, and the error."""
    return Message(
        "{count:,} rows, the first is row {row}: {problem}",
        count=len(alike),
        row=alike[0].row,
        problem=_row_problem(alike[0]),
    )


def _row_problem(problem: Problem) -> Message:
    """Return one line for a problem in a batch: severity, row, column, message, code, hint."""
    where = Message("row {row}", row=problem.row)
    if problem.field:
        where = Message("row {row}, {field}", row=problem.row, field=problem.field)
    line = Message(
        "{severity}: {where}: {message} [{code}]",
        severity=SEVERITY_NAMES[problem.severity],
        where=where,
        message=problem.message,
        code=problem.code,
    )
    return Message("{problem} ({hint})", problem=line, hint=problem.hint) if problem.hint else line
