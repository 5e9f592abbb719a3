"""The suite on each CPython from 3.11 on that this machine has: on the path, of pyenv, the system's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = True
_OLDEST = (3, 11)
_PROBE = """
import json, os, platform, sys
import sqlite3, ssl
place = sys.base_prefix, os.path.realpath(sys.executable)
print(json.dumps([platform.python_implementation(), sys.version_info[:3], *place]))
"""


def _interpreters() -> dict[str, str]:
    """Find the interpreters by the prefixes of their installations, the oldest first."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    folders += sorted((Path.home() / ".pyenv" / "versions").glob("*/bin"))
    names = ["python3", *(f"python3.{minor}" for minor in range(_OLDEST[1], 30))]
    places = [folder / name for folder in [*folders, Path("/usr/bin")] for name in names]
    found: dict[str, tuple[list[int], str]] = {}
    for place in places:
        if not place.exists() or _is_virtual(place):
            continue
        probe = subprocess.run([place, "-c", _PROBE], capture_output=True, text=True, check=False)
        if probe.returncode:  # a shim without a version behind it, or built without ssl or sqlite3
            continue
        implementation, version, prefix, executable = json.loads(probe.stdout)
        if implementation == "CPython" and tuple(version) >= _OLDEST:
            found[prefix] = (version, executable)
    return {prefix: found[prefix][1] for prefix in sorted(found, key=lambda prefix: found[prefix])}


def _is_virtual(place: Path) -> bool:
    return (place.parent.parent / "pyvenv.cfg").exists()


_ALL = _interpreters()
_OTHERS = [executable for prefix, executable in _ALL.items() if prefix != sys.base_prefix]


def _test(session: nox.Session, *options: str) -> None:
    session.install("--quiet", "--require-hashes", "-r", "requirements/dev.lock")
    session.install("--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")
    session.run("python", "-c", "import sys, ssl; print(sys.version, ssl.OPENSSL_VERSION)")
    session.run("python", "-m", "pytest", "-n", "auto", "--dist", "loadfile", *options, *session.posargs)


@nox.session(python=list(_ALL.values()))
def suite(session: nox.Session) -> None:
    """Run the whole suite."""
    _test(session)


@nox.session(python=_OTHERS)
def sample(session: nox.Session) -> None:
    """Run what is marked `everywhere`, on each Python but the one that runs this."""
    _test(session, "-m", "everywhere")
