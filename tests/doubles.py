"""Test services on real sockets, for responses that the sandbox would never send."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    Interceptor = Callable[["ReceivedRequest", int, str], "Reply | None"]


@dataclass
class ReceivedRequest:
    """One request that a test service received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """Response of a test service. With `cut` it closes the connection instead of responding.

    An intermediary does not repeat the request's id (`echoes_id`).
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    echoes_id: bool = True


@contextlib.contextmanager
def service(
    respond: Callable[[ReceivedRequest], Reply], *, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[ReceivedRequest]]]:
    """Run a service on the loopback interface; yield its URL and the list of received requests."""
    requests: list[ReceivedRequest] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with contextlib.suppress(ConnectionError):
                super().handle_one_request()

        def reply(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = ReceivedRequest(self.command, self.path, headers, self.rfile.read(length))
            requests.append(request)
            response = respond(request)
            if response.cut:
                self.close_connection = True
                return
            self.send_response_only(response.status)
            has_id = "Request-Id" in response.headers
            if response.echoes_id and "request-id" in request.headers and not has_id:
                self.send_header("Request-Id", request.headers["request-id"])
            for name, value in response.headers.items():
                self.send_header(name, value)
            if response.status != 304:
                self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_PUT = do_POST = do_DELETE = reply  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", requests
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def relay(
    sandbox_url: str, intercept: Interceptor, *, extra_headers: Mapping[str, str] | None = None
) -> Iterator[tuple[str, list[ReceivedRequest]]]:
    """Run an intermediary in front of the sandbox; yield its URL and the list of received requests.

    `intercept(request, count, phase)` may return a response that replaces the sandbox's. It is called
    "before" the sandbox gets the request and "after" the sandbox has acted on it; `count` is the number of
    requests so far with this method and path. `extra_headers` are added to every response of the sandbox.
    """
    counts: dict[tuple[str, str], int] = {}

    def respond(request: ReceivedRequest) -> Reply:
        count = counts[request.method, request.path] = counts.get((request.method, request.path), 0) + 1
        if (instead := intercept(request, count, "before")) is not None:
            return instead
        headers_to_forward: dict[str, str] = {
            name: request.headers[name]
            for name in ("content-type", "authorization")
            if name in request.headers
        }
        try:
            response = client.request(
                request.method, request.path, content=request.body, headers=headers_to_forward
            )
        except RuntimeError:  # the test has ended and closed the client
            return Reply(cut=True)
        if (instead := intercept(request, count, "after")) is not None:
            return instead
        headers = {
            name: response.headers[name] for name in ("content-type", "etag") if name in response.headers
        }
        return Reply(response.status_code, response.content, {**headers, **(extra_headers or {})})

    with (
        httpx.Client(base_url=sandbox_url, trust_env=False, timeout=30) as client,
        service(respond) as running,
    ):
        yield running


def call_name(request: ReceivedRequest) -> str:
    """Return the call of a request that submits: "submit" (one exchange), "declare", "put" or "send"."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        return "submit"
    if "/documents/" in request.path:
        return "put"
    return "send" if request.path.endswith("/send") else "declare"


class NoProgress:
    """A progress listener that does nothing."""

    def on_declared(self, missing_bytes: int) -> None: ...

    def on_sent(self, document: object, sent_bytes: int) -> None: ...

    def on_document_stored(self, document: object) -> None: ...

    def on_received(self, documents: object) -> None: ...

    def on_pause(self, pause: object) -> None: ...


def problem(status: int, code: str, **members: object) -> Reply:
    """Return a problem (RFC 9457) of the contract."""
    body = {
        "type": f"urn:docsend:problem:{code}",
        "title": code.replace("-", " "),
        "status": status,
        "detail": "no",
        **members,
    }
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json"})


def json_reply(status: int, body: object) -> Reply:
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def open_state(missing: list[str]) -> dict[str, object]:
    """Return the contract's state of an open submission."""
    return {
        "state": "open",
        "missing": missing,
        "branch": "haifa",
        "expires_at": "2030-01-01T00:00:00Z",
        "receipt": None,
    }
