"""Responses are parsed strictly: every member is tried missing, null, of another type and malformed.

No such response counts as received, and none raises an unexpected exception. The tests derive these responses
from one valid response of each call.
"""

from __future__ import annotations

import copy
import json
import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import damaged_ledgers
import docsend
import doubles
import samples
from conftest import ABOUT, WHO
from docsend.checks import documents, submission_rules
from docsend.errors import DocsendError
from docsend.model.catalog import BUNDLED
from docsend.model.submission import Submission
from docsend.service import json_object, reading, responses
from docsend.service.failures import ContractViolation
from docsend.service.responses import Response
from docsend.storage.catalogs import load

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from docsend.model.submission import CheckedSubmission

CATALOG = load(BUNDLED)
OPENAPI = Path(docsend.__file__).parent / "sandbox" / "openapi.yaml"
# Values of other types and forms; the tests try each of them as the value of each member.
OTHER_VALUES: tuple[object, ...] = (
    None,
    True,
    -1,
    1.5,
    2**60,
    "",
    " ",
    "x\x1b[2J",
    "\u202ex",
    "\ud800",
    "x" * 5000,
    [],
    [1],
    {},
    {"a": 1},
)
TIMES = (
    "2026-11-26", "2026-W01-1", "20261126T100000Z", "2026-11-26T10:00:00", "0001-01-01T00:00:00Z",
    "9999-01-01T00:00:00Z", "2026-11-26T10:00:00+23:59:59", "2026-02-30T10:00:00Z", "2026-11-26T24:00:00Z",
    "2026-11-26T10:00:00.1234567Z", "2026-11-26t10:00:00z", "\uff12026-11-26T10:00:00Z",
)  # fmt: skip


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> CheckedSubmission:
    file = samples.write(tmp_path_factory.mktemp("files"), "payslip.pdf", samples.pdf())
    stated = Submission(
        to="benefits", subject="unemployment", category="employer", type="payslips", id=WHO[1]
    )
    result = submission_rules.check(
        stated.with_documents(documents.read_all([file], max_bytes=2**20)), CATALOG
    )
    assert not isinstance(result, submission_rules.FailedCheck)
    return result


def receipt_of(checked: CheckedSubmission) -> dict[str, Any]:
    return {
        "key": checked.key,
        "number": "N-1",
        "issuer": "a service",
        "received_at": "2026-11-26T10:00:00.123Z",
        "branch": {
            "code": "haifa",
            "name": {"en": "Haifa", "fr": "Ha\u00effa", "he": "\u05d7\u05d9\u05e4\u05d4"},
        },
        "documents": [
            {"name": document.name, "bytes": document.size, "sha256": document.sha256}
            for document in checked.documents
        ],
    }


def valid_responses(checked: CheckedSubmission) -> dict[str, tuple[int, Any, Callable[[Response], object]]]:
    """Return the status, a valid body and the parser of each call."""
    receipt = receipt_of(checked)
    received: dict[str, Any] = {
        "state": "received",
        "missing": [],
        "branch": "haifa",
        "expires_at": None,
        "receipt": receipt,
    }
    required = {
        "id": "R-1",
        "subject": "unemployment",
        "category": "employer",
        "type": "payslips",
        "title": {"en": "a", "fr": "b", "he": "c"},
        "due": "2026-12-15",
        "state": "pending",
    }
    problem = {"type": responses.PROBLEM_TYPE, "title": "t", "detail": "d"}
    late = {**problem, "type": f"{responses.PROBLEM_TYPE}already-received", "status": 409, "receipt": receipt}
    invalid = {
        **problem,
        "type": f"{responses.PROBLEM_TYPE}invalid",
        "status": 422,
        "errors": [{"pointer": "/type", "code": "unknown-type", "detail": "d"}],
    }
    missing = [checked.documents[0].sha256]
    withdrawn: dict[str, Any] = {
        "state": "withdrawn",
        "missing": [],
        "branch": None,
        "expires_at": None,
        "receipt": None,
    }

    def declare(response: Response) -> object:
        return reading.read_declare(response, checked)

    def withdraw(response: Response) -> object:
        return reading.read_withdraw(response, checked.key)

    return {
        "send": (200, receipt, lambda response: reading.read_send(response, checked)),
        "declare, open": (201, doubles.open_state(missing), declare),
        "declare, received": (200, received, declare),
        "declare, refused": (422, invalid, declare),
        "withdraw": (200, withdrawn, withdraw),
        "withdraw, too late": (409, late, withdraw),
        "session": (200, {"token": "t", "expires_in": 3600}, reading.read_session),
        "required": (200, {"required": [required]}, reading.read_required),
        "info": (200, {"version": "2026-11-01"}, reading.read_info),
    }


def response_of(status: int, body: bytes) -> Response:
    kind = "application/problem+json" if status >= 400 else "application/json"
    return Response(status, {"content-type": kind}, body)


def changes(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every change of one member: a description, and the complete body with the change."""
    inner = body
    for step in path:
        inner = inner[step]
    places = list(inner) if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
    for place in places:
        here = (*path, place)
        if isinstance(inner, dict):
            yield f"{here} left out", _changed(body, path, operator.methodcaller("pop", place))
        for other in (*OTHER_VALUES, *TIMES):
            if other != inner[place] or type(other) is not type(inner[place]):
                yield (
                    f"{here} is {other!r:.40}",
                    _changed(body, path, operator.methodcaller("__setitem__", place, other)),
                )
        yield from changes(body, here)


def _changed(body: Any, path: tuple[Any, ...], change: Callable[[Any], object]) -> Any:
    copied = copy.deepcopy(body)
    at = copied
    for step in path:
        at = at[step]
    change(at)
    return copied


# Members for people, and members whose absence or error makes no difference.
UNCHECKED_MEMBERS = {"title", "detail", "pointer", "url"}
# Values that are valid for members whose form is not fixed.
VALID_VALUES: dict[str, Collection[object]] = {
    **{name: {*TIMES} for name in ("number", "code", "name", "en", "fr", "he", "id")},
    **{name: {*TIMES} for name in ("subject", "category", "type")},
    "issuer": {*TIMES, "x" * 5000},
    "branch": {*TIMES, None},
    "version": {*TIMES},
    "token": {*TIMES[:3]},
    "missing": {()},
    "required": {()},
    "due": {"2026-11-26"},
}


def test_the_limits_and_the_problems_are_those_of_the_openapi_document() -> None:
    schemas = yaml.safe_load(OPENAPI.read_text("utf-8"))["components"]["schemas"]
    receipt = schemas["Receipt"]["properties"]
    assert receipt["number"]["maxLength"] == reading.MAX_NUMBER_LENGTH
    assert receipt["issuer"]["maxLength"] == reading.MAX_ISSUER_LENGTH
    assert schemas["Code"]["maxLength"] == json_object.MAX_CODE_LENGTH
    assert schemas["Labels"]["properties"]["he"]["maxLength"] == json_object.MAX_LABEL_LENGTH
    assert schemas["RequiredId"]["maxLength"] == reading.MAX_REQUIRED_ID_LENGTH
    types = {
        name.removeprefix(responses.PROBLEM_TYPE) for name in schemas["Problem"]["properties"]["type"]["enum"]
    }
    assert types == {code.value for code in responses.PROBLEMS}
    for code, status in responses.PROBLEMS.items():
        assert schemas[f"Problem.{code}"]["properties"]["status"]["const"] == status


def test_a_valid_response_of_each_call_is_accepted(checked) -> None:
    for name, (status, body, read) in valid_responses(checked).items():
        response = response_of(status, json.dumps(body).encode())
        if "refused" in name:
            with pytest.raises(DocsendError, match="refused"):
                read(response)
        else:
            assert read(response), name


@pytest.mark.parametrize(
    "call",
    [
        "send",
        "declare, open",
        "declare, received",
        "withdraw",
        "withdraw, too late",
        "session",
        "required",
        "info",
    ],
)
def test_a_missing_or_malformed_member_is_rejected(checked, call) -> None:
    status, body, read = valid_responses(checked)[call]
    tried, taken = 0, []
    for what, changed in changes(body):
        tried += 1
        try:
            text = json.dumps(changed).encode()
            got = read(response_of(status, text))
        except (ContractViolation, DocsendError, responses.UnknownSubmission):
            continue
        taken.append((what, got))
    assert tried > 20
    wrong = [what for what, _ in taken if not _is_allowed(what)]
    assert not wrong, wrong[:20]


def _is_allowed(what: str) -> bool:
    """Return whether a response is still valid after a change, because any text is valid for the member."""
    place, _, done = what.partition(") ")
    member = place.rstrip(",").rpartition(" ")[2].strip("('\")") or place.strip("(',")
    if member in UNCHECKED_MEMBERS:
        return True
    empty = done == "is []" and () in VALID_VALUES.get(member, ())
    return empty or any(f"is {value!r:.40}" == done for value in VALID_VALUES.get(member, ()))


@pytest.mark.parametrize("member", ["key", "number", "received_at", "documents", "branch"])
def test_a_duplicate_member_makes_a_receipt_invalid(run, sandbox, payslip, monkeypatch, member) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    def intercept(request, _count, phase):
        if request.method != "PUT" or phase == "before":
            return None
        (body,) = sandbox.select("SELECT body FROM receipt")[0]
        twice = json.dumps({member: json.loads(body)[member]})[1:-1].encode()
        return doubles.Reply(
            200, body.replace(b"{", b"{" + twice + b",", 1), {"Content-Type": "application/json"}
        )

    with doubles.relay(sandbox.url, intercept) as (url, _):
        outcome = run("send", payslip, *ABOUT, *WHO, "--service", url, "--json")
        assert (outcome.code, outcome.json["receipt"], outcome.problems) == (6, None, ["contract-broken"])
        assert run("receipts", "--json").json["receipts"][0]["state"] != "received"


def test_a_malformed_receipt_leaves_a_submission_unfinished(run, sandbox, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    wrong: dict[str, Any] = {"received_at": TIMES[0]}

    def intercept(request, _count, phase):
        if request.method != "PUT" or phase == "before":
            return None
        (body,) = sandbox.select("SELECT body FROM receipt ORDER BY number DESC")[0]
        return doubles.json_reply(200, {**json.loads(body), **wrong})

    with doubles.relay(sandbox.url, intercept) as (url, _):
        for name, value in (
            *(("received_at", time) for time in TIMES),
            *(("number", value) for value in (" N", "N\n", "", "x" * 65, 17, None, "\x00")),
            ("issuer", "\x1b]0;title\x07"),
        ):
            wrong.clear()
            wrong[name] = value
            new = ("--reference", f"{name} {value!a}"[:60], "--anyway")
            outcome = run("send", payslip, *ABOUT, *WHO, *new, "--service", url, "--json")
            assert (outcome.code, outcome.json["receipt"]) == (6, None), (name, value)
            assert "\x1b" not in outcome.err + outcome.out


@pytest.mark.parametrize("more", [None, 5, "x\x1b[2J", {"a": [1.5]}])
def test_an_unknown_member_leaves_a_receipt_valid(run, sandbox, payslip, more) -> None:
    def intercept(request, _count, phase):
        if request.method != "PUT" or phase == "before":
            return None
        receipt = json.loads(sandbox.select("SELECT body FROM receipt")[0][0])
        receipt["branch"]["name"]["ar"] = receipt["more"] = more
        return doubles.json_reply(200, receipt)

    with doubles.relay(sandbox.url, intercept) as (url, _):
        first = run("send", payslip, *ABOUT, *WHO, "--service", url, "--json")
        again = run("send", payslip, *ABOUT, *WHO, "--service", url, "--json")
    assert (first.code, again.code, again.json["repeated"]) == (0, 0, True)
    assert first.json["receipt"] == again.json["receipt"]


def test_long_texts_of_a_service_are_shortened(run, payslip) -> None:
    errors = [
        {"pointer": "/type", "code": "unknown-type", "detail": "x" * 900_000 if n == 0 else "y"}
        for n in range(60)
    ]
    with doubles.service(lambda _: doubles.problem(422, "invalid", errors=errors)) as (url, _):
        outcome = run("send", payslip, *ABOUT, *WHO, "--service", url, "--json")
    problems = outcome.json["problems"]
    assert (outcome.code, len(problems), problems[-1]["message"]) == (5, 21, "\u2026 and 40 more")
    assert max(len(problem["message"]) for problem in problems) == 301
    assert len(outcome.out) < 10_000
    assert len(outcome.err) < 10_000


@pytest.mark.parametrize(
    "code", ["zeros-restored", "document-in-two-rows", "bug", "interrupted", "sign-in-needed", "unfinished"]
)
def test_a_refusal_with_one_of_docsend_s_own_codes_stays_a_refusal(run, payslip, tmp_path, code) -> None:
    errors = [{"pointer": "/type", "code": code, "detail": "no"}]
    (tmp_path / "batch.csv").write_text(f"documents\n{payslip}\n")
    with doubles.service(lambda _: doubles.problem(422, "invalid", errors=errors)) as (url, _):
        one = run("send", payslip, *ABOUT, *WHO, "--service", url, "--json")
        row = run(
            "send", "--batch", tmp_path / "batch.csv", *ABOUT, *WHO, "--allow-outside", "--service", url
        )
    assert (one.code, one.json["status"]) == (5, "refused")
    assert [(problem["code"], problem["severity"]) for problem in one.json["problems"]] == [
        ("invalid", "error")
    ]
    assert "row 2: refused: no [invalid]" in row.err


def test_a_code_that_is_too_long_violates_the_contract(run, payslip) -> None:
    errors = [{"pointer": "/type", "code": "x" * 5_000, "detail": "no"}]
    with doubles.service(lambda _: doubles.problem(422, "invalid", errors=errors)) as (url, _):
        outcome = run("send", payslip, *ABOUT, *WHO, "--service", url, "--json")
    assert outcome.code == 6
    assert len(outcome.out + outcome.err) < 5_000


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (421, "host-not-served", 2),
        (400, "malformed", 6),
        (411, "length-required", 6),
        (415, "media-type-not-accepted", 6),
        (403, "origin-not-allowed", 6),
    ],
)
def test_a_problem_with_the_request_itself_does_not_refuse_the_submission(
    run, payslip, status, code, exit_code
) -> None:
    with doubles.service(lambda _: doubles.problem(status, code)) as (url, requests):
        outcome = run("send", payslip, *ABOUT, *WHO, "--service", url, "--json")
    # A problem that may concern the form of one exchange leads to one more request, staged.
    times = 2 if code in ("malformed", "length-required", "media-type-not-accepted") else 1
    assert (outcome.code, outcome.problems, len(requests)) == (exit_code, [code], times)
    assert run("receipts", "--json").json["receipts"][0]["state"] == "planned"


def test_a_problem_that_the_contract_does_not_define_refuses_nothing(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.service(lambda _: doubles.problem(409, "no-such-code")) as (url, _):
        outcome = run("send", payslip, *ABOUT, *WHO, "--service", url, "--json")
    assert (outcome.code, outcome.problems) == (6, ["contract-broken"])


@pytest.mark.parametrize(
    ("member", "value"), [("received_at", "2026-11-26"), ("number", " 17\n"), ("issuer", "x" * 900)]
)
def test_a_receipt_that_an_older_docsend_stored_stays_readable(
    run, sandbox, payslip, home, member, value
) -> None:
    key = run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url, "--json").json["key"]
    damaged_ledgers.change_receipt(
        home / "docsend" / "ledger.sqlite3",
        damaged_ledgers.with_member(member, value=value),
        with_checksums=True,
    )
    shown = run("receipts", "show", key, "--json")
    assert shown.json["receipts"][0]["receipt"].get(member, value) == value
    assert run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url).code == 0
