"""Invariants that are checked after a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults import lab
from faults.network.responses import BLOCKED, FINAL_REFUSALS, SIGN_IN_REQUIRED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from faults.network.clients import Client
    from faults.network.proxy import Observations
    from faults.network.schedules import Schedule


def common_violations(sandbox: Path, clients: Sequence[Client]) -> Iterator[tuple[str, str]]:
    """Yield the violations that all experiments check for, and those found while the clients ran."""
    yield from lab.find_violations(
        sandbox,
        list(dict.fromkeys(client.home for client in clients)),
        [run for client in clients for run in client.runs],
        expected=lab.digests_by_name(file for client in clients for file in client.files),
        submissions=len({client.submission for client in clients}),
    )
    for client in clients:
        yield from client.violations


def faulty_run_violations(
    runs: Sequence[lab.RunResult], triggered: set[str], *, may_be_killed: bool
) -> Iterator[tuple[str, str]]:
    """Check that each run with faults succeeded, was unfinished, or failed in a way that the faults allow."""
    allowed = {0, 6}
    if (FINAL_REFUSALS | BLOCKED) & triggered:
        allowed.add(5)
    if SIGN_IN_REQUIRED & triggered:
        allowed.add(4)
    if may_be_killed:
        allowed.add(lab.KILLED)
    for run in runs:
        if run.code not in allowed:
            yield "other", f"exit code {run.code}: {_stderr(run)}"
        if run.code == 0 and not run.receipt:
            yield "lost", "exit code 0 without a receipt"


def clean_run_violations(run: lab.RunResult) -> Iterator[tuple[str, str]]:
    if run.code != 0 or not run.receipt:
        yield "lost", f"a clean run ended with {run.code}: {_stderr(run)}"


def receipt_violations(
    clients: Iterable[Client], received: Sequence[lab.ReceivedSubmission]
) -> Iterator[tuple[str, str]]:
    """Check that all clients of a submission have the same receipt, and that it is for their documents."""
    documents = {submission.number: {name for name, _ in submission.documents} for submission in received}
    numbers: dict[int, set[str]] = {}
    for client in clients:
        for run in client.runs:
            if run.receipt:
                number = run.receipt["number"]
                numbers.setdefault(client.submission, set()).add(number)
                if number in documents and documents[number] != {file.name for file in client.files}:
                    yield "lost", f"{number} was printed, which is for other documents"
    for submission, printed in numbers.items():
        if len(printed) > 1:
            yield "duplicated", f"submission {submission} has the receipts {', '.join(sorted(printed))}"


def repeat_violations(runs: Iterable[lab.RunResult], observations: Observations) -> Iterator[tuple[str, str]]:
    for run in runs:
        if run.code != 0 or not run.receipt:
            yield "lost", f"one more run ended with {run.code}: {_stderr(run)}"
        elif run.result.get("repeated") is not True:
            yield "resent", "one more run does not report that it is repeated"
    if observations.document_bytes:
        yield "resent", f"one more run sent {observations.document_bytes} bytes of documents"


def plan_violations(
    plan: Schedule, runs: Sequence[lab.RunResult], document_bytes: int, files: Sequence[Path]
) -> Iterator[tuple[str, str]]:
    """Check the exit codes and the number of transferred bytes, if the schedule determines them."""
    codes = tuple(run.code for run in runs)
    if plan.codes and codes != plan.codes:
        yield "other", f"the runs ended with {codes}, not with {plan.codes}: {_stderr(runs[0])}"
    total = sum(file.stat().st_size for file in files)
    if plan.transfers is not None and document_bytes != plan.transfers * total:
        yield "resent", f"{document_bytes} bytes of documents were sent, of {total}"


def exchange_violations(phases: Sequence[Observations], *, submissions: int) -> Iterator[tuple[str, str]]:
    if (keys := len(phases[-1].declared)) > submissions:
        yield "duplicated", f"{keys} keys were declared for {submissions} submissions"
    for observations in phases:
        if observations.redirected_bytes:
            yield "leaked", f"{observations.redirected_bytes} bytes sent to the target of a redirect"
        yield from (("wrong", f"a client sent {wrong}") for wrong in observations.mismatches)


def _stderr(run: lab.RunResult) -> str:
    return run.err.strip()[-300:] or "nothing"
