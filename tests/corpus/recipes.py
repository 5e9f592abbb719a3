"""A recipe makes documents of one kind. Each number of a recipe and a seed always give the same document.

(Encrypted PDFs contain random keys, so their bytes differ from run to run.)
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Make = Callable[[random.Random], bytes]

# good: every viewer shows it, whole. bad: no viewer shows anything. spoiled: some of it is lost or it is not
# what its name says, so it has to be refused even if viewers show the rest. fuzzed: only oracles can say.
# either: refusing it is as right as taking it, if docsend says why.
Truth = Literal["good", "bad", "spoiled", "fuzzed", "either"]
EXTENSIONS = {"pdf": "pdf", "jpeg": "jpg", "png": "png", "tiff": "tif", "bmp": "bmp"}
FORMATS = tuple(EXTENSIONS)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Documents of one kind: `count` in a full run, `sampled` in the test suite.

    `by_decoder` means that only decoding can tell that it is bad. `told` means that docsend has to say
    something about it, a warning at least. `damaged` means good after harmless damage.
    """

    kind: str
    format: str
    truth: Truth
    make: Make
    count: int = 10
    sampled: int = 1
    by_decoder: bool = False
    told: bool = False
    damaged: bool = False

    @property
    def name(self) -> str:
        return f"{self.format}: {self.kind}"


@dataclass(frozen=True, slots=True)
class Variant:
    """One document that was made."""

    recipe: Recipe
    number: int
    content: bytes

    @property
    def file_name(self) -> str:
        stem = "".join(letter if letter.isalnum() else "-" for letter in self.recipe.kind.lower())
        return f"{self.recipe.truth}-{stem}-{self.number:03}.{EXTENSIONS[self.recipe.format]}"


def make(recipe: Recipe, number: int, seed: int) -> Variant:
    rng = random.Random(f"{seed} {recipe.name} {number}")
    return Variant(recipe, number, recipe.make(rng))


def make_all(recipes: Iterable[Recipe], seed: int, *, sample: bool = False) -> Iterator[Variant]:
    """Yield the documents of all recipes, `sampled` or `count` of each."""
    for recipe in recipes:
        for number in range(recipe.sampled if sample else recipe.count):
            yield make(recipe, number, seed)


def table(
    format_name: str, truth: Truth, rows: Iterable[tuple[str, Make]], **more: int | bool
) -> list[Recipe]:
    """Return a recipe for each row of a kind and its function."""
    return [Recipe(kind, format_name, truth, function, **more) for kind, function in rows]  # type: ignore[arg-type]
