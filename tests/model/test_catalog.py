"""The catalog: every row has its shape, its source and its references; every limit its sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from docsend.model import catalog
from docsend.storage import catalogs
from other_catalogs import CATALOG as RAW

pytestmark = pytest.mark.everywhere

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((catalog.BUNDLED.parent / "catalog.schema.json").read_text(encoding="utf-8"))
SEED = (ROOT / "tools" / "catalog" / "seed.txt").read_text(encoding="utf-8")


def test_every_row_keeps_the_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(RAW, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_schema_bites() -> None:
    broken = json.loads(json.dumps(RAW))
    del broken["types"][0]["source"]
    with pytest.raises(jsonschema.ValidationError, match="source"):
        jsonschema.validate(broken, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_catalog_is_what_its_tables_and_the_seed_make() -> None:
    subprocess.run([sys.executable, ROOT / "tools" / "catalog" / "build.py", "--check"], check=True)


def test_it_holds_what_the_seed_names() -> None:
    assert [row["code"] for row in RAW["destinations"]] == [
        "benefits",
        "insured-collection",
        "employer-collection",
        "health-funds",
        "personal",
    ]
    assert len(RAW["subjects"]) >= 24
    assert len(RAW["types"]) >= 100
    assert len(RAW["forms"]) >= 100


@pytest.mark.parametrize("value", [None, 1, 2**53])
def test_one_exchange_has_a_limit_or_is_not_offered(value: int | None) -> None:
    without = {name: kept for name, kept in RAW.items() if name != "one_exchange_bytes"}
    assert catalog.Catalog(json.dumps(without).encode()).one_exchange_bytes is None
    stated = json.dumps(RAW | {"one_exchange_bytes": value}).encode()
    assert catalog.Catalog(stated).one_exchange_bytes == value


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True, [], 2**53 + 1])
def test_a_limit_of_one_exchange_that_is_no_size_makes_no_catalog(value: object) -> None:
    with pytest.raises(catalog.MalformedCatalog):
        catalog.Catalog(json.dumps(RAW | {"one_exchange_bytes": value}).encode())


# What each number of a limit looks like in the seed's words.
@pytest.mark.parametrize("row", RAW["destinations"], ids=lambda row: row["code"])
def test_every_limit_stands_in_its_sentence_of_the_seed(row: dict[str, Any]) -> None:
    sentences = row["sentences"]
    assert all(sentence in SEED for sentence in sentences.values())
    named = {name.lower() for name in re.findall(r"\b[A-Z]{3,4}\b", sentences["formats"])}
    assert named == set(row["formats"])
    (megabytes,) = map(int, re.findall(r"(\d+) Mo\b", sentences["max_document_bytes"]))
    assert row["max_document_bytes"] == megabytes * 2**20
    assert row["near_document_bytes"] == megabytes * 10**6
    if row["max_documents"] is None:
        assert "max_documents" not in sentences
    else:
        assert f"jusqu'à {row['max_documents']} documents différents" in sentences["max_documents"]


def test_every_reference_is_to_a_code_that_exists() -> None:
    destinations = {row["code"] for row in RAW["destinations"]}
    subjects = {row["code"] for row in RAW["subjects"]}
    categories = {row["code"] for row in RAW["categories"]}
    for row in RAW["subjects"]:
        assert set(row["to"]) <= destinations
    for row in RAW["types"]:
        assert set(row["to"]) <= destinations | {"*"}
        assert row["subject"] in subjects | {None, "*"}
        assert row["category"] in categories
    for row in RAW["forms"]:
        assert row["subject"] in subjects | destinations | {"general"}
    assert {row["category"] for row in RAW["types"]} == categories


def test_a_type_s_code_is_unique_wherever_it_fits() -> None:
    known = catalogs.load()
    for destination in known.destinations.values():
        subjects = known.subjects_of(destination.code)
        for subject in [subject.code for subject in subjects] if destination.needs_subject else [None]:
            codes = [type_.code for type_ in known.types_of(destination.code, subject)]
            assert codes
            assert len(codes) == len(set(codes))


def test_only_a_confirmed_online_form_with_an_address_refuses() -> None:
    for type_ in catalogs.load().types:
        if type_.online is not None and type_.online.is_confirmed:
            assert type_.online.url
            assert type_.online.url.startswith("https://")
            assert type_.online.url.isascii()
            assert " " not in type_.online.url
