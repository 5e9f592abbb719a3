"""The body of a request: what its header says about it, and its bytes while they arrive.

Limits hold while bytes arrive, not after. Before a success the body is read to its end; before a refusal it
is read, up to a bound, and thrown away, because a sender that is still sending may lose an early answer.
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
MOST_DISCARDED = 16 * 2**20  # of a refused body; the rest may get lost together with the answer
_MOST_UNWANTED = 4096  # of a body that a call has no use for
GRACE_S = 60
_SLOWEST_RATE = 16 * 1024  # bytes a second


def time_allowed(size: int) -> float:
    """Return the seconds in which a request of so many bytes has to arrive and be answered."""
    return GRACE_S + size / _SLOWEST_RATE


class Body:
    """One request's body. It is read once, by whichever method is called first."""

    def __init__(self, request: Request) -> None:
        headers = request.headers
        self._pieces = request.stream()
        self._is_awaited = headers.get("expect", "").lower() == "100-continue"
        self._is_chunked = "transfer-encoding" in headers
        given = headers.get("content-length", "0")
        self._stated = int(given) if given.isascii() and given.isdigit() else None
        self._has_length = "content-length" in headers and self._stated is not None and not self._is_chunked
        self.content_type = headers.get("content-type")

    @property
    def media_type(self) -> str | None:
        """The media type that the header states, without its parameters."""
        return self.content_type and self.content_type.partition(";")[0].strip().lower()

    @property
    def stated_size(self) -> int | None:
        """The length that the header states; 0 for no body, None for chunks."""
        return None if self._is_chunked else self._stated

    def refuse_types_but(self, accepted: tuple[str, ...]) -> None:
        """Refuse with 415 a body of another type; patterns may end in `*`. It need not state its type."""
        is_empty = self.stated_size == 0
        if self.media_type is None or (is_empty and not accepted):
            return
        if not any(fnmatch.fnmatchcase(self.media_type, pattern) for pattern in accepted):
            detail = f"this call takes {', '.join(accepted)}" if accepted else "this call takes no body"
            raise Refusal(415, "media-type-not-accepted", detail)

    def length(self) -> int:
        """Return the stated length; refuse with 411 a body that does not state it."""
        if not self._has_length or self._stated is None:
            raise Refusal(411, "length-required", "this call needs a Content-Length")
        return self._stated

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the bytes as they arrive; raise ClientDisconnect if they break off."""
        self._is_awaited = False
        async for piece in self._pieces:
            yield piece

    async def whole(self, at_most: int) -> bytes:
        """Return all bytes; refuse with 413 more than so many, before reading them if the header says so."""
        if (self.stated_size or 0) > at_most:
            raise _too_large(at_most)
        return await gathered(self.pieces(), at_most)

    async def refuse_any(self) -> None:
        """Read a body that the call has no use for to its end; refuse one that is large or has a type."""
        self.refuse_types_but(())
        await self.whole(_MOST_UNWANTED)

    async def read_to_end(self) -> None:
        """Read and throw away what is still coming."""
        async for _ in self.pieces():
            pass

    async def discard(self) -> None:
        """Read what is still coming of a refused body, up to a bound, so that the sender sees the answer.

        A sender that waits for `100 Continue` has not begun, and is not asked to.
        """
        if self._is_awaited:
            return
        passed = 0
        try:
            async for piece in self._pieces:
                passed += len(piece)
                if passed > MOST_DISCARDED:
                    return
        except (RuntimeError, ClientDisconnect):  # it has been read already, or nobody is there any more
            return


async def gathered(pieces: AsyncIterator[bytes], at_most: int) -> bytes:
    """Return all pieces as one; refuse with 413 more bytes than so many."""
    whole = bytearray()
    async for piece in pieces:
        whole += piece
        if len(whole) > at_most:
            raise _too_large(at_most)
    return bytes(whole)


def _too_large(at_most: int) -> Refusal:
    return Refusal(413, "declaration-too-large", f"at most {at_most} bytes are taken here")


async def discarded(request: Request) -> None:
    """Read the body of a request that no call is made for, for as long as a small one may take."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            await Body(request).discard()
