"""Schedules: which faults come at which call of which client."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faults.network.exchange import CALLS, STAGED
from faults.network.faults import (
    BREAKS,
    EARLY,
    FILTERED,
    ONE_BY_ONE,
    RELAY,
    RELAY_IN_TIME,
    RELAY_TOO_LATE,
    SAYS,
    STRAYS,
)
from faults.network.responses import OF_THE_FORM, PAGES

if TYPE_CHECKING:
    from collections.abc import Callable

TALLIES = ("network, one client", "network, two clients", "network, eight clients")

RUNS_THROUGH_FAULTS = 3


@dataclass(frozen=True)
class Schedule:
    """What will happen: who sends which submission, which request meets which fault, who is killed when."""

    name: str
    seed: int
    senders: tuple[int, ...]  # for each client the number of its submission
    shares_home: bool
    documents: int
    plan: dict[tuple[str, int], str]
    kills: dict[tuple[int, int], float] = field(default_factory=dict)
    echoes: bool = True  # whether the service repeats the ids of requests
    codes: tuple[int, ...] = ()  # how the runs through the faults have to end, if that is certain
    transfers: int | None = None  # how often all documents' bytes go through the faults, if that is certain
    pool: str = "files"
    staged: tuple[int, ...] = ()  # the numbers of the clients that go staged; those of one home go one way

    @property
    def has_short_limits(self) -> bool:
        return bool({RELAY_IN_TIME, RELAY_TOO_LATE} & set(self.plan.values()))

    @property
    def tally(self) -> str:
        return TALLIES[(len(self.senders) > 1) + (len(self.senders) > 2)]

    def __str__(self) -> str:
        plan = ", ".join(f"{fault!r} at {call} {n}" for (call, n), fault in sorted(self.plan.items()))
        home = "one home" if self.shares_home else "a home each"
        echo = "" if self.echoes else ", no ids"
        ways = f", staged {self.staged}" if self.staged else ""
        kills = self.kills or "none"
        return f"{self.name}: submissions {self.senders}, {home}, {plan}, kills {kills}{echo}{ways}"


def schedule(seed: int, number: int) -> Schedule:
    """Make the random schedule of this number: 1 to 8 faults among the requests that are likely to come."""
    chance = random.Random(f"{seed}/{number}")
    clients = chance.choices((1, 2, 8), (40, 50, 10))[0]
    senders = tuple(range(clients)) if chance.random() < 0.2 else (0,) * clients
    documents = chance.randint(1, 3)
    faults = chance.randint(1, 8)
    shares_home = chance.random() < 0.5
    if shares_home:
        staged = tuple(range(clients)) * (chance.random() < 0.5)
    else:
        staged = tuple(number for number in range(clients) if chance.random() < 0.5)
    requests = len(staged) * (documents + 2) + clients - len(staged)
    places = [("any", n) for n in chance.sample(range(1, requests + faults + 1), faults)]
    # Most requests bring documents, and a third of the faults looks for what is the dearest to lose.
    dear = ("send",) * bool(staged) + ("whole",) * (len(staged) < clients)
    places = [
        (chance.choice(dear), chance.randint(1, 3)) if chance.random() < 1 / 3 else place for place in places
    ]
    kills = {
        (chance.randrange(clients), chance.randrange(RUNS_THROUGH_FAULTS)): chance.uniform(0, 0.15)
        for _ in range(chance.choice((0, 0, 1, 2)))
    }
    return Schedule(
        f"schedule {seed}/{number}",
        seed,
        senders,
        shares_home,
        documents,
        {place: chance.choice(chance.choice((BREAKS, SAYS))) for place in places},
        kills,
        echoes=chance.random() < 0.85,
        staged=staged,
    )


def singles() -> list[Schedule]:
    """Each fault alone, at the first request of each call, and what needs more than one fault to be seen."""
    return [
        Schedule(
            f"{fault} at {call}",
            0,
            (0,),
            shares_home=True,
            documents=2,
            plan={(call, 1): fault},
            codes=_codes(fault, call),
            transfers=1 if fault == RELAY else None,
            staged=(0,) if call in STAGED else (),
        )
        for fault in ONE_BY_ONE
        for call in CALLS
    ] + _stories()


def _codes(fault: str, call: str) -> tuple[int, ...]:
    """Give how runs end if that is certain: at once for good, or received in spite of the fault."""
    if call == "whole" and fault in OF_THE_FORM:
        return (0,)
    if fault in PAGES:  # after `send` was asked for, it may have been received, and nobody may deny that
        return (6, 0) if call == "send" else (5, 0)
    at_once = fault.startswith(("stray", "relay", "answer", "two lengths", "the answer", EARLY))
    return (0,) if at_once or fault.endswith(("another id", "without id")) else ()


def _stories() -> list[Schedule]:
    def story(name: str, plan: dict[tuple[str, int], str], documents: int = 2, **more: Any) -> Schedule:
        is_staged = not any(call == "whole" for call, _ in plan)
        alone: dict[str, Any] = {"senders": (0,), "shares_home": True, "staged": (0,) * is_staged}
        return Schedule(name, 0, documents=documents, plan=plan, **{**alone, **more})

    pages = {("send", 1): "answer lost", ("send", 2): "403", ("declare", 2): "413 HTML"}
    return [
        story("a service that repeats no ids", {}, 3, echoes=False, codes=(0,), transfers=1),
        story(
            "a service that repeats no ids, in one exchange",
            {("whole", 1): "answer lost"},
            3,
            echoes=False,
            codes=(0,),
            transfers=2,
        ),
        *_of_one_exchange(story),
        story("pages after it may have been received", pages, codes=(6, 6, 0)),
        story("a page to a repeated try", {("put", 1): "reset after body", ("put", 2): "403"}, codes=(5, 0)),
        story("a large document", {("put", 1): EARLY}, 1, pool="large", codes=(0,)),
        story("a relay in time", {("put", 3): RELAY_IN_TIME}, 3, codes=(0,), transfers=1),
        story("a relay that is too late", {("put", 3): RELAY_TOO_LATE}, 3, codes=(6, 0), transfers=None),
        story(
            "strays behind each answer",
            {("any", n): name for n, name in enumerate(STRAYS, 1)},
            3,
            codes=(0,),
        ),
    ]


def _of_one_exchange(story: Callable[..., Schedule]) -> list[Schedule]:
    """Give what becomes of one exchange that is lost or refused, and goes on staged."""
    lost = {("whole", 1): "answer lost"}
    apart = {"senders": (0, 0), "shares_home": False, "staged": (1,)}
    return [
        story(
            "pages after one exchange that was lost",
            {**lost, ("whole", 2): "403", ("declare", 1): "413 HTML"},
            codes=(6, 0),
        ),
        story(
            "pages to one exchange and to the staged way",
            {("whole", 1): "403", ("declare", 1): "403"},
            codes=(5, 0),
        ),
        story(
            "a page for the answer to one exchange, and to the staged way",
            {("whole", 1): FILTERED, ("declare", 1): "403"},
            codes=(6, 0),
        ),
        story(
            "one exchange broken off twice",
            {("whole", 1): "reset in body", ("whole", 2): "reset after body"},
            codes=(0,),
        ),
        story("one exchange lost twice", {**lost, ("whole", 2): "answer lost"}, codes=(0,), transfers=2),
        story(
            "one exchange altered twice",
            {("whole", 1): "400 digest-mismatch", ("whole", 2): "400 digest-mismatch"},
            codes=(0,),
        ),
        story(
            "ghosts of one exchange on the staged way",
            {("whole", 1): "ghost after the clients", ("whole", 2): "ghost on the next request"},
            codes=(0,),
        ),
        story(
            "a late ghost of one exchange",
            {("whole", 1): "ghost after the receipt", ("whole", 2): "ghost after the receipt"},
            codes=(0,),
        ),
        *(
            story(
                f"a form refused, then {fault} at {call}", {("whole", 1): "405", (call, 1): fault}, codes=(0,)
            )
            for call in STAGED
            for fault in ("answer lost", "duplicate", "answer cut in body")
        ),
        *(
            story(f"one staged, one at once: {fault} at {call}", {(call, 1): fault}, **apart)
            for call in CALLS
            for fault in ("answer lost", "duplicate", "reset in body", "ghost on the next request", "drip")
        ),
        story("a large document at once", {("whole", 1): EARLY}, 1, pool="middling", codes=(0,)),
    ]
