"""The certificates that docsend trusts, and the issuer and expiry date of a server's certificate."""

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

# X.520 object identifiers in DER: commonName 2.5.4.3, organizationName 2.5.4.10.
_COMMON_NAME, _ORGANIZATION = b"\x55\x04\x03", b"\x55\x04\x0a"
_VERSION_TAG = 0xA0
_MAX_CA_FILE_BYTES = 4 * 2**20  # four times the size of a system's complete trust store
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}


class Tls(NamedTuple):
    """TLS details of a connection: protocol version, issuer of the certificate, expiry date (ISO 8601)."""

    version: str
    issuer: str
    expires: str


def describe_tls(connection: Any) -> Tls | None:
    """Return the TLS details of a verified connection, or None if its certificate has no expiry date.

    The ssl module describes only certificates that it has verified.
    """
    certificate: dict[str, Any] = connection.getpeercert() or {}
    if "notAfter" not in certificate:
        return None
    names = {name: value for part in certificate.get("issuer", ()) for name, value in part}
    issuer = names.get("organizationName") or names.get("commonName") or "?"
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    return Tls(connection.version() or "?", str(issuer), expires.date().isoformat())


def read_issuer(certificate: bytes) -> str | None:
    """Return the issuer of a certificate in DER (RFC 5280, 4.1): its organization, else its common name.

    Return None if the certificate cannot be parsed. This function is for certificates that could not be
    verified. The ssl module does not describe these.
    """
    try:
        ((_, outer),) = _iter_elements(certificate)
        to_be_signed = next(_iter_elements(outer))[1]
        fields = [element for element in _iter_elements(to_be_signed) if element[0] != _VERSION_TAG]
        names = dict(_iter_names(fields[2][1]))  # serial number, algorithm, issuer
    except (ValueError, IndexError, StopIteration, LookupError):
        return None
    return names.get(_ORGANIZATION) or names.get(_COMMON_NAME)


def _iter_names(issuer: bytes) -> Iterator[tuple[bytes, str]]:
    for _, relative in _iter_elements(issuer):
        for _, attribute in _iter_elements(relative):
            (_, kind), (encoding, value) = _iter_elements(attribute)
            yield kind, value.decode(_ENCODINGS[encoding], "replace")[:100]


def _iter_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and content of each DER element. Raise ValueError or IndexError if one is truncated."""
    position = 0
    while position < len(data):
        tag, size = data[position], data[position + 1]
        position += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[position : position + count], "big")
            position += count
        if position + size > len(data):
            raise ValueError("truncated")
        yield tag, data[position : position + size]
        position += size


def trust_store(ca_file: Path | None) -> ssl.SSLContext:
    """Return an SSL context that trusts the system's trust store and the authorities in `ca_file`.

    Raise UsageError if the file cannot be read or contains no certificate.
    """
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Debian's OpenSSL sets no minimum version, so Python on Debian would accept TLS 1.0.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cadata=_read(ca_file))
        except (ValueError, ssl.SSLError):
            raise UsageError(
                Message("no CA certificates in {file}", file=ca_file),
                Message("set ca_file in config.toml to a PEM file of CA certificates"),
            ) from None
    return context


def _read(ca_file: Path) -> str:
    """Return a CA file's text. Raise UsageError if it cannot be read, or is a directory or a pipe."""
    try:
        return files.read_limited(ca_file, max_bytes=_MAX_CA_FILE_BYTES).decode("ascii", "ignore")
    except OSError as error:
        raise UsageError(
            Message("cannot read {file}", file=ca_file),
            Message("set ca_file in config.toml to a PEM file of CA certificates"),
        ) from error
