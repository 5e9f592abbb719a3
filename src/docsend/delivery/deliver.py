"""Delivery of one checked submission: plan it in the ledger, send it (see `sending`), store the receipt.

These invariants hold at every instant. In the code, "Invariant N" marks the place that ensures invariant N:
1. Nothing is sent before its plan is durable in the ledger, and nothing is reported as received before its
   receipt is durable.
2. The bytes that are sent are the bytes that were checked.
3. Running the same command again recovers from every failure and sends nothing twice: the key is derived from
   the content, and both the ledger and the service recognize it.
4. A request is retried only if that cannot create a duplicate, and only unchanged, with the same key
   (`service.client`).
5. Redirects are never followed, HTTPS is required except on this machine, and certificates are verified
   (`service.http`, `config.address`).
6. A response that violates the contract is a failure, never a success (`service.reading`).
7. Text from outside is escaped before it reaches a terminal, a log or a spreadsheet (`text`, `report`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from docsend.delivery import kept_receipts, repetition, sending
from docsend.delivery.clearance import Clearance
from docsend.delivery.required import RequiredDocuments
from docsend.errors import DocsendError, Interrupted, InvalidSubmission, LocalError, Refused, Unfinished
from docsend.i18n import Message
from docsend.model.receipt import Delivery
from docsend.service.responses import OpenSubmission
from docsend.storage import receipts
from docsend.storage.earlier import NotPlanned
from docsend.storage.receipts import DamagedReceipt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from docsend.model.problem import Problem
    from docsend.model.receipt import Receipt
    from docsend.model.submission import CheckedSubmission
    from docsend.service.client import ServiceClient
    from docsend.storage.ledger import Ledger
    from docsend.storage.ledger_rows import LedgerEntry

# Other processes may record submissions that are the same while this one settles those that it found. Each is
# settled once, so only a script that starts more and more of them reaches this number.
_MAX_SETTLEMENTS = 100


def deliver(
    checked: CheckedSubmission,
    service: str,
    ledger: Ledger,
    open_service: Callable[[CheckedSubmission], AbstractContextManager[ServiceClient]],
    *,
    anyway: bool = False,
) -> Delivery:
    """Deliver a submission, continuing where an earlier run left off, and store its receipt.

    `service` is the service's name in the ledger. `open_service` connects to the service. It is not called if
    the receipt is already in the ledger, or if the submission repeats one that was received. With `anyway`,
    send it even so (see `repetition`).

    Raise InvalidSubmission if the submission repeats an earlier one, if a file has changed, or if the service
    would refuse the submission because of a document that it requires. Raise Refused, Unfinished,
    SignInRequired, UsageError, LocalError or Interrupted for other failures.
    """
    ledger.identity_key()  # fail early without it
    entry = ledger.find(service, checked.key)
    if entry is not None and entry.state == "received" and not entry.has_digests:
        with contextlib.suppress(LocalError):  # its receipt is known, even if nothing can be written
            ledger.record_plan(service, checked)  # gives it its digests
    if not anyway and not _is_unfinished(entry):
        # Only an early answer, without the network. `_plan` looks again, in the transaction that records it.
        repetition.refuse_received(ledger.find_earlier(service, checked))
    return _resume_from_ledger(checked, entry, service, ledger, open_service, anyway=anyway)


def _resume_from_ledger(
    checked: CheckedSubmission,
    entry: LedgerEntry | None,
    service_name: str,
    ledger: Ledger,
    open_service: Callable[[CheckedSubmission], AbstractContextManager[ServiceClient]],
    *,
    anyway: bool,
) -> Delivery:
    """Return the delivery of an earlier run, or send the submission and store its receipt."""
    known = _ledger_result(entry) if entry is not None else Clearance()
    if isinstance(known, Delivery):
        return known
    try:
        with open_service(checked) as service:
            if isinstance(known, Clearance) and known.damaged is not None:
                return kept_receipts.deliver(known.damaged, service, ledger)
            if checked.is_signed:
                _check_requirement(checked, entry, service, ledger, RequiredDocuments(service))
            planned = _plan(checked, service, ledger, anyway=anyway)  # Invariant 1
            delivery = _upload_planned(checked, planned, service, ledger)
            if not delivery.is_stored:
                ledger.record_receipt(service.name, checked.key, delivery.receipt)
            return delivery
    except KeyboardInterrupt as stop:
        raise Interrupted.from_signal(stop, *_interruption_messages(checked, service_name, ledger)) from None


def _interruption_messages(
    checked: CheckedSubmission, service: str, ledger: Ledger
) -> tuple[Message, Message]:
    entry = ledger.find(service, checked.key)
    messages = {
        None: Message("interrupted: nothing was sent"),
        "planned": Message("interrupted: the submission was not received; the service may already expect it"),
        "open": Message(
            "interrupted: the submission was not received; the service expects it and may have some of its "
            "documents"
        ),
        "sending": Message(
            "interrupted: everything may have been sent, and the submission may have been received"
        ),
    }
    message = messages.get(entry.state if entry else None, Message("interrupted"))
    return message, Message("nothing is lost: run the same command again")


def record_plans(
    submissions: Sequence[CheckedSubmission], service: ServiceClient, ledger: Ledger, *, anyway: bool = False
) -> list[Delivery | DocsendError | Clearance]:
    """Record submissions in the ledger in one commit, before they are sent.

    Return one result for each submission: its clearance, its delivery if it was already received, or the
    error that forbids sending it. Raise LocalError if nothing could be written.

    A submission is recorded in `upload` instead if that needs the service: to learn what became of an earlier
    submission that it repeats, or of the documents that a personal submission depends on.
    """
    # Invariant 1: the plans are durable before anything is sent.
    unsigned = [submission for submission in submissions if not submission.is_signed]
    recorded = ledger.record_plans(service.name, unsigned, anyway=anyway)
    results = {
        submission.key: _ledger_result(result) for submission, result in zip(unsigned, recorded, strict=True)
    }
    return [results.get(submission.key, Clearance(is_planned=False)) for submission in submissions]


def _ledger_result(recorded: LedgerEntry | NotPlanned) -> Delivery | DocsendError | Clearance:
    if isinstance(recorded, NotPlanned):
        return _not_planned_result(recorded)
    try:
        if delivery := receipts.earlier_delivery(recorded):
            return delivery
    except DamagedReceipt:
        return Clearance(damaged=recorded)
    if recorded.state == "withdrawn":
        problem = repetition.withdrawn_problem(recorded)
        return Refused(problem.message, problem.hint, [problem])
    return Clearance(
        may_be_received=not recorded.is_newly_planned,
        may_be_declared=recorded.state != "planned",
        notices=tuple(map(repetition.perhaps_received_notice, recorded.perhaps_same)),
    )


def _not_planned_result(reason: NotPlanned) -> DocsendError | Clearance:
    try:
        repetition.refuse(reason)
    except (InvalidSubmission, DamagedReceipt) as error:  # the receipt of the submission that it repeats
        return error
    return Clearance(is_planned=False)


def upload(
    checked: CheckedSubmission,
    clearance: Clearance,
    service: ServiceClient,
    ledger: Ledger,
    required: RequiredDocuments,
    *,
    anyway: bool = False,
) -> Delivery:
    """Send a submission that `record_plans` has cleared, and return its delivery.

    The delivery must not be reported before its receipt is stored (`record_receipts`). Raise the same errors
    as `deliver`, except Interrupted.
    """
    planned: Delivery | Clearance = clearance
    if not clearance.is_planned:
        if checked.is_signed:
            entry = ledger.find(service.name, checked.key)
            _check_requirement(checked, entry, service, ledger, required)
        planned = _plan(checked, service, ledger, anyway=anyway)  # Invariant 1
    return _upload_planned(checked, planned, service, ledger)


def _plan(
    checked: CheckedSubmission, service: ServiceClient, ledger: Ledger, *, anyway: bool
) -> Delivery | Clearance:
    """Record a submission in the ledger, and first settle what became of those that it repeats.

    Raise InvalidSubmission or Refused if it must not be sent. Raise Unfinished if other processes record
    such submissions without end.
    """
    notices: list[Problem] = []
    try:
        settlements = 0
        while settlements < _MAX_SETTLEMENTS:
            recorded = ledger.record_plan(service.name, checked, anyway=anyway)
            planned = _ledger_result(recorded)
            if isinstance(planned, DocsendError):
                raise planned
            if not isinstance(recorded, NotPlanned):
                return planned._replace(notices=(*planned.notices, *notices))
            repetition.settle(recorded, checked, service, ledger, notices)
            settlements += bool(recorded.earlier)
    except DocsendError as error:
        error.notices = tuple(notices)
        raise
    raise Unfinished(
        Message("another docsend is sending the same documents, or the same reference"),
        Message("wait until it has ended, then run the same command again"),
    )


def _upload_planned(
    checked: CheckedSubmission, planned: Delivery | Clearance, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Send a submission that is recorded in the ledger, unless the ledger has its receipt."""
    if isinstance(planned, Delivery):
        return planned
    if planned.damaged is not None:
        return kept_receipts.deliver(planned.damaged, service, ledger)
    return sending.send(checked, planned, service, ledger)


def record_receipts(
    receipts: Sequence[Receipt], service: ServiceClient, ledger: Ledger
) -> Mapping[str, LocalError]:
    """Store receipts in one commit. Return an error for each receipt that was not stored, by key.

    Raise LocalError if the commit fails.
    """
    # Invariant 1: the receipts are durable before anything is reported as received.
    return ledger.record_receipts(service.name, {receipt.key: receipt for receipt in receipts})


def resume(entry: LedgerEntry, service: ServiceClient, ledger: Ledger) -> Delivery:
    """Finish a submission that an earlier run declared, and store its receipt.

    The submission cannot be declared again, because the ledger does not store the identity. Raise
    UnknownSubmission if the service never had the declaration or has forgotten it, and Unfinished if another
    submission is the same, or may be. Raise the same errors as `deliver` for other failures, except
    Interrupted.
    """
    planned = entry.as_planned_submission()

    def reopen(*, may_be_received: bool) -> OpenSubmission | Receipt:  # noqa: ARG001 - reopening does not depend on it
        status = service.reopen(planned)
        if isinstance(status, OpenSubmission):
            repetition.refuse_to_resume(entry, ledger)
        return status

    delivery = sending.finish(planned, reopen, service, ledger)
    if not delivery.is_stored:
        ledger.record_receipt(service.name, planned.key, delivery.receipt)
    return delivery


def _check_requirement(
    checked: CheckedSubmission,
    entry: LedgerEntry | None,
    service: ServiceClient,
    ledger: Ledger,
    required: RequiredDocuments,
) -> None:
    """Raise InvalidSubmission if the service would refuse the submission because of a requirement.

    Until the service has received the documents that it requires about a subject, it accepts no others. A
    submission that was already declared is not checked, because it may itself have met a requirement. The
    service no longer lists a requirement that was met.
    """
    if _is_declared(entry):
        return
    problem = required.find_problem(checked)
    # Query the ledger again first: another process may have declared the submission in the meantime.
    if problem is not None and not _is_declared(ledger.find(service.name, checked.key)):
        # An earlier one that is unfinished may have met the requirement.
        repetition.ask_about(ledger.find_earlier(service.name, checked), service, ledger)
        raise InvalidSubmission.from_problems([problem])


def _is_unfinished(entry: LedgerEntry | None) -> bool:
    return entry is not None and entry.state in ("planned", "open", "sending")


def _is_declared(entry: LedgerEntry | None) -> bool:
    return entry is not None and entry.state not in ("planned", "refused")
