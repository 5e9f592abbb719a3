"""A service's address, and how to reach the service: the proxy, if any, and the trusted authorities."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from docsend.errors import UsageError
from docsend.i18n import Message
from docsend.text import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
    from pathlib import Path
    from urllib.parse import SplitResult

SANDBOX = "sandbox"
_HTTPS_PORT = 443
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
# ASCII letters, digits, "_" and "-", and all non-ASCII characters, which IDNA checks when docsend connects.
# The class is negated because a set of a million characters takes milliseconds to compile.
_LABEL_CHARACTER = r"[^\x00-,./:-^`{-\x7f]"
_LABEL = re.compile(_LABEL_CHARACTER + "{1,63}")
_HAS_CREDENTIALS = (
    Message("the service address contains a user name or a password"),
    Message("remove them: docsend prints addresses in its output"),
)
_INVALID_ADDRESS = (
    Message("invalid service address"),
    Message("give an address such as https://documents.example"),
)


class ConfiguredService(NamedTuple):
    """Service in config.toml: its address as written, and a file of additional certificate authorities."""

    url: str
    ca_file: Path | None = None


class Endpoint(NamedTuple):
    """Service to connect to: its address without a final slash, or None for the built-in sandbox.

    `ca_file` contains certificate authorities that are trusted in addition to the system's. If a proxy is
    used, `unparsed` contains the invalid entries of NO_PROXY.
    """

    url: str | None
    proxy: str | None = None
    ca_file: Path | None = None
    unparsed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return a representation without the proxy, whose address may contain a password."""
        return f"Endpoint({self.url!r})"

    @property
    def name(self) -> str:
        """Name of the service in the ledger: its address, or "sandbox"."""
        return self.url or SANDBOX


def resolve_endpoint(
    chosen: str, services: Mapping[str, ConfiguredService], environment: Mapping[str, str]
) -> Endpoint:
    """Return the service with this name or address.

    The proxy from the environment is used for https addresses, except for this machine's addresses and for
    hosts that NO_PROXY lists. Raise UsageError if the name is unknown, or if the service's address or the
    proxy's address is invalid.
    """
    if chosen == SANDBOX:
        return Endpoint(None)
    configured = services.get(chosen)
    address = configured.url if configured else chosen
    if "://" not in address:
        if "@" in address:
            raise UsageError(*_HAS_CREDENTIALS)
        known = redact(", ".join([SANDBOX, *services]))
        raise UsageError(
            Message("unknown service: {name!r}", name=redact(chosen)),
            Message("give an address (https://...) or one of: {known}", known=known),
        )
    parts = _service_parts(address)
    url = _normalize(parts)
    if configured is None:  # a configured service's ca_file also applies if its address is given
        configured = next((service for service in services.values() if _has_url(service.url, url)), None)
    ca_file = configured.ca_file if configured else None
    host = parts.hostname or ""
    if parts.scheme != "https" or is_loopback(host):  # this machine is reached without a proxy
        return Endpoint(url, ca_file=ca_file)
    proxy = _proxy(environment)
    no_proxy = NoProxy.parse(_variable(environment, "no_proxy"))
    if proxy is None or no_proxy.covers(host, parts.port or _HTTPS_PORT):
        return Endpoint(url, ca_file=ca_file)
    return Endpoint(url, proxy, ca_file, no_proxy.unparsed)


def _service_parts(address: str) -> SplitResult:
    parts = _split(address)
    if parts is None or parts.scheme not in ("https", "http") or parts.query or parts.fragment:
        raise UsageError(*_INVALID_ADDRESS)
    if parts.username is not None or parts.password is not None:
        raise UsageError(*_HAS_CREDENTIALS)
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(
            Message("http to {host} is not allowed: others could read the data in transit", host=host),
            Message("use https; http is allowed only for this machine"),
        )
    return parts


def _normalize(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _has_url(address: str, url: str) -> bool:
    parts = _split(address)
    return parts is not None and _normalize(parts) == url


def _split(address: str) -> SplitResult | None:
    """Split an address into its parts. Return None if it is invalid, for example because of its host."""
    from urllib.parse import urlsplit

    if not address.isprintable() or " " in address or "\\" in address:
        return None
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return None
    is_name = all(map(_LABEL.fullmatch, host.removesuffix(".").split(".")))
    return parts if is_name or _parse_ip(host) else None


def is_loopback(host: str) -> bool:
    """Return whether a host is "localhost" or a loopback address."""
    address = _parse_ip(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _parse_ip(host: str) -> IPv4Address | IPv6Address | None:
    from ipaddress import ip_address

    try:
        return ip_address(host)
    except ValueError:
        return None


# -- proxies -------------------------------------------------------------------------------------------


def _variable(environment: Mapping[str, str], name: str) -> str:
    """Return the variable with the lowercase name or, if that is not set, the uppercase name, as curl does.

    Return "" if neither is set.
    """
    return environment.get(name) or environment.get(name.upper()) or ""


def _proxy(environment: Mapping[str, str]) -> str | None:
    """Return the proxy for https addresses (HTTPS_PROXY, or else ALL_PROXY), or None.

    Raise UsageError if the variable does not contain a valid proxy address.
    """
    name = "https_proxy" if _variable(environment, "https_proxy") else "all_proxy"
    proxy = _variable(environment, name)
    if not proxy:
        return None
    address = proxy if "://" in proxy else f"http://{proxy}"
    parts = _split(address)
    if parts is None or parts.scheme not in _PROXY_SCHEMES:
        # The message omits the value, which may contain a password.
        raise UsageError(
            Message("invalid proxy address in {name}", name=name.upper()),
            Message(
                "give an address such as http://proxy.example:3128 or socks5://proxy.example:1080; "
                "NO_PROXY lists the hosts that are reached without a proxy"
            ),
        )
    return address


class _NoProxyEntry(NamedTuple):
    """One entry of NO_PROXY: a domain or a network. It covers one port, or all ports if `port` is None.

    `includes_domain` is false if the entry covers only the domain's subdomains.
    """

    domain: str
    includes_domain: bool
    network: IPv4Network | IPv6Network | None
    port: int | None

    def covers(self, host: str, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None:
            address = _parse_ip(host)
            return address is not None and address in self.network
        return host.endswith(f".{self.domain}") or (self.includes_domain and host == self.domain)


class NoProxy(NamedTuple):
    """NO_PROXY, the list of hosts that are reached without the proxy, as curl and Go read it.

    An entry is `*`, or an address, a network or a domain with its subdomains, each with an optional port.
    """

    is_wildcard: bool
    entries: tuple[_NoProxyEntry, ...]
    unparsed: tuple[str, ...]

    @classmethod
    def parse(cls, given: str) -> NoProxy:
        """Parse a list separated by commas or spaces. Collect invalid entries in `unparsed`."""
        words = [entry.lower() for entry in given.replace(",", " ").split()]
        parsed = {entry: _parse_entry(entry) for entry in words if entry != "*"}
        return cls(
            "*" in words,
            tuple(exception for exception in parsed.values() if exception is not None),
            tuple(entry for entry, exception in parsed.items() if exception is None),
        )

    def covers(self, host: str, port: int) -> bool:
        """Return whether a host and port are reached without the proxy."""
        host = host.lower().removesuffix(".")
        return self.is_wildcard or any(exception.covers(host, port) for exception in self.entries)


# A domain may start with a dot, or with "*." to cover only its subdomains. IPv6 addresses may be in brackets.
_DOMAIN = re.compile(rf"(?P<star>\*)?\.?(?P<name>{_LABEL_CHARACTER}+(?:\.{_LABEL_CHARACTER}+)*)\.?")
_WITH_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<port>[0-9]{1,5})")


def _parse_entry(entry: str) -> _NoProxyEntry | None:
    from ipaddress import ip_network

    port: int | None = None
    if match := _WITH_PORT.fullmatch(entry):
        entry, port = match["host"], int(match["port"])
    entry = entry.removeprefix("[").removesuffix("]")
    try:
        return _NoProxyEntry("", includes_domain=True, network=ip_network(entry, strict=False), port=port)
    except ValueError:
        pass
    domain = _DOMAIN.fullmatch(entry)
    if (
        domain is None or domain["name"].rpartition(".")[2].isdigit()
    ):  # 192.168.1 is neither a name nor a network
        return None
    return _NoProxyEntry(domain["name"], includes_domain=not domain["star"], network=None, port=port)


def without_password(proxy: str) -> str:
    """Return the address of a proxy without its user name and password, or "?" if it is invalid."""
    parts = _split(proxy)
    if parts is None:
        return "?"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def unparsed_warning(entries: Iterable[str]) -> Message:
    """Return the warning that invalid entries of NO_PROXY are ignored."""
    return Message(
        "ignoring invalid entries in NO_PROXY: {entries} (docsend uses the proxy for these hosts)",
        entries=", ".join(entries),
    )
