"""The HTTP client: whose response it is, how long it is, and what may have arrived.

Each runs in the main thread, whose exchanges a worker does, and in another one, which the watchdog watches.
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
from http_exchanges import CHUNKED, LOOK, PUT, SHORT, THREADS, client, exchanging, request_id, response
from sockets import serve_connections, trusted_tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=THREADS)
def exchange(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Give what makes an exchange, and raises or returns what came of it."""
    return exchanging(request.param)


def test_bytes_behind_a_response_are_never_the_next_one(exchange) -> None:
    forged = b"HTTP/1.1 409 Conflict\r\nContent-Length: 6\r\n\r\nforged"
    heads: list[bytes] = []

    def serve(near: socket.socket) -> None:
        while head := near.recv(65536):
            heads.append(head)
            near.sendall(response(head) + (forged if len(heads) == 1 else b""))

    with serve_connections(serve) as port, client(port) as made:
        assert exchange(made).status == 200
        with contextlib.suppress(ContractViolation, NoResponse):
            assert exchange(made).status == 200
        assert exchange(made).status == 200


WRONG_IDS = {
    "of another request": lambda head: response(head).replace(request_id(head), b"0" * 32),
    "twice": lambda head: response(head).replace(b"\r\nRequest-Id", b"\r\nRequest-Id: x\r\nRequest-Id"),
    "empty": lambda head: response(head).replace(request_id(head), b""),
}


@pytest.mark.parametrize("what", WRONG_IDS)
def test_a_response_with_another_id_is_none(exchange, what) -> None:
    with (
        serve_connections(lambda near: near.sendall(WRONG_IDS[what](near.recv(65536)))) as port,
        client(port) as made,
        pytest.raises(ContractViolation),
    ):
        exchange(made)


@pytest.mark.parametrize("is_repeatable", [True, False])
def test_a_response_without_an_id_is_not_believed_over_a_connection_that_had_one(is_repeatable) -> None:
    """It may be what was left behind an earlier response. Over a new connection it cannot be."""
    connections: list[int] = []

    def serve(near: socket.socket) -> None:
        connections.append(1)
        first = near.recv(65536)
        near.sendall(response(first, with_id=len(connections) == 1))
        if head := near.recv(65536):
            near.sendall(response(head, with_id=False).replace(b" 200 OK", b" 403 No"))

    asked = LOOK._replace(is_repeatable=is_repeatable)
    with serve_connections(serve) as port, client(port) as made:
        assert made.exchange(asked).status == 200
        if is_repeatable:
            answer = made.exchange(asked)
            assert (answer.status, answer.may_have_arrived_before) == (200, True)
        else:
            with pytest.raises(ContractViolation):
                made.exchange(asked)
    assert len(connections) == (2 if is_repeatable else 1)


@pytest.mark.parametrize(("echoes", "connections"), [(True, 1), (False, 3)])
def test_a_service_that_does_not_echo_gets_a_new_connection_each_time(echoes, connections) -> None:
    made_connections: list[int] = []

    def serve(near: socket.socket) -> None:
        made_connections.append(1)
        while head := near.recv(65536):
            near.sendall(response(head, with_id=echoes))

    with serve_connections(serve) as port, client(port) as made:
        for _ in range(3):
            assert made.exchange(LOOK).status == 200
    assert len(made_connections) == connections


def test_each_request_has_an_id_of_its_own() -> None:
    with doubles.service(lambda _: doubles.Reply(200)) as (url, asked):
        with contextlib.closing(HttpClient(Endpoint(url), url)) as made:
            for _ in range(5):
                made.exchange(LOOK)
        assert len({each.headers["request-id"] for each in asked}) == 5


OK = b"HTTP/1.1 200 OK\r\n"
AMBIGUOUS = {
    "both lengths": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "no length": OK + b"\r\n{}",
    "two lengths that differ": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "a length that is none": OK + b"Content-Length: +2\r\n\r\n{}",
    "a short body": OK + b"Content-Length: 20\r\n\r\n{}",
    "chunks that are none": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "HTTP of 1991": b"{}",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "compressed": OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "larger than any": OK + b"Content-Length: 2000000\r\n\r\n" + b" " * 2_000_000,
    "chunks without end": CHUNKED + b"10000\r\n" + b" " * 65536 + b"\r\n",
    "headers without end": OK + b"X: a\r\n" * 2**15,
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_a_response_that_two_readers_could_read_in_two_ways_is_none(exchange, what) -> None:
    def serve(near: socket.socket) -> None:
        near.recv(65536)
        near.sendall(AMBIGUOUS[what])
        while what == "chunks without end":
            near.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")

    with (
        serve_connections(serve) as port,
        client(port) as made,
        pytest.raises((ContractViolation, NoResponse)) as failed,
    ):
        exchange(made)
    assert getattr(failed.value, "may_have_arrived", True)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_response_that_can_have_no_body_needs_no_length(exchange, status) -> None:
    with (
        serve_connections(
            lambda near: (near.recv(65536), near.sendall(b"HTTP/1.1 %b\r\n\r\n" % status))
        ) as port,
        client(port) as made,
    ):
        assert exchange(made).body == b""


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
def test_what_cannot_be_connected_to_has_a_cause_and_nothing_has_arrived(
    exchange, monkeypatch, error, code
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", fails)
    with client(9) as made, pytest.raises(NoResponse) as failed:
        exchange(made)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == (code, False)


def test_what_broke_off_after_it_was_asked_may_have_arrived(exchange) -> None:
    with (
        serve_connections(lambda near: near.recv(65536)) as port,
        client(port) as made,
        pytest.raises(NoResponse) as failed,
    ):
        exchange(made)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == ("connection-broken", True)


def answers_early(status: bytes) -> Callable[[socket.socket], None]:
    def serve(near: socket.socket) -> None:
        head = near.recv(65536)
        near.sendall(response(head, status=status))
        near.shutdown(socket.SHUT_RDWR)

    return serve


def test_a_success_for_a_body_that_did_not_leave_whole_is_a_broken_connection(exchange) -> None:
    with (
        serve_connections(answers_early(b"201 Created")) as port,
        client(port) as made,
        pytest.raises(NoResponse) as failed,
    ):
        exchange(made, PUT)
    assert (failed.value.failure.code.value, failed.value.may_have_arrived) == ("connection-broken", True)


def test_a_refusal_may_come_before_the_body_has_left(exchange) -> None:
    def serve(near: socket.socket) -> None:
        head = near.recv(65536)
        near.sendall(response(head, status=b"413 Content Too Large"))
        near.shutdown(socket.SHUT_WR)
        while near.recv(2**20):  # else the kernel would take the response back with a reset
            pass

    with serve_connections(serve) as port, client(port) as made:
        assert exchange(made, PUT).status == 413


@contextlib.contextmanager
def a_service_that_closes_what_it_keeps(when: str) -> Iterator[tuple[int, list[bytes]]]:
    heads: list[bytes] = []

    def serve(near: socket.socket) -> None:
        heads.append(near.recv(65536))
        near.sendall(response(heads[-1]))
        if when == "as it is used again":
            heads.append(near.recv(65536))

    with serve_connections(serve) as port:
        yield port, heads


@pytest.mark.parametrize(("when", "asked"), [("before it is used again", 2), ("as it is used again", 3)])
def test_a_kept_connection_that_the_service_has_closed_is_no_failure(when, asked) -> None:
    with a_service_that_closes_what_it_keeps(when) as (port, heads), client(port) as made:
        assert made.exchange(LOOK).status == 200
        time.sleep(0.1)
        assert made.exchange(LOOK).status == 200
        assert len([head for head in heads if head]) == asked


def test_what_counts_at_the_service_is_not_repeated_over_another_connection() -> None:
    once = Request("POST", "/v1/session", body=(b"{}",), is_repeatable=False)
    with a_service_that_closes_what_it_keeps("as it is used again") as (port, heads), client(port) as made:
        assert made.exchange(LOOK).status == 200
        with pytest.raises(NoResponse) as failed:
            made.exchange(once)
        assert failed.value.may_have_arrived
        assert len([head for head in heads if b"/v1/session" in head]) == 1


def test_httpx_is_imported_without_its_own_command_line(tmp_path) -> None:
    code = "import docsend.service.http, sys; print({'click', 'rich', 'pygments'} & set(sys.modules));"
    code += "import click; print(click.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "click"]


def test_several_workers_shake_hands_at_the_same_time(authority, tmp_path, monkeypatch) -> None:
    trusted_tls_context(authority, tmp_path, monkeypatch)
    began = time.monotonic()
    with (
        serve_connections(lambda _: time.sleep(5)) as port,  # takes connections, and never says a word
        client(port, limits=SHORT._replace(connect_s=1.0, grace_s=1.0), scheme="https") as made,
    ):

        def run() -> None:
            with contextlib.suppress(NoResponse):
                made.exchange(LOOK)

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert time.monotonic() - began < 4, "one after another would take six seconds"


def test_tls_is_described_as_it_was_agreed_on(authority, tmp_path, monkeypatch) -> None:
    tls: ssl.SSLContext = trusted_tls_context(authority, tmp_path, monkeypatch)
    with doubles.service(lambda _: doubles.Reply(200), tls=tls) as (url, _):
        https = url.replace("http:", "https:")
        with contextlib.closing(HttpClient(Endpoint(https), https)) as made:
            assert made.tls is None
            made.exchange(LOOK)
            assert made.tls is not None
            assert (made.tls.version[:5], made.tls.issuer[:7]) == ("TLSv1", "trustme")
