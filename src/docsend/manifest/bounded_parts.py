"""Parts of a workbook, read up to limits that no table exceeds: a few KB can unpack to very much."""

from __future__ import annotations

from typing import IO

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.model.problem import Problem

MAX_ROW_NUMBER = 2**20  # of Excel
MAX_FILLED_ROWS = 200_000  # twice as many as a manifest may have: cells may contain blanks alone
MAX_TEXTS = 1_000_000
_MAX_ITEM_BYTES = 8 * 2**20
_MAX_ITEM_TAGS = 200_000  # Excel has 16,384 columns, and a cell has a few tags.


class BoundedPart:
    """The XML of a part, such as a sheet, whose items, such as rows, are refused if one of them is too large.

    `mark` occurs in the tags of each item. Only that is counted, so that reading takes no longer.
    """

    def __init__(self, source: IO[bytes], mark: bytes) -> None:
        self._source = source
        self._mark = mark
        self._bytes = self._tags = 0  # since the last mark

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raise InvalidSubmission if an item is too large."""
        chunk = self._source.read(size)
        last = chunk.rfind(self._mark)
        if last >= 0:
            self._bytes = self._tags = 0
        self._bytes += len(chunk) - max(last, 0)
        self._tags += chunk.count(b"<", max(last, 0))
        if self._bytes > _MAX_ITEM_BYTES or self._tags > _MAX_ITEM_TAGS:
            raise too_large()
        return chunk


def too_large() -> InvalidSubmission:
    """Return the error for a workbook with more than any table has."""
    message = Message("reading the workbook takes too much memory or time")
    hint = Message("delete what is far away from the table, or save the table alone as .xlsx or CSV")
    return InvalidSubmission.from_manifest_problems([Problem(Code.MANIFEST_TOO_LARGE, message, hint)])
