"""What every request is judged by, in one order, and the `Request-Id` that every answer repeats."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from conftest import PERSON
from contract_client import (
    ANSWERING,
    ASKED,
    CLEAR,
    CONTENT,
    DIGEST,
    DOCUMENT,
    LARGEST,
    PERSONAL,
    Sender,
    a_declaration,
    a_key,
)
from docsend.model.canonical import key_of
from docsend.sandbox import server
from other_catalogs import stricter, without
from sockets import said
from wrong_headers import ORDER, mended

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import RunningSandbox


@pytest.fixture(scope="module")
def sender(shared_sandbox: RunningSandbox) -> Sender:
    return Sender(shared_sandbox.url)


# -- Host --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:1", 200),
        ("LocalHost.:8750", 200),
        ("docsend.localhost", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:65535", 200),
        ("127.255.255.254:80", 200),
        ("[::1]", 200),
        ("[::1]:8750", 200),
        ("[0:0:0:0:0:0:0:1]:8750", 200),
        ("localhost:", 200),
        ("web.example", 421),
        ("web.example:8750", 421),
        ("localhost.web.example", 421),
        ("notlocalhost", 421),
        ("127.0.0.1.web.example", 421),
        ("128.0.0.1", 421),
        ("0.0.0.0", 421),  # noqa: S104 - a name that is asked for, not bound to
        ("127.1", 421),
        ("2130706433", 421),
        ("[::2]:8750", 421),
        ("[::ffff:8.8.8.8]", 421),
        ("", 400),
        ("localhost, web.example", 400),
        ("web.example@localhost", 400),
        ("http://localhost", 400),
        ("localhost:80:80", 400),
        ("localhost:port", 400),
        ("::1", 400),
        ("[localhost]", 400),
        ("local host", 400),
    ],
)
def test_only_this_machine_s_own_names_are_served(host: str, status: int, sender: Sender) -> None:
    answer = sender.ask("catalog", headers={"Host": host})
    assert answer.status == status
    assert answer.code == {200: None, 400: "malformed", 421: "host-not-served"}[status]


@pytest.mark.parametrize(
    "hosts",
    [b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host: localhost\r\nHost: web.example\r\n"],
)
def test_a_request_without_a_host_or_with_two_is_malformed_and_its_id_repeated(
    hosts: bytes, shared_sandbox: RunningSandbox
) -> None:
    request = b"GET /v1/catalog HTTP/1.1\r\n" + hosts + b"Request-Id: one\r\n\r\n"
    for pieces in ([request], [request[:30], request[30:-2], request[-2:]]):
        ((status, headers, body),) = said(shared_sandbox.url, *pieces)
        assert (status, headers[b"request-id"]) == (b"400", b"one")
        assert headers[b"content-type"] == b"application/problem+json"
        assert json.loads(body)["type"] == "urn:docsend:problem:malformed"


def test_http_1_0_needs_its_host_too(shared_sandbox: RunningSandbox) -> None:
    ((status, headers, _),) = said(shared_sandbox.url, b"GET /v1/catalog HTTP/1.0\r\nRequest-Id: a\r\n\r\n")
    assert (status, headers[b"request-id"]) == (b"400", b"a")


def test_what_cannot_be_read_gets_no_id_of_another_request(shared_sandbox: RunningSandbox) -> None:
    good = b"GET /v1/required HTTP/1.1\r\nHost: localhost\r\nRequest-Id: one\r\n\r\n"
    bad = b"GET / HTTP/1.1\r\n\r\n"
    for pieces in ([good + bad], [good, bad], [good[:-1], good[-1:] + bad]):
        answers = said(shared_sandbox.url, *pieces)
        assert [(status, headers.get(b"request-id")) for status, headers, _ in answers] == [
            (b"401", b"one"),
            (b"400", None),
        ]
    twice = b"GET / HTTP/1.1\r\nRequest-Id: one\r\nRequest-Id: two\r\n\r\n"
    ((status, headers, _),) = said(shared_sandbox.url, twice)
    assert (status, headers.get(b"request-id")) == (b"400", None)


def test_what_stands_behind_a_whole_request_changes_nothing_about_its_answer(sandbox: RunningSandbox) -> None:
    address = "127.0.0.1", int(sandbox.url.rpartition(":")[2])
    for number in range(20):
        declaration = a_declaration(reference=f"behind {number}")
        body = json.dumps(declaration).encode()
        head = (
            f"PUT /v1/submissions/{key_of(declaration)} HTTP/1.1\r\nHost: localhost\r\nRequest-Id: one\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(address, timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(head.encode() + body)
            time.sleep(number / 5000)  # it comes while the request is in hand
            connection.sendall(b"more than was said")
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 201 "), number
        assert b"request-id: one" in answer


def test_chunks_that_are_none_are_refused_with_the_id_of_their_request(sandbox: RunningSandbox) -> None:
    head = f"PUT /v1/submissions/{a_key()} HTTP/1.1\r\nHost: localhost\r\nRequest-Id: one\r\n"
    ((status, headers, _),) = said(
        sandbox.url, f"{head}Transfer-Encoding: chunked\r\n\r\nno chunk\r\n".encode()
    )
    assert (status, headers[b"request-id"]) == (b"400", b"one")


# -- Origin ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:8750", "http://localhost:8750", 200),
        ("LOCALHOST:8750", "http://localhost:8750", 200),
        ("localhost", "https://localhost", 200),
        ("[::1]:8750", "http://[::1]:8750", 200),
        ("localhost:8750", "http://localhost:3000", 403),
        ("localhost:8750", "http://127.0.0.1:8750", 403),
        ("localhost:8750", "http://localhost", 403),
        ("localhost:8750", "https://web.example", 403),
        ("localhost:8750", "null", 403),
        ("localhost:8750", "", 403),
        ("localhost:8750", "file://localhost:8750", 403),
        ("localhost:8750", "http://localhost:8750, https://web.example", 403),
        ("localhost:8750", "http://localhost:8750.web.example", 403),
        ("web.example", "https://web.example", 421),
    ],
)
def test_a_page_of_another_origin_is_refused(host: str, origin: str, status: int, sender: Sender) -> None:
    answer = sender.ask("catalog", headers={"Host": host, "Origin": origin})
    assert answer.status == status
    assert answer.code == {200: None, 403: "origin-not-allowed", 421: "host-not-served"}[status]


def test_two_origins_are_one_too_many_if_one_is_foreign(shared_sandbox: RunningSandbox) -> None:
    lines = b"Origin: http://localhost\r\nOrigin: http://web.example\r\n"
    request = b"GET /v1/catalog HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n"
    ((status, _, _),) = said(shared_sandbox.url, request)
    assert status == b"403"


# -- Request-Id --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_id",
    ["a", "5e0f9a50-9d13-4fd5-b9b8-5b2f4b8cf9ad", "|5c11.7_", "!#$%&'*+-.^_`|~", "9" * 64],
)
def test_a_token_is_repeated(request_id: str, sender: Sender) -> None:
    answer = sender.ask("catalog", headers={"Request-Id": request_id})
    assert (answer.status, answer.headers["request-id"]) == (200, request_id)


@pytest.mark.parametrize("request_id", ["", "9" * 65, "a b", "a,b", 'a"b', "a/b", "é", "<b>", "a=b"])
def test_what_is_no_token_is_refused_and_not_repeated(request_id: str, sender: Sender) -> None:
    answer = sender.ask("catalog", headers={"Request-Id": request_id})
    assert (answer.status, answer.code, answer.headers.get("request-id")) == (400, "malformed", None)


def test_a_request_needs_no_id_and_may_not_have_two(shared_sandbox: RunningSandbox) -> None:
    for ids, status in ((b"", b"401"), (b"Request-Id: a\r\nRequest-Id: a\r\n", b"400")):
        request = b"GET /v1/required HTTP/1.1\r\nHost: localhost\r\n" + ids + b"\r\n"
        ((answered, headers, _),) = said(shared_sandbox.url, request)
        assert (answered, headers.get(b"request-id")) == (status, None)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("PATCH", "/v1/catalog", 405)])
def test_the_id_is_repeated_where_there_is_no_call(
    method: str, path: str, status: int, sender: Sender
) -> None:
    answer = sender.request(method, path, body=CONTENT, headers={"Request-Id": "an-id"})
    assert (answer.status, answer.headers["request-id"]) == (status, "an-id")


# -- Content-Type ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "media_type", "is_taken"),
    [
        ("declare", "application/json", True),
        ("declare", "Application/JSON; charset=utf-8", True),
        ("declare", None, True),
        ("declare", "text/plain", False),
        ("declare", "application/x-www-form-urlencoded", False),
        ("declare", "application/jsonp", False),
        ("sign_in", "application/json", True),
        ("sign_in", None, True),
        ("sign_in", "text/plain", False),
        ("put", None, True),
        ("put", "application/octet-stream", True),
        ("put", "application/pdf", True),
        ("put", "image/png", True),
        ("put", "text/html", False),
        ("put", "multipart/form-data; boundary=a", False),
    ],
)
def test_a_body_may_leave_its_type_out_but_not_be_of_another(
    name: str,
    media_type: str | None,
    is_taken: bool,  # noqa: FBT001
    sender: Sender,
) -> None:
    declaration = a_declaration() if name == "declare" else sender.opened()
    body = {
        "declare": json.dumps(declaration).encode(),
        "sign_in": b'{"code": "1002", "password": "fictional-clear"}',
        "put": CONTENT,
    }[name]
    headers = {} if media_type is None else {"Content-Type": media_type}
    answer = sender.ask(name, key=key_of(declaration), digest=DIGEST, body=body, headers=headers)
    assert answer.code == (None if is_taken else "media-type-not-accepted")


def test_a_type_of_no_body_is_passed_over(sender: Sender) -> None:
    key = key_of(sender.received())
    json_type = {"Content-Type": "application/json"}
    assert sender.ask("send", key=key, headers=json_type).status == 200
    assert sender.ask("send", key=key, body=b"{}").status == 200
    assert sender.ask("send", key=key, body=b"{}", headers=json_type).code == "media-type-not-accepted"


def test_a_body_with_two_lengths_is_malformed(shared_sandbox: RunningSandbox) -> None:
    lengths = b"Content-Length: 7\r\nTransfer-Encoding: chunked\r\n"
    head = b"PUT /v1/submissions/" + b"A" * 52 + b" HTTP/1.1\r\nHost: localhost\r\n" + lengths + b"\r\n"
    ((status, _, _),) = said(shared_sandbox.url, head + b"2\r\n{}\r\n0\r\n\r\n")
    assert status == b"400"


def test_a_body_with_two_types_is_malformed(shared_sandbox: RunningSandbox) -> None:
    types = b"Content-Type: application/json\r\nContent-Type: multipart/form-data; boundary=a\r\n"
    head = b"PUT /v1/submissions/" + b"A" * 52 + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
    ((status, _, _),) = said(shared_sandbox.url, head + types + b"\r\n{}")
    assert status == b"400"


# -- the order ---------------------------------------------------------------------------------------------


def test_a_declaration_is_judged_in_one_order(sender: Sender) -> None:
    *headers, last = mended()
    taken = {**last, "Content-Type": "application/json"}
    large, broken, faulty = bytes(2**20 + 1), b"{", json.dumps(a_declaration(to="moon")).encode()
    withdrawn, opened = key_of(sender.withdrawn()), key_of(sender.opened())
    tries: list[tuple[dict[str, str], str, bytes, int, str]] = [
        *((given, "no-key", large, *step[:2]) for given, step in zip(headers, ORDER, strict=True)),
        (last, "no-key", large, 404, "not-found"),
        (last, withdrawn, large, 415, "media-type-not-accepted"),
        (taken, withdrawn, large, 413, "declaration-too-large"),
        (taken, withdrawn, broken, 400, "malformed"),
        (taken, withdrawn, faulty, 409, "withdrawn"),
        (taken, opened, faulty, 409, "key-reused"),
        (taken, a_key(), faulty, 422, "invalid"),
    ]
    for given, key, body, status, code in tries:
        answer = sender.ask("declare", key=key, body=body, headers=given)
        assert (answer.status, answer.code) == (status, code)


def test_a_document_is_judged_in_one_order(sender: Sender) -> None:
    *headers, last = mended()
    taken = {**last, "Content-Type": "application/pdf"}
    large, other = bytes(LARGEST + 1), CONTENT.swapcase()
    chunked = {**taken, "Transfer-Encoding": "chunked"}
    withdrawn, opened = key_of(sender.withdrawn()), key_of(sender.opened())
    received = key_of(sender.received())
    tries: list[tuple[dict[str, str], str, Any, int, str | None]] = [
        *((given, "no-key", large, *step[:2]) for given, step in zip(headers, ORDER, strict=True)),
        (last, "no-key", large, 404, "not-found"),
        (last, withdrawn, large, 415, "media-type-not-accepted"),
        (chunked, withdrawn, iter([CONTENT]), 411, "length-required"),
        (taken, withdrawn, large, 413, "document-too-large"),
        (taken, a_key(), other, 404, "not-found"),
        (taken, withdrawn, other, 409, "withdrawn"),
        (taken, received, other, 204, None),
        (taken, opened, other, 400, "digest-mismatch"),
        (taken, opened, CONTENT, 201, None),
    ]
    for given, key, body, status, code in tries:
        answer = sender.ask("put", key=key, digest=DIGEST, body=body, headers=given)
        assert (answer.status, answer.code) == (status, code)


# -- received before, whatever the rules say today ---------------------------------------------------------


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(stricter(), id="stricter limits"),
        pytest.param(without("types", "payslips"), id="without its type"),
        pytest.param(without("subjects", "unemployment"), id="without its subject"),
        pytest.param(without("branches", "haifa"), id="without its branch"),
        pytest.param(without("destinations", "benefits"), id="without its destination"),
    ],
)
def test_a_received_submission_stays_received_when_the_catalog_changes(tmp_path: Path, later: bytes) -> None:
    with server.run_in_background(tmp_path) as url:
        declaration = Sender(url).received()
        receipt = Sender(url).ask("send", key=key_of(declaration)).body
    with server.run_in_background(tmp_path, catalog_bytes=later) as url:
        sender = Sender(url)
        again = sender.declare(declaration)
        assert (again.status, again.json["state"]) == (200, "received")
        assert sender.ask("send", key=key_of(declaration)).body == receipt
        new = sender.declare(declaration | {"reference": "another"})
        assert new.status in (413, 415, 422) or b"branches" in later


def test_a_received_personal_submission_stays_received_when_its_destination_is_gone(tmp_path: Path) -> None:
    with server.run_in_background(tmp_path) as url:
        person = Sender(url).signed_in(CLEAR)
        declaration = person.received(a_declaration(PERSONAL))
    with server.run_in_background(tmp_path, catalog_bytes=without("destinations", "personal")) as url:
        sender = Sender(url)
        assert sender.signed_in(CLEAR).declare(declaration).json["state"] == "received"
        # To anybody else it is as if it did not exist.
        assert sender.declare(declaration, sender.signed_in(CLEAR).key(declaration)).code == "invalid"
        assert sender.signed_in(ASKED).declare(declaration).code == "invalid"


def test_a_received_answer_to_a_required_document_is_found_though_it_is_asked_for_no_more(
    sandbox: RunningSandbox,
) -> None:
    person = Sender(sandbox.url).signed_in(ASKED)
    declaration = person.received(a_declaration(ANSWERING))
    assert person.declare(declaration).json["state"] == "received"


# -- to its end --------------------------------------------------------------------------------------------


def test_nothing_is_received_before_the_body_has_ended(sandbox: RunningSandbox) -> None:
    sender = Sender(sandbox.url)
    declaration = sender.opened()
    assert sender.put(declaration, CONTENT).status == 201
    key = key_of(declaration)
    head = f"POST /v1/submissions/{key}/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"
    assert [status for status, *_ in said(sandbox.url, head.encode() + b"{", is_cut=True)] in ([], [b"408"])
    assert sandbox.state(key) == "open"
    again = f"PUT /v1/submissions/{key}/documents/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n"
    cut = f"{again}Content-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT[:-1]
    assert [status for status, *_ in said(sandbox.url, cut, is_cut=True)] in ([], [b"408"])
    assert sender.ask("send", key=key).status == 200


def test_who_waits_for_leave_to_send_gets_a_refusal_without_sending(shared_sandbox: RunningSandbox) -> None:
    head = (
        f"PUT /v1/submissions/{a_key()} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Expect: 100-continue\r\nContent-Length: {}\r\n\r\n"
    )
    ((status, _, _),) = said(shared_sandbox.url, head.format(2**20 + 1).encode())
    assert status == b"413"
    body = json.dumps(a_declaration(documents=[DOCUMENT], identity={"id_number": PERSON})).encode()
    statuses = [status for status, *_ in said(shared_sandbox.url, head.format(len(body)).encode(), body)]
    assert statuses == [b"100", b"201"]
