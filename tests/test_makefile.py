"""On a new machine, missing packages are reported, and an incomplete environment is created again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import system

ROOT = Path(__file__).parent.parent
# These are six tests, and each needs jq.
NEEDS_JQ = ("tests/model/test_key.py", "-k", "test_other_tools_compute_the_same_key")


@pytest.fixture
def empty_path(tmp_path: Path) -> Path:
    """Return an empty folder to use as PATH."""
    folder = tmp_path / "no tools"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize(
    ("ci", "code", "outcome", "closing"),
    [
        ("", 0, "6 skipped", "6 tests were left out, for want of: jq; `make setup` installs them"),
        ("true", 1, "6 failed", "6 tests failed, for want of: jq; `make setup` installs them"),
    ],
    ids=["here", "in CI"],
)
def test_without_a_tool_its_tests_are_skipped_or_fail_in_ci_and_the_last_line_says_so(
    empty_path, processes, ci, code, outcome, closing
) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", processes, *NEEDS_JQ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": str(empty_path), "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    *_, summary, last = done.stdout.splitlines()
    assert f" {outcome}" in summary
    assert "error" not in summary
    assert last == f"{closing} (Debian, as root)"


def test_without_apt_every_missing_package_is_reported(empty_path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "system.py"],
        env={**os.environ, "PATH": str(empty_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    named = first.removeprefix("missing: ").split()
    assert {part.package for part in system.parts().values() if not part.proof.startswith("/")} <= {*named}
    assert second == "apt-get not found: install them with this system's package manager"


def _without_pip(environment: Path) -> None:
    """Create the environment that Debian without python3-venv leaves behind."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)


def _without_its_python(environment: Path) -> None:
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to("/nowhere/python3")


@pytest.mark.needs("make")
@pytest.mark.parametrize("damage", [_without_pip, _without_its_python])
def test_an_incomplete_environment_is_recreated(tmp_path, damage) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    damage(tmp_path / ".venv")
    (tmp_path / ".venv" / ".run").touch()  # The stamp of a complete installation.

    def make() -> str:
        command = ["make", ".venv/bin/python", f"PYTHON={sys.executable}"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert "about 20 seconds" in make()
    subprocess.run([tmp_path / ".venv" / "bin" / "python", "-c", "import pip"], check=True)
    assert not (tmp_path / ".venv" / ".run").exists()
    assert "about 20 seconds" not in make()
