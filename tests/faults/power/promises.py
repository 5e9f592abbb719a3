"""What a client and a sandbox promise to the outside, read from what they say."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from docsend.model.canonical import canonicalize

if TYPE_CHECKING:
    from faults.power.strace import Call

_FOR_EVER = 2**62
_ASKED = re.compile(
    rb"(GET|PUT|POST|DELETE) /v1/submissions/([A-Z2-7]{52})(?:/documents/([0-9a-f]{64})|(/send))? "
)

_WHOLE = re.compile(rb"\r\ncontent-type: *multipart/", re.IGNORECASE)
_SIGNED = re.compile(rb"\r\nauthorization:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that holds after every cut from `since` changes on, up to `until`."""

    what: str
    key: str
    detail: bytes
    since: int
    until: int = _FOR_EVER


class Client:
    """What a client promises: what it sends was planned, and what it prints is kept.

    A personal submission that leaves in one exchange is `sending` before it does: it may meet what is
    required of the account, and the next run must know that.
    """

    def __init__(self) -> None:
        self.promises: list[Promise] = []
        self._printed = b""

    def starts(self) -> None:
        self._printed = b""

    def hears(self, call: Call, position: int) -> None:
        """Take what leaves the process: at the moment at which the call begins, so not at its late end."""
        if call.is_resumed or call.name.startswith("recv"):
            return
        number, _ = call.descriptor
        if number == 1:
            self._printed += call.data
            self._is_told(position)
        elif call.name.startswith("send") and (asked := _ASKED.match(call.data)):
            _, key, sha256, _ = asked.groups()
            self.promises.append(Promise("planned", key.decode(), sha256 or b"", position))
            if _WHOLE.search(call.data) and _SIGNED.search(call.data):
                self.promises.append(Promise("sending", key.decode(), b"", position))

    def _is_told(self, position: int) -> None:
        try:
            told = json.loads(self._printed)
        except ValueError:  # the rest is still to come
            return
        if told["schema"] == "docsend.result/2" and told["receipt"]:
            number = told["receipt"]["number"].encode()
            self.promises.append(Promise("received", told["key"], number, position))
        elif told["schema"] == "docsend.receipts/1":
            self.promises += [
                Promise("withdrawn", entry["key"], b"", position)
                for entry in told["receipts"]
                if entry["state"] == "withdrawn"
            ]


class FarSide:
    """What the sandbox promises by its answers: documents, receipts and withdrawals are there for good."""

    def __init__(self) -> None:
        self.promises: list[Promise] = []
        self._asked: dict[int, tuple[str, str, bytes, bytes]] = {}  # connection -> method, key, digest, send
        self._answers: dict[int, tuple[int, bytes]] = {}  # connection -> when it began, its bytes so far

    def starts(self) -> None:
        self._asked.clear()
        self._answers.clear()

    def hears(self, call: Call, position: int) -> None:
        """Take what was asked when the call is over, what is answered when it begins."""
        connection, _ = call.descriptor
        if call.name.startswith("recv") and call.result is not None:
            if asked := _ASKED.search(call.data):
                method, key, sha256, send = asked.groups()
                self._asked[connection] = (method.decode(), key.decode(), sha256 or b"", send or b"")
                if method == b"DELETE":
                    self._ends(key.decode(), position)
        elif call.name.startswith("send") and not call.is_resumed and connection in self._asked:
            began, before = self._answers.pop(connection, (position, b""))
            head, blank, body = (before + call.data).partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if blank and (length is None or len(body) >= int(length[1])):
                self._is_told(*self._asked.pop(connection), int(head.split()[1]), body, began)
            else:
                self._answers[connection] = (began, before + call.data)

    def _is_told(
        self, method: str, key: str, sha256: bytes, send: bytes, status: int, body: bytes, position: int
    ) -> None:
        if status not in (200, 201, 204):
            return
        if sha256:
            self.promises.append(Promise("kept", key, sha256, position))
        elif send:
            self.promises.append(Promise("received", key, body, position))
        elif method == "DELETE":
            self.promises.append(Promise("withdrawn", key, b"", position))
        else:
            self.promises.append(Promise("declared", key, b"", position))
            told = json.loads(body)
            # A state, with the receipt if there is one; or, of one exchange, the receipt itself.
            if receipt := told["receipt"] if "state" in told else told:
                self.promises.append(Promise("received", key, canonicalize(receipt), position))

    def _ends(self, key: str, position: int) -> None:
        """Let the promises about a key's documents end: its withdrawal has been asked for."""
        self.promises = [
            Promise(one.what, one.key, one.detail, one.since, min(one.until, position))
            if (one.what, one.key) == ("kept", key)
            else one
            for one in self.promises
        ]
