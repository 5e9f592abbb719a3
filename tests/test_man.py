"""Manual pages are current and free of errors, and man finds them where the wheel installs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docsend.cli.app import COMMANDS

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "man").rglob("*.[15]"))


def test_the_pages_are_current() -> None:
    command: list[str | Path] = [sys.executable, ROOT / "tools" / "man" / "build.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.needs("mandoc")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_no_error_in_a_page(page) -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.needs("mandoc")
def test_each_command_has_a_page_with_all_of_its_options_and_exit_codes(run) -> None:
    assert len(PAGES) == len(COMMANDS) + 3
    for name in COMMANDS:
        page = ROOT / "man" / "man1" / f"docsend-{name}.1"
        shown = subprocess.run(
            ["mandoc", "-T", "utf8", page], capture_output=True, text=True, check=True
        ).stdout.replace("\b", "")
        help_text = run(name, "--help").out
        options = {
            word for line in help_text.splitlines() if line.startswith("  -") for word in line.split()[:2]
        }
        for option in options:
            if option.startswith("--") and option not in (
                "--service", "--lang", "--json", "--quiet", "--verbose", "--no-input", "--help",
            ):  # fmt: skip
                plain = "".join(shown.split("\n"))
                bold = "".join(character * 2 for character in option)
                assert option in plain or bold in plain, (name, option)


def test_a_wheel_has_pages_and_completions_where_man_and_shells_look(tmp_path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", wheel], check=True, capture_output=True, text=True
    ).stdout
    for path in (
        "share/man/man1/docsend-send.1",
        "share/man/man5/docsend-manifest.5",
        "share/bash-completion/completions/docsend",
        "share/zsh/site-functions/_docsend",
        "share/fish/vendor_completions.d/docsend.fish",
    ):
        assert path in listed
