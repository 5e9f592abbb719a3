"""An exchange ends at once when it is interrupted, or when its client is closed."""

from __future__ import annotations

import _thread
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from conftest import ABOUT, WHO
from docsend.service.exchange import TimeLimits
from docsend.service.failures import NoResponse
from http_exchanges import LOOK, client
from sockets import serve_connections

if TYPE_CHECKING:
    from docsend.service.http import HttpClient


@pytest.mark.parametrize("where", ["looking a name up", "connecting", "waiting for the response"])
def test_ctrl_c_ends_a_call_that_is_blocked_in_the_kernel(monkeypatch, where) -> None:
    def blocked(*_: object, **__: object) -> None:
        threading.Event().wait(30)

    if where == "looking a name up":
        monkeypatch.setattr(socket, "getaddrinfo", blocked)
    elif where == "connecting":
        monkeypatch.setattr(socket, "create_connection", blocked)
    began = time.monotonic()
    with serve_connections(lambda _: time.sleep(5)) as port, client(port, limits=TimeLimits()) as made:
        timer = threading.Timer(0.3, _thread.interrupt_main)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            made.exchange(LOOK)
        assert time.monotonic() - began < 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_send_to_a_service_that_never_answers_ends_at_once_when_it_is_stopped(
    payslip, number, code
) -> None:
    heard = threading.Event()

    def serve(near: socket.socket) -> None:
        near.recv(65536)
        heard.set()
        time.sleep(20)

    with serve_connections(serve) as port:
        command = [sys.executable, "-m", "docsend", "send", str(payslip), *ABOUT, *WHO]
        with subprocess.Popen(
            [*command, "--service", f"http://127.0.0.1:{port}"], stderr=subprocess.PIPE, env=os.environ
        ) as process:
            assert heard.wait(20)
            began = time.monotonic()
            process.send_signal(number)
            _, err = process.communicate(timeout=20)
        assert (process.returncode, time.monotonic() - began < 3) == (code, True)
        assert b"Traceback" not in err


def closed_while_exchanging(made: HttpClient, after_s: float) -> list[BaseException]:
    """Close a client while another thread exchanges; give what that thread got."""
    ended: list[BaseException] = []

    def run() -> None:
        try:
            made.exchange(LOOK)
        except NoResponse as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(after_s)
    made.close()
    thread.join(4)
    return ended


def test_closing_ends_exchanges_that_are_on_their_way_and_begins_none() -> None:
    with serve_connections(lambda _: time.sleep(5)) as port, client(port, limits=TimeLimits()) as made:
        assert len(closed_while_exchanging(made, 0.3)) == 1
        with pytest.raises(NoResponse):
            made.exchange(LOOK)


def test_an_exchange_that_is_still_connecting_when_the_client_closes_asks_for_nothing(monkeypatch) -> None:
    real, heard = socket.create_connection, []

    def slow(*args: Any, **more: Any) -> socket.socket:
        time.sleep(0.5)
        return real(*args, **more)

    monkeypatch.setattr(socket, "create_connection", slow)
    with (
        serve_connections(lambda near: heard.append(near.recv(65536))) as port,
        client(port, limits=TimeLimits()) as made,
    ):
        assert len(closed_while_exchanging(made, 0.2)) == 1
    assert not [head for head in heard if head]
