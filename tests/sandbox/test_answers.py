"""Every documented answer is provoked, and no answer falls outside of openapi.yaml."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from contract_client import CLEAR, CONTENT, DIGEST, NO_TOKEN, PASSWORDS, Sender, a_declaration, a_key
from docsend.model.canonical import key_of
from docsend.sandbox import server
from docsend.sandbox.body import request_timeout
from openapi import CONTRACT, OPERATIONS, PREFIX, documented, resolved
from scenarios import CASES, Case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import RunningSandbox


@pytest.fixture(autouse=True)
def _no_traceback_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the service's thread from writing tracebacks of the faults that are provoked here.

    Python 3.11 parses source for a traceback, and fails ("AST constructor recursion depth mismatch") if two
    threads parse at once: the service's, and pytest's that explains a failure.
    """
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "disabled", True)


@pytest.fixture(scope="module")
def sender(shared_sandbox: RunningSandbox) -> Sender:
    return Sender(shared_sandbox.url)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_answer_is_the_one_that_the_contract_names(case: Case, sender: Sender) -> None:
    answer = case.scenario(sender)
    assert (answer.status, answer.code) == (case.status, case.code)


# What every call answers: how the request differs, and the answer.
EVERYWHERE: list[tuple[dict[str, Any], int, str]] = [
    ({"headers": {"Request-Id": "two words"}}, 400, "malformed"),
    ({"headers": {"Origin": "https://web.example"}}, 403, "origin-not-allowed"),
    ({"headers": {"Content-Type": "text/html"}, "body": b"<p>"}, 415, "media-type-not-accepted"),
    ({"headers": {"Host": "web.example"}}, 421, "host-not-served"),
]
WITHOUT_A_BODY = ("catalog", "sign_out", "required", "standing", "withdraw", "send")


@pytest.mark.parametrize(("options", "status", "code"), EVERYWHERE)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_call_refuses_what_is_not_meant_for_it(
    name: str, options: dict[str, Any], status: int, code: str, sender: Sender
) -> None:
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    answer = person.ask(name, key=a_key(), digest=DIGEST, **options)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("name", WITHOUT_A_BODY)
def test_a_body_that_a_call_has_no_use_for_is_read_and_a_large_one_refused(name: str, sender: Sender) -> None:
    key = key_of(sender.received())
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    answer = person.ask(name, key=key, body=bytes(4097))
    assert (answer.status, answer.code) == (413, "declaration-too-large")
    assert person.ask(name, key=key, body=bytes(4096)).status == (
        409 if name == "withdraw" else answer_of(name)
    )


def answer_of(name: str) -> int:
    """The first success of a call."""
    return min(int(status) for status in resolved(OPERATIONS[name].pointer)[1]["responses"])


class Hurry:
    """The time that a sandbox allows a request; one that tests change, or break."""

    seconds = 60.0
    is_broken = False

    def __call__(self, size: int) -> float:
        if self.is_broken:
            raise RuntimeError("a fault that a test provokes")
        return self.seconds


@pytest.fixture
def hurry() -> Hurry:
    return Hurry()


@pytest.fixture
def hurried(tmp_path: Path, hurry: Hurry) -> Iterator[Sender]:
    """Give somebody who speaks to a sandbox of that time."""
    with server.run_in_background(tmp_path / "hurried", request_timeout=hurry) as url:
        yield Sender(url)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_body_that_does_not_come_is_too_slow(name: str, hurried: Sender, hurry: Hurry) -> None:
    key, size = key_of(hurried.opened()), len(CONTENT) if name == "put" else 100
    sender = hurried.signed_in(CLEAR) if name in ("required", "sign_out") else hurried
    hurry.seconds = 0.05
    answer = sender.ask(name, key=key, digest=DIGEST, withheld=size)
    assert (answer.status, answer.code) == (408, "too-slow")


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("catalog", "sign_in")])
def test_a_refusal_that_needs_no_body_does_not_wait_for_one(name: str, sender: Sender) -> None:
    # Its time would be a minute, and who asks here has 20 seconds.
    nobody = sender.with_token(CLEAR, NO_TOKEN)
    answer = nobody.ask(name, key=a_key(), digest=DIGEST, withheld=10_000)
    assert (answer.status, answer.code) == (401, "sign-in-needed")


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_fault_of_the_service_is_told_as_one_and_not_kept(name: str, hurried: Sender, hurry: Hurry) -> None:
    key = key_of(hurried.received())
    digest, body = DIGEST, CONTENT if name == "put" else b""
    hurry.is_broken = True
    answer = hurried.ask(name, key=key, digest=digest, body=body)
    assert (answer.status, answer.code) == (500, "own-fault")
    hurry.is_broken = False
    assert hurried.ask(name, key=key, digest=digest, body=body).status < 500


def test_the_time_of_a_request_grows_with_its_bytes() -> None:
    assert [request_timeout(size) for size in (0, 2**14, 10 * 2**20)] == [60, 61, 700]


def test_the_time_of_a_request_is_that_of_its_stated_length(tmp_path: Path) -> None:
    sizes: list[int] = []

    def noting(size: int) -> float:
        sizes.append(size)
        return 60

    with server.run_in_background(tmp_path / "noting", request_timeout=noting) as url:
        sender = Sender(url)
        sender.put(a_declaration(), CONTENT)
        sender.ask("declare", key=a_key(), body=iter([b"{", b"}"]), headers={"Transfer-Encoding": "chunked"})
        sender.ask("standing", key=a_key())
    assert sizes == [len(CONTENT), 2**20, 0]


def test_every_documented_answer_is_provoked_and_no_other() -> None:
    provoked = {(case.name, case.status, case.code) for case in CASES}
    provoked |= {(name, status, code) for name in OPERATIONS for _, status, code in EVERYWHERE}
    provoked |= {(name, 413, "declaration-too-large") for name in WITHOUT_A_BODY}
    provoked |= {(name, 408, "too-slow") for name in OPERATIONS}
    provoked |= {(name, 500, "own-fault") for name in OPERATIONS}
    assert provoked == set(documented())
    elsewhere = {"method-not-allowed"}
    types = CONTRACT["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert {code for _, _, code in provoked if code} | elsewhere == {
        type_.removeprefix(PREFIX) for type_ in types
    }


def test_a_document_that_did_not_arrive_in_time_can_be_put_again(hurried: Sender, hurry: Hurry) -> None:
    declaration = hurried.opened()
    key, digest = key_of(declaration), DIGEST
    hurry.seconds = 0.05
    assert hurried.ask("put", key=key, digest=digest, withheld=len(CONTENT)).status == 408
    hurry.seconds = 60
    assert hurried.ask("standing", key=key).json["missing"] == [digest]
    assert hurried.put(declaration, CONTENT).status == 201
