"""Submissions in one exchange, as the sandbox handles them: crashes, errnos, and malformed forms.

The sender uses http.client and sockets instead of docsend's client, so that it can send any bytes, and so
that a retry or a check of the client cannot hide an error of the service.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from docsend.model.canonical import key_of
from faults import kills, lab

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_CREDENTIALS = {"code": lab.CODE, "password": lab.PASSWORD}


class Response(NamedTuple):
    """A service's response; `status` is None if there was none."""

    status: int | None
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        return self.status in (200, 201, 204)

    @property
    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class FormSubmission:
    """A submission that can be sent as one form: its declaration and its documents."""

    declaration: dict[str, Any]
    files: tuple[Path, ...]
    is_personal: bool = False

    @classmethod
    def from_files(cls, files: Sequence[Path], *, required: str | None = None) -> FormSubmission:
        """Return the submission that docsend would make of these files.

        With `required`, the id of a required document, it is a submission to the personal service.
        """
        ordered = sorted(files, key=lambda file: file.name)
        documents = [
            {"name": file.name, "bytes": file.stat().st_size, "sha256": lab.digest(file)} for file in ordered
        ]
        codes = dict(zip(("to", "subject", "category", "type"), lab.CATALOG_OPTIONS[1::2], strict=True))
        empty = dict.fromkeys(("remark", "branch", "reference"))
        declaration = {**codes, **empty, "required": required, "occurrence": 1, "documents": documents}
        sender = {"to": "personal"} if required else {"identity": {"id_number": lab.ID_NUMBER}}
        return cls({**declaration, **sender}, tuple(ordered), is_personal=required is not None)

    @property
    def key(self) -> str:
        return key_of(self.declaration | ({"account": lab.CODE} if self.is_personal else {}))

    @property
    def path(self) -> str:
        return f"/v1/submissions/{self.key}"

    def parts(self) -> list[bytes]:
        """Return the headers and content of each part, as docsend sends them."""
        start = b'Content-Disposition: form-data; name="'
        declaration = json.dumps(self.declaration).encode()
        return [
            start + b'declaration"\r\nContent-Type: application/json\r\n\r\n' + declaration,
            *(
                start
                + f'document"; filename="{number}"\r\n'.encode()
                + b"Content-Type: application/octet-stream\r\n\r\n"
                + file.read_bytes()
                for number, file in enumerate(self.files, 1)
            ),
        ]

    def form(self, parts: Sequence[bytes] | None = None, closing: bytes = b"--\r\n") -> bytes:
        boundary = f"--{self.key}".encode()
        content = self.parts() if parts is None else parts
        return b"".join(boundary + b"\r\n" + part + b"\r\n" for part in content) + boundary + closing


class Sender:
    """A minimal client of one service; a connection error counts as no response."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._token = ""

    def request(self, method: str, path: str, body: bytes = b"", media_type: str | None = None) -> Response:
        headers = {"Content-Type": media_type} if media_type else {}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = http.client.HTTPConnection(self._address, timeout=20)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Response(response.status, response.read())
        except (OSError, http.client.HTTPException):
            return Response(None)
        finally:
            connection.close()

    def sign_in(self) -> bool:
        response = self.request("POST", "/v1/session", json.dumps(_CREDENTIALS).encode(), "application/json")
        self._token = response.json.get("token", "")
        return bool(self._token)

    def send(self, submission: FormSubmission) -> Response:
        """Send a submission in one exchange."""
        if submission.is_personal and not self._token and not self.sign_in():
            return Response(None)
        media_type = f"multipart/form-data; boundary={submission.key}"
        return self.request("PUT", submission.path, submission.form(), media_type)

    def stage(self, submission: FormSubmission, documents: int) -> None:
        """Declare a submission and upload the first of its documents, ignoring the responses."""
        self.request("PUT", submission.path, json.dumps(submission.declaration).encode(), "application/json")
        for file in submission.files[:documents]:
            self.request("PUT", f"{submission.path}/documents/{lab.digest(file)}", file.read_bytes())


# -- crashes and errnos ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """A submission sent in one exchange, after the upload of its first `staged` documents."""

    submission: FormSubmission
    staged: int | None = None

    def run(self, url: str) -> Response:
        sender = Sender(url)
        if self.staged is not None:
            sender.stage(self.submission, self.staged)
        return sender.send(self.submission)


def _documents(folder: Path, count: int, seed: int, size: int) -> list[Path]:
    return lab.make_documents(folder / "files", count, seed, size, stem=f"w{seed}")


SCENARIOS: dict[str, Callable[[Path, int], Scenario]] = {
    "one document": lambda folder, seed: Scenario(
        FormSubmission.from_files(_documents(folder, 1, seed, 4000))
    ),
    "fifteen documents": lambda folder, seed: Scenario(
        FormSubmission.from_files(_documents(folder, 15, seed, 4000))
    ),
    "two large documents": lambda folder, seed: Scenario(
        FormSubmission.from_files(_documents(folder, 2, seed, 1_500_000))
    ),
    "one of two documents uploaded before": lambda folder, seed: Scenario(
        FormSubmission.from_files(_documents(folder, 2, seed, 4000)), 1
    ),
    "all documents uploaded before": lambda folder, seed: Scenario(
        FormSubmission.from_files(_documents(folder, 2, seed, 4000)), 2
    ),
    "a required document": lambda folder, seed: Scenario(
        FormSubmission.from_files(_documents(folder, 1, seed, 4000), required="R-4711")
    ),
}


def inject_into_sandboxes(count: int, seed: int, scratch: Path, *, errnos: bool = False) -> lab.FaultSummary:
    """Inject a fault into a sandbox during one exchange; then start it again, and send the same again."""
    name = "an errno at a call" if errnos else "kill -9"
    summary = lab.FaultSummary(f"{name} of the sandbox in one exchange", seed)
    calls = tuple(kills.ERRNOS) if errnos else kills.CRASH_CALLS
    points: list[tuple[str, kills.InjectionPoint]] = []
    for number, (scenario, factory) in enumerate(SCENARIOS.items()):
        with lab.workspace(scratch, f"count {number}") as folder:
            strace = kills.trace_command(folder / "log", calls)
            with lab.sandbox(folder / "sandbox", under=strace) as sandbox:
                factory(folder, 900_000 + number).run(sandbox.url)
                sandbox.stop()
            counts = kills.count_calls(folder / "log", kills.service_files(sandbox.folder))
        for call in calls:
            faults = [f"error={e}" for e in kills.ERRNOS[call]] if errnos else ["signal=KILL"]
            points += [
                (scenario, kills.InjectionPoint(call, n, fault))
                for n in range(1, counts[call] + 1)
                for fault in faults
            ]
    planned = points if count >= len(points) else random.Random(seed).sample(points, count)
    summary.note = f"{len(planned)} of {len(points)} points of {len(SCENARIOS)} exchanges"

    def run_job(job: tuple[int, tuple[str, kills.InjectionPoint]]) -> None:
        number, (scenario, point) = job
        with lab.workspace(scratch, f"w{number}") as folder:
            triggered, violations = _inject(folder, SCENARIOS[scenario](folder, number), point)
        summary.add(f"{scenario}: {point}", violations, triggered=triggered)

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(run_job, enumerate(planned, 1)))
    return summary


def _inject(
    folder: Path, scenario: Scenario, point: kills.InjectionPoint
) -> tuple[bool, list[tuple[str, str]]]:
    first, home = Response(None), folder / "sandbox"
    with lab.sandbox(home, under=point.strace(kills.service_files(home))) as sandbox:
        if sandbox.url:
            first = scenario.run(sandbox.url)
        triggered = not sandbox.is_alive or "signal" not in point.fault
        if sandbox.is_alive and not sandbox.stop():
            return True, [("other", "the sandbox does not end")]
    with lab.sandbox(home) as sandbox:
        if not sandbox.url:
            return triggered, [("lost", "the sandbox does not start over what is left")]
        again, last = scenario.run(sandbox.url), scenario.run(sandbox.url)
    return triggered, list(_violations(home, scenario.submission, first, again, last))


def _violations(
    folder: Path, submission: FormSubmission, first: Response, again: Response, last: Response
) -> list[tuple[str, str]]:
    found = []
    if first.status is not None and not first.is_success and first.status not in (408, 500):
        found.append(("other", f"the response during the fault: {first.status} {first.body[:200]!r}"))
    if first.is_success and (again.status, again.body) != (200, first.body):
        found.append(("lost", f"{first.status} came first, then {again.status} {again.body[:200]!r}"))
    if again.status not in (200, 201):
        found.append(("lost", f"the same again: {again.status} {again.body[:200]!r}"))
    if (last.status, last.body) != (200, again.body):
        found.append(("duplicated", f"once more: {last.status} {last.body[:200]!r}"))
    received = lab.received_submissions(folder)
    if [receipt.key for receipt in received] != [submission.key]:
        found.append(("duplicated" if received else "lost", f"{len(received)} receipts"))
    expected = tuple((file.name, lab.digest(file)) for file in submission.files)
    found += [
        ("wrong", "other documents are stored") for receipt in received if receipt.documents != expected
    ]
    return found


# -- malformed forms ---------------------------------------------------------------------------------------


@dataclass
class _MutatedRequest:
    """A request that is being mutated: first its parts, then its body, then its Content-Length."""

    submission: FormSubmission
    rng: random.Random
    parts: list[bytes]
    closing: bytes = b"--\r\n"
    body: bytes = b""
    content_length: int = 0
    has_stated_length: bool = True  # whether the body is as long as Content-Length says

    @property
    def has_changed_parts(self) -> bool:
        """Whether its parts differ from the submission's in more than added headers; then it is not valid."""
        original, changed = self.submission.parts(), self.parts
        return len(original) != len(changed) or any(
            not part.endswith(content) for part, content in zip(changed, original, strict=True)
        )

    @property
    def has_trailing_data(self) -> bool:
        """Whether anything but a line end follows its closing boundary."""
        _, closing, trailing = self.body[: self.content_length].partition(
            f"\r\n--{self.submission.key}--".encode()
        )
        return bool(closing) and not b"\r\n".startswith(trailing)


def _drop_part(request: _MutatedRequest) -> None:
    del request.parts[request.rng.randrange(len(request.parts))]


def _duplicate_part(request: _MutatedRequest) -> None:
    request.parts.insert(request.rng.randrange(len(request.parts) + 1), request.rng.choice(request.parts))


def _shuffle_parts(request: _MutatedRequest) -> None:
    request.rng.shuffle(request.parts)


def _rename_part(request: _MutatedRequest) -> None:
    n = request.rng.randrange(len(request.parts))
    name = request.rng.choice([b"", b' name=""', b' name="documents"', b' name="declaration"', b" name=\xff"])
    head, _, rest = request.parts[n].partition(b"\r\n")
    request.parts[n] = head.partition(b" name=")[0] + name + b"\r\n" + rest


def _flood_headers(request: _MutatedRequest) -> None:
    n, size = request.rng.randrange(len(request.parts)), request.rng.choice([9, 100, 5000, 200_000])
    flood = request.rng.choice([b"X: x\r\n" * size, b"X: " + b"x" * size + b"\r\n", b" " * size + b"\r\n"])
    request.parts[n] = flood + request.parts[n]


def _add_tiny_parts(request: _MutatedRequest) -> None:
    tiny = b'Content-Disposition: form-data; name="document"\r\n\r\n'
    request.parts[1:1] = [tiny] * request.rng.choice([1, 100, 20_000])


def _change_closing_boundary(request: _MutatedRequest) -> None:
    request.closing = request.rng.choice(
        [b"", b"-", b"\r\n", b"--", b"--\r\nan epilogue", b"--" + bytes(100_000)]
    )


def _append_after_boundary(request: _MutatedRequest) -> None:
    """Add a part, all parts, or a line after the closing boundary."""
    part = b"--" + request.submission.key.encode() + b"\r\n" + request.rng.choice(request.parts) + b"\r\n"
    request.closing = b"--\r\n" + request.rng.choice(
        [part, part * len(request.parts), b"\r\n", b"a line\r\n"]
    )


PART_MUTATIONS = (
    _append_after_boundary, _drop_part, _duplicate_part, _shuffle_parts, _rename_part, _flood_headers,
    _add_tiny_parts, _change_closing_boundary,
)  # fmt: skip


def _truncate(request: _MutatedRequest) -> None:
    request.body = request.body[: request.rng.randrange(len(request.body))]


def _flip_bit(request: _MutatedRequest) -> None:
    body, n = bytearray(request.body), request.rng.randrange(len(request.body))
    body[n] ^= 1 << request.rng.randrange(8)
    request.body = bytes(body)


def _copy_slice(request: _MutatedRequest) -> None:
    start, to = (request.rng.randrange(len(request.body)) for _ in range(2))
    part = request.body[start : start + request.rng.choice([1, 2, 50, 5000])]
    request.body = request.body[:to] + part + request.body[to:]


def _add_preamble(request: _MutatedRequest) -> None:
    request.body = request.rng.choice([b"\r\n", b"a preamble\r\n", bytes(70_000) + b"\r\n"]) + request.body


def _use_unix_newlines(request: _MutatedRequest) -> None:
    request.body = request.body.replace(b"\r\n", b"\n")


BODY_MUTATIONS = (_truncate, _flip_bit, _copy_slice, _add_preamble, _use_unix_newlines)


def _understate_length(request: _MutatedRequest) -> None:
    request.content_length = request.rng.randrange(max(1, request.content_length))
    request.has_stated_length = False


def _overstate_length(request: _MutatedRequest) -> None:
    request.content_length += request.rng.choice([1, 100, 100_000, 10**9])
    request.has_stated_length = False


LENGTH_MUTATIONS = (_understate_length, _overstate_length)


def fuzz(count: int, seed: int, scratch: Path) -> lab.FaultSummary:
    """Send `count` mutated forms, each with its own key and each followed by the correct form."""
    summary = lab.FaultSummary("malformed forms", seed)
    rng = random.Random(seed)
    received = 0
    with lab.workspace(scratch, "forms") as folder, lab.sandbox(folder / "sandbox") as sandbox:
        sender = Sender(sandbox.url)
        for number in range(count):
            files = lab.make_documents(folder / f"f{number}", rng.choice([1, 2, 3]), seed + number, 900)
            submission = FormSubmission.from_files(files)
            request, mutations = _mutate(submission, rng)
            response = _send_raw(sandbox.url, request, rng)
            violations = _response_violations(sandbox.folder, sender, request, response)
            summary.add(f"{number}: {', '.join(mutations)}", violations)
            received += response.status == 201
            if not sandbox.is_alive:
                summary.add(f"{number}: {', '.join(mutations)}", [("other", "the sandbox died")])
                break
        stored = sum(1 for _ in (sandbox.folder / "documents").iterdir())
        expected = sum(len(receipt.documents) for receipt in lab.received_submissions(sandbox.folder))
        if not lab.wait_until(lambda: sum(1 for _ in (sandbox.folder / "documents").iterdir()) == expected):
            summary.add("all of them", [("other", f"{stored} files are stored, {expected} were received")])
    summary.note = f"{received} of them were still valid"
    return summary


def _mutate(submission: FormSubmission, rng: random.Random) -> tuple[_MutatedRequest, list[str]]:
    request = _MutatedRequest(submission, rng, submission.parts())
    mutations: list[str] = []

    def apply_one(candidates: Sequence[Callable[[_MutatedRequest], None]], probability: float) -> None:
        if rng.random() < probability:
            mutation = rng.choice(candidates)
            mutation(request)
            mutations.append(mutation.__name__.strip("_").replace("_", " "))

    while not mutations:
        apply_one(PART_MUTATIONS, 0.5)
        request.body = submission.form(request.parts, request.closing)
        apply_one(BODY_MUTATIONS, 0.4)
        request.content_length = len(request.body)
        apply_one(LENGTH_MUTATIONS, 0.15)
    return request, mutations


def _send_raw(url: str, request: _MutatedRequest, rng: random.Random) -> Response:
    """Send a request in packets of random sizes and return the response, with status 0 after a timeout."""
    head = (
        f"PUT {request.submission.path} HTTP/1.1\r\n"
        "Host: localhost\r\nConnection: close\r\nRequest-Id: fuzz\r\n"
        f"Content-Type: multipart/form-data; boundary={request.submission.key}\r\n"
        f"Content-Length: {request.content_length}\r\n\r\n"
    ).encode()
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=20) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            packet, start = head + request.body, 0
            while start < len(packet):
                size = rng.choice([1, 17, 300, 65536])
                connection.sendall(packet[start : start + size])
                start += size
            if request.content_length > len(request.body):  # the service would wait
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
    except TimeoutError:
        return Response(0)  # a hang
    except OSError:  # the sandbox refused the request while it was being sent
        pass
    head, _, body = received.partition(b"\r\n\r\n")
    if not head:
        return Response(None)
    return Response(int(head.split()[1]) if b"\r\nrequest-id: fuzz" in head.lower() else 0, body)


def _response_violations(
    folder: Path, sender: Sender, request: _MutatedRequest, response: Response
) -> list[tuple[str, str]]:
    """Check a response against what is stored, and that the correct form is accepted afterwards."""
    shown = f"{response.status} {response.body[:200]!r}"
    if response.status == 0:
        return [("other", "timeout, or a response with another request id")]
    if response.status is not None and response.status not in (200, 201, 400, 408, 409, 413, 415, 422):
        return [("other", f"not a response of the contract: {shown}")]
    if response.status is None and request.has_stated_length and len(request.body) < 2**16:
        return [("other", "no response")]
    violations = []
    stored = _received_digests(folder, request.submission.key)
    expected = sorted(lab.digest(file) for file in request.submission.files)
    if response.is_success != (stored is not None) and response.status is not None:
        violations.append(("lost" if response.is_success else "other", f"{stored} is stored after {shown}"))
    if stored is not None and sorted(stored) != expected:
        violations.append(("wrong", f"other documents are stored: {shown}"))
    if response.is_success and request.has_changed_parts:
        violations.append(("other", f"other parts are accepted: {shown}"))
    if response.is_success and request.has_trailing_data:
        violations.append(("other", f"data after the closing boundary is ignored: {shown}"))
    correct = sender.send(request.submission)
    allowed = {201} if stored is None else {200, 409}
    if correct.status not in allowed:
        violations.append(
            ("lost", f"after {shown}, the correct form: {correct.status} {correct.body[:200]!r}")
        )
    return violations


def _received_digests(folder: Path, key: str) -> list[str] | None:
    """Return the SHA-256 of each document received under a key, or None if nothing was received."""
    file = f"file:{folder / 'sandbox.sqlite3'}?mode=ro"
    with contextlib.closing(sqlite3.connect(file, uri=True, timeout=30)) as connection:
        if connection.execute("SELECT 1 FROM receipt WHERE key = ?", (key,)).fetchone() is None:
            return None
        rows = connection.execute("SELECT file FROM document WHERE key = ?", (key,)).fetchall()
    return [lab.digest(folder / "documents" / (name or "nowhere")) for (name,) in rows]
