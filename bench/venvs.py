"""Programs installed with pip in their own virtual environments, with compiled bytecode.

docsend is installed from its wheel: an editable installation would lack what pip creates, the script and the
`.pyc` files. The other programs come from the package index. docsend's environments stay in `.cache` until
the project or the interpreter changes, the others until the interpreter changes or `.cache` is removed.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CACHE = ROOT / "bench" / ".cache"
_INTERPRETER = f"{sys.version} {sys.base_prefix}"
_OTHERS = re.compile(r"PYTHON|DOCSEND_|XDG_|TWINE_|HF_|AWS_|IA_|.*_proxy$|SSL_CERT", re.IGNORECASE)
# The last commit that used its own sockets and three requests for each submission.
OLDER_COMMIT = "b3c59d7"
_NAMES = ("plain", "with-sandbox", "with-tables")
_PACKAGES = ("docsend", "typer", "httpx", "h11", "anyio", "starlette", "uvicorn", "click")


@dataclass(frozen=True, slots=True)
class Environment:
    """One virtual environment."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def docsend(self) -> str:
        return str(self.folder / "bin" / "docsend")

    def versions(self, packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
        """Return the versions of those of the packages that are installed."""
        script = (
            "import importlib.metadata as m, json, sys\n"
            "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
        )
        answer = subprocess.run(
            [self.python, "-I", "-c", script], check=True, capture_output=True, env=user_environment()
        )
        installed: dict[str, str] = json.loads(answer.stdout)
        return {name: installed[name] for name in packages if name in installed}


@dataclass(frozen=True, slots=True)
class Venvs:
    """`plain` is the wheel without extras, `with_sandbox` and `with_tables` those with an extra.

    `older` is the wheel of the older commit, or None if git does not have it.
    """

    plain: Environment
    with_sandbox: Environment
    with_tables: Environment
    older: Environment | None
    pip: str


def user_environment() -> dict[str, str]:
    """Return this environment without developer settings such as PYTHONDONTWRITEBYTECODE or DOCSEND_*.

    Variables that configure the other programs, or that redirect files, are removed, too.
    """
    return {name: value for name, value in os.environ.items() if not _OTHERS.match(name)}


def prepare_environments() -> Venvs:
    """Return the environments, and rebuild those that are out of date."""
    stamp_file, stamp = _CACHE / "stamp", _stamp()
    if not stamp_file.exists() or stamp_file.read_text("ascii") != stamp:
        _build()
        stamp_file.write_text(stamp, "ascii")
    plain, with_sandbox, with_tables = (Environment(_CACHE / name) for name in _NAMES)
    found = Venvs(plain, with_sandbox, with_tables, older_environment(), _pip_version())
    if "click" in found.plain.versions():
        raise SystemExit("the plain environment has click in it: httpx would be slower than for users")
    return found


def for_peer(package: str) -> Environment:
    """Return the environment of a package from the index, in the version that was newest at its first use."""
    folder = _CACHE / f"peer-{package}"
    if _is_stale(folder):
        _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
        _run_pip("--python", str(folder / "bin" / "python"), "install", package)
        _stamp_file(folder).write_text(_INTERPRETER, "utf-8")
    return Environment(folder)


def older_environment(commit: str = OLDER_COMMIT) -> Environment | None:
    """Return the environment of an older commit, or None if git does not have it."""
    folder = _CACHE / f"older-{commit}"
    if not _is_stale(folder):
        return Environment(folder)
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        print(f"left out: docsend of {commit}, which this clone does not have", file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory(prefix="docsend-older-") as source:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
            packed.extractall(source, filter="data")
        _run_pip("wheel", "--no-deps", "--wheel-dir", str(folder), source)
    (wheel,) = folder.glob("docsend-*.whl")
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    _run_pip("--python", str(folder / "bin" / "python"), "install", str(wheel))
    _stamp_file(folder).write_text(_INTERPRETER, "utf-8")
    return Environment(folder)


def _is_stale(folder: Path) -> bool:
    """Return whether an environment must be built; remove one that another interpreter left."""
    stamp = _stamp_file(folder)
    if stamp.exists() and stamp.read_text("utf-8") == _INTERPRETER:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _stamp_file(folder: Path) -> Path:
    return folder / "stamp"


def _stamp() -> str:
    digest = hashlib.sha256(_INTERPRETER.encode())
    sources = (path for path in (ROOT / "src").rglob("*") if "__pycache__" not in path.parts)
    for path in sorted([*sources, ROOT / "pyproject.toml", Path(__file__)]):
        if path.is_file():
            digest.update(f"\n{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _build() -> None:
    for old in _NAMES:
        shutil.rmtree(_CACHE / old, ignore_errors=True)
    for wheel in _CACHE.glob("docsend-*.whl"):
        wheel.unlink()
    _run_pip("wheel", "--no-deps", "--wheel-dir", str(_CACHE), str(ROOT))
    (wheel,) = _CACHE.glob("docsend-*.whl")
    wheels = (str(wheel), f"{wheel}[sandbox]", f"{wheel}[tables]")
    for name, what in zip(_NAMES, wheels, strict=True):
        _run(sys.executable, "-m", "venv", "--without-pip", str(_CACHE / name))
        _run_pip("--python", str(_CACHE / name / "bin" / "python"), "install", what)


def _run_pip(*arguments: str) -> None:
    _run(str(_pip()), "-m", "pip", "-qq", *arguments)


def _pip() -> Path:
    """Return the Python of pip's own environment, because before 3.12 a venv's pip adds setuptools."""
    folder = _CACHE / "pip"
    if _is_stale(folder):
        _run(sys.executable, "-m", "venv", str(folder))
        _stamp_file(folder).write_text(_INTERPRETER, "utf-8")
    return folder / "bin" / "python"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, env=user_environment(), stdin=subprocess.DEVNULL)


def _pip_version() -> str:
    command = [str(_pip()), "-m", "pip", "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]
