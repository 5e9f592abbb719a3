"""The sandbox's own look at a document's first bytes: is it what its name says.

A second opinion, not the client's code: the service of a real institute would not share it either.
"""

from __future__ import annotations

_STARTS = {
    "jpg": (b"\xff\xd8\xff",),
    "jpeg": (b"\xff\xd8\xff",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "tif": (b"II*\0", b"MM\0*"),
    "tiff": (b"II*\0", b"MM\0*"),
    "bmp": (b"BM",),
}
LOOKS_AT = 1024


def extension(name: str) -> str:
    """Give what stands behind the last dot, in small letters; nothing stands before it, nothing it is."""
    stem, _, end = name.rpartition(".")
    return end.lower() if stem else ""


def is_what_it_says(name: str, start: bytes) -> bool:
    """Compare the first LOOKS_AT bytes of a document with what its extension promises."""
    promised = extension(name)
    if promised == "pdf":  # ISO 32000-1: the header may stand anywhere in the first 1024 bytes
        return b"%PDF-" in start
    return start.startswith(_STARTS.get(promised, ()))
