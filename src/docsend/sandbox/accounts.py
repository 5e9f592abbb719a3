"""Sign-in to the personal service: fictional accounts, sessions that expire, and a lockout.

An unknown code and a wrong password get the same response after the same amount of work, and both count as a
failure, so that a caller cannot find out which codes exist.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docsend.sandbox.problems import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docsend.sandbox.database import Database

FIXTURES = Path(__file__).parent / "accounts.json"
SESSION_LIFETIME_S = 3600
_MAX_FAILURES = 5
_LOCKOUT_S = 900
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


@dataclass(frozen=True, slots=True)
class Account:
    """A fictional person's account.

    `code` is the sign-in code, `residence` the code of the branch that serves the person's residence, and
    `required` the documents that the service requires of the person. `is_locked` is true for an account whose
    sign-in is always locked out.
    """

    code: str
    salt: bytes
    scrypt: bytes
    residence: str
    is_locked: bool
    required: tuple[Mapping[str, Any], ...]


# Checked if the account does not exist, so that the check takes equally long.
_DUMMY_ACCOUNT = Account("", bytes(16), bytes(32), "", is_locked=False, required=())


class Accounts:
    """The accounts, their sessions and their failed sign-ins."""

    def __init__(
        self,
        database: Database,
        *,
        session_lifetime_s: float = SESSION_LIFETIME_S,
        now: Callable[[], float] = time.time,
        fixtures: Path = FIXTURES,
    ) -> None:
        self._database = database
        self._session_lifetime_s = session_lifetime_s
        self._now = now
        rows = json.loads(fixtures.read_text(encoding="utf-8"))["accounts"]
        self._accounts = {row["code"]: _parse_account(row) for row in rows}

    def get(self, code: str) -> Account:
        return self._accounts[code]

    def sign_in(self, code: str, password: str) -> tuple[str, int]:
        """Return a session token and its lifetime in seconds.

        Raise Refusal with 401 if the code or the password is wrong, or 429 while the code is locked out.
        """
        # The attempt is counted before the password is checked, so that concurrent guesses count like
        # sequential ones.
        self._count_attempt(code)
        account = self._accounts.get(code, _DUMMY_ACCOUNT)
        computed = hashlib.scrypt(password.encode(), salt=account.salt, **_SCRYPT)
        if not hmac.compare_digest(computed, account.scrypt):
            raise Refusal(401, "sign-in-refused", "the code or the password is wrong")
        token = secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM attempt WHERE code = ?", (_hash(code),))
            connection.execute("DELETE FROM session WHERE expires_at < ?", (self._now(),))
            expires_at = self._now() + self._session_lifetime_s
            connection.execute("INSERT INTO session VALUES (?, ?, ?)", (_hash(token), code, expires_at))
        return token, int(self._session_lifetime_s)

    def sign_out(self, token: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM session WHERE token = ?", (_hash(token),))

    def authenticate(self, token: str) -> Account:
        """Return the account that a token belongs to.

        Raise Refusal with 401 if the token is unknown or has expired.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT owner FROM session WHERE token = ? AND expires_at > ?", (_hash(token), self._now())
            ).fetchone()
        if row is None:
            raise Refusal(401, "sign-in-needed", "the session is unknown or has expired")
        return self._accounts[row[0]]

    def pending(self, account: Account) -> list[Mapping[str, Any]]:
        """Return the required documents that the account has not sent yet."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT required FROM fulfilled WHERE owner = ?", (account.code,))
            done = {required for (required,) in rows}
        return [asked for asked in account.required if asked["id"] not in done]

    # -- lockout -----------------------------------------------------------------------------------------

    def _count_attempt(self, code: str) -> None:
        """Count a sign-in attempt before the password is checked.

        Raise Refusal with 429 if the code is locked out.
        """
        is_locked = code in self._accounts and self._accounts[code].is_locked
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT failures, locked_until FROM attempt WHERE code = ?", (_hash(code),)
            ).fetchone()
            failures, locked_until = row or (0, 0.0)
            seconds = _LOCKOUT_S if is_locked else locked_until - self._now()
            if seconds <= 0:
                failures += 1
                is_last = failures == _MAX_FAILURES
                connection.execute(
                    "INSERT OR REPLACE INTO attempt VALUES (?, ?, ?)",
                    (_hash(code), 0 if is_last else failures, self._now() + _LOCKOUT_S if is_last else 0.0),
                )
        if seconds > 0:
            wait = {"Retry-After": str(int(seconds) + 1)}
            raise Refusal(429, "locked-out", "too many failed sign-ins", headers=wait)


def _parse_account(row: Mapping[str, Any]) -> Account:
    return Account(
        code=row["code"],
        salt=bytes.fromhex(row["salt"]),
        scrypt=bytes.fromhex(row["scrypt"]),
        residence=row["residence"],
        is_locked=row["is_locked"],
        required=tuple(row["required"]),
    )


def _hash(text: str) -> str:
    """Return the hash to store instead of a token or a code.

    Codes are hashed, too, because users may type their password as the code.
    """
    return hashlib.sha256(text.encode()).hexdigest()
