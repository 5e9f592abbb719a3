"""The catalog, sign-ins and required documents."""

from __future__ import annotations

from contract_client import ASKED, CLEAR, LOCKED, NO_TOKEN, PASSWORDS, Answer, Sender, numbers
from scenarios.table import provokes


@provokes("catalog", 200)
def the_whole_catalog(sender: Sender) -> Answer:
    return sender.ask("catalog")


@provokes("catalog", 304)
def the_same_catalog(sender: Sender) -> Answer:
    etag = sender.ask("catalog").headers["etag"]
    return sender.ask("catalog", headers={"If-None-Match": etag})


@provokes("catalog", 200)
def the_catalog_with_a_token_that_is_none(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).ask("catalog")


@provokes("catalog", 200)
def another_catalog_than_the_sender_has(sender: Sender) -> Answer:
    return sender.ask("catalog", headers={"If-None-Match": '"another"'})


@provokes("sign_in", 200)
def signed_in(sender: Sender) -> Answer:
    answer = sender.sign_in(CLEAR, PASSWORDS[CLEAR])
    assert sender.with_token(CLEAR, answer.json["token"]).ask("required").status == 200
    return answer


@provokes("sign_in", 200)
def signed_in_with_an_old_token_at_hand(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).sign_in(CLEAR, PASSWORDS[CLEAR])


@provokes("sign_in", 400, "malformed")
def signed_in_without_json(sender: Sender) -> Answer:
    return sender.ask("sign_in", body=b"code=1002")


@provokes("sign_in", 400, "malformed")
def signed_in_without_a_password(sender: Sender) -> Answer:
    return sender.ask("sign_in", body=b'{"code": "1002"}')


@provokes("sign_in", 400, "malformed")
def signed_in_with_a_number_for_a_code(sender: Sender) -> Answer:
    return sender.ask("sign_in", body=b'{"code": 1002, "password": "fictional-clear"}')


@provokes("sign_in", 400, "malformed")
def signed_in_with_a_password_that_is_too_long(sender: Sender) -> Answer:
    return sender.sign_in(CLEAR, "x" * 201)


@provokes("sign_in", 401, "sign-in-refused")
def signed_in_with_a_wrong_password(sender: Sender) -> Answer:
    answer = sender.sign_in(CLEAR, "a guess")
    assert sender.sign_in(CLEAR, PASSWORDS[CLEAR]).status == 200  # so that guesses do not add up to a lock
    return answer


@provokes("sign_in", 401, "sign-in-refused")
def signed_in_with_an_unknown_code(sender: Sender) -> Answer:
    return sender.sign_in(f"nobody {next(numbers)}", "a guess")


@provokes("sign_in", 413, "declaration-too-large")
def signed_in_at_length(sender: Sender) -> Answer:
    return sender.sign_in(CLEAR, "x" * 4096)


@provokes("sign_in", 429, "locked-out")
def signed_in_to_a_locked_account(sender: Sender) -> Answer:
    return sender.sign_in(LOCKED, PASSWORDS[LOCKED])


@provokes("sign_out", 204)
def signed_out(sender: Sender) -> Answer:
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    answer = person.ask("sign_out")
    assert person.ask("required").status == 401
    assert sender.signed_in(CLEAR).ask("required").status == 200  # another session stays
    return answer


@provokes("sign_out", 401, "sign-in-needed")
def signed_out_without_a_token(sender: Sender) -> Answer:
    return sender.ask("sign_out")


@provokes("sign_out", 401, "sign-in-needed")
def signed_out_twice(sender: Sender) -> Answer:
    person = sender.with_token(CLEAR, sender.sign_in(CLEAR, PASSWORDS[CLEAR]).json["token"])
    assert person.ask("sign_out").status == 204
    return person.ask("sign_out")


@provokes("required", 200)
def the_required_documents(sender: Sender) -> Answer:
    answer = sender.signed_in(ASKED).ask("required")
    assert [document["id"] for document in answer.json["required"]] == ["R-4711", "R-4712"]
    return answer


@provokes("required", 200)
def no_required_documents(sender: Sender) -> Answer:
    answer = sender.signed_in(CLEAR).ask("required")
    assert answer.json == {"required": []}
    return answer


@provokes("required", 401, "sign-in-needed")
def the_required_documents_without_a_token(sender: Sender) -> Answer:
    return sender.ask("required")


@provokes("required", 401, "sign-in-needed")
def the_required_documents_with_a_token_that_is_none(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).ask("required")
