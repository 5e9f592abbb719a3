"""Whether an encrypted PDF opens without a password (ISO 32000-2, 7.6.4), and what it forbids.

A viewer first tries the empty user password, and then the empty owner password. If one is right, it shows
the document and only obeys the permissions in /P. Revisions 2 to 5 are decided here; revision 6 needs AES,
which the standard library lacks.
"""

from __future__ import annotations

import hashlib
import struct
from itertools import cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.checks.formats.pdf_objects import Value

# Algorithm 2, step a: what an empty password is padded with.
_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
# Table 22: bits of /P, numbered from 1, that allow an operation.
_PERMISSIONS = (("printing", 3), ("changing", 4), ("copying", 5), ("commenting", 6))
_PRINTING_BIT, _SHARP_PRINTING_BIT = 3, 12
_STANDARD = b"Standard"
_IDENTITY = b"Identity"


def is_for_certificates(encryption: Mapping[bytes, Value]) -> bool:
    """Return whether the file is encrypted for holders of certificates, or by an unknown security handler."""
    return encryption.get(b"Filter") != _STANDARD


def opens_without_password(encryption: Mapping[bytes, Value], file_id: bytes) -> bool | None:
    """Return whether an empty password opens the file, or None if this cannot be decided.

    `encryption` is the encryption dictionary, and `file_id` the first string of the trailer's /ID, or b"".
    """
    revision, version = encryption.get(b"R"), encryption.get(b"V")
    if version in (4, 5) and all(encryption.get(key, _IDENTITY) == _IDENTITY for key in (b"StmF", b"StrF")):
        return True  # Only attached files are encrypted, which are not part of the pages.
    user = encryption.get(b"U")
    if not isinstance(revision, int) or not isinstance(user, bytes) or len(user) < 32:
        return None
    if revision in (2, 3, 4) and version in (1, 2, 3, 4):
        return _opens_with_padding(encryption, revision, file_id, user)
    if revision == 5 and len(user) >= 40:
        # Adobe's extension level 3 of ISO 32000-1: U is a SHA-256, followed by the salts of password and key.
        # So is O, whose hash includes U.
        owner = encryption.get(b"O")
        return hashlib.sha256(user[32:40]).digest() == user[:32] or (
            isinstance(owner, bytes)
            and len(owner) >= 40
            and hashlib.sha256(owner[32:40] + user[:48]).digest() == owner[:32]
        )
    return None


def _opens_with_padding(
    encryption: Mapping[bytes, Value], revision: int, file_id: bytes, user: bytes
) -> bool | None:
    """Return whether an empty user password, or the one in /O if the owner's is empty, is right."""
    owner_key = _owner_key(encryption, revision)
    owner = encryption.get(b"O")
    if owner_key is None or not isinstance(owner, bytes):
        return None
    # Algorithm 7: /O is the padded user password, encrypted with a key that follows from the owner password.
    password = owner[:32]
    for round_ in reversed(range(20 if revision >= 3 else 1)):
        password = rc4(bytes(byte ^ round_ for byte in owner_key), password)
    for each in (_PADDING, password):
        key = _file_key(encryption, revision, file_id, each)
        if key is None:
            return None
        if _is_user_key(key, revision, file_id, user):
            return True
    return False


def forbidden_operations(encryption: Mapping[bytes, Value]) -> tuple[str, ...]:
    """Return the operations that /P forbids, of `decoders.FORBIDDEN` (ISO 32000-1, table 22).

    Filling in forms and assembling need no names of their own: they are forbidden only together with
    comments and changes.
    """
    permissions, revision = encryption.get(b"P"), encryption.get(b"R")
    if not isinstance(permissions, int):
        return ()

    def is_allowed(bit: int) -> bool:
        return bool(permissions >> (bit - 1) & 1)

    forbidden = [name for name, bit in _PERMISSIONS if not is_allowed(bit)]
    if is_allowed(_PRINTING_BIT) and not is_allowed(_SHARP_PRINTING_BIT) and revision != 2:
        forbidden.append("sharp-printing")
    return tuple(forbidden)


def _key_length(encryption: Mapping[bytes, Value], revision: int) -> int | None:
    """Return the length of the key in bytes, or None if it is none that the standard allows."""
    bits = encryption.get(b"Length", 40)
    length = 5
    if revision >= 3:
        length = 16 if encryption.get(b"V") == 4 or not isinstance(bits, int) else bits // 8
    return length if 5 <= length <= 16 else None


def _owner_key(encryption: Mapping[bytes, Value], revision: int) -> bytes | None:
    """Return the key that follows from an empty owner password (algorithm 3, steps a to d)."""
    length = _key_length(encryption, revision)
    if length is None:
        return None
    key = hashlib.md5(_PADDING, usedforsecurity=False).digest()
    for _ in range(50 if revision >= 3 else 0):
        key = hashlib.md5(key, usedforsecurity=False).digest()
    return key[:length]


def _file_key(
    encryption: Mapping[bytes, Value], revision: int, file_id: bytes, password: bytes
) -> bytes | None:
    """Return the key that follows from a padded password (algorithm 2), or None if a value is malformed."""
    owner, permissions = encryption.get(b"O"), encryption.get(b"P")
    length = _key_length(encryption, revision)
    if not isinstance(owner, bytes) or not isinstance(permissions, int) or length is None:
        return None
    digest = hashlib.md5(password + owner[:32], usedforsecurity=False)
    digest.update(struct.pack("<I", permissions & 0xFFFFFFFF) + file_id)
    if revision >= 4 and encryption.get(b"EncryptMetadata") is False:
        digest.update(b"\xff\xff\xff\xff")
    key = digest.digest()
    for _ in range(50 if revision >= 3 else 0):
        key = hashlib.md5(key[:length], usedforsecurity=False).digest()
    return key[:length]


def _is_user_key(key: bytes, revision: int, file_id: bytes, user: bytes) -> bool:
    """Return whether `user` (/U) was computed with this key (algorithm 6)."""
    if revision == 2:
        return rc4(key, _PADDING) == user[:32]
    expected = hashlib.md5(_PADDING + file_id, usedforsecurity=False).digest()
    for round_ in range(20):
        expected = rc4(bytes(byte ^ round_ for byte in key), expected)
    return expected == user[:16]


def rc4(key: bytes, data: bytes) -> bytes:
    """Return data encrypted or decrypted with RC4, whose published test vectors are in RFC 6229.

    It protects nothing here: it computes the value that a file's /U is compared with.
    """
    state = list(range(256))
    j = 0
    for i, byte in zip(range(256), cycle(key), strict=False):
        j = (j + state[i] + byte) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    result = bytearray()
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        result.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(result)
