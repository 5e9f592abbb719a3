"""`docsend catalog`: search and listing."""

from __future__ import annotations

import pytest

from other_catalogs import CATALOG as RAW

pytestmark = pytest.mark.everywhere

SEARCHES = [
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


@pytest.mark.parametrize(("words", "kind", "code"), SEARCHES)
def test_a_row_is_found_by_words_of_any_language_codes_and_form_numbers(run, words, kind, code) -> None:
    outcome = run("catalog", *words.split(), "--json")
    assert outcome.code == 0
    assert (kind, code) in [(row["kind"], row["code"]) for row in outcome.json["rows"]][:6]


def test_words_that_match_nothing_print_an_empty_result_and_a_message(run) -> None:
    outcome = run("catalog", "zzzzqqq")
    assert (outcome.code, outcome.out) == (0, "")
    assert "nothing in the catalog matches" in outcome.err


def test_with_a_destination_only_its_rows_are_listed(run) -> None:
    rows = run("catalog", "--to", "employer-collection", "--json").json["rows"]
    types = [row["code"] for row in rows if row["kind"] == "type"]
    assert "form-620" in types
    assert "payslips" not in types
    assert not [row for row in rows if row["kind"] == "subject"]


def test_an_unknown_destination_is_a_usage_error_with_the_nearest_one(run) -> None:
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


def test_the_hint_for_an_unknown_branch_lists_the_branches(run, payslip) -> None:
    about = ("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips")
    outcome = run("send", payslip, *about, "--id", "000000018", "--branch", "qqqq", "--json")
    assert outcome.problems == ["unknown-branch"]
    assert "run `docsend catalog branch` to list the codes" in outcome.json["problems"][0]["hint"]
    listed = [row["code"] for row in run("catalog", "branch", "--json").json["rows"]]
    assert set(listed) >= {row["code"] for row in RAW["branches"]}


def test_a_very_long_word_is_searched_without_delay(run) -> None:
    outcome = run("catalog", "pay" * 100_000)
    assert (outcome.code, outcome.out) == (0, "")
