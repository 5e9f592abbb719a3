"""Docsend as users have it: the wheel, installed with pip into environments of its own, bytecode compiled.

An editable install would be measured without what pip does: its wrapper script and its `.pyc` files. The
environments stay in `.cache` until the project or the interpreter changes.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CACHE = ROOT / "bench" / ".cache"
_PACKAGES = ("docsend", "typer", "httpx", "httpcore", "h11", "anyio", "starlette", "uvicorn", "click")


@dataclass(frozen=True, slots=True)
class Venv:
    """One virtual environment with docsend in it."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def docsend(self) -> str:
        return str(self.folder / "bin" / "docsend")

    def versions(self) -> dict[str, str]:
        """Give the versions of the packages that matter here, of those that are installed."""
        script = (
            "import importlib.metadata as m, json, sys\n"
            "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
        )
        answer = subprocess.run(
            [self.python, "-I", "-c", script], check=True, capture_output=True, env=user_environment()
        )
        installed: dict[str, str] = json.loads(answer.stdout)
        return {name: installed[name] for name in _PACKAGES if name in installed}


@dataclass(frozen=True, slots=True)
class Venvs:
    """`plain` is the wheel as it is, `with_sandbox` the wheel with its extra `sandbox`."""

    plain: Venv
    with_sandbox: Venv
    pip: str


def user_environment() -> dict[str, str]:
    """Give this environment without what developers set: no PYTHONDONTWRITEBYTECODE, no other DOCSEND_*."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DOCSEND_"))}


def prepared() -> Venvs:
    """Give the environments; build them if they are not those of the project as it is now."""
    stamp_file, stamp = _CACHE / "stamp", _stamp()
    if not stamp_file.exists() or stamp_file.read_text("ascii") != stamp:
        _build()
        stamp_file.write_text(stamp, "ascii")
    found = Venvs(Venv(_CACHE / "plain"), Venv(_CACHE / "with-sandbox"), _pip_version())
    if "click" in found.plain.versions():
        raise SystemExit("the plain environment has click in it: httpx would be slower than for users")
    return found


def _stamp() -> str:
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix}".encode())
    sources = (path for path in (ROOT / "src").rglob("*") if "__pycache__" not in path.parts)
    for path in sorted([*sources, ROOT / "pyproject.toml", Path(__file__)]):
        if path.is_file():
            digest.update(f"\n{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _build() -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)
    # pip works from an environment of its own: before Python 3.12 it would bring setuptools into the others.
    _run(sys.executable, "-m", "venv", str(_CACHE / "pip"))
    _run_pip("wheel", "--no-deps", "--wheel-dir", str(_CACHE), str(ROOT))
    (wheel,) = _CACHE.glob("docsend-*.whl")
    for name, what in (("plain", str(wheel)), ("with-sandbox", f"{wheel}[sandbox]")):
        _run(sys.executable, "-m", "venv", "--without-pip", str(_CACHE / name))
        _run_pip("--python", str(_CACHE / name / "bin" / "python"), "install", what)


def _run_pip(*arguments: str) -> None:
    _run(str(_CACHE / "pip" / "bin" / "python"), "-m", "pip", "-qq", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, env=user_environment(), stdin=subprocess.DEVNULL)


def _pip_version() -> str:
    command = [str(_CACHE / "pip" / "bin" / "python"), "-m", "pip", "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]
