"""Services and requests on plain sockets and over TLS, for behavior that HTTP libraries do not offer."""

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
    """Call `serve(socket)` for each connection in its own thread; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = server.accept()
                    threading.Thread(target=_serve_one, args=(serve, connection), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


def _serve_one(serve: Callable[[Any], object], connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        serve(connection)


@contextlib.contextmanager
def refusing_tls_service(certificate: trustme.LeafCert) -> Iterator[tuple[str, list[doubles.Asked]]]:
    """Refuse every request over TLS; yield the URL and the list of requests received so far."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with doubles.service(lambda _: REFUSED, tls=context) as (url, asked):
        yield url.replace("http://", "https://"), asked


def trusted_tls_context(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    """Make docsend trust the authority; return a server context with its certificate for 127.0.0.1."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def send_raw(url: str, *pieces: bytes, is_cut: bool = False) -> list[tuple[bytes, dict[bytes, bytes], bytes]]:
    """Send these bytes, piece by piece, and return the status, headers and body of each response.

    A single request gets `Connection: close`. With `is_cut`, the sending side is closed afterwards, and the
    service sees a broken connection.
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
        received = b""
        while piece := connection.recv(65536):
            received += piece
    responses = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
        length = int(headers.get(b"content-length", b"0"))
        responses.append((status.split(b" ")[1], headers, received[:length]))
        received = received[length:]
    return responses
