"""Receive one document: check its bytes against the declaration while writing them to a file."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from docsend.sandbox import content
from docsend.sandbox.problems import Refusal, internal_error
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from docsend.sandbox.declaration import DeclaredDocument


async def receive_file(chunks: AsyncIterator[bytes], declared: DeclaredDocument, path: Path) -> None:
    """Write the chunks of a document to a new file at `path`.

    Raise Refusal with 400 if the length or the SHA-256 differs from the declaration, 415 if the content does
    not match the extension, and 500 if the disk did not store every byte.
    """
    digest, size, start = hashlib.sha256(), 0, b""
    # The file is buffered because an unbuffered write may store only part of its data, for example when the
    # disk is almost full.
    with files.create_private(path) as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > declared.size:
                raise Refusal(400, "digest-mismatch", "the document has more bytes than declared")
            if len(start) < content.SIGNATURE_BYTES:
                start += chunk[: content.SIGNATURE_BYTES]
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        size_on_disk = os.fstat(file.fileno()).st_size
    if digest.hexdigest() != declared.sha256:
        raise Refusal(400, "digest-mismatch", "the document's bytes do not match the declared SHA-256")
    if not content.matches_extension(declared.name, start[: content.SIGNATURE_BYTES]):
        raise Refusal(415, "content-mismatch", "the content does not match the file extension")
    if size_on_disk != declared.size:
        raise internal_error()
