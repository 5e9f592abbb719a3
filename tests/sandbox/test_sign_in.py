"""Signing in to the sandbox: wrong passwords, lockouts, tokens, sessions and the fictional accounts."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import json
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from callers import make_callers, sandbox_with_frozen_clock
from contract_client import (
    ASKED,
    CLEAR,
    INSURED,
    LOCKED,
    PASSWORDS,
    PERSONAL,
    Response,
    Sender,
    new_key,
)
from docsend.sandbox import server
from docsend.sandbox.accounts import FIXTURES, Accounts
from docsend.sandbox.database import Database
from docsend.sandbox.problems import Refusal
from targets import new_declaration, new_document, submit_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from callers import Callers
    from conftest import RunningSandbox

DOCS = Path(__file__).parents[2] / "docs"


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


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def refusal(attempt: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        attempt()
    return caught.value


def test_an_unknown_code_and_a_wrong_password_get_the_same_response(callers: Callers) -> None:
    responses = [callers["nobody"].sign_in(code, "a guess") for code in (CLEAR, "4999", CLEAR, "4999", "")]
    assert (
        callers["nobody"].sign_in(CLEAR, PASSWORDS[CLEAR]).status == 200
    )  # avoids a lockout in the tests that follow
    wrong, unknown, *_ = ({**vars(response), "headers": without_date(response)} for response in responses)
    assert wrong == unknown
    assert [response.status for response in responses] == [401, 401, 401, 401, 400]


def without_date(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in ("date", "request-id")}


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
    responses = {code: [sender.sign_in(code, password) for password in attempts] for code in (CLEAR, "4999")}
    for of_a_code in responses.values():
        assert [response.status for response in of_a_code] == [401] * 5 + [429] * 2
        assert {response.code for response in of_a_code[5:]} == {"locked-out"}
        assert all(890 <= int(response.headers["retry-after"]) <= 901 for response in of_a_code[5:])
    known, unknown = ([response.body for response in of_a_code] for of_a_code in responses.values())
    assert known == unknown
    assert sandbox.select("SELECT count(*) FROM session") == [(0,)]
    assert sender.sign_in(ASKED, PASSWORDS[ASKED]).status == 200  # another account is not affected


def test_a_lockout_ends_no_session(sandbox: RunningSandbox) -> None:
    sender = Sender(sandbox.url)
    person = sender.as_account(CLEAR)
    assert [sender.sign_in(CLEAR, "a guess").status for _ in range(6)][-1] == 429
    assert person.call("required").status == 200


@pytest.mark.parametrize("code", [CLEAR, "4999"])
def test_a_lockout_ends_after_its_time_and_not_before(code: str, database: Database) -> None:
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
    for _ in range(5):  # the count starts again
        assert refusal(lambda: accounts.sign_in(code, "a guess")).status == 401
    assert refusal(lambda: accounts.sign_in(code, "a guess")).status == 429


def test_the_right_password_resets_the_count(database: Database) -> None:
    accounts = Accounts(database)
    for _ in range(2):
        for _ in range(4):
            assert refusal(lambda: accounts.sign_in(CLEAR, "a guess")).status == 401
        assert accounts.sign_in(CLEAR, PASSWORDS[CLEAR])


def test_concurrent_guesses_are_limited_like_sequential_ones(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    scrypt, all_here = hashlib.scrypt, threading.Barrier(8)

    def simultaneous(password: bytes, **options: Any) -> bytes:
        with contextlib.suppress(threading.BrokenBarrierError):
            all_here.wait(timeout=0.5)
        return scrypt(password, **options)

    monkeypatch.setattr("docsend.sandbox.accounts.hashlib.scrypt", simultaneous)
    accounts = Accounts(database)
    responses: list[int] = []

    def guess() -> None:
        try:
            accounts.sign_in(CLEAR, "a guess")
        except Refusal as refused:
            responses.append(refused.status)

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(responses) == [401] * 5 + [429] * 3


def test_the_locked_account_is_locked_with_any_password(callers: Callers) -> None:
    for password in ("a guess", PASSWORDS[LOCKED]):
        response = callers["nobody"].sign_in(LOCKED, password)
        assert (response.code, response.headers["retry-after"]) == ("locked-out", "901")


# -- sessions ----------------------------------------------------------------------------------------------


def test_a_token_is_valid_until_it_expires(database: Database) -> None:
    clock = Clock()
    accounts = Accounts(database, session_lifetime_s=60, now=clock)
    token, expires_in = accounts.sign_in(CLEAR, PASSWORDS[CLEAR])
    assert expires_in == 60
    clock.now += 59
    assert accounts.authenticate(token).code == CLEAR
    clock.now += 1
    assert refusal(lambda: accounts.authenticate(token)).code == "sign-in-needed"


def test_the_lifetime_of_sessions_can_be_set(tmp_path: Path) -> None:
    with server.run_in_background(tmp_path, session_lifetime_s=1) as url:
        sender = Sender(url)
        response = sender.sign_in(CLEAR, PASSWORDS[CLEAR])
        assert response.json["expires_in"] == 1
        person = sender.with_token(CLEAR, response.json["token"])
        assert person.call("required").status == 200
        time.sleep(1.05)
        assert person.call("required").code == "sign-in-needed"
        assert person.call("sign_out").code == "sign-in-needed"


def test_an_expired_token_and_an_unknown_one_get_the_same_response(callers: Callers) -> None:
    for name in ("required", "sign_out", "status"):
        responses = [callers[who].call(name, key=new_key()) for who in ("expired", "garbage")]
        assert len({(response.status, response.body) for response in responses}) == 1
        assert without_date(responses[0]) == without_date(responses[1])


def test_signing_out_ends_this_session_and_no_other(callers: Callers) -> None:
    tokens = [callers["nobody"].sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"] for _ in range(2)]
    first, second = (callers["nobody"].with_token(CLEAR, token) for token in tokens)
    assert first.call("sign_out").status == 204
    assert (first.call("required").status, second.call("required").status) == (401, 200)


def test_an_empty_bearer_token_is_refused(callers: Callers) -> None:
    empty = callers["nobody"].with_token("", "")
    declaration = new_declaration(INSURED, new_document())
    assert empty.call("status", key=new_key()).status == 401
    assert empty.declare(declaration).status == 401


def test_neither_tokens_nor_passwords_are_stored(sandbox: RunningSandbox) -> None:
    sender = Sender(sandbox.url)
    response = sender.sign_in(ASKED, PASSWORDS[ASKED])
    person = sender.with_token(ASKED, response.json["token"])
    assert sender.sign_in(ASKED, "a canary among guesses").status == 401
    submit_documents(person, PERSONAL)
    ((hashed,),) = sandbox.select("SELECT token FROM session")
    assert hashed == hashlib.sha256(response.json["token"].encode()).hexdigest()
    stored = b"".join(path.read_bytes() for path in sandbox.folder.rglob("*") if path.is_file())
    assert hashed.encode() in stored
    for secret in (response.json["token"], PASSWORDS[ASKED], "a canary among guesses"):
        assert secret.encode() not in stored


def test_a_token_from_the_database_cannot_be_used(sandbox: RunningSandbox) -> None:
    sender = Sender(sandbox.url)
    assert sender.sign_in(ASKED, PASSWORDS[ASKED]).status == 200
    ((hashed,),) = sandbox.select("SELECT token FROM session")
    assert sender.with_token(ASKED, hashed).call("required").status == 401


# -- the fictional accounts --------------------------------------------------------------------------------


def test_the_fixtures_contain_salted_scrypt_hashes_and_no_password() -> None:
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
    documented = re.findall(
        r"^\| `(\d{4})` \| `([a-z-]+)` \|", (DOCS / page).read_text("utf-8"), re.MULTILINE
    )
    assert dict(documented) == PASSWORDS
    assert set(PASSWORDS) == {
        account["code"] for account in json.loads(FIXTURES.read_text("utf-8"))["accounts"]
    }
