"""The parts of the system that tests stand on (requirements/system.txt): which are here, how to get the rest.

`python tests/system.py` installs what is missing, on Debian and its kin, as root. It needs Python alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_LIST = Path(__file__).resolve().parent.parent / "requirements" / "system.txt"


class Part(NamedTuple):
    """A command, or a file by its full path, and the Debian package that brings it."""

    name: str
    package: str

    @property
    def is_here(self) -> bool:
        return Path(self.name).exists() if self.name.startswith("/") else shutil.which(self.name) is not None


def parts() -> dict[str, Part]:
    """Read the list, by names; a file is known by its last part."""
    lines = [line.split() for line in _LIST.read_text(encoding="utf-8").splitlines()]
    found = [Part(line[0], line[1]) for line in lines if line and line[0] != "#"]
    return {Path(part.name).name: part for part in found}


def main() -> int:
    """Install what is missing, or say what that is and who can; return an exit code."""
    missing = [part for part in parts().values() if not part.is_here]
    packages = sorted({part.package for part in missing})
    if not _can_make_environments():
        packages.append("python3-venv")
    if not packages:
        print("everything that tests stand on is here")
        return 0
    print(f"missing: {' '.join(packages)}", flush=True)
    if shutil.which("apt-get") is None:
        print("There is no apt-get here: install them with this system's own packages.", file=sys.stderr)
        return 1
    if os.geteuid() != 0:
        print(f"Only root can install them: sudo apt-get install {' '.join(packages)}", file=sys.stderr)
        return 1
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *words], env=quiet, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            return done.returncode
    return 0


def _can_make_environments() -> bool:
    """Tell whether this Python has venv with pip; Debian keeps them in a package of their own."""
    probe = [sys.executable, "-c", "import ensurepip, venv"]
    return subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
