"""A server that responds as the contract specifies, after a given latency, and does nothing else.

Run `python stand_in.py [--latency MILLISECONDS] [--identity FILE]`; it prints its address. It stores and
checks nothing: it counts the bytes of bodies and discards them. With an identity (a PEM file with a key and
its certificates) it uses TLS. For paths outside the contract it responds as the hosts of the other programs
do (hosts.py).

Each connection has a thread and a buffer. 150 MB arrive about as fast as at nginx. Every table shows how busy
this process was, so that a reader can see whether it was the limit.
"""

import argparse
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import hosts

_BUFFER = 512 * 1024
_MAX_BODY = 64 * 1024  # of a body; the rest is documents, whose content does not matter
_SUBMISSIONS = "/v1/submissions/"


@dataclass(frozen=True, slots=True)
class _Head:
    """The head of a request: method, path, body length, and whether the client waits for a 100 (Continue)."""

    method: str
    path: str
    length: int
    waits: bool
    request_id: str | None
    is_form: bool

    @classmethod
    def of(cls, lines: bytes) -> "_Head":
        first, *rest = lines.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        waits = fields.get("expect", "").lower() == "100-continue"
        is_form = fields.get("content-type", "").startswith("multipart/form-data")
        return cls(
            method, path, int(fields.get("content-length", 0)), waits, fields.get("request-id"), is_form
        )


class _Connection:
    """A connection, and the bytes that have arrived but were not consumed yet."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._end = 0

    def requests(self) -> Iterator[tuple[_Head, bytes]]:
        """Yield each request with its body; of a long body, only the beginning."""
        while (end := self._head_end()) is not None:
            head = _Head.of(bytes(self._view[:end]))
            self._drop(end + 4)
            if head.waits:
                self.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
            yield head, self._body(head.length)

    def answer(self, answer: bytes) -> None:
        self._socket.sendall(answer)

    def _head_end(self) -> int | None:
        while (end := self._buffer.find(b"\r\n\r\n", 0, self._end)) < 0:
            if not self._receive():
                return None
        return end

    def _body(self, length: int) -> bytes:
        wanted = min(length, _MAX_BODY)
        while self._end < wanted and self._receive():
            pass
        body = bytes(self._view[:wanted])
        here = min(length, self._end)
        self._drop(here)
        left = length - here
        while left and (count := self._socket.recv_into(self._view, min(left, _BUFFER))):
            left -= count
        return body

    def _receive(self) -> int:
        count = self._socket.recv_into(self._view[self._end :])
        self._end += count
        return count

    def _drop(self, count: int) -> None:
        self._buffer[: self._end - count] = self._buffer[count : self._end]
        self._end -= count


class _StandIn:
    def __init__(self, latency_s: float, identity: str | None) -> None:
        self._latency_s = latency_s
        self._declared: dict[str, list[dict[str, object]]] = {}
        self._context: ssl.SSLContext | None = None
        if identity:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(identity)

    def listen(self) -> None:
        """Print the address, then accept connections until the process is terminated."""
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
            scheme = "https" if self._context else "http"
            self._address = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
            print(self._address, flush=True)
            while True:
                connected, _ = listening.accept()
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        # A client may close the connection at any time.
        with contextlib.suppress(OSError), connected:
            talking = self._context.wrap_socket(connected, server_side=True) if self._context else connected
            connection = _Connection(talking)
            for head, body in connection.requests():
                if self._latency_s:
                    time.sleep(self._latency_s)
                connection.answer(_with_id(head.request_id, self._answer(head, body)))

    def _answer(self, head: _Head, body: bytes) -> bytes:
        if not head.path.startswith(_SUBMISSIONS):
            return hosts.answer(self._address, head.method, head.path, body)
        key, _, what = head.path.removeprefix(_SUBMISSIONS).partition("/")
        if what.startswith("documents/"):
            return hosts.response(201)
        if head.is_form:
            declaration, _, _ = body.partition(b"\r\n\r\n")[2].partition(b"\r\n--")
            return hosts.json_response(201, _receipt(key, json.loads(declaration)["documents"]))
        if head.method == "PUT":
            self._declared[key] = documents = json.loads(body)["documents"]
            return hosts.json_response(201, _open([each["sha256"] for each in documents]))
        return hosts.json_response(200, _receipt(key, self._declared.pop(key, [])))


def _with_id(request_id: str | None, answer: bytes) -> bytes:
    """Copy the Request-Id into the response, as the contract requires."""
    if request_id is None:
        return answer
    first, rest = answer.split(b"\r\n", 1)
    return b"%b\r\nRequest-Id: %b\r\n%b" % (first, request_id.encode(), rest)


def _open(missing: list[object]) -> dict[str, object]:
    return {
        "state": "open",
        "missing": missing,
        "branch": "haifa",
        "expires_at": "2026-11-26T00:00:00.000Z",
        "receipt": None,
    }


def _receipt(key: str, documents: list[dict[str, object]]) -> dict[str, object]:
    return {
        "key": key,
        "number": f"BENCH-{key[:8]}",
        "issuer": "a stand-in for benchmarks",
        "received_at": "2026-11-23T00:00:00.000Z",
        "branch": {"code": "haifa", "name": {"en": "Haifa", "fr": "Haifa", "he": "Haifa"}},
        "documents": documents,
    }


def _main() -> None:
    parser = argparse.ArgumentParser(description="Response as the contract says, and do nothing else.")
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds before each answer")
    parser.add_argument("--identity", help="a PEM file with a key and its certificates: speak TLS")
    options = parser.parse_args()
    _StandIn(options.latency / 1000, options.identity).listen()


if __name__ == "__main__":
    _main()
