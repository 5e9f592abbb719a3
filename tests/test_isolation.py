"""Isolation of accounts in the personal service: every account × object × call."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from callers import make_callers, sandbox_with_frozen_clock
from contract_client import (
    ANSWERING,
    ASKED,
    CLEAR,
    INSURED,
    PERSONAL,
    Response,
    Sender,
    new_key,
)
from docsend.sandbox.accounts import FIXTURES, Accounts
from docsend.sandbox.database import Database
from targets import Target, new_declaration, new_document, submit_documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from callers import Callers
    from conftest import RunningSandbox


@pytest.fixture(scope="module")
def frozen_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with sandbox_with_frozen_clock(tmp_path_factory.mktemp("still")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def callers(frozen_sandbox: RunningSandbox) -> Callers:
    return make_callers(frozen_sandbox)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(Database(tmp_path / "sandbox.sqlite3")) as database:
        yield database


# -- objects -----------------------------------------------------------------------------------------------


def open_submission(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submit_documents(owner, PERSONAL)
    return target, Target(new_key(), target.declaration, target.document)


def received_submission(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submit_documents(owner, PERSONAL, complete=True)
    assert owner.call("send", key=target.key).status == 200
    return target, Target(new_key(), target.declaration, target.document)


def withdrawn_submission(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submit_documents(owner, PERSONAL)
    assert owner.call("withdraw", key=target.key).status == 200
    return target, Target(new_key(), target.declaration, target.document)


def submission_without_an_account(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submit_documents(owner.with_token("", None), INSURED)
    return target, Target(new_key(), target.declaration, target.document)


def unknown_submission(_owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    document = new_document()
    declaration = new_declaration(PERSONAL, document)
    return Target(new_key(), declaration, document), Target(new_key(), declaration, document)


def submission_for_a_required_document(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submit_documents(owner, ANSWERING)
    nothing_asked_for = target.declaration | {"required": "R-0000"}
    return target, Target(new_key(), nothing_asked_for, target.document)


def callers_submission_with_anothers_document(owner: Sender, caller: Sender) -> tuple[Target, Target]:
    """Declare, for the caller, a document that the owner has sent, and one that nobody has sent."""
    sent, unknown = new_document(), new_document()
    assert owner.put(owner.open_submission(new_declaration(PERSONAL, sent)), sent.content).status == 201
    base = PERSONAL if caller.account else INSURED
    declarations = new_declaration(base, sent), new_declaration(base, unknown)
    for declaration in declarations:
        caller.declare(declaration)
    one, other = (caller.key(declaration) for declaration in declarations)
    return Target(one, declarations[0], sent), Target(other, declarations[1], unknown)


OBJECTS = {
    make.__name__: make
    for make in (
        open_submission,
        received_submission,
        withdrawn_submission,
        submission_without_an_account,
        unknown_submission,
        submission_for_a_required_document,
        callers_submission_with_anothers_document,
    )
}
CALLS = ("status", "declare", "put", "send", "withdraw")
CALLERS = ("nobody", "owner", "stranger", "garbage", "expired")

# Callers that may see each object. For all others it does not exist.
SEEN_BY = {
    "open_submission": {"owner"},
    "received_submission": {"owner"},
    "withdrawn_submission": {"owner"},
    "submission_without_an_account": {"nobody", "owner", "stranger"},
    "submission_for_a_required_document": {"owner"},
}
# Statuses of the five calls for a caller that may see the object.
SEEN = {
    "open_submission": (200, 200, 201, 409, 200),
    "received_submission": (200, 200, 204, 200, 409),
    "withdrawn_submission": (200, 409, 409, 409, 200),
    "submission_without_an_account": (200, 200, 201, 409, 200),
    "submission_for_a_required_document": (200, 200, 201, 409, 200),
}
# Statuses of the five calls for a key of the personal service that does not exist.
UNSEEN = {
    "nobody": (404, 401, 404, 404, 200),
    "owner": (404, 201, 404, 404, 200),
    "stranger": (404, 201, 404, 404, 200),
    "garbage": (401, 401, 401, 401, 401),
    "expired": (401, 401, 401, 401, 401),
}


def call(sender: Sender, name: str, target: Target) -> Response:
    body = {"declare": json.dumps(target.declaration).encode(), "put": target.document.content}.get(name, b"")
    return sender.call(name, key=target.key, digest=target.document.sha256, body=body)


def comparable(answer: Response, target: Target, like: Target) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body without date and request id, with the target's digest replaced."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "request-id")}
    own, other = target.document.sha256.encode(), like.document.sha256.encode()
    return answer.status, headers, answer.body.replace(own, other)


def stored_data(sandbox: RunningSandbox, owner: str) -> tuple[Any, ...]:
    """Return everything that the sandbox stores for an account, including the bytes of its documents."""
    with contextlib.closing(sqlite3.connect(sandbox.folder / "sandbox.sqlite3")) as connection:
        tables = {
            table: connection.execute(f"SELECT * FROM {table} WHERE owner = ?", (owner,)).fetchall()  # noqa: S608
            for table in ("submission", "document", "receipt", "fulfilled")
        }
    files = [file for *_, file in tables["document"] if file]
    return tables, [(sandbox.folder / "documents" / file).read_bytes() for file in files]


# -- account × object × call -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("thing", OBJECTS)
@pytest.mark.parametrize("who", CALLERS)
def test_another_account_s_submission_looks_as_if_it_did_not_exist_and_is_not_changed(
    who: str, thing: str, name: str, callers: Callers, frozen_sandbox: RunningSandbox
) -> None:
    caller = callers[who]
    target, unknown = OBJECTS[thing](callers["owner"], caller)
    account = "" if thing == "submission_without_an_account" else ASKED
    before = stored_data(frozen_sandbox, account)
    answer = call(caller, name, target)
    if who in SEEN_BY.get(thing, ()):
        assert answer.status == SEEN[thing][CALLS.index(name)]
        return
    if who != "owner":
        assert stored_data(frozen_sandbox, account) == before
    assert comparable(answer, target, unknown) == comparable(call(caller, name, unknown), unknown, unknown)
    if thing in ("open_submission", "received_submission", "withdrawn_submission", "unknown_submission"):
        assert answer.status == UNSEEN[who][CALLS.index(name)]


@pytest.mark.parametrize("name", CALLS)
def test_the_comparison_of_answers_finds_differences(name: str, callers: Callers) -> None:
    owner = callers["owner"]
    target, unknown = received_submission(owner, owner)
    assert comparable(call(owner, name, target), target, unknown) != comparable(
        call(owner, name, unknown), unknown, unknown
    )


@pytest.mark.parametrize("who", ["nobody", "stranger", "garbage", "expired"])
def test_the_owner_can_continue_after_all_attempts_of_others(who: str, callers: Callers) -> None:
    owner = callers["owner"]
    target = submit_documents(owner, PERSONAL)
    for name in (*CALLS, *CALLS):
        call(callers[who], name, target)
    assert owner.call("status", key=target.key).json["missing"] == [target.document.sha256]
    assert owner.put(target.declaration, target.document.content).status == 201
    receipt = owner.call("send", key=target.key)
    assert [each["sha256"] for each in receipt.json["documents"]] == [
        each["sha256"] for each in target.declaration["documents"]
    ]
    for name in CALLS:
        call(callers[who], name, target)
    assert owner.call("send", key=target.key).body == receipt.body


def test_the_same_key_declared_by_another_account_is_a_separate_submission(
    callers: Callers, frozen_sandbox: RunningSandbox
) -> None:
    owner, stranger = callers["owner"], callers["stranger"]
    target = submit_documents(owner, PERSONAL, complete=True)
    receipt = owner.call("send", key=target.key)
    declared = stranger.declare(target.declaration, target.key)
    digests = [document["sha256"] for document in target.declaration["documents"]]
    assert (declared.status, declared.json["missing"], declared.json["branch"]) == (201, digests, "nazareth")
    assert stranger.call("send", key=target.key).code == "incomplete"
    assert stranger.call("withdraw", key=target.key).status == 200
    states = frozen_sandbox.select("SELECT owner, state FROM submission WHERE key = ?", target.key)
    assert dict(states) == {ASKED: "received", CLEAR: "withdrawn"}
    assert owner.call("send", key=target.key).body == receipt.body


@pytest.mark.parametrize("who", CALLERS)
def test_a_document_of_another_submission_is_not_found_even_if_it_is_stored(
    who: str, callers: Callers
) -> None:
    elsewhere, unknown = new_document(), new_document()
    owner, caller = callers["owner"], callers[who]
    assert (
        owner.put(owner.open_submission(new_declaration(PERSONAL, elsewhere)), elsewhere.content).status
        == 201
    )
    own = new_declaration(PERSONAL if caller.account else INSURED, new_document())
    caller.declare(own)
    one, other = (Target(caller.key(own), own, document) for document in (elsewhere, unknown))
    answer = call(caller, "put", one)
    assert answer.status == (401 if who in ("garbage", "expired") else 404)
    assert comparable(answer, one, other) == comparable(call(caller, "put", other), other, other)


def test_required_documents_are_listed_only_for_their_account(callers: Callers) -> None:
    answers = {who: caller.call("required") for who, caller in callers.items()}
    assert [each["id"] for each in answers["owner"].json["required"]] == ["R-4711", "R-4712"]
    assert answers["stranger"].json == {"required": []}
    assert {answers[who].status for who in ("nobody", "garbage", "expired")} == {401}


def test_a_required_document_is_unknown_to_another_account_before_and_after_it_was_sent(
    sandbox: RunningSandbox,
) -> None:
    sender = Sender(sandbox.url)
    owner, stranger = sender.as_account(ASKED), sender.as_account(CLEAR)

    def strange_answers() -> list[tuple[int, bytes]]:
        ids = (ANSWERING["required"], "R-0000")
        declared = [
            stranger.declare(new_declaration(ANSWERING | {"required": id_}, new_document())) for id_ in ids
        ]
        assert [answer.json["errors"][0]["code"] for answer in declared] == ["unknown-required"] * 2
        return [(answer.status, answer.body) for answer in declared]

    before = strange_answers()
    answering = submit_documents(owner, ANSWERING, complete=True)
    during = strange_answers()
    assert owner.call("send", key=answering.key).status == 200
    assert len({*before, *during, *strange_answers()}) == 1
    assert sandbox.select("SELECT * FROM fulfilled") == [(ASKED, ANSWERING["required"], answering.key)]
    assert [each["id"] for each in owner.call("required").json["required"]] == ["R-4712"]


def test_a_required_document_that_was_received_is_as_unknown_as_one_that_never_existed(
    sandbox: RunningSandbox,
) -> None:
    owner = Sender(sandbox.url).as_account(ASKED)
    answering = submit_documents(owner, ANSWERING, complete=True)
    assert owner.call("send", key=answering.key).status == 200
    again = owner.declare(new_declaration(ANSWERING, new_document()))
    unknown = owner.declare(new_declaration(ANSWERING | {"required": "R-0000"}, new_document()))
    assert (again.status, again.body) == (unknown.status, unknown.body) == (422, again.body)
    assert owner.declare(answering.declaration).json["state"] == "received"  # what was sent is found as ever


def test_two_accounts_may_be_asked_for_documents_of_the_same_id(tmp_path: Path, database: Database) -> None:
    fixtures = json.loads(FIXTURES.read_text("utf-8"))
    requests, clear, _ = fixtures["accounts"]
    clear["required"] = requests["required"]
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(fixtures), "utf-8")
    accounts = Accounts(database, fixtures=file)
    with database.transaction() as connection:
        connection.execute("INSERT INTO fulfilled VALUES (?, 'R-4711', ?)", (ASKED, new_key()))
    pending = {code: [each["id"] for each in accounts.pending(accounts.get(code))] for code in (ASKED, CLEAR)}
    assert pending == {ASKED: ["R-4712"], CLEAR: ["R-4711", "R-4712"]}


def test_a_pending_document_of_another_account_does_not_block_a_subject(callers: Callers) -> None:
    on_the_subject = ANSWERING | {"required": None}
    refused = callers["owner"].declare(new_declaration(on_the_subject, new_document()))
    assert refused.code == "required-documents-pending"
    assert callers["stranger"].declare(new_declaration(on_the_subject, new_document())).status == 201


def test_withdrawing_a_key_with_a_token_withdraws_it_only_for_that_account(callers: Callers) -> None:
    document = new_document()
    declaration = new_declaration(PERSONAL, document)
    key = callers["owner"].key(declaration)
    for who in ("stranger", "nobody"):
        assert callers[who].call("withdraw", key=key).json["state"] == "withdrawn"
    assert callers["owner"].declare(declaration).status == 201
    assert callers["stranger"].declare(declaration, key).code == "withdrawn"
