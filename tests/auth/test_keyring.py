"""The operating system's keyring for real: gnome-keyring's Secret Service on a D-Bus session of its own."""

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
    """Run a shell script in a desktop session: a D-Bus and a Secret Service that live as long as it does."""
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
def test_one_process_logs_in_and_others_send_until_it_is_forgotten(desktop, sandbox) -> None:
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
    said, status, sent, forgotten, gone, refused, code = done.stdout.splitlines()
    assert said == f"signed in at {sandbox.url}"
    assert json.loads(status)["stored_in"] == "keyring.backends.SecretService.Keyring"
    assert json.loads(sent)["status"] == "received"
    assert forgotten.startswith("code, password and session are removed")
    assert json.loads(gone)["signed_in"] is False
    assert (json.loads(refused)["problems"][0]["code"], code) == ("sign-in-needed", "exit 4")
    assert sandbox.select("SELECT count(*) FROM session") == [(0,)]


@needs_desktop
def test_the_secret_outlives_the_desktop_session_encrypted(desktop, home) -> None:
    assert desktop("echo fictional-clear | docsend login --code 1002 --password-stdin").returncode == 0
    assert json.loads(desktop("docsend login --status --json").stdout)["signed_in"]
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"fictional-clear" not in kept


@needs_desktop
def test_a_locked_collection_is_told_at_once_with_the_three_ways_out(desktop) -> None:
    assert desktop("echo fictional-clear | docsend login --code 1002 --password-stdin").returncode == 0
    began = time.monotonic()
    done = desktop("docsend required", start=LOCKED)
    assert time.monotonic() - began < 15
    assert done.returncode == 8
    assert re.search(r"the keyring (is locked|did not answer within 5 s|failed: \w+)", done.stderr)
    for way in ("unlock or install the keyring", "DOCSEND_PASSWORD_FILE", "DOCSEND_KEYRING"):
        assert way in done.stderr


def test_without_any_d_bus_it_says_what_to_install_or_which_file_to_use(spawn, monkeypatch) -> None:
    for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "PYTHON_KEYRING_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    for argv in (("login", "--status"), ("login", "--code", "1", "--password-stdin"), ("required",)):
        outcome = spawn(*argv, "--service", "sandbox", "--json")
        assert (outcome.code, outcome.json["status"]) == (8, "failed")
        assert "there is no keyring on this machine" in outcome.err
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
