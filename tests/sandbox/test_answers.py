"""Every response that openapi.yaml documents is produced, and the sandbox sends no other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from contract_client import CLEAR, CONTENT, DIGEST, PASSWORDS, UNKNOWN_TOKEN, Sender, new_declaration, new_key
from docsend.model.canonical import key_of
from docsend.sandbox import server
from docsend.sandbox.body import request_timeout
from openapi import CONTRACT, OPERATIONS, PREFIX, documented_responses, resolve
from scenarios import CASES, Case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import RunningSandbox


@pytest.fixture(autouse=True)
def _no_service_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the service's thread from logging tracebacks of the errors that are caused here.

    Python 3.11 parses source code to format a traceback. If two threads do so at the same time, here the
    service's and pytest's, it fails with "AST constructor recursion depth mismatch".
    """
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "disabled", True)


@pytest.fixture(scope="module")
def sender(shared_sandbox: RunningSandbox) -> Sender:
    return Sender(shared_sandbox.url)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_response_is_the_one_that_the_contract_names(case: Case, sender: Sender) -> None:
    response = case.scenario(sender)
    assert (response.status, response.code) == (case.status, case.code)


# Responses of every call: the request's options, the status and the problem code.
EVERYWHERE: list[tuple[dict[str, Any], int, str]] = [
    ({"headers": {"Request-Id": "two words"}}, 400, "malformed"),
    ({"headers": {"Origin": "https://web.example"}}, 403, "origin-not-allowed"),
    ({"headers": {"Content-Type": "text/html"}, "body": b"<p>"}, 415, "media-type-not-accepted"),
    ({"headers": {"Host": "web.example"}}, 421, "host-not-served"),
]
WITHOUT_A_BODY = ("catalog", "sign_out", "required", "status", "withdraw", "send")


@pytest.mark.parametrize(("options", "status", "code"), EVERYWHERE)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_call_refuses_a_request_with_wrong_headers(
    name: str, options: dict[str, Any], status: int, code: str, sender: Sender
) -> None:
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    response = person.call(name, key=new_key(), digest=DIGEST, **options)
    assert (response.status, response.code) == (status, code)


@pytest.mark.parametrize("name", WITHOUT_A_BODY)
def test_a_body_that_a_call_does_not_use_is_read_and_a_large_one_is_refused(
    name: str, sender: Sender
) -> None:
    key = key_of(sender.complete_submission())
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    response = person.call(name, key=key, body=bytes(4097))
    assert (response.status, response.code) == (413, "declaration-too-large")
    assert person.call(name, key=key, body=bytes(4096)).status == (
        409 if name == "withdraw" else lowest_status(name)
    )


def lowest_status(name: str) -> int:
    """Return the lowest documented status of a call, which is its success."""
    return min(int(status) for status in resolve(OPERATIONS[name].pointer)[1]["responses"])


class FakeTimeout:
    """A request timeout that tests can change, or make fail."""

    seconds = 60.0
    is_broken = False

    def __call__(self, size: int) -> float:
        if self.is_broken:
            raise RuntimeError("an error that a test causes")
        return self.seconds


@pytest.fixture
def timeout() -> FakeTimeout:
    return FakeTimeout()


@pytest.fixture
def timed_sender(tmp_path: Path, timeout: FakeTimeout) -> Iterator[Sender]:
    """Yield a sender to a sandbox with that timeout."""
    with server.run_in_background(tmp_path / "timed", request_timeout=timeout) as url:
        yield Sender(url)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_body_that_does_not_arrive_is_too_slow(
    name: str, timed_sender: Sender, timeout: FakeTimeout
) -> None:
    key, size = key_of(timed_sender.open_submission()), len(CONTENT) if name == "put" else 100
    sender = timed_sender.as_account(CLEAR) if name in ("required", "sign_out") else timed_sender
    timeout.seconds = 0.05
    response = sender.call(name, key=key, digest=DIGEST, withheld=size)
    assert (response.status, response.code) == (408, "too-slow")


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("catalog", "sign_in")])
def test_a_refusal_that_needs_no_body_does_not_wait_for_one(name: str, sender: Sender) -> None:
    # The timeout of the request is a minute, that of this client 20 seconds.
    nobody = sender.with_token(CLEAR, UNKNOWN_TOKEN)
    response = nobody.call(name, key=new_key(), digest=DIGEST, withheld=10_000)
    assert (response.status, response.code) == (401, "sign-in-needed")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_internal_error_is_reported_and_is_not_permanent(
    name: str, timed_sender: Sender, timeout: FakeTimeout
) -> None:
    key = key_of(timed_sender.complete_submission())
    digest, body = DIGEST, CONTENT if name == "put" else b""
    timeout.is_broken = True
    response = timed_sender.call(name, key=key, digest=digest, body=body)
    assert (response.status, response.code) == (500, "own-fault")
    timeout.is_broken = False
    assert timed_sender.call(name, key=key, digest=digest, body=body).status < 500


def test_the_timeout_of_a_request_grows_with_its_size() -> None:
    assert [request_timeout(size) for size in (0, 2**14, 10 * 2**20)] == [60, 61, 700]


def test_the_timeout_of_a_request_depends_on_its_content_length(tmp_path: Path) -> None:
    sizes: list[int] = []

    def record_size(size: int) -> float:
        sizes.append(size)
        return 60

    with server.run_in_background(tmp_path / "sandbox", request_timeout=record_size) as url:
        sender = Sender(url)
        sender.put(new_declaration(), CONTENT)
        sender.call(
            "declare", key=new_key(), body=iter([b"{", b"}"]), headers={"Transfer-Encoding": "chunked"}
        )
        sender.call("status", key=new_key())
    assert sizes == [len(CONTENT), 2**20, 0]


def test_every_documented_response_is_produced_and_no_other() -> None:
    produced = {(case.name, case.status, case.code) for case in CASES}
    produced |= {(name, status, code) for name in OPERATIONS for _, status, code in EVERYWHERE}
    produced |= {(name, 413, "declaration-too-large") for name in WITHOUT_A_BODY}
    produced |= {(name, 408, "too-slow") for name in OPERATIONS}
    produced |= {(name, 500, "own-fault") for name in OPERATIONS}
    assert produced == set(documented_responses())
    elsewhere = {"method-not-allowed"}  # tested in test_contract.py
    types = CONTRACT["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert {code for _, _, code in produced if code} | elsewhere == {
        type_.removeprefix(PREFIX) for type_ in types
    }


def test_a_document_that_did_not_arrive_in_time_can_be_put_again(
    timed_sender: Sender, timeout: FakeTimeout
) -> None:
    declaration = timed_sender.open_submission()
    key, digest = key_of(declaration), DIGEST
    timeout.seconds = 0.05
    assert timed_sender.call("put", key=key, digest=digest, withheld=len(CONTENT)).status == 408
    timeout.seconds = 60
    assert timed_sender.call("status", key=key).json["missing"] == [digest]
    assert timed_sender.put(declaration, CONTENT).status == 201
