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
from docsend.storage.ledger_rows import LedgerEntry
from docsend.text import escape_for_terminal
from docsend.ui import to_json
from faults.hostile.inputs import HostileInputs, make_submission
from faults.hostile.json_values import mutate_json
from faults.hostile.program import (
    UNSAFE_CHARACTERS,
    output_violations,
    program_environment,
    render,
    run_program,
    unsafe_text,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from docsend.codes import Code
    from faults.hostile.program import Violations

_PROBLEM_TYPES = (
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

_TIMESTAMP = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
# A reader, a status, and the index in Responses.bodies of a body that the reader accepts unchanged.
_ACCEPTED = (
    *(("send", 200, 0), ("declare", 200, 2), ("declare", 201, 2), ("status", 200, 2), ("declare", 200, 3)),
    *(
        ("submit", 200, 0),
        ("submit", 201, 0),
        ("status", 200, 3),
        ("withdraw", 200, 4),
        ("required", 200, 7),
        ("session", 200, 8),
    ),
)


def _contract_schemas() -> dict[str, jsonschema.Draft202012Validator]:
    """Return validators for the contract's schemas of the responses that readers may accept, by schema name.

    They allow additional members, which a service may add and a client ignores.
    """
    file = Path(docsend.__file__).parent / "sandbox" / "openapi.yaml"
    schemas = yaml.safe_load(file.read_text(encoding="utf-8"))["components"]["schemas"]
    schemas["Document"].pop("additionalProperties")
    return {
        name: jsonschema.Draft202012Validator(
            {"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{name}"},
            format_checker=jsonschema.FormatChecker(["date"]),
        )
        for name in ("Receipt", "SubmissionStatus", "SubmissionStatus.open", "Session", "Required", "Problem")
    }


def _parse_strict(body: bytes) -> Any:
    """Parse JSON; raise ValueError if it is not valid or has a duplicate member."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("duplicate member")
        return dict(pairs)

    return json.loads(body.decode("utf-8"), object_pairs_hook=once)


class Responses(HostileInputs):
    def prepare(self) -> None:
        read = documents.read_all([self.pdf], max_bytes=10**7, buffer_up_to=10**7)[0]
        checked = submission_rules.check(make_submission(read), self.catalog)
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
        opened = doubles.open_state([document.sha256])
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
            json.dumps(body)
            for body in (
                *(receipt, receipt, opened),
                {**opened, "state": "received", "missing": [], "expires_at": None, "receipt": receipt},
                *(withdrawn, problem, problem),
                *({"required": [required] * 2}, {"token": "t", "expires_in": 3600}),
            )
        ]
        self.schemas = _contract_schemas()
        for name, status, place in _ACCEPTED:  # a reader that refuses everything would pass all checks
            self._readers()[name](responses.Response(status, {}, self.bodies[place].encode()))
        self.reply = doubles.Reply()
        self.url, _ = self.resources.enter_context(doubles.service(lambda _: self.reply))

    def response(self, rng: random.Random) -> tuple[int, dict[str, str], bytes]:
        text = rng.choice(self.bodies)
        if rng.random() < 0.15:
            text = text.replace(
                json.dumps(f"{responses.PROBLEM_TYPE}invalid"),
                json.dumps(responses.PROBLEM_TYPE + rng.choice(_PROBLEM_TYPES)),
            )
        body = mutate_json(rng, text) if rng.random() < 0.9 else text.encode()
        status = rng.choice((200, 200, 200, 201, 204, 304, 400, 401, 404, 409, 409, 415, 422, 422, 429, 503))
        if rng.random() < 0.5:  # otherwise a problem would rarely have its own status
            body = body.replace(b'"status": 422', b'"status": %d' % status)
        chance = 0.9 if status >= 400 else 0.4
        headers = {name: rng.choice(values) for name, values in _HEADERS.items() if rng.random() < chance}
        self.description = f"{status} {ascii(body)[:120]}"
        return status, headers, body

    def try_function(self, rng: random.Random) -> Violations:
        status, headers, body = self.response(rng)
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        response = responses.Response(status, http.combine_headers(encoded), body)
        if (code := response.problem_code) is not None:
            yield from self._problem_violations(code, response)
        for name, read in self._readers().items():
            try:
                got = read(response)
            except (ContractViolation, responses.UnknownSubmission, responses.IncompleteSubmission):
                continue
            except DocsendError as error:
                yield from self._error_violations(error)
                continue
            found = [*self._value_violations(name, got), *self._contract_violations(name, got, body)]
            yield from ((kind, f"{name}: {sentence}") for kind, sentence in found)
        with contextlib.suppress(receipts.MalformedReceipt):
            yield from self._display_violations(receipts.parse(body))
        with contextlib.suppress(LocalError):
            receipts.stored_receipt(self._ledger_entry(body))

    def _readers(self) -> dict[str, Callable[[responses.Response], Any]]:
        checked = self.checked
        return {
            "catalog": reading.read_catalog,
            "look": reading.read_info,
            "session": reading.read_session,
            "sign-out": reading.read_sign_out,
            "required": reading.read_required,
            "declare": lambda response: reading.read_declare(response, checked),
            "put": reading.read_put_document,
            "send": lambda response: reading.read_send(response, checked),
            "submit": lambda response: reading.read_one_exchange(response, checked)[0],
            "status": lambda response: reading.read_status(response, checked.key),
            "withdraw": lambda response: reading.read_withdraw(response, checked.key),
            "retry-after": responses.retry_after,
        }

    def _value_violations(self, name: str, got: Any) -> Violations:
        """Check a value that a reader returned against what the rest of the program relies on."""
        if isinstance(got, responses.OpenSubmission):
            if not got.missing <= {document.sha256 for document in self.checked.documents}:
                yield "wrong", "missing documents that were not declared"
        elif isinstance(got, responses.SubmissionStatus):
            if (got.state == "received") != (got.receipt is not None):
                yield "wrong", f"{got.state} with the receipt {got.receipt is not None}"
            if got.receipt is not None:
                yield from self._receipt_violations(got.receipt, checks_documents=False)
        elif isinstance(got, Receipt):
            yield from self._receipt_violations(got, checks_documents=True)
        elif isinstance(got, float) and not 0 <= got < math.inf:
            yield "other", f"a wait of {got} seconds"
        elif name == "session":
            yield from self._session_violations(*got)
        elif name == "catalog" and got is not None and not re.fullmatch(r"[!-~]+", got[1]):
            yield "wrong", f"an ETag that no header may have: {got[1][:20]!a}"

    def _session_violations(self, token: str, seconds: float) -> Violations:
        if not re.fullmatch(r"[!-~]+", token):
            yield "wrong", "a token that no header may have"
        if not 0 < seconds < math.inf:
            yield "other", f"a session of {seconds} seconds, which no JSON can tell"

    def _receipt_violations(self, receipt: Receipt, *, checks_documents: bool) -> Violations:
        """Check that a receipt is for this key and, if `checks_documents`, for these documents."""
        if receipt.key != self.checked.key:
            yield "wrong", "the receipt of another key"
        named = [(document.name, document.size, document.sha256) for document in receipt.documents]
        if checks_documents and named != [
            (document.name, document.size, document.sha256) for document in self.checked.documents
        ]:
            yield "wrong", "the receipt of other documents"
        yield from self._display_violations(receipt)
        for text in (receipt.number, receipt.issuer, receipt.branch_code, *receipt.branch_names.values()):
            yield from unsafe_text(text, "in a receipt that was read")
        if json.loads(receipt.body)["number"] != receipt.number or receipts.parse(receipt.body) != receipt:
            yield "wrong", "the stored receipt is read as another one"

    def _display_violations(self, receipt: Receipt) -> Violations:
        json.dumps(to_json.receipt(receipt))
        for text in (receipt.number, receipt.issuer, *receipt.branch_names.values()):
            yield from unsafe_text(escape_for_terminal(text), "in a receipt")

    def _contract_violations(self, name: str, got: Any, body: bytes) -> Violations:
        """Check an accepted body against openapi.yaml, which the readers do not use."""
        if name in ("retry-after", "put", "sign-out", "catalog", "look"):
            return
        schema = {
            "session": "Session",
            "required": "Required",
            "send": "Receipt",
            "submit": "Receipt",
            "declare": "SubmissionStatus.open"
            if isinstance(got, responses.OpenSubmission)
            else "SubmissionStatus",
        }.get(name, "SubmissionStatus")
        try:
            raw = _parse_strict(body)
        except ValueError as error:
            yield "wrong", f"accepts invalid JSON: {error}"
            return
        if name == "withdraw" and isinstance(raw, dict) and "type" in raw:  # a problem with its receipt
            raw, schema = raw.get("receipt"), "Receipt"
        for fault in self.schemas[schema].iter_errors(raw):
            yield (
                "wrong",
                f"accepts what openapi.yaml does not allow: {fault.json_path} {fault.message[:80]!a}",
            )
        for time in re.findall(rb'"(?:received_at|expires_at)": *("[^"]*")', body):
            if not _TIMESTAMP.fullmatch(json.loads(time)):
                yield "wrong", f"accepts an invalid time: {time!a}"

    def _problem_violations(self, code: Code, response: responses.Response) -> Violations:
        """Check that an accepted problem is complete, known to the contract, and sent with its own status."""
        raw = _parse_strict(response.body)
        for error in self.schemas["Problem"].iter_errors(raw):
            yield (
                "wrong",
                f"a problem that openapi.yaml does not allow: {error.json_path} {error.message[:80]!a}",
            )
        if raw["type"] != f"{responses.PROBLEM_TYPE}{code}" or raw["status"] != response.status:
            yield "wrong", f"{code} under {response.status}"

    def _error_violations(self, error: DocsendError) -> Violations:
        yield from unsafe_text(render(error.message, error.hint), "in an error")
        for problem in error.problems:
            try:
                problem.code.value.encode()
            except UnicodeEncodeError:
                yield "other", f"a code that cannot be encoded as UTF-8: {problem.code.value[:20]!a}"

    def _ledger_entry(self, body: bytes) -> LedgerEntry:
        about = ("benefits", "unemployment", "employer", "payslips", None, None, 1, None)
        return LedgerEntry("sandbox", self.checked.key, "received", *about, body, "2026", "2026")

    def try_program(self, rng: random.Random) -> Violations:
        status, headers, body = self.response(rng)
        sent = {name: value for name, value in headers.items() if not UNSAFE_CHARACTERS.search(value)}
        self.reply = doubles.Reply(status if status not in (204, 304) else 200, body, sent)
        yield from self.send(
            rng, self.pdf, "--service", self.url, "--reference", str(rng.random()), "--anyway"
        )
        result = run_program(["catalog", "--update", "--service", self.url], program_environment(self.home))
        yield from output_violations(result, as_json=False)
        result = run_program(["receipts", "--json"], program_environment(self.home))
        yield from output_violations(result, as_json=True)
