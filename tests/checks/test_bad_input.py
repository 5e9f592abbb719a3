"""Bad input is refused before a byte leaves: every fault at once, with its code, its cure, an exit code."""

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


@pytest.mark.parametrize("case", bad_input.CASES, ids=lambda case: case.what.replace(" ", "-"))
def test_bad_input_gets_its_codes_its_cure_and_its_exit_code(case: bad_input.Case) -> None:
    seen = bad_input.run_case(case)
    assert [
        problem["code"] for problem in seen.result["problems"] if problem["severity"] == case.severity
    ] == case.codes
    assert seen.exit_code == case.exit_code
    assert seen.result["status"] == {0: "checked", 3: "faulty"}.get(case.exit_code, "failed")
    assert seen.result["receipt"] is None
    for problem in seen.result["problems"]:
        assert problem["message"]
        assert problem["hint"], "a problem comes with a cure"
        assert problem["code"] in seen.err or problem["message"] in seen.err


def test_no_identity_number_is_in_what_bad_input_gets() -> None:
    for case in bad_input.CASES:
        seen = bad_input.run_case(case)
        numbers = ("000000018", "000000019", "0501234567", "026709070", "12345", "71 34")
        files = ("900000019", "900000018", "90000001O", "90000000", "9999999999999999")
        for secret in (*numbers, *files, "secret"):
            assert secret not in seen.err
            assert secret not in str(seen.result)


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
def test_a_number_that_was_said_in_the_wrong_place_is_not_shown(option, code) -> None:
    words = [*bad_input.EMPLOYER, *bad_input.EMPLOYER_WHO]
    said = {**dict(zip(words[::2], words[1::2], strict=True)), option: "00000000000000000018"}
    options = [word for pair in said.items() for word in pair]
    seen = bad_input.run_case(bad_input.Case("a number in the wrong place", [code], options=options))
    assert code in [problem["code"] for problem in seen.result["problems"]]
    assert "0018" not in seen.err + str(seen.result)


def test_the_readme_shows_what_bad_input_really_gets() -> None:
    assert bad_input.PART.shown() == bad_input.table(), "run python tests/bad_input.py"


def test_a_file_without_permission_is_refused_also_where_only_its_owner_may_enter_the_checkout(
    tmp_path,
) -> None:
    folder = tmp_path / "owner"
    folder.mkdir(mode=0o700)
    shutil.copytree(Path(docsend.__file__).parent, folder / "docsend")
    script = (
        "import bad_input, docsend\n"
        "(case,) = (case for case in bad_input.CASES if case.as_nobody)\n"
        "print(docsend.__file__, bad_input.observe(case).result['problems'][0]['code'])"
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
def test_check_digits_are_those_that_stdnum_knows(number) -> None:
    assert has_check_digit(number) == luhn.is_valid(number)


@given(st.text("0123456789", min_size=9, max_size=9))
def test_identity_numbers_are_those_that_stdnum_knows(number) -> None:
    problems = submission_rules.identity_problems("insured", {"id": number}, catalogs.load())
    assert ([problem.code for problem in problems] == []) == idnr.is_valid(number)


def test_every_field_is_judged_by_the_catalog_or_has_a_rule() -> None:
    assert set(field_rules.RULES) == {field.name for field in fields.FIELDS if not field.is_catalog_code}
