"""The journey of one checked submission: plan, declare, put what is missing, send, keep the receipt.

What holds at every instant; "Invariant N" marks each place in the code that keeps one:
1. nothing is sent that was not planned durably first; nothing is called received before its receipt is;
2. the bytes that are sent are the bytes that were checked;
3. running the same command again is the recovery from anything, and sends nothing twice: the key comes
   from the content, and the ledger and the service both answer to it;
4. only what cannot duplicate is repeated, as the same request under the same key (`service`, `patience`);
5. redirects are never followed, https is needed except on this machine, certificates are verified (`service`,
   `settings`);
6. an answer that is not what the contract says is a failure, never a success (`service`);
7. foreign text is made safe before a terminal, a log or a spreadsheet sees it (`streams`, `report`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from docsend import answers, documents, receipts, rules
from docsend.errors import DocsendError, FaultySubmission, LocalFailure, Refused, Unfinished
from docsend.language import Phrase
from docsend.submission import Delivery, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docsend.answers import Opened, Sendable
    from docsend.ledger import Entry, Ledger
    from docsend.service import Service
    from docsend.submission import CheckedSubmission, Receipt, RequiredDocument

# The service may forget a declaration that nobody finished (it expires), even between two calls.
_ROUNDS = 3


class Required:
    """What the service asks a signed-in person for: asked once, and again before anything is refused."""

    def __init__(self, far_side: Service) -> None:
        self._far_side = far_side
        self._lock = threading.Lock()
        self._known: tuple[RequiredDocument, ...] | None = None

    def problem(self, checked: CheckedSubmission) -> Problem | None:
        """Hold a submission against what is asked for."""
        with self._lock:
            if self._known is not None and rules.required_first(checked, self._known) is None:
                return None
            self._known = self._far_side.required()
            return rules.required_first(checked, self._known)


def deliver(checked: CheckedSubmission, far_side: Service, ledger: Ledger) -> Delivery:
    """Bring a submission to its receipt, from wherever an earlier run left it.

    Raises Refused, Unfinished, SignInNeeded, LocalFailure, or FaultySubmission if a file changed.
    """
    (known,) = plan([checked], far_side, ledger)
    if isinstance(known, Delivery):
        return known
    if known is not None:
        raise known
    delivery = carry(checked, far_side, ledger, Required(far_side))
    ledger.received(far_side.name, checked.key, delivery.receipt)
    return delivery


def plan(
    submissions: Sequence[CheckedSubmission], far_side: Service, ledger: Ledger
) -> list[Delivery | DocsendError | None]:
    """Write down, in one commit, what is about to be sent.

    For each: None if it may go now, its delivery if it was received before, or why it must not go. Raises
    LocalFailure if nothing could be written down. Personal submissions are left to `carry`: whether they may
    go depends on what has gone before them.
    """
    # Invariant 1: on the disk before anything is sent.
    plain = [one for one in submissions if not one.is_signed]
    known = {entry.key: _known(entry) for entry in ledger.plan_all(far_side.name, plain)}
    return [known.get(one.key) for one in submissions]


def _known(entry: Entry) -> Delivery | DocsendError | None:
    try:
        if before := receipts.delivered(entry):
            return before
    except LocalFailure as failure:  # what the ledger has as its receipt is none
        return failure
    if entry.state == "withdrawn":
        problem = Problem(
            "withdrawn", Phrase("this submission was withdrawn for good"), Phrase("--again sends it anew")
        )
        return Refused(problem.message, problem.hint, [problem])
    return None


def carry(checked: CheckedSubmission, far_side: Service, ledger: Ledger, required: Required) -> Delivery:
    """Bring to its receipt what was planned; nobody may be told of it before it is kept."""
    if checked.is_signed:
        _required_first(checked, far_side, ledger, required)
        known = _known(ledger.plan(far_side.name, checked))  # invariant 1
        if isinstance(known, Delivery):
            return known
        if known is not None:
            raise known
    return _to_the_receipt(checked, lambda: far_side.declare(checked), far_side, ledger)


def keep(deliveries: Sequence[Delivery], far_side: Service, ledger: Ledger) -> Mapping[str, LocalFailure]:
    """Keep receipts, in one commit; give, by key, why one of them is not there afterwards.

    Raises LocalFailure if none is.
    """
    # Invariant 1: on the disk before anybody is told.
    return ledger.received_all(far_side.name, {each.receipt.key: each.receipt for each in deliveries})


def finish(entry: Entry, far_side: Service, ledger: Ledger) -> Delivery:
    """Bring to its receipt what an earlier run declared: the ledger has no identity to declare it anew.

    Raises answers.Forgotten if the service has no declaration of it (any more), else what `deliver` raises.
    """
    planned = entry.planned()
    delivery = _to_the_receipt(planned, lambda: far_side.reopen(planned), far_side, ledger)
    ledger.received(far_side.name, planned.key, delivery.receipt)
    return delivery


def _required_first(
    checked: CheckedSubmission, far_side: Service, ledger: Ledger, required: Required
) -> None:
    """Refuse what the service would refuse, before it is planned: documents that it asks for go first.

    What was declared already is past this: the requirement may be gone because this submission met it.
    """
    known = ledger.find(far_side.name, checked.key)
    if known is not None and known.state not in ("planned", "refused"):
        return
    problem = required.problem(checked)
    if problem is not None:
        raise FaultySubmission.of([problem])


def _to_the_receipt(
    submission: Sendable, begin: Callable[[], Opened | Receipt], far_side: Service, ledger: Ledger
) -> Delivery:
    """Go the way from the declaration to the receipt; what the service refuses for good is written down."""
    try:
        return _go(submission, begin, far_side, ledger)
    except Refused as refusal:
        if any(problem.code == "withdrawn" for problem in refusal.problems):
            ledger.withdrawn(far_side.name, submission.key)
        else:
            ledger.refused(far_side.name, submission.key, refusal.problems[0].code)
        raise


def _go(
    submission: Sendable, begin: Callable[[], Opened | Receipt], far_side: Service, ledger: Ledger
) -> Delivery:
    for _ in range(_ROUNDS):
        standing = begin()
        try:
            if isinstance(standing, answers.Opened):
                ledger.opened(far_side.name, submission.key)
                _put_missing(submission, standing, far_side)
                ledger.sending(far_side.name, submission.key, is_durable=submission.is_signed)
                return Delivery(far_side.send(submission), is_repeated=False)
        except (answers.Forgotten, answers.Incomplete):
            continue
        return Delivery(standing, is_repeated=True)
    raise Unfinished(
        Phrase("the service forgets what was declared to it"),
        Phrase("nothing is lost: run the same command again later"),
    )


def _put_missing(submission: Sendable, opened: Opened, far_side: Service) -> None:
    missing = [document for document in submission.documents if document.sha256 in opened.missing]
    # Invariant 2: the buffer that was checked, or the file if its digest still is the checked one.
    for document, content in documents.contents(missing):
        far_side.put(submission, document, content)
