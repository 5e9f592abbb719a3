"""The tries of one call: what came of them, and what may have arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.service.one_exchange import OneExchangeRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from docsend.service.failures import Failure
    from docsend.service.responses import Response

_MAX_NAME_LOOKUPS = 2
# So often one exchange may break off, or arrive altered, before the submission goes staged.
_MAX_LOST = 2
_NOT_PASSED_ON = frozenset({407, 413})


class AttemptFailed(Exception):
    """One try of a call came to nothing; the service may have asked to wait for so many seconds."""

    def __init__(self, failure: Failure, asked_to_wait: float | None = None) -> None:
        super().__init__()
        self.failure = failure
        self.asked_to_wait = asked_to_wait


class Attempts:
    """The tries of one call so far, and for how long another one may begin."""

    def __init__(self, total_s: float, now: Callable[[], float]) -> None:
        self._now = now
        self._ends = now() + total_s
        self.failures = 0
        self.failure: Failure | None = None
        self.may_have_arrived = False
        self.was_too_slow = False
        self.broken_off = 0
        self.altered = 0
        self._looks = 0

    def record(self, failure: Failure) -> None:
        self.failures += 1
        self.failure = failure
        self._looks = self._looks + 1 if failure.code == Code.NAME_UNKNOWN else 0

    def go_staged_if_better(self) -> None:
        """Raise NotInOneExchange if smaller requests are more likely to get through, and unaltered."""
        if self.altered >= _MAX_LOST:
            raise OneExchangeRefused(0)
        if self.was_too_slow or self.broken_off >= _MAX_LOST:
            raise OneExchangeRefused(broke_off=True)

    @property
    def left_s(self) -> float:
        return self._ends - self._now()

    @property
    def has_looked_enough(self) -> bool:
        """Whether a name was looked up twice, and is not known."""
        return self._looks >= _MAX_NAME_LOOKUPS


def may_have_been_received(response: Response) -> bool:
    """Tell whether the service may have received what a foreign answer was given to.

    Somebody on the way may filter its answers, or have lost patience with it. What is refused by its size, or
    for want of a password of the proxy, has not been passed on.
    """
    is_of_the_service = response.problem_code is not None
    return response.has_arrived_whole and not is_of_the_service and response.status not in _NOT_PASSED_ON
