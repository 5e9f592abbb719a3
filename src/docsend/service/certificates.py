"""Which certificates are trusted, and what one says of itself: who signed it, until when it is valid."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.errors import UsageError
from docsend.i18n import Message
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Object identifiers (X.520) in DER: commonName 2.5.4.3, organizationName 2.5.4.10.
_COMMON_NAME, _ORGANIZATION = b"\x55\x04\x03", b"\x55\x04\x0a"
_VERSION_TAG = 0xA0
_MOST_AUTHORITIES = 4 * 2**20  # bytes; a system's whole store has a quarter of that
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}


class Tls(NamedTuple):
    """How a connection is encrypted: protocol, who vouches for the certificate, and until which day."""

    version: str
    issuer: str
    expires: str


def tls_of(connection: Any) -> Tls | None:
    """Describe a verified connection; None if its certificate tells nothing."""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    if "notAfter" not in certificate:
        return None
    names = {name: value for part in certificate.get("issuer", ()) for name, value in part}
    issuer = names.get("organizationName") or names.get("commonName") or "?"
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    return Tls(connection.version() or "?", str(issuer), expires.date().isoformat())


def issuer_of(certificate: bytes) -> str | None:
    """Return the organization, or else the common name, that signed a certificate in DER (RFC 5280, 4.1).

    ssl describes verified certificates only, and this is asked of one that is not. None if it cannot be read.
    """
    try:
        ((_, outer),) = _elements(certificate)
        to_be_signed = next(_elements(outer))[1]
        fields = [element for element in _elements(to_be_signed) if element[0] != _VERSION_TAG]
        names = dict(_names(fields[2][1]))  # serial number, algorithm, issuer
    except (ValueError, IndexError, StopIteration, LookupError):
        return None
    return names.get(_ORGANIZATION) or names.get(_COMMON_NAME)


def _names(issuer: bytes) -> Iterator[tuple[bytes, str]]:
    for _, relative in _elements(issuer):
        for _, attribute in _elements(relative):
            (_, kind), (encoding, value) = _elements(attribute)
            yield kind, value.decode(_ENCODINGS[encoding], "replace")[:100]


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Take DER apart into tags and contents; raise ValueError or IndexError if it is cut."""
    place = 0
    while place < len(data):
        tag, size = data[place], data[place + 1]
        place += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[place : place + count], "big")
            place += count
        if place + size > len(data):
            raise ValueError("cut")
        yield tag, data[place : place + size]
        place += size


def trust_store(ca_file: Path | None) -> ssl.SSLContext:
    """Make a context that trusts the system's store, and the authorities of `ca_file` besides.

    Raises UsageFault if the file holds none.
    """
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Debian's Python would go down to TLS 1.0: its OpenSSL leaves the lowest version open.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cadata=_read(ca_file))
        except (ValueError, ssl.SSLError):
            raise UsageError(
                Message("{file} holds no certificates of authorities", file=ca_file),
                Message("ca_file of config.toml names a file in PEM form"),
            ) from None
    return context


def _read(ca_file: Path) -> str:
    """Read a file of certificates; raise UsageFault if it cannot be read, or is a folder or a pipe."""
    try:
        return files.read_limited(ca_file, max_bytes=_MOST_AUTHORITIES).decode("ascii", "ignore")
    except OSError as error:
        raise UsageError(
            Message("{file} cannot be read", file=ca_file),
            Message("ca_file of config.toml names a file in PEM form"),
        ) from error
