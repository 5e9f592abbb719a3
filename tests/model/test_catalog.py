"""The catalog: every row has its shape, its source and its references; every limit its sentence."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import doubles
import samples
from docsend.model import catalog
from docsend.storage import catalogs

pytestmark = pytest.mark.everywhere

ROOT = Path(__file__).parents[2]
RAW: dict[str, Any] = json.loads(catalog.BUNDLED.read_text(encoding="utf-8"))
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


# -- docsend catalog -------------------------------------------------------------------------------------

FOUND = [
    ("fiches de paie", "type", "payslips"),
    ("תלושי שכר", "type", "payslips"),
    ("payslips", "type", "payslips"),
    ("chomage", "subject", "unemployment"),
    ("CHÔMAGE", "subject", "unemployment"),
    ("unemploymnt", "subject", "unemployment"),
    ("matérnite", "subject", "maternity"),
    ("קִצְבַּת אֶזְרָח וָתִיק", "subject", "old-age"),
    ("אבטלה", "subject", "unemployment"),
    ("1514", "form", "1514"),
    ("1514", "type", "certificate-1514"),
    ("old-age", "subject", "old-age"),
    ("old_age", "subject", "old-age"),
    ("Beer Sheva", "branch", "beer-sheva"),
    ("haïfa", "branch", "haifa"),
    ("caisses de sante", "destination", "health-funds"),
    ("טופס 7801", "form", "7801"),
    ("formulaire 7801", "type", "general-disability-claim"),
    ("form 1514", "type", "certificate-1514"),
    ("branch", "branch", "haifa"),
    ("agences", "branch", "haifa"),
    ("סניפים", "branch", "haifa"),
    ("branch Haifa", "branch", "haifa"),
    ("subjects", "subject", "unemployment"),
    ("la fiche de paie", "type", "payslips"),
    ("bulletin de salaire", "type", "payslips"),
    ("תלוש משכורת", "type", "payslips"),
    ("pay stub", "type", "payslips"),
    ("payslip of november", "type", "payslips"),
    ("de", "destination", "health-funds"),
]


@pytest.mark.parametrize(("words", "kind", "code"), FOUND)
def test_a_row_is_found_by_words_of_any_language_codes_and_form_numbers(run, words, kind, code) -> None:
    outcome = run("catalog", *words.split(), "--json")
    assert outcome.code == 0
    assert (kind, code) in [(row["kind"], row["code"]) for row in outcome.json["rows"]][:6]


def test_words_that_match_nothing_give_an_empty_answer_and_say_so(run) -> None:
    outcome = run("catalog", "zzzzqqq")
    assert (outcome.code, outcome.out) == (0, "")
    assert "nothing in the catalog matches" in outcome.err


def test_one_destination_s_rows_are_listed_alone(run) -> None:
    rows = run("catalog", "--to", "employer-collection", "--json").json["rows"]
    types = [row["code"] for row in rows if row["kind"] == "type"]
    assert "form-620" in types
    assert "payslips" not in types
    assert not [row for row in rows if row["kind"] == "subject"]


def test_an_unknown_destination_is_a_usage_fault_with_the_nearest_one(run) -> None:
    outcome = run("catalog", "--to", "benefit")
    assert outcome.code == 2
    assert "did you mean benefits?" in outcome.err


def test_labels_are_in_the_language_asked_for(run) -> None:
    assert "Chômage" in run("catalog", "unemployment", "--lang", "fr").out
    assert "אבטלה" in run("catalog", "unemployment", "--lang", "he").out


def test_the_whole_catalog_is_listed_with_status_and_source(run) -> None:
    rows = run("catalog", "--json").json["rows"]
    assert len(rows) > 300
    assert all(row["status"] and row["source"] for row in rows)


# -- docsend catalog --update ----------------------------------------------------------------------------


@pytest.fixture
def another_catalog():
    """Serve a catalog of one's own under the ETag "one"; give the address and the requests."""
    with contextlib.ExitStack() as stack:

        def serve(body: bytes) -> tuple[str, list[doubles.Asked]]:
            def answer(asked: doubles.Asked) -> doubles.Reply:
                if asked.headers.get("if-none-match") == '"one"':
                    return doubles.Reply(304, headers={"ETag": '"one"'})
                return doubles.Reply(200, body, {"ETag": '"one"', "Content-Type": "application/json"})

            return stack.enter_context(doubles.service(answer))

        yield serve


def test_the_service_s_catalog_replaces_the_bundled_one_limits_included(
    run, tmp_path, another_catalog
) -> None:
    smaller = json.loads(json.dumps(RAW))
    smaller["version"] = "2027-01-01"
    smaller["destinations"][0]["max_document_bytes"] = 2 * 2**20
    url, requests = another_catalog(json.dumps(smaller).encode())
    big = samples.write(tmp_path, "big.pdf", samples.pdf(size=3 * 2**20))
    about = ("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips")
    arguments = ("send", big, *about, "--id", "000000018", "-n", "--json", "--service", url)
    assert run(*arguments).code == 0
    updated = run("catalog", "--update", "--service", url)
    assert (updated.code, "2027-01-01 is in force" in updated.err) == (0, True)
    refused = run(*arguments)
    assert (refused.code, refused.problems) == (3, ["document-too-large"])
    assert "2 MB" in refused.json["problems"][0]["message"]
    again = run("catalog", "--update", "--service", url)
    assert (again.code, "current one" in again.err) == (0, True)
    assert [request.headers.get("if-none-match") for request in requests] == [None, '"one"']


def test_a_catalog_that_is_none_is_not_put_in_force(run, another_catalog) -> None:
    url, _ = another_catalog(b'{"schema": "docsend.catalog/1", "destinations": []}')
    outcome = run("catalog", "--update", "--service", url)
    assert outcome.code == 6
    assert "stays in force" in outcome.err
    assert run("catalog", "unemployment", "--service", url).code == 0


def test_the_sandbox_gives_out_the_bundled_catalog(run, shared_sandbox) -> None:
    assert run("catalog", "--update", "--service", shared_sandbox.url).code == 0
    outcome = run("catalog", "--update", "--service", shared_sandbox.url)
    assert "current one" in outcome.err


def test_the_branches_are_listed_as_the_hint_of_an_unknown_one_says(run, payslip) -> None:
    about = ("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips")
    outcome = run("send", payslip, *about, "--id", "000000018", "--branch", "qqqq", "--json")
    assert outcome.problems == ["unknown-branch"]
    assert "`docsend catalog branch` lists them" in outcome.json["problems"][0]["hint"]
    listed = [row["code"] for row in run("catalog", "branch", "--json").json["rows"]]
    assert set(listed) >= {row["code"] for row in RAW["branches"]}


def test_an_etag_that_is_none_costs_one_download(run, home, another_catalog) -> None:
    url, requests = another_catalog(json.dumps(RAW).encode())
    update = ("catalog", "--update", "--service", url)
    assert run(*update).code == 0
    (etag,) = (home / "docsend" / "catalogs").glob("*.etag")
    for odd in (b"\xff\xfe", b'"one"\r\nX-Injected: 1', b""):
        etag.write_bytes(odd)
        assert run(*update).code == 0
        assert requests[-1].headers.get("if-none-match") is None
        assert "x-injected" not in requests[-1].headers
    etag.unlink()
    etag.mkdir()
    outcome = run(*update)
    assert outcome.code == 8
    assert "the catalog cannot be kept in" in outcome.err


@pytest.mark.parametrize("etag", ['"\u00e9"', ""], ids=ascii)
def test_a_service_s_etag_that_no_header_may_have_is_not_the_contract(run, etag) -> None:
    reply = doubles.Reply(200, json.dumps(RAW).encode(), {"ETag": etag, "Content-Type": "application/json"})
    with doubles.service(lambda _: reply) as (url, _):
        assert run("catalog", "--update", "--service", url).code == 6


# -- a catalog that cannot be read -------------------------------------------------------------------------


def _as_pipe(file: Path) -> None:
    file.unlink()
    samples.pipe(file)


def _as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _as_link_to(target: Path):
    def make(file: Path) -> None:
        file.unlink()
        file.symlink_to(target)

    return make


_UNREADABLE = {
    "damaged": lambda file: file.write_bytes(file.read_bytes()[:1000]),
    "not UTF-8": lambda file: file.write_bytes(b"\xff"),
    "huge": lambda file: file.write_bytes(b" " * (9 * 2**20)),
    "a pipe": _as_pipe,
    "a folder": _as_folder,
    "a device without an end": _as_link_to(Path("/dev/zero")),
    "a link to itself": lambda file: _as_link_to(file)(file),
}


@pytest.mark.parametrize("kind", _UNREADABLE)
def test_a_stored_catalog_that_cannot_be_read_is_named_and_update_heals_it(
    spawn, shared_sandbox, home, kind
) -> None:
    service = ("--service", shared_sandbox.url)
    assert spawn("catalog", "--update", *service).code == 0
    (file,) = (home / "docsend" / "catalogs").glob("*.json")
    _UNREADABLE[kind](file)
    outcome = spawn("catalog", "payslips", *service, timeout=20)
    assert outcome.code == 8
    assert f"the stored catalog {file} cannot be read: " in outcome.err
    assert "`docsend catalog --update` fetches it anew" in outcome.err
    if kind == "a folder":
        file.rmdir()  # which nothing replaces by itself
    assert spawn("catalog", "--update", *service, timeout=20).code == 0
    assert spawn("catalog", "payslips", *service).code == 0


def test_the_catalog_that_ships_with_docsend_is_mended_by_installing_it_again(
    run, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(catalog, "BUNDLED", tmp_path / "catalog.json")
    for content in (None, b"{}"):
        if content is not None:
            catalog.BUNDLED.write_bytes(content)
        outcome = run("catalog", "payslips")
        assert outcome.code == 8
        assert "the catalog that ships with docsend cannot be read: " in outcome.err
        assert "install docsend again" in outcome.err
        assert "None" not in outcome.err
        assert "--update" not in outcome.err
        (found,) = [each for each in run("doctor", "--json").json["findings"] if each["part"] == "catalog"]
        assert (found["severity"], found["hint"]) == ("error", "install docsend again")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("destinations", 0, "code"), "x" * 101),
        (("subjects", 0, "labels", "he"), "x" * 501),
        (("types", 0, "source"), "x" * 2001),
        (("version",), "x" * 101),
        (("destinations", 0, "formats"), ["pdf"] * 201),
        (("destinations",), [RAW["destinations"][0]] * 201),
        (("forms",), [{**RAW["forms"][0], "number": str(number)} for number in range(10_001)]),
    ],
    ids=["a code", "a label", "a text", "the version", "formats", "destinations", "forms"],
)
def test_every_text_and_list_of_a_catalog_has_its_limit(where, value) -> None:
    changed = json.loads(json.dumps(RAW))
    *path, last = where
    at = changed
    for step in path:
        at = at[step]
    at[last] = value
    with pytest.raises(catalog.MalformedCatalog):
        catalog.Catalog(json.dumps(changed).encode())
    if where == ("destinations",):
        return  # the others are needed
    at[last] = value[:-1]
    catalog.Catalog(json.dumps(changed).encode())


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        (("types", 0, "labels", "he"), "שכר\x1b[31m", "characters that cannot be shown"),
        (("version",), "2027\u202e", "characters that cannot be shown"),
        (("subjects", 0, "labels", "en"), "half of a character \ud800", "characters that cannot be shown"),
        (("destinations", 0, "formats"), [], "takes no format"),
        (("subjects",), [RAW["subjects"][0]] * 2, "stands in it twice"),
        (("forms", 0, "url"), "javascript:alert(1)", "does not begin with https://"),
        (("forms", 0, "labels"), {"en": "Form"}, "its fr is missing"),
        (("branches",), {}, "has not the form of a catalog"),
        (("destinations", 0, "max_document_bytes"), 1.5, "has not the form of a catalog"),
    ],
)
def test_a_catalog_says_what_is_wrong_with_it(run, another_catalog, where, value, why) -> None:
    changed = json.loads(json.dumps(RAW))
    *path, last = where
    at = changed
    for step in path:
        at = at[step]
    at[last] = value
    url, _ = another_catalog(json.dumps(changed).encode())
    outcome = run("catalog", "--update", "--service", url)
    assert (outcome.code, why in outcome.err) == (6, True), outcome.err
    assert "\x1b" not in outcome.err


@pytest.mark.parametrize("body", [b'{"version": "1", "version": "2"}', b"[" * 100_000, b"\xff"])
def test_a_catalog_that_is_no_json_object_is_not_the_contract(run, another_catalog, body) -> None:
    url, _ = another_catalog(body)
    outcome = run("catalog", "--update", "--service", url)
    assert (outcome.code, "not what the contract says" in outcome.err) == (6, True), outcome.err


def test_a_word_of_any_length_is_looked_for_at_once(run) -> None:
    found = run("catalog", "pay" * 100_000)
    assert (found.code, found.out) == (0, "")
