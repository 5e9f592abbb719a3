"""Hostile receipts and responses."""

from __future__ import annotations

import contextlib
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import yaml

import docsend
import doubles
from docsend.checks import documents, submission_rules
from docsend.errors import DocsendError, LocalError
from docsend.model.receipt import Receipt
from docsend.model.submission import CheckedSubmission
from docsend.service import http, reading, responses
from docsend.service.failures import ContractViolation
from docsend.storage import receipts
from docsend.storage.ledger import LedgerEntry
from docsend.text import escape_for_terminal
from docsend.ui import to_json
from faults.hostile.inputs import Inputs, stated_submission
from faults.hostile.json_values import changed_json
from faults.hostile.program import UNSAFE, environment_at, judged, rendered, through_the_door, unsafe

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from docsend.codes import Code
    from faults.hostile.program import Violations

_TYPES = (
    *("invalid", "withdrawn", "key-reused", "incomplete", "already-received", "not-found", "digest-mismatch"),
    *("sign-in-needed", "online-form-required", "\ud800", "", "\x1b[2J", "x" * 5000),
)
_HEADERS = {
    "retry-after": (
        *("0", "5", "-1", "99999999999999", "1e9", "\xb2", "Mon, 01 Jan 2024 00:00:00 GMT", "soon", ""),
        *("Mon, 01 Jan 2024 00:00:00 +999999999999999", "Mon, 01 Jan 99999 00:00:00 GMT", "9" * 5000),
        *("Mon, 01 Jan 2024 99:99:99 GMT", "Mon, 01 Jan 2024", "1 2 3 4 5", "0, 1"),
    ),
    "date": ("Mon, 01 Jan 2024 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 -0000", "", "never", "\xff"),
    "etag": ('"x"', "", '"\x1b"', '"\xe9"', 'W/"x"', '"' + "a" * 9000 + '"', " ", '"x"\t'),
    "content-type": (
        *("application/problem+json",) * 3,
        *("application/json", "text/html", "", "application/problem+json; charset=x", "\xff"),
    ),
}

_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
# A reader, its status, and the body (a place in _Responses.bodies) that it takes as it is.
_TAKEN = (
    *(("send", 200, 0), ("declare", 200, 2), ("declare", 201, 2), ("status", 200, 2), ("declare", 200, 3)),
    *(
        ("whole", 200, 0),
        ("whole", 201, 0),
        ("status", 200, 3),
        ("withdraw", 200, 4),
        ("required", 200, 7),
        ("session", 200, 8),
    ),
)


def _contract() -> dict[str, jsonschema.Draft202012Validator]:
    """Give the contract's own schemas of what a reader may take for good, by the type that it makes of it.

    Members may be added to answers, and a sender passes over them: that is no breach.
    """
    file = Path(docsend.__file__).parent / "sandbox" / "openapi.yaml"
    schemas = yaml.safe_load(file.read_text(encoding="utf-8"))["components"]["schemas"]
    schemas["Document"].pop("additionalProperties")
    return {
        name: jsonschema.Draft202012Validator(
            {"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{name}"},
            format_checker=jsonschema.FormatChecker(["date"]),
        )
        for name in ("Receipt", "Standing", "Standing.open", "Session", "Required", "Problem")
    }


def _parsed_once(body: bytes) -> Any:
    """Parse JSON in which no member stands twice; raise ValueError for any other."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a member twice")
        return dict(pairs)

    return json.loads(body.decode("utf-8"), object_pairs_hook=once)


class Responses(Inputs):
    def prepare(self) -> None:
        read = documents.read_all([self.pdf], max_bytes=10**7, buffer_up_to=10**7)[0]
        checked = submission_rules.check(stated_submission(read), self.catalog)
        assert isinstance(checked, CheckedSubmission)
        self.checked = checked
        (document,) = checked.documents
        named = {"name": document.name, "bytes": document.size, "sha256": document.sha256}
        receipt = {
            "key": checked.key,
            "number": "SANDBOX-000001",
            "issuer": "nobody",
            "received_at": "2026-11-23T05:04:32.000Z",
            "branch": {"code": "haifa", "name": {"en": "Haifa", "fr": "Haïfa", "he": "חיפה"}},
            "documents": [named],
        }
        opened = doubles.opened([document.sha256])
        withdrawn = {**opened, "state": "withdrawn", "missing": [], "branch": None, "expires_at": None}
        required = {
            "id": "R-1",
            "subject": "unemployment",
            "category": "employer",
            "type": "payslips",
            "title": {"en": "a", "fr": "b", "he": "c"},
            "due": "2026-12-15",
            "state": "pending",
        }
        problem = {
            "type": f"{responses.PROBLEM_TYPE}invalid",
            "title": "t",
            "status": 422,
            "detail": "d",
            "url": "https://a.example",
            "receipt": receipt,
            "errors": [{"pointer": "/identity/id_number", "code": "id-number-invalid", "detail": "d"}] * 2,
        }
        self.bodies = [
            json.dumps(each)
            for each in (
                *(receipt, receipt, opened),
                {**opened, "state": "received", "missing": [], "expires_at": None, "receipt": receipt},
                *(withdrawn, problem, problem),
                *({"required": [required] * 2}, {"token": "t", "expires_in": 3600}),
            )
        ]
        self.contract = _contract()
        for name, status, place in _TAKEN:  # readers that refuse everything would pass all that follows
            self._readers()[name](responses.Response(status, {}, self.bodies[place].encode()))
        self.reply = doubles.Reply()
        self.url, _ = self.opened.enter_context(doubles.service(lambda _: self.reply))

    def response(self, rng: random.Random) -> tuple[int, dict[str, str], bytes]:
        text = rng.choice(self.bodies)
        if rng.random() < 0.15:
            text = text.replace(
                json.dumps(f"{responses.PROBLEM_TYPE}invalid"),
                json.dumps(responses.PROBLEM_TYPE + rng.choice(_TYPES)),
            )
        body = changed_json(rng, text) if rng.random() < 0.9 else text.encode()
        status = rng.choice((200, 200, 200, 201, 204, 304, 400, 401, 404, 409, 409, 415, 422, 422, 429, 503))
        if rng.random() < 0.5:  # or a problem would hardly ever come with its own status
            body = body.replace(b'"status": 422', b'"status": %d' % status)
        chance = 0.9 if status >= 400 else 0.4
        headers = {name: rng.choice(values) for name, values in _HEADERS.items() if rng.random() < chance}
        self.what = f"{status} {ascii(body)[:120]}"
        return status, headers, body

    def near(self, rng: random.Random) -> Violations:
        status, headers, body = self.response(rng)
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        response = responses.Response(status, http.read_headers(encoded), body)
        if (code := response.problem_code) is not None:
            yield from self._problem(code, response)
        for name, read in self._readers().items():
            try:
                got = read(response)
            except (ContractViolation, responses.UnknownSubmission, responses.IncompleteSubmission):
                continue
            except DocsendError as error:
                yield from self._told(error)
                continue
            found = [*self._got(name, got), *self._in_contract(name, got, body)]
            yield from ((kind, f"{name}: {sentence}") for kind, sentence in found)
        with contextlib.suppress(receipts.MalformedReceipt):
            yield from self._shown(receipts.read(body))
        with contextlib.suppress(LocalError):
            receipts.stored_receipt(self._entry(body))

    def _readers(self) -> dict[str, Callable[[responses.Response], Any]]:
        checked = self.checked
        return {
            "catalog": reading.read_catalog,
            "look": reading.read_info,
            "session": reading.read_session,
            "sign-out": reading.read_sign_out,
            "required": reading.read_required,
            "declare": lambda response: reading.read_declare(response, checked),
            "put": reading.read_put,
            "send": lambda response: reading.read_send(response, checked),
            "whole": lambda response: reading.read_whole(response, checked)[0],
            "status": lambda response: reading.read_status(response, checked.key),
            "withdraw": lambda response: reading.read_withdraw(response, checked.key),
            "retry-after": responses.retry_after,
        }

    def _got(self, name: str, got: Any) -> Violations:
        """Hold a value that a reader took for good against what the rest of the program needs of it."""
        if isinstance(got, responses.OpenSubmission):
            if not got.missing <= {document.sha256 for document in self.checked.documents}:
                yield "wrong", "documents are missing that were not declared"
        elif isinstance(got, responses.SubmissionStatus):
            if (got.state == "received") != (got.receipt is not None):
                yield "wrong", f"{got.state} with the receipt {got.receipt is not None}"
            if got.receipt is not None:
                yield from self._ours(got.receipt, whole=False)
        elif isinstance(got, Receipt):
            yield from self._ours(got, whole=True)
        elif isinstance(got, float) and not 0 <= got < math.inf:
            yield "other", f"a wait of {got} seconds"
        elif name == "session":
            yield from self._session(*got)
        elif name == "catalog" and got is not None and not re.fullmatch(r"[!-~]+", got[1]):
            yield "wrong", f"an ETag that no header may have: {got[1][:20]!a}"

    def _session(self, token: str, seconds: float) -> Violations:
        if not re.fullmatch(r"[!-~]+", token):
            yield "wrong", "a token that no header may have"
        if not 0 < seconds < math.inf:
            yield "other", f"a session of {seconds} seconds, which no JSON can tell"

    def _ours(self, receipt: Receipt, *, whole: bool) -> Violations:
        """A receipt must be of this key, and at declare and send of these documents."""
        if receipt.key != self.checked.key:
            yield "wrong", "the receipt of another key"
        named = [(each.name, each.size, each.sha256) for each in receipt.documents]
        if whole and named != [(each.name, each.size, each.sha256) for each in self.checked.documents]:
            yield "wrong", "the receipt of other documents"
        yield from self._shown(receipt)
        for text in (receipt.number, receipt.issuer, receipt.branch_code, *receipt.branch_names.values()):
            yield from unsafe(text, "in a receipt that was read")
        if json.loads(receipt.body)["number"] != receipt.number or receipts.read(receipt.body) != receipt:
            yield "wrong", "what the ledger keeps is read as another receipt"

    def _shown(self, receipt: Receipt) -> Violations:
        json.dumps(to_json.receipt(receipt))
        for text in (receipt.number, receipt.issuer, *receipt.branch_names.values()):
            yield from unsafe(escape_for_terminal(text), "in a receipt")

    def _in_contract(self, name: str, got: Any, body: bytes) -> Violations:
        """Hold the bytes of what a reader took for good against openapi.yaml, which no reader looks at."""
        if name in ("retry-after", "put", "sign-out", "catalog", "look"):
            return
        schema = {
            "session": "Session",
            "required": "Required",
            "send": "Receipt",
            "whole": "Receipt",
            "declare": "Standing.open" if isinstance(got, responses.OpenSubmission) else "Standing",
        }.get(name, "Standing")
        try:
            raw = _parsed_once(body)
        except ValueError as error:
            yield "wrong", f"it takes what is not JSON: {error}"
            return
        if name == "withdraw" and isinstance(raw, dict) and "type" in raw:  # a problem with its receipt
            raw, schema = raw.get("receipt"), "Receipt"
        for fault in self.contract[schema].iter_errors(raw):
            yield "wrong", f"it takes what openapi.yaml does not: {fault.json_path} {fault.message[:80]!a}"
        for time in re.findall(rb'"(?:received_at|expires_at)": *("[^"]*")', body):
            if not _TIME.fullmatch(json.loads(time)):
                yield "wrong", f"it takes a time that is none: {time!a}"

    def _problem(self, code: Code, response: responses.Response) -> Violations:
        """A problem that is believed is whole, of the contract's closed list, and under its own status."""
        raw = _parsed_once(response.body)
        for error in self.contract["Problem"].iter_errors(raw):
            yield (
                "wrong",
                f"a problem that openapi.yaml does not know: {error.json_path} {error.message[:80]!a}",
            )
        if raw["type"] != f"{responses.PROBLEM_TYPE}{code}" or raw["status"] != response.status:
            yield "wrong", f"{code} under {response.status}"

    def _told(self, error: DocsendError) -> Violations:
        yield from unsafe(rendered(error.message, error.hint), "in an error")
        for problem in error.problems:
            try:
                problem.code.value.encode()
            except UnicodeEncodeError:
                yield "other", f"a code that no ledger can keep: {problem.code.value[:20]!a}"

    def _entry(self, body: bytes) -> LedgerEntry:
        about = ("benefits", "unemployment", "employer", "payslips", None, None, 1, None)
        return LedgerEntry("sandbox", self.checked.key, "received", *about, body, "2026", "2026")

    def door(self, rng: random.Random) -> Violations:
        status, headers, body = self.response(rng)
        sent = {name: value for name, value in headers.items() if not UNSAFE.search(value)}
        self.reply = doubles.Reply(status if status not in (204, 304) else 200, body, sent)
        yield from self.send(rng, self.pdf, "--service", self.url, "--reference", str(rng.random()))
        ran = through_the_door(["catalog", "--update", "--service", self.url], environment_at(self.home))
        yield from judged(ran, as_json=False)
        ran = through_the_door(["receipts", "--json"], environment_at(self.home))
        yield from judged(ran, as_json=True)
