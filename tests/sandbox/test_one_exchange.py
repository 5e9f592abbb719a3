"""One exchange: a whole submission in one request. All of it is received, or nothing of it is kept."""

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
    NO_TOKEN,
    PERSONAL,
    Sender,
    a_declaration,
    form,
    part,
)
from docsend.model.canonical import key_of
from docsend.sandbox import server
from docsend.sandbox.accounts import Accounts
from faults import lab
from one_exchange import (
    FIRST,
    LAST,
    LIMIT,
    PARTS,
    RIGHT,
    SECOND,
    TWO,
    WHOLE,
    declared,
    document,
    is_empty,
    request,
    two_documents,
)
from other_catalogs import CATALOG, stricter, without
from sockets import said
from wrong_headers import mended

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sender(sandbox: RunningSandbox) -> Sender:
    return Sender(sandbox.url)


def test_a_submission_is_received_in_one_request(sandbox: RunningSandbox, sender: Sender) -> None:
    declaration = two_documents()
    key = key_of(declaration)
    answer = sender.send_whole(declaration, CONTENT, SECOND)
    assert answer.status == 201
    assert (answer.json["key"], answer.json["documents"]) == (key, TWO)
    assert sandbox.content(key) == {"payslip.pdf": CONTENT, "scan.pdf": SECOND}
    again = sender.send_whole(declaration, CONTENT, SECOND)
    assert (again.status, again.body) == (200, answer.body)
    # The staged calls find it, too.
    assert sender.ask("send", key=key).body == answer.body
    assert sender.declare(declaration).json["receipt"] == answer.json
    assert sender.put(declaration, SECOND).status == 204
    assert sender.ask("withdraw", key=key).code == "already-received"
    assert len(list((sandbox.folder / "documents").iterdir())) == 2


@pytest.mark.parametrize(
    "stated",
    ["{}", '"{}"', '"{}"; charset=utf-8', "{}; charset=utf-8"],
)
@pytest.mark.parametrize(
    "boundary", ["the key", "a", "-" * 24 + "d74496d66958873e", "x" * 70, "a'()+_,-./:=?b"]
)
def test_any_boundary_will_do(boundary: str, stated: str, sender: Sender) -> None:
    declaration = a_declaration()
    boundary = key_of(declaration) if boundary == "the key" else boundary
    stated = (
        stated
        if boundary.isalnum() or '"' in stated
        else f'"{stated}"'.replace('"{}; charset=utf-8"', '"{}"')
    )
    body = form(declared(declaration), document(CONTENT), boundary=boundary)
    headers = {"Content-Type": f"multipart/form-data; boundary={stated.format(boundary)}"}
    assert sender.send_form(declaration, body, headers=headers).status == 201


def test_wherever_the_body_is_cut_into_packets_it_is_the_same(sandbox: RunningSandbox) -> None:
    for size in (1, 2, 3, 11, 12, 13, 100):
        declaration = two_documents(reference=f"in packets of {size}")
        whole = request(declaration, form(declared(declaration), document(CONTENT), document(SECOND)))
        with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), 10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(whole), size):
                connection.sendall(whole[start : start + size])
                time.sleep(0.0002)
            assert connection.recv(100).startswith(b"HTTP/1.1 201 "), size


def test_a_document_in_small_packets_is_what_its_name_says(sandbox: RunningSandbox, sender: Sender) -> None:
    declaration = sender.opened()
    head = (
        f"PUT /v1/submissions/{key_of(declaration)}/documents/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Length: {len(CONTENT)}\r\n\r\n"
    )
    ((status, *_),) = said(sandbox.url, head.encode(), CONTENT[:1], CONTENT[1:])
    assert status == b"201"


def test_names_of_files_and_types_in_the_headers_of_parts_say_nothing_and_are_not_kept(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    declaration = a_declaration()
    more = '; filename="../../a-real-name.pdf"\r\nContent-Type: text/html\r\nX-More: a-real-name'
    body = form(
        part("declaration", json.dumps(declaration).encode(), "\r\nContent-Type: text/plain"),
        part("document", CONTENT, more),
    )
    assert sender.send_form(declaration, body).status == 201
    for file in sandbox.folder.rglob("*"):
        assert "real-name" not in file.name
        assert file.is_dir() or b"real-name" not in file.read_bytes()


def test_as_much_as_the_catalog_says_is_taken_and_a_byte_more_is_not(sender: Sender) -> None:
    for size, status in ((LIMIT, 201), (LIMIT + 1, 413)):
        content = CONTENT.ljust(size, b"\0")
        documents = [{"name": "large.pdf", "bytes": size, "sha256": sha256(content).hexdigest()}]
        answer = sender.send_whole(a_declaration(documents=documents), content)
        assert (answer.status, answer.code) == (status, None if status == 201 else "one-exchange-too-large")


def test_what_is_too_large_in_one_exchange_may_go_staged(sandbox: RunningSandbox, sender: Sender) -> None:
    answer = sender.send_form(a_declaration(), bytes(LIMIT + 2 * 2**20 + 1))
    assert (answer.status, answer.code) == (413, "one-exchange-too-large")
    assert is_empty(sandbox)
    sender.received()


def test_a_service_whose_catalog_has_no_such_number_takes_no_multipart(tmp_path: Path) -> None:
    raw = {name: value for name, value in CATALOG.items() if name != "one_exchange_bytes"}
    with server.run_in_background(tmp_path, catalog_bytes=json.dumps(raw).encode()) as url:
        sender = Sender(url)
        answer = sender.send_whole(a_declaration(), CONTENT)
        assert (answer.status, answer.code) == (415, "media-type-not-accepted")
        sender.received()


def test_rules_hold_in_one_exchange_as_they_do_staged(sandbox: RunningSandbox, sender: Sender) -> None:
    refused: list[tuple[dict[str, Any], int, str]] = [
        ({"to": "moon"}, 422, "invalid"),
        ({"identity": {"id_number": "000000019"}}, 422, "invalid"),
        ({"category": "claim", "type": "unemployment-claim"}, 422, "online-form-required"),
        ({"documents": [DOCUMENT | {"name": "payslip.txt"}]}, 415, "format-not-accepted"),
        ({"documents": [DOCUMENT | {"sha256": f"{n:064x}"} for n in range(16)]}, 413, "too-many-documents"),
    ]
    for changes, status, code in refused:
        answer = sender.send_whole(a_declaration(**changes), CONTENT)
        assert (answer.status, answer.code) == (status, code)
        assert answer.json == sender.declare(a_declaration(**changes)).json
    assert is_empty(sandbox)


@pytest.mark.parametrize("way", ["in one exchange", "staged"])
def test_a_second_try_that_overtakes_the_receipt_of_the_first_gets_it(
    sandbox: RunningSandbox, sender: Sender, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    person = sender.signed_in(ASKED)
    declaration = a_declaration(ANSWERING)
    first: list[Any] = []
    pending = Accounts.pending

    def answered_meanwhile(self: Accounts, account: Any) -> list[Any]:
        if not first:  # what is required was looked up; now the first try answers it
            first.append(None)
            first[0] = person.send_whole(declaration, CONTENT)
        return pending(self, account)

    monkeypatch.setattr(Accounts, "pending", answered_meanwhile)
    if way == "staged":
        second = person.declare(declaration)
        receipt = second.json["receipt"]
    else:
        second = person.send_whole(declaration, CONTENT)
        receipt = second.json
    assert (first[0].status, second.status, receipt) == (201, 200, first[0].json)
    assert sandbox.count() == 1


# -- the order of judgement --------------------------------------------------------------------------------


def test_one_exchange_is_judged_in_one_order(sender: Sender) -> None:
    *headers, last = mended()
    taken = {**last, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    chunked = {**taken, "Transfer-Encoding": "chunked"}
    withdrawn, opened = key_of(sender.withdrawn()), key_of(sender.opened())
    done = a_declaration()
    assert sender.send_whole(done, CONTENT).status == 201
    large = bytes(LIMIT + 2 * 2**20 + 1)
    faulty = declared(a_declaration(to="moon", documents=[DOCUMENT | {"bytes": 1}]))
    too_much = a_declaration(documents=[DOCUMENT | {"bytes": LIMIT + 1}])
    right = declared(RIGHT)
    tries: list[tuple[dict[str, str], str, Any, int, str | None]] = [
        *(
            (given, "no-key", WHOLE, status, code)
            for given, (status, code) in zip(headers, HEADERS, strict=True)
        ),
        (last, "no-key", WHOLE, 404, "not-found"),
        (last, withdrawn, WHOLE, 415, "media-type-not-accepted"),
        (chunked, withdrawn, iter([WHOLE]), 411, "length-required"),
        (taken, withdrawn, large, 413, "one-exchange-too-large"),
        (taken, withdrawn, form(part("declaration", b"{")), 400, "malformed"),
        (taken, withdrawn, form(declared(too_much | {"type": "moon"})), 413, "one-exchange-too-large"),
        (taken, withdrawn, form(faulty), 409, "withdrawn"),
        (taken, opened, form(faulty), 409, "key-reused"),
        (taken, key_of(done), form(declared(done)), 200, None),
        (taken, key_of(RIGHT), form(declared(RIGHT | {"type": "moon"})), 422, "invalid"),
        (taken, key_of(RIGHT), form(right, LAST), 400, "digest-mismatch"),
        (taken, key_of(RIGHT), form(right, FIRST), 400, "malformed"),
        (taken, key_of(RIGHT), WHOLE, 201, None),
    ]
    for given, key, body, status, code in tries:
        answer = sender.send_form(RIGHT, body, key=key, headers=given)
        assert (answer.status, answer.code) == (status, code)


HEADERS = [
    (421, "host-not-served"),
    (403, "origin-not-allowed"),
    (400, "malformed"),
    (401, "sign-in-needed"),
]


@pytest.mark.parametrize(
    "follows",
    [[FIRST], [LAST, FIRST], [part("moon", b"anything")], [b"no part"], [document(bytes(2**20))]],
)
def test_what_had_been_received_is_answered_whatever_parts_follow(
    follows: list[bytes], sender: Sender
) -> None:
    answer = sender.send_form(RIGHT, WHOLE)
    assert answer.status == 201
    for end in ("--\r\n", "\r\n", ""):
        again = sender.send_form(RIGHT, form(declared(RIGHT), *follows, end=end))
        assert (again.status, again.body) == (200, answer.body)


def test_what_had_been_received_is_answered_only_when_the_body_has_ended(sandbox: RunningSandbox) -> None:
    assert Sender(sandbox.url).send_form(RIGHT, WHOLE).status == 201
    answers = said(sandbox.url, request(RIGHT, WHOLE[:-5], len(WHOLE)), is_cut=True)
    assert [status for status, *_ in answers] in ([], [b"408"])


@pytest.mark.parametrize(
    "later", [stricter(), without("destinations", "benefits"), without("types", "payslips")]
)
def test_a_received_submission_stays_received_in_one_exchange_too(tmp_path: Path, later: bytes) -> None:
    with server.run_in_background(tmp_path) as url:
        receipt = Sender(url).send_form(RIGHT, WHOLE).body
    with server.run_in_background(tmp_path, catalog_bytes=later) as url:
        again = Sender(url).send_form(RIGHT, WHOLE)
        assert (again.status, again.body) == (200, receipt)


def test_a_bad_token_is_refused_before_the_body_is_asked_for(sandbox: RunningSandbox) -> None:
    more = f"Authorization: Bearer {NO_TOKEN}\r\nExpect: 100-continue\r\n"
    ((status, _, body),) = said(sandbox.url, request(RIGHT, b"", len(WHOLE), more))
    assert status == b"401"
    assert b"sign-in-needed" in body


# -- on a key that is open ---------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [[], [CONTENT], [SECOND], [CONTENT, SECOND]])
def test_it_completes_what_was_declared_before(
    there: list[bytes], sandbox: RunningSandbox, sender: Sender
) -> None:
    declaration = sender.opened(two_documents())
    for content in there:
        assert sender.put(declaration, content).status == 201
    answer = sender.send_whole(declaration, CONTENT, SECOND)
    assert answer.status == 201
    assert sender.ask("send", key=key_of(declaration)).body == answer.body
    assert sender.put(declaration, CONTENT).status == 204
    assert sandbox.content(key_of(declaration)) == {"payslip.pdf": CONTENT, "scan.pdf": SECOND}
    assert len(list((sandbox.folder / "documents").iterdir())) == 2


def test_refused_it_leaves_what_was_declared_before_as_it_was(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    declaration = sender.opened(two_documents())
    assert sender.put(declaration, CONTENT).status == 201
    key = key_of(declaration)
    before = sender.ask("standing", key=key).json
    files = sorted((sandbox.folder / "documents").iterdir())
    for parts, (status, code) in PARTS.values():
        answer = sender.send_form(declaration, form(declared(declaration), *parts))
        assert (answer.status, answer.code) == (status, code)
    assert sender.ask("standing", key=key).json == before
    assert sorted((sandbox.folder / "documents").iterdir()) == files
    assert sender.put(declaration, SECOND).status == 201
    assert sender.ask("send", key=key).status == 200


# -- the personal service ----------------------------------------------------------------------------------


def test_to_the_personal_service_it_needs_a_session_and_is_its_account_s_own(sender: Sender) -> None:
    person, stranger = sender.signed_in(CLEAR), sender.signed_in(ASKED)
    declaration = a_declaration(PERSONAL)
    key = person.key(declaration)
    assert sender.send_whole(declaration, CONTENT, key=key).code == "sign-in-needed"
    answer = person.send_whole(declaration, CONTENT)
    assert answer.status == 201
    assert person.send_whole(declaration, CONTENT).body == answer.body
    for other in (sender, stranger):
        assert other.ask("standing", key=key).code == "not-found"
    # The same under the same key is the stranger's own submission.
    theirs = stranger.send_whole(declaration, CONTENT, key=key)
    assert (theirs.status, theirs.json["number"] == answer.json["number"]) == (201, False)


def test_it_answers_a_required_document_and_can_be_repeated_afterwards(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    person = sender.signed_in(ASKED)
    other = a_declaration(ANSWERING, required=None)
    assert person.send_whole(other, CONTENT).code == "required-documents-pending"
    answering = a_declaration(ANSWERING)
    answer = person.send_whole(answering, CONTENT)
    assert answer.status == 201
    assert [row["id"] for row in person.ask("required").json["required"]] == ["R-4712"]
    assert person.send_whole(answering, CONTENT).status == 200
    assert person.send_whole(other, CONTENT).status == 201


# -- at the same moment ------------------------------------------------------------------------------------


def staged(sender: Sender, declaration: dict[str, Any]) -> bytes:
    """Send it by the staged calls, whatever somebody else does with the same key."""
    assert sender.declare(declaration).status in (200, 201)
    for content in (CONTENT, SECOND):
        assert sender.put(declaration, content).status in (201, 204)
    answer = sender.ask("send", key=key_of(declaration))
    assert answer.status == 200
    return answer.body


@pytest.mark.parametrize("share", [2, 0])
def test_requests_with_the_same_key_at_the_same_moment_give_one_receipt(share: int, tmp_path: Path) -> None:
    with (
        server.run_in_background(tmp_path) as one,
        server.run_in_background(tmp_path) as two,
        ThreadPoolExecutor(8) as workers,
    ):
        for number in range(5):
            declaration = two_documents(reference=f"at once {number}")
            senders = [Sender(url) for url in (one, two, one, two)]
            whole = [workers.submit(each.send_whole, declaration, CONTENT, SECOND) for each in senders]
            parts = [workers.submit(staged, each, declaration) for each in senders[:share]]
            answers = [each.result() for each in whole]
            assert len({answer.body for answer in answers} | {each.result() for each in parts}) == 1
            new = [answer.status for answer in answers].count(201)
            assert new == 1 or (new == 0 and share)
        sandbox = RunningSandbox(one, tmp_path)
        assert sandbox.count() == 5
        assert len(sandbox.select("SELECT * FROM receipt")) == 5
        assert len(list((tmp_path / "documents").iterdir())) == 10


# -- as a stream -------------------------------------------------------------------------------------------


@pytest.fixture
def process(tmp_path: Path) -> Iterator[lab.Sandbox]:
    with lab.sandbox(tmp_path / "process") as running:
        yield running


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count of memory is read")
def test_the_service_never_holds_a_whole_body(process: lab.Sandbox) -> None:
    def peak() -> int:
        status = Path(f"/proc/{process.process.pid}/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    sender = Sender(process.url)
    assert sender.send_form(RIGHT, WHOLE).status == 201
    before = peak()
    contents = [CONTENT.ljust(LIMIT // 2, byte) for byte in (b"\0", b"\r")]
    names = [
        {"name": f"{n}.pdf", "bytes": len(content), "sha256": sha256(content).hexdigest()}
        for n, content in enumerate(contents)
    ]
    assert sender.send_whole(a_declaration(documents=names), *contents).status == 201
    assert peak() - before < LIMIT // 4


@pytest.mark.needs("curl")
def test_curl_sends_a_large_one_when_it_is_told_to_go_on(sandbox: RunningSandbox, tmp_path: Path) -> None:
    large = samples.write(tmp_path, "large.pdf", samples.pdf(size=3 * 2**20))
    content = large.read_bytes()
    document = {"name": "large.pdf", "bytes": len(content), "sha256": sha256(content).hexdigest()}
    declaration = a_declaration(documents=[document])
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
    # A refusal by the headers comes before a byte of the body has left.
    done = subprocess.run(
        [*command, *form_, "-H", "Host: web.example"],
        cwd=tmp_path, capture_output=True, check=True, timeout=30, encoding="utf-8",
    )  # fmt: skip
    assert "100 Continue" not in done.stderr
    assert "< HTTP/1.1 421 " in done.stderr
