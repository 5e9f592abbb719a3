"""Finding a row of the catalog by words: in any of its languages, by code, or by a form's number.

Accents, niqqud, final letters, case and punctuation do not count, and a word may have a slip in it.
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
_NO_WORD = re.compile(r"[^\w]+|_")
# What a row is, so that `docsend catalog branch` lists the branches.
_KINDS = {
    "destination": "destination destinations יעד יעדים",
    "subject": "subject subjects sujet sujets נושא נושאים",
    "category": "category categories catégorie catégories קטגוריה קטגוריות",
    "type": "type types סוג סוגים",
    "branch": "branch branches agence agences סניף סניפים",
    "form": "form forms formulaire formulaires טופס טפסים",
}
# Words that say nothing about a document; left out unless there is nothing else.
_FILLING = frozenset(
    word
    for words in (
        "a an and at for from in of on the to",
        "au aux d de des du en et l la le les ou par pour sur un une",
        "את על של",
    )
    for word in words.split()
)
# What people say, and the catalog's word for it.
_OTHER_WORDS = {
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
# A slip is forgiven in words of this length and more; shorter ones resemble too much.
_SHORTEST_WITH_SLIP = 4
_SIMILARITY = 0.75


@dataclass(frozen=True, slots=True)
class Match:
    kind: str
    entry: CatalogEntry
    score: float


def find(words: str, rows: Iterable[tuple[str, CatalogEntry]]) -> list[Match]:
    """Give the rows in which every word is found, best first; rows of equal worth keep their order.

    Slips are forgiven only if nothing is found without: who writes `1514` or `payslip` means just that. Only
    if that finds nothing either, half of the words are enough.
    """
    every, candidates = _words(words), list(rows)
    wanted = [word for word in every if word not in _FILLING] or every
    for forgiving, enough in ((False, 1.0), (True, 1.0), (True, 0.5)):
        hits = [
            Match(kind, entry, _score(wanted, kind, entry, forgiving=forgiving, enough=enough))
            for kind, entry in candidates
        ]
        if found := sorted((hit for hit in hits if hit.score), key=lambda hit: -hit.score):
            return found
    return []


def nearest(word: str, codes: Iterable[str]) -> str | None:
    """The known code that this unknown word most resembles, if any does."""
    close = get_close_matches(word.lower().replace("_", "-"), list(codes), n=1, cutoff=0.6)
    return close[0] if close else None


def plain(text: str) -> str:
    """Text without case, accents, niqqud and Hebrew final letters."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_FINAL_LETTERS)


def _words(text: str) -> list[str]:
    # Hebrew abbreviations are written with gershayim inside the word: תע"ס
    return [word for word in _NO_WORD.split(re.sub("[\"'׳״]", "", plain(text))) if word]


def _score(wanted: list[str], kind: str, entry: CatalogEntry, *, forgiving: bool, enough: float) -> float:
    """Return the sum of how well each wanted word is found; 0 if less than `enough` of them (1: all) are."""
    texts = [entry.code, _KINDS[kind], *entry.labels.values()]
    number = (
        entry.form if isinstance(entry, DocumentType) else entry.code if isinstance(entry, Form) else None
    )
    if number:
        texts += [number, _KINDS["form"]]
    present = {word for text in texts for word in _words(text)}
    found = [
        max(
            _likeness(meant, other, forgiving=forgiving)
            for meant in (word, *_OTHER_WORDS.get(word, ()))
            for other in present
        )
        for word in wanted
    ]
    if not wanted or sum(map(bool, found)) < enough * len(wanted):
        return 0.0
    # The code itself, written out, beats every row that only contains its words.
    return sum(found) + (1.0 if wanted == _words(entry.code) else 0.0)


def _likeness(wanted: str, present: str, *, forgiving: bool) -> float:
    if wanted == present:
        return 1.0
    if wanted in present:
        return 0.9 if present.startswith(wanted) else 0.8
    if not forgiving or min(len(wanted), len(present)) < _SHORTEST_WITH_SLIP or wanted.isdecimal():
        return 0.0
    matcher = SequenceMatcher(a=present, b=wanted, autojunk=False)
    if matcher.real_quick_ratio() < _SIMILARITY or matcher.quick_ratio() < _SIMILARITY:
        return 0.0
    ratio = matcher.ratio()
    return ratio * 0.7 if ratio >= _SIMILARITY else 0.0
