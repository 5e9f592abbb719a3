"""Helpers for exchanges of the HTTP client with a service on a plain socket."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from docsend.config.address import Endpoint
from docsend.service.exchange import Request, TimeLimits
from docsend.service.http import HttpClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORT_LIMITS = TimeLimits(connect_s=0.6, grace_s=0.6, min_bytes_per_s=2**30)
GET_CATALOG = Request("GET", "/v1/catalog")
PUT_DOCUMENT = Request("PUT", "/v1/submissions/K/documents/D", body=(b"%PDF" * 2**20, b"%%EOF"))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
THREADS = ("the main thread", "another thread")


def exchange_in(thread_name: str) -> Callable[..., object]:
    """Return a function that makes an exchange in a thread and returns its response or raises its error."""

    def exchange(client: HttpClient, request: Request = GET_CATALOG, **more: Any) -> object:
        if thread_name == "the main thread":
            return client.exchange(request, **more)
        results: list[object] = []

        def run() -> None:
            try:
                results.append(client.exchange(request, **more))
            except BaseException as error:  # noqa: BLE001 - raised below
                results.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(20)
        assert results, "the exchange did not end"
        if isinstance(results[0], BaseException):
            raise results[0]
        return results[0]

    return exchange


@contextlib.contextmanager
def http_client(
    port: int, *, limits: TimeLimits = SHORT_LIMITS, proxy: str | None = None, scheme: str = "http"
) -> Iterator[HttpClient]:
    url = f"{scheme}://127.0.0.1:{port}" if proxy is None else "https://documents.example"
    with contextlib.closing(HttpClient(Endpoint(url, proxy), url, limits)) as client:
        yield client


def request_id(head: bytes) -> bytes:
    (line,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"request-id:")]
    return line.split(b":")[1].strip()


def response(head: bytes, body: bytes = b"{}", *, status: bytes = b"200 OK", with_id: bool = True) -> bytes:
    """Return the bytes of a response to a request with this head."""
    request_id_field = b"Request-Id: %b\r\n" % request_id(head) if with_id else b""
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, request_id_field, len(body), body)
