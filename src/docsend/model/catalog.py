"""The catalog: destinations with their limits, subjects, categories, document types, branches and forms.

The catalog is read from data/catalog.json. A catalog that was downloaded from the service (`docsend catalog
--update`) replaces it, including its limits. The numbers that the rules use are stored only in the catalog.
This module knows the catalog's structure but not its content.
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
# Limits that keep another service's catalog from blocking a terminal for minutes: characters in a code, in a
# label and in any other text, and rows of each kind.
MAX_CODE_LENGTH, MAX_LABEL_LENGTH, MAX_TEXT_LENGTH, MAX_ROWS = 100, 500, 2_000, 10_000
# Limit for the number of destinations, because messages list them all, and for the number of codes in one
# entry, such as its file formats.
MAX_CHOICES = 200
BUNDLED = Path(__file__).parent.parent / "data" / "catalog.json"
_ANY = "*"


class MalformedCatalog(ValueError):
    """Raised when a file is not a catalog that this version can read. `reason` is the message for users."""

    def __init__(self, reason: Message) -> None:
        super().__init__(ENGLISH.render(reason))
        self.reason = reason


class CatalogEntry(Protocol):
    """An entry of the catalog, with its code, its label in each language, its status and its source.

    The classes below are NamedTuples, because defining one takes a tenth of the time that a dataclass takes.
    Each class repeats these four fields, because a NamedTuple cannot inherit fields.
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
    """A destination, with the limits for its submissions. Sizes are in bytes.

    `max_documents` is None if there is no limit. A document of more than `near_document_bytes` is accepted
    with a warning.
    """

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
    """A subject. `to` contains the codes of the destinations that accept it."""

    code: str
    labels: Mapping[str, str]
    status: str
    source: str
    to: tuple[str, ...]


class Category(NamedTuple):
    """A category of document types."""

    code: str
    labels: Mapping[str, str]
    status: str
    source: str


class OnlineForm(NamedTuple):
    """The online form that replaces a document type. `is_confirmed` is true if an official page names it."""

    number: str | None
    url: str | None
    is_confirmed: bool


class DocumentType(NamedTuple):
    """A type of document. A "*" in `to` matches every destination, and a "*" as `subject` every subject."""

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
    """A form of the institute. Its code is the printed number. `online` is "yes", "no" or "unknown"."""

    code: str
    labels: Mapping[str, str]
    status: str
    source: str
    subject: str
    online: str
    url: str | None


class TextLimits(NamedTuple):
    """Limits set by docsend itself: characters in a remark and a reference, bytes in a document name."""

    remark: int
    reference: int
    document_name: int


class Catalog:
    """The entries and limits of one catalog file."""

    def __init__(self, text: bytes) -> None:
        """Parse a catalog file. Raise MalformedCatalog if it is not a valid catalog."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MalformedCatalog(Message("it is not valid JSON")) from error
        try:
            self._read(raw)
        except MalformedCatalog:
            raise
        except KeyError as error:
            raise MalformedCatalog(Message("member {member} is missing", member=error.args[0])) from error
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise MalformedCatalog(Message("it does not have the structure of a catalog")) from error

    def _read(self, raw: dict[str, Any]) -> None:
        if raw["schema"] != SCHEMA:
            raise MalformedCatalog(Message("unsupported schema: expected {schema}", schema=SCHEMA))
        self.version = _text(raw["version"], MAX_CODE_LENGTH)
        self.texts = TextLimits(
            **{name: _limit(raw["texts"][name]) for name in ("remark", "reference", "document_name")}
        )
        max_bytes = raw.get("one_exchange_bytes")
        self.one_exchange_bytes = None if max_bytes is None else _limit(max_bytes)
        self.destinations = _by_code(map(_destination, _list(raw["destinations"], MAX_CHOICES)))
        self.subjects = _by_code(map(_subject, _list(raw["subjects"])))
        self.categories = _by_code(map(_category, _list(raw["categories"])))
        self.types = tuple(map(_document_type, _list(raw["types"])))
        self.branches = _by_code(map(_branch, _list(raw["branches"])))
        self.forms = _by_code(map(_form, _list(raw["forms"])))
        if unknown := {type_.category for type_ in self.types} - self.categories.keys():
            message = Message("unknown categories in document types: {count}", count=len(unknown))
            raise MalformedCatalog(message)
        if not self.destinations:
            raise MalformedCatalog(Message("it has no destinations"))

    def subjects_of(self, to: str) -> tuple[Subject, ...]:
        """Return the subjects that a destination accepts."""
        return tuple(subject for subject in self.subjects.values() if to in subject.to)

    def types_of(self, to: str, subject: str | None = None) -> tuple[DocumentType, ...]:
        """Return the document types that fit a destination and subject, in file order.

        Without a subject, return only the types that do not belong to a particular subject.
        """
        return tuple(type_ for type_ in self.types if type_.fits(to, subject))

    def categories_of(self, to: str, subject: str | None = None) -> tuple[Category, ...]:
        """Return the categories of the document types that fit a destination and subject."""
        codes = dict.fromkeys(type_.category for type_ in self.types_of(to, subject))
        return tuple(self.categories[code] for code in codes)

    def rows(self, to: str | None = None) -> Iterator[tuple[str, CatalogEntry]]:
        """Yield (kind, entry) pairs, kind by kind in file order.

        With `to`, yield only the entries that can be used for that destination.
        """
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


def _text(value: object, max_length: int = MAX_TEXT_LENGTH) -> str:
    """Return `value` if it is a printable text of at most `max_length` characters.

    Raise TypeError if it is not a text, and MalformedCatalog if it is too long or not printable.
    """
    if not isinstance(value, str):
        raise TypeError("not a text")
    if len(value) > max_length:
        raise MalformedCatalog(
            Message("one of its texts has more than {limit:,} characters", limit=max_length)
        )
    if not value.isprintable():  # A lone surrogate is not printable, either.
        raise MalformedCatalog(Message("one of its texts contains characters that cannot be displayed"))
    return value


def _code(value: object) -> str:
    return _text(value, MAX_CODE_LENGTH)


def _list(values: object, max_entries: int = MAX_ROWS) -> list[Any]:
    if not isinstance(values, list):
        raise TypeError("not a list")
    if len(values) > max_entries:
        raise MalformedCatalog(Message("one of its lists has more than {limit:,} entries", limit=max_entries))
    return values


def _by_code(rows: Iterable[_Row]) -> dict[str, _Row]:
    by_code: dict[str, _Row] = {}
    for row in rows:
        if by_code.setdefault(row.code, row) is not row:
            raise MalformedCatalog(Message("duplicate code: {code}", code=row.code))
    return by_code


def _codes(values: object) -> tuple[str, ...]:
    return tuple(map(_code, _list(values, MAX_CHOICES)))


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _url(value: object) -> str | None:
    """Return the https URL of a form, or None. Raise MalformedCatalog for any other URL."""
    if value is not None and not _text(value).startswith("https://"):
        raise MalformedCatalog(Message("one of its URLs does not start with https://"))
    return _optional(value)


def _limit(value: object) -> int:
    """Return a limit in bytes, characters or documents. Raise ValueError if it is not from 1 to 2**53."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 2**53:
        raise ValueError("not a limit")
    return value


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    names = row["labels"]
    return {
        "code": _code(row["code"]),
        "labels": {language: _text(names[language], MAX_LABEL_LENGTH) for language in LANGUAGES},
        "status": _text(row["status"]),
        "source": _text(row["source"]),
    }


def _destination(row: Mapping[str, Any]) -> Destination:
    if row["identity"] not in ("insured", "employer", "account"):
        raise ValueError("an unknown kind of identity")
    max_documents, formats = row["max_documents"], _codes(row["formats"])
    if not formats:
        raise MalformedCatalog(Message("destination {code} accepts no file format", code=_code(row["code"])))
    return Destination(
        **_entry(row),
        identity=row["identity"],
        needs_subject=bool(row["subject"]),
        takes_branch=bool(row["branch"]),
        is_personal=row["service"] == "personal",
        formats=formats,
        max_documents=None if max_documents is None else _limit(max_documents),
        max_document_bytes=_limit(row["max_document_bytes"]),
        near_document_bytes=_limit(row["near_document_bytes"]),
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
        url=_url(row["url"]),
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
            url=_url(online["url"]),
            is_confirmed=online["status"] == "confirmed",
        ),
    )
