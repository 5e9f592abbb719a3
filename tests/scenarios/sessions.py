"""Scenarios for the catalog, for signing in and out, and for required documents."""

from __future__ import annotations

from contract_client import ASKED, CLEAR, LOCKED, PASSWORDS, UNKNOWN_TOKEN, Response, Sender, numbers
from scenarios.table import produces


@produces("catalog", 200)
def the_whole_catalog(sender: Sender) -> Response:
    return sender.call("catalog")


@produces("catalog", 304)
def the_catalog_that_the_sender_has(sender: Sender) -> Response:
    etag = sender.call("catalog").headers["etag"]
    return sender.call("catalog", headers={"If-None-Match": etag})


@produces("catalog", 200)
def the_catalog_with_an_unknown_token(sender: Sender) -> Response:
    return sender.with_token(CLEAR, UNKNOWN_TOKEN).call("catalog")


@produces("catalog", 200)
def a_catalog_that_differs_from_the_sender_s(sender: Sender) -> Response:
    return sender.call("catalog", headers={"If-None-Match": '"another"'})


@produces("sign_in", 200)
def signed_in(sender: Sender) -> Response:
    response = sender.sign_in(CLEAR, PASSWORDS[CLEAR])
    assert sender.with_token(CLEAR, response.json["token"]).call("required").status == 200
    return response


@produces("sign_in", 200)
def signed_in_while_sending_an_old_token(sender: Sender) -> Response:
    return sender.with_token(CLEAR, UNKNOWN_TOKEN).sign_in(CLEAR, PASSWORDS[CLEAR])


@produces("sign_in", 400, "malformed")
def signed_in_without_json(sender: Sender) -> Response:
    return sender.call("sign_in", body=b"code=1002")


@produces("sign_in", 400, "malformed")
def signed_in_without_a_password(sender: Sender) -> Response:
    return sender.call("sign_in", body=b'{"code": "1002"}')


@produces("sign_in", 400, "malformed")
def signed_in_with_a_number_for_a_code(sender: Sender) -> Response:
    return sender.call("sign_in", body=b'{"code": 1002, "password": "fictional-clear"}')


@produces("sign_in", 400, "malformed")
def signed_in_with_a_password_that_is_too_long(sender: Sender) -> Response:
    return sender.sign_in(CLEAR, "x" * 201)


@produces("sign_in", 401, "sign-in-refused")
def signed_in_with_a_wrong_password(sender: Sender) -> Response:
    response = sender.sign_in(CLEAR, "a guess")
    assert sender.sign_in(CLEAR, PASSWORDS[CLEAR]).status == 200  # resets the count of failures
    return response


@produces("sign_in", 401, "sign-in-refused")
def signed_in_with_an_unknown_code(sender: Sender) -> Response:
    return sender.sign_in(f"nobody {next(numbers)}", "a guess")


@produces("sign_in", 413, "declaration-too-large")
def signed_in_with_a_body_that_is_too_large(sender: Sender) -> Response:
    return sender.sign_in(CLEAR, "x" * 4096)


@produces("sign_in", 429, "locked-out")
def signed_in_to_a_locked_account(sender: Sender) -> Response:
    return sender.sign_in(LOCKED, PASSWORDS[LOCKED])


@produces("sign_out", 204)
def signed_out(sender: Sender) -> Response:
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    response = person.call("sign_out")
    assert person.call("required").status == 401
    assert sender.as_account(CLEAR).call("required").status == 200  # the other session remains
    return response


@produces("sign_out", 401, "sign-in-needed")
def signed_out_without_a_token(sender: Sender) -> Response:
    return sender.call("sign_out")


@produces("sign_out", 401, "sign-in-needed")
def signed_out_twice(sender: Sender) -> Response:
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    assert person.call("sign_out").status == 204
    return person.call("sign_out")


@produces("required", 200)
def the_required_documents(sender: Sender) -> Response:
    response = sender.as_account(ASKED).call("required")
    assert [document["id"] for document in response.json["required"]] == ["R-4711", "R-4712"]
    return response


@produces("required", 200)
def no_required_documents(sender: Sender) -> Response:
    response = sender.as_account(CLEAR).call("required")
    assert response.json == {"required": []}
    return response


@produces("required", 401, "sign-in-needed")
def the_required_documents_without_a_token(sender: Sender) -> Response:
    return sender.call("required")


@produces("required", 401, "sign-in-needed")
def the_required_documents_with_an_unknown_token(sender: Sender) -> Response:
    return sender.with_token(CLEAR, UNKNOWN_TOKEN).call("required")
