"""Errors in declarations are reported with a code and a JSON pointer."""

from __future__ import annotations

import copy
import importlib
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import PERSON
from contract_client import (
    ANSWERING,
    CATALOG,
    CLEAR,
    DOCUMENT,
    EMPLOYER,
    INSURED,
    PERSONAL,
    Sender,
    new_declaration,
    new_key,
)
from docsend.model.canonical import key_of
from docsend.sandbox import declaration
from docsend.storage import catalogs
from openapi import CONTRACT, schema_errors

if TYPE_CHECKING:
    from conftest import RunningSandbox
    from contract_client import Declaration


@pytest.fixture(scope="module")
def sender(shared_sandbox: RunningSandbox) -> Sender:
    return Sender(shared_sandbox.url)


ABSENT = object()

# A valid declaration, the JSON pointer of a member, its wrong value, and the code of the expected error.
ERRORS: list[tuple[Declaration, str, object, str]] = [
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
    (INSURED, "/documents/0", DOCUMENT | {"path": "/tmp"}, "invalid"),  # noqa: S108 - it is not used as a path
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
# The rules for these depend on the catalog, or cannot be expressed in a schema.
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


def sender_for(sender: Sender, base: Declaration) -> Sender:
    """Return a sender that may make this declaration: signed in for a personal one."""
    return sender.as_account(CLEAR) if base["to"] == "personal" else sender


def changed(base: Declaration, pointer: str, value: object) -> Declaration:
    """Return a new declaration with `value` at a JSON pointer, which may be one or two levels deep."""
    declaration = copy.deepcopy(new_declaration(base))
    *parents, last = pointer.split("/")[1:]
    node: Any = declaration
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node[name]
    if isinstance(node, list):
        node[int(last) :] = [value]
    elif value is ABSENT:
        del node[last]
    else:
        node[last] = value
    return declaration


@pytest.mark.parametrize(("base", "pointer", "value", "code"), ERRORS)
def test_an_error_in_a_declaration_is_reported_with_its_pointer(
    base: Declaration, pointer: str, value: object, code: str, sender: Sender
) -> None:
    response = sender_for(sender, base).declare(changed(base, pointer, value))
    assert response.code == "invalid"
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in response.json["errors"]]


def test_the_table_has_every_error_code() -> None:
    codes = CONTRACT["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    assert {code for *_, code in ERRORS} == set(codes)


def test_the_schema_accepts_valid_declarations_and_refuses_invalid_ones() -> None:
    schema = "/components/schemas/Declaration"
    for right in (INSURED, EMPLOYER, PERSONAL, ANSWERING):
        assert not schema_errors(schema, right)
    for base, pointer, value, code in ERRORS:
        if code not in NOT_IN_THE_SCHEMA and value != "000000019":  # a schema cannot check the check digit
            assert schema_errors(schema, changed(base, pointer, value)), (pointer, value)


WRONG_TYPES: tuple[object, ...] = (None, True, 0, -1, 2**53, "", "\n", [], [[]], {}, {"code": "haifa"})


@pytest.mark.parametrize("member", [*INSURED, "identity/id_number", "identity/email", "documents/0"])
def test_a_value_of_the_wrong_type_is_refused_as_invalid(member: str, sender: Sender) -> None:
    bases = [INSURED, EMPLOYER] if member.startswith("identity") else [INSURED, EMPLOYER, PERSONAL]
    for base, value in itertools.product(bases, WRONG_TYPES):
        declaration = changed(base, f"/{member}", value)
        if schema_errors("/components/schemas/Declaration", declaration):
            assert sender_for(sender, base).declare(declaration, new_key()).code == "invalid", value


@pytest.mark.parametrize("value", [None, *WRONG_TYPES[1:], INSURED["identity"]], ids=repr)
def test_a_personal_declaration_has_no_identity_whatever_its_value(value: object, sender: Sender) -> None:
    declaration = changed(PERSONAL, "/identity", value)
    assert schema_errors("/components/schemas/Declaration", declaration)
    response = sender.as_account(CLEAR).declare(declaration, new_key())
    assert response.code == "invalid"
    assert [error["pointer"] for error in response.json["errors"]] == ["/identity"]


@pytest.mark.parametrize("member", ["remark", "branch", "required", "reference", "subject", "identity/email"])
def test_an_optional_member_must_be_null_and_not_omitted(member: str, sender: Sender) -> None:
    declaration = changed(EMPLOYER, f"/{member}", ABSENT)
    assert schema_errors("/components/schemas/Declaration", declaration)
    assert sender.declare(declaration).code == "invalid"


def test_a_name_without_an_extension_has_no_format(sender: Sender) -> None:
    declaration = new_declaration(documents=[DOCUMENT | {"name": "pdf"}])
    assert sender.declare(declaration).code == "format-not-accepted"


def test_a_declaration_must_be_utf_8(sender: Sender) -> None:
    declaration = new_declaration()
    body = json.dumps(declaration).encode("utf-16")
    assert sender.call("declare", key=key_of(declaration), body=body).code == "malformed"


def test_the_name_of_an_unknown_member_is_escaped_in_the_json_pointer(sender: Sender) -> None:
    response = sender.declare(new_declaration(INSURED | {"a/b~c": 1}))
    assert [error["pointer"] for error in response.json["errors"]] == ["/a~1b~0c"]


def test_the_declaration_of_the_benchmarks_without_docsend_is_valid(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent.parent / "bench"))
    declared = importlib.import_module("submissions")._declaration([("a.pdf", 1, "0" * 64)], "run 1")
    read = declaration.validate(json.loads(declared), catalogs.load())
    assert [document.name for document in read.documents] == ["a.pdf"]
