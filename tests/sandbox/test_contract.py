"""The contract: openapi.yaml is valid, docs/contract.md plays as written, no other address is served."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openapi_spec_validator
import pytest

import walkthrough
from contract_client import ASKED, DIGEST, Sender, a_key, check
from docsend.model import catalog
from docsend.model.canonical import key_of
from docsend.sandbox import app
from docsend.sandbox.accounts import Accounts
from docsend.sandbox.store import Store
from openapi import CONTRACT, METHODS, OPERATIONS, PREFIX, faults

if TYPE_CHECKING:
    from conftest import RunningSandbox

ROOT = Path(__file__).parents[2]
WALK = (ROOT / "docs" / "contract.md").read_text("utf-8")


@pytest.fixture(scope="module")
def sender(shared_sandbox: RunningSandbox) -> Sender:
    return Sender(shared_sandbox.url)


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
