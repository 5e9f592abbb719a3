"""Submissions that people would call the same as an earlier one.

If an earlier submission was received, the new one is refused: the same reference with other documents, or the
same documents under another name, remark or reference. If an earlier one is unfinished, the service is asked
to withdraw it. Either the service then confirms that it can never be received, and the new one is sent, or it
had been received, and its receipt is kept. `--anyway` skips all of this.

An unfinished one never withdraws one that was recorded later. So of two whose commands run at the same time,
one is received, instead of each withdrawing the other.

A higher occurrence of the same content is refused until every lower one was received or withdrawn.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.delivery import withdrawal
from docsend.errors import InvalidSubmission, OccurrenceTooEarly, Refused, Unfinished
from docsend.i18n import Message
from docsend.model.problem import Problem
from docsend.service.responses import UnknownSubmission
from docsend.storage import receipts
from docsend.storage.earlier import EarlierSubmission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from docsend.model.submission import CheckedSubmission
    from docsend.service.client import ServiceClient
    from docsend.storage.earlier import NotPlanned, Sameness
    from docsend.storage.identity_key import IdentityDigests
    from docsend.storage.ledger import Ledger
    from docsend.storage.ledger_rows import LedgerEntry

# The service accepts a required document only once.
_REQUIRED_ONCE = Message("nothing to do; `docsend required` lists the documents still required")
REPETITION_CODES = (Code.REFERENCE_RECEIVED_BEFORE, Code.CONTENT_RECEIVED_BEFORE)


def refuse_received(earlier: Iterable[EarlierSubmission]) -> None:
    """Raise InvalidSubmission if one of these earlier submissions was received."""
    problems = [_problem(each) for each in earlier if each.is_certain and each.is_received]
    if problems:
        raise InvalidSubmission.from_problems(problems[:1])


class ReceivedBefore:
    """What the ledger tells about the rows of a batch before any of them is sent."""

    def __init__(self, ledger: Ledger, service: str, account: Callable[[], str | None]) -> None:
        """Use this ledger. `account` returns the account of personal submissions, or None if none is known.

        It is called only if there is such a submission.
        """
        self._ledger = ledger
        self._service = service
        self._account = functools.cache(account)
        self.unknown_count = 0  # personal submissions of which the account is not known

    def find_problem(self, checked: CheckedSubmission) -> Problem | None:
        """Return the error of a submission that repeats what was received, or None."""
        if not checked.has_key:
            account = self._account()
            if account is None:
                self.unknown_count += 1
                return None
            checked = checked.with_account(account)
        received = [
            each
            for each in self._ledger.find_earlier(self._service, checked)
            if each.is_certain and each.is_received
        ]
        return _problem(received[0]) if received else None

    def known_keys(self, keys: Mapping[int, str]) -> dict[int, str]:
        """Return those of the keys that the ledger knows, by row."""
        known = self._ledger.find_keys(self._service, list(keys.values()))
        return {row: key for row, key in keys.items() if key in known}

    def problems(self, rows: Mapping[int, tuple[str, IdentityDigests]]) -> dict[int, Problem]:
        """Return the errors of rows that repeat what was received, by row.

        `rows` maps the numbers of rows to their keys and digests.
        """
        keys = self._ledger.find_received(self._service, [digests for _, digests in rows.values()])
        problems: dict[int, Problem] = {}
        for row, (key, digests) in rows.items():
            candidates: list[tuple[Sameness, bytes | None]] = [
                ("content", digests.content),
                ("reference", digests.reference),
            ]
            for same, digest in candidates:
                others = keys.get(digest, []) if digest else []
                if others and key not in others and (entry := self._ledger.find(self._service, others[0])):
                    problems[row] = replace(_problem(EarlierSubmission(entry, same)), row=row)
                    break
        return problems


def refuse(reason: NotPlanned) -> None:
    """Raise InvalidSubmission if the ledger alone forbids sending a submission.

    Otherwise `settle` has to ask the service.
    """
    if reason.unfinished is None:
        refuse_received(reason.earlier)
    if reason.lower_entry is not None:
        raise _too_early(reason, is_unfinished=reason.lower_entry.state != "refused")


def settle(
    reason: NotPlanned,
    checked: CheckedSubmission,
    service: ServiceClient,
    ledger: Ledger,
    notices: list[Problem],
) -> None:
    """Ask the service about what keeps a submission from being recorded, so that it can be recorded next.

    Append a notice to `notices` for each earlier submission that was withdrawn, also if an error is raised
    after that. Raise InvalidSubmission if an earlier one was received, or if a lower occurrence was not.
    Raise Unfinished if an earlier one could not be withdrawn. Raise the same errors as the calls to the
    service.
    """
    refuse(reason)
    if reason.lower_occurrence is not None:
        _learn_occurrence(reason, checked, service, ledger)
    if reason.unfinished is not None:
        _settle_unfinished(reason.unfinished, reason.earlier, service, ledger, notices)
        return
    # Before an error, `extend` keeps the notices that it has, as a list comprehension would not.
    notices.extend(_withdraw(each, service, ledger) for each in reason.earlier)


def ask_about(earlier: Iterable[EarlierSubmission], service: ServiceClient, ledger: Ledger) -> None:
    """Raise InvalidSubmission if one of these submissions was received. Its receipt is then in the ledger.

    The service is asked about unfinished ones. Nothing is withdrawn.
    """
    for each in earlier:
        entry = each.entry
        if each.is_certain and not each.is_received:
            with contextlib.suppress(UnknownSubmission):
                entry = withdrawal.learn_state(entry, service, ledger)
        refuse_received([each._replace(entry=entry)])


def refuse_to_resume(entry: LedgerEntry, ledger: Ledger) -> None:
    """Raise Unfinished if another entry is the same as an unfinished one, or may be.

    The ledger does not tell whether both are meant, or which of them. So the unfinished one stays as it is.
    """
    other = ledger.find_same(entry)
    if other is None:
        return
    if other.state == "received":
        message = Message(
            "the same reference or the same documents were received before ({key})", key=other.key[:12]
        )
    else:
        message = Message(
            "another submission with the same reference or the same documents is unfinished ({key})",
            key=other.key[:12],
        )
    hint = Message(
        "run the command of the one that is meant again, with --anyway if both are; `docsend receipts "
        "withdraw {key}` ends this one",
        key=entry.key,  # A withdrawal needs all of it.
    )
    raise Unfinished(message, hint)


def withdrawn_problem(entry: LedgerEntry) -> Problem:
    """Return the problem of a submission that was withdrawn, with the receipt of another that is the same."""
    again = entry.occurrence + 1
    if not entry.received_instead:
        return Problem(
            Code.WITHDRAWN,
            Message("this submission was permanently withdrawn"),
            Message("to send it as a new submission, give --occurrence {next}", next=again),
        )
    return Problem(
        Code.WITHDRAWN,
        Message(
            "this submission was permanently withdrawn, and the same reference or the same documents were "
            "received instead: receipt {number} of {date}",
            **_receipt_values(entry.received_instead[0]),
        ),
        _REQUIRED_ONCE
        if entry.required
        else Message(
            "nothing to do, unless both are meant: then give --occurrence {next} --anyway", next=again
        ),
    )


def perhaps_received_notice(entry: LedgerEntry) -> Problem:
    """Return the warning about an entry that does not tell whether it is for the same person."""
    message = Message(
        "docsend 0.1.0 recorded the same reference or the same documents ({state} on {date}), perhaps for "
        "the same person",
        state=entry.state,
        date=entry.changed_at[:10],
    )
    hint = Message("run `docsend receipts show {key}` to compare", key=entry.key[:12])
    return Problem(Code.PERHAPS_RECEIVED_BEFORE, message, hint)


def next_occurrence(checked: CheckedSubmission, service: str, ledger: Ledger) -> int:
    """Return the number of the next sending of the same content, after those received or withdrawn."""
    number = checked.occurrence
    while (entry := ledger.find(service, checked.with_occurrence(number).key)) is not None and (
        entry.state in ("received", "withdrawn")
    ):
        number += 1
    return max(number, checked.occurrence + 1)


def _problem(earlier: EarlierSubmission) -> Problem:
    values = _receipt_values(earlier.entry)
    if earlier.same == "required":
        return Problem(
            Code.REFERENCE_RECEIVED_BEFORE,
            Message(
                "the required document {required!r} was received before: receipt {number} of {date}",
                required=earlier.entry.required,
                **values,
            ),
            _REQUIRED_ONCE,
        )
    if earlier.same == "reference":
        return Problem(
            Code.REFERENCE_RECEIVED_BEFORE,
            Message(
                "the same reference was received before with other documents: receipt {number} of {date}",
                **values,
            ),
            Message(
                "give --anyway if both are meant; if the reference is an employee number used every month, "
                "put the month into it, such as {example}",
                example="1234-2026-11",
            ),
        )
    return Problem(
        Code.CONTENT_RECEIVED_BEFORE,
        Message(
            "the same documents were received before, under another name or with other details: receipt "
            "{number} of {date}",
            **values,
        ),
        _REQUIRED_ONCE if earlier.entry.required else Message("give --anyway if both are meant"),
    )


def _receipt_values(entry: LedgerEntry) -> dict[str, str]:
    receipt = receipts.stored_receipt(entry)
    return {
        "number": receipt.number if receipt else "?",
        "date": receipt.received_at[:10] if receipt else entry.changed_at[:10],
    }


def _settle_unfinished(
    entry: LedgerEntry,
    earlier: Iterable[EarlierSubmission],
    service: ServiceClient,
    ledger: Ledger,
    notices: list[Problem],
) -> None:
    """Ask the service about a submission that an earlier run left unfinished, and about those like it.

    If one of the others was received, withdraw this one and raise InvalidSubmission, unless it turns out that
    this one was received, too: then its receipt is in the ledger. Otherwise withdraw the others, or raise
    Unfinished if one of them was recorded later.
    """
    if any(each.is_received for each in earlier):
        if _withdraw_entry(entry, service, ledger).state == "withdrawn":
            raise InvalidSubmission.from_problems([_problem_of_withdrawn(entry, earlier)])
        return
    later = max((each.entry for each in earlier), key=_order_of_recording)
    if _order_of_recording(later) > _order_of_recording(entry):
        _wait_for_later(later, service, ledger)
        return
    for each in earlier:
        try:
            notices.append(_withdraw(each, service, ledger))
        except InvalidSubmission:
            break  # The other was received. The next look at the ledger finds its receipt.


def _problem_of_withdrawn(entry: LedgerEntry, earlier: Iterable[EarlierSubmission]) -> Problem:
    """Return the error of a submission that was just withdrawn, because another was received instead."""
    problem = next(_problem(each) for each in earlier if each.is_received)
    if entry.required:
        return problem
    hint = Message(
        "this one was withdrawn; if both are meant, give --occurrence {next} --anyway",
        next=entry.occurrence + 1,
    )
    return replace(problem, hint=hint)


def _order_of_recording(entry: LedgerEntry) -> tuple[str, str]:
    return entry.planned_at, entry.key


def _wait_for_later(entry: LedgerEntry, service: ServiceClient, ledger: Ledger) -> None:
    """Record what became of a submission that was recorded later. Raise Unfinished if it is unfinished."""
    with contextlib.suppress(UnknownSubmission):
        if withdrawal.learn_state(entry, service, ledger).state in ("received", "withdrawn"):
            return
    raise Unfinished(
        Message(
            "another submission with the same reference or the same documents is unfinished ({key})",
            key=entry.key[:12],
        ),
        Message(
            "run its command first, because it was recorded later; if only this one is meant, run `docsend "
            "receipts withdraw {key}` and then this command again; if both are, give --anyway",
            key=entry.key,  # A withdrawal needs all of it.
        ),
    )


def _withdraw(earlier: EarlierSubmission, service: ServiceClient, ledger: Ledger) -> Problem:
    """Withdraw an earlier submission. Raise InvalidSubmission if it turns out that it was received."""
    entry = _withdraw_entry(earlier.entry, service, ledger)
    refuse_received([earlier._replace(entry=entry)])
    if earlier.same == "required":
        message = Message(
            "an earlier submission of the same required document was not received; it was withdrawn ({key})",
            key=entry.key[:12],
        )
    elif earlier.same == "reference":
        message = Message(
            "an earlier submission with the same reference was not received; it was withdrawn ({key})",
            key=entry.key[:12],
        )
    else:
        message = Message(
            "an earlier submission of the same documents was not received; it was withdrawn ({key})",
            key=entry.key[:12],
        )
    return Problem(Code.EARLIER_WITHDRAWN, message, Message("nothing to do: it can never be received"))


def _withdraw_entry(entry: LedgerEntry, service: ServiceClient, ledger: Ledger) -> LedgerEntry:
    """Withdraw a submission and return its updated entry. Raise Unfinished if that fails."""
    try:
        return withdrawal.withdraw(entry, service, ledger)
    except UnknownSubmission:
        raise Unfinished(
            Message("the service cannot rule out that an earlier submission is still received"),
            Message("run `docsend receipts show {key}`; give --anyway if both are meant", key=entry.key[:12]),
        ) from None
    except (Refused, Unfinished) as error:
        if error.affects_all:
            raise
        raise Unfinished(
            Message(
                "an earlier submission ({key}) could not be withdrawn, so it may still be received: {reason}",
                key=entry.key[:12],
                reason=error.message,
            ),
            Message(
                "run the same command again; if that does not help, run the command of the earlier one, or "
                "give --anyway if both are meant"
            ),
            cause=error.cause,
        ) from error


def _learn_occurrence(
    reason: NotPlanned, checked: CheckedSubmission, service: ServiceClient, ledger: Ledger
) -> None:
    """Record a lower occurrence that only the service knows, as when another computer has sent it.

    Raise InvalidSubmission if the service did not receive it either.
    """
    lower = checked.with_occurrence(reason.lower_occurrence or 1)
    try:
        status = service.fetch_status(lower.key, with_token=lower.is_signed)
    except UnknownSubmission:
        raise _too_early(reason, is_unfinished=False) from None
    if status.state == "open":
        raise _too_early(reason, is_unfinished=True)
    ledger.record_found(service.name, lower, "received" if status.receipt else "withdrawn", status.receipt)


def _too_early(reason: NotPlanned, *, is_unfinished: bool) -> InvalidSubmission:
    number = reason.lower_occurrence
    if is_unfinished:
        message = Message("occurrence {number} of the same content is not finished", number=number)
    else:
        message = Message("occurrence {number} of the same content was not received", number=number)
    hint = Message("send that one first: the same command with --occurrence {number}", number=number)
    error = OccurrenceTooEarly if is_unfinished else InvalidSubmission
    return error.from_problems([Problem(Code.OCCURRENCE_TOO_EARLY, message, hint)])
