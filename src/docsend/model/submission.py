"""The nouns of a sending: what is sent, for whom, what was found wrong with it, and what came back.

Everything here is a frozen value without input or output. A submission grows up in two steps, and each
step is a type of its own, so that the type checker forbids sending what was not checked:

    Submission (as stated: anything may be missing or wrong)
        -> submission_rules.check -> CheckedSubmission (complete, normalised, named by its key)

What a submission says, field by field, is the table of `fields`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from dataclasses import InitVar, dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from docsend.model import fields
from docsend.model.fields import SubmissionFields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from docsend.codes import AnyCode, Severity
    from docsend.i18n import Message
    from docsend.model.fields import Whose

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


# -- problems ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of a check: what is wrong (`message`), and what to do about it (`hint`).

    `field` is the name of the field that it is about, that of its code if not said; `document` the file as
    the sender named it, and `path` where it is; `row` the manifest's row, if there is one.
    """

    code: AnyCode
    message: Message
    hint: Message | None = None
    field: str | None = None
    document: str | None = None
    row: int | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        if self.field is None and self.code.field is not None:
            object.__setattr__(self, "field", self.code.field)

    @property
    def severity(self) -> Severity:
        return self.code.severity

    @property
    def is_error(self) -> bool:
        return self.severity == "error"


# -- documents -----------------------------------------------------------------------------------------

Defect: TypeAlias = Literal["damaged", "encrypted"]
Unread: TypeAlias = Literal["not-found", "directory", "not-regular", "unreadable", "empty", "too-large"]


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """One file that was read: its digest and what its bytes turned out to be.

    `format` is what the content is (`pdf`, `jpeg`, ... or another known kind such as `html`), None if no
    known kind. `held` is the very buffer that was hashed and checked, if there was room to keep it.
    """

    path: str
    name: str
    size: int
    sha256: str
    format: str | None = None
    defect: Defect | None = None
    held: bytes | None = None

    def __repr__(self) -> str:
        """Say which one it is, and not its bytes."""
        return f"Document({self.path!r}, {self.size} bytes, {self.sha256[:12]})"

    def without_buffer(self) -> Document:
        """Return the same document without its bytes, which take up memory."""
        return self if self.held is None else replace(self, held=None)


@dataclass(frozen=True, slots=True)
class UnreadDocument:
    """A file that could not be read, or was not because of its size (in bytes, if known), and why."""

    path: str
    name: str
    reason: Unread
    size: int | None = None

    def without_buffer(self) -> UnreadDocument:
        """Return the same: there are no bytes."""
        return self


# -- identity ------------------------------------------------------------------------------------------

EmployerKind: TypeAlias = Literal["deduction", "household", "building-committee"]
EMPLOYER_KINDS: tuple[EmployerKind, ...] = ("deduction", "household", "building-committee")


def masked(secret: str) -> str:
    """Up to three last characters, and at most a third of all, behind six dots: all that is ever shown."""
    shown = min(3, len(secret) // 3)
    return "••••••" + secret[len(secret) - shown :]


def without_numbers(text: str) -> str:
    """Give a text that was said in the wrong place without what could be somebody's number."""
    return re.sub(r"[0-9]{5,}", "••••••", text)


def has_controls(text: str) -> bool:
    """Tell whether a text has what a screen could take for commands.

    Cc: control; Cs: a lone surrogate; and the bidirectional overrides and isolates.
    """
    if text.isascii():  # and then what cannot be printed is Cc
        return not text.isprintable()
    return any(
        unicodedata.category(character) in ("Cc", "Cs")
        or character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
        for character in text
    )


# -- submissions ---------------------------------------------------------------------------------------

_VALUES = attrgetter(*fields.NAMES)
# Given to a CheckedSubmission by `submission_rules.check`, which alone may make one.
KEPT_EVERY_RULE = object()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Submission(SubmissionFields):
    """What the sender stated, word for word. Nothing is known to be right about it."""

    documents: tuple[Document | UnreadDocument, ...] = ()

    def with_documents(self, documents: tuple[Document | UnreadDocument, ...]) -> Submission:
        values: dict[str, Any] = dict(zip(fields.NAMES, _VALUES(self), strict=True))
        return Submission(**values, documents=documents)

    def with_values(self, values: Mapping[str, str | None]) -> Submission:
        """Return the same with other values of some fields, by their names."""
        changed: dict[str, Any] = {**values}
        return replace(self, **changed)

    def without_buffers(self) -> Submission:
        """Return the same submission without the bytes of its documents, which take up memory."""
        return self.with_documents(tuple(each.without_buffer() for each in self.documents))

    def __repr__(self) -> str:
        """Say what it is about, and nothing of whom."""
        return f"Submission(to={self.to!r}, subject={self.subject!r}, type={self.type!r})"


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckedSubmission(SubmissionFields):
    """A submission that kept every rule, its fields in normal form. Made by `submission_rules.check` alone.

    Documents stand in the order of their names, so that the same files given in another order are the
    same submission. `whose` identity it has, None for that of an account. `key` names the content (see
    `key_of`); an `occurrence` above 1 means that the sender wants the same content sent once more.
    """

    to: str
    category: str
    type: str
    occurrence: int = 1
    whose: Whose | None
    documents: tuple[Document, ...]
    warnings: tuple[Problem, ...] = ()
    account: str | None = None
    by: InitVar[object] = None

    def __post_init__(self, by: object) -> None:
        if by is not KEPT_EVERY_RULE:
            raise TypeError("only submission_rules.check makes a CheckedSubmission")

    def __repr__(self) -> str:
        """Say what it is about, and nothing of whom."""
        return f"CheckedSubmission(to={self.to!r}, subject={self.subject!r}, type={self.type!r})"

    @cached_property
    def declared(self) -> bytes:
        """What is declared to the service, as it goes over the wire."""
        return canonical(self.declaration())

    @cached_property
    def key(self) -> str:
        """The name of the content (see `key_of`); it is asked for a dozen times on the way."""
        if self.account is None:
            return _written(self.declared)
        return key_of(self.declaration(), self.account)

    @property
    def is_named(self) -> bool:
        """Whether it is known whom it is about: only then is the key the one that the service will see."""
        return self.whose is not None or self.account is not None

    @property
    def is_signed(self) -> bool:
        """Whether it goes under the token of an account."""
        return self.account is not None

    @property
    def masked_identity(self) -> str | None:
        """The number that its identity is known by, as much as anybody is shown of it."""
        if self.whose is None:
            return None
        number, *_ = fields.of(self.whose)
        return masked(getattr(self, number.name))

    def declaration(self) -> dict[str, Json]:
        """What is declared to the service before any document: docs/contract.md, "A declaration"."""
        declared: dict[str, Json] = {field.member: getattr(self, field.name) for field in fields.OF_CONTENT}
        declared["documents"] = [
            {"name": document.name, "bytes": document.size, "sha256": document.sha256}
            for document in self.documents
        ]
        if self.whose is not None:
            declared["identity"] = {
                field.member: getattr(self, field.name) for field in fields.of(self.whose)
            }
        return declared

    def with_occurrence(self, occurrence: int) -> CheckedSubmission:
        """Return the same content under another key, to be received once more."""
        return replace(self, occurrence=occurrence, by=KEPT_EVERY_RULE)

    def with_account(self, code: str) -> CheckedSubmission:
        """Return the same submission as one of a signed-in person."""
        return replace(self, account=code, by=KEPT_EVERY_RULE)

    def without_buffers(self) -> CheckedSubmission:
        """Return the same submission without the bytes of its documents, which take up memory."""
        documents = tuple(each.without_buffer() for each in self.documents)
        same = replace(self, documents=documents, by=KEPT_EVERY_RULE)
        for known in ("declared", "key"):  # which are of what it says, not of the bytes at hand
            if known in vars(self):
                vars(same)[known] = vars(self)[known]
        return same

    @property
    def fingerprint(self) -> bytes:
        """Return 32 bytes that are those of another submission if, and only if, both have the same key.

        They are no name, but they take a quarter of the time of one: a batch compares all of its rows.
        """
        documents = tuple([(each.name, each.size, each.sha256) for each in self.documents])
        said = (_VALUES(self), self.whose, self.account, documents)
        return hashlib.sha256(ascii(said).encode("ascii")).digest()

    @property
    def total_bytes(self) -> int:
        return sum(document.size for document in self.documents)


class PlannedSubmission(NamedTuple):
    """A submission that an earlier run checked and planned, as far as the ledger has it: enough to finish it.

    Its declaration is not there, because it holds identities; only what the service has already been told of
    can be finished from it.
    """

    key: str
    documents: tuple[Document, ...]
    is_signed: bool


def key_of(declaration: Mapping[str, Json], account: str | None = None) -> str:
    """The submission's name: base32 (RFC 4648, no padding) of SHA-256 of its canonical JSON (invariant 3).

    52 characters of A-Z and 2-7. Content alone makes it: the same submission from another machine, path,
    day or version of docsend has the same key, and so it cannot be received twice. The code of the account
    enters as one more member, for a personal declaration does not say who it is about.
    """
    named = declaration if account is None else {**declaration, "account": account}
    return _written(canonical(named))


def _written(named: bytes) -> str:
    return base64.b32encode(hashlib.sha256(named).digest()).decode("ascii").rstrip("=")


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Json) -> bytes:
    """Canonical JSON (RFC 8785, JCS) of a value whose member names are ASCII and whose numbers are integers.

    Within those bounds Python's encoder already writes what the RFC asks for: names sorted, no blanks,
    the shortest escapes, UTF-8; a lone surrogate raises UnicodeEncodeError.
    """
    return _CANONICAL.encode(value).encode("utf-8")


# -- receipts ------------------------------------------------------------------------------------------


class ReceivedDocument(NamedTuple):
    name: str
    size: int
    sha256: str


class Receipt(NamedTuple):
    """The service's answer that it has everything. It says "received", never "approved".

    `issuer` is what the service calls itself; `received_at` an RFC 3339 time as the service wrote it;
    `branch_names` has one name a language.
    `body` is all that the service wrote, as canonical JSON: what the ledger keeps.
    """

    key: str
    number: str
    issuer: str
    received_at: str
    branch_code: str
    branch_names: Mapping[str, str]
    documents: tuple[ReceivedDocument, ...]
    body: bytes


class RequiredDocument(NamedTuple):
    """A document that the service asks a signed-in person for; `due` is a date, as in 2026-12-15."""

    id: str
    subject: str
    category: str
    type: str
    titles: Mapping[str, str]
    due: str
    state: str


class Cleared(NamedTuple):
    """Leave to send what is planned.

    `may_be_received` if an earlier try may have brought a receipt; `is_begun` if the service may have been
    told of it, as far as the ledger knows.
    """

    may_be_received: bool = True
    is_begun: bool = True


class Delivery(NamedTuple):
    """A receipt, and whether it had been given before: to an earlier run, or to somebody else."""

    receipt: Receipt
    is_repeated: bool
