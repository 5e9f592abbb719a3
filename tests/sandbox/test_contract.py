"""The contract: openapi.yaml is valid, the commands of docs/contract.md work, no other address is served."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openapi_spec_validator
import pytest

import walkthrough
from contract_client import ASKED, DIGEST, Sender, check, new_key
from docsend.model import catalog
from docsend.model.canonical import key_of
from docsend.sandbox import app
from docsend.sandbox.accounts import Accounts
from docsend.sandbox.store import Store
from openapi import CONTRACT, METHODS, OPERATIONS, PREFIX, schema_errors

if TYPE_CHECKING:
    from conftest import RunningSandbox

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contract.md").read_text("utf-8")


@pytest.fixture(scope="module")
def sender(shared_sandbox: RunningSandbox) -> Sender:
    return Sender(shared_sandbox.url)


def test_openapi_yaml_is_valid_openapi_3_1() -> None:
    assert CONTRACT["openapi"].startswith("3.1.")
    openapi_spec_validator.validate(CONTRACT, cls=openapi_spec_validator.OpenAPIV31SpecValidator)


def test_openapi_yaml_and_the_page_list_the_same_problem_types() -> None:
    schemas = CONTRACT["components"]["schemas"]
    problems = {
        (schema["properties"]["status"]["const"], schema["properties"]["type"]["const"])
        for name, schema in schemas.items()
        if name.startswith("Problem.")
    }
    assert {type_ for _, type_ in problems} == set(schemas["Problem"]["properties"]["type"]["enum"])
    page = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert {(int(status), PREFIX + code) for status, code in page} == problems


def test_the_page_names_the_members_of_a_declaration_and_the_calls() -> None:
    schemas = CONTRACT["components"]["schemas"]
    members = set(re.findall(r"^\|(?: insured person | employer | )?\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
    identities = set(schemas["InsuredIdentity"]["properties"]) | set(
        schemas["EmployerIdentity"]["properties"]
    )
    assert identities <= members
    table = PAGE.partition("## A declaration")[2].partition("### An identity")[0]
    assert set(re.findall(r"^\| `([a-z0-9_]+)` \|", table, re.MULTILINE)) == set(
        schemas["Declaration"]["properties"]
    )
    calls = set(re.findall(r"^\| `([A-Z]+) (/v1/[^`]+)`", PAGE, re.MULTILINE))
    assert calls == {(operation.method, operation.path) for operation in OPERATIONS.values()}


def test_the_examples_match_their_schemas_and_have_the_right_key() -> None:
    examples = {name: example["value"] for name, example in CONTRACT["components"]["examples"].items()}
    schemas = {
        "InsuredDeclaration": "Declaration",
        "EmployerDeclaration": "Declaration",
        "PersonalDeclaration": "Declaration",
        "Credentials": "Credentials",
        "Session": "Session",
        "Required": "Required",
        "Open": "SubmissionStatus.open",
        "Withdrawn": "SubmissionStatus.withdrawn",
        "Receipt": "Receipt",
        "Invalid": "Problem.invalid",
        "Pending": "Problem.required-documents-pending",
    }
    for name, value in examples.items():
        assert not schema_errors(f"/components/schemas/{schemas[name]}", value), name
    assert key_of(examples["InsuredDeclaration"]) == examples["Receipt"]["key"]
    assert f"\n{key_of(examples['PersonalDeclaration'] | {'account': ASKED})}\n" in PAGE


# -- docs/contract.md --------------------------------------------------------------------------------------


def test_the_comparison_of_output_finds_differences() -> None:
    assert walkthrough.matches('{"state":"open",…}\n201\n', '{"state":"open","missing":[]}\n201')
    assert not walkthrough.matches("201\n", "200\n")
    assert not walkthrough.matches("20\n", "201\n")
    assert not walkthrough.matches("201\n", "201\n201\n")
    assert not walkthrough.matches("", "curl: (7) Failed to connect\n")


@pytest.mark.needs("curl", "jq", "openssl")
def test_the_commands_of_the_page_print_what_it_shows(sandbox: RunningSandbox, tmp_path: Path) -> None:
    assert len(walkthrough.blocks(PAGE)) > 30
    path = f"{walkthrough.make_command(tmp_path)}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "SERVICE": sandbox.url, "TMPDIR": str(tmp_path), "PATH": path}
    walkthrough.run(PAGE, folder=tmp_path, at=ROOT, environment=environment)
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
def test_other_methods_are_refused_and_the_allowed_ones_are_named(path: str, sender: Sender) -> None:
    allowed = {operation.method for operation in OPERATIONS.values() if operation.path == path}
    address = path.replace("{key}", new_key()).replace("{sha256}", DIGEST)
    for method in METHODS:
        if method not in allowed:
            response = sender.request(method, address)
            assert response.status == 405
            check(response, "/components/responses/MethodNotAllowed")
            assert set(response.headers["allow"].split(", ")) - {"HEAD"} == allowed


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
def test_other_addresses_are_not_found_and_not_redirected(path: str, sender: Sender) -> None:
    response = sender.request("GET", path)
    assert response.status == 404
    check(response, "/components/responses/NotFound")


def test_head_is_supported_wherever_get_is(sender: Sender) -> None:
    key = key_of(sender.open_submission())
    for operation, one in itertools.product(OPERATIONS.values(), (sender, sender.as_account(ASKED))):
        if operation.method == "GET":
            address = operation.path.replace("{key}", key)
            head, get = one.request("HEAD", address), one.request("GET", address)
            assert (head.status, head.body) == (get.status, b"")
            assert head.headers.keys() == get.headers.keys()
