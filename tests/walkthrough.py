"""Running the commands of documentation pages: each bash block must print the text block that follows it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_BLOCKS = re.compile(r"^```bash\n(.*?)^```\n(?:\n?```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
_MARK = "-- end of a block --"


def blocks(page: str) -> list[tuple[str, str]]:
    """Return each bash block with its expected output, which is "" for a block without a text block."""
    found: list[tuple[str, str]] = _BLOCKS.findall(page)
    assert len(found) == page.count("```bash")
    assert len([expected for _, expected in found if expected]) == page.count("```text")
    return found


def matches(expected: str, printed: str) -> bool:
    """Return whether the output matches line by line; `…` matches anything within a line."""
    lines, patterns = (
        printed.splitlines(),
        [".*".join(map(re.escape, line.split("…"))) for line in expected.splitlines()],
    )
    return len(lines) == len(patterns) and all(map(re.fullmatch, patterns, lines))


def run(
    page: str,
    *,
    folder: Path,
    environment: Mapping[str, str],
    at: Path | None = None,
    within: Sequence[str] = (),
    before: str = "",
) -> None:
    """Run a page's blocks in order in one bash, as a reader would, and compare their output.

    The working directory is `at`, or else `folder`. `within` is a command that runs the bash.
    """
    script = folder / "walk-through.sh"
    steps = "".join(f"{block}\necho '{_MARK}'\n" for block, _ in blocks(page))
    script.write_text(f"set -eu\n{before}\n{steps}", "utf-8")
    ran = subprocess.run(
        [*within, "bash", script],
        cwd=at or folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    *printed, rest = ran.stdout.split(f"{_MARK}\n")
    for (block, expected), output in zip(blocks(page), printed, strict=False):
        assert matches(expected, output), f"{block}\nprinted\n{output}\ninstead of\n{expected}\n{ran.stderr}"
    assert (ran.returncode, rest, len(printed)) == (0, "", len(blocks(page))), ran.stderr


def make_command(folder: Path) -> Path:
    """Create a `docsend` command that uses the interpreter of the tests; return the folder it is in."""
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    command = bin_ / "docsend"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m docsend "$@"\n')
    command.chmod(0o755)
    return bin_
