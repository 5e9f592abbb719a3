"""Sending of one submission that is recorded in the ledger, and what the ledger learns on the way.

A small submission is sent in one exchange. A larger one is sent in stages: declare it, upload the missing
documents, send it. A small one is also sent in stages if an earlier run already declared it, or if the
service does not accept it in one exchange.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from docsend.checks import documents
from docsend.codes import Code
from docsend.delivery.clearance import Clearance
from docsend.errors import DocsendError, Refused, Unfinished
from docsend.i18n import Message
from docsend.model.receipt import Delivery
from docsend.service.responses import IncompleteSubmission, OpenSubmission, UnknownSubmission
from docsend.storage import receipts

if TYPE_CHECKING:
    from typing import Protocol

    from docsend.model.receipt import Receipt
    from docsend.model.submission import CheckedSubmission, PlannedSubmission
    from docsend.service.client import ServiceClient
    from docsend.service.responses import Sendable
    from docsend.storage.ledger import Ledger

    class OpenCall(Protocol):
        """Call that declares a submission to the service, or asks for the submission's status."""

        def __call__(self, *, may_be_received: bool) -> OpenSubmission | Receipt: ...


# Unfinished declarations expire, so the service may forget one even between two calls.
_MAX_ROUNDS = 3


def send(
    checked: CheckedSubmission, clearance: Clearance, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Send a submission that is recorded in the ledger, and return its delivery.

    Its receipt is not stored yet, unless the delivery says so. A final refusal is recorded. Raise the same
    errors as `deliver.deliver`, except Interrupted.
    """
    is_one_exchange = not clearance.may_be_declared and service.one_exchange.accepts(checked)
    try:
        try:
            if is_one_exchange:
                delivery = _send_in_one_exchange(checked, clearance, service, ledger)
            else:
                delivery = _declare_and_send(checked, clearance, service, ledger)
        except Refused as refusal:
            delivery = _settle_refusal(refusal, checked, service, ledger)
    except DocsendError as error:
        error.notices = clearance.notices
        raise
    return delivery._replace(notices=clearance.notices)


def finish(
    planned: PlannedSubmission, open_call: OpenCall, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Finish a submission that the service already expects, and return its delivery, as `send` does."""
    try:
        return _run_staged_calls(planned, open_call, Clearance(), service, ledger)
    except Refused as refusal:
        return _settle_refusal(refusal, planned, service, ledger)


def _send_in_one_exchange(
    checked: CheckedSubmission, clearance: Clearance, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Send a submission in one request. If the service does not accept that, send it in stages instead."""
    # Durable for a personal submission: it may meet a requirement, and the next run must know that.
    since = ledger.record_sending(service.name, checked.key, is_durable=checked.is_signed)
    contents = [content for _, content in documents.read_contents(checked.documents)]
    try:
        sent = service.send_in_one_exchange(checked, contents, may_be_received=clearance.may_be_received)
    except DocsendError as error:
        if error.nothing_arrived:
            ledger.revert_sending(service.name, checked.key, since)
        raise
    if isinstance(sent, Delivery):
        return sent
    if not sent.may_be_received:
        ledger.revert_sending(service.name, checked.key, since)
    may_be_received = clearance.may_be_received
    clearance = Clearance(may_be_received=may_be_received or sent.may_be_received)
    try:
        delivery = _declare_and_send(checked, clearance, service, ledger)
    except Unfinished as error:
        if (
            error.is_lasting_refusal
            and sent.may_be_received
            and not may_be_received
            and _is_unknown_to_service(checked, service)
        ):
            raise Refused(error.message, error.hint, cause=error.cause) from None
        raise
    service.one_exchange.record_fallback(sent)
    return delivery


def _is_unknown_to_service(checked: CheckedSubmission, service: ServiceClient) -> bool:
    """Return whether the service says that it does not know a submission. Return False if asking it fails.

    An intermediary that blocks sending usually still lets status requests through.
    """
    try:
        service.fetch_status(checked.key, with_token=checked.is_signed)
    except UnknownSubmission:
        return True
    except DocsendError:
        pass
    return False


def _declare_and_send(
    checked: CheckedSubmission, clearance: Clearance, service: ServiceClient, ledger: Ledger
) -> Delivery:
    def declare(*, may_be_received: bool) -> OpenSubmission | Receipt:
        return service.declare(checked, may_be_received=may_be_received)

    return _run_staged_calls(checked, declare, clearance, service, ledger)


def _settle_refusal(
    refusal: Refused, submission: Sendable, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Record a final refusal in the ledger before it is reported, and raise it.

    If an intermediary refused the submission, first ask the service whether it was received all the same, and
    return its delivery if so. If it may have been received, raise Unfinished instead.
    """
    codes = [problem.code for problem in refusal.problems] or [refusal.cause or Code.REFUSED]
    if Code.WITHDRAWN in codes:
        ledger.record_withdrawn(service.name, submission.key)
    elif refusal.cause is not None:  # the response came from an intermediary, not from the service
        if receipt := _find_receipt(submission, service, ledger):
            return Delivery(receipt, is_repeated=False, is_stored=True)
        if not ledger.record_refused_by_intermediary(service.name, submission.key, refusal.cause.value):
            raise Unfinished(refusal.message, refusal.hint, cause=refusal.cause) from None
    else:
        ledger.record_refused(service.name, submission.key, codes[0].value)
    raise refusal


def _find_receipt(submission: Sendable, service: ServiceClient, ledger: Ledger) -> Receipt | None:
    """Ask the service for the receipt of a submission, and store it.

    An intermediary may have refused only the response, and it usually still lets this request through. Return
    None if asking fails.
    """
    with contextlib.suppress(UnknownSubmission, DocsendError):
        status = service.fetch_status(submission.key, with_token=submission.is_signed)
        entry = ledger.find(service.name, submission.key) if status.receipt else None
        if status.receipt and entry is not None and receipts.fits(status.receipt, entry):
            ledger.record_receipt(service.name, submission.key, status.receipt)
            return status.receipt
    return None


def _run_staged_calls(
    submission: Sendable, open_call: OpenCall, clearance: Clearance, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Declare a submission, upload its missing documents, send it and return its delivery.

    `open_call` declares the submission or, if an earlier run has declared it, asks for the submission's
    status. If the service loses the submission or some of its documents in between, start again. Raise
    Unfinished after three rounds.
    """
    may_be_received = clearance.may_be_received
    for _ in range(_MAX_ROUNDS):
        status = open_call(may_be_received=may_be_received)
        try:
            if isinstance(status, OpenSubmission):
                ledger.record_open(service.name, submission.key)
                _put_missing(submission, status, service, may_be_received=may_be_received)
                ledger.record_sending(service.name, submission.key, is_durable=submission.is_signed)
                may_be_received = True
                return Delivery(service.send(submission), is_repeated=False)
        except (UnknownSubmission, IncompleteSubmission):
            continue
        # If an earlier attempt by this sender may have led to the receipt, it is not a repetition.
        return Delivery(status, is_repeated=not may_be_received)
    raise Unfinished(
        Message("the service keeps losing track of this submission"),
        Message("nothing is lost: run the same command again later"),
    )


def _put_missing(
    submission: Sendable, status: OpenSubmission, service: ServiceClient, *, may_be_received: bool
) -> None:
    missing = [document for document in submission.documents if document.sha256 in status.missing]
    # Invariant 2: read_contents yields the checked buffer, or the file if its digest is unchanged.
    for document, content in documents.read_contents(missing):
        service.put_document(submission, document, content, may_be_received=may_be_received)
