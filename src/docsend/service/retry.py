"""Retry policy for one call, and limits that all calls of a client share.

`RetryPolicy` limits how long a call is retried, but not how often. Its pauses grow and have full jitter, so
that many clients do not retry at the same moment. After ten failures in a row, `CircuitBreaker` lets only one
call through every half minute, so that the thousands of rows in a batch do not all call a service that is
down. `ConcurrencyLimit` obeys 429 and `Retry-After`.
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
    """Monotonic clock and sleep function, in seconds. Tests replace them."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()


class RetryPolicy(NamedTuple):
    """Retry policy for one call.

    An attempt may start within `total_s` seconds after the call started. A running attempt is not
    interrupted. The number of attempts is not limited. Pauses are random, between 0 and a maximum that
    doubles from `first_pause_s` up to `max_pause_s`.
    """

    total_s: float
    first_pause_s: float = 0.5
    max_pause_s: float = 30.0

    def pause_s(self, failures: int) -> float:
        """Return a random pause in seconds, given the number of failures so far (at least 1)."""
        # The exponent is limited, because a week of attempts would overflow a float.
        maximum = min(self.max_pause_s, self.first_pause_s * 2 ** min(failures - 1, 16))
        return random.uniform(0, maximum)  # noqa: S311 - jitter is not cryptographic


class CircuitBreaker:
    """Circuit breaker that lets only one call through every half minute after ten failures in a row.

    It never ends a call itself. `has_failed_for` shows whether the service has already failed for as long as
    a call is retried. A new call can then give up at once, so that a batch does not wait again for each of
    its rows.
    """

    FAILURES = 10
    OPEN_S = 30.0

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures = 0
        self._failing_since = 0.0
        self._next_trial = 0.0
        # Message and code of the most recent failure.
        self.reason, self.cause = Message("the service does not answer"), Code.SERVICE_BUSY

    def wait_s(self) -> float:
        """Return the seconds to wait before the next request. 0 means that this caller may send it now."""
        if self._failures < self.FAILURES:
            return 0.0
        with self._lock:
            now = self._now()
            if self._failures < self.FAILURES:
                return 0.0
            if now < self._next_trial:
                return self._next_trial - now
            self._next_trial = now + self.OPEN_S
            return 0.0

    def has_failed_for(self, seconds: float) -> bool:
        """Return whether calls are held back and no request has succeeded for this number of seconds."""
        with self._lock:
            return self._failures >= self.FAILURES and self._now() - self._failing_since >= seconds

    def restart(self) -> None:
        """Let a call through at once, and count from now how long the service has failed."""
        with self._lock:
            self._failing_since = self._next_trial = self._now()

    def record_success(self) -> None:
        """Record a response that follows the contract. It may be a refusal."""
        if self._failures:
            with self._lock:
                self._failures = 0

    def record_failure(self, reason: Message, cause: Code) -> None:
        """Record that a request failed."""
        with self._lock:
            if self._failures == 0:
                self._failing_since = self._now()
            self._failures += 1
            self.reason, self.cause = reason, cause
            if self._failures >= self.FAILURES:
                self._next_trial = self._now() + self.OPEN_S


class ConcurrencyLimit:
    """Limit on the number of concurrent calls, as a context manager for one call.

    A 429 halves the limit, and each success raises it a little, up to `maximum` (additive increase,
    multiplicative decrease). A `Retry-After` pauses all calls.
    """

    def __init__(self, maximum: int, now: Callable[[], float] = time.monotonic) -> None:
        self._max = maximum
        self._now = now
        self._limit = float(maximum)
        self._running = 0
        self._not_before = 0.0
        self._slot_freed = threading.Condition()

    def __enter__(self) -> None:
        """Wait until the number of running calls is below the limit."""
        with self._slot_freed:
            while self._running >= max(1, int(self._limit)):
                self._slot_freed.wait()
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._slot_freed:
            self._running -= 1
            self._slot_freed.notify()

    def wait_s(self) -> float:
        """Return how many seconds of the pause that the service asked for are left, or 0."""
        return max(0.0, self._not_before - self._now()) if self._not_before else 0.0

    def pause_all(self, seconds: float) -> None:
        """Pause all calls for this number of seconds."""
        with self._slot_freed:
            self._not_before = max(self._not_before, self._now() + seconds)

    def record_too_many(self) -> None:
        """Halve the number of calls that may run at the same time, after a 429 (too many requests)."""
        with self._slot_freed:
            self._limit = max(1.0, self._limit / 2)

    def record_success(self) -> None:
        """Raise the number of calls that may run at the same time a little, but not above the maximum.

        If N calls may run, N successes raise that number by about one.
        """
        if self._limit >= self._max:
            return
        with self._slot_freed:
            self._limit = min(float(self._max), self._limit + 1 / self._limit)
            self._slot_freed.notify()
