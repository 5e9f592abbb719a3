"""Every command in the README's bash blocks is run, and prints what the README shows."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import walkthrough

ROOT = Path(__file__).parent.parent


@pytest.mark.needs("jq")
def test_the_commands_of_the_readme_print_what_it_shows(tmp_path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = {**os.environ, "PATH": f"{walkthrough.make_command(tmp_path)}:{os.environ['PATH']}"}
    walkthrough.run((ROOT / "README.md").read_text("utf-8"), folder=tmp_path, environment=environment)
