"""The wheel works when it is installed alone in an empty environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pexpect
import pytest

from conftest import ABOUT, WHO

ROOT = Path(__file__).parent.parent
COMPILED = {"fr/LC_MESSAGES/docsend.mo", "he/LC_MESSAGES/docsend.mo"}
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and the wheel from it."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist) -> Path:
    wheels: list[Path] = list(dist.glob("*.whl"))
    (wheel,) = wheels
    return wheel


@pytest.fixture
def sources(dist, tmp_path) -> Path:
    """Unpack the source distribution."""
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    return Path(tmp_path, archive.name.removesuffix(".tar.gz"))


def test_the_wheel_contains_the_program_and_its_data_and_nothing_else(wheel) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"docsend"}
    for needed in (
        "py.typed",
        "data/catalog.json",
        "data/catalog.schema.json",
        "sandbox/openapi.yaml",
    ):
        assert f"docsend/{needed}" in names
    assert {name.partition("/locale/")[2] for name in names if name.endswith(".mo")} == COMPILED
    for needed in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "LICENSE"):
        assert f"docsend/data/fonts/{needed}" in names


def test_an_editable_installation_compiles_the_translations_where_the_sources_are(sources) -> None:
    def compiled() -> set[str]:
        locale = sources / "src" / "docsend" / "locale"
        return {file.relative_to(locale).as_posix() for file in locale.rglob("*.mo")}

    assert compiled() == set()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel:editable"]
    subprocess.run(build, cwd=sources, check=True, capture_output=True)
    assert compiled() == COMPILED


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel with the locked versions of its dependencies; return the environment's bin folder."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    bin_ = folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip: list[str | Path] = [bin_ / "python", "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    locked = ROOT / "requirements" / "run.lock"
    subprocess.run([*pip, "--require-hashes", "-r", locked], check=True, stdin=subprocess.DEVNULL)
    subprocess.run([*pip, "--no-deps", wheel], check=True, stdin=subprocess.DEVNULL)
    subprocess.run([bin_ / "python", "-m", "pip", "check"], check=True, capture_output=True)
    return bin_


@pytest.mark.timeout(300)
def test_the_installed_command_sends_a_document_from_an_empty_environment(
    installed, payslip, tmp_path
) -> None:
    def docsend(*argv: object) -> subprocess.CompletedProcess[bytes]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
        return subprocess.run(
            [installed / "docsend", *map(str, argv)],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )

    assert docsend("--version").stdout.startswith(b"docsend ")
    assert b"1514" in docsend("catalog", "1514").stdout
    assert "Usage\u00a0: docsend" in docsend("--help", "--lang", "fr").stdout.decode()
    result = json.loads(docsend("send", payslip, *ABOUT, *WHO, "--service", "sandbox", "--json").stdout)
    assert result["status"] == "received"
    assert (tmp_path / ".local" / "share" / "docsend" / "ledger.sqlite3").exists()


@pytest.fixture(scope="module")
def user_home(wheel, installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install only the wheel below a user's ~/.local; return the home."""
    home = tmp_path_factory.mktemp("user")
    options: list[str | Path] = ["--quiet", "--no-deps", "--ignore-installed", "--prefix", home / ".local"]
    subprocess.run([installed / "python", "-m", "pip", "install", *options, wheel], check=True)
    return home


def user_environment(home: Path) -> dict[str, str]:
    path = f"{home / '.local' / 'bin'}:/usr/bin:/bin"
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb", "PS1": "> "}


@pytest.mark.needs("man")
@pytest.mark.parametrize("page", ["docsend", "docsend-send", "docsend-config"])
def test_man_finds_the_pages_of_a_users_installation_without_further_steps(user_home, page) -> None:
    shown = subprocess.run(
        ["man", page], env=user_environment(user_home), capture_output=True, text=True, check=True
    )
    assert shown.stdout.upper().startswith(page.upper())


@pytest.mark.needs("bash_completion")
def test_tab_works_in_bash_for_a_users_installation_without_further_steps(user_home) -> None:
    bash = pexpect.spawn(
        "bash",
        ["--noprofile", "--norc", "-i"],
        env=user_environment(user_home),
        encoding="utf-8",
        timeout=20,
    )
    bash.sendline(f"source {BASH_COMPLETION}; echo re''ady")
    bash.expect_exact("ready")
    bash.send("docsend rec\t")
    bash.expect_exact("docsend receipts")
    bash.close(force=True)


@pytest.mark.needs("fish")
def test_tab_works_in_fish_for_a_users_installation_without_further_steps(user_home) -> None:
    shown = subprocess.run(
        ["fish", "-c", 'complete -C "docsend rec"'],
        env=user_environment(user_home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.startswith("receipts\t")


def test_the_locked_requirements_name_no_index_and_pin_every_file_by_its_hash() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert "index" not in text
        pinned = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pinned
        assert all("==" in line and line.endswith("\\") for line in pinned)
        assert text.count("--hash=sha256:") >= len(pinned)
