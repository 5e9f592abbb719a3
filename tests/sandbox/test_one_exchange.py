"""One exchange: a complete submission in one request is either received completely or not stored at all."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import samples
from conftest import RunningSandbox
from contract_client import (
    ANSWERING,
    ASKED,
    BOUNDARY,
    CLEAR,
    CONTENT,
    DIGEST,
    DOCUMENT,
    PERSONAL,
    UNKNOWN_TOKEN,
    Sender,
    form,
    new_declaration,
    part,
)
from docsend.model.canonical import key_of
from docsend.sandbox import server
from docsend.sandbox.accounts import Accounts
from faults import lab
from one_exchange import (
    COMPLETE_FORM,
    DECLARATION,
    FIRST,
    LAST,
    LIMIT,
    PARTS,
    SECOND_CONTENT,
    TWO_DOCUMENTS,
    declaration_of_two,
    declaration_part,
    document_part,
    is_empty,
    raw_request,
)
from other_catalogs import CATALOG, catalog_without, stricter_catalog
from sockets import send_raw
from wrong_headers import corrected_headers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sender(sandbox: RunningSandbox) -> Sender:
    return Sender(sandbox.url)


def test_a_submission_is_received_in_one_request(sandbox: RunningSandbox, sender: Sender) -> None:
    declaration = declaration_of_two()
    key = key_of(declaration)
    response = sender.send_in_one_exchange(declaration, CONTENT, SECOND_CONTENT)
    assert response.status == 201
    assert (response.json["key"], response.json["documents"]) == (key, TWO_DOCUMENTS)
    assert sandbox.content(key) == {"payslip.pdf": CONTENT, "scan.pdf": SECOND_CONTENT}
    again = sender.send_in_one_exchange(declaration, CONTENT, SECOND_CONTENT)
    assert (again.status, again.body) == (200, response.body)
    # The staged calls find it as well.
    assert sender.call("send", key=key).body == response.body
    assert sender.declare(declaration).json["receipt"] == response.json
    assert sender.put(declaration, SECOND_CONTENT).status == 204
    assert sender.call("withdraw", key=key).code == "already-received"
    assert len(list((sandbox.folder / "documents").iterdir())) == 2


@pytest.mark.parametrize(
    "parameter",
    ["{}", '"{}"', '"{}"; charset=utf-8', "{}; charset=utf-8"],
)
@pytest.mark.parametrize(
    "boundary", ["the key", "a", "-" * 24 + "d74496d66958873e", "x" * 70, "a'()+_,-./:=?b"]
)
def test_any_valid_boundary_is_accepted(boundary: str, parameter: str, sender: Sender) -> None:
    declaration = new_declaration()
    boundary = key_of(declaration) if boundary == "the key" else boundary
    parameter = (
        parameter
        if boundary.isalnum() or '"' in parameter
        else f'"{parameter}"'.replace('"{}; charset=utf-8"', '"{}"')
    )
    body = form(declaration_part(declaration), document_part(CONTENT), boundary=boundary)
    headers = {"Content-Type": f"multipart/form-data; boundary={parameter.format(boundary)}"}
    assert sender.send_form(declaration, body, headers=headers).status == 201


def test_the_size_of_the_packets_of_a_body_does_not_matter(sandbox: RunningSandbox) -> None:
    for size in (1, 2, 3, 11, 12, 13, 100):
        declaration = declaration_of_two(reference=f"in packets of {size}")
        whole = raw_request(
            declaration,
            form(declaration_part(declaration), document_part(CONTENT), document_part(SECOND_CONTENT)),
        )
        with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), 10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(whole), size):
                connection.sendall(whole[start : start + size])
                time.sleep(0.0002)
            assert connection.recv(100).startswith(b"HTTP/1.1 201 "), size


def test_a_document_in_small_packets_matches_its_extension(sandbox: RunningSandbox, sender: Sender) -> None:
    declaration = sender.open_submission()
    head = (
        f"PUT /v1/submissions/{key_of(declaration)}/documents/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Length: {len(CONTENT)}\r\n\r\n"
    )
    ((status, *_),) = send_raw(sandbox.url, head.encode(), CONTENT[:1], CONTENT[1:])
    assert status == b"201"


def test_file_names_and_types_in_the_headers_of_parts_are_ignored_and_not_stored(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    declaration = new_declaration()
    more = '; filename="../../a-real-name.pdf"\r\nContent-Type: text/html\r\nX-More: a-real-name'
    body = form(
        part("declaration", json.dumps(declaration).encode(), "\r\nContent-Type: text/plain"),
        part("document", CONTENT, more),
    )
    assert sender.send_form(declaration, body).status == 201
    for file in sandbox.folder.rglob("*"):
        assert "real-name" not in file.name
        assert file.is_dir() or b"real-name" not in file.read_bytes()


def test_documents_up_to_the_limit_of_the_catalog_are_accepted_and_one_byte_more_is_not(
    sender: Sender,
) -> None:
    for size, status in ((LIMIT, 201), (LIMIT + 1, 413)):
        content = CONTENT.ljust(size, b"\0")
        documents = [{"name": "large.pdf", "bytes": size, "sha256": sha256(content).hexdigest()}]
        response = sender.send_in_one_exchange(new_declaration(documents=documents), content)
        assert (response.status, response.code) == (
            status,
            None if status == 201 else "one-exchange-too-large",
        )


def test_a_submission_that_is_too_large_for_one_exchange_can_be_staged(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    response = sender.send_form(new_declaration(), bytes(LIMIT + 2 * 2**20 + 1))
    assert (response.status, response.code) == (413, "one-exchange-too-large")
    assert is_empty(sandbox)
    sender.complete_submission()


def test_a_service_without_a_limit_for_one_exchange_accepts_no_multipart(tmp_path: Path) -> None:
    raw = {name: value for name, value in CATALOG.items() if name != "one_exchange_bytes"}
    with server.run_in_background(tmp_path, catalog_bytes=json.dumps(raw).encode()) as url:
        sender = Sender(url)
        response = sender.send_in_one_exchange(new_declaration(), CONTENT)
        assert (response.status, response.code) == (415, "media-type-not-accepted")
        sender.complete_submission()


def test_one_exchange_and_staged_calls_enforce_the_same_rules(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    refused: list[tuple[dict[str, Any], int, str]] = [
        ({"to": "moon"}, 422, "invalid"),
        ({"identity": {"id_number": "000000019"}}, 422, "invalid"),
        ({"category": "claim", "type": "unemployment-claim"}, 422, "online-form-required"),
        ({"documents": [DOCUMENT | {"name": "payslip.txt"}]}, 415, "format-not-accepted"),
        ({"documents": [DOCUMENT | {"sha256": f"{n:064x}"} for n in range(16)]}, 413, "too-many-documents"),
    ]
    for changes, status, code in refused:
        response = sender.send_in_one_exchange(new_declaration(**changes), CONTENT)
        assert (response.status, response.code) == (status, code)
        assert response.json == sender.declare(new_declaration(**changes)).json
    assert is_empty(sandbox)


@pytest.mark.parametrize("protocol", ["in one exchange", "staged"])
def test_a_second_attempt_during_the_first_gets_the_same_receipt(
    sandbox: RunningSandbox, sender: Sender, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    person = sender.as_account(ASKED)
    declaration = new_declaration(ANSWERING)
    first: list[Any] = []
    pending = Accounts.pending

    def send_first_attempt(self: Accounts, account: Any) -> list[Any]:
        if not first:  # the first attempt sends the required document during the second one's check
            first.append(None)
            first[0] = person.send_in_one_exchange(declaration, CONTENT)
        return pending(self, account)

    monkeypatch.setattr(Accounts, "pending", send_first_attempt)
    if protocol == "staged":
        second = person.declare(declaration)
        receipt = second.json["receipt"]
    else:
        second = person.send_in_one_exchange(declaration, CONTENT)
        receipt = second.json
    assert (first[0].status, second.status, receipt) == (201, 200, first[0].json)
    assert sandbox.count() == 1


# -- order of the checks -----------------------------------------------------------------------------------


def test_one_exchange_is_checked_in_a_fixed_order(sender: Sender) -> None:
    *headers, last = corrected_headers()
    accepted = {**last, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    chunked = {**accepted, "Transfer-Encoding": "chunked"}
    withdrawn, opened = key_of(sender.withdraw_submission()), key_of(sender.open_submission())
    done = new_declaration()
    assert sender.send_in_one_exchange(done, CONTENT).status == 201
    large = bytes(LIMIT + 2 * 2**20 + 1)
    faulty = declaration_part(new_declaration(to="moon", documents=[DOCUMENT | {"bytes": 1}]))
    too_much = new_declaration(documents=[DOCUMENT | {"bytes": LIMIT + 1}])
    right = declaration_part(DECLARATION)
    attempts: list[tuple[dict[str, str], str, Any, int, str | None]] = [
        *(
            (given, "no-key", COMPLETE_FORM, status, code)
            for given, (status, code) in zip(headers, HEADERS, strict=True)
        ),
        (last, "no-key", COMPLETE_FORM, 404, "not-found"),
        (last, withdrawn, COMPLETE_FORM, 415, "media-type-not-accepted"),
        (chunked, withdrawn, iter([COMPLETE_FORM]), 411, "length-required"),
        (accepted, withdrawn, large, 413, "one-exchange-too-large"),
        (accepted, withdrawn, form(part("declaration", b"{")), 400, "malformed"),
        (
            accepted,
            withdrawn,
            form(declaration_part(too_much | {"type": "moon"})),
            413,
            "one-exchange-too-large",
        ),
        (accepted, withdrawn, form(faulty), 409, "withdrawn"),
        (accepted, opened, form(faulty), 409, "key-reused"),
        (accepted, key_of(done), form(declaration_part(done)), 200, None),
        (
            accepted,
            key_of(DECLARATION),
            form(declaration_part(DECLARATION | {"type": "moon"})),
            422,
            "invalid",
        ),
        (accepted, key_of(DECLARATION), form(right, LAST), 400, "digest-mismatch"),
        (accepted, key_of(DECLARATION), form(right, FIRST), 400, "malformed"),
        (accepted, key_of(DECLARATION), COMPLETE_FORM, 201, None),
    ]
    for given, key, body, status, code in attempts:
        response = sender.send_form(DECLARATION, body, key=key, headers=given)
        assert (response.status, response.code) == (status, code)


HEADERS = [
    (421, "host-not-served"),
    (403, "origin-not-allowed"),
    (400, "malformed"),
    (401, "sign-in-needed"),
]


@pytest.mark.parametrize(
    "follows",
    [[FIRST], [LAST, FIRST], [part("moon", b"anything")], [b"no part"], [document_part(bytes(2**20))]],
)
def test_a_received_submission_is_answered_with_its_receipt_whatever_parts_follow(
    follows: list[bytes], sender: Sender
) -> None:
    response = sender.send_form(DECLARATION, COMPLETE_FORM)
    assert response.status == 201
    for end in ("--\r\n", "\r\n", ""):
        again = sender.send_form(DECLARATION, form(declaration_part(DECLARATION), *follows, end=end))
        assert (again.status, again.body) == (200, response.body)


def test_a_received_submission_is_answered_only_when_the_body_has_ended(sandbox: RunningSandbox) -> None:
    assert Sender(sandbox.url).send_form(DECLARATION, COMPLETE_FORM).status == 201
    responses = send_raw(
        sandbox.url, raw_request(DECLARATION, COMPLETE_FORM[:-5], len(COMPLETE_FORM)), half_close=True
    )
    assert [status for status, *_ in responses] in ([], [b"408"])


@pytest.mark.parametrize(
    "later",
    [stricter_catalog(), catalog_without("destinations", "benefits"), catalog_without("types", "payslips")],
)
def test_a_received_submission_stays_received_in_one_exchange_too(tmp_path: Path, later: bytes) -> None:
    with server.run_in_background(tmp_path) as url:
        receipt = Sender(url).send_form(DECLARATION, COMPLETE_FORM).body
    with server.run_in_background(tmp_path, catalog_bytes=later) as url:
        again = Sender(url).send_form(DECLARATION, COMPLETE_FORM)
        assert (again.status, again.body) == (200, receipt)


def test_an_unknown_token_is_refused_before_100_continue(sandbox: RunningSandbox) -> None:
    more = f"Authorization: Bearer {UNKNOWN_TOKEN}\r\nExpect: 100-continue\r\n"
    ((status, _, body),) = send_raw(sandbox.url, raw_request(DECLARATION, b"", len(COMPLETE_FORM), more))
    assert status == b"401"
    assert b"sign-in-needed" in body


# -- open submissions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("uploaded", [[], [CONTENT], [SECOND_CONTENT], [CONTENT, SECOND_CONTENT]])
def test_one_exchange_completes_an_open_submission(
    uploaded: list[bytes], sandbox: RunningSandbox, sender: Sender
) -> None:
    declaration = sender.open_submission(declaration_of_two())
    for content in uploaded:
        assert sender.put(declaration, content).status == 201
    response = sender.send_in_one_exchange(declaration, CONTENT, SECOND_CONTENT)
    assert response.status == 201
    assert sender.call("send", key=key_of(declaration)).body == response.body
    assert sender.put(declaration, CONTENT).status == 204
    assert sandbox.content(key_of(declaration)) == {"payslip.pdf": CONTENT, "scan.pdf": SECOND_CONTENT}
    assert len(list((sandbox.folder / "documents").iterdir())) == 2


def test_a_refused_exchange_does_not_change_an_open_submission(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    declaration = sender.open_submission(declaration_of_two())
    assert sender.put(declaration, CONTENT).status == 201
    key = key_of(declaration)
    before = sender.call("status", key=key).json
    files = sorted((sandbox.folder / "documents").iterdir())
    for parts, (status, code) in PARTS.values():
        response = sender.send_form(declaration, form(declaration_part(declaration), *parts))
        assert (response.status, response.code) == (status, code)
    assert sender.call("status", key=key).json == before
    assert sorted((sandbox.folder / "documents").iterdir()) == files
    assert sender.put(declaration, SECOND_CONTENT).status == 201
    assert sender.call("send", key=key).status == 200


# -- the personal service ----------------------------------------------------------------------------------


def test_one_exchange_with_the_personal_service_needs_a_session_and_belongs_to_its_account(
    sender: Sender,
) -> None:
    person, stranger = sender.as_account(CLEAR), sender.as_account(ASKED)
    declaration = new_declaration(PERSONAL)
    key = person.key(declaration)
    assert sender.send_in_one_exchange(declaration, CONTENT, key=key).code == "sign-in-needed"
    response = person.send_in_one_exchange(declaration, CONTENT)
    assert response.status == 201
    assert person.send_in_one_exchange(declaration, CONTENT).body == response.body
    for other in (sender, stranger):
        assert other.call("status", key=key).code == "not-found"
    # The same declaration under the same key becomes the stranger's own submission.
    theirs = stranger.send_in_one_exchange(declaration, CONTENT, key=key)
    assert (theirs.status, theirs.json["number"] == response.json["number"]) == (201, False)


def test_one_exchange_sends_a_required_document_and_can_be_repeated(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    person = sender.as_account(ASKED)
    other = new_declaration(ANSWERING, required=None)
    assert person.send_in_one_exchange(other, CONTENT).code == "required-documents-pending"
    answering = new_declaration(ANSWERING)
    response = person.send_in_one_exchange(answering, CONTENT)
    assert response.status == 201
    assert [row["id"] for row in person.call("required").json["required"]] == ["R-4712"]
    assert person.send_in_one_exchange(answering, CONTENT).status == 200
    assert person.send_in_one_exchange(other, CONTENT).status == 201


# -- concurrent requests -----------------------------------------------------------------------------------


def send_staged(sender: Sender, declaration: dict[str, Any]) -> bytes:
    """Send a submission with the staged calls while others use the same key; return the receipt."""
    assert sender.declare(declaration).status in (200, 201)
    for content in (CONTENT, SECOND_CONTENT):
        assert sender.put(declaration, content).status in (201, 204)
    response = sender.call("send", key=key_of(declaration))
    assert response.status == 200
    return response.body


@pytest.mark.parametrize("staged_count", [2, 0])
def test_concurrent_requests_with_the_same_key_get_one_receipt(staged_count: int, tmp_path: Path) -> None:
    with (
        server.run_in_background(tmp_path) as first_url,
        server.run_in_background(tmp_path) as second_url,
        ThreadPoolExecutor(8) as workers,
    ):
        for number in range(5):
            declaration = declaration_of_two(reference=f"at once {number}")
            senders = [Sender(url) for url in (first_url, second_url) * 2]
            exchanges = [
                workers.submit(sender.send_in_one_exchange, declaration, CONTENT, SECOND_CONTENT)
                for sender in senders
            ]
            staged = [workers.submit(send_staged, sender, declaration) for sender in senders[:staged_count]]
            responses = [future.result() for future in exchanges]
            receipts = {response.body for response in responses} | {future.result() for future in staged}
            assert len(receipts) == 1
            new = [response.status for response in responses].count(201)
            assert new == 1 or (new == 0 and staged_count)
        sandbox = RunningSandbox(first_url, tmp_path)
        assert sandbox.count() == 5
        assert len(sandbox.select("SELECT * FROM receipt")) == 5
        assert len(list((tmp_path / "documents").iterdir())) == 10


# -- memory and curl ---------------------------------------------------------------------------------------


@pytest.fixture
def process(tmp_path: Path) -> Iterator[lab.Sandbox]:
    with lab.sandbox(tmp_path / "process") as running:
        yield running


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_the_service_never_buffers_a_complete_body(process: lab.Sandbox) -> None:
    def peak() -> int:
        status = Path(f"/proc/{process.process.pid}/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    sender = Sender(process.url)
    assert sender.send_form(DECLARATION, COMPLETE_FORM).status == 201
    before = peak()
    contents = [CONTENT.ljust(LIMIT // 2, byte) for byte in (b"\0", b"\r")]
    names = [
        {"name": f"{n}.pdf", "bytes": len(content), "sha256": sha256(content).hexdigest()}
        for n, content in enumerate(contents)
    ]
    assert sender.send_in_one_exchange(new_declaration(documents=names), *contents).status == 201
    assert peak() - before < LIMIT // 4


@pytest.mark.needs("curl")
def test_curl_sends_a_large_form_after_100_continue(sandbox: RunningSandbox, tmp_path: Path) -> None:
    large = samples.write(tmp_path, "large.pdf", samples.pdf(size=3 * 2**20))
    content = large.read_bytes()
    document = {"name": "large.pdf", "bytes": len(content), "sha256": sha256(content).hexdigest()}
    declaration = new_declaration(documents=[document])
    (tmp_path / "declaration.json").write_text(json.dumps(declaration), "utf-8")
    command = ["curl", "-sv", "-X", "PUT", f"{sandbox.url}/v1/submissions/{key_of(declaration)}"]
    form_ = ["-F", "declaration=@declaration.json", "-F", "document=@large.pdf", "-H", "Expect: 100-continue"]
    for status in (201, 200):
        done = subprocess.run(
            [*command, *form_], cwd=tmp_path, capture_output=True, check=True, timeout=30, encoding="utf-8"
        )
        assert "< HTTP/1.1 100 Continue" in done.stderr
        assert f"< HTTP/1.1 {status} " in done.stderr
        assert json.loads(done.stdout)["key"] == key_of(declaration)
    # A refusal of the headers arrives before any byte of the body is sent.
    done = subprocess.run(
        [*command, *form_, "-H", "Host: web.example"],
        cwd=tmp_path, capture_output=True, check=True, timeout=30, encoding="utf-8",
    )  # fmt: skip
    assert "100 Continue" not in done.stderr
    assert "< HTTP/1.1 421 " in done.stderr
