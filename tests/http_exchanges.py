"""Exchanges of the HTTP client with a service on a plain socket."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from docsend.config.address import Endpoint
from docsend.service.exchange import Request, TimeLimits
from docsend.service.http import HttpClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORT = TimeLimits(connect_s=0.6, grace_s=0.6, slowest_bytes_per_s=2**30)
LOOK = Request("GET", "/v1/catalog")
PUT = Request("PUT", "/v1/submissions/K/documents/D", body=(b"%PDF" * 2**20, b"%%EOF"))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
THREADS = ("the main thread", "another thread")


def exchanging(thread_name: str) -> Callable[..., object]:
    """Give what makes an exchange, and raises or returns what came of it."""

    def exchange_(client: HttpClient, asked: Request = LOOK, **more: Any) -> object:
        if thread_name == "the main thread":
            return client.exchange(asked, **more)
        ended: list[object] = []

        def run() -> None:
            try:
                ended.append(client.exchange(asked, **more))
            except BaseException as error:  # noqa: BLE001 - it is raised below
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(20)
        assert ended, "it never ended"
        if isinstance(ended[0], BaseException):
            raise ended[0]
        return ended[0]

    return exchange_


@contextlib.contextmanager
def client(
    port: int, *, limits: TimeLimits = SHORT, proxy: str | None = None, scheme: str = "http"
) -> Iterator[HttpClient]:
    url = f"{scheme}://127.0.0.1:{port}" if proxy is None else "https://documents.example"
    with contextlib.closing(HttpClient(Endpoint(url, proxy), url, limits)) as made:
        yield made


def request_id(head: bytes) -> bytes:
    (line,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"request-id:")]
    return line.split(b":")[1].strip()


def response(head: bytes, body: bytes = b"{}", *, status: bytes = b"200 OK", with_id: bool = True) -> bytes:
    """Make the response to a request."""
    echoed = b"Request-Id: %b\r\n" % request_id(head) if with_id else b""
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, echoed, len(body), body)
