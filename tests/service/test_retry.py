"""Pauses, the circuit breaker, and the limit on concurrent calls."""

from __future__ import annotations

import threading
import time

import pytest

import doubles
from docsend.codes import Code
from docsend.config.address import Endpoint
from docsend.i18n import Message
from docsend.service.client import ServiceClient
from docsend.service.retry import CircuitBreaker, Clock, ConcurrencyLimit, RetryPolicy


def test_ten_failures_in_a_row_pause_all_calls_except_one() -> None:
    clock = [0.0]
    breaker = CircuitBreaker(lambda: clock[0])
    for _ in range(9):
        breaker.record_failure(Message("it failed"), Code.TIMED_OUT)
    assert breaker.wait_s() == 0
    breaker.record_failure(Message("it failed again"), Code.NO_ROUTE)
    assert (breaker.wait_s(), breaker.reason, breaker.cause) == (
        30,
        Message("it failed again"),
        Code.NO_ROUTE,
    )
    clock[0] = 30
    assert breaker.wait_s() == 0, "one call tries"
    assert breaker.wait_s() == 30, "the others wait for it"
    assert breaker.has_failed_for(30)
    assert not breaker.has_failed_for(31)
    breaker.record_success()
    assert (breaker.wait_s(), breaker.has_failed_for(0)) == (0, False)


def test_pauses_grow_and_stay_below_half_a_minute_after_any_number_of_failures() -> None:
    policy = RetryPolicy(300)
    longest = [max(policy.pause_s(failures) for _ in range(200)) for failures in (1, 3, 10, 100_000)]
    assert longest[0] <= 0.5 < longest[1] <= 2 < longest[2] <= 30
    assert 2 < longest[3] <= 30


def test_the_breaker_pauses_a_single_call_and_never_ends_it(sandbox) -> None:
    waited: list[float] = []
    clock, failing = [0.0], [True]

    def intercept(*_: object) -> doubles.Reply | None:
        return doubles.Reply(503) if failing[0] else None

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock[0] += seconds
        failing[0] = len(waited) < 18

    with (
        doubles.relay(sandbox.url, intercept) as (url, requests),
        ServiceClient(
            Endpoint(url), url, RetryPolicy(3600), doubles.NoProgress(), clock=Clock(lambda: clock[0], sleep)
        ) as service,
    ):
        assert service.fetch_info().catalog_version
    assert len(requests) > 12, "more than ten failures, and one success"
    assert max(waited) == pytest.approx(30)
    assert clock[0] > 100


def test_a_429_halves_the_concurrent_calls_and_successes_restore_them() -> None:
    limit = ConcurrencyLimit(8)
    limit.record_too_many()
    limit.record_too_many()
    assert _at_once(limit, 8) == 2
    for _ in range(100):
        limit.record_success()
    assert _at_once(limit, 20) == 8, "never more than the maximum"
    for _ in range(10):
        limit.record_too_many()
    assert _at_once(limit, 3) == 1, "never fewer than one"


def _at_once(limit: ConcurrencyLimit, workers: int) -> int:
    """Return how many of the workers enter the limit while none of them leaves."""
    leave, entered = threading.Event(), []

    def work() -> None:
        with limit:
            entered.append(1)
            leave.wait(10)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    count = len(entered)
    leave.set()
    for thread in threads:
        thread.join(10)
    assert len(entered) == workers
    return count


def test_a_pause_that_the_service_asks_for_applies_to_all_calls() -> None:
    clock = [0.0]
    limit = ConcurrencyLimit(4, lambda: clock[0])
    assert limit.wait_s() == 0
    limit.pause_all(5)
    limit.pause_all(2)
    assert limit.wait_s() == 5
    clock[0] = 6
    assert limit.wait_s() == 0
