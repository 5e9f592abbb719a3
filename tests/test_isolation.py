"""Who sees what of the personal service: account × object × call; and the door to it, which all share."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import itertools
import json
import re
import sqlite3
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import RunningSandbox
from contract_client import (
    ANSWERING,
    ASKED,
    CLEAR,
    INSURED,
    LOCKED,
    NO_TOKEN,
    PASSWORDS,
    PERSONAL,
    Answer,
    Sender,
    a_key,
)
from docsend.sandbox import server
from docsend.sandbox.accounts import FIXTURES, SESSION_S, Accounts
from docsend.sandbox.database import Database
from docsend.sandbox.problems import Refusal
from docsend.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from contract_client import Declaration

    Callers = dict[str, Sender]

DOCS = Path(__file__).parent.parent / "docs"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def still_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """Give a sandbox whose clock stands still, so that answers that say the same are the same bytes."""
    folder, moment = tmp_path_factory.mktemp("still"), datetime.now(UTC)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(server, "Store", functools.partial(Store, now=lambda: moment))
        with server.beside(folder) as url:
            yield RunningSandbox(url, folder)


@pytest.fixture(scope="module")
def callers(still_sandbox: RunningSandbox) -> Callers:
    """Give everybody who calls. The expired token is one that the owner had."""
    sender = Sender(still_sandbox.url)
    with contextlib.closing(Database(still_sandbox.folder / "sandbox.sqlite3")) as database:
        long_ago = Accounts(database, now=lambda: time.time() - SESSION_S - 1)
        expired, _ = long_ago.sign_in(ASKED, PASSWORDS[ASKED])
    return {
        "nobody": sender,
        "owner": sender.signed_in(ASKED),
        "stranger": sender.signed_in(CLEAR),
        "garbage": sender.with_token(ASKED, NO_TOKEN),
        "expired": sender.with_token(ASKED, expired),
    }


# -- objects -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """One small file that nobody else has; all of them are equally long."""

    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def declared(self) -> Declaration:
        return {"name": "scan.pdf", "bytes": len(self.content), "sha256": self.sha256}


@dataclass(frozen=True)
class Target:
    """What a call is aimed at: an address, a declaration for it, a document for it."""

    key: str
    declaration: Declaration
    document: Document


def a_document() -> Document:
    return Document(b"%%PDF-1.4 fictional %09d" % next(_numbers))


def a_declaration(base: Declaration, *documents: Document) -> Declaration:
    """One that no test has used yet."""
    declared = [document.declared for document in documents]
    return base | {"reference": f"isolation {next(_numbers):09d}", "documents": declared}


def submitted(sender: Sender, base: Declaration, *, is_whole: bool = False) -> Target:
    """Declare two documents and put one, or both; the target's document is the other one."""
    here, other = a_document(), a_document()
    declaration = sender.opened(a_declaration(base, here, other))
    for document in (here, other) if is_whole else (here,):
        assert sender.put(declaration, document.content).status == 201
    return Target(sender.key(declaration), declaration, other)


def an_open_one(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner, PERSONAL)
    return target, Target(a_key(), target.declaration, target.document)


def a_received_one(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner, PERSONAL, is_whole=True)
    assert owner.ask("send", key=target.key).status == 200
    return target, Target(a_key(), target.declaration, target.document)


def a_withdrawn_one(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner, PERSONAL)
    assert owner.ask("withdraw", key=target.key).status == 200
    return target, Target(a_key(), target.declaration, target.document)


def one_without_an_account(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner.with_token("", None), INSURED)
    return target, Target(a_key(), target.declaration, target.document)


def one_that_never_was(_owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    document = a_document()
    declaration = a_declaration(PERSONAL, document)
    return Target(a_key(), declaration, document), Target(a_key(), declaration, document)


def one_that_answers_a_required_document(owner: Sender, _caller: Sender) -> tuple[Target, Target]:
    target = submitted(owner, ANSWERING)
    nothing_asked_for = target.declaration | {"required": "R-0000"}
    return target, Target(a_key(), nothing_asked_for, target.document)


def the_callers_own_with_a_document_of_another(owner: Sender, caller: Sender) -> tuple[Target, Target]:
    """Declare, for the caller, a document that the owner has sent, and one that nobody has."""
    sent, unknown = a_document(), a_document()
    assert owner.put(owner.opened(a_declaration(PERSONAL, sent)), sent.content).status == 201
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


def call(sender: Sender, name: str, target: Target) -> Answer:
    body = {"declare": json.dumps(target.declaration).encode(), "put": target.document.content}.get(name, b"")
    return sender.ask(name, key=target.key, digest=target.document.sha256, body=body)


def said(answer: Answer, target: Target, like: Target) -> tuple[int, dict[str, str], bytes]:
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
    assert owner.ask("standing", key=target.key).json["missing"] == [target.document.sha256]
    assert owner.put(target.declaration, target.document.content).status == 201
    receipt = owner.ask("send", key=target.key)
    assert [each["sha256"] for each in receipt.json["documents"]] == [
        each["sha256"] for each in target.declaration["documents"]
    ]
    for name in CALLS:
        call(callers[who], name, target)
    assert owner.ask("send", key=target.key).body == receipt.body


def test_a_stranger_who_declares_the_same_under_the_same_key_has_a_submission_of_the_strangers_own(
    callers: Callers, still_sandbox: RunningSandbox
) -> None:
    owner, stranger = callers["owner"], callers["stranger"]
    target = submitted(owner, PERSONAL, is_whole=True)
    receipt = owner.ask("send", key=target.key)
    declared = stranger.declare(target.declaration, target.key)
    digests = [document["sha256"] for document in target.declaration["documents"]]
    assert (declared.status, declared.json["missing"], declared.json["branch"]) == (201, digests, "nazareth")
    assert stranger.ask("send", key=target.key).code == "incomplete"
    assert stranger.ask("withdraw", key=target.key).status == 200
    states = still_sandbox.select("SELECT owner, state FROM submission WHERE key = ?", target.key)
    assert dict(states) == {ASKED: "received", CLEAR: "withdrawn"}
    assert owner.ask("send", key=target.key).body == receipt.body


@pytest.mark.parametrize("who", CALLERS)
def test_a_document_of_another_submission_is_not_found_even_if_it_is_there(
    who: str, callers: Callers
) -> None:
    elsewhere, unknown = a_document(), a_document()
    owner, caller = callers["owner"], callers[who]
    assert owner.put(owner.opened(a_declaration(PERSONAL, elsewhere)), elsewhere.content).status == 201
    own = a_declaration(PERSONAL if caller.account else INSURED, a_document())
    caller.declare(own)
    one, other = (Target(caller.key(own), own, document) for document in (elsewhere, unknown))
    answer = call(caller, "put", one)
    assert answer.status == (401 if who in ("garbage", "expired") else 404)
    assert said(answer, one, other) == said(call(caller, "put", other), other, other)


def test_required_documents_are_listed_for_their_account_alone(callers: Callers) -> None:
    answers = {who: caller.ask("required") for who, caller in callers.items()}
    assert [each["id"] for each in answers["owner"].json["required"]] == ["R-4711", "R-4712"]
    assert answers["stranger"].json == {"required": []}
    assert {answers[who].status for who in ("nobody", "garbage", "expired")} == {401}


def test_a_required_document_means_nothing_to_another_account_before_and_after_it_was_sent(
    sandbox: RunningSandbox,
) -> None:
    sender = Sender(sandbox.url)
    owner, stranger = sender.signed_in(ASKED), sender.signed_in(CLEAR)

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
    assert owner.ask("send", key=answering.key).status == 200
    assert len({*before, *during, *strange_answers()}) == 1
    assert sandbox.select("SELECT * FROM fulfilled") == [(ASKED, ANSWERING["required"], answering.key)]
    assert [each["id"] for each in owner.ask("required").json["required"]] == ["R-4712"]


def test_a_required_document_that_was_received_is_as_unknown_as_one_that_never_was(
    sandbox: RunningSandbox,
) -> None:
    owner = Sender(sandbox.url).signed_in(ASKED)
    answering = submitted(owner, ANSWERING, is_whole=True)
    assert owner.ask("send", key=answering.key).status == 200
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
        connection.execute("INSERT INTO fulfilled VALUES (?, 'R-4711', ?)", (ASKED, a_key()))
    pending = {code: [each["id"] for each in accounts.pending(accounts.of(code))] for code in (ASKED, CLEAR)}
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
        assert callers[who].ask("withdraw", key=key).json["state"] == "withdrawn"
    assert callers["owner"].declare(declaration).status == 201
    assert callers["stranger"].declare(declaration, key).code == "withdrawn"


# -- the door ----------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(Database(tmp_path / "sandbox.sqlite3")) as database:
        yield database


class Clock:
    """A time that passes when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def refusal(attempt: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        attempt()
    return caught.value


def test_an_unknown_code_and_a_wrong_password_get_the_same_answer(callers: Callers) -> None:
    answers = [callers["nobody"].sign_in(code, "a guess") for code in (CLEAR, "4999", CLEAR, "4999", "")]
    assert callers["nobody"].sign_in(CLEAR, PASSWORDS[CLEAR]).status == 200  # no lock for those that follow
    wrong, unknown, *_ = ({**vars(answer), "headers": without_date(answer)} for answer in answers)
    assert wrong == unknown
    assert [answer.status for answer in answers] == [401, 401, 401, 401, 400]


def without_date(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in ("date", "request-id")}


def test_an_unknown_code_costs_the_work_of_a_wrong_password(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    scrypt, compare = hashlib.scrypt, hmac.compare_digest
    work: list[tuple[Any, ...]] = []

    def counted_scrypt(password: bytes, *, salt: bytes, **cost: int) -> bytes:
        work.append(("scrypt", len(password), len(salt), *sorted(cost.items())))
        return scrypt(password, salt=salt, **cost)

    def counted_compare(one: bytes, other: bytes) -> bool:
        work.append(("compare", len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr("docsend.sandbox.accounts.hashlib.scrypt", counted_scrypt)
    monkeypatch.setattr("docsend.sandbox.accounts.hmac.compare_digest", counted_compare)
    accounts = Accounts(database)
    costs = []
    for code in (CLEAR, "4999", ""):
        work.clear()
        assert refusal(functools.partial(accounts.sign_in, code, "a guess")).code == "sign-in-refused"
        costs.append(list(work))
    assert costs[0] == costs[1] == costs[2]
    assert [each[0] for each in costs[0]] == ["scrypt", "compare"]
    assert dict(costs[0][0][3:])["n"] >= 2**14


def test_five_wrong_passwords_lock_a_code_whether_it_exists_or_not(sandbox: RunningSandbox) -> None:
    sender = Sender(sandbox.url)
    attempts = ["a guess"] * 6 + [PASSWORDS[CLEAR]]
    answers = {code: [sender.sign_in(code, password) for password in attempts] for code in (CLEAR, "4999")}
    for of_a_code in answers.values():
        assert [answer.status for answer in of_a_code] == [401] * 5 + [429] * 2
        assert {answer.code for answer in of_a_code[5:]} == {"locked-out"}
        assert all(890 <= int(answer.headers["retry-after"]) <= 901 for answer in of_a_code[5:])
    known, unknown = ([answer.body for answer in of_a_code] for of_a_code in answers.values())
    assert known == unknown
    assert sandbox.select("SELECT count(*) FROM session") == [(0,)]
    assert sender.sign_in(ASKED, PASSWORDS[ASKED]).status == 200  # another door than those


def test_a_lock_ends_no_session(sandbox: RunningSandbox) -> None:
    sender = Sender(sandbox.url)
    person = sender.signed_in(CLEAR)
    assert [sender.sign_in(CLEAR, "a guess").status for _ in range(6)][-1] == 429
    assert person.ask("required").status == 200


@pytest.mark.parametrize("code", [CLEAR, "4999"])
def test_the_lock_ends_after_its_time_and_not_before(code: str, database: Database) -> None:
    clock = Clock()
    accounts = Accounts(database, now=clock)
    for _ in range(5):
        assert refusal(lambda: accounts.sign_in(code, "a guess")).status == 401
    locked = refusal(lambda: accounts.sign_in(code, PASSWORDS[CLEAR]))
    wait = int(locked.headers["Retry-After"])
    clock.now += wait - 2
    assert refusal(lambda: accounts.sign_in(code, PASSWORDS[CLEAR])).headers["Retry-After"] in ("1", "2")
    clock.now += 2
    if code == CLEAR:
        assert accounts.sign_in(code, PASSWORDS[CLEAR])
    for _ in range(5):  # afterwards it is counted anew
        assert refusal(lambda: accounts.sign_in(code, "a guess")).status == 401
    assert refusal(lambda: accounts.sign_in(code, "a guess")).status == 429


def test_the_right_password_starts_the_count_anew(database: Database) -> None:
    accounts = Accounts(database)
    for _ in range(2):
        for _ in range(4):
            assert refusal(lambda: accounts.sign_in(CLEAR, "a guess")).status == 401
        assert accounts.sign_in(CLEAR, PASSWORDS[CLEAR])


def test_guesses_at_the_same_moment_are_no_more_than_guesses_one_after_the_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    scrypt, all_here = hashlib.scrypt, threading.Barrier(8)

    def simultaneous(password: bytes, **options: Any) -> bytes:
        with contextlib.suppress(threading.BrokenBarrierError):
            all_here.wait(timeout=0.5)
        return scrypt(password, **options)

    monkeypatch.setattr("docsend.sandbox.accounts.hashlib.scrypt", simultaneous)
    accounts = Accounts(database)
    answers: list[int] = []

    def guess() -> None:
        try:
            accounts.sign_in(CLEAR, "a guess")
        except Refusal as refused:
            answers.append(refused.status)

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [401] * 5 + [429] * 3


def test_the_locked_account_is_locked_with_any_password(callers: Callers) -> None:
    for password in ("a guess", PASSWORDS[LOCKED]):
        answer = callers["nobody"].sign_in(LOCKED, password)
        assert (answer.code, answer.headers["retry-after"]) == ("locked-out", "901")


# -- sessions ----------------------------------------------------------------------------------------------


def test_a_token_is_good_until_it_expires(database: Database) -> None:
    clock = Clock()
    accounts = Accounts(database, session_s=60, now=clock)
    token, expires_in = accounts.sign_in(CLEAR, PASSWORDS[CLEAR])
    assert expires_in == 60
    clock.now += 59
    assert accounts.signed_in(token).code == CLEAR
    clock.now += 1
    assert refusal(lambda: accounts.signed_in(token)).code == "sign-in-needed"


def test_a_sandbox_can_be_told_how_long_its_sessions_last(tmp_path: Path) -> None:
    with server.beside(tmp_path, session_s=1) as url:
        sender = Sender(url)
        answer = sender.sign_in(CLEAR, PASSWORDS[CLEAR])
        assert answer.json["expires_in"] == 1
        person = sender.with_token(CLEAR, answer.json["token"])
        assert person.ask("required").status == 200
        time.sleep(1.05)
        assert person.ask("required").code == "sign-in-needed"
        assert person.ask("sign_out").code == "sign-in-needed"


def test_an_expired_token_and_one_that_never_was_get_the_same_answer(callers: Callers) -> None:
    for name in ("required", "sign_out", "standing"):
        answers = [callers[who].ask(name, key=a_key()) for who in ("expired", "garbage")]
        assert len({(answer.status, answer.body) for answer in answers}) == 1
        assert without_date(answers[0]) == without_date(answers[1])


def test_signing_out_ends_this_session_and_no_other(callers: Callers) -> None:
    tokens = [callers["nobody"].sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"] for _ in range(2)]
    first, second = (callers["nobody"].with_token(CLEAR, token) for token in tokens)
    assert first.ask("sign_out").status == 204
    assert (first.ask("required").status, second.ask("required").status) == (401, 200)


def test_a_bearer_without_a_token_is_no_good_token(callers: Callers) -> None:
    empty = callers["nobody"].with_token("", "")
    declaration = a_declaration(INSURED, a_document())
    assert empty.ask("standing", key=a_key()).status == 401
    assert empty.declare(declaration).status == 401


def test_neither_tokens_nor_passwords_are_on_the_disk(sandbox: RunningSandbox) -> None:
    sender = Sender(sandbox.url)
    answer = sender.sign_in(ASKED, PASSWORDS[ASKED])
    person = sender.with_token(ASKED, answer.json["token"])
    assert sender.sign_in(ASKED, "a canary among guesses").status == 401
    submitted(person, PERSONAL)
    ((hashed,),) = sandbox.select("SELECT token FROM session")
    assert hashed == hashlib.sha256(answer.json["token"].encode()).hexdigest()
    kept = b"".join(path.read_bytes() for path in sandbox.folder.rglob("*") if path.is_file())
    assert hashed.encode() in kept
    for secret in (answer.json["token"], PASSWORDS[ASKED], "a canary among guesses"):
        assert secret.encode() not in kept


def test_a_token_of_the_database_opens_nothing(sandbox: RunningSandbox) -> None:
    sender = Sender(sandbox.url)
    assert sender.sign_in(ASKED, PASSWORDS[ASKED]).status == 200
    ((hashed,),) = sandbox.select("SELECT token FROM session")
    assert sender.with_token(ASKED, hashed).ask("required").status == 401


# -- the invented accounts ---------------------------------------------------------------------------------


def test_the_fixtures_hold_no_password_but_scrypt_with_a_salt_for_each() -> None:
    text = FIXTURES.read_text("utf-8")
    accounts = json.loads(text)["accounts"]
    assert not [password for password in PASSWORDS.values() if password in text]
    assert len({account["salt"] for account in accounts}) == len(accounts)
    for account in accounts:
        salt, expected = bytes.fromhex(account["salt"]), bytes.fromhex(account["scrypt"])
        assert (len(salt), len(expected)) == (16, 32)
        found = hashlib.scrypt(PASSWORDS[account["code"]].encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
        assert found == expected


@pytest.mark.parametrize("page", ["contract.md", "personal.md"])
def test_the_pages_state_the_passwords_of_the_fixtures(page: str) -> None:
    stated = re.findall(r"^\| `(\d{4})` \| `([a-z-]+)` \|", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    assert dict(stated) == PASSWORDS
    assert set(PASSWORDS) == {
        account["code"] for account in json.loads(FIXTURES.read_text("utf-8"))["accounts"]
    }
