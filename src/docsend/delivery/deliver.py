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
from docsend.delivery.cleared import Cleared
from docsend.delivery.required import Required
from docsend.errors import DocsendError, FaultySubmission, Interrupted, LocalFailure, Refused, Unfinished
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
    from docsend.storage.ledger import Entry, Ledger

    class Begin(Protocol):
        """How a submission is taken up at the service: declared, or looked for."""

        def __call__(self, *, may_be_received: bool) -> OpenSubmission | Receipt: ...


# The service may forget a declaration that nobody finished (it expires), even between two calls.
_ROUNDS = 3


class Sent(NamedTuple):
    """A submission that has its receipt; its occurrence may be a later one than was asked for."""

    submission: CheckedSubmission
    delivery: Delivery


def deliver(
    checked: CheckedSubmission,
    service: str,
    ledger: Ledger,
    opened: Callable[[CheckedSubmission], AbstractContextManager[ServiceClient]],
    *,
    again: bool = False,
) -> Sent:
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
        delivery = _delivered(checked, entry, service, ledger, opened)
        while is_new_here and delivery.is_repeated:
            # It had been sent from elsewhere, and once more was asked for.
            checked = checked.with_occurrence(checked.occurrence + 1)
            delivery = _delivered(checked, ledger.find(service, checked.key), service, ledger, opened)
    except DocsendError as error:
        error.submission = checked
        raise
    return Sent(checked, delivery)


def _delivered(
    checked: CheckedSubmission,
    entry: Entry | None,
    service_name: str,
    ledger: Ledger,
    opened: Callable[[CheckedSubmission], AbstractContextManager[ServiceClient]],
) -> Delivery:
    """Go on from where the ledger has it."""
    if entry is not None and (before := receipts.delivered(entry)):
        return before
    try:
        with opened(checked) as service:
            if checked.is_signed:
                delivery = _carry_signed(checked, entry, service, ledger, Required(service))
            else:
                (known,) = plan([checked], service, ledger)
                delivery = _carry_planned(checked, known, service, ledger)
            if not delivery.is_stored:
                ledger.received(service.name, checked.key, delivery.receipt)
            return delivery
    except KeyboardInterrupt as stop:
        raise Interrupted.by(stop, *_how_far(checked, service_name, ledger)) from None


def _how_far(checked: CheckedSubmission, service: str, ledger: Ledger) -> tuple[Message, Message]:
    known = ledger.find(service, checked.key)
    come = {
        None: Message("interrupted: nothing was sent"),
        "planned": Message("interrupted: nothing was received, perhaps it was declared"),
        "open": Message("interrupted: declared, perhaps some documents were sent, nothing was received"),
        "sending": Message("interrupted: perhaps all of it was sent, and perhaps it was received"),
    }
    message = come.get(known.state if known else None, Message("interrupted"))
    return message, Message("nothing is lost: run the same command again")


def plan(
    submissions: Sequence[CheckedSubmission], service: ServiceClient, ledger: Ledger
) -> list[Delivery | DocsendError | Cleared]:
    """Write down, in one commit, what is about to be sent.

    For each: leave to send it, its delivery if it was received before, or why it must not go. Raises
    LocalFailure if nothing could be written down. Personal submissions are left to `carry`: whether they may
    go depends on what has gone before them.
    """
    # Invariant 1: on the disk before anything is sent.
    plain = [one for one in submissions if not one.is_signed]
    known = {entry.key: _known(entry) for entry in ledger.plan_all(service.name, plain)}
    return [known.get(one.key, Cleared()) for one in submissions]


def _known(entry: Entry) -> Delivery | DocsendError | Cleared:
    try:
        if before := receipts.delivered(entry):
            return before
    except LocalFailure as failure:  # what the ledger has as its receipt is none
        return failure
    if entry.state == "withdrawn":
        problem = Problem(
            Code.WITHDRAWN,
            Message("this submission was withdrawn for good"),
            Message("--again sends it anew"),
        )
        return Refused(problem.message, problem.hint, [problem])
    return Cleared(may_be_received=not entry.is_new, is_begun=entry.state != "planned")


def carry(
    checked: CheckedSubmission, cleared: Cleared, service: ServiceClient, ledger: Ledger, required: Required
) -> Delivery:
    """Bring to its receipt what was planned; nobody may be told of it before it is kept."""
    if checked.is_signed:
        entry = ledger.find(service.name, checked.key)
        return _carry_signed(checked, entry, service, ledger, required)
    return _carry_planned(checked, cleared, service, ledger)


def _carry_signed(
    checked: CheckedSubmission,
    entry: Entry | None,
    service: ServiceClient,
    ledger: Ledger,
    required: Required,
) -> Delivery:
    """Plan a personal submission when its turn has come, and bring it to its receipt."""
    _required_first(checked, entry, service, ledger, required)
    known = _known(ledger.plan(service.name, checked))  # invariant 1
    return _carry_planned(checked, known, service, ledger)


def _carry_planned(
    checked: CheckedSubmission,
    known: Delivery | DocsendError | Cleared,
    service: ServiceClient,
    ledger: Ledger,
) -> Delivery:
    """Send it, unless the ledger knew of its receipt, or of a reason why it must not go."""
    if isinstance(known, Delivery):
        return known
    if isinstance(known, DocsendError):
        raise known
    if not known.is_begun and service.one_exchange.takes(checked):
        return _in_one_exchange(checked, known, service, ledger)
    with _refusals_kept(checked.key, service, ledger):
        return _staged(checked, known, service, ledger)


def keep(receipts: Sequence[Receipt], service: ServiceClient, ledger: Ledger) -> Mapping[str, LocalFailure]:
    """Keep receipts, in one commit; give, by key, why one of them is not there afterwards.

    Raises LocalFailure if none is.
    """
    # Invariant 1: on the disk before anybody is told.
    return ledger.received_all(service.name, {receipt.key: receipt for receipt in receipts})


def finish(entry: Entry, service: ServiceClient, ledger: Ledger) -> Delivery:
    """Bring to its receipt what an earlier run declared: the ledger has no identity to declare it anew.

    Raises UnknownSubmission if the service has no declaration of it (any more), else what `deliver` raises.
    """
    planned = entry.planned()

    def reopen(*, may_be_received: bool) -> OpenSubmission | Receipt:  # noqa: ARG001 - it may, whatever is said
        return service.reopen(planned)

    with _refusals_kept(planned.key, service, ledger):
        delivery = _to_the_receipt(planned, reopen, Cleared(), service, ledger)
    ledger.received(service.name, planned.key, delivery.receipt)
    return delivery


def _required_first(
    checked: CheckedSubmission,
    entry: Entry | None,
    service: ServiceClient,
    ledger: Ledger,
    required: Required,
) -> None:
    """Refuse what the service would refuse, before it is planned: documents that it asks for go first.

    What was declared already is past this: the requirement may be gone because this submission met it.
    """
    if _is_declared(entry):
        return
    problem = required.problem(checked)
    # Before anything is refused: another process may have declared it, or met the requirement, meanwhile.
    if problem is not None and not _is_declared(ledger.find(service.name, checked.key)):
        raise FaultySubmission.of([problem])


def _is_declared(entry: Entry | None) -> bool:
    return entry is not None and entry.state not in ("planned", "refused")


def _in_one_exchange(
    checked: CheckedSubmission, cleared: Cleared, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Send all of it in one request; staged, and nobody is told, if it is not taken so."""
    # A personal one may meet what is required: the next run must know that it may have.
    since = ledger.sending(service.name, checked.key, is_durable=checked.is_signed)
    with _refusals_kept(checked.key, service, ledger):
        contents = [content for _, content in documents.contents(checked.documents)]
        try:
            sent = service.send_whole(checked, contents, may_be_received=cleared.may_be_received)
        except DocsendError as error:
            if error.nothing_arrived:
                ledger.not_sent(service.name, checked.key, since)
            raise
        if isinstance(sent, Delivery):
            return sent
        if not sent.may_be_received:
            ledger.not_sent(service.name, checked.key, since)
        may_be_received = cleared.may_be_received
        cleared = Cleared(may_be_received=may_be_received or sent.may_be_received)
        try:
            delivery = _staged(checked, cleared, service, ledger)
        except Unfinished as error:
            if (
                error.may_refuse
                and sent.may_be_received
                and not may_be_received
                and _is_unknown(checked, service)
            ):
                raise Refused(error.message, error.hint, cause=error.cause) from None
            raise
        service.one_exchange.learn(sent)
        return delivery


def _is_unknown(checked: CheckedSubmission, service: ServiceClient) -> bool:
    """Ask whether nothing of a submission has arrived; who forbids sending often lets questions pass."""
    try:
        service.status(checked.key, signed=checked.is_signed)
    except UnknownSubmission:
        return True
    except DocsendError:
        pass
    return False


def _staged(checked: CheckedSubmission, cleared: Cleared, service: ServiceClient, ledger: Ledger) -> Delivery:
    def declare(*, may_be_received: bool) -> OpenSubmission | Receipt:
        return service.declare(checked, may_be_received=may_be_received)

    return _to_the_receipt(checked, declare, cleared, service, ledger)


@contextlib.contextmanager
def _refusals_kept(key: str, service: ServiceClient, ledger: Ledger) -> Iterator[None]:
    """Write down what is refused for good, before anybody is told."""
    try:
        yield
    except Refused as refusal:
        codes = [problem.code for problem in refusal.problems] or [refusal.cause or Code.REFUSED]
        if Code.WITHDRAWN in codes:
            ledger.withdrawn(service.name, key)
        elif refusal.cause is not None:  # no answer of the service, but a page on the way to it
            if not ledger.refused_on_the_way(service.name, key, refusal.cause.value):
                raise Unfinished(refusal.message, refusal.hint, cause=refusal.cause) from None
        else:
            ledger.refused(service.name, key, codes[0].value)
        raise


def _to_the_receipt(
    submission: Sendable, begin: Begin, cleared: Cleared, service: ServiceClient, ledger: Ledger
) -> Delivery:
    """Go the staged way, from the declaration to the receipt."""
    may_be_received = cleared.may_be_received
    for _ in range(_ROUNDS):
        status = begin(may_be_received=may_be_received)
        try:
            if isinstance(status, OpenSubmission):
                ledger.opened(service.name, submission.key)
                _put_missing(submission, status, service, may_be_received=may_be_received)
                ledger.sending(service.name, submission.key, is_durable=submission.is_signed)
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
    for document, content in documents.contents(missing):
        service.put(submission, document, content, may_be_received=may_be_received)
