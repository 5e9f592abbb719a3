"""Submissions, before and after they are checked.

Each step has its own type, so that the type checker rejects sending a submission that was not checked:

    Submission (as given; values may be missing or wrong)
        -> submission_rules.check -> CheckedSubmission (complete, normalized, identified by its key)

The fields of a submission are described in `fields`.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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
# The values of a submission, and the names, sizes and SHA-256 of its documents.
SubmissionContent: TypeAlias = "tuple[tuple[object, ...], tuple[tuple[str, int, str], ...]]"
# Token required to create a CheckedSubmission. Only `submission_rules.check` may use it on a Submission.
PASSED_ALL_RULES = object()


@dataclass(frozen=True, kw_only=True, repr=False)
class Submission(SubmissionFields):
    """A submission as the sender gave it, unchecked."""

    documents: tuple[Document | UnreadDocument, ...] = ()

    if not TYPE_CHECKING:  # Type checkers see the parameters of a dataclass.

        def __init__(self, **values: object) -> None:
            """Set the given values. The others have their defaults, which are attributes of the class.

            The `__init__` of a frozen dataclass takes three times as long, because it sets each field by a
            call. A batch creates two submissions for each row.
            """
            vars(self).update(values)

    @classmethod
    def from_values(cls, values: Mapping[str, str]) -> Submission:
        """Return a submission with values by field name. This takes half the time of keyword arguments."""
        submission = cls.__new__(cls)
        vars(submission).update(values)
        return submission

    def with_documents(self, documents: tuple[Document | UnreadDocument, ...]) -> Submission:
        values: dict[str, Any] = dict(zip(fields.NAMES, _VALUES(self), strict=True))
        return Submission(**values, documents=documents)

    def with_values(self, values: Mapping[str, str | None]) -> Submission:
        """Return a copy in which the fields named in `values` have new values. Codes become lower case."""
        changed: dict[str, Any] = {
            name: value and fields.BY_NAME[name].normalize(value) for name, value in values.items()
        }
        return replace(self, **changed)

    def without_buffers(self) -> Submission:
        """Return a copy without the buffers of its documents, to free their memory."""
        return self.with_documents(tuple(document.without_buffer() for document in self.documents))

    @property
    def buffered_bytes(self) -> int:
        """Total size in bytes of this submission's documents that are in memory."""
        return sum(
            len(document.buffer or b"") for document in self.documents if isinstance(document, Document)
        )

    def __repr__(self) -> str:
        """Return a representation without identities."""
        return f"Submission(to={self.to!r}, subject={self.subject!r}, type={self.type!r})"


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckedSubmission(SubmissionFields):
    """A submission that passed every rule, with normalized fields. Only `submission_rules.check` creates one.

    Documents are sorted by name, so that the same files in another order make the same submission. `party` is
    the kind of person whose identity the submission contains, or None for a personal submission. A personal
    submission belongs to the account with the code `account`, which is None until the account is known. `key`
    identifies the content (see `key_of`). An `occurrence` above 1 means that the sender wants to send the
    same content again.
    """

    to: str
    category: str
    type: str
    occurrence: int = 1
    party: Party | None
    documents: tuple[Document, ...]
    warnings: tuple[Problem, ...] = ()
    account: str | None = None
    token: InitVar[object] = None

    if not TYPE_CHECKING:

        def __init__(self, *, token: object = None, **values: object) -> None:
            """Set the given values, as for a Submission. Raise TypeError without the token."""
            if token is not PASSED_ALL_RULES:
                raise TypeError("only submission_rules.check creates a CheckedSubmission")
            vars(self).update(values)

    @classmethod
    def from_values(cls, values: Mapping[str, object], token: object) -> CheckedSubmission:
        """Return a submission with values by field name. Raise TypeError without the token."""
        if token is not PASSED_ALL_RULES:
            raise TypeError("only submission_rules.check creates a CheckedSubmission")
        checked = cls.__new__(cls)
        vars(checked).update(values)
        return checked

    def __repr__(self) -> str:
        """Return a representation without identities."""
        return f"CheckedSubmission(to={self.to!r}, subject={self.subject!r}, type={self.type!r})"

    @cached_property
    def declaration_bytes(self) -> bytes:
        """Declaration as canonical JSON, as it is sent to the service."""
        return canonicalize(self.declaration())

    @cached_property
    def key(self) -> str:
        """Key of the content (see `key_of`), cached because a delivery reads it about a dozen times."""
        if self.account is None:
            return key_of_bytes(self.declaration_bytes)
        return key_of(self.declaration(), self.account)

    @property
    def has_key(self) -> bool:
        """Whether the person is known. If not, `key` differs from the key that the service will compute."""
        return self.party is not None or self.account is not None

    @property
    def is_signed(self) -> bool:
        """Whether the submission is sent with the token of an account."""
        return self.account is not None

    @property
    def person(self) -> tuple[str, ...]:
        """Who the submission is for, as a kind and numbers that stay the same from one sending to the next.

        An employer's booklet number, mobile number and email address may change, so they are not part of it.
        Raise ValueError for a personal submission whose account is not known.
        """
        if self.party == "insured" and self.id:
            return "insured", self.id
        if self.party == "employer" and self.employer_file and self.employer_kind:
            return "employer", self.employer_file, self.employer_kind
        if self.account is None:
            raise ValueError("the account is not known")
        return "account", self.account

    @property
    def masked_identity(self) -> str | None:
        """Masked number of the insured person or employer, or None for a personal submission."""
        if self.party is None:
            return None
        number, *_ = fields.fields_of(self.party)
        return mask(getattr(self, number.name))

    def declaration(self) -> dict[str, Json]:
        """Return the declaration as a JSON object (docs/contract.md, "A declaration")."""
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
        """Return a copy with another occurrence. The copy has another key, so it can be received as well."""
        return replace(self, occurrence=occurrence, token=PASSED_ALL_RULES)

    def with_account(self, code: str) -> CheckedSubmission:
        """Return a copy that belongs to the account with this code."""
        return replace(self, account=code, token=PASSED_ALL_RULES)

    def without_buffers(self) -> CheckedSubmission:
        """Return a copy without the buffers of its documents, to free their memory."""
        documents = tuple(document.without_buffer() for document in self.documents)
        copy = replace(self, documents=documents, token=PASSED_ALL_RULES)
        for name in ("declaration_bytes", "key"):  # These cached values do not depend on the buffers.
            if name in vars(self):
                vars(copy)[name] = vars(self)[name]
        return copy

    @property
    def content(self) -> SubmissionContent:
        """All that the key is computed from, so that the contents are equal if and only if the keys are.

        A batch compares the contents of all of its rows, because computing a key takes twenty times as long.
        """
        documents = tuple([(document.name, document.size, document.sha256) for document in self.documents])
        return (*_VALUES(self), self.party, self.account), documents

    @property
    def buffered_bytes(self) -> int:
        """Total size in bytes of this submission's documents that are in memory."""
        return sum(len(document.buffer or b"") for document in self.documents)

    @property
    def total_bytes(self) -> int:
        return sum(document.size for document in self.documents)


class PlannedSubmission(NamedTuple):
    """A submission that an earlier run checked and recorded in the ledger.

    The ledger does not store the declaration, because a declaration contains identities. A submission can
    therefore be finished from the ledger only if the service already has its declaration.
    """

    key: str
    documents: tuple[Document, ...]
    is_signed: bool
