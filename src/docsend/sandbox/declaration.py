"""Reading a declaration, and the sandbox's own enforcement of the institute's rules on it.

Written against openapi.yaml and the catalog's numbers, not against the client: where the two disagree, a
test shows it.
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
_ABSENT = object()
_MOST_DOCUMENTS = 10_000  # a bound on the work, where the institute states no number


@dataclass(frozen=True, slots=True)
class Declared:
    """One document that was announced: its name, its length in bytes, its digest."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declaration that may be opened; `about` is its subject, category and type.

    `canonical` is what makes two of them the same.
    """

    is_personal: bool
    resident: str | None
    branch: str | None
    required: str | None
    about: tuple[str | None, str, str]
    documents: tuple[Declared, ...]
    canonical: bytes


class _Errors:
    """Everything that is wrong with one declaration, for one 422 answer."""

    def __init__(self) -> None:
        self.found: list[dict[str, str]] = []

    def add(self, pointer: str, code: str, detail: str) -> None:
        self.found.append({"pointer": pointer, "code": code, "detail": detail})

    def members(self, pointer: str, raw: dict[str, Any], known: set[str], optional: set[str] = set()) -> None:  # noqa: B006 - never changed
        """Hold an object's members against those it has to have: one content, one declaration, one key."""
        for stray in sorted(raw.keys() - known):
            escaped = stray[:40].replace("~", "~0").replace("/", "~1")  # RFC 6901, 3
            self.add(f"{pointer}/{escaped}", "invalid", "is not known here")
        for absent in sorted(known - optional - raw.keys()):
            self.add(f"{pointer}/{absent}", "invalid", "is missing; null where there is nothing to say")

    def text(self, raw: dict[str, Any], name: str, at_most: int, pointer: str = "") -> str | None:
        """Give an optional text of at most so many characters."""
        value = raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or not _is_plain(value):
            self.add(f"{pointer}/{name}", "invalid", "must be null or a text without control characters")
            return None
        if len(value) > at_most:
            self.add(
                f"{pointer}/{name}",
                f"{name.replace('_', '-')}-too-long",
                f"has more than {at_most} characters",
            )
        return value


def destination_of(raw: Mapping[str, Any], catalog: Catalog) -> Destination | None:
    """Return the destination that a declaration names; None if the catalog has none such."""
    return catalog.destinations.get(raw["to"]) if isinstance(raw.get("to"), str) else None


def stated_bytes(raw: Mapping[str, Any]) -> int:
    """Return how many bytes the documents of a declaration have together, as far as it says so."""
    documents = raw.get("documents")
    given = (
        [each.get("bytes") for each in documents if isinstance(each, dict)]
        if isinstance(documents, list)
        else []
    )
    return sum(size for size in given if isinstance(size, int) and _is_count(size))


def read(raw: dict[str, Any], catalog: Catalog) -> Declaration:
    """Hold a declaration against every rule; raise the Refusal that the contract names."""
    errors = _Errors()
    errors.members("", raw, _MEMBERS, optional={"identity"})  # which a personal declaration does not have
    destination = destination_of(raw, catalog)
    if destination is None:
        errors.add("/to", "unknown-destination", "is no destination of the catalog")
        raise _invalid(errors)
    documents = _documents(raw.get("documents"), destination, errors)
    resident = _IDENTITIES[destination.identity](raw.get("identity", _ABSENT), errors)
    online = _subject_category_and_type(raw, destination, catalog, errors)
    branch = errors.text(raw, "branch", 100)
    if branch is not None and not destination.takes_branch:
        errors.add("/branch", "not-taken", "the account's own branch handles it")
    elif branch is not None and branch not in catalog.branches:
        errors.add("/branch", "unknown-branch", "is no branch of the catalog")
    errors.text(raw, "remark", catalog.texts.remark)
    errors.text(raw, "reference", catalog.texts.reference)
    required = errors.text(raw, "required", 100)
    if required is not None and not destination.is_personal:
        errors.add("/required", "not-taken", "open destinations ask for no required documents")
    occurrence = raw.get("occurrence")
    if not _is_count(occurrence):
        errors.add("/occurrence", "invalid", "must be a whole number from 1")
    if errors.found:
        raise _invalid(errors)
    _documents_taken(documents, destination, catalog)
    if online is not None:
        raise online
    about = (raw["subject"], raw["category"], raw["type"])
    return Declaration(
        destination.is_personal, resident, branch, required, about, documents, canonicalize(raw)
    )


def refuse_what_is_not_required(read: Declaration, pending: Sequence[Mapping[str, Any]]) -> None:
    """Hold a personal submission against what the service asks for.

    Seed: "Si un document est requis par le système, il ne sera pas possible de télécharger d'autres documents
    en ligne concernant le sujet pour lequel il existe une telle exigence."
    """
    asked = next((each for each in pending if each["id"] == read.required), None)
    if read.required is not None:
        if asked is None:
            error = {
                "pointer": "/required",
                "code": "unknown-required",
                "detail": "nothing of the kind is asked for",
            }
            raise Refusal(422, "invalid", "no such required document", {"errors": [error]})
        if (asked["subject"], asked["category"], asked["type"]) != read.about:
            error = {"pointer": "/type", "code": "unknown-type", "detail": "another type was asked for"}
            raise Refusal(422, "invalid", "not the required document", {"errors": [error]})
        return
    waiting = [each["id"] for each in pending if each["subject"] == read.about[0]]
    if waiting:
        detail = "this subject takes its required documents only"
        raise Refusal(422, "required-documents-pending", detail, {"required": waiting})


def parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a declaration, judged by its form only; refuse anything else with 400."""
    try:
        raw = json.loads(
            body.decode("utf-8"), object_pairs_hook=_no_twins, parse_float=_no_float, parse_constant=_no_float
        )
        canonicalize(raw)  # a lone surrogate is no text
    except (ValueError, RecursionError):
        raise Refusal(400, "malformed", "the body is not the JSON object of a declaration") from None
    if not isinstance(raw, dict):
        raise Refusal(400, "malformed", "the body is not the JSON object of a declaration")
    return raw


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_float(_text: str) -> float:
    raise ValueError("declarations have whole numbers only")


def _invalid(errors: _Errors) -> Refusal:
    return Refusal(422, "invalid", "the declaration breaks rules of the service", {"errors": errors.found})


def _is_count(value: object) -> bool:
    """Tell a whole number from 1 that every JSON reader keeps exact."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**53


def _is_plain(text: str) -> bool:
    return not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)


# -- what it is about --------------------------------------------------------------------------------------


def _subject_category_and_type(
    raw: dict[str, Any], destination: Destination, catalog: Catalog, errors: _Errors
) -> Refusal | None:
    """Check the codes; give back the refusal of a type that is filed online, for its turn in the order."""
    subject, category, type_code = (_code(raw.get(name)) for name in ("subject", "category", "type"))
    if destination.needs_subject:
        if subject not in {known.code for known in catalog.subjects_of(destination.code)}:
            missing = subject is None
            code = "subject-missing" if missing else "unknown-subject"
            errors.add("/subject", code, "must be a subject of the destination")
            return None
    elif subject is not None:
        errors.add("/subject", "not-taken", "this destination has no subjects")
        return None
    fitting = catalog.types_of(destination.code, subject)
    if category not in {type_.category for type_ in fitting}:
        code = "category-missing" if category is None else "unknown-category"
        errors.add("/category", code, "must be a category of the subject")
    type_ = next((known for known in fitting if known.code == type_code), None)
    if type_ is None or type_.category != category:
        code = "type-missing" if type_code is None else "unknown-type"
        errors.add("/type", code, "must be a type of the category")
        return None
    if type_.online is None:
        return None
    # Where no official page confirms that the online form takes the document's place, the client leaves
    # the decision to the service; the sandbox decides to refuse.
    return Refusal(
        422,
        "online-form-required",
        "this type is filed as an online form, not as a document",
        {"form": type_.online.number, "url": type_.online.url},
    )


def _code(value: object) -> str | None:
    """Give a code as a text that can be looked up; whatever is not a text is no code of anything."""
    return value if isinstance(value, str) or value is None else ""


# -- whom it is about --------------------------------------------------------------------------------------


def _insured(raw: object, errors: _Errors) -> str | None:
    number = raw.get("id_number") if isinstance(raw, dict) and raw.keys() == {"id_number"} else None
    if not isinstance(number, str) or not re.fullmatch(r"[0-9]{9}", number) or not _has_check_digit(number):
        errors.add("/identity/id_number", "id-number-invalid", "must be 9 digits with their check digit")
        return None
    return number


def _has_check_digit(number: str) -> bool:
    """Weigh the digits 1, 2, 1, 2, ...; the sum of the products' digits ends in 0 (the Luhn check)."""
    products = [int(digit) * (1 + place % 2) for place, digit in enumerate(number)]
    return number != "000000000" and sum(product // 10 + product % 10 for product in products) % 10 == 0


_EMPLOYER_PATTERNS = {
    "booklet": ("booklet-missing", re.compile(r"[0-9A-Za-z/-]{1,32}\Z")),
    "mobile": ("mobile-invalid", re.compile(r"05[0-9]{8}\Z")),
    "employer_kind": ("unknown-employer-kind", re.compile(r"(deduction|household|building-committee)\Z")),
}


_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+\Z")


def _employer(raw: object, errors: _Errors) -> str | None:
    identity = raw if isinstance(raw, dict) else {}
    errors.members("/identity", identity, {"employer_file", "email", *_EMPLOYER_PATTERNS})
    file = identity.get("employer_file")
    digits = r"[0-9]{9}" if identity.get("employer_kind") == "deduction" else r"[0-9]{1,20}"
    if not isinstance(file, str) or not re.fullmatch(digits, file):
        errors.add("/identity/employer_file", "employer-file-invalid", "must be the digits of a file number")
    for name, (code, pattern) in _EMPLOYER_PATTERNS.items():
        value = identity.get(name)
        if not isinstance(value, str) or not pattern.match(value):
            errors.add(f"/identity/{name}", code, "is missing or has another form")
    email = identity.get("email")
    if email is not None and not (isinstance(email, str) and _EMAIL.match(email) and _is_plain(email)):
        errors.add("/identity/email", "email-invalid", "must be null or an address")
    return file if isinstance(file, str) else None


def _account(raw: object, errors: _Errors) -> str | None:
    if raw is not _ABSENT:
        errors.add("/identity", "not-taken", "the session says who it is")
    return None


_IDENTITIES: dict[str, Callable[[object, _Errors], str | None]] = {
    "insured": _insured,
    "employer": _employer,
    "account": _account,
}


# -- documents ---------------------------------------------------------------------------------------------


def _documents(raw: object, destination: Destination, errors: _Errors) -> tuple[Declared, ...]:
    if isinstance(raw, list) and len(raw) > _MOST_DOCUMENTS:
        most = destination.max_documents or _MOST_DOCUMENTS
        raise Refusal(413, "too-many-documents", f"at most {most} documents are taken", {"limit": most})
    if not isinstance(raw, list) or not raw:
        errors.add("/documents", "documents-missing", "must be a list of at least one document")
        return ()
    declared = []
    for position, entry in enumerate(raw):
        document = _document(entry)
        if document is None:
            detail = "must be {name, bytes, sha256}, of a readable name, 1 byte or more, and 64 hex digits"
            errors.add(f"/documents/{position}", "invalid", detail)
        else:
            declared.append(document)
    seen: set[str] = set()
    for position, document in enumerate(declared):
        if document.sha256 in seen:
            errors.add(f"/documents/{position}", "duplicate-document", "stands twice in the declaration")
        seen.add(document.sha256)
    return tuple(declared)


def _document(raw: object) -> Declared | None:
    if not isinstance(raw, dict) or raw.keys() != {"name", "bytes", "sha256"}:
        return None
    name, size, digest = raw["name"], raw["bytes"], raw["sha256"]
    is_name = (
        isinstance(name, str)
        and len(name.encode()) > 0
        and _is_plain(name)
        and not re.search(r"[/\\\n]", name)
    )
    is_whole = is_name and _is_count(size) and isinstance(digest, str) and SHA256.match(digest)
    return Declared(name, size, digest) if is_whole else None


def _documents_taken(documents: tuple[Declared, ...], destination: Destination, catalog: Catalog) -> None:
    """Refuse by count and size (413) and by extension (415), before any document is sent."""
    most = destination.max_documents
    if most is not None and len(documents) > most:
        raise Refusal(413, "too-many-documents", f"at most {most} documents are taken", {"limit": most})
    largest = destination.max_document_bytes
    for position, document in enumerate(documents):
        pointer = f"/documents/{position}"
        if document.size > largest:
            detail = f"a document may have {largest} bytes"
            raise Refusal(413, "document-too-large", detail, {"limit": largest, "pointer": pointer})
        if content.extension(document.name) not in destination.formats:
            detail = f"taken are {', '.join(destination.formats)}"
            raise Refusal(
                415,
                "format-not-accepted",
                detail,
                {"accepted": list(destination.formats), "pointer": pointer},
            )
        if len(document.name.encode()) > catalog.texts.document_name:
            error = {"pointer": f"{pointer}/name", "code": "name-not-accepted", "detail": "is too long"}
            raise Refusal(422, "invalid", "a name is too long", {"errors": [error]})
