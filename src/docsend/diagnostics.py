"""Checks of everything that docsend depends on. Each check returns a finding with a severity and a hint.

A check returns a finding even if the part cannot be checked. Findings contain no secrets.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from docsend import __version__
from docsend.auth.keyring_store import BookletStore, read_password_file
from docsend.checks import documents
from docsend.config.address import without_password
from docsend.config.file import MAX_BYTES, unreadable_error
from docsend.errors import DocsendError, ExitCode, LocalError, UsageError
from docsend.i18n import Message
from docsend.model import catalog
from docsend.service.one_exchange import OneExchangePolicy
from docsend.storage import catalogs, files, identity_key, ledger_queries, sqlite
from docsend.storage.ledger_damage import REPAIR_HINT
from docsend.storage.ledger_rows import DamagedRow

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from docsend.auth.keyring_store import CredentialStore
    from docsend.config.settings import Settings
    from docsend.service.certificates import Tls
    from docsend.service.client import ServiceClient

    OpenService = Callable[[], contextlib.AbstractContextManager[ServiceClient]]

# With a larger skew, tokens expire too early, or receipts appear to be from the future.
_MAX_CLOCK_SKEW_S = 60
_MAX_CATALOG_AGE_DAYS = 180
_SLOW_KEYRING_S = 1.0
_MIN_FREE_BYTES = 100 * 2**20


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    `part` names what was checked. The name never changes. `exit_code` is the command's exit code if the
    severity is "error". `facts` are for programs: names and plain values that do not depend on the language.
    """

    part: str
    severity: Literal["ok", "warning", "error"]
    message: Message
    hint: Message | None = None
    facts: Mapping[str, Any] | None = None
    exit_code: ExitCode = ExitCode.LOCAL


def diagnose(
    settings: Settings, open_store: Callable[[], CredentialStore], open_service: OpenService
) -> Iterator[Finding]:
    """Check one part after another, and yield the findings.

    `open_store` opens the chosen service's keyring entries, and `open_service` a client for that service.
    """
    yield _version()
    yield from _configuration_and_data(settings)
    yield _catalog(settings)
    yield _ledger(settings.ledger_file)
    yield _keyring(settings, open_store)
    yield _terminal(settings)
    yield from _service(settings, open_service)


def _version() -> Finding:
    facts = {
        "docsend": __version__,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "sqlite": sqlite3.sqlite_version,
    }
    message = Message("docsend {docsend}, Python {python}, SQLite {sqlite}, {system}", **facts)
    return Finding("version", "ok", message, facts=facts)


def _configuration_and_data(settings: Settings) -> Iterator[Finding]:
    file = settings.config_file
    is_there = os.path.exists(file)  # Path.exists raises if a parent folder may not be entered
    facts: dict[str, Any] = {"config_file": str(file), "exists": is_there}
    message = Message("{file}", file=file) if is_there else Message("{file} (does not exist)", file=file)
    errors = settings.errors
    if (error := _read_error(file)) is not None:
        yield Finding("configuration", "error", error.message, error.hint, facts, error.code)
    elif "configuration" in errors:
        # The error itself is left out, because it could contain a person's name.
        hint = Message(
            "run any other command to see the error; docs/configuration.md lists the valid settings"
        )
        message = Message("{file} is not a valid configuration", file=file)
        yield Finding("configuration", "error", message, hint, facts, ExitCode.USAGE)
    elif (invalid := errors.get("environment")) is not None:
        yield Finding("configuration", "error", invalid.message, invalid.hint, facts, invalid.code)
    elif settings.senders and sys.platform != "win32" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield Finding(
            "configuration",
            "warning",
            Message("{file} contains senders' numbers, and others can read it", file=file),
            _permission_hint(file),
            facts,
        )
    else:
        yield Finding("configuration", "ok", message, facts=facts)
    yield _data_folder(settings.data_folder)


def _permission_hint(file: Path) -> Message:
    """Return the hint on how to deny others access to a file. Only the file's owner can do that."""
    owner = files.other_owner(file)
    if owner is None:
        return Message("run `chmod 600 {file}`", file=file)
    return files.foreign_owner_hint(owner)


def _read_error(file: Path) -> UsageError | None:
    """Return the error if the configuration file exists and cannot be read."""
    try:
        files.read_limited(file, max_bytes=MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return unreadable_error(file, error)
    return None


def _data_folder(folder: Path) -> Finding:
    """Check that the data folder, or the existing folder in which it will be created, is writable."""
    existing = folder
    while not os.path.exists(existing) and existing != existing.parent:
        existing = existing.parent
    try:
        free = shutil.disk_usage(existing).free
    except OSError:
        free = 0
    facts = {"folder": str(folder), "free_bytes": free, "writable": os.access(existing, os.W_OK)}
    message = Message("{folder}, {free:,} MB free", folder=folder, free=free // 2**20)
    if not existing.is_dir() or not facts["writable"]:
        hint = Message(
            "correct the permissions of {folder}, or set DOCSEND_HOME to another folder", folder=existing
        )
        return Finding("data", "error", Message("cannot write to {folder}", folder=folder), hint, facts)
    if free < _MIN_FREE_BYTES:
        return Finding("data", "warning", message, Message("free some disk space for the ledger"), facts)
    return Finding("data", "ok", message, facts=facts)


def _catalog(settings: Settings) -> Finding:
    file = catalogs.current_file(settings.catalog_file)
    is_own = file != catalog.BUNDLED
    facts: dict[str, Any] = {"source": "service" if is_own else "bundled"}
    try:
        loaded = catalogs.load(file)
    except (OSError, catalog.MalformedCatalog):
        fetch, install = (
            Message("run `docsend catalog --update` to download it again"),
            Message("reinstall docsend"),
        )
        hint = fetch if is_own else install
        message = Message("{file} cannot be read", file=file)
        return Finding("catalog", "error", message, hint, facts)
    version = loaded.version
    age = _days_since(version)
    facts |= {"version": version, "age_days": age}
    if settings.catalog_file is not None:
        max_bytes = OneExchangePolicy.from_catalog(loaded, settings.catalog_file).max_bytes
        facts["one_exchange_bytes"] = min(
            max_bytes, documents.BUFFER_BYTES
        )  # larger submissions are sent staged
    message = (
        Message("from the service, version {version}", version=version)
        if is_own
        else Message("bundled with docsend, version {version}", version=version)
    )
    if age is not None and age > _MAX_CATALOG_AGE_DAYS:
        hint = Message("run `docsend catalog --update` to get a newer catalog")
        return Finding("catalog", "warning", message, hint, facts)
    return Finding("catalog", "ok", message, facts=facts)


def _days_since(version: str) -> int | None:
    """Return the age in days of a catalog whose version is a date, or None for another version."""
    try:
        return (datetime.now(UTC).date() - date.fromisoformat(version[:10])).days
    except ValueError:
        return None


def _ledger(file: Path) -> Finding:
    """Check the ledger without creating or changing anything."""
    if not os.path.exists(file):
        message = Message(
            "{file} (does not exist yet; it is created when you first send documents)", file=file
        )
        return Finding("ledger", "ok", message, facts={"file": str(file), "exists": False})
    facts: dict[str, Any] = {"file": str(file), "exists": True, "bytes": file.stat().st_size}
    if not os.access(file, os.R_OK | os.W_OK):
        message = Message("no permission to read and write {file}", file=file)
        return Finding("ledger", "error", message, files.hint(file, PermissionError()), facts)
    if not stat.S_ISREG(file.stat().st_mode):
        message = Message(
            "{file} cannot be used: {reason}", file=file, reason=Message("it is not a regular file")
        )
        return Finding("ledger", "error", message, files.hint(file), facts)
    if not facts["bytes"]:
        return Finding("ledger", "ok", Message("{file} (empty)", file=file), facts=facts)
    journal = file.with_name(f"{file.name}-journal")
    if journal.exists() and journal.stat().st_size:
        message = Message(
            "{file} has an unfinished write: another docsend process is writing to it, or was stopped while "
            "writing",
            file=file,
        )
        return Finding(
            "ledger", "warning", message, Message("the next command that uses the ledger repairs it"), facts
        )
    return _ledger_health(file, facts)


def _ledger_failure(file: Path, error: Exception, facts: dict[str, Any]) -> Finding:
    """Return the finding for a ledger that is damaged, or that cannot be checked now."""
    if isinstance(error, DamagedRow):
        message = Message("{file} is damaged: {reason}", file=file, reason=error.what)
        return Finding("ledger", "error", message, REPAIR_HINT, facts)
    if sqlite.is_damage(error):
        message = Message("{file} cannot be used: {reason}", file=file, reason=sqlite.reason(error))
        return Finding("ledger", "error", message, REPAIR_HINT, facts)
    message = Message("cannot check {file}: {reason}", file=file, reason=sqlite.reason(error))
    hint = Message("another docsend process may be using it: run `docsend doctor` again")
    return Finding("ledger", "warning", message, hint, facts)


def _ledger_health(file: Path, facts: dict[str, Any]) -> Finding:
    """Check the integrity of a ledger that is not being written, and count its submissions by state."""
    try:
        health, counts = ledger_queries.health(file)
    except (DamagedRow, *sqlite.ERRORS, OSError) as error:
        return _ledger_failure(file, error, facts)
    facts |= {"health": health, "states": counts}
    if health != "ok":
        return _ledger_failure(file, DamagedRow(Message.verbatim(health)), facts)
    try:
        if fingerprint := ledger_queries.key_fingerprint(file):
            identity_key.load(file, fingerprint)
    except LocalError as error:  # nothing can be sent without the key
        return Finding("ledger", "error", error.message, error.hint, facts)
    total = sum(counts.values())
    message = Message.plural("{file}, 1 submission", "{file}, {count:,} submissions", total, file=file)
    if unfinished := sum(counts.get(state, 0) for state in ("planned", "open", "sending")):
        message = Message.plural(
            "{file}, 1 submission, unfinished",
            "{file}, {count:,} submissions, {unfinished:,} of them unfinished",
            total,
            file=file,
            unfinished=unfinished,
        )
        return Finding(
            "ledger",
            "warning",
            message,
            Message(
                "run `docsend receipts resume`: it finishes the submissions that the service already knows, "
                "and lists the others"
            ),
            facts,
        )
    return Finding("ledger", "ok", message, facts=facts)


def _keyring(settings: Settings, open_store: Callable[[], CredentialStore]) -> Finding:
    """Check how long the keyring takes, and whether the user is signed in. Never report the account."""
    if settings.password_file is not None:
        return _password_file(settings.password_file, has_code=settings.code is not None)
    started_at = time.monotonic()
    try:
        backend = BookletStore(backend=settings.keyring_backend).backend
        is_signed_in = open_store().credentials() is not None if settings.endpoint else None
    except DocsendError as error:
        hint = Message(
            "a keyring is needed only for the personal service and for employers' booklet numbers; "
            "for these, {hint}",
            hint=error.hint or "",
        )
        message = error.message
        return Finding("keyring", "warning", message, hint, {"used": True, "backend": None})
    elapsed = time.monotonic() - started_at
    facts = {
        "used": True,
        "backend": backend,
        "milliseconds": round(elapsed * 1000),
        "signed_in": is_signed_in,
    }
    message = Message(
        "{backend}, answered in {milliseconds} ms", backend=backend, milliseconds=facts["milliseconds"]
    )
    if elapsed > _SLOW_KEYRING_S:
        return Finding(
            "keyring",
            "warning",
            message,
            Message("the keyring is slow: check whether it is waiting to be unlocked"),
            facts,
        )
    return Finding("keyring", "ok", message, facts=facts)


def _password_file(file: Path, *, has_code: bool) -> Finding:
    """Check that the password file is readable by its owner only, without reporting its content."""
    facts = {"used": False}
    if not has_code:
        message = Message("DOCSEND_PASSWORD_FILE is set, but DOCSEND_CODE is not")
        return Finding("keyring", "error", message, Message("set both, or neither"), facts, ExitCode.USAGE)
    try:
        read_password_file(file)
    except DocsendError as error:
        message = error.message
        return Finding("keyring", "error", message, error.hint, facts, error.code)
    message = Message("not used for signing in: the password is read from {file}", file=file)
    return Finding("keyring", "ok", message, facts=facts)


def _terminal(settings: Settings) -> Finding:
    encoding = (getattr(sys.stdout, "encoding", None) or "none").lower()
    columns = shutil.get_terminal_size().columns
    facts = {
        "stdin": _is_terminal(sys.stdin),
        "stdout": _is_terminal(sys.stdout),
        "stderr": _is_terminal(sys.stderr),
        "encoding": encoding,
        "columns": columns,
        "dumb": settings.has_dumb_terminal,
        "language": settings.language,
    }
    description = Message("no terminal")
    if facts["stdout"]:
        description = Message("plain-text terminal") if facts["dumb"] else Message("full-featured terminal")
    message = Message(
        "{what}, {columns} columns, encoding {encoding}, language {language}",
        what=description,
        columns=columns,
        encoding=encoding,
        language=settings.language,
    )
    if encoding.replace("-", "") not in ("utf8", "none"):
        hint = Message("Hebrew is printed as escape sequences: use a UTF-8 locale, or set PYTHONUTF8=1")
        return Finding("terminal", "warning", message, hint, facts)
    return Finding("terminal", "ok", message, facts=facts)


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()


# -- service ----------------------------------------------------------------------------------------------


def _service(settings: Settings, open_service: OpenService) -> Iterator[Finding]:
    endpoint = settings.endpoint
    if (invalid := settings.errors.get("service")) is not None:
        message = invalid.message
        yield Finding("service", "error", message, invalid.hint, {"address": None}, invalid.code)
        return
    if endpoint is None and "configuration" in settings.errors:
        message = Message("cannot determine which service to use")
        hint = Message("correct the configuration error reported above")
        yield Finding("service", "warning", message, hint, {"address": None})
        return
    if endpoint is None:
        hint = Message(
            "give --service, set DOCSEND_SERVICE, or set default_service in {file}", file=settings.config_file
        )
        yield Finding("service", "warning", Message("no service is chosen"), hint, {"address": None})
        return
    proxy = without_password(endpoint.proxy) if endpoint.proxy else None
    facts: dict[str, Any] = {"address": endpoint.name, "proxy": proxy}
    if endpoint.url is None:
        # The sandbox is not started, because that would create its folder.
        yield Finding("service", "ok", Message("the sandbox, which runs inside docsend itself"), facts=facts)
        return
    started_at = time.monotonic()
    try:
        with open_service() as service:
            info = service.fetch_info()
    except DocsendError as error:
        facts["cause"] = error.cause and error.cause.value
        yield Finding("service", "error", error.message, error.hint, facts, error.code)
        return
    facts["milliseconds"] = round((time.monotonic() - started_at) * 1000)
    facts["catalog"] = info.catalog_version
    message = Message(
        "{address} answered in {milliseconds} ms", address=endpoint.name, milliseconds=facts["milliseconds"]
    )
    yield Finding("service", "ok", message, facts=facts)
    yield _network(endpoint.url, proxy, service.tls)
    yield _clock(info.date)


def _network(url: str, proxy: str | None, tls: Tls | None) -> Finding:
    """Report how the service was reached: TLS version, certificate and proxy."""
    facts: dict[str, Any] = {"proxy": proxy, "tls": None}
    if tls is None:
        message = Message("http, on this machine") if url.startswith("http:") else Message("https, verified")
        return Finding("network", "ok", message, facts=facts)
    facts["tls"] = {"version": tls.version, "issuer": tls.issuer, "expires": tls.expires}
    message = Message(
        "{version}, certificate issued by {issuer}, valid until {expires}, {proxy}",
        version=tls.version,
        issuer=tls.issuer,
        expires=tls.expires,
        proxy=Message("no proxy") if proxy is None else Message("through the proxy {proxy}", proxy=proxy),
    )
    return Finding("network", "ok", message, facts=facts)


def _clock(date_header: str | None) -> Finding:
    """Compare this machine's clock with the service's Date field (RFC 9110, 6.6.1), in whole seconds."""
    try:
        service_time = parsedate_to_datetime(date_header or "")
    except ValueError:
        return Finding(
            "clock",
            "ok",
            Message("the service does not report the time of its clock"),
            facts={"skew_s": None},
        )
    service_time = service_time if service_time.tzinfo else service_time.replace(tzinfo=UTC)
    skew = (datetime.now(UTC) - service_time).total_seconds()
    facts = {"skew_s": round(skew)}
    if abs(skew) <= _MAX_CLOCK_SKEW_S:
        return Finding("clock", "ok", Message("matches the service's clock"), facts=facts)
    message = Message("{seconds:.0f} s ahead of the service's clock", seconds=skew)
    if skew < 0:
        message = Message("{seconds:.0f} s behind the service's clock", seconds=-skew)
    return Finding("clock", "warning", message, Message("set this machine's clock"), facts)
