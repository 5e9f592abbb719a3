"""The check that the first bytes of a document match its file extension.

This module shares no code with the client, because the real institute's service would not either.
"""

from __future__ import annotations

_SIGNATURES = {
    "jpg": (b"\xff\xd8",),
    "jpeg": (b"\xff\xd8",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "bmp": (b"BM",),
}
SIGNATURE_BYTES = 1024


def extension(name: str) -> str:
    """Return the extension in lower case, or "" if there is none, as in "README" or ".profile"."""
    stem, _, suffix = name.rpartition(".")
    return suffix.lower() if stem else ""


def matches_extension(name: str, start: bytes) -> bool:
    """Return whether the first SIGNATURE_BYTES bytes of a document match the extension of its name."""
    expected = extension(name)
    if expected == "pdf":  # ISO 32000-1: the header may appear anywhere in the first 1024 bytes
        return b"%PDF-" in start
    return start.startswith(_SIGNATURES.get(expected, ()))
