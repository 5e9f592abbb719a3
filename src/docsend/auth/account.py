"""The signed-in account, which exchanges its credentials for a token whenever it needs a new one.

Once the service has refused a password, this process never tries the password again, however many
submissions are waiting. A batch of thousands of rows must not lock an account.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from docsend.auth.keyring_store import Token
from docsend.codes import Code
from docsend.errors import LocalError, SignInRequired
from docsend.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from docsend.auth.keyring_store import Credentials, CredentialStore

# A token that expires sooner than this is not used for a new request.
_EXPIRY_MARGIN_S = 5.0


class SignIn(Protocol):
    """Exchanges credentials for a token at the service."""

    def __call__(self, credentials: Credentials) -> tuple[str, float]:
        """Return a token and its lifetime in seconds.

        Raise SignInRequired if the service refuses the credentials.
        """


class Account:
    """The account at one service, with its current token. Several threads may share it."""

    def __init__(
        self, credentials: Credentials, store: CredentialStore | None, *, now: Callable[[], float] = time.time
    ) -> None:
        """Create the account for these credentials.

        Its token is stored in `store`, if one is given. `now` returns seconds since the epoch.
        """
        self.code = credentials.code
        self.masked_code = credentials.masked_code
        self._credentials = credentials
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._has_read_store = False
        self._refusal: SignInRequired | None = None

    def token(self, sign_in: SignIn, *, instead_of: str | None = None) -> str:
        """Return the current token, or sign in and return a new one if it has expired or was refused.

        `instead_of` is the token that the service refused, if any. Raise SignInRequired if the service
        refuses the credentials, or has refused them before.
        """
        with self._lock:
            if self._refusal is not None:
                raise self._refusal
            current = self._valid_token()
            if current is not None and current.text != instead_of:
                return current.text
            try:
                text, expires_in = sign_in(self._credentials)
            except SignInRequired as refusal:
                self._refusal = refusal if self._store else _with_environment_hint(refusal)
                raise self._refusal from None
            self.store_token(text, expires_in)
            return text

    def store_token(self, token: str, expires_in: float) -> None:
        """Use this token for `expires_in` seconds, and store it for the next process.

        If the keyring cannot store the token, the next process has to sign in again. Nothing else is lost.
        """
        self._token = Token(token, self._now() + expires_in)
        if self._store is not None:
            try:
                self._store.save_token(self._token)
            except LocalError:
                self._store = None

    def record_refusal(self, refusal: SignInRequired) -> SignInRequired:
        """Record a refusal of this account and return it. Later requests then fail without a sign-in."""
        with self._lock:
            self._refusal = refusal
        return refusal

    def expires_in(self) -> float | None:
        """Return the seconds left in the current session, or None if there is no session."""
        token = self._valid_token()
        return None if token is None else token.expires_at - self._now()

    def _valid_token(self) -> Token | None:
        if self._token is None and not self._has_read_store and self._store is not None:
            self._has_read_store = True
            self._token = self._store.token()
        if self._token is not None and self._token.expires_at - _EXPIRY_MARGIN_S < self._now():
            self._token = None
        return self._token


def _with_environment_hint(refusal: SignInRequired) -> SignInRequired:
    """Return a refusal with a hint to check the environment, because `docsend login` would not help."""
    if [problem.code for problem in refusal.problems] != [Code.SIGN_IN_REFUSED]:
        return refusal
    hint = Message("check DOCSEND_CODE and the file named by DOCSEND_PASSWORD_FILE")
    problems = [replace(problem, hint=hint) for problem in refusal.problems]
    return SignInRequired(refusal.message, hint, problems)
