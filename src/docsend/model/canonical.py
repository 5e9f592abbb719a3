"""The canonical form of a declaration (RFC 8785), and the key that is made of it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


def key_of(declaration: Mapping[str, Json], account: str | None = None) -> str:
    """The submission's name: base32 (RFC 4648, no padding) of SHA-256 of its canonical JSON (invariant 3).

    52 characters of A-Z and 2-7. Content alone makes it: the same submission from another machine, path,
    day or version of docsend has the same key, and so it cannot be received twice. The code of the account
    enters as one more member, for a personal declaration does not say who it is about.
    """
    named = declaration if account is None else {**declaration, "account": account}
    return key_of_bytes(canonicalize(named))


def key_of_bytes(named: bytes) -> str:
    """Return the key of what is in canonical form already."""
    return base64.b32encode(hashlib.sha256(named).digest()).decode("ascii").rstrip("=")


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonicalize(value: Json) -> bytes:
    """Canonical JSON (RFC 8785, JCS) of a value whose member names are ASCII and whose numbers are integers.

    Within those bounds Python's encoder already writes what the RFC asks for: names sorted, no blanks,
    the shortest escapes, UTF-8; a lone surrogate raises UnicodeEncodeError.
    """
    return _CANONICAL.encode(value).encode("utf-8")
