"""Services on plain sockets and over TLS, for what no HTTP server would do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import doubles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest
    import trustme

REFUSED = doubles.problem(409, "key-reused")


@contextlib.contextmanager
def a_port(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """Serve each connection with `serve(socket)` in a thread; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = server.accept()
                    threading.Thread(target=_served, args=(serve, connection), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


def _served(serve: Callable[[socket.socket], object], connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        serve(connection)


@contextlib.contextmanager
def over_tls(certificate: trustme.LeafCert) -> Iterator[tuple[str, list[doubles.Asked]]]:
    """Serve over TLS, and refuse whatever is asked; give the address and the requests as they come in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with doubles.service(lambda _: REFUSED, tls=context) as (url, asked):
        yield url.replace("http://", "https://"), asked


def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Let the authority be one of the system's; give what serves TLS as 127.0.0.1."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context
