"""Parse declarations and enforce the institute's rules on them.

The code is written from openapi.yaml and the catalog, independently of the client, so that tests show where
the sandbox and the client disagree.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from docsend.model.canonical import canonicalize
from docsend.sandbox import content
from docsend.sandbox.problems import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docsend.model.catalog import Catalog, Destination

SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MEMBERS = {
    "to",
    "identity",
    "subject",
    "category",
    "type",
    "remark",
    "branch",
    "required",
    "reference",
    "occurrence",
    "documents",
}
_MISSING = object()
_MAX_DOCUMENTS = 10_000  # limits the work if the institute gives no number


@dataclass(frozen=True, slots=True)
class DeclaredDocument:
    """One document of a declaration: its name, its size in bytes and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declaration that follows the rules.

    `resident` is the number of the insured person or employer, or None for a personal submission.
    `classification` is the subject, category and type. `canonical` is the declaration as canonical JSON. Two
    declarations are the same if these bytes are equal.
    """

    is_personal: bool
    resident: str | None
    branch: str | None
    required: str | None
    classification: tuple[str | None, str, str]
    documents: tuple[DeclaredDocument, ...]
    canonical: bytes


class _Errors:
    """The errors of one declaration, collected for one 422 response."""

    def __init__(self) -> None:
        self.items: list[dict[str, str]] = []

    def add(self, pointer: str, code: str, detail: str) -> None:
        self.items.append({"pointer": pointer, "code": code, "detail": detail})

    def check_members(
        self, pointer: str, raw: dict[str, Any], allowed: set[str], optional: frozenset[str] = frozenset()
    ) -> None:
        """Report unknown and missing members of an object. `pointer` is the JSON pointer to the object.

        Only the members in `optional` may be omitted. Any other member without a value must be null, so that
        the same content always has the same key.
        """
        for member in sorted(raw.keys() - allowed):
            escaped = member[:40].replace("~", "~0").replace("/", "~1")  # RFC 6901, 3
            self.add(f"{pointer}/{escaped}", "invalid", "is an unknown member")
        for member in sorted(allowed - optional - raw.keys()):
            self.add(f"{pointer}/{member}", "invalid", "is missing; give null for no value")

    def check_text(self, raw: dict[str, Any], name: str, max_length: int, pointer: str = "") -> str | None:
        """Return a text, or None if it is null. Report a text that is invalid or too long.

        `max_length` is in characters.
        """
        value = raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or not _is_printable(value):
            self.add(
                f"{pointer}/{name}", "invalid", "must be null or a non-blank text without control characters"
            )
            return None
        if len(value) > max_length:
            self.add(
                f"{pointer}/{name}",
                f"{name.replace('_', '-')}-too-long",
                f"has more than {max_length} characters",
            )
        return value


def find_destination(raw: Mapping[str, Any], catalog: Catalog) -> Destination | None:
    """Return the destination that a declaration names, or None if the catalog does not have it."""
    return catalog.destinations.get(raw["to"]) if isinstance(raw.get("to"), str) else None


def declared_bytes(raw: Mapping[str, Any]) -> int:
    """Return the total size of a declaration's documents in bytes. A malformed size counts as 0."""
    documents = raw.get("documents")
    sizes = (
        [entry.get("bytes") for entry in documents if isinstance(entry, dict)]
        if isinstance(documents, list)
        else []
    )
    return sum(size for size in sizes if isinstance(size, int) and _is_count(size))


def validate(raw: dict[str, Any], catalog: Catalog) -> Declaration:
    """Return a declaration that follows every rule. Otherwise raise the Refusal that the contract defines.

    Errors in JSON members are collected into one 422 response. The limits on documents are checked next. A
    document type that must be filed as an online form is refused last.
    """
    errors = _Errors()
    # A personal declaration has no identity.
    errors.check_members("", raw, _MEMBERS, optional=frozenset({"identity"}))
    destination = find_destination(raw, catalog)
    if destination is None:
        errors.add("/to", "unknown-destination", "is not a destination of the catalog")
        raise _invalid_refusal(errors)
    documents = _check_documents(raw.get("documents"), destination, errors)
    resident = _IDENTITY_CHECKS[destination.identity](raw.get("identity", _MISSING), errors)
    online_refusal = _check_codes(raw, destination, catalog, errors)
    branch = errors.check_text(raw, "branch", 100)
    if branch is not None and not destination.takes_branch:
        errors.add("/branch", "not-taken", "must be null: the account's branch handles it")
    elif branch is not None and branch not in catalog.branches:
        errors.add("/branch", "unknown-branch", "is not a branch of the catalog")
    errors.check_text(raw, "remark", catalog.texts.remark)
    errors.check_text(raw, "reference", catalog.texts.reference)
    required = errors.check_text(raw, "required", 100)
    if required is not None and not destination.is_personal:
        errors.add("/required", "not-taken", "must be null: this destination has no required documents")
    occurrence = raw.get("occurrence")
    if not _is_count(occurrence):
        errors.add("/occurrence", "invalid", "must be a whole number from 1")
    if errors.items:
        raise _invalid_refusal(errors)
    _check_limits(documents, destination, catalog)
    if online_refusal is not None:
        raise online_refusal
    classification = (raw["subject"], raw["category"], raw["type"])
    return Declaration(
        destination.is_personal, resident, branch, required, classification, documents, canonicalize(raw)
    )


def check_required(declaration: Declaration, pending: Sequence[Mapping[str, Any]]) -> None:
    """Check a personal submission against the required documents that its account still has to send.

    Raise Refusal with 422 if the submission names a document that is not among them, or one with another
    subject, category or type. Raise it also if the submission names none although its subject has one.

    The institute's rule: "Si un document est requis par le système, il ne sera pas possible de télécharger
    d'autres documents en ligne concernant le sujet pour lequel il existe une telle exigence." (While the
    system requires a document, no other documents can be uploaded for its subject.)
    """
    match = next((entry for entry in pending if entry["id"] == declaration.required), None)
    if declaration.required is not None:
        if match is None:
            error = {
                "pointer": "/required",
                "code": "unknown-required",
                "detail": "is not a pending required document",
            }
            raise Refusal(422, "invalid", "no such required document", {"errors": [error]})
        if (match["subject"], match["category"], match["type"]) != declaration.classification:
            error = {
                "pointer": "/type",
                "code": "unknown-type",
                "detail": "is not the type of the required document",
            }
            raise Refusal(422, "invalid", "this is not the required document", {"errors": [error]})
        return
    pending_ids = [entry["id"] for entry in pending if entry["subject"] == declaration.classification[0]]
    if pending_ids:
        detail = "this subject takes its required documents only"
        raise Refusal(422, "required-documents-pending", detail, {"required": pending_ids})


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a declaration. Raise Refusal with 400 if the body is anything else.

    Only the syntax is checked: UTF-8, no duplicate members, no fractions, no lone surrogates.
    """
    try:
        raw = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_reject_duplicates,
            parse_float=_reject_number,
            parse_constant=_reject_number,
        )
        canonicalize(raw)  # raises ValueError for a lone surrogate
    except (ValueError, RecursionError):
        raise Refusal(400, "malformed", "the body must be the JSON object of a declaration") from None
    if not isinstance(raw, dict):
        raise Refusal(400, "malformed", "the body must be the JSON object of a declaration")
    return raw


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _reject_number(_text: str) -> float:
    raise ValueError("not a whole number")


def _invalid_refusal(errors: _Errors) -> Refusal:
    return Refusal(422, "invalid", "the declaration breaks rules of the service", {"errors": errors.items})


def _is_count(value: object) -> bool:
    """Return whether a value is an integer from 1 to 2**53 - 1, which every JSON parser reads exactly."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**53


def _is_printable(text: str) -> bool:
    return not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)


# -- subject, category and type ----------------------------------------------------------------------------


def _check_codes(
    raw: dict[str, Any], destination: Destination, catalog: Catalog, errors: _Errors
) -> Refusal | None:
    """Check the codes of subject, category and type.

    If the type must be filed as an online form, return that refusal, so that the caller can raise it last.
    """
    subject, category, type_code = (_code_or_empty(raw.get(name)) for name in ("subject", "category", "type"))
    if destination.needs_subject:
        if subject not in {entry.code for entry in catalog.subjects_of(destination.code)}:
            code = "subject-missing" if subject is None else "unknown-subject"
            errors.add("/subject", code, "must be a subject of the destination")
            return None
    elif subject is not None:
        errors.add("/subject", "not-taken", "must be null: this destination has no subjects")
        return None
    types = catalog.types_of(destination.code, subject)
    if category not in {type_.category for type_ in types}:
        code = "category-missing" if category is None else "unknown-category"
        errors.add("/category", code, "must be a category of the subject")
    type_ = next((entry for entry in types if entry.code == type_code), None)
    if type_ is None or type_.category != category:
        code = "type-missing" if type_code is None else "unknown-type"
        errors.add("/type", code, "must be a type of the category")
        return None
    if type_.online is None:
        return None
    # If no official page confirms that the online form replaces the document, the client leaves the decision
    # to the service. The sandbox refuses.
    return Refusal(
        422,
        "online-form-required",
        "this type must be filed as an online form, not as a document",
        {"form": type_.online.number, "url": type_.online.url},
    )


def _code_or_empty(value: object) -> str | None:
    """Return a code to look up. A text or null stays unchanged, and any other value becomes ""."""
    return value if isinstance(value, str) or value is None else ""


# -- identity ----------------------------------------------------------------------------------------------


def _check_insured(raw: object, errors: _Errors) -> str | None:
    number = raw.get("id_number") if isinstance(raw, dict) and raw.keys() == {"id_number"} else None
    if not isinstance(number, str) or not re.fullmatch(r"[0-9]{9}", number) or not _has_check_digit(number):
        errors.add("/identity/id_number", "id-number-invalid", "must be 9 digits with their check digit")
        return None
    return number


def _has_check_digit(number: str) -> bool:
    """Return whether the Luhn checksum is valid, with weights 1, 2, 1, 2, ... Return False for all zeros."""
    products = [int(digit) * (1 + position % 2) for position, digit in enumerate(number)]
    return number != "000000000" and sum(product // 10 + product % 10 for product in products) % 10 == 0


_EMPLOYER_PATTERNS = {
    "booklet": ("booklet-missing", re.compile(r"[0-9A-Za-z/-]{1,32}\Z")),
    "mobile": ("mobile-invalid", re.compile(r"05[0-9]{8}\Z")),
    "employer_kind": ("unknown-employer-kind", re.compile(r"(deduction|household|building-committee)\Z")),
}


_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+\Z")


def _check_employer(raw: object, errors: _Errors) -> str | None:
    identity = raw if isinstance(raw, dict) else {}
    errors.check_members("/identity", identity, {"employer_file", "email", *_EMPLOYER_PATTERNS})
    file = identity.get("employer_file")
    digits = r"[0-9]{9}" if identity.get("employer_kind") == "deduction" else r"[0-9]{1,20}"
    if not isinstance(file, str) or not re.fullmatch(digits, file):
        errors.add(
            "/identity/employer_file",
            "employer-file-invalid",
            "must be digits: 9 for a deduction file, else at most 20",
        )
    for name, (code, pattern) in _EMPLOYER_PATTERNS.items():
        value = identity.get(name)
        if not isinstance(value, str) or not pattern.match(value):
            errors.add(f"/identity/{name}", code, "is missing or has the wrong format")
    email = identity.get("email")
    if email is not None and not (isinstance(email, str) and _EMAIL.match(email) and _is_printable(email)):
        errors.add("/identity/email", "email-invalid", "must be null or an email address")
    return file if isinstance(file, str) else None


def _check_account(raw: object, errors: _Errors) -> str | None:
    if raw is not _MISSING:
        errors.add("/identity", "not-taken", "must be omitted: the session identifies the person")
    return None


_IDENTITY_CHECKS: dict[str, Callable[[object, _Errors], str | None]] = {
    "insured": _check_insured,
    "employer": _check_employer,
    "account": _check_account,
}


# -- documents ---------------------------------------------------------------------------------------------


def _check_documents(raw: object, destination: Destination, errors: _Errors) -> tuple[DeclaredDocument, ...]:
    if isinstance(raw, list) and len(raw) > _MAX_DOCUMENTS:
        limit = destination.max_documents or _MAX_DOCUMENTS
        raise _too_many_refusal(limit)
    if not isinstance(raw, list) or not raw:
        errors.add("/documents", "documents-missing", "must be a list of at least one document")
        return ()
    declared = []
    for position, entry in enumerate(raw):
        document = _parse_document(entry)
        if document is None:
            detail = (
                "must have a printable file name, a size of 1 byte or more and a SHA-256 of 64 hex digits"
            )
            errors.add(f"/documents/{position}", "invalid", detail)
        else:
            declared.append(document)
    digests: set[str] = set()
    for position, document in enumerate(declared):
        if document.sha256 in digests:
            detail = "has the same SHA-256 as an earlier document"
            errors.add(f"/documents/{position}", "duplicate-document", detail)
        digests.add(document.sha256)
    return tuple(declared)


def _too_many_refusal(limit: int) -> Refusal:
    detail = f"this destination accepts at most {limit} documents"
    return Refusal(413, "too-many-documents", detail, {"limit": limit})


def _parse_document(raw: object) -> DeclaredDocument | None:
    if not isinstance(raw, dict) or raw.keys() != {"name", "bytes", "sha256"}:
        return None
    name, size, digest = raw["name"], raw["bytes"], raw["sha256"]
    is_valid_name = (
        isinstance(name, str)
        and len(name.encode()) > 0
        and _is_printable(name)
        and not re.search(r"[/\\\n]", name)
    )
    is_valid = is_valid_name and _is_count(size) and isinstance(digest, str) and SHA256.match(digest)
    return DeclaredDocument(name, size, digest) if is_valid else None


def _check_limits(
    documents: tuple[DeclaredDocument, ...], destination: Destination, catalog: Catalog
) -> None:
    """Raise Refusal for documents that the destination does not accept, before any of them is sent.

    Raise it with 413 if there are too many documents or one is too large, 415 if one has an extension that is
    not accepted, and 422 if one has too long a name.
    """
    limit = destination.max_documents
    if limit is not None and len(documents) > limit:
        raise _too_many_refusal(limit)
    size_limit = destination.max_document_bytes
    for position, document in enumerate(documents):
        pointer = f"/documents/{position}"
        if document.size > size_limit:
            detail = f"this destination accepts documents of at most {size_limit} bytes"
            raise Refusal(413, "document-too-large", detail, {"limit": size_limit, "pointer": pointer})
        if content.extension(document.name) not in destination.formats:
            detail = f"this destination accepts {', '.join(destination.formats)}"
            raise Refusal(
                415,
                "format-not-accepted",
                detail,
                {"accepted": list(destination.formats), "pointer": pointer},
            )
        if len(document.name.encode()) > catalog.texts.document_name:
            error = {"pointer": f"{pointer}/name", "code": "name-not-accepted", "detail": "is too long"}
            raise Refusal(422, "invalid", "a document name is too long", {"errors": [error]})
