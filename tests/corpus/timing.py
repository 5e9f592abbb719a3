"""How long docsend takes for its slowest document, without starting it once for each.

Documents are checked many at a time. Only a group that took as long as one document may take is split, until
the slow document is alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from corpus.judging import arguments, write_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from corpus.judging import Edition

if sys.platform == "win32":
    raise SystemExit("this needs POSIX")

_GROUP = 250


def slowest(edition: Edition, folder: Path, names: Sequence[str], limit: float) -> tuple[float, str]:
    """Return the processor time that no document exceeded, and the slowest document or its group."""
    startup = min(_seconds(edition, folder, names[:1]) for _ in range(3))
    most = (0.0, "")
    groups = [names[at : at + _GROUP] for at in range(0, len(names), _GROUP)]
    while groups:
        group = groups.pop()
        seconds = _seconds(edition, folder, group) - startup
        if seconds > limit and len(group) > 1:
            groups += [group[: len(group) // 2], group[len(group) // 2 :]]
        else:
            most = max(most, (seconds, group[0] if len(group) == 1 else f"a group of {len(group)}"))
    return most


def _seconds(edition: Edition, folder: Path, names: Sequence[str]) -> float:
    """Return the processor time of one run of docsend and its children."""
    command = [*edition.command, *arguments(write_manifest(folder, names)), *edition.options]
    process = subprocess.Popen(
        command,
        env=dict(edition.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):
        raise RuntimeError(f"{edition.name}: exit code {process.returncode}")
    return used.ru_utime + used.ru_stime
