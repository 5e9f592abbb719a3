"""Every command in docs/personal.md prints what the page shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import walkthrough
from docsend.sandbox.accounts import Accounts
from docsend.sandbox.database import Database

PAGE = (Path(__file__).parent.parent / "docs" / "personal.md").read_text(encoding="utf-8")
ACCOUNTANTS, SERVERS = PAGE.split("## For scripts on servers without a desktop")
UNLOCK = "printf 'fictional' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1"


@pytest.fixture
def environment(payslip, tmp_path) -> dict[str, str]:
    assert payslip.parent == tmp_path
    (tmp_path / "runtime").mkdir(mode=0o700)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHON_KEYRING_BACKEND"}
    path = f"{walkthrough.make_command(tmp_path)}:{os.environ['PATH']}"
    return {**inherited, "PATH": path, "XDG_RUNTIME_DIR": str(tmp_path / "runtime")}


@pytest.mark.needs("dbus-run-session", "gnome-keyring-daemon", "jq")
def test_the_page_for_accountants_is_true_on_a_desktop(environment, tmp_path) -> None:
    desktop = ["dbus-run-session", "--"]
    walkthrough.run(ACCOUNTANTS, folder=tmp_path, environment=environment, within=desktop, before=UNLOCK)


@pytest.mark.needs("jq")
def test_the_page_for_servers_is_true_without_a_desktop(environment, tmp_path) -> None:
    for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY"):
        environment.pop(name, None)
    walkthrough.run(SERVERS, folder=tmp_path, environment=environment)


def test_the_page_names_the_codes_and_passwords_of_the_sandbox(tmp_path) -> None:
    database = Database(tmp_path / "sandbox.sqlite3")
    accounts = Accounts(database)
    for code, password in (("1001", "fictional-pending"), ("1002", "fictional-clear")):
        assert f"| `{code}` | `{password}` |" in PAGE
        assert accounts.sign_in(code, password)
    database.close()
