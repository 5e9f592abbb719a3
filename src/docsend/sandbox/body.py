"""The body of a request: what the headers declare about the body, and its bytes as they arrive.

Limits are enforced while bytes arrive, not afterwards. A successful response is sent only after the complete
body was read. After a refusal, the rest of the body is read up to a limit and discarded, because a sender
that is still sending may lose an early response.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from docsend.sandbox.problems import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

JSON = ("application/json",)
DOCUMENT = ("application/octet-stream", "application/pdf", "image/*")
# Limit for a refused body. If the body is larger, the sender may lose the connection before the response.
MAX_DISCARDED_BYTES = 16 * 2**20
_MAX_UNUSED_BYTES = 4096  # limit for the body of a call that uses none
BASE_TIMEOUT_S = 60
_MIN_BYTES_PER_S = 16 * 1024


def request_timeout(size: int) -> float:
    """Return the seconds within which a request with `size` body bytes must arrive and be answered."""
    return BASE_TIMEOUT_S + size / _MIN_BYTES_PER_S


class Body:
    """The body of one request. It can be read once, by whichever method is called first."""

    def __init__(self, request: Request) -> None:
        headers = request.headers
        self._stream = request.stream()
        self._expects_continue = headers.get("expect", "").lower() == "100-continue"
        self._is_chunked = "transfer-encoding" in headers
        given = headers.get("content-length", "0")
        self._content_length = int(given) if given.isascii() and given.isdigit() else None
        self._has_length = (
            "content-length" in headers and self._content_length is not None and not self._is_chunked
        )
        self.content_type = headers.get("content-type")

    @property
    def media_type(self) -> str | None:
        """The media type of the Content-Type header, in lower case and without parameters."""
        return self.content_type and self.content_type.partition(";")[0].strip().lower()

    @property
    def declared_size(self) -> int | None:
        """The length from the Content-Length header, or 0 without that header.

        None if the body is chunked or the header is invalid.
        """
        return None if self._is_chunked else self._content_length

    def require_media_type(self, accepted: tuple[str, ...]) -> None:
        """Raise Refusal with 415 unless the media type matches one of `accepted`, or is not given.

        `accepted` may contain patterns that end in `*`. If `accepted` is empty, only an empty body may have a
        media type.
        """
        is_empty = self.declared_size == 0
        if self.media_type is None or (is_empty and not accepted):
            return
        if not any(fnmatch.fnmatchcase(self.media_type, pattern) for pattern in accepted):
            detail = f"this call accepts {', '.join(accepted)}" if accepted else "this call accepts no body"
            raise Refusal(415, "media-type-not-accepted", detail)

    def require_length(self) -> int:
        """Return the Content-Length. Raise Refusal with 411 if there is none or it is invalid."""
        if not self._has_length or self._content_length is None:
            raise Refusal(411, "length-required", "this call needs a Content-Length")
        return self._content_length

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the bytes as they arrive. Raise ClientDisconnect if the connection breaks."""
        self._expects_continue = False
        async for chunk in self._stream:
            yield chunk

    async def read(self, max_bytes: int) -> bytes:
        """Return the complete body. Raise Refusal with 413 if it is longer than `max_bytes`.

        A body whose Content-Length is too large is refused before it is read.
        """
        if (self.declared_size or 0) > max_bytes:
            raise _too_large_refusal(max_bytes)
        return await read_all(self.iter_bytes(), max_bytes)

    async def skip_unused(self) -> None:
        """Read and ignore the body of a call that uses none.

        Raise Refusal with 413 if the body is large, and with 415 if it has a media type.
        """
        self.require_media_type(())
        await self.read(_MAX_UNUSED_BYTES)

    async def drain(self) -> None:
        """Read the rest of the body and discard it."""
        async for _ in self.iter_bytes():
            pass

    async def discard(self) -> None:
        """Read the rest of a refused body, up to MAX_DISCARDED_BYTES, so that the sender sees the response.

        A sender that is waiting for `100 Continue` has sent nothing, so nothing is read.
        """
        if self._expects_continue:
            return
        discarded_bytes = 0
        try:
            async for chunk in self._stream:
                discarded_bytes += len(chunk)
                if discarded_bytes > MAX_DISCARDED_BYTES:
                    return
        except (RuntimeError, ClientDisconnect):  # it has been read already, or the client has disconnected
            return


async def read_all(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    """Return the joined chunks. Raise Refusal with 413 if they are longer than `max_bytes` in total."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > max_bytes:
            raise _too_large_refusal(max_bytes)
    return bytes(content)


def _too_large_refusal(max_bytes: int) -> Refusal:
    return Refusal(413, "declaration-too-large", f"this call accepts at most {max_bytes} bytes")


async def discard_body(request: Request) -> None:
    """Discard the body of a request that no handler reads. Give up after BASE_TIMEOUT_S."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BASE_TIMEOUT_S):
            await Body(request).discard()
