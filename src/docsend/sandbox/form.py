"""Read a multipart/form-data body (RFC 7578) part by part as it arrives.

Only the names of parts are used. Their media types are ignored, and their file names are never stored. No
other module may import `multipart`.
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
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}\Z")  # RFC 2046, 5.1.1, without spaces
_BOUNDARY_PARAMETER = re.compile(r";\s*boundary\s*=", re.IGNORECASE)
_MAX_HEADER_LINE_BYTES = 1024
_MAX_HEADERS = 8
_LINE_END = b"\r\n"


class Form:
    """The parts of one body, in order. Every method raises Refusal with 400 if the form is malformed."""

    def __init__(self, body: Body) -> None:
        """Read the boundary from the Content-Type. None of the body is read yet.

        Raise Refusal with 400 unless there is exactly one valid boundary.
        """
        self._body = body
        content_type = body.content_type or ""
        _, options = multipart.parse_options_header(content_type)
        boundary = options.get("boundary", "")
        if not _BOUNDARY.match(boundary) or len(_BOUNDARY_PARAMETER.findall(content_type)) != 1:
            raise _malformed_refusal("the Content-Type must have one valid boundary")
        self._boundary = boundary.encode("ascii")
        self._events = self._parse()

    async def read_part(self, name: str) -> AsyncIterator[bytes]:
        """Yield the bytes of the next part, which must have this name."""
        part = await anext(self._events, None)
        if part is None or part.name != name:
            raise _malformed_refusal(f"a part is missing or has the wrong name: expected {name}")
        async for event in self._events:
            if event is None:
                return
            yield event

    async def end(self) -> None:
        """Read to the end of the body. There must be no further part before the closing boundary."""
        async for _ in self._events:
            raise _malformed_refusal("the form has more parts than the declaration has documents")

    async def _parse(self) -> AsyncIterator[Any]:
        """Yield each part in the order of the body: the part itself, then its bytes, then None."""
        parser = multipart.PushMultipartParser(
            self._boundary, max_header_size=_MAX_HEADER_LINE_BYTES, max_header_count=_MAX_HEADERS
        )
        try:
            async for chunk in self._check_epilogue():
                for event in parser.parse(chunk):
                    yield event
            parser.close()
        except multipart.MultipartError:
            raise _malformed_refusal("the body is not valid multipart/form-data") from None

    async def _check_epilogue(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the body. Refuse anything but a line end after the closing boundary.

        The parser would ignore the epilogue, even if it contained another part.
        """
        closing, tail = b"\r\n--" + self._boundary + b"--", b""
        epilogue: bytes | None = None
        async for chunk in self._check_preamble():
            if epilogue is not None:
                epilogue += chunk
            else:
                window = tail + chunk
                position = window.find(closing)
                epilogue = None if position < 0 else window[position + len(closing) :]
                tail = window[1 - len(closing) :]
            if epilogue and not _LINE_END.startswith(epilogue):
                raise _malformed_refusal("there is content after the closing boundary")
            yield chunk

    async def _check_preamble(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the body. Refuse bytes before the first boundary.

        The parser would skip them.
        """
        opening, start = b"--" + self._boundary, b""
        async for chunk in self._body.iter_bytes():
            if len(start) >= len(opening):
                yield chunk
                continue
            start += chunk
            if not (start.startswith(opening) or opening.startswith(start)):
                raise _malformed_refusal("the body does not start with its boundary")
            if len(start) >= len(opening):
                yield start
        if len(start) < len(opening):
            raise _malformed_refusal("the body does not start with its boundary")


def _malformed_refusal(detail: str) -> Refusal:
    return Refusal(400, "malformed", detail)
