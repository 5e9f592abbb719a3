"""Checks which of the system packages in requirements/system.txt, which the tests need, are installed.

`python tests/system.py` (`make setup`) installs the missing ones, as root on Debian and its derivatives. It
needs only Python, because it runs before anything else is installed.
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
    """A command, or a file given by its full path, whose presence proves that a package is installed."""

    proof: str
    package: str

    @property
    def name(self) -> str:
        return Path(self.proof).name

    @property
    def is_here(self) -> bool:
        if self.proof.startswith("/"):
            return Path(self.proof).exists()
        return shutil.which(self.proof) is not None


def parts() -> dict[str, Part]:
    """Return the parts that the tests need by name."""
    lines = [line.split() for line in _LIST.read_text(encoding="utf-8").splitlines()]
    listed = [Part(line[0], line[1]) for line in lines if line and not line[0].startswith("#")]
    return {part.name: part for part in listed}


def missing() -> list[str]:
    """Return the names of the missing Debian packages, sorted."""
    packages = {part.package for part in parts().values() if not part.is_here}
    return sorted(packages if _can_make_environments() else packages | {"python3-venv"})


def main() -> int:
    """Install the missing packages, or report them and who can install them; return an exit code."""
    packages = missing()
    if not packages:
        print("all system packages that the tests need are installed")
        return 0
    print(f"missing: {' '.join(packages)}", file=sys.stderr, flush=True)
    if sys.platform == "win32" or shutil.which("apt-get") is None:
        print("apt-get not found: install them with this system's package manager", file=sys.stderr)
        return 1
    if os.geteuid() != 0:
        print(f"only root can install them: apt-get install {' '.join(packages)}", file=sys.stderr)
        return 1
    return _install(packages)


def _install(packages: list[str]) -> int:
    unattended = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt_get = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([*apt_get, *words], env=unattended, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            return done.returncode
    if still := missing():
        print(f"installed, and still missing: {' '.join(still)}", file=sys.stderr)
    return bool(still)


def _can_make_environments() -> bool:
    """Return whether this Python and the system's have venv and pip, which Debian packages separately."""
    pythons = {sys.executable, *filter(os.path.exists, ["/usr/bin/python3"])}
    probes = [[python, "-c", "import ensurepip, venv"] for python in pythons]
    return all(subprocess.run(probe, capture_output=True, check=False).returncode == 0 for probe in probes)


if __name__ == "__main__":
    sys.exit(main())
