"""Run the test suite on every CPython from 3.11 found on PATH, in pyenv or in /usr/bin.

`nox --tags suite` runs the whole suite on each. `nox --tags sample` runs the tests marked `everywhere` on
each except the Python that runs nox.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.tags = ["suite"]

_OLDEST = (3, 11)
_PROBE = """
import importlib.util, json, os, platform, sys
parts = ("ensurepip", "_sqlite3", "_ssl", "venv")
print(json.dumps({
    "executable": os.path.realpath(sys.executable),
    "version": sys.version_info[:3],
    "build": sys.version,
    "lacks": [name.lstrip("_") for name in parts if not importlib.util.find_spec(name)],
    "is_wanted": platform.python_implementation() == "CPython" and sys.prefix == sys.base_prefix,
}))
"""


class Python(NamedTuple):
    """An interpreter. `lacks` names the required modules that its standard library is missing."""

    version: tuple[int, ...]
    build: str
    executable: str
    lacks: list[str]

    @property
    def number(self) -> str:
        return ".".join(map(str, self.version))


def _probe(executable: Path) -> Python | None:
    """Return the description of an interpreter, or None for a shim, a venv, or one that is not CPython."""
    try:
        command = [executable, "-I", "-c", _PROBE]
        answer = json.loads(subprocess.run(command, capture_output=True, timeout=30, check=True).stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    version = tuple(answer["version"])
    if not answer["is_wanted"] or version < _OLDEST:
        return None
    return Python(version, answer["build"], answer["executable"], answer["lacks"])


@functools.cache
def _pythons() -> list[Python]:
    """Return the interpreters, oldest first, each build once."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    folders += [*(Path.home() / ".pyenv" / "versions").glob("*/bin"), Path("/usr/bin")]
    names = ["python3", *(f"python3.{minor}" for minor in range(_OLDEST[1], 30))]
    candidates = dict.fromkeys(folder / name for folder in folders for name in names)
    probed = [_probe(place) for place in candidates if place.exists()]
    return sorted({python.build: python for python in probed if python}.values())


def _add_session(name: str, python: Python, *options: str) -> None:
    """Add a session that runs the suite with this Python. The session's name starts with its tag."""

    @nox.session(name=name, python=python.executable, tags=[name.partition("-")[0]])
    def test(session: nox.Session) -> None:
        session.install("--quiet", "--require-hashes", "-r", "requirements/dev.lock")
        session.install("--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")
        session.run("python", "-c", "import sys, ssl; print(sys.version, ssl.OPENSSL_VERSION)")
        session.run("python", "-m", "pytest", "-n", "auto", "--dist", "loadfile", *options, *session.posargs)


@nox.session(python=False, tags=["suite", "sample"])
def pythons(session: nox.Session) -> None:
    """List the interpreters, and those that are skipped."""
    for python in _pythons():
        lacks = f" is skipped: it has no {', '.join(python.lacks)}" if python.lacks else ""
        is_this = " (runs nox; not in `sample`)" if python.build == sys.version else ""
        session.log(f"Python {python.number}, {python.executable}{is_this}{lacks}")


_counts = Counter[str]()
for _python in _pythons():
    _counts[_python.number] += 1
    _name = _python.number if _counts[_python.number] == 1 else f"{_python.number}-{_counts[_python.number]}"
    if not _python.lacks:
        _add_session(f"suite-{_name}", _python)
        if _python.build != sys.version:
            _add_session(f"sample-{_name}", _python, "-m", "everywhere")
