"""The codes of problems: what each is about, and what it asks of whoever reads it.

A code is what scripts and support know a problem by: it is never translated, and never changes. Its `kind`
decides what becomes of the problem: the exit code, whether the guided send asks, what a batch leaves out;
nothing is read into its letters. docs/problems.md is made from this table and from runs (tests/provoked.py).
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]


class Kind(Enum):
    """What a problem asks of whoever reads it."""

    MISSING = "something needed is not given: give it"
    INVALID = "a check before sending found it: change what is sent"
    WARNING = "worth knowing: it stops nothing"
    USAGE = "the command line or the settings: change them"
    SIGN_IN = "a sign-in is needed, or was refused"
    REFUSED = "the service refused for good: change what is sent"
    UNFINISHED = "it broke off: run the same command again"
    LOCAL = "ledger, keyring or disk failed"
    BUG = "a bug in docsend"
    INTERRUPTED = "a signal stopped it"


class Code(Enum):
    """One code: its name in JSON, its kind, the field that it is about if there is one, and what it means."""

    kind: Kind
    field: str | None
    meaning: str

    def __new__(cls, value: str, kind: Kind, field: str | None, meaning: str) -> Code:
        code = object.__new__(cls)
        code._value_ = value
        code.kind, code.field, code.meaning = kind, field, meaning
        return code

    def __str__(self) -> str:
        name: str = self.value
        return name

    @property
    def severity(self) -> Severity:
        return "warning" if self.kind is Kind.WARNING else "error"

    # -- something needed is not given -------------------------------------------------------------------

    DESTINATION_MISSING = "destination-missing", Kind.MISSING, "to", "no destination is given"
    SUBJECT_MISSING = "subject-missing", Kind.MISSING, "subject", "the destination needs a subject"
    CATEGORY_MISSING = "category-missing", Kind.MISSING, "category", "no category is given"
    TYPE_MISSING = "type-missing", Kind.MISSING, "type", "no document type is given"
    ID_NUMBER_MISSING = "id-number-missing", Kind.MISSING, "id", "no id number is given"
    EMPLOYER_FILE_MISSING = (
        "employer-file-missing", Kind.MISSING, "employer_file", "no employer's file number is given",
    )  # fmt: skip
    BOOKLET_MISSING = "booklet-missing", Kind.MISSING, "booklet", "no booklet number is given"
    MOBILE_MISSING = "mobile-missing", Kind.MISSING, "mobile", "no mobile number is given"
    DOCUMENTS_MISSING = "documents-missing", Kind.MISSING, "documents", "no document is given"

    # -- what is given is wrong --------------------------------------------------------------------------

    UNKNOWN_DESTINATION = "unknown-destination", Kind.INVALID, "to", "the catalog has no such destination"
    UNKNOWN_SUBJECT = "unknown-subject", Kind.INVALID, "subject", "the destination has no such subject"
    UNKNOWN_CATEGORY = "unknown-category", Kind.INVALID, "category", "the subject has no such category"
    UNKNOWN_TYPE = "unknown-type", Kind.INVALID, "type", "the category has no such type"
    UNKNOWN_BRANCH = "unknown-branch", Kind.INVALID, "branch", "the catalog has no such branch"
    UNKNOWN_EMPLOYER_KIND = (
        "unknown-employer-kind", Kind.INVALID, "employer_kind", "there is no such kind of employer file",
    )  # fmt: skip
    UNKNOWN_REQUIRED = "unknown-required", Kind.INVALID, "required", "the service asks for no such document"
    UNKNOWN_SENDER = "unknown-sender", Kind.INVALID, "sender", "no sender of this name is kept"
    NOT_TAKEN = "not-taken", Kind.INVALID, None, "the destination has no place for this field"
    ID_NUMBER_INVALID = "id-number-invalid", Kind.INVALID, "id", "not nine digits, or a wrong check digit"
    EMPLOYER_FILE_INVALID = (
        "employer-file-invalid", Kind.INVALID, "employer_file", "not the digits of an employer's file number",
    )  # fmt: skip
    BOOKLET_INVALID = "booklet-invalid", Kind.INVALID, "booklet", "characters that no booklet number has"
    MOBILE_INVALID = "mobile-invalid", Kind.INVALID, "mobile", "not 05 and eight digits"
    EMAIL_INVALID = "email-invalid", Kind.INVALID, "email", "not an e-mail address"
    OCCURRENCE_INVALID = "occurrence-invalid", Kind.INVALID, "occurrence", "not a whole number from 1"
    REMARK_TOO_LONG = "remark-too-long", Kind.INVALID, "remark", "more characters than the catalog allows"
    REFERENCE_TOO_LONG = (
        "reference-too-long", Kind.INVALID, "reference", "more characters than the catalog allows",
    )  # fmt: skip
    REQUIRED_TOO_LONG = (
        "required-too-long", Kind.INVALID, "required", "more characters than an id has",
    )  # fmt: skip
    BRANCH_TOO_LONG = "branch-too-long", Kind.INVALID, "branch", "more characters than a code has"
    TEXT_NOT_ACCEPTED = (
        "text-not-accepted", Kind.INVALID, None, "control characters, or ones that turn the text around",
    )  # fmt: skip
    ONLINE_FORM_REQUIRED = (
        "online-form-required", Kind.INVALID, "type", "the type is filed as an online form instead",
    )  # fmt: skip
    REQUIRED_DOCUMENTS_PENDING = (
        "required-documents-pending", Kind.INVALID, "subject",
        "the subject takes nothing else before the documents that the service asks for",
    )  # fmt: skip

    # -- documents ---------------------------------------------------------------------------------------

    TOO_MANY_DOCUMENTS = (
        "too-many-documents", Kind.INVALID, "documents", "more documents than the destination takes",
    )  # fmt: skip
    DUPLICATE_DOCUMENT = "duplicate-document", Kind.INVALID, "documents", "the same document twice"
    NAME_NOT_ACCEPTED = (
        "name-not-accepted", Kind.INVALID, "documents", "a file name that cannot be shown, or is too long",
    )  # fmt: skip
    FORMAT_NOT_ACCEPTED = (
        "format-not-accepted", Kind.INVALID, "documents", "an extension that the destination does not take",
    )  # fmt: skip
    DOCUMENT_NOT_FOUND = "document-not-found", Kind.INVALID, "documents", "there is no such file"
    NOT_A_REGULAR_FILE = (
        "not-a-regular-file", Kind.INVALID, "documents", "a folder, pipe, socket or device",
    )  # fmt: skip
    UNREADABLE_DOCUMENT = "unreadable-document", Kind.INVALID, "documents", "the file cannot be read"
    EMPTY_DOCUMENT = "empty-document", Kind.INVALID, "documents", "the file has 0 bytes"
    DOCUMENT_TOO_LARGE = (
        "document-too-large", Kind.INVALID, "documents", "more bytes than the destination takes",
    )  # fmt: skip
    CONTENT_MISMATCH = (
        "content-mismatch", Kind.INVALID, "documents", "the content is not what the extension says",
    )  # fmt: skip
    ENCRYPTED_PDF = "encrypted-pdf", Kind.INVALID, "documents", "a PDF that is encrypted"
    DAMAGED_DOCUMENT = "damaged-document", Kind.INVALID, "documents", "damaged or cut short"
    DOCUMENT_CHANGED = (
        "document-changed",
        Kind.INVALID,
        "documents",
        "the file changed while it was sent",
    )

    # -- manifests ---------------------------------------------------------------------------------------

    MANIFEST_ENCODING = "manifest-encoding", Kind.INVALID, None, "no text in an encoding that is read"
    MANIFEST_MALFORMED = "manifest-malformed", Kind.INVALID, None, "a workbook that cannot be read"
    MANIFEST_TOO_LARGE = "manifest-too-large", Kind.INVALID, None, "more bytes or rows than are read"
    NO_COLUMNS = "no-columns", Kind.INVALID, None, "the first row names no column"
    MISSING_COLUMN = "missing-column", Kind.INVALID, None, "the column of the documents is missing"
    UNKNOWN_COLUMN = "unknown-column", Kind.INVALID, None, "there is no such column"
    DUPLICATE_COLUMN = "duplicate-column", Kind.INVALID, None, "a column stands twice"
    ROW_MALFORMED = "row-malformed", Kind.INVALID, None, "the row cannot be understood"
    NUMBER_ROUNDED = "number-rounded", Kind.INVALID, None, "a spreadsheet has rounded a number"
    PATH_OUTSIDE = "path-outside", Kind.INVALID, "documents", "a file outside the manifest's folder"
    DUPLICATE_ROW = "duplicate-row", Kind.INVALID, None, "two rows say the same"
    KEY_CHANGED = (
        "key-changed", Kind.INVALID, None, "a received row of a report does not say the same any more",
    )  # fmt: skip

    # -- worth knowing -----------------------------------------------------------------------------------

    SIZE_NEAR_LIMIT = (
        "size-near-limit", Kind.WARNING, "documents", "so near the limit that its meaning decides",
    )  # fmt: skip
    ONLINE_FORM_POSSIBLE = "online-form-possible", Kind.WARNING, "type", "it may have to be filed online"
    EMPLOYER_FILE_UNUSUAL = (
        "employer-file-unusual", Kind.WARNING, "employer_file", "not as deduction file numbers usually are",
    )  # fmt: skip
    DOCUMENT_IN_TWO_ROWS = (
        "document-in-two-rows", Kind.WARNING, "documents", "another row has the same document",
    )  # fmt: skip
    ZEROS_RESTORED = (
        "zeros-restored", Kind.WARNING, None, "leading zeros that a spreadsheet removed are put back",
    )  # fmt: skip

    # -- refused by the service for good -----------------------------------------------------------------

    INVALID = "invalid", Kind.REFUSED, None, "the declaration breaks rules of the service"
    KEY_REUSED = "key-reused", Kind.REFUSED, None, "the key was used for another declaration"
    WITHDRAWN = "withdrawn", Kind.REFUSED, None, "the submission was withdrawn for good"
    ALREADY_RECEIVED = "already-received", Kind.REFUSED, None, "what is received cannot be withdrawn"
    ONE_EXCHANGE_TOO_LARGE = (
        "one-exchange-too-large", Kind.REFUSED, None, "too many bytes for one exchange: it goes staged",
    )  # fmt: skip
    LIMIT_ON_THE_WAY = (
        "limit-on-the-way", Kind.REFUSED, None, "a proxy lets no request of this size pass",
    )  # fmt: skip

    # -- a sign-in is needed, or was refused -------------------------------------------------------------

    SIGN_IN_NEEDED = "sign-in-needed", Kind.SIGN_IN, None, "the personal service needs a sign-in"
    SIGN_IN_REFUSED = "sign-in-refused", Kind.SIGN_IN, None, "the service refused code and password"
    LOCKED_OUT = "locked-out", Kind.SIGN_IN, None, "too many sign-ins were refused: wait"

    # -- it broke off ------------------------------------------------------------------------------------

    NAME_UNKNOWN = "name-unknown", Kind.UNFINISHED, None, "no address is known for the service's name"
    CONNECTION_REFUSED = "connection-refused", Kind.UNFINISHED, None, "nobody listens at the address"
    NO_ROUTE = "no-route", Kind.UNFINISHED, None, "there is no way to the service from here"
    TIMED_OUT = "timed-out", Kind.UNFINISHED, None, "no progress for too long"
    CONNECTION_BROKEN = "connection-broken", Kind.UNFINISHED, None, "the connection broke off"
    ENCRYPTION_FAILED = "encryption-failed", Kind.UNFINISHED, None, "no encryption could be agreed on"
    PROXY_REFUSED = "proxy-refused", Kind.UNFINISHED, None, "the proxy refused the connection"
    REDIRECTED = "redirected", Kind.UNFINISHED, None, "the address sends elsewhere; it is not followed"
    PAGE_INSTEAD = "page-instead", Kind.UNFINISHED, None, "a web page was answered"
    CONTRACT_BROKEN = "contract-broken", Kind.UNFINISHED, None, "the response is not what the contract says"
    SERVICE_BUSY = "service-busy", Kind.UNFINISHED, None, "the service cannot answer now"
    OWN_FAULT = "own-fault", Kind.UNFINISHED, None, "the service failed"
    TOO_SLOW = "too-slow", Kind.UNFINISHED, None, "the request came too slowly"
    NOT_FOUND = "not-found", Kind.UNFINISHED, None, "the service has nothing under this address"
    INCOMPLETE = "incomplete", Kind.UNFINISHED, None, "the service lacks documents of the submission"
    DIGEST_MISMATCH = "digest-mismatch", Kind.UNFINISHED, None, "the bytes were changed on the way"
    MALFORMED = "malformed", Kind.UNFINISHED, None, "the service cannot read the request"
    LENGTH_REQUIRED = "length-required", Kind.UNFINISHED, None, "the service wants a Content-Length"
    METHOD_NOT_ALLOWED = "method-not-allowed", Kind.UNFINISHED, None, "the address has no such call"
    MEDIA_TYPE_NOT_ACCEPTED = (
        "media-type-not-accepted", Kind.UNFINISHED, None, "the service does not read this kind of body",
    )  # fmt: skip
    ORIGIN_NOT_ALLOWED = "origin-not-allowed", Kind.UNFINISHED, None, "the request has a foreign Origin"
    DECLARATION_TOO_LARGE = (
        "declaration-too-large", Kind.REFUSED, None, "the declaration has more bytes than are read",
    )  # fmt: skip

    # -- the settings, or the network's ------------------------------------------------------------------

    CERTIFICATE_AUTHORITY = (
        "certificate-authority", Kind.USAGE, None, "the certificate's authority is not trusted here",
    )  # fmt: skip
    CERTIFICATE_NAME = "certificate-name", Kind.USAGE, None, "the certificate is for another name"
    CERTIFICATE_DATE = "certificate-date", Kind.USAGE, None, "the certificate is not valid now"
    CERTIFICATE_INVALID = "certificate-invalid", Kind.USAGE, None, "the certificate cannot be verified"
    PROXY_AUTHENTICATION = (
        "proxy-authentication", Kind.USAGE, None, "the proxy asks for a name and a password",
    )  # fmt: skip
    HOST_NOT_SERVED = "host-not-served", Kind.USAGE, None, "the service is not the host of this address"

    # -- how a run ended, if nothing else says it --------------------------------------------------------

    USAGE = "usage", Kind.USAGE, None, "the command line or the settings cannot be understood"
    FAULTY = "faulty", Kind.INVALID, None, "the checks failed"
    REFUSED = "refused", Kind.REFUSED, None, "the service refused"
    NOT_TRIED = "not-tried", Kind.UNFINISHED, None, "the batch ended before it was this row's turn"
    UNFINISHED = "unfinished", Kind.UNFINISHED, None, "nothing is lost: the same command again finishes it"
    LOCAL_FAILURE = "local-failure", Kind.LOCAL, None, "ledger, keyring or disk failed"
    BUG = "bug", Kind.BUG, None, "a bug in docsend"
    INTERRUPTED = "interrupted", Kind.INTERRUPTED, None, "Ctrl-C"
    TERMINATED = "terminated", Kind.INTERRUPTED, None, "SIGTERM"


class ForeignCode(NamedTuple):
    """A code of a service that this docsend does not know: a refusal, whatever it is about."""

    value: str
    kind: Kind = Kind.REFUSED
    field: str | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        return self.value


AnyCode: TypeAlias = Code | ForeignCode


_BY_NAME = {code.value: code for code in Code}


def from_service(name: str) -> AnyCode:
    """Return the code that a service names in a refusal of a declaration.

    It may name what checks here find, too. The other codes of docsend's own say what happened on this side:
    a refusal is none of them, and no warning.
    """
    code = _BY_NAME.get(name)
    if code is None:
        return ForeignCode(name)
    return code if code.kind in (Kind.MISSING, Kind.INVALID) else Code.INVALID
