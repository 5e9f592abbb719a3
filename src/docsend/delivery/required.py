"""The documents that the service requires of a signed-in person, and the submissions that provide them.

In this module, a requirement is one such document.
"""

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
    from docsend.storage.ledger import Ledger
    from docsend.storage.ledger_rows import LedgerEntry


class RequiredDocuments:
    """The documents that the service requires of a signed-in person, cached.

    They are fetched once, and fetched again before a submission is refused because of them.
    """

    def __init__(self, service: ServiceClient) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._requirements: tuple[RequiredDocument, ...] | None = None

    def find_problem(self, checked: CheckedSubmission) -> Problem | None:
        """Return a problem if the service would refuse a submission because of a requirement, else None.

        Threads may call this at the same time. Raise the same errors as `ServiceClient.fetch_required`.
        """
        with self._lock:
            if (
                self._requirements is not None
                and submission_rules.pending_requirement(checked, self._requirements) is None
            ):
                return None
            self._requirements = self._service.fetch_required()
            return submission_rules.pending_requirement(checked, self._requirements)


def submission_for(
    required: str,
    service: str,
    ledger: Ledger,
    open_service: Callable[[], AbstractContextManager[ServiceClient]],
) -> Submission:
    """Return the submission that meets a requirement, without its documents.

    `required` is the id of the requirement, and `service` the service's name in the ledger. Once a
    requirement is met, the service no longer lists it. The ledger is therefore queried first, so that a run
    whose response was lost can be repeated. Raise InvalidSubmission if neither the ledger nor the service
    knows the requirement.
    """
    match: LedgerEntry | RequiredDocument | None = ledger.find_by_requirement(service, required)
    if match is None:
        with open_service() as client:
            match = next((document for document in client.fetch_required() if document.id == required), None)
        # Another process may have met it in the meantime.
        match = match or ledger.find_by_requirement(service, required)
    if match is None:
        message = Message(
            "unknown required document {required!r}: the service does not ask for it, or no longer does",
            required=required,
        )
        hint = Message(
            "`docsend required` lists the documents still required, `docsend receipts` those already sent"
        )
        raise InvalidSubmission(message, hint, [Problem(Code.UNKNOWN_REQUIRED, message, hint)])
    return Submission(
        to="personal", subject=match.subject, category=match.category, type=match.type, required=required
    )
