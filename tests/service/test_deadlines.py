"""No exchange outlasts its deadline, and each gets the time that its bytes need.

Tests run in the main thread, whose exchanges a worker runs, and in another one, which the watchdog watches.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
import trustme

from docsend.i18n import ENGLISH
from docsend.service.exchange import Request, TimeLimits
from docsend.service.failures import NoResponse
from http_exchanges import CHUNKED, GET_CATALOG, PUT_DOCUMENT, THREADS, exchange_in, http_client, response
from sockets import tcp_server, trust_authority

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=THREADS)
def exchange(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Return a function that makes an exchange and returns its response or raises its error."""
    return exchange_in(request.param)


def drip(start: bytes, more: bytes, every_s: float = 0.05) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(start)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            connection.sendall(more)
            time.sleep(every_s)

    return serve


def read_slowly(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    until = time.monotonic() + 10
    while time.monotonic() < until and connection.recv(64):
        time.sleep(0.05)


SLOW_SERVICES: dict[str, tuple[Callable[[socket.socket], None], Request, str]] = {
    "a body that drips": (
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
        GET_CATALOG,
        "reading",
    ),
    "a body that pours": (drip(CHUNKED, b"1\r\na\r\n" * 100, 0), GET_CATALOG, "reading"),
    "a header that drips": (drip(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"a"), GET_CATALOG, "waiting"),
    "endless early hints": (drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), GET_CATALOG, "waiting"),
    "hints that pour": (drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 0), GET_CATALOG, "waiting"),
    "silence": (lambda _: time.sleep(5), GET_CATALOG, "waiting"),
    "a service that reads almost nothing": (read_slowly, PUT_DOCUMENT, "sending"),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("how", SLOW_SERVICES)
def test_no_exchange_outlasts_its_deadline(exchange, authority, tmp_path, monkeypatch, how, scheme) -> None:
    serve, request, step = SLOW_SERVICES[how]
    tls = trust_authority(authority, tmp_path, monkeypatch)

    def serve_encrypted(plain: socket.socket) -> None:
        with tls.wrap_socket(plain, server_side=True) as connection:
            serve(connection)

    began = time.monotonic()
    with (
        tcp_server(serve_encrypted if scheme == "https" else serve) as port,
        http_client(port, scheme=scheme) as client,
        pytest.raises(NoResponse) as failed,
    ):
        exchange(client, request)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == ("timed-out", True)
    assert step in ENGLISH.render(failed.value.failure.message)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("way", ["to the service", "through a proxy", "in a proxy's own handshake"])
def test_a_slow_handshake_times_out_and_nothing_has_arrived(
    exchange, authority, tmp_path, monkeypatch, way
) -> None:
    tls = trust_authority(authority, tmp_path, monkeypatch)
    hello = b"\x16\x03\x03\x40\x00" + bytes(100)  # the start of a handshake that never ends

    def serve(plain: socket.socket) -> None:
        plain.recv(4096)
        if way == "through a proxy":
            plain.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            plain.recv(4096)
        for byte in hello:
            plain.sendall(bytes([byte]))
            time.sleep(0.1)

    assert tls is not None
    began = time.monotonic()
    with tcp_server(serve) as port:
        proxy = {
            "to the service": None,
            "through a proxy": f"http://127.0.0.1:{port}",
            "in a proxy's own handshake": f"https://127.0.0.1:{port}",
        }[way]
        with http_client(port, proxy=proxy, scheme="https") as client, pytest.raises(NoResponse) as failed:
            exchange(client)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == ("timed-out", False)
    assert time.monotonic() - began < 4


def test_a_slow_response_on_a_reused_connection_times_out(authority, tmp_path, monkeypatch) -> None:
    tls = trust_authority(authority, tmp_path, monkeypatch)

    def serve(plain: socket.socket) -> None:
        with tls.wrap_socket(plain, server_side=True) as connection:
            connection.sendall(response(connection.recv(65536)))
            drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" ")(connection)

    with tcp_server(serve) as port, http_client(port, scheme="https") as client:
        began = time.monotonic()
        assert client.exchange(GET_CATALOG).status == 200
        with pytest.raises(NoResponse):
            client.exchange(GET_CATALOG)
        assert time.monotonic() - began < 4


@pytest.mark.parametrize(("bytes_per_s", "arrives"), [(2 * 2**20, True), (2**19, False)])
def test_a_relay_that_buffers_and_forwards_slowly_gets_the_time_that_its_bytes_need(
    exchange, bytes_per_s, arrives
) -> None:
    """A middlebox at 125 kB/s does this with 10 MB: the socket is idle for longer than one step may last."""
    size = PUT_DOCUMENT.size
    limits = TimeLimits(grace_s=0.5, min_bytes_per_s=2**20)  # 4 MiB: 4.5 s

    def buffer(connection: socket.socket) -> None:
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
        left = size - len(body)
        while left:
            left -= len(connection.recv(min(left, 2**20)))
        time.sleep(size / bytes_per_s)
        connection.sendall(response(head, b"", status=b"201 Created"))

    with tcp_server(buffer) as port, http_client(port, limits=limits) as client:
        if arrives:
            assert exchange(client, PUT_DOCUMENT).status == 201
        else:
            with pytest.raises(NoResponse):
                exchange(client, PUT_DOCUMENT)


def test_a_throttled_upload_gets_the_time_that_its_bytes_need(exchange) -> None:
    limits = TimeLimits(grace_s=0.5, min_bytes_per_s=2**20)
    reported: list[int] = []

    def throttle(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
        left = PUT_DOCUMENT.size - len(body)
        while left:
            left -= len(connection.recv(min(left, 2**18)))
            time.sleep(0.05)
        connection.sendall(response(head, b"", status=b"201 Created"))

    with tcp_server(throttle) as port, http_client(port, limits=limits) as client:
        assert exchange(client, PUT_DOCUMENT, on_sent=reported.append).status == 201
    assert reported[-1] == PUT_DOCUMENT.size
    assert len(reported) == 17, "after each block of 256 KiB, and at the end"
