"""The catalog: destinations with their limits, subjects, categories, document types, branches, forms.

Look-ups over data/catalog.json, or over the copy that a service gave out (`docsend catalog --update`),
which then replaces the bundled one, limits included. Every number of a rule lives in that file, once;
this module knows its shape and nothing of its content.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from docsend.i18n import ENGLISH, LANGUAGES, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_Row = TypeVar("_Row", bound="CatalogEntry")
IdentityKind: TypeAlias = Literal["insured", "employer", "account"]

SCHEMA = "docsend.catalog/1"
MAX_BYTES = 8 * 2**20
# What a catalog may have, lest a foreign one take a terminal for minutes: characters of a code, a label and
# any other text, and rows of each kind.
LONGEST_CODE, LONGEST_LABEL, LONGEST_TEXT, MOST_ROWS = 100, 500, 2_000, 10_000
# Destinations, which messages list, and codes in one entry, such as the formats of a destination.
MAX_CHOICES = 200
BUNDLED = Path(__file__).parent.parent / "data" / "catalog.json"
_ANY = "*"


class MalformedCatalog(ValueError):
    """This is not a catalog that this docsend can read; `why` says so to people."""

    def __init__(self, why: Message) -> None:
        super().__init__(ENGLISH.render(why))
        self.why = why


class CatalogEntry(Protocol):
    """A row: it has a code and a label in each language, and says where it is known from.

    The kinds below repeat these four rather than inherit them: tuples are made in a tenth of the time.
    """

    @property
    def code(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def status(self) -> str: ...
    @property
    def source(self) -> str: ...


class Destination(NamedTuple):
    """One of the five ways in. Sizes in bytes; `max_documents` is None where no limit is stated."""

    code: str
    labels: Mapping[str, str]
    status: str
    source: str
    identity: IdentityKind
    needs_subject: bool
    takes_branch: bool
    is_personal: bool
    formats: tuple[str, ...]
    max_documents: int | None
    max_document_bytes: int
    near_document_bytes: int


class Subject(NamedTuple):
    code: str
    labels: Mapping[str, str]
    status: str
    source: str
    to: tuple[str, ...]


class Category(NamedTuple):
    code: str
    labels: Mapping[str, str]
    status: str
    source: str


class OnlineForm(NamedTuple):
    """The online form that takes a type's place; `is_confirmed` if an official page was read that has it."""

    number: str | None
    url: str | None
    is_confirmed: bool


class DocumentType(NamedTuple):
    """A type of document. `to` and `subject` may be "*", which any destination and any subject fits."""

    code: str
    labels: Mapping[str, str]
    status: str
    source: str
    to: tuple[str, ...]
    subject: str | None
    category: str
    form: str | None
    online: OnlineForm | None

    def fits(self, to: str, subject: str | None) -> bool:
        return (to in self.to or _ANY in self.to) and self.subject in (subject, _ANY)


class Branch(NamedTuple):
    """An office that handles submissions."""

    code: str
    labels: Mapping[str, str]
    status: str
    source: str


class Form(NamedTuple):
    """A form of the institute; its code is its printed number. `online` is yes, no or unknown."""

    code: str
    labels: Mapping[str, str]
    status: str
    source: str
    subject: str
    online: str
    url: str | None


class TextLimits(NamedTuple):
    """Limits of docsend's own contract: characters for remark and reference, bytes for a name."""

    remark: int
    reference: int
    document_name: int


class Catalog:
    """The rows of one catalog file, by code."""

    def __init__(self, text: bytes) -> None:
        """Read a catalog; raise MalformedCatalog if it is not one."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MalformedCatalog(Message("it is not JSON")) from error
        try:
            self._read(raw)
        except MalformedCatalog:
            raise
        except KeyError as error:
            raise MalformedCatalog(Message("its {member} is missing", member=error.args[0])) from error
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise MalformedCatalog(Message("what stands in it has not the form of a catalog")) from error

    def _read(self, raw: dict[str, Any]) -> None:
        if raw["schema"] != SCHEMA:
            raise MalformedCatalog(Message("it is not a {schema}", schema=SCHEMA))
        self.version = _text(raw["version"], LONGEST_CODE)
        self.texts = TextLimits(
            **{name: _size(raw["texts"][name]) for name in ("remark", "reference", "document_name")}
        )
        together = raw.get("one_exchange_bytes")
        self.one_exchange_bytes = None if together is None else _size(together)
        self.destinations = _by_code(map(_destination, _list(raw["destinations"], MAX_CHOICES)))
        self.subjects = _by_code(map(_subject, _list(raw["subjects"])))
        self.categories = _by_code(map(_category, _list(raw["categories"])))
        self.types = tuple(map(_document_type, _list(raw["types"])))
        self.branches = _by_code(map(_branch, _list(raw["branches"])))
        self.forms = _by_code(map(_form, _list(raw["forms"])))
        if strays := {type_.category for type_ in self.types} - self.categories.keys():
            raise MalformedCatalog(Message("types of unknown categories: {count}", count=len(strays)))
        if not self.destinations:
            raise MalformedCatalog(Message("it has no destination"))

    def subjects_of(self, to: str) -> tuple[Subject, ...]:
        return tuple(subject for subject in self.subjects.values() if to in subject.to)

    def types_of(self, to: str, subject: str | None = None) -> tuple[DocumentType, ...]:
        """Return the types that fit a destination and subject, the ones for everybody last."""
        return tuple(type_ for type_ in self.types if type_.fits(to, subject))

    def categories_of(self, to: str, subject: str | None = None) -> tuple[Category, ...]:
        codes = dict.fromkeys(type_.category for type_ in self.types_of(to, subject))
        return tuple(self.categories[code] for code in codes)

    def rows(self, to: str | None = None) -> Iterator[tuple[str, CatalogEntry]]:
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


def _text(value: object, most: int = LONGEST_TEXT) -> str:
    """Return a text of which every character can be written; raise ValueError or TypeError for all else."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    if len(value) > most:
        raise MalformedCatalog(Message("a text of it has more than {most:,} characters", most=most))
    if not value.isprintable():  # half a character is none, either
        raise MalformedCatalog(Message("a text of it has characters that cannot be shown"))
    return value


def _code(value: object) -> str:
    return _text(value, LONGEST_CODE)


def _list(values: object, most: int = MOST_ROWS) -> list[Any]:
    if not isinstance(values, list):
        raise TypeError("not a list")
    if len(values) > most:
        raise MalformedCatalog(Message("a list of it has more than {most:,} entries", most=most))
    return values


def _by_code(rows: Iterable[_Row]) -> dict[str, _Row]:
    known: dict[str, _Row] = {}
    for row in rows:
        if known.setdefault(row.code, row) is not row:
            raise MalformedCatalog(Message("{code} stands in it twice", code=row.code))
    return known


def _codes(values: object) -> tuple[str, ...]:
    return tuple(map(_code, _list(values, MAX_CHOICES)))


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _address(value: object) -> str | None:
    """Return the address of a form, to be opened in a browser."""
    if value is not None and not _text(value).startswith("https://"):
        raise MalformedCatalog(Message("an address of it does not begin with https://"))
    return _optional(value)


def _size(value: object) -> int:
    """Give a number of bytes or documents that can be; nothing has more than 2**53."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 2**53:
        raise ValueError("not a limit")
    return value


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    names = row["labels"]
    return {
        "code": _code(row["code"]),
        "labels": {language: _text(names[language], LONGEST_LABEL) for language in LANGUAGES},
        "status": _text(row["status"]),
        "source": _text(row["source"]),
    }


def _destination(row: Mapping[str, Any]) -> Destination:
    if row["identity"] not in ("insured", "employer", "account"):
        raise ValueError("an unknown kind of identity")
    most, formats = row["max_documents"], _codes(row["formats"])
    if not formats:
        raise MalformedCatalog(Message("{code} takes no format", code=_code(row["code"])))
    return Destination(
        **_entry(row),
        identity=row["identity"],
        needs_subject=bool(row["subject"]),
        takes_branch=bool(row["branch"]),
        is_personal=row["service"] == "personal",
        formats=formats,
        max_documents=None if most is None else _size(most),
        max_document_bytes=_size(row["max_document_bytes"]),
        near_document_bytes=_size(row["near_document_bytes"]),
    )


def _subject(row: Mapping[str, Any]) -> Subject:
    return Subject(**_entry(row), to=_codes(row["to"]))


def _category(row: Mapping[str, Any]) -> Category:
    return Category(**_entry(row))


def _branch(row: Mapping[str, Any]) -> Branch:
    return Branch(**_entry(row))


def _form(row: Mapping[str, Any]) -> Form:
    return Form(
        **_entry({**row, "code": row["number"]}),
        subject=_text(row["subject"]),
        online=_text(row["online"]),
        url=_address(row["url"]),
    )


def _document_type(row: Mapping[str, Any]) -> DocumentType:
    online = row["online"]
    return DocumentType(
        **_entry(row),
        to=_codes(row["to"]),
        subject=_optional(row["subject"]),
        category=_text(row["category"]),
        form=_optional(row["form"]),
        online=None
        if online is None
        else OnlineForm(
            number=_optional(row["form"]),
            url=_address(online["url"]),
            is_confirmed=online["status"] == "confirmed",
        ),
    )
