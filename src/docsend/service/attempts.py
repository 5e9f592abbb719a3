"""The attempts at one call: how they failed, and whether the service may have received one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.service.one_exchange import OneExchangeRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from docsend.service.failures import Failure
    from docsend.service.responses import Response

_MAX_NAME_LOOKUPS = 2
# After this number of attempts in one exchange without a response, or with an altered body, the submission is
# sent staged.
_MAX_LOST_ATTEMPTS = 2
_NOT_FORWARDED = frozenset({407, 413})


class AttemptFailed(Exception):
    """Raised when one attempt of a call fails.

    `retry_after_s` is the pause in seconds that the service asked for, or None.
    """

    def __init__(self, failure: Failure, retry_after_s: float | None = None) -> None:
        super().__init__()
        self.failure = failure
        self.retry_after_s = retry_after_s


class Attempts:
    """The attempts at one call so far, and the deadline for starting another one."""

    def __init__(self, total_s: float, now: Callable[[], float]) -> None:
        self._now = now
        self._deadline = now() + total_s
        self.failures = 0
        self.last_failure: Failure | None = None
        self.may_have_arrived = False
        self.was_too_slow = False
        self.lost_responses = 0
        self.altered_bodies = 0
        self._failed_lookups = 0

    def record(self, failure: Failure) -> None:
        self.failures += 1
        self.last_failure = failure
        self._failed_lookups = self._failed_lookups + 1 if failure.code == Code.NAME_UNKNOWN else 0

    def raise_for_fallback(self) -> None:
        """Raise OneExchangeRefused if smaller requests are more likely to arrive intact."""
        if self.altered_bodies >= _MAX_LOST_ATTEMPTS:
            raise OneExchangeRefused(0)
        if self.was_too_slow or self.lost_responses >= _MAX_LOST_ATTEMPTS:
            raise OneExchangeRefused(is_lost=True)

    @property
    def remaining_s(self) -> float:
        return self._deadline - self._now()

    @property
    def is_name_unknown(self) -> bool:
        """Whether two attempts in a row could not resolve the host name."""
        return self._failed_lookups >= _MAX_NAME_LOOKUPS


def may_have_been_received(response: Response) -> bool:
    """Return whether the service may have received the request, although an intermediary answered it.

    If the request was sent completely, the intermediary may have forwarded it and then replaced the service's
    response, or timed out waiting for one. A 413 (request too large) and a 407 (proxy credentials missing)
    mean that it was not forwarded.
    """
    is_contract_problem = response.problem_code is not None
    return response.is_request_complete and not is_contract_problem and response.status not in _NOT_FORWARDED
