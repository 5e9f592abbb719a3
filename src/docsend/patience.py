"""How long a failing service is tried: for one call, and for all calls of this process together.

One call has attempts, a time and growing pauses with full jitter, lest many clients return as one. Over all
calls, a reserve of further tries shrinks with each of them and grows with each success, so that thousands of
rows do not become six times as many requests to a service that is down; and after ten failures in a row the
breaker opens: nothing is asked any more for a while.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one call is tried: attempts, seconds in all, and the range of the pauses between them."""

    total_s: float
    attempts: int = 6
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0

    def pause(self, attempt: int) -> float:
        """Give the pause after this attempt (from 0)."""
        return float(random.uniform(0, min(self.longest_pause_s, self.first_pause_s * 2**attempt)))  # noqa: S311


class Reserve:
    """What all calls to one service may spend on further tries. Several threads may share it."""

    FULL = 500
    COST = 5  # of a further try; a success gives 1 back
    FAILURES = 10  # in a row open the breaker
    OPEN_S = 30.0  # then one call may try

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._left = self.FULL
        self._failures = 0
        self._opens_again = 0.0

    def may_ask(self) -> bool:
        """Tell whether the breaker lets a request pass; after a while it lets one, which decides for all."""
        with self._lock:
            if self._failures < self.FAILURES:
                return True
            if self._now() < self._opens_again:
                return False
            self._opens_again = self._now() + self.OPEN_S
            return True

    def answered(self) -> None:
        """Note that the service did its work, be it by refusing."""
        with self._lock:
            self._failures = 0
            self._left = min(self.FULL, self._left + 1)

    def failed(self) -> None:
        """Note that a request came to nothing."""
        with self._lock:
            self._failures += 1
            if self._failures == self.FAILURES:
                self._opens_again = self._now() + self.OPEN_S

    def take(self) -> bool:
        """Take what one further try costs; False if there is not enough left."""
        with self._lock:
            if self._left < self.COST or self._failures >= self.FAILURES:
                return False
            self._left -= self.COST
            return True
