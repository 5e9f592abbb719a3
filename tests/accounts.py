"""The fictional accounts of the sandbox, and a function to sign in to one."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from conftest import Outcome, Run

ABOUT = (
    "--to",
    "personal",
    "--subject",
    "reserve",
    "--category",
    "service",
    "--type",
    "reserve-service-certificate",
)
PENDING_SUBJECT = ("--to", "personal", "--subject", "unemployment", "--category", "employer")
CLEAR, PENDING = ("1002", "fictional-clear"), ("1001", "fictional-pending")


def log_in(
    run: Run,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    code: str = "1002",
    password: str = "fictional-clear",
) -> Outcome:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))
    return run("login", "--code", code, "--password-stdin", "--service", url, "--json")
