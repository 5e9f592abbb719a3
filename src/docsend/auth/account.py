"""The signed-in person: credentials that become a token when one is needed, and again when it expired.

A password is tried once. When the service has refused it, nothing in this process tries again, however
many submissions are waiting: thousands of rows must not lock an account.
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

# A token that is about to expire is not begun with.
_EXPIRY_MARGIN_S = 5.0


class SignIn(Protocol):
    def __call__(self, credentials: Credentials) -> tuple[str, float]:
        """Give a token and the seconds that it lasts; raise SignInNeeded if the service refuses."""


class Account:
    """Who is signed in at one service. Several threads may share it."""

    def __init__(
        self, credentials: Credentials, store: CredentialStore | None, *, now: Callable[[], float] = time.time
    ) -> None:
        """Make the account of these credentials; its token is kept in the `vault`, if there is one."""
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
        """Give a token that is not `instead_of` (which the service refused): the kept one, or a new one."""
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
        """Take a token that the service gave, and keep it for the next process.

        A keyring that cannot keep it costs another sign-in then, no more.
        """
        self._token = Token(token, self._now() + expires_in)
        if self._store is not None:
            try:
                self._store.save_token(self._token)
            except LocalError:
                self._store = None

    def record_refusal(self, refusal: SignInRequired) -> SignInRequired:
        """Remember that the service does not let this account in, for all who ask after this one."""
        with self._lock:
            self._refusal = refusal
        return refusal

    def expires_in(self) -> float | None:
        """Give the seconds that the kept session still lasts, None without one."""
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
    """Give the refusal of what stands in the environment: there `docsend login` would change nothing."""
    if [problem.code for problem in refusal.problems] != [Code.SIGN_IN_REFUSED]:
        return refusal
    hint = Message("check DOCSEND_CODE and the file named by DOCSEND_PASSWORD_FILE")
    problems = [replace(problem, hint=hint) for problem in refusal.problems]
    return SignInRequired(refusal.message, hint, problems)
