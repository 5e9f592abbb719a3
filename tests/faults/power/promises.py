"""The promises that a client and a sandbox make to others, derived from what they send and print."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from docsend.model.canonical import canonicalize

if TYPE_CHECKING:
    from faults.power.strace import Call

_NO_END = 2**62
_REQUEST = re.compile(
    rb"(GET|PUT|POST|DELETE) /v1/submissions/([A-Z2-7]{52})(?:/documents/([0-9a-f]{64})|(/send))? "
)

_ONE_EXCHANGE = re.compile(rb"\r\ncontent-type: *multipart/", re.IGNORECASE)
_AUTHENTICATED = re.compile(rb"\r\nauthorization:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Promise:
    """A fact that must hold after every cut at a position from `since` to `until`, counted in changes."""

    kind: str
    key: str
    detail: bytes
    since: int
    until: int = _NO_END


class ClientPromises:
    """The promises of a client: what it sends is recorded as planned, and what it prints is stored.

    A personal submission in one exchange is recorded as `sending` before it is sent: it may satisfy a
    requirement of the account, and the next run must know that.
    """

    def __init__(self) -> None:
        self.promises: list[Promise] = []
        self._printed = b""

    def start_process(self) -> None:
        self._printed = b""

    def observe(self, call: Call, position: int) -> None:
        """Derive promises from the data that leaves the process, as of the start of the call."""
        if call.is_resumed or call.name.startswith("recv"):
            return
        number, _ = call.descriptor
        if number == 1:
            self._printed += call.data
            self._record_output(position)
        elif call.name.startswith("send") and (request := _REQUEST.match(call.data)):
            _, key, sha256, _ = request.groups()
            self.promises.append(Promise("planned", key.decode(), sha256 or b"", position))
            if _ONE_EXCHANGE.search(call.data) and _AUTHENTICATED.search(call.data):
                self.promises.append(Promise("sending", key.decode(), b"", position))

    def _record_output(self, position: int) -> None:
        try:
            output = json.loads(self._printed)
        except ValueError:  # the rest is still to come
            return
        if output["schema"] == "docsend.result/2" and output["receipt"]:
            number = output["receipt"]["number"].encode()
            self.promises.append(Promise("received", output["key"], number, position))
        elif output["schema"] == "docsend.receipts/1":
            self.promises += [
                Promise("withdrawn", entry["key"], b"", position)
                for entry in output["receipts"]
                if entry["state"] == "withdrawn"
            ]


class SandboxPromises:
    """The promises of a sandbox's responses: documents, receipts and withdrawals are stored permanently."""

    def __init__(self) -> None:
        self.promises: list[Promise] = []
        self._requests: dict[
            int, tuple[str, str, bytes, bytes]
        ] = {}  # connection -> method, key, digest, send
        self._responses: dict[int, tuple[int, bytes]] = {}  # connection -> start position, bytes so far

    def start_process(self) -> None:
        self._requests.clear()
        self._responses.clear()

    def observe(self, call: Call, position: int) -> None:
        """Derive promises from requests, as of the end of the call, and responses, as of its start."""
        connection, _ = call.descriptor
        if call.name.startswith("recv") and call.result is not None:
            if request := _REQUEST.search(call.data):
                method, key, sha256, send = request.groups()
                self._requests[connection] = (method.decode(), key.decode(), sha256 or b"", send or b"")
                if method == b"DELETE":
                    self._end_documents(key.decode(), position)
        elif call.name.startswith("send") and not call.is_resumed and connection in self._requests:
            started, before = self._responses.pop(connection, (position, b""))
            head, blank, body = (before + call.data).partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if blank and (length is None or len(body) >= int(length[1])):
                self._record_response(*self._requests.pop(connection), int(head.split()[1]), body, started)
            else:
                self._responses[connection] = (started, before + call.data)

    def _record_response(
        self, method: str, key: str, sha256: bytes, send: bytes, status: int, body: bytes, position: int
    ) -> None:
        if status not in (200, 201, 204):
            return
        if sha256:
            self.promises.append(Promise("stored", key, sha256, position))
        elif send:
            self.promises.append(Promise("received", key, body, position))
        elif method == "DELETE":
            self.promises.append(Promise("withdrawn", key, b"", position))
        else:
            self.promises.append(Promise("declared", key, b"", position))
            content = json.loads(body)
            # The submission's status, which has the receipt if there is one; after one exchange, the receipt.
            if receipt := content["receipt"] if "state" in content else content:
                self.promises.append(Promise("received", key, canonicalize(receipt), position))

    def _end_documents(self, key: str, position: int) -> None:
        """End the promises about a submission's documents when its withdrawal is requested."""
        self.promises = [
            Promise(promise.kind, promise.key, promise.detail, promise.since, min(promise.until, position))
            if (promise.kind, promise.key) == ("stored", key)
            else promise
            for promise in self.promises
        ]
