"""How long a failing service is tried again: by one call, and by all calls of a process together.

`RetryPolicy` limits one call by time alone, with growing pauses and full jitter, lest many clients return as
one. Over all calls, `CircuitBreaker` lets one of them ask for all after ten failures in a row, so that
thousands of rows do not knock on a service that is down; `ConcurrencyLimit` obeys a 429 and a `Retry-After`.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(NamedTuple):
    """How seconds are counted, and how somebody waits."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()


class RetryPolicy(NamedTuple):
    """No further try of a call begins once `total_s` are over since it began; a try that runs is not cut.

    Tries are not counted. Pauses are random, within a range that doubles from `first_pause_s` up to
    `longest_pause_s`.
    """

    total_s: float
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0

    def pause_s(self, failures: int) -> float:
        """Return a pause after so many failures in a row, from 1."""
        # The exponent is bounded: a week of tries would overflow a float.
        longest = min(self.longest_pause_s, self.first_pause_s * 2 ** min(failures - 1, 16))
        return random.uniform(0, longest)  # noqa: S311 - jitter keeps nothing secret


class CircuitBreaker:
    """Holds all calls to a service back after ten failures in a row, but for one every half minute.

    It pauses calls and ends none of them; a service that has failed for as long as a call's patience lasts is
    given up by `has_failed_for`, so that the rows of a batch do not wait for it one after another.
    """

    FAILURES = 10
    OPEN_S = 30.0

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures = 0
        self._failing_since = 0.0
        self._opens_again = 0.0
        # Of the failure seen last, in words and as a code.
        self.reason, self.cause = Message("the service does not answer"), Code.SERVICE_BUSY

    def wait_s(self) -> float:
        """Return the seconds to wait before the next request; 0 lets the caller try, for all others."""
        if self._failures < self.FAILURES:
            return 0.0
        with self._lock:
            now = self._now()
            if self._failures < self.FAILURES:
                return 0.0
            if now < self._opens_again:
                return self._opens_again - now
            self._opens_again = now + self.OPEN_S
            return 0.0

    def has_failed_for(self, seconds: float) -> bool:
        """Tell whether it is open, and nothing has succeeded for so long."""
        with self._lock:
            return self._failures >= self.FAILURES and self._now() - self._failing_since >= seconds

    def record_success(self) -> None:
        """Note that the service did its work, be it by refusing."""
        if self._failures:
            with self._lock:
                self._failures = 0

    def record_failure(self, reason: Message, cause: Code) -> None:
        """Note that a request came to nothing."""
        with self._lock:
            if self._failures == 0:
                self._failing_since = self._now()
            self._failures += 1
            self.reason, self.cause = reason, cause
            if self._failures >= self.FAILURES:
                self._opens_again = self._now() + self.OPEN_S


class ConcurrencyLimit:
    """How many calls run at once, and when: one `Retry-After` holds all of them back. Enter it for a call.

    On a 429 the number of calls at once is halved, and with each success it grows a little, up to `most`
    (additive increase, multiplicative decrease).
    """

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._max = most
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

    def wait_s(self) -> float:
        """Return the seconds that the service has asked everybody to wait, 0 for none."""
        return max(0.0, self._not_before - self._now()) if self._not_before else 0.0

    def pause_all(self, seconds: float) -> None:
        """Let nobody ask for so long."""
        with self._freed:
            self._not_before = max(self._not_before, self._now() + seconds)

    def record_too_many(self) -> None:
        """Take back half of the calls that run at once."""
        with self._freed:
            self._limit = max(1.0, self._limit / 2)

    def record_success(self) -> None:
        """Let one call more run at once after as many successes as run now."""
        if self._limit >= self._max:
            return
        with self._freed:
            self._limit = min(float(self._max), self._limit + 1 / self._limit)
            self._freed.notify()
