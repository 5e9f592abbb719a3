"""Search the catalog by words in any of its languages, by code, or by form number.

Case, accents, niqqud, Hebrew final letters and punctuation are ignored, and small typos are tolerated.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from typing import TYPE_CHECKING

from docsend.model.catalog import DocumentType, Form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docsend.model.catalog import CatalogEntry

_FINAL_LETTERS = str.maketrans("ךםןףץ", "כמנפצ")
_NON_WORD = re.compile(r"[^\w]+|_")
# Words for the kind of an entry, so that `docsend catalog branch` lists the branches.
_KIND_WORDS = {
    "destination": "destination destinations יעד יעדים",
    "subject": "subject subjects sujet sujets נושא נושאים",
    "category": "category categories catégorie catégories קטגוריה קטגוריות",
    "type": "type types סוג סוגים",
    "branch": "branch branches agence agences סניף סניפים",
    "form": "form forms formulaire formulaires טופס טפסים",
}
# Words that are ignored in a search, unless the query has no others.
_STOP_WORDS = frozenset(
    word
    for words in (
        "a an and at for from in of on the to",
        "au aux d de des du en et l la le les ou par pour sur un une",
        "את על של",
    )
    for word in words.split()
)
# Common words, and the catalog's words for them.
_SYNONYMS = {
    "bulletin": ("fiche",),
    "bulletins": ("fiches",),
    "salaire": ("paie",),
    "salary": ("pay", "payslip", "payslips"),
    "slip": ("payslip", "payslips"),
    "slips": ("payslips",),
    "stub": ("payslip", "payslips"),
    "wage": ("pay", "payslip"),
    "משכורת": ("שכר",),
    "chomage": ("unemployment",),
    "dole": ("unemployment",),
}
# Typos are tolerated from this word length on, because shorter words are too similar to each other.
_MIN_FUZZY_LENGTH = 4
_MIN_SIMILARITY = 0.75


@dataclass(frozen=True, slots=True)
class Match:
    """A catalog entry that matches a search, and how well it matches."""

    kind: str
    entry: CatalogEntry
    score: float


def find(words: str, rows: Iterable[tuple[str, CatalogEntry]]) -> list[Match]:
    """Return the entries that contain every word, best match first. Equal matches keep their order.

    Typos are tolerated only if the exact words match nothing, because words such as `1514` or `payslip` are
    usually meant literally. If there is still no match, entries that contain half of the words are returned.
    """
    all_words, candidates = _words(words), list(rows)
    wanted = [word for word in all_words if word not in _STOP_WORDS] or all_words
    for fuzzy, min_share in ((False, 1.0), (True, 1.0), (True, 0.5)):
        candidate_matches = (
            Match(kind, entry, _score(wanted, kind, entry, fuzzy=fuzzy, min_share=min_share))
            for kind, entry in candidates
        )
        matches = [match for match in candidate_matches if match.score]
        if matches:
            return sorted(matches, key=lambda match: -match.score)
    return []


def nearest(word: str, codes: Iterable[str]) -> str | None:
    """Return the code that is most similar to an unknown word, or None if none is similar enough."""
    close = get_close_matches(word.lower().replace("_", "-"), list(codes), n=1, cutoff=0.6)
    return close[0] if close else None


def normalize(text: str) -> str:
    """Return the text in lower case, without accents and niqqud, and with Hebrew final letters replaced."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_FINAL_LETTERS)


def _words(text: str) -> list[str]:
    # Hebrew abbreviations have gershayim inside the word: תע"ס
    return [word for word in _NON_WORD.split(re.sub("[\"'׳״]", "", normalize(text))) if word]


def _score(wanted: list[str], kind: str, entry: CatalogEntry, *, fuzzy: bool, min_share: float) -> float:
    """Return the sum of the wanted words' similarities, or 0 if too few of the words match.

    `min_share` is the proportion of the wanted words that must match, from 0 to 1.
    """
    texts = [entry.code, _KIND_WORDS[kind], *entry.labels.values()]
    number = (
        entry.form if isinstance(entry, DocumentType) else entry.code if isinstance(entry, Form) else None
    )
    if number:
        texts += [number, _KIND_WORDS["form"]]
    present = {word for text in texts for word in _words(text)}
    similarities = [
        max(
            _similarity(synonym, other, fuzzy=fuzzy)
            for synonym in (word, *_SYNONYMS.get(word, ()))
            for other in present
        )
        for word in wanted
    ]
    if not wanted or sum(map(bool, similarities)) < min_share * len(wanted):
        return 0.0
    # An entry whose code was typed ranks above entries that only contain the same words.
    return sum(similarities) + (1.0 if wanted == _words(entry.code) else 0.0)


def _similarity(wanted: str, present: str, *, fuzzy: bool) -> float:
    if wanted == present:
        return 1.0
    if wanted in present:
        return 0.9 if present.startswith(wanted) else 0.8
    if not fuzzy or min(len(wanted), len(present)) < _MIN_FUZZY_LENGTH or wanted.isdecimal():
        return 0.0
    matcher = SequenceMatcher(a=present, b=wanted, autojunk=False)
    if matcher.real_quick_ratio() < _MIN_SIMILARITY or matcher.quick_ratio() < _MIN_SIMILARITY:
        return 0.0
    ratio = matcher.ratio()
    return ratio * 0.7 if ratio >= _MIN_SIMILARITY else 0.0
