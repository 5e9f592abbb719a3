"""Schedules: which faults are injected at which calls of which clients."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faults.network.exchange import CALLS, STAGED
from faults.network.faults import (
    CONNECTION_FAULTS,
    EARLY,
    FILTERED,
    RELAY,
    RELAY_IN_TIME,
    RELAY_TOO_LATE,
    RESPONSE_FAULTS,
    SINGLE_FAULTS,
    STRAY_FAULTS,
)
from faults.network.responses import BLOCKED, FORM_REFUSALS

if TYPE_CHECKING:
    from collections.abc import Callable

SUMMARIES = ("network, one client", "network, two clients", "network, eight clients")

MAX_FAULTY_RUNS = 3


@dataclass(frozen=True)
class Schedule:
    """The clients and their submissions, the fault for each request, and the runs that are killed."""

    name: str
    seed: int
    senders: tuple[int, ...]  # the number of each client's submission
    shares_home: bool
    documents: int
    plan: dict[tuple[str, int], str]
    kills: dict[tuple[int, int], float] = field(default_factory=dict)
    echoes_ids: bool = True  # whether responses have the Request-Id of their request
    codes: tuple[
        int, ...
    ] = ()  # required exit codes of the runs with faults, if the schedule determines them
    transfers: int | None = None  # how often all documents are sent while faults are injected, if determined
    pool: str = "files"
    staged: tuple[int, ...] = ()  # numbers of the clients that send staged; with one home, all or none

    @property
    def has_short_limits(self) -> bool:
        return bool({RELAY_IN_TIME, RELAY_TOO_LATE} & set(self.plan.values()))

    @property
    def summary(self) -> str:
        return SUMMARIES[(len(self.senders) > 1) + (len(self.senders) > 2)]

    def __str__(self) -> str:
        plan = ", ".join(f"{fault!r} at {call} {n}" for (call, n), fault in sorted(self.plan.items()))
        home = "one home" if self.shares_home else "a home each"
        echo = "" if self.echoes_ids else ", no ids"
        ways = f", staged {self.staged}" if self.staged else ""
        kills = self.kills or "none"
        return f"{self.name}: submissions {self.senders}, {home}, {plan}, kills {kills}{echo}{ways}"


def random_schedule(seed: int, number: int) -> Schedule:
    """Return the random schedule of this number, with 1 to 8 faults among the requests that are likely."""
    rng = random.Random(f"{seed}/{number}")
    clients = rng.choices((1, 2, 8), (40, 50, 10))[0]
    senders = tuple(range(clients)) if rng.random() < 0.2 else (0,) * clients
    documents = rng.randint(1, 3)
    faults = rng.randint(1, 8)
    shares_home = rng.random() < 0.5
    if shares_home:
        staged = tuple(range(clients)) * (rng.random() < 0.5)
    else:
        staged = tuple(number for number in range(clients) if rng.random() < 0.5)
    requests = len(staged) * (documents + 2) + clients - len(staged)
    places = [("any", n) for n in rng.sample(range(1, requests + faults + 1), faults)]
    # Most requests upload documents, so a third of the faults targets the calls that are the worst to lose.
    costly = ("send",) * bool(staged) + ("submit",) * (len(staged) < clients)
    places = [(rng.choice(costly), rng.randint(1, 3)) if rng.random() < 1 / 3 else place for place in places]
    kills = {
        (rng.randrange(clients), rng.randrange(MAX_FAULTY_RUNS)): rng.uniform(0, 0.15)
        for _ in range(rng.choice((0, 0, 1, 2)))
    }
    return Schedule(
        f"schedule {seed}/{number}",
        seed,
        senders,
        shares_home,
        documents,
        {place: rng.choice(rng.choice((CONNECTION_FAULTS, RESPONSE_FAULTS))) for place in places},
        kills,
        echoes_ids=rng.random() < 0.85,
        staged=staged,
    )


def single_fault_schedules() -> list[Schedule]:
    """Return a schedule for each fault at the first request of each call, and the combined schedules."""
    return [
        Schedule(
            f"{fault} at {call}",
            0,
            (0,),
            shares_home=True,
            documents=2,
            plan={(call, 1): fault},
            codes=_expected_codes(fault, call),
            transfers=1 if fault == RELAY else None,
            staged=(0,) if call in STAGED else (),
        )
        for fault in SINGLE_FAULTS
        for call in CALLS
    ] + _combined_schedules()


def _expected_codes(fault: str, call: str) -> tuple[int, ...]:
    """Return the exit codes of the runs if the fault determines them, or () if not."""
    if call == "submit" and fault in FORM_REFUSALS:
        return (0,)
    if fault in BLOCKED:  # after `send`, the submission may have been received, so it is not a refusal
        return (6, 0) if call == "send" else (5, 0)
    at_once = fault.startswith(("stray", "relay", "response", "two lengths", "previous response", EARLY))
    return (0,) if at_once or fault.endswith(("another id", "without id")) else ()


def _combined_schedules() -> list[Schedule]:
    def make(name: str, plan: dict[tuple[str, int], str], documents: int = 2, **overrides: Any) -> Schedule:
        is_staged = not any(call == "submit" for call, _ in plan)
        defaults: dict[str, Any] = {"senders": (0,), "shares_home": True, "staged": (0,) * is_staged}
        return Schedule(name, 0, documents=documents, plan=plan, **{**defaults, **overrides})

    pages = {("send", 1): "response lost", ("send", 2): "403", ("declare", 2): "413 HTML"}
    return [
        make("a service that returns no ids", {}, 3, echoes_ids=False, codes=(0,), transfers=1),
        make(
            "a service that returns no ids, in one exchange",
            {("submit", 1): "response lost"},
            3,
            echoes_ids=False,
            codes=(0,),
            transfers=2,
        ),
        *_one_exchange_schedules(make),
        make("pages after the submission may have been received", pages, codes=(6, 6, 0)),
        make(
            "a page in response to a retry", {("put", 1): "reset after body", ("put", 2): "403"}, codes=(5, 0)
        ),
        make("a large document", {("put", 1): EARLY}, 1, pool="large", codes=(0,)),
        make("a relay in time", {("put", 3): RELAY_IN_TIME}, 3, codes=(0,), transfers=1),
        make("a relay that is too late", {("put", 3): RELAY_TOO_LATE}, 3, codes=(6, 0), transfers=None),
        make(
            "stray responses after each response",
            {("any", n): name for n, name in enumerate(STRAY_FAULTS, 1)},
            3,
            codes=(0,),
        ),
    ]


def _one_exchange_schedules(make: Callable[..., Schedule]) -> list[Schedule]:
    """Return schedules in which one exchange is lost or refused, and the client goes on staged."""
    lost = {("submit", 1): "response lost"}
    separate = {"senders": (0, 0), "shares_home": False, "staged": (1,)}
    return [
        make(
            "pages after one lost exchange",
            {**lost, ("submit", 2): "403", ("declare", 1): "413 HTML"},
            codes=(6, 0),
        ),
        make(
            "pages in response to one exchange and to the staged calls",
            {("submit", 1): "403", ("declare", 1): "403"},
            codes=(5, 0),
        ),
        make(
            "a page instead of the response to one exchange, and to the staged calls",
            {("submit", 1): FILTERED, ("declare", 1): "403"},
            codes=(6, 0),
        ),
        make(
            "one exchange broken off twice",
            {("submit", 1): "reset in body", ("submit", 2): "reset after body"},
            codes=(0,),
        ),
        make("one exchange lost twice", {**lost, ("submit", 2): "response lost"}, codes=(0,), transfers=2),
        make(
            "one exchange altered twice",
            {("submit", 1): "400 digest-mismatch", ("submit", 2): "400 digest-mismatch"},
            codes=(0,),
        ),
        make(
            "one exchange delivered during the staged calls",
            {
                ("submit", 1): "delayed until the clients end",
                ("submit", 2): "delayed until the next request",
            },
            codes=(0,),
        ),
        make(
            "one exchange delivered after the receipt",
            {
                ("submit", 1): "delayed until after the receipt",
                ("submit", 2): "delayed until after the receipt",
            },
            codes=(0,),
        ),
        *(
            make(
                f"a form refused, then {fault} at {call}",
                {("submit", 1): "405", (call, 1): fault},
                codes=(0,),
            )
            for call in STAGED
            for fault in ("response lost", "duplicate", "response cut in body")
        ),
        *(
            make(f"one client staged, one in one exchange: {fault} at {call}", {(call, 1): fault}, **separate)
            for call in CALLS
            for fault in (
                "response lost",
                "duplicate",
                "reset in body",
                "delayed until the next request",
                "byte by byte",
            )
        ),
        make("a large document at once", {("submit", 1): EARLY}, 1, pool="middling", codes=(0,)),
    ]
