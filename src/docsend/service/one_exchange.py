"""One exchange: a small submission, sent completely in one request (docs/contract.md, "One exchange").

This module builds the request. It also recognizes responses that reject this way of sending, but not the
submission itself. It remembers the services that sent such a response. Submissions to these services are
sent staged, without telling the user.
"""

from __future__ import annotations

import contextlib
import json
import threading
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.model.canonical import canonicalize
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from docsend.model.catalog import Catalog
    from docsend.model.document import Document
    from docsend.model.submission import CheckedSubmission
    from docsend.service.exchange import Header
    from docsend.service.responses import Response

# Problem codes that reject how the request is built. Staged requests are built differently.
_FORM_CODES = frozenset(
    {
        Code.DECLARATION_TOO_LARGE,
        Code.LENGTH_REQUIRED,
        Code.MALFORMED,
        Code.MEDIA_TYPE_NOT_ACCEPTED,
        Code.METHOD_NOT_ALLOWED,
        Code.NOT_FOUND,
    }
)
_NOT_IMPLEMENTED, _TOO_LARGE = 501, 413
# These statuses reject neither one exchange nor the submission: authentication at the service (401) or at a
# proxy (407), timeout (408), too early (425), too many requests (429).
_UNDECIDED_STATUSES = frozenset({401, 407, 408, 425, 429})
_MAX_FILE_BYTES = 4096
# After this number of submissions in a row that did not get through, the run sends all others staged.
_MAX_LOST_IN_A_ROW = 2


class StagedFallback(NamedTuple):
    """Result of one exchange after which the submission has to be sent staged.

    `fewer_than` is a new limit for other submissions: only those with fewer bytes of documents may still be
    sent in one exchange. 0 allows none, and None leaves the limit unchanged. `may_be_received` is true if the
    service may have received one of the attempts. `is_lost` is true if the attempts did not get through.
    """

    fewer_than: int | None = None
    may_be_received: bool = False
    is_lost: bool = False


class OneExchangeRefused(Exception):
    """Raised when a response rejects sending in one exchange, or when no attempt gets through."""

    def __init__(self, fewer_than: int | None = None, *, is_lost: bool = False) -> None:
        super().__init__()
        self.fewer_than = fewer_than
        self.is_lost = is_lost


class OneExchangePolicy:
    """Policy that decides which submissions are sent in one exchange. Several threads may share it.

    A limit learned from a rejection is stored in a file next to the service's catalog. It applies until the
    catalog changes.
    """

    def __init__(self, max_bytes: int | None, etag: str, file: Path | None = None) -> None:
        """Accept submissions with up to `max_bytes` of documents, or none if `max_bytes` is None.

        `etag` identifies the catalog that sets this limit.
        """
        self._fewer_than = 0 if max_bytes is None else max_bytes + 1
        self._etag = etag
        self._file = file
        self._lost_in_a_row = 0
        self._lock = threading.Lock()
        if file is not None and self._fewer_than:
            self._fewer_than = min(self._fewer_than, self._read_limit(file))

    @classmethod
    def from_catalog(cls, catalog: Catalog, file: Path) -> OneExchangePolicy:
        """Return the policy for the catalog in use.

        `file` is where the service's own catalog is stored if it has been fetched.
        """
        try:
            etag = files.read_limited(file.with_suffix(".etag"), max_bytes=_MAX_FILE_BYTES).decode(
                "ascii", "replace"
            )
        except OSError:
            etag = catalog.version  # the bundled one
        return cls(catalog.one_exchange_bytes, etag, file.with_suffix(".one-exchange.json"))

    @property
    def max_bytes(self) -> int:
        """Maximum total size in bytes of the documents in one exchange, or 0 if none is accepted."""
        return max(self._fewer_than - 1, 0)

    def accepts(self, checked: CheckedSubmission) -> bool:
        """Return whether one exchange can send a submission: it is small, and all documents are in memory."""
        is_buffered = all(document.buffer is not None for document in checked.documents)
        return is_buffered and checked.total_bytes < self._fewer_than

    def record_fallback(self, fallback: StagedFallback) -> None:
        """Remember that one exchange was rejected or did not get through.

        Call this after the staged submission has a receipt. Only that proves that the problem was sending in
        one exchange, and not the submission.
        """
        with self._lock:
            self._lost_in_a_row = self._lost_in_a_row + 1 if fallback.is_lost else 0
            if self._lost_in_a_row >= _MAX_LOST_IN_A_ROW:  # an intermediary drops these requests for now
                self._fewer_than = 0
            if fallback.fewer_than is None or fallback.fewer_than >= self._fewer_than:
                return
            self._fewer_than = fallback.fewer_than
            if self._file is not None:
                content = canonicalize({"catalog": self._etag, "fewer_than": self._fewer_than})
                with contextlib.suppress(OSError):  # a failure costs the next run one more request
                    files.replace_file(self._file, content)

    def record_success(self) -> None:
        """Record that a submission was received in one exchange."""
        self._lost_in_a_row = 0

    def _read_limit(self, file: Path) -> int:
        """Return the stored `fewer_than` limit.

        Return the catalog's limit if the file cannot be read or is for another catalog.
        """
        with contextlib.suppress(OSError, ValueError, RecursionError):
            content = json.loads(files.read_limited(file, max_bytes=_MAX_FILE_BYTES))
            if isinstance(content, dict) and content.get("catalog") == self._etag:
                fewer_than = content.get("fewer_than")
                if isinstance(fewer_than, int) and fewer_than >= 0:
                    return fewer_than
        return self._fewer_than


NEVER = OneExchangePolicy(None, "")


def build_headers(checked: CheckedSubmission) -> tuple[Header, ...]:
    """Return the Content-Type field of a submission in one exchange. The boundary is the submission's key."""
    return ((b"Content-Type", b"multipart/form-data; boundary=" + checked.key.encode("ascii")),)


def build_body(checked: CheckedSubmission, contents: Sequence[bytes]) -> list[bytes]:
    """Return a multipart body (RFC 7578) as a list of parts. It is the same for every attempt.

    The boundary is the submission's key. No document can contain it, because the key is computed from the
    digests of the documents. File names are numbers.
    """
    boundary = checked.key
    body = [_part_head(boundary, 'name="declaration"', "application/json"), checked.declaration_bytes]
    for number, content in enumerate(contents, 1):
        parameters = f'name="document"; filename="{number}"'
        body += [b"\r\n" + _part_head(boundary, parameters, "application/octet-stream"), content]
    return [*body, f"\r\n--{boundary}--\r\n".encode("ascii")]


def _part_head(boundary: str, parameters: str, media_type: str) -> bytes:
    return (
        f"--{boundary}\r\nContent-Disposition: form-data; {parameters}\r\nContent-Type: {media_type}\r\n\r\n"
    ).encode("ascii")


class BodyProgress:
    """Callback that turns the number of body bytes sent into each document's progress."""

    def __init__(
        self, documents: Sequence[Document], body: Sequence[bytes], report: Callable[[Document, int], None]
    ) -> None:
        self._documents = documents
        # The body starts with a part head, the declaration and another part head. After these three, every
        # second part is a document.
        self._starts = list(accumulate(map(len, body), initial=0))[3::2]
        self._reported = [0] * len(documents)
        self._report = report

    def __call__(self, sent_bytes: int) -> None:
        for index, document in enumerate(self._documents):
            sent = min(max(sent_bytes - self._starts[index], 0), document.size)
            if sent != self._reported[index]:
                self._reported[index] = sent
                self._report(document, sent)


def form_refusal(response: Response, checked: CheckedSubmission) -> OneExchangeRefused | None:
    """Return OneExchangeRefused if a response rejects sending in one exchange, else None.

    A 4xx without a problem code of the contract, such as an error page, comes from an intermediary. It counts
    as a rejection, because the intermediary may still let staged requests through. A captive portal's page,
    or a 5xx other than 501, does not count.
    """
    if response.status == _NOT_IMPLEMENTED:
        return OneExchangeRefused(0)
    if not 400 <= response.status < 500 or response.status in _UNDECIDED_STATUSES:
        return None
    code = response.problem_code
    if code is None:
        return OneExchangeRefused(checked.total_bytes if response.status == _TOO_LARGE else 0)
    if code == Code.ONE_EXCHANGE_TOO_LARGE:
        return OneExchangeRefused()
    return OneExchangeRefused(0) if code in _FORM_CODES else None
