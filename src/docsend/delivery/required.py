"""The documents that the service asks a signed-in person for, and which submission fulfils one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from docsend.checks import submission_rules
from docsend.codes import Code
from docsend.errors import FaultySubmission
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


class Required:
    """What the service asks a signed-in person for: asked once, and again before anything is refused."""

    def __init__(self, service: ServiceClient) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._known: tuple[RequiredDocument, ...] | None = None

    def problem(self, checked: CheckedSubmission) -> Problem | None:
        """Hold a submission against what is asked for."""
        with self._lock:
            if self._known is not None and submission_rules.required_first(checked, self._known) is None:
                return None
            self._known = self._service.required()
            return submission_rules.required_first(checked, self._known)


def submission_for(
    required: str,
    service: str,
    ledger: Ledger,
    opened: Callable[[], AbstractContextManager[ServiceClient]],
) -> Submission:
    """Return the submission that a requirement asks for, from an earlier run or from the service.

    The service lists a requirement no more once it is met: a run whose answer was lost finds it here. Raises
    FaultySubmission if neither knows it.
    """
    known = ledger.requested(service, required)
    if known is None:
        with opened() as client:
            asked = next((each for each in client.required() if each.id == required), None)
        if asked is None and (known := ledger.requested(service, required)) is not None:
            return _about(known.subject, known.category, known.type, required)  # another process was faster
        if asked is None:
            message = Message("the service asks for no document {required!r} (any more)", required=required)
            hint = Message("`docsend required` lists what it asks for, `docsend receipts` what was sent")
            raise FaultySubmission(message, hint, [Problem(Code.UNKNOWN_REQUIRED, message, hint)])
        return _about(asked.subject, asked.category, asked.type, required)
    return _about(known.subject, known.category, known.type, required)


def _about(subject: str | None, category: str, type_: str, required: str) -> Submission:
    return Submission(to="personal", subject=subject, category=category, type=type_, required=required)
