"""A fault in a declaration is named where it stands."""

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
    a_declaration,
    a_key,
)
from docsend.model.canonical import key_of
from docsend.sandbox import declaration
from docsend.storage import catalogs
from openapi import CONTRACT, faults

if TYPE_CHECKING:
    from conftest import RunningSandbox
    from contract_client import Declaration


@pytest.fixture(scope="module")
def sender(shared_sandbox: RunningSandbox) -> Sender:
    return Sender(shared_sandbox.url)


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


def test_what_the_benchmarks_declare_without_docsend_is_a_declaration(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent.parent / "bench"))
    declared = importlib.import_module("submissions")._declaration([("a.pdf", 1, "0" * 64)], "run 1")
    read = declaration.validate(json.loads(declared), catalogs.load())
    assert [document.name for document in read.documents] == ["a.pdf"]
