"""Signing in to the sandbox: wrong passwords, locks, tokens and sessions, and the invented accounts."""

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

from callers import beside_a_still_clock, callers_of
from contract_client import (
    ASKED,
    CLEAR,
    INSURED,
    LOCKED,
    PASSWORDS,
    PERSONAL,
    Answer,
    Sender,
    a_key,
)
from docsend.sandbox import server
from docsend.sandbox.accounts import FIXTURES, Accounts
from docsend.sandbox.database import Database
from docsend.sandbox.problems import Refusal
from targets import a_declaration, a_document, submitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from callers import Callers
    from conftest import RunningSandbox

DOCS = Path(__file__).parents[2] / "docs"


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
    accounts = Accounts(database, session_lifetime_s=60, now=clock)
    token, expires_in = accounts.sign_in(CLEAR, PASSWORDS[CLEAR])
    assert expires_in == 60
    clock.now += 59
    assert accounts.authenticate(token).code == CLEAR
    clock.now += 1
    assert refusal(lambda: accounts.authenticate(token)).code == "sign-in-needed"


def test_a_sandbox_can_be_told_how_long_its_sessions_last(tmp_path: Path) -> None:
    with server.run_in_background(tmp_path, session_lifetime_s=1) as url:
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
