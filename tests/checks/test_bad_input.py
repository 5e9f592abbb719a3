"""Bad input is refused before anything is sent, with the code and hint of every problem."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.il import idnr

import bad_input
import docsend
from docsend.checks import field_rules, submission_rules
from docsend.model import fields
from docsend.model.identity import has_check_digit
from docsend.storage import catalogs


@pytest.mark.parametrize("case", bad_input.CASES, ids=lambda case: case.description.replace(" ", "-"))
def test_bad_input_gets_its_codes_its_hint_and_its_exit_code(case: bad_input.Case) -> None:
    outcome = bad_input.run_case(case)
    assert [
        problem["code"] for problem in outcome.json["problems"] if problem["severity"] == case.severity
    ] == case.codes
    assert outcome.exit_code == case.exit_code
    assert outcome.json["status"] == {0: "checked", 3: "faulty"}.get(case.exit_code, "failed")
    assert outcome.json["receipt"] is None
    for problem in outcome.json["problems"]:
        assert problem["message"]
        assert problem["hint"], "every problem has a hint"
        assert problem["code"] in outcome.err or problem["message"] in outcome.err


def test_no_identity_number_is_shown_for_bad_input() -> None:
    for case in bad_input.CASES:
        outcome = bad_input.run_case(case)
        numbers = ("000000018", "000000019", "0501234567", "026709070", "12345", "71 34")
        files = ("900000019", "900000018", "90000001O", "90000000", "9999999999999999")
        for secret in (*numbers, *files, "secret"):
            assert secret not in outcome.err
            assert secret not in str(outcome.json)


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ("--to", "unknown-destination"),
        ("--category", "unknown-category"),
        ("--type", "unknown-type"),
        ("--branch", "unknown-branch"),
        ("--employer-kind", "unknown-employer-kind"),
        ("--occurrence", "occurrence-invalid"),
    ],
)
def test_a_number_that_was_given_in_the_wrong_option_is_not_shown(option, code) -> None:
    words = [*bad_input.EMPLOYER, *bad_input.EMPLOYER_WHO]
    values = {**dict(zip(words[::2], words[1::2], strict=True)), option: "00000000000000000018"}
    options = [word for pair in values.items() for word in pair]
    outcome = bad_input.run_case(bad_input.Case("a number in the wrong option", [code], options=options))
    assert code in [problem["code"] for problem in outcome.json["problems"]]
    assert "0018" not in outcome.err + str(outcome.json)


def test_the_page_shows_the_results_of_bad_input() -> None:
    assert bad_input.PART.current_text() == bad_input.table(), "run python tests/bad_input.py"


def test_an_unreadable_file_is_refused_even_if_only_root_can_enter_the_checkout(
    tmp_path,
) -> None:
    folder = tmp_path / "owner"
    folder.mkdir(mode=0o700)
    shutil.copytree(Path(docsend.__file__).parent, folder / "docsend")
    script = (
        "import bad_input, docsend\n"
        "(case,) = (case for case in bad_input.CASES if case.respects_permissions)\n"
        "print(docsend.__file__, bad_input.run_case(case).json['problems'][0]['code'])"
    )
    path = os.pathsep.join(map(str, (folder, Path(__file__).parents[1])))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{folder / 'docsend' / '__init__.py'} unreadable-document\n"


@given(st.text("0123456789", min_size=1, max_size=20))
def test_check_digits_agree_with_stdnum(number) -> None:
    assert has_check_digit(number) == luhn.is_valid(number)


@given(st.text("0123456789", min_size=9, max_size=9))
def test_identity_numbers_agree_with_stdnum(number) -> None:
    problems = submission_rules.identity_problems("insured", {"id": number}, catalogs.load())
    assert ([problem.code for problem in problems] == []) == idnr.is_valid(number)


def test_every_field_is_a_catalog_code_or_has_a_rule() -> None:
    assert set(field_rules.RULES) == {field.name for field in fields.FIELDS if not field.is_catalog_code}
