"""The personal service's door: invented accounts, sessions that expire, and a lock after wrong passwords.

An unknown code and a wrong password get the same answer after the same work, and are counted alike.
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
SESSION_S = 3600
_FAILURES = 5
_LOCK_S = 900
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


@dataclass(frozen=True, slots=True)
class Account:
    """One invented person: where at home, and which documents the service asks of them."""

    code: str
    salt: bytes
    scrypt: bytes
    residence: str
    is_locked: bool
    required: tuple[Mapping[str, Any], ...]


# Checked in place of an account that does not exist, so that it takes as long.
_NOBODY = Account("", bytes(16), bytes(32), "", is_locked=False, required=())


class Accounts:
    """Who may sign in, and who is."""

    def __init__(
        self,
        database: Database,
        *,
        session_s: float = SESSION_S,
        now: Callable[[], float] = time.time,
        fixtures: Path = FIXTURES,
    ) -> None:
        self._database = database
        self._session_s = session_s
        self._now = now
        rows = json.loads(fixtures.read_text(encoding="utf-8"))["accounts"]
        self._accounts = {row["code"]: _account(row) for row in rows}

    def of(self, code: str) -> Account:
        return self._accounts[code]

    def sign_in(self, code: str, password: str) -> tuple[str, int]:
        """Give a token and the seconds that it lasts; refuse with 401, or 429 once the door is locked."""
        # Counted before it is looked at: guesses at the same moment are no more than one after the other.
        self._count_or_refuse(code)
        account = self._accounts.get(code, _NOBODY)
        found = hashlib.scrypt(password.encode(), salt=account.salt, **_SCRYPT)
        if not hmac.compare_digest(found, account.scrypt):
            raise Refusal(401, "sign-in-refused", "code and password do not belong together")
        token = secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM attempt WHERE code = ?", (_hashed(code),))
            connection.execute("DELETE FROM session WHERE expires_at < ?", (self._now(),))
            expires_at = self._now() + self._session_s
            connection.execute("INSERT INTO session VALUES (?, ?, ?)", (_hashed(token), code, expires_at))
        return token, int(self._session_s)

    def sign_out(self, token: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM session WHERE token = ?", (_hashed(token),))

    def signed_in(self, token: str) -> Account:
        """Give the account that a token stands for; refuse with 401 if it stands for none (any more)."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT owner FROM session WHERE token = ? AND expires_at > ?", (_hashed(token), self._now())
            ).fetchone()
        if row is None:
            raise Refusal(401, "sign-in-needed", "the session is not known, or has expired")
        return self._accounts[row[0]]

    def pending(self, account: Account) -> list[Mapping[str, Any]]:
        """Give the documents that the account still has to send."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT required FROM fulfilled WHERE owner = ?", (account.code,))
            done = {required for (required,) in rows}
        return [asked for asked in account.required if asked["id"] not in done]

    # -- the lock ----------------------------------------------------------------------------------------

    def _count_or_refuse(self, code: str) -> None:
        """Count a try that is about to be made; refuse with 429 what comes after the last one allowed."""
        is_locked = code in self._accounts and self._accounts[code].is_locked
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT failures, locked_until FROM attempt WHERE code = ?", (_hashed(code),)
            ).fetchone()
            failures, locked_until = row or (0, 0.0)
            seconds = _LOCK_S if is_locked else locked_until - self._now()
            if seconds <= 0:
                failures += 1
                is_last = failures == _FAILURES
                connection.execute(
                    "INSERT OR REPLACE INTO attempt VALUES (?, ?, ?)",
                    (_hashed(code), 0 if is_last else failures, self._now() + _LOCK_S if is_last else 0.0),
                )
        if seconds > 0:
            wait = {"Retry-After": str(int(seconds) + 1)}
            raise Refusal(429, "locked-out", "too many wrong passwords", headers=wait)


def _account(row: Mapping[str, Any]) -> Account:
    return Account(
        code=row["code"],
        salt=bytes.fromhex(row["salt"]),
        scrypt=bytes.fromhex(row["scrypt"]),
        residence=row["residence"],
        is_locked=row["is_locked"],
        required=tuple(row["required"]),
    )


def _hashed(text: str) -> str:
    """Give what is kept of a token, and of whatever was typed as a code: it could be a password."""
    return hashlib.sha256(text.encode()).hexdigest()
