"""A service that misbehaves as told, on a real socket: for answers that the sandbox would never give."""

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

    Fate = Callable[["Asked", int, str], "Reply | None"]


@dataclass
class Asked:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What to answer; `cut` breaks the connection off instead. Who stands before a service echoes no id."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    echoes: bool = True


@contextlib.contextmanager
def service(
    answer: Callable[[Asked], Reply], *, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[Asked]]]:
    """Serve `answer` on the loopback; give the address and the requests as they come in."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with contextlib.suppress(ConnectionError):
                super().handle_one_request()

        def reply(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Asked(self.command, self.path, headers, self.rfile.read(length))
            asked.append(request)
            told = answer(request)
            if told.cut:
                self.close_connection = True
                return
            self.send_response_only(told.status)
            is_said = "Request-Id" in told.headers
            if told.echoes and "request-id" in request.headers and not is_said:  # as the contract's service
                self.send_header("Request-Id", request.headers["request-id"])
            for name, value in told.headers.items():
                self.send_header(name, value)
            if told.status != 304:
                self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

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
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def relay(
    sandbox_url: str, fate: Fate, *, add: Mapping[str, str] | None = None
) -> Iterator[tuple[str, list[Asked]]]:
    """Serve the sandbox behind a connection that fails as told.

    `fate(request, how often it was asked, "before" or "after")` may answer in the sandbox's place, before
    the sandbox sees the request or after it has acted on it. `add` are headers of every answer.
    """
    seen: dict[tuple[str, str], int] = {}

    def answer(asked: Asked) -> Reply:
        count = seen[asked.method, asked.path] = seen.get((asked.method, asked.path), 0) + 1
        if (instead := fate(asked, count, "before")) is not None:
            return instead
        passed_on: dict[str, str] = {
            name: asked.headers[name] for name in ("content-type", "authorization") if name in asked.headers
        }
        try:
            given = client.request(asked.method, asked.path, content=asked.body, headers=passed_on)
        except RuntimeError:  # the test is over, and its client closed
            return Reply(cut=True)
        if (instead := fate(asked, count, "after")) is not None:
            return instead
        headers = {name: given.headers[name] for name in ("content-type", "etag") if name in given.headers}
        return Reply(given.status_code, given.content, {**headers, **(add or {})})

    with httpx.Client(base_url=sandbox_url, trust_env=False, timeout=30) as client, service(answer) as served:
        yield served


def kind(asked: Asked) -> str:
    """Which call it is: whole (in one exchange), declare, put or send."""
    if asked.headers.get("content-type", "").startswith("multipart/"):
        return "whole"
    if "/documents/" in asked.path:
        return "put"
    return "send" if asked.path.endswith("/send") else "declare"


class Nobody:
    """A watcher who looks away."""

    def declared(self, missing_bytes: int) -> None: ...

    def sent(self, document: object, sent_bytes: int) -> None: ...

    def arrived(self, document: object) -> None: ...

    def received(self, documents: object) -> None: ...

    def waiting(self, pause: object) -> None: ...


def problem(status: int, code: str, **members: object) -> Reply:
    """Make an RFC 9457 problem as the contract has them."""
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


def opened(missing: list[str]) -> dict[str, object]:
    """Give the state of a submission that is open, as the contract has it."""
    return {
        "state": "open",
        "missing": missing,
        "branch": "haifa",
        "expires_at": "2030-01-01T00:00:00Z",
        "receipt": None,
    }
