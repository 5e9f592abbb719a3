"""Callers of the personal service: the owner, other accounts, and callers without a valid token."""

from __future__ import annotations

import contextlib
import functools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from conftest import RunningSandbox
from contract_client import ASKED, CLEAR, PASSWORDS, UNKNOWN_TOKEN, Sender
from docsend.sandbox import server
from docsend.sandbox.accounts import SESSION_LIFETIME_S, Accounts
from docsend.sandbox.database import Database
from docsend.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Callers = dict[str, Sender]


@contextlib.contextmanager
def sandbox_with_frozen_clock(folder: Path) -> Iterator[RunningSandbox]:
    """Yield a sandbox with a frozen clock, so that equal answers are equal byte for byte."""
    moment = datetime.now(UTC)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(server, "Store", functools.partial(Store, now=lambda: moment))
        with server.run_in_background(folder) as url:
            yield RunningSandbox(url, folder)


def make_callers(sandbox: RunningSandbox) -> Callers:
    """Return one sender for each kind of caller. The expired token was the owner's."""
    sender = Sender(sandbox.url)
    with contextlib.closing(Database(sandbox.folder / "sandbox.sqlite3")) as database:
        long_ago = Accounts(database, now=lambda: time.time() - SESSION_LIFETIME_S - 1)
        expired, _ = long_ago.sign_in(ASKED, PASSWORDS[ASKED])
    return {
        "nobody": sender,
        "owner": sender.as_account(ASKED),
        "stranger": sender.as_account(CLEAR),
        "garbage": sender.with_token(ASKED, UNKNOWN_TOKEN),
        "expired": sender.with_token(ASKED, expired),
    }
