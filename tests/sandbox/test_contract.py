"""The contract: openapi.yaml is valid, docs/contract.md plays as written, no answer falls outside of it."""

from __future__ import annotations

import copy
import http.client
import itertools
import json
import logging
import os
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import openapi_spec_validator
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

import walkthrough
from conftest import PERSON
from docsend import sandbox as sandbox_package
from docsend.model import catalog
from docsend.model.canonical import key_of
from docsend.sandbox import app, server
from docsend.sandbox.accounts import Accounts
from docsend.sandbox.body import time_allowed
from docsend.sandbox.store import Store
from docsend.storage import catalogs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conftest import RunningSandbox

    Declaration = dict[str, Any]
    Scenario = Callable[["Sender"], "Answer"]

ROOT = Path(__file__).parents[2]
WALK = (ROOT / "docs" / "contract.md").read_text("utf-8")
CONTRACT = yaml.safe_load((Path(sandbox_package.__file__).parent / "openapi.yaml").read_text("utf-8"))
CATALOG = catalogs.load()
PREFIX = "urn:docsend:problem:"
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE")


# -- openapi.yaml, read ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """One call of openapi.yaml; `pointer` leads to it."""

    method: str
    path: str
    pointer: str


def _operations() -> Iterator[tuple[str, Operation]]:
    for path, item in CONTRACT["paths"].items():
        for method in (name.lower() for name in METHODS if name.lower() in item):
            pointer = f"/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}"
            yield item[method]["operationId"], Operation(method.upper(), path, pointer)


OPERATIONS = dict(_operations())
REGISTRY: Registry[Any] = Registry().with_resource("urn:contract", DRAFT202012.create_resource(CONTRACT))


def resolved(pointer: str) -> tuple[str, Any]:
    """Follow a JSON pointer, and the $ref that may stand at its end; give both where it arrived."""
    node = CONTRACT
    for part in pointer.split("/")[1:]:
        node = node[part.replace("~1", "/").replace("~0", "~")]
    if "$ref" in node:
        return resolved(node["$ref"].removeprefix("#"))
    return pointer, node


def faults(pointer: str, value: object, *, closed: bool = False) -> list[str]:
    """What keeps a value from fitting the schema; `closed` lets it have no members but the named ones."""
    schema = {"$ref": f"urn:contract#{pointer}"} | ({"unevaluatedProperties": False} if closed else {})
    validator = Draft202012Validator(
        schema, registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def problems_of(pointer: str) -> set[str]:
    """The codes of the problems that the schema of an answer knows: of one, or of each in its oneOf."""
    _, schema = resolved(pointer)
    pointers = [one["$ref"].removeprefix("#") for one in schema.get("oneOf", ())] or [pointer]
    return {resolved(one)[1]["properties"]["type"]["const"].removeprefix(PREFIX) for one in pointers}


def documented() -> Iterator[tuple[str, int, str | None]]:
    """Every answer that openapi.yaml knows: the call, its status, the code if it is a problem."""
    for name, operation in OPERATIONS.items():
        for status in resolved(operation.pointer)[1]["responses"]:
            pointer, response = resolved(f"{operation.pointer}/responses/{status}")
            if "application/problem+json" in response.get("content", {}):
                codes = problems_of(f"{pointer}/content/application~1problem+json/schema")
                yield from ((name, int(status), code) for code in codes)
            else:
                yield name, int(status), None


# -- somebody who speaks it --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The short name of the problem, if it is one."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        return str(self.json["type"]).removeprefix(PREFIX)


def check(answer: Answer, pointer: str) -> None:
    """Hold an answer against a response of openapi.yaml: headers, media type, body."""
    pointer, response = resolved(pointer)
    for name, header in response.get("headers", {}).items():
        where = header.get("$ref", f"{pointer}/headers/{name}").removeprefix("#")
        assert name.lower() in answer.headers, f"no {name}"
        assert not faults(f"{where}/schema", answer.headers[name.lower()])
    if "content" not in response:
        assert answer.body == b""
        return
    (media_type,) = response["content"]
    assert answer.headers["content-type"] == media_type
    schema = f"{pointer}/content/{media_type.replace('/', '~1')}/schema"
    assert not faults(schema, answer.json, closed=True)


class Sender:
    """Makes calls by their names in openapi.yaml, and holds every answer against it.

    Without an account, or signed in to one: then its token goes with every request.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._token: str | None = None
        self._signed_in: dict[str, Sender] = {}
        self.account = ""

    def with_token(self, account: str, token: str | None) -> Sender:
        other = copy.copy(self)
        other.account, other._token = account, token
        return other

    def signed_in(self, account: str) -> Sender:
        """Give somebody who is signed in to this account; the same session whenever this sender is asked."""
        if account not in self._signed_in:
            token = self.sign_in(account, PASSWORDS[account]).json["token"]
            self._signed_in[account] = self.with_token(account, token)
        return self._signed_in[account]

    def sign_in(self, code: str, password: str) -> Answer:
        return self.ask("sign_in", body=json.dumps({"code": code, "password": password}).encode())

    def key(self, declaration: Declaration) -> str:
        """The key of a declaration; the account's code enters that of a personal one."""
        return key_of(declaration | ({"account": self.account} if declaration["to"] == "personal" else {}))

    def ask(self, name: str, *, key: str = "", digest: str = "", **options: Any) -> Answer:
        operation = OPERATIONS[name]
        path = operation.path.replace("{key}", key).replace("{sha256}", digest)
        answer = self.request(operation.method, path, **options)
        responses = resolved(operation.pointer)[1]["responses"]
        assert str(answer.status) in responses, (
            f"{name} is not known to answer {answer.status}: {answer.body!r}"
        )
        check(answer, f"{operation.pointer}/responses/{answer.status}")
        return answer

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] = b"",
        headers: dict[str, str] | None = None,
        withheld: int = 0,
    ) -> Answer:
        """Make a request. Pieces are sent in chunks; `withheld` bytes are announced and never sent."""
        connection = http.client.HTTPConnection(self._address, timeout=20)
        request_id = secrets.token_hex(16)
        token = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        headers = {"Request-Id": request_id, **token, **(headers or {})}
        try:
            if withheld:
                connection.putrequest(method, path, skip_host="Host" in headers)
                connection.putheader("Content-Length", str(withheld))
                for header, value in headers.items():
                    connection.putheader(header, value)
                connection.endheaders()
            else:
                chunked = not isinstance(body, bytes)
                connection.request(method, path, body, headers, encode_chunked=chunked)
            response = connection.getresponse()
            stated = {header.lower(): value for header, value in response.getheaders()}
            assert stated.get("request-id") == request_id or headers["Request-Id"] != request_id
            return Answer(response.status, stated, response.read())
        finally:
            connection.close()

    def declare(self, declaration: Declaration, key: str | None = None) -> Answer:
        body = json.dumps(declaration).encode()
        return self.ask("declare", key=key or self.key(declaration), body=body)

    def put(
        self, declaration: Declaration, content: bytes, digest: str | None = None, **options: Any
    ) -> Answer:
        digest = digest or sha256(content).hexdigest()
        return self.ask("put", key=self.key(declaration), digest=digest, body=content, **options)

    def send_whole(self, declaration: Declaration, *contents: bytes, **options: Any) -> Answer:
        """Send declaration and documents in one exchange."""
        parts = [
            part("declaration", json.dumps(declaration).encode()),
            *(part("document", c) for c in contents),
        ]
        return self.send_form(declaration, form(*parts), **options)

    def send_form(self, declaration: Declaration, body: bytes | Iterable[bytes], **options: Any) -> Answer:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **options.pop("headers", {})}
        key = options.pop("key", None) or self.key(declaration)
        return self.ask("declare", key=key, body=body, headers=headers, **options)

    def opened(self, declaration: Declaration | None = None) -> Declaration:
        """Declare something, and see it open."""
        declaration = declaration or a_declaration()
        assert self.declare(declaration).status == 201
        return declaration

    def received(self, declaration: Declaration | None = None) -> Declaration:
        """Go the whole way to a receipt."""
        declaration = self.opened(declaration)
        assert self.put(declaration, CONTENT).status == 201
        assert self.ask("send", key=self.key(declaration)).status == 200
        return declaration

    def withdrawn(self, declaration: Declaration | None = None) -> Declaration:
        declaration = self.opened(declaration)
        assert self.ask("withdraw", key=self.key(declaration)).status == 200
        return declaration


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


CONTENT = b"%PDF-1.4 fictional"
DIGEST = sha256(CONTENT).hexdigest()
DOCUMENT: Declaration = {"name": "payslip.pdf", "bytes": len(CONTENT), "sha256": DIGEST}
INSURED: Declaration = {
    "to": "benefits",
    "identity": {"id_number": PERSON},
    "subject": "unemployment",
    "category": "employer",
    "type": "payslips",
    "remark": None,
    "branch": None,
    "required": None,
    "reference": None,
    "occurrence": 1,
    "documents": [DOCUMENT],
}
EMPLOYER: Declaration = INSURED | {
    "to": "employer-collection",
    "identity": {
        "employer_file": "900000000",
        "employer_kind": "deduction",
        "booklet": "A-123",
        "mobile": "0500000000",
        "email": None,
    },
    "subject": None,
    "category": "forms",
    "type": "form-620",
}
PERSONAL: Declaration = {name: value for name, value in INSURED.items() if name != "identity"} | {
    "to": "personal",
    "subject": "children",
    "category": "identity-bank",
    "type": "id-card-copy",
}
# What the sandbox asks its account 1001 for. Nothing here has it received, so it stays asked for.
ANSWERING: Declaration = PERSONAL | {
    "subject": "unemployment",
    "category": "employer",
    "type": "payslips",
    "required": "R-4711",
}
# The sandbox's invented accounts: one that is asked for documents, one that is not, one that is locked.
ASKED, CLEAR, LOCKED = "1001", "1002", "1003"
PASSWORDS = {ASKED: "fictional-pending", CLEAR: "fictional-clear", LOCKED: "fictional-locked"}
NO_TOKEN = "A" * 43  # it looks like one
LARGEST = max(known.max_document_bytes for known in CATALOG.destinations.values())
_numbers = itertools.count(1)


BOUNDARY = "a-boundary"


def part(name: str | None, content: bytes, more: str = "") -> bytes:
    """Give one part of a form; without a name, one that has none."""
    named = "" if name is None else f'; name="{name}"'
    return f"Content-Disposition: form-data{named}{more}\r\n\r\n".encode() + content


def form(*parts: bytes, boundary: str = BOUNDARY, end: str = "--\r\n") -> bytes:
    """Give the body of a form."""
    edge = f"--{boundary}".encode()
    return b"".join(edge + b"\r\n" + one + b"\r\n" for one in parts) + edge + end.encode()


def a_declaration(base: Declaration = INSURED, **changes: Any) -> Declaration:
    """One that no test has used yet."""
    return base | {"reference": f"test {next(_numbers)}"} | changes


def a_key() -> str:
    """A key that the service has never seen."""
    return key_of(a_declaration())


# -- (a) openapi.yaml --------------------------------------------------------------------------------------


def test_openapi_yaml_is_valid_openapi_3_1() -> None:
    assert CONTRACT["openapi"].startswith("3.1.")
    openapi_spec_validator.validate(CONTRACT, cls=openapi_spec_validator.OpenAPIV31SpecValidator)


def test_the_list_of_problem_types_is_that_of_the_problems_and_of_the_page() -> None:
    schemas = CONTRACT["components"]["schemas"]
    problems = {
        (schema["properties"]["status"]["const"], schema["properties"]["type"]["const"])
        for name, schema in schemas.items()
        if name.startswith("Problem.")
    }
    assert {type_ for _, type_ in problems} == set(schemas["Problem"]["properties"]["type"]["enum"])
    page = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", WALK, re.MULTILINE)
    assert {(int(status), PREFIX + code) for status, code in page} == problems


def test_the_page_names_the_members_of_a_declaration_and_the_calls() -> None:
    schemas = CONTRACT["components"]["schemas"]
    members = set(re.findall(r"^\|(?: insured person | employer | )?\| `([a-z_]+)` \|", WALK, re.MULTILINE))
    identities = set(schemas["InsuredIdentity"]["properties"]) | set(
        schemas["EmployerIdentity"]["properties"]
    )
    assert identities <= members
    table = WALK.partition("## A declaration")[2].partition("### An identity")[0]
    assert set(re.findall(r"^\| `([a-z0-9_]+)` \|", table, re.MULTILINE)) == set(
        schemas["Declaration"]["properties"]
    )
    calls = set(re.findall(r"^\| `([A-Z]+) (/v1/[^`]+)`", WALK, re.MULTILINE))
    assert calls == {(operation.method, operation.path) for operation in OPERATIONS.values()}


def test_the_examples_keep_their_schemas_and_the_key_is_made_as_stated() -> None:
    examples = {name: example["value"] for name, example in CONTRACT["components"]["examples"].items()}
    schemas = {
        "InsuredDeclaration": "Declaration",
        "EmployerDeclaration": "Declaration",
        "PersonalDeclaration": "Declaration",
        "Credentials": "Credentials",
        "Session": "Session",
        "Required": "Required",
        "Open": "Standing.open",
        "Withdrawn": "Standing.withdrawn",
        "Receipt": "Receipt",
        "Invalid": "Problem.invalid",
        "Pending": "Problem.required-documents-pending",
    }
    for name, value in examples.items():
        assert not faults(f"/components/schemas/{schemas[name]}", value), name
    assert key_of(examples["InsuredDeclaration"]) == examples["Receipt"]["key"]
    assert f"\n{key_of(examples['PersonalDeclaration'] | {'account': ASKED})}\n" in WALK


# -- (b) docs/contract.md ----------------------------------------------------------------------------------


def test_the_comparison_of_what_is_printed_bites() -> None:
    assert walkthrough.prints('{"state":"open",…}\n201\n', '{"state":"open","missing":[]}\n201')
    assert not walkthrough.prints("201\n", "200\n")
    assert not walkthrough.prints("20\n", "201\n")
    assert not walkthrough.prints("201\n", "201\n201\n")
    assert not walkthrough.prints("", "curl: (7) Failed to connect\n")


@pytest.mark.needs("curl", "jq", "openssl")
def test_the_walk_through_prints_what_it_says(sandbox: RunningSandbox, tmp_path: Path) -> None:
    assert len(walkthrough.blocks(WALK)) > 30
    path = f"{walkthrough.commands(tmp_path)}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "SERVICE": sandbox.url, "TMPDIR": str(tmp_path), "PATH": path}
    walkthrough.play(WALK, folder=tmp_path, at=ROOT, environment=environment)
    assert sandbox.count() > 1


# -- (c) every answer --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    name: str
    status: int
    code: str | None
    scenario: Scenario

    def __str__(self) -> str:
        return f"{self.name}-{self.status}-{self.scenario.__name__}"


CASES: list[Case] = []


def provokes(name: str, status: int, code: str | None = None) -> Callable[[Scenario], Scenario]:
    """Enter a scenario into the table: its last call is answered with this status and problem."""

    def enter(scenario: Scenario) -> Scenario:
        CASES.append(Case(name, status, code, scenario))
        return scenario

    return enter


@provokes("catalog", 200)
def the_whole_catalog(sender: Sender) -> Answer:
    return sender.ask("catalog")


@provokes("catalog", 304)
def the_same_catalog(sender: Sender) -> Answer:
    etag = sender.ask("catalog").headers["etag"]
    return sender.ask("catalog", headers={"If-None-Match": etag})


@provokes("catalog", 200)
def the_catalog_with_a_token_that_is_none(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).ask("catalog")


@provokes("catalog", 200)
def another_catalog_than_the_sender_has(sender: Sender) -> Answer:
    return sender.ask("catalog", headers={"If-None-Match": '"another"'})


@provokes("sign_in", 200)
def signed_in(sender: Sender) -> Answer:
    answer = sender.sign_in(CLEAR, PASSWORDS[CLEAR])
    assert sender.with_token(CLEAR, answer.json["token"]).ask("required").status == 200
    return answer


@provokes("sign_in", 200)
def signed_in_with_an_old_token_at_hand(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).sign_in(CLEAR, PASSWORDS[CLEAR])


@provokes("sign_in", 400, "malformed")
def signed_in_without_json(sender: Sender) -> Answer:
    return sender.ask("sign_in", body=b"code=1002")


@provokes("sign_in", 400, "malformed")
def signed_in_without_a_password(sender: Sender) -> Answer:
    return sender.ask("sign_in", body=b'{"code": "1002"}')


@provokes("sign_in", 400, "malformed")
def signed_in_with_a_number_for_a_code(sender: Sender) -> Answer:
    return sender.ask("sign_in", body=b'{"code": 1002, "password": "fictional-clear"}')


@provokes("sign_in", 400, "malformed")
def signed_in_with_a_password_that_is_too_long(sender: Sender) -> Answer:
    return sender.sign_in(CLEAR, "x" * 201)


@provokes("sign_in", 401, "sign-in-refused")
def signed_in_with_a_wrong_password(sender: Sender) -> Answer:
    answer = sender.sign_in(CLEAR, "a guess")
    assert sender.sign_in(CLEAR, PASSWORDS[CLEAR]).status == 200  # so that guesses do not add up to a lock
    return answer


@provokes("sign_in", 401, "sign-in-refused")
def signed_in_with_an_unknown_code(sender: Sender) -> Answer:
    return sender.sign_in(f"nobody {next(_numbers)}", "a guess")


@provokes("sign_in", 413, "declaration-too-large")
def signed_in_at_length(sender: Sender) -> Answer:
    return sender.sign_in(CLEAR, "x" * 4096)


@provokes("sign_in", 429, "locked-out")
def signed_in_to_a_locked_account(sender: Sender) -> Answer:
    return sender.sign_in(LOCKED, PASSWORDS[LOCKED])


@provokes("sign_out", 204)
def signed_out(sender: Sender) -> Answer:
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    answer = person.ask("sign_out")
    assert person.ask("required").status == 401
    assert sender.signed_in(CLEAR).ask("required").status == 200  # another session stays
    return answer


@provokes("sign_out", 401, "sign-in-needed")
def signed_out_without_a_token(sender: Sender) -> Answer:
    return sender.ask("sign_out")


@provokes("sign_out", 401, "sign-in-needed")
def signed_out_twice(sender: Sender) -> Answer:
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    assert person.ask("sign_out").status == 204
    return person.ask("sign_out")


@provokes("required", 200)
def the_required_documents(sender: Sender) -> Answer:
    answer = sender.signed_in(ASKED).ask("required")
    assert [document["id"] for document in answer.json["required"]] == ["R-4711", "R-4712"]
    return answer


@provokes("required", 200)
def no_required_documents(sender: Sender) -> Answer:
    answer = sender.signed_in(CLEAR).ask("required")
    assert answer.json == {"required": []}
    return answer


@provokes("required", 401, "sign-in-needed")
def the_required_documents_without_a_token(sender: Sender) -> Answer:
    return sender.ask("required")


@provokes("required", 401, "sign-in-needed")
def the_required_documents_with_a_token_that_is_none(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).ask("required")


@provokes("declare", 201)
def declared_for_an_insured_person(sender: Sender) -> Answer:
    return sender.declare(a_declaration())


@provokes("declare", 201)
def declared_for_an_employer(sender: Sender) -> Answer:
    return sender.declare(a_declaration(EMPLOYER, remark="עברית\nfrançais", branch="haifa"))


@provokes("declare", 200)
def declared_while_open(sender: Sender) -> Answer:
    return sender.declare(sender.opened())


@provokes("declare", 200)
def declared_after_it_was_received(sender: Sender) -> Answer:
    return sender.declare(sender.received())


@provokes("declare", 400, "malformed")
def declared_without_json(sender: Sender) -> Answer:
    return sender.ask("declare", key=a_key(), body=b"payslip.pdf")


@provokes("declare", 400, "malformed")
def declared_in_latin_1(sender: Sender) -> Answer:
    return sender.ask("declare", key=a_key(), body='{"to": "bénéfices"}'.encode("latin-1"))


@provokes("declare", 400, "malformed")
def declared_with_a_list(sender: Sender) -> Answer:
    return sender.ask("declare", key=a_key(), body=b"[]")


@provokes("declare", 400, "malformed")
def declared_with_a_member_twice(sender: Sender) -> Answer:
    return sender.ask("declare", key=a_key(), body=b'{"to": "benefits", "to": "health-funds"}')


@provokes("declare", 400, "malformed")
def declared_with_a_fraction(sender: Sender) -> Answer:
    return sender.declare(a_declaration(occurrence=1.5), a_key())


@provokes("declare", 201)
def declared_to_the_personal_service(sender: Sender) -> Answer:
    answer = sender.signed_in(CLEAR).declare(a_declaration(PERSONAL))
    assert answer.json["branch"] == "nazareth"
    return answer


@provokes("declare", 201)
def declared_with_the_required_document_that_it_answers(sender: Sender) -> Answer:
    return sender.signed_in(ASKED).declare(a_declaration(ANSWERING))


@provokes("declare", 201)
def declared_to_an_open_destination_while_signed_in(sender: Sender) -> Answer:
    declaration = a_declaration()
    answer = sender.signed_in(CLEAR).declare(declaration)
    assert sender.ask("standing", key=key_of(declaration)).json == answer.json
    return answer


@provokes("declare", 200)
def declared_to_the_personal_service_while_open(sender: Sender) -> Answer:
    person = sender.signed_in(CLEAR)
    return person.declare(person.opened(a_declaration(PERSONAL)))


@provokes("declare", 200)
def declared_to_the_personal_service_after_it_was_received(sender: Sender) -> Answer:
    person = sender.signed_in(CLEAR)
    return person.declare(person.received(a_declaration(PERSONAL)))


@provokes("declare", 401, "sign-in-needed")
def declared_to_the_personal_service_without_a_token(sender: Sender) -> Answer:
    return sender.declare(a_declaration(PERSONAL))


@provokes("declare", 401, "sign-in-needed")
def declared_with_a_token_that_is_none(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).declare(a_declaration(PERSONAL))


@provokes("declare", 401, "sign-in-needed")
def declared_to_an_open_destination_with_a_token_that_is_none(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).declare(a_declaration())


@provokes("declare", 401, "sign-in-needed")
def declared_with_another_scheme_than_bearer(sender: Sender) -> Answer:
    body = json.dumps(a_declaration(PERSONAL)).encode()
    return sender.ask("declare", key=a_key(), body=body, headers={"Authorization": "Basic MTAwMjp4"})


@provokes("declare", 404, "not-found")
def declared_under_no_key(sender: Sender) -> Answer:
    return sender.declare(a_declaration(), "no-key")


@provokes("declare", 409, "key-reused")
def declared_under_the_key_of_another(sender: Sender) -> Answer:
    return sender.declare(a_declaration(), key_of(sender.opened()))


@provokes("declare", 409, "key-reused")
def declared_under_the_key_of_another_that_was_received(sender: Sender) -> Answer:
    return sender.declare(a_declaration(), key_of(sender.received()))


@provokes("declare", 409, "withdrawn")
def declared_after_it_was_withdrawn(sender: Sender) -> Answer:
    return sender.declare(sender.withdrawn())


@provokes("declare", 409, "withdrawn")
def declared_too_late(sender: Sender) -> Answer:
    declaration = a_declaration()
    assert sender.ask("withdraw", key=key_of(declaration)).status == 200
    return sender.declare(declaration)


@provokes("declare", 413, "declaration-too-large")
def declared_at_length(sender: Sender) -> Answer:
    return sender.declare(a_declaration(remark="x" * 2**20))


@provokes("declare", 413, "document-too-large")
def declared_with_a_document_that_is_too_large(sender: Sender) -> Answer:
    size = CATALOG.destinations["benefits"].max_document_bytes + 1
    answer = sender.declare(a_declaration(documents=[DOCUMENT | {"bytes": size}]))
    assert (answer.json["limit"], answer.json["pointer"]) == (size - 1, "/documents/0")
    return answer


@provokes("declare", 413, "document-too-large")
def declared_to_the_personal_service_with_a_document_that_is_too_large(sender: Sender) -> Answer:
    size = CATALOG.destinations["personal"].max_document_bytes + 1
    answer = sender.signed_in(CLEAR).declare(a_declaration(PERSONAL, documents=[DOCUMENT | {"bytes": size}]))
    assert (answer.json["limit"], answer.json["pointer"]) == (size - 1, "/documents/0")
    return answer


@provokes("declare", 413, "too-many-documents")
def declared_to_the_personal_service_with_more_documents_than_the_sandbox_works_on(sender: Sender) -> Answer:
    documents = [{"name": "a.png", "bytes": 1, "sha256": f"{number:064x}"} for number in range(10_001)]
    declaration = a_declaration(PERSONAL, documents=documents)
    body = json.dumps(declaration, separators=(",", ":")).encode()
    answer = sender.signed_in(CLEAR).ask("declare", key=a_key(), body=body)
    assert answer.json["limit"] == 10_000
    return answer


@provokes("declare", 201)
def declared_to_the_personal_service_with_more_documents_than_elsewhere(sender: Sender) -> Answer:
    documents = [DOCUMENT | {"sha256": f"{number:064x}"} for number in range(100)]
    return sender.signed_in(CLEAR).declare(a_declaration(PERSONAL, documents=documents))


@provokes("declare", 413, "too-many-documents")
def declared_with_too_many_documents(sender: Sender) -> Answer:
    limit = CATALOG.destinations["benefits"].max_documents or 0
    documents = [DOCUMENT | {"sha256": f"{number:064x}"} for number in range(limit + 1)]
    answer = sender.declare(a_declaration(documents=documents))
    assert answer.json["limit"] == limit
    return answer


@provokes("declare", 415, "format-not-accepted")
def declared_with_a_format_that_is_not_taken(sender: Sender) -> Answer:
    answer = sender.declare(a_declaration(documents=[DOCUMENT | {"name": "payslip.txt"}]))
    assert answer.json["accepted"] == list(CATALOG.destinations["benefits"].formats)
    return answer


@provokes("declare", 415, "format-not-accepted")
def declared_to_the_personal_service_with_a_format_that_others_take(sender: Sender) -> Answer:
    declaration = a_declaration(PERSONAL, documents=[DOCUMENT | {"name": "scan.jpeg"}])
    answer = sender.signed_in(CLEAR).declare(declaration)
    assert answer.json["accepted"] == list(CATALOG.destinations["personal"].formats)
    return answer


@provokes("declare", 201)
def received_in_one_exchange(sender: Sender) -> Answer:
    return sender.send_whole(a_declaration(), CONTENT)


@provokes("declare", 200)
def received_in_one_exchange_twice(sender: Sender) -> Answer:
    declaration = a_declaration()
    assert sender.send_whole(declaration, CONTENT).status == 201
    return sender.send_whole(declaration, CONTENT)


@provokes("declare", 400, "digest-mismatch")
def one_exchange_with_other_bytes(sender: Sender) -> Answer:
    return sender.send_whole(a_declaration(), CONTENT.swapcase())


@provokes("declare", 411, "length-required")
def one_exchange_in_chunks(sender: Sender) -> Answer:
    headers = {"Transfer-Encoding": "chunked"}
    return sender.send_form(a_declaration(), iter([b"--", BOUNDARY.encode()]), headers=headers)


@provokes("declare", 413, "one-exchange-too-large")
def one_exchange_with_larger_documents_than_it_takes(sender: Sender) -> Answer:
    document = DOCUMENT | {"bytes": (CATALOG.one_exchange_bytes or 0) + 1}
    return sender.send_whole(a_declaration(documents=[document]), CONTENT)


@provokes("declare", 415, "content-mismatch")
def one_exchange_with_another_content_than_the_name_says(sender: Sender) -> Answer:
    return sender.send_whole(a_declaration(documents=[DOCUMENT | {"name": "scan.png"}]), CONTENT)


@provokes("declare", 422, "invalid")
def declared_with_another_type_than_the_one_that_was_asked_for(sender: Sender) -> Answer:
    declaration = a_declaration(ANSWERING, type="termination-letter")
    answer = sender.signed_in(ASKED).declare(declaration)
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [
        ("/type", "unknown-type")
    ]
    return answer


@provokes("declare", 422, "required-documents-pending")
def declared_on_a_subject_that_another_document_is_asked_for_on(sender: Sender) -> Answer:
    answer = sender.signed_in(ASKED).declare(a_declaration(ANSWERING, required=None))
    assert answer.json["required"] == [ANSWERING["required"]]
    return answer


@provokes("declare", 422, "invalid")
def declared_with_nothing_in_it(sender: Sender) -> Answer:
    return sender.declare({}, a_key())


@provokes("declare", 422, "online-form-required")
def declared_with_a_type_that_is_filed_online(sender: Sender) -> Answer:
    answer = sender.declare(a_declaration(category="claim", type="unemployment-claim"))
    assert answer.json["form"] == "1500"
    return answer


@provokes("standing", 200)
def the_standing_of_an_open_one(sender: Sender) -> Answer:
    answer = sender.ask("standing", key=key_of(sender.opened()))
    assert (answer.json["state"], answer.json["missing"]) == ("open", [DIGEST])
    return answer


@provokes("standing", 200)
def the_standing_of_a_received_one(sender: Sender) -> Answer:
    key = key_of(sender.received())
    answer = sender.ask("standing", key=key)
    assert answer.json["receipt"] == sender.ask("send", key=key).json
    return answer


@provokes("standing", 200)
def the_standing_of_a_withdrawn_one(sender: Sender) -> Answer:
    answer = sender.ask("standing", key=key_of(sender.withdrawn()))
    assert answer.json["state"] == "withdrawn"
    return answer


@provokes("standing", 401, "sign-in-needed")
def the_standing_with_a_token_that_is_none(sender: Sender) -> Answer:
    key = key_of(sender.opened())
    return sender.with_token(CLEAR, NO_TOKEN).ask("standing", key=key)


@provokes("standing", 404, "not-found")
def the_standing_of_an_unknown_one(sender: Sender) -> Answer:
    return sender.ask("standing", key=a_key())


@provokes("standing", 404, "not-found")
def the_standing_of_a_key_in_lower_case(sender: Sender) -> Answer:
    return sender.ask("standing", key=key_of(sender.opened()).lower())


@provokes("withdraw", 200)
def withdrawn_while_open(sender: Sender) -> Answer:
    return sender.ask("withdraw", key=key_of(sender.opened()))


@provokes("withdraw", 200)
def withdrawn_before_it_was_known(sender: Sender) -> Answer:
    return sender.ask("withdraw", key=a_key())


@provokes("withdraw", 200)
def withdrawn_again(sender: Sender) -> Answer:
    return sender.ask("withdraw", key=key_of(sender.withdrawn()))


@provokes("withdraw", 401, "sign-in-needed")
def withdrawn_with_a_token_that_is_none(sender: Sender) -> Answer:
    key = key_of(sender.opened())
    return sender.with_token(CLEAR, NO_TOKEN).ask("withdraw", key=key)


@provokes("withdraw", 404, "not-found")
def withdrawn_without_a_key(sender: Sender) -> Answer:
    return sender.ask("withdraw", key="no-key")


@provokes("withdraw", 409, "already-received")
def withdrawn_too_late(sender: Sender) -> Answer:
    key = key_of(sender.received())
    answer = sender.ask("withdraw", key=key)
    assert answer.json["receipt"] == sender.ask("send", key=key).json
    return answer


@provokes("put", 201)
def put_once(sender: Sender) -> Answer:
    return sender.put(sender.opened(), CONTENT)


@provokes("put", 204)
def put_twice(sender: Sender) -> Answer:
    declaration = sender.opened()
    assert sender.put(declaration, CONTENT).status == 201
    return sender.put(declaration, CONTENT)


@provokes("put", 204)
def put_after_it_was_received(sender: Sender) -> Answer:
    return sender.put(sender.received(), CONTENT)


@provokes("put", 400, "digest-mismatch")
def put_with_other_bytes(sender: Sender) -> Answer:
    return sender.put(sender.opened(), CONTENT.swapcase(), DIGEST)


@provokes("put", 400, "digest-mismatch")
def put_with_fewer_bytes(sender: Sender) -> Answer:
    return sender.put(sender.opened(), CONTENT[:-1], DIGEST)


@provokes("put", 400, "digest-mismatch")
def put_with_no_bytes(sender: Sender) -> Answer:
    return sender.put(sender.opened(), b"", DIGEST)


@provokes("put", 401, "sign-in-needed")
def put_with_a_token_that_is_none(sender: Sender) -> Answer:
    key = key_of(sender.opened())
    return sender.with_token(CLEAR, NO_TOKEN).ask("put", key=key, digest=DIGEST, body=CONTENT)


@provokes("put", 404, "not-found")
def put_without_being_declared(sender: Sender) -> Answer:
    return sender.put(sender.opened(), b"%PDF-1.4 another")


@provokes("put", 404, "not-found")
def put_under_an_unknown_key(sender: Sender) -> Answer:
    return sender.put(a_declaration(), CONTENT)


@provokes("put", 404, "not-found")
def put_under_no_digest(sender: Sender) -> Answer:
    return sender.put(sender.opened(), CONTENT, "no-digest")


@provokes("put", 409, "withdrawn")
def put_after_it_was_withdrawn(sender: Sender) -> Answer:
    return sender.put(sender.withdrawn(), CONTENT)


@provokes("put", 411, "length-required")
def put_in_chunks(sender: Sender) -> Answer:
    declaration = sender.opened()
    chunks = iter([CONTENT[:4], CONTENT[4:]])
    headers = {"Transfer-Encoding": "chunked"}
    key, digest = key_of(declaration), DIGEST
    return sender.ask("put", key=key, digest=digest, body=chunks, headers=headers)


@provokes("put", 413, "document-too-large")
def put_with_more_than_any_document_may_have(sender: Sender) -> Answer:
    return sender.put(sender.opened(), bytes(LARGEST + 1), DIGEST)


@provokes("put", 415, "content-mismatch")
def put_with_another_content_than_the_name_says(sender: Sender) -> Answer:
    content = b"\x89PNG\r\n\x1a\n"
    document = {"name": "scan.pdf", "bytes": len(content), "sha256": sha256(content).hexdigest()}
    return sender.put(sender.opened(a_declaration(documents=[document])), content)


@provokes("send", 200)
def sent_when_complete(sender: Sender) -> Answer:
    declaration = sender.opened()
    assert sender.put(declaration, CONTENT).status == 201
    answer = sender.ask("send", key=key_of(declaration))
    assert answer.json["key"] == key_of(declaration)
    assert answer.json["documents"] == declaration["documents"]
    return answer


@provokes("send", 200)
def sent_again(sender: Sender) -> Answer:
    key = key_of(sender.received())
    once, again = sender.ask("send", key=key), sender.ask("send", key=key)
    assert once.body == again.body
    return again


@provokes("send", 401, "sign-in-needed")
def sent_with_a_token_that_is_none(sender: Sender) -> Answer:
    key = key_of(sender.opened())
    return sender.with_token(CLEAR, NO_TOKEN).ask("send", key=key)


@provokes("send", 404, "not-found")
def sent_under_an_unknown_key(sender: Sender) -> Answer:
    return sender.ask("send", key=a_key())


@provokes("send", 409, "incomplete")
def sent_too_early(sender: Sender) -> Answer:
    answer = sender.ask("send", key=key_of(sender.opened()))
    assert answer.json["missing"] == [DIGEST]
    return answer


@provokes("send", 409, "withdrawn")
def sent_after_it_was_withdrawn(sender: Sender) -> Answer:
    return sender.ask("send", key=key_of(sender.withdrawn()))


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
    with server.beside(tmp_path / "hurried", time_allowed=hurry) as url:
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
    assert [time_allowed(size) for size in (0, 2**14, 10 * 2**20)] == [60, 61, 700]


def test_the_time_of_a_request_is_that_of_its_stated_length(tmp_path: Path) -> None:
    sizes: list[int] = []

    def noting(size: int) -> float:
        sizes.append(size)
        return 60

    with server.beside(tmp_path / "noting", time_allowed=noting) as url:
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


# -- declarations ------------------------------------------------------------------------------------------

ABSENT = object()

# Where, what stands there instead, and the code of the error that the service finds there.
FAULTS: list[tuple[Declaration, str, object, str]] = [
    (INSURED, "/to", "moon", "unknown-destination"),
    (INSURED, "/identity/id_number", "000000019", "id-number-invalid"),
    (INSURED, "/identity/id_number", ABSENT, "id-number-invalid"),
    (INSURED, "/subject", None, "subject-missing"),
    (INSURED, "/subject", "moon", "unknown-subject"),
    (INSURED, "/category", None, "category-missing"),
    (INSURED, "/category", "moon", "unknown-category"),
    (INSURED, "/type", None, "type-missing"),
    (INSURED, "/type", "moon", "unknown-type"),
    (INSURED, "/remark", "x" * (CATALOG.texts.remark + 1), "remark-too-long"),
    (INSURED, "/remark", "turned \u202e round", "invalid"),
    (INSURED, "/remark", " ", "invalid"),
    (INSURED, "/reference", "x" * (CATALOG.texts.reference + 1), "reference-too-long"),
    (INSURED, "/branch", "moon", "unknown-branch"),
    (INSURED, "/branch", "x" * 101, "branch-too-long"),
    (INSURED, "/required", "1", "not-taken"),
    (INSURED, "/occurrence", 0, "invalid"),
    (INSURED, "/occurrence", "1", "invalid"),
    (INSURED, "/occurrence", True, "invalid"),
    (INSURED, "/occurrence", ABSENT, "invalid"),
    (INSURED, "/documents", [], "documents-missing"),
    (INSURED, "/documents/0", DOCUMENT | {"name": "../payslip.pdf"}, "invalid"),
    (INSURED, "/documents/0", DOCUMENT | {"bytes": 0}, "invalid"),
    (INSURED, "/documents/0", DOCUMENT | {"sha256": "no digest"}, "invalid"),
    (INSURED, "/documents/0", DOCUMENT | {"path": "/tmp"}, "invalid"),  # noqa: S108 - no path is made of it
    (INSURED, "/documents/1", DOCUMENT, "duplicate-document"),
    (INSURED, "/documents/0/name", "x" * CATALOG.texts.document_name + ".pdf", "name-not-accepted"),
    (INSURED, "/colour", "red", "invalid"),
    (EMPLOYER, "/subject", "unemployment", "not-taken"),
    (EMPLOYER, "/identity/employer_file", "12", "employer-file-invalid"),
    (EMPLOYER, "/identity/employer_kind", "moon", "unknown-employer-kind"),
    (EMPLOYER, "/identity/booklet", "", "booklet-missing"),
    (EMPLOYER, "/identity/mobile", "031234567", "mobile-invalid"),
    (EMPLOYER, "/identity/email", "nobody", "email-invalid"),
    (EMPLOYER, "/identity/id_number", PERSON, "invalid"),
    (PERSONAL, "/identity", {"id_number": PERSON}, "not-taken"),
    (PERSONAL, "/subject", None, "subject-missing"),
    (PERSONAL, "/branch", "haifa", "not-taken"),
    (PERSONAL, "/required", "R-0000", "unknown-required"),
    (PERSONAL, "/required", " ", "invalid"),
    (PERSONAL, "/required", "x" * 101, "required-too-long"),
]
# The rules of these are the catalog's, or go beyond what a schema can say.
NOT_IN_THE_SCHEMA = {
    "branch-too-long",
    "duplicate-document",
    "name-not-accepted",
    "not-taken",
    "reference-too-long",
    "remark-too-long",
    "subject-missing",
    "unknown-branch",
    "unknown-category",
    "unknown-destination",
    "unknown-required",
    "unknown-subject",
    "unknown-type",
}


def speaker(sender: Sender, base: Declaration) -> Sender:
    """Whoever may make such a declaration."""
    return sender.signed_in(CLEAR) if base["to"] == "personal" else sender


def changed(base: Declaration, pointer: str, value: object) -> Declaration:
    """Give a declaration in which `value` stands where the JSON pointer leads, one place deep or two."""
    declaration = copy.deepcopy(a_declaration(base))
    *way, last = pointer.split("/")[1:]
    place: Any = declaration
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if isinstance(place, list):
        place[int(last) :] = [value]
    elif value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return declaration


@pytest.mark.parametrize(("base", "pointer", "value", "code"), FAULTS)
def test_a_fault_in_a_declaration_is_named_where_it_stands(
    base: Declaration, pointer: str, value: object, code: str, sender: Sender
) -> None:
    answer = speaker(sender, base).declare(changed(base, pointer, value))
    assert answer.code == "invalid"
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in answer.json["errors"]]


def test_every_code_of_an_error_is_provoked() -> None:
    codes = CONTRACT["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    assert {code for *_, code in FAULTS} == set(codes)


def test_the_schema_of_a_declaration_takes_what_is_right_and_refuses_what_is_wrong() -> None:
    schema = "/components/schemas/Declaration"
    for right in (INSURED, EMPLOYER, PERSONAL, ANSWERING):
        assert not faults(schema, right)
    for base, pointer, value, code in FAULTS:
        if code not in NOT_IN_THE_SCHEMA and value != "000000019":  # nor can a schema count check digits
            assert faults(schema, changed(base, pointer, value)), (pointer, value)


OF_ANOTHER_KIND: tuple[object, ...] = (None, True, 0, -1, 2**53, "", "\n", [], [[]], {}, {"code": "haifa"})


@pytest.mark.parametrize("member", [*INSURED, "identity/id_number", "identity/email", "documents/0"])
def test_a_member_of_another_kind_is_refused_and_breaks_nothing(member: str, sender: Sender) -> None:
    bases = [INSURED, EMPLOYER] if member.startswith("identity") else [INSURED, EMPLOYER, PERSONAL]
    for base, value in itertools.product(bases, OF_ANOTHER_KIND):
        declaration = changed(base, f"/{member}", value)
        if faults("/components/schemas/Declaration", declaration):
            assert speaker(sender, base).declare(declaration, a_key()).code == "invalid", value


@pytest.mark.parametrize("value", [None, *OF_ANOTHER_KIND[1:], INSURED["identity"]], ids=repr)
def test_a_personal_declaration_has_no_identity_whatever_its_value(value: object, sender: Sender) -> None:
    declaration = changed(PERSONAL, "/identity", value)
    assert faults("/components/schemas/Declaration", declaration)
    answer = sender.signed_in(CLEAR).declare(declaration, a_key())
    assert answer.code == "invalid"
    assert [error["pointer"] for error in answer.json["errors"]] == ["/identity"]


@pytest.mark.parametrize("member", ["remark", "branch", "required", "reference", "subject", "identity/email"])
def test_a_member_that_says_nothing_is_there_nevertheless(member: str, sender: Sender) -> None:
    declaration = changed(EMPLOYER, f"/{member}", ABSENT)
    assert faults("/components/schemas/Declaration", declaration)
    assert sender.declare(declaration).code == "invalid"


def test_a_name_without_an_extension_has_no_format(sender: Sender) -> None:
    declaration = a_declaration(documents=[DOCUMENT | {"name": "pdf"}])
    assert sender.declare(declaration).code == "format-not-accepted"


def test_a_declaration_is_written_in_utf_8(sender: Sender) -> None:
    declaration = a_declaration()
    body = json.dumps(declaration).encode("utf-16")
    assert sender.ask("declare", key=key_of(declaration), body=body).code == "malformed"


def test_a_pointer_to_a_stray_member_is_a_json_pointer(sender: Sender) -> None:
    answer = sender.declare(a_declaration(INSURED | {"a/b~c": 1}))
    assert [error["pointer"] for error in answer.json["errors"]] == ["/a~1b~0c"]


# -- (d) addresses -----------------------------------------------------------------------------------------


def test_the_calls_of_openapi_yaml_are_the_routes_of_the_sandbox(tmp_path: Path) -> None:
    store = Store(tmp_path)
    routes: Any = app.Sandbox(store, Accounts(store.database), catalog.BUNDLED.read_bytes()).routes()
    store.close()
    served = {(method, route.path) for route in routes for method in route.methods - {"HEAD"}}
    assert served == {(operation.method, operation.path) for operation in OPERATIONS.values()}


SUBMISSION = "/v1/submissions/{key}"


@pytest.mark.parametrize(
    "path",
    list(CONTRACT["paths"]),
)
def test_other_methods_are_refused_and_the_right_ones_named(path: str, sender: Sender) -> None:
    taken = {operation.method for operation in OPERATIONS.values() if operation.path == path}
    address = path.replace("{key}", a_key()).replace("{sha256}", DIGEST)
    for method in METHODS:
        if method not in taken:
            answer = sender.request(method, address)
            assert answer.status == 405
            check(answer, "/components/responses/MethodNotAllowed")
            assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == taken


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/",
        "/v1/session/",
        "/v1/required/",
        "/v1/required/R-4711",
        "/v1/submissions/",
        "/v2/catalog",
        "/v1/catalog/",
    ],
)
def test_other_addresses_are_not_found_and_lead_nowhere_else(path: str, sender: Sender) -> None:
    answer = sender.request("GET", path)
    assert answer.status == 404
    check(answer, "/components/responses/NotFound")


def test_head_is_taken_wherever_get_is(sender: Sender) -> None:
    key = key_of(sender.opened())
    for operation, one in itertools.product(OPERATIONS.values(), (sender, sender.signed_in(ASKED))):
        if operation.method == "GET":
            address = operation.path.replace("{key}", key)
            head, get = one.request("HEAD", address), one.request("GET", address)
            assert (head.status, head.body) == (get.status, b"")
            assert head.headers.keys() == get.headers.keys()
