"""The table of scenarios: the operation that is called last, and its expected response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract_client import Response, Sender

    Scenario = Callable[["Sender"], "Response"]


@dataclass(frozen=True)
class Case:
    name: str
    status: int
    code: str | None
    scenario: Scenario

    def __str__(self) -> str:
        return f"{self.name}-{self.status}-{self.scenario.__name__}"


CASES: list[Case] = []


def produces(name: str, status: int, code: str | None = None) -> Callable[[Scenario], Scenario]:
    """Add a scenario to the table; its last call must get this status and problem code."""

    def enter(scenario: Scenario) -> Scenario:
        CASES.append(Case(name, status, code, scenario))
        return scenario

    return enter
