"""The catalog: destinations with their limits, subjects, categories, document types, branches, forms.

Look-ups over data/catalog.json, or over the copy that a service gave out (`docsend catalog --update`),
which then replaces the bundled one, limits included. Every number of a rule lives in that file, once;
this module knows its shape and nothing of its content.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Language: TypeAlias = Literal["en", "fr", "he"]
LANGUAGES: tuple[Language, ...] = ("en", "fr", "he")
IdentityKind: TypeAlias = Literal["insured", "employer", "account"]

SCHEMA = "docsend.catalog/1"
BUNDLED = Path(__file__).parent / "data" / "catalog.json"
_ANY = "*"


class MalformedCatalog(ValueError):
    """This is not a catalog that this docsend can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row that has a code and a label in each language, and says where it is known from."""

    code: str
    labels: Mapping[str, str]
    status: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination(Entry):
    """One of the five ways in. Sizes in bytes; `max_documents` is None where no limit is stated."""

    identity: IdentityKind
    needs_subject: bool
    takes_branch: bool
    is_personal: bool
    formats: tuple[str, ...]
    max_documents: int | None
    max_document_bytes: int
    near_document_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(Entry):
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Category(Entry):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineForm:
    """The online form that takes a type's place; `is_confirmed` if an official page was read that has it."""

    number: str | None
    url: str | None
    is_confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentType(Entry):
    """A type of document. `to` and `subject` may be "*", which any destination and any subject fits."""

    to: tuple[str, ...]
    subject: str | None
    category: str
    form: str | None
    online: OnlineForm | None

    def fits(self, to: str, subject: str | None) -> bool:
        return (to in self.to or _ANY in self.to) and self.subject in (subject, _ANY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch(Entry):
    """An office that handles submissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form(Entry):
    """A form of the institute; its code is its printed number. `online` is yes, no or unknown."""

    subject: str
    online: str
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLimits:
    """Limits of docsend's own contract: characters for remark and reference, bytes for a name."""

    remark: int
    reference: int
    document_name: int


class Catalog:
    """The rows of one catalog file, by code."""

    def __init__(self, text: bytes) -> None:
        """Read a catalog; raise MalformedCatalog if it is not one."""
        try:
            raw: dict[str, Any] = json.loads(text)
            if raw["schema"] != SCHEMA:
                raise MalformedCatalog(f"not a {SCHEMA}")
            self.version = str(raw["version"])
            self.texts = TextLimits(
                **{name: int(raw["texts"][name]) for name in ("remark", "reference", "document_name")}
            )
            self.destinations = {row["code"]: _destination(row) for row in raw["destinations"]}
            self.subjects = {
                row["code"]: Subject(**_entry(row), to=tuple(row["to"])) for row in raw["subjects"]
            }
            self.categories = {row["code"]: Category(**_entry(row)) for row in raw["categories"]}
            self.types = tuple(_document_type(row) for row in raw["types"])
            self.branches = {row["code"]: Branch(**_entry(row)) for row in raw["branches"]}
            self.forms = {row["number"]: _form(row) for row in raw["forms"]}
            if strays := {type_.category for type_ in self.types} - self.categories.keys():
                raise MalformedCatalog(f"types of unknown categories: {len(strays)}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise MalformedCatalog(f"not a catalog: {type(error).__name__}") from error

    def subjects_of(self, to: str) -> tuple[Subject, ...]:
        return tuple(subject for subject in self.subjects.values() if to in subject.to)

    def types_of(self, to: str, subject: str | None = None) -> tuple[DocumentType, ...]:
        """Give the types that fit a destination and subject, the ones for everybody last."""
        return tuple(type_ for type_ in self.types if type_.fits(to, subject))

    def categories_of(self, to: str, subject: str | None = None) -> tuple[Category, ...]:
        codes = dict.fromkeys(type_.category for type_ in self.types_of(to, subject))
        return tuple(self.categories[code] for code in codes)

    def rows(self, to: str | None = None) -> Iterator[tuple[str, Entry]]:
        """Every row with its kind, in reading order; with `to` only what that destination takes."""
        for destination in self.destinations.values():
            if to in (None, destination.code):
                yield "destination", destination
        for subject in self.subjects.values():
            if to is None or to in subject.to:
                yield "subject", subject
        fitting = [type_ for type_ in self.types if to is None or to in type_.to or _ANY in type_.to]
        used = {type_.category for type_ in fitting}
        yield from (("category", row) for code, row in self.categories.items() if code in used)
        yield from (("type", type_) for type_ in fitting)
        if to is None or self.destinations[to].takes_branch:
            yield from (("branch", branch) for branch in self.branches.values())
        if to is None:
            yield from (("form", form) for form in self.forms.values())


def load(path: Path = BUNDLED) -> Catalog:
    """Read the catalog in a file; raise MalformedCatalog or OSError."""
    return Catalog(path.read_bytes())


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    names = row["labels"]
    return {
        "code": str(row["code"]),
        "labels": {language: str(names[language]) for language in LANGUAGES},
        "status": row["status"],
        "source": row["source"],
    }


def _destination(row: Mapping[str, Any]) -> Destination:
    if row["identity"] not in ("insured", "employer", "account"):
        raise ValueError("an unknown kind of identity")
    most = row["max_documents"]
    return Destination(
        **_entry(row),
        identity=row["identity"],
        needs_subject=bool(row["subject"]),
        takes_branch=bool(row["branch"]),
        is_personal=row["service"] == "personal",
        formats=tuple(str(name) for name in row["formats"]),
        max_documents=None if most is None else int(most),
        max_document_bytes=int(row["max_document_bytes"]),
        near_document_bytes=int(row["near_document_bytes"]),
    )


def _form(row: Mapping[str, Any]) -> Form:
    return Form(
        **_entry({**row, "code": row["number"]}),
        subject=str(row["subject"]),
        online=str(row["online"]),
        url=row["url"],
    )


def _document_type(row: Mapping[str, Any]) -> DocumentType:
    online = row["online"]
    return DocumentType(
        **_entry(row),
        to=tuple(row["to"]),
        subject=row["subject"],
        category=row["category"],
        form=row["form"],
        online=None
        if online is None
        else OnlineForm(number=row["form"], url=online["url"], is_confirmed=online["status"] == "confirmed"),
    )
