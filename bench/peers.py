"""Other programs that upload a file, installed as their users install them.

Each sends one file to a server on this machine. The report names what it does not do compared with docsend.
"""

import base64
import hashlib
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from venvs import Environment, for_peer

_NAME, _VERSION = "benchdocument", "1.0"


def _write_random_file(folder: Path, size: int) -> Path:
    """Write a file of incompressible bytes, like a scan."""
    path = folder / f"scan-{size}.bin"
    path.write_bytes(os.urandom(size))
    return path


@dataclass(frozen=True, slots=True)
class Peer:
    """A program from a package. `sends(address, file)` returns its arguments."""

    package: str
    program: str
    sends: Callable[[str, Path], Sequence[str]]
    does: str
    settings: Callable[[str, Path], Mapping[str, str]] = lambda _address, _folder: {}
    makes: Callable[[Path, int], Path] = _write_random_file
    has_help: bool = True

    @property
    def label(self) -> str:
        return self.program if self.program != "http" else "http (httpie)"


@dataclass(frozen=True, slots=True)
class Installed:
    """A peer installed in its virtual environment."""

    peer: Peer
    environment: Environment

    def command(self, *arguments: str) -> list[str]:
        return [str(self.environment.folder / "bin" / self.peer.program), *arguments]

    def sending(self, address: str, file: Path) -> list[str]:
        return self.command(*self.peer.sends(address, file))

    @property
    def version(self) -> str:
        return self.environment.versions([self.peer.package])[self.peer.package]


def install_peers() -> list[Installed]:
    """Install each peer from the package index into its own environment."""
    return [Installed(peer, for_peer(peer.package)) for peer in _PEERS]


def _wheel(folder: Path, size: int) -> Path:
    """Write a wheel with one stored file and its metadata, because twine uploads nothing else."""
    path = folder / str(size) / f"{_NAME}-{_VERSION}-py3-none-any.whl"
    path.parent.mkdir()
    about = f"{_NAME}-{_VERSION}.dist-info"
    content = os.urandom(size - 1000)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as wheel:
        wheel.writestr(f"{_NAME}/scan.bin", content)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {_NAME}\nVersion: {_VERSION}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", f"{_NAME}/scan.bin,sha256={digest},{len(content)}\n")
    return path


def _hub(address: str, folder: Path) -> Mapping[str, str]:
    return {
        "HF_ENDPOINT": address,
        "HF_TOKEN": "hf_none",
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }


def _amazon(_address: str, _folder: Path) -> Mapping[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _archive(address: str, folder: Path) -> Mapping[str, str]:
    """Write a configuration file for ia and use this server as its proxy, because its hosts are fixed."""
    file = folder / "ia.ini"
    file.write_text("[s3]\naccess = none\nsecret = none\n[cookies]\n[general]\nscreenname = none\n", "ascii")
    return {"IA_CONFIG_FILE": str(file), "http_proxy": address}


_PEERS = (
    Peer(
        "twine",
        "twine",
        lambda address, file: [
            "upload",
            "--non-interactive",
            "--disable-progress-bar",
            *("--repository-url", f"{address}/legacy/", "--username", "none", "--password", "none"),
            str(file),
        ],
        "reads a wheel's metadata, three digests, one multipart POST; no ledger, no receipt",
        makes=_wheel,
    ),
    Peer(
        "huggingface_hub",
        "hf",
        lambda _address, file: ["upload", "bench/documents", str(file)],
        "one digest, five small requests, one PUT (Git LFS; Xet needs its own store); no check, no ledger",
        settings=_hub,
    ),
    Peer(
        "httpie",
        "http",
        lambda address, file: [
            "--ignore-stdin",
            "--check-status",
            "PUT",
            f"{address}/{file.name}",
            f"@{file}",
        ],
        "one PUT; no check, no digest, no ledger, no receipt",
    ),
    Peer(
        "internetarchive",
        "ia",
        lambda _address, file: [
            "--insecure",
            "upload",
            "docsend-bench-item",
            str(file),
            "--metadata=title:none",
        ],
        "a GET and one PUT, through a proxy, since its hosts are fixed; no check, no ledger, no receipt",
        settings=_archive,
    ),
    Peer(
        "awscli",
        "aws",
        lambda address, file: [
            *("s3", "cp", "--no-progress", str(file), "s3://bucket/document"),
            *("--endpoint-url", address),
        ],
        "a checksum and one signed PUT, above 8 MiB in parts by ten threads; no check, no ledger, no receipt",
        settings=_amazon,
        has_help=False,
    ),
)
