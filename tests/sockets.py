"""Services and requests on plain sockets and over TLS, for what no HTTP library would do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import doubles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest
    import trustme

REFUSED = doubles.problem(409, "key-reused")


@contextlib.contextmanager
def serve_connections(serve: Callable[[Any], object]) -> Iterator[int]:
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


def _served(serve: Callable[[Any], object], connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        serve(connection)


@contextlib.contextmanager
def refusing_tls_service(certificate: trustme.LeafCert) -> Iterator[tuple[str, list[doubles.Asked]]]:
    """Serve over TLS, and refuse whatever is asked; give the address and the requests as they come in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with doubles.service(lambda _: REFUSED, tls=context) as (url, asked):
        yield url.replace("http://", "https://"), asked


def trusted_tls_context(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    """Let the authority be one of the system's; give what serves TLS as 127.0.0.1."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def send_raw(url: str, *pieces: bytes, is_cut: bool = False) -> list[tuple[bytes, dict[bytes, bytes], bytes]]:
    """Send these very bytes, piece by piece, and give status, headers and body of each answer.

    A single request asks for its connection to be closed. With `is_cut` nothing more is sent, and the service
    takes the connection for broken.
    """
    port = int(url.rpartition(":")[2])
    first, *rest = pieces
    if b"".join(pieces).count(b" HTTP/1.1\r\n") == 1:
        first = first.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\nConnection: close\r\n")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for piece in (first, *rest):
            connection.sendall(piece)
            time.sleep(0.02)
        if is_cut:
            connection.shutdown(socket.SHUT_WR)
        answers = b""
        while piece := connection.recv(65536):
            answers += piece
    found = []
    while answers:
        head, _, answers = answers.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
        length = int(headers.get(b"content-length", b"0"))
        found.append((status.split(b" ")[1], headers, answers[:length]))
        answers = answers[length:]
    return found
