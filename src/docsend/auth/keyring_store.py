"""Credentials, tokens and booklet numbers in the operating system's keyring.

Only this module uses the `keyring` package.

Guarantees:
- No call to a keyring takes longer than KEYRING_TIMEOUT_S. A call that hangs is abandoned, and the hint names
  three alternatives. The cause may be a locked collection whose prompt nobody sees, or a dead D-Bus.
- Only the operating systems' own keyrings are used, unless the user selects another by name. Of the others,
  the `null` and `fail` backends store nothing, and plaintext files protect nothing.
- Passwords and booklet numbers are read back after writing, because some backends accept a password and
  store nothing.
- Secrets appear in no repr and in no message.
"""

from __future__ import annotations

import json
import os
import queue
import stat
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from docsend import threads
from docsend.errors import LocalError, UsageError
from docsend.i18n import Message
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")

KEYRING_TIMEOUT_S = 5.0
# Keyrings of the operating systems: Secret Service and KWallet, macOS, Windows.
_TRUSTED_BACKENDS = (
    "keyring.backends.SecretService.",
    "keyring.backends.libsecret.",
    "keyring.backends.kwallet.",
    "keyring.backends.macOS.",
    "keyring.backends.Windows.",
)
_CHAINER = "keyring.backends.chainer.ChainerBackend"
_MAX_LINE_LENGTH = 4096
_MIN_SUFFIXED_CODE = 8

KEYRING_HINT = Message(
    "unlock the keyring, or install one (on Debian: gnome-keyring). Without a keyring, set DOCSEND_CODE to "
    "the code, and DOCSEND_PASSWORD_FILE to a file that contains the password and that only you can read. "
    "To use another keyring backend, set DOCSEND_KEYRING to its name"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Code and password of an account. Its repr shows neither."""

    code: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def masked_code(self) -> str:
        """Six bullets and the last two characters of the code, or only bullets for fewer than eight."""
        return "••••••" + (self.code[-2:] if len(self.code) >= _MIN_SUFFIXED_CODE else "")


@dataclass(frozen=True, slots=True)
class Token:
    """Token of a session. `expires_at` is in seconds since the epoch, by this machine's clock."""

    text: str = field(repr=False)
    expires_at: float


class CredentialStore:
    """Keyring entries of one service: the credentials, and the token of the last session."""

    def __init__(self, service: str, *, backend: str | None = None) -> None:
        """Create the store of a service. `backend` selects a keyring by name, as `module.Class`."""
        self._entries = _KeyringEntries(f"docsend {service}", backend)

    @property
    def backend(self) -> str:
        """Name of the keyring backend in use. Raise LocalError if there is no trusted one."""
        return self._entries.backend

    def credentials(self) -> Credentials | None:
        """Return the stored credentials, or None. Raise LocalError if the keyring fails."""
        raw = self._entries.read("account") or {}
        code, password = raw.get("code"), raw.get("password")
        # docsend did not write an entry in any other form, so it counts as missing.
        return Credentials(code, password) if isinstance(code, str) and isinstance(password, str) else None

    def token(self) -> Token | None:
        """Return the stored token, which may have expired, or None. Raise LocalError if the keyring fails."""
        raw = self._entries.read("session") or {}
        token, expires_at = raw.get("token"), raw.get("expires_at")
        if not isinstance(token, str) or not isinstance(expires_at, int | float):
            return None
        return Token(token, float(expires_at))

    def save_credentials(self, credentials: Credentials) -> None:
        """Store the credentials. Raise LocalError if they cannot be stored or do not read back."""
        self._entries.save("account", {"code": credentials.code, "password": credentials.password})

    def save_token(self, token: Token) -> None:
        """Store the token of a session. Raise LocalError if the keyring fails."""
        self._entries.write("session", {"token": token.text, "expires_at": token.expires_at})

    def forget(self) -> bool:
        """Remove the credentials and the token. Return whether there were any."""
        return any([self._entries.remove("account"), self._entries.remove("session")])


class BookletStore:
    """The senders' booklet numbers, stored in the keyring because they serve as passwords."""

    def __init__(self, *, backend: str | None = None) -> None:
        """Create the store. `backend` selects a keyring by name, as `module.Class`."""
        self._entries = _KeyringEntries("docsend senders", backend)

    @property
    def backend(self) -> str:
        """Name of the keyring backend in use. Raise LocalError if there is no trusted one."""
        return self._entries.backend

    def read(self, sender: str, employer_file: str) -> str | None:
        """Return the booklet number of a sender, or None if there is none for this employer file.

        The file number is compared because another employer may have had the same sender name before.
        """
        stored = self._entries.read(sender) or {}
        booklet = stored.get("booklet") if stored.get("employer_file") == employer_file else None
        return booklet if isinstance(booklet, str) else None

    def save(self, sender: str, employer_file: str, booklet: str) -> None:
        """Store a booklet number. Raise LocalError if it cannot be stored or does not read back."""
        self._entries.save(sender, {"employer_file": employer_file, "booklet": booklet})

    def forget(self, sender: str) -> bool:
        """Remove the booklet number of a sender. Return whether there was one."""
        return self._entries.remove(sender)


class _KeyringEntries:
    """JSON objects in the keyring under one service name. No call takes longer than KEYRING_TIMEOUT_S."""

    def __init__(self, name: str, backend: str | None) -> None:
        self._name = name
        self._backend_override = backend

    @property
    def backend(self) -> str:
        return self._call(_backend_name)

    def read(self, entry: str) -> dict[str, Any] | None:
        """Return an entry, or None if there is none or it is not a JSON object."""
        text = self._call(lambda ring: ring.get_password(self._name, entry))
        try:
            raw = json.loads(text) if text else None
        except ValueError:
            raw = None
        return raw if isinstance(raw, dict) else None

    def write(self, entry: str, raw: dict[str, Any]) -> None:
        self._call(lambda ring: ring.set_password(self._name, entry, json.dumps(raw)))

    def save(self, entry: str, raw: dict[str, Any]) -> None:
        """Write an entry and read it back, because some backends accept a password and store nothing.

        Raise LocalError if the entry that was read is different.
        """
        self.write(entry, raw)
        if self.read(entry) != raw:
            raise LocalError(
                Message("the keyring reported no error, but did not store the password or booklet number"),
                KEYRING_HINT,
            )

    def remove(self, entry: str) -> bool:
        def delete(ring: Any) -> bool:
            if ring.get_password(self._name, entry) is None:
                return False
            ring.delete_password(self._name, entry)
            return True

        return self._call(delete)

    def _call(self, call: Callable[[Any], _T]) -> _T:
        """Call the keyring in a separate thread and return the result.

        If the call does not return in time, abandon the thread. Raise LocalError if the call times out or
        fails.
        """
        results: queue.Queue[tuple[_T | None, BaseException | None]] = queue.Queue()

        def run() -> None:
            try:
                results.put((call(_load_keyring(self._backend_override)), None))
            except BaseException as error:  # noqa: BLE001 - passed to the waiting thread
                results.put((None, error))

        threads.start(run)
        try:
            result, error = results.get(timeout=KEYRING_TIMEOUT_S)
        except queue.Empty:
            raise LocalError(
                Message("the keyring did not answer within {seconds:.0f} s", seconds=KEYRING_TIMEOUT_S),
                KEYRING_HINT,
            ) from None
        if isinstance(error, LocalError):
            raise error
        if error is not None:
            # Report only the error's type: the backend writes its text, which could contain a secret.
            name = type(error).__name__
            message = Message("the keyring failed: {error}", error=name)
            is_locked = name == "KeyringLocked"
            raise LocalError(
                Message("the keyring is locked") if is_locked else message, KEYRING_HINT
            ) from None
        return result  # type: ignore[return-value]  # without an error, this is the return value of the call


def _load_keyring(override: str | None) -> Any:
    """Return the keyring backend to use. Raise LocalError if none of them protects secrets."""
    import keyring.core

    if override is not None:
        try:
            return keyring.core.load_keyring(override)
        except Exception as error:  # noqa: BLE001 - loading a backend runs foreign code
            raise LocalError(
                Message(
                    "cannot load keyring backend {backend!r}: {error}",
                    backend=override,
                    error=type(error).__name__,
                ),
                Message(
                    "set DOCSEND_KEYRING to a backend in the form module.Class; `keyring --list-backends` "
                    "lists them"
                ),
            ) from None
    ring = keyring.get_keyring()
    # With several backends installed, keyring would try all of them, including plaintext files.
    candidates = list(getattr(ring, "backends", [ring])) if _backend_name(ring) == _CHAINER else [ring]
    for candidate in candidates:
        if _backend_name(candidate).startswith(_TRUSTED_BACKENDS):
            return candidate
    others = [
        _backend_name(candidate)
        for candidate in candidates
        if not _backend_name(candidate).startswith("keyring.backends.fail.")
    ]
    message = Message("there is no keyring on this machine")
    if others:
        message = Message(
            "there is no secure keyring on this machine, only {others}",
            others=", ".join(others),
        )
    raise LocalError(message, KEYRING_HINT)


def _backend_name(ring: Any) -> str:
    return f"{type(ring).__module__}.{type(ring).__name__}"


def read_password_file(file: Path) -> str:
    """Return the password on the first line of a file.

    Raise UsageError if the file cannot be read, is not UTF-8 or has an empty first line. On POSIX systems,
    also raise it if anybody but the owner has access to the file.
    """
    try:
        with files.open_regular(file, allow_pipe=True) as opened:
            status = os.fstat(opened.fileno())
            if sys.platform != "win32" and stat.S_IMODE(status.st_mode) & 0o077:
                raise UsageError(
                    Message("the password file can be read by others"),
                    _permission_hint(file, files.other_owner(file)),
                )
            text = opened.readline(_MAX_LINE_LENGTH).decode("utf-8")
    except OSError as error:
        raise UsageError(
            Message("cannot read the password file: {reason}", reason=files.reason(error)),
            Message("check its path"),
        ) from error
    except UnicodeDecodeError:
        raise UsageError(
            Message("the password file is not UTF-8"),
            Message("save it as UTF-8, with the password on the first line"),
        ) from None
    return _first_line(text, hint=Message("write it on the first line of the file"))


def _permission_hint(file: Path, owner: str | None) -> Message:
    if owner is None:
        return Message("run `chmod 600 {file}`, then change the password", file=file)
    return Message(
        "it belongs to {owner}: use a file of your own, and change the password",
        owner=owner,
    )


def read_standard_input(empty_message: Message | None = None) -> str:
    """Return the password or other secret on the first line of standard input.

    Raise UsageError if the line is empty. `empty_message` replaces the message about a password.
    """
    line = sys.stdin.readline(_MAX_LINE_LENGTH) if sys.stdin else ""
    return _first_line(line, empty_message, hint=Message("write it on the first line of standard input"))


def _first_line(text: str, empty_message: Message | None = None, *, hint: Message) -> str:
    """Return the first line of a text. Raise UsageError if it is empty."""
    password = text.split("\n", 1)[0].rstrip("\r")
    if not password:
        raise UsageError(empty_message or Message("the password is empty"), hint)
    return password
