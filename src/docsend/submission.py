"""The nouns of a sending: what is sent, for whom, what was found wrong with it, and what came back.

Everything here is a frozen value without input or output. A submission grows up in two steps, and each
step is a type of its own, so that the type checker forbids sending what was not checked:

    Submission (as stated: anything may be missing or wrong)
        -> rules.check -> CheckedSubmission (complete, normalised, named by its key)
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from docsend.i18n import Message

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


# -- problems ------------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """One finding of a check: what is wrong (`message`), and what to do about it (`hint`).

    `code` is stable and never translated; `field` is the option's name with underscores; `document` the
    file as the sender named it, and `path` where it is; `row` the manifest's row, if there is one.
    """

    code: str
    message: Message
    hint: Message | None = None
    severity: Literal["error", "warning"] = "error"
    field: str | None = None
    document: str | None = None
    row: int | None = None
    path: str | None = None

    @property
    def is_error(self) -> bool:
        return self.severity == "error"


# -- documents -----------------------------------------------------------------------------------------

Defect: TypeAlias = Literal["damaged", "encrypted"]
Unread: TypeAlias = Literal["not-found", "directory", "not-regular", "unreadable", "empty", "too-large"]


class Document(NamedTuple):
    """One file that was read: its digest and what its bytes turned out to be.

    `format` is what the content is (`pdf`, `jpeg`, ... or another known kind such as `html`), None if no
    known kind. `held` is the very buffer that was hashed and checked, if there was room to keep it.
    """

    path: str
    name: str
    size: int
    sha256: str
    format: str | None
    defect: Defect | None = None
    held: bytes | None = None

    def __repr__(self) -> str:
        """Say which one it is, and not its bytes."""
        return f"Document({self.path!r}, {self.size} bytes, {self.sha256[:12]})"

    def released(self) -> Document:
        """Give the same document without its bytes, which take up memory."""
        return Document(self.path, self.name, self.size, self.sha256, self.format, self.defect)


class UnreadDocument(NamedTuple):
    """A file that could not be read, or was not because of its size (in bytes, if known), and why."""

    path: str
    name: str
    reason: Unread
    size: int | None = None

    def released(self) -> UnreadDocument:
        """Give the same: there are no bytes."""
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


class InsuredIdentity(NamedTuple):
    """The insured person whom the documents are about: nine digits, the last a check digit."""

    id_number: str

    def declared(self) -> dict[str, Json]:
        return {"id_number": self.id_number}

    def __repr__(self) -> str:
        return f"InsuredIdentity({self})"

    def __str__(self) -> str:
        return masked(self.id_number)


class EmployerIdentity(NamedTuple):
    """The employer whom the documents are about; the booklet number works as a password."""

    employer_file: str
    employer_kind: EmployerKind
    booklet: str
    mobile: str
    email: str | None

    def declared(self) -> dict[str, Json]:
        return {
            "employer_file": self.employer_file,
            "employer_kind": self.employer_kind,
            "booklet": self.booklet,
            "mobile": self.mobile,
            "email": self.email,
        }

    def __repr__(self) -> str:
        return f"EmployerIdentity({self})"

    def __str__(self) -> str:
        return masked(self.employer_file)


Identity: TypeAlias = InsuredIdentity | EmployerIdentity


# -- submissions ---------------------------------------------------------------------------------------


class Submission(NamedTuple):
    """What the sender stated, word for word. Nothing is known to be right about it."""

    to: str | None = None
    subject: str | None = None
    category: str | None = None
    type: str | None = None
    id_number: str | None = None
    employer_file: str | None = None
    employer_kind: str | None = None
    booklet: str | None = None
    mobile: str | None = None
    email: str | None = None
    remark: str | None = None
    branch: str | None = None
    reference: str | None = None
    required: str | None = None
    documents: tuple[Document | UnreadDocument, ...] = ()

    def of(self, documents: tuple[Document | UnreadDocument, ...]) -> Submission:
        """Give the same submission with these documents."""
        return Submission._make((*self[:-1], documents))

    def released(self) -> Submission:
        """Give the same submission without the bytes of its documents, which take up memory."""
        return self._replace(documents=tuple(each.released() for each in self.documents))

    def __repr__(self) -> str:
        """Say what it is about, and nothing of whom."""
        return f"Submission(to={self.to!r}, subject={self.subject!r}, type={self.type!r})"

    def said(self) -> dict[str, Any]:
        """Give what was stated, by the names of the fields; documents are not among them."""
        return {name: value for name in _STATEMENTS if (value := getattr(self, name)) is not None}


_STATEMENTS = tuple(name for name in Submission._fields if name != "documents")


class _Kept(NamedTuple):
    """What a submission says that kept every rule."""

    to: str
    identity: Identity | None
    subject: str | None
    category: str
    type: str
    remark: str | None
    branch: str | None
    required: str | None
    reference: str | None
    documents: tuple[Document, ...]
    warnings: tuple[Problem, ...] = ()
    occurrence: int = 1
    account: str | None = None


class CheckedSubmission(_Kept):
    """A submission that kept every rule, in normal form. Made by `rules.check` and by nothing else.

    Documents stand in the order of their names, so that the same files given in another order are the
    same submission. `key` names the content (see `key_of`); `occurrence` above 1 means that the sender
    wants the same content sent once more.
    """

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: it is what was checked, and its key is of that."""
        raise AttributeError(f"{name} of a checked submission does not change")

    def __repr__(self) -> str:
        """Say what it is about, and nothing of whom."""
        return f"{type(self).__name__}(to={self.to!r}, subject={self.subject!r}, type={self.type!r})"

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
        return self.identity is not None or self.account is not None

    @property
    def is_signed(self) -> bool:
        """Whether it goes under the token of an account."""
        return self.account is not None

    def declaration(self) -> dict[str, Json]:
        """What is declared to the service before any document: docs/contract.md, "A declaration"."""
        declared: dict[str, Json] = {
            "to": self.to,
            "subject": self.subject,
            "category": self.category,
            "type": self.type,
            "remark": self.remark,
            "branch": self.branch,
            "required": self.required,
            "reference": self.reference,
            "occurrence": self.occurrence,
            "documents": [
                {"name": document.name, "bytes": document.size, "sha256": document.sha256}
                for document in self.documents
            ],
        }
        if self.identity is not None:
            declared["identity"] = self.identity.declared()
        return declared

    def again(self, occurrence: int) -> CheckedSubmission:
        """Give the same content under another key, to be received once more."""
        return self._replace(occurrence=occurrence)

    def of_account(self, code: str) -> CheckedSubmission:
        """Give the same submission as one of a signed-in person."""
        return self._replace(account=code)

    def released(self) -> CheckedSubmission:
        """Give the same submission without the bytes of its documents, which take up memory."""
        same = self._replace(documents=tuple(each.released() for each in self.documents))
        vars(same).update(vars(self))  # what is known of what it says
        return same

    @property
    def fingerprint(self) -> bytes:
        """Give 32 bytes that are those of another submission if, and only if, both have the same key.

        They are no name, but they take a quarter of the time of one: a batch compares all of its rows.
        """
        documents = tuple([(each.name, each.size, each.sha256) for each in self.documents])
        whom = None if self.identity is None else tuple(self.identity)  # a plain one hides nothing
        about = (self.to, self.subject, self.category, self.type, self.remark, self.branch)
        said = (whom, about, self.required, self.reference, self.occurrence, self.account, documents)
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
