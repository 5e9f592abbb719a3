"""The key depends on the content only. The vectors are fixed: changing one would break the contract."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import pickle
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import docsend
from conftest import PERSON
from declarations import DECLARATION, checked_submission
from docsend.model.canonical import canonicalize, key_of
from docsend.model.submission import CheckedSubmission, Submission

if TYPE_CHECKING:
    from docsend.model.canonical import Json

EMPLOYER = {
    "employer_file": "900000019",
    "employer_kind": "deduction",
    "booklet": "77431",
    "mobile": "0501234567",
    "email": None,
}
VECTORS = [
    ({}, "C6PBC5WVT2X6BCIRE2EE2M3K7Q5KZGJMW3JJ6BSTCAYJEIESSFFQ"),
    ({"occurrence": 2}, "TXCIO4XVMPCAZQ3YIY2JNKJ4X5Y2NCO6ENUZD5SRDABWZ3WZYIZA"),
    (
        {"remark": 'שלום, à bientôt; "quoted"\n\\ and \u2028'},
        "OQ5UKC2UWDVIJM2DJABUPGSIC7IBFXIXC5TBSPEHQ2GUZ6VNJ5EA",
    ),
    (
        {"to": "employer-collection", "subject": None, "identity": EMPLOYER},
        "JQQQTK7U54HERRUIWBFLMHKUKAORHMIEQCZ4FOH6ILNKDAZ4I22Q",
    ),
    ({"reference": "client 4711", "branch": "haifa"}, "BUNDRKOMMMR3ME6HVK4GG7IXGDEFIFYL3Z5IGTE33AT3RI6ZSOPA"),
    (
        {"documents": [{"name": "תלוש.pdf", "bytes": 10485760, "sha256": "f" * 64}]},
        "7VR3DNJC4O3TA65L45FXK5RFZWXFK5GC6NE52BLOQVVCDOCB4MRA",
    ),
]


@pytest.mark.parametrize(("changes", "key"), VECTORS)
def test_the_key_of_a_declaration_is_fixed(changes, key) -> None:
    assert key_of({**DECLARATION, **changes}) == key


@pytest.mark.needs("jq")
@pytest.mark.parametrize(("changes", "key"), VECTORS)
def test_other_tools_compute_the_same_key(changes, key) -> None:
    text = json.dumps({**DECLARATION, **changes})
    canonical = subprocess.run(
        ["jq", "-cSj", "."], input=text.encode(), capture_output=True, check=True
    ).stdout
    assert base64.b32encode(hashlib.sha256(canonical).digest()).decode().rstrip("=") == key


def test_canonical_json_follows_rfc_8785() -> None:
    # From RFC 8785, 3.2.2 and 3.2.3, limited to the types that declarations use: strings, integers, null.
    value: Json = {"string": '€$\u000f\nA\'B"\\\\"/', "literals": [None, True, False], "one": 1}
    expected = '{"literals":[null,true,false],"one":1,"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonicalize(value).decode() == expected


# Few values, so that two submissions are often equal. Some would be ambiguous if they were only concatenated.
WORDS = st.sampled_from(["a", "b", "a', 'b", "None", "שלום"])
PEOPLE = st.sampled_from([PERSON, "000000026"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"remark": "e\u0301te\u0301"}, {"remark": "été"}),
        ({"name": "re\u0301sume\u0301.pdf"}, {"name": "résumé.pdf"}),
        ({"id": "000-000 018"}, {"id": PERSON}),
        ({"remark": "  x "}, {"remark": "x"}),
        ({"remark": ""}, {}),
        ({"branch": ""}, {}),
    ],
)
def test_the_same_content_written_differently_has_the_same_key(tmp_path, one, other) -> None:
    assert checked_submission(tmp_path, **one).key == checked_submission(tmp_path, **other).key


@pytest.mark.parametrize(
    "changes",
    [{"remark": "x"}, {"branch": "haifa"}, {"reference": "1"}, {"name": "b.pdf"}, {"id": "000000026"}],
)
def test_different_content_has_a_different_key(tmp_path, changes) -> None:
    assert checked_submission(tmp_path, **changes).key != checked_submission(tmp_path).key


@settings(max_examples=300, deadline=None)
@given(one=st.tuples(WORDS, WORDS, WORDS, PEOPLE), other=st.tuples(WORDS, WORDS, WORDS, PEOPLE))
def test_contents_are_equal_if_and_only_if_keys_are(tmp_path_factory, one, other) -> None:
    folder = tmp_path_factory.getbasetemp()
    first, second = (
        checked_submission(folder, remark=remark, reference=reference, name=f"{name}.pdf", id=person)
        for remark, reference, name, person in (one, other)
    )
    assert (first.content == second.content) == (first.key == second.key)
    variants = (first, first.with_occurrence(2), first.with_account("fictional"))
    assert len({variant.content for variant in variants}) == 3
    assert len({variant.key for variant in variants}) == 3
    assert (first.without_buffers().content, first.without_buffers().key) == (
        first.content,
        first.key,
    )


def test_a_checked_submission_cannot_be_changed(tmp_path) -> None:
    submission = checked_submission(tmp_path)
    before = submission.key
    for name in ("key", "declaration_bytes", "documents", "anything"):
        with pytest.raises(AttributeError):
            setattr(submission, name, "forged")
    assert submission.key == before


def test_only_submission_rules_check_creates_a_checked_submission(tmp_path) -> None:
    real = checked_submission(tmp_path)
    values = {field.name: getattr(real, field.name) for field in dataclasses.fields(real)}
    with pytest.raises(TypeError, match=r"submission_rules\.check"):
        CheckedSubmission(**values)
    with pytest.raises(TypeError, match=r"submission_rules\.check"):
        dataclasses.replace(real, to="nowhere")
    users = [
        path.name
        for path in Path(docsend.__file__).parent.rglob("*.py")
        if "PASSED_ALL_RULES" in path.read_text(encoding="utf-8")
    ]
    assert sorted(users) == ["submission.py", "submission_rules.py"]


def test_submissions_are_immutable_values(tmp_path) -> None:
    one, other = checked_submission(tmp_path), checked_submission(tmp_path)
    assert one == other
    assert one != one.with_occurrence(2)
    values: object = tuple(vars(one).values())
    assert one != values
    for submission in (one, Submission(to="benefits")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            submission.to = "personal"  # type: ignore[misc]  # must fail
    copy = pickle.loads(pickle.dumps(one))  # noqa: S301 - pickled by this test
    assert (copy, copy.key) == (one, one.key)
