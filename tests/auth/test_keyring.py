"""A real keyring of the operating system: gnome-keyring's Secret Service on a separate D-Bus session."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

import walkthrough

UNLOCK = "printf 'fictional' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1"
LOCKED = "gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1"
SEND = (
    "docsend send payslip.pdf --to personal --subject reserve --category service "
    "--type reserve-service-certificate --json"
)

needs_desktop = pytest.mark.needs("dbus-run-session", "gnome-keyring-daemon")


@pytest.fixture
def desktop(tmp_path, payslip, sandbox):
    """Return a function that runs a shell script in a desktop session with a D-Bus and a Secret Service."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)

    def run(script: str, *, start: str = UNLOCK) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime),
            "DOCSEND_SERVICE": sandbox.url,
            "PATH": f"{walkthrough.make_command(tmp_path)}:{os.environ['PATH']}",
        }
        del environment["PYTHON_KEYRING_BACKEND"]
        return subprocess.run(
            ["dbus-run-session", "--", "bash", "-c", f"{start}\n{script}"],
            env=environment,
            cwd=payslip.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@needs_desktop
def test_one_process_signs_in_and_others_send_until_the_credentials_are_removed(desktop, sandbox) -> None:
    done = desktop(f"""
        set -e
        echo fictional-clear | docsend login --code 1002 --password-stdin
        docsend login --status --json
        {SEND}
        docsend login --forget
        docsend login --status --json
        {SEND} || echo "exit $?"
    """)
    assert done.returncode == 0, done.stderr
    printed, status, sent, forgotten, gone, refused, code = done.stdout.splitlines()
    assert printed == f"signed in to {sandbox.url}"
    assert json.loads(status)["stored_in"] == "keyring.backends.SecretService.Keyring"
    assert json.loads(sent)["status"] == "received"
    assert forgotten.startswith("removed code, password and session")
    assert json.loads(gone)["signed_in"] is False
    assert (json.loads(refused)["problems"][0]["code"], code) == ("sign-in-needed", "exit 4")
    assert sandbox.select("SELECT count(*) FROM session") == [(0,)]


@needs_desktop
def test_the_secret_survives_the_desktop_session_in_encrypted_form(desktop, home) -> None:
    assert desktop("echo fictional-clear | docsend login --code 1002 --password-stdin").returncode == 0
    assert json.loads(desktop("docsend login --status --json").stdout)["signed_in"]
    stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"fictional-clear" not in stored


@needs_desktop
def test_a_locked_collection_is_reported_at_once_with_three_alternatives(desktop) -> None:
    assert desktop("echo fictional-clear | docsend login --code 1002 --password-stdin").returncode == 0
    began = time.monotonic()
    done = desktop("docsend required", start=LOCKED)
    assert time.monotonic() - began < 15
    assert done.returncode == 8
    assert re.search(r"the keyring (is locked|did not answer within 5 s|failed: \w+)", done.stderr)
    for way in ("unlock the keyring", "DOCSEND_PASSWORD_FILE", "DOCSEND_KEYRING"):
        assert way in done.stderr


def test_without_d_bus_the_hint_names_a_package_to_install_and_a_file_to_use(spawn, monkeypatch) -> None:
    for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "PYTHON_KEYRING_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    for argv in (("login", "--status"), ("login", "--code", "1", "--password-stdin"), ("required",)):
        outcome = spawn(*argv, "--service", "sandbox", "--json")
        assert (outcome.code, outcome.json["status"]) == (8, "failed")
        assert re.search(r"there is no (secure )?keyring on this machine", outcome.err)
        assert "gnome-keyring" in outcome.err
        assert "DOCSEND_PASSWORD_FILE" in outcome.err


@pytest.mark.parametrize("argv", [("login", "--status"), ("login", "--forget"), ("required",)], ids=" ".join)
def test_a_keyring_that_hangs_is_abandoned_after_5_seconds(spawn, argv) -> None:
    environment = {
        "DOCSEND_KEYRING": "sleeping_keyring.SleepingKeyring",
        "PYTHONPATH": str(Path(__file__).parents[1] / "backends"),
    }
    began = time.monotonic()
    outcome = spawn(*argv, "--service", "sandbox", env=environment)
    assert 5 <= time.monotonic() - began < 12
    assert outcome.code == 8
    assert "did not answer within 5 s" in outcome.err
    assert "DOCSEND_PASSWORD_FILE" in outcome.err
