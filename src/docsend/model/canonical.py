"""The canonical JSON of a declaration (RFC 8785), and the key computed from it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


def key_of(declaration: Mapping[str, Json], account: str | None = None) -> str:
    """Return the key that identifies a submission: the SHA-256 of its declaration as canonical JSON.

    The key is in base32 (RFC 4648, no padding): 52 characters, A-Z and 2-7. It depends only on the content
    (invariant 3 of `delivery.deliver`). The same submission has the same key when it is sent from another
    machine or path, on another day or by another version of docsend. It therefore cannot be received twice.

    The declaration of a personal submission does not identify the person. The code of the person's account is
    therefore added to it as another member.
    """
    keyed = declaration if account is None else {**declaration, "account": account}
    return key_of_bytes(canonicalize(keyed))


def key_of_bytes(canonical: bytes) -> str:
    """Return the key for a declaration that is already canonical JSON."""
    return base64.b32encode(hashlib.sha256(canonical).digest()).decode("ascii").rstrip("=")


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonicalize(value: Json) -> bytes:
    """Return the canonical JSON (RFC 8785, JCS) of a value with ASCII member names and without floats.

    For such values, Python's encoder writes what the RFC requires: sorted names, no whitespace, the shortest
    escapes, UTF-8. Raise UnicodeEncodeError if a string contains a lone surrogate.
    """
    return _CANONICAL.encode(value).encode("utf-8")
