"""A document on its way to the disk."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from docsend.sandbox import content
from docsend.sandbox.problems import Refusal, own_fault
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from docsend.sandbox.declaration import Declared


async def write(pieces: AsyncIterator[bytes], declared: Declared, file: Path) -> None:
    """Write a document to a new file while it arrives; refuse other bytes than were declared."""
    digest, arrived, start = hashlib.sha256(), 0, b""
    # Buffered: a bare write may take less than it was given, and a disk that is nearly full does.
    with files.create_private(file) as written:
        async for piece in pieces:
            arrived += len(piece)
            if arrived > declared.size:
                raise Refusal(400, "digest-mismatch", "more bytes than were declared")
            if len(start) < content.LOOKS_AT:
                start += piece[: content.LOOKS_AT]
            digest.update(piece)
            written.write(piece)
        written.flush()
        on_disk = os.fstat(written.fileno()).st_size
    if digest.hexdigest() != declared.sha256:
        raise Refusal(400, "digest-mismatch", "other bytes than were declared")
    if not content.is_what_it_says(declared.name, start[: content.LOOKS_AT]):
        raise Refusal(415, "content-mismatch", "the content is not what the extension says")
    if on_disk != declared.size:
        raise own_fault()
