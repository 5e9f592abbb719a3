"""The checks of every request and their order, and the `Request-Id` that every response repeats."""

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
    new_declaration,
    new_key,
)
from docsend.model.canonical import key_of
from docsend.sandbox import server
from other_catalogs import catalog_without, stricter_catalog
from sockets import send_raw
from wrong_headers import ORDER, corrected_headers

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
        ("0.0.0.0", 421),  # noqa: S104 - a requested name, not an address to bind to
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
def test_only_names_of_this_machine_are_served(host: str, status: int, sender: Sender) -> None:
    response = sender.call("catalog", headers={"Host": host})
    assert response.status == status
    assert response.code == {200: None, 400: "malformed", 421: "host-not-served"}[status]


@pytest.mark.parametrize(
    "hosts",
    [b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host: localhost\r\nHost: web.example\r\n"],
)
def test_a_request_without_a_host_or_with_two_is_malformed_and_its_id_is_repeated(
    hosts: bytes, shared_sandbox: RunningSandbox
) -> None:
    request = b"GET /v1/catalog HTTP/1.1\r\n" + hosts + b"Request-Id: one\r\n\r\n"
    for pieces in ([request], [request[:30], request[30:-2], request[-2:]]):
        ((status, headers, body),) = send_raw(shared_sandbox.url, *pieces)
        assert (status, headers[b"request-id"]) == (b"400", b"one")
        assert headers[b"content-type"] == b"application/problem+json"
        assert json.loads(body)["type"] == "urn:docsend:problem:malformed"


def test_http_1_0_needs_a_host_too(shared_sandbox: RunningSandbox) -> None:
    ((status, headers, _),) = send_raw(
        shared_sandbox.url, b"GET /v1/catalog HTTP/1.0\r\nRequest-Id: a\r\n\r\n"
    )
    assert (status, headers[b"request-id"]) == (b"400", b"a")


def test_unparsable_input_does_not_get_the_id_of_another_request(shared_sandbox: RunningSandbox) -> None:
    good = b"GET /v1/required HTTP/1.1\r\nHost: localhost\r\nRequest-Id: one\r\n\r\n"
    bad = b"GET / HTTP/1.1\r\n\r\n"
    for pieces in ([good + bad], [good, bad], [good[:-1], good[-1:] + bad]):
        responses = send_raw(shared_sandbox.url, *pieces)
        assert [(status, headers.get(b"request-id")) for status, headers, _ in responses] == [
            (b"401", b"one"),
            (b"400", None),
        ]
    twice = b"GET / HTTP/1.1\r\nRequest-Id: one\r\nRequest-Id: two\r\n\r\n"
    ((status, headers, _),) = send_raw(shared_sandbox.url, twice)
    assert (status, headers.get(b"request-id")) == (b"400", None)


def test_bytes_after_a_complete_request_do_not_change_its_response(sandbox: RunningSandbox) -> None:
    address = "127.0.0.1", int(sandbox.url.rpartition(":")[2])
    for number in range(20):
        declaration = new_declaration(reference=f"after {number}")
        body = json.dumps(declaration).encode()
        head = (
            f"PUT /v1/submissions/{key_of(declaration)} HTTP/1.1\r\nHost: localhost\r\nRequest-Id: one\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(address, timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(head.encode() + body)
            time.sleep(number / 5000)  # the extra bytes arrive while the request is being handled
            connection.sendall(b"more than the Content-Length")
            response = connection.recv(65536)
        assert response.startswith(b"HTTP/1.1 201 "), number
        assert b"request-id: one" in response


def test_malformed_chunks_are_refused_with_the_id_of_their_request(sandbox: RunningSandbox) -> None:
    head = f"PUT /v1/submissions/{new_key()} HTTP/1.1\r\nHost: localhost\r\nRequest-Id: one\r\n"
    ((status, headers, _),) = send_raw(
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
    response = sender.call("catalog", headers={"Host": host, "Origin": origin})
    assert response.status == status
    assert response.code == {200: None, 403: "origin-not-allowed", 421: "host-not-served"}[status]


def test_two_origins_are_refused_if_one_is_foreign(shared_sandbox: RunningSandbox) -> None:
    lines = b"Origin: http://localhost\r\nOrigin: http://web.example\r\n"
    request = b"GET /v1/catalog HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n"
    ((status, _, _),) = send_raw(shared_sandbox.url, request)
    assert status == b"403"


# -- Request-Id --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_id",
    ["a", "5e0f9a50-9d13-4fd5-b9b8-5b2f4b8cf9ad", "|5c11.7_", "!#$%&'*+-.^_`|~", "9" * 64],
)
def test_a_request_id_is_repeated(request_id: str, sender: Sender) -> None:
    response = sender.call("catalog", headers={"Request-Id": request_id})
    assert (response.status, response.headers["request-id"]) == (200, request_id)


@pytest.mark.parametrize("request_id", ["", "9" * 65, "a b", "a,b", 'a"b', "a/b", "é", "<b>", "a=b"])
def test_a_request_id_that_is_not_a_token_is_refused_and_not_repeated(
    request_id: str, sender: Sender
) -> None:
    response = sender.call("catalog", headers={"Request-Id": request_id})
    assert (response.status, response.code, response.headers.get("request-id")) == (400, "malformed", None)


def test_a_request_id_is_optional_and_must_not_be_given_twice(shared_sandbox: RunningSandbox) -> None:
    for ids, status in ((b"", b"401"), (b"Request-Id: a\r\nRequest-Id: a\r\n", b"400")):
        request = b"GET /v1/required HTTP/1.1\r\nHost: localhost\r\n" + ids + b"\r\n"
        ((actual, headers, _),) = send_raw(shared_sandbox.url, request)
        assert (actual, headers.get(b"request-id")) == (status, None)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("PATCH", "/v1/catalog", 405)])
def test_the_id_is_repeated_at_addresses_that_are_not_served(
    method: str, path: str, status: int, sender: Sender
) -> None:
    response = sender.request(method, path, body=CONTENT, headers={"Request-Id": "an-id"})
    assert (response.status, response.headers["request-id"]) == (status, "an-id")


# -- Content-Type ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "media_type", "is_accepted"),
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
def test_a_body_may_omit_its_type_but_not_have_another(
    name: str,
    media_type: str | None,
    is_accepted: bool,  # noqa: FBT001
    sender: Sender,
) -> None:
    declaration = new_declaration() if name == "declare" else sender.open_submission()
    body = {
        "declare": json.dumps(declaration).encode(),
        "sign_in": b'{"code": "1002", "password": "fictional-clear"}',
        "put": CONTENT,
    }[name]
    headers = {} if media_type is None else {"Content-Type": media_type}
    response = sender.call(name, key=key_of(declaration), digest=DIGEST, body=body, headers=headers)
    assert response.code == (None if is_accepted else "media-type-not-accepted")


def test_the_content_type_of_an_empty_body_is_ignored(sender: Sender) -> None:
    key = key_of(sender.complete_submission())
    json_type = {"Content-Type": "application/json"}
    assert sender.call("send", key=key, headers=json_type).status == 200
    assert sender.call("send", key=key, body=b"{}").status == 200
    assert sender.call("send", key=key, body=b"{}", headers=json_type).code == "media-type-not-accepted"


def test_a_body_with_two_lengths_is_malformed(shared_sandbox: RunningSandbox) -> None:
    lengths = b"Content-Length: 7\r\nTransfer-Encoding: chunked\r\n"
    head = b"PUT /v1/submissions/" + b"A" * 52 + b" HTTP/1.1\r\nHost: localhost\r\n" + lengths + b"\r\n"
    ((status, _, _),) = send_raw(shared_sandbox.url, head + b"2\r\n{}\r\n0\r\n\r\n")
    assert status == b"400"


def test_a_body_with_two_types_is_malformed(shared_sandbox: RunningSandbox) -> None:
    types = b"Content-Type: application/json\r\nContent-Type: multipart/form-data; boundary=a\r\n"
    head = b"PUT /v1/submissions/" + b"A" * 52 + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
    ((status, _, _),) = send_raw(shared_sandbox.url, head + types + b"\r\n{}")
    assert status == b"400"


# -- order of the checks -----------------------------------------------------------------------------------


def test_a_declaration_is_checked_in_a_fixed_order(sender: Sender) -> None:
    *headers, last = corrected_headers()
    accepted = {**last, "Content-Type": "application/json"}
    large, broken, faulty = bytes(2**20 + 1), b"{", json.dumps(new_declaration(to="moon")).encode()
    withdrawn, opened = key_of(sender.withdraw_submission()), key_of(sender.open_submission())
    attempts: list[tuple[dict[str, str], str, bytes, int, str]] = [
        *((given, "no-key", large, *step[:2]) for given, step in zip(headers, ORDER, strict=True)),
        (last, "no-key", large, 404, "not-found"),
        (last, withdrawn, large, 415, "media-type-not-accepted"),
        (accepted, withdrawn, large, 413, "declaration-too-large"),
        (accepted, withdrawn, broken, 400, "malformed"),
        (accepted, withdrawn, faulty, 409, "withdrawn"),
        (accepted, opened, faulty, 409, "key-reused"),
        (accepted, new_key(), faulty, 422, "invalid"),
    ]
    for given, key, body, status, code in attempts:
        response = sender.call("declare", key=key, body=body, headers=given)
        assert (response.status, response.code) == (status, code)


def test_a_document_is_checked_in_a_fixed_order(sender: Sender) -> None:
    *headers, last = corrected_headers()
    accepted = {**last, "Content-Type": "application/pdf"}
    large, other = bytes(LARGEST + 1), CONTENT.swapcase()
    chunked = {**accepted, "Transfer-Encoding": "chunked"}
    withdrawn, opened = key_of(sender.withdraw_submission()), key_of(sender.open_submission())
    received = key_of(sender.complete_submission())
    attempts: list[tuple[dict[str, str], str, Any, int, str | None]] = [
        *((given, "no-key", large, *step[:2]) for given, step in zip(headers, ORDER, strict=True)),
        (last, "no-key", large, 404, "not-found"),
        (last, withdrawn, large, 415, "media-type-not-accepted"),
        (chunked, withdrawn, iter([CONTENT]), 411, "length-required"),
        (accepted, withdrawn, large, 413, "document-too-large"),
        (accepted, new_key(), other, 404, "not-found"),
        (accepted, withdrawn, other, 409, "withdrawn"),
        (accepted, received, other, 204, None),
        (accepted, opened, other, 400, "digest-mismatch"),
        (accepted, opened, CONTENT, 201, None),
    ]
    for given, key, body, status, code in attempts:
        response = sender.call("put", key=key, digest=DIGEST, body=body, headers=given)
        assert (response.status, response.code) == (status, code)


# -- received before the catalog changed -------------------------------------------------------------------


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(stricter_catalog(), id="stricter limits"),
        pytest.param(catalog_without("types", "payslips"), id="without its type"),
        pytest.param(catalog_without("subjects", "unemployment"), id="without its subject"),
        pytest.param(catalog_without("branches", "haifa"), id="without its branch"),
        pytest.param(catalog_without("destinations", "benefits"), id="without its destination"),
    ],
)
def test_a_received_submission_stays_received_when_the_catalog_changes(tmp_path: Path, later: bytes) -> None:
    with server.run_in_background(tmp_path) as url:
        declaration = Sender(url).complete_submission()
        receipt = Sender(url).call("send", key=key_of(declaration)).body
    with server.run_in_background(tmp_path, catalog_bytes=later) as url:
        sender = Sender(url)
        again = sender.declare(declaration)
        assert (again.status, again.json["state"]) == (200, "received")
        assert sender.call("send", key=key_of(declaration)).body == receipt
        new = sender.declare(declaration | {"reference": "another"})
        assert new.status in (413, 415, 422) or b"branches" in later


def test_a_received_personal_submission_stays_received_when_its_destination_is_gone(tmp_path: Path) -> None:
    with server.run_in_background(tmp_path) as url:
        person = Sender(url).as_account(CLEAR)
        declaration = person.complete_submission(new_declaration(PERSONAL))
    with server.run_in_background(tmp_path, catalog_bytes=catalog_without("destinations", "personal")) as url:
        sender = Sender(url)
        assert sender.as_account(CLEAR).declare(declaration).json["state"] == "received"
        # For other accounts it does not exist.
        assert sender.declare(declaration, sender.as_account(CLEAR).key(declaration)).code == "invalid"
        assert sender.as_account(ASKED).declare(declaration).code == "invalid"


def test_a_received_required_document_can_be_declared_again_when_it_is_no_longer_pending(
    sandbox: RunningSandbox,
) -> None:
    person = Sender(sandbox.url).as_account(ASKED)
    declaration = person.complete_submission(new_declaration(ANSWERING))
    assert person.declare(declaration).json["state"] == "received"


# -- the end of the body -----------------------------------------------------------------------------------


def test_nothing_is_received_before_the_body_has_ended(sandbox: RunningSandbox) -> None:
    sender = Sender(sandbox.url)
    declaration = sender.open_submission()
    assert sender.put(declaration, CONTENT).status == 201
    key = key_of(declaration)
    head = f"POST /v1/submissions/{key}/send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"
    assert [status for status, *_ in send_raw(sandbox.url, head.encode() + b"{", half_close=True)] in (
        [],
        [b"408"],
    )
    assert sandbox.state(key) == "open"
    again = f"PUT /v1/submissions/{key}/documents/{DIGEST} HTTP/1.1\r\nHost: localhost\r\n"
    cut = f"{again}Content-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT[:-1]
    assert [status for status, *_ in send_raw(sandbox.url, cut, half_close=True)] in ([], [b"408"])
    assert sender.call("send", key=key).status == 200


def test_a_sender_that_waits_for_100_continue_is_refused_before_it_sends(
    shared_sandbox: RunningSandbox,
) -> None:
    head = (
        f"PUT /v1/submissions/{new_key()} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Expect: 100-continue\r\nContent-Length: {}\r\n\r\n"
    )
    ((status, _, _),) = send_raw(shared_sandbox.url, head.format(2**20 + 1).encode())
    assert status == b"413"
    body = json.dumps(new_declaration(documents=[DOCUMENT], identity={"id_number": PERSON})).encode()
    statuses = [status for status, *_ in send_raw(shared_sandbox.url, head.format(len(body)).encode(), body)]
    assert statuses == [b"100", b"201"]
