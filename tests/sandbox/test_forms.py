"""The form of one exchange: what is none, or has other parts than were declared, is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from contract_client import (
    BOUNDARY,
    CONTENT,
    Sender,
    a_declaration,
    form,
    part,
)
from faults import lab
from one_exchange import (
    FIRST,
    LAST,
    MALFORMED,
    PARTS,
    RIGHT,
    SECOND,
    WHOLE,
    declared,
    document,
    is_empty,
    request,
    two_documents,
)
from sockets import send_raw

if TYPE_CHECKING:
    from conftest import RunningSandbox


@pytest.fixture
def sender(sandbox: RunningSandbox) -> Sender:
    return Sender(sandbox.url)


@pytest.mark.parametrize("what", PARTS)
def test_other_parts_than_were_declared_are_refused_and_not_kept(
    what: str, sandbox: RunningSandbox, sender: Sender
) -> None:
    parts, refusal = PARTS[what]
    declaration = two_documents()
    answer = sender.send_form(declaration, form(declared(declaration), *parts))
    assert (answer.status, answer.code) == refusal
    assert is_empty(sandbox)
    # Nothing of it is in the way of the right one.
    assert sender.send_whole(declaration, CONTENT, SECOND).status == 201


BODIES = {
    "nothing": b"",
    "only the last boundary": form(),
    "no closing boundary": WHOLE[: -len(f"\r\n--{BOUNDARY}--\r\n")],
    "half a closing boundary": WHOLE[:-4],
    "a boundary that does not close": form(declared(RIGHT), FIRST, LAST, end="\r\n"),
    "another boundary": form(declared(RIGHT), FIRST, LAST, boundary="another"),
    "something before the boundary": b"a preamble\r\n" + WHOLE,
    "a line before the boundary": b"\r\n" + WHOLE,
    "lines that end in LF": WHOLE.replace(b"\r\n", b"\n"),
    "a document first": form(FIRST, declared(RIGHT), LAST),
    "no declaration": form(FIRST, LAST),
    "a declaration that is none": form(part("declaration", b"payslip.pdf"), FIRST, LAST),
    "an empty declaration": form(part("declaration", b""), FIRST, LAST),
    "json": json.dumps(RIGHT).encode(),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_no_form_is_malformed_and_not_kept(
    what: str, sandbox: RunningSandbox, sender: Sender
) -> None:
    answer = sender.send_form(RIGHT, BODIES[what])
    assert (answer.status, answer.code) == MALFORMED
    assert is_empty(sandbox)


@pytest.mark.parametrize(
    "media_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 71,
        'multipart/form-data; boundary="a b"',
        'multipart/form-data; boundary="a\\"b"',
        f"multipart/form-data; boundary={BOUNDARY}; boundary=other",
        f"multipart/form-data; boundary={BOUNDARY}; BOUNDARY={BOUNDARY}",
        f"multipart/form-data; border={BOUNDARY}",
    ],
)
def test_a_form_without_one_good_boundary_is_malformed(media_type: str, sender: Sender) -> None:
    answer = sender.send_form(RIGHT, WHOLE, headers={"Content-Type": media_type})
    assert (answer.status, answer.code) == MALFORMED


@pytest.mark.parametrize("media_type", ["multipart/mixed", "multipart/related", "multipart/x", "form-data"])
def test_another_multipart_is_not_taken(media_type: str, sender: Sender) -> None:
    headers = {"Content-Type": f"{media_type}; boundary={BOUNDARY}"}
    answer = sender.send_form(RIGHT, WHOLE, headers=headers)
    assert (answer.status, answer.code) == (415, "media-type-not-accepted")


def test_a_large_declaration_is_too_large_in_one_exchange_too(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    answer = sender.send_whole(a_declaration(remark="x" * 2**20), CONTENT)
    assert (answer.status, answer.code) == (413, "declaration-too-large")
    assert is_empty(sandbox)


@pytest.mark.parametrize("cut", [1, 10, 30, 60, 200, len(WHOLE) - 1])
def test_a_body_that_breaks_off_is_not_kept(cut: int, sandbox: RunningSandbox) -> None:
    answers = send_raw(sandbox.url, request(RIGHT, WHOLE[:-cut], len(WHOLE)), is_cut=True)
    assert [status for status, *_ in answers] in ([], [b"408"])
    assert lab.wait_until(lambda: is_empty(sandbox))  # the sender may see the end first


def test_a_body_that_is_shorter_than_its_form_is_malformed_and_what_follows_is_no_answer_to_it(
    sandbox: RunningSandbox,
) -> None:
    answers = send_raw(sandbox.url, request(RIGHT, WHOLE, len(WHOLE) - 10))
    assert answers[0][0] == b"400"
    assert b"digest" not in answers[0][2]
    assert is_empty(sandbox)


@pytest.mark.parametrize(
    "more",
    [
        b"an epilogue (RFC 2046, 5.1.1)\r\n",
        b"\r\nx",
        b"\n",
        bytes(100_000),
        document(SECOND),
        form(declared(RIGHT), FIRST, LAST),
    ],
    ids=["an epilogue", "a letter", "half a line end", "much", "a part", "the whole once more"],
)
def test_nothing_but_a_line_end_may_stand_behind_the_last_boundary(
    sandbox: RunningSandbox, sender: Sender, more: bytes
) -> None:
    answer = sender.send_form(RIGHT, WHOLE.removesuffix(b"\r\n") + more)
    assert (answer.status, answer.code) == (400, "malformed")
    assert is_empty(sandbox)
    for end in (b"", b"\r\n"):
        assert sender.send_form(RIGHT, WHOLE.removesuffix(b"\r\n") + end).status in (200, 201)
