"""A body of multipart/form-data (RFC 7578), part by part while it arrives (only user of multipart).

Only the names of parts are read. Their media types say nothing, and file names are never kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import multipart  # type: ignore[import-untyped]

from docsend.sandbox.problems import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from docsend.sandbox.body import Body

MEDIA_TYPE = "multipart/form-data"
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}\Z")  # RFC 2046, 5.1.1; blanks are not taken
_BOUNDARIES = re.compile(r";\s*boundary\s*=", re.IGNORECASE)
_MOST_OF_A_HEADER_LINE = 1024
_MOST_HEADERS = 8
_LINE_END = b"\r\n"


class Form:
    """The parts of one body, in their order. Everything that is not as it should be is refused with 400."""

    def __init__(self, body: Body) -> None:
        """Prepare to read; nothing is read yet. Refuses a Content-Type without a good boundary."""
        self._body = body
        given = body.content_type or ""
        _, options = multipart.parse_options_header(given)
        boundary = options.get("boundary", "")
        if not _BOUNDARY.match(boundary) or len(_BOUNDARIES.findall(given)) != 1:
            raise _malformed("the Content-Type needs one boundary")
        self._boundary = boundary.encode("ascii")
        self._events = self._parsed()

    async def part(self, name: str) -> AsyncIterator[bytes]:
        """Yield the bytes of the next part, which has to have this name."""
        part = await anext(self._events, None)
        if part is None or part.name != name:
            raise _malformed(f"a part is missing, or is another one; {name} should be here")
        async for event in self._events:
            if event is None:
                return
            yield event

    async def end(self) -> None:
        """Read to the end of the body; no other part may come, and the last boundary has to."""
        async for _ in self._events:
            raise _malformed("there is a part more than the declaration has documents")

    async def _parsed(self) -> AsyncIterator[Any]:
        """Yield each part, then its bytes, then None, as the parser finds them."""
        parser = multipart.PushMultipartParser(
            self._boundary, max_header_size=_MOST_OF_A_HEADER_LINE, max_header_count=_MOST_HEADERS
        )
        try:
            async for piece in self._to_the_last_boundary():
                for event in parser.parse(piece):
                    yield event
            parser.close()
        except multipart.MultipartError:
            raise _malformed("the body is no multipart/form-data that ends with its boundary") from None

    async def _to_the_last_boundary(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes; behind the last boundary nothing may come but the end of its line.

        The parser would pass over the rest, and with it a part that the declaration does not have.
        """
        closing, tail = b"\r\n--" + self._boundary + b"--", b""
        behind: bytes | None = None
        async for piece in self._from_the_boundary():
            if behind is not None:
                behind += piece
            else:
                seen = tail + piece
                at = seen.find(closing)
                behind = None if at < 0 else seen[at + len(closing) :]
                tail = seen[1 - len(closing) :]
            if behind and not _LINE_END.startswith(behind):
                raise _malformed("there is something behind the last boundary")
            yield piece

    async def _from_the_boundary(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes; its first ones have to be the boundary: the parser would skip others."""
        opening, start = b"--" + self._boundary, b""
        async for piece in self._body.pieces():
            if len(start) >= len(opening):
                yield piece
                continue
            start += piece
            if not (start.startswith(opening) or opening.startswith(start)):
                raise _malformed("the body does not begin with its boundary")
            if len(start) >= len(opening):
                yield start
        if len(start) < len(opening):
            raise _malformed("the body does not begin with its boundary")


def _malformed(detail: str) -> Refusal:
    return Refusal(400, "malformed", detail)
