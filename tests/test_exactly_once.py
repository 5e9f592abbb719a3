"""Each situation of docs/exactly-once.md ends as the page says."""

from __future__ import annotations

import pytest

import exactly_once
from problem_runs import new_world


@pytest.mark.parametrize("situation", exactly_once.SITUATIONS, ids=lambda each: each.what)
def test_a_situation_ends_as_the_page_says(situation) -> None:
    with new_world() as world:
        place = exactly_once.Place(world)
        result = situation.run(place)
        codes = tuple(problem["code"] for problem in result.problems)
        assert (result.exit_code, codes) == (situation.exit_code, situation.codes), result.err
        assert place.count() == situation.received


def test_the_page_shows_every_situation() -> None:
    assert exactly_once.PART.current_text() == exactly_once.table(), "run python tests/exactly_once.py"


def test_a_refusal_names_the_receipt_and_its_date() -> None:
    with new_world() as world:
        place = exactly_once.Place(world)
        what = "exported anew: the same reference with other bytes"
        (situation,) = (each for each in exactly_once.SITUATIONS if each.what == what)
        (problem,) = situation.run(place).problems
    assert "receipt SANDBOX-000001 of 20" in problem["message"]
    assert "--anyway" in problem["hint"]
    assert "month" in problem["hint"]
    assert "4711" not in problem["message"] + problem["hint"]
