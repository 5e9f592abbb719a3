"""One exchange: a whole submission in one request, for what is small (docs/contract.md, "One exchange").

Its form, which responses refuse that form rather than the submission, and what is remembered of a service
that does not take it: then the same submission goes staged, and nobody needs to know.
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

# Refusals of the contract that are of the request's form: the staged requests have another one.
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
# Of whoever has not judged the request yet: a sign-in, a proxy's sign-in, too late, too early, too many.
_NOT_JUDGED = frozenset({401, 407, 408, 425, 429})
_MOST_REMEMBERED = 4096
# So many submissions in a row may not get through whole, before all of this run go staged.
_LOST_IN_A_ROW = 2


class StagedFallback(NamedTuple):
    """That a submission goes staged instead, and what follows for others.

    `fewer_than` is how many bytes of documents may still go in one exchange, 0 for none; None if nothing is
    known of other submissions. `may_be_received` says that a try of it may have brought it to its receipt,
    `broke_off` that its tries did not get through.
    """

    fewer_than: int | None = None
    may_be_received: bool = False
    broke_off: bool = False


class OneExchangeRefused(Exception):
    """The form of one exchange was refused, or did not get through."""

    def __init__(self, fewer_than: int | None = None, *, broke_off: bool = False) -> None:
        super().__init__()
        self.fewer_than = fewer_than
        self.broke_off = broke_off


class OneExchangePolicy:
    """Whether a service takes a submission in one exchange. Several threads may share it.

    What it refused is kept in a file beside the service's catalog, and holds for that very catalog.
    """

    def __init__(self, most_bytes: int | None, etag: str, file: Path | None = None) -> None:
        """Take documents of up to `most_bytes` together, None for none, by the catalog of this ETag."""
        self._fewer_than = 0 if most_bytes is None else most_bytes + 1
        self._etag = etag
        self._file = file
        self._lost = 0  # submissions in a row that did not get through
        self._lock = threading.Lock()
        if file is not None and self._fewer_than:
            self._fewer_than = min(self._fewer_than, self._remembered(file))

    @classmethod
    def from_catalog(cls, catalog: Catalog, file: Path) -> OneExchangePolicy:
        """Give what is known of a service by the catalog in force; its own would be stored in `file`."""
        try:
            etag = files.read_limited(file.with_suffix(".etag"), max_bytes=_MOST_REMEMBERED).decode(
                "ascii", "replace"
            )
        except OSError:
            etag = catalog.version  # the bundled one
        return cls(catalog.one_exchange_bytes, etag, file.with_suffix(".one-exchange.json"))

    @property
    def max_bytes(self) -> int:
        """How many bytes of documents may go together; 0 for none."""
        return max(self._fewer_than - 1, 0)

    def accepts(self, checked: CheckedSubmission) -> bool:
        """Tell whether it can go so: its documents are few enough bytes, and all of them in memory."""
        is_held = all(document.buffer is not None for document in checked.documents)
        return is_held and checked.total_bytes < self._fewer_than

    def record_fallback(self, staged: StagedFallback) -> None:
        """Remember what was refused. Call it after the receipt has come staged: then it was of the form."""
        with self._lock:
            self._lost = self._lost + 1 if staged.broke_off else 0
            if self._lost >= _LOST_IN_A_ROW:  # something on the way cuts them: not for ever, perhaps
                self._fewer_than = 0
            if staged.fewer_than is None or staged.fewer_than >= self._fewer_than:
                return
            self._fewer_than = staged.fewer_than
            if self._file is not None:
                kept = canonicalize({"catalog": self._etag, "fewer_than": self._fewer_than})
                with contextlib.suppress(OSError):  # it costs the next run one request
                    files.replace_file(self._file, kept)

    def record_success(self) -> None:
        """Note that a submission has got through."""
        self._lost = 0

    def _remembered(self, file: Path) -> int:
        """Return below how many bytes it was not refused; a file that cannot be read says nothing."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            kept = json.loads(files.read_limited(file, max_bytes=_MOST_REMEMBERED))
            if isinstance(kept, dict) and kept.get("catalog") == self._etag:
                fewer_than = kept.get("fewer_than")
                if isinstance(fewer_than, int) and fewer_than >= 0:
                    return fewer_than
        return self._fewer_than


NEVER = OneExchangePolicy(None, "")


def build_headers(checked: CheckedSubmission) -> tuple[Header, ...]:
    return ((b"Content-Type", b"multipart/form-data; boundary=" + checked.key.encode("ascii")),)


def build_body(checked: CheckedSubmission, contents: Sequence[bytes]) -> list[bytes]:
    """Return the parts of a multipart body (RFC 7578), the same at every try: the boundary is the key.

    No document can hold it: it is the digest of what the document is a part of. File names are numbers.
    """
    boundary = checked.key
    body = [_head(boundary, 'name="declaration"', "application/json"), checked.declaration_bytes]
    for number, content in enumerate(contents, 1):
        named = f'name="document"; filename="{number}"'
        body += [b"\r\n" + _head(boundary, named, "application/octet-stream"), content]
    return [*body, f"\r\n--{boundary}--\r\n".encode("ascii")]


def _head(boundary: str, named: str, media_type: str) -> bytes:
    return (
        f"--{boundary}\r\nContent-Disposition: form-data; {named}\r\nContent-Type: {media_type}\r\n\r\n"
    ).encode("ascii")


class BodyProgress:
    """Tells of each document how many of its bytes have left, from what has left of the whole body."""

    def __init__(
        self, documents: Sequence[Document], body: Sequence[bytes], tell: Callable[[Document, int], None]
    ) -> None:
        self._documents = documents
        self._starts = list(accumulate(map(len, body), initial=0))[3::2]  # after two heads and a declaration
        self._told = [0] * len(documents)
        self._tell = tell

    def __call__(self, sent_bytes: int) -> None:
        for place, document in enumerate(self._documents):
            sent = min(max(sent_bytes - self._starts[place], 0), document.size)
            if sent != self._told[place]:
                self._told[place] = sent
                self._tell(document, sent)


def form_refusal(response: Response, checked: CheckedSubmission) -> OneExchangeRefused | None:
    """Return what a refusal of the form says; None for any other response.

    A page or another 4xx that is no problem of the contract is of somebody on the way, who may let the staged
    requests pass. A captive page and a 5xx are of nobody who has judged the form.
    """
    if response.status == _NOT_IMPLEMENTED:
        return OneExchangeRefused(0)
    if not 400 <= response.status < 500 or response.status in _NOT_JUDGED:
        return None
    code = response.problem_code
    if code is None:
        return OneExchangeRefused(checked.total_bytes if response.status == _TOO_LARGE else 0)
    if code == Code.ONE_EXCHANGE_TOO_LARGE:
        return OneExchangeRefused()
    return OneExchangeRefused(0) if code in _FORM_CODES else None
