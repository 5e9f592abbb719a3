"""The HTTP client matches responses to requests, checks their length, and reports what may have arrived.

Tests run in the main thread, whose exchanges a worker runs, and in another one, which the watchdog watches.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trustme

import doubles
from docsend.config.address import Endpoint
from docsend.service.exchange import Request
from docsend.service.failures import ContractViolation, NoResponse
from docsend.service.http import HttpClient
from http_exchanges import (
    CHUNKED,
    GET_CATALOG,
    PUT_DOCUMENT,
    SHORT_LIMITS,
    THREADS,
    exchange_in,
    http_client,
    request_id,
    response,
)
from sockets import tcp_server, trust_authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=THREADS)
def exchange(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Return a function that makes an exchange and returns its response or raises its error."""
    return exchange_in(request.param)


def test_bytes_after_a_response_are_never_read_as_the_next_one(exchange) -> None:
    forged = b"HTTP/1.1 409 Conflict\r\nContent-Length: 6\r\n\r\nforged"
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while head := connection.recv(65536):
            heads.append(head)
            connection.sendall(response(head) + (forged if len(heads) == 1 else b""))

    with tcp_server(serve) as port, http_client(port) as client:
        assert exchange(client).status == 200
        with contextlib.suppress(ContractViolation, NoResponse):
            assert exchange(client).status == 200
        assert exchange(client).status == 200


WRONG_IDS = {
    "of another request": lambda head: response(head).replace(request_id(head), b"0" * 32),
    "twice": lambda head: response(head).replace(b"\r\nRequest-Id", b"\r\nRequest-Id: x\r\nRequest-Id"),
    "empty": lambda head: response(head).replace(request_id(head), b""),
}


@pytest.mark.parametrize("what", WRONG_IDS)
def test_a_response_with_another_id_is_rejected(exchange, what) -> None:
    with (
        tcp_server(lambda connection: connection.sendall(WRONG_IDS[what](connection.recv(65536)))) as port,
        http_client(port) as client,
        pytest.raises(ContractViolation),
    ):
        exchange(client)


@pytest.mark.parametrize("is_repeatable", [True, False])
def test_a_response_without_an_id_is_rejected_on_a_connection_that_repeated_one(is_repeatable) -> None:
    """It may be left over from an earlier response. On a new connection that is impossible."""
    connections: list[int] = []

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        first = connection.recv(65536)
        connection.sendall(response(first, with_id=len(connections) == 1))
        if head := connection.recv(65536):
            connection.sendall(response(head, with_id=False).replace(b" 200 OK", b" 403 No"))

    request = GET_CATALOG._replace(is_repeatable=is_repeatable)
    with tcp_server(serve) as port, http_client(port) as client:
        assert client.exchange(request).status == 200
        if is_repeatable:
            second = client.exchange(request)
            assert (second.status, second.may_have_arrived_before) == (200, True)
        else:
            with pytest.raises(ContractViolation):
                client.exchange(request)
    assert len(connections) == (2 if is_repeatable else 1)


@pytest.mark.parametrize(("echoes", "connections"), [(True, 1), (False, 3)])
def test_a_service_that_repeats_no_ids_gets_a_new_connection_for_each_request(echoes, connections) -> None:
    made_connections: list[int] = []

    def serve(connection: socket.socket) -> None:
        made_connections.append(1)
        while head := connection.recv(65536):
            connection.sendall(response(head, with_id=echoes))

    with tcp_server(serve) as port, http_client(port) as client:
        for _ in range(3):
            assert client.exchange(GET_CATALOG).status == 200
    assert len(made_connections) == connections


def test_each_request_has_its_own_id() -> None:
    with doubles.service(lambda _: doubles.Reply(200)) as (url, requests):
        with contextlib.closing(HttpClient(Endpoint(url), url)) as client:
            for _ in range(5):
                client.exchange(GET_CATALOG)
        assert len({request.headers["request-id"] for request in requests}) == 5


OK = b"HTTP/1.1 200 OK\r\n"
AMBIGUOUS = {
    "both lengths": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "no length": OK + b"\r\n{}",
    "two lengths that differ": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "a malformed length": OK + b"Content-Length: +2\r\n\r\n{}",
    "a short body": OK + b"Content-Length: 20\r\n\r\n{}",
    "malformed chunks": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "HTTP/0.9": b"{}",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "compressed": OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "too large": OK + b"Content-Length: 2000000\r\n\r\n" + b" " * 2_000_000,
    "chunks without end": CHUNKED + b"10000\r\n" + b" " * 65536 + b"\r\n",
    "headers without end": OK + b"X: a\r\n" * 2**15,
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_an_ambiguous_response_is_rejected(exchange, what) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(AMBIGUOUS[what])
        while what == "chunks without end":
            connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")

    with (
        tcp_server(serve) as port,
        http_client(port) as client,
        pytest.raises((ContractViolation, NoResponse)) as failed,
    ):
        exchange(client)
    assert getattr(failed.value, "may_have_arrived", True)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_response_without_content_needs_no_length(exchange, status) -> None:
    with (
        tcp_server(
            lambda connection: (connection.recv(65536), connection.sendall(b"HTTP/1.1 %b\r\n\r\n" % status))
        ) as port,
        http_client(port) as client,
    ):
        assert exchange(client).body == b""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "connection-refused"),
        (OSError(errno.ENETUNREACH, "unreachable"), "no-route"),
        (OSError(errno.EHOSTUNREACH, "no route"), "no-route"),
        (TimeoutError("timed out"), "timed-out"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "name-unknown"),
        (socket.gaierror(socket.EAI_AGAIN, "no resolver"), "name-unknown"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "connection-broken"),
    ],
)
def test_a_connection_error_has_a_code_and_nothing_has_arrived(exchange, monkeypatch, error, code) -> None:
    def raise_error(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", raise_error)
    with http_client(9) as client, pytest.raises(NoResponse) as failed:
        exchange(client)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == (code, False)


def test_a_request_whose_connection_is_lost_may_have_arrived(exchange) -> None:
    with (
        tcp_server(lambda connection: connection.recv(65536)) as port,
        http_client(port) as client,
        pytest.raises(NoResponse) as failed,
    ):
        exchange(client)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == ("connection-broken", True)


def respond_early(status: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        head = connection.recv(65536)
        connection.sendall(response(head, status=status))
        connection.shutdown(socket.SHUT_RDWR)

    return serve


def test_a_success_before_the_complete_body_was_sent_is_a_lost_connection(exchange) -> None:
    with (
        tcp_server(respond_early(b"201 Created")) as port,
        http_client(port) as client,
        pytest.raises(NoResponse) as failed,
    ):
        exchange(client, PUT_DOCUMENT)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == ("connection-broken", True)


def test_a_refusal_may_arrive_before_the_body_was_sent(exchange) -> None:
    def serve(connection: socket.socket) -> None:
        head = connection.recv(65536)
        connection.sendall(response(head, status=b"413 Content Too Large"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(2**20):  # otherwise the kernel would discard the response with a reset
            pass

    with tcp_server(serve) as port, http_client(port) as client:
        assert exchange(client, PUT_DOCUMENT).status == 413


@contextlib.contextmanager
def closing_service(when: str) -> Iterator[tuple[int, list[bytes]]]:
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heads.append(connection.recv(65536))
        connection.sendall(response(heads[-1]))
        if when == "as it is used again":
            heads.append(connection.recv(65536))

    with tcp_server(serve) as port:
        yield port, heads


@pytest.mark.parametrize(("when", "requests"), [("before it is used again", 2), ("as it is used again", 3)])
def test_a_reused_connection_that_the_service_has_closed_is_replaced(when, requests) -> None:
    with closing_service(when) as (port, heads), http_client(port) as client:
        assert client.exchange(GET_CATALOG).status == 200
        time.sleep(0.1)
        assert client.exchange(GET_CATALOG).status == 200
        assert len([head for head in heads if head]) == requests


def test_a_request_that_is_not_repeatable_is_not_sent_over_another_connection() -> None:
    once = Request("POST", "/v1/session", body=(b"{}",), is_repeatable=False)
    with (
        closing_service("as it is used again") as (port, heads),
        http_client(port) as client,
    ):
        assert client.exchange(GET_CATALOG).status == 200
        with pytest.raises(NoResponse) as failed:
            client.exchange(once)
        assert failed.value.may_have_arrived
        assert len([head for head in heads if b"/v1/session" in head]) == 1


def test_httpx_is_imported_without_its_own_command_line(tmp_path) -> None:
    code = "import docsend.service.http, sys; print({'click', 'rich', 'pygments'} & set(sys.modules));"
    code += "import click; print(click.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "click"]


def test_several_threads_make_handshakes_at_the_same_time(authority, tmp_path, monkeypatch) -> None:
    trust_authority(authority, tmp_path, monkeypatch)
    began = time.monotonic()
    with (
        tcp_server(lambda _: time.sleep(5)) as port,  # accepts connections and sends nothing
        http_client(port, limits=SHORT_LIMITS._replace(connect_s=1.0, grace_s=1.0), scheme="https") as client,
    ):

        def run() -> None:
            with contextlib.suppress(NoResponse):
                client.exchange(GET_CATALOG)

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert time.monotonic() - began < 4, "six handshakes in sequence would take six seconds"


def test_the_negotiated_tls_version_and_the_issuer_are_reported(authority, tmp_path, monkeypatch) -> None:
    tls: ssl.SSLContext = trust_authority(authority, tmp_path, monkeypatch)
    with doubles.service(lambda _: doubles.Reply(200), tls=tls) as (url, _):
        https = url.replace("http:", "https:")
        with contextlib.closing(HttpClient(Endpoint(https), https)) as client:
            assert client.tls is None
            client.exchange(GET_CATALOG)
            assert client.tls is not None
            assert (client.tls.version[:5], client.tls.issuer[:7]) == ("TLSv1", "trustme")
