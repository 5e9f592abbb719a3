"""The guard around the tests works."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import keyring
import keyring.errors
import pytest

from conftest import ExternalAccessBlocked
from docsend.config import settings


def test_a_connection_to_another_machine_is_refused() -> None:
    with socket.socket() as outside, pytest.raises(ExternalAccessBlocked):
        outside.connect(("192.0.2.1", 443))


def test_the_home_and_all_of_docsend_s_files_are_in_a_temporary_folder(home: Path) -> None:
    resolved = settings.resolve()
    assert Path.home() == home
    assert home in resolved.ledger_file.parents
    assert home in resolved.config_file.parents


def test_the_guard_stays_when_a_test_undoes_its_own_patches(home: Path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_HOME", "elsewhere")
    monkeypatch.undo()
    assert home in settings.resolve().ledger_file.parents
    test_a_connection_to_another_machine_is_refused()


def test_tests_cannot_reach_the_real_keyring() -> None:
    with pytest.raises(keyring.errors.NoKeyringError):
        keyring.get_password("docsend", "anybody")


def test_settings_of_the_machine_do_not_reach_a_test() -> None:
    foreign = {"DOCSEND_SERVICE", "HTTPS_PROXY", "https_proxy", "LC_ALL"} & os.environ.keys()
    assert not foreign


def test_a_test_cannot_use_a_tool_that_it_does_not_name() -> None:
    done = subprocess.run(["jq", "."], input=b"{}", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (127, b"")
    assert b'needs("jq")' in done.stderr


@pytest.mark.needs("jq")
def test_a_tool_that_a_test_names_is_the_real_one() -> None:
    assert subprocess.run(["jq", "."], input=b"{}", capture_output=True, check=True).stdout == b"{}\n"


def test_resources_that_a_process_does_not_close_are_recorded() -> None:
    warnings_file = Path(os.environ["TESTS_LEFT_OPEN"])
    script = "import docsend, os; open(os.devnull)"
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    recorded = warnings_file.read_text("utf-8")
    warnings_file.unlink()  # Otherwise the guard would fail this test.
    assert "unclosed file" in recorded
