"""A submission: what is sent, for whom, about what.

A submission grows up in two steps, and each
step is a type of its own, so that the type checker forbids sending what was not checked:

    Submission (as stated: anything may be missing or wrong)
        -> submission_rules.check -> CheckedSubmission (complete, normalised, named by its key)

What a submission says, field by field, is the table of `fields`.
"""

from __future__ import annotations

import hashlib
from dataclasses import InitVar, dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.model import fields
from docsend.model.canonical import canonicalize, key_of, key_of_bytes
from docsend.model.document import Document
from docsend.model.fields import SubmissionFields
from docsend.text import mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.model.canonical import Json
    from docsend.model.document import UnreadDocument
    from docsend.model.fields import Party
    from docsend.model.problem import Problem

_VALUES = attrgetter(*fields.NAMES)
# Given to a CheckedSubmission by `submission_rules.check`, which alone may make one.
PASSED_ALL_RULES = object()


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

    @property
    def buffered_bytes(self) -> int:
        """How many bytes of its documents are in memory."""
        return sum(len(each.buffer or b"") for each in self.documents if isinstance(each, Document))

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
    party: Party | None
    documents: tuple[Document, ...]
    warnings: tuple[Problem, ...] = ()
    account: str | None = None
    by: InitVar[object] = None

    def __post_init__(self, by: object) -> None:
        if by is not PASSED_ALL_RULES:
            raise TypeError("only submission_rules.check makes a CheckedSubmission")

    def __repr__(self) -> str:
        """Say what it is about, and nothing of whom."""
        return f"CheckedSubmission(to={self.to!r}, subject={self.subject!r}, type={self.type!r})"

    @cached_property
    def declaration_bytes(self) -> bytes:
        """What is declared to the service, as it goes over the wire."""
        return canonicalize(self.declaration())

    @cached_property
    def key(self) -> str:
        """The name of the content (see `key_of`); it is asked for a dozen times on the way."""
        if self.account is None:
            return key_of_bytes(self.declaration_bytes)
        return key_of(self.declaration(), self.account)

    @property
    def has_key(self) -> bool:
        """Whether it is known whom it is about: only then is the key the one that the service will see."""
        return self.party is not None or self.account is not None

    @property
    def is_signed(self) -> bool:
        """Whether it goes under the token of an account."""
        return self.account is not None

    @property
    def masked_identity(self) -> str | None:
        """The number that its identity is known by, as much as anybody is shown of it."""
        if self.party is None:
            return None
        number, *_ = fields.fields_of(self.party)
        return mask(getattr(self, number.name))

    def declaration(self) -> dict[str, Json]:
        """What is declared to the service before any document: docs/contract.md, "A declaration"."""
        declared: dict[str, Json] = {
            field.member: getattr(self, field.name) for field in fields.CONTENT_FIELDS
        }
        declared["documents"] = [
            {"name": document.name, "bytes": document.size, "sha256": document.sha256}
            for document in self.documents
        ]
        if self.party is not None:
            declared["identity"] = {
                field.member: getattr(self, field.name) for field in fields.fields_of(self.party)
            }
        return declared

    def with_occurrence(self, occurrence: int) -> CheckedSubmission:
        """Return the same content under another key, to be received once more."""
        return replace(self, occurrence=occurrence, by=PASSED_ALL_RULES)

    def with_account(self, code: str) -> CheckedSubmission:
        """Return the same submission as one of a signed-in person."""
        return replace(self, account=code, by=PASSED_ALL_RULES)

    def without_buffers(self) -> CheckedSubmission:
        """Return the same submission without the bytes of its documents, which take up memory."""
        documents = tuple(each.without_buffer() for each in self.documents)
        same = replace(self, documents=documents, by=PASSED_ALL_RULES)
        for known in ("declaration_bytes", "key"):  # which are of what it says, not of the bytes at hand
            if known in vars(self):
                vars(same)[known] = vars(self)[known]
        return same

    @property
    def fingerprint(self) -> bytes:
        """Return 32 bytes that are those of another submission if, and only if, both have the same key.

        They are no name, but they take a quarter of the time of one: a batch compares all of its rows.
        """
        documents = tuple([(each.name, each.size, each.sha256) for each in self.documents])
        said = (_VALUES(self), self.party, self.account, documents)
        return hashlib.sha256(ascii(said).encode("ascii")).digest()

    @property
    def buffered_bytes(self) -> int:
        """How many bytes of its documents are in memory."""
        return sum(len(each.buffer or b"") for each in self.documents)

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
