"""Who sees what of the personal service: account × object × call."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from callers import beside_a_still_clock, callers_of
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
from targets import Target, a_declaration, a_document, submitted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from callers import Callers
    from conftest import RunningSandbox


@pytest.fixture(scope="module")
def still_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with beside_a_still_clock(tmp_path_factory.mktemp("still")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def callers(still_sandbox: RunningSandbox) -> Callers:
    return callers_of(still_sandbox)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(Database(tmp_path / "sandbox.sqlite3")) as database:
        yield database


# -- objects -----------------------------------------------------------------------------------------------


def an_open_one(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner, PERSONAL)
    return target, Target(new_key(), target.declaration, target.document)


def a_received_one(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner, PERSONAL, is_whole=True)
    assert owner.call("send", key=target.key).status == 200
    return target, Target(new_key(), target.declaration, target.document)


def a_withdrawn_one(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner, PERSONAL)
    assert owner.call("withdraw", key=target.key).status == 200
    return target, Target(new_key(), target.declaration, target.document)


def one_without_an_account(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner.with_token("", None), INSURED)
    return target, Target(new_key(), target.declaration, target.document)


def one_that_never_was(_owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    document = a_document()
    declaration = a_declaration(PERSONAL, document)
    return Target(new_key(), declaration, document), Target(new_key(), declaration, document)


def one_that_answers_a_required_document(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner, ANSWERING)
    nothing_asked_for = target.declaration | {"required": "R-0000"}
    return target, Target(new_key(), nothing_asked_for, target.document)


def the_callers_own_with_a_document_of_another(owner: Sender, caller: Sender) -> tuple[Target, Target]:
    """Declare, for the caller, a document that the owner has sent, and one that nobody has."""
    sent, unknown = a_document(), a_document()
    assert owner.put(owner.open_submission(a_declaration(PERSONAL, sent)), sent.content).status == 201
    base = PERSONAL if caller.account else INSURED
    declarations = a_declaration(base, sent), a_declaration(base, unknown)
    for declaration in declarations:
        caller.declare(declaration)
    one, other = (caller.key(declaration) for declaration in declarations)
    return Target(one, declarations[0], sent), Target(other, declarations[1], unknown)


OBJECTS = {
    make.__name__: make
    for make in (
        an_open_one,
        a_received_one,
        a_withdrawn_one,
        one_without_an_account,
        one_that_never_was,
        one_that_answers_a_required_document,
        the_callers_own_with_a_document_of_another,
    )
}
CALLS = ("standing", "declare", "put", "send", "withdraw")
CALLERS = ("nobody", "owner", "stranger", "garbage", "expired")

# Who may see an object, and then what the five calls answer. Everybody else sees one that never was.
SEEN_BY = {
    "an_open_one": {"owner"},
    "a_received_one": {"owner"},
    "a_withdrawn_one": {"owner"},
    "one_without_an_account": {"nobody", "owner", "stranger"},
    "one_that_answers_a_required_document": {"owner"},
}
SEEN = {
    "an_open_one": (200, 200, 201, 409, 200),
    "a_received_one": (200, 200, 204, 200, 409),
    "a_withdrawn_one": (200, 409, 409, 409, 200),
    "one_without_an_account": (200, 200, 201, 409, 200),
    "one_that_answers_a_required_document": (200, 200, 201, 409, 200),
}
# What the five calls answer on a personal key that never was.
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


def said(answer: Response, target: Target, like: Target) -> tuple[int, dict[str, str], bytes]:
    """Everything in an answer but the date; the target's digest is replaced, if it is another."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "request-id")}
    own, other = target.document.sha256.encode(), like.document.sha256.encode()
    return answer.status, headers, answer.body.replace(own, other)


def kept_of(sandbox: RunningSandbox, owner: str) -> tuple[Any, ...]:
    """Everything that the sandbox keeps of an account, down to the bytes of its documents."""
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
def test_what_is_not_yours_answers_like_what_never_was_and_stays_as_it_is(
    who: str, thing: str, name: str, callers: Callers, still_sandbox: RunningSandbox
) -> None:
    caller = callers[who]
    target, never = OBJECTS[thing](callers["owner"], caller)
    whose = "" if thing == "one_without_an_account" else ASKED
    before = kept_of(still_sandbox, whose)
    answer = call(caller, name, target)
    if who in SEEN_BY.get(thing, ()):
        assert answer.status == SEEN[thing][CALLS.index(name)]
        return
    if who != "owner":
        assert kept_of(still_sandbox, whose) == before
    assert said(answer, target, never) == said(call(caller, name, never), never, never)
    if thing in ("an_open_one", "a_received_one", "a_withdrawn_one", "one_that_never_was"):
        assert answer.status == UNSEEN[who][CALLS.index(name)]


@pytest.mark.parametrize("name", CALLS)
def test_the_comparison_of_answers_bites(name: str, callers: Callers) -> None:
    owner = callers["owner"]
    target, never = a_received_one(owner, owner)
    assert said(call(owner, name, target), target, never) != said(call(owner, name, never), never, never)


@pytest.mark.parametrize("who", ["nobody", "stranger", "garbage", "expired"])
def test_after_all_that_others_try_the_owner_goes_on_as_if_nothing_had_been(
    who: str, callers: Callers
) -> None:
    owner = callers["owner"]
    target = submitted(owner, PERSONAL)
    for name in (*CALLS, *CALLS):
        call(callers[who], name, target)
    assert owner.call("standing", key=target.key).json["missing"] == [target.document.sha256]
    assert owner.put(target.declaration, target.document.content).status == 201
    receipt = owner.call("send", key=target.key)
    assert [each["sha256"] for each in receipt.json["documents"]] == [
        each["sha256"] for each in target.declaration["documents"]
    ]
    for name in CALLS:
        call(callers[who], name, target)
    assert owner.call("send", key=target.key).body == receipt.body


def test_a_stranger_who_declares_the_same_under_the_same_key_has_a_submission_of_the_strangers_own(
    callers: Callers, still_sandbox: RunningSandbox
) -> None:
    owner, stranger = callers["owner"], callers["stranger"]
    target = submitted(owner, PERSONAL, is_whole=True)
    receipt = owner.call("send", key=target.key)
    declared = stranger.declare(target.declaration, target.key)
    digests = [document["sha256"] for document in target.declaration["documents"]]
    assert (declared.status, declared.json["missing"], declared.json["branch"]) == (201, digests, "nazareth")
    assert stranger.call("send", key=target.key).code == "incomplete"
    assert stranger.call("withdraw", key=target.key).status == 200
    states = still_sandbox.select("SELECT owner, state FROM submission WHERE key = ?", target.key)
    assert dict(states) == {ASKED: "received", CLEAR: "withdrawn"}
    assert owner.call("send", key=target.key).body == receipt.body


@pytest.mark.parametrize("who", CALLERS)
def test_a_document_of_another_submission_is_not_found_even_if_it_is_there(
    who: str, callers: Callers
) -> None:
    elsewhere, unknown = a_document(), a_document()
    owner, caller = callers["owner"], callers[who]
    assert (
        owner.put(owner.open_submission(a_declaration(PERSONAL, elsewhere)), elsewhere.content).status == 201
    )
    own = a_declaration(PERSONAL if caller.account else INSURED, a_document())
    caller.declare(own)
    one, other = (Target(caller.key(own), own, document) for document in (elsewhere, unknown))
    answer = call(caller, "put", one)
    assert answer.status == (401 if who in ("garbage", "expired") else 404)
    assert said(answer, one, other) == said(call(caller, "put", other), other, other)


def test_required_documents_are_listed_for_their_account_alone(callers: Callers) -> None:
    answers = {who: caller.call("required") for who, caller in callers.items()}
    assert [each["id"] for each in answers["owner"].json["required"]] == ["R-4711", "R-4712"]
    assert answers["stranger"].json == {"required": []}
    assert {answers[who].status for who in ("nobody", "garbage", "expired")} == {401}


def test_a_required_document_means_nothing_to_another_account_before_and_after_it_was_sent(
    sandbox: RunningSandbox,
) -> None:
    sender = Sender(sandbox.url)
    owner, stranger = sender.as_account(ASKED), sender.as_account(CLEAR)

    def strange_answers() -> list[tuple[int, bytes]]:
        ids = (ANSWERING["required"], "R-0000")
        declared = [
            stranger.declare(a_declaration(ANSWERING | {"required": id_}, a_document())) for id_ in ids
        ]
        assert [answer.json["errors"][0]["code"] for answer in declared] == ["unknown-required"] * 2
        return [(answer.status, answer.body) for answer in declared]

    before = strange_answers()
    answering = submitted(owner, ANSWERING, is_whole=True)
    during = strange_answers()
    assert owner.call("send", key=answering.key).status == 200
    assert len({*before, *during, *strange_answers()}) == 1
    assert sandbox.select("SELECT * FROM fulfilled") == [(ASKED, ANSWERING["required"], answering.key)]
    assert [each["id"] for each in owner.call("required").json["required"]] == ["R-4712"]


def test_a_required_document_that_was_received_is_as_unknown_as_one_that_never_was(
    sandbox: RunningSandbox,
) -> None:
    owner = Sender(sandbox.url).as_account(ASKED)
    answering = submitted(owner, ANSWERING, is_whole=True)
    assert owner.call("send", key=answering.key).status == 200
    again = owner.declare(a_declaration(ANSWERING, a_document()))
    never = owner.declare(a_declaration(ANSWERING | {"required": "R-0000"}, a_document()))
    assert (again.status, again.body) == (never.status, never.body) == (422, again.body)
    assert owner.declare(answering.declaration).json["state"] == "received"  # what was sent is found as ever


def test_two_accounts_may_be_asked_for_documents_of_the_same_id(tmp_path: Path, database: Database) -> None:
    fixtures = json.loads(FIXTURES.read_text("utf-8"))
    asked, clear, _ = fixtures["accounts"]
    clear["required"] = asked["required"]
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(fixtures), "utf-8")
    accounts = Accounts(database, fixtures=file)
    with database.transaction() as connection:
        connection.execute("INSERT INTO fulfilled VALUES (?, 'R-4711', ?)", (ASKED, new_key()))
    pending = {code: [each["id"] for each in accounts.pending(accounts.get(code))] for code in (ASKED, CLEAR)}
    assert pending == {ASKED: ["R-4712"], CLEAR: ["R-4711", "R-4712"]}


def test_a_subject_of_another_account_is_free(callers: Callers) -> None:
    on_the_subject = ANSWERING | {"required": None}
    refused = callers["owner"].declare(a_declaration(on_the_subject, a_document()))
    assert refused.code == "required-documents-pending"
    assert callers["stranger"].declare(a_declaration(on_the_subject, a_document())).status == 201


def test_fencing_a_key_with_a_token_fences_it_for_the_account_alone(callers: Callers) -> None:
    document = a_document()
    declaration = a_declaration(PERSONAL, document)
    key = callers["owner"].key(declaration)
    for who in ("stranger", "nobody"):
        assert callers[who].call("withdraw", key=key).json["state"] == "withdrawn"
    assert callers["owner"].declare(declaration).status == 201
    assert callers["stranger"].declare(declaration, key).code == "withdrawn"
