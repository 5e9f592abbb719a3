"""The form of one exchange: a malformed one, or one with other parts than declared, is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from contract_client import (
    BOUNDARY,
    CONTENT,
    Sender,
    form,
    new_declaration,
    part,
)
from faults import lab
from one_exchange import (
    COMPLETE_FORM,
    DECLARATION,
    FIRST,
    LAST,
    MALFORMED,
    PARTS,
    SECOND_CONTENT,
    declaration_of_two,
    declaration_part,
    document_part,
    is_empty,
    raw_request,
)
from sockets import send_raw

if TYPE_CHECKING:
    from conftest import RunningSandbox


@pytest.fixture
def sender(sandbox: RunningSandbox) -> Sender:
    return Sender(sandbox.url)


@pytest.mark.parametrize("what", PARTS)
def test_other_parts_than_declared_are_refused_and_not_stored(
    what: str, sandbox: RunningSandbox, sender: Sender
) -> None:
    parts, refusal = PARTS[what]
    declaration = declaration_of_two()
    response = sender.send_form(declaration, form(declaration_part(declaration), *parts))
    assert (response.status, response.code) == refusal
    assert is_empty(sandbox)
    # It does not prevent the correct one.
    assert sender.send_in_one_exchange(declaration, CONTENT, SECOND_CONTENT).status == 201


BODIES = {
    "nothing": b"",
    "only the last boundary": form(),
    "no closing boundary": COMPLETE_FORM[: -len(f"\r\n--{BOUNDARY}--\r\n")],
    "half a closing boundary": COMPLETE_FORM[:-4],
    "a boundary that does not close": form(declaration_part(DECLARATION), FIRST, LAST, end="\r\n"),
    "another boundary": form(declaration_part(DECLARATION), FIRST, LAST, boundary="another"),
    "something before the boundary": b"a preamble\r\n" + COMPLETE_FORM,
    "a line before the boundary": b"\r\n" + COMPLETE_FORM,
    "lines that end in LF": COMPLETE_FORM.replace(b"\r\n", b"\n"),
    "a document first": form(FIRST, declaration_part(DECLARATION), LAST),
    "no declaration": form(FIRST, LAST),
    "a declaration that is none": form(part("declaration", b"payslip.pdf"), FIRST, LAST),
    "an empty declaration": form(part("declaration", b""), FIRST, LAST),
    "json": json.dumps(DECLARATION).encode(),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_not_a_valid_form_is_malformed_and_not_stored(
    what: str, sandbox: RunningSandbox, sender: Sender
) -> None:
    response = sender.send_form(DECLARATION, BODIES[what])
    assert (response.status, response.code) == MALFORMED
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
def test_a_form_without_exactly_one_valid_boundary_is_malformed(media_type: str, sender: Sender) -> None:
    response = sender.send_form(DECLARATION, COMPLETE_FORM, headers={"Content-Type": media_type})
    assert (response.status, response.code) == MALFORMED


@pytest.mark.parametrize("media_type", ["multipart/mixed", "multipart/related", "multipart/x", "form-data"])
def test_another_multipart_type_is_not_accepted(media_type: str, sender: Sender) -> None:
    headers = {"Content-Type": f"{media_type}; boundary={BOUNDARY}"}
    response = sender.send_form(DECLARATION, COMPLETE_FORM, headers=headers)
    assert (response.status, response.code) == (415, "media-type-not-accepted")


def test_a_declaration_that_is_too_large_is_refused_in_one_exchange_too(
    sandbox: RunningSandbox, sender: Sender
) -> None:
    response = sender.send_in_one_exchange(new_declaration(remark="x" * 2**20), CONTENT)
    assert (response.status, response.code) == (413, "declaration-too-large")
    assert is_empty(sandbox)


@pytest.mark.parametrize("cut", [1, 10, 30, 60, 200, len(COMPLETE_FORM) - 1])
def test_an_incomplete_body_is_not_stored(cut: int, sandbox: RunningSandbox) -> None:
    responses = send_raw(
        sandbox.url, raw_request(DECLARATION, COMPLETE_FORM[:-cut], len(COMPLETE_FORM)), half_close=True
    )
    assert [status for status, *_ in responses] in ([], [b"408"])
    assert lab.wait_until(lambda: is_empty(sandbox))  # the sender may see the end of the connection first


def test_a_content_length_that_is_shorter_than_the_form_is_malformed(
    sandbox: RunningSandbox,
) -> None:
    responses = send_raw(sandbox.url, raw_request(DECLARATION, COMPLETE_FORM, len(COMPLETE_FORM) - 10))
    assert responses[0][0] == b"400"
    assert b"digest" not in responses[0][2]
    assert is_empty(sandbox)


@pytest.mark.parametrize(
    "more",
    [
        b"an epilogue (RFC 2046, 5.1.1)\r\n",
        b"\r\nx",
        b"\n",
        bytes(100_000),
        document_part(SECOND_CONTENT),
        form(declaration_part(DECLARATION), FIRST, LAST),
    ],
    ids=["an epilogue", "a letter", "half a line end", "much", "a part", "the complete form again"],
)
def test_only_a_line_end_may_follow_the_closing_boundary(
    sandbox: RunningSandbox, sender: Sender, more: bytes
) -> None:
    response = sender.send_form(DECLARATION, COMPLETE_FORM.removesuffix(b"\r\n") + more)
    assert (response.status, response.code) == (400, "malformed")
    assert is_empty(sandbox)
    for end in (b"", b"\r\n"):
        assert sender.send_form(DECLARATION, COMPLETE_FORM.removesuffix(b"\r\n") + end).status in (200, 201)
