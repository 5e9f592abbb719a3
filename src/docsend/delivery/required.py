"""The documents that the service asks a signed-in person for, and which submission fulfils one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from docsend.checks import submission_rules
from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.model.problem import Problem
from docsend.model.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from docsend.model.required import RequiredDocument
    from docsend.model.submission import CheckedSubmission
    from docsend.service.client import ServiceClient
    from docsend.storage.ledger import Ledger, LedgerEntry


class RequiredDocuments:
    """What the service asks a signed-in person for: asked once, and again before anything is refused."""

    def __init__(self, service: ServiceClient) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._requirements: tuple[RequiredDocument, ...] | None = None

    def find_problem(self, checked: CheckedSubmission) -> Problem | None:
        """Hold a submission against what is asked for."""
        with self._lock:
            if self._requirements is not None and submission_rules.pending_requirement(checked, self._requirements) is None:
                return None
            self._requirements = self._service.fetch_required()
            return submission_rules.pending_requirement(checked, self._requirements)


def submission_for(
    required: str,
    service: str,
    ledger: Ledger,
    open_service: Callable[[], AbstractContextManager[ServiceClient]],
) -> Submission:
    """Return the submission that a requirement asks for, from an earlier run or from the service.

    The service lists a requirement no more once it is met: a run whose answer was lost finds it here. Raises
    FaultySubmission if neither knows it.
    """
    known: LedgerEntry | RequiredDocument | None = ledger.find_by_requirement(service, required)
    if known is None:
        with open_service() as client:
            known = next((each for each in client.fetch_required() if each.id == required), None)
        # Another process may have met it meanwhile.
        known = known or ledger.find_by_requirement(service, required)
    if known is None:
        message = Message("the service asks for no document {required!r} (any more)", required=required)
        hint = Message("`docsend required` lists what it asks for, `docsend receipts` what was sent")
        raise InvalidSubmission(message, hint, [Problem(Code.UNKNOWN_REQUIRED, message, hint)])
    return Submission(
        to="personal", subject=known.subject, category=known.category, type=known.type, required=required
    )
