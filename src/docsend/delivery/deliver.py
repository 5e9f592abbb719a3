"""The journey of one checked submission: plan, send, keep the receipt.

What is small goes in one exchange. What is not, or was begun before, or is not taken so, goes staged:
declare, put what is missing, send.

What holds at every instant; "Invariant N" marks each place in the code that keeps one:
1. nothing is sent that was not planned durably first; nothing is called received before its receipt is;
2. the bytes that are sent are the bytes that were checked;
3. running the same command again is the recovery from anything, and sends nothing twice: the key comes
   from the content, and the ledger and the service both answer to it;
4. only what cannot duplicate is repeated, as the same request under the same key (`service.client`);
5. redirects are never followed, https is needed except on this machine, certificates are verified
   (`service.http`, `config.address`);
6. a response that is not what the contract says is a failure, never a success (`service.reading`);
7. foreign text is made safe before a terminal, a log or a spreadsheet sees it (`text`, `report`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from docsend.checks import documents
from docsend.codes import Code
from docsend.delivery.clearance import Clearance
from docsend.delivery.required import RequiredDocuments
from docsend.errors import DocsendError, Interrupted, InvalidSubmission, LocalError, Refused, Unfinished
from docsend.i18n import Message
from docsend.model.problem import Problem
from docsend.model.receipt import Delivery
from docsend.service.responses import IncompleteSubmission, OpenSubmission, UnknownSubmission
from docsend.storage import receipts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    from docsend.model.receipt import Receipt
    from docsend.model.submission import CheckedSubmission
    from docsend.service.client import ServiceClient
    from docsend.service.responses import Sendable
    from docsend.storage.ledger import Ledger, LedgerEntry

    class OpenCall(Protocol):
        """How a submission is taken up at the service: declared, or looked for."""

        def __call__(self, *, may_be_received: bool) -> OpenSubmission | Receipt: ...


# The service may forget a declaration that nobody finished (it expires), even between two calls.
_MAX_ROUNDS = 3


class DeliveredSubmission(NamedTuple):
    """A submission that has its receipt; its occurrence may be a later one than was asked for."""

    submission: CheckedSubmission
    delivery: Delivery


def deliver(
    checked: CheckedSubmission,
    service: str,
    ledger: Ledger,
    open_service: Callable[[CheckedSubmission], AbstractContextManager[ServiceClient]],
    *,
    again: bool = False,
) -> DeliveredSubmission:
    """Bring a submission to its receipt, from wherever an earlier run left it.

    The ledger is looked at once, and what it has received already opens no service: `service` is its name,
    `opened` opens it. With `again` the first occurrence goes that has not ended. Raises Refused, Unfinished,
    SignInNeeded, LocalFailure, Interrupted, or FaultySubmission if a file changed.
    """
    try:
        entry = ledger.find(service, checked.key)
        while again and entry is not None and entry.state in ("received", "withdrawn"):
            # One that was interrupted is finished first.
            checked = checked.with_occurrence(checked.occurrence + 1)
            entry = ledger.find(service, checked.key)
        is_new_here = again and entry is None
        delivery = _resume_from_ledger(checked, entry, service, ledger, open_service)
        while is_new_here and delivery.is_repeated:
            # It had been sent from elsewhere, and once more was asked for.
            checked = checked.with_occurrence(checked.occurrence + 1)
            delivery = _resume_from_ledger(
                checked, ledger.find(service, checked.key), service, ledger, open_service
            )
    except DocsendError as error:
        error.submission = checked
        raise
    return DeliveredSubmission(checked, delivery)


def _resume_from_ledger(
    checked: CheckedSubmission,
    entry: LedgerEntry | None,
    service_name: str,
    ledger: Ledger,
    open_service: Callable[[CheckedSubmission], AbstractContextManager[ServiceClient]],
) -> Delivery:
    """Go on from where the ledger has it."""
    if entry is not None and (before := receipts.earlier_delivery(entry)):
        return before
    try:
        with open_service(checked) as service:
            if checked.is_signed:
                delivery = _upload_signed(checked, entry, service, ledger, RequiredDocuments(service))
            else:
                (known,) = record_plans([checked], service, ledger)
                delivery = _upload_planned(checked, known, service, ledger)
            if not delivery.is_stored:
                ledger.record_receipt(service.name, checked.key, delivery.receipt)
            return delivery
    except KeyboardInterrupt as stop:
        raise Interrupted.from_signal(stop, *_interruption_messages(checked, service_name, ledger)) from None


def _interruption_messages(
    checked: CheckedSubmission, service: str, ledger: Ledger
) -> tuple[Message, Message]:
    known = ledger.find(service, checked.key)
    come = {
        None: Message("interrupted: nothing was sent"),
        "planned": Message("interrupted: nothing was received, perhaps it was declared"),
        "open": Message("interrupted: declared, perhaps some documents were sent, nothing was received"),
        "sending": Message("interrupted: perhaps all of it was sent, and perhaps it was received"),
    }
    message = come.get(known.state if known else None, Message("interrupted"))
    return message, Message("nothing is lost: run the same command again")


def record_plans(
    submissions: Sequence[CheckedSubmission], service: ServiceClient, ledger: Ledger
) -> list[Delivery | DocsendError | Clearance]:
    """Write down, in one commit, what is about to be sent.

    For each: leave to send it, its delivery if it was received before, or why it must not go. Raises
    LocalFailure if nothing could be written down. Personal submissions are left to `carry`: whether they may
    go depends on what has gone before them.
    """
    # Invariant 1: on the disk before anything is sent.
    plain = [one for one in submissions if not one.is_signed]
    known = {entry.key: _ledger_result(entry) for entry in ledger.record_plans(service.name, plain)}
    return [known.get(one.key, Clearance()) for one in submissions]


def _ledger_result(entry: LedgerEntry) -> Delivery | DocsendError | Clearance:
    try:
        if before := receipts.earlier_delivery(entry):
            return before
    except LocalError as failure:  # what the ledger has as its receipt is none
        return failure
    if entry.state == "withdrawn":
        problem = Problem(
            Code.WITHDRAWN,
            Message("this submission was withdrawn for good"),
            Message("--again sends it anew"),
        )
        return Refused(problem.message, problem.hint, [problem])
    return Clearance(may_be_received=not entry.is_newly_planned, may_be_declared=entry.state != "planned")


def upload(
    checked: CheckedSubmission,
    clearance: Clearance,
    service: ServiceClient,
    ledger: Ledger,
    required: RequiredDocuments,
) -> Delivery:
    """Bring to its receipt what was planned; nobody may be told of it before it is kept."""
    if checked.is_signed:
        entry = ledger.find(service.name, checked.key)
        return _upload_signed(checked, entry, service, ledger, required)
    return _upload_planned(checked, clearance, service, ledger)


def _upload_signed(
    checked: CheckedSubmission,
    entry: LedgerEntry | None,
    service: ServiceClient,
    ledger: Ledger,
    required: RequiredDocuments,
) -> Delivery:
    """Plan a personal submission when its turn has come, and bring it to its receipt."""
    _check_requirement(checked, entry, service, ledger, required)
    known = _ledger_result(ledger.record_plan(service.name, checked))  # invariant 1
    return _upload_planned(checked, known, service, ledger)


def _upload_planned(
    checked: CheckedSubmission,
    known: Delivery | DocsendError | Clearance,
    service: ServiceClient,
    ledger: Ledger,
) -> Delivery:
    """Send it, unless the ledger knew of its receipt, or of a reason why it must not go."""
    if isinstance(known, Delivery):
        return known
    if isinstance(known, DocsendError):
        raise known
    if not known.may_be_declared and service.one_exchange.accepts(checked):
        return _send_in_one_exchange(checked, known, service, ledger)
    with _recording_refusals(checked.key, service, ledger):
        return _send_staged(checked, known, service, ledger)


def record_receipts(
    receipts: Sequence[Receipt], service: ServiceClient, ledger: Ledger
) -> Mapping[str, LocalError]:
    """Keep receipts, in one commit; give, by key, why one of them is not there afterwards.

    Raises LocalFailure if none is.
    """
    # Invariant 1: on the disk before anybody is told.
    return ledger.record_receipts(service.name, {receipt.key: receipt for receipt in receipts})


def resume(entry: LedgerEntry, service: ServiceClient, ledger: Ledger) -> Delivery:
    """Bring to its receipt what an earlier run declared: the ledger has no identity to declare it anew.

    Raises UnknownSubmission if the service has no declaration of it (any more), else what `deliver` raises.
    """
    planned = entry.as_planned_submission()

    def reopen(*, may_be_received: bool) -> OpenSubmission | Receipt:  # noqa: ARG001 - it may, whatever is said
        return service.reopen(planned)

    with _recording_refusals(planned.key, service, ledger):
        delivery = _run_staged_calls(planned, reopen, Clearance(), service, ledger)
    ledger.record_receipt(service.name, planned.key, delivery.receipt)
    return delivery


def _check_requirement(
    checked: CheckedSubmission,
    entry: LedgerEntry | None,
    service: ServiceClient,
    ledger: Ledger,
    required: RequiredDocuments,
) -> None:
    """Refuse what the service would refuse, before it is planned: documents that it asks for go first.

    What was declared already is past this: the requirement may be gone because this submission met it.
    """
    if _is_declared(entry):
        return
    problem = required.find_problem(checked)
    # Before anything is refused: another process may have declared it, or met the requirement, meanwhile.
    if problem is not None and not _is_declared(ledger.find(service.name, checked.key)):
        raise InvalidSubmission.from_problems([problem])


def _is_declared(entry: LedgerEntry | None) -> bool:
    return entry is not None and entry.state not in ("planned", "refused")


def _send_in_one_exchange(
    checked: CheckedSubmission, cleared: Clearance, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Send all of it in one request; staged, and nobody is told, if it is not taken so."""
    # A personal one may meet what is required: the next run must know that it may have.
    since = ledger.record_sending(service.name, checked.key, is_durable=checked.is_signed)
    with _recording_refusals(checked.key, service, ledger):
        contents = [content for _, content in documents.read_contents(checked.documents)]
        try:
            sent = service.send_in_one_exchange(checked, contents, may_be_received=cleared.may_be_received)
        except DocsendError as error:
            if error.nothing_arrived:
                ledger.revert_sending(service.name, checked.key, since)
            raise
        if isinstance(sent, Delivery):
            return sent
        if not sent.may_be_received:
            ledger.revert_sending(service.name, checked.key, since)
        may_be_received = cleared.may_be_received
        cleared = Clearance(may_be_received=may_be_received or sent.may_be_received)
        try:
            delivery = _send_staged(checked, cleared, service, ledger)
        except Unfinished as error:
            if (
                error.is_lasting_refusal
                and sent.may_be_received
                and not may_be_received
                and _is_unknown(checked, service)
            ):
                raise Refused(error.message, error.hint, cause=error.cause) from None
            raise
        service.one_exchange.record_fallback(sent)
        return delivery


def _is_unknown(checked: CheckedSubmission, service: ServiceClient) -> bool:
    """Ask whether nothing of a submission has arrived; who forbids sending often lets questions pass."""
    try:
        service.fetch_status(checked.key, signed=checked.is_signed)
    except UnknownSubmission:
        return True
    except DocsendError:
        pass
    return False


def _send_staged(
    checked: CheckedSubmission, cleared: Clearance, service: ServiceClient, ledger: Ledger
) -> Delivery:
    def declare(*, may_be_received: bool) -> OpenSubmission | Receipt:
        return service.declare(checked, may_be_received=may_be_received)

    return _run_staged_calls(checked, declare, cleared, service, ledger)


@contextlib.contextmanager
def _recording_refusals(key: str, service: ServiceClient, ledger: Ledger) -> Iterator[None]:
    """Write down what is refused for good, before anybody is told."""
    try:
        yield
    except Refused as refusal:
        codes = [problem.code for problem in refusal.problems] or [refusal.cause or Code.REFUSED]
        if Code.WITHDRAWN in codes:
            ledger.record_withdrawn(service.name, key)
        elif refusal.cause is not None:  # no answer of the service, but a page on the way to it
            if not ledger.record_refused_by_intermediary(service.name, key, refusal.cause.value):
                raise Unfinished(refusal.message, refusal.hint, cause=refusal.cause) from None
        else:
            ledger.record_refused(service.name, key, codes[0].value)
        raise


def _run_staged_calls(
    submission: Sendable, begin: OpenCall, cleared: Clearance, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Go the staged way, from the declaration to the receipt."""
    may_be_received = cleared.may_be_received
    for _ in range(_MAX_ROUNDS):
        status = begin(may_be_received=may_be_received)
        try:
            if isinstance(status, OpenSubmission):
                ledger.record_open(service.name, submission.key)
                _put_missing(submission, status, service, may_be_received=may_be_received)
                ledger.record_sending(service.name, submission.key, is_durable=submission.is_signed)
                may_be_received = True
                return Delivery(service.send(submission), is_repeated=False)
        except (UnknownSubmission, IncompleteSubmission):
            continue
        # What an earlier try may have brought to it is this sender's own.
        return Delivery(status, is_repeated=not may_be_received)
    raise Unfinished(
        Message("the service forgets what was declared to it"),
        Message("nothing is lost: run the same command again later"),
    )


def _put_missing(
    submission: Sendable, opened: OpenSubmission, service: ServiceClient, *, may_be_received: bool
) -> None:
    missing = [document for document in submission.documents if document.sha256 in opened.missing]
    # Invariant 2: the buffer that was checked, or the file if its digest still is the checked one.
    for document, content in documents.read_contents(missing):
        service.put_document(submission, document, content, may_be_received=may_be_received)
