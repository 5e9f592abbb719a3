"""The table of scenarios: what is asked, and how the last call is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract_client import Answer, Sender

    Scenario = Callable[["Sender"], "Answer"]


@dataclass(frozen=True)
class Case:
    name: str
    status: int
    code: str | None
    scenario: Scenario

    def __str__(self) -> str:
        return f"{self.name}-{self.status}-{self.scenario.__name__}"


CASES: list[Case] = []


def provokes(name: str, status: int, code: str | None = None) -> Callable[[Scenario], Scenario]:
    """Enter a scenario into the table: its last call is answered with this status and problem."""

    def enter(scenario: Scenario) -> Scenario:
        CASES.append(Case(name, status, code, scenario))
        return scenario

    return enter
