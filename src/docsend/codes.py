"""Problem codes, each with its kind, field and meaning.

Scripts and support identify a problem by its code, so a code is never translated and never changes. A code's
`kind` determines the severity and whether the guided mode asks for the value. A batch omits problems of the
kind MISSING for cells that could not be read. The exit code depends on the exception that reports the
problem. Nothing is derived from the spelling of a code. docs/problems.md is generated from this table and
from real runs (tests/problem_cases.py).
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]


class Kind(Enum):
    """Kind of a problem. The value describes the kind and what to do about it."""

    MISSING = "a required value is missing: give it"
    INVALID = "a check before sending failed: correct the submission"
    WARNING = "a warning: the submission can still be sent"
    USAGE = "the command line or the settings are wrong: correct them"
    SIGN_IN = "a sign-in is required or was refused"
    REFUSED = "the service refused permanently: change the submission"
    UNFINISHED = "the run could not finish: run the same command again"
    LOCAL = "the ledger, the keyring or the disk failed"
    BUG = "a bug in docsend"
    INTERRUPTED = "a signal stopped the run"


class Code(Enum):
    """A problem code: its name in JSON, its kind, the field that it concerns (if any) and its meaning."""

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
        """Severity: "warning" for codes of the kind WARNING, else "error"."""
        return "warning" if self.kind is Kind.WARNING else "error"

    # -- missing values ----------------------------------------------------------------------------------

    DESTINATION_MISSING = "destination-missing", Kind.MISSING, "to", "no destination given"
    SUBJECT_MISSING = (
        "subject-missing", Kind.MISSING, "subject", "no subject given, and the destination requires one",
    )  # fmt: skip
    CATEGORY_MISSING = "category-missing", Kind.MISSING, "category", "no category given"
    TYPE_MISSING = "type-missing", Kind.MISSING, "type", "no document type given"
    ID_NUMBER_MISSING = "id-number-missing", Kind.MISSING, "id", "no id number given"
    EMPLOYER_FILE_MISSING = (
        "employer-file-missing", Kind.MISSING, "employer_file", "no employer file number given",
    )  # fmt: skip
    BOOKLET_MISSING = "booklet-missing", Kind.MISSING, "booklet", "no booklet number given"
    MOBILE_MISSING = "mobile-missing", Kind.MISSING, "mobile", "no mobile number given"
    DOCUMENTS_MISSING = "documents-missing", Kind.MISSING, "documents", "no document given"

    # -- invalid values ----------------------------------------------------------------------------------

    UNKNOWN_DESTINATION = "unknown-destination", Kind.INVALID, "to", "the catalog has no such destination"
    UNKNOWN_SUBJECT = "unknown-subject", Kind.INVALID, "subject", "the destination has no such subject"
    UNKNOWN_CATEGORY = "unknown-category", Kind.INVALID, "category", "the subject has no such category"
    UNKNOWN_TYPE = "unknown-type", Kind.INVALID, "type", "the category has no such type"
    UNKNOWN_BRANCH = "unknown-branch", Kind.INVALID, "branch", "the catalog has no such branch"
    UNKNOWN_EMPLOYER_KIND = (
        "unknown-employer-kind", Kind.INVALID, "employer_kind", "unknown kind of employer file",
    )  # fmt: skip
    UNKNOWN_REQUIRED = (
        "unknown-required", Kind.INVALID, "required", "the service does not require such a document",
    )  # fmt: skip
    UNKNOWN_SENDER = "unknown-sender", Kind.INVALID, "sender", "no sender is saved under this name"
    NOT_TAKEN = "not-taken", Kind.INVALID, None, "the destination does not accept this field"
    ID_NUMBER_INVALID = "id-number-invalid", Kind.INVALID, "id", "not nine digits, or a wrong check digit"
    EMPLOYER_FILE_INVALID = (
        "employer-file-invalid", Kind.INVALID, "employer_file", "not a valid employer file number",
    )  # fmt: skip
    BOOKLET_INVALID = (
        "booklet-invalid", Kind.INVALID, "booklet", "not 1 to 32 digits, letters, hyphens or slashes",
    )  # fmt: skip
    MOBILE_INVALID = "mobile-invalid", Kind.INVALID, "mobile", "not 10 digits starting with 05"
    EMAIL_INVALID = "email-invalid", Kind.INVALID, "email", "not an email address"
    OCCURRENCE_INVALID = "occurrence-invalid", Kind.INVALID, "occurrence", "not a whole number of at least 1"
    REMARK_TOO_LONG = "remark-too-long", Kind.INVALID, "remark", "more characters than the catalog allows"
    REFERENCE_TOO_LONG = (
        "reference-too-long", Kind.INVALID, "reference", "more characters than the catalog allows",
    )  # fmt: skip
    REQUIRED_TOO_LONG = "required-too-long", Kind.INVALID, "required", "more characters than an id can have"
    BRANCH_TOO_LONG = "branch-too-long", Kind.INVALID, "branch", "more characters than a code can have"
    TEXT_NOT_ACCEPTED = (
        "text-not-accepted", Kind.INVALID, None,
        "control characters, or characters that reverse the reading direction",
    )  # fmt: skip
    ONLINE_FORM_REQUIRED = (
        "online-form-required", Kind.INVALID, "type", "the type must be filed as an online form instead",
    )  # fmt: skip
    REQUIRED_DOCUMENTS_PENDING = (
        "required-documents-pending", Kind.INVALID, "subject",
        "the service requires other documents about this subject first",
    )  # fmt: skip

    # -- documents ---------------------------------------------------------------------------------------

    TOO_MANY_DOCUMENTS = (
        "too-many-documents", Kind.INVALID, "documents", "more documents than the destination accepts",
    )  # fmt: skip
    DUPLICATE_DOCUMENT = "duplicate-document", Kind.INVALID, "documents", "the same document was given twice"
    NAME_NOT_ACCEPTED = (
        "name-not-accepted", Kind.INVALID, "documents",
        "a file name with characters that cannot be displayed, or that is too long",
    )  # fmt: skip
    FORMAT_NOT_ACCEPTED = (
        "format-not-accepted", Kind.INVALID, "documents",
        "a file format that the destination does not accept",
    )  # fmt: skip
    DOCUMENT_NOT_FOUND = "document-not-found", Kind.INVALID, "documents", "the file does not exist"
    NOT_A_REGULAR_FILE = "not-a-regular-file", Kind.INVALID, "documents", "a folder, pipe, socket or device"
    UNREADABLE_DOCUMENT = "unreadable-document", Kind.INVALID, "documents", "the file cannot be read"
    EMPTY_DOCUMENT = "empty-document", Kind.INVALID, "documents", "the file has 0 bytes"
    DOCUMENT_TOO_LARGE = (
        "document-too-large", Kind.INVALID, "documents", "more bytes than the destination accepts",
    )  # fmt: skip
    CONTENT_MISMATCH = (
        "content-mismatch", Kind.INVALID, "documents", "the content does not match the extension",
    )  # fmt: skip
    ENCRYPTED_PDF = (
        "encrypted-pdf", Kind.INVALID, "documents", "the PDF needs a password or certificate to be opened",
    )  # fmt: skip
    DOCUMENT_ALTERED = (
        "document-altered", Kind.INVALID, "documents",
        "a program treated the document as text (a warning if some of it may still be readable)",
    )  # fmt: skip
    UNVIEWABLE_IMAGE = (
        "unviewable-image", Kind.INVALID, "documents",
        "a variant of an image format that common viewers cannot open",
    )  # fmt: skip
    DAMAGED_DOCUMENT = "damaged-document", Kind.INVALID, "documents", "the document is damaged or truncated"
    DOCUMENT_CHANGED = (
        "document-changed", Kind.INVALID, "documents", "the file changed while it was being sent",
    )  # fmt: skip

    # -- what was sent before ----------------------------------------------------------------------------

    REFERENCE_RECEIVED_BEFORE = (
        "reference-received-before", Kind.INVALID, "reference",
        "the same reference was received before with other documents",
    )  # fmt: skip
    CONTENT_RECEIVED_BEFORE = (
        "content-received-before", Kind.INVALID, "documents",
        "the same documents were received before under another name, remark or reference",
    )  # fmt: skip
    OCCURRENCE_TOO_EARLY = (
        "occurrence-too-early", Kind.INVALID, "occurrence", "a lower occurrence was not received yet",
    )  # fmt: skip

    # -- manifests ---------------------------------------------------------------------------------------

    MANIFEST_ENCODING = (
        "manifest-encoding", Kind.INVALID, None, "the manifest is not text in a supported encoding",
    )  # fmt: skip
    MANIFEST_MALFORMED = (
        "manifest-malformed", Kind.INVALID, None, "the workbook or the JSON of the manifest cannot be read",
    )  # fmt: skip
    MANIFEST_TOO_LARGE = "manifest-too-large", Kind.INVALID, None, "the manifest has too many bytes or rows"
    NO_COLUMNS = "no-columns", Kind.INVALID, None, "the first row contains no column names"
    NO_ROWS = "no-rows", Kind.INVALID, None, "the manifest has column names, but no rows"
    MISSING_COLUMN = "missing-column", Kind.INVALID, None, "the column for the documents is missing"
    UNKNOWN_COLUMN = "unknown-column", Kind.INVALID, None, "the column is unknown"
    DUPLICATE_COLUMN = "duplicate-column", Kind.INVALID, None, "a column occurs twice"
    ROW_MALFORMED = "row-malformed", Kind.INVALID, None, "the row cannot be parsed"
    NUMBER_ROUNDED = "number-rounded", Kind.INVALID, None, "a spreadsheet rounded a number"
    PATH_OUTSIDE = "path-outside", Kind.INVALID, "documents", "a file is outside the manifest's folder"
    DUPLICATE_ROW = "duplicate-row", Kind.INVALID, None, "two rows have the same content"
    REFERENCE_IN_TWO_ROWS = (
        "reference-in-two-rows", Kind.INVALID, "reference",
        "two rows have the same reference, person, destination, subject and type",
    )  # fmt: skip
    CONTENT_IN_TWO_ROWS = (
        "content-in-two-rows", Kind.INVALID, "documents",
        "two rows have the same documents, person, destination, subject and type",
    )  # fmt: skip
    KEY_CHANGED = (
        "key-changed",
        Kind.INVALID,
        None,
        "a row of a report has changed since the report was written",
    )

    # -- warnings ----------------------------------------------------------------------------------------

    SIZE_NEAR_LIMIT = (
        "size-near-limit", Kind.WARNING, "documents",
        "the size exceeds the limit if a megabyte is 1,000,000 bytes",
    )  # fmt: skip
    RESTRICTED_PDF = (
        "restricted-pdf", Kind.WARNING, "documents",
        "the PDF opens without a password, but is encrypted and may forbid printing or copying",
    )  # fmt: skip
    PASSWORD_UNKNOWN = (
        "password-unknown", Kind.WARNING, "documents",
        "the PDF is encrypted, and whether it opens without a password was not checked",
    )  # fmt: skip
    REPAIRED_BY_VIEWERS = (
        "repaired-by-viewers", Kind.WARNING, "documents", "damage that viewers repair silently",
    )  # fmt: skip
    XFA_FORM = "xfa-form", Kind.WARNING, "documents", "a form whose pages many viewers do not show"
    PORTFOLIO_PDF = "portfolio-pdf", Kind.WARNING, "documents", "the PDF is a cover sheet with attached files"
    RARE_IMAGE = (
        "rare-image", Kind.WARNING, "documents", "a variant of an image format that some viewers cannot open",
    )  # fmt: skip
    NOT_DECODED = (
        "not-decoded", Kind.WARNING, "documents", "the document could not be decoded completely",
    )  # fmt: skip
    ONLINE_FORM_POSSIBLE = (
        "online-form-possible", Kind.WARNING, "type", "the type may have to be filed as an online form",
    )  # fmt: skip
    EMPLOYER_FILE_UNUSUAL = (
        "employer-file-unusual", Kind.WARNING, "employer_file",
        "the number does not resemble known deduction file numbers",
    )  # fmt: skip
    DOCUMENT_IN_TWO_ROWS = (
        "document-in-two-rows", Kind.WARNING, "documents", "another row has the same document",
    )  # fmt: skip
    ZEROS_MISSING = (
        "zeros-missing", Kind.WARNING, None, "a number whose leading zeros a spreadsheet may have removed",
    )  # fmt: skip
    ZEROS_RESTORED = (
        "zeros-restored", Kind.WARNING, None, "leading zeros that a spreadsheet removed were restored",
    )  # fmt: skip
    EARLIER_WITHDRAWN = (
        "earlier-withdrawn", Kind.WARNING, None,
        "an earlier submission, which was not received, was withdrawn in favor of this one",
    )  # fmt: skip
    PERHAPS_RECEIVED_BEFORE = (
        "perhaps-received-before", Kind.WARNING, None,
        "a submission recorded by docsend 0.1.0 may be the same for the same person",
    )  # fmt: skip
    HIDDEN_ROWS = (
        "hidden-rows", Kind.WARNING, None, "the workbook hides rows, which are sent like all others",
    )  # fmt: skip
    LIMITED_READER = (
        "limited-reader", Kind.WARNING, None,
        "the workbook's format does not show hidden rows, errors and formulas without results",
    )  # fmt: skip

    # -- refused by the service --------------------------------------------------------------------------

    INVALID = "invalid", Kind.REFUSED, None, "the submission violates the service's rules"
    KEY_REUSED = "key-reused", Kind.REFUSED, None, "the key was already used for a different declaration"
    WITHDRAWN = "withdrawn", Kind.REFUSED, None, "the submission was withdrawn"
    ALREADY_RECEIVED = "already-received", Kind.REFUSED, None, "a received submission cannot be withdrawn"
    ONE_EXCHANGE_TOO_LARGE = (
        "one-exchange-too-large", Kind.REFUSED, None,
        "too many bytes for one request: the submission is sent in several requests",
    )  # fmt: skip
    LIMIT_ON_THE_WAY = "limit-on-the-way", Kind.REFUSED, None, "a proxy refuses requests of this size"

    # -- sign-in -----------------------------------------------------------------------------------------

    SIGN_IN_NEEDED = "sign-in-needed", Kind.SIGN_IN, None, "the personal service requires a sign-in"
    SIGN_IN_REFUSED = "sign-in-refused", Kind.SIGN_IN, None, "the service refused the code and password"
    LOCKED_OUT = "locked-out", Kind.SIGN_IN, None, "too many failed sign-ins: wait"

    # -- unfinished --------------------------------------------------------------------------------------

    NAME_UNKNOWN = "name-unknown", Kind.UNFINISHED, None, "the service's host name cannot be resolved"
    CONNECTION_REFUSED = (
        "connection-refused", Kind.UNFINISHED, None, "the connection to the service was refused",
    )  # fmt: skip
    NO_ROUTE = "no-route", Kind.UNFINISHED, None, "there is no route to the service"
    TIMED_OUT = "timed-out", Kind.UNFINISHED, None, "no progress for too long"
    CONNECTION_BROKEN = "connection-broken", Kind.UNFINISHED, None, "the connection was interrupted"
    ENCRYPTION_FAILED = "encryption-failed", Kind.UNFINISHED, None, "TLS could not be negotiated"
    PROXY_REFUSED = "proxy-refused", Kind.UNFINISHED, None, "the proxy refused the connection"
    REDIRECTED = (
        "redirected", Kind.UNFINISHED, None,
        "the service redirects to another address, which is not followed",
    )  # fmt: skip
    PAGE_INSTEAD = "page-instead", Kind.UNFINISHED, None, "the response is a web page"
    CONTRACT_BROKEN = "contract-broken", Kind.UNFINISHED, None, "the service sent an invalid response"
    SERVICE_BUSY = "service-busy", Kind.UNFINISHED, None, "the service is busy"
    OWN_FAULT = "own-fault", Kind.UNFINISHED, None, "an internal error of the service"
    TOO_SLOW = "too-slow", Kind.UNFINISHED, None, "the request arrived too slowly"
    NOT_FOUND = "not-found", Kind.UNFINISHED, None, "the service does not know the resource"
    INCOMPLETE = "incomplete", Kind.UNFINISHED, None, "the service lacks documents of the submission"
    DIGEST_MISMATCH = "digest-mismatch", Kind.UNFINISHED, None, "the document was altered in transit"
    MALFORMED = "malformed", Kind.UNFINISHED, None, "the service cannot parse the request"
    LENGTH_REQUIRED = "length-required", Kind.UNFINISHED, None, "the service requires a Content-Length"
    METHOD_NOT_ALLOWED = (
        "method-not-allowed", Kind.UNFINISHED, None, "the resource does not support the method",
    )  # fmt: skip
    MEDIA_TYPE_NOT_ACCEPTED = (
        "media-type-not-accepted", Kind.UNFINISHED, None, "the service does not accept this media type",
    )  # fmt: skip
    ORIGIN_NOT_ALLOWED = (
        "origin-not-allowed", Kind.UNFINISHED, None,
        "the request has an Origin that the service does not allow",
    )  # fmt: skip
    DECLARATION_TOO_LARGE = "declaration-too-large", Kind.REFUSED, None, "the declaration has too many bytes"

    # -- settings of this machine or the network ---------------------------------------------------------

    CERTIFICATE_AUTHORITY = (
        "certificate-authority", Kind.USAGE, None,
        "this machine does not trust the authority that issued the certificate",
    )  # fmt: skip
    CERTIFICATE_NAME = "certificate-name", Kind.USAGE, None, "the certificate is for another host name"
    CERTIFICATE_DATE = "certificate-date", Kind.USAGE, None, "the certificate is not valid now"
    CERTIFICATE_INVALID = "certificate-invalid", Kind.USAGE, None, "the certificate cannot be verified"
    PROXY_AUTHENTICATION = (
        "proxy-authentication", Kind.USAGE, None, "the proxy requires a user name and a password",
    )  # fmt: skip
    HOST_NOT_SERVED = "host-not-served", Kind.USAGE, None, "the service does not serve this host name"

    # -- how a run ended, if there is no more specific code ----------------------------------------------

    USAGE = "usage", Kind.USAGE, None, "the command line or the settings are invalid"
    FAULTY = "faulty", Kind.INVALID, None, "the checks failed"
    REFUSED = "refused", Kind.REFUSED, None, "the service refused"
    NOT_TRIED = "not-tried", Kind.UNFINISHED, None, "the batch ended before this row was sent"
    UNFINISHED = (
        "unfinished", Kind.UNFINISHED, None, "nothing is lost: run the same command again to continue",
    )  # fmt: skip
    LOCAL_FAILURE = "local-failure", Kind.LOCAL, None, "the ledger, the keyring or the disk failed"
    BUG = "bug", Kind.BUG, None, "a bug in docsend"
    INTERRUPTED = "interrupted", Kind.INTERRUPTED, None, "stopped by Ctrl-C"
    TERMINATED = "terminated", Kind.INTERRUPTED, None, "stopped by SIGTERM"


class ForeignCode(NamedTuple):
    """A service's problem code that this version of docsend does not know. It is treated as a refusal."""

    value: str
    kind: Kind = Kind.REFUSED
    field: str | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        return self.value


AnyCode: TypeAlias = Code | ForeignCode


_BY_NAME = {code.value: code for code in Code}


def from_service(name: str) -> AnyCode:
    """Return the code for a name that a service gave as its reason to refuse a declaration.

    A service may use the codes of docsend's own checks. docsend's other codes describe warnings or events on
    the client. For the name of such a code, return `Code.INVALID`. For an unknown name, return a ForeignCode.
    """
    code = _BY_NAME.get(name)
    if code is None:
        return ForeignCode(name)
    return code if code.kind in (Kind.MISSING, Kind.INVALID) else Code.INVALID
