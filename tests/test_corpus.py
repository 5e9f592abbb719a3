"""A sample of the documents of `make corpus`, judged by how they were made, without other programs.

What only a decoder can see is not in the sample, so that it holds with and without the extra `documents`.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from corpus import accidents, recipes
from corpus.judging import Edition, ask, write_manifest
from corpus.kinds import RECIPES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from corpus.judging import Verdict

SEED = 20261123
EACH = 2  # documents of each accident and format
SAMPLED = [recipe for recipe in RECIPES if recipe.sampled]
# Accidents whose harm can be told from the bytes of every such document, and those that harm nothing.
REFUSED = {
    "cut to 50 %": recipes.FORMATS,
    "cut to 90 %": recipes.FORMATS,
    "cut to 50 %, a web page behind it": recipes.FORMATS,
    "zeros from 50 % on": ("pdf", "jpeg", "png"),
    "a hole of 2 KB of zeros": ("png",),
    "read and written as UTF-8 text": ("pdf", "jpeg", "png"),
    "Latin-1 text written as UTF-8": ("pdf", "jpeg", "png"),
    "LF became CRLF": ("png",),
    "chunked-transfer marks left in": ("jpeg", "png", "tiff", "bmp"),
}
TOLD: dict[str, tuple[str, ...]] = {"LF became CRLF": ("pdf",)}
TAKEN = {
    "whole, last byte lost": ("pdf",),
    "whole, a web page or 64 KB of zeros behind it": recipes.FORMATS,
    "whole, 20 KB of text behind it": recipes.FORMATS,
}


def _judge(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[Verdict]:
    """Return what docsend says about each file."""
    names = []
    for name, content in files:
        (folder / name).write_bytes(content)
        names.append(name)
    environment = {**os.environ, "DOCSEND_HOME": str(folder / "home"), "PYTHONWARNINGS": "error"}
    edition = Edition("here", [sys.executable, "-m", "docsend"], (), environment)
    return ask(edition, write_manifest(folder, names), len(names))


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory) -> dict[str, list[Verdict]]:
    """Return the verdicts on the sample of each recipe, by its name."""
    made = list(recipes.make_all(SAMPLED, SEED, sample=True))
    said = _judge(tmp_path_factory.mktemp("sample"), ((each.file_name, each.content) for each in made))
    found: dict[str, list[Verdict]] = {}
    for each, verdict in zip(made, said, strict=True):
        found.setdefault(each.recipe.name, []).append(verdict)
    return found


@pytest.fixture(scope="module")
def accident_verdicts(tmp_path_factory) -> dict[tuple[str, str], list[Verdict]]:
    """Return the verdicts on documents after each accident, by the accident and the format."""
    files: list[tuple[tuple[str, str], bytes]] = []
    for format_name in recipes.FORMATS:
        whole = accidents.originals(format_name, EACH, SEED)
        for name in accidents.ACCIDENTS:
            files += [
                ((name, format_name), after) for _, after in accidents.happen(name, format_name, whole, SEED)
            ]
    named = ((f"{at:03}.{recipes.EXTENSIONS[key[1]]}", content) for at, (key, content) in enumerate(files))
    found: dict[tuple[str, str], list[Verdict]] = {}
    for (key, _), verdict in zip(files, _judge(tmp_path_factory.mktemp("accidents"), named), strict=True):
        found.setdefault(key, []).append(verdict)
    return found


def _named(chosen: Iterable[recipes.Recipe]) -> list[str]:
    return [recipe.name for recipe in chosen]


def _rows(table: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(name, format_name) for name, formats in table.items() for format_name in formats]


@pytest.mark.parametrize("name", _named(recipe for recipe in SAMPLED if recipe.truth == "good"))
def test_a_document_that_every_viewer_shows_is_not_refused(verdicts, name) -> None:
    assert [verdict for verdict in verdicts[name] if verdict.judgement == "refused"] == []


@pytest.mark.parametrize(
    "name",
    _named(recipe for recipe in SAMPLED if recipe.truth == "good" and not (recipe.told or recipe.damaged)),
)
def test_nothing_is_said_about_an_undamaged_document(verdicts, name) -> None:
    assert [verdict for verdict in verdicts[name] if verdict.judgement == "warned"] == []


@pytest.mark.parametrize("name", _named(recipe for recipe in SAMPLED if recipe.told))
def test_what_a_clerk_may_not_see_is_told(verdicts, name) -> None:
    assert [verdict for verdict in verdicts[name] if not verdict.is_told] == []


@pytest.mark.parametrize("name", _named(recipe for recipe in SAMPLED if recipe.truth in ("bad", "spoiled")))
def test_a_document_that_no_viewer_shows_whole_is_refused(verdicts, name) -> None:
    assert [verdict for verdict in verdicts[name] if verdict.judgement != "refused"] == []


@pytest.mark.parametrize(("name", "format_name"), _rows(REFUSED))
def test_a_document_that_lost_something_on_its_way_is_refused(accident_verdicts, name, format_name) -> None:
    said = accident_verdicts[name, format_name]
    assert [verdict for verdict in said if verdict.judgement != "refused"] == []


@pytest.mark.parametrize(("name", "format_name"), _rows(TOLD))
def test_a_document_that_was_altered_on_its_way_is_told(accident_verdicts, name, format_name) -> None:
    assert [verdict for verdict in accident_verdicts[name, format_name] if not verdict.is_told] == []


@pytest.mark.parametrize(("name", "format_name"), _rows(TAKEN))
def test_a_document_that_came_whole_is_not_refused(accident_verdicts, name, format_name) -> None:
    said = accident_verdicts[name, format_name]
    assert [verdict for verdict in said if verdict.judgement == "refused"] == []


def test_a_whole_run_makes_enough_documents() -> None:
    counts: Counter[str] = Counter()
    for recipe in RECIPES:
        counts[recipe.truth] += recipe.count
    assert counts.total() >= 2000
    assert counts["good"] >= 1000
    assert counts["bad"] + counts["spoiled"] >= 500
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize(
    "recipe",
    [recipe for recipe in RECIPES if "encrypted" not in recipe.kind][::7],
    ids=lambda each: each.name,
)
def test_a_seed_and_a_number_always_make_the_same_document(recipe) -> None:
    first, again, other = (recipes.make(recipe, number, SEED).content for number in (0, 0, 1))
    assert first == again
    assert first != other or len(first) < 500
