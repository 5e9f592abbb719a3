"""The catalog: every entry matches the schema and its references; every limit matches its source."""

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


def test_the_catalog_matches_the_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(RAW, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_schema_rejects_an_entry_without_a_source() -> None:
    broken = json.loads(json.dumps(RAW))
    del broken["types"][0]["source"]
    with pytest.raises(jsonschema.ValidationError, match="source"):
        jsonschema.validate(broken, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_catalog_is_generated_from_its_tables_and_the_seed() -> None:
    subprocess.run([sys.executable, ROOT / "tools" / "catalog" / "build.py", "--check"], check=True)


def test_the_catalog_has_the_destinations_of_the_seed() -> None:
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
def test_the_limit_of_one_exchange_is_optional(value: int | None) -> None:
    without = {name: member for name, member in RAW.items() if name != "one_exchange_bytes"}
    assert catalog.Catalog(json.dumps(without).encode()).one_exchange_bytes is None
    content = json.dumps(RAW | {"one_exchange_bytes": value}).encode()
    assert catalog.Catalog(content).one_exchange_bytes == value


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True, [], 2**53 + 1])
def test_an_invalid_limit_of_one_exchange_is_rejected(value: object) -> None:
    with pytest.raises(catalog.MalformedCatalog):
        catalog.Catalog(json.dumps(RAW | {"one_exchange_bytes": value}).encode())


@pytest.mark.parametrize("row", RAW["destinations"], ids=lambda row: row["code"])
def test_every_limit_matches_its_sentence_in_the_seed(row: dict[str, Any]) -> None:
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


def test_every_reference_is_a_code_that_exists() -> None:
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


def test_type_codes_are_unique_for_each_destination_and_subject() -> None:
    loaded = catalogs.load()
    for destination in loaded.destinations.values():
        subjects = loaded.subjects_of(destination.code)
        for subject in [subject.code for subject in subjects] if destination.needs_subject else [None]:
            codes = [type_.code for type_ in loaded.types_of(destination.code, subject)]
            assert codes
            assert len(codes) == len(set(codes))


def test_every_confirmed_online_form_has_an_https_url() -> None:
    for type_ in catalogs.load().types:
        if type_.online is not None and type_.online.is_confirmed:
            assert type_.online.url
            assert type_.online.url.startswith("https://")
            assert type_.online.url.isascii()
            assert " " not in type_.online.url
