"""No exchange outlasts its deadline, and each has the time that its bytes need.

Each runs in the main thread, whose exchanges a worker does, and in another one, which the watchdog watches.
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
from http_exchanges import CHUNKED, LOOK, PUT, THREADS, client, exchanging, response
from sockets import serve_connections, trusted_tls_context

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=THREADS)
def exchange(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Give what makes an exchange, and raises or returns what came of it."""
    return exchanging(request.param)


def drip(start: bytes, more: bytes, every_s: float = 0.05) -> Callable[[socket.socket], None]:
    def serve(near: socket.socket) -> None:
        near.recv(65536)
        near.sendall(start)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            near.sendall(more)
            time.sleep(every_s)

    return serve


def takes_nothing(near: socket.socket) -> None:
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    until = time.monotonic() + 10
    while time.monotonic() < until and near.recv(64):
        time.sleep(0.05)


LATE: dict[str, tuple[Callable[[socket.socket], None], Request, str]] = {
    "a body that drips": (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "), LOOK, "reading"),
    "a body that pours": (drip(CHUNKED, b"1\r\na\r\n" * 100, 0), LOOK, "reading"),
    "a header that drips": (drip(b"HTTP/1.1 200 OK\r\nX-Endless: ", b"a"), LOOK, "waiting"),
    "early hints for ever": (drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), LOOK, "waiting"),
    "hints that pour": (drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 0), LOOK, "waiting"),
    "silence": (lambda _: time.sleep(5), LOOK, "waiting"),
    "somebody who takes nothing": (takes_nothing, PUT, "sending"),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("how", LATE)
def test_no_exchange_outlasts_its_deadline(exchange, authority, tmp_path, monkeypatch, how, scheme) -> None:
    serve, asked, step = LATE[how]
    tls = trusted_tls_context(authority, tmp_path, monkeypatch)

    def serve_encrypted(plain: socket.socket) -> None:
        with tls.wrap_socket(plain, server_side=True) as near:
            serve(near)

    began = time.monotonic()
    with (
        serve_connections(serve_encrypted if scheme == "https" else serve) as port,
        client(port, scheme=scheme) as made,
        pytest.raises(NoResponse) as failed,
    ):
        exchange(made, asked)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == ("timed-out", True)
    assert step in ENGLISH.render(failed.value.failure.message)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("way", ["to the service", "through a proxy", "in a proxy's own handshake"])
def test_a_handshake_that_drips_is_given_up_and_nothing_has_arrived(
    exchange, authority, tmp_path, monkeypatch, way
) -> None:
    tls = trusted_tls_context(authority, tmp_path, monkeypatch)
    hello = b"\x16\x03\x03\x40\x00" + bytes(100)  # a handshake that goes on and on

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
    with serve_connections(serve) as port:
        proxy = {
            "to the service": None,
            "through a proxy": f"http://127.0.0.1:{port}",
            "in a proxy's own handshake": f"https://127.0.0.1:{port}",
        }[way]
        with client(port, proxy=proxy, scheme="https") as made, pytest.raises(NoResponse) as failed:
            exchange(made)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == ("timed-out", False)
    assert time.monotonic() - began < 4


def test_a_kept_connection_that_drips_is_given_up_too(authority, tmp_path, monkeypatch) -> None:
    tls = trusted_tls_context(authority, tmp_path, monkeypatch)

    def serve(plain: socket.socket) -> None:
        with tls.wrap_socket(plain, server_side=True) as near:
            near.sendall(response(near.recv(65536)))
            drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" ")(near)

    with serve_connections(serve) as port, client(port, scheme="https") as made:
        began = time.monotonic()
        assert made.exchange(LOOK).status == 200
        with pytest.raises(NoResponse):
            made.exchange(LOOK)
        assert time.monotonic() - began < 4


@pytest.mark.parametrize(("bytes_per_s", "arrives"), [(2 * 2**20, True), (2**19, False)])
def test_a_relay_that_takes_all_at_once_and_forwards_slowly_has_the_time_that_its_bytes_need(
    exchange, bytes_per_s, arrives
) -> None:
    """As a middlebox at 125 kB/s does to 10 MB: the socket is silent for longer than a step may last."""
    size = PUT.size
    limits = TimeLimits(grace_s=0.5, slowest_bytes_per_s=2**20)  # 4 MiB: 4.5 s

    def buffer(near: socket.socket) -> None:
        taken = near.recv(65536)
        head, _, body = taken.partition(b"\r\n\r\n")
        left = size - len(body)
        while left:
            left -= len(near.recv(min(left, 2**20)))
        time.sleep(size / bytes_per_s)
        near.sendall(response(head, b"", status=b"201 Created"))

    with serve_connections(buffer) as port, client(port, limits=limits) as made:
        if arrives:
            assert exchange(made, PUT).status == 201
        else:
            with pytest.raises(NoResponse):
                exchange(made, PUT)


def test_an_upload_that_is_throttled_has_the_time_that_its_bytes_need(exchange) -> None:
    limits = TimeLimits(grace_s=0.5, slowest_bytes_per_s=2**20)
    told: list[int] = []

    def throttle(near: socket.socket) -> None:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head, _, body = near.recv(65536).partition(b"\r\n\r\n")
        left = PUT.size - len(body)
        while left:
            left -= len(near.recv(min(left, 2**18)))
            time.sleep(0.05)
        near.sendall(response(head, b"", status=b"201 Created"))

    with serve_connections(throttle) as port, client(port, limits=limits) as made:
        assert exchange(made, PUT, sent=told.append).status == 201
    assert told[-1] == PUT.size
    assert len(told) == 17, "after each block of 256 KiB, and at the end"
