"""How long a failing service is tried: for one call, and for all calls of this process together.

One call has attempts, a time and growing pauses with full jitter, lest many clients return as one. Over all
calls, a reserve of further tries shrinks with each of them and grows with each success, so that thousands of
rows do not become six times as many requests to a service that is down; and after ten failures in a row the
breaker opens: nothing is asked any more for a while. A pause that the service asks for holds for all.
"""

from __future__ import annotations

import math
import random
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Patience(NamedTuple):
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
        self._failing_since = 0.0
        self._opens_again = 0.0

    def closed_for(self, patience_s: float) -> float:
        """Give the seconds to wait before the next request, 0 for none; `inf` if it is time to give up.

        While the breaker is open, one call after each pause may try, and decides for all; a service that
        has failed for as long as patience lasts is given up.
        """
        if self._failures < self.FAILURES:
            return 0.0
        with self._lock:
            if self._failures < self.FAILURES:
                return 0.0
            now = self._now()
            if now - self._failing_since >= patience_s:
                return math.inf
            if now < self._opens_again:
                return self._opens_again - now
            self._opens_again = now + self.OPEN_S
            return 0.0

    def answered(self) -> None:
        """Note that the service did its work, be it by refusing."""
        if self._failures == 0 and self._left == self.FULL:
            return
        with self._lock:
            self._failures = 0
            self._left = min(self.FULL, self._left + 1)

    def failed(self) -> None:
        """Note that a request came to nothing."""
        with self._lock:
            if self._failures == 0:
                self._failing_since = self._now()
            self._failures += 1
            if self._failures >= self.FAILURES:
                self._opens_again = self._now() + self.OPEN_S

    def take(self) -> bool:
        """Take what one further try costs; False if there is not enough left."""
        with self._lock:
            if self._left < self.COST or self._failures >= self.FAILURES:
                return False
            self._left -= self.COST
            return True


class Pace:
    """How many calls run at once, and when: one `Retry-After` holds all of them back. Enter it for a call.

    On a 429 the number of calls at once is halved, and with each success it grows a little, up to `most`
    (additive increase, multiplicative decrease).
    """

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._limit = float(most)
        self._running = 0
        self._not_before = 0.0
        self._freed = threading.Condition()

    def __enter__(self) -> None:
        """Wait for a place among the calls that may run at once."""
        with self._freed:
            while self._running >= max(1, int(self._limit)):
                self._freed.wait()
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._freed:
            self._running -= 1
            self._freed.notify()

    def held_for(self) -> float:
        """Give the seconds that the service has asked everybody to wait, 0 for none."""
        return max(0.0, self._not_before - self._now()) if self._not_before else 0.0

    def hold(self, seconds: float) -> None:
        """Let nobody ask for so long."""
        with self._freed:
            self._not_before = max(self._not_before, self._now() + seconds)

    def too_fast(self) -> None:
        """Take back half of the calls that run at once."""
        with self._freed:
            self._limit = max(1.0, self._limit / 2)

    def went_well(self) -> None:
        """Let one call more run at once after as many successes as run now."""
        if self._limit >= self._most:
            return
        with self._freed:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
            self._freed.notify()
