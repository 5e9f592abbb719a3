"""A service that answers as the contract says, after a stated time, and does nothing else: no limit itself.

Run as `python stand_in.py MILLISECONDS`; prints its address. It keeps no documents and checks nothing.
"""

import asyncio
import json
import sys

_PLAIN = "HTTP/1.1 {} OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


class _Answering(asyncio.Protocol):
    """One connection: whole requests out of the bytes that arrive, each answered after the latency."""

    def __init__(self, latency_s: float, declared: dict[str, list[dict[str, object]]]) -> None:
        self._latency_s = latency_s
        self._declared = declared
        self._arrived = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        while (end := self._arrived.find(b"\r\n\r\n")) >= 0:
            head = self._arrived[:end].decode("latin-1")
            length = next(
                (int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")),
                0,
            )
            if "expect: 100-continue" in head.lower():
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if len(self._arrived) < end + 4 + length:
                return
            body, self._arrived = self._arrived[end + 4 : end + 4 + length], self._arrived[end + 4 + length :]
            method, path, _ = head.split(" ", 2)
            answer = self._answer(method, path, body)
            asyncio.get_running_loop().call_later(self._latency_s, self._transport.write, answer)

    def _answer(self, method: str, path: str, body: bytes) -> bytes:
        parts = path.split("/")
        if "/documents/" in path:
            return b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
        if method == "PUT":
            documents = json.loads(body)["documents"]
            self._declared[parts[3]] = documents
            return _json(201, {"state": "open", "missing": [each["sha256"] for each in documents]})
        return _json(
            200,
            {
                "key": parts[3],
                "number": f"BENCH-{parts[3][:8]}",
                "issuer": "a stand-in for benchmarks",
                "received_at": "2026-11-23T00:00:00.000Z",
                "branch": {"code": "haifa", "name": {"en": "Haifa", "fr": "Haifa", "he": "Haifa"}},
                "documents": self._declared.pop(parts[3], []),
            },
        )


def _json(status: int, value: object) -> bytes:
    body = json.dumps(value).encode()
    return _PLAIN.format(status, len(body)).encode() + body


async def _serve(latency_s: float) -> None:
    loop = asyncio.get_running_loop()
    declared: dict[str, list[dict[str, object]]] = {}
    server = await loop.create_server(lambda: _Answering(latency_s, declared), "127.0.0.1", 0, backlog=256)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]) / 1000))
