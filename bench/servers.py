"""The servers of a benchmark, each in its own process: the sandbox, the stand-in, and nginx."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

_NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/arriving;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/documents;
        dav_methods PUT;
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens at `address`. `certificates` verify it if it uses TLS."""

    address: str
    process: int
    certificates: Path | None = None

    def cpu_s(self) -> float | None:
        """Return the CPU seconds that its process has used, or None if the system does not report them."""
        state = Path(f"/proc/{self.process}/stat")
        if sys.platform == "win32" or not state.exists():
            return None
        user, system = state.read_text("ascii").rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Load:
    """CPU load of a server over a period; 100 % is one core."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cpu_s = 0.0
        self._wall_s = 0.0

    @contextlib.contextmanager
    def measure(self) -> Iterator[None]:
        """Measure the block."""
        cpu, began = self._server.cpu_s(), time.perf_counter()
        yield
        after = self._server.cpu_s()
        if cpu is not None and after is not None:
            self._cpu_s += after - cpu
            self._wall_s += time.perf_counter() - began

    def __str__(self) -> str:
        return f"{self._cpu_s / self._wall_s:.0%}" if self._wall_s else ""


@contextlib.contextmanager
def sandbox(docsend: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """Run docsend's sandbox with its data in a folder."""
    with _run_server([docsend, "sandbox", "--port", "0", "--data", str(folder)], environment) as server:
        yield server


@contextlib.contextmanager
def stand_in(latency_ms: float = 0, tls_in: Path | None = None) -> Iterator[Server]:
    """Run the stand-in; with a folder for its keys, it uses TLS."""
    script = Path(__file__).with_name("stand_in.py")
    command = [sys.executable, str(script), "--latency", str(latency_ms)]
    certificates = None
    if tls_in is not None:
        authority = trustme.CA()
        identity, certificates = tls_in / "identity.pem", tls_in / "authority.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(identity))
        authority.cert_pem.write_to_path(str(certificates))
        command += ["--identity", str(identity)]
    with _run_server(command, os.environ) as server:
        yield Server(server.address, server.process, certificates)


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Server | None]:
    """Run an nginx that stores uploads in a folder, or return None if it is not installed."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if sys.platform == "win32" or program is None:
        yield None
        return
    (folder / "documents").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = folder / "nginx.conf"
    # As root, nginx would drop its privileges and could not write here.
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration.write_text(user + _NGINX.format(folder=folder, port=port), "ascii")
    command = [program, "-e", str(folder / "errors"), "-c", str(configuration), "-p", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None and not (folder / "pid").exists():
                time.sleep(0.01)
            yield None if process.poll() is not None else Server(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()


@contextlib.contextmanager
def _run_server(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Server]:
    """Run a command that prints its address once it listens."""
    with (
        tempfile.TemporaryFile() as talk,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=talk, text=True) as process,
    ):
        try:
            address = process.stdout.readline().strip() if process.stdout else ""
            if not address:
                talk.seek(0)
                raise SystemExit(
                    f"{' '.join(command)} did not start: {talk.read().decode('utf-8', 'replace')}"
                )
            yield Server(address, process.pid)
        finally:
            process.terminate()
