"""What has to hold after a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults import lab
from faults.network.responses import PAGES, REFUSES, WANTS_SIGN_IN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from faults.network.clients import Client
    from faults.network.proxy import Seen
    from faults.network.schedules import Schedule


def kept_whole(sandbox: Path, clients: Sequence[Client]) -> Iterator[tuple[str, str]]:
    """What the laboratory asks of all experiments, and what was noticed while clients ran."""
    yield from lab.violations(
        sandbox,
        list(dict.fromkeys(client.home for client in clients)),
        [ran for client in clients for ran in client.ran],
        expected=lab.expected(file for client in clients for file in client.files),
        submissions=len({client.submission for client in clients}),
    )
    for client in clients:
        yield from client.trouble


def after_faults(
    tried: Sequence[lab.Ran], struck: set[str], *, may_be_killed: bool
) -> Iterator[tuple[str, str]]:
    """A run through faults ends received, unfinished, or as the faults allow."""
    allowed = {0, 6}
    if (REFUSES | PAGES) & struck:
        allowed.add(5)
    if WANTS_SIGN_IN & struck:
        allowed.add(4)
    if may_be_killed:
        allowed.add(lab.KILLED)
    for ran in tried:
        if ran.code not in allowed:
            yield "other", f"exit code {ran.code}: {_said(ran)}"
        if ran.code == 0 and not ran.receipt:
            yield "lost", "exit code 0 without a receipt"


def after_clean_run(ran: lab.Ran) -> Iterator[tuple[str, str]]:
    if ran.code != 0 or not ran.receipt:
        yield "lost", f"a clean run ended with {ran.code}: {_said(ran)}"


def receipts_of_each(clients: Iterable[Client], kept: Sequence[lab.Kept]) -> Iterator[tuple[str, str]]:
    """Whoever sent the same has one receipt, and it is of these documents."""
    documents = {one.number: {name for name, _ in one.documents} for one in kept}
    numbers: dict[int, set[str]] = {}
    for client in clients:
        for ran in client.ran:
            if ran.receipt:
                number = ran.receipt["number"]
                numbers.setdefault(client.submission, set()).add(number)
                if number in documents and documents[number] != {file.name for file in client.files}:
                    yield "lost", f"{number} was printed, which is of other documents"
    for submission, shown in numbers.items():
        if len(shown) > 1:
            yield "twice", f"submission {submission} has the receipts {', '.join(sorted(shown))}"


def once_more(last: Iterable[lab.Ran], seen: Seen) -> Iterator[tuple[str, str]]:
    for ran in last:
        if ran.code != 0 or not ran.receipt:
            yield "lost", f"one more run ended with {ran.code}: {_said(ran)}"
        elif ran.result.get("repeated") is not True:
            yield "resent", "one more run does not say that it is repeated"
    if seen.document_bytes:
        yield "resent", f"one more run sent {seen.document_bytes} bytes of documents"


def as_planned(
    plan: Schedule, tried: Sequence[lab.Ran], document_bytes: int, files: Sequence[Path]
) -> Iterator[tuple[str, str]]:
    """What is certain of a single fault: how its runs end, and that no document goes twice without need."""
    codes = tuple(ran.code for ran in tried)
    if plan.codes and codes != plan.codes:
        yield "other", f"the runs ended with {codes}, not with {plan.codes}: {_said(tried[0])}"
    whole = sum(file.stat().st_size for file in files)
    if plan.transfers is not None and document_bytes != plan.transfers * whole:
        yield "resent", f"{document_bytes} bytes of documents of {whole} went through the fault"


def on_the_wire(phases: Sequence[Seen], *, submissions: int) -> Iterator[tuple[str, str]]:
    if (keys := len(phases[-1].declared)) > submissions:
        yield "twice", f"{keys} keys were declared for {submissions} submissions"
    for seen in phases:
        if seen.elsewhere_bytes:
            yield "seen", f"{seen.elsewhere_bytes} bytes at the place that a redirect named"
        yield from (("wrong", f"a client sent {wrong}") for wrong in seen.wrong)


def _said(ran: lab.Ran) -> str:
    return ran.err.strip()[-300:] or "nothing"
